/* The next in turn, the least loaded, and the better one of two. */
#include "daemon/balance/picker.h"

/* To find a second one that is not the first: where one has nearly all of the weight, it is that of
 * the next number. */
#define DRAWS_MAX 4

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

/* Two members by weight, different ones where there are. False: all are out. */
static bool draw_two(struct picker *picker, struct pick *pick, uint32_t *first, uint32_t *second)
{
	uint32_t n = picker->n_members, i = draw_next(picker->draw);
	if (is_out(pick, member(picker, i)))
		i = next_free(picker, i, pick);
	if (i == NOBODY)
		return false;
	uint32_t k = i;
	for (int draws = 0; draws < DRAWS_MAX && k == i; draws++)
		k = draw_next(picker->draw);
	if (k == i || is_out(pick, member(picker, k)))
		k = next_free(picker, (i + 1) % n, pick);
	*first = i;
	/* Another worker may have taken the last place meanwhile: then nobody is left, not even i. */
	*second = k == NOBODY ? i : k;
	return true;
}

/* A tie is the first one's: so an idle pool is served by weight, and the weights count once. */
static uint32_t less_loaded(const struct picker *picker, uint32_t a, uint32_t b)
{
	uint64_t load_a = load_of(member(picker, a)), load_b = load_of(member(picker, b));
	return load_b * picker->weights[a] < load_a * picker->weights[b] ? b : a;
}

uint32_t pick_random_two(struct picker *picker, struct pick *pick)
{
	uint32_t a, b;
	return draw_two(picker, pick, &a, &b) ? less_loaded(picker, a, b) : NOBODY;
}

/* time * (1 + active / weight), times the weight. */
static uint64_t cost_of(const struct picker *picker, uint32_t i, uint64_t expect_us)
{
	return expect_us * (picker->weights[i] + load_of(member(picker, i)));
}

uint32_t pick_least_time(struct picker *picker, struct pick *pick)
{
	uint32_t a, b;
	if (!draw_two(picker, pick, &a, &b))
		return NOBODY;
	struct timing *of_a = &picker->timings[picker->members[a]];
	struct timing *of_b = &picker->timings[picker->members[b]];
	uint64_t expect_a = timing_expect(of_a, pick->now_us);
	uint64_t expect_b = timing_expect(of_b, pick->now_us);
	if (expect_a == 0 && timing_try(of_a, pick->now_us))
		return a;
	if (expect_b == 0 && timing_try(of_b, pick->now_us))
		return b;
	if (expect_a == 0 && expect_b == 0)
		return less_loaded(picker, a, b);
	if (expect_a == 0 || expect_b == 0)
		return expect_a == 0 ? b : a;
	uint64_t cost_a = cost_of(picker, a, expect_a) * picker->weights[b];
	uint64_t cost_b = cost_of(picker, b, expect_b) * picker->weights[a];
	return cost_b < cost_a ? b : a;
}
