/* The state machine: its table, its timers, adverts, stalls. Claims and evidence are in claims_test.c. */
#include "tests/unit/vrrp/machines.h"

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
    UNIT_AS("43-45, 58-60: adverts are classified", adverts_are_classified),
    UNIT_AS("42, 46: a Backup learns the interval", backup_learns_the_interval),
    UNIT_AS(
	"62: a yielding Active adopts the interval", yielding_active_adopts_the_winners_interval),
    UNIT(preemption_can_be_switched_while_running), UNIT(after_resigning_any_peer_comes_first),
    UNIT(rhythm_is_kept_when_a_beat_is_late), UNIT(stalled_backup_listens_anew),
    UNIT(stalled_active_yields_to_whom_it_finds), UNIT(priority_0_found_after_a_stall_is_ignored),
    UNIT(claim_found_after_a_stall_is_not_answered), UNIT(a_stall_orders_nothing_by_itself),
    UNIT(stalled_active_alone_asserts_itself), UNIT(a_stall_means_nothing_out_of_service),
    UNIT(backup_wakes_often_enough_to_know_that_it_listened), UNIT(configure_changes_no_state))
