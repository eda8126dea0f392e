#include "vrrp/core/fsm.h"

/* What a cell does with the timer. */
enum timer_op {
	KEEP,
	STOP,
	START,  /* Active_Down_Interval of our own interval: nobody was heard yet */
	ADVER,  /* Advertisement_Interval */
	DOWN,   /* Active_Down_Interval */
	LEARN,  /* adopt the advert's interval, then Active_Down_Interval */
	SKEW,   /* Skew_Time */
	YIELD,  /* so long that any peer takes over first */
	AFRESH, /* Advertisement_Interval from now, in a new rhythm */
};

struct cell {
	enum vrrp_state next;
	unsigned actions;
	enum timer_op timer;
};

#define PROMOTE (VRRP_DO_SEND_ADVERT | VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE)
#define LEAVE   (VRRP_DO_REMOVE_VIP | VRRP_DO_SEND_LEAVING)
#define ASSERT  (VRRP_DO_SEND_ADVERT | VRRP_DO_ANNOUNCE)
#define CONCEDE (VRRP_DO_REMOVE_VIP | VRRP_DO_SEND_ADVERT)
#define IN(state)              \
	{                      \
		state, 0, KEEP \
	}

/* Complete: every state has a cell for every event. An Active that hears a losing advert answers at
 * once, so that the other yields (RFC 9568 section 6.4.3, line 750), and announces its addresses
 * again, because the other has announced them too. That is why the one who yields sends a last,
 * losing advert: the winner may not have heard of it, and neighbours would go on sending here. Not
 * after a stall: its priority might win. */
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
		[VRRP_EV_ADVERT_STALE] = IN(VRRP_INITIALIZE),
		[VRRP_EV_RESIGN] = IN(VRRP_INITIALIZE),
		[VRRP_EV_FAULT] = {VRRP_FAULT, 0, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_STALLED] = IN(VRRP_INITIALIZE),
		[VRRP_EV_RECHECKED] = IN(VRRP_INITIALIZE),
	    },
	[VRRP_BACKUP] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_BACKUP),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, 0, STOP},
		[VRRP_EV_TIMER] = {VRRP_ACTIVE, PROMOTE, ADVER},
		[VRRP_EV_ADVERT_LEAVING] = {VRRP_BACKUP, 0, SKEW},
		[VRRP_EV_ADVERT_LOWER] = IN(VRRP_BACKUP),
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, 0, LEARN},
		[VRRP_EV_ADVERT_STALE] = IN(VRRP_BACKUP),
		[VRRP_EV_RESIGN] = IN(VRRP_BACKUP),
		[VRRP_EV_FAULT] = {VRRP_FAULT, 0, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_BACKUP),
		[VRRP_EV_STALLED] = {VRRP_BACKUP, 0, DOWN},
		[VRRP_EV_RECHECKED] = IN(VRRP_BACKUP),
	    },
	[VRRP_ACTIVE] =
	    {
		[VRRP_EV_STARTUP] = IN(VRRP_ACTIVE),
		[VRRP_EV_SHUTDOWN] = {VRRP_INITIALIZE, LEAVE, STOP},
		[VRRP_EV_TIMER] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, ADVER},
		[VRRP_EV_ADVERT_LEAVING] = {VRRP_ACTIVE, VRRP_DO_SEND_ADVERT, ADVER},
		[VRRP_EV_ADVERT_LOWER] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_ADVERT_INCUMBENT] = {VRRP_BACKUP, VRRP_DO_REMOVE_VIP, LEARN},
		[VRRP_EV_ADVERT_EQUAL_LOWER] = {VRRP_ACTIVE, ASSERT, KEEP},
		[VRRP_EV_ADVERT_EQUAL_HIGHER] = {VRRP_BACKUP, CONCEDE, LEARN},
		[VRRP_EV_ADVERT_HIGHER] = {VRRP_BACKUP, CONCEDE, LEARN},
		[VRRP_EV_ADVERT_STALE] = IN(VRRP_ACTIVE),
		[VRRP_EV_RESIGN] = {VRRP_BACKUP, LEAVE, YIELD},
		[VRRP_EV_FAULT] = {VRRP_FAULT, LEAVE, STOP},
		[VRRP_EV_RECOVERED] = IN(VRRP_ACTIVE),
		[VRRP_EV_STALLED] = IN(VRRP_ACTIVE),
		[VRRP_EV_RECHECKED] = {VRRP_ACTIVE, PROMOTE, AFRESH},
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
		[VRRP_EV_ADVERT_STALE] = IN(VRRP_FAULT),
		[VRRP_EV_RESIGN] = IN(VRRP_FAULT),
		[VRRP_EV_FAULT] = IN(VRRP_FAULT),
		[VRRP_EV_RECOVERED] = {VRRP_BACKUP, 0, START},
		[VRRP_EV_STALLED] = IN(VRRP_FAULT),
		[VRRP_EV_RECHECKED] = IN(VRRP_FAULT),
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

static void apply_timer(struct vrrp_fsm *fsm, enum timer_op op, uint32_t heard_us, uint64_t now_us)
{
	switch (op) {
	case KEEP: break;
	case STOP: fsm->timer_us = VRRP_NEVER; break;
	case START: fsm->timer_us = start_us(fsm, now_us); break;
	case ADVER: fsm->timer_us = next_advert_us(fsm, now_us); break;
	case LEARN: fsm->active_interval_us = heard_us; /* fall through */
	case DOWN: fsm->timer_us = now_us + vrrp_fsm_active_down_us(fsm); break;
	case SKEW: fsm->timer_us = now_us + vrrp_fsm_skew_us(fsm); break;
	case YIELD: fsm->timer_us = yield_us(fsm, now_us); break;
	case AFRESH: fsm->timer_us = now_us + fsm->interval_us; break;
	}
}

static unsigned step(
    struct vrrp_fsm *fsm, enum vrrp_event event, uint32_t heard_us, uint64_t now_us)
{
	if (event == VRRP_EV_TIMER && now_us < fsm->timer_us)
		return 0;
	const struct cell *cell = &table[fsm->state][event];
	apply_timer(fsm, cell->timer, heard_us, now_us);
	fsm->state = cell->next;
	return cell->actions;
}

unsigned vrrp_fsm_step(struct vrrp_fsm *fsm, enum vrrp_event event, uint64_t now_us)
{
	return step(fsm, event, fsm->active_interval_us, now_us);
}

enum vrrp_event vrrp_fsm_classify(const struct vrrp_fsm *fsm, uint8_t priority, int order)
{
	if (priority == 0)
		return fsm->doubtful ? VRRP_EV_ADVERT_STALE : VRRP_EV_ADVERT_LEAVING;
	if (fsm->state == VRRP_ACTIVE && fsm->doubtful)
		return VRRP_EV_ADVERT_INCUMBENT;
	if (priority < fsm->priority) {
		return fsm->state == VRRP_BACKUP && !fsm->preempt ? VRRP_EV_ADVERT_INCUMBENT
								  : VRRP_EV_ADVERT_LOWER;
	}
	if (priority > fsm->priority)
		return VRRP_EV_ADVERT_HIGHER;
	return order > 0 ? VRRP_EV_ADVERT_EQUAL_HIGHER : VRRP_EV_ADVERT_EQUAL_LOWER;
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
	if (gap <= limit || (fsm->state != VRRP_ACTIVE && fsm->state != VRRP_BACKUP))
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
	uint64_t latest = fsm->awake_us + fsm->active_interval_us / 4;
	return fsm->state == VRRP_BACKUP && latest < fsm->timer_us ? latest : fsm->timer_us;
}

const char *vrrp_state_name(enum vrrp_state state)
{
	static const char *const names[VRRP_STATE_COUNT] = {
	    [VRRP_INITIALIZE] = "Initialize",
	    [VRRP_BACKUP] = "Backup",
	    [VRRP_ACTIVE] = "Active",
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
