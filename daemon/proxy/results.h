/* What became of an attempt at a target, for outlier ejection and the circuit breaker of its pool;
 * pools without them pay a branch. */
#pragma once

#include <stdint.h>

#include "daemon/balance/fleet.h"
#include "daemon/proxy/worker.h"

static inline void results_failed(
    const struct worker *worker, const struct conf_pool *pool, struct target *target)
{
	if (pool->judged && target_result_failed(target) && worker->shared->on_outlier)
		worker->shared->on_outlier(worker->shared->arg);
}

/* `latency_us` 0: not known. */
static inline void results_good(
    const struct conf_pool *pool, struct target *target, uint64_t latency_us)
{
	if (pool->judged)
		target_result_good(target, latency_us);
}

/* A response that is well-formed. */
static inline void results_status(const struct worker *worker, const struct conf_pool *pool,
    struct target *target, unsigned status, uint64_t latency_us)
{
	if (status >= pool->failure_min && status <= pool->failure_max)
		results_failed(worker, pool, target);
	else
		results_good(pool, target, latency_us);
}
