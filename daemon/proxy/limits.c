#include "daemon/proxy/limits.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/text.h"
#include "daemon/proxy/fields.h"
#include "daemon/proxy/http.h"
#include "daemon/route/path.h"
#include "daemon/tls/derive.h"

#define NS_PER_US  1000U
#define NS_PER_SEC 1000000000U
#define HOST_MAX   256U
#define HASH_LABEL "yoke rate limit key"

/* Both nodes of a pair derive the same. */
struct secret {
	uint64_t hash_key[2];
	uint64_t name; /* what else is derived, so that they can compare */
};

/* Of all configurations with as many keys and the same secret. The control thread counts who uses
 * it. */
struct memory {
	struct limit_table *table;
	struct secret secret;
	uint32_t refs;
};

struct rate {
	struct gcra gcra;
	uint64_t id; /* even; the same after a reload, and on the peer */
	const struct limit_spec *spec;
	const char *listener, *route; /* labels; route NULL: of the listener */
	uint32_t index;               /* in their list */
	/* A line of their own, as workers write here. */
	_Alignas(64) _Atomic uint64_t time_ns; /* LIMIT_BY_NONE */
	_Atomic uint64_t refused, passed;
};

struct limits {
	uint32_t refs;
	struct memory *memory;
	struct limit_share *share; /* with the peer */
	struct rate *rates;        /* by limit_spec.number */
	uint32_t n_rates;
	/* By route that has limits but no name: what metrics call it. */
	char (*numbers)[12];
};

static struct memory *memory_new(uint64_t keys, const struct secret *secret)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	if (memory) {
		memory->secret = *secret;
		memory->table = limit_table_new(keys, secret->hash_key);
	}
	if (memory && !memory->table) {
		free(memory);
		return NULL;
	}
	return memory;
}

static bool is_alike(const struct limit_spec *a, const struct limit_spec *b)
{
	const struct limit_key *x = &a->key, *y = &b->key;
	return x->by == y->by && a->rate.period_s == b->rate.period_s &&
	       (x->by != LIMIT_BY_HEADER || strcmp(x->header, y->header) == 0) &&
	       (x->by != LIMIT_BY_COOKIE || strcmp(x->cookie, y->cookie) == 0);
}

/* How many of those that are alike are stricter: so their order does not matter, and a rate may change
 * as long as it does not pass that of another one. */
static uint32_t rank(const struct limit_spec *specs, uint32_t n, uint32_t which)
{
	uint32_t before = 0, count = specs[which].rate.count;
	for (uint32_t i = 0; i < n; i++)
		before +=
		    is_alike(&specs[i], &specs[which]) &&
		    (specs[i].rate.count < count || (specs[i].rate.count == count && i < which));
	return before;
}

/* Of what a limit is, and where, not of where it stands in a list. `kind` keeps a route that is called
 * 1 apart from number 1, which has no name. */
static uint64_t identify(const char *listener, const char *kind, const char *route,
    const struct limit_spec *specs, uint32_t n, uint32_t which)
{
	const struct limit_key *key = &specs[which].key;
	char place[CONF_NAME_MAX + 8], what[64];
	snprintf(place, sizeof(place), "%s%s", kind, route ? route : "");
	snprintf(what, sizeof(what), "%d/%u#%u", (int)key->by, specs[which].rate.period_s,
	    rank(specs, n, which));
	const char *name = key->by == LIMIT_BY_HEADER   ? key->header
			   : key->by == LIMIT_BY_COOKIE ? key->cookie
							: "";
	return hash_mix(hash_mix(hash_id2(listener, place)) + hash_id2(name, what)) & ~1ULL;
}

static void add(struct limits *limits, const char *listener, const char *kind, const char *route,
    const struct limit_spec *specs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert(specs[i].number == limits->n_rates);
		struct rate *rate = &limits->rates[limits->n_rates++];
		rate->id = identify(listener, kind, route, specs, n, i);
		rate->spec = &specs[i];
		rate->listener = listener;
		rate->route = route;
		rate->index = i;
		gcra_init(&rate->gcra, specs[i].rate, specs[i].burst);
	}
}

static void add_listener(struct limits *limits, const struct conf_listener *conf)
{
	add(limits, conf->name, "", NULL, conf->rate_limits, conf->n_rate_limits);
	for (uint32_t r = 0; r < conf->n_routes; r++) {
		const struct route_spec *spec = &conf->routes[r];
		if (spec->n_rate_limits == 0)
			continue;
		char *number = limits->numbers[limits->n_rates];
		snprintf(number, sizeof(limits->numbers[0]), "%u", r);
		add(limits, conf->name, spec->name ? "/" : ":", spec->name ? spec->name : number,
		    spec->rate_limits, spec->n_rate_limits);
	}
}

/* Most limits stay where they are, so the search begins behind the one that was found last. */
static void carry_over(struct limits *limits, const struct limits *before)
{
	uint32_t next = 0;
	for (uint32_t i = 0; i < limits->n_rates; i++) {
		struct rate *rate = &limits->rates[i];
		for (uint32_t n = 0; n < before->n_rates; n++) {
			const struct rate *old = &before->rates[(next + n) % before->n_rates];
			if (old->id != rate->id)
				continue;
			rate->time_ns = old->time_ns;
			rate->refused = old->refused;
			rate->passed = old->passed;
			next = (next + n + 1) % before->n_rates;
			break;
		}
	}
}

static struct memory *memory_for(
    const struct conf *conf, const struct secret *secret, const struct limits *before)
{
	struct memory *memory = before ? before->memory : NULL;
	if (memory && limit_table_keys(memory->table) == conf->rate_limit_keys &&
	    memcmp(&memory->secret, secret, sizeof(*secret)) == 0)
		return memory;
	return memory_new(conf->rate_limit_keys, secret);
}

static struct limit_share *share_of(struct limits *limits, bool is_paired)
{
	struct limit_known *known = calloc(limits->n_rates + 1, sizeof(*known));
	if (!known)
		return NULL;
	for (uint32_t i = 0; i < limits->n_rates; i++) {
		struct rate *rate = &limits->rates[i];
		known[i] = (struct limit_known){rate->id, rate->gcra,
		    rate->spec->key.by == LIMIT_BY_NONE ? &rate->time_ns : NULL};
	}
	struct limit_share *share = limit_share_new(limits->memory->table,
	    is_paired ? limits->memory->secret.name : 0, known, limits->n_rates);
	free(known);
	return share;
}

static int fill(struct limits *limits, const struct conf *conf, const struct secret *secret,
    bool is_paired, const struct limits *before)
{
	size_t size = conf->n_rate_limits * sizeof(struct rate);
	limits->rates = aligned_alloc(_Alignof(struct rate), size);
	limits->numbers = calloc(conf->n_rate_limits, sizeof(limits->numbers[0]));
	limits->memory = memory_for(conf, secret, before);
	if (limits->memory)
		limits->memory->refs++;
	if (!limits->rates || !limits->numbers || !limits->memory)
		return -ENOMEM;
	memset((void *)limits->rates, 0, size);
	for (uint32_t i = 0; i < conf->n_listeners; i++)
		add_listener(limits, &conf->listeners[i]);
	if (before)
		carry_over(limits, before);
	limits->share = share_of(limits, is_paired);
	return limits->share ? 0 : -ENOMEM;
}

struct limits *limits_new(
    const struct conf *conf, const struct keys *keys, bool is_paired, const struct limits *before)
{
	struct secret secret;
	struct limits *limits = calloc(1, sizeof(*limits));
	if (!limits)
		return NULL;
	limits->refs = 1;
	if (conf->n_rate_limits == 0)
		return limits;
	int error = derive_key(keys->of[0], HASH_LABEL, (uint8_t *)&secret, sizeof(secret));
	if (!error)
		error = fill(limits, conf, &secret, is_paired, before);
	text_wipe(&secret, sizeof(secret));
	if (!error)
		return limits;
	limits_free(limits);
	return NULL;
}

struct limits *limits_share(struct limits *limits)
{
	limits->refs++;
	return limits;
}

void limits_free(struct limits *limits)
{
	if (!limits || --limits->refs > 0)
		return;
	limit_share_free(limits->share);
	if (limits->memory && --limits->memory->refs == 0) {
		limit_table_free(limits->memory->table);
		text_wipe(&limits->memory->secret, sizeof(limits->memory->secret));
		free(limits->memory);
	}
	free(limits->numbers);
	free((void *)limits->rates);
	free(limits);
}

void limits_tell(
    const struct limits *limits, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	out->n = 0;
	if (limits->share)
		limit_share_tell(limits->share, cursor, now_us, out);
}

void limits_hear(const struct limits *limits, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT])
{
	if (limits->share)
		limit_share_hear(limits->share, words, now_us, results);
	else
		results[LIMIT_HEARD_NO_LIMIT] += words->n;
}

void limits_each(const struct limits *limits, proxy_limit_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < limits->n_rates; i++) {
		const struct rate *rate = &limits->rates[i];
		struct proxy_limit limit = {.listener = rate->listener,
		    .route = rate->route,
		    .index = rate->index,
		    .refused = atomic_load_explicit(&rate->refused, memory_order_relaxed),
		    .passed = atomic_load_explicit(&rate->passed, memory_order_relaxed)};
		fn(arg, &limit);
	}
}

bool limits_stats(const struct limits *limits, uint64_t now_us, struct limit_stats *out)
{
	if (!limits->memory)
		return false;
	limit_table_stats(limits->memory->table, now_us * NS_PER_US, out);
	return true;
}

/* Without port, in small letters. */
static struct slice host_of(const struct h1_head *head, char room[HOST_MAX])
{
	struct slice host = head->host;
	const char *end = host.len > 0 ? memrchr(host.p, ':', host.len) : NULL;
	if (end && !memchr(end, ']', (size_t)(host.p + host.len - end)))
		host.len = (size_t)(end - host.p);
	if (host.len > HOST_MAX)
		return host;
	for (size_t i = 0; i < host.len; i++)
		room[i] =
		    host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] | 0x20) : host.p[i];
	return (struct slice){room, host.len};
}

/* One that routes would refuse counts as it came. */
static struct slice path_of(const struct h1_head *head, struct buf *room)
{
	struct slice path = fields_path(head);
	buf_reset(room);
	if (path.len > 0 && path.p[0] == '/' && buf_reserve(room, path.len))
		(void)path_canonical(path, '/', room->data, &path);
	return path;
}

/* These are never 0, but for LIMIT_BY_NONE. */
static uint64_t connection_key(
    const struct limits *limits, const struct rate *rate, const struct addr *peer)
{
	uint8_t key[16];
	if (rate->spec->key.by == LIMIT_BY_NONE)
		return 0;
	addr_key(peer, rate->spec->prefix4, rate->spec->prefix6, key);
	return limit_table_hash(limits->memory->table, rate->id, key, sizeof(key));
}

static uint64_t request_key(const struct limits *limits, const struct rate *rate,
    const struct txn *txn, const struct h1_head *head)
{
	const struct limit_key *key = &rate->spec->key;
	char room[HOST_MAX];
	struct slice value = {NULL, 0};
	switch (key->by) {
	case LIMIT_BY_HOST: value = host_of(head, room); break;
	case LIMIT_BY_PATH: value = path_of(head, &txn->worker->scratch); break;
	case LIMIT_BY_HEADER:
		value = fields_value(head, (struct slice){key->header, strlen(key->header)});
		break;
	case LIMIT_BY_COOKIE:
		if (!fields_cookie(head, key->cookie, &value))
			value = (struct slice){NULL, 0};
		break;
	default: break;
	}
	if (value.len == 0)
		return connection_key(limits, rate, &txn->client->peer);
	/* No value is a source. */
	return limit_table_hash(limits->memory->table, rate->id + 1, value.p, value.len);
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* `key` 0: one for all. */
static bool is_within(const struct limits *limits, struct rate *rate, uint64_t key, uint64_t now_us,
    uint64_t *wait_ns)
{
	uint64_t now_ns = now_us * NS_PER_US;
	if (key == 0)
		return gcra_take_shared(&rate->gcra, &rate->time_ns, now_ns, wait_ns);
	return limit_table_take(limits->memory->table, key, &rate->gcra, now_ns, wait_ns);
}

bool limits_pass_request(
    struct txn *txn, const struct limit_spec *specs, uint32_t n, const struct h1_head *head)
{
	const struct limits *limits = txn->gen->limits;
	for (uint32_t i = 0; i < n; i++) {
		struct rate *rate = &limits->rates[specs[i].number];
		uint64_t key = request_key(limits, rate, txn, head), wait_ns = 0;
		if (is_within(limits, rate, key, txn->worker->now_us, &wait_ns))
			continue;
		if (specs[i].log_only) {
			count(&rate->passed);
			txn->note.over_limit = true;
			continue;
		}
		count(&rate->refused);
		COUNT(txn->worker, refused_rate_limited);
		txn_answer_later(
		    txn, specs[i].status, "rate_limited", (wait_ns + NS_PER_SEC - 1) / NS_PER_SEC);
		return false;
	}
	return true;
}

bool limits_pass_connection(struct listener *listener, const struct addr *peer)
{
	const struct conf_listener *conf = listener->conf;
	const struct limits *limits = listener->worker->gen->limits;
	for (uint32_t i = 0; i < conf->n_rate_limits; i++) {
		const struct limit_spec *spec = &conf->rate_limits[i];
		struct rate *rate = &limits->rates[spec->number];
		uint64_t key = connection_key(limits, rate, peer), wait_ns;
		if (is_within(limits, rate, key, listener->worker->now_us, &wait_ns))
			continue;
		count(spec->log_only ? &rate->passed : &rate->refused);
		if (!spec->log_only)
			return false;
	}
	return true;
}

bool limits_count(struct listener *listener, const struct addr *peer, struct tally **out)
{
	const struct conf_per_source *limit = &listener->conf->max_connections_per_source;
	uint8_t key[16];
	*out = NULL;
	if (limit->max == 0)
		return true;
	addr_key(peer, limit->prefix4, limit->prefix6, key);
	/* Binds and workers of a listener share `shared`, in all configurations. */
	return tally_take(listener->worker->tallies, (uintptr_t)listener->shared, key, sizeof(key),
		   limit->max, out) == 0;
}
