/* The table of times against a naive model, and its promises one by one. Time is an argument. */
#include "daemon/limit/table.h"

#include <pthread.h>
#include <stdlib.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

static const uint64_t hash_key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state += 0x9e3779b97f4a7c15ULL;
	return hash_mix(random_state) % n;
}

static struct gcra make(uint32_t count, uint32_t burst)
{
	struct gcra gcra;
	gcra_init(&gcra, (struct limit_rate){count, 1}, burst);
	return gcra;
}

static bool take(
    struct limit_table *table, uint64_t id, uint64_t key, const struct gcra *gcra, uint64_t now_ns)
{
	uint64_t wait_ns;
	return limit_table_take(
	    table, limit_table_hash(table, id, &key, sizeof(key)), gcra, now_ns, &wait_ns);
}

static struct limit_stats stats_of(struct limit_table *table, uint64_t now_ns)
{
	struct limit_stats stats;
	limit_table_stats(table, now_ns, &stats);
	return stats;
}

/* The model has an entry for each key, and forgets nothing. */
static void is_what_a_map_of_times_would_be(void)
{
	enum { KEYS = 2000, LIMITS = 3, OPERATIONS = 1000000 };
	static uint64_t times[LIMITS][KEYS];
	struct gcra gcra[LIMITS] = {make(10, 5), make(100, 1), make(1, 50)};
	struct limit_table *table = limit_table_new(LIMITS * KEYS * 4, hash_key);
	uint64_t now_ns = 1000 * SEC, wait_ns, refused = 0;
	for (unsigned i = 0; i < OPERATIONS; i++) {
		uint64_t limit = random_below(LIMITS), key = random_below(KEYS);
		now_ns += random_below(20) * (MS / 100);
		bool expected = gcra_take(&gcra[limit], &times[limit][key], now_ns, &wait_ns);
		CU_ASSERT_EQUAL_FATAL(take(table, limit, key, &gcra[limit], now_ns), expected);
		refused += !expected;
	}
	CU_ASSERT(refused > OPERATIONS / 20 && refused < OPERATIONS / 20 * 19);
	uint64_t living = 0;
	for (unsigned i = 0; i < LIMITS * KEYS; i++)
		living += times[i / KEYS][i % KEYS] > now_ns;
	CU_ASSERT_EQUAL(stats_of(table, now_ns).living, living);
	CU_ASSERT_EQUAL(stats_of(table, now_ns).evicted, 0);
	limit_table_free(table);
}

static void keys_of_different_limits_differ(void)
{
	struct gcra gcra = make(1, 1);
	struct limit_table *table = limit_table_new(100, hash_key);
	CU_ASSERT_TRUE(take(table, 1, 7, &gcra, SEC));
	CU_ASSERT_TRUE(take(table, 2, 7, &gcra, SEC));
	CU_ASSERT_FALSE(take(table, 1, 7, &gcra, SEC));
	CU_ASSERT_FALSE(take(table, 2, 7, &gcra, SEC));
	limit_table_free(table);
}

static void holds_as_many_as_it_is_for(void)
{
	enum { KEYS = 100000 };
	struct gcra gcra = make(1, 1);
	struct limit_table *table = limit_table_new(KEYS, hash_key);
	for (uint64_t key = 0; key < KEYS; key++)
		CU_ASSERT_TRUE_FATAL(take(table, 0, key, &gcra, SEC));
	struct limit_stats stats = stats_of(table, SEC);
	CU_ASSERT_EQUAL(stats.living + stats.evicted, KEYS);
	CU_ASSERT(stats.evicted < KEYS / 50);
	CU_ASSERT(stats.bytes < KEYS * 33 + 20000);
	limit_table_free(table);
}

static void counts_a_large_table_by_a_part(void)
{
	enum { KEYS = 1000000 };
	struct gcra gcra = make(1, 1);
	struct limit_table *table = limit_table_new(KEYS, hash_key);
	for (uint64_t key = 0; key < KEYS / 2; key++)
		CU_ASSERT_TRUE_FATAL(take(table, 0, key, &gcra, SEC));
	struct limit_stats stats = stats_of(table, SEC);
	CU_ASSERT(stats.living > KEYS / 2 / 20 * 19 && stats.living < KEYS / 2 / 20 * 21);
	CU_ASSERT_EQUAL(stats_of(table, 3 * SEC).living, 0);
	limit_table_free(table);
}

/* Ten million keys that nobody has seen before: memory stays, and so does who is at his limit. */
static void a_flood_of_keys_takes_no_memory_and_forgives_nobody(void)
{
	enum { KEYS = 10000, ABUSERS = 100, FLOOD = 10000000 };
	struct gcra gcra = make(1, 20);
	struct limit_table *table = limit_table_new(KEYS, hash_key);
	uint64_t bytes = stats_of(table, SEC).bytes;
	for (uint64_t key = 0; key < ABUSERS * 20; key++)
		CU_ASSERT_TRUE_FATAL(take(table, 0, key % ABUSERS, &gcra, SEC));
	for (uint64_t key = ABUSERS; key < FLOOD; key++)
		CU_ASSERT_TRUE_FATAL(take(table, 0, key, &gcra, SEC));
	struct limit_stats stats = stats_of(table, SEC);
	CU_ASSERT_EQUAL(stats.bytes, bytes);
	CU_ASSERT(bytes < KEYS * 33 + 20000);
	CU_ASSERT(stats.living <= KEYS * 2);
	CU_ASSERT_EQUAL(stats.living + stats.evicted, FLOOD);
	for (uint64_t key = 0; key < ABUSERS; key++)
		CU_ASSERT_FALSE(take(table, 0, key, &gcra, SEC));
	limit_table_free(table);
}

static void what_has_passed_makes_room_without_loss(void)
{
	enum { KEYS = 1000 };
	struct gcra gcra = make(10, 1);
	struct limit_table *table = limit_table_new(KEYS, hash_key);
	uint64_t now_ns = SEC;
	for (uint64_t key = 0; key < 100 * KEYS; key++) {
		CU_ASSERT_TRUE_FATAL(take(table, 0, key, &gcra, now_ns));
		now_ns += MS; /* a hundred are living */
	}
	CU_ASSERT_EQUAL(stats_of(table, now_ns).evicted, 0);
	CU_ASSERT_EQUAL(stats_of(table, now_ns).living, 99);
	limit_table_free(table);
}

#define THREADS 4
#define EACH    200000
#define SHARED  50

struct worker {
	struct limit_table *table;
	struct gcra gcra;
	uint64_t seed, taken[SHARED];
};

static void *take_many(void *arg)
{
	struct worker *worker = arg;
	for (uint64_t i = 0; i < EACH; i++) {
		uint64_t key = hash_mix(worker->seed + i) % SHARED;
		worker->taken[key] += take(worker->table, 0, key, &worker->gcra, SEC);
		take(worker->table, 1, hash_mix(worker->seed - i), &worker->gcra, SEC);
	}
	return NULL;
}

/* While the clock stands, all threads together get just the burst of each key. */
static void threads_share_exactly(void)
{
	enum { BURST = 1000 };
	struct limit_table *table = limit_table_new(100000, hash_key);
	static struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){table, make(1, BURST), (uint64_t)i << 32, {0}};
		pthread_create(&threads[i], NULL, take_many, &workers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned key = 0; key < SHARED; key++) {
		uint64_t sum = 0;
		for (unsigned i = 0; i < THREADS; i++)
			sum += workers[i].taken[key];
		CU_ASSERT_EQUAL(sum, BURST);
	}
	limit_table_free(table);
}

UNIT_MAIN("limit/table", UNIT(is_what_a_map_of_times_would_be),
    UNIT(keys_of_different_limits_differ), UNIT(holds_as_many_as_it_is_for),
    UNIT(counts_a_large_table_by_a_part), UNIT(a_flood_of_keys_takes_no_memory_and_forgives_nobody),
    UNIT(what_has_passed_makes_room_without_loss), UNIT(threads_share_exactly))
