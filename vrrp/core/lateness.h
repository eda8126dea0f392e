/* How late timers fire: a histogram for all time, and the worst of the last minute or two. What is
 * late by more than the lease outlives an interval loses the lease. Memory only. */
#pragma once

#include <stdint.h>

/* Upper bounds in microseconds; what is above the last one is in a bucket of its own. */
#define VRRP_LATENESS_BOUNDS(X) \
	X(100) X(250) X(500) X(1000) X(2500) X(5000) X(10000) X(25000) X(50000) X(100000) X(250000)

enum {
#define X(bound) VRRP_LATENESS_##bound,
	VRRP_LATENESS_BOUNDS(X)
#undef X
	    VRRP_LATENESS_ABOVE,
	VRRP_LATENESS_BUCKETS
};

struct vrrp_lateness {
	uint64_t counts[VRRP_LATENESS_BUCKETS];
	uint64_t sum_us;
	uint64_t max_us;            /* ever */
	uint64_t minute_us;         /* when the minute that we count in began */
	uint64_t worst_us, last_us; /* of this minute, and of the one before */
};

void vrrp_lateness_note(struct vrrp_lateness *lateness, uint64_t late_us, uint64_t now_us);
/* The worst of the last minute, and of up to one more. */
uint64_t vrrp_lateness_recent_us(const struct vrrp_lateness *lateness, uint64_t now_us);
