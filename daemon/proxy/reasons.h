/* How often something was refused for which reason. A reason is a word of ours, of the access log: a
 * string that lives as long as the process. There is no list of them to be kept: each gets a place
 * when it occurs first. One thread counts, others may read. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define REASONS_MAX 64 /* more are counted by the last one, as "other" */

struct reason {
	const char *_Atomic word; /* NULL: free, and so are those behind it */
	_Atomic uint64_t count;
};

struct reasons {
	struct reason each[REASONS_MAX];
};

void reasons_count(struct reasons *reasons, const char *word);
