#include "daemon/proxy/choose.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/session/cookie.h"
#include "daemon/session/table.h"

static const struct conf_pool *pool_conf(const struct worker_gen *gen, uint32_t pool)
{
	return &gen->conf->pools[pool];
}

static uint64_t source_hash(const struct worker_gen *gen, uint32_t pool, const struct addr *peer)
{
	if (gen->fleet->pools[pool].algorithm != BALANCE_SOURCE_HASH)
		return 0;
	uint8_t key[16];
	addr_key(peer, 32, 128, key);
	return hash_id(key, sizeof(key));
}

/* The payload of our cookie, if the request carries one that is ours, of this pool, and fresh. */
static bool read_cookie(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct h1_head *head, struct choice *choice)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice value;
		if (head->fields[i].id != H1_FIELD_COOKIE ||
		    !cookie_find(head->fields[i].value, sticky->cookie_name, &value))
			continue;
		uint8_t plain[SEAL_PLAIN_MAX];
		struct cookie_payload payload;
		bool stale;
		if (seal_decrypt(gen->seal, value.p, value.len, plain, &stale) !=
		    COOKIE_PAYLOAD_LEN)
			return false;
		cookie_payload_unpack(plain, &payload);
		if (payload.pool_id != gen->fleet->pools[pool].id)
			return false;
		enum cookie_age age =
		    cookie_age(payload.issued_sec, clock_wall_sec(), sticky->ttl_us / US_PER_SEC);
		if (age == COOKIE_EXPIRED)
			return false;
		if (stale)
			COUNT(worker, sticky_stale);
		choice->renew = stale || age == COOKIE_RENEW;
		choice->bound_id = payload.target_id;
		return true;
	}
	return false;
}

static void session_key(
    const struct worker_gen *gen, uint32_t pool, const struct addr *peer, struct session_key *key)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	key->pool_id = gen->fleet->pools[pool].id;
	addr_key(peer, sticky->prefix4, sticky->prefix6, key->bytes);
}

static bool read_session(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, struct choice *choice)
{
	struct session_key key;
	session_key(gen, pool, peer, &key);
	return session_table_lookup(
	    worker->shared->sessions, &key, worker->now_us, &choice->bound_id, &choice->expires_us);
}

static bool read_binding(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, const struct h1_head *head, struct choice *choice)
{
	switch (pool_conf(gen, pool)->sticky.kind) {
	case CONF_STICKY_COOKIE: return head && read_cookie(worker, gen, pool, head, choice);
	case CONF_STICKY_SOURCE: return read_session(worker, gen, pool, peer, choice);
	default: return false;
	}
}

uint32_t choose_pool(struct worker *worker, struct worker_gen *gen,
    const struct route_share *shares, uint32_t n, const struct addr *peer,
    const struct h1_head *head)
{
	for (uint32_t i = 0; i < n; i++) {
		struct choice choice = {0};
		uint32_t pool = shares[i].pool;
		if (read_binding(worker, gen, pool, peer, head, &choice) &&
		    picker_find(gen->pickers[pool], choice.bound_id))
			return pool;
	}
	return CONF_NONE;
}

void choose_read(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, const struct h1_head *head, struct choice *choice)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	if (sticky->kind != CONF_STICKY_NONE &&
	    !read_binding(worker, gen, pool, peer, head, choice))
		choice->bound_id = 0;
	choice->hash = source_hash(gen, pool, peer);
}

static struct target *pick(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct choice *choice, struct target *const *tried, size_t n_tried)
{
	struct pick pick = {
	    .hash = choice->hash, .tried = tried, .n_tried = n_tried, .now_us = worker->now_us};
	return picker_pick(gen->pickers[pool], &pick);
}

struct target *choose_first(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct choice *choice)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	struct picker *picker = gen->pickers[pool];
	if (sticky->kind != CONF_STICKY_NONE) {
		if (choice->bound_id != 0) {
			struct target *target = picker_find(picker, choice->bound_id);
			choice->locked = sticky->fail_when_down;
			if (target) {
				choice->sticky = ACCESS_STICKY_HIT;
				COUNT(worker, sticky_hits);
				return target;
			}
			choice->sticky = ACCESS_STICKY_MOVED;
			COUNT(worker, sticky_moved);
			if (choice->locked)
				return NULL;
		} else {
			choice->sticky = ACCESS_STICKY_NEW;
			COUNT(worker, sticky_misses);
		}
	}
	return pick(worker, gen, pool, choice, NULL, 0);
}

struct target *choose_again(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct choice *choice, struct target *const *tried, size_t n_tried)
{
	if (choice->locked)
		return NULL;
	return pick(worker, gen, pool, choice, tried, n_tried);
}

static bool must_wait(const struct worker *worker, const struct conf_sync *sync)
{
	struct journal *journal = worker->shared->journal;
	return journal && sync->sessions == CONF_SYNC_ACKED && journal_protected(journal);
}

/* The peer learns the session; the response waits until it has, if it is to. */
static void tell_peer(struct worker *worker, const struct conf_sync *sync,
    const struct session *session, bool news, struct ack_wait *wait)
{
	struct journal *journal = worker->shared->journal;
	if (!journal)
		return;
	struct record record = {.kind = RECORD_SESSION};
	record.session.pool_id = session->key.pool_id;
	memcpy(record.session.key, session->key.bytes, sizeof(record.session.key));
	record.session.target_id = session->target_id;
	record.session.expires_us = session->expires_us;
	uint64_t sequence = journal_append(journal, &record);
	if (!news)
		return;
	if (must_wait(worker, sync)) {
		wait->sequence = sequence;
		wait->deadline_us = worker->now_us + sync->ack_timeout_us;
	} else if (!journal_protected(journal)) {
		COUNT(worker, unprotected_sessions);
	}
}

/* Another request has just made this session and may still wait for the peer. So does who follows
 * it, by a record of its own, as it cannot know the number of the other. (One of the future: made
 * by a worker whose clock is a bit ahead, or when sessions lived longer.) */
static bool must_follow(const struct worker *worker, const struct conf_sync *sync,
    const struct conf_sticky *sticky, const struct choice *choice)
{
	uint64_t fresh_us = worker->now_us + sticky->ttl_us, patience_us = sync->ack_timeout_us;
	return choice->expires_us + patience_us > fresh_us &&
	       choice->expires_us < fresh_us + patience_us && must_wait(worker, sync);
}

/* The client's first requests come at the same moment, also to several workers: who is first
 * decides for all. */
static struct target *claim(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct target *target, struct session *session)
{
	struct session ours = *session;
	if (session_table_claim(worker->shared->sessions, session, worker->now_us))
		return target;
	struct target *theirs = picker_find(gen->pickers[pool], session->target_id);
	if (theirs)
		return theirs;
	*session = ours;
	session_table_upsert(worker->shared->sessions, session, worker->now_us);
	return target;
}

struct target *choose_commit(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, struct target *target, struct choice *choice, struct ack_wait *wait)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	const struct conf_sync *sync = &gen->conf->sync;
	if (sticky->kind != CONF_STICKY_SOURCE)
		return target;
	uint64_t now_us = worker->now_us;
	/* A session that goes on is written again only when half of its life is over. */
	bool is_bound = choice->bound_id == target->id;
	bool goes_on = is_bound && choice->expires_us > now_us + sticky->ttl_us / 2;
	if (goes_on && !must_follow(worker, sync, sticky, choice))
		return target;
	struct session session = {.target_id = target->id,
	    .expires_us = goes_on ? choice->expires_us : now_us + sticky->ttl_us};
	session_key(gen, pool, peer, &session.key);
	bool news = goes_on || !is_bound;
	if (choice->bound_id == 0)
		target = claim(worker, gen, pool, target, &session);
	else if (!goes_on)
		news |= session_table_upsert(worker->shared->sessions, &session, now_us);
	choice->bound_id = target->id;
	choice->expires_us = session.expires_us;
	tell_peer(worker, sync, &session, news, wait);
	return target;
}

size_t choose_set_cookie(struct worker_gen *gen, uint32_t pool, const struct target *target,
    const struct choice *choice, char *line, size_t size)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	if (sticky->kind != CONF_STICKY_COOKIE)
		return 0;
	if (choice->bound_id == target->id && !choice->renew)
		return 0;
	struct cookie_payload payload = {
	    .pool_id = gen->fleet->pools[pool].id,
	    .target_id = target->id,
	    .issued_sec = (uint32_t)clock_wall_sec(),
	};
	uint8_t plain[COOKIE_PAYLOAD_LEN];
	char text[SEAL_TEXT_MAX];
	cookie_payload_pack(&payload, plain);
	struct slice value = {text, seal_encrypt(gen->seal, plain, sizeof(plain), text)};
	if (value.len == 0)
		return 0;
	return cookie_format(line, size, sticky->cookie_name, value, false);
}
