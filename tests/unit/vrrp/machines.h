/* State machines as the tests of fsm.c begin with them. */
#pragma once

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

static inline struct vrrp_fsm fsm_in(enum vrrp_state state)
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
static inline struct vrrp_fsm started(uint8_t priority, uint32_t interval_us)
{
	struct vrrp_fsm fsm;
	vrrp_fsm_init(&fsm, priority, interval_us, now);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_STARTUP, now), 0);
	return fsm;
}

/* In a loop that was never late. */
static inline unsigned timer(struct vrrp_fsm *fsm, uint64_t now_us)
{
	fsm->awake_us = now_us;
	return vrrp_fsm_step(fsm, VRRP_EV_TIMER, now_us);
}

/* Active since now, with a lease. */
static inline struct vrrp_fsm acquired(void)
{
	struct vrrp_fsm fsm = fsm_in(VRRP_CLAIMANT);
	CU_ASSERT_EQUAL(timer(&fsm, now), VRRP_DO_ACQUIRE);
	CU_ASSERT_EQUAL(vrrp_fsm_step(&fsm, VRRP_EV_ACQUIRED, now), SETTLE);
	return fsm;
}
