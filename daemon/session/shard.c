#include "daemon/session/shard.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

#define CAPACITY_MIN 16U
#define CAPACITY_MAX (1U << 28)
#define EVICT_SAMPLE 16U

_Static_assert(sizeof(struct entry) == 48, "entries are flat, without holes");

/* Load between 3/5 and 3/4: 64 to 80 bytes an entry. */
static uint32_t load_limit(uint32_t capacity)
{
	return capacity - capacity / 4;
}

static uint32_t larger(uint32_t capacity)
{
	return capacity < CAPACITY_MIN ? CAPACITY_MIN : capacity + capacity / 4;
}

static uint32_t slack_of(uint32_t capacity)
{
	return 16 + capacity / 64;
}

/* The 32 bits below the shard's number, scaled to the capacity. */
static uint32_t home(uint64_t hash, uint32_t capacity)
{
	return (uint32_t)(((hash << SHARD_BITS >> 32) * capacity) >> 32);
}

/* Unkeyed, and the same on hosts of either byte order. */
static uint64_t public_hash(const struct session_key *key)
{
	uint64_t words[2];
	memcpy(words, key->bytes, sizeof(words));
	uint64_t h = hash_mix(key->pool_id + 0x9e3779b97f4a7c15ULL);
	h = hash_mix(h ^ le64toh(words[0]));
	return hash_mix(h + le64toh(words[1]));
}

static unsigned bucket_of(uint64_t public)
{
	return (unsigned)(public % SESSION_BUCKETS);
}

unsigned session_bucket(const struct session_key *key)
{
	return bucket_of(public_hash(key));
}

/* Adds the entry to the digest of its bucket, or takes it out. */
static void account(struct shard *shard, const struct entry *entry)
{
	uint64_t public = public_hash(&entry->key);
	atomic_fetch_xor_explicit(&(*shard->sums)[bucket_of(public)],
	    hash_mix(public ^ entry->target_id), memory_order_relaxed);
}

void shard_init(struct shard *shard, session_digests *sums)
{
	*shard = (struct shard){.sums = sums, .soonest_us = ENTRY_EXPIRES_MAX};
}

void shard_clear(struct shard *shard)
{
	for (uint32_t i = 0; i < shard->slots && shard->count > 0; i++) {
		if (shard->entries[i].hash != 0)
			account(shard, &shard->entries[i]);
	}
	free(shard->entries);
	shard_init(shard, shard->sums);
}

const struct entry *shard_home(const struct shard *shard, uint64_t hash)
{
	return shard->count > 0 ? &shard->entries[home(hash, shard->capacity)] : NULL;
}

uint32_t shard_seek(const struct shard *shard, uint64_t hash)
{
	if (shard->count == 0)
		return shard->slots;
	uint32_t i = home(hash, shard->capacity);
	while (i < shard->slots && shard->entries[i].hash < hash)
		i++; /* also over empty slots */
	return i;
}

struct entry *shard_find(const struct shard *shard, uint64_t hash, const struct session_key *key)
{
	if (shard->count == 0)
		return NULL;
	for (uint32_t i = home(hash, shard->capacity); i < shard->slots; i++) {
		struct entry *entry = &shard->entries[i];
		if (entry->hash == 0 || entry->hash > hash)
			return NULL;
		if (entry->hash == hash && memcmp(&entry->key, key, sizeof(*key)) == 0)
			return entry;
	}
	return NULL;
}

/* Copies all entries in order; false when a run does not fit behind the last home. */
static bool copy_entries(
    const struct shard *from, struct entry *to, uint32_t capacity, uint32_t slots)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < from->slots; i++) {
		if (from->entries[i].hash == 0)
			continue;
		uint32_t at = home(from->entries[i].hash, capacity);
		if (at < next)
			at = next;
		if (at >= slots)
			return false;
		to[at] = from->entries[i];
		next = at + 1;
	}
	return true;
}

static bool rebuild(struct shard *shard, uint32_t capacity)
{
	for (uint32_t slack = slack_of(capacity); capacity <= CAPACITY_MAX; slack *= 2) {
		uint32_t slots = capacity + slack;
		struct entry *entries = calloc(slots, sizeof(*entries));
		if (!entries)
			return false;
		if (!copy_entries(shard, entries, capacity, slots)) {
			free(entries);
			continue;
		}
		free(shard->entries);
		shard->entries = entries;
		shard->capacity = capacity;
		shard->slots = slots;
		return true;
	}
	return false;
}

/* Where an entry with this hash belongs, its run moved up by one to make room; NULL when the run
 * reaches the end of the array. */
static struct entry *open_slot(struct shard *shard, uint64_t hash)
{
	if (shard->slots == 0)
		return NULL;
	uint32_t at = home(hash, shard->capacity);
	while (at < shard->slots && shard->entries[at].hash != 0 && shard->entries[at].hash < hash)
		at++;
	uint32_t end = at;
	while (end < shard->slots && shard->entries[end].hash != 0)
		end++;
	if (end >= shard->slots)
		return NULL;
	memmove(&shard->entries[at + 1], &shard->entries[at], (end - at) * sizeof(struct entry));
	return &shard->entries[at];
}

static void set_expiry(struct shard *shard, struct entry *entry, uint64_t expires_us)
{
	if (expires_us > ENTRY_EXPIRES_MAX)
		expires_us = ENTRY_EXPIRES_MAX;
	entry->expires_us = expires_us & ENTRY_EXPIRES_MAX;
	if (expires_us < shard->soonest_us)
		shard->soonest_us = expires_us;
}

/* When there is no memory to grow, the array is used up to its last slot. */
struct entry *shard_insert(struct shard *shard, uint64_t hash, const struct session *session)
{
	if (shard->count >= load_limit(shard->capacity))
		(void)rebuild(shard, larger(shard->capacity));
	struct entry *entry = open_slot(shard, hash);
	if (!entry) {
		if (!rebuild(shard, larger(shard->capacity)))
			return NULL;
		entry = open_slot(shard, hash);
	}
	if (!entry)
		return NULL;
	*entry = (struct entry){.hash = hash, .key = session->key, .target_id = session->target_id};
	set_expiry(shard, entry, session->expires_us);
	shard->count++;
	account(shard, entry);
	return entry;
}

void shard_update(struct shard *shard, struct entry *entry, const struct session *session)
{
	set_expiry(shard, entry, session->expires_us);
	if (entry->target_id == session->target_id)
		return;
	account(shard, entry);
	entry->target_id = session->target_id;
	account(shard, entry);
}

/* What follows moves up by one, as far as it is not at home already. */
void shard_remove(struct shard *shard, struct entry *entry)
{
	account(shard, entry);
	shard->count--;
	uint32_t at = (uint32_t)(entry - shard->entries);
	uint32_t end = at + 1;
	while (end < shard->slots && shard->entries[end].hash != 0 &&
	       home(shard->entries[end].hash, shard->capacity) < end)
		end++;
	memmove(
	    &shard->entries[at], &shard->entries[at + 1], (end - at - 1) * sizeof(struct entry));
	memset(&shard->entries[end - 1], 0, sizeof(struct entry));
}

struct entry *shard_victim(struct shard *shard, const uint64_t *pool_id)
{
	struct entry *victim = NULL;
	uint32_t seen = 0;
	for (uint32_t step = 0; step < shard->slots && seen < EVICT_SAMPLE; step++) {
		if (shard->hand >= shard->slots)
			shard->hand = 0;
		struct entry *entry = &shard->entries[shard->hand++];
		if (entry->hash == 0 || (pool_id && entry->key.pool_id != *pool_id))
			continue;
		seen++;
		if (!victim || entry->expires_us < victim->expires_us)
			victim = entry;
	}
	return victim;
}

void shard_shrink(struct shard *shard)
{
	if (shard->count == 0) {
		uint32_t hand = shard->hand;
		shard_clear(shard);
		shard->hand = hand;
	} else if (shard->capacity > CAPACITY_MIN && shard->count < shard->capacity / 4) {
		/* Only an attempt: without memory it stays as large as it is. */
		uint32_t capacity = shard->count * 2;
		(void)rebuild(shard, capacity > CAPACITY_MIN ? capacity : CAPACITY_MIN);
	}
}
