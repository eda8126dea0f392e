/* What yoked knows of the virtual routers of yoke-vrrp: to say goodbye for it when it dies, and to
 * tell the next one how far its authentication had come. In memory only. */
#include <string.h>

#include "daemon/supervisor/state.h"

struct known_router *known_find(
    struct supervisor *sup, const char *name, const char *interface, uint8_t vrid)
{
	for (uint32_t i = 0; i < sup->n_routers; i++) {
		const struct ipc_router *router = &sup->routers[i].router;
		if (router->vrid == vrid && strcmp(router->name, name) == 0 &&
		    strcmp(router->interface, interface) == 0)
			return &sup->routers[i];
	}
	return NULL;
}

void known_add(struct supervisor *sup, const struct ipc_router *router)
{
	struct known_router *known = known_find(sup, router->name, router->interface, router->vrid);
	if (!known) {
		if (sup->n_routers == KNOWN_ROUTERS_MAX)
			return;
		known = &sup->routers[sup->n_routers++];
		known->active = false;
	}
	known->router = *router;
}

/* Its place in the configuration, or -1. */
static int place_of(const struct conf *conf, const struct ipc_router *router)
{
	for (uint32_t i = 0; i < conf->n_routers; i++) {
		const struct conf_router *r = &conf->routers[i];
		if (r->vrid == router->vrid && strcmp(r->name, router->name) == 0 &&
		    strcmp(r->interface, router->interface) == 0)
			return (int)i;
	}
	return -1;
}

void known_settle(struct supervisor *sup, const struct setup *setup)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < sup->n_routers; i++) {
		struct known_router known = sup->routers[i];
		union ipc_message msg;
		int place = place_of(setup->conf, &known.router);
		if (place < 0)
			continue;
		setup_router_message(setup, (uint32_t)place, &msg);
		memcpy(
		    msg.router.auth_marks, known.router.auth_marks, sizeof(msg.router.auth_marks));
		known.router = msg.router;
		sup->routers[kept++] = known;
	}
	sup->n_routers = kept;
}

/* --- marks --- */

static struct auth_memory *find_mark(struct supervisor *sup, const char *router)
{
	for (uint32_t i = 0; i < KNOWN_ROUTERS_MAX; i++) {
		if (strcmp(sup->marks[i].router, router) == 0)
			return &sup->marks[i];
	}
	return NULL;
}

static bool runs_router(const struct supervisor *sup, const char *name)
{
	for (uint32_t i = 0; i < sup->n_routers; i++) {
		if (strcmp(sup->routers[i].router.name, name) == 0)
			return true;
	}
	return false;
}

/* A place that is free, or of a router that is gone: one that comes back is to find its own, as
 * long as there is room. */
static struct auth_memory *room_for_mark(struct supervisor *sup)
{
	struct auth_memory *at = find_mark(sup, "");
	for (uint32_t i = 0; !at && i < KNOWN_ROUTERS_MAX; i++) {
		if (!runs_router(sup, sup->marks[i].router))
			at = &sup->marks[i];
	}
	return at;
}

void known_remember_marks(struct supervisor *sup, const struct ipc_router *router)
{
	struct auth_memory *at = find_mark(sup, router->name);
	if (!at && !(at = room_for_mark(sup)))
		return;
	memcpy(at->router, router->name, sizeof(at->router));
	memcpy(at->marks, router->auth_marks, sizeof(at->marks));
}

void known_router_message(
    struct supervisor *sup, const struct setup *setup, uint32_t index, union ipc_message *msg)
{
	setup_router_message(setup, index, msg);
	const struct auth_memory *known = find_mark(sup, msg->router.name);
	if (known)
		memcpy(msg->router.auth_marks, known->marks, sizeof(known->marks));
}
