#include "daemon/base/clock.h"
#include "tests/unit/unit.h"
#include "vrrp/core/lateness.h"

#define MINUTE (60 * US_PER_SEC)

static void buckets_have_inclusive_upper_bounds(void)
{
	static const struct {
		uint64_t late_us;
		unsigned bucket;
	} rows[] = {
	    {0, VRRP_LATENESS_100},
	    {100, VRRP_LATENESS_100},
	    {101, VRRP_LATENESS_250},
	    {1000, VRRP_LATENESS_1000},
	    {250000, VRRP_LATENESS_250000},
	    {250001, VRRP_LATENESS_ABOVE},
	    {UINT32_MAX, VRRP_LATENESS_ABOVE},
	};
	uint64_t sum_us = 0;
	struct vrrp_lateness lateness = {0};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = lateness.counts[rows[i].bucket];
		vrrp_lateness_note(&lateness, rows[i].late_us, MINUTE);
		sum_us += rows[i].late_us;
		CU_ASSERT_EQUAL(lateness.counts[rows[i].bucket], before + 1);
		CU_ASSERT_EQUAL(lateness.sum_us, sum_us);
	}
	CU_ASSERT_EQUAL(lateness.max_us, UINT32_MAX);
}

static void the_worst_is_forgotten_after_two_minutes(void)
{
	struct vrrp_lateness lateness = {0};
	uint64_t start = 7 * MINUTE;
	vrrp_lateness_note(&lateness, 900, start);
	vrrp_lateness_note(&lateness, 20, start + MINUTE - 1);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, start + MINUTE - 1), 900);
	vrrp_lateness_note(&lateness, 30, start + MINUTE);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, start + MINUTE), 900);
	vrrp_lateness_note(&lateness, 40, start + 2 * MINUTE);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, start + 2 * MINUTE), 40);
	CU_ASSERT_EQUAL(lateness.max_us, 900);
}

static void nothing_new_is_no_lateness(void)
{
	struct vrrp_lateness lateness = {0};
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, MINUTE), 0);
	vrrp_lateness_note(&lateness, 900, MINUTE);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, 3 * MINUTE - 1), 900);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, 3 * MINUTE), 0);
	vrrp_lateness_note(&lateness, 10, 9 * MINUTE);
	CU_ASSERT_EQUAL(vrrp_lateness_recent_us(&lateness, 9 * MINUTE), 10);
}

UNIT_MAIN("vrrp/lateness", UNIT(buckets_have_inclusive_upper_bounds),
    UNIT(the_worst_is_forgotten_after_two_minutes), UNIT(nothing_new_is_no_lateness))
