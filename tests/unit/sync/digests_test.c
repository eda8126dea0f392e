/* Which buckets differ beyond doubt. */
#include "daemon/sync/digests.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint64_t ours[SESSION_BUCKETS], theirs[SESSION_BUCKETS];
static uint32_t list[SESSION_BUCKETS];
static struct digests digests;

static void start(void)
{
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		ours[i] = theirs[i] = i * 77;
	digests_reset(&digests);
}

static size_t compare_times(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		digests_compare(&digests, ours, theirs, 0);
		CU_ASSERT(digests_complete(&digests, 0));
	}
	return digests_take(&digests, list);
}

static void three_in_a_row(void)
{
	start();
	CU_ASSERT_EQUAL(compare_times(5), 0);
	CU_ASSERT(digests_equal(&digests));
	theirs[3] = theirs[SESSION_BUCKETS - 1] = 1;
	CU_ASSERT_EQUAL(compare_times(2), 0);
	CU_ASSERT_FALSE(digests_equal(&digests));
	ours[3] = 1; /* it was a matter of timing */
	CU_ASSERT_EQUAL(compare_times(1), 1);
	CU_ASSERT_EQUAL(list[0], SESSION_BUCKETS - 1);
	ours[3] = 0;
	CU_ASSERT_EQUAL(compare_times(2), 0); /* both begin anew */
	CU_ASSERT_EQUAL(compare_times(1), 2);
	ours[3] = ours[SESSION_BUCKETS - 1] = 1;
	CU_ASSERT_EQUAL(compare_times(1), 0);
	CU_ASSERT(digests_equal(&digests));
}

static void changes_on_the_way_prove_nothing(void)
{
	start();
	theirs[3] = theirs[4] = 1;
	for (unsigned i = 0; i < 3; i++) {
		digests_compare(&digests, ours, theirs, 100);
		CU_ASSERT_FALSE(digests_complete(&digests, 99));
		digests_touch(&digests, 3);
		CU_ASSERT(digests_complete(&digests, 101));
		CU_ASSERT_FALSE(digests_complete(&digests, 102)); /* once */
		digests_touch(&digests, 4);                       /* too late to count */
	}
	CU_ASSERT_EQUAL(digests_take(&digests, list), 1);
	CU_ASSERT_EQUAL(list[0], 4);
}

/* A bucket that is always in motion was never compared. */
static void what_was_never_compared_is_not_equal(void)
{
	start();
	for (unsigned i = 0; i < 5; i++) {
		digests_compare(&digests, ours, theirs, 100);
		digests_touch(&digests, 3);
		CU_ASSERT(digests_complete(&digests, 100));
		CU_ASSERT_FALSE(digests_equal(&digests));
	}
	CU_ASSERT_EQUAL(compare_times(1), 0);
	CU_ASSERT(digests_equal(&digests));
}

/* Nor does a change on the way prove that what differed is equal now. */
static void a_change_in_between_ends_no_row(void)
{
	start();
	theirs[3] = 1;
	for (unsigned i = 0; i < 5; i++) {
		digests_compare(&digests, ours, theirs, 100);
		if (i % 2 == 1)
			digests_touch(&digests, 3);
		CU_ASSERT(digests_complete(&digests, 100));
		CU_ASSERT_FALSE(digests_equal(&digests));
		CU_ASSERT_EQUAL(digests_take(&digests, list), i == 4);
	}
	CU_ASSERT_FALSE(digests_equal(&digests));
}

/* The next one comes before the records that the last one waits for. */
static void a_comparison_that_was_not_completed(void)
{
	start();
	theirs[3] = 1;
	digests_compare(&digests, ours, theirs, 100);
	theirs[3] = ours[3];
	digests_compare(&digests, ours, theirs, 200);
	CU_ASSERT_FALSE(digests_complete(&digests, 100));
	CU_ASSERT(digests_complete(&digests, 200));
	CU_ASSERT(digests_equal(&digests));
}

UNIT_MAIN("sync/digests", UNIT(three_in_a_row), UNIT(changes_on_the_way_prove_nothing),
    UNIT(what_was_never_compared_is_not_equal), UNIT(a_change_in_between_ends_no_row),
    UNIT(a_comparison_that_was_not_completed))
