#include "vrrp/core/track.h"

#include <stddef.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MS(n)    ((uint64_t)(n)*US_PER_MS)

static const uint64_t now = 1000 * US_PER_SEC;

/* Results as + and -; what it is after each as u(nseen), g(ood), b(ad); where it says that it began
 * or ceased to fail, in capitals. */
static void rise_and_fall(void)
{
	static const struct {
		uint16_t rise, fall;
		const char *results, *sights;
	} table[] = {
	    {1, 1, "+-+-", "gBGB"},
	    {2, 3, "-", "B"}, /* the first decides */
	    {2, 3, "+", "g"},
	    {2, 3, "+--+---", "ggggggB"},
	    {2, 3, "-+-++", "BbbbG"},
	    {3, 2, "+--+-+++", "ggBbbbbG"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_tracked tracked = {.rise = table[i].rise, .fall = table[i].fall};
		CU_ASSERT_EQUAL(tracked.sight, VRRP_UNSEEN);
		for (size_t at = 0; table[i].results[at]; at++) {
			bool changed =
			    vrrp_tracked_result(&tracked, table[i].results[at] == '+', "x");
			char sight = tracked.sight == VRRP_GOOD ? 'g' : 'b';
			CU_ASSERT_EQUAL(changed ? sight - 'a' + 'A' : sight, table[i].sights[at]);
		}
	}
}

/* A single failure does not explain why it is good. */
static void the_reason_is_of_the_sight(void)
{
	struct vrrp_tracked tracked = {.rise = 2, .fall = 2};
	vrrp_tracked_result(&tracked, true, "answers");
	vrrp_tracked_result(&tracked, false, "silent");
	CU_ASSERT_STRING_EQUAL(tracked.why, "answers");
	vrrp_tracked_result(&tracked, false, "silent again");
	CU_ASSERT_STRING_EQUAL(tracked.why, "silent again");
	vrrp_tracked_result(&tracked, false, "unreachable");
	CU_ASSERT_STRING_EQUAL(tracked.why, "unreachable");
	char longer[2 * VRRP_TRACK_WHY_MAX];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	vrrp_tracked_result(&tracked, false, longer);
	CU_ASSERT_EQUAL(strlen(tracked.why), VRRP_TRACK_WHY_MAX - 1);
}

static void weights_add_up_and_a_fault_is_found(void)
{
	struct vrrp_tracked all[] = {
	    {.sight = VRRP_BAD, .weight = 20},
	    {.sight = VRRP_GOOD, .weight = 0},
	    {.sight = VRRP_UNSEEN, .weight = 0},
	    {.sight = VRRP_BAD, .weight = 254},
	    {.sight = VRRP_GOOD, .weight = 100},
	    {.sight = VRRP_BAD, .weight = 0},
	};
	CU_ASSERT_EQUAL(vrrp_tracked_weights(all, COUNT(all)), 274);
	CU_ASSERT_EQUAL(vrrp_tracked_fault(all, COUNT(all)), 5);
	CU_ASSERT_EQUAL(vrrp_tracked_fault(all, 5), 5);
	CU_ASSERT_EQUAL(vrrp_tracked_weights(NULL, 0), 0);
	CU_ASSERT_EQUAL(vrrp_tracked_fault(NULL, 0), 0);
}

static void the_effective_priority_stays_in_its_range(void)
{
	CU_ASSERT_EQUAL(vrrp_effective_priority(200, 0), 200);
	CU_ASSERT_EQUAL(vrrp_effective_priority(200, 50), 150);
	CU_ASSERT_EQUAL(vrrp_effective_priority(200, 199), 1);
	CU_ASSERT_EQUAL(vrrp_effective_priority(200, 200), 1);
	CU_ASSERT_EQUAL(vrrp_effective_priority(1, 0), 1);
	CU_ASSERT_EQUAL(vrrp_effective_priority(254, 8 * 4 * 254), 1);
	CU_ASSERT_EQUAL(vrrp_effective_priority(255, 254), 255);
}

static bool judge(struct vrrp_rival *rival, struct vrrp_standing theirs, struct vrrp_standing ours,
    uint64_t after_ms)
{
	return vrrp_rival_judge(rival, theirs, ours, MS(1500), now + MS(after_ms));
}

static void a_rival_in_trouble_is_relieved_when_it_lasts(void)
{
	static const struct {
		struct vrrp_standing theirs, ours;
		bool worse;
	} table[] = {
	    {{200, 200}, {150, 150}, false}, /* well */
	    {{200, 120}, {150, 150}, true},
	    {{200, 150}, {150, 150}, false}, /* still not better than it */
	    {{200, 100}, {150, 50}, false},  /* both of them have the same trouble */
	    {{150, 50}, {200, 100}, false},  /* so we do not return because of it either */
	    {{200, 50}, {150, 100}, true},   /* both have, but not the same */
	    {{100, 100}, {150, 150}, false}, /* well, if lower: that is for failback to decide */
	    {{100, 120}, {150, 150}, false}, {{200, 0}, {150, 150}, false}, /* it goes anyway */
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_rival rival = {0};
		CU_ASSERT_FALSE(judge(&rival, table[i].theirs, table[i].ours, 0));
		CU_ASSERT_FALSE(judge(&rival, table[i].theirs, table[i].ours, 1499));
		CU_ASSERT_EQUAL(
		    judge(&rival, table[i].theirs, table[i].ours, 1500), table[i].worse);
	}
	/* What is noticed at once is acted upon at once. */
	struct vrrp_rival rival = {0};
	CU_ASSERT_TRUE(vrrp_rival_judge(
	    &rival, (struct vrrp_standing){200, 120}, (struct vrrp_standing){150, 150}, 0, now));
}

/* Our own check comes later than the peer's and finds the same: before, there was no reason. */
static void what_both_have_moves_nothing(void)
{
	static const struct vrrp_standing theirs = {200, 100}, well = {190, 190}, ill = {190, 90};
	struct vrrp_rival rival = {0};
	CU_ASSERT_FALSE(judge(&rival, theirs, well, 0));
	CU_ASSERT_FALSE(judge(&rival, theirs, ill, 1400));
	CU_ASSERT_FALSE(judge(&rival, theirs, well, 1600));
	CU_ASSERT_FALSE(judge(&rival, theirs, well, 3000));
	CU_ASSERT_TRUE(judge(&rival, theirs, well, 3100));
}

UNIT_MAIN("vrrp/track", UNIT(rise_and_fall), UNIT(the_reason_is_of_the_sight),
    UNIT(weights_add_up_and_a_fault_is_found), UNIT(the_effective_priority_stays_in_its_range),
    UNIT(a_rival_in_trouble_is_relieved_when_it_lasts), UNIT(what_both_have_moves_nothing))
