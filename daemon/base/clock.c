#include "daemon/base/clock.h"

#include <time.h>

static struct timespec read_clock(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return now;
}

uint64_t clock_us(void)
{
	struct timespec now = read_clock(CLOCK_MONOTONIC);
	return (uint64_t)now.tv_sec * US_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_wall_sec(void)
{
	return (uint64_t)read_clock(CLOCK_REALTIME).tv_sec;
}

uint64_t clock_wall_us(void)
{
	struct timespec now = read_clock(CLOCK_REALTIME);
	return (uint64_t)now.tv_sec * US_PER_SEC + (uint64_t)now.tv_nsec / 1000;
}
