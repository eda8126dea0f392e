/* The times of many keys (gcra.h), of all limits of a process: memory is taken once and does not grow,
 * whoever invents keys. A key is its 64-bit keyed hash, so strangers can neither aim at a place of
 * the table nor at each other.
 *
 *	hash ──> bucket of 8 ──> the entry with this hash, or the one whose time is the earliest
 *
 * An entry whose time has passed says nothing, so it makes room without loss. When all 8 of a bucket
 * are living the one that is the least ahead goes: whoever is near his limit is not forgotten because
 * somebody floods the table. Buckets are half full when there are as many keys as the table is for:
 * then one in a hundred has to share its room.
 *
 * Safe from all threads, and exact: a key's requests are judged one after the other under a lock that
 * a few thousandths of all keys share, held for some nanoseconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/limit/gcra.h"

#define LIMIT_WAYS 8U
#define LIMIT_TAGS 4096U /* of limits: the low bits of a hash */

struct limit_table;

struct limit_entry {
	uint64_t hash; /* 0: empty */
	uint64_t time_ns;
};

enum limit_raise {
	LIMIT_RAISED,
	LIMIT_KNOWN,  /* ours is as late, or later */
	LIMIT_NO_ROOM /* and all that could make it are later */
};

struct limit_stats {
	uint64_t living;  /* keys whose time has not passed; with more than 100,000 about so many */
	uint64_t evicted; /* living ones that made room */
	uint64_t bytes;
};

/* For about `keys` at a time (32 bytes each). `hash_key`: secret, random. NULL when out of memory. */
struct limit_table *limit_table_new(uint64_t keys, const uint64_t hash_key[2]);
void limit_table_free(struct limit_table *table);
uint64_t limit_table_keys(const struct limit_table *table); /* as given to limit_table_new */

/* Of what makes a key of the limit `id`. */
uint64_t limit_table_hash(
    const struct limit_table *table, uint64_t id, const void *data, size_t len);
/* Which limit a hash is of: that of an id, and of the odd one above an even one. Of one limit in
 * LIMIT_TAGS it is the same. */
uint32_t limit_tag(uint64_t hash);
uint32_t limit_id_tag(uint64_t id);
/* A hash of any 64 bits, for the limit `id`. */
uint64_t limit_tagged(uint64_t bits, uint64_t id);
/* As gcra_take, for the key with this hash. */
bool limit_table_take(struct limit_table *table, uint64_t hash, const struct gcra *gcra,
    uint64_t now_ns, uint64_t *wait_ns);

/* For who tells somebody else (share.h): how many buckets there are, a copy of one, and what the
 * other one says of a key. */
uint64_t limit_table_buckets(const struct limit_table *table);
void limit_table_read(
    struct limit_table *table, uint64_t bucket, struct limit_entry out[LIMIT_WAYS]);
enum limit_raise limit_table_raise(
    struct limit_table *table, uint64_t hash, uint64_t time_ns, uint64_t now_ns);

void limit_table_stats(struct limit_table *table, uint64_t now_ns, struct limit_stats *out);
