/* How often something may happen that others can cause: so many times at once, and then once in a
 * while. A token bucket without a clock of its own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct quota {
	uint64_t used_us; /* what is taken is given back by this moment */
};

/* True if it may happen now, once more. Zero-initialised, nothing has happened yet. */
bool quota_take(struct quota *quota, unsigned burst, uint64_t each_us, uint64_t now_us);
