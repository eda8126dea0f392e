/* What yoke-vrrp counts for each virtual router, as part of the status and as metrics. */
#include <ctype.h>
#include <json-c/json.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/control/control.h"
#include "vrrp/core/lateness.h"
#include "vrrp/core/packet.h"

static const char *const promotion_names[IPC_PROMOTION_COUNT] = {
    [IPC_PROMOTION_SILENCE] = "silence",
    [IPC_PROMOTION_RESIGNED] = "peer_resigned",
    [IPC_PROMOTION_PREEMPTION] = "preemption",
};
static const char *const departure_names[IPC_DEPARTURE_COUNT] = {
    [IPC_DEPARTURE_OPERATOR] = "operator",
    [IPC_DEPARTURE_FAULT] = "fault",
    [IPC_DEPARTURE_LEASE] = "lease",
    [IPC_DEPARTURE_ADVERT] = "advert",
    [IPC_DEPARTURE_CLAIM] = "claim",
    [IPC_DEPARTURE_SHUTDOWN] = "shutdown",
    [IPC_DEPARTURE_OTHER] = "other",
};
static const char *const lease_names[] = {
    [IPC_LEASE_MISSING] = "missing", [IPC_LEASE_OVER] = "over", [IPC_LEASE_ALIVE] = "alive"};

/* "count_large": of enum vrrp_refusal. */
static const char *refusal_name(unsigned refusal, char buf[32])
{
	static const char *const names[VRRP_REFUSAL_COUNT] = {
#define X(name, text) [VRRP_REFUSED_##name] = #name,
	    VRRP_REFUSALS(X)
#undef X
	};
	size_t i = 0;
	for (; names[refusal][i] && i < 31; i++)
		buf[i] = (char)tolower(names[refusal][i]);
	buf[i] = '\0';
	return buf;
}

/* ---- status ---- */

static void put_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static struct json_object *adverts_json(const struct ipc_router_stats *stats)
{
	struct json_object *adverts = json_object_new_object();
	struct json_object *refused = json_object_new_object();
	char name[32];
	put_number(adverts, "sent", stats->adverts_sent);
	put_number(adverts, "received", stats->adverts_received);
	put_number(adverts, "send_errors", stats->send_errors);
	put_number(adverts, "lease_refusals", stats->lease_refusals);
	for (unsigned i = VRRP_ACCEPTED + 1; i < VRRP_REFUSAL_COUNT; i++) {
		if (stats->refused[i])
			put_number(refused, refusal_name(i, name), stats->refused[i]);
	}
	json_object_object_add(adverts, "refused", refused);
	return adverts;
}

static struct json_object *heard_json(const struct ipc_router_stats *stats, uint64_t now_us)
{
	if (stats->heard_us == 0)
		return NULL;
	char from[ADDR_TEXT_MAX];
	struct json_object *heard = json_object_new_object();
	json_object_object_add(
	    heard, "from", json_object_new_string(addr_format_ip(&stats->heard_from, from)));
	put_number(heard, "priority", stats->heard_priority);
	put_number(
	    heard, "age_ms", now_us > stats->heard_us ? (now_us - stats->heard_us) / US_PER_MS : 0);
	put_number(heard, "interval_ms", stats->heard_interval_us / US_PER_MS);
	put_number(heard, "version", stats->heard_version);
	json_object_object_add(
	    heard, "checksum", json_object_new_string(stats->heard_plain ? "rfc9568" : "rfc5798"));
	return heard;
}

static struct json_object *lease_json(const struct ipc_router_stats *stats)
{
	struct json_object *lease = json_object_new_object();
	json_object_object_add(lease, "state", json_object_new_string(lease_names[stats->lease]));
	put_number(lease, "left_ms", stats->lease_left_ms);
	json_object_object_add(lease, "problem",
	    stats->lease_problem[0] ? json_object_new_string(stats->lease_problem) : NULL);
	return lease;
}

static struct json_object *lateness_json(const struct ipc_router_stats *stats)
{
	struct json_object *lateness = json_object_new_object();
	put_number(lateness, "recent_us", stats->lateness_recent_us);
	put_number(lateness, "max_us", stats->lateness_max_us);
	put_number(lateness, "tolerance_us", stats->tolerance_us);
	put_number(lateness, "silence_us", stats->silence_recent_us);
	put_number(lateness, "patience_us", stats->patience_us);
	return lateness;
}

void router_stats_put(struct json_object *router, const struct ipc_router_stats *stats)
{
	bool known = stats->name[0] != '\0';
	json_object_object_add(router, "adverts", known ? adverts_json(stats) : NULL);
	json_object_object_add(router, "heard", known ? heard_json(stats, clock_us()) : NULL);
	json_object_object_add(router, "lease", known ? lease_json(stats) : NULL);
	json_object_object_add(router, "lateness", known ? lateness_json(stats) : NULL);
}

/* ---- metrics ---- */

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP yoke_virtual_router_%s %s\n# TYPE yoke_virtual_router_%s %s\n", name,
	    help, name, type);
}

/* One sample, if there are statistics; `label` may be empty, else ",key=\"value\"". */
static void sample(FILE *out, const char *name, const struct ipc_router_stats *stats,
    const char *label, uint64_t value)
{
	if (stats->name[0])
		fprintf(out, "yoke_virtual_router_%s{virtual_router=\"%s\"%s} %llu\n", name,
		    stats->name, label, (unsigned long long)value);
}

static void seconds(FILE *out, const char *name, const struct ipc_router_stats *stats, uint64_t us)
{
	if (stats->name[0])
		fprintf(out, "yoke_virtual_router_%s{virtual_router=\"%s\"} %llu.%06llu\n", name,
		    stats->name, (unsigned long long)(us / US_PER_SEC),
		    (unsigned long long)(us % US_PER_SEC));
}

static const struct {
	const char *name, *help;
	size_t offset;
} counters[] = {
#define X(name, help) {#name "_total", help, offsetof(struct ipc_router_stats, name)},
    IPC_ROUTER_COUNTERS(X)
#undef X
};

static void put_refused(FILE *out, const struct ipc_router_stats *stats)
{
	for (unsigned i = VRRP_ACCEPTED + 1; i < VRRP_REFUSAL_COUNT; i++) {
		char name[32], label[64];
		snprintf(label, sizeof(label), ",reason=\"%s\"", refusal_name(i, name));
		sample(out, "adverts_refused_total", stats, label, stats->refused[i]);
	}
}

static void put_promotions(FILE *out, const struct ipc_router_stats *stats)
{
	for (unsigned i = 0; i < IPC_PROMOTION_COUNT; i++) {
		char label[64];
		snprintf(label, sizeof(label), ",cause=\"%s\"", promotion_names[i]);
		sample(out, "promotions_total", stats, label, stats->promotions[i]);
	}
}

static void put_departures(FILE *out, const struct ipc_router_stats *stats)
{
	for (unsigned i = 0; i < IPC_DEPARTURE_COUNT; i++) {
		char label[64];
		snprintf(label, sizeof(label), ",cause=\"%s\"", departure_names[i]);
		sample(out, "departures_total", stats, label, stats->departures[i]);
	}
}

static void put_lateness(FILE *out, const struct ipc_router_stats *stats)
{
	static const uint32_t bounds_us[] = {
#define X(bound) bound,
	    VRRP_LATENESS_BOUNDS(X)
#undef X
	};
	uint64_t sum = 0;
	for (unsigned i = 0; i < VRRP_LATENESS_ABOVE; i++) {
		char label[32];
		sum += stats->lateness[i];
		snprintf(label, sizeof(label), ",le=\"%u.%06u\"", bounds_us[i] / 1000000,
		    bounds_us[i] % 1000000);
		sample(out, "lateness_seconds_bucket", stats, label, sum);
	}
	sum += stats->lateness[VRRP_LATENESS_ABOVE];
	sample(out, "lateness_seconds_bucket", stats, ",le=\"+Inf\"", sum);
	seconds(out, "lateness_seconds_sum", stats, stats->lateness_sum_us);
	sample(out, "lateness_seconds_count", stats, "", sum);
}

static void put_recent(FILE *out, const struct ipc_router_stats *stats)
{
	seconds(out, "lateness_recent_seconds", stats, stats->lateness_recent_us);
}

static void put_tolerance(FILE *out, const struct ipc_router_stats *stats)
{
	seconds(out, "lateness_tolerance_seconds", stats, stats->tolerance_us);
}

static void put_silence(FILE *out, const struct ipc_router_stats *stats)
{
	seconds(out, "silence_recent_seconds", stats, stats->silence_recent_us);
}

static void put_patience(FILE *out, const struct ipc_router_stats *stats)
{
	seconds(out, "patience_seconds", stats, stats->patience_us);
}

static void put_lease(FILE *out, const struct ipc_router_stats *stats)
{
	sample(out, "lease_available", stats, "", stats->lease != IPC_LEASE_MISSING);
}

static void put_lease_left(FILE *out, const struct ipc_router_stats *stats)
{
	seconds(out, "lease_left_seconds", stats, stats->lease_left_ms * US_PER_MS);
}

static const struct {
	const char *name, *type, *help;
	void (*put)(FILE *out, const struct ipc_router_stats *stats);
} families[] = {
    {"adverts_refused_total", "counter", "Packets refused, by reason", put_refused},
    {"promotions_total", "counter", "Times this node became Active, by cause", put_promotions},
    {"departures_total", "counter", "Times it ceased to be Active, by cause", put_departures},
    {"lateness_seconds", "histogram", "How late the timers of the election fire", put_lateness},
    {"lateness_recent_seconds", "gauge", "The worst of the last minute or two", put_recent},
    {"lateness_tolerance_seconds", "gauge", "An advert later than this has no lease",
	put_tolerance},
    {"silence_recent_seconds", "gauge",
	"Backup: the longest time between two adverts in the last minute or two", put_silence},
    {"patience_seconds", "gauge", "Active_Down_Interval: a longer silence is a failover",
	put_patience},
    {"lease_available", "gauge", "0: only the lifetime of the addresses prevents two holders",
	put_lease},
    {"lease_left_seconds", "gauge", "Time to live of the lease; 0: none", put_lease_left},
};

void router_stats_metrics(FILE *out, const struct control *control)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		family(out, counters[i].name, "counter", counters[i].help);
		for (uint32_t r = 0; r < control->n_routers; r++) {
			const struct ipc_router_stats *stats = &control->routers[r].stats;
			const uint8_t *at = (const uint8_t *)stats + counters[i].offset;
			sample(out, counters[i].name, stats, "", *(const uint64_t *)at);
		}
	}
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		family(out, families[i].name, families[i].type, families[i].help);
		for (uint32_t r = 0; r < control->n_routers; r++)
			families[i].put(out, &control->routers[r].stats);
	}
}
