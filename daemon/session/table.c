#include "daemon/session/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "daemon/base/hash.h"
#include "daemon/session/shard.h"
#include "daemon/session/shares.h"

#define SHARDS_PER_SLICE 3    /* session_table_expire: 86 calls a round */
#define SLOTS_PER_LOCK   8192 /* swept before others may have the shard in between */
#define PREFETCH         8    /* sessions ahead */
#define SHARD_SAMPLE     4    /* to find who of a pool goes */
#define PUT_TIMES        2    /* the limits, for session_table_put */
#define TOLERATED        64   /* entries above a limit, and that part of it */

struct locked_shard {
	pthread_mutex_t lock;
	struct shard shard;
	struct shares *shares; /* NULL: no pool is counted */
	uint64_t inserts, updates, expired, evicted;
} __attribute__((aligned(64)));

struct session_table {
	uint64_t hash_key[2];
	_Atomic uint64_t max_entries;
	_Atomic uint64_t entries; /* the sum over the shards: makes the limit one of the table */
	atomic_uint expire_next;  /* shard */
	atomic_uint evict_next;   /* shard */
	atomic_ushort last_mark;
	struct shares *shares; /* of all shards, but while it is replaced; who limits */
	session_digests digests;
	void (*on_evicted)(void *arg, const struct session_key *key);
	void *on_evicted_arg;
	struct locked_shard shards[SHARDS];
};

struct session_table *session_table_new(uint64_t max_entries, const uint64_t hash_key[2])
{
	struct session_table *table = aligned_alloc(64, sizeof(*table));
	if (!table)
		return NULL;
	*table = (struct session_table){.hash_key = {hash_key[0], hash_key[1]}};
	atomic_init(&table->max_entries, max_entries);
	pthread_mutexattr_t attr;
	pthread_mutexattr_init(&attr);
	/* Held for tens of nanoseconds: spin a little before sleeping. */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
	for (uint32_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&table->shards[i].lock, &attr);
		shard_init(&table->shards[i].shard, &table->digests);
	}
	pthread_mutexattr_destroy(&attr);
	return table;
}

void session_table_free(struct session_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; i < SHARDS; i++) {
		shard_clear(&table->shards[i].shard);
		pthread_mutex_destroy(&table->shards[i].lock);
	}
	free(table->shares);
	free(table);
}

void session_table_on_evicted(struct session_table *table,
    void (*evicted)(void *arg, const struct session_key *key), void *arg)
{
	table->on_evicted = evicted;
	table->on_evicted_arg = arg;
}

/* Never 0 (an empty slot), never the largest (the cursor's end). */
static uint64_t hash_of(const struct session_table *table, const struct session_key *key)
{
	uint64_t hash = hash_keyed(table->hash_key, key, sizeof(*key));
	if (hash == 0)
		return 1;
	return hash == UINT64_MAX ? UINT64_MAX - 1 : hash;
}

static struct locked_shard *lock_shard(struct session_table *table, uint32_t number)
{
	struct locked_shard *locked = &table->shards[number];
	pthread_mutex_lock(&locked->lock);
	return locked;
}

static uint32_t shard_of(uint64_t hash)
{
	return (uint32_t)(hash >> (64 - SHARD_BITS));
}

/* The cursor behind all entries of a shard. */
static uint64_t after_shard(uint32_t number)
{
	return number + 1 < SHARDS ? (uint64_t)(number + 1) << (64 - SHARD_BITS)
				   : SESSION_CURSOR_END;
}

static struct locked_shard *lock_for(struct session_table *table, uint64_t hash)
{
	return lock_shard(table, shard_of(hash));
}

static void unlock(struct locked_shard *locked)
{
	pthread_mutex_unlock(&locked->lock);
}

bool session_table_lookup(struct session_table *table, const struct session_key *key,
    uint64_t now_us, uint64_t *target_id, uint64_t *expires_us)
{
	uint64_t hash = hash_of(table, key);
	struct locked_shard *locked = lock_for(table, hash);
	const struct entry *entry = shard_find(&locked->shard, hash, key);
	bool found = entry && entry->expires_us > now_us;
	if (found) {
		*target_id = entry->target_id;
		if (expires_us)
			*expires_us = entry->expires_us;
	}
	unlock(locked);
	return found;
}

static uint32_t *counter_of(
    const struct session_table *table, const struct locked_shard *locked, struct share *share)
{
	return &share->in_shard[locked - table->shards];
}

static void remove_entry(
    struct session_table *table, struct locked_shard *locked, struct entry *entry)
{
	struct share *share = shares_find(locked->shares, entry->key.pool_id);
	if (share) {
		(*counter_of(table, locked, share))--;
		atomic_fetch_sub_explicit(&share->entries, 1, memory_order_relaxed);
	}
	shard_remove(&locked->shard, entry);
	atomic_fetch_sub_explicit(&table->entries, 1, memory_order_relaxed);
}

static void evict(
    struct session_table *table, struct locked_shard *locked, struct entry *victim, uint64_t now_us)
{
	struct session_key key = victim->key;
	bool living = victim->expires_us > now_us;
	remove_entry(table, locked, victim);
	locked->evicted++;
	if (living && table->on_evicted)
		table->on_evicted(table->on_evicted_arg, &key);
}

/* False when the shard is empty. */
static bool evict_any(struct session_table *table, struct locked_shard *locked, uint64_t now_us)
{
	struct entry *victim = shard_victim(&locked->shard, NULL);
	if (victim)
		evict(table, locked, victim, now_us);
	return victim != NULL;
}

/* More than `times` the limit. */
static bool is_crowded(const struct share *share, unsigned times)
{
	return atomic_load_explicit(&share->entries, memory_order_relaxed) / times >
	       atomic_load_explicit(&share->max_entries, memory_order_relaxed);
}

static bool is_full(const struct session_table *table, uint64_t entries, unsigned times)
{
	return entries / times > atomic_load_explicit(&table->max_entries, memory_order_relaxed);
}

/* False when the shard has none of that pool. */
static bool evict_of(
    struct session_table *table, struct locked_shard *locked, struct share *share, uint64_t now_us)
{
	if (*counter_of(table, locked, share) == 0)
		return false;
	evict(table, locked, shard_victim(&locked->shard, &share->pool_id), now_us);
	atomic_fetch_add_explicit(&share->evicted, 1, memory_order_relaxed);
	return true;
}

/* Removes entries, wherever, until the table keeps so many times its limit. */
static void trim(struct session_table *table, unsigned times, uint64_t now_us)
{
	uint32_t empty = 0;
	while (is_full(table, atomic_load_explicit(&table->entries, memory_order_relaxed), times) &&
	       empty < SHARDS) {
		uint32_t number = atomic_fetch_add(&table->evict_next, 1) % SHARDS;
		struct locked_shard *locked = lock_shard(table, number);
		empty = evict_any(table, locked, now_us) ? 0 : empty + 1;
		unlock(locked);
	}
}

/* Of some shards that have entries of the pool the one whose victim would expire first: SHARDS if there
 * is none, or no need. A share is looked for under each lock anew: without one it may go. */
static uint32_t find_crowded(struct session_table *table, uint64_t pool_id, unsigned times)
{
	uint32_t best = SHARDS, sampled = 0;
	uint64_t soonest_us = UINT64_MAX;
	bool crowded = true;
	for (uint32_t n = 0; crowded && sampled < SHARD_SAMPLE && n < SHARDS; n++) {
		uint32_t number = atomic_fetch_add(&table->evict_next, 1) % SHARDS;
		struct locked_shard *locked = lock_shard(table, number);
		struct share *share = shares_find(locked->shares, pool_id);
		crowded = share && is_crowded(share, times);
		if (crowded && *counter_of(table, locked, share) > 0) {
			uint64_t at_us = shard_victim(&locked->shard, &pool_id)->expires_us;
			if (at_us < soonest_us) {
				soonest_us = at_us;
				best = number;
			}
			sampled++;
		}
		unlock(locked);
	}
	return crowded ? best : SHARDS;
}

/* The same of a pool. */
static void trim_pool(
    struct session_table *table, uint64_t pool_id, unsigned times, uint64_t now_us)
{
	uint32_t number;
	while ((number = find_crowded(table, pool_id, times)) < SHARDS) {
		struct locked_shard *locked = lock_shard(table, number);
		struct share *share = shares_find(locked->shares, pool_id);
		if (share && is_crowded(share, times))
			(void)evict_of(table, locked, share, now_us);
		unlock(locked);
	}
}

/* The new entry is counted before the table is compared with its limit, so that two threads cannot
 * both think that theirs is the last one to fit. Room is made in the same shard where possible;
 * *crowded: the pool has to make it elsewhere. */
static struct entry *insert_new(struct session_table *table, struct locked_shard *locked,
    uint64_t hash, const struct session *session, unsigned times, bool *crowded, uint64_t now_us)
{
	struct share *share = shares_find(locked->shares, session->key.pool_id);
	uint64_t entries = atomic_fetch_add(&table->entries, 1) + 1;
	if (share)
		atomic_fetch_add(&share->entries, 1);
	if (share && is_crowded(share, times))
		*crowded = !evict_of(table, locked, share, now_us);
	else if (is_full(table, entries, times))
		(void)evict_any(table, locked, now_us);
	struct entry *entry = shard_insert(&locked->shard, hash, session);
	if (entry) {
		locked->inserts++;
		if (share)
			(*counter_of(table, locked, share))++;
		return entry;
	}
	atomic_fetch_sub(&table->entries, 1);
	if (share)
		atomic_fetch_sub(&share->entries, 1);
	return NULL;
}

/* With the lock held; returns what session_table_upsert does. A mark of 0 leaves that of the entry. */
static bool store(struct session_table *table, struct locked_shard *locked, uint64_t hash,
    const struct session *session, uint16_t mark, unsigned times, bool *crowded, uint64_t now_us)
{
	bool changed = true;
	struct entry *entry = shard_find(&locked->shard, hash, &session->key);
	if (!entry) {
		entry = insert_new(table, locked, hash, session, times, crowded, now_us);
		changed = entry != NULL;
	} else {
		bool was_expired = entry->expires_us <= now_us;
		changed = was_expired || entry->target_id != session->target_id;
		shard_update(&locked->shard, entry, session);
		locked->expired += was_expired;
		locked->inserts += was_expired;
		locked->updates += !was_expired;
	}
	if (entry && mark != 0)
		entry->mark = mark;
	return changed;
}

/* After the lock was let go. */
static void make_room(struct session_table *table, const struct session *session, unsigned times,
    bool crowded, uint64_t now_us)
{
	if (crowded)
		trim_pool(table, session->key.pool_id, times, now_us);
	trim(table, times, now_us);
}

static bool upsert(struct session_table *table, uint64_t hash, const struct session *session,
    uint16_t mark, unsigned times, uint64_t now_us)
{
	bool crowded = false;
	if (session->expires_us <= now_us)
		return false;
	struct locked_shard *locked = lock_for(table, hash);
	bool changed = store(table, locked, hash, session, mark, times, &crowded, now_us);
	unlock(locked);
	make_room(table, session, times, crowded, now_us);
	return changed;
}

bool session_table_upsert(
    struct session_table *table, const struct session *session, uint64_t now_us)
{
	return upsert(table, hash_of(table, &session->key), session, 0, 1, now_us);
}

bool session_table_claim(struct session_table *table, struct session *session, uint64_t now_us)
{
	bool crowded = false;
	uint64_t hash = hash_of(table, &session->key);
	struct locked_shard *locked = lock_for(table, hash);
	const struct entry *entry = shard_find(&locked->shard, hash, &session->key);
	bool is_held = entry && entry->expires_us > now_us;
	if (is_held) {
		session->target_id = entry->target_id;
		session->expires_us = entry->expires_us;
	} else {
		(void)store(table, locked, hash, session, 0, 1, &crowded, now_us);
	}
	unlock(locked);
	make_room(table, session, 1, crowded, now_us);
	return !is_held;
}

/* The shard may move meanwhile: then it was in vain, as it is only a hint. */
static void prefetch(struct session_table *table, uint64_t hash)
{
	struct locked_shard *locked = lock_for(table, hash);
	const struct entry *entry = shard_home(&locked->shard, hash);
	unlock(locked);
	if (entry) {
		__builtin_prefetch(entry, 1);
		__builtin_prefetch(entry + 2, 1);
	}
}

/* Sessions come in no order that the table knows, so each would wait for memory: two or three times
 * as long as all else takes. */
void session_table_put(struct session_table *table, const struct session *sessions, size_t n,
    uint16_t mark, uint64_t now_us)
{
	uint64_t hashes[PREFETCH];
	for (size_t i = 0; i < n + PREFETCH; i++) {
		uint64_t *hash = &hashes[i % PREFETCH];
		if (i >= PREFETCH)
			upsert(table, *hash, &sessions[i - PREFETCH], mark, PUT_TIMES, now_us);
		if (i < n) {
			*hash = hash_of(table, &sessions[i].key);
			prefetch(table, *hash);
		}
	}
}

uint16_t session_table_mark(struct session_table *table)
{
	uint16_t mark;
	do
		mark = (uint16_t)(atomic_fetch_add(&table->last_mark, 1) + 1);
	while (mark == 0);
	return mark;
}

bool session_table_delete(struct session_table *table, const struct session_key *key)
{
	uint64_t hash = hash_of(table, key);
	struct locked_shard *locked = lock_for(table, hash);
	struct entry *entry = shard_find(&locked->shard, hash, key);
	if (entry)
		remove_entry(table, locked, entry);
	unlock(locked);
	return entry != NULL;
}

int session_table_resize(struct session_table *table, uint64_t max_entries)
{
	atomic_store(&table->max_entries, max_entries);
	trim(table, 1, 0);
	return 0;
}

/* From now on the shard counts in `shares`. */
static void count_in(
    struct session_table *table, struct locked_shard *locked, struct shares *shares)
{
	const struct shard *shard = &locked->shard;
	for (uint32_t i = 0; i < shard->slots && shard->count > 0; i++) {
		if (shard->entries[i].hash == 0)
			continue;
		struct share *share = shares_find(shares, shard->entries[i].key.pool_id);
		if (!share)
			continue;
		(*counter_of(table, locked, share))++;
		atomic_fetch_add_explicit(&share->entries, 1, memory_order_relaxed);
	}
	locked->shares = shares;
}

/* Shard by shard, so that nobody waits for a look at the whole table. */
static void replace_shares(struct session_table *table, struct shares *shares)
{
	struct shares *old = table->shares;
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct locked_shard *locked = lock_shard(table, i);
		count_in(table, locked, shares);
		unlock(locked);
	}
	for (size_t i = 0; i < shares->n; i++) {
		struct share *share = &shares->of[i], *before = shares_find(old, share->pool_id);
		if (before)
			atomic_fetch_add(&share->evicted, before->evicted);
	}
	table->shares = shares;
	free(old);
}

int session_table_limit(struct session_table *table, const struct session_limit *limits, size_t n)
{
	struct shares *shares = shares_new(limits, n);
	if (!shares)
		return -ENOMEM;
	if (shares_renew(table->shares, shares))
		free(shares);
	else
		replace_shares(table, shares);
	for (size_t i = 0; i < n; i++)
		trim_pool(table, limits[i].pool_id, 1, 0);
	return 0;
}

bool session_table_pool(
    struct session_table *table, uint64_t pool_id, uint64_t *entries, uint64_t *evicted)
{
	const struct share *share = shares_find(table->shares, pool_id);
	if (!share)
		return false;
	*entries = atomic_load_explicit(&share->entries, memory_order_relaxed);
	*evicted = atomic_load_explicit(&share->evicted, memory_order_relaxed);
	return true;
}

/* Sweeps up to SLOTS_PER_LOCK slots from `slot`; returns where to go on, or 0 when through. Between
 * two calls entries may move by a few slots: one that is missed is found in the next round, and
 * only a shard that was seen in one go knows what it holds. */
static uint32_t expire_slots(
    struct session_table *table, struct locked_shard *locked, uint32_t slot, uint64_t now_us)
{
	struct shard *shard = &locked->shard;
	bool whole = slot == 0 && shard->slots <= SLOTS_PER_LOCK;
	uint64_t soonest_us = ENTRY_EXPIRES_MAX;
	for (uint32_t left = SLOTS_PER_LOCK; left > 0 && slot < shard->slots; left--) {
		struct entry *entry = &shard->entries[slot];
		if (entry->hash != 0 && entry->expires_us <= now_us) {
			remove_entry(table, locked, entry); /* another one may be there now */
			locked->expired++;
			continue;
		}
		if (entry->hash != 0 && entry->expires_us < soonest_us)
			soonest_us = entry->expires_us;
		slot++;
	}
	if (slot < shard->slots)
		return slot;
	if (whole)
		shard->soonest_us = soonest_us;
	shard_shrink(shard);
	return 0;
}

static void expire_shard(struct session_table *table, uint32_t number, uint64_t now_us)
{
	uint32_t slot = 0;
	do {
		struct locked_shard *locked = lock_shard(table, number);
		if (slot > 0 || locked->shard.soonest_us <= now_us)
			slot = expire_slots(table, locked, slot, now_us);
		unlock(locked);
	} while (slot > 0);
}

void session_table_expire(struct session_table *table, uint64_t now_us)
{
	for (unsigned n = 0; n < SHARDS_PER_SLICE; n++)
		expire_shard(table, atomic_fetch_add(&table->expire_next, 1) % SHARDS, now_us);
}

void session_table_expire_all(struct session_table *table, uint64_t now_us)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		expire_shard(table, i, now_us);
}

static bool is_above(_Atomic uint64_t *entries, _Atomic uint64_t *max_entries, bool leniently)
{
	uint64_t max = atomic_load(max_entries), have = atomic_load(entries);
	return have > max && (!leniently || have - max > TOLERATED + max / TOLERATED);
}

static bool is_any_above(struct session_table *table, bool leniently)
{
	bool above = is_above(&table->entries, &table->max_entries, leniently);
	for (size_t i = 0; table->shares && i < table->shares->n; i++) {
		struct share *share = &table->shares->of[i];
		above = above || is_above(&share->entries, &share->max_entries, leniently);
	}
	return above;
}

void session_table_trim(struct session_table *table, bool leniently, uint64_t now_us)
{
	const struct shares *shares = table->shares;
	if (!is_any_above(table, leniently))
		return;
	session_table_expire_all(table, now_us);
	if (!is_any_above(table, leniently))
		return;
	for (size_t i = 0; shares && i < shares->n; i++)
		trim_pool(table, shares->of[i].pool_id, 1, now_us);
	trim(table, 1, now_us);
}

void session_table_stats(struct session_table *table, struct session_stats *out)
{
	struct session_stats sum = {
	    .max_entries = atomic_load(&table->max_entries), .bytes = sizeof(*table)};
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct locked_shard *locked = lock_shard(table, i);
		sum.entries += locked->shard.count;
		sum.inserts += locked->inserts;
		sum.updates += locked->updates;
		sum.expired += locked->expired;
		sum.evicted += locked->evicted;
		sum.bytes += locked->shard.slots * sizeof(struct entry);
		unlock(locked);
	}
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		sum.digest ^= atomic_load_explicit(&table->digests[i], memory_order_relaxed);
	*out = sum;
}

void session_table_digests(struct session_table *table, uint64_t digests[SESSION_BUCKETS])
{
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		digests[i] = atomic_load_explicit(&table->digests[i], memory_order_relaxed);
}

/* The cursor is the smallest hash that was not visited yet. Entries lie in the order of their
 * hashes, so neither growing nor removing lets one slip through. (Two keys with the same 64 bits of
 * SipHash could, if a batch ended between them.) */
size_t session_table_scan(
    struct session_table *table, uint64_t *cursor, uint64_t now_us, struct session *out, size_t max)
{
	size_t n = 0;
	uint64_t bound = *cursor;
	while (n < max && bound != SESSION_CURSOR_END) {
		uint32_t number = shard_of(bound);
		struct locked_shard *locked = lock_shard(table, number);
		const struct shard *shard = &locked->shard;
		uint32_t i = shard_seek(shard, bound);
		for (; i < shard->slots && n < max; i++) {
			const struct entry *entry = &shard->entries[i];
			if (entry->hash == 0)
				continue;
			bound = entry->hash + 1;
			if (entry->expires_us > now_us)
				out[n++] = (struct session){
				    entry->key, entry->target_id, entry->expires_us};
		}
		if (i >= shard->slots)
			bound = after_shard(number);
		unlock(locked);
	}
	*cursor = bound;
	return n;
}

size_t session_table_sweep(struct session_table *table, uint64_t *cursor, size_t max, uint16_t mark,
    const bool buckets[SESSION_BUCKETS])
{
	size_t seen = 0, removed = 0;
	uint64_t bound = *cursor;
	while (seen < max && bound != SESSION_CURSOR_END) {
		uint32_t number = shard_of(bound);
		struct locked_shard *locked = lock_shard(table, number);
		struct shard *shard = &locked->shard;
		uint32_t i = shard_seek(shard, bound);
		while (i < shard->slots && seen < max) {
			struct entry *entry = &shard->entries[i];
			if (entry->hash != 0) {
				seen++;
				bound = entry->hash + 1;
				if (entry->mark != mark &&
				    (!buckets || buckets[session_bucket(&entry->key)])) {
					remove_entry(table, locked, entry);
					removed++;
					continue; /* another one may be there now */
				}
			}
			i++;
		}
		if (i >= shard->slots)
			bound = after_shard(number);
		unlock(locked);
	}
	*cursor = bound;
	return removed;
}
