/* One key's limit, against what a person would count. Time is an argument. */
#include "daemon/limit/gcra.h"

#include <pthread.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state += 0x9e3779b97f4a7c15ULL;
	return hash_mix(random_state) % n;
}

static struct gcra make(uint32_t count, uint32_t period_s, uint32_t burst)
{
	struct gcra gcra;
	gcra_init(&gcra, (struct limit_rate){count, period_s}, burst);
	return gcra;
}

/* How many of `n` requests at once are taken. */
static unsigned volley(const struct gcra *gcra, uint64_t *time_ns, uint64_t now_ns, unsigned n)
{
	unsigned taken = 0;
	uint64_t wait_ns;
	while (n-- > 0)
		taken += gcra_take(gcra, time_ns, now_ns, &wait_ns);
	return taken;
}

static void a_burst_passes_and_comes_back_with_time(void)
{
	struct gcra gcra = make(10, 1, 5);
	uint64_t time_ns = 0, now_ns = 1000 * SEC;
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns, 100), 5);
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns + 99 * MS, 100), 0);
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns + 100 * MS, 100), 1);
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns + 400 * MS, 100), 3);
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns + 10 * SEC, 100), 5);
}

static void without_burst_they_keep_their_distance(void)
{
	struct gcra gcra = make(600, 60, 1);
	uint64_t time_ns = 0, wait_ns = 0;
	CU_ASSERT_TRUE(gcra_take(&gcra, &time_ns, SEC, &wait_ns));
	CU_ASSERT_FALSE(gcra_take(&gcra, &time_ns, SEC + 1, &wait_ns));
	CU_ASSERT_EQUAL(wait_ns, 100 * MS - 1);
	CU_ASSERT_FALSE(gcra_take(&gcra, &time_ns, SEC + 100 * MS - 1, &wait_ns));
	CU_ASSERT_EQUAL(wait_ns, 1);
	CU_ASSERT_TRUE(gcra_take(&gcra, &time_ns, SEC + 100 * MS, &wait_ns));
}

/* Who waits as long as he was told is served, not a nanosecond earlier. */
static void the_wait_is_exact(void)
{
	for (unsigned i = 0; i < 10000; i++) {
		struct gcra gcra = make((uint32_t)random_below(LIMIT_RATE_MAX) + 1,
		    (uint32_t)random_below(86400) + 1, (uint32_t)random_below(100) + 1);
		uint64_t time_ns = 0, now_ns = random_below(1ULL << 60), wait_ns = 0;
		volley(&gcra, &time_ns, now_ns, 100);
		CU_ASSERT_FALSE_FATAL(gcra_take(&gcra, &time_ns, now_ns, &wait_ns));
		CU_ASSERT_FALSE_FATAL(
		    gcra_take(&gcra, &time_ns, now_ns + wait_ns - 1, &(uint64_t){0}));
		CU_ASSERT_TRUE_FATAL(gcra_take(&gcra, &time_ns, now_ns + wait_ns, &wait_ns));
	}
}

/* A bucket of tokens, counted as one explains it. */
struct bucket {
	uint64_t level_ns, filled_ns;
};

static bool bucket_take(
    struct bucket *bucket, const struct gcra *gcra, uint32_t burst, uint64_t now_ns)
{
	uint64_t size_ns = burst * gcra->interval_ns;
	bucket->level_ns += now_ns - bucket->filled_ns;
	bucket->filled_ns = now_ns;
	if (bucket->level_ns > size_ns)
		bucket->level_ns = size_ns;
	if (bucket->level_ns < gcra->interval_ns)
		return false;
	bucket->level_ns -= gcra->interval_ns;
	return true;
}

static void is_a_bucket_of_tokens(void)
{
	for (unsigned round = 0; round < 100; round++) {
		uint32_t burst = (uint32_t)random_below(50) + 1;
		struct gcra gcra = make((uint32_t)random_below(1000) + 1, 1, burst);
		struct bucket bucket = {.level_ns = burst * gcra.interval_ns};
		uint64_t time_ns = 0, now_ns = 0, wait_ns;
		for (unsigned i = 0; i < 10000; i++) {
			now_ns += random_below(4) ? 0 : random_below(3 * gcra.interval_ns);
			bool expected = bucket_take(&bucket, &gcra, burst, now_ns);
			CU_ASSERT_EQUAL_FATAL(
			    gcra_take(&gcra, &time_ns, now_ns, &wait_ns), expected);
		}
	}
}

static void the_largest_numbers_fit(void)
{
	struct gcra gcra = make(1, 86400, LIMIT_BURST_MAX);
	uint64_t time_ns = 0, now_ns = UINT64_MAX / 4;
	CU_ASSERT_EQUAL(volley(&gcra, &time_ns, now_ns, 1000), 1000);
	gcra = make(LIMIT_RATE_MAX, 1, 1);
	CU_ASSERT_EQUAL(gcra.interval_ns, 1000);
}

/* After a reload with a smaller burst nobody has to wait for what he was allowed before: he is as
 * one who is at the new limit, and comes back when he is told to. */
static void another_limit_begins_at_once(void)
{
	struct gcra before = make(1, 60, 100), after = make(10, 1, 5);
	uint64_t time_ns = 0, now_ns = SEC, wait_ns = 0;
	volley(&before, &time_ns, now_ns, 100);
	_Atomic uint64_t shared_ns = time_ns;
	CU_ASSERT_FALSE(gcra_take(&after, &time_ns, now_ns, &wait_ns));
	CU_ASSERT_EQUAL(wait_ns, 100 * MS);
	CU_ASSERT_EQUAL(volley(&after, &time_ns, now_ns + 100 * MS - 1, 100), 0);
	CU_ASSERT_EQUAL(volley(&after, &time_ns, now_ns + 100 * MS, 100), 1);
	CU_ASSERT_EQUAL(volley(&after, &time_ns, now_ns + 600 * MS, 100), 5);
	CU_ASSERT_FALSE(gcra_take_shared(&after, &shared_ns, now_ns, &wait_ns));
	CU_ASSERT_FALSE(gcra_take_shared(&after, &shared_ns, now_ns + 100 * MS - 1, &wait_ns));
	CU_ASSERT_TRUE(gcra_take_shared(&after, &shared_ns, now_ns + 100 * MS, &wait_ns));
	CU_ASSERT_FALSE(gcra_take_shared(&after, &shared_ns, now_ns + 100 * MS, &wait_ns));
}

#define THREADS 4
#define EACH    100000

struct shared {
	struct gcra gcra;
	_Atomic uint64_t time_ns;
	_Atomic unsigned taken;
};

static void *take_many(void *arg)
{
	struct shared *shared = arg;
	uint64_t wait_ns;
	for (unsigned i = 0; i < EACH; i++)
		shared->taken += gcra_take_shared(&shared->gcra, &shared->time_ns, SEC, &wait_ns);
	return NULL;
}

static void threads_share_exactly(void)
{
	struct shared shared = {.gcra = make(1000, 1, THREADS * EACH / 2)};
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_many, &shared);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(shared.taken, THREADS * EACH / 2);
}

UNIT_MAIN("limit/gcra", UNIT(a_burst_passes_and_comes_back_with_time),
    UNIT(without_burst_they_keep_their_distance), UNIT(the_wait_is_exact),
    UNIT(is_a_bucket_of_tokens), UNIT(the_largest_numbers_fit), UNIT(another_limit_begins_at_once),
    UNIT(threads_share_exactly))
