/* The sticky table against a naive model, and its promises one by one. Time is an argument. */
#include "daemon/session/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

static const uint64_t hash_key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state += 0x9e3779b97f4a7c15ULL;
	return hash_mix(random_state);
}

static struct session make(uint64_t number, uint64_t target_id, uint64_t expires_us)
{
	struct session session = {
	    .key.pool_id = 7 + number % 3, .target_id = target_id, .expires_us = expires_us};
	memcpy(session.key.bytes, &number, sizeof(number));
	return session;
}

static uint64_t number_of(const struct session *session)
{
	uint64_t number;
	memcpy(&number, session->key.bytes, sizeof(number));
	return number;
}

static struct session_stats stats_of(struct session_table *table)
{
	struct session_stats stats;
	session_table_stats(table, &stats);
	return stats;
}

static void expire_all(struct session_table *table, uint64_t now_us)
{
	for (int i = 0; i < 100; i++)
		session_table_expire(table, now_us);
}

static void inserts_and_finds(void)
{
	struct session_table *table = session_table_new(100, hash_key);
	struct session session = make(1, 42, 1000);
	uint64_t target = 0, expires = 0;
	CU_ASSERT_FALSE(session_table_lookup(table, &session.key, 0, &target, &expires));
	CU_ASSERT_TRUE(session_table_upsert(table, &session, 0));
	CU_ASSERT_TRUE(session_table_lookup(table, &session.key, 999, &target, &expires));
	CU_ASSERT_EQUAL(target, 42);
	CU_ASSERT_EQUAL(expires, 1000);
	CU_ASSERT_FALSE(session_table_lookup(table, &session.key, 1000, &target, NULL));

	session.expires_us = 2000;
	CU_ASSERT_FALSE(session_table_upsert(table, &session, 0)); /* only the expiry changes */
	CU_ASSERT_TRUE(session_table_lookup(table, &session.key, 1999, &target, NULL));
	session.target_id = 43;
	CU_ASSERT_TRUE(session_table_upsert(table, &session, 0));
	session.key.pool_id++; /* the same client in another pool */
	CU_ASSERT_FALSE(session_table_lookup(table, &session.key, 0, &target, NULL));
	CU_ASSERT_FALSE(session_table_delete(table, &session.key));
	session.key.pool_id--;
	CU_ASSERT_TRUE(session_table_delete(table, &session.key));
	CU_ASSERT_FALSE(session_table_delete(table, &session.key));
	struct session_stats stats = stats_of(table);
	CU_ASSERT_EQUAL(stats.entries, 0);
	CU_ASSERT_EQUAL(stats.inserts, 1);
	CU_ASSERT_EQUAL(stats.updates, 2);
	CU_ASSERT_EQUAL(stats.digest, 0);
	session_table_free(table);
}

static void does_not_store_what_has_expired(void)
{
	struct session_table *table = session_table_new(100, hash_key);
	struct session session = make(1, 42, 1000);
	CU_ASSERT_FALSE(session_table_upsert(table, &session, 1000));
	CU_ASSERT_EQUAL(stats_of(table).entries, 0);
	CU_ASSERT_TRUE(session_table_upsert(table, &session, 999));
	/* An expired entry that was not swept yet is as good as none: */
	session.expires_us = 5000;
	CU_ASSERT_TRUE(session_table_upsert(table, &session, 2000));
	CU_ASSERT_EQUAL(stats_of(table).entries, 1);
	CU_ASSERT_EQUAL(stats_of(table).expired, 1);
	session_table_free(table);
}

/* ---- the model ---- */

#define MODEL_KEYS 3000
#define MODEL_OPS  200000

static struct session model[MODEL_KEYS]; /* expires_us 0: none */

static void model_step(struct session_table *table, uint64_t now_us, unsigned *wrong)
{
	uint64_t number = random_next() % MODEL_KEYS;
	struct session *mine = &model[number];
	bool living = mine->expires_us > now_us;
	uint64_t target = 0, expires = 0, dice = random_next() % 100;
	struct session session = make(number, random_next() % 5, now_us + 1 + random_next() % 4000);
	if (dice < 50) {
		bool changed = !living || mine->target_id != session.target_id;
		*wrong += session_table_upsert(table, &session, now_us) != changed;
		*mine = session;
	} else if (dice < 70) {
		bool deleted = session_table_delete(table, &session.key);
		*wrong += living && !deleted;
		mine->expires_us = 0;
	} else if (dice < 99) {
		bool found = session_table_lookup(table, &session.key, now_us, &target, &expires);
		*wrong += found != living;
		*wrong += found && (target != mine->target_id || expires != mine->expires_us);
	} else {
		session_table_expire(table, now_us);
	}
}

static unsigned compare_with_model(struct session_table *table, uint64_t now_us)
{
	struct session out[64];
	uint64_t cursor = 0;
	size_t n, seen = 0, living = 0;
	unsigned wrong = 0;
	while ((n = session_table_scan(table, &cursor, now_us, out, 64)) > 0) {
		for (size_t i = 0; i < n; i++)
			wrong += memcmp(&out[i], &model[number_of(&out[i])], sizeof(out[i])) != 0;
		seen += n;
	}
	for (size_t i = 0; i < MODEL_KEYS; i++)
		living += model[i].expires_us > now_us;
	return wrong + (seen != living);
}

static void behaves_like_a_map(void)
{
	struct session_table *table = session_table_new(MODEL_KEYS, hash_key);
	unsigned wrong = 0;
	uint64_t now_us = 1;
	random_state = 1;
	memset(model, 0, sizeof(model));
	for (int i = 0; i < MODEL_OPS; i++) {
		model_step(table, now_us, &wrong);
		now_us += random_next() % 3 == 0;
		if (i % 20000 == 0)
			wrong += compare_with_model(table, now_us);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(stats_of(table).evicted, 0);
	expire_all(table, now_us + 10000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 0);
	CU_ASSERT_EQUAL(stats_of(table).digest, 0);
	session_table_free(table);
}

/* ---- digest ---- */

static void equal_tables_have_equal_digests(void)
{
	static const uint64_t other_key[2] = {5, 6};
	struct session_table *a = session_table_new(10000, hash_key);
	struct session_table *b = session_table_new(10000, other_key);
	for (uint64_t i = 0; i < 5000; i++) {
		struct session session = make(i, i % 7, 100 + i);
		session_table_upsert(a, &session, 0);
	}
	for (uint64_t i = 5100; i-- > 0;) { /* another order, expiry, and detours */
		struct session session = make(i, 9, 77777);
		session_table_upsert(b, &session, 0);
		session.target_id = i % 7;
		session_table_upsert(b, &session, 0);
	}
	CU_ASSERT_NOT_EQUAL(stats_of(a).digest, stats_of(b).digest);
	for (uint64_t i = 5000; i < 5100; i++) {
		struct session session = make(i, 0, 1);
		CU_ASSERT_TRUE(session_table_delete(b, &session.key));
	}
	CU_ASSERT_EQUAL(stats_of(a).digest, stats_of(b).digest);
	CU_ASSERT_NOT_EQUAL(stats_of(a).digest, 0);

	struct session session = make(17, 17 % 7 + 1, 100);
	session_table_upsert(b, &session, 0);
	CU_ASSERT_NOT_EQUAL(stats_of(a).digest, stats_of(b).digest);
	session_table_free(a);
	session_table_free(b);
}

/* ---- limits ---- */

static void keeps_its_limit(void)
{
	static const uint64_t limits[] = {0, 1, 10, 300, 5000};
	for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
		struct session_table *table = session_table_new(limits[l], hash_key);
		uint64_t n = limits[l] * 3 + 5, most = 0;
		for (uint64_t i = 0; i < n; i++) {
			struct session session = make(i, 1, 1000 + i);
			session_table_upsert(table, &session, 0);
			uint64_t entries = stats_of(table).entries;
			most = entries > most ? entries : most;
		}
		CU_ASSERT_EQUAL(most, limits[l]);
		CU_ASSERT_EQUAL(stats_of(table).entries, limits[l]);
		CU_ASSERT_EQUAL(stats_of(table).evicted, n - limits[l]);
		session_table_free(table);
	}
}

/* Later inserts live longer; of 2 * N, at least 80 % of the survivors must be of the later half. */
static void evicts_who_would_expire_first(void)
{
	const uint64_t limit = 8192;
	struct session_table *table = session_table_new(limit, hash_key);
	for (uint64_t i = 0; i < 2 * limit; i++) {
		struct session session = make(i, 1, 1000 + i);
		session_table_upsert(table, &session, 0);
	}
	uint64_t late = 0, target;
	for (uint64_t i = limit; i < 2 * limit; i++) {
		struct session session = make(i, 1, 0);
		late += session_table_lookup(table, &session.key, 0, &target, NULL);
	}
	CU_ASSERT_TRUE(late > limit * 80 / 100);
	session_table_free(table);
}

static void count_evicted(void *arg, const struct session_key *key)
{
	uint64_t number;
	memcpy(&number, key->bytes, sizeof(number));
	*(uint64_t *)arg += number < 100;
}

/* Those that lived are told, those that had expired anyway are not. */
static void tells_who_was_evicted(void)
{
	struct session_table *table = session_table_new(100, hash_key);
	uint64_t told = 0;
	session_table_on_evicted(table, count_evicted, &told);
	for (uint64_t i = 0; i < 100; i++) {
		struct session session = make(i, 1, i < 40 ? 1000 : 2000);
		session_table_upsert(table, &session, 0);
	}
	for (uint64_t i = 100; i < 200; i++) {
		struct session session = make(i, 1, 5000);
		session_table_upsert(table, &session, 1000);
	}
	uint64_t left = 0, target;
	for (uint64_t i = 40; i < 100; i++) {
		struct session session = make(i, 1, 0);
		left += session_table_lookup(table, &session.key, 1000, &target, NULL);
	}
	CU_ASSERT(told > 30);
	CU_ASSERT_EQUAL(told + left, 60);
	CU_ASSERT_EQUAL(stats_of(table).evicted, 100);
	session_table_free(table);
}

/* ---- limits of pools ---- */

static struct session make_of(uint64_t pool_id, uint64_t number, uint64_t expires_us)
{
	struct session session = make(number, 1, expires_us);
	session.key.pool_id = pool_id;
	return session;
}

static uint64_t count_of(struct session_table *table, uint64_t pool_id)
{
	uint64_t entries = 0, evicted;
	CU_ASSERT(session_table_pool(table, pool_id, &entries, &evicted));
	return entries;
}

static uint64_t evicted_of(struct session_table *table, uint64_t pool_id)
{
	uint64_t entries, evicted = 0;
	CU_ASSERT(session_table_pool(table, pool_id, &entries, &evicted));
	return evicted;
}

/* The pool that counts by a look at everything. */
static uint64_t scan_of(struct session_table *table, uint64_t pool_id)
{
	struct session batch[64];
	uint64_t cursor = 0, found = 0;
	size_t n;
	while ((n = session_table_scan(table, &cursor, 0, batch, 64)) > 0) {
		for (size_t i = 0; i < n; i++)
			found += batch[i].key.pool_id == pool_id;
	}
	return found;
}

static void insert_of(
    struct session_table *table, uint64_t pool_id, uint64_t from, uint64_t to, uint64_t expires_us)
{
	for (uint64_t i = from; i < to; i++) {
		struct session session = make_of(pool_id, i, expires_us + i);
		session_table_upsert(table, &session, 0);
	}
}

/* Whatever the limit, fewer than there are shards or more: it is kept at each moment, the pool's own
 * make room, and others lose none. */
static void a_pool_keeps_its_limit(void)
{
	static const uint64_t limits[] = {1, 2, 100, 256, 3000};
	for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
		struct session_table *table = session_table_new(1000000, hash_key);
		const struct session_limit of[] = {{9, UINT64_MAX}, {5, limits[l]}};
		CU_ASSERT_EQUAL(session_table_limit(table, of, 2), 0);
		insert_of(table, 9, 0, 5000, 1000); /* would all expire sooner */
		insert_of(table, 7, 0, 1000, 1000); /* has no limit */
		uint64_t n = limits[l] * 2 + 7, most = 0;
		for (uint64_t i = 0; i < n; i++) {
			insert_of(table, 5, i, i + 1, 100000);
			uint64_t entries = count_of(table, 5);
			most = entries > most ? entries : most;
		}
		CU_ASSERT_EQUAL(most, limits[l]);
		CU_ASSERT_EQUAL(scan_of(table, 5), limits[l]);
		CU_ASSERT_EQUAL(evicted_of(table, 5), n - limits[l]);
		CU_ASSERT_EQUAL(count_of(table, 9), 5000);
		CU_ASSERT_EQUAL(evicted_of(table, 9), 0);
		CU_ASSERT_EQUAL(scan_of(table, 9) + scan_of(table, 7), 6000);
		CU_ASSERT_EQUAL(stats_of(table).entries, 6000 + limits[l]);
		uint64_t entries, evicted;
		CU_ASSERT_FALSE(session_table_pool(table, 7, &entries, &evicted));
		session_table_free(table);
	}
}

/* As with the whole table: of those that are left at least 80 % are of the later half. */
static void of_a_pool_goes_who_would_expire_first(void)
{
	const uint64_t limit = 8192;
	const struct session_limit of = {5, limit};
	struct session_table *table = session_table_new(1000000, hash_key);
	session_table_limit(table, &of, 1);
	insert_of(table, 9, 0, 20000, 1);
	insert_of(table, 5, 0, 2 * limit, 1000);
	uint64_t late = 0, target;
	for (uint64_t i = limit; i < 2 * limit; i++) {
		struct session session = make_of(5, i, 0);
		late += session_table_lookup(table, &session.key, 0, &target, NULL);
	}
	CU_ASSERT(late > limit * 80 / 100);
	session_table_free(table);
}

/* Also where shards have one entry or none: who has just come is never the one who goes. */
static void of_a_small_pool_the_newest_stays(void)
{
	const struct session_limit of = {5, 3};
	struct session_table *table = session_table_new(1000000, hash_key);
	session_table_limit(table, &of, 1);
	insert_of(table, 9, 0, 20000, 1);
	for (uint64_t i = 0; i < 500; i++) {
		uint64_t target;
		struct session session = make_of(5, i, 1000 + i);
		session_table_upsert(table, &session, 0);
		CU_ASSERT(session_table_lookup(table, &session.key, 0, &target, NULL));
		CU_ASSERT(count_of(table, 5) <= 3);
	}
	session_table_free(table);
}

static void limits_change(void)
{
	const struct session_limit more[] = {{5, 1000}, {6, 1000}}, less[] = {{5, 10}, {6, 1000}},
				   others[] = {{4, 7}, {5, 500}};
	struct session_table *table = session_table_new(1000000, hash_key);
	insert_of(table, 5, 0, 300, 1000);
	insert_of(table, 4, 0, 300, 1000);
	session_table_limit(table, more, 2); /* what was there before counts, too */
	CU_ASSERT_EQUAL(count_of(table, 5), 300);
	session_table_limit(table, less, 2);
	CU_ASSERT_EQUAL(count_of(table, 5), 10);
	CU_ASSERT_EQUAL(evicted_of(table, 5), 290);
	insert_of(table, 5, 1000, 1050, 1000);
	CU_ASSERT_EQUAL(count_of(table, 5), 10);
	session_table_limit(table, others, 2);
	CU_ASSERT_EQUAL(count_of(table, 4), 7);
	CU_ASSERT_EQUAL(count_of(table, 5), 10);
	CU_ASSERT_EQUAL(evicted_of(table, 5), 340); /* goes on counting */
	insert_of(table, 5, 2000, 2100, 1000);
	CU_ASSERT_EQUAL(count_of(table, 5), 110);
	CU_ASSERT_EQUAL(scan_of(table, 5), 110);
	session_table_limit(table, NULL, 0);
	insert_of(table, 5, 3000, 4000, 1000);
	CU_ASSERT_EQUAL(scan_of(table, 5), 1110);
	session_table_free(table);
}

/* Whichever way entries go, the count goes with them. */
static void shares_are_counted_right(void)
{
	const struct session_limit of = {5, 1000000};
	struct session_table *table = session_table_new(1000000, hash_key);
	session_table_limit(table, &of, 1);
	insert_of(table, 5, 0, 1000, 1000);
	insert_of(table, 5, 0, 1000, 2000); /* the same ones */
	CU_ASSERT_EQUAL(count_of(table, 5), 1000);
	for (uint64_t i = 0; i < 100; i++) {
		struct session session = make_of(5, i, 0);
		session_table_delete(table, &session.key);
		session_table_delete(table, &session.key);
	}
	CU_ASSERT_EQUAL(count_of(table, 5), 900);
	session_table_expire_all(table, 2000 + 499);
	CU_ASSERT_EQUAL(count_of(table, 5), 500);
	session_table_resize(table, 300);
	CU_ASSERT_EQUAL(count_of(table, 5), 300);
	CU_ASSERT_EQUAL(scan_of(table, 5), 300);
	uint64_t cursor = 0;
	while (cursor != SESSION_CURSOR_END)
		session_table_sweep(table, &cursor, 64, 7, NULL);
	CU_ASSERT_EQUAL(count_of(table, 5), 0);
	session_table_free(table);
}

static void resizes_down_and_up(void)
{
	struct session_table *table = session_table_new(2000, hash_key);
	for (uint64_t i = 0; i < 2000; i++) {
		struct session session = make(i, 1, 1000 + i);
		session_table_upsert(table, &session, 0);
	}
	CU_ASSERT_EQUAL(session_table_resize(table, 100), 0);
	CU_ASSERT_EQUAL(stats_of(table).entries, 100);
	CU_ASSERT_EQUAL(stats_of(table).max_entries, 100);
	CU_ASSERT_EQUAL(session_table_resize(table, 150), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		struct session session = make(i, 1, 5000);
		session_table_upsert(table, &session, 0);
	}
	CU_ASSERT_EQUAL(stats_of(table).entries, 150);
	session_table_free(table);
}

static void sweeps_only_what_expired(void)
{
	struct session_table *table = session_table_new(100000, hash_key);
	for (uint64_t i = 0; i < 50000; i++) {
		struct session session = make(i, 1, i % 2 ? 1000 : 2000);
		session_table_upsert(table, &session, 0);
	}
	expire_all(table, 999);
	CU_ASSERT_EQUAL(stats_of(table).entries, 50000);
	expire_all(table, 1000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 25000);
	CU_ASSERT_EQUAL(stats_of(table).expired, 25000);
	uint64_t target, found = 0;
	for (uint64_t i = 0; i < 50000; i++) {
		struct session session = make(i, 1, 0);
		found += session_table_lookup(table, &session.key, 1000, &target, NULL);
	}
	CU_ASSERT_EQUAL(found, 25000);
	session_table_free(table);
}

static void memory_follows_the_entries(void)
{
	enum { N = 200000 };
	struct session_table *table = session_table_new(10000000, hash_key);
	CU_ASSERT_TRUE(stats_of(table).bytes < 100000); /* nothing for what may come */
	for (uint64_t i = 0; i < N; i++) {
		struct session session = make(i, 1, i < N - 1000 ? 1000 : 2000);
		session_table_upsert(table, &session, 0);
	}
	double each = (double)stats_of(table).bytes / N;
	CU_ASSERT_TRUE(each > 48 && each < 86);
	uint64_t target, found = 0;
	expire_all(table, 1000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 1000);
	CU_ASSERT_TRUE(stats_of(table).bytes < 1000000);
	for (uint64_t i = 0; i < N; i++) {
		struct session session = make(i, 1, 0);
		found += session_table_lookup(table, &session.key, 1000, &target, NULL);
	}
	CU_ASSERT_EQUAL(found, 1000);
	session_table_free(table);
}

/* ---- scan ---- */

static void scan_skips_the_expired(void)
{
	struct session_table *table = session_table_new(1000, hash_key);
	for (uint64_t i = 0; i < 500; i++) {
		struct session session = make(i, 1, i < 100 ? 1000 : 2000);
		session_table_upsert(table, &session, 0);
	}
	struct session out[7];
	uint64_t cursor = 0;
	size_t n, seen = 0;
	while ((n = session_table_scan(table, &cursor, 1500, out, 7)) > 0)
		seen += n;
	CU_ASSERT_EQUAL(seen, 400);
	CU_ASSERT_EQUAL(session_table_scan(table, &cursor, 1500, out, 7), 0);
	session_table_free(table);
}

/* While the table is scanned in small steps, others come (so that shards grow) and go (so that
 * entries shift); those that stay must all be seen. */
static void scan_misses_nobody(void)
{
	enum { STAY = 4000, MOVE = 20000 };
	static bool seen[STAY];
	struct session_table *table = session_table_new(100000, hash_key);
	for (uint64_t i = 0; i < STAY; i++) {
		struct session session = make(i, 1, 1000);
		session_table_upsert(table, &session, 0);
	}
	memset(seen, 0, sizeof(seen));
	struct session out[3];
	uint64_t cursor = 0, next = 0;
	size_t n;
	while ((n = session_table_scan(table, &cursor, 0, out, 3)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (number_of(&out[i]) < STAY)
				seen[number_of(&out[i])] = true;
		}
		for (int k = 0; k < 12; k++, next++) {
			struct session come = make(STAY + next % MOVE, 2, 1000);
			struct session go = make(STAY + (next + MOVE / 2) % MOVE, 2, 1000);
			session_table_upsert(table, &come, 0);
			session_table_delete(table, &go.key);
		}
	}
	size_t missed = 0;
	for (size_t i = 0; i < STAY; i++)
		missed += !seen[i];
	CU_ASSERT_EQUAL(missed, 0);
	CU_ASSERT_TRUE(next > 10000);
	session_table_free(table);
}

/* ---- replacing ---- */

static unsigned bucket_of(uint64_t number)
{
	struct session session = make(number, 0, 0);
	return session_bucket(&session.key);
}

static size_t sweep_all(struct session_table *table, uint16_t mark, const bool *buckets)
{
	uint64_t cursor = 0;
	size_t removed = 0;
	while (cursor != SESSION_CURSOR_END)
		removed += session_table_sweep(table, &cursor, 100, mark, buckets);
	return removed;
}

/* The old ones are 0..2999, the replacement is 2000..4999 with another target. */
static struct session_table *half_replaced(uint16_t *mark)
{
	static struct session news[3000];
	struct session_table *table = session_table_new(10000, hash_key);
	for (uint64_t i = 0; i < 3000; i++) {
		struct session session = make(i, 1, 1000);
		session_table_upsert(table, &session, 0);
		news[i] = make(2000 + i, 2, 1000);
	}
	*mark = session_table_mark(table);
	session_table_put(table, news, 3000, *mark, 0);
	return table;
}

static void replaces_what_was_there(void)
{
	uint16_t mark;
	struct session_table *table = half_replaced(&mark);
	struct session touched = make(2500, 3, 2000), local = make(7000, 4, 2000);
	session_table_upsert(table, &touched, 0); /* keeps its mark */
	session_table_upsert(table, &local, 0);   /* has none */
	CU_ASSERT_EQUAL(sweep_all(table, mark, NULL), 2001);
	CU_ASSERT_EQUAL(stats_of(table).entries, 3000);
	for (uint64_t i = 2000; i < 5000; i++) {
		struct session session = make(i, 0, 0);
		uint64_t target = 0;
		CU_ASSERT(session_table_lookup(table, &session.key, 0, &target, NULL));
		CU_ASSERT_EQUAL(target, i == 2500 ? 3 : 2);
	}
	/* The next replacement knows nothing of this one. */
	CU_ASSERT_EQUAL(sweep_all(table, session_table_mark(table), NULL), 3000);
	CU_ASSERT_EQUAL(stats_of(table).digest, 0);
	session_table_free(table);
}

static void replaces_some_buckets(void)
{
	bool buckets[SESSION_BUCKETS] = {false};
	uint16_t mark;
	struct session_table *table = half_replaced(&mark);
	for (unsigned i = 0; i < SESSION_BUCKETS; i += 3)
		buckets[i] = true;
	size_t gone = 0;
	for (uint64_t i = 0; i < 2000; i++)
		gone += buckets[bucket_of(i)];
	CU_ASSERT(gone > 500 && gone < 800);
	CU_ASSERT_EQUAL(sweep_all(table, mark, buckets), gone);
	CU_ASSERT_EQUAL(stats_of(table).entries, 5000 - gone);
	session_table_free(table);
}

static void every_mark_is_another(void)
{
	struct session_table *table = session_table_new(10, hash_key);
	static bool seen[65536];
	unsigned again = 0;
	for (unsigned i = 0; i < 65535; i++) {
		uint16_t mark = session_table_mark(table);
		again += seen[mark];
		seen[mark] = true;
	}
	CU_ASSERT_EQUAL(again, 0);
	CU_ASSERT_FALSE(seen[0]);
	CU_ASSERT_NOT_EQUAL(session_table_mark(table), 0);
	session_table_free(table);
}

/* Full, or of sessions that have expired: what cannot be stored harms nobody. */
static void who_claims_first_decides(void)
{
	struct session_table *table = session_table_new(50, hash_key);
	struct session first = make(1, 7, 1000), second = make(1, 8, 2000);
	CU_ASSERT_TRUE(session_table_claim(table, &first, 0));
	CU_ASSERT_FALSE(session_table_claim(table, &second, 500));
	CU_ASSERT(second.target_id == 7 && second.expires_us == 1000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 1);
	second = make(1, 8, 2000);
	CU_ASSERT_TRUE(session_table_claim(table, &second, 1000)); /* the first has expired */
	CU_ASSERT_EQUAL(second.target_id, 8);
	CU_ASSERT_EQUAL(stats_of(table).inserts, 2);
	session_table_free(table);
}

/* The peer, whose sessions are put, keeps the limits; they are doubled here. Afterwards they are kept here,
 * and what has expired goes first. */
static void what_is_put_makes_room_late(void)
{
	struct session_table *table = session_table_new(50, hash_key);
	const struct session_limit limit = {7, 40};
	struct session news[200];
	uint64_t target;
	for (uint64_t i = 0; i < 200; i++) {
		news[i] = make(i, 1, i < 20 ? 1000 : i < 70 ? 2000 : 3000);
		news[i].key.pool_id = limit.pool_id;
	}
	session_table_put(table, news, 120, session_table_mark(table), 1000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 100);
	CU_ASSERT_EQUAL(stats_of(table).inserts, 100); /* 20 had expired */
	CU_ASSERT_EQUAL(stats_of(table).evicted, 0);
	session_table_put(table, news + 120, 80, session_table_mark(table), 1000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 101);
	CU_ASSERT_EQUAL(stats_of(table).evicted, 79);
	for (uint64_t i = 0; i < 200; i++)
		session_table_delete(table, &news[i].key);

	session_table_put(table, news + 20, 90, session_table_mark(table), 1000);
	session_table_trim(table, false, 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 40);
	for (uint64_t i = 70; i < 110; i++) /* those that had not expired */
		CU_ASSERT(session_table_lookup(table, &news[i].key, 2000, &target, NULL));
	CU_ASSERT_EQUAL(session_table_limit(table, &limit, 1), 0);
	session_table_put(table, news + 110, 50, session_table_mark(table), 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 81);
	session_table_trim(table, true, 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 81);
	session_table_trim(table, false, 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 40);
	CU_ASSERT_EQUAL(evicted_of(table, limit.pool_id), 9 + 41);

	CU_ASSERT_EQUAL(session_table_limit(table, NULL, 0), 0);
	session_table_resize(table, 100);
	session_table_put(table, news, 200, session_table_mark(table), 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 130); /* the others had expired */
	session_table_trim(table, true, 2000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 130);
	session_table_put(table, news, 70, session_table_mark(table), 500);
	session_table_trim(table, true, 500);
	CU_ASSERT_EQUAL(stats_of(table).entries, 100);
	session_table_free(table);
}

static void digests_tell_where_tables_differ(void)
{
	static uint64_t a[SESSION_BUCKETS], b[SESSION_BUCKETS];
	static const uint64_t other_key[2] = {5, 6};
	struct session_table *one = session_table_new(10000, hash_key);
	struct session_table *two = session_table_new(10000, other_key);
	for (uint64_t i = 0; i < 5000; i++) {
		struct session session = make(i, 1, 1000 + i);
		session_table_upsert(one, &session, 0);
		session.target_id += i == 1234;
		if (i != 4321)
			session_table_upsert(two, &session, 0);
	}
	session_table_digests(one, a);
	session_table_digests(two, b);
	unsigned differ = 0;
	for (unsigned i = 0; i < SESSION_BUCKETS; i++)
		differ += a[i] != b[i];
	CU_ASSERT_EQUAL(differ, 2);
	unsigned first = bucket_of(1234);
	unsigned second = bucket_of(4321);
	CU_ASSERT_NOT_EQUAL(a[first], b[first]);
	CU_ASSERT_NOT_EQUAL(a[second], b[second]);
	session_table_free(one);
	session_table_free(two);
}

/* Shards that have nothing to expire are not looked at; so a shorter life must be noticed however
 * it comes, also after a sweep. */
static void expires_whatever_came_how(void)
{
	struct session_table *table = session_table_new(10000, hash_key);
	for (uint64_t i = 0; i < 1000; i++) {
		struct session session = make(i, 1, 5000);
		session_table_upsert(table, &session, 0);
	}
	session_table_expire_all(table, 1000);
	struct session shorter = make(17, 1, 2000), fresh = make(2000, 1, 3000),
		       changed = make(18, 2, 4000), far = make(3000, 1, UINT64_MAX);
	session_table_upsert(table, &shorter, 1000);
	session_table_put(table, &fresh, 1, 0, 1000);
	session_table_upsert(table, &changed, 1000);
	session_table_upsert(table, &far, 1000);
	session_table_expire_all(table, 2000);
	CU_ASSERT_EQUAL(stats_of(table).expired, 1);
	session_table_expire_all(table, 3999);
	CU_ASSERT_EQUAL(stats_of(table).expired, 2);
	session_table_expire_all(table, 4000);
	CU_ASSERT_EQUAL(stats_of(table).expired, 3);
	session_table_expire_all(table, 5000);
	CU_ASSERT_EQUAL(stats_of(table).entries, 1);
	session_table_free(table);
}

/* ---- threads ---- */

#define THREADS      4
#define THREAD_OPS   40000
#define THREAD_LIMIT 3000

struct worker {
	struct session_table *table;
	uint64_t number;
	unsigned wrong;
};

/* Now with other limits, now of other pools. */
static void limit_some(struct session_table *table, uint64_t turn)
{
	const struct session_limit of[] = {{7, 300 + turn % 100}, {8 + turn / 2 % 2, 700}};
	CU_ASSERT_EQUAL(session_table_limit(table, of, 2), 0);
}

/* Each thread owns the keys with its number and must find exactly what it put there (or nothing,
 * since entries are evicted); all share the shards. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	struct session out[32];
	uint64_t state = worker->number, cursor = 0, target;
	for (uint64_t i = 0; i < THREAD_OPS; i++) {
		state = hash_mix(state + i);
		uint64_t key = (state % 2000) * THREADS + worker->number;
		if (worker->number == 0 && i % 200 == 0)
			limit_some(worker->table, i / 200);
		struct session session = make(key, key * 3, 1 + i + state % 1000);
		switch (state >> 60) {
		case 0: session_table_delete(worker->table, &session.key); break;
		case 1: session_table_expire(worker->table, i); break;
		case 2: session_table_scan(worker->table, &cursor, i, out, 32); break;
		case 3: session_table_resize(worker->table, THREAD_LIMIT - i % 100); break;
		case 8: session_table_put(worker->table, &session, 1, (uint16_t)i, i); break;
		case 9:
			if (i % 64 == 0)
				session_table_sweep(worker->table, &cursor, 50, (uint16_t)i, NULL);
			break;
		case 4:
		case 5:
		case 6:
		case 7:
			if (session_table_lookup(worker->table, &session.key, i, &target, NULL))
				worker->wrong += target != key * 3;
			break;
		default: session_table_upsert(worker->table, &session, i);
		}
	}
	return NULL;
}

static void works_with_many_threads(void)
{
	struct session_table *table = session_table_new(THREAD_LIMIT, hash_key);
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.table = table, .number = i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(workers[i].wrong, 0);
	}
	struct session_stats stats = stats_of(table);
	CU_ASSERT_TRUE(stats.entries > 0 && stats.entries <= THREAD_LIMIT);
	limit_some(table, 0);
	CU_ASSERT_TRUE(count_of(table, 7) > 0 && count_of(table, 7) <= 300);
	CU_ASSERT_EQUAL(count_of(table, 7), scan_of(table, 7));
	CU_ASSERT_EQUAL(count_of(table, 8), scan_of(table, 8));
	expire_all(table, UINT64_MAX - 1);
	CU_ASSERT_EQUAL(stats_of(table).entries, 0);
	CU_ASSERT_EQUAL(stats_of(table).digest, 0);
	CU_ASSERT_EQUAL(count_of(table, 7) + count_of(table, 8), 0);
	session_table_free(table);
}

UNIT_MAIN("session/table", UNIT(inserts_and_finds), UNIT(does_not_store_what_has_expired),
    UNIT(behaves_like_a_map), UNIT(equal_tables_have_equal_digests), UNIT(keeps_its_limit),
    UNIT(evicts_who_would_expire_first), UNIT(tells_who_was_evicted), UNIT(a_pool_keeps_its_limit),
    UNIT(of_a_pool_goes_who_would_expire_first), UNIT(of_a_small_pool_the_newest_stays),
    UNIT(limits_change), UNIT(shares_are_counted_right), UNIT(resizes_down_and_up),
    UNIT(sweeps_only_what_expired), UNIT(memory_follows_the_entries), UNIT(scan_skips_the_expired),
    UNIT(scan_misses_nobody), UNIT(replaces_what_was_there), UNIT(replaces_some_buckets),
    UNIT(every_mark_is_another), UNIT(who_claims_first_decides), UNIT(what_is_put_makes_room_late),
    UNIT(digests_tell_where_tables_differ), UNIT(expires_whatever_came_how),
    UNIT(works_with_many_threads))
