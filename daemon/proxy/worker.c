#include "daemon/proxy/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "daemon/base/thread.h"
#include "daemon/proxy/ack.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/leave.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/room.h"
#include "daemon/proxy/tcp.h"
#include "daemon/proxy/udp.h"
#include "daemon/proxy/upstream.h"
#include "daemon/proxy/waiting.h"

/* How long a turn waits at most. */
#define TURN_BUSY_MS 16
#define TURN_IDLE_MS 100
#define LOG_EVERY_US US_PER_SEC

void worker_bury(struct worker *worker, union node *node, void *base)
{
	node->grave.base = base;
	node->grave.next = worker->graves;
	worker->graves = &node->grave;
}

static void free_buried(struct worker *worker)
{
	while (worker->graves) {
		struct grave *grave = worker->graves;
		worker->graves = grave->next;
		free(grave->base);
	}
	if (worker->dead_txns)
		txn_free_dead(worker);
}

static void on_timer(struct wheel_entry *entry, void *arg)
{
	struct timer *timer = list_entry(entry, struct timer, entry);
	timer->fire(arg, timer);
}

/* Generations. */

void worker_gen_free(struct worker_gen *gen)
{
	if (!gen)
		return;
	if (gen->pickers) {
		for (uint32_t i = 0; i < gen->fleet->n_pools; i++)
			picker_free(gen->pickers[i]);
	}
	free(gen->pickers);
	free(gen->lines);
	free(gen->retries);
	free(gen->slots);
	free(gen->bindings);
	free(gen->removed);
	seal_free(gen->seal);
	text_wipe(&gen->value_keys, sizeof(gen->value_keys));
	if (gen->ring)
		access_ring_close(gen->ring);
	free(gen);
}

void worker_gen_put(struct worker_gen *gen)
{
	assert(gen->refs > 0);
	if (--gen->refs > 0)
		return;
	struct generation *generation = gen->generation;
	worker_gen_free(gen);
	/* The control thread may free the configuration as soon as it sees this. */
	atomic_fetch_sub_explicit(&generation->workers, 1, memory_order_release);
}

/* What balancing has learned of targets, and how much was tried again, outlive a configuration. */
static void inherit(struct worker_gen *gen, const struct worker_gen *before)
{
	const struct fleet *fleet = gen->fleet;
	uint32_t n = before->fleet->n_pools;
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		uint32_t k = 0, at = 0;
		/* It is mostly where it was. */
		for (; k < n; k++) {
			at = (i + k) % n;
			if (before->fleet->pools[at].id == fleet->pools[i].id)
				break;
		}
		if (k == n)
			continue;
		picker_inherit(gen->pickers[i], before->pickers[at]);
		gen->retries[i].window = before->retries[at].window;
	}
}

bool worker_gen_follows(
    const struct worker_gen *gen, const struct worker_gen *before, const struct target *target)
{
	return gen->conf == before->conf && target &&
	       fleet_target(gen->fleet, target->id, NULL) == target;
}

/* Connections that last do not keep each fleet that there was: they go over to the new one, unless
 * it lacks their target. */
static void move_on(struct worker *worker, struct worker_gen *gen)
{
	list_for_each (it, &worker->listeners) {
		struct listener *listener = list_entry(it, struct listener, node.list);
		list_for_each (at, &listener->pairs)
			pair_move_on(list_entry(at, struct pair, node.list), gen);
		list_for_each (at, &listener->clients) {
			struct client *client = list_entry(at, struct client, node.list);
			if (client->txn)
				txn_move_on(client->txn, gen);
		}
		if (listener->udp)
			udp_move_on(listener, gen);
	}
}

static void apply(struct worker *worker, struct worker_gen *gen)
{
	struct worker_gen *before = worker->gen;
	bool fleet_only = gen->generation->fleet_only;
	/* What a listener that leaves still has to begin belongs to the old configuration. */
	for (uint32_t i = 0; i < gen->n_removed; i++)
		listener_retire(gen->removed[i]);
	if (before)
		inherit(gen, before);
	worker->gen = gen;
	gen->refs = 1;
	upstream_set_slots(worker, gen);
	if (fleet_only) {
		gen->seal = seal_share(before->seal);
		gen->value_keys = before->value_keys;
		move_on(worker, gen);
	} else {
		access_set_ring(worker, gen->ring);
		gen->ring = NULL;
	}
	for (uint32_t i = 0; i < gen->n_bindings; i++)
		listener_attach(gen->bindings[i].listener, gen->bindings[i].conf);
	if (before)
		worker_gen_put(before);
	atomic_store_explicit(&worker->applied, gen->serial, memory_order_release);
}

static void cut(struct worker *worker, uint64_t target_id)
{
	list_for_each_safe (it, &worker->listeners) {
		struct listener *listener = list_entry(it, struct listener, node.list);
		listener->connections++; /* so that it outlives the last of them */
		list_for_each_safe (at, &listener->pairs)
			pair_cut(worker, list_entry(at, struct pair, node.list), target_id);
		if (listener->udp)
			udp_cut(listener, target_id);
		listener_release(listener);
	}
}

static void drain(struct worker *worker)
{
	worker->draining = true;
	list_for_each (it, &worker->listeners) {
		struct listener *listener = list_entry(it, struct listener, node.list);
		if (listener->closing)
			continue;
		listener_shut(listener);
		listener_close_idle(listener);
	}
	atomic_store_explicit(&worker->drain_seen, true, memory_order_release);
}

/* Everything ends now, in the middle of whatever it does. It is freed at the end of the turn as ever:
 * events of this turn may still name it. */
static void stop(struct worker *worker)
{
	worker->stopping = true;
	list_for_each_safe (it, &worker->listeners)
		listener_stop(list_entry(it, struct listener, node.list));
	upstream_close_idle(worker);
	access_set_ring(worker, NULL);
	if (worker->gen)
		worker_gen_put(worker->gen);
	worker->gen = NULL;
}

static void take_ring(struct worker *worker, struct access_ring *ring)
{
	if (worker->stopping)
		access_ring_close(ring);
	else
		access_set_ring(worker, ring);
}

/* Of one that is not acted upon. */
static void let_go(struct message *message)
{
	worker_gen_free(message->gen);
	leave_put(message->leave);
}

static void take_mail(struct worker *worker)
{
	pthread_mutex_lock(&worker->mail_lock);
	struct message *message = worker->mail_first;
	worker->mail_first = NULL;
	worker->mail_last = &worker->mail_first;
	pthread_mutex_unlock(&worker->mail_lock);
	while (message) {
		struct message *next = message->next;
		if (message->type == MESSAGE_LOG)
			take_ring(worker, message->ring);
		else if (worker->stopping)
			let_go(message);
		else if (message->type == MESSAGE_APPLY)
			apply(worker, message->gen);
		else if (message->type == MESSAGE_CUT)
			cut(worker, message->target_id);
		else if (message->type == MESSAGE_LEAVE)
			leave_run(worker, message->leave);
		else if (message->type == MESSAGE_DRAIN)
			drain(worker);
		else
			stop(worker);
		free(message);
		message = next;
	}
}

static void on_bell(struct watch *watch, unsigned events)
{
	(void)events;
	struct worker *worker = worker_of_watch(watch);
	/* Its count is never read: each ring is an edge. */
	watch_blocked(watch, POLLER_READ);
	atomic_store(&worker->rung, false);
	take_mail(worker);
	ack_run(worker);
}

void worker_ring(struct worker *worker)
{
	if (!atomic_exchange(&worker->rung, true))
		eventfd_write(worker->bell_fd, 1);
}

void worker_post(struct worker *worker, struct message *message)
{
	message->next = NULL;
	pthread_mutex_lock(&worker->mail_lock);
	*worker->mail_last = message;
	worker->mail_last = &message->next;
	pthread_mutex_unlock(&worker->mail_lock);
	worker_ring(worker);
}

/* Without clients only idle connections to targets wait for something. */
static int turn_ms(const struct worker *worker)
{
	return atomic_load_explicit(&worker->counters.client_connections, memory_order_relaxed) > 0
		   ? TURN_BUSY_MS
		   : TURN_IDLE_MS;
}

/* Timers come after the events: who was served in time is not timed out because we were late. */
static void turn(struct worker *worker)
{
	poller_wait(&worker->poller, turn_ms(worker));
	worker->now_us = clock_us();
	atomic_store_explicit(&worker->heartbeat_us, worker->now_us, memory_order_relaxed);
	poller_dispatch(&worker->poller);
	wheel_run(&worker->wheel, worker->now_us, on_timer, worker);
	if (!list_empty(&worker->wait_lines))
		waiting_turn(worker);
	udp_flush(worker);
	access_turn(worker);
	free_buried(worker);
}

static void *run(void *arg)
{
	struct worker *worker = arg;
	char name[16];
	snprintf(name, sizeof(name), "worker/%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	while (!worker->stopping)
		turn(worker);
	return NULL;
}

int worker_start(struct worker *worker)
{
	return thread_start(&worker->thread, run, worker);
}

void worker_join(struct worker *worker)
{
	pthread_join(worker->thread, NULL);
}

static bool init_loop(struct worker *worker)
{
	if (poller_init(&worker->poller) < 0)
		return false;
	worker->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->bell_fd < 0)
		return false;
	watch_init(&worker->bell, &worker->poller, worker->bell_fd, on_bell);
	watch_want(&worker->bell, POLLER_READ);
	return true;
}

struct worker *worker_new(uint32_t index, const struct proxy_shared *shared,
    struct tally_table *tallies, struct accesslog *log)
{
	/* Lines of its own: a neighbour's counters must not slow this worker down. */
	struct worker *worker = aligned_alloc(64, (sizeof(*worker) + 63) / 64 * 64);
	if (!worker)
		return NULL;
	memset(worker, 0, sizeof(*worker));
	worker->index = index;
	worker->bell_fd = worker->poller.epoll_fd = -1;
	worker->shared = shared;
	worker->tallies = tallies;
	worker->access.log = log;
	worker->now_us = clock_us();
	worker->heartbeat_us = worker->now_us;
	worker->mail_last = &worker->mail_first;
	pthread_mutex_init(&worker->mail_lock, NULL);
	wheel_init(&worker->wheel, worker->now_us);
	list_init(&worker->listeners);
	list_init(&worker->fresh);
	worker->fd_short = room_fd_short();
	list_init(&worker->ack_waits);
	list_init(&worker->wait_lines);
	queue_desk_init(&worker->desk, waiting_wake);
	pipes_init(&worker->pipes, shared->workers);
	worker->route_space = route_space_new();
	worker->act_room = act_room_new();
	worker->udp = udp_io_new(shared->workers);
	if (!worker->udp || !worker->route_space || !worker->act_room || !init_loop(worker)) {
		worker_free(worker);
		return NULL;
	}
	return worker;
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	while (worker->mail_first) {
		struct message *message = worker->mail_first;
		worker->mail_first = message->next;
		let_go(message);
		free(message);
	}
	free_buried(worker);
	txn_free_all(worker);
	pipes_fini(&worker->pipes);
	udp_io_free(worker->udp);
	free(worker->slots);
	buf_free(&worker->scratch);
	route_space_free(worker->route_space);
	act_room_free(worker->act_room);
	if (worker->bell_fd >= 0)
		close(worker->bell_fd);
	poller_fini(&worker->poller);
	pthread_mutex_destroy(&worker->mail_lock);
	free(worker);
}

const char *worker_error_text(int error)
{
	switch (error) {
	case -ECONNREFUSED: return "connect refused";
	case -ETIMEDOUT: return "timed out";
	case -ECONNRESET: return "connection reset";
	case -EPIPE: return "connection closed";
	case -EHOSTUNREACH: return "host unreachable";
	case -ENETUNREACH: return "network unreachable";
	case -EADDRNOTAVAIL: return "no local port left";
	case -EMFILE:
	case -ENFILE: return "out of file descriptors";
	case -ENOMEM: return "out of memory";
	default: return "connection failed";
	}
}

bool worker_error_is_local(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS ||
	       error == -EADDRNOTAVAIL;
}

void worker_log_target(
    struct worker *worker, const char *pool, const struct target *target, const char *what)
{
	uint64_t suppressed;
	if (!log_allowed(&worker->log_targets, worker->now_us, LOG_EVERY_US, &suppressed))
		return;
	if (suppressed > 0)
		log_warn("pool %s target %s: %s (%llu similar not shown)", pool, target->text, what,
		    (unsigned long long)suppressed);
	else
		log_warn("pool %s target %s: %s", pool, target->text, what);
}
