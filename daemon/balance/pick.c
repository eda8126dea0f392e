#include "daemon/balance/pick.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/balance/maglev.h"
#include "daemon/balance/rotation.h"
#include "daemon/base/hash.h"

#define NOBODY      UINT32_MAX
#define HASH_PLACES 32
#define GOLDEN      0x9e3779b97f4a7c15ULL

/* The pool's targets by id, for sticky sessions. */
struct by_id {
	uint64_t id;
	struct target *target;
	uint32_t index; /* in pool->targets */
};

/* Which targets get new traffic now: primaries, else backups, else (fail open) all but those that
 * the admin took out. */
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
	uint8_t *is_member; /* by index into pool->targets */
	uint16_t *spare;
	uint16_t *weights; /* of the members */
	uint32_t spare_turn;
	struct rotation *rotation;
	struct by_id *by_id;

	/* Source hash. The table is made of all targets of the tier, usable or not, so it changes
	 * with the tier and the configuration only; who is not a member is passed over. */
	uint32_t table_size;
	enum tier table_tier;
	uint16_t *table; /* of indexes into pool->targets */
	struct maglev_member *maglev;
};

static int compare_by_id(const void *a, const void *b)
{
	const struct by_id *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static bool index_targets(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	picker->by_id = calloc(pool->n_targets + 1, sizeof(*picker->by_id));
	if (!picker->by_id)
		return false;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		struct target *target = pool->targets[i].target;
		picker->by_id[i] = (struct by_id){target->id, target, i};
	}
	qsort(picker->by_id, pool->n_targets, sizeof(*picker->by_id), compare_by_id);
	return true;
}

/* The turn of the whole pool is the longest: leaving members out shortens it, and so does a larger
 * common divisor. */
static bool allocate(struct picker *picker, uint64_t seed)
{
	uint32_t n = picker->pool->n_targets;
	picker->members = calloc(n + 1, sizeof(*picker->members));
	picker->spare = calloc(n + 1, sizeof(*picker->spare));
	picker->weights = calloc(n + 1, sizeof(*picker->weights));
	picker->is_member = calloc(n + 1, sizeof(*picker->is_member));
	if (!picker->members || !picker->spare || !picker->weights || !picker->is_member)
		return false;
	for (uint32_t i = 0; i < n; i++)
		picker->weights[i] = picker->pool->targets[i].weight;
	picker->rotation = rotation_new(n, rotation_turn(picker->weights, n), seed);
	if (!picker->rotation)
		return false;
	if (picker->pool->algorithm == BALANCE_SOURCE_HASH) {
		picker->table_size = maglev_size(n);
		picker->table = calloc(picker->table_size, sizeof(*picker->table));
		picker->maglev = calloc(n + 1, sizeof(*picker->maglev));
		if (!picker->table || !picker->maglev)
			return false;
	}
	return index_targets(picker);
}

struct picker *picker_new(const struct pool *pool, uint64_t seed)
{
	if (pool->n_targets > PICKER_TARGETS_MAX)
		return NULL;
	struct picker *picker = calloc(1, sizeof(*picker));
	if (!picker)
		return NULL;
	picker->pool = pool;
	if (!allocate(picker, seed)) {
		picker_free(picker);
		return NULL;
	}
	return picker;
}

void picker_free(struct picker *picker)
{
	if (!picker)
		return;
	free(picker->members);
	free(picker->spare);
	free(picker->weights);
	rotation_free(picker->rotation);
	free(picker->table);
	free(picker->maglev);
	free(picker->is_member);
	free(picker->by_id);
	free(picker);
}

static bool admin_ready(const struct target *target)
{
	return atomic_load_explicit(&target->admin, memory_order_relaxed) == TARGET_READY;
}

static void collect(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	picker->n_members = picker->n_spare = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (!target_usable(pool->targets[i].target))
			continue;
		if (pool->targets[i].backup)
			picker->spare[picker->n_spare++] = (uint16_t)i;
		else
			picker->members[picker->n_members++] = (uint16_t)i;
	}
	picker->tier = TIER_PRIMARY;
	if (picker->n_members == 0) {
		uint16_t *empty = picker->members;
		picker->members = picker->spare;
		picker->spare = empty;
		picker->n_members = picker->n_spare;
		picker->n_spare = 0;
		picker->tier = TIER_BACKUP;
	}
	if (picker->n_members > 0 || !pool->fail_open)
		return;
	picker->tier = TIER_OPEN;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (admin_ready(pool->targets[i].target))
			picker->members[picker->n_members++] = (uint16_t)i;
	}
}

static void build_table(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	uint32_t n = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct pool_target *from = &pool->targets[i];
		if (picker->tier != TIER_OPEN && from->backup != (picker->tier == TIER_BACKUP))
			continue;
		picker->maglev[n++] = (struct maglev_member){
		    .id = from->target->id, .weight = from->weight, .value = (uint16_t)i};
	}
	maglev_build(picker->table, picker->table_size, picker->maglev, n);
	picker->table_tier = picker->tier;
}

static void mark_members(struct picker *picker)
{
	memset(picker->is_member, 0, picker->pool->n_targets);
	for (uint32_t i = 0; i < picker->n_members; i++)
		picker->is_member[picker->members[i]] = 1;
}

/* The version is read before the states: a change in between is seen by the next pick. */
static void refresh(struct picker *picker)
{
	uint64_t version = atomic_load_explicit(picker->pool->version, memory_order_acquire);
	if (picker->built && picker->version == version)
		return;
	picker->version = version;
	picker->built = true;
	collect(picker);
	mark_members(picker);
	if (picker->n_members == 0)
		return;
	if (picker->pool->algorithm == BALANCE_SOURCE_HASH) {
		if (picker->table_tier != picker->tier)
			build_table(picker);
		return;
	}
	for (uint32_t i = 0; i < picker->n_members; i++)
		picker->weights[i] = picker->pool->targets[picker->members[i]].weight;
	rotation_build(picker->rotation, picker->weights, picker->n_members);
}

static struct target *member(const struct picker *picker, uint32_t i)
{
	return picker->pool->targets[picker->members[i]].target;
}

static bool was_tried(const struct pick *pick, const struct target *target)
{
	for (size_t i = 0; i < pick->n_tried; i++) {
		if (pick->tried[i] == target)
			return true;
	}
	return false;
}

/* Not for this request: it has failed there, or every place is taken. */
static bool is_out(struct pick *pick, const struct target *target)
{
	if (was_tried(pick, target))
		return true;
	if (!target_is_full(target))
		return false;
	pick->full = true;
	return true;
}

/* The first from `start` on, going round, that may be taken. */
static uint32_t next_free(const struct picker *picker, uint32_t start, struct pick *pick)
{
	for (uint32_t step = 0; step < picker->n_members; step++) {
		uint32_t i = (start + step) % picker->n_members;
		if (!is_out(pick, member(picker, i)))
			return i;
	}
	return NOBODY;
}

static uint32_t pick_round_robin(struct picker *picker, struct pick *pick)
{
	uint32_t i = rotation_next(picker->rotation);
	return is_out(pick, member(picker, i)) ? next_free(picker, i, pick) : i;
}

static uint64_t load_of(const struct target *target)
{
	return atomic_load_explicit(&target->active, memory_order_relaxed);
}

/* The rotation proposes; it is taken unless another one is less loaded. So an idle pool is served
 * by weight, and without looking at all of it. */
static uint32_t pick_least_connections(struct picker *picker, struct pick *pick)
{
	uint32_t best = pick_round_robin(picker, pick);
	if (best == NOBODY)
		return NOBODY;
	uint32_t start = best;
	uint64_t load = load_of(member(picker, best)), weight = picker->weights[best];
	for (uint32_t step = 1; step < picker->n_members && load > 0; step++) {
		uint32_t i = start + step;
		if (i >= picker->n_members)
			i -= picker->n_members;
		uint64_t other = load_of(member(picker, i));
		if (other * weight >= load * picker->weights[i] || is_out(pick, member(picker, i)))
			continue;
		best = i;
		load = other;
		weight = picker->weights[i];
	}
	return best;
}

/* The member that scores highest with this client (rendezvous hashing): for the few clients that
 * the table finds nobody for, when nearly all of it is down. */
static struct target *pick_by_score(const struct picker *picker, struct pick *pick)
{
	struct target *best = NULL;
	uint64_t best_score = 0;
	for (uint32_t i = 0; i < picker->n_members; i++) {
		struct target *target = member(picker, i);
		uint64_t score = hash_mix(target->id ^ hash_mix(pick->hash));
		if ((best && score <= best_score) || is_out(pick, target))
			continue;
		best = target;
		best_score = score;
	}
	return best;
}

/* A client has a place in the table, and a second, third... one in case that the target there is
 * not usable: only who must move moves, spread over the others by weight, and comes back later. */
static struct target *pick_source_hash(const struct picker *picker, struct pick *pick)
{
	for (uint64_t place = 0; place < HASH_PLACES; place++) {
		uint32_t at =
		    (uint32_t)(hash_mix(pick->hash + place * GOLDEN) % picker->table_size);
		uint32_t i = picker->table[at];
		struct target *target = picker->pool->targets[i].target;
		if (picker->is_member[i] && !is_out(pick, target))
			return target;
	}
	return pick_by_score(picker, pick);
}

static struct target *pick_spare(struct picker *picker, struct pick *pick)
{
	for (uint32_t step = 0; step < picker->n_spare; step++) {
		uint32_t i = picker->spare_turn++ % picker->n_spare;
		struct target *target = picker->pool->targets[picker->spare[i]].target;
		if (!is_out(pick, target))
			return target;
	}
	return NULL;
}

struct target *picker_pick(struct picker *picker, struct pick *pick)
{
	struct target *target = NULL;
	uint32_t i = NOBODY;
	pick->full = false;
	refresh(picker);
	if (picker->n_members == 0)
		return NULL;
	switch (picker->pool->algorithm) {
	case BALANCE_ROUND_ROBIN: i = pick_round_robin(picker, pick); break;
	case BALANCE_LEAST_CONNECTIONS: i = pick_least_connections(picker, pick); break;
	case BALANCE_SOURCE_HASH: target = pick_source_hash(picker, pick); break;
	}
	if (i != NOBODY)
		target = member(picker, i);
	/* Backups help who has failed everywhere, not who finds no place. */
	return target || pick->full ? target : pick_spare(picker, pick);
}

static const struct by_id *find(const struct picker *picker, uint64_t target_id)
{
	struct by_id key = {.id = target_id};
	return bsearch(&key, picker->by_id, picker->pool->n_targets, sizeof(key), compare_by_id);
}

struct target *picker_find(struct picker *picker, uint64_t target_id)
{
	const struct by_id *found = find(picker, target_id);
	return found && target_keeps_sticky(found->target) ? found->target : NULL;
}

bool picker_takes(struct picker *picker, const struct target *target)
{
	const struct by_id *found = find(picker, target->id);
	refresh(picker);
	return found && picker->is_member[found->index];
}
