/* A virtual router that was Active here and is Active on the peer: what clients send to its addresses
 * goes there, and nothing of ours reaches them. Connections that are left here are ended: they would
 * occupy memory and places until their timeouts, and what still goes on in them (a request whose
 * target is slow) could make sessions that the Active lacks. Clients learn of it by their next packet,
 * which the peer's kernel answers by RST.
 *
 * Not before the peer is known to have them, by replication or by its adverts: if nobody has, as when
 * a cable is out for a moment and there is no peer, they go on when we are Active again. */
#include "daemon/control/control.h"

#include <string.h>

#include "daemon/base/text.h"

static struct held_addresses *find(struct control *control, const char *router)
{
	for (uint32_t i = 0; i < control->n_held; i++) {
		if (strcmp(control->held[i].router, router) == 0)
			return &control->held[i];
	}
	return NULL;
}

static bool is_active_here(const struct control *control, const struct addr *addr)
{
	for (uint32_t i = 0; i < control->n_routers; i++) {
		const struct ipc_router_state *state = &control->routers[i].state;
		for (uint32_t j = 0; state->role == IPC_ROLE_ACTIVE && j < state->n_addresses;
		     j++) {
			if (addr_equal_ip(&state->addresses[j].addr, addr))
				return true;
		}
	}
	return false;
}

/* Another virtual router may have some of them by now: after a reload. */
static void leave(struct control *control, struct held_addresses *held)
{
	struct addr addrs[IPC_ADDRESSES_MAX];
	uint32_t n = 0;
	for (uint32_t i = 0; i < held->n; i++) {
		if (!is_active_here(control, &held->addrs[i]))
			addrs[n++] = held->addrs[i];
	}
	if (n > 0)
		proxy_leave(control->proxy, held->router, addrs, n);
	*held = control->held[--control->n_held];
}

static bool is_active_elsewhere(struct control *control, const char *router)
{
	const struct peer_router *peer = peer_router(control, router);
	const struct router_view *view = routers_find(control, router);
	if (peer && peer->role == IPC_ROLE_ACTIVE)
		return true;
	return view && view->state.role == IPC_ROLE_BACKUP &&
	       view->stats.heard_us > view->state.since_us && view->stats.heard_priority > 0;
}

void moved_poll(struct control *control)
{
	for (uint32_t i = control->n_held; i-- > 0;) {
		struct held_addresses *held = &control->held[i];
		const struct router_view *view = routers_find(control, held->router);
		bool here = view && view->state.role == IPC_ROLE_ACTIVE;
		if (!here && is_active_elsewhere(control, held->router))
			leave(control, held);
	}
}

static void hold(struct control *control, const struct ipc_router_state *state)
{
	struct held_addresses *held = find(control, state->name);
	if (!held && control->n_held == CONF_ROUTERS_MAX)
		return;
	if (!held)
		held = &control->held[control->n_held++];
	text_copy(held->router, sizeof(held->router), state->name);
	held->n = state->n_addresses;
	for (uint32_t i = 0; i < state->n_addresses; i++)
		held->addrs[i] = state->addresses[i].addr;
}

void moved_note(struct control *control, const struct ipc_router_state *state)
{
	struct held_addresses *held = find(control, state->name);
	if (state->removed && held)
		leave(control, held);
	else if (!state->removed && state->role == IPC_ROLE_ACTIVE)
		hold(control, state);
	moved_poll(control);
}
