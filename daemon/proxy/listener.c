/* Listening sockets: accepting in small batches, pausing when descriptors run out, going away. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/preface.h"
#include "daemon/proxy/room.h"
#include "daemon/proxy/tcp.h"
#include "daemon/proxy/udp.h"
#include "daemon/proxy/worker.h"

#define BATCH_MAX    16U
#define SHUT_MAX     4096U /* connections taken from the queue of a listener that closes */
#define PAUSE_US     (100 * US_PER_MS)
#define WIND_UP_US   US_PER_SEC /* of UDP: the address is busy for so long */
#define LOG_EVERY_US US_PER_SEC

static bool is_over(const atomic_uint *connections, uint32_t more, uint64_t max)
{
	return max > 0 &&
	       (uint64_t)atomic_load_explicit(connections, memory_order_relaxed) + more > max;
}

const char *listener_limit(const struct listener *listener, uint32_t more)
{
	if (is_over(&listener->shared->connections, more, listener->conf->max_connections))
		return "max_connections";
	if (is_over(listener->total, more, listener->worker->gen->conf->max_connections))
		return "max_connections_total";
	return NULL;
}

/* The last one out of a listener that is closing frees it. */
void listener_release(struct listener *listener)
{
	listener->connections--;
	if (!listener->closing || listener->connections > 0)
		return;
	if (listener->udp)
		udp_close(listener);
	list_del(&listener->node.list);
	worker_bury(listener->worker, &listener->node, listener);
}

/* The process asks itself whether it serves: selfcheck.h. */
static bool is_own(const struct listener *listener, const struct addr *peer)
{
	return addr_port(peer) == atomic_load_explicit(&listener->own_port, memory_order_relaxed) &&
	       addr_equal_ip(peer, &listener->own_addr);
}

/* Takes `fd`. It counts for nothing, and no limit keeps it out. */
static void welcome_own(struct listener *listener, const struct arrival *arrival)
{
	listener->connections++;
	bool http = listener->conf->mode == CONF_MODE_HTTP;
	/* Of TCP, that it was accepted is the answer. A byte that is not read would make it a reset. */
	char byte;
	if (http && client_open(listener, arrival, true))
		return;
	if (!http)
		(void)recv(arrival->fd, &byte, 1, 0);
	close(arrival->fd);
	listener_left(listener, true);
}

static void give_up(struct listener *listener, const struct arrival *arrival)
{
	close(arrival->fd);
	free(arrival->origin);
	tally_give(listener->worker->tallies, arrival->tally);
	listener_left(listener, false);
}

/* The connection is reset: that costs nobody anything more, here or in the kernel. */
static void turn_away(struct listener *listener, const struct arrival *arrival, const char *reason)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	setsockopt(arrival->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	reasons_count(&listener->worker->refused_connections, reason);
	give_up(listener, arrival);
}

/* Its client is known: may it come in? Looked at once. False: it is gone. */
static bool admit(struct listener *listener, struct arrival *arrival)
{
	const struct conf_listener *conf = listener->conf;
	if (arrival->admitted)
		return true;
	arrival->admitted = true;
	if (!limits_count(listener, &arrival->peer, &arrival->tally)) {
		COUNT(listener->worker, connections_over_source);
		turn_away(listener, arrival, "max_connections_per_source");
		return false;
	}
	if (conf->mode == CONF_MODE_TCP && conf->n_rate_limits > 0 &&
	    !limits_pass_connection(listener, &arrival->peer)) {
		COUNT(listener->worker, connections_rate_limited);
		turn_away(listener, arrival, "rate_limited");
		return false;
	}
	return true;
}

void listener_serve(struct listener *listener, struct arrival *arrival)
{
	if (!admit(listener, arrival))
		return;
	bool ok = listener->conf->mode == CONF_MODE_TCP ? pair_open(listener, arrival)
							: client_open(listener, arrival, false);
	if (!ok)
		give_up(listener, arrival);
}

/* Takes `fd`. */
static void welcome(struct listener *listener, struct arrival *arrival)
{
	struct worker *worker = listener->worker;
	if (is_own(listener, &arrival->peer)) {
		welcome_own(listener, arrival);
		return;
	}
	COUNT(worker, connections_accepted);
	counter_add(&listener->accepted, 1);
	/* Counted before it is judged: so that never more than the limit come in, however many workers
	 * accept. */
	listener_joined(listener);
	const char *limit = listener_limit(listener, 0);
	if (limit) {
		COUNT(worker, connections_refused);
		turn_away(listener, arrival, limit);
		return;
	}
	if (arrival->fd >= worker->fd_short)
		arrival->fd = room_for(worker, arrival->fd);
	if (!preface_wanted(listener->conf, arrival))
		listener_serve(listener, arrival);
	else if (!listener->conf->proxy_protocol && !admit(listener, arrival))
		return;
	else if (!preface_open(listener, arrival))
		give_up(listener, arrival);
}

void listener_joined(struct listener *listener)
{
	listener->connections++;
	atomic_fetch_add_explicit(&listener->shared->connections, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(listener->total, 1, memory_order_relaxed);
	COUNT(listener->worker, client_connections);
}

void listener_left(struct listener *listener, bool own)
{
	if (!own) {
		UNCOUNT(listener->worker, client_connections);
		atomic_fetch_sub_explicit(&listener->shared->connections, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(listener->total, 1, memory_order_relaxed);
	}
	listener_release(listener);
}

void listener_stop(struct listener *listener)
{
	struct worker *worker = listener->worker;
	listener->connections++;
	worker->walking = true;
	list_for_each_safe (it, &listener->prefaces)
		preface_close(list_entry(it, struct preface, node.list), true);
	list_for_each_safe (it, &listener->clients)
		client_close(worker, list_entry(it, struct client, node.list), true);
	list_for_each_safe (it, &worker->fresh)
		if (list_entry(it, struct client, node.list)->listener == listener)
			client_close(worker, list_entry(it, struct client, node.list), true);
	list_for_each_safe (it, &listener->pairs)
		pair_close(worker, list_entry(it, struct pair, node.list), true);
	if (listener->udp)
		udp_stop(listener);
	worker->walking = false;
	listener->attached = false; /* take nobody in */
	listener_shut(listener);
	listener->closing = true;
	listener_release(listener);
}

static void pause_accepting(struct listener *listener, int error)
{
	struct worker *worker = listener->worker;
	uint64_t suppressed;
	if (log_allowed(&worker->log_accept, worker->now_us, LOG_EVERY_US, &suppressed))
		log_warn("listener %s: accepting pauses for %u ms: %s", listener->name,
		    (unsigned)(PAUSE_US / US_PER_MS), worker_error_text(error));
	watch_want(&listener->io, 0);
	timer_set(worker, &listener->pause, PAUSE_US);
}

static void on_pause_over(struct worker *worker, struct timer *timer)
{
	(void)worker;
	struct listener *listener = list_entry(timer, struct listener, pause);
	if (listener->fd >= 0)
		watch_want(&listener->io, POLLER_READ);
}

/* Up to `max` connections; the number taken. */
static uint32_t accept_some(struct listener *listener, uint32_t max)
{
	for (uint32_t n = 0; n < max; n++) {
		struct arrival arrival = {.pool = CONF_NONE};
		arrival.fd = net_accept(listener->fd, &arrival.peer);
		if (arrival.fd >= 0) {
			welcome(listener, &arrival);
			continue;
		}
		if (room_found(listener->worker, arrival.fd))
			continue;
		if (net_is_short(arrival.fd))
			pause_accepting(listener, arrival.fd);
		if (net_is_short(arrival.fd) || arrival.fd == -EAGAIN)
			return n;
		/* Else that connection is gone already. */
	}
	return max;
}

/* One accept when connections come singly, so that none ends in EAGAIN; more when they queue. */
static void on_acceptable(struct watch *watch, unsigned events)
{
	(void)events;
	struct listener *listener = list_entry(watch, struct listener, io);
	uint32_t n = accept_some(listener, listener->batch);
	if (n < listener->batch)
		listener->batch = n > 0 ? n : 1;
	else if (listener->batch < BATCH_MAX)
		listener->batch *= 2;
}

void listener_init(struct listener *listener, struct worker *worker)
{
	listener->worker = worker;
	listener->batch = 1;
	if (listener->udp) {
		udp_listener_init(listener);
	} else {
		watch_init(&listener->io, &worker->poller, listener->fd, on_acceptable);
		listener->io.level = true;
	}
	timer_init(&listener->pause, on_pause_over);
	list_init(&listener->clients);
	list_init(&listener->pairs);
	list_init(&listener->prefaces);
	list_init(&listener->node.list);
}

void listener_attach(struct listener *listener, const struct conf_listener *conf)
{
	struct worker *worker = listener->worker;
	bool mode_changed = listener->conf && listener->conf->mode != conf->mode;
	listener->conf = conf;
	forward_init(&listener->forward, conf, &listener->bind);
	if (mode_changed)
		listener_close_idle(listener);
	if (listener->attached)
		return;
	listener->attached = true;
	list_push_back(&worker->listeners, &listener->node.list);
	if (worker->draining)
		listener_shut(listener);
	else
		watch_want(&listener->io, POLLER_READ);
}

void listener_shut(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	if (listener->udp) {
		udp_wind_up(listener, 0);
		return;
	}
	struct worker *worker = listener->worker;
	/* Who is in the queue was promised service by our SYN-ACK; closing would reset them. */
	if (listener->attached)
		accept_some(listener, SHUT_MAX);
	watch_leave(&listener->io); /* yoked has it, too */
	timer_cancel(worker, &listener->pause);
	close(listener->fd);
	listener->fd = -1;
}

void listener_retire(struct listener *listener)
{
	listener->connections++;
	if (listener->udp)
		udp_wind_up(listener, WIND_UP_US);
	else
		listener_shut(listener);
	listener_close_idle(listener);
	listener->closing = true;
	listener->conf = NULL;
	listener_release(listener);
}

void listener_close_idle(struct listener *listener)
{
	struct worker *worker = listener->worker;
	worker->walking = true;
	/* These first: they may become clients. */
	list_for_each_safe (it, &listener->prefaces)
		preface_close_idle(list_entry(it, struct preface, node.list));
	list_for_each_safe (it, &listener->clients)
		client_close_idle(worker, list_entry(it, struct client, node.list));
	list_for_each_safe (it, &worker->fresh)
		if (list_entry(it, struct client, node.list)->listener == listener)
			client_close_idle(worker, list_entry(it, struct client, node.list));
	worker->walking = false;
}

uint32_t listener_sift_queue(
    struct listener *listener, bool (*unwanted)(const void *arg, int fd), const void *arg)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	uint32_t n = 0;
	for (uint32_t i = 0; listener->fd >= 0 && i < SHUT_MAX; i++) {
		struct arrival arrival = {.pool = CONF_NONE};
		arrival.fd = net_accept(listener->fd, &arrival.peer);
		if (arrival.fd < 0)
			break;
		if (is_own(listener, &arrival.peer) || !unwanted(arg, arrival.fd)) {
			welcome(listener, &arrival);
			continue;
		}
		setsockopt(arrival.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(arrival.fd);
		n++;
	}
	return n;
}

bool listener_queue(const struct listener *listener, uint32_t *waiting, uint32_t *room)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	if (getsockopt(listener->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return false;
	/* That is where a listening socket has them. */
	*waiting = info.tcpi_unacked;
	*room = info.tcpi_sacked;
	return true;
}
