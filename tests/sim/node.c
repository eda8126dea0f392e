#include "tests/sim/node.h"

#include "vrrp/core/packet.h"

bool sim_holds(const struct sim_world *world, enum sim_rule rule)
{
	return world->without != rule;
}

/* ---- the kernel ---- */

bool sim_node_leased(const struct sim_world *world, const struct sim_node *node)
{
	return node->kernel.lease_us > world->now_us;
}

bool sim_node_answers(const struct sim_world *world, const struct sim_node *node)
{
	return node->has_vip && (sim_node_leased(world, node) || !sim_holds(world, SIM_RULE_FENCE));
}

static bool may_acquire(const struct sim_world *world, const struct sim_kernel *kernel)
{
	uint64_t now_us = world->now_us;
	return (kernel->permit_us > now_us || !sim_holds(world, SIM_RULE_PERMIT)) &&
	       (kernel->peer_us <= now_us || !sim_holds(world, SIM_RULE_PEER)) &&
	       (kernel->claim_us <= now_us || !sim_holds(world, SIM_RULE_RIVAL));
}

static void send_advert(struct sim_world *world, struct sim_node *node)
{
	struct sim_packet packet = {
	    .priority = node->fsm.priority, .interval_us = node->fsm.interval_us};
	if (!sim_node_leased(world, node) && sim_holds(world, SIM_RULE_RENEWAL) &&
	    !may_acquire(world, &node->kernel)) {
		node->refused = sim_holds(world, SIM_RULE_OBEDIENCE);
		return;
	}
	node->kernel.lease_us = world->ends(world, node).lease_us;
	world->sent(world, node, &packet);
}

void sim_node_say_leaving(struct sim_world *world, struct sim_node *node)
{
	struct sim_packet packet = {.interval_us = node->fsm.interval_us};
	if (sim_holds(world, SIM_RULE_LEAVING) && sim_holds(world, SIM_RULE_RELEASE))
		node->kernel.lease_us = node->kernel.permit_us = 0;
	world->sent(world, node, &packet);
}

static void send_claim(struct sim_world *world, struct sim_node *node, bool overrides)
{
	struct sim_packet packet = {.kind = SIM_CLAIM,
	    .flags = vrrp_fsm_claim_flags(&node->fsm),
	    .priority = node->fsm.priority,
	    .interval_us = node->fsm.interval_us};
	if (overrides)
		node->kernel.peer_us = 0;
	node->kernel.permit_us = world->ends(world, node).permit_us;
	world->sent(world, node, &packet);
}

static void release(struct sim_world *world, struct sim_node *node)
{
	if (sim_holds(world, SIM_RULE_RELEASE))
		node->kernel.lease_us = node->kernel.permit_us = 0;
}

void sim_node_hear(struct sim_world *world, struct sim_node *node, const struct sim_packet *packet)
{
	struct sim_kernel ends = world->ends(world, node);
	if (packet->kind == SIM_CLAIM)
		node->kernel.claim_us = ends.claim_us;
	else if (packet->kind == SIM_ADVERT)
		node->kernel.peer_us = packet->priority ? ends.peer_us : 0;
}

/* ---- the shell ---- */

/* In the order of the bits; the address comes only when the advert has left. */
static void act(struct sim_world *world, struct sim_node *node, unsigned action)
{
	switch (action) {
	case VRRP_DO_REMOVE_VIP: node->has_vip = false; break;
	case VRRP_DO_SEND_ADVERT: send_advert(world, node); break;
	case VRRP_DO_RELEASE: release(world, node); break;
	case VRRP_DO_SEND_LEAVING: sim_node_say_leaving(world, node); break;
	case VRRP_DO_SEND_CLAIM: send_claim(world, node, false); break;
	case VRRP_DO_OVERRIDE: send_claim(world, node, true); break;
	case VRRP_DO_ACQUIRE:
		send_advert(world, node);
		node->acquired = !node->refused;
		break;
	case VRRP_DO_ADD_VIP: node->has_vip = node->has_vip || !node->refused; break;
	case VRRP_DO_ANNOUNCE:
		node->announced = !node->refused && sim_node_leased(world, node);
		break;
	default: break;
	}
}

static unsigned lawless(const struct sim_world *world, unsigned actions)
{
	if (!sim_holds(world, SIM_RULE_LAST_WORD) && (actions & VRRP_DO_REMOVE_VIP))
		actions &= ~(unsigned)VRRP_DO_SEND_ADVERT;
	if (!sim_holds(world, SIM_RULE_CONSENT) && (actions & VRRP_DO_ACQUIRE))
		actions |= VRRP_DO_OVERRIDE;
	return actions;
}

/* What follows from a step, up to the end or a pause. */
static bool go_on(struct sim_world *world, struct sim_node *node)
{
	for (;;) {
		while (node->pending) {
			unsigned action = node->pending & -node->pending;
			if (world->pauses && world->pauses(world, node))
				return false;
			node->pending &= ~action;
			act(world, node, action);
		}
		if (!node->refused && !node->acquired)
			return true;
		enum vrrp_event event = node->refused ? VRRP_EV_REFUSED : VRRP_EV_ACQUIRED;
		enum vrrp_state before = node->fsm.state;
		node->refused = node->acquired = false;
		node->pending = lawless(world, vrrp_fsm_step(&node->fsm, event, world->now_us));
		world->stepped(world, node, before, vrrp_event_name(event));
	}
}

static bool conclude(struct sim_world *world, struct sim_node *node, enum vrrp_state before,
    unsigned actions, const char *why)
{
	if (before == VRRP_BACKUP && node->fsm.state == VRRP_CLAIMANT &&
	    !sim_holds(world, SIM_RULE_CLAIM))
		node->fsm.timer_us = world->now_us;
	node->pending = lawless(world, actions);
	world->stepped(world, node, before, why);
	return go_on(world, node);
}

static bool step(struct sim_world *world, struct sim_node *node, enum vrrp_event event)
{
	enum vrrp_state before = node->fsm.state;
	unsigned actions = vrrp_fsm_step(&node->fsm, event, world->now_us);
	return conclude(world, node, before, actions, vrrp_event_name(event));
}

/* The priority 0 of a yoke hands the VIP over. */
static bool take_advert(
    struct sim_world *world, struct sim_node *node, const struct sim_packet *packet)
{
	struct vrrp_fsm *fsm = &node->fsm;
	enum vrrp_state before = fsm->state;
	enum vrrp_event event = vrrp_fsm_classify(fsm, packet->priority, node->order);
	unsigned actions =
	    vrrp_fsm_advert(fsm, packet->priority, node->order, packet->interval_us, world->now_us);
	if (!conclude(world, node, before, actions, vrrp_event_name(event)))
		return false;
	return event != VRRP_EV_ADVERT_LEAVING || fsm->state != VRRP_BACKUP || !fsm->kin ||
	       step(world, node, VRRP_EV_HANDOVER);
}

static bool take(struct sim_world *world, struct sim_node *node, const struct sim_packet *packet)
{
	struct vrrp_fsm *fsm = &node->fsm;
	enum vrrp_state before = fsm->state;
	if (packet->kind == SIM_HANDOVER)
		return step(world, node, VRRP_EV_HANDOVER);
	if (before == VRRP_ACTIVE && !sim_holds(world, SIM_RULE_ATTENTION))
		return true;
	if (packet->kind == SIM_ADVERT)
		return take_advert(world, node, packet);
	if (before != VRRP_ACTIVE && !sim_holds(world, SIM_RULE_WITHDRAWAL))
		return true;
	enum vrrp_event event =
	    vrrp_fsm_classify_claim(fsm, packet->priority, node->order, packet->flags);
	return conclude(world, node, before, vrrp_fsm_step(fsm, event, world->now_us), "claim");
}

static bool read_inbox(struct sim_world *world, struct sim_node *node)
{
	while (node->n_inbox) {
		struct sim_packet packet = node->inbox[0];
		node->n_inbox--;
		for (size_t k = 0; k < node->n_inbox; k++)
			node->inbox[k] = node->inbox[k + 1];
		if (!take(world, node, &packet))
			return false;
	}
	return true;
}

static void wake_up(struct sim_world *world, struct sim_node *node)
{
	if (!sim_holds(world, SIM_RULE_STALL))
		node->fsm.awake_us = world->now_us;
	vrrp_fsm_awake(&node->fsm, world->now_us);
	node->stage = SIM_READING;
}

static bool recheck(struct sim_world *world, struct sim_node *node)
{
	enum vrrp_state before = node->fsm.state;
	unsigned actions = vrrp_fsm_recheck(&node->fsm, world->now_us);
	node->stage = SIM_READ;
	return conclude(world, node, before, actions, "recheck");
}

bool sim_node_wake(struct sim_world *world, struct sim_node *node)
{
	if (!go_on(world, node))
		return false;
	if (node->stage == SIM_ASLEEP)
		wake_up(world, node);
	if (node->stage == SIM_READING && (!read_inbox(world, node) || !recheck(world, node)))
		return false;
	if (node->stage == SIM_READ) {
		if (world->pauses && world->pauses(world, node))
			return false;
		node->stage = SIM_TIMED;
		if (!step(world, node, VRRP_EV_TIMER))
			return false;
	}
	node->stage = SIM_ASLEEP;
	return true;
}

bool sim_node_order(struct sim_world *world, struct sim_node *node, enum vrrp_event event)
{
	enum vrrp_state before = node->fsm.state;
	unsigned actions = vrrp_fsm_step(&node->fsm, event, world->now_us);
	if ((actions && event == VRRP_EV_RESIGN && !sim_holds(world, SIM_RULE_HOLD)) ||
	    (event == VRRP_EV_STARTUP && !sim_holds(world, SIM_RULE_PATIENCE)))
		node->fsm.timer_us = world->now_us;
	return conclude(world, node, before, actions, vrrp_event_name(event));
}

bool sim_node_evidence(
    struct sim_world *world, struct sim_node *node, uint8_t priority, uint64_t age_us)
{
	enum vrrp_state before = node->fsm.state;
	if (!sim_holds(world, SIM_RULE_EVIDENCE))
		return true;
	unsigned actions =
	    vrrp_fsm_evidence(&node->fsm, priority, node->order, age_us, world->now_us);
	return conclude(world, node, before, actions, "evidence");
}

/* ---- life ---- */

void sim_node_start(
    struct sim_world *world, struct sim_node *node, uint8_t priority, uint32_t interval_us)
{
	*node = (struct sim_node){.order = node->order};
	vrrp_fsm_init(&node->fsm, priority, interval_us, world->now_us);
}

void sim_node_queue(struct sim_node *node, const struct sim_packet *packet)
{
	if (node->n_inbox < SIM_INBOX_MAX)
		node->inbox[node->n_inbox++] = *packet;
}

const char *sim_rule_text(enum sim_rule rule)
{
	static const char *const texts[SIM_RULE_COUNT] = {
#define X(name, text) [SIM_RULE_##name] = text,
	    SIM_RULES(X)
#undef X
	};
	return rule < SIM_RULE_COUNT ? texts[rule] : "all rules";
}
