/* Tracking, as seen from here: yoke-vrrp learns how many targets of the tracked pools this node
 * reaches, and what it makes of all that is tracked becomes events. */
#include "daemon/control/control.h"

#include <stdio.h>
#include <string.h>

#include "daemon/balance/fleet.h"

/* How often a share is said again that is the same. */
#define REPEAT_TICKS 10

/* --- pools --- */

/* A target that was not checked yet counts as up, like a target of a pool without checks. */
static void count_seen(
    const struct control *control, const struct pool *pool, uint32_t *up, uint32_t *total)
{
	*up = 0;
	*total = pool->n_targets;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct prober_sight *sight =
		    prober_sight(control->prober, pool->targets[i].target->id);
		*up += !sight || sight->health != TARGET_DOWN;
	}
}

void track_report(struct control *control)
{
	const struct generation *now = control->current;
	uint64_t version = prober_sights(control->prober);
	if (!routers_linked(control) ||
	    (version == control->sights_told && control->ticks % REPEAT_TICKS != 0))
		return;
	control->sights_told = version;
	for (uint32_t i = 0; i < now->conf->n_pools; i++) {
		union ipc_message msg;
		if (!now->conf->pools[i].tracked)
			continue;
		ipc_init(&msg, IPC_POOL);
		snprintf(msg.pool.name, sizeof(msg.pool.name), "%s", now->conf->pools[i].name);
		count_seen(control, &now->fleet->pools[i], &msg.pool.up, &msg.pool.total);
		routers_send(control, &msg);
	}
}

/* --- events --- */

static void note(struct control *control, const char *what, const char *router, const char *from,
    const char *to, const char *reason)
{
	char object[sizeof(((struct event *)0)->object)];
	snprintf(object, sizeof(object), "%s of %s", what, router);
	events_add(&control->events, object, from, to, reason);
}

static const struct ipc_part *find_part(const struct ipc_router_state *state, const char *name)
{
	for (unsigned i = 0; i < state->n_parts; i++) {
		if (strcmp(state->parts[i].name, name) == 0)
			return &state->parts[i];
	}
	return NULL;
}

void track_note(struct control *control, const struct ipc_router_state *before,
    const struct ipc_router_state *now)
{
	char from[8], to[8];
	if (!before->name[0])
		return; /* known for the first time: no change */
	for (unsigned i = 0; i < now->n_parts; i++) {
		const struct ipc_part *part = &now->parts[i];
		const struct ipc_part *was = find_part(before, part->name);
		if (part->failing != (was && was->failing))
			note(control, part->name, now->name, part->failing ? "good" : "failing",
			    part->failing ? "failing" : "good", part->why);
	}
	if (before->priority != now->priority) {
		snprintf(from, sizeof(from), "%u", before->priority);
		snprintf(to, sizeof(to), "%u", now->priority);
		note(control, "priority", now->name, from, to,
		    now->priority == now->configured ? "as configured"
						     : "less the weights of what fails");
	}
	if (now->held[0] && !before->held[0])
		note(control, "promotion", now->name, "due", "held", now->held);
}
