#include "daemon/session/shares.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct share *)a)->pool_id, y = ((const struct share *)b)->pool_id;
	return (x > y) - (x < y);
}

struct shares *shares_new(const struct session_limit *limits, size_t n)
{
	struct shares *shares = calloc(1, sizeof(*shares) + n * sizeof(struct share));
	if (!shares)
		return NULL;
	shares->n = n;
	for (size_t i = 0; i < n; i++) {
		shares->of[i].pool_id = limits[i].pool_id;
		shares->of[i].max_entries = limits[i].max_entries;
	}
	qsort(shares->of, n, sizeof(struct share), compare);
	return shares;
}

bool shares_renew(struct shares *old, const struct shares *shares)
{
	if (!old || old->n != shares->n)
		return false;
	for (size_t i = 0; i < shares->n; i++) {
		if (old->of[i].pool_id != shares->of[i].pool_id)
			return false;
	}
	for (size_t i = 0; i < shares->n; i++)
		atomic_store(&old->of[i].max_entries, shares->of[i].max_entries);
	return true;
}

struct share *shares_find(struct shares *shares, uint64_t pool_id)
{
	size_t from = 0, to = shares ? shares->n : 0;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		if (shares->of[middle].pool_id == pool_id)
			return &shares->of[middle];
		if (shares->of[middle].pool_id < pool_id)
			from = middle + 1;
		else
			to = middle;
	}
	return NULL;
}
