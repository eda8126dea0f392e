/* Counts by key against a naive model. */
#include "daemon/limit/tally.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

static const uint64_t hash_key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state += 0x9e3779b97f4a7c15ULL;
	return hash_mix(random_state) % n;
}

static struct tally *take(struct tally_table *table, uint64_t id, uint64_t key, uint32_t max)
{
	struct tally *tally = NULL;
	int result = tally_take(table, id, &key, sizeof(key), max, &tally);
	CU_ASSERT(result == (tally ? 0 : -EDQUOT));
	return tally;
}

static void counts_up_to_the_limit(void)
{
	struct tally_table *table = tally_table_new(hash_key);
	struct tally *first = take(table, 1, 7, 2), *second = take(table, 1, 7, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_EQUAL(first, second);
	CU_ASSERT_PTR_NULL(take(table, 1, 7, 2));
	struct tally *other = take(table, 2, 7, 2);
	CU_ASSERT(other && other != first);
	CU_ASSERT_EQUAL(tally_table_keys(table), 2);
	tally_give(table, first);
	CU_ASSERT_PTR_EQUAL(take(table, 1, 7, 2), first);
	tally_give(table, first);
	tally_give(table, second);
	tally_give(table, other);
	tally_give(table, NULL);
	CU_ASSERT_EQUAL(tally_table_keys(table), 0);
	CU_ASSERT_PTR_NULL(take(table, 1, 7, 0));
	tally_table_free(table);
}

static void is_what_a_map_of_counts_would_be(void)
{
	enum { KEYS = 20000, MAX = 4, OPERATIONS = 1000000 };
	static struct tally *held[KEYS][MAX];
	static uint32_t counts[KEYS];
	struct tally_table *table = tally_table_new(hash_key);
	uint64_t keys = 0;
	for (unsigned i = 0; i < OPERATIONS; i++) {
		uint64_t key = random_below(KEYS);
		if (random_below(2)) {
			struct tally *tally = take(table, 0, key, MAX);
			CU_ASSERT_EQUAL_FATAL(tally != NULL, counts[key] < MAX);
			if (!tally)
				continue;
			keys += counts[key] == 0;
			held[key][counts[key]++] = tally;
		} else if (counts[key] > 0) {
			tally_give(table, held[key][--counts[key]]);
			keys -= counts[key] == 0;
		}
	}
	CU_ASSERT_EQUAL(tally_table_keys(table), keys);
	for (unsigned key = 0; key < KEYS; key++)
		while (counts[key] > 0)
			tally_give(table, held[key][--counts[key]]);
	CU_ASSERT_EQUAL(tally_table_keys(table), 0);
	tally_table_free(table);
}

#define THREADS 4
#define EACH    200000

static _Atomic int now_held;
static atomic_bool too_many;

static void *take_and_give(void *arg)
{
	for (unsigned i = 0; i < EACH; i++) {
		struct tally *tally;
		if (tally_take(arg, 0, "", 0, 2, &tally) < 0)
			continue;
		if (++now_held > 2)
			too_many = true;
		now_held--;
		tally_give(arg, tally);
	}
	return NULL;
}

static void threads_never_hold_more_than_the_limit(void)
{
	struct tally_table *table = tally_table_new(hash_key);
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_and_give, table);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_FALSE(too_many);
	CU_ASSERT_EQUAL(tally_table_keys(table), 0);
	tally_table_free(table);
}

UNIT_MAIN("limit/tally", UNIT(counts_up_to_the_limit), UNIT(is_what_a_map_of_counts_would_be),
    UNIT(threads_never_hold_more_than_the_limit))
