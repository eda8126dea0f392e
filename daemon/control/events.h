/* What happened, on this node and on the peer: the last transitions with their reasons, for
 * `yokectl events`. Two rings, so that nothing a peer says makes us forget what happened here. The
 * control thread adds; the sync thread reads our own to send them. */
#pragma once

#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proto/codec.h"

#define EVENTS_MAX 1024 /* of each node */

struct event {
	uint64_t id; /* in the order of arrival, from 1, without gaps over both nodes */
	uint64_t at_us, wall_ms;
	char node[CONF_NAME_MAX + 1]; /* of the peer; empty: ours */
	char object[144]; /* "virtual_router front", "pool web target 192.0.2.21:8080", "sync",
			     "config" */
	char from[24], to[24];
	char reason[192];
};

struct event_ring {
	struct event events[EVENTS_MAX];
	uint64_t n; /* ever */
};

struct events {
	pthread_mutex_t lock;
	struct event_ring ours, theirs;
	uint64_t last_id;
	int64_t wall_offset_us;   /* between the clocks of people and of events */
	void (*added)(void *arg); /* after each event of ours; may be NULL */
	void *arg;
};

void events_init(struct events *events);
/* Something happened here, now. */
void events_add(struct events *events, const char *object, const char *from, const char *to,
    const char *reason);
/* The same at `at_us`, a time of clock_us(). */
void events_add_past(struct events *events, uint64_t at_us, const char *object, const char *from,
    const char *to, const char *reason);
/* Something happened on `node`; our clock tells when, from the age. */
void events_add_peer(struct events *events, const char *node, const struct sync_event *event);
/* Any thread: our first own event with an id above `after`, with its age; false: there is none. */
bool events_next(struct events *events, uint64_t after, struct sync_event *out);
/* Those with an id above `after`, in the order in which they happened: a JSON array. `self` is our
 * name; `local`: without the peer's. The caller owns it; NULL when out of memory. */
struct json_object *events_json(
    const struct events *events, const char *self, uint64_t after, bool local);
