/* A configuration comes into force: everything that can fail is built here, each worker gets its
 * part, and what nobody uses any more is let go. */
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/proxy/engine.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/routing.h"
#include "daemon/proxy/selfcheck.h"
#include "daemon/proxy/udp.h"
#include "daemon/proxy/waiting.h"
#include "daemon/tls/derive.h"

#define SEAL_LABEL      "yoke sticky cookie"
#define VALUE_LABEL     "yoke sticky value"
#define LOG_PATIENCE_US (2 * US_PER_SEC)

static uint32_t count_binds(const struct conf *conf)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < conf->n_listeners; i++)
		n += conf->listeners[i].n_binds;
	return n;
}

static int bind_listeners(
    const struct proxy *proxy, struct worker_gen *gen, uint32_t worker, struct err *err)
{
	for (uint32_t i = 0; i < gen->conf->n_listeners; i++) {
		const struct conf_listener *conf = &gen->conf->listeners[i];
		for (uint32_t b = 0; b < conf->n_binds; b++) {
			struct listener *listener = proxy_find_listener(proxy, conf->name,
			    &conf->binds[b], worker, conf->mode == CONF_MODE_UDP);
			char text[ADDR_TEXT_MAX];
			if (!listener)
				return err_set(err, -ENOENT,
				    "listener %s: no socket for %s, worker %u", conf->name,
				    addr_format(&conf->binds[b], text), worker);
			gen->bindings[gen->n_bindings++] = (struct binding){listener, conf};
		}
	}
	return 0;
}

static bool is_bound(const struct worker_gen *gen, const struct listener *listener)
{
	for (uint32_t i = 0; i < gen->n_bindings; i++)
		if (gen->bindings[i].listener == listener)
			return true;
	return false;
}

static int find_removed(const struct proxy *proxy, struct worker_gen *gen, uint32_t worker)
{
	uint32_t n = 0;
	list_for_each (it, &proxy->listeners)
		n++;
	gen->removed = calloc(n + 1, sizeof(struct listener *));
	if (!gen->removed)
		return -ENOMEM;
	list_for_each (it, &proxy->listeners) {
		struct listener *listener = list_entry(it, struct listener, registry);
		if (listener->worker_index == worker && !is_bound(gen, listener))
			gen->removed[gen->n_removed++] = listener;
	}
	return 0;
}

static int take_listeners(
    const struct proxy *proxy, struct worker_gen *gen, uint32_t worker, struct err *err)
{
	gen->bindings = calloc(count_binds(gen->conf) + 1, sizeof(*gen->bindings));
	int error = gen->bindings ? bind_listeners(proxy, gen, worker, err) : -ENOMEM;
	return error ? error : find_removed(proxy, gen, worker);
}

static int make_pickers(struct worker_gen *gen, uint32_t worker)
{
	const struct fleet *fleet = gen->fleet;
	gen->pickers = calloc(fleet->n_pools + 1, sizeof(struct picker *));
	if (!gen->pickers)
		return -ENOMEM;
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		gen->pickers[i] = picker_new(&fleet->pools[i], hash_mix(worker + 1));
		if (!gen->pickers[i])
			return -ENOMEM;
	}
	gen->lines = wait_lines_new(gen);
	return gen->lines ? 0 : -ENOMEM;
}

static int make_slots(struct worker_gen *gen)
{
	const struct fleet *fleet = gen->fleet;
	gen->slots = calloc(fleet->n_slots + 1, sizeof(*gen->slots));
	if (!gen->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < fleet->n_slots; i++)
		list_init(&gen->slots[i].idle);
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		const struct pool *pool = &fleet->pools[i];
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			struct target *target = pool->targets[t].target;
			gen->slots[target->slot].target = target;
		}
	}
	return 0;
}

/* Each node of the pair, with the same key, knows what the other one has hashed. */
static int make_keys(struct worker_gen *gen, const struct keys *keys)
{
	gen->seal = seal_new(keys, SEAL_LABEL);
	if (!gen->seal)
		return -ENOMEM;
	gen->value_keys.n = keys->n;
	for (unsigned i = 0; i < keys->n; i++) {
		if (derive_key(keys->of[i], VALUE_LABEL, gen->value_keys.of[i], KEY_LEN) < 0)
			return -ENOMEM;
	}
	return 0;
}

static struct worker_gen *build_gen(
    struct proxy *proxy, struct generation *generation, uint32_t worker, struct err *err)
{
	struct worker_gen *gen = calloc(1, sizeof(*gen));
	if (!gen) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	gen->generation = generation;
	gen->conf = generation->user->conf;
	gen->fleet = generation->user->fleet;
	gen->routing = generation->routing;
	gen->limits = generation->limits;
	gen->serial = proxy->serial + 1;
	int error = generation->fleet_only ? 0 : take_listeners(proxy, gen, worker, err);
	if (error == 0)
		error = make_pickers(gen, worker);
	if (error == 0)
		error = make_slots(gen);
	if (error == 0 && !(gen->retries = retry_budgets_new(gen->conf, proxy->shared.workers)))
		error = -ENOMEM;
	if (error == 0 && !generation->fleet_only)
		error = make_keys(gen, generation->user->keys);
	if (error == 0)
		return gen;
	if (error == -ENOMEM)
		err_set(err, error, "out of memory");
	worker_gen_free(gen);
	return NULL;
}

/* A ring for each worker; they are NULL where there is no access log. */
static int open_log(
    struct proxy *proxy, struct proxy_generation *user, struct access_ring **rings, struct err *err)
{
	const struct conf_access_log *conf = &user->conf->access_log;
	if (!conf->file)
		return 0;
	if (user->log_fd < 0)
		return err_set(err, -EINVAL, "access_log: no descriptor for %s", conf->file);
	int error = accesslog_open(
	    proxy->log, conf->file, user->log_fd, proxy->shared.workers, conf->buffer, rings, err);
	if (error == 0)
		user->log_fd = -1;
	return error;
}

/* Its listeners are the worker's now. */
static void hand_over(struct proxy *proxy, struct worker_gen *gen)
{
	for (uint32_t i = 0; i < gen->n_bindings; i++) {
		struct listener *listener = gen->bindings[i].listener;
		listener->handed = true;
		if (listener->check)
			selfcheck_set(listener->check, gen->bindings[i].conf);
	}
	for (uint32_t i = 0; i < gen->n_removed; i++) {
		struct listener *listener = gen->removed[i];
		list_del(&listener->registry);
		if (listener->check)
			selfcheck_leave(listener);
		if (listener->udp)
			proxy->udp_overflows += udp_overflows(listener);
	}
}

const struct generation *proxy_newest(const struct proxy *proxy)
{
	if (list_empty(&proxy->generations))
		return NULL;
	return list_entry(proxy->generations.prev, struct generation, node);
}

static void free_generation(struct generation *generation)
{
	if (!generation)
		return;
	routing_free(generation->routing);
	limits_free(generation->limits);
	free(generation);
}

static struct routing *obtain_routing(const struct proxy *proxy, const struct generation *next)
{
	const struct generation *before = proxy_newest(proxy);
	if (next->fleet_only)
		return routing_share(before->routing);
	return routing_new(
	    next->user->conf, proxy->shared.workers, before ? before->routing : NULL);
}

static struct limits *obtain_limits(const struct proxy *proxy, const struct generation *next)
{
	const struct proxy_generation *user = next->user;
	const struct generation *before = proxy_newest(proxy);
	if (next->fleet_only)
		return limits_share(before->limits);
	return limits_new(user->conf, user->keys, user->is_paired, before ? before->limits : NULL);
}

/* The sync thread looks at those of the newest one. */
static void publish_limits(struct proxy *proxy, struct limits *limits)
{
	pthread_mutex_lock(&proxy->limits_lock);
	proxy->limits = limits;
	pthread_mutex_unlock(&proxy->limits_lock);
}

int proxy_apply(struct proxy *proxy, struct proxy_generation *user, struct err *err)
{
	uint32_t n = proxy->shared.workers;
	int error = -ENOMEM;
	struct message **messages = calloc(n, sizeof(struct message *));
	struct access_ring **rings = calloc(n, sizeof(struct access_ring *));
	struct generation *generation = calloc(1, sizeof(*generation));
	if (!messages || !rings || !generation) {
		err_set(err, error, "out of memory");
		goto out;
	}
	generation->user = user;
	generation->workers = n;
	const struct generation *before = proxy_newest(proxy);
	generation->fleet_only = before && before->user->conf == user->conf;
	if (!generation->fleet_only && (error = open_log(proxy, user, rings, err)) < 0)
		goto out;
	generation->routing = obtain_routing(proxy, generation);
	generation->limits = obtain_limits(proxy, generation);
	if (!generation->routing || !generation->limits) {
		error = err_set(err, -ENOMEM, "out of memory");
		goto out;
	}
	/* Everything that can fail is done before the first worker hears of it. */
	for (uint32_t i = 0; i < n; i++) {
		messages[i] = calloc(1, sizeof(struct message));
		if (!messages[i]) {
			error = err_set(err, -ENOMEM, "out of memory");
			goto out;
		}
		messages[i]->type = MESSAGE_APPLY;
		messages[i]->gen = build_gen(proxy, generation, i, err);
		if (!messages[i]->gen) {
			error = -ENOENT;
			goto out;
		}
		messages[i]->gen->ring = rings[i];
		rings[i] = NULL;
	}
	proxy->serial++;
	list_push_back(&proxy->generations, &generation->node);
	publish_limits(proxy, generation->limits);
	if (!generation->fleet_only)
		selfcheck_forget(&proxy->checks);
	for (uint32_t i = 0; i < n; i++) {
		hand_over(proxy, messages[i]->gen);
		worker_post(proxy->workers[i], messages[i]);
	}
	proxy->logging = user->conf->access_log.file != NULL;
	if (!generation->fleet_only)
		proxy->log_patience_us = clock_us() + LOG_PATIENCE_US;
	free(messages);
	free(rings);
	return 0;
out:
	for (uint32_t i = 0; rings && i < n; i++) {
		if (rings[i])
			access_ring_close(rings[i]);
	}
	for (uint32_t i = 0; messages && i < n && messages[i]; i++) {
		worker_gen_free(messages[i]->gen);
		free(messages[i]);
	}
	accesslog_wake(proxy->log);
	free(messages);
	free(rings);
	free_generation(generation);
	return error;
}

bool proxy_log_settled(struct proxy *proxy)
{
	return accesslog_files(proxy->log) <= proxy->logging ||
	       clock_us() >= proxy->log_patience_us;
}

bool proxy_applied(struct proxy *proxy)
{
	for (uint32_t i = 0; i < proxy->shared.workers; i++)
		if (atomic_load_explicit(&proxy->workers[i]->applied, memory_order_acquire) !=
		    proxy->serial)
			return false;
	return true;
}

void proxy_reap(struct proxy *proxy)
{
	list_for_each_safe (it, &proxy->generations) {
		struct generation *generation = list_entry(it, struct generation, node);
		if (atomic_load_explicit(&generation->workers, memory_order_acquire) > 0)
			continue;
		list_del(it);
		struct proxy_generation *user = generation->user;
		free_generation(generation);
		user->free_fn(user);
	}
}
