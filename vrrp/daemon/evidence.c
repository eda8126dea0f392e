/* The second path to the peer, by way of the proxies' replication: what it says of its virtual
 * router, whether it holds the VIP when its adverts are missing, and what people are told then. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

static void say(
    struct vrrp_instance *instance, enum ipc_word_kind kind, uint8_t flags, uint64_t stamp)
{
	union ipc_message msg;
	ipc_init(&msg, IPC_WORD);
	text_copy(msg.word.name, sizeof(msg.word.name), instance->config.name);
	msg.word.kind = (uint8_t)kind;
	msg.word.vrid = instance->config.vrid;
	msg.word.priority = instance->fsm.priority;
	msg.word.flags = flags;
	msg.word.stamp = stamp;
	msg.word.source = instance->netif.source;
	instance->station->say(instance->station, &msg);
}

void instance_inquire(struct vrrp_instance *instance, uint64_t now_us)
{
	const struct vrrp_fsm *fsm = &instance->fsm;
	uint64_t pause_us = fsm->active_interval_us / 2;
	/* Evidence counts from one and a half intervals on (core/fsm.h). */
	if (!instance->peer_active || now_us <= fsm->quiet_us + 3 * pause_us ||
	    now_us < instance->asked_us + pause_us)
		return;
	instance->asked_us = now_us;
	say(instance, IPC_WORD_QUESTION, 0, now_us);
}

/* Yes, or nothing. */
static void testify(struct vrrp_instance *instance, uint64_t stamp)
{
	if (instance->fsm.state != VRRP_ACTIVE ||
	    vrrp_guard_left_ms(&instance->guard, &instance->config) == 0)
		return;
	say(instance, IPC_WORD_EVIDENCE, 0, stamp);
}

void instance_say_claim(struct vrrp_instance *instance, uint8_t flags, uint64_t now_us)
{
	if (instance->paired)
		say(instance, IPC_WORD_CLAIM, flags, now_us);
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

static void on_evidence(struct vrrp_instance *instance, const struct ipc_word *evidence)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	uint64_t now_us = clock_us(), age_us = now_us - evidence->stamp;
	if (evidence->stamp > now_us)
		return;
	int order = addr_compare_ip(&evidence->source, &instance->netif.source);
	addr_format_ip(&evidence->source, from);
	snprintf(reason, sizeof(reason),
	    "%s is Active with priority %u by the replication channel, its adverts are lost", from,
	    evidence->priority);
	enum vrrp_state previous = instance->fsm.state;
	bool counts = vrrp_fsm_classify_evidence(&instance->fsm, evidence->priority, order, age_us,
			  now_us) != VRRP_EV_EVIDENCE_VOID;
	unsigned actions =
	    vrrp_fsm_evidence(&instance->fsm, evidence->priority, order, age_us, now_us);
	instance_conclude(instance, previous, actions, reason, now_us);
	if (counts)
		note_lost(instance, from, now_us);
}

void vrrp_instance_hear_word(struct vrrp_instance *instance, const struct ipc_word *word)
{
	if (word->kind == IPC_WORD_QUESTION) {
		testify(instance, word->stamp);
		return;
	}
	bool comparable = word->source.sa.sa_family == instance->netif.source.sa.sa_family;
	instance_wake(instance);
	if (comparable && word->kind == IPC_WORD_EVIDENCE)
		on_evidence(instance, word);
	if (comparable && word->kind == IPC_WORD_CLAIM)
		instance_hear_claim(instance, word->priority, word->flags, &word->source,
		    " by the replication channel", clock_us());
	if (word->kind == IPC_WORD_CLAIM)
		testify(instance, word->stamp);
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
