#include "daemon/balance/outlier.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/balance/fleet.h"

#define EJECTIONS_MAX 1000U

const char *outlier_cause_name(enum outlier_cause cause)
{
	static const char *const names[OUTLIER_CAUSE_COUNT] = {
	    "none", "consecutive_failures", "error_rate", "latency"};
	return cause < OUTLIER_CAUSE_COUNT ? names[cause] : "?";
}

static struct outlier_sample sample(const struct target *target)
{
	return (struct outlier_sample){
	    .results = atomic_load_explicit(&target->results, memory_order_relaxed),
	    .failed = atomic_load_explicit(&target->results_failed, memory_order_relaxed),
	    .latency_us = atomic_load_explicit(&target->latency_us, memory_order_relaxed)};
}

/* What came since. The counters are read one by one while workers count on. */
static struct outlier_sample since(
    const struct outlier_sample *now, const struct outlier_sample *then)
{
	struct outlier_sample more = {now->results - then->results, now->failed - then->failed,
	    now->latency_us - then->latency_us};
	if (more.failed > more.results)
		more.failed = more.results;
	return more;
}

static void forget_failures(struct target *target)
{
	atomic_store_explicit(&target->failed_in_a_row, 0, memory_order_relaxed);
}

static void set_limit(struct target *target, uint32_t in_a_row)
{
	/* Workers read this line all the time: no write that changes nothing. */
	if (atomic_load_explicit(&target->eject_at, memory_order_relaxed) != in_a_row)
		atomic_store_explicit(&target->eject_at, in_a_row, memory_order_relaxed);
}

static uint64_t ejection_time(const struct outlier_settings *settings, uint32_t ejections)
{
	uint64_t most = settings->max_ejection_us;
	return settings->ejection_us > most / ejections ? most : settings->ejection_us * ejections;
}

static bool is_ejected(const struct target *target)
{
	return target->outlier.until_us != 0;
}

/* How many more may be ejected; negative: too many are. Of those that are down, drained or disabled
 * nothing can be taken away; and with fewer than panic_threshold, ejections would be ignored. */
static int64_t room(const struct pool *pool, const struct outlier_settings *settings)
{
	int64_t n = 0, ejected = 0, ready = 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct target *target = pool->targets[i].target;
		ready += atomic_load(&target->admin) == TARGET_READY;
		if (!target_available(target))
			continue;
		n++;
		ejected += is_ejected(target);
	}
	int64_t keep = (pool->panic_threshold * ready + 99) / 100;
	if (keep == 0)
		keep = 1;
	int64_t most = n * settings->max_ejected / 100;
	if (most > n - keep)
		most = n > keep ? n - keep : 0;
	return most - ejected;
}

static void admit(struct pool *pool, struct target *target, uint64_t now_us)
{
	struct outlier *outlier = &target->outlier;
	outlier->until_us = 0;
	outlier->probation_us = now_us;
	outlier->admitted = outlier->judged = sample(target);
	forget_failures(target);
	set_limit(target, 1);
	target_set_ejected(pool, target, false);
}

static void eject(struct pool *pool, struct target *target, uint64_t now_us, uint64_t until_us)
{
	if (!is_ejected(target))
		target->outlier.ejected_us = now_us;
	target->outlier.until_us = until_us;
	target->outlier.probation_us = 0;
	target_set_ejected(pool, target, true);
}

/* One judgement of one pool. */
struct judge {
	struct pool *pool;
	struct outlier_watch *watch;
	const struct outlier_settings *settings;
	uint64_t now_us;
	int64_t room;
	outlier_change_fn *fn;
	void *arg;
};

static void tell(const struct judge *judge, struct target *target, enum outlier_change change)
{
	if (judge->fn)
		judge->fn(judge->arg, judge->pool, target, change);
}

__attribute__((format(printf, 4, 5))) static void try_eject(
    struct judge *judge, struct target *target, enum outlier_cause cause, const char *fmt, ...)
{
	struct outlier *outlier = &target->outlier;
	forget_failures(target);
	if (judge->room <= 0) {
		judge->watch->prevented++;
		return;
	}
	judge->room--;
	if (outlier->ejections < EJECTIONS_MAX)
		outlier->ejections++;
	outlier->cause = cause;
	outlier->total[cause]++;
	uint64_t for_us = ejection_time(judge->settings, outlier->ejections);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(outlier->reason, sizeof(outlier->reason), fmt, args);
	va_end(args);
	snprintf(outlier->reason + n, sizeof(outlier->reason) - (size_t)n, ": for %.1f s%s",
	    (double)for_us / 1e6, outlier->ejections > 1 ? ", again" : "");
	eject(judge->pool, target, judge->now_us, judge->now_us + for_us);
	tell(judge, target, OUTLIER_EJECTED);
}

static void admit_because(struct judge *judge, struct target *target, const char *why)
{
	struct outlier *outlier = &target->outlier;
	snprintf(outlier->reason, sizeof(outlier->reason), "%s; on probation after %u in a row",
	    why, outlier->ejections);
	judge->room += target_available(target);
	admit(judge->pool, target, judge->now_us);
	tell(judge, target, OUTLIER_ADMITTED);
}

static void admit_due(struct judge *judge)
{
	for (uint32_t i = 0; i < judge->pool->n_targets; i++) {
		struct target *target = judge->pool->targets[i].target;
		if (is_ejected(target) && judge->now_us >= target->outlier.until_us)
			admit_because(judge, target, "its time is over");
	}
}

/* Others went down meanwhile: the one whose time is over first is the best that is left. */
static void admit_early(struct judge *judge)
{
	while (judge->room < 0) {
		struct target *first = NULL;
		for (uint32_t i = 0; i < judge->pool->n_targets; i++) {
			struct target *target = judge->pool->targets[i].target;
			if (is_ejected(target) && target_available(target) &&
			    (!first || target->outlier.until_us < first->outlier.until_us))
				first = target;
		}
		assert(first);
		admit_because(judge, first, "too few others are left");
	}
}

static void eject_failing(struct judge *judge)
{
	for (uint32_t i = 0; i < judge->pool->n_targets; i++) {
		struct target *target = judge->pool->targets[i].target;
		uint32_t limit = atomic_load_explicit(&target->eject_at, memory_order_relaxed);
		uint32_t n = atomic_load_explicit(&target->failed_in_a_row, memory_order_relaxed);
		if (limit == 0 || n < limit || is_ejected(target) || !target_available(target))
			continue;
		if (target->outlier.probation_us)
			try_eject(judge, target, OUTLIER_CONSECUTIVE, "a failure on probation");
		else
			try_eject(judge, target, OUTLIER_CONSECUTIVE, "%u failures in a row", n);
	}
}

static int compare_u64(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* 0: too few requests to say. */
static uint64_t mean_latency(const struct judge *judge, const struct outlier_sample *more)
{
	uint64_t good = more->results - more->failed;
	uint64_t least = judge->settings->latency.min_requests;
	return good > 0 && good >= least ? more->latency_us / good : 0;
}

/* The median of the targets' means (of two, the smaller); 0: fewer than two are known. */
static uint64_t median_latency(const struct judge *judge, const struct outlier_sample *more)
{
	uint32_t n = 0, n_targets = judge->pool->n_targets;
	uint64_t median = 0, *means = calloc(n_targets + 1, sizeof(*means));
	for (uint32_t i = 0; means && i < n_targets; i++) {
		uint64_t mean = mean_latency(judge, &more[i]);
		if (mean > 0)
			means[n++] = mean;
	}
	if (n >= 2) {
		qsort(means, n, sizeof(*means), compare_u64);
		median = means[(n - 1) / 2];
	}
	free(means);
	return median;
}

static void judge_latency(
    struct judge *judge, struct target *target, const struct outlier_sample *more, uint64_t median)
{
	const struct outlier_latency *latency = &judge->settings->latency;
	uint64_t mean = mean_latency(judge, more);
	if (median == 0 || mean <= latency->factor * median ||
	    mean - median < latency->min_difference_us)
		return;
	try_eject(judge, target, OUTLIER_LATENCY, "%.1f ms on average, median of the pool %.1f ms",
	    (double)mean / 1e3, (double)median / 1e3);
}

static void judge_errors(
    struct judge *judge, struct target *target, const struct outlier_sample *more)
{
	const struct outlier_error_rate *rate = &judge->settings->error_rate;
	if (rate->percent == 0 || more->results < rate->min_requests || more->failed == 0 ||
	    more->failed * 100 < more->results * rate->percent)
		return;
	try_eject(judge, target, OUTLIER_ERROR_RATE, "%llu of %llu requests failed",
	    (unsigned long long)more->failed, (unsigned long long)more->results);
}

/* An interval without an ejection. */
static void forgive(struct judge *judge, struct target *target)
{
	struct outlier *outlier = &target->outlier;
	if (outlier->ejections == 0)
		return;
	if (outlier->probation_us) {
		struct outlier_sample now = sample(target);
		struct outlier_sample more = since(&now, &outlier->admitted);
		if (judge->now_us - outlier->probation_us < judge->settings->interval_us ||
		    more.results - more.failed < judge->settings->consecutive_failures ||
		    more.results == 0)
			return;
		outlier->probation_us = 0;
		set_limit(target, judge->settings->consecutive_failures);
	} else {
		outlier->ejections--;
	}
	tell(judge, target, OUTLIER_FORGIVEN);
}

static void judge_interval(struct judge *judge)
{
	struct pool *pool = judge->pool;
	struct outlier_sample *more = calloc(pool->n_targets + 1, sizeof(*more));
	if (!more) /* then at the next step */
		return;
	judge->watch->judged_us = judge->now_us;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		struct target *target = pool->targets[i].target;
		struct outlier_sample now = sample(target);
		if (!is_ejected(target) && target_available(target))
			more[i] = since(&now, &target->outlier.judged);
		target->outlier.judged = now;
	}
	uint64_t median = judge->settings->latency.factor ? median_latency(judge, more) : 0;
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		struct target *target = pool->targets[i].target;
		if (!is_ejected(target))
			judge_errors(judge, target, &more[i]);
		if (!is_ejected(target))
			judge_latency(judge, target, &more[i], median);
		if (!is_ejected(target))
			forgive(judge, target);
	}
	free(more);
}

/* A limit that a target has from earlier settings, or none yet. */
static void set_limits(const struct judge *judge)
{
	for (uint32_t i = 0; i < judge->pool->n_targets; i++) {
		struct target *target = judge->pool->targets[i].target;
		if (!target->outlier.probation_us)
			set_limit(target, judge->settings->consecutive_failures);
	}
}

void outlier_step(struct pool *pool, struct outlier_watch *watch,
    const struct outlier_settings *settings, uint64_t now_us, outlier_change_fn *fn, void *arg)
{
	struct judge judge = {pool, watch, settings, now_us, room(pool, settings), fn, arg};
	set_limits(&judge);
	admit_due(&judge);
	admit_early(&judge);
	eject_failing(&judge);
	if (watch->judged_us == 0)
		watch->judged_us = now_us;
	if (now_us - watch->judged_us >= settings->interval_us)
		judge_interval(&judge);
}

void outlier_off(struct pool *pool, outlier_change_fn *fn, void *arg)
{
	struct judge judge = {.pool = pool, .fn = fn, .arg = arg};
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		struct target *target = pool->targets[i].target;
		struct outlier *outlier = &target->outlier;
		bool was_ejected = is_ejected(target);
		set_limit(target, 0);
		outlier->until_us = outlier->probation_us = outlier->ejections = 0;
		if (!was_ejected)
			continue;
		snprintf(outlier->reason, sizeof(outlier->reason), "not configured any more");
		target_set_ejected(pool, target, false);
		tell(&judge, target, OUTLIER_ADMITTED);
	}
}

void outlier_told(struct pool *pool, struct target *target, const struct outlier_settings *settings,
    const struct outlier_report *report, uint64_t now_us, outlier_change_fn *fn, void *arg)
{
	struct judge judge = {.pool = pool, .fn = fn, .arg = arg};
	struct outlier *outlier = &target->outlier;
	bool was_ejected = is_ejected(target);
	uint64_t left_us = report->left_us < settings->max_ejection_us ? report->left_us
								       : settings->max_ejection_us;
	outlier->ejections = report->ejections < EJECTIONS_MAX ? report->ejections : EJECTIONS_MAX;
	if (left_us > 0) {
		if (outlier->ejections == 0)
			outlier->ejections = 1;
		outlier->cause = report->cause < OUTLIER_CAUSE_COUNT ? report->cause : OUTLIER_NONE;
		eject(pool, target, now_us, now_us + left_us);
	} else {
		if (was_ejected || (report->probation && outlier->probation_us == 0))
			admit(pool, target, now_us);
		if (!report->probation)
			outlier->probation_us = 0;
	}
	if ((left_us > 0) == was_ejected)
		return;
	snprintf(outlier->reason, sizeof(outlier->reason), "told by the Active peer: %s",
	    left_us > 0 ? outlier_cause_name(outlier->cause) : "on probation");
	tell(&judge, target, left_us > 0 ? OUTLIER_EJECTED : OUTLIER_ADMITTED);
}
