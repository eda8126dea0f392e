#include "proto/journal.h"

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/unit.h"

#define APPENDERS  4
#define PER_THREAD 20000

static uint64_t append(struct journal *journal, uint64_t id)
{
	struct record record = {.kind = RECORD_ADMIN, .admin.target_id = id};
	return journal_append(journal, &record);
}

static void numbers_and_overwrites(void)
{
	struct journal *journal = journal_new(8);
	struct record out[16];
	CU_ASSERT_EQUAL(journal_last(journal), 0);
	CU_ASSERT_EQUAL(journal_read(journal, 0, out, 16), 0);
	CU_ASSERT_EQUAL(journal_read(journal, 1, out, 16), -1);
	for (uint64_t i = 1; i <= 8; i++)
		CU_ASSERT_EQUAL(append(journal, i * 10), i);
	CU_ASSERT_EQUAL(journal_read(journal, 0, out, 16), 8);
	CU_ASSERT_EQUAL(out[0].sequence, 1);
	CU_ASSERT_EQUAL(out[7].admin.target_id, 80);
	append(journal, 90);
	CU_ASSERT_EQUAL(journal_read(journal, 0, out, 16), -1);
	CU_ASSERT_EQUAL(journal_read(journal, 1, out, 3), 3);
	CU_ASSERT_EQUAL(out[0].sequence, 2);
	CU_ASSERT_EQUAL(out[2].admin.target_id, 40);
	CU_ASSERT_EQUAL(journal_read(journal, 1, out, 0), 0);
	CU_ASSERT_EQUAL(journal_read(journal, 9, out, 16), 0);
	CU_ASSERT_EQUAL(journal_read(journal, 10, out, 16), -1);
	CU_ASSERT_EQUAL(journal_last(journal), 9);
	journal_free(journal);
}

static void count_wake(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void wakes_a_reader_that_has_seen_all(void)
{
	struct journal *journal = journal_new(8);
	struct record out[8];
	atomic_int wakes = 0;
	journal_set_reader_wake(journal, count_wake, &wakes);
	append(journal, 1);
	append(journal, 2);
	CU_ASSERT_EQUAL(wakes, 1); /* it was told, and has not read yet */
	CU_ASSERT_EQUAL(journal_read(journal, 0, out, 1), 1);
	append(journal, 3);
	CU_ASSERT_EQUAL(wakes, 1); /* it has not seen 2 yet, so it will come back */
	CU_ASSERT_EQUAL(journal_read(journal, 1, out, 8), 2);
	append(journal, 4);
	CU_ASSERT_EQUAL(wakes, 2);
	journal_set_reader_wake(journal, NULL, NULL);
	CU_ASSERT_EQUAL(journal_read(journal, 3, out, 8), 1);
	append(journal, 5);
	CU_ASSERT_EQUAL(wakes, 2);
	journal_free(journal);
}

static void tells_listeners_of_changes_only(void)
{
	struct journal *journal = journal_new(8);
	atomic_int wakes = 0;
	journal_add_ack_listener(journal, count_wake, &wakes);
	CU_ASSERT_FALSE(journal_protected(journal));
	journal_set_protected(journal, true);
	journal_set_protected(journal, true);
	CU_ASSERT_EQUAL(wakes, 1);
	CU_ASSERT(journal_protected(journal));
	journal_set_acked(journal, 5);
	journal_set_acked(journal, 5);
	journal_set_acked(journal, 3); /* never back */
	CU_ASSERT_EQUAL(wakes, 2);
	CU_ASSERT_EQUAL(journal_acked(journal), 5);
	journal_set_protected(journal, false);
	CU_ASSERT_EQUAL(wakes, 3);
	journal_give_up(journal); /* after the news */
	CU_ASSERT_EQUAL(wakes, 3);
	journal_set_protected(journal, true);
	journal_give_up(journal);
	CU_ASSERT_EQUAL(wakes, 5);
	CU_ASSERT_FALSE(journal_protected(journal));
	journal_free(journal);
}

static void promises_nothing_without_the_role(void)
{
	struct journal *journal = journal_new(8);
	atomic_int wakes = 0;
	journal_add_ack_listener(journal, count_wake, &wakes);
	CU_ASSERT_FALSE(journal_left(journal)); /* who has no peer */
	journal_set_protected(journal, true);
	journal_set_role(journal, false);
	CU_ASSERT(journal_left(journal));
	CU_ASSERT_FALSE(journal_protected(journal));
	/* Said by who has not heard of it yet. */
	journal_set_protected(journal, true);
	journal_set_protected(journal, false);
	journal_give_up(journal);
	CU_ASSERT(journal_left(journal));
	journal_set_role(journal, true);
	CU_ASSERT_FALSE(journal_left(journal));
	CU_ASSERT_FALSE(journal_protected(journal));
	CU_ASSERT_EQUAL(wakes, 2); /* protected, and Active again: who waits may go */
	journal_set_protected(journal, true);
	journal_set_role(journal, true);
	CU_ASSERT(journal_protected(journal));
	journal_free(journal);
}

struct bell {
	pthread_mutex_t lock;
	pthread_cond_t rung;
	bool ring;
};

static void ring(void *arg)
{
	struct bell *bell = arg;
	pthread_mutex_lock(&bell->lock);
	bell->ring = true;
	pthread_cond_signal(&bell->rung);
	pthread_mutex_unlock(&bell->lock);
}

static void wait_for(struct bell *bell)
{
	pthread_mutex_lock(&bell->lock);
	while (!bell->ring)
		pthread_cond_wait(&bell->rung, &bell->lock);
	bell->ring = false;
	pthread_mutex_unlock(&bell->lock);
}

struct appender {
	struct journal *journal;
	uint64_t number;
	pthread_t thread;
};

static void *appender_main(void *arg)
{
	struct appender *me = arg;
	for (uint64_t i = 1; i <= PER_THREAD; i++)
		append(me->journal, me->number << 32 | i);
	return NULL;
}

struct tally {
	uint64_t seen, skipped;
	bool in_order;
};

static struct tally read_all(struct journal *journal, struct bell *bell)
{
	struct tally tally = {.in_order = true};
	uint64_t cursor = 0, newest[APPENDERS] = {0};
	while (cursor < APPENDERS * PER_THREAD) {
		struct record out[64];
		long n = journal_read(journal, cursor, out, 64);
		if (n < 0) {
			uint64_t last = journal_last(journal);
			tally.skipped += last - cursor;
			cursor = last;
		} else if (n == 0) {
			wait_for(bell);
		}
		for (long i = 0; i < n; i++) {
			uint64_t *mine = &newest[out[i].admin.target_id >> 32];
			uint64_t number = out[i].admin.target_id & UINT32_MAX;
			tally.in_order =
			    tally.in_order && out[i].sequence == ++cursor && number > *mine;
			*mine = number;
			tally.seen++;
		}
	}
	return tally;
}

static struct tally run_threads(size_t capacity)
{
	struct journal *journal = journal_new(capacity);
	struct bell bell = {.lock = PTHREAD_MUTEX_INITIALIZER, .rung = PTHREAD_COND_INITIALIZER};
	struct appender appenders[APPENDERS];
	journal_set_reader_wake(journal, ring, &bell);
	for (unsigned i = 0; i < APPENDERS; i++) {
		appenders[i] = (struct appender){.journal = journal, .number = i};
		pthread_create(&appenders[i].thread, NULL, appender_main, &appenders[i]);
	}
	struct tally tally = read_all(journal, &bell);
	for (int i = 0; i < APPENDERS; i++)
		pthread_join(appenders[i].thread, NULL);
	journal_free(journal);
	return tally;
}

/* A reader that sleeps until it is woken gets everything, in order. */
static void threads_and_a_long_ring(void)
{
	struct tally tally = run_threads(131072);
	CU_ASSERT(tally.in_order);
	CU_ASSERT_EQUAL(tally.seen, APPENDERS * PER_THREAD);
}

/* When the ring overtakes it, it knows how much it has missed. */
static void threads_and_a_short_ring(void)
{
	struct tally tally = run_threads(64);
	CU_ASSERT(tally.in_order);
	CU_ASSERT_EQUAL(tally.seen + tally.skipped, APPENDERS * PER_THREAD);
}

UNIT_MAIN("proto/journal", UNIT(numbers_and_overwrites), UNIT(wakes_a_reader_that_has_seen_all),
    UNIT(tells_listeners_of_changes_only), UNIT(promises_nothing_without_the_role),
    UNIT(threads_and_a_long_ring), UNIT(threads_and_a_short_ring))
