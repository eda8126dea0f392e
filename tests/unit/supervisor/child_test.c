#include "daemon/supervisor/child.h"

#include "tests/unit/unit.h"

static void back_off_doubles_up_to_its_limit(void)
{
	static const uint64_t expected_us[] = {
	    100000, 200000, 400000, 800000, 1600000, 3200000, 5000000, 5000000, 5000000};
	uint64_t wait_us = 0;
	for (size_t i = 0; i < sizeof(expected_us) / sizeof(expected_us[0]); i++) {
		wait_us = child_backoff_us(wait_us, 1000);
		CU_ASSERT_EQUAL(wait_us, expected_us[i]);
	}
}

static void a_long_life_is_forgiven(void)
{
	CU_ASSERT_EQUAL(child_backoff_us(5000000, CHILD_STEADY_US - 1), 5000000);
	CU_ASSERT_EQUAL(child_backoff_us(5000000, CHILD_STEADY_US), CHILD_BACKOFF_MIN_US);
	CU_ASSERT_EQUAL(child_backoff_us(0, 0), CHILD_BACKOFF_MIN_US);
}

UNIT_MAIN("supervisor/child", UNIT(back_off_doubles_up_to_its_limit), UNIT(a_long_life_is_forgiven))
