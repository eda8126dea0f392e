#include "daemon/balance/pick.h"

#include <stdlib.h>

#include "daemon/balance/maglev.h"
#include "daemon/balance/rotation.h"
#include "daemon/base/hash.h"

#define NOBODY       UINT32_MAX
#define HASH_RETRIES 8
#define GOLDEN       0x9e3779b97f4a7c15ULL

/* The pool's targets by id, for sticky sessions. */
struct by_id {
	uint64_t id;
	struct target *target;
};

/* Derived state: `members` are indexes into pool->targets of those that get new traffic now, the
 * tier in use. `spare` are usable backups behind a tier of primaries: for retries only. */
struct picker {
	const struct pool *pool;
	uint64_t version;
	bool built;
	uint32_t n_members, n_spare;
	uint16_t *members;
	uint16_t *spare;
	uint16_t *weights; /* of the members */
	uint32_t spare_turn;
	struct rotation *rotation;
	uint32_t table_size; /* source hash */
	uint16_t *table;     /* of positions in `members` */
	struct maglev_member *maglev;
	struct by_id *by_id;
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
		picker->by_id[i] = (struct by_id){target->id, target};
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
	if (!picker->members || !picker->spare || !picker->weights)
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
	free(picker->by_id);
	free(picker);
}

static bool admin_ready(const struct target *target)
{
	return atomic_load_explicit(&target->admin, memory_order_relaxed) == TARGET_READY;
}

/* Which targets get new traffic: primaries, else backups, else (fail open) all but those that the
 * admin took out. */
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
	if (picker->n_members == 0) {
		uint16_t *empty = picker->members;
		picker->members = picker->spare;
		picker->spare = empty;
		picker->n_members = picker->n_spare;
		picker->n_spare = 0;
	}
	if (picker->n_members > 0 || !pool->fail_open)
		return;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (admin_ready(pool->targets[i].target))
			picker->members[picker->n_members++] = (uint16_t)i;
	}
}

static void build_table(struct picker *picker)
{
	for (uint32_t i = 0; i < picker->n_members; i++) {
		const struct pool_target *from = &picker->pool->targets[picker->members[i]];
		picker->maglev[i] = (struct maglev_member){
		    .id = from->target->id, .weight = from->weight, .value = (uint16_t)i};
	}
	maglev_build(picker->table, picker->table_size, picker->maglev, picker->n_members);
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
	if (picker->n_members == 0)
		return;
	for (uint32_t i = 0; i < picker->n_members; i++)
		picker->weights[i] = picker->pool->targets[picker->members[i]].weight;
	if (picker->pool->algorithm == BALANCE_SOURCE_HASH)
		build_table(picker);
	else
		rotation_build(picker->rotation, picker->weights, picker->n_members);
}

struct tried {
	struct target *const *targets;
	size_t n;
};

static struct target *member(const struct picker *picker, uint32_t i)
{
	return picker->pool->targets[picker->members[i]].target;
}

static bool was_tried(const struct tried *tried, const struct target *target)
{
	for (size_t i = 0; i < tried->n; i++) {
		if (tried->targets[i] == target)
			return true;
	}
	return false;
}

/* The first from `start` on, going round, that was not tried. */
static uint32_t next_untried(const struct picker *picker, uint32_t start, const struct tried *tried)
{
	for (uint32_t step = 0; step < picker->n_members; step++) {
		uint32_t i = (start + step) % picker->n_members;
		if (!was_tried(tried, member(picker, i)))
			return i;
	}
	return NOBODY;
}

static uint32_t pick_round_robin(struct picker *picker, const struct tried *tried)
{
	uint32_t i = rotation_next(picker->rotation);
	return was_tried(tried, member(picker, i)) ? next_untried(picker, i, tried) : i;
}

static uint64_t load_of(const struct target *target)
{
	return atomic_load_explicit(&target->active, memory_order_relaxed);
}

/* The rotation proposes; it is taken unless another one is less loaded. So an idle pool is served
 * by weight, and without looking at all of it. */
static uint32_t pick_least_connections(struct picker *picker, const struct tried *tried)
{
	uint32_t best = pick_round_robin(picker, tried);
	if (best == NOBODY)
		return NOBODY;
	uint32_t start = best;
	uint64_t load = load_of(member(picker, best)), weight = picker->weights[best];
	for (uint32_t step = 1; step < picker->n_members && load > 0; step++) {
		uint32_t i = start + step;
		if (i >= picker->n_members)
			i -= picker->n_members;
		uint64_t other = load_of(member(picker, i));
		if (other * weight >= load * picker->weights[i] ||
		    was_tried(tried, member(picker, i)))
			continue;
		best = i;
		load = other;
		weight = picker->weights[i];
	}
	return best;
}

/* A client whose target was tried gets a second, third... place of its own, the same each time. */
static uint32_t pick_source_hash(
    const struct picker *picker, uint64_t hash, const struct tried *tried)
{
	uint32_t i = 0;
	for (uint64_t attempt = 0; attempt < HASH_RETRIES; attempt++) {
		i = picker->table[hash_mix(hash + attempt * GOLDEN) % picker->table_size];
		if (!was_tried(tried, member(picker, i)))
			return i;
	}
	return next_untried(picker, i, tried);
}

static struct target *pick_spare(struct picker *picker, const struct tried *tried)
{
	for (uint32_t step = 0; step < picker->n_spare; step++) {
		uint32_t i = picker->spare_turn++ % picker->n_spare;
		struct target *target = picker->pool->targets[picker->spare[i]].target;
		if (!was_tried(tried, target))
			return target;
	}
	return NULL;
}

struct target *picker_pick(
    struct picker *picker, uint64_t hash, struct target *const *tried_list, size_t n_tried)
{
	struct tried tried = {tried_list, n_tried};
	uint32_t i = NOBODY;
	refresh(picker);
	if (picker->n_members == 0)
		return NULL;
	switch (picker->pool->algorithm) {
	case BALANCE_ROUND_ROBIN: i = pick_round_robin(picker, &tried); break;
	case BALANCE_LEAST_CONNECTIONS: i = pick_least_connections(picker, &tried); break;
	case BALANCE_SOURCE_HASH: i = pick_source_hash(picker, hash, &tried); break;
	}
	return i == NOBODY ? pick_spare(picker, &tried) : member(picker, i);
}

struct target *picker_find(struct picker *picker, uint64_t target_id)
{
	struct by_id key = {.id = target_id};
	const struct by_id *found =
	    bsearch(&key, picker->by_id, picker->pool->n_targets, sizeof(key), compare_by_id);
	return found && target_keeps_sticky(found->target) ? found->target : NULL;
}
