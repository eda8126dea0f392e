/* What the engine tells of itself: counters of all workers together, and what each part counts. */
#include <stddef.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/engine.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/routing.h"
#include "daemon/proxy/selfcheck.h"
#include "daemon/proxy/udp.h"

void proxy_each_listening(struct proxy *proxy, proxy_listening_fn *fn, void *arg)
{
	list_for_each (it, &proxy->checks) {
		const struct selfcheck *check = list_entry(it, struct selfcheck, node);
		struct proxy_listening listening = {.listener = check->name,
		    .address = check->text,
		    .here = check->here,
		    .answered_wall_us = check->answered_wall_us,
		    .failures = check->failures};
		if (check->in_force)
			fn(arg, &listening);
	}
}

void proxy_each_route(struct proxy *proxy, proxy_route_fn *fn, void *arg)
{
	const struct generation *generation = proxy_newest(proxy);
	if (generation)
		routing_each(generation->routing, fn, arg);
}

void proxy_each_limit(struct proxy *proxy, proxy_limit_fn *fn, void *arg)
{
	const struct generation *generation = proxy_newest(proxy);
	if (generation)
		limits_each(generation->limits, fn, arg);
}

bool proxy_limit_stats(struct proxy *proxy, struct limit_stats *out)
{
	const struct generation *generation = proxy_newest(proxy);
	return generation && limits_stats(generation->limits, clock_us(), out);
}

void proxy_tell_limits(
    struct proxy *proxy, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	out->n = 0;
	pthread_mutex_lock(&proxy->limits_lock);
	if (proxy->limits)
		limits_tell(proxy->limits, cursor, now_us, out);
	pthread_mutex_unlock(&proxy->limits_lock);
}

void proxy_hear_limits(struct proxy *proxy, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT])
{
	pthread_mutex_lock(&proxy->limits_lock);
	if (proxy->limits)
		limits_hear(proxy->limits, words, now_us, results);
	pthread_mutex_unlock(&proxy->limits_lock);
}

/* What all workers together have counted for the word at place `i` of worker `w`; 0 if an earlier one
 * has that word, too. */
static uint64_t sum_refusals(const struct proxy *proxy, uint32_t w, const char *word, size_t offset)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		const struct reasons *reasons =
		    (const void *)((const char *)proxy->workers[i] + offset);
		for (uint32_t r = 0; r < REASONS_MAX; r++) {
			const struct reason *reason = &reasons->each[r];
			const char *known =
			    atomic_load_explicit(&reason->word, memory_order_acquire);
			if (!known)
				break;
			if (strcmp(known, word) != 0)
				continue;
			if (i < w)
				return 0;
			sum += atomic_load_explicit(&reason->count, memory_order_relaxed);
		}
	}
	return sum;
}

static void each_refusal(
    struct proxy *proxy, const char *what, size_t offset, proxy_refusal_fn *fn, void *arg)
{
	for (uint32_t w = 0; w < proxy->shared.workers; w++) {
		const struct reasons *reasons =
		    (const void *)((const char *)proxy->workers[w] + offset);
		for (uint32_t r = 0; r < REASONS_MAX; r++) {
			const char *word =
			    atomic_load_explicit(&reasons->each[r].word, memory_order_acquire);
			uint64_t sum = word ? sum_refusals(proxy, w, word, offset) : 0;
			if (sum > 0)
				fn(arg, what, word, sum);
		}
	}
}

void proxy_each_refusal(struct proxy *proxy, proxy_refusal_fn *fn, void *arg)
{
	each_refusal(proxy, "request", offsetof(struct worker, refused_requests), fn, arg);
	each_refusal(proxy, "connection", offsetof(struct worker, refused_connections), fn, arg);
}

void proxy_each_failure(struct proxy *proxy, proxy_refusal_fn *fn, void *arg)
{
	each_refusal(proxy, "attempt", offsetof(struct worker, failed_attempts), fn, arg);
}

void proxy_stats(struct proxy *proxy, struct proxy_stats *out)
{
	*out = (struct proxy_stats){0};
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		const struct counters *counters = &proxy->workers[i]->counters;
#define X(name, help) out->name += atomic_load_explicit(&counters->name, memory_order_relaxed);
		PROXY_COUNTERS(X)
		X(client_connections, "")
		X(upstream_connections, "")
		X(upstream_idle, "")
		X(tunnels_now, "")
		X(udp_sessions_now, "")
#undef X
	}
	out->access_dropped += accesslog_lost(proxy->log);
	out->udp_overflows = proxy->udp_overflows;
	list_for_each (it, &proxy->listeners) {
		const struct listener *listener = list_entry(it, struct listener, registry);
		if (listener->udp)
			out->udp_overflows += udp_overflows(listener);
	}
}
