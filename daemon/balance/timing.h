/* How long a target takes, as one worker sees it: a moving average that follows a rise at once and a
 * fall slowly (peak EWMA), and fades, so that a target that was slow is asked again in the end. Pure.
 * Internal to balance. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TIMING_HALF_LIFE_US 2000000
#define TIMING_FAILED_US    1000000 /* a failure is as bad as that, or twice what it was */
#define TIMING_MAX_US       (1ULL << 30)
#define TIMING_RETRY_US     1000000

struct timing {
	uint64_t took;     /* in a unit of its own; 0: no sample */
	uint64_t at_us;    /* the last sample's */
	uint64_t tried_us; /* without a sample: when a request went there to get one; 0: none did */
};

void timing_add(struct timing *timing, uint64_t took_us, uint64_t now_us);
void timing_add_failure(struct timing *timing, uint64_t now_us);
/* What a request would take, at most TIMING_MAX_US; 0: nobody knows (any more). */
uint64_t timing_expect(const struct timing *timing, uint64_t now_us);
/* There is no sample: whether a request should go there to get one. If so, another one will after
 * TIMING_RETRY_US only, so that what is unknown is not flooded. */
bool timing_try(struct timing *timing, uint64_t now_us);
