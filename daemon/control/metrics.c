/* GET /metrics: Prometheus text format 0.0.4. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/control/control.h"

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP yoke_%s %s\n# TYPE yoke_%s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	family(out, name, type, help);
	fprintf(out, "yoke_%s %llu\n", name, (unsigned long long)value);
}

static void put_proxy(FILE *out, struct control *control)
{
	struct proxy_stats stats;
	proxy_stats(control->proxy, &stats);
#define X(name, help) single(out, #name "_total", "counter", help, stats.name);
	PROXY_COUNTERS(X)
#undef X
	single(
	    out, "client_connections", "gauge", "Client connections now", stats.client_connections);
	single(out, "upstream_connections", "gauge", "Connections to targets now",
	    stats.upstream_connections);
	single(out, "udp_sessions", "gauge", "UDP sessions now", stats.udp_sessions_now);
	single(out, "udp_dropped_unread_total", "counter",
	    "Datagrams that the kernel dropped because they were not read in time",
	    stats.udp_overflows);
	single(out, "upstream_idle", "gauge", "Pooled connections to targets now",
	    stats.upstream_idle);
	single(out, "tunnels", "gauge", "Tunnels now", stats.tunnels_now);
}

struct listening_metric {
	const char *name, *type, *help;
	bool only_here;
	double (*read)(const struct proxy_listening *listening);
};

static double read_answered(const struct proxy_listening *listening)
{
	return (double)listening->answered_wall_us / 1e6;
}

static double read_unanswered(const struct proxy_listening *listening)
{
	return (double)listening->failures;
}

static const struct listening_metric listening_metrics[] = {
    {"listener_answered_timestamp_seconds", "gauge",
	"When the listener last answered a request of our own; only while its address is here",
	true, read_answered},
    {"listener_check_failures_total", "counter",
	"Times it left one unanswered for too long, or could not be asked", false, read_unanswered},
};

struct listening_output {
	FILE *out;
	const struct listening_metric *metric;
};

static void put_listening(void *arg, const struct proxy_listening *listening)
{
	const struct listening_output *output = arg;
	const struct listening_metric *metric = output->metric;
	if (metric->only_here && (!listening->here || listening->answered_wall_us == 0))
		return;
	fprintf(output->out, "yoke_%s{listener=\"%s\",address=\"%s\"} %.15g\n", metric->name,
	    listening->listener, listening->address, metric->read(listening));
}

static void put_listeners(FILE *out, struct control *control)
{
	for (size_t m = 0; m < sizeof(listening_metrics) / sizeof(listening_metrics[0]); m++) {
		struct listening_output output = {out, &listening_metrics[m]};
		family(out, output.metric->name, output.metric->type, output.metric->help);
		proxy_each_listening(control->proxy, put_listening, &output);
	}
}

static void put_route(void *arg, const char *listener, const char *route, uint64_t requests)
{
	fprintf(arg, "yoke_route_requests_total{listener=\"%s\",route=\"%s\"} %llu\n", listener,
	    route, (unsigned long long)requests);
}

static void put_routes(FILE *out, struct control *control)
{
	family(out, "route_requests_total", "counter", "Requests that the route has taken");
	proxy_each_route(control->proxy, put_route, out);
}

static void put_checks(FILE *out, const struct control *control)
{
	single(out, "health_checks_total", "counter", "Active checks started",
	    prober_count(control->prober));
	family(out, "health_check_results_total", "counter", "Active checks that ended so");
	for (int i = 0; i < PROBER_RESULT_COUNT; i++)
		fprintf(out, "yoke_health_check_results_total{result=\"%s\"} %llu\n",
		    prober_result_name((enum prober_result)i),
		    (unsigned long long)prober_results(control->prober, (enum prober_result)i));
}

/* Of the route's own limits, or the listener's: then there is no route. */
static void put_limit(void *arg, const struct proxy_limit *limit)
{
	const struct {
		const char *action;
		uint64_t count;
	} rows[] = {{"refused", limit->refused}, {"logged", limit->passed}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(arg,
		    "yoke_rate_limited_total{listener=\"%s\",route=\"%s\",limit=\"%u\","
		    "action=\"%s\"} %llu\n",
		    limit->listener, limit->route ? limit->route : "", limit->index, rows[i].action,
		    (unsigned long long)rows[i].count);
}

static void put_refusal(void *arg, const char *what, const char *reason, uint64_t count)
{
	fprintf(arg, "yoke_refused_total{what=\"%s\",reason=\"%s\"} %llu\n", what, reason,
	    (unsigned long long)count);
}

static void put_failure(void *arg, const char *what, const char *reason, uint64_t count)
{
	(void)what;
	fprintf(arg, "yoke_attempts_failed_total{reason=\"%s\"} %llu\n", reason,
	    (unsigned long long)count);
}

static void put_failures(FILE *out, struct control *control)
{
	family(out, "attempts_failed_total", "counter",
	    "Attempts at targets that failed, by the word of the access log; another one may have "
	    "followed");
	proxy_each_failure(control->proxy, put_failure, out);
}

static void put_dropped(FILE *out, struct control *control)
{
	struct proxy_stats stats;
	proxy_stats(control->proxy, &stats);
	put_refusal(out, "datagram", "send_queue_full", stats.udp_dropped_full);
	put_refusal(out, "datagram", "no_room", stats.udp_dropped_limit);
	put_refusal(out, "datagram", "max_connections_per_source", stats.udp_dropped_source);
	put_refusal(out, "datagram", "no_target", stats.udp_dropped_no_target);
	put_refusal(out, "datagram", "unsendable", stats.udp_dropped_unsendable);
}

static void put_limits(FILE *out, struct control *control)
{
	struct limit_stats stats;
	family(out, "refused_total", "counter",
	    "Requests that were answered by yoke with an error, by the word of the access log, "
	    "connections that were closed unserved, and datagrams that were dropped");
	proxy_each_refusal(control->proxy, put_refusal, out);
	put_dropped(out, control);
	if (!proxy_limit_stats(control->proxy, &stats))
		return;
	family(out, "rate_limited_total", "counter",
	    "Requests or connections over a rate limit: refused, or only logged");
	proxy_each_limit(control->proxy, put_limit, out);
	single(out, "rate_limit_keys", "gauge", "Keys that rate limits remember", stats.living);
	single(out, "rate_limit_evicted_total", "counter",
	    "Keys that made room for others: rate_limit_keys of the configuration is too small",
	    stats.evicted);
}

struct target_metric {
	const char *name, *type, *help;
	uint64_t (*read)(const struct target *target);
};

static uint64_t read_up(const struct target *target)
{
	return target_usable(target);
}

static uint64_t read_active(const struct target *target)
{
	return atomic_load_explicit(&target->active, memory_order_relaxed);
}

static uint64_t read_requests(const struct target *target)
{
	return atomic_load_explicit(&target->requests, memory_order_relaxed);
}

static uint64_t read_failures(const struct target *target)
{
	return atomic_load_explicit(&target->failures, memory_order_relaxed);
}

static const struct target_metric target_metrics[] = {
    {"target_up", "gauge", "1 if the target takes new traffic", read_up},
    {"target_active", "gauge", "Requests or connections in flight", read_active},
    {"target_requests_total", "counter", "Requests or connections sent to the target",
	read_requests},
    {"target_failures_total", "counter", "Connects and responses that failed", read_failures},
};

static void put_targets(FILE *out, const struct fleet *fleet)
{
	for (size_t m = 0; m < sizeof(target_metrics) / sizeof(target_metrics[0]); m++) {
		const struct target_metric *metric = &target_metrics[m];
		family(out, metric->name, metric->type, metric->help);
		for (uint32_t p = 0; p < fleet->n_pools; p++) {
			const struct pool *pool = &fleet->pools[p];
			for (uint32_t t = 0; t < pool->n_targets; t++)
				fprintf(out, "yoke_%s{pool=\"%s\",target=\"%s\"} %llu\n",
				    metric->name, pool->name, pool->targets[t].target->text,
				    (unsigned long long)metric->read(pool->targets[t].target));
		}
	}
}

/* All of them, so that one can be followed in time. */
static void put_states(FILE *out, const struct fleet *fleet)
{
	static const char *const states[] = {
	    "up", "down", "draining", "disabled", "ejected", "unknown"};
	family(out, "target_state", "gauge", "1 for the state that the target is in, 0 for others");
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		const struct pool *pool = &fleet->pools[p];
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			const struct target *target = pool->targets[t].target;
			const char *now = target_state_name(target);
			for (size_t s = 0; s < sizeof(states) / sizeof(states[0]); s++)
				fprintf(out,
				    "yoke_target_state{pool=\"%s\",target=\"%s\",state=\"%s\"} "
				    "%d\n",
				    pool->name, target->text, states[s],
				    strcmp(now, states[s]) == 0);
		}
	}
}

static void put_panics(FILE *out, const struct fleet *fleet)
{
	family(out, "pool_panic", "gauge",
	    "1 while so few targets are usable that their health is ignored");
	for (uint32_t p = 0; p < fleet->n_pools; p++)
		fprintf(out, "yoke_pool_panic{pool=\"%s\"} %d\n", fleet->pools[p].name,
		    fleet->pools[p].panicking);
}

static void put_changes(FILE *out, const struct control *control)
{
	static const char *const names[] = {[OVERLAY_ADDED] = "added",
	    [OVERLAY_CHANGED] = "changed",
	    [OVERLAY_REMOVED] = "removed"};
	family(out, "run_time_changes", "gauge", "Targets that are not as in the file");
	for (int kind = OVERLAY_ADDED; kind < OVERLAY_KIND_COUNT; kind++)
		fprintf(out, "yoke_run_time_changes{change=\"%s\"} %zu\n", names[kind],
		    changes_count(control, (enum overlay_kind)kind));
}

struct queue_metric {
	const char *name, *type, *help;
	double (*read)(const struct queue *queue);
};

static double read_waiting(const struct queue *queue)
{
	return queue_waiting(queue);
}

static double read_waited(const struct queue *queue)
{
	return (double)atomic_load_explicit(&queue->waited_us, memory_order_relaxed) / 1e6;
}

#define READ_QUEUE(name)                                                                 \
	static double read_##name(const struct queue *queue)                             \
	{                                                                                \
		return (double)atomic_load_explicit(&queue->name, memory_order_relaxed); \
	}
READ_QUEUE(queued)
READ_QUEUE(served)
READ_QUEUE(timeouts)
READ_QUEUE(left)
READ_QUEUE(overflows)

static const struct queue_metric queue_metrics[] = {
    {"queue_length", "gauge", "Requests or connections that wait for a target with a free place",
	read_waiting},
    {"queue_entered_total", "counter", "Those that had to wait", read_queued},
    {"queue_served_total", "counter", "Of these: got a place", read_served},
    {"queue_timeouts_total", "counter",
	"Of these: waited for as long as they may, and were refused", read_timeouts},
    {"queue_left_total", "counter", "Of these: the client went away, or no target was usable",
	read_left},
    {"queue_wait_seconds_total", "counter", "How long they waited in all", read_waited},
    {"queue_overflows_total", "counter", "Requests or connections refused: no room in the queue",
	read_overflows},
};

static void put_queues(FILE *out, const struct fleet *fleet)
{
	for (size_t m = 0; m < sizeof(queue_metrics) / sizeof(queue_metrics[0]); m++) {
		const struct queue_metric *metric = &queue_metrics[m];
		family(out, metric->name, metric->type, metric->help);
		for (uint32_t p = 0; p < fleet->n_pools; p++)
			fprintf(out, "yoke_%s{pool=\"%s\"} %.15g\n", metric->name,
			    fleet->pools[p].name, metric->read(fleet->pools[p].queue));
	}
}

static void put_ejections(FILE *out, const struct pool *pool, const struct target *target)
{
	for (int cause = OUTLIER_NONE + 1; cause < OUTLIER_CAUSE_COUNT; cause++)
		fprintf(out,
		    "yoke_target_ejections_total{pool=\"%s\",target=\"%s\",cause=\"%s\"} %llu\n",
		    pool->name, target->text, outlier_cause_name((enum outlier_cause)cause),
		    (unsigned long long)target->outlier.total[cause]);
}

/* Of pools that have outlier, or circuit_breaker. */
static void put_outliers(FILE *out, const struct control *control)
{
	const struct conf *conf = control->current->conf;
	const struct fleet *fleet = control->current->fleet;
	family(out, "target_ejections_total", "counter", "Ejections of the target as an outlier");
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		const struct pool *pool = &fleet->pools[p];
		for (uint32_t t = 0; conf->pools[p].outlier_given && t < pool->n_targets; t++)
			put_ejections(out, pool, pool->targets[t].target);
	}
	family(out, "pool_ejections_prevented_total", "counter",
	    "Ejections that were not made, as too few targets would have been left");
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		if (conf->pools[p].outlier_given)
			fprintf(out, "yoke_pool_ejections_prevented_total{pool=\"%s\"} %llu\n",
			    fleet->pools[p].name,
			    (unsigned long long)fleet->pools[p].watch->outliers.prevented);
	}
	family(out, "pool_circuit_state", "gauge", "0: closed, 1: open, 2: half-open");
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		if (conf->pools[p].breaker_given)
			fprintf(out, "yoke_pool_circuit_state{pool=\"%s\"} %d\n",
			    fleet->pools[p].name, breaker_state(&fleet->pools[p].watch->breaker));
	}
	family(out, "pool_circuit_opened_total", "counter", "Times that the circuit opened");
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		if (conf->pools[p].breaker_given)
			fprintf(out, "yoke_pool_circuit_opened_total{pool=\"%s\"} %llu\n",
			    fleet->pools[p].name,
			    (unsigned long long)fleet->pools[p].watch->breaker.opened);
	}
}

static void put_sessions(FILE *out, struct control *control)
{
	struct session_stats stats;
	session_table_stats(control->sessions, &stats);
	single(out, "sessions", "gauge", "Entries of the sticky table", stats.entries);
	single(out, "sessions_max", "gauge", "Limit of the sticky table", stats.max_entries);
	single(out, "sessions_evicted_total", "counter", "Sessions that made room for newer ones",
	    stats.evicted);
	single(out, "sessions_expired_total", "counter", "Sessions whose time was over",
	    stats.expired);
}

static void put_pool_sessions(FILE *out, struct control *control)
{
	const struct fleet *fleet = control->current->fleet;
	uint64_t entries, evicted;
	family(out, "pool_sessions", "gauge", "Entries of the sticky table of this pool");
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		if (session_table_pool(control->sessions, fleet->pools[i].id, &entries, &evicted))
			fprintf(out, "yoke_pool_sessions{pool=\"%s\"} %llu\n", fleet->pools[i].name,
			    (unsigned long long)entries);
	}
	family(out, "pool_sessions_evicted_total", "counter",
	    "Sessions that made room for newer ones of this pool: max_entries");
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		if (session_table_pool(control->sessions, fleet->pools[i].id, &entries, &evicted))
			fprintf(out, "yoke_pool_sessions_evicted_total{pool=\"%s\"} %llu\n",
			    fleet->pools[i].name, (unsigned long long)evicted);
	}
}

static void put_sync(FILE *out, struct control *control)
{
	if (!control->sync)
		return;
	struct sync_status s;
	sync_status(control->sync, &s);
	single(out, "sync_in_sync", "gauge", "1 if the pair is in sync", s.state == SYNC_IN_SYNC);
	single(out, "sync_lag_entries", "gauge", "Records the peer has not acknowledged",
	    s.lag_entries);
	single(out, "sync_lag_microseconds", "gauge", "Age of the oldest of these", s.lag_us);
	single(out, "sync_max_lag_microseconds", "gauge",
	    "What the age may be at most while protected", s.promise.max_lag_us);
	if (!s.promise.acked)
		single(out, "sync_max_lag_entries", "gauge",
		    "How many records these may be at most while protected",
		    s.promise.max_lag_entries);
	single(out, "sync_protected", "gauge",
	    "1 if the sessions of this node, which is Active, would outlive it as configured",
	    s.protection == SYNC_PROTECTED);
	single(out, "sync_unprotected_total", "counter", "How often an Active became unprotected",
	    s.unprotected);
	single(out, "sync_epoch", "gauge", "Epoch of the replication stream", s.epoch);
	single(out, "sync_config_equal", "gauge", "1 if both nodes run the same configuration",
	    s.config_equal);
	single(
	    out, "sync_sent_records_total", "counter", "Records sent to the peer", s.sent_records);
	single(
	    out, "sync_received_records_total", "counter", "Records received", s.received_records);
	single(out, "sync_rate_limits_sent_total", "counter",
	    "Keys near or at a rate limit that the peer was told of, again in each round",
	    s.sent_limits);
	family(out, "sync_rate_limits_received_total", "counter",
	    "Keys that the peer told of, by what became of it");
	for (int i = 0; i < LIMIT_HEARD_COUNT; i++)
		fprintf(out, "yoke_sync_rate_limits_received_total{result=\"%s\"} %llu\n",
		    limit_heard_name((enum limit_heard)i), (unsigned long long)s.heard_limits[i]);
	single(out, "sync_snapshots_total", "counter", "Snapshots sent or received", s.snapshots);
	single(out, "sync_refused_frames_total", "counter",
	    "Frames refused: of an earlier epoch, or against a rule", s.refused_frames);
	single(out, "sync_handshake_failures_total", "counter", "TLS handshakes that failed",
	    s.handshake_failures);
	family(out, "sync_strangers_total", "counter",
	    "Connections for replication that did not become the peer's");
	for (int i = 0; i < SYNC_STRANGER_COUNT; i++)
		fprintf(out, "yoke_sync_strangers_total{reason=\"%s\"} %llu\n",
		    sync_stranger_name((enum sync_stranger)i), (unsigned long long)s.strangers[i]);
	if (control->certificate_expiry)
		single(out, "sync_certificate_expiry_timestamp_seconds", "gauge",
		    "When our certificate towards the peer expires",
		    (uint64_t)control->certificate_expiry);
	single(out, "sync_connects_total", "counter", "Connections to the peer", s.connects);
}

static void put_log(FILE *out, const struct control *control)
{
	family(out, "log_lines_lost_total", "counter", "Log lines that nobody read in time");
	fprintf(out, "yoke_log_lines_lost_total{process=\"yoke-proxy\"} %llu\n",
	    (unsigned long long)log_lost());
	if (control->n_routers > 0)
		fprintf(out, "yoke_log_lines_lost_total{process=\"yoke-vrrp\"} %llu\n",
		    (unsigned long long)control->routers[0].stats.log_lost);
}

static void put_routers(FILE *out, const struct control *control)
{
	if (control->n_routers == 0)
		return;
	family(out, "virtual_router_active", "gauge", "1 if this node holds the virtual router");
	for (uint32_t i = 0; i < control->n_routers; i++)
		fprintf(out, "yoke_virtual_router_active{virtual_router=\"%s\"} %d\n",
		    control->routers[i].state.name,
		    control->routers[i].state.role == IPC_ROLE_ACTIVE);
	family(out, "virtual_router_priority", "gauge", "Effective priority");
	for (uint32_t i = 0; i < control->n_routers; i++)
		fprintf(out, "yoke_virtual_router_priority{virtual_router=\"%s\"} %u\n",
		    control->routers[i].state.name, control->routers[i].state.priority);
	family(out, "virtual_router_adverts_lost", "gauge",
	    "1 while the Active peer is known by replication only");
	for (uint32_t i = 0; i < control->n_routers; i++)
		fprintf(out, "yoke_virtual_router_adverts_lost{virtual_router=\"%s\"} %d\n",
		    control->routers[i].state.name, control->routers[i].state.alarm[0] != '\0');
	router_stats_metrics(out, control);
}

char *metrics_text(struct control *control)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	family(out, "info", "gauge", "Version of this node");
	fprintf(out, "yoke_info{version=\"%s\",node=\"%s\",config_hash=\"%016llx\"} 1\n",
	    YOKE_VERSION, control->node, (unsigned long long)control->current->conf->hash);
	single(out, "uptime_seconds", "gauge", "Seconds since start",
	    (clock_us() - control->start_us) / US_PER_SEC);
	single(out, "config_generation", "gauge", "Configurations put in force since yoked started",
	    control->current->number);
	put_checks(out, control);
	put_proxy(out, control);
	put_listeners(out, control);
	put_routes(out, control);
	put_limits(out, control);
	put_failures(out, control);
	put_targets(out, control->current->fleet);
	put_states(out, control->current->fleet);
	put_panics(out, control->current->fleet);
	put_changes(out, control);
	put_queues(out, control->current->fleet);
	put_outliers(out, control);
	put_sessions(out, control);
	put_pool_sessions(out, control);
	put_sync(out, control);
	put_routers(out, control);
	put_log(out, control);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
