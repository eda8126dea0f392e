#include "daemon/proxy/reasons.h"

#include <string.h>

void reasons_count(struct reasons *reasons, const char *word)
{
	struct reason *reason = reasons->each;
	for (;; reason++) {
		const char *known = atomic_load_explicit(&reason->word, memory_order_relaxed);
		/* The same word in two files may be at two places. */
		if (known && (known == word || strcmp(known, word) == 0))
			break;
		if (known && reason < &reasons->each[REASONS_MAX - 1])
			continue;
		if (!known)
			atomic_store_explicit(&reason->word,
			    reason < &reasons->each[REASONS_MAX - 1] ? word : "other",
			    memory_order_release);
		break;
	}
	atomic_store_explicit(&reason->count,
	    atomic_load_explicit(&reason->count, memory_order_relaxed) + 1, memory_order_relaxed);
}
