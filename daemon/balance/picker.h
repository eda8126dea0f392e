/* A picker's state, as its files share it: pick.c derives it, pick_load.c and pick_hash.c choose by
 * it. Nobody else includes this. */
#pragma once

#include "daemon/balance/draw.h"
#include "daemon/balance/maglev.h"
#include "daemon/balance/pick.h"
#include "daemon/balance/rotation.h"
#include "daemon/balance/timing.h"

#define NOBODY UINT32_MAX

/* The pool's targets by id, for sticky sessions. */
struct by_id {
	uint64_t id;
	struct target *target;
	uint32_t index; /* in pool->targets */
};

/* Of the weight of a target, which grows by one after the other in a slow start. */
#define SHARES 10

/* Which targets get new traffic now: primaries, else backups, else (fail open) all but those that
 * the admin took out. In panic the latter at once. */
enum tier { TIER_NONE, TIER_PRIMARY, TIER_BACKUP, TIER_OPEN };

/* Derived state: `members` are indexes into pool->targets of the usable ones of the tier. `spare`
 * are usable backups behind a tier of primaries: for retries only. */
struct picker {
	const struct pool *pool;
	uint64_t version;
	bool built;
	enum tier tier;
	uint32_t n_members, n_spare;
	uint16_t *members;
	uint16_t *spare;
	uint16_t *weights;   /* of the members; while one of them starts slowly, times its share */
	uint8_t *share;      /* by index into pool->targets: of SHARES; 0: no member */
	uint64_t now_us;     /* of the last pick */
	uint64_t refresh_us; /* when a share grows */
	uint32_t spare_turn;
	struct by_id *by_id;
	struct rotation *rotation; /* round_robin, least_connections */
	struct draw *draw;         /* random_two, least_time */
	struct timing *timings;    /* least_time, by index into pool->targets */

	/* maglev. The table is made of all targets of the tier, usable or not, so it changes
	 * with the tier and the configuration only; who is not a member is passed over. */
	uint32_t table_size;
	enum tier table_tier;
	uint16_t *table; /* of indexes into pool->targets */
	struct maglev_member *maglev;

	/* maglev with hash_balance_factor: what is in flight over the members, and the part of each
	 * in that sum. */
	uint64_t in_flight, weight_sum;
	uint32_t *seen; /* by member */
	uint32_t swept; /* the member to look at next */
};

static inline struct target *member(const struct picker *picker, uint32_t i)
{
	return picker->pool->targets[picker->members[i]].target;
}

/* Not for this request: it has failed there, or every place is taken. */
static inline bool is_out(struct pick *pick, const struct target *target)
{
	if (target_is_among(target, pick->tried, pick->n_tried))
		return true;
	if (!target_is_full(target))
		return false;
	pick->full = true;
	return true;
}

static inline uint32_t load_of(const struct target *target)
{
	return atomic_load_explicit(&target->active, memory_order_relaxed);
}

/* The next in turn; the least loaded. NOBODY: all are out. */
uint32_t pick_round_robin(struct picker *picker, struct pick *pick);
uint32_t pick_least_connections(struct picker *picker, struct pick *pick);
/* The better one of two that are drawn. */
uint32_t pick_random_two(struct picker *picker, struct pick *pick);
uint32_t pick_least_time(struct picker *picker, struct pick *pick);
/* By pick->hash; NULL: all are out. */
struct target *pick_maglev(struct picker *picker, struct pick *pick);
/* The members have changed, and perhaps the tier. */
void pick_build_table(struct picker *picker);
