/* Events of two nodes in one order. */
#include "daemon/control/events.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

static struct events events;
static unsigned n_added;

static void on_added(void *arg)
{
	CU_ASSERT_PTR_EQUAL(arg, &events);
	n_added++;
}

static void start(void)
{
	memset(&events, 0, sizeof(events));
	events_init(&events);
	events.added = on_added;
	events.arg = &events;
	n_added = 0;
}

static void add_peer(uint64_t age_us, const char *object)
{
	struct sync_event event = {.id = 9, .age_us = age_us};
	snprintf(event.object, sizeof(event.object), "%s", object);
	events_add_peer(&events, "node2", &event);
}

static const char *text(struct json_object *array, size_t i, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(json_object_array_get_idx(array, i), key, &value);
	return json_object_get_string(value);
}

static uint64_t number(struct json_object *array, size_t i, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(json_object_array_get_idx(array, i), key, &value);
	return json_object_get_uint64(value);
}

/* The peer's happened before ours, and came later. */
static void both_nodes_in_order(void)
{
	start();
	events_add(&events, "ours", "backup", "active", "no advert for 371 ms");
	add_peer(5 * US_PER_SEC, "theirs, old");
	add_peer(0, "theirs, new");
	struct json_object *array = events_json(&events, "node1", 0, false);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(array), 3);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "theirs, old");
	CU_ASSERT_STRING_EQUAL(text(array, 0, "node"), "node2");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "object"), "ours");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "node"), "node1");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "from"), "backup");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "to"), "active");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "reason"), "no advert for 371 ms");
	CU_ASSERT_STRING_EQUAL(text(array, 2, "object"), "theirs, new");
	uint64_t apart_ms = number(array, 1, "time_ms") - number(array, 0, "time_ms");
	CU_ASSERT(apart_ms > 4000 && apart_ms < 6000);
	json_object_put(array);
	CU_ASSERT_EQUAL(n_added, 1);
}

/* What became known late stands where it happened, and is told the peer with its age. */
static void told_late(void)
{
	struct sync_event told;
	start();
	events_add(&events, "now", "", "", "");
	events_add_past(&events, clock_us() - 5 * US_PER_SEC, "before", "active", "fault", "died");
	struct json_object *array = events_json(&events, "node1", 0, false);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(array), 2);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "before");
	CU_ASSERT_STRING_EQUAL(text(array, 1, "object"), "now");
	json_object_put(array);
	CU_ASSERT_TRUE(events_next(&events, 1, &told));
	CU_ASSERT_STRING_EQUAL(told.object, "before");
	CU_ASSERT(told.age_us >= 5 * US_PER_SEC && told.age_us < 10 * US_PER_SEC);
}

/* Who asks again with the highest id that he has seen misses nothing, also not what came late. */
static void asked_again(void)
{
	start();
	events_add(&events, "one", "", "", "");
	struct json_object *array = events_json(&events, "node1", 0, false);
	uint64_t seen = number(array, 0, "id");
	json_object_put(array);
	add_peer(5 * US_PER_SEC, "late");
	events_add(&events, "two", "", "", "");
	array = events_json(&events, "node1", seen, false);
	CU_ASSERT_EQUAL(json_object_array_length(array), 2);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "late");
	json_object_put(array);
	array = events_json(&events, "node1", seen, true);
	CU_ASSERT_EQUAL(json_object_array_length(array), 1);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "two");
	json_object_put(array);
}

/* What is sent to the peer is ours alone, and has an age. */
static void only_ours_are_sent(void)
{
	struct sync_event event = {0};
	start();
	CU_ASSERT_FALSE(events_next(&events, 0, &event));
	add_peer(0, "theirs");
	CU_ASSERT_FALSE(events_next(&events, 0, &event));
	events_add(&events, "ours", "a", "b", "c");
	events.ours.events[0].at_us -= 3 * US_PER_SEC;
	CU_ASSERT(events_next(&events, 0, &event));
	CU_ASSERT_STRING_EQUAL(event.object, "ours");
	CU_ASSERT_STRING_EQUAL(event.reason, "c");
	CU_ASSERT(event.age_us >= 3 * US_PER_SEC && event.age_us < 4 * US_PER_SEC);
	CU_ASSERT_FALSE(events_next(&events, event.id, &event));
}

/* Old ones make room; a cursor that points to one of them goes on with the oldest that is left. */
static void the_ring_is_bounded(void)
{
	struct sync_event event = {0};
	char object[16];
	start();
	for (int i = 1; i <= EVENTS_MAX + 10; i++) {
		snprintf(object, sizeof(object), "%d", i);
		events_add(&events, object, "", "", "");
	}
	struct json_object *array = events_json(&events, "node1", 3, false);
	CU_ASSERT_EQUAL(json_object_array_length(array), EVENTS_MAX);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "11");
	json_object_put(array);
	CU_ASSERT(events_next(&events, 3, &event));
	CU_ASSERT_STRING_EQUAL(event.object, "11");
}

/* However much the peer says, what happened here stays, and the other way round. */
static void a_flood_of_one_leaves_the_other(void)
{
	struct sync_event event = {0};
	start();
	add_peer(0, "theirs");
	events_add(&events, "ours", "", "", "");
	for (int i = 0; i < 3 * EVENTS_MAX; i++)
		add_peer(0, "nonsense");
	CU_ASSERT(events_next(&events, 0, &event));
	CU_ASSERT_STRING_EQUAL(event.object, "ours");
	struct json_object *array = events_json(&events, "node1", 0, false);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(array), EVENTS_MAX + 1);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "ours");
	json_object_put(array);
	for (int i = 0; i < 3 * EVENTS_MAX; i++)
		events_add(&events, "much", "", "", "");
	array = events_json(&events, "node1", 0, false);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(array), 2 * EVENTS_MAX);
	CU_ASSERT_STRING_EQUAL(text(array, 0, "object"), "nonsense");
	json_object_put(array);
}

/* Ages in microseconds, times in milliseconds: they say the same order all the same. */
static void times_are_in_order(void)
{
	start();
	for (unsigned i = 0; i < 1000; i++)
		add_peer(i * 7919 % 5000, "theirs");
	struct json_object *array = events_json(&events, "node1", 0, false);
	CU_ASSERT_EQUAL_FATAL(json_object_array_length(array), 1000);
	unsigned backwards = 0;
	for (size_t i = 1; i < 1000; i++)
		backwards += number(array, i, "time_ms") < number(array, i - 1, "time_ms");
	CU_ASSERT_EQUAL(backwards, 0);
	json_object_put(array);
}

UNIT_MAIN("control/events", UNIT(both_nodes_in_order), UNIT(times_are_in_order), UNIT(told_late),
    UNIT(asked_again), UNIT(only_ours_are_sent), UNIT(the_ring_is_bounded),
    UNIT(a_flood_of_one_leaves_the_other))
