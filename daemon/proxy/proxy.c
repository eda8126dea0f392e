/* The control thread's side: starts and stops the workers, knows which sockets there are. */
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
#include "daemon/base/text.h"
#include "daemon/proxy/engine.h"
#include "daemon/proxy/leave.h"
#include "daemon/proxy/selfcheck.h"
#include "daemon/proxy/udp.h"

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
	pthread_mutex_init(&proxy->limits_lock, NULL);
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

struct listener *proxy_find_listener(
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

static void drop_listener(struct listener *listener)
{
	list_del(&listener->registry);
	close(listener->fd);
	free_listener(listener);
}

int proxy_add_listener(
    struct proxy *proxy, const char *name, const struct addr *bind, uint32_t worker, int fd)
{
	if (worker >= proxy->shared.workers || strlen(name) > CONF_NAME_MAX)
		return -EINVAL;
	bool udp = is_udp(fd);
	if (proxy_find_listener(proxy, name, bind, worker, udp))
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

int proxy_reopen_log(struct proxy *proxy, int fd, struct err *err)
{
	struct access_ring *rings[CONF_WORKERS_MAX];
	const struct generation *now = proxy_newest(proxy);
	const struct conf_access_log *conf = now ? &now->user->conf->access_log : NULL;
	if (!conf || !conf->file)
		return err_set(err, -ENOENT, "access_log: there is none");
	int error = accesslog_open(
	    proxy->log, conf->file, fd, proxy->shared.workers, conf->buffer, rings, err);
	for (uint32_t i = 0; error == 0 && i < proxy->shared.workers; i++)
		tell(proxy->workers[i], (struct message){.type = MESSAGE_LOG, .ring = rings[i]});
	return error;
}

void proxy_leave(struct proxy *proxy, const char *router, const struct addr *addrs, size_t n)
{
	struct leave *leave = leave_new(router, addrs, n, proxy->shared.workers);
	assert(leave);
	for (uint32_t i = 0; i < proxy->shared.workers; i++)
		tell(proxy->workers[i], (struct message){.type = MESSAGE_LEAVE, .leave = leave});
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
	if (proxy->draining)
		return; /* the workers close them */
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
	if (proxy->draining)
		return n;
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
	pthread_mutex_destroy(&proxy->limits_lock);
	free(proxy->workers);
	free(proxy);
}
