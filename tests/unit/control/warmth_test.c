/* Does a start wait for the peer? */
#include "daemon/control/warmth.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define T0      (7 * US_PER_SEC)
#define TIMEOUT (5 * US_PER_SEC)

static struct sync_status untried(void)
{
	return (struct sync_status){.peer = "node1",
	    .reason = "the reason",
	    .state = SYNC_DISCONNECTED,
	    .reach = SYNC_UNTRIED};
}

static struct sync_status told(enum sync_state state, bool peer_active)
{
	struct sync_status status = untried();
	status.state = state;
	status.reach = SYNC_ANSWERS;
	status.peer_active = peer_active;
	return status;
}

/* The first status of its kind ends it, or none. */
static void what_ends_it_at_once(void)
{
	struct sync_status refused = untried(), answers = untried(), mute = untried();
	mute.reach = SYNC_MUTE;
	refused.reach = SYNC_REFUSES;
	answers.reach = SYNC_ANSWERS;
	struct sync_status gives = told(SYNC_SNAPSHOT, false);
	gives.peer_gives = true;
	const struct {
		struct sync_status status;
		const char *why; /* NULL: it goes on */
	} cases[] = {
	    {untried(), NULL},
	    {answers, NULL},
	    {told(SYNC_SNAPSHOT, true), NULL},
	    {gives, NULL},
	    {told(SYNC_SNAPSHOT, false), "node1 is not Active either"},
	    {told(SYNC_IN_SYNC, true), "it has the sessions of node1"},
	    {told(SYNC_IN_SYNC, false), "it has the sessions of node1"},
	    {refused, "the reason"},
	    {mute, "without the sessions of node1, which does not answer (the reason)"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct warmth warmth;
		struct err why = {""};
		warmth_begin(&warmth, TIMEOUT, T0);
		bool over = warmth_step(&warmth, &cases[i].status, T0 + 1000, &why);
		CU_ASSERT_EQUAL(over, cases[i].why != NULL);
		CU_ASSERT_EQUAL(warmth.waiting, !over);
		CU_ASSERT(!cases[i].why || strstr(why.text, cases[i].why));
		/* It is over once. */
		CU_ASSERT_FALSE(over && warmth_step(&warmth, &cases[i].status, T0 + 2000, &why));
	}
}

/* A peer that is there, but never gets to the end. */
static void time_is_limited(void)
{
	struct sync_status endless[] = {untried(), untried(), told(SYNC_SNAPSHOT, true)};
	endless[1].reach = SYNC_ANSWERS;
	for (size_t i = 0; i < 3; i++) {
		struct warmth warmth;
		struct err why;
		warmth_begin(&warmth, TIMEOUT, T0);
		for (uint64_t at_us = 0; at_us < TIMEOUT; at_us += 100000)
			CU_ASSERT_FALSE(warmth_step(&warmth, &endless[i], T0 + at_us, &why));
		CU_ASSERT_TRUE(warmth_step(&warmth, &endless[i], T0 + TIMEOUT, &why));
		CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "time is up (the reason)"));
	}
	struct warmth none;
	struct err why;
	warmth_begin(&none, 0, T0);
	CU_ASSERT_FALSE(none.waiting);
	CU_ASSERT_FALSE(warmth_step(&none, &endless[0], T0 + TIMEOUT, &why));
}

static void says_how_long(void)
{
	struct warmth warmth;
	char text[WARMTH_TEXT_MAX];
	warmth_begin(&warmth, TIMEOUT, T0);
	warmth_text(&warmth, "node1", T0 + 512700, text);
	CU_ASSERT_STRING_EQUAL(text, "waiting for the sessions of node1: 512 ms of 5 s");
	warmth_begin(&warmth, 1500000, T0);
	warmth_text(&warmth, "node1", T0, text);
	CU_ASSERT_STRING_EQUAL(text, "waiting for the sessions of node1: 0 ms of 1.5 s");
	warmth.waiting = false;
	warmth_text(&warmth, "node1", T0, text);
	CU_ASSERT_STRING_EQUAL(text, "");
}

UNIT_MAIN("control/warmth", UNIT(what_ends_it_at_once), UNIT(time_is_limited), UNIT(says_how_long))
