#include "daemon/balance/fleet.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/balance/slots.h"
#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/text.h"

/* What pools of the same name share over fleets. Control thread only, but for the counter and what
 * queue.h says. */
struct shared {
	_Atomic uint64_t version;
	struct queue queue;
	struct pool_watch watch;
	uint32_t refs;
};

/* Sorted by target id, for fleet_target(). */
struct fleet_index {
	uint64_t id;
	struct pool *pool;
	struct target *target;
};

static int compare_index(const void *a, const void *b)
{
	const struct fleet_index *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

static void target_put(struct target *target)
{
	if (atomic_fetch_sub(&target->refs, 1) > 1)
		return;
	slot_give_back(target->slot);
	free(target);
}

static struct target *target_new(
    uint64_t id, const struct fleet_target_spec *spec, struct queue *queue)
{
	struct target *target = aligned_alloc(_Alignof(struct target), sizeof(*target));
	if (!target)
		return NULL;
	memset(target, 0, sizeof(*target));
	target->slot = slot_take();
	if (target->slot == SLOT_NONE) {
		free(target);
		return NULL;
	}
	target->id = id;
	target->addr = spec->addr;
	atomic_store(&target->health, (uint8_t)spec->initial);
	text_copy(target->reason, sizeof(target->reason), "not checked yet");
	text_copy(target->text, sizeof(target->text), spec->text);
	target->queue = queue;
	list_init(&target->waiters);
	atomic_store(&target->refs, 1);
	return target;
}

/* The living target of `previous`, or a new one; with a reference. */
static struct target *target_obtain(
    const struct pool *pool, const struct fleet_target_spec *spec, const struct fleet *previous)
{
	uint64_t id = hash_id2(pool->name, spec->text);
	struct target *target = previous ? fleet_target(previous, id, NULL) : NULL;
	if (!target)
		return target_new(id, spec, pool->queue);
	atomic_fetch_add(&target->refs, 1);
	return target;
}

static struct shared *shared_of(const struct pool *pool)
{
	return pool && pool->version ? list_entry(pool->version, struct shared, version) : NULL;
}

static struct shared *shared_obtain(const char *name, const struct fleet *previous)
{
	struct shared *shared = previous ? shared_of(fleet_pool(previous, name)) : NULL;
	if (!shared && (shared = calloc(1, sizeof(*shared))))
		queue_init(&shared->queue);
	if (shared)
		shared->refs++;
	return shared;
}

static void shared_put(struct shared *shared)
{
	if (!shared || --shared->refs > 0)
		return;
	queue_fini(&shared->queue);
	free(shared);
}

/* A pool that failed half-way is left in a state that pool_fini can clean up. */
static bool pool_init(struct pool *pool, const struct fleet_pool_spec *spec, uint32_t index,
    const struct fleet *previous)
{
	const struct pool *before = previous ? fleet_pool(previous, spec->name) : NULL;
	pool->id = hash_id(spec->name, strlen(spec->name));
	pool->index = index;
	pool->algorithm = spec->algorithm;
	pool->hash_balance_factor = spec->hash_balance_factor;
	pool->panic_threshold = spec->panic_threshold;
	pool->slow_start_us = spec->slow_start_us;
	pool->fail_open = spec->fail_open;
	pool->panicking = before && before->panicking;
	pool->name = strdup(spec->name);
	struct shared *shared = shared_obtain(spec->name, previous);
	if (shared) {
		pool->version = &shared->version;
		pool->queue = &shared->queue;
		pool->watch = &shared->watch;
	}
	pool->targets = calloc(spec->n_targets ? spec->n_targets : 1, sizeof(*pool->targets));
	if (!pool->name || !shared || !pool->targets)
		return false;

	for (uint32_t i = 0; i < spec->n_targets; i++) {
		const struct fleet_target_spec *from = &spec->targets[i];
		struct target *target = target_obtain(pool, from, previous);
		if (!target)
			return false;
		if (before && !fleet_target(previous, target->id, NULL))
			target->ready_us = clock_us();
		pool->targets[pool->n_targets++] = (struct pool_target){
		    .target = target, .weight = from->weight, .backup = from->backup};
		pool->has_backups |= from->backup;
	}
	return true;
}

static void pool_fini(struct pool *pool)
{
	for (uint32_t i = 0; i < pool->n_targets; i++)
		target_put(pool->targets[i].target);
	free(pool->targets);
	shared_put(shared_of(pool));
	free((char *)pool->name);
}

static bool index_build(struct fleet *fleet)
{
	size_t total = 0;
	for (uint32_t p = 0; p < fleet->n_pools; p++)
		total += fleet->pools[p].n_targets;
	fleet->index = calloc(total ? total : 1, sizeof(*fleet->index));
	if (!fleet->index)
		return false;
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		struct pool *pool = &fleet->pools[p];
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			struct target *target = pool->targets[t].target;
			fleet->index[fleet->n_index++] =
			    (struct fleet_index){target->id, pool, target};
			if (target->slot >= fleet->n_slots)
				fleet->n_slots = target->slot + 1;
		}
	}
	qsort(fleet->index, fleet->n_index, sizeof(*fleet->index), compare_index);
	return true;
}

/* Only once nothing can fail any more: a fleet that was not built must not change states. */
static void set_states(struct fleet *fleet, const struct fleet_pool_spec *specs)
{
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		struct pool *pool = &fleet->pools[p];
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			struct target *target = pool->targets[t].target;
			target_set_max_active(pool, target, specs[p].targets[t].max_active);
			if (!specs[p].checked)
				target_set_health(
				    pool, target, TARGET_UP, "no health check", target->since_us);
		}
	}
}

struct fleet *fleet_new(const struct fleet_pool_spec *specs, uint32_t n, struct fleet *previous)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	if (!fleet)
		return NULL;
	fleet->pools = calloc(n ? n : 1, sizeof(*fleet->pools));
	if (!fleet->pools)
		goto fail;
	for (uint32_t i = 0; i < n; i++) {
		fleet->n_pools = i + 1;
		if (!pool_init(&fleet->pools[i], &specs[i], i, previous))
			goto fail;
	}
	if (!index_build(fleet))
		goto fail;
	set_states(fleet, specs);
	return fleet;
fail:
	fleet_free(fleet);
	return NULL;
}

void fleet_free(struct fleet *fleet)
{
	if (!fleet)
		return;
	for (uint32_t i = 0; i < fleet->n_pools; i++)
		pool_fini(&fleet->pools[i]);
	free(fleet->pools);
	free(fleet->index);
	free(fleet);
}

struct pool *fleet_pool(const struct fleet *fleet, const char *name)
{
	uint64_t id = hash_id(name, strlen(name));
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		struct pool *pool = &fleet->pools[i];
		if (pool->id == id && strcmp(pool->name, name) == 0)
			return pool;
	}
	return NULL;
}

struct target *fleet_target(const struct fleet *fleet, uint64_t id, struct pool **pool)
{
	struct fleet_index key = {.id = id};
	const struct fleet_index *found =
	    bsearch(&key, fleet->index, fleet->n_index, sizeof(key), compare_index);
	if (!found)
		return NULL;
	if (pool)
		*pool = found->pool;
	return found->target;
}

static enum target_health health_of(const struct target *target)
{
	return (enum target_health)atomic_load_explicit(&target->health, memory_order_relaxed);
}

static enum target_admin admin_of(const struct target *target)
{
	return (enum target_admin)atomic_load_explicit(&target->admin, memory_order_relaxed);
}

static bool is_ejected(const struct target *target)
{
	return atomic_load_explicit(&target->ejected, memory_order_relaxed);
}

bool target_available(const struct target *target)
{
	return admin_of(target) == TARGET_READY && health_of(target) != TARGET_DOWN;
}

bool target_usable(const struct target *target)
{
	return target_available(target) && !is_ejected(target);
}

bool target_keeps_sticky(const struct target *target)
{
	return admin_of(target) != TARGET_DISABLED && health_of(target) != TARGET_DOWN &&
	       !is_ejected(target);
}

/* Release: a picker that sees the new number sees the new state too. */
static void bump(struct pool *pool)
{
	atomic_fetch_add_explicit(pool->version, 1, memory_order_release);
}

bool target_set_health(struct pool *pool, struct target *target, enum target_health health,
    const char *reason, uint64_t now_us)
{
	bool changed = health_of(target) != health;
	if (reason != target->reason)
		text_copy(target->reason, sizeof(target->reason), reason ? reason : "");
	if (!changed)
		return false;
	target->since_us = now_us;
	atomic_store_explicit(&target->health, (uint8_t)health, memory_order_relaxed);
	bump(pool);
	return true;
}

bool target_set_admin(struct pool *pool, struct target *target, enum target_admin admin)
{
	if (admin_of(target) == admin)
		return false;
	if (admin == TARGET_READY)
		target->ready_us = clock_us();
	atomic_store_explicit(&target->admin, (uint8_t)admin, memory_order_relaxed);
	bump(pool);
	return true;
}

bool target_set_max_active(struct pool *pool, struct target *target, uint32_t max_active)
{
	if (atomic_load_explicit(&target->max_active, memory_order_relaxed) == max_active)
		return false;
	atomic_store_explicit(&target->max_active, max_active, memory_order_relaxed);
	bump(pool);
	return true;
}

void target_set_since(
    struct pool *pool, struct target *target, uint64_t since_us, uint64_t ready_us)
{
	if (ready_us == 0)
		ready_us = target->ready_us;
	if (target->since_us == since_us && target->ready_us == ready_us)
		return;
	target->since_us = since_us;
	target->ready_us = ready_us;
	bump(pool);
}

void target_set_ejected(struct pool *pool, struct target *target, bool ejected)
{
	if (is_ejected(target) == ejected)
		return;
	if (!ejected)
		target->ready_us = clock_us();
	atomic_store_explicit(&target->ejected, ejected, memory_order_relaxed);
	bump(pool);
}

const char *target_health_name(enum target_health health)
{
	switch (health) {
	case TARGET_UP: return "up";
	case TARGET_DOWN: return "down";
	case TARGET_UNKNOWN: break;
	}
	return "unknown";
}

const char *target_state_name(const struct target *target)
{
	switch (admin_of(target)) {
	case TARGET_DISABLED: return "disabled";
	case TARGET_DRAIN: return "draining";
	case TARGET_READY: break;
	}
	if (is_ejected(target) && health_of(target) != TARGET_DOWN)
		return "ejected";
	return target_health_name(health_of(target));
}

void pool_count_usable(const struct pool *pool, uint32_t *usable, uint32_t *ready)
{
	*usable = *ready = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct target *target = pool->targets[i].target;
		*ready += admin_of(target) == TARGET_READY;
		*usable += target_usable(target);
	}
}

bool pool_panics(const struct pool *pool)
{
	uint32_t usable, ready;
	if (pool->panic_threshold == 0)
		return false;
	pool_count_usable(pool, &usable, &ready);
	return usable * 100ULL < (uint64_t)pool->panic_threshold * ready;
}

void pool_count(const struct pool *pool, uint32_t *up, uint32_t *total)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct target *target = pool->targets[i].target;
		n += target_usable(target) && health_of(target) == TARGET_UP;
	}
	*up = n;
	*total = pool->n_targets;
}
