#include "daemon/proxy/choose.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/proxy/hash_on.h"
#include "daemon/proxy/fields.h"
#include "daemon/session/cookie.h"
#include "daemon/session/set_cookie.h"
#include "daemon/session/table.h"

static const struct conf_pool *pool_conf(const struct worker_gen *gen, uint32_t pool)
{
	return &gen->conf->pools[pool];
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

static bool look_up(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const uint8_t bytes[16], struct choice *choice)
{
	struct session_key key = {.pool_id = gen->fleet->pools[pool].id};
	memcpy(key.bytes, bytes, sizeof(key.bytes));
	return session_table_lookup(
	    worker->shared->sessions, &key, worker->now_us, &choice->bound_id, &choice->expires_us);
}

static bool find_source(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, struct choice *choice)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	addr_key(peer, sticky->prefix4, sticky->prefix6, choice->key);
	choice->has_key = true;
	return look_up(worker, gen, pool, choice->key, choice);
}

/* While the key of the pair is changed, a session may still be known by the second one only. It is
 * written anew then. */
static bool find_value(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    struct slice value, struct choice *choice)
{
	const struct keys *keys = &gen->value_keys;
	uint8_t stale[16];
	hash_keyed128(keys->of[0], value.p, value.len, choice->key);
	choice->has_key = true;
	if (look_up(worker, gen, pool, choice->key, choice))
		return true;
	if (keys->n < 2)
		return false;
	hash_keyed128(keys->of[1], value.p, value.len, stale);
	if (!look_up(worker, gen, pool, stale, choice))
		return false;
	choice->expires_us = 0;
	COUNT(worker, sticky_stale);
	return true;
}

static bool is_named(const struct h1_field *field, const char *name)
{
	return slice_equal_nocase(field->name, (struct slice){name, strlen(name)});
}

static bool find_app_cookie(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct h1_head *head, struct choice *choice)
{
	struct slice value;
	return fields_cookie(head, pool_conf(gen, pool)->sticky.cookie_name, &value) &&
	       !cookie_is_empty(value) && find_value(worker, gen, pool, value, choice);
}

/* Where responses begin sessions, a value that nobody knows begins none. */
static bool find_header(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct h1_head *head, struct choice *choice)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice value = head->fields[i].value;
		if (value.len == 0 || !is_named(&head->fields[i], sticky->header_name))
			continue;
		bool found = find_value(worker, gen, pool, value, choice);
		choice->has_key = found || !sticky->response_name;
		return found;
	}
	return false;
}

static bool read_binding(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, const struct h1_head *head, struct choice *choice)
{
	enum conf_sticky_kind kind = pool_conf(gen, pool)->sticky.kind;
	if (kind == CONF_STICKY_SOURCE)
		return find_source(worker, gen, pool, peer, choice);
	if (!head)
		return false;
	switch (kind) {
	case CONF_STICKY_COOKIE: return read_cookie(worker, gen, pool, head, choice);
	case CONF_STICKY_APP_COOKIE: return find_app_cookie(worker, gen, pool, head, choice);
	case CONF_STICKY_HEADER: return find_header(worker, gen, pool, head, choice);
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
	if (gen->fleet->pools[pool].algorithm == BALANCE_MAGLEV)
		choice->hash = hash_on(&pool_conf(gen, pool)->hash_on, peer, head);
}

/* Another worker may take the last place just then. */
static struct target *pick(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct choice *choice, struct target *const *tried, size_t n_tried)
{
	struct pick pick = {
	    .hash = choice->hash, .tried = tried, .n_tried = n_tried, .now_us = worker->now_us};
	struct target *target;
	do {
		target = picker_pick(gen->pickers[pool], &pick);
	} while (target && !target_enter(target));
	choice->full = !target && pick.full;
	return target;
}

bool choose_enter(struct choice *choice, struct target *target)
{
	choice->full = !target_enter(target);
	choice->wants = choice->full ? target : NULL;
	return !choice->full;
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
				return choose_enter(choice, target) ? target : NULL;
			}
			choice->sticky = ACCESS_STICKY_MOVED;
			COUNT(worker, sticky_moved);
			if (choice->locked)
				return NULL;
		} else if (choice->has_key || sticky->kind == CONF_STICKY_COOKIE) {
			choice->sticky = ACCESS_STICKY_NEW;
			COUNT(worker, sticky_misses);
		}
	}
	return pick(worker, gen, pool, choice, NULL, 0);
}

struct target *choose_again(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct choice *choice, struct target *const *tried, size_t n_tried)
{
	choice->full = false;
	choice->wants = NULL;
	if (choice->locked)
		return NULL;
	return pick(worker, gen, pool, choice, tried, n_tried);
}

struct target *choose_waiting(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct choice *choice, struct target *const *tried, size_t n_tried)
{
	if (choice->wants) {
		struct target *target = picker_find(gen->pickers[pool], choice->wants->id);
		if (target)
			return choose_enter(choice, target) ? target : NULL;
		choice->sticky = ACCESS_STICKY_MOVED;
		COUNT(worker, sticky_moved);
	}
	return choose_again(worker, gen, pool, choice, tried, n_tried);
}

static uint64_t append(
    struct journal *journal, enum record_kind kind, const struct session *session)
{
	struct record record = {.kind = kind};
	record.session.pool_id = session->key.pool_id;
	memcpy(record.session.key, session->key.bytes, sizeof(record.session.key));
	record.session.target_id = session->target_id;
	record.session.expires_us = session->expires_us;
	return journal_append(journal, &record);
}

/* The peer learns the session; the response waits until it has, if it is to. */
static void tell_peer(struct worker *worker, const struct conf *conf, const struct session *session,
    bool news, struct ack_wait *wait)
{
	struct journal *journal = worker->shared->journal;
	if (!journal)
		return;
	uint64_t sequence = append(journal, RECORD_SESSION, session);
	if (!news)
		return;
	if (ack_must_wait(worker, conf, wait))
		ack_begin(worker, conf, wait, sequence);
	else if (!journal_protected(journal))
		COUNT(worker, unprotected_sessions);
}

/* Another request has just made this session and may still wait for the peer. So does who follows
 * it, by a record of its own, as it cannot know the number of the other. (One of the future: made
 * by a worker whose clock is a bit ahead, or when sessions lived longer.) */
static bool must_follow(const struct worker *worker, const struct conf *conf,
    const struct conf_sticky *sticky, const struct choice *choice, const struct ack_wait *wait)
{
	uint64_t fresh_us = worker->now_us + sticky->ttl_us;
	uint64_t patience_us = conf->sync.ack_timeout_us;
	return choice->expires_us + patience_us > fresh_us &&
	       choice->expires_us < fresh_us + patience_us && ack_must_wait(worker, conf, wait);
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

static struct session session_of(const struct worker_gen *gen, uint32_t pool, const uint8_t key[16],
    const struct target *target, uint64_t expires_us)
{
	struct session session = {.key.pool_id = gen->fleet->pools[pool].id,
	    .target_id = target->id,
	    .expires_us = expires_us};
	memcpy(session.key.bytes, key, sizeof(session.key.bytes));
	return session;
}

struct target *choose_commit(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct target *target, struct choice *choice, struct ack_wait *wait)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	if (!choice->has_key)
		return target;
	uint64_t now_us = worker->now_us;
	/* A session that goes on is written again only when half of its life is over. */
	bool is_bound = choice->bound_id == target->id;
	bool goes_on = is_bound && choice->expires_us > now_us + sticky->ttl_us / 2;
	if (goes_on && !must_follow(worker, gen->conf, sticky, choice, wait))
		return target;
	struct session session = session_of(
	    gen, pool, choice->key, target, goes_on ? choice->expires_us : now_us + sticky->ttl_us);
	bool news = goes_on || !is_bound;
	if (choice->bound_id == 0)
		target = claim(worker, gen, pool, target, &session);
	else if (!goes_on)
		news |= session_table_upsert(worker->shared->sessions, &session, now_us);
	choice->bound_id = target->id;
	choice->expires_us = session.expires_us;
	tell_peer(worker, gen->conf, &session, news, wait);
	return target;
}

/* From now on requests with this value belong to `target`, whatever was before: it has said so. The
 * value that the request has brought was written down already, for the same target. */
static void learn_value(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct target *target, struct slice value, struct choice *choice, struct ack_wait *wait)
{
	uint8_t key[16];
	hash_keyed128(gen->value_keys.of[0], value.p, value.len, key);
	if (choice->has_key && memcmp(key, choice->key, sizeof(key)) == 0)
		return;
	struct session session = session_of(
	    gen, pool, key, target, worker->now_us + pool_conf(gen, pool)->sticky.ttl_us);
	session_table_upsert(worker->shared->sessions, &session, worker->now_us);
	tell_peer(worker, gen->conf, &session, true, wait);
	COUNT(worker, sticky_learned);
	if (choice->sticky == ACCESS_STICKY_NONE)
		choice->sticky = ACCESS_STICKY_NEW;
}

/* The session of the request is over. */
static void forget(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct target *target, const struct choice *choice)
{
	if (!choice->has_key)
		return;
	struct session session = session_of(gen, pool, choice->key, target, 0);
	if (!session_table_delete(worker->shared->sessions, &session.key))
		return;
	if (worker->shared->journal)
		append(worker->shared->journal, RECORD_SESSION_DELETE, &session);
	COUNT(worker, sticky_ended);
}

/* Where one field deletes the cookie and another one sets it (for different paths, say), the client
 * has one afterwards, and its session goes on. */
static void learn_cookies(struct worker *worker, const struct worker_gen *gen, uint32_t pool,
    const struct target *target, const struct h1_head *head, struct choice *choice,
    struct ack_wait *wait)
{
	const char *name = pool_conf(gen, pool)->sticky.cookie_name;
	bool set = false, deleted = false;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct h1_field *field = &head->fields[i];
		struct slice value;
		if (field->id != H1_FIELD_SET_COOKIE || field->hop)
			continue;
		switch (set_cookie_read(field->value, name, clock_wall_sec(), &value)) {
		case SET_COOKIE_SET:
			learn_value(worker, gen, pool, target, value, choice, wait);
			set = true;
			break;
		case SET_COOKIE_DELETED: deleted = true; break;
		case SET_COOKIE_OTHER: break;
		}
	}
	if (deleted && !set)
		forget(worker, gen, pool, target, choice);
}

void choose_learn(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct target *target, const struct h1_head *head, struct choice *choice,
    struct ack_wait *wait)
{
	const struct conf_sticky *sticky = &pool_conf(gen, pool)->sticky;
	if (sticky->kind == CONF_STICKY_APP_COOKIE) {
		learn_cookies(worker, gen, pool, target, head, choice, wait);
		return;
	}
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct h1_field *field = &head->fields[i];
		if (field->value.len > 0 && is_named(field, sticky->response_name)) {
			learn_value(worker, gen, pool, target, field->value, choice, wait);
			return;
		}
	}
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
