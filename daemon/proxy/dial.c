#include "daemon/proxy/dial.h"

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "daemon/proxy/room.h"

static const struct addr *source_of(const struct conf_pool *pool, const struct addr *client)
{
	if (pool->source_client)
		return client;
	return pool->source_addr.sa.sa_family != AF_UNSPEC ? &pool->source_addr : NULL;
}

static struct net_tcp_options tcp_options_of(const struct conf_pool *pool)
{
	const struct conf_keepalive *keepalive = &pool->tcp_keepalive;
	return (struct net_tcp_options){
	    .keepalive_idle_sec = (uint32_t)(keepalive->idle_us / US_PER_SEC),
	    .keepalive_interval_sec = (uint32_t)(keepalive->interval_us / US_PER_SEC),
	    .keepalive_count = keepalive->count,
	    .user_timeout_ms = (uint32_t)(pool->tcp_user_timeout_us / US_PER_MS)};
}

int dial_udp(const struct conf_pool *pool, const struct addr *target, const struct addr *client)
{
	struct net_connect_options options = {
	    .source = source_of(pool, client), .transparent = pool->source_client};
	return net_connect_udp(target, &options);
}

int dial(struct worker *worker, const struct conf_pool *pool, const struct addr *target,
    const struct addr *client)
{
	bool in_progress;
	struct net_connect_options options = {.tcp = tcp_options_of(pool),
	    .source = source_of(pool, client),
	    .transparent = pool->source_client};
	int fd = net_connect_tcp_with(target, &options, &in_progress);
	if (fd < 0 && room_found(worker, fd))
		fd = net_connect_tcp_with(target, &options, &in_progress);
	return fd;
}
