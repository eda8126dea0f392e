#include "daemon/balance/timing.h"

/* So fine that also what falls with each of many samples is not rounded away. */
#define FINE 1024

/* What is left of a value after a time: half of it each half-life, in a straight line between. */
static uint64_t faded(uint64_t value, uint64_t age_us)
{
	uint64_t halves = age_us / TIMING_HALF_LIFE_US, rest_us = age_us % TIMING_HALF_LIFE_US;
	if (halves >= 64)
		return 0;
	value >>= halves;
	uint64_t line_us = 2 * TIMING_HALF_LIFE_US;
	return value - (value * rest_us + line_us - 1) / line_us;
}

/* Workers read the clock once a turn, and not all at the same time. */
static uint64_t age(const struct timing *timing, uint64_t now_us)
{
	return now_us > timing->at_us ? now_us - timing->at_us : 0;
}

void timing_add(struct timing *timing, uint64_t took_us, uint64_t now_us)
{
	if (took_us > TIMING_MAX_US)
		took_us = TIMING_MAX_US;
	uint64_t took = (took_us > 0 ? took_us : 1) * FINE;
	if (took < timing->took)
		took += faded(timing->took - took, age(timing, now_us));
	timing->took = took;
	timing->at_us = now_us;
	timing->tried_us = 0;
}

void timing_add_failure(struct timing *timing, uint64_t now_us)
{
	uint64_t twice_us = 2 * timing_expect(timing, now_us);
	timing_add(timing, twice_us > TIMING_FAILED_US ? twice_us : TIMING_FAILED_US, now_us);
}

uint64_t timing_expect(const struct timing *timing, uint64_t now_us)
{
	return faded(timing->took, age(timing, now_us)) / FINE;
}

bool timing_try(struct timing *timing, uint64_t now_us)
{
	if (timing->tried_us != 0 && now_us < timing->tried_us + TIMING_RETRY_US)
		return false;
	timing->tried_us = now_us;
	return true;
}
