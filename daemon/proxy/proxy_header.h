/* The PROXY protocol on connections of ours: the codec is daemon/proxyproto. */
#pragma once

#include "daemon/proxy/preface.h"

/* Where the header of a client says that it wanted to go, and what else. */
struct origin {
	struct addr destination;
	uint32_t tlvs_len;
	char tlvs[];
};

/* Of a listener with `proxy_protocol`: the header names the client. */
extern const struct preface_reader proxy_header_reader;

/* Appends the header that a connection to a target of `pool`, which sends one, has to begin with.
 * `peer` and `origin` (or NULL) are of the client on `conn`. False: out of memory, or the client is
 * gone. */
bool proxy_header_put(struct buf *buf, const struct conf_pool *pool, const struct conn *conn,
    const struct addr *peer, const struct origin *origin);
