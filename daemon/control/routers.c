/* The link to yoke-vrrp: a mirror of its virtual routers for status and events, our heartbeat
 * towards it, and the operator's wish to hand the VIP over. */
#include "daemon/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"

static const char *const role_names[] = {
    [IPC_ROLE_INITIALIZE] = "initialize",
    [IPC_ROLE_BACKUP] = "backup",
    [IPC_ROLE_ACTIVE] = "active",
    [IPC_ROLE_FAULT] = "fault",
};

const char *routers_role_name(uint8_t role)
{
	return role_names[role % 4];
}

struct router_view *routers_find(struct control *control, const char *name)
{
	for (uint32_t i = 0; i < control->n_routers; i++) {
		if (strcmp(control->routers[i].state.name, name) == 0)
			return &control->routers[i];
	}
	return NULL;
}

/* How long an Active whose yoke-vrrp is dead is one for replication, if the peer does not take over. */
#define PARTING_US (1 * US_PER_SEC)

static void update_active(struct control *control)
{
	bool active = false;
	control->parting_us = 0;
	for (uint32_t i = 0; i < control->n_routers; i++)
		active = active || control->routers[i].state.role == IPC_ROLE_ACTIVE;
	if (active == control->active)
		return;
	control->active = active;
	replica_set_active(control, active);
}

static void router_event(struct control *control, const struct ipc_router_state *state)
{
	char object[sizeof(((struct event *)0)->object)];
	snprintf(object, sizeof(object), "virtual_router %s", state->name);
	events_add_past(&control->events, state->since_us, object,
	    routers_role_name(state->previous),
	    state->removed ? "removed" : routers_role_name(state->role), state->reason);
}

/* Adverts of the peer are missing, or heard again, while it says by replication that it is Active.
 */
static void alarm_event(
    struct control *control, const char *before, const struct ipc_router_state *state)
{
	char object[sizeof(((struct event *)0)->object)];
	if (!before[0] == !state->alarm[0])
		return;
	snprintf(object, sizeof(object), "adverts of %s", state->name);
	events_add(&control->events, object, before[0] ? "lost" : "heard",
	    state->alarm[0] ? "lost" : "heard", state->alarm[0] ? state->alarm : state->alarm_over);
}

static void on_router_state(struct control *control, const struct ipc_router_state *state)
{
	struct router_view *view = routers_find(control, state->name);
	if (!view) {
		if (state->removed || control->n_routers == CONF_ROUTERS_MAX)
			return;
		view = &control->routers[control->n_routers++];
		memset(view, 0, sizeof(*view));
	}
	if (view->state.role == IPC_ROLE_INITIALIZE)
		peer_replay(control);
	/* A proxy that was killed, or did not read, learns from its successor's link what it has
	 * missed. */
	if (!state->replay || state->role != view->state.role)
		router_event(control, state);
	alarm_event(control, view->state.alarm, state);
	track_note(control, &view->state, state);
	peer_tell_state(control, state);
	view->state = *state;
	view->state.handed_over = false; /* said once */
	if (state->removed)
		*view = control->routers[--control->n_routers];
	update_active(control);
	moved_note(control, state);
}

static void on_router_remark(struct control *control, const struct ipc_router_remark *remark)
{
	char object[sizeof(((struct event *)0)->object)];
	struct router_view *view = routers_find(control, remark->name);
	if (!view)
		return;
	const char *role = routers_role_name(view->state.role);
	snprintf(object, sizeof(object), "virtual_router %s", remark->name);
	events_add(&control->events, object, role, role, remark->text);
}

static void on_router_stats(struct control *control, const struct ipc_router_stats *stats)
{
	struct router_view *view = routers_find(control, stats->name);
	if (view)
		view->stats = *stats;
}

static void close_link(struct control *control)
{
	if (control->link_io.fd < 0)
		return;
	ev_io_stop(control->loop, &control->link_io);
	close(control->link_io.fd);
	control->link_io.fd = -1;
}

/* Nobody holds the VIP for us any more: yoked has said goodbye on yoke-vrrp's behalf. */
static void on_link_lost(struct control *control)
{
	close_link(control);
	handover_over(control);
	if (control->n_routers == 0)
		return; /* a reload has removed the last one */
	log_warn("link to yoke-vrrp lost: its virtual routers count as initialize");
	for (uint32_t i = 0; i < control->n_routers; i++) {
		struct ipc_router_state *state = &control->routers[i].state;
		if (state->role == IPC_ROLE_INITIALIZE)
			continue;
		state->previous = state->role;
		state->role = IPC_ROLE_INITIALIZE;
		state->since_us = clock_us();
		text_copy(state->reason, sizeof(state->reason), "yoke-vrrp died");
		state->alarm[0] = '\0';
		router_event(control, state);
		peer_tell_state(control, state);
	}
	/* The VIP is still here for some milliseconds, and who is answered meanwhile is in the
	 * table: the peer must get that, too. It takes nothing any more when it is Active. */
	if (control->active && control->sync)
		control->parting_us = clock_us();
	else
		update_active(control);
}

void routers_poll(struct control *control)
{
	if (control->parting_us == 0 || !control->sync)
		return;
	struct sync_status status;
	sync_status(control->sync, &status);
	if (status.peer_active || clock_us() >= control->parting_us + PARTING_US)
		update_active(control);
}

static void on_resign_result(struct control *control, const struct ipc_resign_result *result)
{
	handover_over(control);
	if (result->error)
		admin_complete(control->admin, result->id, 409, admin_error(result->text));
	else
		admin_complete(control->admin, result->id, 200, admin_done(result->text));
}

static void on_link_message(struct control *control, const union ipc_message *msg)
{
	switch (msg->header.type) {
	case IPC_ROUTER_STATE: on_router_state(control, &msg->router_state); break;
	case IPC_ROUTER_REMARK: on_router_remark(control, &msg->router_remark); break;
	case IPC_ROUTER_STATS: on_router_stats(control, &msg->router_stats); break;
	case IPC_RESIGN_RESULT: on_resign_result(control, &msg->resign_result); break;
	case IPC_WORD: peer_tell_word(control, &msg->word); break;
	default: break;
	}
}

static void on_link_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct control *control = io->data;
	union ipc_message msg;
	int fd;
	for (int budget = 64; budget > 0; budget--) {
		int got = ipc_recv(io->fd, &msg, &fd);
		if (fd >= 0)
			close(fd);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			on_link_lost(control);
			return;
		}
		on_link_message(control, &msg);
	}
}

void routers_set_link(struct control *control, int fd)
{
	close_link(control);
	/* yoke-vrrp replays every router on a new link. */
	control->n_routers = 0;
	control->sights_told = UINT64_MAX; /* nothing yet */
	ev_io_init(&control->link_io, on_link_readable, fd, EV_READ);
	control->link_io.data = control;
	ev_io_start(control->loop, &control->link_io);
}

void routers_send(struct control *control, const union ipc_message *msg)
{
	if (control->link_io.fd < 0)
		return;
	int error = ipc_send(control->link_io.fd, msg, -1);
	if (error && error != -EAGAIN)
		on_link_lost(control);
}

void routers_heartbeat(struct control *control, bool ready)
{
	union ipc_message msg;
	ipc_init(&msg, IPC_HEARTBEAT);
	msg.heartbeat.ready = ready;
	text_copy(msg.heartbeat.reason, sizeof(msg.heartbeat.reason), control->stuck.text);
	msg.heartbeat.waiting = control->warmth.waiting;
	msg.heartbeat.warm = !control->sync || control->sync_state == SYNC_IN_SYNC;
	routers_send(control, &msg);
}

bool routers_linked(const struct control *control)
{
	return control->link_io.fd >= 0;
}

int routers_resign(struct control *control, admin_ticket ticket, const char *name)
{
	union ipc_message msg;
	if (!routers_linked(control))
		return -ENOTCONN;
	ipc_init(&msg, IPC_RESIGN);
	msg.resign.id = ticket;
	text_copy(msg.resign.name, sizeof(msg.resign.name), name);
	text_copy(msg.resign.reason, sizeof(msg.resign.reason), "asked by the operator");
	return ipc_send(control->link_io.fd, &msg, -1);
}
