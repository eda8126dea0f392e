#include "daemon/control/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

#define CLOCK_SET_US ((int64_t)(20 * US_PER_MS))

void events_init(struct events *events)
{
	pthread_mutex_init(&events->lock, NULL);
}

/* The k-th one ever, from 0. */
static const struct event *at(const struct event_ring *ring, uint64_t k)
{
	return &ring->events[k % EVENTS_MAX];
}

/* The oldest one with an id above `after`; ring->n: there is none. */
static uint64_t first_after(const struct event_ring *ring, uint64_t after)
{
	uint64_t low = ring->n > EVENTS_MAX ? ring->n - EVENTS_MAX : 0, high = ring->n;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (at(ring, middle)->id > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The same difference for all, so that the order of times is that of events; another one only if
 * somebody has set the clock. */
static uint64_t wall_ms(struct events *events, uint64_t at_us, uint64_t now_us)
{
	int64_t offset_us = (int64_t)(clock_wall_us() - now_us);
	int64_t change_us = offset_us - events->wall_offset_us;
	if (change_us > CLOCK_SET_US || change_us < -CLOCK_SET_US)
		events->wall_offset_us = offset_us;
	return (at_us + (uint64_t)events->wall_offset_us) / US_PER_MS;
}

static void append(struct events *events, const char *node, const struct sync_event *what)
{
	uint64_t now_us = clock_us();
	uint64_t age_us = what->age_us < now_us ? what->age_us : now_us;
	pthread_mutex_lock(&events->lock);
	struct event_ring *ring = node[0] ? &events->theirs : &events->ours;
	struct event *event = &ring->events[ring->n++ % EVENTS_MAX];
	event->id = ++events->last_id;
	event->at_us = now_us - age_us;
	event->wall_ms = wall_ms(events, event->at_us, now_us);
	text_copy(event->node, sizeof(event->node), node);
	text_copy(event->object, sizeof(event->object), what->object);
	text_copy(event->from, sizeof(event->from), what->from);
	text_copy(event->to, sizeof(event->to), what->to);
	text_copy(event->reason, sizeof(event->reason), what->reason);
	pthread_mutex_unlock(&events->lock);
}

void events_add(
    struct events *events, const char *object, const char *from, const char *to, const char *reason)
{
	events_add_past(events, clock_us(), object, from, to, reason);
}

void events_add_past(struct events *events, uint64_t at_us, const char *object, const char *from,
    const char *to, const char *reason)
{
	uint64_t now_us = clock_us();
	struct sync_event event = {.age_us = at_us < now_us ? now_us - at_us : 0};
	text_copy(event.object, sizeof(event.object), object);
	text_copy(event.from, sizeof(event.from), from);
	text_copy(event.to, sizeof(event.to), to);
	text_copy(event.reason, sizeof(event.reason), reason);
	append(events, "", &event);
	if (events->added)
		events->added(events->arg);
}

void events_add_peer(struct events *events, const char *node, const struct sync_event *event)
{
	append(events, node, event);
}

static void copy_out(const struct event *event, struct sync_event *out)
{
	uint64_t age_us = clock_us() - event->at_us;
	out->id = event->id;
	out->age_us = age_us < SYNC_TIME_MAX_US ? age_us : SYNC_TIME_MAX_US;
	text_copy(out->object, sizeof(out->object), event->object);
	text_copy(out->from, sizeof(out->from), event->from);
	text_copy(out->to, sizeof(out->to), event->to);
	text_copy(out->reason, sizeof(out->reason), event->reason);
}

bool events_next(struct events *events, uint64_t after, struct sync_event *out)
{
	pthread_mutex_lock(&events->lock);
	uint64_t next = first_after(&events->ours, after);
	bool found = next < events->ours.n;
	if (found)
		copy_out(at(&events->ours, next), out);
	pthread_mutex_unlock(&events->lock);
	return found;
}

static struct json_object *event_json(const struct event *event, const char *self)
{
	char when[40];
	time_t sec = (time_t)(event->wall_ms / 1000);
	struct tm tm;
	gmtime_r(&sec, &tm);
	size_t len = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + len, sizeof(when) - len, ".%03uZ", (unsigned)(event->wall_ms % 1000));

	struct json_object *json = json_object_new_object();
	json_object_object_add(json, "id", json_object_new_uint64(event->id));
	json_object_object_add(json, "time", json_object_new_string(when));
	json_object_object_add(json, "time_ms", json_object_new_uint64(event->wall_ms));
	json_object_object_add(
	    json, "node", json_object_new_string(event->node[0] ? event->node : self));
	json_object_object_add(json, "object", json_object_new_string(event->object));
	json_object_object_add(json, "from", json_object_new_string(event->from));
	json_object_object_add(json, "to", json_object_new_string(event->to));
	json_object_object_add(json, "reason", json_object_new_string(event->reason));
	return json;
}

static int in_order(const void *a, const void *b)
{
	const struct event *one = *(const struct event *const *)a;
	const struct event *two = *(const struct event *const *)b;
	if (one->at_us != two->at_us)
		return one->at_us < two->at_us ? -1 : 1;
	return one->id < two->id ? -1 : 1;
}

static size_t choose(const struct event_ring *ring, uint64_t after, const struct event **chosen)
{
	size_t n = 0;
	for (uint64_t k = first_after(ring, after); k < ring->n; k++)
		chosen[n++] = at(ring, k);
	return n;
}

struct json_object *events_json(
    const struct events *events, const char *self, uint64_t after, bool local)
{
	const struct event **chosen = malloc(2 * EVENTS_MAX * sizeof(struct event *));
	if (!chosen)
		return NULL;
	size_t n = choose(&events->ours, after, chosen);
	if (!local)
		n += choose(&events->theirs, after, chosen + n);
	qsort(chosen, n, sizeof(struct event *), in_order);
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < n; i++)
		json_object_array_add(array, event_json(chosen[i], self));
	free(chosen);
	return array;
}
