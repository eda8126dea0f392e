/* The virtual routers of a group, as core/group.h has the rules. */
#include "vrrp/core/group.h"

#include <stdio.h>

#include "daemon/base/clock.h"
#include "vrrp/daemon/internal.h"
#include "vrrp/daemon/routers.h"

/* A split must last longer than what a planned move takes. */
#define SPLIT_US US_PER_SEC

struct group {
	struct vrrp_member members[VRRP_ROUTERS_MAX];
	struct vrrp_instance *instances[VRRP_ROUTERS_MAX];
	unsigned n;
};

static void add_member(struct group *group, struct vrrp_instance *instance)
{
	/* By replication, or by an advert of priority 0. */
	bool handed_over = instance->handover_us > instance->heard_us;
	group->members[group->n] = (struct vrrp_member){
	    .fsm = &instance->fsm,
	    .heard_us = handed_over ? instance->handover_us : instance->heard_us,
	    .heard_priority = handed_over ? VRRP_PRIORITY_LEAVING : instance->heard_priority,
	    .heard_better = instance->heard_better,
	};
	group->instances[group->n++] = instance;
}

/* `instance` is the first. */
static struct group group_of(struct vrrp_instance *instance)
{
	struct group group = {.n = 0};
	struct vrrp_instance *mate = NULL;
	add_member(&group, instance);
	while ((mate = vrrp_routers_mate(instance, mate)))
		add_member(&group, mate);
	return group;
}

bool instance_group_objects(struct vrrp_instance *instance, uint64_t now_us, char *why, size_t size)
{
	struct group group = group_of(instance);
	unsigned i = vrrp_group_objector(group.members, group.n, 0, now_us);
	if (i == group.n)
		return false;
	const struct vrrp_instance *mate = group.instances[i];
	char from[ADDR_TEXT_MAX] = "the peer";
	if (mate->heard_us)
		addr_format_ip(&mate->heard_from, from);
	snprintf(
	    why, size, "%s of the same group waits: %s is Active there", mate->config.name, from);
	return true;
}

const char *instance_group_fault(const struct vrrp_instance *instance, char *buf, size_t size)
{
	struct vrrp_instance *mate = NULL;
	while ((mate = vrrp_routers_mate(instance, mate))) {
		const char *fault = instance_own_fault(mate);
		if (!fault)
			continue;
		snprintf(buf, size, "%s of the same group: %s", mate->config.name, fault);
		return buf;
	}
	return NULL;
}

static void resign(struct vrrp_instance *instance, const char *reason)
{
	instance_wake(instance);
	instance_step(instance, VRRP_EV_RESIGN, reason);
	instance_rearm(instance);
}

void instance_lead_group(struct vrrp_instance *instance)
{
	char reason[IPC_REASON_MAX];
	struct vrrp_instance *mate = NULL;
	if (!instance->left)
		return;
	instance->left = false;
	snprintf(reason, sizeof(reason), "resigned: %s of the same group is not Active any more",
	    instance->config.name);
	while ((mate = vrrp_routers_mate(instance, mate))) {
		mate->handed_over = mate->handed_over || instance->handed_over;
		instance_adopt_preemption(mate);
		if (vrrp_state_outside(mate->fsm.state) == VRRP_ACTIVE)
			resign(mate, reason);
	}
}

void instance_mend_group(struct vrrp_instance *instance, uint64_t now_us)
{
	struct group group = group_of(instance);
	bool active = vrrp_state_outside(instance->fsm.state) == VRRP_ACTIVE;
	if (!active || !vrrp_group_split(group.members, group.n, now_us)) {
		instance->split_us = 0;
		return;
	}
	if (instance->split_us == 0)
		instance->split_us = now_us;
	if (now_us - instance->split_us > SPLIT_US + 3 * (uint64_t)instance->fsm.interval_us)
		resign(
		    instance, "resigned: the peer is Active for a part of the group, and better");
}
