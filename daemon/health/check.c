#include "daemon/health/check.h"

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"

static void count(uint16_t *in_a_row, uint16_t *other)
{
	if (*in_a_row < UINT16_MAX)
		(*in_a_row)++;
	*other = 0;
}

enum target_health health_judge(enum target_health before, uint16_t *rise_count,
    uint16_t *fall_count, bool success, uint16_t rise, uint16_t fall)
{
	if (success)
		count(rise_count, fall_count);
	else
		count(fall_count, rise_count);

	switch (before) {
	case TARGET_UP: return *fall_count >= fall && !success ? TARGET_DOWN : TARGET_UP;
	case TARGET_DOWN: return *rise_count >= rise && success ? TARGET_UP : TARGET_DOWN;
	case TARGET_UNKNOWN: break;
	}
	return success ? TARGET_UP : TARGET_DOWN;
}

enum target_health health_step(struct target *target, bool success, uint16_t rise, uint16_t fall)
{
	enum target_health health =
	    (enum target_health)atomic_load_explicit(&target->health, memory_order_relaxed);
	return health_judge(health, &target->rise_count, &target->fall_count, success, rise, fall);
}

uint16_t health_doubts(enum target_health health, uint16_t rise_count, uint16_t fall_count)
{
	switch (health) {
	case TARGET_UP: return fall_count;
	case TARGET_DOWN: return rise_count;
	default: return 0;
	}
}

uint64_t health_interval_us(
    const struct conf_health *conf, enum target_health health, bool in_doubt)
{
	uint64_t other_us = in_doubt                ? conf->fast_interval_us
			    : health == TARGET_DOWN ? conf->down_interval_us
						    : 0;
	return other_us ? other_us : conf->interval_us;
}

uint64_t health_next_us(uint64_t target_id, uint64_t round, uint64_t interval_us, uint64_t now_us)
{
	uint64_t span_us = interval_us * 2 * HEALTH_JITTER / 100;
	uint64_t jitter_us = hash_mix(target_id ^ hash_mix(round + 1)) % (span_us + 1);
	return now_us + interval_us - span_us / 2 + jitter_us;
}

uint64_t health_phase_us(uint64_t target_id, uint64_t interval_us, bool known)
{
	uint64_t span_us = known || interval_us < US_PER_SEC ? interval_us : US_PER_SEC;
	return span_us ? hash_mix(target_id) % span_us : 0;
}

uint64_t health_spread_us(uint64_t target_id, uint64_t interval_us, uint64_t now_us)
{
	return now_us + interval_us / 2 + health_phase_us(hash_mix(target_id), interval_us, true);
}
