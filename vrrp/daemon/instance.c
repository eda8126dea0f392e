#include "vrrp/daemon/instance.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/daemon/internal.h"
#include "vrrp/daemon/routers.h"
#include "vrrp/link/presence.h"
#include "vrrp/link/router.h"

/* ---- events ---- */

static void note_change(
    struct vrrp_instance *instance, enum vrrp_state previous, const char *reason, uint64_t now_us)
{
	instance_count_change(instance, previous, now_us);
	text_copy(instance->reason, sizeof(instance->reason), reason);
	instance_add_figures(instance, now_us, instance->reason, sizeof(instance->reason));
	instance->since_us = now_us;
	instance->before = previous;
	instance->heard_us = 0;
	instance->ignored_us = 0;
	instance->preempted = 0;
	instance->handover_us = 0;
	instance->mute_us = 0;
	instance_note_found(instance, now_us);
	instance->left = instance->left || vrrp_state_outside(previous) == VRRP_ACTIVE;
	log_notice("vrrp %s: %s -> %s: %s", instance->config.name,
	    vrrp_state_name(vrrp_state_outside(previous)),
	    vrrp_state_name(vrrp_state_outside(instance->fsm.state)), instance->reason);
	instance->station->changed(instance->station, instance, previous);
}

void instance_tell(struct vrrp_instance *instance)
{
	instance->station->noted(instance->station, instance);
}

static enum ipc_router_role role_of(enum vrrp_state state)
{
	static const enum ipc_router_role roles[VRRP_STATE_COUNT] = {
	    [VRRP_INITIALIZE] = IPC_ROLE_INITIALIZE,
	    [VRRP_BACKUP] = IPC_ROLE_BACKUP,
	    [VRRP_ACTIVE] = IPC_ROLE_ACTIVE,
	    [VRRP_FAULT] = IPC_ROLE_FAULT,
	};
	return roles[vrrp_state_outside(state)];
}

/* The kernel's answer to a first advert, and to every other. */
static void follow_up(struct vrrp_instance *instance, unsigned actions,
    enum instance_outcome outcome, const char *reason, uint64_t now_us)
{
	if (actions & VRRP_DO_ACQUIRE) {
		if (outcome == OUTCOME_SENT)
			instance_step(instance, VRRP_EV_ACQUIRED, reason);
		else if (outcome == OUTCOME_FAILED) /* nobody heard that we are Active now */
			instance_set_trouble(
			    instance, now_us, "the first advert could not be sent");
		else if (instance->fsm.state == VRRP_CLAIMANT)
			instance_remark(instance, COMPLAINT_LEASE,
			    "claims on: the kernel still hears an Active, or another claimant");
	}
	if (outcome != OUTCOME_REFUSED)
		return;
	instance_step(instance, VRRP_EV_REFUSED, "the lease ran out before an advert renewed it");
	if (instance->fsm.state == VRRP_RECLAIMANT)
		instance_complain(instance, COMPLAINT_LEASE,
		    "the lease ran out before an advert renewed it: claims it back");
}

void instance_conclude(struct vrrp_instance *instance, enum vrrp_state previous, unsigned actions,
    const char *reason, uint64_t now_us)
{
	enum vrrp_state state = instance->fsm.state;
	bool changed = role_of(state) != role_of(previous);
	if (changed && state == VRRP_ACTIVE) {
		instance->handed_over = false;
		instance->tracking.relieves = false;
		instance->tracking.rival.since_us = 0;
	}
	enum instance_outcome outcome = instance_perform(instance, actions, now_us);
	instance->released = actions & VRRP_DO_SEND_LEAVING;
	if (changed)
		note_change(instance, previous, reason, now_us);
	else if (state != previous)
		log_debug("vrrp %s: %s -> %s", instance->config.name, vrrp_state_name(previous),
		    vrrp_state_name(state));
	instance->stats.claims_lost += previous == VRRP_CLAIMANT && state == VRRP_BACKUP;
	follow_up(instance, actions, outcome, reason, now_us);
}

void instance_step(struct vrrp_instance *instance, enum vrrp_event event, const char *reason)
{
	uint64_t now_us = clock_us();
	enum vrrp_state previous = instance->fsm.state;
	instance->event = event;
	unsigned actions = vrrp_fsm_step(&instance->fsm, event, now_us);
	instance_conclude(instance, previous, actions, reason, now_us);
}

const char *instance_own_fault(const struct vrrp_instance *instance)
{
	if (instance->link_fault[0])
		return instance->link_fault;
	if (instance->proxy_fault[0])
		return instance->proxy_fault;
	if (instance->tracking.fault[0])
		return instance->tracking.fault;
	return instance->trouble[0] ? instance->trouble : NULL;
}

static void settle_one(struct vrrp_instance *instance, const char *recovered)
{
	char text[IPC_REASON_MAX];
	const char *fault = instance_own_fault(instance);
	if (!fault)
		fault = instance_group_fault(instance, text, sizeof(text));
	if (fault && instance->fsm.state != VRRP_FAULT)
		instance_step(instance, VRRP_EV_FAULT, fault);
	else if (!fault && instance->fsm.state == VRRP_INITIALIZE)
		instance_step(instance, VRRP_EV_STARTUP, "started");
	else if (!fault && instance->fsm.state == VRRP_FAULT)
		instance_step(instance, VRRP_EV_RECOVERED, recovered);
}

/* A fault of one is a fault of its group. */
void instance_settle(struct vrrp_instance *instance, const char *recovered)
{
	struct vrrp_instance *mate = NULL;
	settle_one(instance, recovered);
	while ((mate = vrrp_routers_mate(instance, mate))) {
		enum vrrp_state before = mate->fsm.state;
		settle_one(mate, recovered);
		if (mate->fsm.state != before)
			instance_rearm(mate);
	}
}

/* A refresh may have to wait for the kernel's lock on all network configuration. Where adverts come
 * often enough it is done behind one: nothing is due then for the longest time. */
static uint64_t refresh_due_us(const struct vrrp_instance *instance)
{
	uint32_t interval_us = instance->config.advertise_us;
	bool often = 2 * (uint64_t)interval_us <= vrrp_vip_refresh_us(interval_us);
	return often ? VRRP_NEVER : instance->refresh_us;
}

void instance_rearm(struct vrrp_instance *instance)
{
	instance->late_us = 0; /* what comes next was not woken by this timer */
	instance_lead_group(instance);
	instance_forget_hold(instance);
	uint64_t due = vrrp_fsm_wake_us(&instance->fsm);
	uint64_t round = vrrp_burst_due(&instance->burst);
	due = round < due ? round : due;
	uint64_t refresh = refresh_due_us(instance);
	due = refresh < due ? refresh : due;
	vrrp_timer_set(&instance->timer, due);
}

void instance_wake(struct vrrp_instance *instance)
{
	uint64_t last_us = instance->fsm.awake_us, now_us = clock_us();
	instance_count_lateness(instance, instance->timer.due_us, now_us);
	bool stalled = vrrp_fsm_awake(&instance->fsm, now_us);
	instance->stats.stalls += stalled;
	if (stalled)
		instance_remark(instance, COMPLAINT_STALL, "stalled for %llu ms while %s",
		    (unsigned long long)((now_us - last_us) / US_PER_MS),
		    vrrp_state_name(instance->fsm.state));
	instance_drain(instance);
	now_us = clock_us();
	enum vrrp_state previous = instance->fsm.state;
	unsigned actions = vrrp_fsm_recheck(&instance->fsm, now_us);
	instance_conclude(instance, previous, actions,
	    "stalled for so long that the peer may have taken over", now_us);
}

/* ---- what time says ---- */

static void silence_reason(
    const struct vrrp_instance *instance, uint64_t now_us, char *out, size_t size)
{
	uint64_t since_us = instance->heard_us ? instance->heard_us : instance->since_us;
	if (instance->ignored_us > since_us)
		since_us = instance->ignored_us;
	int len = snprintf(out, size, "no advert for %llu ms",
	    (unsigned long long)((now_us - since_us) / US_PER_MS));
	if (instance->lost[0])
		snprintf(out + len, size - (size_t)len,
		    ", nor word of it by the replication channel for %llu ms",
		    (unsigned long long)((now_us - instance->fsm.evident_us) / US_PER_MS));
}

static void promotion_reason(
    const struct vrrp_instance *instance, uint64_t now_us, char *out, size_t size)
{
	char from[ADDR_TEXT_MAX] = "";
	if (instance->heard_us || instance->ignored_us)
		addr_format_ip(&instance->heard_from, from);
	if (instance->tracking.relieves)
		snprintf(out, size, "relieves %s, whose priority has fallen to %u", from,
		    instance->tracking.rival_priority);
	else if (instance_preempts(instance, now_us))
		snprintf(out, size, "preempts %s with priority %u", from,
		    instance->preempted ? instance->preempted : instance->heard_priority);
	else if (instance->heard_us && instance->heard_priority == VRRP_PRIORITY_LEAVING)
		snprintf(out, size, "%s resigned", from);
	else if (instance->handover_us)
		snprintf(out, size, "the peer resigned, by the replication channel");
	else
		silence_reason(instance, now_us, out, size);
}

static void on_timer(struct ev_loop *loop, ev_io *io, int revents)
{
	struct vrrp_instance *instance = io->data;
	(void)loop;
	(void)revents;
	uint64_t due_us = vrrp_timer_take(&instance->timer), now_us = clock_us();
	if (due_us == VRRP_NEVER)
		return;
	instance_count_lateness(instance, due_us, now_us);
	/* The peer's claim, or its evidence, may have come by replication. */
	if (instance->fsm.state != VRRP_ACTIVE)
		instance->station->listen(instance->station);
	instance_wake(instance);
	now_us = clock_us();
	char reason[IPC_REASON_MAX];
	promotion_reason(instance, now_us, reason, sizeof(reason));
	instance_inquire(instance, now_us);
	bool held = instance_is_held(instance, now_us);
	instance_step(instance, held ? VRRP_EV_HELD : VRRP_EV_TIMER, reason);
	if (now_us >= instance->refresh_us)
		instance_add_addresses(instance, now_us);
	instance_announce(instance, now_us);
	instance_settle(instance, "");
	instance_rearm(instance);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct vrrp_instance *instance = io->data;
	(void)loop;
	(void)revents;
	instance_wake(instance);
	instance_settle(instance, "");
	instance_rearm(instance);
	if (vrrp_guard_outdated(&instance->guard, &instance->fsm, clock_us()))
		vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif,
		    &instance->fsm, VRRP_FENCE_CHANGE);
}

/* ---- from above ---- */

void instance_adopt_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness)
{
	text_copy(instance->proxy_fault, sizeof(instance->proxy_fault),
	    fitness->ready ? "" : fitness->reason);
	instance->waiting = fitness->waiting;
	instance->warm = fitness->warm;
	instance_adopt_preemption(instance);
}

/* The failback policy is for nodes that are well. An owner always takes back what it owns: RFC 9568
 * section 6.1, Preempt_Mode. */
void instance_adopt_preemption(struct vrrp_instance *instance)
{
	bool owner = instance->config.priority == VRRP_PRIORITY_OWNER;
	bool warm = instance->config.failback == CONF_FAILBACK_WHEN_WARM && instance->warm;
	instance->fsm.preempt =
	    ((owner || warm) && !instance->handed_over) || instance->tracking.relieves;
}

/* With `auto`, until the peer has shown what it writes: the form with the pseudo-header. RFC 9568
 * has it without, but keepalived, FRR and packet analysers all mean the other one. */
enum vrrp_checksum instance_first_form(const struct ipc_router *config)
{
	return config->checksum == CONF_CHECKSUM_RFC9568 ? VRRP_CHECKSUM_PLAIN
							 : VRRP_CHECKSUM_PSEUDO;
}

/* Without it another yoke on this host, which starts, may remove our fence: it comes back. */
static void show_presence(struct vrrp_instance *instance)
{
	struct err err;
	struct vrrp_fence_id id = vrrp_router_fence(&instance->config);
	instance->presence_fd = vrrp_presence_show(&id, &err);
	if (instance->presence_fd < 0)
		log_warn("vrrp %s: %s", instance->config.name, err.text);
}

void vrrp_instance_start(struct vrrp_instance *instance, struct vrrp_station *station,
    const struct ipc_router *config, const struct vrrp_fitness *fitness)
{
	uint64_t now_us = clock_us();
	*instance = (struct vrrp_instance){
	    .used = true,
	    .station = station,
	    .config = *config,
	    .sock.fd = -1,
	    .foreign.fd = -1,
	    .form = instance_first_form(config),
	    .guard.lease = station->lease,
	    .refresh_us = VRRP_NEVER,
	    .since_us = now_us,
	};
	show_presence(instance);
	vrrp_router_start_auth(config, &instance->auth);
	vrrp_fsm_init(&instance->fsm, config->priority, config->advertise_us, now_us);
	ev_init(&instance->readable, on_readable);
	instance->readable.data = instance;
	vrrp_timer_init(&instance->timer, on_timer, instance);
	instance_adopt_fitness(instance, fitness);
	instance_track_configure(instance, config);
	instance_look_at_link(instance);
	instance_settle(instance, "");
	instance_rearm(instance);
}

void vrrp_instance_leave(struct vrrp_instance *instance, const char *reason)
{
	instance_step(instance, VRRP_EV_SHUTDOWN, reason);
}

void vrrp_instance_stop(struct vrrp_instance *instance, const char *reason)
{
	vrrp_instance_leave(instance, reason);
	instance_detach(instance);
	vrrp_guard_lower(&instance->guard, &instance->config);
	vrrp_timer_close(&instance->timer, instance->station->loop);
	instance_unwatch(instance);
	if (instance->presence_fd >= 0)
		close(instance->presence_fd);
	instance->used = false;
}

void vrrp_instance_set_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness)
{
	bool was_unfit = instance->proxy_fault[0] != '\0';
	instance_adopt_fitness(instance, fitness);
	if (was_unfit != fitness->ready)
		return;
	instance_wake(instance);
	instance_settle(instance, "proxy ready");
	instance_rearm(instance);
}

/* The new fence begins empty: an Active claims its lease back. */
void vrrp_instance_check_guard(struct vrrp_instance *instance)
{
	if (!instance->adopted || !vrrp_guard_gone(&instance->guard, &instance->config))
		return;
	log_warn("vrrp %s: somebody removed our nftables rules: put back", instance->config.name);
	instance_wake(instance);
	vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif, &instance->fsm,
	    VRRP_FENCE_FRESH);
	if (instance->fsm.state == VRRP_ACTIVE)
		instance_step(instance, VRRP_EV_REFUSED, "somebody removed our nftables rules");
	instance_settle(instance, "");
	instance_rearm(instance);
}

void vrrp_instance_tick(struct vrrp_instance *instance)
{
	char reason[IPC_REASON_MAX + 16];
	if (instance_note_found(instance, clock_us()))
		instance_tell(instance);
	instance_mend_group(instance, clock_us());
	if (instance->link_fault[0]) /* perhaps an event was not for us */
		vrrp_instance_check_link(instance);
	if (!instance->trouble[0] || clock_us() < instance->retry_us)
		return;
	snprintf(reason, sizeof(reason), "trying again (%s)", instance->trouble);
	instance->trouble[0] = '\0';
	instance->mute_us = 0;
	instance_wake(instance);
	instance_settle(instance, reason);
	instance_rearm(instance);
}

int vrrp_instance_resign(struct vrrp_instance *instance, const char *reason, struct err *err)
{
	instance_wake(instance);
	if (vrrp_state_outside(instance->fsm.state) != VRRP_ACTIVE) {
		instance_rearm(instance);
		return err_set(err, -EPERM, "%s is %s here, not Active", instance->config.name,
		    vrrp_state_name(instance->fsm.state));
	}
	char text[IPC_REASON_MAX];
	snprintf(text, sizeof(text), "resigned: %s", reason[0] ? reason : "asked to");
	instance->handed_over = true;
	instance_adopt_preemption(instance);
	instance_step(instance, VRRP_EV_RESIGN, text);
	instance_rearm(instance);
	return 0;
}

static void add_problem(struct ipc_router_state *state, const char *what, const char *problem)
{
	size_t len = strlen(state->reason);
	if (problem[0])
		snprintf(
		    state->reason + len, sizeof(state->reason) - len, "; %s: %s", what, problem);
}

static void describe_parts(const struct vrrp_instance *instance, struct ipc_router_state *state)
{
	const struct ipc_router *config = &instance->config;
	for (unsigned i = 0; i < config->n_tracked; i++) {
		const struct ipc_tracked *tracked = &config->tracked[i];
		const struct vrrp_tracked *result = &instance->tracking.results[i];
		struct ipc_part *part = &state->parts[i];
		part->failing = result->sight == VRRP_BAD;
		part->weight = tracked->weight;
		instance_tracked_name(config, i, part->name, sizeof(part->name));
		text_copy(part->why, sizeof(part->why),
		    result->sight == VRRP_UNSEEN ? "not known yet" : result->why);
	}
	state->n_parts = config->n_tracked;
}

void vrrp_instance_describe(
    const struct vrrp_instance *instance, enum vrrp_state previous, union ipc_message *msg)
{
	const struct ipc_router *config = &instance->config;
	ipc_init(msg, IPC_ROUTER_STATE);
	struct ipc_router_state *state = &msg->router_state;
	text_copy(state->name, sizeof(state->name), config->name);
	text_copy(state->interface, sizeof(state->interface), config->interface);
	text_copy(state->reason, sizeof(state->reason), instance->reason);
	add_problem(state, "NO LEASE", instance->guard.problem);
	add_problem(state, "NO VIRTUAL MAC", instance->vmac_problem);
	text_copy(state->alarm, sizeof(state->alarm), instance->lost);
	text_copy(state->alarm_over, sizeof(state->alarm_over), instance->found);
	for (unsigned i = 0; i < instance->auth.n_keys; i++) {
		const struct vrrp_auth_mark *mark = &instance->auth.marks.of[i];
		state->auth_marks[i] =
		    (struct ipc_auth_mark){mark->sent, mark->heard, mark->key_id};
	}
	state->removed = instance->removed;
	state->handed_over = instance->released && previous != instance->fsm.state;
	state->vrid = config->vrid;
	state->priority = instance->fsm.priority;
	state->configured = config->priority;
	describe_parts(instance, state);
	text_copy(state->held, sizeof(state->held), instance->held);
	state->role = (uint8_t)role_of(instance->fsm.state);
	state->previous = (uint8_t)role_of(previous);
	state->since_us = instance->since_us;
	state->n_addresses = config->n_addresses;
	memcpy(state->addresses, config->addresses, sizeof(state->addresses));
}
