#include "daemon/balance/budget.h"

void budget_init(struct budget *budget, uint32_t percent, uint32_t per_sec, uint32_t workers)
{
	window_init(&budget->window, BUDGET_SPAN_US);
	budget->percent = percent;
	budget->floor = (uint64_t)per_sec * (BUDGET_SPAN_US / 1000000) / workers;
	if (per_sec > 0 && budget->floor == 0)
		budget->floor = 1;
}

bool budget_left(struct budget *budget, enum budget_kind kind, uint64_t now_us)
{
	window_move(&budget->window, now_us);
	const struct window_count *sum = &budget->window.sum;
	uint64_t taken = kind == BUDGET_RETRY ? sum->some : sum->other;
	return taken < sum->all * budget->percent / 100 + budget->floor;
}

bool budget_take(struct budget *budget, enum budget_kind kind, uint64_t now_us)
{
	if (!budget_left(budget, kind, now_us))
		return false;
	window_add(&budget->window, now_us,
	    (struct window_count){.some = kind == BUDGET_RETRY, .other = kind == BUDGET_STALE});
	return true;
}
