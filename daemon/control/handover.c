/* A planned move of the VIP. A connection cannot move with it, so the moment is chosen when there
 * are as few as possible: new ones wait (TCP asks again and meets the peer), requests in flight end
 * first. Requests that last longer than IPC_QUIESCE_MAX_US are cut; they would be in any case. */
#include <errno.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/control/control.h"

/* A handshake may be under way. */
#define QUIET_POLLS 3

static uint32_t in_flight(const struct control *control)
{
	const struct fleet *fleet = control->current->fleet;
	uint32_t n = 0;
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		for (uint32_t t = 0; t < fleet->pools[p].n_targets; t++)
			n += atomic_load_explicit(
			    &fleet->pools[p].targets[t].target->active, memory_order_relaxed);
	}
	return n;
}

static void begin(struct control *control)
{
	control->handover.waiting = true;
	control->handover.quiet_polls = 0;
	control->handover.deadline_us = clock_us() + IPC_QUIESCE_MAX_US;
	proxy_pause(control->proxy, true);
	control_poll_soon(control);
}

void handover_for_supervisor(struct control *control)
{
	control->handover.for_supervisor = true;
	if (!control->handover.waiting)
		begin(control);
}

/* The peer gets our sessions just now: with the VIP it would get no more of them. */
static bool peer_is_cold(struct control *control)
{
	struct sync_status status;
	if (!control->sync)
		return false;
	sync_status(control->sync, &status);
	return status.sending && status.state == SYNC_SNAPSHOT && !status.peer_active;
}

struct admin_reply handover_by_operator(
    struct control *control, admin_ticket ticket, const char *router)
{
	if (!routers_linked(control))
		return (struct admin_reply){
		    409, admin_error("no virtual routers here: nothing to hand over")};
	if (control->handover.waiting)
		return (struct admin_reply){409, admin_error("a hand-over is under way")};
	if (peer_is_cold(control))
		return (struct admin_reply){
		    409, admin_error("the peer has not got every session yet: try again when it "
				     "is in sync (yokectl status)")};
	control->handover.ticket = ticket;
	text_copy(control->handover.router, sizeof(control->handover.router), router ? router : "");
	begin(control);
	return (struct admin_reply){0};
}

void handover_over(struct control *control)
{
	/* At the end of the process nobody new is to come. */
	if (control->proxy && !control->handover.for_supervisor)
		proxy_pause(control->proxy, false);
}

/* The listeners go on when yoke-vrrp has answered. */
static void resign(struct control *control)
{
	if (!routers_resign(control, control->handover.ticket, control->handover.router))
		return;
	admin_complete(control->admin, control->handover.ticket, 503,
	    admin_error("yoke-vrrp does not answer"));
	handover_over(control);
}

static void tell_supervisor(struct control *control)
{
	union ipc_message msg;
	ipc_init(&msg, IPC_QUIET);
	ipc_send(control->supervisor_io.fd, &msg, -1); /* if it is lost, yoked goes on by time */
}

void handover_poll(struct control *control)
{
	if (!control->handover.waiting)
		return;
	bool quiet = !in_flight(control) && !proxy_expectant(control->proxy);
	control->handover.quiet_polls = quiet ? control->handover.quiet_polls + 1 : 0;
	if (control->handover.quiet_polls < QUIET_POLLS &&
	    clock_us() < control->handover.deadline_us)
		return;
	control->handover.waiting = false;
	if (control->handover.for_supervisor)
		tell_supervisor(control);
	else
		resign(control);
}
