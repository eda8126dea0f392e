#include "daemon/limit/tally.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

#define STRIPES 64U
#define CHAINS  512U /* of a stripe: 32,768 in all, each as long as it must be */

struct tally {
	struct tally *next;
	uint64_t hash;
	uint32_t count; /* above 0 */
};

struct stripe {
	pthread_mutex_t lock;
	uint64_t keys;
	struct tally *chains[CHAINS];
} __attribute__((aligned(64)));

struct tally_table {
	uint64_t hash_key[2];
	struct stripe stripes[STRIPES];
};

struct tally_table *tally_table_new(const uint64_t hash_key[2])
{
	struct tally_table *table = aligned_alloc(64, sizeof(*table));
	if (!table)
		return NULL;
	memset(table, 0, sizeof(*table));
	memcpy(table->hash_key, hash_key, sizeof(table->hash_key));
	for (uint32_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&table->stripes[i].lock, NULL);
	return table;
}

void tally_table_free(struct tally_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < STRIPES; i++) {
		assert(table->stripes[i].keys == 0);
		pthread_mutex_destroy(&table->stripes[i].lock);
	}
	free(table);
}

static struct stripe *lock_stripe(struct tally_table *table, uint64_t hash)
{
	struct stripe *stripe = &table->stripes[hash % STRIPES];
	pthread_mutex_lock(&stripe->lock);
	return stripe;
}

/* Where the tally of this hash hangs, or NULL does. */
static struct tally **find(struct stripe *stripe, uint64_t hash)
{
	struct tally **at = &stripe->chains[hash / STRIPES % CHAINS];
	while (*at && (*at)->hash != hash)
		at = &(*at)->next;
	return at;
}

static int take(struct stripe *stripe, uint64_t hash, uint32_t max, struct tally **out)
{
	struct tally **at = find(stripe, hash);
	if (*at ? (*at)->count >= max : max == 0)
		return -EDQUOT;
	if (!*at) {
		*at = calloc(1, sizeof(**at));
		if (!*at)
			return -ENOMEM;
		(*at)->hash = hash;
		stripe->keys++;
	}
	(*at)->count++;
	*out = *at;
	return 0;
}

int tally_take(struct tally_table *table, uint64_t id, const void *data, size_t len, uint32_t max,
    struct tally **out)
{
	uint64_t hash = hash_mix(hash_keyed(table->hash_key, data, len) + id);
	struct stripe *stripe = lock_stripe(table, hash);
	int result = take(stripe, hash, max, out);
	pthread_mutex_unlock(&stripe->lock);
	return result;
}

void tally_give(struct tally_table *table, struct tally *tally)
{
	if (!tally)
		return;
	struct stripe *stripe = lock_stripe(table, tally->hash);
	if (--tally->count == 0) {
		*find(stripe, tally->hash) = tally->next;
		free(tally);
		stripe->keys--;
	}
	pthread_mutex_unlock(&stripe->lock);
}

uint64_t tally_table_keys(struct tally_table *table)
{
	uint64_t keys = 0;
	for (uint32_t i = 0; i < STRIPES; i++) {
		struct stripe *stripe = lock_stripe(table, i);
		keys += stripe->keys;
		pthread_mutex_unlock(&stripe->lock);
	}
	return keys;
}
