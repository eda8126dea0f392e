/* How a connection to a target begins: its socket, with what the pool wants of it. */
#pragma once

#include "conf/conf.h"
#include "daemon/base/addr.h"

struct worker;

/* A connect for `client` that has begun, or -errno. When descriptors run out, those of idle pipes
 * are given up for it. */
int dial(struct worker *worker, const struct conf_pool *pool, const struct addr *target,
    const struct addr *client);
/* A UDP socket for `client`, or -errno. */
int dial_udp(const struct conf_pool *pool, const struct addr *target, const struct addr *client);
/* Connections of this pool are one client's: the target knows the client by them, or by the PROXY
 * header that they began with. */
static inline bool dial_is_personal(const struct conf_pool *pool)
{
	return pool->source_client || pool->send_proxy.version != CONF_PROXY_NONE;
}
