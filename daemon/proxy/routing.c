#include "daemon/proxy/routing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/proxy/limits.h"

#define LINE 64 /* bytes of a cache line */

struct routed {
	const struct conf_listener *conf;
	struct route_table *table; /* NULL: no routes */
	uint32_t first;            /* of its routes' counters */
};

struct routing {
	unsigned users;           /* control thread */
	struct routed *listeners; /* as in the configuration */
	uint32_t n_listeners, n_routes, workers;
	uint64_t *before; /* by route: what was counted until then */
	/* By worker, then by route; a worker's begin at a cache line. */
	_Atomic uint64_t *counts;
	uint32_t stride;
};

static uint64_t count_of(const struct routing *routing, uint32_t route)
{
	uint64_t sum = routing->before[route];
	for (uint32_t i = 0; i < routing->workers; i++)
		sum += atomic_load_explicit(
		    &routing->counts[i * routing->stride + route], memory_order_relaxed);
	return sum;
}

/* What metrics call a route. */
static const char *label_of(const struct conf_listener *conf, uint32_t index, char number[16])
{
	if (conf->routes[index].name)
		return conf->routes[index].name;
	snprintf(number, 16, "%u", index);
	return number;
}

void routing_each(const struct routing *routing, proxy_route_fn *fn, void *arg)
{
	for (uint32_t i = 0; i < routing->n_listeners; i++) {
		const struct routed *routed = &routing->listeners[i];
		for (uint32_t r = 0; r < routed->conf->n_routes; r++) {
			char number[16];
			fn(arg, routed->conf->name, label_of(routed->conf, r, number),
			    count_of(routing, routed->first + r));
		}
	}
}

/* Metrics do not begin anew with each reload. */
struct carry {
	struct routed *to;
	uint64_t *before;
	uint32_t next; /* most routes stay where they are */
};

static void carry_over(void *arg, const char *listener, const char *route, uint64_t requests)
{
	struct carry *carry = arg;
	const struct conf_listener *conf = carry->to->conf;
	char number[16];
	if (strcmp(conf->name, listener) != 0)
		return;
	for (uint32_t n = 0; n < conf->n_routes; n++) {
		uint32_t r = (carry->next + n) % conf->n_routes;
		if (strcmp(label_of(conf, r, number), route) != 0)
			continue;
		carry->before[carry->to->first + r] = requests;
		carry->next = r + 1;
		return;
	}
}

static bool add_listener(struct routing *routing, const struct conf_listener *conf)
{
	struct routed *routed = &routing->listeners[routing->n_listeners++];
	*routed = (struct routed){.conf = conf, .first = routing->n_routes};
	routing->n_routes += conf->n_routes;
	if (conf->n_routes == 0)
		return true;
	routed->table = route_table_new(conf->routes, conf->n_routes);
	return routed->table;
}

struct routing *routing_new(const struct conf *conf, uint32_t workers, const struct routing *before)
{
	struct routing *routing = calloc(1, sizeof(*routing));
	if (!routing)
		return NULL;
	routing->users = 1;
	routing->workers = workers;
	routing->listeners = calloc(conf->n_listeners + 1, sizeof(*routing->listeners));
	bool ok = routing->listeners;
	for (uint32_t i = 0; ok && i < conf->n_listeners; i++)
		ok = add_listener(routing, &conf->listeners[i]);
	uint32_t per_line = LINE / sizeof(*routing->counts);
	routing->stride = (routing->n_routes + per_line) / per_line * per_line;
	size_t size = (size_t)routing->stride * workers * sizeof(*routing->counts);
	routing->before = calloc(routing->n_routes + 1, sizeof(*routing->before));
	routing->counts = aligned_alloc(LINE, size);
	if (!ok || !routing->before || !routing->counts) {
		routing_free(routing);
		return NULL;
	}
	memset((void *)routing->counts, 0, size);
	for (uint32_t i = 0; before && i < routing->n_listeners; i++) {
		struct carry carry = {&routing->listeners[i], routing->before, 0};
		routing_each(before, carry_over, &carry);
	}
	return routing;
}

struct routing *routing_share(struct routing *routing)
{
	routing->users++;
	return routing;
}

void routing_free(struct routing *routing)
{
	if (!routing || --routing->users > 0)
		return;
	for (uint32_t i = 0; i < routing->n_listeners; i++)
		route_table_free(routing->listeners[i].table);
	free(routing->listeners);
	free(routing->before);
	free((void *)routing->counts);
	free(routing);
}

static void refuse(struct txn *txn, enum route_result result)
{
	struct worker *worker = txn->worker;
	switch (result) {
	case ROUTE_BAD_PATH:
		COUNT(worker, refused_path);
		txn_answer(txn, 400, "bad_path");
		break;
	case ROUTE_TOO_MANY_VALUES:
		COUNT(worker, refused_complex);
		txn_answer(txn, 400, "too_many_values");
		break;
	case ROUTE_TOO_COMPLEX:
		COUNT(worker, refused_complex);
		txn_answer(txn, 500, "route_too_complex");
		break;
	default: COUNT(worker, refused_no_route); txn_answer(txn, 404, "no_route");
	}
}

/* What act_change_request and act_answer may have against a request. */
static bool refuse_change(struct txn *txn, int error)
{
	struct worker *worker = txn->worker;
	if (error == -EINVAL) {
		refuse(txn, ROUTE_BAD_PATH);
	} else if (error == -ENOENT) {
		COUNT(worker, refused_malformed);
		txn_answer(txn, 400, "no_host");
	} else {
		COUNT(worker, refused_complex);
		txn_answer(txn, 500, "rewrite_failed");
	}
	return false;
}

static void answer(struct txn *txn, const struct act *act, struct h1_head *head)
{
	struct act_answer answer;
	int result = act_answer(act, head, &txn->client->peer, txn->worker->act_room, &answer);
	if (result < 0)
		refuse_change(txn, result);
	else
		txn_answer_with(txn, answer.status, answer.lines, answer.body);
}

/* Requests are shared out among pools, but for those of clients that are at home in one. */
static uint32_t pool_of(struct worker *worker, struct worker_gen *gen,
    const struct route_spec *spec, const struct addr *peer, const struct h1_head *head,
    const struct act *act, uint64_t turn)
{
	uint32_t pool = CONF_NONE;
	if (spec->n_shares > 0)
		pool = choose_pool(worker, gen, spec->shares, spec->n_shares, peer, head);
	return pool != CONF_NONE ? pool : act_pool(act, turn);
}

static const struct routed *routed_of(
    const struct worker_gen *gen, const struct conf_listener *conf)
{
	return &gen->routing->listeners[conf - gen->conf->listeners];
}

/* A route has taken one more: how many were before, on this worker. */
static uint64_t count_taken(const struct worker *worker, const struct routing *routing,
    const struct routed *routed, uint32_t index)
{
	_Atomic uint64_t *count =
	    &routing->counts[worker->index * routing->stride + routed->first + index];
	uint64_t turn = atomic_load_explicit(count, memory_order_relaxed);
	counter_add(count, 1);
	return turn;
}

uint32_t routing_pool(struct worker *worker, const struct conf_listener *conf,
    const struct addr *peer, const struct hello *hello, const char **route)
{
	struct worker_gen *gen = worker->gen;
	const struct routed *routed = routed_of(gen, conf);
	uint32_t index = 0;
	if (!hello || route_find_hello(routed->table, hello, peer, &index) != ROUTE_FOUND)
		return conf->pool;
	uint64_t turn = count_taken(worker, gen->routing, routed, index);
	*route = conf->routes[index].name;
	return pool_of(
	    worker, gen, &conf->routes[index], peer, NULL, route_act(routed->table, index), turn);
}

bool routing_take(struct txn *txn, struct h1_head *head)
{
	struct worker *worker = txn->worker;
	const struct conf_listener *conf = txn->listener;
	const struct routed *routed = routed_of(txn->gen, conf);
	uint32_t index = 0;
	enum route_result result =
	    route_find(routed->table, head, &txn->client->peer, worker->route_space, &index);
	if (result == ROUTE_NOT_FOUND && conf->pool != CONF_NONE)
		return true;
	if (result != ROUTE_FOUND) {
		refuse(txn, result);
		return false;
	}
	const struct route_spec *spec = &conf->routes[index];
	const struct act *act = route_act(routed->table, index);
	uint64_t turn = count_taken(worker, txn->gen->routing, routed, index);
	txn->note.route = spec->name;
	txn->pool = CONF_NONE; /* the listener's is for who has no route */
	if (spec->n_rate_limits > 0 &&
	    !limits_pass_request(txn, spec->rate_limits, spec->n_rate_limits, head))
		return false;
	if (spec->kind != ROUTE_POOL) {
		answer(txn, act, head);
		return false;
	}
	txn->pool = pool_of(worker, txn->gen, spec, &txn->client->peer, head, act, turn);
	if (act_changes_request(act) || act_changes_response(act))
		txn->act = act;
	return true;
}

bool routing_change_request(struct txn *txn, struct h1_head *head, size_t *grown)
{
	if (!act_changes_request(txn->act))
		return true;
	int result =
	    act_change_request(txn->act, head, &txn->client->peer, txn->worker->act_room, grown);
	return result == 0 || refuse_change(txn, result);
}

bool routing_change_response(struct txn *txn, struct h1_head *head, struct slice *add)
{
	if (!act_changes_response(txn->act))
		return true;
	int result =
	    act_change_response(txn->act, head, &txn->client->peer, txn->worker->act_room, add);
	if (result == 0)
		return true;
	txn->state = RESPONSE_HEAD;
	return refuse_change(txn, result);
}
