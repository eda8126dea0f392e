/* What the Admin API shows and does (INTERFACE: "Admin API"), as JSON. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/control/control.h"

typedef struct json_object json;

static void put_text(json *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

static void put_number(json *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void put_bool(json *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

static void put_hex(json *object, const char *key, uint64_t value)
{
	char text[17];
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)value);
	put_text(object, key, text);
}

static uint64_t age_ms(uint64_t since_us)
{
	uint64_t now = clock_us();
	return now > since_us ? (now - since_us) / US_PER_MS : 0;
}

/* --- GET /v1/status --- */

/* What the peer says of its own; null: it says nothing. */
static json *peer_json(struct control *control, const char *name)
{
	const struct peer_router *peer = peer_router(control, name);
	const struct conf *conf = control->current->conf;
	if (!peer)
		return NULL;
	json *object = json_object_new_object();
	put_text(object, "node", conf->nodes[conf->peer].name);
	put_text(object, "state", routers_role_name(peer->role));
	put_number(object, "priority", peer->priority);
	return object;
}

static json *tracked_json(const struct ipc_router_state *state)
{
	json *all = json_object_new_object();
	for (unsigned i = 0; i < state->n_parts; i++) {
		const struct ipc_part *part = &state->parts[i];
		json *object = json_object_new_object();
		put_bool(object, "failing", part->failing);
		json_object_object_add(
		    object, "weight", part->weight ? json_object_new_int(part->weight) : NULL);
		put_text(object, "reason", part->why);
		json_object_object_add(all, part->name, object);
	}
	return all;
}

static json *router_json(struct control *control, const struct router_view *view)
{
	const struct ipc_router_state *state = &view->state;
	json *router = json_object_new_object();
	json *addresses = json_object_new_array();
	for (int i = 0; i < state->n_addresses && i < IPC_ADDRESSES_MAX; i++) {
		char ip[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX + 8];
		snprintf(text, sizeof(text), "%s/%u", addr_format_ip(&state->addresses[i].addr, ip),
		    state->addresses[i].prefix);
		json_object_array_add(addresses, json_object_new_string(text));
	}
	put_number(router, "vrid", state->vrid);
	put_text(router, "interface", state->interface);
	put_text(router, "state", routers_role_name(state->role));
	put_number(router, "priority", state->priority);
	put_number(router, "configured_priority", state->configured);
	json_object_object_add(router, "tracked", tracked_json(state));
	put_text(router, "held", state->held[0] ? state->held : NULL);
	json_object_object_add(router, "addresses", addresses);
	put_number(router, "since_ms", age_ms(state->since_us));
	put_text(router, "reason", state->reason);
	put_text(router, "alarm", state->alarm[0] ? state->alarm : NULL);
	json_object_object_add(router, "peer", peer_json(control, state->name));
	router_stats_put(router, &view->stats);
	return router;
}

/* null: no connection has ended yet. */
static json *last_disconnect_json(const struct sync_status *status)
{
	if (status->ended_us == 0)
		return NULL;
	json *object = json_object_new_object();
	put_text(object, "reason", status->ended);
	put_number(object, "age_ms", age_ms(status->ended_us));
	return object;
}

/* Of a Backup there is nothing to say. */
static json *protection_json(const struct sync_status *status)
{
	const struct sync_promise *promise = &status->promise;
	if (status->protection == SYNC_PROTECTION_NONE)
		return NULL;
	json *protection = json_object_new_object();
	put_text(protection, "sessions", promise->acked ? "acked" : "async");
	put_bool(protection, "protected", status->protection == SYNC_PROTECTED);
	put_text(protection, "reason", status->protection_reason);
	put_number(protection, "max_lag_ms", promise->max_lag_us / US_PER_MS);
	json_object_object_add(protection, "max_lag_entries",
	    promise->acked ? NULL : json_object_new_uint64(promise->max_lag_entries));
	put_number(protection, "unprotected_total", status->unprotected);
	return protection;
}

static json *keys_json(const struct control *control)
{
	json *keys = json_object_new_array();
	for (unsigned i = 0; i < KEYS_MAX && control->key_names[i][0]; i++)
		json_object_array_add(keys, json_object_new_string(control->key_names[i]));
	return keys;
}

static json *sync_json(struct control *control)
{
	if (!control->sync)
		return NULL;
	struct sync_status status;
	sync_status(control->sync, &status);
	json *sync = json_object_new_object();
	put_text(sync, "peer", status.peer);
	put_text(sync, "state", sync_state_name(status.state));
	put_text(sync, "direction", status.sending ? "sending" : "receiving");
	put_bool(sync, "peer_active", status.peer_active);
	put_number(sync, "lag_entries", status.lag_entries);
	put_number(sync, "lag_ms", status.lag_us / US_PER_MS);
	put_number(sync, "epoch", status.epoch);
	json_object_object_add(sync, "digest_equal",
	    status.digest_known ? json_object_new_boolean(status.digest_equal) : NULL);
	put_bool(sync, "config_equal", status.config_equal);
	put_text(sync, "reason", status.reason);
	json_object_object_add(sync, "keys", keys_json(control));
	json_object_object_add(sync, "last_disconnect", last_disconnect_json(&status));
	json_object_object_add(sync, "protection", protection_json(&status));
	char waiting[WARMTH_TEXT_MAX];
	warmth_text(&control->warmth, status.peer, clock_us(), waiting);
	put_text(sync, "waiting", waiting[0] ? waiting : NULL);
	return sync;
}

/* In what the targets differ from the file. */
static json *changes_json(struct control *control)
{
	struct sync_status status = {0};
	if (control->sync)
		sync_status(control->sync, &status);
	json *object = json_object_new_object();
	put_number(object, "added", changes_count(control, OVERLAY_ADDED));
	put_number(object, "changed", changes_count(control, OVERLAY_CHANGED));
	put_number(object, "removed", changes_count(control, OVERLAY_REMOVED));
	json_object_object_add(object, "peer_takes_them",
	    status.state == SYNC_DISCONNECTED ? NULL
					      : json_object_new_boolean(status.peer_takes_targets));
	return object;
}

static json *view_status(void *arg)
{
	struct control *control = arg;
	const struct generation *now = control->current;
	json *body = json_object_new_object();
	put_text(body, "cluster", now->conf->cluster);
	put_text(body, "node", control->node);
	put_text(body, "version", YOKE_VERSION);
	put_number(body, "uptime_ms", age_ms(control->start_us));
	put_hex(body, "config_hash", now->conf->hash);
	put_number(body, "generation", now->number);

	json *routers = json_object_new_object();
	for (uint32_t i = 0; i < control->n_routers; i++)
		json_object_object_add(routers, control->routers[i].state.name,
		    router_json(control, &control->routers[i]));
	json_object_object_add(body, "virtual_routers", routers);
	json_object_object_add(body, "sync", sync_json(control));

	json *pools = json_object_new_object();
	for (uint32_t i = 0; i < now->fleet->n_pools; i++) {
		uint32_t up, total;
		pool_count(&now->fleet->pools[i], &up, &total);
		json *pool = json_object_new_object();
		put_number(pool, "up", up);
		put_number(pool, "total", total);
		json_object_object_add(pools, now->fleet->pools[i].name, pool);
	}
	json_object_object_add(body, "pools", pools);
	json_object_object_add(body, "run_time_changes", changes_json(control));
	return body;
}

/* --- GET /v1/pools, /v1/pools/NAME --- */

/* What our own checks say, beside what the Active peer says. */
static json *sight_json(const struct control *control, const struct target *target)
{
	const struct prober_sight *sight = prober_sight(control->prober, target->id);
	if (!sight)
		return NULL;
	json *object = json_object_new_object();
	put_text(object, "health", target_health_name(sight->health));
	put_text(object, "reason", sight->reason);
	return object;
}

/* Results in a row, and the last one, which may speak against the state that it has not changed yet.
 * null: the pool has no health check. */
static json *checks_json(
    const struct control *control, const struct conf_health *conf, const struct target *target)
{
	const struct prober_sight *sight = prober_sight(control->prober, target->id);
	uint64_t due_us, now_us = clock_us();
	if (conf->kind == CONF_HEALTH_NONE)
		return NULL;
	json *object = json_object_new_object(), *last = NULL, *next = NULL;
	put_number(object, "succeeded", target->rise_count);
	put_number(object, "failed", target->fall_count);
	put_number(object, "rise", conf->rise);
	put_number(object, "fall", conf->fall);
	if (sight && sight->last_us > 0) {
		last = json_object_new_object();
		put_text(last, "result", prober_result_name(sight->last));
		put_text(last, "reason", sight->last_reason);
		put_number(last, "took_us", sight->took_us);
		put_number(last, "age_ms", age_ms(sight->last_us));
	}
	if (prober_next(control->prober, target->id, &due_us))
		next = json_object_new_uint64(due_us > now_us ? (due_us - now_us) / US_PER_MS : 0);
	json_object_object_add(object, "last", last);
	json_object_object_add(object, "next_ms", next);
	return object;
}

/* Of the state that it has: what the operator wants goes before what the checks have found. */
static void put_reason(json *object, const struct target *target)
{
	bool set = atomic_load(&target->admin) != TARGET_READY;
	uint64_t since_us = set ? target->admin_since_us : target->since_us;
	const char *reason = set ? target->admin_reason : target->reason;
	if (target_available(target) && atomic_load(&target->ejected)) {
		since_us = target->outlier.ejected_us;
		reason = target->outlier.reason;
	}
	put_text(object, "reason", reason);
	json_object_object_add(
	    object, "since_ms", since_us ? json_object_new_uint64(age_ms(since_us)) : NULL);
}

/* null: it is in, and has been good for a while. */
static json *ejection_json(const struct outlier *outlier)
{
	uint64_t now_us = clock_us();
	if (outlier->ejections == 0)
		return NULL;
	json *object = json_object_new_object();
	put_number(object, "left_ms",
	    outlier->until_us > now_us ? (outlier->until_us - now_us) / US_PER_MS : 0);
	put_number(object, "in_a_row", outlier->ejections);
	put_bool(object, "probation", outlier->probation_us != 0);
	put_text(object, "cause", outlier_cause_name(outlier->cause));
	put_text(object, "reason", outlier->reason);
	return object;
}

static json *circuit_json(const struct pool *pool)
{
	const struct breaker *breaker = &pool->watch->breaker;
	json *object = json_object_new_object();
	put_text(object, "state", breaker_state_name(breaker_state(breaker)));
	put_number(object, "opened", breaker->opened);
	put_text(object, "reason", breaker->why[0] ? breaker->why : NULL);
	return object;
}

static json *target_json(const struct control *control, const struct conf_pool *conf,
    const struct pool *pool, const struct pool_target *member)
{
	const struct target *target = member->target;
	json *object = json_object_new_object();
	put_text(object, "address", target->text);
	put_text(object, "state", target_state_name(target));
	put_text(object, "health", target_health_name(atomic_load(&target->health)));
	put_number(object, "weight", member->weight);
	put_bool(object, "backup", member->backup);
	put_number(object, "max_connections",
	    atomic_load_explicit(&target->max_active, memory_order_relaxed));
	put_number(
	    object, "connections", atomic_load_explicit(&target->active, memory_order_relaxed));
	put_number(
	    object, "requests", atomic_load_explicit(&target->requests, memory_order_relaxed));
	put_number(
	    object, "failures", atomic_load_explicit(&target->failures, memory_order_relaxed));
	json_object_object_add(object, "last_check_ms",
	    target->last_check_us ? json_object_new_uint64(age_ms(target->last_check_us)) : NULL);
	put_reason(object, target);
	json_object_object_add(object, "checks", checks_json(control, &conf->health, target));
	changes_put_target(control, object, pool, target);
	json_object_object_add(object, "ejection", ejection_json(&target->outlier));
	if (conf->tracked)
		json_object_object_add(object, "seen_from_here", sight_json(control, target));
	return object;
}

static json *pool_json(const struct control *control, const struct pool *pool)
{
	static const char *const algorithms[] = {
	    [CONF_BALANCE_ROUND_ROBIN] = "round_robin",
	    [CONF_BALANCE_LEAST_CONNECTIONS] = "least_connections",
	    [CONF_BALANCE_SOURCE_HASH] = "source_hash",
	    [CONF_BALANCE_RANDOM_TWO] = "random_two",
	    [CONF_BALANCE_MAGLEV] = "maglev",
	    [CONF_BALANCE_LEAST_TIME] = "least_time",
	};
	json *object = json_object_new_object();
	json *targets = json_object_new_array();
	uint32_t up, total;
	pool_count(pool, &up, &total);
	put_text(object, "name", pool->name);
	const struct conf_pool *conf = &control->current->conf->pools[pool->index];
	put_text(object, "balance", algorithms[conf->balance]);
	put_number(object, "up", up);
	put_number(object, "total", total);
	put_bool(object, "panic", pool->panicking);
	json_object_object_add(object, "circuit", conf->breaker_given ? circuit_json(pool) : NULL);
	put_text(object, "checked_by", control->probing ? "this node" : "peer");
	for (uint32_t i = 0; i < pool->n_targets; i++)
		json_object_array_add(targets, target_json(control, conf, pool, &pool->targets[i]));
	json_object_object_add(object, "targets", targets);
	json_object_object_add(object, "removed", changes_removed(control, pool));
	return object;
}

static json *view_pools(void *arg)
{
	struct control *control = arg;
	const struct fleet *fleet = control->current->fleet;
	json *pools = json_object_new_object();
	for (uint32_t i = 0; i < fleet->n_pools; i++)
		json_object_object_add(
		    pools, fleet->pools[i].name, pool_json(control, &fleet->pools[i]));
	return pools;
}

static json *view_pool(void *arg, const char *name)
{
	struct control *control = arg;
	const struct pool *pool = fleet_pool(control->current->fleet, name);
	return pool ? pool_json(control, pool) : NULL;
}

/* --- GET /v1/sessions --- */

static const char *format_source(const uint8_t bytes[16], char text[ADDR_TEXT_MAX])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct addr addr = {0};
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		addr.in.sin_family = AF_INET;
		memcpy(&addr.in.sin_addr, bytes + 12, 4);
	} else {
		addr.in6.sin6_family = AF_INET6;
		memcpy(&addr.in6.sin6_addr, bytes, 16);
	}
	return addr_format_ip(&addr, text);
}

/* Of a value the table itself has only a hash. */
static void put_session_key(
    json *object, const struct session *session, enum conf_sticky_kind kind, bool show)
{
	char text[ADDR_TEXT_MAX];
	if (show && kind == CONF_STICKY_SOURCE)
		put_text(object, "key", format_source(session->key.bytes, text));
	else
		put_hex(object, "key", hash_id(&session->key, sizeof(session->key)));
}

/* NULL: only the peer's configuration has it. */
static const struct conf_pool *pool_by_id(const struct generation *current, uint64_t id)
{
	for (uint32_t i = 0; i < current->fleet->n_pools; i++) {
		if (current->fleet->pools[i].id == id)
			return &current->conf->pools[i];
	}
	return NULL;
}

static json *session_json(
    const struct generation *current, const struct session *session, uint64_t now_us, bool show)
{
	json *object = json_object_new_object();
	const struct target *target = fleet_target(current->fleet, session->target_id, NULL);
	const struct conf_pool *pool = pool_by_id(current, session->key.pool_id);
	enum conf_sticky_kind kind = pool ? pool->sticky.kind : CONF_STICKY_NONE;
	put_text(object, "pool", pool ? pool->name : NULL);
	put_text(object, "sticky", conf_sticky_name(kind));
	put_session_key(object, session, kind, show);
	put_text(object, "target", target ? target->text : NULL);
	put_number(object, "expires_ms",
	    session->expires_us > now_us ? (session->expires_us - now_us) / US_PER_MS : 0);
	return object;
}

/* How many each pool has that has any in the table. */
static json *shares_json(const struct control *control)
{
	const struct generation *current = control->current;
	json *pools = json_object_new_object();
	for (uint32_t i = 0; i < current->conf->n_pools; i++) {
		const struct conf_pool *pool = &current->conf->pools[i];
		uint64_t entries, evicted;
		if (!session_table_pool(
			control->sessions, current->fleet->pools[i].id, &entries, &evicted))
			continue;
		json *object = json_object_new_object();
		put_text(object, "sticky", conf_sticky_name(pool->sticky.kind));
		put_number(object, "count", entries);
		uint64_t max = pool->sticky.max_entries;
		json_object_object_add(object, "max", max ? json_object_new_uint64(max) : NULL);
		put_number(object, "evicted", evicted);
		json_object_object_add(pools, pool->name, object);
	}
	return pools;
}

static json *view_sessions(
    void *arg, const char *pool_name, uint64_t cursor, uint64_t limit, bool show_keys)
{
	struct control *control = arg;
	const struct pool *pool = pool_name ? fleet_pool(control->current->fleet, pool_name) : NULL;
	if (pool_name && !pool)
		return NULL;

	struct session_stats stats;
	session_table_stats(control->sessions, &stats);
	json *body = json_object_new_object();
	put_number(body, "count", stats.entries);
	put_number(body, "max", stats.max_entries);
	put_number(body, "evicted", stats.evicted);
	put_number(body, "expired", stats.expired);
	put_hex(body, "digest", stats.digest);
	json_object_object_add(body, "pools", shares_json(control));

	json *entries = json_object_new_array();
	struct session batch[64];
	uint64_t now_us = clock_us();
	size_t n = 1;
	while (limit > 0 && n > 0) {
		n = session_table_scan(
		    control->sessions, &cursor, now_us, batch, limit < 64 ? limit : 64);
		for (size_t i = 0; i < n; i++) {
			if (pool && batch[i].key.pool_id != pool->id)
				continue;
			json_object_array_add(
			    entries, session_json(control->current, &batch[i], now_us, show_keys));
			limit--;
		}
	}
	json_object_object_add(body, "entries", entries);
	/* As text: not all that read JSON have 64 bits for a number. */
	char next[24];
	snprintf(next, sizeof(next), "%llu", (unsigned long long)cursor);
	put_text(body, "next", n > 0 ? next : NULL);
	return body;
}

static json *view_events(void *arg, uint64_t after, bool local)
{
	struct control *control = arg;
	return events_json(&control->events, control->node, after, local);
}

/* --- changes --- */

static struct admin_reply start_reload(void *arg, admin_ticket ticket)
{
	struct control *control = arg;
	union ipc_message msg;
	ipc_init(&msg, IPC_RELOAD);
	msg.reload.id = ticket;
	if (ipc_send(control->supervisor_io.fd, &msg, -1) < 0)
		return (struct admin_reply){503, admin_error("yoked does not answer")};
	return (struct admin_reply){0};
}

static struct admin_reply start_failover(void *arg, admin_ticket ticket, const char *router)
{
	return handover_by_operator(arg, ticket, router);
}

static bool view_healthy(void *arg, struct err *why)
{
	struct control *control = arg;
	if (control->shutdown_deadline_us) {
		err_set(why, 0, "shutting down");
		return false;
	}
	if (!control->started || control->stuck.text[0]) {
		err_set(why, 0, "%s", control->started ? control->stuck.text : "starting");
		return false;
	}
	if (control->warmth.waiting) {
		const struct conf *conf = control->current->conf;
		char waiting[WARMTH_TEXT_MAX];
		warmth_text(&control->warmth, conf->nodes[conf->peer].name, clock_us(), waiting);
		err_set(why, 0, "%s", waiting);
		return false;
	}
	err_set(why, 0, "ready");
	return true;
}

static char *view_metrics(void *arg)
{
	return metrics_text(arg);
}

void views_callbacks(struct control *control, struct admin_callbacks *out)
{
	*out = (struct admin_callbacks){
	    .status = view_status,
	    .pools = view_pools,
	    .pool = view_pool,
	    .sessions = view_sessions,
	    .events = view_events,
	    .target_add = changes_add,
	    .target_change = changes_change,
	    .target_remove = changes_remove,
	    .reload = start_reload,
	    .failover = start_failover,
	    .healthy = view_healthy,
	    .metrics = view_metrics,
	    .arg = control,
	};
}
