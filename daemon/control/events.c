#include "daemon/control/events.h"

#include <stdio.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

void events_add(
    struct events *events, const char *object, const char *from, const char *to, const char *reason)
{
	struct event *event = &events->ring[events->last_id % EVENTS_MAX];
	event->id = ++events->last_id;
	event->wall_ms = clock_wall_ms();
	text_copy(event->object, sizeof(event->object), object);
	text_copy(event->from, sizeof(event->from), from);
	text_copy(event->to, sizeof(event->to), to);
	text_copy(event->reason, sizeof(event->reason), reason);
}

static struct json_object *event_json(const struct event *event, const char *node)
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
	json_object_object_add(json, "node", json_object_new_string(node));
	json_object_object_add(json, "object", json_object_new_string(event->object));
	json_object_object_add(json, "from", json_object_new_string(event->from));
	json_object_object_add(json, "to", json_object_new_string(event->to));
	json_object_object_add(json, "reason", json_object_new_string(event->reason));
	return json;
}

struct json_object *events_json(const struct events *events, const char *node, uint64_t after)
{
	struct json_object *array = json_object_new_array();
	uint64_t oldest = events->last_id > EVENTS_MAX ? events->last_id - EVENTS_MAX + 1 : 1;
	for (uint64_t id = after + 1 > oldest ? after + 1 : oldest; id <= events->last_id; id++)
		json_object_array_add(
		    array, event_json(&events->ring[(id - 1) % EVENTS_MAX], node));
	return array;
}
