#include "daemon/ctl/print.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;
	json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *text(struct json_object *object, const char *key)
{
	struct json_object *value = member(object, key);
	return value ? json_object_get_string(value) : "-";
}

static unsigned long long number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(member(object, key));
}

/* "1 h 02 min", "35 s", "420 ms" */
static const char *duration(unsigned long long ms, char *buf, size_t size)
{
	if (ms < 1000)
		snprintf(buf, size, "%llu ms", ms);
	else if (ms < 120000)
		snprintf(buf, size, "%llu s", ms / 1000);
	else if (ms < 7200000)
		snprintf(buf, size, "%llu min", ms / 60000);
	else if (ms < 172800000)
		snprintf(buf, size, "%llu h %02llu min", ms / 3600000, ms / 60000 % 60);
	else
		snprintf(buf, size, "%llu days", ms / 86400000);
	return buf;
}

static void print_adverts(struct json_object *adverts)
{
	printf("  adverts: %llu sent, %llu received", number(adverts, "sent"),
	    number(adverts, "received"));
	json_object_object_foreach(member(adverts, "refused"), why, times)
	    printf(", %llu refused (%s)", (unsigned long long)json_object_get_uint64(times), why);
	printf("\n");
}

static void print_punctuality(struct json_object *late)
{
	printf("  lateness: at most %llu us of late, %llu us ever; %llu us cost the lease%s\n",
	    number(late, "recent_us"), number(late, "max_us"), number(late, "tolerance_us"),
	    number(late, "recent_us") > number(late, "tolerance_us") ? ": TOO LATE" : "");
	if (number(late, "silence_us"))
		printf("  silence: at most %llu us of late; after %llu us it takes over\n",
		    number(late, "silence_us"), number(late, "patience_us"));
}

/* What tells whether its election works: the peer's adverts, the lease, punctuality. */
static void print_health(struct json_object *router)
{
	struct json_object *heard = member(router, "heard"), *lease = member(router, "lease");
	char age[32];
	if (!lease) /* yoke-vrrp has told nothing yet */
		return;
	print_adverts(member(router, "adverts"));
	if (heard)
		printf("  heard %s %s ago: priority %llu, version %llu, every %llu ms, checksum "
		       "%s\n",
		    text(heard, "from"), duration(number(heard, "age_ms"), age, sizeof(age)),
		    number(heard, "priority"), number(heard, "version"),
		    number(heard, "interval_ms"), text(heard, "checksum"));
	if (member(lease, "problem"))
		printf("  NO LEASE: %s\n", text(lease, "problem"));
	else if (number(lease, "left_ms"))
		printf("  lease: %llu ms left\n", number(lease, "left_ms"));
	print_punctuality(member(router, "lateness"));
}

/* Why its priority is what it is, and why it waits. */
static void print_tracked(struct json_object *router)
{
	if (number(router, "priority") != number(router, "configured_priority"))
		printf(
		    "  priority: %llu, less what fails\n", number(router, "configured_priority"));
	json_object_object_foreach(member(router, "tracked"), name, part)
	{
		printf("  %s: ", name);
		if (!json_object_get_boolean(member(part, "failing")))
			printf("good");
		else if (member(part, "weight"))
			printf("FAILS, -%llu", number(part, "weight"));
		else
			printf("FAILS, a fault");
		printf(" (%s)\n", text(part, "reason"));
	}
	if (member(router, "held"))
		printf("  HELD BACK: %s\n", text(router, "held"));
}

static void print_router(const char *name, struct json_object *router)
{
	char since[32];
	printf("virtual router %s: %s for %s (vrid %llu on %s, priority %llu): %s\n", name,
	    text(router, "state"), duration(number(router, "since_ms"), since, sizeof(since)),
	    number(router, "vrid"), text(router, "interface"), number(router, "priority"),
	    text(router, "reason"));
	if (member(router, "alarm"))
		printf("  ALARM: %s\n", text(router, "alarm"));
	print_tracked(router);
	struct json_object *peer = member(router, "peer");
	if (peer)
		printf("  %s: %s (priority %llu)\n", text(peer, "node"), text(peer, "state"),
		    number(peer, "priority"));
	struct json_object *addresses = member(router, "addresses");
	for (size_t i = 0; addresses && i < json_object_array_length(addresses); i++)
		printf("  %s\n", json_object_get_string(json_object_array_get_idx(addresses, i)));
	print_health(router);
}

/* Both nodes say the same, but in the middle of a change. */
static void print_keys(struct json_object *keys)
{
	size_t n = keys ? json_object_array_length(keys) : 0;
	for (size_t i = 0; i < n; i++)
		printf("%s%s", i == 0 ? "  speaks with key " : ", accepts ",
		    json_object_get_string(json_object_array_get_idx(keys, i)));
	if (n > 0)
		printf("\n");
}

static void print_sync(struct json_object *sync)
{
	if (!sync) {
		printf("sync: none (a single node)\n");
		return;
	}
	struct json_object *digest = member(sync, "digest_equal");
	printf(
	    "sync with %s: %s, %s, lag %llu entries / %llu ms, digest %s, configuration %s (%s)\n",
	    text(sync, "peer"), text(sync, "state"), text(sync, "direction"),
	    number(sync, "lag_entries"), number(sync, "lag_ms"),
	    !digest                           ? "not compared"
	    : json_object_get_boolean(digest) ? "equal"
					      : "DIFFERENT",
	    json_object_get_boolean(member(sync, "config_equal")) ? "equal" : "not equal",
	    text(sync, "reason"));
	print_keys(member(sync, "keys"));
	if (member(sync, "waiting"))
		printf("  NOT READY: %s\n", text(sync, "waiting"));
	struct json_object *ended = member(sync, "last_disconnect");
	char age[32];
	if (ended)
		printf("  last disconnected %s ago: %s\n",
		    duration(number(ended, "age_ms"), age, sizeof(age)), text(ended, "reason"));
	struct json_object *protection = member(sync, "protection");
	if (protection)
		printf("sessions (%s): %s: %s\n", text(protection, "sessions"),
		    json_object_get_boolean(member(protection, "protected")) ? "protected"
									     : "UNPROTECTED",
		    text(protection, "reason"));
}

static void print_changes(struct json_object *changes)
{
	struct json_object *peer = member(changes, "peer_takes_them");
	unsigned long long added = number(changes, "added"), changed = number(changes, "changed"),
			   removed = number(changes, "removed");
	if (added + changed + removed == 0)
		return;
	printf("targets differ from the file: %llu added, %llu changed, %llu removed at run "
	       "time\n",
	    added, changed, removed);
	if (peer && !json_object_get_boolean(peer))
		printf("  THE PEER LACKS THEM: its version does not know of targets at run time\n");
}

void print_status(struct json_object *status)
{
	char up[32];
	printf("%s / %s: yoke %s, up %s, configuration %s\n", text(status, "cluster"),
	    text(status, "node"), text(status, "version"),
	    duration(number(status, "uptime_ms"), up, sizeof(up)), text(status, "config_hash"));
	struct json_object *routers = member(status, "virtual_routers");
	if (routers) {
		json_object_object_foreach(routers, name, router) print_router(name, router);
	}
	print_sync(member(status, "sync"));
	struct json_object *pools = member(status, "pools");
	if (pools) {
		json_object_object_foreach(pools, name, pool)
		    printf("pool %s: %llu of %llu targets up\n", name, number(pool, "up"),
			number(pool, "total"));
	}
	print_changes(member(status, "run_time_changes"));
}

/* In what it is not as the file says, and how long that lasts. */
static void print_origin(struct json_object *target)
{
	char left[32];
	if (strcmp(text(target, "origin"), "run_time") == 0)
		printf(" [added at run time]");
	if (member(target, "file_weight"))
		printf(" [weight %llu in the file]", number(target, "file_weight"));
	if (member(target, "drain_left_ms"))
		printf(" [%s in %s]",
		    json_object_get_boolean(member(target, "leaving")) ? "leaves" : "disabled",
		    duration(number(target, "drain_left_ms"), left, sizeof(left)));
}

void print_target_change(struct json_object *target)
{
	printf("%s: %s", text(target, "address"), text(target, "state"));
	if (member(target, "weight"))
		printf(", weight %llu", number(target, "weight"));
	print_origin(target);
	printf("\n");
}

/* The reason of its health, and what has been found since that speaks against it. */
static void print_why(struct json_object *target)
{
	struct json_object *checks = member(target, "checks"), *last = member(checks, "last");
	bool up = strcmp(text(target, "health"), "up") == 0;
	bool known = strcmp(text(target, "health"), "unknown") != 0;
	const char *against = up ? "failed" : "succeeded";
	printf("%s", text(target, "reason"));
	if (known && number(checks, against) > 0)
		printf("; now %llu of %llu checks %s", number(checks, against),
		    number(checks, up ? "fall" : "rise"), against);
	if (known && number(checks, against) > 0 && last)
		printf(": %s", text(last, "reason"));
	print_origin(target);
	printf("\n");
}

/* A duration that may be unknown. */
static const char *time_of(
    struct json_object *object, const char *key, const char *none, char *buf, size_t size)
{
	struct json_object *value = member(object, key);
	return value ? duration(json_object_get_uint64(value), buf, size) : none;
}

static void print_target(struct json_object *target, int width)
{
	char since[32], age[32], next[32];
	printf("  %-*s  %-8s  %-9s  %5llu%s  %11llu  %11llu  %8llu  %-7s  %-7s  ", width,
	    text(target, "address"), text(target, "state"),
	    time_of(target, "since_ms", "-", since, sizeof(since)), number(target, "weight"),
	    json_object_get_boolean(member(target, "backup")) ? "b" : " ",
	    number(target, "connections"), number(target, "requests"), number(target, "failures"),
	    time_of(target, "last_check_ms", "never", age, sizeof(age)),
	    time_of(member(target, "checks"), "next_ms", "-", next, sizeof(next)));
	print_why(target);
}

static int widest_address(struct json_object *targets)
{
	size_t width = strlen("TARGET");
	for (size_t i = 0; targets && i < json_object_array_length(targets); i++) {
		size_t len = strlen(text(json_object_array_get_idx(targets, i), "address"));
		width = len > width ? len : width;
	}
	return (int)width;
}

void print_targets(struct json_object *pools)
{
	json_object_object_foreach(pools, name, pool)
	{
		printf("pool %s: %s, %llu of %llu up, checked by %s\n", name, text(pool, "balance"),
		    number(pool, "up"), number(pool, "total"), text(pool, "checked_by"));
		if (json_object_get_boolean(member(pool, "panic")))
			printf("  PANIC: too few usable targets: their health is ignored\n");
		struct json_object *circuit = member(pool, "circuit");
		if (circuit && strcmp(text(circuit, "state"), "closed") != 0)
			printf(
			    "  CIRCUIT %s: %s\n", text(circuit, "state"), text(circuit, "reason"));
		struct json_object *targets = member(pool, "targets");
		int width = widest_address(targets);
		printf("  %-*s  %-8s  %-9s  %6s  %11s  %11s  %8s  %-7s  %-7s  %s\n", width,
		    "TARGET", "STATE", "SINCE", "WEIGHT", "CONNECTIONS", "REQUESTS", "FAILURES",
		    "CHECKED", "NEXT", "REASON");
		for (size_t i = 0; targets && i < json_object_array_length(targets); i++)
			print_target(json_object_array_get_idx(targets, i), width);
		struct json_object *removed = member(pool, "removed");
		for (size_t i = 0; removed && i < json_object_array_length(removed); i++)
			printf("  %-24s removed at run time\n",
			    json_object_get_string(json_object_array_get_idx(removed, i)));
	}
}

void print_sessions(struct json_object *sessions)
{
	printf("%llu of at most %llu sessions (%llu expired, %llu evicted)\n",
	    number(sessions, "count"), number(sessions, "max"), number(sessions, "expired"),
	    number(sessions, "evicted"));
	struct json_object *pools = member(sessions, "pools");
	if (pools) {
		json_object_object_foreach(pools, name, pool)
		{
			printf("  %-16s %-10s %llu", name, text(pool, "sticky"),
			    number(pool, "count"));
			if (member(pool, "max"))
				printf(" of at most %llu", number(pool, "max"));
			printf(" (%llu evicted)\n", number(pool, "evicted"));
		}
	}
	struct json_object *entries = member(sessions, "entries");
	for (size_t i = 0; entries && i < json_object_array_length(entries); i++) {
		struct json_object *entry = json_object_array_get_idx(entries, i);
		char left[32];
		printf("  %-16s %-10s %-40s -> %-24s %s left\n", text(entry, "pool"),
		    text(entry, "sticky"), text(entry, "key"), text(entry, "target"),
		    duration(number(entry, "expires_ms"), left, sizeof(left)));
	}
}

void print_events(struct json_object *events)
{
	for (size_t i = 0; i < json_object_array_length(events); i++) {
		struct json_object *event = json_object_array_get_idx(events, i);
		bool change = strcmp(text(event, "from"), text(event, "to")) != 0;
		printf("%s %s %s: %s%s%s: %s\n", text(event, "time"), text(event, "node"),
		    text(event, "object"), text(event, "from"), change ? " -> " : "",
		    change ? text(event, "to") : "", text(event, "reason"));
	}
}
