/* What a choice costs: `pick_bench`. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/balance/pick.h"
#include "daemon/base/hash.h"

#define TARGETS_MAX 1000
#define PICKS       2000000
#define FLIGHT      64 /* requests at a time */
#define RUNS        5  /* the best one counts */

static struct fleet_target_spec specs[TARGETS_MAX];
static char texts[TARGETS_MAX][ADDR_TEXT_MAX];

static const struct {
	const char *name;
	struct fleet_pool_spec spec;
	bool spread; /* weights differ */
} rows[] = {
    {"round_robin", {.algorithm = BALANCE_ROUND_ROBIN}, false},
    {"round_robin, weights", {.algorithm = BALANCE_ROUND_ROBIN}, true},
    {"least_connections", {.algorithm = BALANCE_LEAST_CONNECTIONS}, true},
    {"random_two", {.algorithm = BALANCE_RANDOM_TWO}, true},
    {"least_time", {.algorithm = BALANCE_LEAST_TIME}, true},
    {"  and an observation", {.algorithm = BALANCE_LEAST_TIME}, true},
    {"maglev", {.algorithm = BALANCE_MAGLEV}, true},
    {"maglev, 125%", {.algorithm = BALANCE_MAGLEV, .hash_balance_factor = 125}, true},
};

static double processor_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static struct fleet *fleet_of(struct fleet_pool_spec spec, uint32_t n, bool spread)
{
	for (uint32_t i = 0; i < n; i++) {
		snprintf(texts[i], ADDR_TEXT_MAX, "10.0.%u.%u:80", i / 250, i % 250 + 1);
		specs[i] = (struct fleet_target_spec){
		    .text = texts[i], .weight = (uint16_t)(spread ? 1 + i % 10 : 1)};
		if (!addr_parse_endpoint(texts[i], &specs[i].addr))
			abort();
	}
	spec.name = "web";
	spec.targets = specs;
	spec.n_targets = n;
	return fleet_new(&spec, 1, NULL);
}

static void put(struct target **slot, struct target *target)
{
	if (*slot)
		target_leave(*slot);
	if (target)
		target_enter(target);
	*slot = target;
}

/* With what a request does to its target's counters. */
static double run(size_t row, uint32_t n)
{
	static struct target *flight[FLIGHT];
	struct fleet *fleet = fleet_of(rows[row].spec, n, rows[row].spread);
	struct picker *picker = fleet ? picker_new(&fleet->pools[0], 1) : NULL;
	if (!picker)
		abort();
	bool observes = rows[row].name[0] == ' ';
	for (uint32_t i = 0; i < n; i++)
		picker_observe(picker, fleet->pools[0].targets[i].target, 1000 + i, 1);
	double best = 0;
	for (int r = 0; r < RUNS; r++) {
		double start = processor_ns();
		for (uint64_t i = 0; i < PICKS; i++) {
			struct target **slot = &flight[i % FLIGHT];
			struct pick pick = {.hash = hash_mix(i), .now_us = 1 + i / 100};
			put(slot, NULL);
			put(slot, picker_pick(picker, &pick));
			if (observes)
				picker_observe(picker, *slot, 1000 + i % 100, 1 + i / 100);
		}
		double took = (processor_ns() - start) / PICKS;
		best = r == 0 || took < best ? took : best;
	}
	for (size_t i = 0; i < FLIGHT; i++)
		put(&flight[i], NULL);
	picker_free(picker);
	fleet_free(fleet);
	return best;
}

int main(void)
{
	static const uint32_t sizes[] = {2, 20, 100, 1000};
	printf("%-24s", "ns a request, targets:");
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		printf("%8u", sizes[s]);
	printf("\n");
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		printf("%-24s", rows[row].name);
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			printf("%8.0f", run(row, sizes[s]));
			fflush(stdout);
		}
		printf("\n");
	}
	return 0;
}
