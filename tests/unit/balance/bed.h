/* A pool to pick from. */
#pragma once

#include "daemon/balance/pick.h"
#include "tests/unit/unit.h"

#define TARGETS_MAX 1000

static struct fleet_target_spec specs[TARGETS_MAX];
static char texts[TARGETS_MAX][ADDR_TEXT_MAX];

/* A pool of n targets of weight 1, all UP. What differs is set in `specs` before fleet_of(). */
static inline void prepare(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		snprintf(texts[i], ADDR_TEXT_MAX, "10.0.%u.%u:80", i / 250, i % 250 + 1);
		specs[i] = (struct fleet_target_spec){.text = texts[i], .weight = 1};
		CU_ASSERT_TRUE_FATAL(addr_parse_endpoint(texts[i], &specs[i].addr));
	}
}

/* Of the first n of `specs`, with the rest of the pool's settings as in `spec`. */
static inline struct fleet *fleet_with(struct fleet_pool_spec spec, uint32_t n)
{
	spec.name = "web";
	spec.targets = specs;
	spec.n_targets = n;
	struct fleet *fleet = fleet_new(&spec, 1, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	return fleet;
}

static inline struct fleet *fleet_of(enum balance_algorithm algorithm, uint32_t n, bool fail_open)
{
	return fleet_with(
	    (struct fleet_pool_spec){.algorithm = algorithm, .fail_open = fail_open}, n);
}

static inline struct picker *picker_of(const struct fleet *fleet, uint64_t seed)
{
	struct picker *picker = picker_new(&fleet->pools[0], seed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(picker);
	return picker;
}

static inline struct target *choose(
    struct picker *picker, uint64_t hash, struct target *const *tried, size_t n_tried)
{
	struct pick pick = {.hash = hash, .tried = tried, .n_tried = n_tried};
	return picker_pick(picker, &pick);
}

static inline struct target *nth(const struct fleet *fleet, uint32_t i)
{
	return fleet->pools[0].targets[i].target;
}

static inline uint32_t index_of(const struct fleet *fleet, const struct target *target)
{
	for (uint32_t i = 0; i < fleet->pools[0].n_targets; i++) {
		if (nth(fleet, i) == target)
			return i;
	}
	return UINT32_MAX;
}

static inline void set_down(struct fleet *fleet, uint32_t i)
{
	target_set_health(&fleet->pools[0], nth(fleet, i), TARGET_DOWN, "test", 1);
}

static inline void set_up(struct fleet *fleet, uint32_t i)
{
	target_set_health(&fleet->pools[0], nth(fleet, i), TARGET_UP, "test", 1);
}
