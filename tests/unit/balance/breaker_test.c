#include "daemon/balance/breaker.h"

#include "tests/unit/unit.h"

#define S 1000000ULL

static const struct breaker_settings settings = {
    .error_rate = 50, .min_requests = 20, .trials = 3, .interval_us = 10 * S, .open_us = 5 * S};

/* A breaker with a clock, and results counted as a pool's targets do. */
static struct breaker breaker;
static uint64_t now_us, results, failed;

static bool after(uint64_t wait_us, unsigned good, unsigned bad)
{
	now_us += wait_us;
	results += good + bad;
	failed += bad;
	return breaker_step(&breaker, &settings, results, failed, now_us);
}

/* How many requests it lets out, up to 100; `trial` has the number of the last one's trial. */
static uint32_t trial;

static unsigned admitted(void)
{
	unsigned n = 0;
	for (uint32_t number; n < 100 && breaker_admits(&breaker, &number); n++)
		trial = number;
	return n;
}

/* The same as after(), of requests that were let out as trials. */
static bool trials_after(uint64_t wait_us, unsigned good, unsigned bad)
{
	for (unsigned i = 0; i < good + bad; i++)
		breaker_tried(&breaker, trial, i >= good);
	return after(wait_us, good, bad);
}

static void begin(void)
{
	breaker = (struct breaker){0};
	now_us = 1000 * S;
	results = failed = 0;
	CU_ASSERT_FALSE(after(0, 0, 0));
}

static void opens_by_rate(void)
{
	static const struct {
		unsigned good, bad;
		bool opens;
	} rows[] = {{10, 10, true}, {11, 10, false}, {0, 19, false}, {0, 20, true}, {9, 10, false},
	    {1000, 999, false}, {1000, 1000, true}, {30, 0, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin();
		CU_ASSERT_EQUAL(after(S, rows[i].good, rows[i].bad), rows[i].opens);
		CU_ASSERT_EQUAL(
		    breaker_state(&breaker), rows[i].opens ? BREAKER_OPEN : BREAKER_CLOSED);
		CU_ASSERT_EQUAL(admitted(), rows[i].opens ? 0 : 100);
	}
}

static void what_is_long_ago_does_not_count(void)
{
	begin();
	CU_ASSERT_FALSE(after(S, 0, 15));
	CU_ASSERT_FALSE(after(11 * S, 0, 15));
	CU_ASSERT_TRUE(after(S, 0, 5));
}

static void opens_tries_and_closes(void)
{
	begin();
	CU_ASSERT_TRUE(after(S, 0, 20));
	CU_ASSERT_EQUAL(breaker_retry_after(&breaker, now_us), 5);
	CU_ASSERT_FALSE(after(5 * S - 1, 0, 0));
	CU_ASSERT_EQUAL(breaker_retry_after(&breaker, now_us), 1);
	CU_ASSERT_EQUAL(admitted(), 0);
	CU_ASSERT_TRUE(after(1, 0, 0));
	CU_ASSERT_EQUAL(breaker_state(&breaker), BREAKER_HALF_OPEN);
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_FALSE(trials_after(S, 2, 0));
	CU_ASSERT_TRUE(trials_after(S, 1, 0));
	CU_ASSERT_EQUAL(breaker_state(&breaker), BREAKER_CLOSED);
	CU_ASSERT_EQUAL(admitted(), 100);
	/* What was before it closed does not count. */
	CU_ASSERT_FALSE(after(S, 0, 19));
	CU_ASSERT_TRUE(after(S, 0, 1));
	CU_ASSERT_EQUAL(breaker.opened, 2);
}

static void a_trial_that_fails_opens_it(void)
{
	begin();
	CU_ASSERT_TRUE(after(S, 0, 20));
	CU_ASSERT_TRUE(after(5 * S, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_TRUE(trials_after(S, 2, 1));
	CU_ASSERT_EQUAL(breaker_state(&breaker), BREAKER_OPEN);
	CU_ASSERT_EQUAL(admitted(), 0);
	CU_ASSERT_FALSE(after(4 * S, 0, 0));
	CU_ASSERT_TRUE(after(S, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
}

static void trials_that_nobody_answers_are_repeated(void)
{
	begin();
	CU_ASSERT_TRUE(after(S, 0, 20));
	CU_ASSERT_TRUE(after(5 * S, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
	uint32_t first = trial;
	CU_ASSERT_FALSE(trials_after(4 * S, 1, 0));
	CU_ASSERT_EQUAL(admitted(), 0);
	CU_ASSERT_FALSE(after(S, 0, 0));
	CU_ASSERT_EQUAL(breaker_state(&breaker), BREAKER_HALF_OPEN);
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_EQUAL(trial, first); /* targets that are slow are answers as well */
	CU_ASSERT_FALSE(trials_after(S, 2, 0));
	CU_ASSERT_TRUE(trials_after(S, 1, 0));
}

/* What was under way when it opened, or was a trial before it opened again, decides nothing. */
static void only_its_trials_count(void)
{
	begin();
	CU_ASSERT_TRUE(after(S, 0, 20));
	CU_ASSERT_TRUE(after(5 * S, 0, 0));
	CU_ASSERT_FALSE(after(S, 10, 10));
	CU_ASSERT_EQUAL(admitted(), 3);
	uint32_t first = trial;
	CU_ASSERT_NOT_EQUAL(first, 0);
	CU_ASSERT_TRUE(trials_after(S, 0, 1));
	CU_ASSERT_TRUE(after(5 * S, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_NOT_EQUAL(trial, first);
	breaker_tried(&breaker, first, true);
	for (int i = 0; i < 3; i++)
		breaker_tried(&breaker, first, false);
	CU_ASSERT_FALSE(after(S, 3, 1));
	CU_ASSERT_EQUAL(breaker_state(&breaker), BREAKER_HALF_OPEN);
	CU_ASSERT_TRUE(trials_after(S, 3, 0));
	CU_ASSERT_EQUAL(admitted(), 100);
	CU_ASSERT_EQUAL(trial, 0);
}

static bool told(enum breaker_state state, uint64_t left_us)
{
	return breaker_told(&breaker, &settings, state, left_us, now_us);
}

static void told_by_the_peer(void)
{
	begin();
	CU_ASSERT_FALSE(told(BREAKER_CLOSED, 0));
	CU_ASSERT_EQUAL(admitted(), 100);
	CU_ASSERT_TRUE(told(BREAKER_OPEN, 3 * S));
	CU_ASSERT_EQUAL(admitted(), 0);
	CU_ASSERT_EQUAL(breaker_retry_after(&breaker, now_us), 3);
	/* Said again it is no news, but later; too long is shortened. */
	CU_ASSERT_FALSE(told(BREAKER_OPEN, 500 * S));
	CU_ASSERT_EQUAL(breaker_retry_after(&breaker, now_us), 5);
	CU_ASSERT_FALSE(told(BREAKER_OPEN, 2 * S));
	/* What is left is waited for here, then it goes on as ever. */
	CU_ASSERT_FALSE(after(2 * S - 1, 0, 0));
	CU_ASSERT_TRUE(after(1, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_TRUE(trials_after(0, 0, 1));
	CU_ASSERT_EQUAL(breaker.opened, 1);
	/* In the middle of trials: as many of our own. */
	CU_ASSERT_TRUE(told(BREAKER_HALF_OPEN, S));
	CU_ASSERT_EQUAL(admitted(), 3);
	CU_ASSERT_FALSE(told(BREAKER_HALF_OPEN, S));
	CU_ASSERT_EQUAL(admitted(), 0);
	CU_ASSERT_FALSE(after(S, 0, 0));
	CU_ASSERT_EQUAL(admitted(), 3);
	/* Closed: what failed here before does not open it. */
	CU_ASSERT_FALSE(after(S, 0, 30));
	CU_ASSERT_TRUE(told(BREAKER_CLOSED, 0));
	CU_ASSERT_FALSE(after(S, 0, 19));
	CU_ASSERT_TRUE(after(S, 0, 1));
}

static void fewer_results_than_before_say_nothing(void)
{
	begin();
	CU_ASSERT_FALSE(after(S, 50, 10));
	results = 5;
	failed = 5;
	CU_ASSERT_FALSE(after(S, 0, 0));
	CU_ASSERT_FALSE(after(S, 0, 19));
	CU_ASSERT_FALSE(after(S, 40, 0));
}

static void can_be_taken_away(void)
{
	begin();
	CU_ASSERT_FALSE(breaker_reset(&breaker));
	CU_ASSERT_FALSE(after(S, 0, 0));
	CU_ASSERT_TRUE(after(S, 0, 20));
	CU_ASSERT_TRUE(breaker_reset(&breaker));
	CU_ASSERT_EQUAL(admitted(), 100);
}

UNIT_MAIN("balance/breaker", UNIT(opens_by_rate), UNIT(what_is_long_ago_does_not_count),
    UNIT(opens_tries_and_closes), UNIT(a_trial_that_fails_opens_it),
    UNIT(trials_that_nobody_answers_are_repeated), UNIT(fewer_results_than_before_say_nothing),
    UNIT(only_its_trials_count), UNIT(told_by_the_peer), UNIT(can_be_taken_away))
