#include "daemon/balance/pick.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/balance/picker.h"

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
static bool allocate_turn(struct picker *picker, uint64_t seed)
{
	uint32_t n = picker->pool->n_targets;
	for (uint32_t i = 0; i < n; i++)
		picker->weights[i] = picker->pool->targets[i].weight;
	uint64_t turn = rotation_turn(picker->weights, n);
	if (picker->pool->slow_start_us > 0)
		turn *= SHARES;
	picker->rotation = rotation_new(n, turn, seed);
	return picker->rotation;
}

static bool allocate_table(struct picker *picker)
{
	uint32_t n = picker->pool->n_targets;
	picker->table_size = maglev_size(n);
	picker->table = calloc(picker->table_size, sizeof(*picker->table));
	picker->maglev = calloc(n + 1, sizeof(*picker->maglev));
	picker->seen = calloc(n + 1, sizeof(*picker->seen));
	return picker->table && picker->maglev && picker->seen;
}

static bool allocate(struct picker *picker, uint64_t seed)
{
	uint32_t n = picker->pool->n_targets;
	picker->members = calloc(n + 1, sizeof(*picker->members));
	picker->spare = calloc(n + 1, sizeof(*picker->spare));
	picker->weights = calloc(n + 1, sizeof(*picker->weights));
	picker->share = calloc(n + 1, sizeof(*picker->share));
	if (!picker->members || !picker->spare || !picker->weights || !picker->share ||
	    !index_targets(picker))
		return false;
	switch (picker->pool->algorithm) {
	case BALANCE_MAGLEV: return allocate_table(picker);
	case BALANCE_LEAST_TIME:
		picker->timings = calloc(n + 1, sizeof(*picker->timings));
		if (!picker->timings)
			return false;
		/* fall through */
	case BALANCE_RANDOM_TWO: picker->draw = draw_new(n, seed); return picker->draw;
	default: return allocate_turn(picker, seed);
	}
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
	free(picker->share);
	rotation_free(picker->rotation);
	draw_free(picker->draw);
	free(picker->timings);
	free(picker->table);
	free(picker->maglev);
	free(picker->seen);
	free(picker->by_id);
	free(picker);
}

static bool admin_ready(const struct target *target)
{
	return atomic_load_explicit(&target->admin, memory_order_relaxed) == TARGET_READY;
}

static void collect_usable(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (!target_usable(pool->targets[i].target))
			continue;
		if (pool->targets[i].backup)
			picker->spare[picker->n_spare++] = (uint16_t)i;
		else
			picker->members[picker->n_members++] = (uint16_t)i;
	}
	picker->tier = TIER_PRIMARY;
	if (picker->n_members > 0)
		return;
	uint16_t *empty = picker->members;
	picker->members = picker->spare;
	picker->spare = empty;
	picker->n_members = picker->n_spare;
	picker->n_spare = 0;
	picker->tier = TIER_BACKUP;
}

static void collect(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	bool panics = pool_panics(pool);
	picker->n_members = picker->n_spare = 0;
	if (!panics)
		collect_usable(picker);
	if (picker->n_members > 0 || !(panics || pool->fail_open))
		return;
	picker->tier = TIER_OPEN;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (admin_ready(pool->targets[i].target))
			picker->members[picker->n_members++] = (uint16_t)i;
	}
}

/* Of SHARES, for a target that is usable. *due_us becomes the time of its next step, if that is
 * earlier. A clock may be behind the one that noted the change: other threads, the peer. */
static uint8_t share_of(
    const struct target *target, uint64_t slow_start_us, uint64_t now_us, uint64_t *due_us)
{
	uint64_t since_us = atomic_load_explicit(&target->since_us, memory_order_relaxed);
	uint64_t ready_us = atomic_load_explicit(&target->ready_us, memory_order_relaxed);
	if (atomic_load_explicit(&target->health, memory_order_relaxed) == TARGET_UNKNOWN)
		return 1; /* it starts when it is up */
	if (ready_us > since_us)
		since_us = ready_us;
	uint64_t age_us = now_us > since_us ? now_us - since_us : 0;
	if (since_us == 0 || age_us >= slow_start_us)
		return SHARES;
	uint64_t share = age_us * SHARES / slow_start_us;
	if (share == 0)
		share = 1;
	uint64_t next_us = since_us + (slow_start_us * (share + 1) + SHARES - 1) / SHARES;
	if (next_us < *due_us)
		*due_us = next_us;
	return (uint8_t)share;
}

/* Where nobody is warm, all are equal: at a start, and when those who were warm are gone. */
static void set_shares(struct picker *picker)
{
	const struct pool *pool = picker->pool;
	bool slow = pool->slow_start_us > 0 && picker->tier != TIER_OPEN, warm = false;
	picker->refresh_us = UINT64_MAX;
	memset(picker->share, 0, pool->n_targets);
	for (uint32_t i = 0; slow && i < picker->n_members; i++) {
		uint8_t share = share_of(
		    member(picker, i), pool->slow_start_us, picker->now_us, &picker->refresh_us);
		picker->share[picker->members[i]] = share;
		warm |= share == SHARES;
	}
	for (uint32_t i = 0; !warm && i < picker->n_members; i++)
		picker->share[picker->members[i]] = SHARES;
}

static void set_weights(struct picker *picker)
{
	bool equal = true;
	for (uint32_t i = 0; i < picker->n_members; i++)
		equal &= picker->share[picker->members[i]] == SHARES;
	for (uint32_t i = 0; i < picker->n_members; i++) {
		uint32_t index = picker->members[i], share = equal ? 1 : picker->share[index];
		picker->weights[i] = (uint16_t)(picker->pool->targets[index].weight * share);
	}
}

/* Seldom, so that it is no part of the way of each pick. */
__attribute__((noinline)) static void rebuild(struct picker *picker)
{
	collect(picker);
	set_shares(picker);
	if (picker->n_members == 0)
		return;
	if (picker->pool->algorithm == BALANCE_MAGLEV) {
		pick_build_table(picker);
		return;
	}
	set_weights(picker);
	if (picker->draw)
		draw_build(picker->draw, picker->weights, picker->n_members);
	else
		rotation_build(picker->rotation, picker->weights, picker->n_members);
}

/* The version is read before the states: a change in between is seen by the next pick. */
static void refresh(struct picker *picker)
{
	uint64_t version = atomic_load_explicit(picker->pool->version, memory_order_acquire);
	if (picker->built && picker->version == version && picker->now_us < picker->refresh_us)
		return;
	picker->version = version;
	picker->built = true;
	rebuild(picker);
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
	picker->now_us = pick->now_us;
	refresh(picker);
	if (picker->n_members == 0)
		return NULL;
	switch (picker->pool->algorithm) {
	case BALANCE_ROUND_ROBIN: i = pick_round_robin(picker, pick); break;
	case BALANCE_LEAST_CONNECTIONS: i = pick_least_connections(picker, pick); break;
	case BALANCE_MAGLEV: target = pick_maglev(picker, pick); break;
	case BALANCE_RANDOM_TWO: i = pick_random_two(picker, pick); break;
	case BALANCE_LEAST_TIME: i = pick_least_time(picker, pick); break;
	case BALANCE_COUNT: break;
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
	return found && picker->share[found->index] > 0;
}

void picker_observe(
    struct picker *picker, const struct target *target, uint64_t took_us, uint64_t now_us)
{
	if (!picker->timings)
		return;
	const struct by_id *found = find(picker, target->id);
	if (found && took_us == PICKER_FAILED)
		timing_add_failure(&picker->timings[found->index], now_us);
	else if (found)
		timing_add(&picker->timings[found->index], took_us, now_us);
}

void picker_inherit(struct picker *picker, const struct picker *from)
{
	if (!picker->timings || !from->timings)
		return;
	for (uint32_t i = 0; i < picker->pool->n_targets; i++) {
		const struct by_id *found = find(from, picker->pool->targets[i].target->id);
		if (found)
			picker->timings[i] = from->timings[found->index];
	}
}
