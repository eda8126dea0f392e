#include "daemon/balance/budget.h"

#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define S 1000000ULL

static void counts_the_last_while(void)
{
	struct window window;
	window_init(&window, 10 * S);
	for (uint64_t now = 100 * S; now < 130 * S; now += S / 10) {
		window_add(&window, now,
		    (struct window_count){
			.all = 1, .some = now % S == 0, .other = now % (2 * S) == 0});
		if (now >= 110 * S) {
			CU_ASSERT_TRUE(window.sum.all >= 90 && window.sum.all <= 100);
			CU_ASSERT_TRUE(window.sum.some >= 9 && window.sum.some <= 10);
			CU_ASSERT_TRUE(window.sum.other >= 4 && window.sum.other <= 5);
		}
	}
	window_move(&window, 130 * S + 5 * S);
	CU_ASSERT_TRUE(window.sum.all >= 40 && window.sum.all <= 50);
	window_move(&window, 1000 * S);
	CU_ASSERT_EQUAL(window.sum.all, 0);
	CU_ASSERT_EQUAL(window.sum.some, 0);
	CU_ASSERT_EQUAL(window.sum.other, 0);
}

static void time_that_goes_backwards_counts_as_now(void)
{
	struct window window;
	window_init(&window, 10 * S);
	window_add(&window, 100 * S, (struct window_count){.all = 1});
	window_add(&window, 90 * S, (struct window_count){.all = 2, .some = 1});
	CU_ASSERT_EQUAL(window.sum.all, 3);
	CU_ASSERT_EQUAL(window.sum.some, 1);
	window_move(&window, 120 * S);
	CU_ASSERT_EQUAL(window.sum.all, 0);
}

static void a_share_of_the_requests_and_a_few(void)
{
	static const struct {
		uint32_t percent, per_sec, workers, requests, expected;
	} rows[] = {
	    {20, 0, 1, 1000, 200},
	    {20, 10, 1, 1000, 300},
	    {20, 10, 4, 1000, 225},
	    {0, 0, 1, 1000, 0},
	    {0, 10, 1, 0, 100},
	    {20, 1, 64, 0, 1}, /* at least one */
	    {100, 0, 1, 7, 7},
	    {1000, 0, 1, 7, 70},
	    {20, 0, 1, 4, 0},
	    {20, 0, 1, 5, 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct budget budget;
		budget_init(&budget, rows[i].percent, rows[i].per_sec, rows[i].workers);
		for (uint32_t n = 0; n < rows[i].requests; n++)
			budget_count(&budget, 50 * S);
		uint32_t taken = 0;
		while (taken < 10000 && budget_take(&budget, BUDGET_RETRY, 51 * S))
			taken++;
		CU_ASSERT_EQUAL(taken, rows[i].expected);
	}
}

static void what_was_taken_comes_back_with_time(void)
{
	struct budget budget;
	budget_init(&budget, 20, 1, 1);
	uint32_t taken = 0;
	while (budget_take(&budget, BUDGET_RETRY, 100 * S))
		taken++;
	CU_ASSERT_EQUAL(taken, 10);
	CU_ASSERT_FALSE(budget_take(&budget, BUDGET_RETRY, 105 * S));
	CU_ASSERT_TRUE(budget_take(&budget, BUDGET_RETRY, 111 * S));
}

/* Both kinds are a share of the same requests, and each has it for itself. */
static void the_kinds_take_nothing_from_each_other(void)
{
	struct budget budget;
	budget_init(&budget, 20, 0, 1);
	for (uint32_t n = 0; n < 100; n++)
		budget_count(&budget, 50 * S);
	for (uint32_t n = 0; n < 20; n++) {
		CU_ASSERT_TRUE(budget_take(&budget, BUDGET_STALE, 51 * S));
		CU_ASSERT_TRUE(budget_take(&budget, BUDGET_RETRY, 51 * S));
	}
	CU_ASSERT_FALSE(budget_take(&budget, BUDGET_STALE, 51 * S));
	CU_ASSERT_FALSE(budget_take(&budget, BUDGET_RETRY, 51 * S));
}

/* Over any span of 10 s, whatever comes when: by brute force from the list of all that was taken. */
static void no_sequence_takes_more(void)
{
	enum { N = 4000 };
	static uint64_t requests[N], taken[N];
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct budget budget;
		size_t n_requests = 0, n_taken = 0;
		uint64_t now = 1000 * S;
		budget_init(&budget, 20, 2, 1);
		for (uint64_t i = 0; i < N; i++) {
			uint64_t dice = hash_mix(seed << 32 | i);
			now += dice % 100 == 0 ? dice % (7 * S) : dice % (S / 50);
			if (dice >> 32 & 1) {
				budget_count(&budget, now);
				requests[n_requests++] = now;
			} else if (budget_take(&budget, BUDGET_RETRY, now)) {
				taken[n_taken++] = now;
			}
		}
		CU_ASSERT_TRUE(n_taken > 50);
		for (size_t i = 0; i < n_taken; i++) {
			/* Those of the 9 s before it are in the window for certain, requests of the
			 * 10 s before it may be. */
			size_t more = 0, all = 0;
			for (size_t k = 0; k <= i; k++)
				more += taken[k] + 9 * S > taken[i];
			for (size_t k = 0; k < n_requests; k++)
				all += requests[k] <= taken[i] && requests[k] + 10 * S >= taken[i];
			CU_ASSERT_TRUE(more <= all / 5 + 20);
		}
	}
}

UNIT_MAIN("balance/budget", UNIT(counts_the_last_while),
    UNIT(time_that_goes_backwards_counts_as_now), UNIT(a_share_of_the_requests_and_a_few),
    UNIT(what_was_taken_comes_back_with_time), UNIT(the_kinds_take_nothing_from_each_other),
    UNIT(no_sequence_takes_more))
