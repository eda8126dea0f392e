#include "daemon/balance/timing.h"

#include "tests/unit/unit.h"

#define HALF TIMING_HALF_LIFE_US

static void follows_a_rise_at_once_and_a_fall_slowly(void)
{
	struct timing timing = {0};
	CU_ASSERT_EQUAL(timing_expect(&timing, 5), 0);
	timing_add(&timing, 1000, HALF);
	CU_ASSERT_EQUAL(timing_expect(&timing, HALF), 1000);
	timing_add(&timing, 9000, HALF + 10);
	CU_ASSERT_EQUAL(timing_expect(&timing, HALF + 10), 9000);
	timing_add(&timing, 1000, HALF + 20);
	CU_ASSERT_TRUE(timing_expect(&timing, HALF + 20) > 8990);
	/* Half of the way in a half-life, whether many or few tell. */
	struct timing often = timing;
	timing_add(&timing, 1000, 2 * HALF + 20);
	uint64_t expect_us = timing_expect(&timing, 2 * HALF + 20);
	CU_ASSERT_TRUE(expect_us > 4990 && expect_us < 5010);
	for (uint64_t us = HALF + 20; us <= 2 * HALF + 20; us += 10)
		timing_add(&often, 1000, us);
	expect_us = timing_expect(&often, 2 * HALF + 20);
	CU_ASSERT_TRUE(expect_us > 5500 && expect_us < 6000); /* e^-1/2 of it */
}

static void fades(void)
{
	struct timing timing = {0};
	timing_add(&timing, 1 << 20, 7);
	uint64_t before_us = 1 << 20;
	for (uint64_t age_us = 0; age_us < 21 * HALF; age_us += HALF / 100) {
		uint64_t now_us = timing_expect(&timing, 7 + age_us);
		CU_ASSERT_TRUE_FATAL(now_us <= before_us);
		if (age_us % HALF == 0)
			CU_ASSERT_EQUAL(now_us, (1ULL << 20) >> (age_us / HALF));
		before_us = now_us;
	}
	CU_ASSERT_EQUAL(timing_expect(&timing, 7 + 21 * HALF), 0);
	CU_ASSERT_EQUAL(timing_expect(&timing, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(timing_expect(&timing, 0), 1 << 20); /* a clock that is behind */
}

static void failures_are_slow(void)
{
	struct timing timing = {0};
	timing_add_failure(&timing, 1);
	CU_ASSERT_EQUAL(timing_expect(&timing, 1), TIMING_FAILED_US);
	timing_add(&timing, 5 * TIMING_FAILED_US, 2);
	timing_add_failure(&timing, 2);
	CU_ASSERT_EQUAL(timing_expect(&timing, 2), 10 * TIMING_FAILED_US);
	for (int i = 0; i < 100; i++)
		timing_add_failure(&timing, 3);
	CU_ASSERT_EQUAL(timing_expect(&timing, 3), TIMING_MAX_US);
	timing_add(&timing, UINT64_MAX - 1, 3);
	CU_ASSERT_EQUAL(timing_expect(&timing, 3), TIMING_MAX_US);
}

static void tries_again_after_a_while(void)
{
	struct timing timing = {0};
	CU_ASSERT_TRUE(timing_try(&timing, 5));
	CU_ASSERT_FALSE(timing_try(&timing, 5));
	CU_ASSERT_FALSE(timing_try(&timing, 4 + TIMING_RETRY_US));
	CU_ASSERT_TRUE(timing_try(&timing, 5 + TIMING_RETRY_US));
	timing_add(&timing, 0, 6 + TIMING_RETRY_US); /* it answers within a turn of the loop */
	CU_ASSERT_EQUAL(timing_expect(&timing, 6 + TIMING_RETRY_US), 1);
	CU_ASSERT_TRUE(timing_try(&timing, 7 + TIMING_RETRY_US)); /* faded, say */
}

UNIT_MAIN("balance/timing", UNIT(follows_a_rise_at_once_and_a_fall_slowly), UNIT(fades),
    UNIT(failures_are_slow), UNIT(tries_again_after_a_while))
