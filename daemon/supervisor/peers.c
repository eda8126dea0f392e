/* Talking to the children: what they are sent, what their messages mean, what their death means. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/supervisor/state.h"
#include "vrrp/link/goodbye.h"

#define SILENCE_MAX_US (3 * US_PER_SEC)  /* without a heartbeat */
#define START_MAX_US   (30 * US_PER_SEC) /* from the start to the first configuration in force */

static struct supervisor *owner(struct child *child)
{
	return child->owner;
}

bool peer_running(const struct peer *peer)
{
	return peer->child.state == CHILD_RUNNING;
}

/* --- what is to be sent --- */

static void outbox_reset(struct outbox *out)
{
	if (out->link_fd >= 0)
		close(out->link_fd);
	memset(out, 0, sizeof(*out));
	out->link_fd = -1;
}

/* A new link between the two, when both run: whoever started has none. */
static void renew_link(struct supervisor *sup)
{
	int fds[2];
	if (!peer_running(&sup->proxy) || !peer_running(&sup->vrrp))
		return;
	int rc = ipc_pair(fds);
	if (rc) {
		log_error("link of yoke-proxy and yoke-vrrp: %s", strerror(-rc));
		return;
	}
	struct peer *peers[2] = {&sup->proxy, &sup->vrrp};
	for (int i = 0; i < 2; i++) {
		if (peers[i]->out.link_fd >= 0)
			close(peers[i]->out.link_fd);
		peers[i]->out.link_fd = fds[i];
		child_kick(&peers[i]->child);
	}
}

static void send_set(
    struct supervisor *sup, struct peer *peer, const struct setup *setup, bool next_set)
{
	struct outbox *out = &peer->out;
	out->stage = OUTBOX_BEGIN;
	out->setup = setup;
	out->next_set = next_set;
	out->item = 0;
	out->generation = ++sup->generation;
	out->awaiting = true;
	child_kick(&peer->child);
}

void peers_send_to_proxy(struct supervisor *sup, const struct setup *setup, bool next_set)
{
	send_set(sup, &sup->proxy, setup, next_set);
}

void peers_send_to_vrrp(struct supervisor *sup, const struct setup *setup)
{
	send_set(sup, &sup->vrrp, setup, false);
}

void peers_send_log(struct supervisor *sup)
{
	sup->proxy.out.log = true;
	child_kick(&sup->proxy.child);
}

void peers_send_quiesce(struct supervisor *sup)
{
	sup->proxy.out.quiesce = true;
	child_kick(&sup->proxy.child);
}

void peers_send_shutdown(struct peer *peer, uint64_t timeout_us)
{
	peer->out.shutdown = true;
	peer->out.shutdown_timeout_us = timeout_us;
	child_kick(&peer->child);
}

/* What comes after the set is the same for both. */
static bool next_other(struct supervisor *sup, struct outbox *out, union ipc_message *msg, int *fd)
{
	if (out->link_fd >= 0) {
		ipc_init(msg, IPC_LINK);
		*fd = out->link_fd;
		out->in_flight = SENT_LINK;
	} else if (out->result) {
		*msg = sup->reload.result;
		out->in_flight = SENT_RESULT;
	} else if (out->log) {
		ipc_init(msg, IPC_ACCESS_LOG);
		*fd = sup->setup->log_fd;
		out->in_flight = SENT_LOG;
	} else if (out->quiesce) {
		ipc_init(msg, IPC_QUIESCE);
		out->in_flight = SENT_QUIESCE;
	} else if (out->shutdown) {
		ipc_init(msg, IPC_SHUTDOWN);
		msg->shutdown.timeout_us = out->shutdown_timeout_us;
		out->in_flight = SENT_SHUTDOWN;
	} else {
		out->in_flight = SENT_NOTHING;
	}
	return out->in_flight != SENT_NOTHING;
}

static void sent_other(struct outbox *out)
{
	switch (out->in_flight) {
	case SENT_LINK:
		/* Ours must go: the other side is to see EOF when this child dies. */
		close(out->link_fd);
		out->link_fd = -1;
		break;
	case SENT_RESULT: out->result = false; break;
	case SENT_LOG: out->log = false; break;
	case SENT_QUIESCE: out->quiesce = false; break;
	case SENT_SHUTDOWN: out->shutdown = false; break;
	case SENT_NOTHING:
	case SENT_SCRIPT:
	case SENT_SET: break;
	}
}

static bool proxy_next(struct child *child, union ipc_message *msg, int *fd)
{
	struct supervisor *sup = owner(child);
	struct outbox *out = &sup->proxy.out;
	*fd = -1;
	if (out->stage == OUTBOX_IDLE)
		return next_other(sup, out, msg, fd);
	out->in_flight = SENT_SET;
	if (out->stage == OUTBOX_BEGIN) {
		setup_config_message(out->setup, out->generation, sup->workers, msg);
		*fd = out->setup->text_fd;
		return true;
	}
	if (out->stage == OUTBOX_LOG) {
		ipc_init(msg, IPC_ACCESS_LOG);
		*fd = out->setup->log_fd;
		return true;
	}
	out->sending = listeners_unsent(&sup->listeners, out->next_set);
	if (!out->sending) {
		out->stage = OUTBOX_END;
		ipc_init(msg, IPC_CONFIG_END);
		msg->config_end.generation = out->generation;
		return true;
	}
	ipc_init(msg, IPC_LISTENER);
	msg->listener.kind = out->sending->kind;
	msg->listener.worker = out->sending->worker;
	memcpy(msg->listener.name, out->sending->name, sizeof(msg->listener.name));
	msg->listener.bind = out->sending->bind;
	*fd = out->sending->fd;
	return true;
}

static void proxy_sent(struct child *child)
{
	struct outbox *out = &owner(child)->proxy.out;
	if (out->in_flight != SENT_SET) {
		sent_other(out);
		return;
	}
	switch (out->stage) {
	case OUTBOX_BEGIN: out->stage = out->setup->log_fd >= 0 ? OUTBOX_LOG : OUTBOX_ITEMS; break;
	case OUTBOX_LOG: out->stage = OUTBOX_ITEMS; break;
	case OUTBOX_ITEMS: out->sending->sent = true; break;
	case OUTBOX_END:
	case OUTBOX_IDLE: out->stage = OUTBOX_IDLE; break;
	}
}

/* Not while it may have other virtual routers than those that they are of. */
static bool next_script(struct supervisor *sup, union ipc_message *msg)
{
	if (!sup->vrrp.settled || sup->vrrp.out.awaiting || !scripts_next(&sup->scripts, msg))
		return false;
	sup->vrrp.out.in_flight = SENT_SCRIPT;
	return true;
}

static void on_script_result(void *arg)
{
	struct supervisor *sup = arg;
	child_kick(&sup->vrrp.child);
}

static bool vrrp_next(struct child *child, union ipc_message *msg, int *fd)
{
	struct supervisor *sup = owner(child);
	struct outbox *out = &sup->vrrp.out;
	*fd = -1;
	if (out->stage == OUTBOX_IDLE)
		return next_other(sup, out, msg, fd) || next_script(sup, msg);
	out->in_flight = SENT_SET;
	if (out->item < out->setup->conf->n_routers) {
		out->stage = OUTBOX_ITEMS;
		known_router_message(sup, out->setup, out->item, msg);
		return true;
	}
	out->stage = OUTBOX_END;
	ipc_init(msg, IPC_ROUTERS_END);
	msg->routers_end.generation = out->generation;
	msg->routers_end.log_level = (uint32_t)out->setup->conf->log_level;
	return true;
}

/* yoke-vrrp is dead and could not do it: the peer is told at once, the addresses go. */
static void say_goodbye(struct supervisor *sup)
{
	struct vrrp_goodbye goodbye;
	vrrp_goodbye_begin(&goodbye);
	for (uint32_t i = 0; i < sup->n_routers; i++) {
		const struct known_router *known = &sup->routers[i];
		struct err err = {""};
		if (vrrp_goodbye_say(&goodbye, &known->router, known->active, &err) < 0)
			log_warn("virtual router %s: goodbye for yoke-vrrp: %s", known->router.name,
			    err.text);
		else if (known->active)
			log_warn("virtual router %s: resigned for yoke-vrrp, which is dead",
			    known->router.name);
	}
	for (uint32_t i = 0; i < sup->n_routers; i++)
		vrrp_goodbye_clear(&goodbye, &sup->routers[i].router);
	vrrp_goodbye_end(&goodbye);
	sup->n_routers = 0;
}

static void vrrp_sent(struct child *child)
{
	struct supervisor *sup = owner(child);
	struct outbox *out = &sup->vrrp.out;
	union ipc_message msg;
	if (out->in_flight == SENT_SCRIPT) {
		scripts_sent(&sup->scripts);
	} else if (out->in_flight != SENT_SET) {
		sent_other(out);
	} else if (out->stage == OUTBOX_END) {
		out->stage = OUTBOX_IDLE;
	} else {
		known_router_message(sup, out->setup, out->item, &msg);
		known_add(sup, &msg.router);
		out->item++;
	}
}

/* --- what they say --- */

static void on_applied(struct supervisor *sup, struct peer *peer, const struct ipc_applied *applied)
{
	bool proxy = peer == &sup->proxy;
	if (!peer->out.awaiting || applied->generation != peer->out.generation ||
	    peer->out.stage != OUTBOX_IDLE)
		return; /* of a set that was replaced meanwhile, or said twice */
	peer->out.awaiting = false;
	if (!applied->error) {
		peer->settled = true;
		peer->heartbeat_us = clock_us();
		if (proxy)
			listeners_applied(&sup->listeners, peer->out.next_set);
		else
			known_settle(sup, peer->out.setup);
	} else if (!proxy) {
		known_settle(sup, sup->setup); /* it stays with the old set */
	}
	if (proxy ? reload_on_proxy_applied(sup, applied->error, applied->text)
		  : reload_on_vrrp_applied(sup, applied->error, applied->text))
		return;
	if (!applied->error) {
		supervisor_check_ready(sup);
		return;
	}
	log_error("%s: configuration refused: %s", peer->child.name, applied->text);
	if (!sup->ready)
		supervisor_end(sup, "the start failed", 1);
	else
		child_kill(&peer->child); /* of no use; perhaps the next one is luckier */
}

static void unexpected(const struct child *child, uint32_t type)
{
	static struct log_limit limit;
	uint64_t suppressed;
	if (log_allowed(&limit, clock_us(), US_PER_SEC, &suppressed))
		log_error("%s: unexpected message %s", child->name, ipc_type_name(type));
}

static void proxy_message(struct child *child, const union ipc_message *msg)
{
	struct supervisor *sup = owner(child);
	switch (msg->header.type) {
	case IPC_APPLIED: on_applied(sup, &sup->proxy, &msg->applied); break;
	case IPC_HEARTBEAT: sup->proxy.heartbeat_us = clock_us(); break;
	case IPC_RELOAD: reload_request(sup, msg->reload.id); break;
	case IPC_QUIET: supervisor_on_quiet(sup); break;
	default: unexpected(child, msg->header.type); break;
	}
}

static void on_router_state(struct supervisor *sup, const struct ipc_router_state *state)
{
	struct known_router *known = known_find(sup, state->name, state->interface, state->vrid);
	if (!known)
		return;
	known->active = state->role == IPC_ROLE_ACTIVE;
	memcpy(known->router.auth_marks, state->auth_marks, sizeof(state->auth_marks));
	known_remember_marks(sup, &known->router);
	if (state->removed)
		*known = sup->routers[--sup->n_routers];
	supervisor_update_status(sup);
}

static void vrrp_message(struct child *child, const union ipc_message *msg)
{
	struct supervisor *sup = owner(child);
	switch (msg->header.type) {
	case IPC_APPLIED:
		on_applied(sup, &sup->vrrp, &msg->applied);
		child_kick(child);
		break;
	case IPC_HEARTBEAT: sup->vrrp.heartbeat_us = clock_us(); break;
	case IPC_ROUTER_STATE: on_router_state(sup, &msg->router_state); break;
	default: unexpected(child, msg->header.type); break;
	}
}

/* --- life and death --- */

static void begin_life(struct peer *peer)
{
	outbox_reset(&peer->out);
	peer->settled = false;
	peer->started_us = clock_us();
}

static void proxy_started(struct child *child)
{
	struct supervisor *sup = owner(child);
	bool next_set;
	begin_life(&sup->proxy);
	listeners_forget_sent(&sup->listeners);
	const struct setup *setup = reload_target(sup, &next_set);
	listeners_reset_waiting(&sup->listeners, setup->conf);
	peers_send_to_proxy(sup, setup, next_set);
	renew_link(sup);
}

static void vrrp_started(struct child *child)
{
	struct supervisor *sup = owner(child);
	bool next_set;
	begin_life(&sup->vrrp);
	scripts_tell_again(&sup->scripts);
	peers_send_to_vrrp(sup, reload_target(sup, &next_set));
	renew_link(sup);
}

static void end_life(struct peer *peer, bool clean, const char *how)
{
	bool expected = clean && !peer->child.wanted;
	log_at(expected ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "%s: %s: %s", peer->child.name,
	    expected ? "ended" : "died", how);
	outbox_reset(&peer->out);
	peer->settled = false;
}

static void proxy_died(struct child *child, bool clean, const char *how)
{
	struct supervisor *sup = owner(child);
	end_life(&sup->proxy, clean, how);
	reload_on_proxy_died(sup, how);
	supervisor_child_died(sup);
}

static void vrrp_died(struct child *child, bool clean, const char *how)
{
	struct supervisor *sup = owner(child);
	if (!clean || child->wanted)
		say_goodbye(sup);
	sup->n_routers = 0;
	end_life(&sup->vrrp, clean, how);
	reload_on_vrrp_died(sup, clean, how);
	supervisor_child_died(sup);
}

static void check_one(struct peer *peer, uint64_t now_us)
{
	if (!peer_running(peer))
		return;
	if (peer->settled && now_us > peer->heartbeat_us + SILENCE_MAX_US) {
		log_error("%s: no heartbeat for %llu ms: killed", peer->child.name,
		    (unsigned long long)((now_us - peer->heartbeat_us) / US_PER_MS));
		peer->heartbeat_us = now_us;
		child_kill(&peer->child);
	} else if (!peer->settled && now_us > peer->started_us + START_MAX_US) {
		log_error("%s: no configuration in force %llu s after the start: killed",
		    peer->child.name, (unsigned long long)(START_MAX_US / US_PER_SEC));
		peer->started_us = now_us;
		child_kill(&peer->child);
	}
}

void peers_check(struct supervisor *sup, uint64_t now_us)
{
	check_one(&sup->proxy, now_us);
	check_one(&sup->vrrp, now_us);
}

void peers_forgive(struct supervisor *sup, uint64_t now_us)
{
	sup->proxy.heartbeat_us = sup->vrrp.heartbeat_us = now_us;
	sup->proxy.started_us = sup->vrrp.started_us = now_us;
}

static const struct child_handlers proxy_handlers = {
    .started = proxy_started,
    .message = proxy_message,
    .next = proxy_next,
    .sent = proxy_sent,
    .died = proxy_died,
};

static const struct child_handlers vrrp_handlers = {
    .started = vrrp_started,
    .message = vrrp_message,
    .next = vrrp_next,
    .sent = vrrp_sent,
    .died = vrrp_died,
};

void peers_init(struct supervisor *sup)
{
	sup->proxy.out.link_fd = sup->vrrp.out.link_fd = -1;
	child_init(&sup->proxy.child, "yoke-proxy", sup->loop, &proxy_handlers, sup);
	child_init(&sup->vrrp.child, "yoke-vrrp", sup->loop, &vrrp_handlers, sup);
	scripts_init(&sup->scripts, sup->loop, on_script_result, sup);
}
