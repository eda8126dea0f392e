#include "daemon/balance/pick.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/balance/bed.h"

static void least_connections_takes_the_minimum(void)
{
	enum { N = 50 };
	uint64_t state = 1;
	prepare(N);
	for (uint32_t i = 0; i < N; i++)
		specs[i].weight = (uint16_t)(1 + i % 5);
	struct fleet *fleet = fleet_of(BALANCE_LEAST_CONNECTIONS, N, false);
	struct picker *picker = picker_of(fleet, 1);
	for (int round = 0; round < 5000; round++) {
		double least = 1e9;
		for (uint32_t i = 0; i < N; i++) {
			state = hash_mix(state + i);
			atomic_store(&nth(fleet, i)->active, (unsigned)(state % 100));
			double load = (double)(state % 100) / specs[i].weight;
			least = load < least ? load : least;
		}
		uint32_t i = index_of(fleet, choose(picker, 0, NULL, 0));
		double load = (double)atomic_load(&nth(fleet, i)->active) / specs[i].weight;
		CU_ASSERT_TRUE(load <= least + 1e-9);
	}
	picker_free(picker);
	fleet_free(fleet);
}

/* Connections that stay: the load follows the weights, and ties rotate. */
static void least_connections_fills_by_weight(void)
{
	prepare(3);
	specs[0].weight = 4;
	specs[1].weight = 2;
	struct fleet *fleet = fleet_of(BALANCE_LEAST_CONNECTIONS, 3, false);
	struct picker *picker = picker_of(fleet, 5);
	for (int i = 0; i < 700; i++)
		atomic_fetch_add(&choose(picker, 0, NULL, 0)->active, 1);
	CU_ASSERT_TRUE(atomic_load(&nth(fleet, 0)->active) - 398 <= 4);
	CU_ASSERT_TRUE(atomic_load(&nth(fleet, 1)->active) - 198 <= 4);
	CU_ASSERT_TRUE(atomic_load(&nth(fleet, 2)->active) - 98 <= 4);

	unsigned count[3] = {0};
	for (uint32_t i = 0; i < 3; i++)
		atomic_store(&nth(fleet, i)->active, 10U * specs[i].weight);
	for (int i = 0; i < 70; i++)
		count[index_of(fleet, choose(picker, 0, NULL, 0))]++;
	CU_ASSERT_EQUAL(count[0], 40);
	CU_ASSERT_EQUAL(count[1], 20);
	CU_ASSERT_EQUAL(count[2], 10);
	picker_free(picker);
	fleet_free(fleet);
}

static void follows_the_state(void)
{
	for (int a = 0; a < BALANCE_COUNT; a++) {
		prepare(4);
		struct fleet *fleet = fleet_of((enum balance_algorithm)a, 4, false);
		struct picker *picker = picker_of(fleet, 1);
		struct pool *pool = &fleet->pools[0];
		CU_ASSERT_PTR_NOT_NULL(choose(picker, 0, NULL, 0));
		set_down(fleet, 0);
		target_set_admin(pool, nth(fleet, 1), TARGET_DRAIN);
		target_set_admin(pool, nth(fleet, 2), TARGET_DISABLED);
		for (uint64_t i = 0; i < 100; i++)
			CU_ASSERT_PTR_EQUAL(choose(picker, i, NULL, 0), nth(fleet, 3));
		set_up(fleet, 0);
		bool seen[4] = {false};
		for (uint64_t i = 0; i < 100; i++)
			seen[index_of(fleet, choose(picker, i, NULL, 0))] = true;
		CU_ASSERT_TRUE(seen[0] && !seen[1] && !seen[2] && seen[3]);
		set_down(fleet, 0);
		set_down(fleet, 3);
		CU_ASSERT_PTR_NULL(choose(picker, 0, NULL, 0));
		picker_free(picker);
		fleet_free(fleet);
	}
}

static void backups_come_last(void)
{
	prepare(4);
	specs[2].backup = specs[3].backup = true;
	struct fleet *fleet = fleet_of(BALANCE_ROUND_ROBIN, 4, false);
	struct picker *picker = picker_of(fleet, 1);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_TRUE(index_of(fleet, choose(picker, 0, NULL, 0)) < 2);
	/* A request that failed on all primaries goes to a backup, then nowhere. */
	struct target *tried[4] = {nth(fleet, 0), nth(fleet, 1), nth(fleet, 2), nth(fleet, 3)};
	CU_ASSERT_TRUE(index_of(fleet, choose(picker, 0, tried, 2)) >= 2);
	CU_ASSERT_EQUAL(index_of(fleet, choose(picker, 0, tried, 3)), 3);
	CU_ASSERT_PTR_NULL(choose(picker, 0, tried, 4));
	set_down(fleet, 0);
	set_down(fleet, 1);
	bool seen[4] = {false};
	for (int i = 0; i < 100; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(!seen[0] && !seen[1] && seen[2] && seen[3]);
	set_up(fleet, 1);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(index_of(fleet, choose(picker, 0, NULL, 0)), 1);
	picker_free(picker);
	fleet_free(fleet);
}

static void fails_open(void)
{
	prepare(3);
	specs[2].backup = true;
	struct fleet *fleet = fleet_of(BALANCE_ROUND_ROBIN, 3, true);
	struct picker *picker = picker_of(fleet, 1);
	set_down(fleet, 0);
	set_down(fleet, 1);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(index_of(fleet, choose(picker, 0, NULL, 0)), 2);
	set_down(fleet, 2);
	bool seen[3] = {false};
	for (int i = 0; i < 10; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(seen[0] && seen[1] && seen[2]);
	/* Health may be wrong; what the admin said is not. */
	target_set_admin(&fleet->pools[0], nth(fleet, 0), TARGET_DISABLED);
	target_set_admin(&fleet->pools[0], nth(fleet, 1), TARGET_DRAIN);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(index_of(fleet, choose(picker, 0, NULL, 0)), 2);
	target_set_admin(&fleet->pools[0], nth(fleet, 2), TARGET_DISABLED);
	CU_ASSERT_PTR_NULL(choose(picker, 0, NULL, 0));
	picker_free(picker);
	fleet_free(fleet);
}

/* Fewer than half are usable: all are used, but those that the admin took out. */
static void panics(void)
{
	prepare(5);
	specs[4].backup = true;
	struct fleet *fleet = fleet_with((struct fleet_pool_spec){.panic_threshold = 50}, 5);
	struct picker *picker = picker_of(fleet, 1);
	struct pool *pool = &fleet->pools[0];
	set_down(fleet, 0);
	set_down(fleet, 1);
	CU_ASSERT_FALSE(pool_panics(pool)); /* 3 of 5 */
	bool seen[5] = {false};
	for (int i = 0; i < 50; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(!seen[0] && !seen[1] && seen[2] && seen[3] && !seen[4]);
	set_down(fleet, 2);
	CU_ASSERT_TRUE(pool_panics(pool)); /* 2 of 5 */
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 50; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(seen[0] && seen[1] && seen[2] && seen[3] && seen[4]);
	/* What the admin took out is neither used nor counted. */
	target_set_admin(pool, nth(fleet, 1), TARGET_DISABLED);
	CU_ASSERT_FALSE(pool_panics(pool)); /* 2 of 4 */
	target_set_admin(pool, nth(fleet, 3), TARGET_DRAIN);
	CU_ASSERT_TRUE(pool_panics(pool)); /* 1 of 3 */
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 50; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(seen[0] && !seen[1] && seen[2] && !seen[3] && seen[4]);
	set_up(fleet, 0);
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 50; i++)
		seen[index_of(fleet, choose(picker, 0, NULL, 0))] = true;
	CU_ASSERT_TRUE(seen[0] && !seen[1] && !seen[2] && !seen[3] && !seen[4]);
	for (uint32_t i = 0; i < 5; i++)
		target_set_admin(pool, nth(fleet, i), TARGET_DISABLED);
	CU_ASSERT_FALSE(pool_panics(pool));
	CU_ASSERT_PTR_NULL(choose(picker, 0, NULL, 0));
	picker_free(picker);
	fleet_free(fleet);
}

static void retries_go_elsewhere(void)
{
	for (int a = 0; a < BALANCE_COUNT; a++) {
		prepare(5);
		specs[0].weight = 256; /* hard to get past */
		struct fleet *fleet = fleet_of((enum balance_algorithm)a, 5, false);
		struct picker *picker = picker_of(fleet, 1);
		for (uint64_t hash = 0; hash < 200; hash++) {
			struct target *tried[5];
			for (size_t n = 0; n < 5; n++) {
				tried[n] = choose(picker, hash, tried, n);
				CU_ASSERT_PTR_NOT_NULL_FATAL(tried[n]);
				for (size_t k = 0; k < n; k++)
					CU_ASSERT_PTR_NOT_EQUAL(tried[n], tried[k]);
			}
			CU_ASSERT_PTR_NULL(choose(picker, hash, tried, 5));
		}
		picker_free(picker);
		fleet_free(fleet);
	}
}

/* Two pickers (two workers, two nodes), other order in the file, other history: one answer. */
static void source_hash_is_the_same_everywhere(void)
{
	enum { N = 40, CLIENTS = 5000 };
	prepare(N);
	struct fleet *one = fleet_of(BALANCE_MAGLEV, N, false);
	for (uint32_t i = 0; i < N / 2; i++) {
		struct fleet_target_spec swap = specs[i];
		specs[i] = specs[N - 1 - i];
		specs[N - 1 - i] = swap;
	}
	struct fleet *two = fleet_of(BALANCE_MAGLEV, N, false);
	struct picker *a = picker_of(one, 1), *b = picker_of(two, 2);
	choose(b, 0, NULL, 0);
	set_down(two, 3);
	choose(b, 0, NULL, 0);
	set_up(two, 3);
	unsigned different = 0, unstable = 0;
	struct target *first[CLIENTS];
	for (uint64_t client = 0; client < CLIENTS; client++) {
		first[client] = choose(a, client, NULL, 0);
		different += first[client]->id != choose(b, client, NULL, 0)->id;
		unstable += first[client] != choose(a, client, NULL, 0);
	}
	CU_ASSERT_EQUAL(different, 0);
	CU_ASSERT_EQUAL(unstable, 0);

	/* One goes: its clients move, nobody else; it comes back: all return. */
	unsigned moved = 0, disturbed = 0, returned = 0;
	set_down(one, 7);
	for (uint64_t client = 0; client < CLIENTS; client++) {
		bool moves = choose(a, client, NULL, 0) != first[client];
		moved += moves;
		disturbed += moves && first[client] != nth(one, 7);
	}
	CU_ASSERT_EQUAL(disturbed, 0);
	CU_ASSERT_TRUE(moved >= CLIENTS / N / 2 && moved <= 2 * CLIENTS / N);
	set_up(one, 7);
	for (uint64_t client = 0; client < CLIENTS; client++)
		returned += choose(a, client, NULL, 0) == first[client];
	CU_ASSERT_EQUAL(returned, CLIENTS);
	picker_free(a);
	picker_free(b);
	fleet_free(one);
	fleet_free(two);
}

/* 1,000 targets of which 3 are left: they share the clients, by whatever way these come to them. */
static void source_hash_with_few_left(void)
{
	enum { N = 1000, CLIENTS = 30000 };
	prepare(N);
	struct fleet *fleet = fleet_of(BALANCE_MAGLEV, N, false);
	struct picker *picker = picker_of(fleet, 1);
	unsigned count[3] = {0};
	struct target *tried[3];
	for (uint32_t i = 3; i < N; i++)
		set_down(fleet, i);
	for (uint64_t client = 0; client < CLIENTS; client++)
		count[index_of(fleet, choose(picker, client, NULL, 0))]++;
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(count[i] > CLIENTS / 3 * 9 / 10 && count[i] < CLIENTS / 3 * 11 / 10);
	for (size_t n = 0; n < 3; n++)
		tried[n] = choose(picker, 99, tried, n);
	CU_ASSERT_TRUE(tried[0] != tried[1] && tried[1] != tried[2] && tried[0] != tried[2]);
	CU_ASSERT_PTR_NULL(choose(picker, 99, tried, 3));
	picker_free(picker);
	fleet_free(fleet);
}

/* Backups have a table of their own, by weight; primaries get their clients back. */
static void source_hash_over_backups(void)
{
	enum { CLIENTS = 20000 };
	static struct target *first[CLIENTS];
	prepare(4);
	specs[2].backup = specs[3].backup = true;
	specs[3].weight = 3;
	struct fleet *fleet = fleet_of(BALANCE_MAGLEV, 4, true);
	struct picker *picker = picker_of(fleet, 1);
	unsigned count[4] = {0}, returned = 0;
	for (uint64_t client = 0; client < CLIENTS; client++)
		first[client] = choose(picker, client, NULL, 0);
	set_down(fleet, 0);
	set_down(fleet, 1);
	for (uint64_t client = 0; client < CLIENTS; client++)
		count[index_of(fleet, choose(picker, client, NULL, 0))]++;
	CU_ASSERT_EQUAL(count[0] + count[1], 0);
	CU_ASSERT_TRUE(count[3] > CLIENTS * 72 / 100 && count[3] < CLIENTS * 78 / 100);
	set_down(fleet, 2);
	set_down(fleet, 3);
	memset(count, 0, sizeof(count)); /* fail open: all, by weight */
	for (uint64_t client = 0; client < CLIENTS; client++)
		count[index_of(fleet, choose(picker, client, NULL, 0))]++;
	CU_ASSERT_TRUE(count[0] > CLIENTS / 7 && count[3] > CLIENTS * 2 / 5);
	set_up(fleet, 0);
	set_up(fleet, 1);
	for (uint64_t client = 0; client < CLIENTS; client++)
		returned += choose(picker, client, NULL, 0) == first[client];
	CU_ASSERT_EQUAL(returned, CLIENTS);
	picker_free(picker);
	fleet_free(fleet);
}

static void finds_sticky_targets(void)
{
	prepare(3);
	struct fleet *fleet = fleet_of(BALANCE_ROUND_ROBIN, 3, false);
	struct picker *picker = picker_of(fleet, 1);
	struct pool *pool = &fleet->pools[0];
	struct target *target = nth(fleet, 1);
	CU_ASSERT_PTR_EQUAL(picker_find(picker, target->id), target);
	CU_ASSERT_PTR_NULL(picker_find(picker, 1));
	target_set_admin(pool, target, TARGET_DRAIN);
	CU_ASSERT_PTR_EQUAL(picker_find(picker, target->id), target);
	set_down(fleet, 1);
	CU_ASSERT_PTR_NULL(picker_find(picker, target->id));
	set_up(fleet, 1);
	target_set_admin(pool, target, TARGET_DISABLED);
	CU_ASSERT_PTR_NULL(picker_find(picker, target->id));
	picker_free(picker);
	fleet_free(fleet);
}

static void an_empty_pool_has_nobody(void)
{
	for (int algorithm = 0; algorithm < BALANCE_COUNT; algorithm++) {
		struct fleet *fleet = fleet_of((enum balance_algorithm)algorithm, 0, true);
		struct picker *picker = picker_of(fleet, 1);
		CU_ASSERT_PTR_NULL(choose(picker, 1, NULL, 0));
		CU_ASSERT_PTR_NULL(picker_find(picker, 1));
		picker_free(picker);
		fleet_free(fleet);
	}
	picker_free(NULL);
}

/* ---- threads: two workers pick while the control thread changes states ---- */

#define WORKER_PICKS 100000

struct worker {
	struct fleet *fleet;
	pthread_t thread;
	unsigned strangers, nobody;
};

static atomic_uint workers_left;

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct picker *picker = picker_new(&worker->fleet->pools[0], (uintptr_t)worker);
	for (uint64_t i = 0; picker && i < WORKER_PICKS; i++) {
		struct target *target = choose(picker, i, NULL, 0);
		if (!target) {
			worker->nobody++;
			continue;
		}
		worker->strangers += target->slot >= worker->fleet->n_slots;
		atomic_fetch_add_explicit(&target->active, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&target->requests, 1, memory_order_relaxed);
		picker_find(picker, target->id);
		atomic_fetch_sub_explicit(&target->active, 1, memory_order_relaxed);
	}
	picker_free(picker);
	atomic_fetch_sub(&workers_left, 1);
	return NULL;
}

static void picks_while_states_change(void)
{
	for (int algorithm = 0; algorithm < BALANCE_COUNT; algorithm++) {
		prepare(8);
		struct fleet *fleet = fleet_of((enum balance_algorithm)algorithm, 8, false);
		struct worker workers[2];
		atomic_store(&workers_left, 2);
		for (size_t i = 0; i < 2; i++) {
			workers[i] = (struct worker){.fleet = fleet};
			int rc = pthread_create(&workers[i].thread, NULL, work, &workers[i]);
			CU_ASSERT_EQUAL_FATAL(rc, 0);
		}
		/* Target 0 stays up: there is always somebody. */
		for (uint64_t i = 0; atomic_load(&workers_left) > 0; i = hash_mix(i + 1)) {
			uint32_t k = 1 + (uint32_t)(i % 7);
			enum target_health health = i >> 32 & 1 ? TARGET_UP : TARGET_DOWN;
			target_set_health(&fleet->pools[0], nth(fleet, k), health, "because", i);
			target_set_admin(
			    &fleet->pools[0], nth(fleet, k), (enum target_admin)(i >> 40 & 1));
			for (volatile int pause = 0; pause < 2000; pause++)
				;
		}
		uint64_t requests = 0;
		for (size_t i = 0; i < 2; i++) {
			pthread_join(workers[i].thread, NULL);
			CU_ASSERT_EQUAL(workers[i].strangers, 0);
			CU_ASSERT_EQUAL(workers[i].nobody, 0);
		}
		for (uint32_t i = 0; i < 8; i++) {
			requests += atomic_load(&nth(fleet, i)->requests);
			CU_ASSERT_EQUAL(atomic_load(&nth(fleet, i)->active), 0);
		}
		CU_ASSERT_EQUAL(requests, 2 * WORKER_PICKS);
		fleet_free(fleet);
	}
}

/* Also by source hash, whose client then goes where it goes when its target is down. */
static void full_ones_are_passed_over(void)
{
	for (int algorithm = 0; algorithm < BALANCE_COUNT; algorithm++) {
		prepare(4);
		specs[3].backup = true;
		for (uint32_t i = 0; i < 3; i++)
			specs[i].max_active = 2;
		struct fleet *fleet = fleet_of((enum balance_algorithm)algorithm, 4, false);
		struct picker *picker = picker_of(fleet, 0);
		struct pick pick = {.hash = 7};
		for (uint32_t i = 0; i < 6; i++) {
			struct target *target = picker_pick(picker, &pick);
			CU_ASSERT_PTR_NOT_NULL_FATAL(target);
			CU_ASSERT_TRUE(target_enter(target));
		}
		for (uint32_t i = 0; i < 3; i++)
			CU_ASSERT_EQUAL(nth(fleet, i)->active, 2);
		/* The backup does not stand in for them, but for those that failed. */
		CU_ASSERT_PTR_NULL(picker_pick(picker, &pick));
		CU_ASSERT_TRUE(pick.full);
		struct target *tried[] = {nth(fleet, 0), nth(fleet, 1), nth(fleet, 2)};
		pick.tried = tried;
		pick.n_tried = 2;
		CU_ASSERT_PTR_NULL(picker_pick(picker, &pick));
		CU_ASSERT_TRUE(pick.full);
		pick.n_tried = 3;
		CU_ASSERT_PTR_EQUAL(picker_pick(picker, &pick), nth(fleet, 3));
		CU_ASSERT_FALSE(pick.full);
		pick.n_tried = 0;
		target_leave(nth(fleet, 1));
		CU_ASSERT_PTR_EQUAL(picker_pick(picker, &pick), nth(fleet, 1));
		picker_free(picker);
		fleet_free(fleet);
	}
}

static void tells_who_gets_new_traffic(void)
{
	prepare(3);
	specs[2].backup = true;
	struct fleet *fleet = fleet_of(BALANCE_ROUND_ROBIN, 3, false);
	struct picker *picker = picker_of(fleet, 0);
	CU_ASSERT_TRUE(picker_takes(picker, nth(fleet, 0)));
	CU_ASSERT_FALSE(picker_takes(picker, nth(fleet, 2)));
	target_set_admin(&fleet->pools[0], nth(fleet, 0), TARGET_DRAIN);
	CU_ASSERT_FALSE(picker_takes(picker, nth(fleet, 0)));
	target_set_health(&fleet->pools[0], nth(fleet, 1), TARGET_DOWN, "", 0);
	CU_ASSERT_TRUE(picker_takes(picker, nth(fleet, 2)));
	target_set_admin(&fleet->pools[0], nth(fleet, 2), TARGET_DISABLED);
	CU_ASSERT_FALSE(picker_takes(picker, nth(fleet, 2)));
	CU_ASSERT_PTR_EQUAL(nth(fleet, 1)->queue, fleet->pools[0].queue);
	picker_free(picker);
	fleet_free(fleet);
}

static void *take_places(void *arg)
{
	struct worker *worker = arg;
	struct picker *picker = picker_of(worker->fleet, 1);
	for (uint32_t i = 0; i < WORKER_PICKS; i++) {
		struct pick pick = {.hash = i, .now_us = i};
		struct target *target = picker_pick(picker, &pick);
		worker->nobody += !target && !pick.full;
		if (!target || !target_enter(target))
			continue;
		worker->strangers += atomic_load(&target->active) > 1;
		target_leave(target);
	}
	picker_free(picker);
	return NULL;
}

/* A target can be full at the second look that was not at the first one. */
static void picks_while_places_come_and_go(void)
{
	for (int algorithm = 0; algorithm < BALANCE_COUNT; algorithm++) {
		prepare(2);
		specs[0].max_active = specs[1].max_active = 1;
		struct fleet *fleet = fleet_of((enum balance_algorithm)algorithm, 2, false);
		struct worker workers[3];
		for (size_t i = 0; i < 3; i++) {
			workers[i] = (struct worker){.fleet = fleet};
			int rc = pthread_create(&workers[i].thread, NULL, take_places, &workers[i]);
			CU_ASSERT_EQUAL_FATAL(rc, 0);
		}
		for (size_t i = 0; i < 3; i++) {
			pthread_join(workers[i].thread, NULL);
			CU_ASSERT_EQUAL(workers[i].strangers, 0);
			CU_ASSERT_EQUAL(workers[i].nobody, 0);
		}
		for (uint32_t i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(atomic_load(&nth(fleet, i)->active), 0);
		fleet_free(fleet);
	}
}

UNIT_MAIN("balance/pick", UNIT(least_connections_takes_the_minimum),
    UNIT(least_connections_fills_by_weight), UNIT(follows_the_state), UNIT(backups_come_last),
    UNIT(fails_open), UNIT(panics), UNIT(retries_go_elsewhere),
    UNIT(source_hash_is_the_same_everywhere), UNIT(source_hash_with_few_left),
    UNIT(source_hash_over_backups), UNIT(finds_sticky_targets), UNIT(an_empty_pool_has_nobody),
    UNIT(picks_while_states_change), UNIT(full_ones_are_passed_over),
    UNIT(tells_who_gets_new_traffic), UNIT(picks_while_places_come_and_go))
