/* Which buckets of sessions differ from the peer's, beyond doubt. The peer's digests are of a
 * moment at which it had changed its table up to `until`, and they come when we have less than
 * that: buckets that the records in between change prove nothing, neither that they differ nor that
 * they are equal. And what differs once may be a matter of timing (an entry that expires just now),
 * so it must differ in three comparisons in a row, of those that prove something. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/session/table.h"

#define DIGESTS_IN_A_ROW 3

struct digests {
	bool comparing; /* the last comparison is not complete */
	uint64_t until;
	bool differs[SESSION_BUCKETS], touched[SESSION_BUCKETS]; /* in the last comparison */
	uint8_t in_a_row[SESSION_BUCKETS];
	bool equal[SESSION_BUCKETS]; /* as the last one said that proves something */
};

void digests_reset(struct digests *digests);
/* Begins a comparison, in place of one that is not complete. */
void digests_compare(struct digests *digests, const uint64_t ours[SESSION_BUCKETS],
    const uint64_t theirs[SESSION_BUCKETS], uint64_t until);
/* A record has changed this bucket. */
void digests_touch(struct digests *digests, unsigned bucket);
/* We have all records up to `sequence`. True when that completes a comparison. */
bool digests_complete(struct digests *digests, uint64_t sequence);
/* Each bucket was found equal when it was looked at last. */
bool digests_equal(const struct digests *digests);
/* The buckets that differ beyond doubt; returns their number, and begins to doubt again. */
size_t digests_take(struct digests *digests, uint32_t list[SESSION_BUCKETS]);
