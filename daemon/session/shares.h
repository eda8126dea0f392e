/* What pools have of the session table, and may have. Each shard counts in the set that it points to,
 * under its own lock, so that a set can be replaced shard by shard while others work. Internal to
 * session. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "daemon/session/shard.h"

#define SHARDS (1U << SHARD_BITS)

struct share {
	uint64_t pool_id;
	_Atomic uint64_t max_entries;
	_Atomic uint64_t entries, evicted; /* of all shards that count here */
	uint32_t in_shard[SHARDS];         /* each under that shard's lock */
};

/* Immutable but for counts and limits. */
struct shares {
	size_t n;
	struct share of[]; /* by pool id */
};

/* Nothing is counted yet. NULL when out of memory. */
struct shares *shares_new(const struct session_limit *limits, size_t n);
/* True if `old` (or NULL) has the same pools: then it has the limits of `shares` now. */
bool shares_renew(struct shares *old, const struct shares *shares);
/* NULL if the pool has no share, or if there are none at all. */
struct share *shares_find(struct shares *shares, uint64_t pool_id);
