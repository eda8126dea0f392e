#include "daemon/proxy/retry.h"

#include <stdlib.h>

struct retry_budgets *retry_budgets_new(const struct conf *conf, uint32_t workers)
{
	struct retry_budgets *all = calloc(conf->n_pools + 1, sizeof(*all));
	for (uint32_t i = 0; all && i < conf->n_pools; i++) {
		const struct conf_retry_budget *budget = &conf->pools[i].retry_budget;
		budget_init(&all[i].retries, budget->percent, budget->per_sec, workers);
		budget_init(&all[i].stale, budget->percent, budget->per_sec, workers);
	}
	return all;
}

bool retry_left(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	bool left = budget_left(&gen->retries[pool].retries, worker->now_us);
	if (!left)
		COUNT(worker, retries_over_budget);
	return left;
}

bool retry_take_stale(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	bool taken = budget_take(&gen->retries[pool].stale, worker->now_us);
	if (taken)
		COUNT(worker, retries);
	else
		COUNT(worker, retries_over_budget);
	return taken;
}

void retry_take(struct worker *worker, struct worker_gen *gen, uint32_t pool)
{
	budget_take(&gen->retries[pool].retries, worker->now_us);
	COUNT(worker, retries);
}
