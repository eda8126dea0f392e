/* The next in turn, and the least loaded. */
#include "daemon/balance/picker.h"

/* The first from `start` on, going round, that may be taken. */
static uint32_t next_free(const struct picker *picker, uint32_t start, struct pick *pick)
{
	for (uint32_t step = 0; step < picker->n_members; step++) {
		uint32_t i = (start + step) % picker->n_members;
		if (!is_out(pick, member(picker, i)))
			return i;
	}
	return NOBODY;
}

uint32_t pick_round_robin(struct picker *picker, struct pick *pick)
{
	uint32_t i = rotation_next(picker->rotation);
	return is_out(pick, member(picker, i)) ? next_free(picker, i, pick) : i;
}

/* The rotation proposes; it is taken unless another one is less loaded. So an idle pool is served
 * by weight, and without looking at all of it. */
uint32_t pick_least_connections(struct picker *picker, struct pick *pick)
{
	uint32_t best = pick_round_robin(picker, pick);
	if (best == NOBODY)
		return NOBODY;
	uint32_t start = best;
	uint64_t load = load_of(member(picker, best)), weight = picker->weights[best];
	for (uint32_t step = 1; step < picker->n_members && load > 0; step++) {
		uint32_t i = start + step;
		if (i >= picker->n_members)
			i -= picker->n_members;
		uint64_t other = load_of(member(picker, i));
		if (other * weight >= load * picker->weights[i] || is_out(pick, member(picker, i)))
			continue;
		best = i;
		load = other;
		weight = picker->weights[i];
	}
	return best;
}
