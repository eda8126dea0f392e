/* What the load generators share. */
#pragma once

#include <sys/epoll.h>

#include "daemon/base/clock.h"

/* Events, up to `max`, but not longer than until then. How many, or -1. */
static inline int epoll_until(int epoll, struct epoll_event *events, int max, uint64_t until_us)
{
	uint64_t now_us = clock_us();
	uint64_t wait_us = until_us > now_us ? until_us - now_us : 0;
	struct timespec timeout = {
	    (time_t)(wait_us / US_PER_SEC), (long)(wait_us % US_PER_SEC) * 1000};
	return epoll_pwait2(epoll, events, max, &timeout, NULL);
}
