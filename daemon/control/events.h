/* What happened: a ring of the last transitions with their reasons, for `yokectl events`. Control
 * thread. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_MAX 512

struct event {
	uint64_t id; /* from 1, without gaps */
	uint64_t wall_ms;
	char object[144]; /* "virtual_router front", "pool web target 192.0.2.21:8080", "sync",
			     "config" */
	char from[24], to[24];
	char reason[192];
};

struct events {
	struct event ring[EVENTS_MAX];
	uint64_t last_id;
};

void events_add(struct events *events, const char *object, const char *from, const char *to,
    const char *reason);
/* Those with an id above `after`, oldest first: a JSON array. The caller owns it; NULL when out of
 * memory. */
struct json_object *events_json(const struct events *events, const char *node, uint64_t after);
