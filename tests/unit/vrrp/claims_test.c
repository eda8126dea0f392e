/* The state machine: claims before the VIP is taken, and evidence by replication. */
#include "tests/unit/vrrp/machines.h"

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

UNIT_MAIN("vrrp/claims", UNIT(a_claim_is_repeated_and_costs_no_time),
    UNIT(a_claim_is_never_cut_short), UNIT(claims_are_classified), UNIT(a_claim_says_what_we_are),
    UNIT(only_who_was_silent_for_a_short_time_claims_back),
    UNIT(claimants_are_nothing_else_to_others), UNIT(evidence_is_classified),
    UNIT(evidence_restarts_the_patience), UNIT(evidence_is_good_for_a_slow_answer),
    UNIT(who_is_preempted_must_answer_soon), UNIT(late_evidence_does_not_stop_a_handover),
    UNIT(an_active_does_not_believe_what_is_older_than_its_lease),
    UNIT(only_who_goes_on_speaking_is_overridden), UNIT(a_yoke_is_not_overridden),
    UNIT(a_claim_that_was_interrupted_begins_anew), UNIT(an_active_that_we_preempt_gets_its_time),
    UNIT(holding_back_never_shortens_the_wait), UNIT(who_is_held_asks_again))
