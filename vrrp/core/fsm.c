#include "vrrp/core/fsm.h"

#include "vrrp/core/fence.h"
#include "vrrp/core/packet.h"

/* A peer that is Active, hears that a better one wants the VIP and goes on for so many adverts does
 * not know what a claim is: it will yield to an advert, as the RFC has it. A yoke yields to the
 * claim, unless it does not arrive; one that is silent may be stopped, with its lease still alive,
 * and is never overridden. */
#define DEFIED_MAX 3

/* What a cell does with the timer. */
enum timer_op {
	KEEP,
	STOP,
	START,    /* Active_Down_Interval of our own interval: nobody was heard yet */
	ADVER,    /* Advertisement_Interval */
	DOWN,     /* Active_Down_Interval */
	LISTEN,   /* the same; not sooner than before */
	LEARN,    /* adopt the advert's interval, then Active_Down_Interval */
	SKEW,     /* Skew_Time */
	YIELD,    /* so long that any peer takes over first */
	AFRESH,   /* Advertisement_Interval from now, in a new rhythm */
	CLAIM,    /* the claim begins: it ends with the timer, but is not too short */
	BEAT,     /* the next claim */
	AGAIN,    /* the claim begins anew */
	ANEW,     /* the same, but it has not been said yet */
	OUTBID,   /* anew, and longer than the kernel remembers the peer's */
	WAIT,     /* not before the Active of lower priority yields or dies, unless it defies us */
	SOON,     /* it has yielded */
	TRUST,    /* as long as the peer's evidence is good for; not sooner than before */
	HOLD,     /* long enough for a better claimant to become Active, and to die unheard */
	POSTPONE, /* it may be otherwise at the next look */
};

struct cell {
	enum vrrp_state next;
	unsigned actions;
	enum timer_op timer;
};

#define SETTLE  (VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE)
#define LEAVE   (VRRP_DO_REMOVE_VIP | VRRP_DO_RELEASE | VRRP_DO_SEND_LEAVING)
#define ASSERT  (VRRP_DO_SEND_ADVERT | VRRP_DO_ANNOUNCE)
#define CONCEDE (VRRP_DO_REMOVE_VIP | VRRP_DO_SEND_ADVERT | VRRP_DO_RELEASE)
#define DROP    (VRRP_DO_REMOVE_VIP | VRRP_DO_RELEASE)
#define IN(state)              \
	{                      \
		state, 0, KEEP \
	}

/* Complete: every state has a cell for every event. An Active that hears a losing advert answers at
 * once, so that the other yields (RFC 9568 section 6.4.3, line 750), and announces its addresses
 * again, because the other has announced them too. That is why the one who yields sends a last,
 * losing advert: the winner may not have heard of it, and neighbours would go on sending here. Not
 * after a stall: its priority might win. For the same reason it announces when another one leaves
 * or hands over: that was Active, too.
 *
 * An Active answers every claim with an advert: the claimant has not heard it. Any advert tells a
 * Reclaimant that it came too late.
 *
 * HALTED and STALLED order nothing: vrrp_fsm_awake has no actions to return. */
static const struct cell table[VRRP_STATE_COUNT][VRRP_EVENT_COUNT] =
    {
	[VRRP_INITIALIZE] =
	    {
		[VRRP_EV_STARTUP] = {VRRP_BACKUP, 0, START},
		[VRRP_EV_SHUTDOWN] = IN(VRRP_INITIALIZE),
		[VRRP_EV_TIMER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_LEAVING] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_LOWER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_INCUMBENT] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_EQUAL_LOWER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ADVERT_HIGHER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_STALE] = IN(VRRP_INITIALIZE),
		[VRRP_EV_RESIGN] = IN(VRRP_INITIALIZE),
		[VRRP_EV_FAULT] = {VRRP_FAULT, 0, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_HALTED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_STALLED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_RECHECKED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_CLAIM_DUE] = IN(VRRP_INITIALIZE),
		[VRRP_EV_ACQUIRED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_REFUSED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_CLAIM_WORSE] = IN(VRRP_INITIALIZE),
		[VRRP_EV_CLAIM_BETTER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_CLAIM_PREEMPTS] = IN(VRRP_INITIALIZE),
		[VRRP_EV_LAPSED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_EVIDENCE_WORSE] = IN(VRRP_INITIALIZE),
		[VRRP_EV_EVIDENCE_BETTER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_EVIDENCE_VOID] = IN(VRRP_INITIALIZE),
		[VRRP_EV_HANDOVER] = IN(VRRP_INITIALIZE),
		[VRRP_EV_HELD] = IN(VRRP_INITIALIZE),
	    },
	[VRRP_BACKUP] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_BACKUP),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, 0, STOP},
		[VRRP_EV_TIMER] = IN(VRRP_BACKUP),
		[VRRP_EV_ADVERT_LEAVING] = {VRRP_BACKUP, 0, SKEW},
		[VRRP_EV_ADVERT_LOWER] = IN(VRRP_BACKUP),
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_STALE] = IN(VRRP_BACKUP),
		[VRRP_EV_RESIGN] = IN(VRRP_BACKUP),
		[VRRP_EV_FAULT] = {VRRP_FAULT, 0, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_BACKUP),
		[VRRP_EV_HALTED] = IN(VRRP_BACKUP),
		[VRRP_EV_STALLED] = {VRRP_BACKUP, 0, LISTEN},
		[VRRP_EV_RECHECKED] = IN(VRRP_BACKUP),
		[VRRP_EV_CLAIM_DUE] = {VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, CLAIM},
		[VRRP_EV_ACQUIRED] = IN(VRRP_BACKUP),
		[VRRP_EV_REFUSED] = IN(VRRP_BACKUP),
		[VRRP_EV_CLAIM_WORSE] = IN(VRRP_BACKUP),
		[VRRP_EV_CLAIM_BETTER] = {VRRP_BACKUP, 0, HOLD},
		[VRRP_EV_CLAIM_PREEMPTS] = {VRRP_BACKUP, 0, HOLD},
		[VRRP_EV_LAPSED] = IN(VRRP_BACKUP),
		[VRRP_EV_EVIDENCE_WORSE] = {VRRP_BACKUP, 0, TRUST},
		[VRRP_EV_EVIDENCE_BETTER] = {VRRP_BACKUP, 0, TRUST},
		[VRRP_EV_EVIDENCE_VOID] =
		    IN(VRRP_BACKUP),
		[VRRP_EV_HANDOVER] = {VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, AGAIN},
		[VRRP_EV_HELD] = {VRRP_BACKUP, 0, POSTPONE},
	    },
	[VRRP_CLAIMANT] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_CLAIMANT),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, VRRP_DO_RELEASE, STOP},
		[VRRP_EV_TIMER] = {VRRP_CLAIMANT, VRRP_DO_ACQUIRE, KEEP},
		[VRRP_EV_CLAIM_DUE] = {VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, BEAT},
		[VRRP_EV_ACQUIRED] = {VRRP_ACTIVE, SETTLE, ADVER},
		[VRRP_EV_REFUSED] = {VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, AGAIN},
		[VRRP_EV_ADVERT_LEAVING] = {VRRP_CLAIMANT, 0, SOON},
		[VRRP_EV_ADVERT_LOWER] = {VRRP_CLAIMANT, 0, WAIT},
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, VRRP_DO_RELEASE, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_BACKUP, VRRP_DO_RELEASE, LEARN},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, VRRP_DO_RELEASE, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, VRRP_DO_RELEASE, LEARN},
		[VRRP_EV_STALE] = IN(VRRP_CLAIMANT),
		[VRRP_EV_CLAIM_WORSE] = {VRRP_CLAIMANT, VRRP_DO_SEND_CLAIM, OUTBID},
		[VRRP_EV_CLAIM_BETTER] = {VRRP_BACKUP, VRRP_DO_RELEASE, HOLD},
		[VRRP_EV_CLAIM_PREEMPTS] = {VRRP_BACKUP, VRRP_DO_RELEASE, HOLD},
		[VRRP_EV_LAPSED] = IN(VRRP_CLAIMANT),
		[VRRP_EV_EVIDENCE_WORSE] = {VRRP_BACKUP, VRRP_DO_RELEASE, TRUST},
		[VRRP_EV_EVIDENCE_BETTER] = {VRRP_BACKUP, VRRP_DO_RELEASE, TRUST},
		[VRRP_EV_EVIDENCE_VOID] = IN(VRRP_CLAIMANT),
		[VRRP_EV_HANDOVER] = {VRRP_CLAIMANT, 0, SOON},
		[VRRP_EV_HELD] = {VRRP_BACKUP, VRRP_DO_RELEASE, POSTPONE},
		[VRRP_EV_RESIGN] = IN(VRRP_CLAIMANT),
		[VRRP_EV_FAULT] = {VRRP_FAULT, VRRP_DO_RELEASE, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_CLAIMANT),
		[VRRP_EV_HALTED] = {VRRP_CLAIMANT, 0, ANEW},
		[VRRP_EV_STALLED] = {VRRP_BACKUP, 0, DOWN},
		[VRRP_EV_RECHECKED] = IN(VRRP_CLAIMANT),
	    },
	[VRRP_ACTIVE] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_ACTIVE),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, LEAVE, STOP},
		[VRRP_EV_TIMER] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, ADVER},
		[VRRP_EV_ADVERT_LEAVING] = {VRRP_ACTIVE, ASSERT, ADVER},
		[VRRP_EV_ADVERT_LOWER] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, DROP, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, CONCEDE, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, CONCEDE, LEARN},
		[VRRP_EV_STALE] = IN(VRRP_ACTIVE),
		[VRRP_EV_RESIGN] = {VRRP_BACKUP, LEAVE, YIELD},
		[VRRP_EV_FAULT] = {VRRP_FAULT, LEAVE, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_ACTIVE),
		[VRRP_EV_HALTED] = IN(VRRP_ACTIVE),
		[VRRP_EV_STALLED] = IN(VRRP_ACTIVE),
		[VRRP_EV_RECHECKED] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT | SETTLE, AFRESH},
		[VRRP_EV_CLAIM_DUE] = IN(VRRP_ACTIVE),
		[VRRP_EV_ACQUIRED] = IN(VRRP_ACTIVE),
		[VRRP_EV_REFUSED] = {VRRP_BACKUP, DROP, DOWN},
		[VRRP_EV_CLAIM_WORSE] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, KEEP},
		[VRRP_EV_CLAIM_BETTER] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, KEEP},
		[VRRP_EV_CLAIM_PREEMPTS] = {VRRP_BACKUP, LEAVE, DOWN},
		[VRRP_EV_LAPSED] = {VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, AGAIN},
		[VRRP_EV_EVIDENCE_WORSE] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_EVIDENCE_BETTER] = {VRRP_BACKUP, LEAVE, TRUST},
		[VRRP_EV_EVIDENCE_VOID] = IN(VRRP_ACTIVE),
		[VRRP_EV_HANDOVER] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_HELD] = IN(VRRP_ACTIVE),
	    },
	[VRRP_RECLAIMANT] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, LEAVE, STOP},
		[VRRP_EV_TIMER] = {VRRP_RECLAIMANT, VRRP_DO_ACQUIRE, KEEP},
		[VRRP_EV_CLAIM_DUE] = {VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, BEAT},
		[VRRP_EV_ACQUIRED] = {VRRP_ACTIVE, SETTLE, ADVER},
		[VRRP_EV_REFUSED] = {VRRP_BACKUP, DROP, DOWN},
		[VRRP_EV_ADVERT_LEAVING] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_ADVERT_LOWER] = {VRRP_BACKUP, DROP, DOWN},
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, DROP, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_BACKUP, DROP, LEARN},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, DROP, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, DROP, LEARN},
		[VRRP_EV_STALE] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_RESIGN] = {VRRP_BACKUP, LEAVE, YIELD},
		[VRRP_EV_FAULT] = {VRRP_FAULT, LEAVE, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_HALTED] = {VRRP_RECLAIMANT, 0, ANEW},
		[VRRP_EV_STALLED] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_RECHECKED] = {VRRP_BACKUP, DROP, DOWN},
		[VRRP_EV_CLAIM_WORSE] = {VRRP_RECLAIMANT, VRRP_DO_SEND_CLAIM, OUTBID},
		[VRRP_EV_CLAIM_BETTER] = {VRRP_BACKUP, DROP, HOLD},
		[VRRP_EV_CLAIM_PREEMPTS] = {VRRP_BACKUP, DROP, HOLD},
		[VRRP_EV_LAPSED] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_EVIDENCE_WORSE] = {VRRP_BACKUP, DROP, TRUST},
		[VRRP_EV_EVIDENCE_BETTER] = {VRRP_BACKUP, DROP, TRUST},
		[VRRP_EV_EVIDENCE_VOID] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_HANDOVER] = IN(VRRP_RECLAIMANT),
		[VRRP_EV_HELD] = IN(VRRP_RECLAIMANT),
	    },
	[VRRP_FAULT] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_FAULT),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, 0, STOP},
		[VRRP_EV_TIMER] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_LEAVING] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_LOWER] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_INCUMBENT] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_EQUAL_LOWER] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = IN(VRRP_FAULT),
		[VRRP_EV_ADVERT_HIGHER] = IN(VRRP_FAULT),
		[VRRP_EV_STALE] = IN(VRRP_FAULT),
		[VRRP_EV_RESIGN] = IN(VRRP_FAULT),
		[VRRP_EV_FAULT] = IN(VRRP_FAULT),
		[VRRP_EV_RECOVERED] = {VRRP_BACKUP, 0, START},
		[VRRP_EV_HALTED] = IN(VRRP_FAULT),
		[VRRP_EV_STALLED] = IN(VRRP_FAULT),
		[VRRP_EV_RECHECKED] = IN(VRRP_FAULT),
		[VRRP_EV_CLAIM_DUE] = IN(VRRP_FAULT),
		[VRRP_EV_ACQUIRED] = IN(VRRP_FAULT),
		[VRRP_EV_REFUSED] = IN(VRRP_FAULT),
		[VRRP_EV_CLAIM_WORSE] = IN(VRRP_FAULT),
		[VRRP_EV_CLAIM_BETTER] = IN(VRRP_FAULT),
		[VRRP_EV_CLAIM_PREEMPTS] = IN(VRRP_FAULT),
		[VRRP_EV_LAPSED] = IN(VRRP_FAULT),
		[VRRP_EV_EVIDENCE_WORSE] = IN(VRRP_FAULT),
		[VRRP_EV_EVIDENCE_BETTER] = IN(VRRP_FAULT),
		[VRRP_EV_EVIDENCE_VOID] = IN(VRRP_FAULT),
		[VRRP_EV_HANDOVER] = IN(VRRP_FAULT),
		[VRRP_EV_HELD] = IN(VRRP_FAULT),
	    },
};

uint64_t vrrp_fsm_skew_us(const struct vrrp_fsm *fsm)
{
	return (256 - (uint64_t)fsm->priority) * fsm->active_interval_us / 256;
}

uint64_t vrrp_fsm_active_down_us(const struct vrrp_fsm *fsm)
{
	return 3 * (uint64_t)fsm->active_interval_us + vrrp_fsm_skew_us(fsm);
}

void vrrp_fsm_init(struct vrrp_fsm *fsm, uint8_t priority, uint32_t interval_us, uint64_t now_us)
{
	*fsm = (struct vrrp_fsm){
	    .state = VRRP_INITIALIZE,
	    .priority = priority,
	    .interval_us = interval_us,
	    .active_interval_us = interval_us,
	    .timer_us = VRRP_NEVER,
	    .awake_us = now_us,
	};
}

/* An address owner (priority 255) does not wait for anybody: RFC 9568 section 6.4.1. */
static uint64_t start_us(struct vrrp_fsm *fsm, uint64_t now_us)
{
	fsm->active_interval_us = fsm->interval_us;
	return fsm->priority == 255 ? now_us : now_us + vrrp_fsm_active_down_us(fsm);
}

/* The next beat of a steady rhythm; a late one does not make later ones come early. */
static uint64_t next_advert_us(const struct vrrp_fsm *fsm, uint64_t now_us)
{
	uint64_t beat = fsm->timer_us + fsm->interval_us;
	return fsm->state == VRRP_ACTIVE && fsm->timer_us <= now_us && beat > now_us
		   ? beat
		   : now_us + fsm->interval_us;
}

/* Skew_Time is at most one interval, so that a peer of any priority, even if our priority 0 is
 * lost, takes over within four of our intervals. */
static uint64_t yield_us(struct vrrp_fsm *fsm, uint64_t now_us)
{
	fsm->active_interval_us = fsm->interval_us;
	return now_us + 5 * (uint64_t)fsm->interval_us;
}

/* The better claimant may have to claim anew once, because of ours. */
static uint64_t hold_us(const struct vrrp_fsm *fsm, uint64_t now_us)
{
	return now_us + vrrp_fsm_active_down_us(fsm) + vrrp_claim_outbid_us(fsm->interval_us);
}

static uint64_t later(uint64_t a_us, uint64_t b_us)
{
	return a_us > b_us ? a_us : b_us;
}

static uint64_t sooner(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

/* What is known of an Active of lower priority that we mean to preempt. Its adverts do not restart
 * our timer (RFC 9568), but while it may be alive only its consent gives us the VIP: it may be
 * stopped, and its lease run on. */
static void note_lower(
    struct vrrp_fsm *fsm, enum vrrp_event event, uint32_t heard_us, uint64_t now_us)
{
	if (fsm->state != VRRP_CLAIMANT)
		fsm->defied = 0;
	if (event == VRRP_EV_ADVERT_LEAVING || event == VRRP_EV_HANDOVER) {
		fsm->lower_us = 0;
	} else if (event == VRRP_EV_ADVERT_LOWER) {
		fsm->lower_us = now_us + 3 * (uint64_t)heard_us + vrrp_fsm_skew_us(fsm);
		fsm->defied += fsm->state == VRRP_CLAIMANT && !fsm->kin;
	}
}

/* What evidence must be younger than. */
static void note_heard(struct vrrp_fsm *fsm, enum vrrp_event event, uint64_t now_us)
{
	if (event >= VRRP_EV_CLAIM_WORSE && event <= VRRP_EV_HANDOVER)
		fsm->kin = true;
	if ((event >= VRRP_EV_ADVERT_LEAVING && event <= VRRP_EV_ADVERT_HIGHER) ||
	    event == VRRP_EV_HANDOVER || event == VRRP_EV_ACQUIRED)
		fsm->quiet_us = now_us;
}

/* A peer that has heard our last advert is patient for three intervals and its skew. */
static void note_sent(struct vrrp_fsm *fsm, unsigned actions, uint64_t now_us)
{
	if (!(actions & (VRRP_DO_SEND_ADVERT | VRRP_DO_ACQUIRE)))
		return;
	fsm->overdue = now_us - fsm->sent_us > 3 * (uint64_t)fsm->interval_us;
	fsm->sent_us = now_us;
}

static void apply_claim(struct vrrp_fsm *fsm, enum timer_op op, uint64_t now_us)
{
	uint64_t whole_us = now_us + vrrp_claim_us(fsm->interval_us);
	fsm->claim_us = op == ANEW ? now_us : now_us + vrrp_claim_beat_us(fsm->interval_us);
	if (op == CLAIM)
		fsm->timer_us = later(later(fsm->timer_us, whole_us), fsm->lower_us);
	else if (op == AGAIN)
		fsm->timer_us = whole_us;
	else if (op == ANEW)
		fsm->timer_us = later(fsm->timer_us, whole_us);
	else if (op == OUTBID)
		fsm->timer_us = now_us + vrrp_claim_outbid_us(fsm->interval_us);
}

static void apply_timer(struct vrrp_fsm *fsm, enum timer_op op, uint32_t heard_us, uint64_t now_us)
{
	uint64_t lead_us = vrrp_claim_us(fsm->interval_us);
	switch (op) {
	case KEEP: break;
	case STOP: fsm->timer_us = VRRP_NEVER; break;
	case START: fsm->timer_us = start_us(fsm, now_us); break;
	case ADVER: fsm->timer_us = next_advert_us(fsm, now_us); break;
	case LEARN: fsm->active_interval_us = heard_us; /* fall through */
	case DOWN: fsm->timer_us = now_us + vrrp_fsm_active_down_us(fsm); break;
	case LISTEN:
		fsm->timer_us = later(fsm->timer_us, now_us + vrrp_fsm_active_down_us(fsm));
		break;
	case SKEW: fsm->timer_us = now_us + vrrp_fsm_skew_us(fsm); break;
	case YIELD: fsm->timer_us = yield_us(fsm, now_us); break;
	case AFRESH: fsm->timer_us = now_us + fsm->interval_us; break;
	case CLAIM:
	case BEAT:
	case AGAIN:
	case ANEW:
	case OUTBID: apply_claim(fsm, op, now_us); break;
	case WAIT:
		fsm->timer_us =
		    fsm->defied < DEFIED_MAX ? later(fsm->timer_us, fsm->lower_us) : now_us;
		break;
	case SOON: fsm->timer_us = sooner(fsm->timer_us, now_us + lead_us); break;
	case TRUST: fsm->timer_us = later(fsm->timer_us, fsm->trusted_us); break;
	case HOLD: fsm->timer_us = later(fsm->timer_us, hold_us(fsm, now_us)); break;
	case POSTPONE: fsm->timer_us = now_us + lead_us + fsm->active_interval_us / 4; break;
	}
	if (op != KEEP)
		fsm->held = op == POSTPONE;
}

/* When TIMER means something before timer_us; VRRP_NEVER: it does not. */
static uint64_t claim_due_us(const struct vrrp_fsm *fsm)
{
	uint64_t lead_us = vrrp_claim_us(fsm->interval_us);
	if (fsm->state == VRRP_CLAIMANT || fsm->state == VRRP_RECLAIMANT)
		return fsm->claim_us;
	if (fsm->state != VRRP_BACKUP || fsm->timer_us == VRRP_NEVER)
		return VRRP_NEVER;
	return fsm->timer_us > lead_us ? fsm->timer_us - lead_us : 0;
}

/* What REFUSED is while the peer is patient; what TIMER is before its end, and in a wake-up that
 * began so long ago that we may have missed the other's claim. COUNT: nothing. */
static enum vrrp_event refine(const struct vrrp_fsm *fsm, enum vrrp_event event, uint64_t now_us)
{
	bool claims = fsm->state == VRRP_CLAIMANT || fsm->state == VRRP_RECLAIMANT;
	if (event == VRRP_EV_REFUSED && fsm->state == VRRP_ACTIVE && !fsm->overdue)
		return VRRP_EV_LAPSED;
	if (event != VRRP_EV_TIMER)
		return event;
	if (now_us < fsm->timer_us || fsm->state == VRRP_BACKUP)
		return now_us < claim_due_us(fsm) ? VRRP_EVENT_COUNT : VRRP_EV_CLAIM_DUE;
	return claims && now_us - fsm->awake_us > vrrp_claim_us(fsm->interval_us) ? VRRP_EV_HALTED
										  : event;
}

static unsigned step(
    struct vrrp_fsm *fsm, enum vrrp_event event, uint32_t heard_us, uint64_t now_us)
{
	event = refine(fsm, event, now_us);
	if (event == VRRP_EVENT_COUNT)
		return 0;
	const struct cell *cell = &table[fsm->state][event];
	unsigned actions = cell->actions;
	note_lower(fsm, event, heard_us, now_us);
	note_heard(fsm, event, now_us);
	note_sent(fsm, actions, now_us);
	if ((actions & VRRP_DO_ACQUIRE) && fsm->defied >= DEFIED_MAX)
		actions |= VRRP_DO_OVERRIDE;
	apply_timer(fsm, cell->timer, heard_us, now_us);
	fsm->state = cell->next;
	return actions;
}

bool vrrp_fsm_wants(const struct vrrp_fsm *fsm, uint64_t now_us)
{
	return fsm->state == VRRP_CLAIMANT ||
	       (fsm->state == VRRP_BACKUP && now_us >= claim_due_us(fsm));
}

unsigned vrrp_fsm_step(struct vrrp_fsm *fsm, enum vrrp_event event, uint64_t now_us)
{
	return step(fsm, event, fsm->active_interval_us, now_us);
}

enum vrrp_event vrrp_fsm_classify(const struct vrrp_fsm *fsm, uint8_t priority, int order)
{
	if (priority == 0)
		return fsm->doubtful ? VRRP_EV_STALE : VRRP_EV_ADVERT_LEAVING;
	if (fsm->state == VRRP_ACTIVE && fsm->doubtful)
		return VRRP_EV_ADVERT_INCUMBENT;
	if (priority < fsm->priority) {
		return fsm->state != VRRP_ACTIVE && !fsm->preempt ? VRRP_EV_ADVERT_INCUMBENT
								  : VRRP_EV_ADVERT_LOWER;
	}
	if (priority > fsm->priority)
		return VRRP_EV_ADVERT_HIGHER;
	return order > 0 ? VRRP_EV_ADVERT_EQUAL_HIGHER : VRRP_EV_ADVERT_EQUAL_LOWER;
}

static bool is_better(const struct vrrp_fsm *fsm, uint8_t priority, int order)
{
	return priority > fsm->priority || (priority == fsm->priority && order > 0);
}

enum vrrp_event vrrp_fsm_classify_claim(
    const struct vrrp_fsm *fsm, uint8_t priority, int order, uint8_t flags)
{
	bool ours = fsm->state == VRRP_RECLAIMANT, theirs = flags & VRRP_CLAIM_INCUMBENT;
	if (fsm->state == VRRP_ACTIVE && fsm->doubtful)
		return VRRP_EV_STALE;
	if (ours != theirs)
		return theirs ? VRRP_EV_CLAIM_BETTER : VRRP_EV_CLAIM_WORSE;
	if (!is_better(fsm, priority, order))
		return VRRP_EV_CLAIM_WORSE;
	return (flags & VRRP_CLAIM_PREEMPTS) && priority > fsm->priority ? VRRP_EV_CLAIM_PREEMPTS
									 : VRRP_EV_CLAIM_BETTER;
}

uint8_t vrrp_fsm_claim_flags(const struct vrrp_fsm *fsm)
{
	return (uint8_t)((fsm->preempt ? VRRP_CLAIM_PREEMPTS : 0) |
			 (fsm->state == VRRP_RECLAIMANT ? VRRP_CLAIM_INCUMBENT : 0));
}

/* A peer that lives by replication may answer more slowly than it advertises. One that we mean to
 * preempt has no such privilege. */
static uint64_t good_for_us(const struct vrrp_fsm *fsm, uint8_t priority)
{
	uint64_t down_us = vrrp_fsm_active_down_us(fsm);
	return fsm->preempt && priority < fsm->priority ? down_us
							: later(down_us, vrrp_answer_us());
}

enum vrrp_event vrrp_fsm_classify_evidence(
    const struct vrrp_fsm *fsm, uint8_t priority, int order, uint64_t age_us, uint64_t now_us)
{
	uint64_t missing_us = fsm->quiet_us + 3 * (uint64_t)fsm->active_interval_us / 2;
	uint64_t good_us = good_for_us(fsm, priority);
	if (age_us >= good_us - vrrp_claim_us(fsm->interval_us) || now_us - age_us <= missing_us)
		return VRRP_EV_EVIDENCE_VOID;
	return is_better(fsm, priority, order) ? VRRP_EV_EVIDENCE_BETTER : VRRP_EV_EVIDENCE_WORSE;
}

unsigned vrrp_fsm_evidence(
    struct vrrp_fsm *fsm, uint8_t priority, int order, uint64_t age_us, uint64_t now_us)
{
	enum vrrp_event event = vrrp_fsm_classify_evidence(fsm, priority, order, age_us, now_us);
	if (event != VRRP_EV_EVIDENCE_VOID) {
		fsm->evident_us = later(fsm->evident_us, now_us - age_us);
		fsm->trusted_us = fsm->evident_us + good_for_us(fsm, priority);
	}
	return vrrp_fsm_step(fsm, event, now_us);
}

unsigned vrrp_fsm_advert(
    struct vrrp_fsm *fsm, uint8_t priority, int order, uint32_t interval_us, uint64_t now_us)
{
	return step(fsm, vrrp_fsm_classify(fsm, priority, order), interval_us, now_us);
}

void vrrp_fsm_configure(
    struct vrrp_fsm *fsm, uint8_t priority, uint32_t interval_us, uint64_t now_us)
{
	if (fsm->active_interval_us == fsm->interval_us)
		fsm->active_interval_us = interval_us;
	fsm->priority = priority;
	fsm->interval_us = interval_us;
	uint64_t longest =
	    fsm->state == VRRP_ACTIVE ? interval_us : 5 * (uint64_t)fsm->active_interval_us;
	if (fsm->timer_us != VRRP_NEVER && fsm->timer_us > now_us + longest)
		fsm->timer_us = now_us + longest;
}

bool vrrp_fsm_awake(struct vrrp_fsm *fsm, uint64_t now_us)
{
	uint64_t gap = now_us - fsm->awake_us;
	fsm->awake_us = now_us;
	/* A peer of our interval is patient for three of them and its skew. */
	uint64_t limit =
	    fsm->state == VRRP_ACTIVE ? 3 * (uint64_t)fsm->interval_us : fsm->active_interval_us;
	if (gap > vrrp_claim_us(fsm->interval_us))
		step(fsm, VRRP_EV_HALTED, fsm->active_interval_us, now_us);
	if (gap <= limit || fsm->state == VRRP_INITIALIZE || fsm->state == VRRP_FAULT)
		return false;
	fsm->doubtful = true;
	step(fsm, VRRP_EV_STALLED, fsm->active_interval_us, now_us);
	return true;
}

unsigned vrrp_fsm_recheck(struct vrrp_fsm *fsm, uint64_t now_us)
{
	if (!fsm->doubtful)
		return 0;
	fsm->doubtful = false;
	return vrrp_fsm_step(fsm, VRRP_EV_RECHECKED, now_us);
}

uint64_t vrrp_fsm_wake_us(const struct vrrp_fsm *fsm)
{
	uint64_t latest = fsm->awake_us + fsm->active_interval_us / 4, due = claim_due_us(fsm);
	due = due < fsm->timer_us ? due : fsm->timer_us;
	return fsm->state == VRRP_BACKUP && latest < due ? latest : due;
}

enum vrrp_state vrrp_state_outside(enum vrrp_state state)
{
	if (state == VRRP_CLAIMANT)
		return VRRP_BACKUP;
	return state == VRRP_RECLAIMANT ? VRRP_ACTIVE : state;
}

const char *vrrp_state_name(enum vrrp_state state)
{
	static const char *const names[VRRP_STATE_COUNT] = {
	    [VRRP_INITIALIZE] = "Initialize",
	    [VRRP_BACKUP] = "Backup",
	    [VRRP_CLAIMANT] = "Claimant",
	    [VRRP_ACTIVE] = "Active",
	    [VRRP_RECLAIMANT] = "Reclaimant",
	    [VRRP_FAULT] = "Fault",
	};
	return (unsigned)state < VRRP_STATE_COUNT ? names[state] : "?";
}

const char *vrrp_event_name(enum vrrp_event event)
{
	static const char *const names[VRRP_EVENT_COUNT] = {
#define X(name) [VRRP_EV_##name] = #name,
	    VRRP_EVENTS(X)
#undef X
	};
	return (unsigned)event < VRRP_EVENT_COUNT ? names[event] : "?";
}
