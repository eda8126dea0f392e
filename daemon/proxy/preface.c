#include "daemon/proxy/preface.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/client_hello.h"
#include "daemon/proxy/proxy_header.h"

#define DRAIN_GRACE_US US_PER_SEC
#define LOG_EVERY_US   US_PER_SEC

static const struct preface_reader *const readers[] = {&proxy_header_reader, &client_hello_reader};

#define N_READERS (sizeof(readers) / sizeof(readers[0]))

static struct worker *worker_of(const struct preface *preface)
{
	return preface->listener->worker;
}

/* The first reader from number `i` on that wants the connection; N_READERS: none. */
static uint32_t next_reader(
    const struct conf_listener *conf, const struct arrival *arrival, uint32_t i)
{
	while (i < N_READERS && !readers[i]->wanted(conf, arrival))
		i++;
	return i;
}

bool preface_wanted(const struct conf_listener *conf, const struct arrival *arrival)
{
	return next_reader(conf, arrival, 0) < N_READERS;
}

/* The connection is not ours any more. */
static void end(struct preface *preface)
{
	struct worker *worker = worker_of(preface);
	preface->dead = true;
	UNCOUNT(worker, fresh_clients);
	timer_cancel(worker, &preface->timer);
	list_del(&preface->node.list);
	worker_bury(worker, &preface->node, preface);
}

void preface_close(struct preface *preface, bool reset)
{
	struct listener *listener = preface->listener;
	conn_close(&preface->conn, reset);
	free(preface->arrival.origin);
	tally_give(worker_of(preface)->tallies, preface->arrival.tally);
	end(preface);
	listener_left(listener, false);
}

static void refuse(struct preface *preface, const char *reason, const char *why)
{
	struct worker *worker = worker_of(preface);
	char text[ADDR_TEXT_MAX], more[64] = "";
	uint64_t suppressed;
	reasons_count(&worker->refused_connections, reason);
	if (log_allowed(&worker->log_prefaces, worker->now_us, LOG_EVERY_US, &suppressed)) {
		if (suppressed > 0)
			snprintf(more, sizeof(more), " (%llu similar not shown)",
			    (unsigned long long)suppressed);
		log_warn("listener %s: %s closed: %s: %s%s", preface->listener->name,
		    addr_format(&preface->arrival.peer, text), readers[preface->reader]->what, why,
		    more);
	}
	preface_close(preface, true);
}

static void hand_over(struct preface *preface)
{
	struct listener *listener = preface->listener;
	struct arrival arrival = preface->arrival;
	watch_leave(&preface->conn.io);
	end(preface);
	listener_serve(listener, &arrival);
}

/* The present reader has what it wants. True: the next one can begin. */
static bool go_on(struct preface *preface, size_t taken)
{
	struct worker *worker = worker_of(preface);
	/* MSG_TRUNC: they are not copied. */
	if (taken > 0 &&
	    recv(preface->conn.io.fd, worker->read, taken, MSG_TRUNC) != (ssize_t)taken) {
		preface_close(preface, true);
		return false;
	}
	preface->reader =
	    next_reader(preface->listener->conf, &preface->arrival, preface->reader + 1);
	if (preface->reader < N_READERS)
		return true;
	hand_over(preface);
	return false;
}

/* What there is is not enough. */
static void await_more(struct preface *preface)
{
	/* After the end no more comes. */
	if (preface->conn.io.wary) {
		COUNT(worker_of(preface), prefaces_cut);
		refuse(preface, "preface_cut", "the stream ends in it");
		return;
	}
	watch_blocked(&preface->conn.io, POLLER_READ);
}

/* Shows the present reader what there is. True: the next one can begin. */
static bool look(struct preface *preface)
{
	struct worker *worker = worker_of(preface);
	const struct preface_reader *reader = readers[preface->reader];
	ssize_t n = recv(preface->conn.io.fd, worker->read, reader->max, MSG_PEEK);
	if (n < 0 && errno == EAGAIN)
		watch_blocked(&preface->conn.io, POLLER_READ);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		/* Somebody looked whether the port is open: no harm in it. */
		preface_close(preface, n < 0);
		return false;
	}
	struct preface_found found = {0};
	switch (
	    reader->read(preface->listener, &preface->arrival, worker->read, (size_t)n, &found)) {
	case PREFACE_MORE: await_more(preface); return false;
	case PREFACE_DONE: return go_on(preface, found.taken);
	default: refuse(preface, found.reason, found.why); return false;
	}
}

static void on_event(struct watch *watch, unsigned events)
{
	(void)events;
	struct preface *preface = list_entry(watch, struct preface, conn.io);
	while (look(preface))
		continue;
}

static void on_timeout(struct worker *worker, struct timer *timer)
{
	struct preface *preface = list_entry(timer, struct preface, timer);
	COUNT(worker, prefaces_late);
	refuse(preface, "preface_late", "not complete in time");
}

bool preface_open(struct listener *listener, const struct arrival *arrival)
{
	struct worker *worker = listener->worker;
	struct preface *preface = calloc(1, sizeof(*preface));
	if (!preface)
		return false;
	preface->listener = listener;
	preface->arrival = *arrival;
	preface->since_us = worker->now_us;
	preface->reader = next_reader(listener->conf, arrival, 0);
	COUNT(worker, fresh_clients);
	list_push_back(&listener->prefaces, &preface->node.list);
	timer_init(&preface->timer, on_timeout);
	timer_set(worker, &preface->timer, listener->conf->header_timeout_us);
	conn_init(&preface->conn, &worker->poller, arrival->fd, on_event);
	conn_want(&preface->conn, POLLER_READ);
	return true;
}

void preface_close_idle(struct preface *preface)
{
	struct worker *worker = worker_of(preface);
	while (look(preface))
		continue;
	if (preface->dead)
		return;
	if (worker->draining) {
		timer_cancel(worker, &preface->timer);
		timer_set(worker, &preface->timer, DRAIN_GRACE_US);
	} else {
		preface_close(preface, false);
	}
}
