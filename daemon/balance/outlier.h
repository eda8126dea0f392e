/* Outlier ejection: a target that fails its requests, or answers them far more slowly than the others,
 * gets no new ones for a while, whatever its health checks say.
 *
 *	in        consecutive_failures in a row, or too high a rate of failures or too slow in an
 *	          interval: ejected
 *	ejected   for ejection_time, times the number of ejections in a row; then on probation
 *	probation one failure: ejected again, for longer. An interval and consecutive_failures good
 *	          results later: in; each further interval takes one off the number
 *
 * What is ejected is a share of the targets that could be used otherwise, max_ejected at most, and
 * never the last one: when others go down, those ejected first come back early.
 *
 * Workers count results (target_result_failed, target_result_good in fleet.h); the control thread judges, so
 * that the share is kept without locks. No clock, no log inside. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct target;

enum outlier_cause {
	OUTLIER_NONE,
	OUTLIER_CONSECUTIVE,
	OUTLIER_ERROR_RATE,
	OUTLIER_LATENCY,
	OUTLIER_CAUSE_COUNT
};

struct outlier_error_rate {
	uint32_t percent;      /* 0: not judged */
	uint32_t min_requests; /* results in the interval, below which nothing is said */
};

struct outlier_latency {
	uint32_t factor; /* over the median of the pool; 0: not judged */
	uint32_t min_requests;
	uint64_t min_difference_us; /* to the median: below it, nobody is slow */
};

struct outlier_settings {
	uint32_t consecutive_failures; /* 0: not judged */
	struct outlier_error_rate error_rate;
	struct outlier_latency latency;
	uint64_t interval_us, ejection_us, max_ejection_us;
	uint32_t max_ejected; /* per cent */
};

struct outlier_sample {
	uint64_t results, failed, latency_us; /* latency: the sum of those that did not fail */
};

/* Of a target. The control thread's. */
struct outlier {
	uint64_t ejected_us;   /* since when */
	uint64_t until_us;     /* ejected until then; 0: not */
	uint64_t probation_us; /* on probation since then; 0: not */
	uint32_t ejections;    /* in a row */
	enum outlier_cause cause;
	struct outlier_sample judged;        /* up to the last judgement */
	struct outlier_sample admitted;      /* when the probation began */
	uint64_t total[OUTLIER_CAUSE_COUNT]; /* since start */
	char reason[96];
};

enum outlier_change { OUTLIER_EJECTED, OUTLIER_ADMITTED, OUTLIER_FORGIVEN };
/* outlier->reason says why. FORGIVEN: fewer ejections in a row, or the end of a probation. */
typedef void outlier_change_fn(
    void *arg, struct pool *pool, struct target *target, enum outlier_change change);

/* Of a pool. The control thread's. */
struct outlier_watch {
	uint64_t judged_us;
	uint64_t prevented; /* ejections, because of max_ejected */
};

/* Whatever is due: call it when target_result_failed said so, when a target's health or admin state has
 * changed, and ten times a second. */
void outlier_step(struct pool *pool, struct outlier_watch *watch,
    const struct outlier_settings *settings, uint64_t now_us, outlier_change_fn *fn, void *arg);
/* The pool has no such settings any more: everybody is in. */
void outlier_off(struct pool *pool, outlier_change_fn *fn, void *arg);

/* What the nodes of a pair tell each other. */
struct outlier_report {
	uint64_t left_us; /* 0: not ejected */
	uint32_t ejections;
	enum outlier_cause cause;
	bool probation;
};
/* The peer, which has the traffic, says how it stands with the target. */
void outlier_told(struct pool *pool, struct target *target, const struct outlier_settings *settings,
    const struct outlier_report *report, uint64_t now_us, outlier_change_fn *fn, void *arg);

const char *outlier_cause_name(enum outlier_cause cause);
