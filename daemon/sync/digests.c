#include "daemon/sync/digests.h"

#include <string.h>

void digests_reset(struct digests *digests)
{
	memset(digests, 0, sizeof(*digests));
}

void digests_compare(struct digests *digests, const uint64_t ours[SESSION_BUCKETS],
    const uint64_t theirs[SESSION_BUCKETS], uint64_t until)
{
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		digests->differs[i] = ours[i] != theirs[i];
	memset(digests->touched, 0, sizeof(digests->touched));
	digests->until = until;
	digests->comparing = true;
}

void digests_touch(struct digests *digests, unsigned bucket)
{
	digests->touched[bucket] = true;
}

bool digests_complete(struct digests *digests, uint64_t sequence)
{
	if (!digests->comparing || sequence < digests->until)
		return false;
	for (unsigned i = 0; i < SESSION_BUCKETS; i++) {
		if (digests->touched[i])
			continue;
		digests->equal[i] = !digests->differs[i];
		digests->in_a_row[i] = digests->differs[i] ? digests->in_a_row[i] + 1 : 0;
	}
	digests->comparing = false;
	return true;
}

bool digests_equal(const struct digests *digests)
{
	for (unsigned i = 0; i < SESSION_BUCKETS; i++) {
		if (!digests->equal[i])
			return false;
	}
	return true;
}

size_t digests_take(struct digests *digests, uint32_t list[SESSION_BUCKETS])
{
	size_t n = 0;
	for (unsigned i = 0; i < SESSION_BUCKETS; i++) {
		if (digests->in_a_row[i] < DIGESTS_IN_A_ROW)
			continue;
		digests->in_a_row[i] = 0;
		list[n++] = i;
	}
	return n;
}
