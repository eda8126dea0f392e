#include "daemon/limit/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

#define SPARE    2U /* places for each key that the table is for */
#define STRIPES  256U
#define SEEN_MAX 128U /* buckets of a stripe */

struct bucket {
	struct limit_entry entries[LIMIT_WAYS];
};

/* The lock of each 256th bucket. */
struct stripe {
	pthread_mutex_t lock;
	uint64_t evicted;
} __attribute__((aligned(64)));

struct limit_table {
	uint64_t hash_key[2];
	uint64_t keys;
	uint64_t n_buckets; /* at most 2^32 */
	struct bucket *buckets;
	struct stripe stripes[STRIPES];
};

struct limit_table *limit_table_new(uint64_t keys, const uint64_t hash_key[2])
{
	struct limit_table *table = aligned_alloc(64, sizeof(*table));
	if (!table)
		return NULL;
	*table = (struct limit_table){.hash_key = {hash_key[0], hash_key[1]}, .keys = keys};
	table->n_buckets = (keys * SPARE + LIMIT_WAYS - 1) / LIMIT_WAYS;
	/* Pages that no key falls on are not taken from the system. */
	table->buckets = calloc(table->n_buckets, sizeof(struct bucket));
	if (!table->buckets) {
		free(table);
		return NULL;
	}
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	/* Held for nanoseconds: spin a little before sleeping. */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	for (uint32_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&table->stripes[i].lock, &attr);
	pthread_mutexattr_destroy(&attr);
	return table;
}

void limit_table_free(struct limit_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&table->stripes[i].lock);
	free(table->buckets);
	free(table);
}

uint64_t limit_table_keys(const struct limit_table *table)
{
	return table->keys;
}

uint64_t limit_table_hash(
    const struct limit_table *table, uint64_t id, const void *data, size_t len)
{
	return limit_tagged(hash_mix(hash_keyed(table->hash_key, data, len) + id), id);
}

uint32_t limit_tag(uint64_t hash)
{
	return hash % LIMIT_TAGS;
}

uint32_t limit_id_tag(uint64_t id)
{
	return id / 2 % LIMIT_TAGS;
}

uint64_t limit_tagged(uint64_t bits, uint64_t id)
{
	uint64_t hash = bits - bits % LIMIT_TAGS + limit_id_tag(id);
	return hash ? hash : LIMIT_TAGS;
}

/* The entry of this hash, or the one that makes room for it. */
static struct limit_entry *find(struct bucket *bucket, uint64_t hash)
{
	struct limit_entry *earliest = &bucket->entries[0];
	for (uint32_t i = 0; i < LIMIT_WAYS; i++) {
		struct limit_entry *entry = &bucket->entries[i];
		if (entry->hash == hash)
			return entry;
		if (entry->time_ns < earliest->time_ns)
			earliest = entry;
	}
	return earliest;
}

static uint64_t bucket_of(const struct limit_table *table, uint64_t hash)
{
	return (hash >> 32) * table->n_buckets >> 32;
}

bool limit_table_take(struct limit_table *table, uint64_t hash, const struct gcra *gcra,
    uint64_t now_ns, uint64_t *wait_ns)
{
	uint64_t number = bucket_of(table, hash);
	struct stripe *stripe = &table->stripes[number % STRIPES];
	pthread_mutex_lock(&stripe->lock);
	struct limit_entry *entry = find(&table->buckets[number], hash);
	if (entry->hash != hash) {
		stripe->evicted += entry->time_ns > now_ns;
		*entry = (struct limit_entry){.hash = hash};
	}
	bool taken = gcra_take(gcra, &entry->time_ns, now_ns, wait_ns);
	pthread_mutex_unlock(&stripe->lock);
	return taken;
}

uint64_t limit_table_buckets(const struct limit_table *table)
{
	return table->n_buckets;
}

void limit_table_read(
    struct limit_table *table, uint64_t bucket, struct limit_entry out[LIMIT_WAYS])
{
	struct stripe *stripe = &table->stripes[bucket % STRIPES];
	pthread_mutex_lock(&stripe->lock);
	memcpy(out, table->buckets[bucket].entries, sizeof(table->buckets[bucket].entries));
	pthread_mutex_unlock(&stripe->lock);
}

static enum limit_raise raise_entry(struct limit_entry *entry, struct stripe *stripe, uint64_t hash,
    uint64_t time_ns, uint64_t now_ns)
{
	bool known = entry->hash == hash;
	if (entry->time_ns >= time_ns)
		return known ? LIMIT_KNOWN : LIMIT_NO_ROOM;
	stripe->evicted += !known && entry->time_ns > now_ns;
	*entry = (struct limit_entry){hash, time_ns};
	return LIMIT_RAISED;
}

enum limit_raise limit_table_raise(
    struct limit_table *table, uint64_t hash, uint64_t time_ns, uint64_t now_ns)
{
	uint64_t number = bucket_of(table, hash);
	struct stripe *stripe = &table->stripes[number % STRIPES];
	pthread_mutex_lock(&stripe->lock);
	struct limit_entry *entry = find(&table->buckets[number], hash);
	enum limit_raise result = raise_entry(entry, stripe, hash, time_ns, now_ns);
	pthread_mutex_unlock(&stripe->lock);
	return result;
}

static uint64_t count_living(const struct bucket *bucket, uint64_t now_ns)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < LIMIT_WAYS; i++)
		n += bucket->entries[i].time_ns > now_ns;
	return n;
}

/* Of a large table some buckets stand for all, so that nobody waits for the lock. */
static uint64_t count_stripe(const struct limit_table *table, uint32_t number, uint64_t now_ns)
{
	uint64_t living = 0, seen = 0, all = (table->n_buckets + STRIPES - 1 - number) / STRIPES;
	for (; seen < all && seen < SEEN_MAX; seen++)
		living += count_living(&table->buckets[number + seen * STRIPES], now_ns);
	return seen > 0 ? living * all / seen : 0;
}

void limit_table_stats(struct limit_table *table, uint64_t now_ns, struct limit_stats *out)
{
	*out = (struct limit_stats){
	    .bytes = sizeof(*table) + table->n_buckets * sizeof(struct bucket)};
	for (uint32_t i = 0; i < STRIPES; i++) {
		struct stripe *stripe = &table->stripes[i];
		pthread_mutex_lock(&stripe->lock);
		out->evicted += stripe->evicted;
		out->living += count_stripe(table, i, now_ns);
		pthread_mutex_unlock(&stripe->lock);
	}
}
