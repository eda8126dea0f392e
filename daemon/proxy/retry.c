#include "daemon/proxy/retry.h"

#include <stdlib.h>

struct budget *retry_budgets_new(const struct conf *conf, uint32_t workers)
{
	struct budget *all = calloc(conf->n_pools + 1, sizeof(*all));
	for (uint32_t i = 0; all && i < conf->n_pools; i++) {
		const struct conf_retry_budget *budget = &conf->pools[i].retry_budget;
		budget_init(&all[i], budget->percent, budget->per_sec, workers);
	}
	return all;
}

bool retry_left(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	bool left = budget_left(&gen->retries[pool], BUDGET_RETRY, worker->now_us);
	if (!left)
		COUNT(worker, retries_over_budget);
	return left;
}

bool retry_take_stale(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	bool taken = budget_take(&gen->retries[pool], BUDGET_STALE, worker->now_us);
	if (taken)
		COUNT(worker, retries);
	else
		COUNT(worker, retries_over_budget);
	return taken;
}

void retry_take(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	budget_take(&gen->retries[pool], BUDGET_RETRY, worker->now_us);
	COUNT(worker, retries);
}
