/* The control thread's side: which sockets there are, which configurations, who still uses them. */
#include "daemon/proxy/proxy.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/text.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/routing.h"
#include "daemon/proxy/selfcheck.h"
#include "daemon/proxy/udp.h"
#include "daemon/proxy/waiting.h"
#include "daemon/proxy/worker.h"
#include "daemon/tls/derive.h"

#define SEAL_LABEL      "yoke sticky cookie"
#define VALUE_LABEL     "yoke sticky value"
#define LOG_PATIENCE_US (2 * US_PER_SEC)

struct proxy {
	struct proxy_shared shared;
	struct worker **workers;
	uint32_t n_started;
	struct list listeners;   /* struct listener, by registry: those that may be used */
	struct list checks;      /* struct selfcheck */
	struct list generations; /* struct generation */
	struct listener_shared *names;
	atomic_uint connections;     /* of users, over all workers */
	struct tally_table *tallies; /* connections by source */
	struct accesslog *log;
	uint64_t log_patience_us; /* for the file of the configuration before */
	bool logging;
	uint64_t serial;
	uint64_t udp_overflows; /* of listeners that are gone */
	bool draining, paused;
};

struct proxy *proxy_start(const struct proxy_shared *shared, struct err *err)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	if (!proxy) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	proxy->shared = *shared;
	list_init(&proxy->listeners);
	list_init(&proxy->checks);
	list_init(&proxy->generations);
	uint64_t hash_key[2];
	if (getrandom(hash_key, sizeof(hash_key), 0) == sizeof(hash_key))
		proxy->tallies = tally_table_new(hash_key);
	proxy->log = accesslog_new();
	proxy->workers = calloc(shared->workers, sizeof(struct worker *));
	for (uint32_t i = 0; proxy->tallies && proxy->log && proxy->workers && i < shared->workers;
	     i++)
		proxy->workers[i] = worker_new(i, &proxy->shared, proxy->tallies, proxy->log);
	for (uint32_t i = 0; i < shared->workers; i++) {
		if (proxy->workers && proxy->workers[i])
			continue;
		err_set(err, -ENOMEM, "worker %u: no event loop", i);
		proxy_stop(proxy);
		return NULL;
	}
	for (uint32_t i = 0; shared->journal && i < shared->workers; i++)
		journal_add_ack_listener(shared->journal, worker_ack_wake, proxy->workers[i]);
	for (uint32_t i = 0; i < shared->workers; i++) {
		int error = worker_start(proxy->workers[i]);
		if (error < 0) {
			err_set(err, error, "worker %u: no thread: %s", i, strerror(-error));
			proxy_stop(proxy);
			return NULL;
		}
		proxy->n_started++;
	}
	return proxy;
}

static struct listener *find_listener(
    const struct proxy *proxy, const char *name, const struct addr *bind, uint32_t worker, bool udp)
{
	list_for_each (it, &proxy->listeners) {
		struct listener *listener = list_entry(it, struct listener, registry);
		if (listener->worker_index == worker && (listener->udp != NULL) == udp &&
		    strcmp(listener->name, name) == 0 && addr_equal(&listener->bind, bind))
			return listener;
	}
	return NULL;
}

/* By name, for the life of the proxy: connections may outlive the listener. */
static struct listener_shared *shared_of(struct proxy *proxy, const char *name)
{
	struct listener_shared *shared = proxy->names;
	while (shared && strcmp(shared->name, name) != 0)
		shared = shared->next;
	if (shared)
		return shared;
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return NULL;
	text_copy(shared->name, sizeof(shared->name), name);
	shared->next = proxy->names;
	proxy->names = shared;
	return shared;
}

static bool is_udp(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

static void free_listener(struct listener *listener)
{
	if (listener)
		udp_listener_free(listener->udp);
	free(listener);
}

int proxy_add_listener(
    struct proxy *proxy, const char *name, const struct addr *bind, uint32_t worker, int fd)
{
	if (worker >= proxy->shared.workers || strlen(name) > CONF_NAME_MAX)
		return -EINVAL;
	bool udp = is_udp(fd);
	if (find_listener(proxy, name, bind, worker, udp))
		return -EEXIST;
	struct listener_shared *shared = shared_of(proxy, name);
	struct listener *listener = calloc(1, sizeof(*listener));
	if (!shared || !listener)
		goto out;
	text_copy(listener->name, sizeof(listener->name), name);
	listener->bind = *bind;
	listener->worker_index = worker;
	listener->shared = shared;
	listener->total = &proxy->connections;
	listener->fd = fd;
	if (udp && !(listener->udp = udp_listener_new()))
		goto out;
	if (!udp && selfcheck_join(&proxy->checks, listener) < 0)
		goto out;
	listener_init(listener, proxy->workers[worker]);
	list_push_back(&proxy->listeners, &listener->registry);
	return 0;
out:
	free_listener(listener);
	return -ENOMEM;
}

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
			struct listener *listener = find_listener(proxy, conf->name,
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

static void drop_listener(struct listener *listener)
{
	list_del(&listener->registry);
	close(listener->fd);
	free_listener(listener);
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
		error = make_keys(gen, generation->user->cookie_keys);
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

static const struct generation *newest(const struct proxy *proxy)
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
	const struct generation *before = newest(proxy);
	if (next->fleet_only)
		return routing_share(before->routing);
	return routing_new(
	    next->user->conf, proxy->shared.workers, before ? before->routing : NULL);
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
	const struct generation *before = newest(proxy);
	generation->fleet_only = before && before->user->conf == user->conf;
	if (!generation->fleet_only && (error = open_log(proxy, user, rings, err)) < 0)
		goto out;
	generation->routing = obtain_routing(proxy, generation);
	generation->limits = limits_new(user->conf, before ? before->limits : NULL);
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

static bool loops_turn(
    const struct proxy *proxy, uint64_t window_us, uint64_t now_us, struct err *why)
{
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		uint64_t turned =
		    atomic_load_explicit(&proxy->workers[i]->heartbeat_us, memory_order_relaxed);
		if (now_us > turned && now_us - turned > window_us) {
			err_set(why, 0, "worker %u: its loop has not turned for %llu ms", i,
			    (unsigned long long)((now_us - turned) / US_PER_MS));
			return false;
		}
	}
	return true;
}

bool proxy_alive(struct proxy *proxy, uint64_t window_us, struct err *why)
{
	uint64_t now_us = clock_us();
	if (!loops_turn(proxy, window_us, now_us, why))
		return false;
	if (proxy->draining)
		return true;
	/* Not while SYNs are dropped, or workers are about to hear of other rules. */
	if (!proxy->paused && proxy_applied(proxy))
		selfcheck_step(&proxy->checks, window_us, now_us);
	return !selfcheck_stuck(&proxy->checks, now_us, why);
}

void proxy_each_listening(struct proxy *proxy, proxy_listening_fn *fn, void *arg)
{
	list_for_each (it, &proxy->checks) {
		const struct selfcheck *check = list_entry(it, struct selfcheck, node);
		struct proxy_listening listening = {.listener = check->name,
		    .address = check->text,
		    .here = check->here,
		    .answered_wall_us = check->answered_wall_us,
		    .failures = check->failures};
		if (check->in_force)
			fn(arg, &listening);
	}
}

void proxy_each_route(struct proxy *proxy, proxy_route_fn *fn, void *arg)
{
	const struct generation *generation = newest(proxy);
	if (generation)
		routing_each(generation->routing, fn, arg);
}

void proxy_each_limit(struct proxy *proxy, proxy_limit_fn *fn, void *arg)
{
	const struct generation *generation = newest(proxy);
	if (generation)
		limits_each(generation->limits, fn, arg);
}

bool proxy_limit_stats(struct proxy *proxy, struct limit_stats *out)
{
	const struct generation *generation = newest(proxy);
	return generation && limits_stats(generation->limits, clock_us(), out);
}

/* What all workers together have counted for the word at place `i` of worker `w`; 0 if an earlier one
 * has that word, too. */
static uint64_t sum_refusals(const struct proxy *proxy, uint32_t w, const char *word, size_t offset)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		const struct reasons *reasons =
		    (const void *)((const char *)proxy->workers[i] + offset);
		for (uint32_t r = 0; r < REASONS_MAX; r++) {
			const struct reason *reason = &reasons->each[r];
			const char *known =
			    atomic_load_explicit(&reason->word, memory_order_acquire);
			if (!known)
				break;
			if (strcmp(known, word) != 0)
				continue;
			if (i < w)
				return 0;
			sum += atomic_load_explicit(&reason->count, memory_order_relaxed);
		}
	}
	return sum;
}

static void each_refusal(
    struct proxy *proxy, const char *what, size_t offset, proxy_refusal_fn *fn, void *arg)
{
	for (uint32_t w = 0; w < proxy->shared.workers; w++) {
		const struct reasons *reasons =
		    (const void *)((const char *)proxy->workers[w] + offset);
		for (uint32_t r = 0; r < REASONS_MAX; r++) {
			const char *word =
			    atomic_load_explicit(&reasons->each[r].word, memory_order_acquire);
			uint64_t sum = word ? sum_refusals(proxy, w, word, offset) : 0;
			if (sum > 0)
				fn(arg, what, word, sum);
		}
	}
}

void proxy_each_refusal(struct proxy *proxy, proxy_refusal_fn *fn, void *arg)
{
	each_refusal(proxy, "request", offsetof(struct worker, refused_requests), fn, arg);
	each_refusal(proxy, "connection", offsetof(struct worker, refused_connections), fn, arg);
}

void proxy_each_failure(struct proxy *proxy, proxy_refusal_fn *fn, void *arg)
{
	each_refusal(proxy, "attempt", offsetof(struct worker, failed_attempts), fn, arg);
}

void proxy_stats(struct proxy *proxy, struct proxy_stats *out)
{
	*out = (struct proxy_stats){0};
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		const struct counters *counters = &proxy->workers[i]->counters;
#define X(name, help) out->name += atomic_load_explicit(&counters->name, memory_order_relaxed);
		PROXY_COUNTERS(X)
		X(client_connections, "")
		X(upstream_connections, "")
		X(upstream_idle, "")
		X(tunnels_now, "")
		X(udp_sessions_now, "")
#undef X
	}
	out->access_dropped += accesslog_lost(proxy->log);
	out->udp_overflows = proxy->udp_overflows;
	list_for_each (it, &proxy->listeners) {
		const struct listener *listener = list_entry(it, struct listener, registry);
		if (listener->udp)
			out->udp_overflows += udp_overflows(listener);
	}
}

/* A worker that cannot be told is a reason to end the process. */
static void tell(struct worker *worker, struct message what)
{
	struct message *message = malloc(sizeof(*message));
	assert(message);
	*message = what;
	worker_post(worker, message);
}

void proxy_cut(struct proxy *proxy, uint64_t target_id)
{
	for (uint32_t i = 0; i < proxy->shared.workers; i++)
		tell(proxy->workers[i],
		    (struct message){.type = MESSAGE_CUT, .target_id = target_id});
}

void proxy_pause(struct proxy *proxy, bool paused)
{
	/* At a TCP header: SYN without ACK is dropped, everything else passes. */
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	int unused = 0;
	proxy->paused = paused;
	selfcheck_forget(&proxy->checks);
	list_for_each (it, &proxy->listeners) {
		const struct listener *listener = list_entry(it, struct listener, registry);
		if (listener->udp)
			continue;
		/* Best effort: without it, connections of the next milliseconds may be cut. */
		if (paused)
			setsockopt(
			    listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
		else
			setsockopt(
			    listener->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	}
}

uint64_t proxy_expectant(struct proxy *proxy)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < proxy->shared.workers; i++)
		n += atomic_load_explicit(
		    &proxy->workers[i]->counters.fresh_clients, memory_order_relaxed);
	list_for_each (it, &proxy->listeners) {
		uint32_t waiting, room;
		if (listener_queue(list_entry(it, struct listener, registry), &waiting, &room))
			n += waiting;
	}
	return n;
}

void proxy_drain(struct proxy *proxy)
{
	proxy->draining = true;
	selfcheck_forget(&proxy->checks);
	for (uint32_t i = 0; i < proxy->shared.workers; i++)
		tell(proxy->workers[i], (struct message){.type = MESSAGE_DRAIN});
}

bool proxy_drained(struct proxy *proxy)
{
	for (uint32_t i = 0; i < proxy->shared.workers; i++) {
		struct worker *worker = proxy->workers[i];
		if (!atomic_load_explicit(&worker->drain_seen, memory_order_acquire) ||
		    atomic_load_explicit(
			&worker->counters.client_connections, memory_order_relaxed) > 0)
			return false;
	}
	return true;
}

/* Those that a worker has are freed by it: forget them before it does. */
static void forget_listeners(struct proxy *proxy)
{
	struct list *node;
	while ((node = list_pop_front(&proxy->listeners))) {
		struct listener *listener = list_entry(node, struct listener, registry);
		if (!listener->handed)
			drop_listener(listener);
	}
}

static void free_names(struct proxy *proxy)
{
	while (proxy->names) {
		struct listener_shared *shared = proxy->names;
		proxy->names = shared->next;
		free(shared);
	}
}

void proxy_stop(struct proxy *proxy)
{
	if (!proxy)
		return;
	selfcheck_free_all(&proxy->checks);
	forget_listeners(proxy);
	for (uint32_t i = 0; i < proxy->n_started; i++)
		tell(proxy->workers[i], (struct message){.type = MESSAGE_STOP});
	for (uint32_t i = 0; i < proxy->n_started; i++)
		worker_join(proxy->workers[i]);
	accesslog_free(proxy->log, US_PER_SEC);
	for (uint32_t i = 0; proxy->workers && i < proxy->shared.workers; i++)
		worker_free(proxy->workers[i]);
	free_names(proxy);
	proxy_reap(proxy);
	tally_table_free(proxy->tallies);
	free(proxy->workers);
	free(proxy);
}
