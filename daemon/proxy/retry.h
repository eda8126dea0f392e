/* Whether a request whose attempt failed may go out again: the pool's `retry_on` says after which
 * failures, its budget how often. Each worker has a set of its own (daemon/balance/budget.h). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/balance/budget.h"
#include "daemon/proxy/worker.h"

/* Of all pools, by index; NULL when out of memory. The caller frees it. */
struct budget *retry_budgets_new(const struct conf *conf, uint32_t workers);

/* A request, connection or session of `pool` goes out for the first time. */
static inline void retry_count_request(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	budget_count(&gen->retries[pool], worker->now_us);
}

static inline bool retry_is_wanted(
    const struct worker_gen *gen, uint32_t pool, enum conf_retry cause)
{
	return gen->conf->pools[pool].retry_causes >> cause & 1;
}

/* Whether it does so after statuses of targets. */
static inline bool retry_after_status(const struct worker_gen *gen, uint32_t pool)
{
	return gen->conf->pools[pool].retry_causes >> CONF_RETRY_502 & 7;
}

/* Whether the pool's budget has a retry left; counts if it has not. */
bool retry_left(struct worker *worker, struct worker_gen *gen, uint32_t pool);
/* One that retry_left has found is made. */
void retry_take(struct worker *worker, struct worker_gen *gen, uint32_t pool);
/* Both, to repeat a request because a pooled connection was closed. That says nothing about the
 * target, so it takes nothing from the retries. But a target that closes more often than it may
 * retry is not one that closes idle connections. */
bool retry_take_stale(struct worker *worker, struct worker_gen *gen, uint32_t pool);
