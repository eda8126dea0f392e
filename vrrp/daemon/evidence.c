/* The second path to the peer, by way of the proxies' replication: what it says of its virtual
 * router, whether it holds the VIP when its adverts are missing, and what people are told then. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

void instance_inquire(struct vrrp_instance *instance, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = &instance->fsm;
	uint64_t pause_us = fsm->active_interval_us / 2;
	/* Evidence counts from one and a half intervals on (core/fsm.h). */
	if (!instance->peer_active || now_us <= fsm->quiet_us + 3 * pause_us ||
	    now_us < instance->asked_us + pause_us)
		return;
	instance->asked_us = now_us;
	union ipc_message msg;
	ipc_init(&msg, IPC_QUESTION);
	text_copy(msg.question.name, sizeof(msg.question.name), instance->config.name);
	msg.question.vrid = instance->config.vrid;
	msg.question.stamp = now_us;
	instance->station->say(instance->station, &msg);
}

void vrrp_instance_testify(struct vrrp_instance *instance, uint64_t stamp)
{
	if (instance->fsm.state != VRRP_ACTIVE ||
	    vrrp_guard_left_ms(&instance->guard, &instance->config) == 0)
		return;
	union ipc_message msg;
	ipc_init(&msg, IPC_EVIDENCE);
	text_copy(msg.evidence.name, sizeof(msg.evidence.name), instance->config.name);
	msg.evidence.vrid = instance->config.vrid;
	msg.evidence.priority = instance->fsm.priority;
	msg.evidence.stamp = stamp;
	msg.evidence.source = instance->netif.source;
	instance->station->say(instance->station, &msg);
}

void instance_say_claim(struct vrrp_instance *instance, uint8_t flags, uint64_t now_us)
{
	union ipc_message msg;
	if (!instance->paired)
		return;
	ipc_init(&msg, IPC_CLAIM);
	text_copy(msg.claim.name, sizeof(msg.claim.name), instance->config.name);
	msg.claim.vrid = instance->config.vrid;
	msg.claim.priority = instance->fsm.priority;
	msg.claim.flags = flags;
	msg.claim.stamp = now_us;
	msg.claim.source = instance->netif.source;
	instance->station->say(instance->station, &msg);
}

void vrrp_instance_hear_claim(struct vrrp_instance *instance, const struct ipc_claim *claim)
{
	instance_wake(instance);
	if (claim->source.sa.sa_family == instance->netif.source.sa.sa_family)
		instance_hear_claim(instance, claim->priority, claim->flags, &claim->source,
		    " by the replication channel", clock_us());
	vrrp_instance_testify(instance, claim->stamp);
	instance_settle(instance, "");
	instance_rearm(instance);
}

/* Without the evidence we would have taken the VIP by now. */
static void note_lost(struct vrrp_instance *instance, const char *from, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = &instance->fsm;
	uint64_t since_us = fsm->quiet_us > instance->since_us ? fsm->quiet_us : instance->since_us;
	if (vrrp_state_outside(fsm->state) != VRRP_BACKUP ||
	    now_us - since_us < vrrp_fsm_active_down_us(fsm))
		return;
	char text[IPC_REASON_MAX];
	snprintf(text, sizeof(text),
	    "adverts of %s lost for %llu ms, but it is Active and serving by the replication "
	    "channel",
	    from, (unsigned long long)((now_us - since_us) / US_PER_MS));
	instance_complain(instance, COMPLAINT_LOST, "%s", text);
	if (instance->lost[0])
		return;
	text_copy(instance->lost, sizeof(instance->lost), text);
	instance->lost_us = since_us;
	instance_tell(instance);
}

bool instance_note_found(struct vrrp_instance *instance, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = &instance->fsm;
	if (!instance->lost[0])
		return false;
	if (vrrp_state_outside(fsm->state) != VRRP_BACKUP)
		text_copy(instance->found, sizeof(instance->found), instance->reason);
	else if (fsm->quiet_us > instance->lost_us)
		snprintf(instance->found, sizeof(instance->found), "heard again after %llu ms",
		    (unsigned long long)((fsm->quiet_us - instance->lost_us) / US_PER_MS));
	else if (now_us > fsm->trusted_us)
		text_copy(instance->found, sizeof(instance->found),
		    "nor is the peer Active by the replication channel any more");
	else
		return false;
	instance->lost[0] = '\0';
	instance_complain(instance, COMPLAINT_FOUND, "adverts that were lost: %s", instance->found);
	return true;
}

void vrrp_instance_hear_evidence(
    struct vrrp_instance *instance, const struct ipc_evidence *evidence)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	instance_wake(instance);
	uint64_t now_us = clock_us(), age_us = now_us - evidence->stamp;
	const struct addr *self = &instance->netif.source;
	if (evidence->stamp <= now_us && evidence->source.sa.sa_family == self->sa.sa_family) {
		int order = addr_compare_ip(&evidence->source, self);
		addr_format_ip(&evidence->source, from);
		snprintf(reason, sizeof(reason),
		    "%s is Active with priority %u by the replication channel, its adverts are "
		    "lost",
		    from, evidence->priority);
		enum vrrp_state previous = instance->fsm.state;
		bool counts = vrrp_fsm_classify_evidence(&instance->fsm, evidence->priority, order,
				  age_us, now_us) != VRRP_EV_EVIDENCE_VOID;
		unsigned actions =
		    vrrp_fsm_evidence(&instance->fsm, evidence->priority, order, age_us, now_us);
		instance_conclude(instance, previous, actions, reason, now_us);
		if (counts)
			note_lost(instance, from, now_us);
	}
	instance_settle(instance, "");
	instance_rearm(instance);
}

void vrrp_instance_hear_peer(
    struct vrrp_instance *instance, uint8_t vrid, bool active, bool handed_over)
{
	bool other = vrid != instance->config.vrid;
	instance->other_vrid = other && active ? vrid : 0;
	if (other)
		return;
	instance->paired = true;
	instance->peer_active = active;
	if (!handed_over)
		return;
	instance_wake(instance);
	instance->handover_us = clock_us();
	instance_step(instance, VRRP_EV_HANDOVER, "handed over by the peer");
	instance_settle(instance, "");
	instance_rearm(instance);
}
