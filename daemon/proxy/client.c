#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/preface.h"

#define LINGER_US      (2 * US_PER_SEC)
#define LINGER_READS   64 /* of up to 32 KiB each */
#define DRAIN_GRACE_US US_PER_SEC
#define READ_AHEAD     4096U

static struct worker *worker_of(const struct client *client)
{
	return worker_of_watch(&client->conn.io);
}

/* All of it but the connection. */
static void forget(struct worker *worker, struct client *client)
{
	client->dead = true;
	if (client->fresh)
		UNCOUNT(worker, fresh_clients);
	if (client->txn)
		txn_drop(client->txn);
	timer_cancel(worker, &client->timer);
	buf_free(&client->in);
	free(client->origin);
	list_del(&client->node.list);
	worker_bury(worker, &client->node, client);
}

void client_is_known(struct client *client)
{
	UNCOUNT(worker_of(client), fresh_clients);
	client->fresh = false;
	list_del(&client->node.list);
	list_push_back(&client->listener->clients, &client->node.list);
}

void client_close(struct worker *worker, struct client *client, bool reset)
{
	if (client->dead)
		return;
	forget(worker, client);
	conn_close(&client->conn, reset);
	tally_give(worker->tallies, client->tally);
	listener_left(client->listener, client->own);
}

void client_give_up(struct worker *worker, struct client *client)
{
	assert(!conn_is_open(&client->conn));
	forget(worker, client);
}

static bool wants_read(const struct client *client)
{
	const struct txn *txn = client->txn;
	if (client->eof)
		return false;
	if (!txn)
		return true;
	if (wait_is_on(&txn->wait))
		return false;
	if (txn->request_done)
		return buf_len(&client->in) < HTTP_AHEAD_MAX;
	/* Answered before the request was complete: the rest is for linger(). */
	return txn->state != RESPONSE_DONE && !txn->request_pipe &&
	       (buf_len(&txn->request) < HTTP_UNSENT_MAX || txn_is_held(txn));
}

void client_watch(struct client *client)
{
	if (client->dead)
		return;
	bool write = client->txn && txn_owes_client(client->txn);
	bool waits = client->txn && wait_is_on(&client->txn->wait);
	conn_want(&client->conn, (wants_read(client) ? POLLER_READ : 0) |
				     (write ? POLLER_WRITE : 0) | (waits ? POLLER_BROKEN : 0));
}

/* Takes requests one after the other, as long as none has to wait for its response. Returns the
 * bytes it took. */
static size_t take_input(struct client *client, const char *data, size_t len)
{
	size_t used = 0, took;
	client->busy = true;
	do {
		took = 0;
		if (!client->txn && used < len)
			took += request_begin(client, data + used, len - used);
		if (client->txn && !client->txn->request_done && used + took < len)
			took += request_body(client->txn, data + used + took, len - used - took);
		used += took;
		/* Head and body that came together leave together. */
		if (client->txn && !client->txn->dispatched && !txn_is_held(client->txn))
			request_dispatch(client->txn);
	} while (took > 0 && !client->txn && !client->dead && !client->lingering);
	client->busy = false;
	return used;
}

/* The client says no more: is there something to tell it, or to wait for? */
static bool may_be_answered(const struct txn *txn)
{
	return txn && (txn->request_done || txn->state == RESPONSE_DONE);
}

/* Works on what client->in holds. Nobody else touches the buffer meanwhile, even if the client
 * dies of what is in it. */
static void take_buffered(struct client *client)
{
	struct buf in = client->in;
	client->in = (struct buf){.scanned = in.scanned};
	if (buf_len(&in) > 0)
		in.start += (uint32_t)take_input(client, buf_head(&in), buf_len(&in));
	if (client->dead || client->lingering || buf_len(&in) == 0) {
		buf_free(&in);
	} else {
		in.scanned = client->in.scanned;
		buf_compact(&in);
		client->in = in;
	}
	if (!client->dead && client->eof && !may_be_answered(client->txn))
		client_close(worker_of(client), client, false);
}

/* The client closed its side, or broke. Half a close is legal: who asked completely is answered. */
static void input_ended(struct client *client, ssize_t error)
{
	if (error == -EAGAIN || error == -EINTR)
		return;
	if (error < 0 && client->txn)
		access_why(&client->txn->note, "client_reset");
	if (error < 0 || !client->txn || !client->txn->request_done)
		client_close(worker_of(client), client, error < 0);
	else
		client->eof = true;
}

static void read_more(struct client *client)
{
	struct worker *worker = worker_of(client);
	if (!buf_reserve(&client->in, READ_AHEAD)) {
		client_close(worker, client, true);
		return;
	}
	struct buf *in = &client->in;
	ssize_t n = conn_recv(&client->conn, in->data + in->end, in->cap - in->end);
	if (n <= 0) {
		input_ended(client, n);
		return;
	}
	COUNT_CLIENT(client, bytes_in, n);
	in->end += (uint32_t)n;
	if (!client->txn || !client->txn->request_done)
		take_buffered(client);
}

/* A long body. False: it must be copied. */
static bool read_bulk(struct client *client)
{
	ssize_t n = client->txn ? request_splice(client->txn) : -EAGAIN;
	if (n == -EAGAIN)
		return false;
	if (n > 0)
		COUNT_CLIENT(client, bytes_in, n);
	else
		input_ended(client, n);
	return true;
}

/* The usual case: whole requests, or pieces of a body, that never need memory of their own. */
static void read_shared(struct client *client)
{
	struct worker *worker = worker_of(client);
	ssize_t n = conn_recv(&client->conn, worker->read, WORKER_READ_SIZE);
	if (n <= 0) {
		input_ended(client, n);
		return;
	}
	COUNT_CLIENT(client, bytes_in, n);
	size_t used = take_input(client, worker->read, (size_t)n);
	if (client->dead || client->lingering || used == (size_t)n)
		return;
	if (!buf_append(&client->in, worker->read + used, (size_t)n - used))
		client_close(worker, client, true);
}

static void linger(struct client *client)
{
	struct worker *worker = worker_of(client);
	ssize_t n = conn_recv(&client->conn, worker->read, WORKER_READ_SIZE);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0 || ++client->linger_reads >= LINGER_READS)
		client_close(worker, client, false);
}

static void readable(struct client *client)
{
	bool request_done = client->txn && client->txn->request_done;
	if (client->lingering)
		linger(client);
	else if (request_done || buf_len(&client->in) > 0)
		read_more(client);
	else if (!read_bulk(client))
		read_shared(client);
	client_watch(client);
}

static void on_event(struct watch *watch, unsigned events)
{
	struct client *client = list_entry(watch, struct client, conn.io);
	if (events & POLLER_BROKEN) {
		access_why(&client->txn->note, "client_reset");
		client_close(worker_of(client), client, true);
		return;
	}
	if ((events & POLLER_WRITE) && client->txn)
		response_flush(client->txn);
	if ((events & POLLER_READ) && !client->dead && wants_read(client))
		readable(client);
}

void client_close_idle(struct worker *worker, struct client *client)
{
	if (client->dead || client->txn || client->lingering)
		return;
	/* A request that has just arrived would be lost, and the client told so by a reset. */
	readable(client);
	if (client->dead || client->txn || client->lingering)
		return;
	/* Who has just come, or is about to ask, gets a moment when we leave for good. */
	if (worker->draining && (client->fresh || buf_len(&client->in) > 0))
		timer_set(worker, &client->timer, DRAIN_GRACE_US);
	else
		client_close(worker, client, false);
}

/* Without this the answer could be lost: closing with unread bytes sends a reset, which overtakes
 * what the client has not read yet (RFC 9112 section 9.6). */
static void begin_linger(struct client *client)
{
	struct worker *worker = worker_of(client);
	conn_shut(&client->conn);
	client->lingering = true;
	client->eof = false;
	buf_free(&client->in);
	timer_cancel(worker, &client->timer);
	timer_set(worker, &client->timer, LINGER_US);
	client_watch(client);
}

void client_txn_ended(struct client *client, bool keep, bool rest_unread)
{
	struct worker *worker = worker_of(client);
	const struct listener *listener = client->listener;
	client->txn = NULL;
	if (worker->draining || listener->closing || listener->conf->mode != CONF_MODE_HTTP)
		keep = false;
	if (!keep) {
		if (!client->eof && (rest_unread || buf_len(&client->in) > 0))
			begin_linger(client);
		else
			client_close(worker, client, false);
		return;
	}
	timer_set(worker, &client->timer, listener->conf->idle_timeout_us);
	if (client->busy)
		return;
	if (buf_len(&client->in) > 0 || client->eof)
		take_buffered(client);
	client_watch(client);
}

/* The head did not come in time. */
static void head_timed_out(struct worker *worker, struct client *client)
{
	COUNT(worker, refused_timeout);
	struct txn *txn = txn_new(client);
	if (!txn) {
		client_close(worker, client, true);
		return;
	}
	txn->malformed = true;
	txn_answer(txn, 408, "request_head");
}

static void on_timeout(struct worker *worker, struct timer *timer)
{
	struct client *client = list_entry(timer, struct client, timer);
	struct txn *txn = client->txn;
	if (!txn) {
		if (client->head_timed) {
			head_timed_out(worker, client);
			return;
		}
		if (client->fresh)
			COUNT(worker, connections_silent);
		client_close(worker, client, false);
		return;
	}
	if (wait_is_on(&txn->wait)) {
		timer_set(worker, timer, txn->listener->idle_timeout_us);
	} else if (txn->state != RESPONSE_HEAD) {
		access_why(&txn->note, txn_owes_client(txn) ? "client_timeout" : "target_timeout");
		client_close(worker, client, true);
	} else if (!txn->request_done && (!txn_owes_target(txn) || txn_is_held(txn))) {
		bool slow = request_is_slow(txn);
		if (slow)
			COUNT(worker, refused_slow);
		else
			COUNT(worker, refused_timeout);
		txn_answer(txn, 408, slow ? "body_too_slow" : "request_body");
	} else if (request_is_slow(txn)) {
		txn->paced_us = 0; /* it is the target that takes no more of it now */
		timer_set(worker, timer, txn->listener->idle_timeout_us);
	} else if (txn->upstream && txn->upstream->established && !txn->upstream->waiting &&
		   !ack_is_held(&txn->ack)) {
		response_timed_out(txn); /* it takes no more of the request, or stopped in a head */
	} else {
		timer_set(worker, timer, txn->listener->idle_timeout_us); /* other timers decide */
	}
}

bool client_open(struct listener *listener, const struct arrival *arrival, bool own)
{
	struct worker *worker = listener->worker;
	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return false;
	client->listener = listener;
	client->peer = arrival->peer;
	client->origin = arrival->origin;
	client->tally = arrival->tally;
	client->own = own;
	client->fresh = !own;
	client->since_us = (uint32_t)worker->now_us;
	if (client->fresh)
		COUNT(worker, fresh_clients);
	list_push_back(own ? &listener->clients : &worker->fresh, &client->node.list);
	timer_init(&client->timer, on_timeout);
	timer_set(worker, &client->timer,
	    worker->draining ? DRAIN_GRACE_US : listener->conf->header_timeout_us);
	conn_init(&client->conn, &worker->poller, arrival->fd, on_event);
	conn_want(&client->conn, POLLER_READ);
	return true;
}
