/* The sticky table: who (a key) stays where (a target id). Flat entries in shards, each with its
 * own lock, open addressing and a keyed hash, so that strangers who choose keys cannot make chains.
 * Bounded: when the table is full, the entry that would expire first among a few makes room; memory
 * is taken as entries come (64 to 80 bytes each) and given back when they go. Pure but
 * for the locks; the caller says what time it is. Safe from all threads. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_CURSOR_END UINT64_MAX

struct session_key {
	uint64_t pool_id;
	uint8_t bytes[16]; /* source: addr_key() of the client; else a keyed hash of a value */
};

struct session {
	struct session_key key;
	uint64_t target_id;
	uint64_t expires_us; /* CLOCK_MONOTONIC of this node */
};

struct session_table;

/* Entries are divided among buckets by an unkeyed hash of their key, the same on both nodes, so
 * that nodes can tell where their tables differ. */
#define SESSION_BUCKETS 1024

struct session_stats {
	uint64_t entries, max_entries;
	uint64_t inserts, updates, expired, evicted;
	uint64_t digest; /* XOR of those of all buckets */
	uint64_t bytes;  /* memory */
};

/* NULL when out of memory. `hash_key`: secret, random. */
struct session_table *session_table_new(uint64_t max_entries, const uint64_t hash_key[2]);
void session_table_free(struct session_table *table);
/* `evicted` is called for each living entry that makes room for another one, or for a lower limit,
 * after it has gone; with a lock of the table held, so it must be quick and leave the table alone.
 * To be set before others use the table. */
void session_table_on_evicted(struct session_table *table,
    void (*evicted)(void *arg, const struct session_key *key), void *arg);
/* Takes effect at once: surplus entries go. Always 0: memory follows the entries. */
int session_table_resize(struct session_table *table, uint64_t max_entries);

/* How many entries a pool may have, besides what the table may. */
struct session_limit {
	uint64_t pool_id, max_entries;
};
/* Pools that are named are counted; those of them that have more entries than they may lose some at
 * once, and each new one of theirs makes room later, of theirs only, as a full table does. Others
 * have no limit of their own. 0, or -ENOMEM: the limits stay as they were. One thread calls this,
 * session_table_pool and session_table_trim. */
int session_table_limit(struct session_table *table, const struct session_limit *limits, size_t n);
/* Of a pool that was named: true, and how many entries it has, and how many made room for others of
 * the same pool. */
bool session_table_pool(
    struct session_table *table, uint64_t pool_id, uint64_t *entries, uint64_t *evicted);

/* True and *target_id if a living entry exists. */
bool session_table_lookup(struct session_table *table, const struct session_key *key,
    uint64_t now_us, uint64_t *target_id, uint64_t *expires_us /* or NULL */);
/* Inserts or overwrites. Returns true if the key was new or pointed elsewhere (false: only expiry
 * changed, or out of memory, or the session has expired already and was not stored). */
bool session_table_upsert(
    struct session_table *table, const struct session *session, uint64_t now_us);
/* Inserts, unless the key has a living entry: then false, and *session becomes that one. */
bool session_table_claim(struct session_table *table, struct session *session, uint64_t now_us);
bool session_table_delete(struct session_table *table, const struct session_key *key);

/* Part of a replacement by what the peer has: each session is upserted and gets `mark`, a number
 * of session_table_mark (0: keeps the mark that it has). Room is made only above twice the limits: the
 * peer keeps them, and tells what has made room there; what has expired there and is swept here a bit
 * later must not cost another one its place. */
void session_table_put(struct session_table *table, const struct session *sessions, size_t n,
    uint16_t mark, uint64_t now_us);
/* A mark that no entry has. (It comes again after 65,535 others.) */
uint16_t session_table_mark(struct session_table *table);
/* The end of a replacement: of the next `max` entries or more from *cursor on (at first 0), those
 * go that have another mark and are in a bucket that is true in `buckets` (NULL: in any). Returns
 * how many; *cursor is SESSION_CURSOR_END after the last. */
size_t session_table_sweep(struct session_table *table, uint64_t *cursor, size_t max, uint16_t mark,
    const bool buckets[SESSION_BUCKETS]);

/* After session_table_put: the limits are kept here, too. What has expired goes first. leniently: a bit
 * above them is nothing, since the peer's clock says a bit earlier what has expired. The thread of
 * session_table_limit. */
void session_table_trim(struct session_table *table, bool leniently, uint64_t now_us);

/* Removes entries that expired, a slice of the table a call (call it every 100 ms or so: a full
 * round takes 10 s). */
void session_table_expire(struct session_table *table, uint64_t now_us);
/* Removes all that expired; shards where nothing can have expired are not looked at. */
void session_table_expire_all(struct session_table *table, uint64_t now_us);
void session_table_stats(struct session_table *table, struct session_stats *out);

unsigned session_bucket(const struct session_key *key);
/* For each bucket the XOR over its entries of a hash of (key, target): equal tables, equal digests.
 * Unkeyed; expiry times do not count. An expired entry is in it until it is swept. */
void session_table_digests(struct session_table *table, uint64_t digests[SESSION_BUCKETS]);

/* Visits living entries shard by shard without holding a lock during `visit`. `cursor` starts at 0;
 * each call fills up to `max` entries and returns the number; 0 at the end. An entry that exists
 * during the whole scan is seen at least once. */
size_t session_table_scan(struct session_table *table, uint64_t *cursor, uint64_t now_us,
    struct session *out, size_t max);
