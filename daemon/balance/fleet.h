/* Pools and targets at run time. A fleet is the immutable shape (which pools, which targets,
 * weights) and is replaced whole at a reload; a target is the shared, living part (health, admin
 * state, counters) and is carried over when the next fleet names the same pool and address.
 *
 * Threads: a fleet is read by all. Target state is written by the control thread only, read by all
 * (atomics). `active`/`requests` are counted by the workers. Queues: queue.h. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/balance/breaker.h"
#include "daemon/balance/outlier.h"
#include "daemon/balance/queue.h"
#include "daemon/base/addr.h"

#define TARGET_REASON_MAX 128

enum target_health { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN };
enum target_admin { TARGET_READY, TARGET_DRAIN, TARGET_DISABLED };

struct target {
	uint64_t id; /* hash_id2(pool name, address text): the same on both nodes */
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	uint32_t slot; /* small number, unique among living targets: index of per-worker arrays */
	atomic_uint refs; /* one per fleet that names it */

	_Atomic uint8_t health; /* enum target_health */
	_Atomic uint8_t admin;  /* enum target_admin */
	atomic_uint max_active; /* places; 0: no limit */
	struct queue *queue;    /* of its pool */
	/* For slow start; monotonic, 0: since always. */
	_Atomic uint64_t since_us; /* of the present health */
	_Atomic uint64_t
	    ready_us;         /* added to a pool that ran, made ready by the admin, let in again */
	_Atomic bool ejected; /* outlier.h */
	_Atomic uint32_t eject_at; /* failures in a row that the control thread wants to know of */

	/* Written with each request, so on a line of their own: what is above stays in the
	 * workers' caches. */
	_Alignas(64) atomic_uint active; /* requests (http) or connections (tcp) in flight */
	_Atomic uint64_t requests;       /* since start */
	_Atomic uint64_t failures;       /* connects refused or timed out, responses broken */
	/* Of pools that are judged by them: */
	_Atomic uint32_t failed_in_a_row;
	_Atomic uint64_t results, results_failed;
	_Atomic uint64_t latency_us; /* the sum of those that did not fail */

	struct list waiters; /* struct waiter: for this target only; under the queue's lock */

	/* The control thread's own: */
	_Alignas(64) uint16_t rise_count, fall_count; /* successes or failures in a row */
	uint64_t last_check_us;                       /* 0: never */
	char reason[TARGET_REASON_MAX];               /* of the present health */
	uint64_t drain_until_us;                      /* when its drain ends; 0: never */
	uint64_t admin_since_us;                      /* of the admin state, unless it is ready */
	char admin_reason[TARGET_REASON_MAX];
	bool leaving; /* then it leaves the pool, too */
	struct outlier outlier;
	size_t published_at; /* where its records are among those that the peer gets */
};

struct pool_target {
	struct target *target;
	uint16_t weight;
	bool backup;
};

enum balance_algorithm {
	BALANCE_ROUND_ROBIN,
	BALANCE_LEAST_CONNECTIONS,
	BALANCE_MAGLEV,
	BALANCE_RANDOM_TWO,
	BALANCE_LEAST_TIME,
	BALANCE_COUNT
};

/* What watches over a pool: shared with the same pool of earlier and later fleets. */
struct pool_watch {
	struct breaker breaker;
	/* The control thread's: */
	struct outlier_watch outliers;
	size_t published_at; /* as that of struct target */
};

struct pool {
	uint64_t id; /* hash_id(name) */
	const char *name;
	uint32_t index; /* in the fleet; the same as in struct conf */
	enum balance_algorithm algorithm;
	uint16_t hash_balance_factor; /* maglev, percent: pick.h; 0: no limit */
	uint8_t panic_threshold;      /* percent: pool_panics; 0: none */
	bool fail_open;
	bool has_backups;
	bool panicking;         /* as last told: the control thread's */
	uint64_t slow_start_us; /* pick.h; 0: none */
	struct pool_target *targets;
	uint32_t n_targets;
	/* Shared with the same pool of earlier and later fleets: grows with each change of a
	 * target's health or admin state. Pickers rebuild what they derived when it differs. */
	_Atomic uint64_t *version;
	struct queue *queue; /* shared like it */
	struct pool_watch *watch;
};

struct fleet_index;

struct fleet {
	struct pool *pools;
	uint32_t n_pools;
	uint32_t n_slots;          /* every target's slot is below */
	struct fleet_index *index; /* private: targets by id */
	uint32_t n_index;
};

struct fleet_target_spec {
	const char *text;
	struct addr addr;
	uint16_t weight;
	bool backup;
	uint32_t max_active;        /* 0: no limit */
	enum target_health initial; /* of a target that `previous` does not have */
};

struct fleet_pool_spec {
	const char *name;
	enum balance_algorithm algorithm;
	uint16_t hash_balance_factor;
	uint8_t panic_threshold;
	bool fail_open;
	uint64_t slow_start_us;
	bool checked; /* has a health check; without one targets are UP */
	const struct fleet_target_spec *targets;
	uint32_t n_targets;
};

/* Builds a fleet; targets and pool versions that `previous` (or NULL) has too are shared with it.
 * NULL when out of memory. Control thread only, like fleet_free, which drops the references. A pool
 * without check resets its targets to UP. Pool names, and the addresses of a pool, are unique and
 * weights are at least 1: the configuration was checked. The specs are copied. */
struct fleet *fleet_new(const struct fleet_pool_spec *specs, uint32_t n, struct fleet *previous);
void fleet_free(struct fleet *fleet);

struct pool *fleet_pool(const struct fleet *fleet, const char *name); /* NULL if none */
/* By target id; *pool (if not NULL) gets its pool. NULL if none. */
struct target *fleet_target(const struct fleet *fleet, uint64_t id, struct pool **pool);

/* Ready, and not known to be down (UNKNOWN counts as up: a new target is innocent until checked
 * twice). */
bool target_available(const struct target *target);
/* New traffic may go there: available, and not ejected. */
bool target_usable(const struct target *target);
/* Sticky clients may stay (usable, or draining). */
bool target_keeps_sticky(const struct target *target);

/* `target` is one of `n` at `targets`. */
static inline bool target_is_among(
    const struct target *target, struct target *const *targets, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (targets[i] == target)
			return true;
	}
	return false;
}

/* Each request or connection takes a place at its target. Workers. */

static inline bool target_is_full(const struct target *target)
{
	uint32_t max = atomic_load_explicit(&target->max_active, memory_order_relaxed);
	return max > 0 && atomic_load(&target->active) >= max;
}

/* Takes a place. False: all are taken. The number is never too high, not even for a moment: whoever
 * saw that would wait, and nobody would wake him. */
static inline bool target_enter(struct target *target)
{
	uint32_t max = atomic_load_explicit(&target->max_active, memory_order_relaxed);
	if (max == 0) {
		atomic_fetch_add_explicit(&target->active, 1, memory_order_relaxed);
		return true;
	}
	uint32_t active = atomic_load(&target->active);
	while (active < max) {
		if (atomic_compare_exchange_weak(&target->active, &active, active + 1))
			return true;
	}
	return false;
}

/* Gives a place back, and tells whether somebody may wait for it: queue_serve. */
static inline bool target_leave(struct target *target)
{
	atomic_fetch_sub(&target->active, 1);
	return atomic_load_explicit(&target->max_active, memory_order_relaxed) > 0 &&
	       queue_waiting(target->queue) > 0;
}

/* A request or connection of a pool that is judged by its results ended. True: the control thread
 * should know at once (outlier_step). Workers. */
static inline bool target_result_failed(struct target *target)
{
	atomic_fetch_add_explicit(&target->results_failed, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&target->results, 1, memory_order_relaxed);
	uint32_t before =
	    atomic_fetch_add_explicit(&target->failed_in_a_row, 1, memory_order_relaxed);
	return before + 1 == atomic_load_explicit(&target->eject_at, memory_order_relaxed);
}

static inline void target_result_good(struct target *target, uint64_t latency_us)
{
	atomic_fetch_add_explicit(&target->results, 1, memory_order_relaxed);
	if (latency_us > 0)
		atomic_fetch_add_explicit(&target->latency_us, latency_us, memory_order_relaxed);
	if (atomic_load_explicit(&target->failed_in_a_row, memory_order_relaxed) > 0)
		atomic_store_explicit(&target->failed_in_a_row, 0, memory_order_relaxed);
}

/* Change state and bump the pool's version. Return true if it was another state before; if it was
 * not, `reason` is still stored (down, but for another reason now). */
bool target_set_health(struct pool *pool, struct target *target, enum target_health health,
    const char *reason, uint64_t now_us);
bool target_set_admin(struct pool *pool, struct target *target, enum target_admin admin);
/* The same for its limit; 0: none. Those above a lower one stay. */
bool target_set_max_active(struct pool *pool, struct target *target, uint32_t max_active);

/* Since when it has its health, and since when it is ready (0: as we know it), as the peer says: slow
 * start goes on there. Bumps the version when that is news. */
void target_set_since(
    struct pool *pool, struct target *target, uint64_t since_us, uint64_t ready_us);

/* Only outlier.c: bumps the version when that is news. */
void target_set_ejected(struct pool *pool, struct target *target, bool ejected);

const char *target_health_name(enum target_health health);
/* What users see: "up" "down" "draining" "disabled" "ejected" "unknown". */
const char *target_state_name(const struct target *target);
/* How many may get new traffic, and how many the admin left in. */
void pool_count_usable(const struct pool *pool, uint32_t *usable, uint32_t *ready);
/* Fewer than panic_threshold percent of the targets that the admin left in are usable: so many
 * cannot be broken at the same time, or those that are not would break under the load of all. Their
 * health is ignored then. */
bool pool_panics(const struct pool *pool);
/* `up`: known to be up, and ready to take new traffic. */
void pool_count(const struct pool *pool, uint32_t *up, uint32_t *total);
