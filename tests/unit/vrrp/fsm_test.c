#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"
#include "vrrp/core/fence.h"
#include "vrrp/core/fsm.h"
#include "vrrp/core/packet.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MS(n)    ((uint64_t)(n)*US_PER_MS)

#define SETTLE  (VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE)
#define DROP    (VRRP_DO_REMOVE_VIP | VRRP_DO_RELEASE)
#define LEAVE   (DROP | VRRP_DO_SEND_LEAVING)
#define ASSERT  (VRRP_DO_SEND_ADVERT | VRRP_DO_ANNOUNCE)
#define CONCEDE (DROP | VRRP_DO_SEND_ADVERT)

static const uint64_t now = 1000 * US_PER_SEC;

static struct vrrp_fsm fsm_in(enum vrrp_state state)
{
	struct vrrp_fsm fsm;
	vrrp_fsm_init(&fsm, 200, 100000, now);
	fsm.state = state;
	fsm.active_interval_us = 300000; /* learned */
	fsm.timer_us = state == VRRP_INITIALIZE || state == VRRP_FAULT ? VRRP_NEVER : now;
	fsm.evident_us = now - MS(100);
	fsm.trusted_us = fsm.evident_us + 965625; /* Active_Down_Interval */
	fsm.overdue = true;
	return fsm;
}

/* A Backup that has just begun to listen. */
static struct vrrp_fsm started(uint8_t priority, uint32_t interval_us)
{
	struct vrrp_fsm fsm;
	vrrp_fsm_init(&fsm, priority, interval_us, now);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_STARTUP, now), 0);
	return fsm;
}

/* In a loop that was never late. */
static unsigned timer(struct vrrp_fsm *fsm, uint64_t now_us)
{
	fsm->awake_us = now_us;
	return vrrp_fsm_step(fsm, VRRP_EV_TIMER, now_us);
}

/* Active since now, with a lease. */
static struct vrrp_fsm acquired(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(timer(&fsm, now), VRRP_DO_ACQUIRE);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_ACQUIRED, now), SETTLE);
	return fsm;
}

/* From the end of its patience to being Active, the kernel permitting. */
static void promote(struct vrrp_fsm *fsm)
{
	uint64_t due = fsm->timer_us;
	CU_ASSERT_EQUAL(timer(fsm, due - MS(10)), VRRP_DO_SEND_CLAIM);
	due = fsm->timer_us;
	CU_ASSERT_EQUAL(timer(fsm, due), VRRP_DO_ACQUIRE);
	CU_ASSERT_EQUAL(vrrp_fsm_step(fsm, VRRP_EV_ACQUIRED, due), SETTLE);
	CU_ASSERT_EQUAL(fsm->state, VRRP_ACTIVE);
	CU_ASSERT_EQUAL(fsm->timer_us, due + fsm->interval_us);
}

/* The cells in which something happens. Timer: µs from now; KEEP: as it was. */
#define KEEP  UINT64_MAX
#define NEVER (UINT64_MAX - 1)
static const struct row {
	enum vrrp_state state;
	enum vrrp_event event;
	enum vrrp_state next;
	unsigned actions;
	uint64_t timer;
} rows[] = {
    {VRRP_INITIALIZE, VRRP_EV_STARTUP, VRRP_BACKUP, 0, 321875},
    {VRRP_INITIALIZE, VRRP_EV_FAULT, VRRP_FAULT, 0, NEVER},
    {VRRP_BACKUP, VRRP_EV_SHUTDOWN, VRRP_INITIALIZE, 0, NEVER},
    {VRRP_BACKUP, VRRP_EV_TIMER, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, 10000},
    {VRRP_BACKUP, VRRP_EV_CLAIM_DUE, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, 10000},
    {VRRP_BACKUP, VRRP_EV_CLAIM_BETTER, VRRP_BACKUP, 0, 997625},
    {VRRP_BACKUP, VRRP_EV_CLAIM_PREEMPTS, VRRP_BACKUP, 0, 997625},
    {VRRP_BACKUP, VRRP_EV_ADVERT_LEAVING, VRRP_BACKUP, 0, 65625},
    {VRRP_BACKUP, VRRP_EV_ADVERT_INCUMBENT, VRRP_BACKUP, 0, 965625},
    {VRRP_BACKUP, VRRP_EV_ADVERT_EQUAL_LOWER, VRRP_BACKUP, 0, 965625},
    {VRRP_BACKUP, VRRP_EV_ADVERT_EQUAL_HIGHER, VRRP_BACKUP, 0, 965625},
    {VRRP_BACKUP, VRRP_EV_ADVERT_HIGHER, VRRP_BACKUP, 0, 965625},
    {VRRP_BACKUP, VRRP_EV_EVIDENCE_WORSE, VRRP_BACKUP, 0, 865625},
    {VRRP_BACKUP, VRRP_EV_EVIDENCE_BETTER, VRRP_BACKUP, 0, 865625},
    {VRRP_BACKUP, VRRP_EV_HANDOVER, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, 10000},
    {VRRP_BACKUP, VRRP_EV_FAULT, VRRP_FAULT, 0, NEVER},
    {VRRP_BACKUP, VRRP_EV_STALLED, VRRP_BACKUP, 0, 965625},
    {VRRP_BACKUP, VRRP_EV_HELD, VRRP_BACKUP, 0, 85000},
    {VRRP_CLAIMANT, VRRP_EV_HELD, VRRP_BACKUP, VRRP_DO_RELEASE, 85000},
    {VRRP_CLAIMANT, VRRP_EV_SHUTDOWN, VRRP_INITIALIZE, VRRP_DO_RELEASE, NEVER},
    {VRRP_CLAIMANT, VRRP_EV_TIMER, VRRP_CLAIMANT, VRRP_DO_ACQUIRE, KEEP},
    {VRRP_CLAIMANT, VRRP_EV_CLAIM_DUE, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, KEEP},
    {VRRP_CLAIMANT, VRRP_EV_ACQUIRED, VRRP_ACTIVE, SETTLE, 100000},
    {VRRP_CLAIMANT, VRRP_EV_REFUSED, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, 10000},
    {VRRP_CLAIMANT, VRRP_EV_ADVERT_LOWER, VRRP_CLAIMANT, 0, 965625},
    {VRRP_CLAIMANT, VRRP_EV_ADVERT_INCUMBENT, VRRP_BACKUP, VRRP_DO_RELEASE, 965625},
    {VRRP_CLAIMANT, VRRP_EV_ADVERT_EQUAL_LOWER, VRRP_BACKUP, VRRP_DO_RELEASE, 965625},
    {VRRP_CLAIMANT, VRRP_EV_ADVERT_EQUAL_HIGHER, VRRP_BACKUP, VRRP_DO_RELEASE, 965625},
    {VRRP_CLAIMANT, VRRP_EV_ADVERT_HIGHER, VRRP_BACKUP, VRRP_DO_RELEASE, 965625},
    {VRRP_CLAIMANT, VRRP_EV_CLAIM_WORSE, VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, 32000},
    {VRRP_CLAIMANT, VRRP_EV_CLAIM_BETTER, VRRP_BACKUP, VRRP_DO_RELEASE, 997625},
    {VRRP_CLAIMANT, VRRP_EV_CLAIM_PREEMPTS, VRRP_BACKUP, VRRP_DO_RELEASE, 997625},
    {VRRP_CLAIMANT, VRRP_EV_EVIDENCE_WORSE, VRRP_BACKUP, VRRP_DO_RELEASE, 865625},
    {VRRP_CLAIMANT, VRRP_EV_EVIDENCE_BETTER, VRRP_BACKUP, VRRP_DO_RELEASE, 865625},
    {VRRP_CLAIMANT, VRRP_EV_FAULT, VRRP_FAULT, VRRP_DO_RELEASE, NEVER},
    {VRRP_CLAIMANT, VRRP_EV_HALTED, VRRP_CLAIMANT, 0, 10000},
    {VRRP_CLAIMANT, VRRP_EV_STALLED, VRRP_BACKUP, 0, 965625},
    {VRRP_ACTIVE, VRRP_EV_REFUSED, VRRP_BACKUP, DROP, 965625},
    {VRRP_ACTIVE, VRRP_EV_LAPSED, VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, 10000},
    {VRRP_ACTIVE, VRRP_EV_EVIDENCE_WORSE, VRRP_ACTIVE, ASSERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_EVIDENCE_BETTER, VRRP_BACKUP, LEAVE, 865625},
    {VRRP_ACTIVE, VRRP_EV_CLAIM_WORSE, VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_CLAIM_BETTER, VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_CLAIM_PREEMPTS, VRRP_BACKUP, LEAVE, 965625},
    {VRRP_ACTIVE, VRRP_EV_SHUTDOWN, VRRP_INITIALIZE, LEAVE, NEVER},
    {VRRP_ACTIVE, VRRP_EV_TIMER, VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, 100000},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_LEAVING, VRRP_ACTIVE, ASSERT, 100000},
    {VRRP_ACTIVE, VRRP_EV_HANDOVER, VRRP_ACTIVE, ASSERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_LOWER, VRRP_ACTIVE, ASSERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_INCUMBENT, VRRP_BACKUP, DROP, 965625},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_EQUAL_LOWER, VRRP_ACTIVE, ASSERT, KEEP},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_EQUAL_HIGHER, VRRP_BACKUP, CONCEDE, 965625},
    {VRRP_ACTIVE, VRRP_EV_ADVERT_HIGHER, VRRP_BACKUP, CONCEDE, 965625},
    {VRRP_ACTIVE, VRRP_EV_RESIGN, VRRP_BACKUP, LEAVE, 500000},
    {VRRP_ACTIVE, VRRP_EV_FAULT, VRRP_FAULT, LEAVE, NEVER},
    {VRRP_ACTIVE, VRRP_EV_RECHECKED, VRRP_ACTIVE, VRRP_DO_SEND_ADVERT | SETTLE, 100000},
    {VRRP_RECLAIMANT, VRRP_EV_SHUTDOWN, VRRP_INITIALIZE, LEAVE, NEVER},
    {VRRP_RECLAIMANT, VRRP_EV_TIMER, VRRP_RECLAIMANT, VRRP_DO_ACQUIRE, KEEP},
    {VRRP_RECLAIMANT, VRRP_EV_CLAIM_DUE, VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, KEEP},
    {VRRP_RECLAIMANT, VRRP_EV_ACQUIRED, VRRP_ACTIVE, SETTLE, 100000},
    {VRRP_RECLAIMANT, VRRP_EV_REFUSED, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_ADVERT_LOWER, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_ADVERT_INCUMBENT, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_ADVERT_EQUAL_LOWER, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_ADVERT_EQUAL_HIGHER, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_ADVERT_HIGHER, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_RESIGN, VRRP_BACKUP, LEAVE, 500000},
    {VRRP_RECLAIMANT, VRRP_EV_FAULT, VRRP_FAULT, LEAVE, NEVER},
    {VRRP_RECLAIMANT, VRRP_EV_HALTED, VRRP_RECLAIMANT, 0, 10000},
    {VRRP_RECLAIMANT, VRRP_EV_RECHECKED, VRRP_BACKUP, DROP, 965625},
    {VRRP_RECLAIMANT, VRRP_EV_CLAIM_WORSE, VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, 32000},
    {VRRP_RECLAIMANT, VRRP_EV_CLAIM_BETTER, VRRP_BACKUP, DROP, 997625},
    {VRRP_RECLAIMANT, VRRP_EV_CLAIM_PREEMPTS, VRRP_BACKUP, DROP, 997625},
    {VRRP_RECLAIMANT, VRRP_EV_EVIDENCE_WORSE, VRRP_BACKUP, DROP, 865625},
    {VRRP_RECLAIMANT, VRRP_EV_EVIDENCE_BETTER, VRRP_BACKUP, DROP, 865625},
    {VRRP_FAULT, VRRP_EV_SHUTDOWN, VRRP_INITIALIZE, 0, NEVER},
    {VRRP_FAULT, VRRP_EV_RECOVERED, VRRP_BACKUP, 0, 321875},
};

static struct row expected_row(enum vrrp_state state, enum vrrp_event event)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].state == state && rows[i].event == event)
			return rows[i];
	}
	return (struct row){state, event, state, 0, KEEP};
}

static void every_cell_does_what_the_table_says(void)
{
	for (unsigned s = 0; s < VRRP_STATE_COUNT; s++) {
		for (unsigned e = 0; e < VRRP_EVENT_COUNT; e++) {
			struct row row = expected_row((enum vrrp_state)s, (enum vrrp_event)e);
			struct vrrp_fsm fsm = fsm_in(row.state);
			uint64_t timer = row.timer == KEEP    ? fsm.timer_us
					 : row.timer == NEVER ? VRRP_NEVER
							      : now + row.timer;
			unsigned actions = vrrp_fsm_step(&fsm, row.event, now);
			if (fsm.state != row.next || actions != row.actions ||
			    fsm.timer_us != timer)
				printf("\n%s x %s: %s, actions %x, timer %+lld",
				    vrrp_state_name(row.state), vrrp_event_name(row.event),
				    vrrp_state_name(fsm.state), actions,
				    (long long)(fsm.timer_us - now));
			CU_ASSERT_EQUAL(fsm.state, row.next);
			CU_ASSERT_EQUAL(actions, row.actions);
			CU_ASSERT_EQUAL(fsm.timer_us, timer);
		}
	}
}

/* The order in which the shell performs them is part of the contract. */
static void leaving_removes_before_it_tells_and_taking_tells_before_it_adds(void)
{
	CU_ASSERT(VRRP_DO_REMOVE_VIP < VRRP_DO_SEND_ADVERT);
	CU_ASSERT(VRRP_DO_SEND_ADVERT < VRRP_DO_RELEASE); /* the last, losing one needs the lease */
	CU_ASSERT(VRRP_DO_RELEASE < VRRP_DO_SEND_LEAVING);
	CU_ASSERT(VRRP_DO_SEND_CLAIM < VRRP_DO_OVERRIDE);
	CU_ASSERT(VRRP_DO_OVERRIDE < VRRP_DO_ACQUIRE);
	CU_ASSERT(VRRP_DO_ACQUIRE < VRRP_DO_ADD_VIP);
	CU_ASSERT(VRRP_DO_ADD_VIP < VRRP_DO_ANNOUNCE);
}

static void timers_follow_the_rfc(void)
{
	static const struct {
		uint32_t interval_cs;
		uint8_t priority;
		uint64_t skew_us, down_us;
	} table[] = {
	    {100, 100, 609375, 3609375},
	    {100, 200, 218750, 3218750},
	    {100, 254, 7812, 3007812},
	    {100, 1, 996093, 3996093},
	    {10, 200, 21875, 321875},
	    {10, 254, 781, 300781},
	    {3, 254, 234, 90234},
	    {1, 1, 9960, 39960},
	    {4095, 1, 40790039, 163640039},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_fsm fsm = started(table[i].priority, table[i].interval_cs * 10000);
		CU_ASSERT_EQUAL(vrrp_fsm_skew_us(&fsm), table[i].skew_us);
		CU_ASSERT_EQUAL(vrrp_fsm_active_down_us(&fsm), table[i].down_us);
		uint64_t due = now + table[i].down_us;
		CU_ASSERT_EQUAL(fsm.timer_us, due);
		uint64_t claim = due - vrrp_claim_us(table[i].interval_cs * 10000);
		CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now + table[i].interval_cs * 2500);
		CU_ASSERT_EQUAL(timer(&fsm, claim - 1), 0);
		CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
		CU_ASSERT_EQUAL(timer(&fsm, claim), VRRP_DO_SEND_CLAIM);
		CU_ASSERT_EQUAL(fsm.state, VRRP_CLAIMANT);
		CU_ASSERT(timer(&fsm, due - 1) != VRRP_DO_ACQUIRE);
		CU_ASSERT_EQUAL(timer(&fsm, due), VRRP_DO_ACQUIRE);
		CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_ACQUIRED, due), SETTLE);
		CU_ASSERT_EQUAL(fsm.state, VRRP_ACTIVE);
		CU_ASSERT_EQUAL(fsm.timer_us, due + table[i].interval_cs * 10000);
	}
}

/* But for its claim. */
static void owner_does_not_wait(void)
{
	struct vrrp_fsm fsm = started(255, 1000000);
	CU_ASSERT_EQUAL(timer(&fsm, now), VRRP_DO_SEND_CLAIM);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
}

/* Every beat, and once: what the network loses of one is in the next. */
static void a_claim_is_repeated_and_costs_no_time(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.timer_us = now + MS(10);
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now);
	unsigned claims = 0;
	for (uint64_t t = now; t < now + MS(10); t = vrrp_fsm_wake_us(&fsm))
		claims += timer(&fsm, t) == VRRP_DO_SEND_CLAIM;
	CU_ASSERT_EQUAL(claims, 5);
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now + MS(10));
	CU_ASSERT_EQUAL(timer(&fsm, now + MS(10)), VRRP_DO_ACQUIRE);
}

/* A loop that comes late claims for the whole time; and where Skew_Time is shorter. */
static void a_claim_is_never_cut_short(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	timer(&fsm, now + MS(3));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(13));
	fsm = fsm_in(VRRP_BACKUP);
	fsm.priority = 254;
	vrrp_fsm_advert(&fsm, 0, 1, 100000, now);
	CU_ASSERT(fsm.timer_us < now + MS(10));
	timer(&fsm, now);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
}

static void claims_are_classified(void)
{
	static const struct {
		enum vrrp_state state;
		uint8_t priority;
		int order;
		uint8_t flags;
		enum vrrp_event expected;
	} table[] = {
	    {VRRP_ACTIVE, 199, 1, 0, VRRP_EV_CLAIM_WORSE},
	    {VRRP_ACTIVE, 199, 1, VRRP_CLAIM_PREEMPTS, VRRP_EV_CLAIM_WORSE},
	    {VRRP_ACTIVE, 200, -1, VRRP_CLAIM_PREEMPTS, VRRP_EV_CLAIM_WORSE},
	    {VRRP_ACTIVE, 200, 1, 0, VRRP_EV_CLAIM_BETTER},
	    {VRRP_ACTIVE, 200, 1, VRRP_CLAIM_PREEMPTS, VRRP_EV_CLAIM_BETTER}, /* an equal */
	    {VRRP_ACTIVE, 201, -1, 0, VRRP_EV_CLAIM_BETTER},
	    {VRRP_ACTIVE, 201, -1, VRRP_CLAIM_PREEMPTS, VRRP_EV_CLAIM_PREEMPTS},
	    {VRRP_CLAIMANT, 100, -1, VRRP_CLAIM_INCUMBENT, VRRP_EV_CLAIM_BETTER},
	    {VRRP_RECLAIMANT, 201, 1, VRRP_CLAIM_PREEMPTS, VRRP_EV_CLAIM_WORSE},
	    {VRRP_RECLAIMANT, 199, 1, VRRP_CLAIM_INCUMBENT, VRRP_EV_CLAIM_WORSE},
	    {VRRP_RECLAIMANT, 200, 1, VRRP_CLAIM_INCUMBENT, VRRP_EV_CLAIM_BETTER},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_fsm fsm = fsm_in(table[i].state);
		CU_ASSERT_EQUAL(vrrp_fsm_classify_claim(
				    &fsm, table[i].priority, table[i].order, table[i].flags),
		    table[i].expected);
	}
}

static void a_claim_says_what_we_are(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(vrrp_fsm_claim_flags(&fsm), 0);
	fsm.preempt = true;
	CU_ASSERT_EQUAL(vrrp_fsm_claim_flags(&fsm), VRRP_CLAIM_PREEMPTS);
	fsm.state = VRRP_RECLAIMANT;
	CU_ASSERT_EQUAL(vrrp_fsm_claim_flags(&fsm), VRRP_CLAIM_PREEMPTS | VRRP_CLAIM_INCUMBENT);
}

/* An advert that is late by less than the peer's patience, and one by more. */
static void only_who_was_silent_for_a_short_time_claims_back(void)
{
	for (int late_ms = 200; late_ms <= 201; late_ms++) {
		struct vrrp_fsm fsm = acquired();
		uint64_t then = fsm.timer_us + MS(late_ms);
		CU_ASSERT_EQUAL(timer(&fsm, then), VRRP_DO_SEND_ADVERT);
		unsigned actions = vrrp_fsm_step(&fsm, VRRP_EV_REFUSED, then);
		if (late_ms > 200) {
			CU_ASSERT_EQUAL(actions, DROP);
			CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
			continue;
		}
		CU_ASSERT_EQUAL(actions, VRRP_DO_SEND_CLAIM);
		CU_ASSERT_EQUAL(fsm.state, VRRP_RECLAIMANT);
		CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), then + MS(2));
		CU_ASSERT_EQUAL(timer(&fsm, then + MS(2)), VRRP_DO_SEND_CLAIM);
		CU_ASSERT_EQUAL(timer(&fsm, then + MS(10)), VRRP_DO_ACQUIRE);
	}
}

static void claimants_are_nothing_else_to_others(void)
{
	CU_ASSERT_EQUAL(vrrp_state_outside(VRRP_CLAIMANT), VRRP_BACKUP);
	CU_ASSERT_EQUAL(vrrp_state_outside(VRRP_RECLAIMANT), VRRP_ACTIVE);
	CU_ASSERT_EQUAL(vrrp_state_outside(VRRP_FAULT), VRRP_FAULT);
}

static void evidence_is_classified(void)
{
	static const struct {
		uint8_t priority;
		int order;
		uint64_t age_ms, quiet_ms; /* since when no advert is heard */
		enum vrrp_event expected;
	} table[] = {
	    {201, -1, 0, 2000, VRRP_EV_EVIDENCE_BETTER},
	    {200, 1, 0, 2000, VRRP_EV_EVIDENCE_BETTER},
	    {200, -1, 0, 2000, VRRP_EV_EVIDENCE_WORSE},
	    {199, 1, 0, 2000, VRRP_EV_EVIDENCE_WORSE},
	    {201, 1, 0, 451, VRRP_EV_EVIDENCE_BETTER}, /* 1.5 intervals of 300 ms */
	    {201, 1, 0, 450, VRRP_EV_EVIDENCE_VOID},
	    {201, 1, 551, 1000, VRRP_EV_EVIDENCE_VOID},   /* adverts were heard at that time */
	    {201, 1, 955, 5000, VRRP_EV_EVIDENCE_BETTER}, /* Active_Down 965 ms, less the claim */
	    {201, 1, 956, 5000, VRRP_EV_EVIDENCE_VOID},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
		fsm.quiet_us = now - MS(table[i].quiet_ms);
		CU_ASSERT_EQUAL(vrrp_fsm_classify_evidence(&fsm, table[i].priority, table[i].order,
				    MS(table[i].age_ms), now),
		    table[i].expected);
	}
}

/* As if an advert had come when it was said, which only ever makes the wait longer. */
static void evidence_restarts_the_patience(void)
{
	struct vrrp_fsm fsm = started(200, 100000);
	vrrp_fsm_advert(&fsm, 150, 1, 100000, now);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 150, 1, 0, now + MS(100)), 0);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 321875);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 150, 1, MS(20), now + MS(200)), 0);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(180) + 321875);
	vrrp_fsm_evidence(&fsm, 150, 1, MS(40), now + MS(201)); /* says less */
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(180) + 321875);
	CU_ASSERT_EQUAL(timer(&fsm, now + MS(495)), VRRP_DO_SEND_CLAIM);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 150, 1, MS(5), now + MS(500)), VRRP_DO_RELEASE);
	CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(495) + 321875);
}

/* At 10 ms a busy peer may need longer for its answer than for many adverts. */
static void evidence_is_good_for_a_slow_answer(void)
{
	struct vrrp_fsm fsm = started(150, 10000);
	vrrp_fsm_advert(&fsm, 200, 1, 10000, now);
	vrrp_fsm_awake(&fsm, now + MS(16));
	vrrp_fsm_evidence(&fsm, 200, 1, 0, now + MS(16));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(216));
	vrrp_fsm_evidence(&fsm, 200, 1, MS(197), now + MS(214)); /* W is 2.5 ms */
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(217));
	vrrp_fsm_evidence(&fsm, 200, 1, MS(198), now + MS(216));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(217));
	CU_ASSERT(vrrp_fsm_awake(&fsm, now + MS(30))); /* a stall makes nobody impatient */
	vrrp_fsm_recheck(&fsm, now + MS(30));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(217));
	/* It lives by adverts again. */
	vrrp_fsm_advert(&fsm, 200, 1, 10000, now + MS(40));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(40) + 34140);
	vrrp_fsm_evidence(&fsm, 200, 1, MS(5), now + MS(50));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(40) + 34140);
}

static void who_is_preempted_must_answer_soon(void)
{
	struct vrrp_fsm fsm = started(200, 10000);
	fsm.preempt = true;
	vrrp_fsm_evidence(&fsm, 150, -1, 0, now + MS(16));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(16) + 32187);
	vrrp_fsm_evidence(&fsm, 200, -1, 0, now + MS(17));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(217));
}

/* What was on its way when the peer resigned. */
static void late_evidence_does_not_stop_a_handover(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_HANDOVER, now), VRRP_DO_SEND_CLAIM);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 150, 1, 0, now + MS(1)), 0);
	CU_ASSERT_EQUAL(fsm.state, VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
	/* The peer's priority 0, on the other path, adds nothing. */
	vrrp_fsm_advert(&fsm, 0, 1, 100000, now + MS(2));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_HANDOVER, now + MS(3)), 0);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
	CU_ASSERT_EQUAL(timer(&fsm, now + MS(10)), VRRP_DO_ACQUIRE);
}

static void an_active_does_not_believe_what_is_older_than_its_lease(void)
{
	struct vrrp_fsm fsm = acquired();
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 250, 1, MS(51), now + MS(500)), 0);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 150, 1, MS(49), now + MS(500)), ASSERT);
	CU_ASSERT_EQUAL(fsm.state, VRRP_ACTIVE);
	CU_ASSERT_EQUAL(vrrp_fsm_evidence(&fsm, 250, 1, MS(49), now + MS(500)), LEAVE);
	CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
}

/* An Active that answers a claim by adverts and does not yield knows no claims. One that is silent
 * may be stopped while its lease is alive: its silence never overrides it. */
static void only_who_goes_on_speaking_is_overridden(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.preempt = true;
	timer(&fsm, now);
	for (uint64_t t = now + MS(10); t < now + MS(100); t += MS(10)) {
		CU_ASSERT_EQUAL(timer(&fsm, t), VRRP_DO_ACQUIRE);
		vrrp_fsm_step(&fsm, VRRP_EV_REFUSED, t);
	}
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(timer(&fsm, fsm.timer_us), VRRP_DO_ACQUIRE);
		vrrp_fsm_step(&fsm, VRRP_EV_REFUSED, fsm.timer_us);
		vrrp_fsm_advert(&fsm, 100, -1, 100000, fsm.timer_us);
	}
	CU_ASSERT_EQUAL(timer(&fsm, fsm.timer_us), VRRP_DO_OVERRIDE | VRRP_DO_ACQUIRE);
	/* Forgotten with the claim. */
	vrrp_fsm_advert(&fsm, 250, 1, 100000, fsm.timer_us);
	CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
	timer(&fsm, fsm.timer_us);
	CU_ASSERT_EQUAL(timer(&fsm, fsm.timer_us), VRRP_DO_ACQUIRE);
}

/* A yoke yields to a claim: if it goes on, ours do not arrive. */
static void a_yoke_is_not_overridden(void)
{
	static const enum vrrp_event signs[] = {
	    VRRP_EV_CLAIM_WORSE, VRRP_EV_EVIDENCE_VOID, VRRP_EV_HANDOVER};
	for (size_t i = 0; i < COUNT(signs); i++) {
		struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
		fsm.preempt = true;
		vrrp_fsm_step(&fsm, signs[i], now);
		timer(&fsm, now);
		for (uint64_t t = now; t < now + MS(3000); t += MS(100)) {
			CU_ASSERT_NOT_EQUAL(timer(&fsm, t) & VRRP_DO_ACQUIRE, VRRP_DO_ACQUIRE);
			vrrp_fsm_advert(&fsm, 100, -1, 100000, t);
		}
	}
}

/* Who did not run for as long as a claim lasts may have missed the whole claim of another. */
static void a_claim_that_was_interrupted_begins_anew(void)
{
	for (int late_ms = 10; late_ms <= 11; late_ms++) {
		struct vrrp_fsm fsm = started(200, 100000);
		vrrp_fsm_step(&fsm, VRRP_EV_HANDOVER, now);
		uint64_t then = now + MS(late_ms);
		CU_ASSERT_FALSE(vrrp_fsm_awake(&fsm, then));
		unsigned actions = timer(&fsm, then);
		CU_ASSERT_EQUAL(actions, late_ms > 10 ? VRRP_DO_SEND_CLAIM : VRRP_DO_ACQUIRE);
		CU_ASSERT_EQUAL(fsm.timer_us, late_ms > 10 ? then + MS(10) : then);
	}
	/* The process was stopped after it had read the queue. */
	struct vrrp_fsm stopped = fsm_in(VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&stopped, VRRP_EV_TIMER, now + MS(11)), 0);
	CU_ASSERT_EQUAL(stopped.timer_us, now + MS(21));
	/* Where an Active is to yield or to die first, it stays so. */
	struct vrrp_fsm fsm = fsm_in(VRRP_CLAIMANT);
	fsm.timer_us = now + MS(900);
	vrrp_fsm_awake(&fsm, now + MS(50));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(900));
}

/* It yields at our claim, or it dies: then we wait as for any Active. */
static void an_active_that_we_preempt_gets_its_time(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.preempt = true;
	vrrp_fsm_advert(&fsm, 100, -1, 100000, now);
	timer(&fsm, now);
	CU_ASSERT_EQUAL(fsm.state, VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(300) + vrrp_fsm_skew_us(&fsm));
	vrrp_fsm_advert(&fsm, 0, -1, 100000, now + MS(1));
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(11));
}

static void holding_back_never_shortens_the_wait(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.timer_us = now + MS(1200);
	vrrp_fsm_step(&fsm, VRRP_EV_CLAIM_BETTER, now);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(1200));
}

static void adverts_are_classified(void)
{
	static const struct {
		enum vrrp_state state;
		bool preempt, doubtful;
		uint8_t priority;
		int order;
		enum vrrp_event expected;
	} table[] = {
	    {VRRP_BACKUP, false, false, 0, 1, VRRP_EV_ADVERT_LEAVING},
	    {VRRP_BACKUP, false, false, 199, 1, VRRP_EV_ADVERT_INCUMBENT},
	    {VRRP_BACKUP, true, false, 199, 1, VRRP_EV_ADVERT_LOWER},
	    {VRRP_BACKUP, true, false, 200, -1, VRRP_EV_ADVERT_EQUAL_LOWER},
	    {VRRP_BACKUP, true, false, 200, 1, VRRP_EV_ADVERT_EQUAL_HIGHER},
	    {VRRP_BACKUP, true, false, 201, -1, VRRP_EV_ADVERT_HIGHER},
	    {VRRP_ACTIVE, false, false, 0, 1, VRRP_EV_ADVERT_LEAVING},
	    {VRRP_ACTIVE, false, false, 199, 1, VRRP_EV_ADVERT_LOWER},
	    {VRRP_ACTIVE, true, false, 199, 1, VRRP_EV_ADVERT_LOWER},
	    {VRRP_ACTIVE, true, false, 200, -1, VRRP_EV_ADVERT_EQUAL_LOWER},
	    {VRRP_ACTIVE, true, false, 200, 1, VRRP_EV_ADVERT_EQUAL_HIGHER},
	    {VRRP_ACTIVE, true, false, 201, -1, VRRP_EV_ADVERT_HIGHER},
	    {VRRP_ACTIVE, true, true, 0, 1, VRRP_EV_STALE},
	    {VRRP_BACKUP, true, true, 0, 1, VRRP_EV_STALE},
	    {VRRP_BACKUP, true, true, 199, 1, VRRP_EV_ADVERT_LOWER},
	    {VRRP_ACTIVE, true, true, 1, -1, VRRP_EV_ADVERT_INCUMBENT},
	    {VRRP_ACTIVE, false, true, 200, -1, VRRP_EV_ADVERT_INCUMBENT},
	    {VRRP_ACTIVE, false, true, 254, 1, VRRP_EV_ADVERT_INCUMBENT},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct vrrp_fsm fsm = fsm_in(table[i].state);
		fsm.preempt = table[i].preempt;
		fsm.doubtful = table[i].doubtful;
		CU_ASSERT_EQUAL(
		    vrrp_fsm_classify(&fsm, table[i].priority, table[i].order), table[i].expected);
	}
}

static void backup_learns_the_interval(void)
{
	struct vrrp_fsm fsm = started(200, 1000000);
	vrrp_fsm_advert(&fsm, 250, 1, 3000000, now);
	CU_ASSERT_EQUAL(vrrp_fsm_skew_us(&fsm), 656250);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 9656250);
	/* priority 0 does not carry an interval to learn */
	vrrp_fsm_advert(&fsm, 0, 1, 10000, now);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 656250);
	/* a discarded one teaches nothing */
	fsm.preempt = true;
	vrrp_fsm_advert(&fsm, 100, 1, 10000, now);
	CU_ASSERT_EQUAL(fsm.active_interval_us, 3000000);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 656250);
	/* promotion: our own interval, not the learned one */
	promote(&fsm);
}

static void yielding_active_adopts_the_winners_interval(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 201, -1, 500000, now), CONCEDE);
	CU_ASSERT_EQUAL(fsm.active_interval_us, 500000);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 1500000 + 109375);
}

static void preemption_can_be_switched_while_running(void)
{
	struct vrrp_fsm fsm = started(200, 100000);
	uint64_t t = now;
	for (int i = 0; i < 50; i++) {
		t += 100000;
		CU_ASSERT_EQUAL(timer(&fsm, t), 0);
		CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 150, 1, 100000, t), 0);
	}
	fsm.preempt = true; /* the node is warm now */
	uint64_t due = fsm.timer_us;
	for (int i = 0; i < 3; i++) {
		t += 100000;
		vrrp_fsm_advert(&fsm, 150, 1, 100000, t);
	}
	CU_ASSERT_EQUAL(fsm.timer_us, due);
	promote(&fsm);
}

/* The longest that a peer of priority 1 waits, if our priority 0 was lost, is shorter. */
static void after_resigning_any_peer_comes_first(void)
{
	struct vrrp_fsm us = fsm_in(VRRP_ACTIVE), peer = started(1, 100000);
	us.preempt = true;
	vrrp_fsm_advert(&peer, 200, 1, 100000, now);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&us, VRRP_EV_RESIGN, now), LEAVE);
	CU_ASSERT(us.timer_us > peer.timer_us + 50000);
	/* and without preemption it stays there */
	us.preempt = false;
	vrrp_fsm_advert(&us, 1, -1, 100000, peer.timer_us);
	CU_ASSERT_EQUAL(us.timer_us, peer.timer_us + vrrp_fsm_active_down_us(&us));
}

static void rhythm_is_kept_when_a_beat_is_late(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	timer(&fsm, now + 3000);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 100000);
	timer(&fsm, now + 350000);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 450000);
}

static void stalled_backup_listens_anew(void)
{
	struct vrrp_fsm fsm = started(200, 100000);
	CU_ASSERT_FALSE(vrrp_fsm_awake(&fsm, now + 100000));
	CU_ASSERT_EQUAL(fsm.timer_us, now + 321875);
	uint64_t later = now + 100000 + 230000; /* past the timer, deaf for 230 ms */
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, later));
	CU_ASSERT_EQUAL(fsm.timer_us, later + 321875);
	CU_ASSERT_EQUAL(vrrp_fsm_recheck(&fsm, later), 0);
	CU_ASSERT_EQUAL(timer(&fsm, later), 0);
}

static void stalled_active_yields_to_whom_it_finds(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_FALSE(vrrp_fsm_awake(&fsm, now + 300000));
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + 300000 + 300001));
	CU_ASSERT_TRUE(fsm.doubtful);
	CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 100, -1, 100000, now + 600001), DROP);
	CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
	CU_ASSERT_EQUAL(vrrp_fsm_recheck(&fsm, now + 600001), 0);
	CU_ASSERT_FALSE(fsm.doubtful);
}

/* Its sender may be back for long: it must not make us answer, or hurry. */
static void priority_0_found_after_a_stall_is_ignored(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + 400000));
	CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 0, 1, 100000, now + 400000), 0);
	fsm = fsm_in(VRRP_BACKUP);
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + 400000));
	CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 0, 1, 100000, now + 400000), 0);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 400000 + 965625);
	vrrp_fsm_recheck(&fsm, now + 400000);
	vrrp_fsm_advert(&fsm, 0, 1, 100000, now + 400000);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 400000 + 65625);
}

/* The claimant is Active by now, perhaps: our answer, of a higher priority, would end that. */
static void claim_found_after_a_stall_is_not_answered(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_EQUAL(vrrp_fsm_classify_claim(&fsm, 100, -1, 0), VRRP_EV_CLAIM_WORSE);
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + 400000));
	for (int priority = 100; priority < 255; priority += 154) {
		enum vrrp_event event =
		    vrrp_fsm_classify_claim(&fsm, (uint8_t)priority, -1, VRRP_CLAIM_PREEMPTS);
		CU_ASSERT_EQUAL(event, VRRP_EV_STALE);
		CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, event, now + 400000), 0);
	}
	CU_ASSERT_EQUAL(vrrp_fsm_advert(&fsm, 100, -1, 100000, now + 400000), DROP);
}

/* vrrp_fsm_awake cannot order anything. */
static void a_stall_orders_nothing_by_itself(void)
{
	for (unsigned s = 0; s < VRRP_STATE_COUNT; s++) {
		struct vrrp_fsm fsm = fsm_in((enum vrrp_state)s);
		CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_HALTED, now), 0);
		fsm = fsm_in((enum vrrp_state)s);
		CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_STALLED, now), 0);
	}
	struct vrrp_fsm fsm = fsm_in(VRRP_RECLAIMANT);
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + MS(400)));
	CU_ASSERT_EQUAL(vrrp_fsm_recheck(&fsm, now + MS(400)), DROP);
	CU_ASSERT_EQUAL(fsm.state, VRRP_BACKUP);
}

static void stalled_active_alone_asserts_itself(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_TRUE(vrrp_fsm_awake(&fsm, now + 400000));
	CU_ASSERT_EQUAL(vrrp_fsm_recheck(&fsm, now + 400000), VRRP_DO_SEND_ADVERT | SETTLE);
	CU_ASSERT_EQUAL(fsm.timer_us, now + 500000);
	CU_ASSERT_FALSE(fsm.doubtful);
	CU_ASSERT_EQUAL(vrrp_fsm_recheck(&fsm, now + 400000), 0);
}

static void a_stall_means_nothing_out_of_service(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_FAULT);
	CU_ASSERT_FALSE(vrrp_fsm_awake(&fsm, now + 10 * US_PER_SEC));
	vrrp_fsm_step(&fsm, VRRP_EV_RECOVERED, now + 10 * US_PER_SEC);
	CU_ASSERT_FALSE(vrrp_fsm_awake(&fsm, now + 10 * US_PER_SEC + 1));
}

static void backup_wakes_often_enough_to_know_that_it_listened(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.timer_us = now + MS(900);
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now + 75000);
	fsm.timer_us = now + 30000; /* the claim */
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now + 20000);
	fsm = fsm_in(VRRP_ACTIVE);
	fsm.timer_us = now + MS(100);
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), now + MS(100));
	fsm = fsm_in(VRRP_FAULT);
	CU_ASSERT_EQUAL(vrrp_fsm_wake_us(&fsm), VRRP_NEVER);
}

/* Its patience is over all the time: when nobody objects any more, it claims within the quarter of
 * an interval; an advert ends it. */
static void who_is_held_asks_again(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_BACKUP);
	fsm.timer_us = now + MS(10);
	CU_ASSERT_FALSE(vrrp_fsm_wants(&fsm, now - 1));
	CU_ASSERT_TRUE(vrrp_fsm_wants(&fsm, now));
	vrrp_fsm_step(&fsm, VRRP_EV_HELD, now);
	CU_ASSERT_TRUE(fsm.held);
	CU_ASSERT_FALSE(vrrp_fsm_wants(&fsm, now + 75000 - 1));
	CU_ASSERT_TRUE(vrrp_fsm_wants(&fsm, now + 75000));
	CU_ASSERT(vrrp_fsm_wake_us(&fsm) <= now + 75000);
	CU_ASSERT_EQUAL(timer(&fsm, now + 75000), VRRP_DO_SEND_CLAIM);
	CU_ASSERT_FALSE(fsm.held);
	CU_ASSERT_TRUE(vrrp_fsm_wants(&fsm, now + 75000));

	vrrp_fsm_step(&fsm, VRRP_EV_HELD, now + 76000);
	CU_ASSERT_TRUE(fsm.held);
	vrrp_fsm_advert(&fsm, 250, 1, 100000, now + 77000);
	CU_ASSERT_FALSE(fsm.held);
	CU_ASSERT_FALSE(vrrp_fsm_wants(&fsm, now + 300000));
	fsm = fsm_in(VRRP_ACTIVE);
	CU_ASSERT_FALSE(vrrp_fsm_wants(&fsm, now));
}

static void configure_changes_no_state(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_ACTIVE);
	fsm.timer_us = now + MS(90);
	vrrp_fsm_configure(&fsm, 100, 10000, now);
	CU_ASSERT_EQUAL(fsm.state, VRRP_ACTIVE);
	CU_ASSERT_EQUAL(fsm.timer_us, now + MS(10));
	CU_ASSERT_EQUAL(fsm.priority, 100);

	fsm = started(200, 1000000);
	vrrp_fsm_configure(&fsm, 254, 10000, now);
	CU_ASSERT_EQUAL(fsm.active_interval_us, 10000);
	CU_ASSERT(fsm.timer_us <= now + MS(50));

	fsm = fsm_in(VRRP_BACKUP); /* what was learned stays */
	vrrp_fsm_configure(&fsm, 254, 10000, now);
	CU_ASSERT_EQUAL(fsm.active_interval_us, 300000);
}

UNIT_MAIN("vrrp/fsm",
    UNIT_AS(
	"40, 42-45, 57-61: every cell of states and events", every_cell_does_what_the_table_says),
    UNIT_AS("48, 61: leaving removes before it tells, taking tells before it adds",
	leaving_removes_before_it_tells_and_taking_tells_before_it_adds),
    UNIT_AS("41, 47, 51: timers, and events before their time", timers_follow_the_rfc),
    UNIT_AS("34: an owner does not wait", owner_does_not_wait),
    UNIT(a_claim_is_repeated_and_costs_no_time), UNIT(a_claim_is_never_cut_short),
    UNIT(claims_are_classified), UNIT(a_claim_says_what_we_are),
    UNIT(only_who_was_silent_for_a_short_time_claims_back),
    UNIT(claimants_are_nothing_else_to_others), UNIT(evidence_is_classified),
    UNIT(evidence_restarts_the_patience), UNIT(evidence_is_good_for_a_slow_answer),
    UNIT(who_is_preempted_must_answer_soon), UNIT(late_evidence_does_not_stop_a_handover),
    UNIT(an_active_does_not_believe_what_is_older_than_its_lease),
    UNIT(only_who_goes_on_speaking_is_overridden), UNIT(an_active_that_we_preempt_gets_its_time),
    UNIT(a_yoke_is_not_overridden), UNIT(a_claim_that_was_interrupted_begins_anew),
    UNIT(holding_back_never_shortens_the_wait),
    UNIT_AS("43-45, 58-60: adverts are classified", adverts_are_classified),
    UNIT_AS("42, 46: a Backup learns the interval", backup_learns_the_interval),
    UNIT_AS(
	"62: a yielding Active adopts the interval", yielding_active_adopts_the_winners_interval),
    UNIT(preemption_can_be_switched_while_running), UNIT(after_resigning_any_peer_comes_first),
    UNIT(rhythm_is_kept_when_a_beat_is_late), UNIT(stalled_backup_listens_anew),
    UNIT(stalled_active_yields_to_whom_it_finds), UNIT(priority_0_found_after_a_stall_is_ignored),
    UNIT(claim_found_after_a_stall_is_not_answered), UNIT(a_stall_orders_nothing_by_itself),
    UNIT(stalled_active_alone_asserts_itself), UNIT(a_stall_means_nothing_out_of_service),
    UNIT(backup_wakes_often_enough_to_know_that_it_listened), UNIT(who_is_held_asks_again),
    UNIT(configure_changes_no_state))
