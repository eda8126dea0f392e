#include "daemon/base/quota.h"

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

static unsigned take_all(struct quota *quota, uint64_t now_us)
{
	unsigned n = 0;
	while (n < 1000 && quota_take(quota, 10, US_PER_SEC / 4, now_us))
		n++;
	return n;
}

static void a_burst_then_once_in_a_while(void)
{
	for (uint64_t start_us = 0; start_us < 3 * US_PER_SEC; start_us += US_PER_SEC) {
		struct quota quota = {0};
		CU_ASSERT_EQUAL(take_all(&quota, start_us), 10);
		CU_ASSERT_EQUAL(take_all(&quota, start_us + US_PER_SEC / 4 - 1), 0);
		CU_ASSERT_EQUAL(take_all(&quota, start_us + US_PER_SEC / 4), 1);
		CU_ASSERT_EQUAL(take_all(&quota, start_us + US_PER_SEC), 3);
		CU_ASSERT_EQUAL(take_all(&quota, start_us + 60 * US_PER_SEC), 10);
	}
}

static void what_is_refused_costs_nothing(void)
{
	struct quota quota = {0};
	unsigned n = 0;
	for (uint64_t now_us = 0; now_us < 10 * US_PER_SEC; now_us += US_PER_MS)
		n += quota_take(&quota, 10, US_PER_SEC / 4, now_us);
	CU_ASSERT_EQUAL(n, 10 + 39);
}

UNIT_MAIN("base/quota", UNIT(a_burst_then_once_in_a_while), UNIT(what_is_refused_costs_nothing))
