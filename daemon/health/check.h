/* The judgment of one target: rise and fall. Pure.
 *
 *	UNKNOWN --first result--> UP or DOWN
 *	UP      --fall failures in a row--> DOWN
 *	DOWN    --rise successes in a row--> UP
 *
 * From UNKNOWN the first result decides at once (rise and fall count as 1): a node that starts must
 * know soon. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/balance/fleet.h"

/* One result: counts it, and returns the health that follows from the one before. */
enum target_health health_judge(enum target_health before, uint16_t *rise_count,
    uint16_t *fall_count, bool success, uint16_t rise, uint16_t fall);

/* Takes one result; updates the target's counters and returns the health that it has now (the
 * caller stores it with target_set_health, with the reason). */
enum target_health health_step(struct target *target, bool success, uint16_t rise, uint16_t fall);

/* How many results in a row speak against the health that it has. */
uint16_t health_doubts(enum target_health health, uint16_t rise_count, uint16_t fall_count);

/* An interval is up to so many per cent longer or shorter, at random. */
#define HEALTH_JITTER 5

/* How long it is from one check to the next, of a target whose health is this. */
uint64_t health_interval_us(
    const struct conf_health *conf, enum target_health health, bool in_doubt);
/* When the next check of this target is due after `now_us`: interval with ±HEALTH_JITTER from a hash
 * of id and count. */
uint64_t health_next_us(uint64_t target_id, uint64_t count, uint64_t interval_us, uint64_t now_us);
/* The offset of the first check: targets of all pools are spread by their id, over the interval if
 * their health is known already, so that a takeover is no storm; else over 1 s, if that is less. */
uint64_t health_phase_us(uint64_t target_id, uint64_t interval_us, bool known);
/* When the check after that second is due, instead of health_next_us: half an interval to one and a
 * half later, so that those that began together do not go on so. */
uint64_t health_spread_us(uint64_t target_id, uint64_t interval_us, uint64_t now_us);
