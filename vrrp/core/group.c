#include "vrrp/core/group.h"

/* Since when no Active of the group has resigned; 0: none has. */
static uint64_t last_resignation_us(const struct vrrp_member *members, unsigned n)
{
	uint64_t last_us = 0;
	for (unsigned i = 0; i < n; i++) {
		if (members[i].heard_us > last_us && members[i].heard_priority == 0)
			last_us = members[i].heard_us;
	}
	return last_us;
}

static bool may_become_active(
    const struct vrrp_member *member, uint64_t resigned_us, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = member->fsm;
	/* Timers of a group differ by the phases of their adverts: two missing ones will do. */
	uint64_t slack_us = fsm->active_interval_us;
	if (vrrp_state_outside(fsm->state) == VRRP_ACTIVE || fsm->state == VRRP_CLAIMANT)
		return true;
	if (fsm->state != VRRP_BACKUP)
		return false;
	return fsm->held || vrrp_fsm_wants(fsm, now_us + slack_us) ||
	       (resigned_us != 0 && resigned_us >= member->heard_us);
}

unsigned vrrp_group_objector(
    const struct vrrp_member *members, unsigned n, unsigned self, uint64_t now_us)
{
	uint64_t resigned_us = last_resignation_us(members, n);
	for (unsigned i = 0; i < n; i++) {
		if (i != self && !may_become_active(&members[i], resigned_us, now_us))
			return i;
	}
	return n;
}

static bool hears_a_better_one(const struct vrrp_member *member, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = member->fsm;
	return fsm->state == VRRP_BACKUP && member->heard_better && member->heard_us != 0 &&
	       now_us - member->heard_us < vrrp_fsm_active_down_us(fsm);
}

bool vrrp_group_split(const struct vrrp_member *members, unsigned n, uint64_t now_us)
{
	bool active = false, better = false;
	for (unsigned i = 0; i < n; i++) {
		active = active || vrrp_state_outside(members[i].fsm->state) == VRRP_ACTIVE;
		better = better || hears_a_better_one(&members[i], now_us);
	}
	return active && better;
}
