/* The VRRP state machine (RFC 9568 section 6.4): one virtual router on one node, as a function of
 * events and of time. No sockets, clock, memory or log: the caller performs the actions, in the
 * order of their bits, and steps the machine when `timer_us` has come.
 *
 * Ours beyond the RFC: the state Fault (not fit to serve: no advert leaves, no timer runs), the
 * event Resign (an operator moves the VIP), what happens after the process was stalled, what the
 * replication channel says of the peer (Evidence, Handover), and two states: Claimant, the last
 * moment of a Backup's patience, in which it says that it is about to take the VIP, so that whoever
 * knows better can object; Reclaimant, an Active whose lease ran out so short a time ago that the
 * peer is still patient: it claims the lease back. The first advert is sent by VRRP_DO_ACQUIRE and
 * may be refused by the kernel's fence (core/fence.h): ACQUIRED or REFUSED says which. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum vrrp_state {
	VRRP_INITIALIZE,
	VRRP_BACKUP,
	VRRP_CLAIMANT, /* to the outside a Backup */
	VRRP_ACTIVE,
	VRRP_RECLAIMANT, /* to the outside Active: has the addresses, silenced by the fence */
	VRRP_FAULT,
	VRRP_STATE_COUNT
};

/* ADVERT_*, CLAIM_*, EVIDENCE_* of the peer: vrrp_fsm_classify, vrrp_fsm_classify_claim and
 * vrrp_fsm_classify_evidence tell which. CLAIM_DUE: TIMER, before the timer's end. LAPSED: REFUSED,
 * of an Active that was not silent for long. HALTED, STALLED, RECHECKED: from vrrp_fsm_awake,
 * vrrp_fsm_recheck only, and HALTED from TIMER when the last vrrp_fsm_awake is long ago. */
#define VRRP_EVENTS(X)                                                               \
	X(STARTUP)                                                                   \
	X(SHUTDOWN)                                                                  \
	X(TIMER)               /* ignored before timer_us */                         \
	X(CLAIM_DUE)           /* time to say that we are about to take it */        \
	X(ACQUIRED)            /* the first advert has left */                       \
	X(REFUSED)             /* the kernel did not let an advert leave */          \
	X(LAPSED)              /* nor this one, but the peer is still patient */     \
	X(ADVERT_LEAVING)      /* priority 0 */                                      \
	X(ADVERT_LOWER)        /* lower priority, and we do not respect it */        \
	X(ADVERT_INCUMBENT)    /* lower priority, but it holds the VIP */            \
	X(ADVERT_EQUAL_LOWER)  /* our priority, the sender's address is lower */     \
	X(ADVERT_EQUAL_HIGHER) /* our priority, the sender's address is higher */    \
	X(ADVERT_HIGHER)       /* higher priority */                                 \
	X(STALE)               /* priority 0 or a claim, but perhaps long ago */     \
	X(CLAIM_WORSE)         /* the peer claims, and ours is the better claim */   \
	X(CLAIM_BETTER)        /* the other way round */                             \
	X(CLAIM_PREEMPTS)      /* better, and it would take it from an Active */     \
	X(EVIDENCE_WORSE)      /* the peer holds the VIP though we hear no advert */ \
	X(EVIDENCE_BETTER)     /* and it is the better of two Actives */             \
	X(EVIDENCE_VOID)       /* it said so too long ago, or we hear adverts */     \
	X(HANDOVER)            /* the peer has resigned, and wants us to take it */  \
	X(HELD)                /* the caller objects to what TIMER would do */       \
	X(RESIGN)              /* the operator wants the peer to have the VIP */     \
	X(FAULT)               /* not fit to serve: proxy, link, ... */              \
	X(RECOVERED)           /* fit again */                                       \
	X(HALTED)              /* we did not run for as long as a claim lasts */     \
	X(STALLED)             /* we did not run for too long */                     \
	X(RECHECKED)           /* after a stall: what was queued has been read */

enum vrrp_event {
#define X(name) VRRP_EV_##name,
	VRRP_EVENTS(X)
#undef X
	    VRRP_EVENT_COUNT
};

/* To be performed in this order: on the way out the address goes before the peer is told, on the
 * way in the peer is told before the address comes. */
enum vrrp_action {
	VRRP_DO_REMOVE_VIP = 1 << 0, /* also ends announcing */
	VRRP_DO_SEND_ADVERT = 1 << 1,
	VRRP_DO_RELEASE = 1 << 2,      /* the kernel's lease ends */
	VRRP_DO_SEND_LEAVING = 1 << 3, /* an advert with priority 0 */
	VRRP_DO_SEND_CLAIM = 1 << 4,   /* with vrrp_fsm_claim_flags */
	VRRP_DO_OVERRIDE = 1 << 5, /* a claim that the kernel takes for leave to ignore the peer */
	VRRP_DO_ACQUIRE = 1 << 6,  /* the first advert; then step with ACQUIRED or REFUSED */
	VRRP_DO_ADD_VIP = 1 << 7,
	VRRP_DO_ANNOUNCE = 1 << 8, /* gratuitous ARP burst */
};

#define VRRP_NEVER UINT64_MAX

/* All fields may be read; they are changed by the functions only, but `preempt`. */
struct vrrp_fsm {
	enum vrrp_state state;
	uint8_t priority;
	bool preempt;         /* take the VIP from a lower priority; may change at any time */
	bool doubtful;        /* after a stall, until what was queued is read */
	uint32_t interval_us; /* Advertisement_Interval: ours */
	uint32_t active_interval_us; /* Active_Adver_Interval: of the Active that was heard */
	uint64_t timer_us;           /* Adver_Timer or Active_Down_Timer; VRRP_NEVER */
	uint64_t claim_us;           /* Claimant: the next claim */
	uint64_t lower_us;           /* until then an ignored Active of lower priority may live */
	unsigned defied;             /* Claimant: adverts that a peer sent in spite of our claim */
	bool kin;                    /* the peer has claimed, or was evident: it knows claims */
	uint64_t sent_us;            /* when the last advert was ordered */
	bool held;                   /* its patience is over, but it was HELD since */
	bool overdue;                /* it was, so late that the peer may have taken over before */
	uint64_t quiet_us;   /* since when we hear no advert: not before our own promotion */
	uint64_t evident_us; /* the peer held the VIP then, as it said on another path */
	uint64_t trusted_us; /* until then that is good for it */
	uint64_t awake_us;   /* the last vrrp_fsm_awake */
};

void vrrp_fsm_init(struct vrrp_fsm *fsm, uint8_t priority, uint32_t interval_us, uint64_t now_us);

/* One event at `now_us`. Returns VRRP_DO_* bits. Adverts go through vrrp_fsm_advert. */
unsigned vrrp_fsm_step(struct vrrp_fsm *fsm, enum vrrp_event event, uint64_t now_us);

/* TIMER would claim the VIP now, or take it. A caller that knows why it must not (no witness,
 * others of its group) steps with HELD instead, and is asked again a quarter of an interval later.
 */
bool vrrp_fsm_wants(const struct vrrp_fsm *fsm, uint64_t now_us);

/* Which event an advert is. `order`: the sender's address against ours, as memcmp of network order
 * bytes tells (RFC 9568 section 6.4.3). */
enum vrrp_event vrrp_fsm_classify(const struct vrrp_fsm *fsm, uint8_t priority, int order);
/* Classifies and steps; the interval of the advert is adopted where the RFC says so. */
unsigned vrrp_fsm_advert(
    struct vrrp_fsm *fsm, uint8_t priority, int order, uint32_t interval_us, uint64_t now_us);

/* The same for a claim of the peer, with its VRRP_CLAIM_* flags (packet.h). The better claim is an
 * incumbent's, then the one of higher priority, then the one of the higher address. */
enum vrrp_event vrrp_fsm_classify_claim(
    const struct vrrp_fsm *fsm, uint8_t priority, int order, uint8_t flags);
/* The flags of our own. */
uint8_t vrrp_fsm_claim_flags(const struct vrrp_fsm *fsm);

/* The peer said over another path (replication) that its kernel's lease was alive and that it
 * serves: true at some time not longer than `age_us` ago, an upper bound (the round trip: how long
 * ago we sent what it has answered). It matters only where adverts are missing for 1.5 intervals at
 * that time, else VOID: a failover of a peer that dies is not delayed by what it said before. Then
 * it is to a Backup what an advert would be that was sent then, but not good for less than an answer
 * may take (core/fence.h), if we do not mean to preempt its sender. Of two Actives that do not hear
 * each other the worse one resigns. */
enum vrrp_event vrrp_fsm_classify_evidence(
    const struct vrrp_fsm *fsm, uint8_t priority, int order, uint64_t age_us, uint64_t now_us);
/* Classifies and steps. HANDOVER is an event like others (vrrp_fsm_step): it may come late or
 * twice, since the kernel decides whether the VIP is to be had. */
unsigned vrrp_fsm_evidence(
    struct vrrp_fsm *fsm, uint8_t priority, int order, uint64_t age_us, uint64_t now_us);

/* New parameters without a change of state. */
void vrrp_fsm_configure(
    struct vrrp_fsm *fsm, uint8_t priority, uint32_t interval_us, uint64_t now_us);

/* Call first at each wake-up, then read what the network has queued, then vrrp_fsm_recheck, then
 * events of time: silence counts only while we listen. Wake up at vrrp_fsm_wake_us at the latest.
 *
 * True when there was a stall, and then everything in the queue is of unknown age. A Backup has
 * restarted its timer, since it may have missed adverts. An Active that was silent for so long that
 * the peer may have taken over becomes Backup by any advert that it finds, also of a lower
 * priority; if there is none it asserts itself anew (recheck). A priority 0 found then is ignored:
 * its sender may be back. So is a claim by an Active: the claimant may be Active for long, and our
 * answer might win. A claim during which nobody could object begins anew, without a word. */
bool vrrp_fsm_awake(struct vrrp_fsm *fsm, uint64_t now_us);
unsigned vrrp_fsm_recheck(struct vrrp_fsm *fsm, uint64_t now_us);
uint64_t vrrp_fsm_wake_us(const struct vrrp_fsm *fsm);

/* RFC 9568 section 6.1, from the interval in force. */
uint64_t vrrp_fsm_skew_us(const struct vrrp_fsm *fsm);
uint64_t vrrp_fsm_active_down_us(const struct vrrp_fsm *fsm);

/* What it is to others: a Claimant is Backup, a Reclaimant Active. */
enum vrrp_state vrrp_state_outside(enum vrrp_state state);
const char *vrrp_state_name(enum vrrp_state state); /* "Initialize" "Backup" ... */
const char *vrrp_event_name(enum vrrp_event event);
