/* Choosing a target. One picker per worker and pool: no locks, no shared writes. What is derived
 * from the targets' state (the usable set, the weighted schedule) is rebuilt only when the pool's
 * version has changed, so a pick does not look at every target (least_connections under load does).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/balance/fleet.h"

#define PICKER_TARGETS_MAX 65000

struct picker;

/* Keeps a pointer to `pool`, which must outlive it. NULL when out of memory, or for more than
 * PICKER_TARGETS_MAX targets. All memory is taken here: rebuilding later cannot fail. `seed`
 * spreads the starting points of several workers. */
struct picker *picker_new(const struct pool *pool, uint64_t seed);
void picker_free(struct picker *picker);

/* What a choice depends on besides the pool. */
struct pick {
	uint64_t hash; /* maglev: of the request's key */
	/* Targets that this request has failed on. */
	struct target *const *tried;
	size_t n_tried;
	uint64_t now_us; /* monotonic */
	/* Set by picker_pick: a target was passed over because it is full (fleet.h). With NULL: it, or
	 * another one, would have been chosen. */
	bool full;
};

/* The target for a new request or connection.
 * round_robin: smooth weighted (a 5:1:1 pool gives a a b a c a a, never a burst).
 * least_connections: smallest active/weight, ties in weighted rotation (an idle pool is served in
 * proportion to the weights).
 * maglev: by `pick->hash`, the same on both nodes and after a restart. When a target goes only its
 * own keys move, and they return with it. With hash_balance_factor f (percent) no target gets more
 * than f/100 of its weight's share of what is in flight, this one included and rounded up; a key
 * whose target has that goes to its next place. What is in flight is a sum that is kept by looking
 * at a few targets with each pick, so in pools of many it lags by as many picks as it takes.
 * random_two: of two members drawn by weight the one with the smaller active/weight.
 * least_time: of two such the one with the smaller time * (1 + active/weight), where the time is
 * what picker_observe heard of it. Who was not heard of is tried now and then.
 *
 * With slow_start_us a target that came up, was made ready by the admin, was ejected before or is new
 * gets a tenth of its weight, two tenths after two tenths of that time, and so on; of its keys (maglev)
 * as many. Not while no other target of the tier is warm.
 *
 * Targets without `backup` first; all of them unusable or tried: the backups; all unusable: with
 * fail_open, or when the pool panics (pool_panics), any that the admin has not drained or disabled,
 * else NULL. NULL when only `tried` or full ones are left; backups do not stand in for full ones. It
 * has a place to take, unless another worker is quicker: target_enter. */
struct target *picker_pick(struct picker *picker, struct pick *pick);
/* The target of a sticky session, if it may still be used (target_keeps_sticky), else NULL. */
struct target *picker_find(struct picker *picker, uint64_t target_id);
/* Now `target` is one of those that picker_pick chooses from, full or not. */
bool picker_takes(struct picker *picker, const struct target *target);

#define PICKER_FAILED UINT64_MAX

/* least_time: a request took so long to the first byte of its response, or it failed
 * (PICKER_FAILED). Does nothing for other algorithms. */
void picker_observe(
    struct picker *picker, const struct target *target, uint64_t took_us, uint64_t now_us);
/* least_time: what `from` has heard, a picker of the same pool in the configuration before. */
void picker_inherit(struct picker *picker, const struct picker *from);
