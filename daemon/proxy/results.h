/* What became of an attempt at a target, for outlier ejection and the circuit breaker of its pool (an
 * index); pools without them pay a branch. `trial`: what breaker_admits has said. */
#pragma once

#include <stdint.h>

#include "daemon/balance/fleet.h"
#include "daemon/proxy/worker.h"

static inline void results_trial(
    const struct worker_gen *gen, uint32_t pool, uint32_t trial, bool failed)
{
	if (trial != 0)
		breaker_tried(&gen->fleet->pools[pool].watch->breaker, trial, failed);
}

static inline void results_failed(const struct worker *worker, const struct worker_gen *gen,
    uint32_t pool, uint32_t trial, struct target *target)
{
	if (!gen->conf->pools[pool].judged)
		return;
	results_trial(gen, pool, trial, true);
	if (target_result_failed(target) && worker->shared->on_outlier)
		worker->shared->on_outlier(worker->shared->arg);
}

/* `latency_us` 0: not known. */
static inline void results_good(const struct worker_gen *gen, uint32_t pool, uint32_t trial,
    struct target *target, uint64_t latency_us)
{
	if (!gen->conf->pools[pool].judged)
		return;
	results_trial(gen, pool, trial, false);
	target_result_good(target, latency_us);
}

/* A response that is well-formed. */
static inline void results_status(const struct worker *worker, const struct worker_gen *gen,
    uint32_t pool, uint32_t trial, struct target *target, unsigned status, uint64_t latency_us)
{
	const struct conf_pool *conf = &gen->conf->pools[pool];
	if (status >= conf->failure_min && status <= conf->failure_max)
		results_failed(worker, gen, pool, trial, target);
	else
		results_good(gen, pool, trial, target, latency_us);
}
