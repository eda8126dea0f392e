/* One shard of the session table, without its lock: flat entries, sorted by hash.
 *
 *	home(hash) grows with the hash, an entry lies at its home or, where that is taken, behind
 *	it, and all entries are in the order of their hashes:
 *
 *	slot      0   1   2   3   4   5   6   7 | slack
 *	entry     -   a   b   c   -   d   -   - |  -  -
 *	home          1   1   2       5
 *
 * So a lookup ends at the first larger hash, growing is a copy in order, removing shifts the rest
 * of the run back (no tombstones), and a scan that remembers only the last hash misses nothing,
 * whatever happens meanwhile. Pure. Internal to session. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/session/table.h"

#define SHARD_BITS 8

/* By bucket; the shards of a table share them. */
typedef _Atomic uint64_t session_digests[SESSION_BUCKETS];

struct entry {
	uint64_t hash; /* 0: empty slot; its top SHARD_BITS are the shard's number */
	struct session_key key;
	uint64_t target_id;
	uint64_t expires_us : 48; /* at most ENTRY_EXPIRES_MAX: nine years after boot */
	uint64_t mark : 16;       /* session_table_put; 0: none */
};

#define ENTRY_EXPIRES_MAX ((1ULL << 48) - 1)

struct shard {
	struct entry *entries;
	uint32_t capacity; /* homes */
	uint32_t slots;    /* capacity and slack */
	uint32_t count;
	uint32_t hand;         /* where the next eviction looks */
	uint64_t soonest_us;   /* no entry expires earlier */
	session_digests *sums; /* of the table: kept right with each change */
};

/* An empty one, without memory. */
void shard_init(struct shard *shard, session_digests *sums);
/* Removes all entries, gives the memory back. */
void shard_clear(struct shard *shard);

/* NULL if there is none. */
struct entry *shard_find(const struct shard *shard, uint64_t hash, const struct session_key *key);
/* The first entry with this hash or a larger one; `slots` if none. */
uint32_t shard_seek(const struct shard *shard, uint64_t hash);
/* Where an entry with this hash is or would be, to be fetched into the cache; NULL if nowhere. */
const struct entry *shard_home(const struct shard *shard, uint64_t hash);
/* The key must not be there. The entry without a mark, or NULL when out of memory. */
struct entry *shard_insert(struct shard *shard, uint64_t hash, const struct session *session);
/* The entry gets the target and the expiry of `session`, which has its key. */
void shard_update(struct shard *shard, struct entry *entry, const struct session *session);
void shard_remove(struct shard *shard, struct entry *entry);
/* The entry that expires first among a few neighbours, or (not NULL) a few of that pool; NULL when
 * there are none. Looking for those of a pool can mean to look at all. */
struct entry *shard_victim(struct shard *shard, const uint64_t *pool_id);
/* Gives memory back when most of it is unused. */
void shard_shrink(struct shard *shard);
