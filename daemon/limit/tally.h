/* How many of something each key has at the moment: connections by source. Unlike times (table.h) a
 * count must not be forgotten, so there is an entry for each key that has any, and memory follows
 * what is counted. Keys are 64-bit keyed hashes. Safe from all threads. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tally_table;
struct tally; /* of one key */

/* `hash_key`: secret, random. NULL when out of memory. */
struct tally_table *tally_table_new(const uint64_t hash_key[2]);
/* Nothing may be counted any more. */
void tally_table_free(struct tally_table *table);

/* One more of the key `data` of the limit `id`. 0, and *out is to be given back by tally_give; -EDQUOT:
 * it has `max` already; -ENOMEM. */
int tally_take(struct tally_table *table, uint64_t id, const void *data, size_t len, uint32_t max,
    struct tally **out);
/* One fewer. NULL: nothing was taken. */
void tally_give(struct tally_table *table, struct tally *tally);
uint64_t tally_table_keys(struct tally_table *table);
