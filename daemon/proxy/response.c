/* From the target to the client. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/proxy/explain.h"
#include "daemon/proxy/heads.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/leave.h"
#include "daemon/proxy/results.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/routing.h"
#include "daemon/proxy/upgrade.h"

#define READ_AHEAD    4096U
#define COOKIE_LINE   512
#define UPGRADE_LINES 128 /* with the name of a protocol */
/* A body up to this is copied behind a generated head: cheaper than a second slice to send. */
#define JOIN_MAX 4096U

/* Appends what conn_sendv left over. */
static bool keep_rest(struct buf *out, const struct iovec *iov, size_t n_iov, size_t sent)
{
	for (size_t i = 0; i < n_iov; i++) {
		if (sent >= iov[i].iov_len) {
			sent -= iov[i].iov_len;
			continue;
		}
		if (!buf_append(out, (const char *)iov[i].iov_base + sent, iov[i].iov_len - sent))
			return false;
		sent = 0;
	}
	return true;
}

bool response_send(struct txn *txn, struct iovec *iov, size_t n_iov)
{
	struct worker *worker = txn->worker;
	size_t total = 0;
	ssize_t sent = 0;
	for (size_t i = 0; i < n_iov; i++)
		total += iov[i].iov_len;
	if (!txn_owes_client(txn))
		sent = conn_sendv(&txn->client->conn, iov, n_iov);
	if (sent < 0) {
		access_why(&txn->note, "client_reset");
		client_close(worker, txn->client, true);
		return false;
	}
	txn->note.bytes_out += (size_t)sent;
	COUNT_CLIENT(txn->client, bytes_out, sent);
	if ((size_t)sent == total)
		return true;
	if (!keep_rest(&txn->out, iov, n_iov, (size_t)sent)) {
		access_why(&txn->note, "no_memory");
		client_close(worker, txn->client, true);
		return false;
	}
	client_watch(txn->client);
	txn_watch_upstream(txn);
	return true;
}

/* These return the number of bytes sent, or -errno. */
static ssize_t send_out(struct txn *txn)
{
	struct buf *out = &txn->out;
	ssize_t n = conn_send(&txn->client->conn, buf_head(out), buf_len(out));
	if (n > 0)
		out->start += (uint32_t)n;
	if (buf_len(out) == 0)
		buf_reset(out);
	return n;
}

static ssize_t send_pipe(struct txn *txn)
{
	ssize_t n = pipe_drain(txn->response_pipe, &txn->client->conn);
	if (n > 0)
		COUNT_BY(txn->worker, bytes_spliced, n);
	if (txn->response_pipe->len == 0) {
		pipes_put(&txn->worker->pipes, txn->response_pipe);
		txn->response_pipe = NULL;
	}
	return n;
}

void response_flush(struct txn *txn)
{
	struct worker *worker = txn->worker;
	if (!txn_owes_client(txn))
		return;
	ssize_t n = txn->response_pipe ? send_pipe(txn) : send_out(txn);
	if (n < 0) {
		access_why(&txn->note, "client_reset");
		client_close(worker, txn->client, true);
		return;
	}
	txn->note.bytes_out += (size_t)n;
	COUNT_CLIENT(txn->client, bytes_out, n);
	timer_set(worker, &txn->client->timer, txn->listener->idle_timeout_us);
	if (txn_owes_client(txn))
		return;
	if (txn->state == RESPONSE_DONE) {
		txn_end(txn);
		return;
	}
	client_watch(txn->client);
	txn_watch_upstream(txn);
}

void response_count(struct worker *worker, unsigned status)
{
	switch (status / 100) {
	case 1: COUNT(worker, responses_1xx); break;
	case 2: COUNT(worker, responses_2xx); break;
	case 3: COUNT(worker, responses_3xx); break;
	case 4: COUNT(worker, responses_4xx); break;
	default: COUNT(worker, responses_5xx); break;
	}
}

/* The final head of a response. Targets that are too busy, and gateways whose own targets fail, are
 * quick to say so: that must not make them look good. */
static void note_head(struct txn *txn, const struct h1_head *head)
{
	struct worker *worker = txn->worker;
	bool failed = head->status >= 502 && head->status <= 504;
	response_count(worker, head->status);
	txn->note.status = (uint16_t)head->status;
	txn->note.response_us = worker->now_us;
	txn_observe(txn, failed ? PICKER_FAILED : worker->now_us - txn->asked_us);
}

static void fail(struct txn *txn, const char *why, const char *what)
{
	txn_note_failed(txn, why);
	txn_observe(txn, PICKER_FAILED);
	atomic_fetch_add_explicit(&txn->target->failures, 1, memory_order_relaxed);
	results_failed(txn->worker, txn->gen, txn->pool, txn->trial, txn->target);
	worker_log_target(txn->worker, txn_pool(txn)->name, txn->target, what);
}

void response_timed_out(struct txn *txn)
{
	fail(txn, "response_timeout", "no response in time");
	if (txn_retry(txn, CONF_RETRY_TIMEOUT))
		return;
	COUNT(txn->worker, target_timeout);
	txn_answer(txn, 504, "response_timeout");
}

static void refuse(struct txn *txn, const char *what)
{
	fail(txn, "bad_response", what);
	if (txn->started) {
		access_why(&txn->note, "bad_response");
		txn_abort(txn);
		return;
	}
	COUNT(txn->worker, target_failed);
	txn_answer(txn, 502, "bad_response");
}

static void finish(struct txn *txn)
{
	txn_release_upstream(txn);
	if (!txn_owes_client(txn))
		txn_end(txn);
}

/* Takes the framing of a chunked body away, in place. */
static enum h1_result unchunk(
    struct body *body, char *data, size_t len, size_t *used, size_t *out_len)
{
	*used = *out_len = 0;
	while (*used < len && !body->chunks.done) {
		size_t n = 0;
		struct slice run = {NULL, 0};
		enum h1_result result =
		    h1_chunks_feed(&body->chunks, data + *used, len - *used, &n, &run);
		if (result != H1_OK)
			return result;
		if (n == 0)
			break;
		if (run.len > 0) {
			memmove(data + *out_len, run.p, run.len);
			*out_len += run.len;
		}
		*used += n;
	}
	return H1_OK;
}

/* Takes what belongs to the body. *out_len bytes at `data` go to the client. False: malformed. */
static bool take_body(struct txn *txn, char *data, size_t len, size_t *out_len)
{
	struct body *body = &txn->response_body;
	size_t used = len;
	bool done = false;
	*out_len = 0;
	switch (body->framing) {
	case H1_BODY_LENGTH:
		if (used > body->left)
			used = (size_t)body->left;
		body->left -= used;
		done = body->left == 0;
		*out_len = used;
		break;
	case H1_BODY_CHUNKED:
		if (txn->unchunk) {
			if (unchunk(body, data, len, &used, out_len) != H1_OK)
				return false;
		} else {
			if (h1_chunks_feed(&body->chunks, data, len, &used, NULL) != H1_OK)
				return false;
			*out_len = used;
		}
		done = body->chunks.done;
		break;
	case H1_BODY_UNTIL_CLOSE: *out_len = len; break;
	default:
		used = 0;
		done = true;
		break;
	}
	if (used < len)
		txn->upstream_keep_alive = false; /* it says more than was asked for */
	txn->state = done ? RESPONSE_DONE : RESPONSE_BODY;
	return true;
}

/* Sends a head at `data` as it came or rewritten, and with it `body_len` bytes that follow it. */
static bool send_head(struct txn *txn, const struct h1_head *head, char *data, size_t body_len,
    const struct heads_response *options)
{
	struct buf *scratch = &txn->worker->scratch;
	char *body = data + head->len;
	struct iovec iov[2] = {{data, head->len + body_len}};
	txn->note.head_out += head->len;
	if (heads_response_unchanged(head, data, options))
		return response_send(txn, iov, 1);
	buf_reset(scratch);
	if (!buf_reserve(scratch, heads_response_room(head, options) + JOIN_MAX)) {
		txn_abort(txn);
		return false;
	}
	scratch->end = (uint32_t)heads_response(head, options, scratch->data);
	txn->note.head_out += scratch->end - head->len;
	iov[0] = (struct iovec){scratch->data, scratch->end};
	iov[1] = (struct iovec){body, body_len};
	if (body_len <= JOIN_MAX) {
		memcpy(scratch->data + scratch->end, body, body_len);
		iov[0].iov_len += body_len;
		return response_send(txn, iov, 1);
	}
	return response_send(txn, iov, 2);
}

/* Interim responses go through as they come, but not to HTTP/1.0 (RFC 9110 section 15.2). */
static bool relay_interim(struct txn *txn, const struct h1_head *head, char *data)
{
	static const struct heads_response options = {0};
	COUNT(txn->worker, responses_1xx);
	txn->replayable = false;
	return txn->minor == 0 || send_head(txn, head, data, 0, &options);
}

/* The final head, at `data`, and what came with it. */
static void begin_response(struct txn *txn, struct h1_head *head, char *data, size_t len)
{
	struct worker *worker = txn->worker;
	char lines[COOKIE_LINE + EXPLAIN_LINE_MAX];
	size_t body_len;
	txn->response_body.framing = head->framing;
	txn->response_body.left = head->content_length;
	txn->upstream_keep_alive = head->keep_alive;
	txn->unchunk = head->framing == H1_BODY_CHUNKED && txn->minor == 0;
	txn->close = txn_must_close(txn) || txn->unchunk || head->framing == H1_BODY_UNTIL_CLOSE;
	if (!take_body(txn, data + head->len, len - head->len, &body_len)) {
		txn->state = RESPONSE_HEAD;
		refuse(txn, "malformed chunked body");
		return;
	}
	note_head(txn, head);
	struct heads_response options = {
	    .close = txn->close,
	    .keep_alive = !txn->close && txn->minor == 0,
	    .unchunked = txn->minor == 0,
	    .via = forward_response(&txn->client->listener->forward, head->minor),
	    .add = {lines, choose_set_cookie(
			       txn->gen, txn->pool, txn->target, &txn->choice, lines, COOKIE_LINE)},
	};
	options.add.len += explain_line(txn, NULL, lines + options.add.len);
	if (txn->act && !routing_change_response(txn, head, &options.add))
		return;
	txn->started = true;
	timer_set(worker, &txn->client->timer, txn->listener->idle_timeout_us);
	if (send_head(txn, head, data, body_len, &options) && txn->state == RESPONSE_DONE)
		finish(txn);
}

/* 101, at `data`: what comes behind it is no HTTP any more. */
static void switch_protocols(struct txn *txn, struct h1_head *head, char *data, size_t len)
{
	char lines[UPGRADE_LINES + COOKIE_LINE + EXPLAIN_LINE_MAX];
	if (!txn->upgrade || !upgrade_accepted(head, txn->upgrade) || txn_owes_target(txn) ||
	    txn->upstream->error) {
		refuse(txn, "switched protocols without being asked to");
		return;
	}
	txn->note.response_us = txn->worker->now_us;
	size_t n = (size_t)snprintf(
	    lines, UPGRADE_LINES, "Connection: Upgrade\r\nUpgrade: %s\r\n", txn->upgrade);
	n += choose_set_cookie(
	    txn->gen, txn->pool, txn->target, &txn->choice, lines + n, COOKIE_LINE);
	n += explain_line(txn, NULL, lines + n);
	struct heads_response options = {
	    .via = forward_response(&txn->client->listener->forward, head->minor),
	    .add = {lines, n},
	};
	if (txn->act && !routing_change_response(txn, head, &options.add))
		return;
	txn->replayable = false;
	results_good(txn->gen, txn->pool, txn->trial, txn->target, 0);
	note_head(txn, head);
	if (send_head(txn, head, data, len - head->len, &options))
		tunnel_begin(txn);
}

static void continue_response(struct txn *txn, char *data, size_t len)
{
	size_t body_len;
	if (!take_body(txn, data, len, &body_len)) {
		refuse(txn, "malformed chunked body");
		return;
	}
	struct iovec iov = {data, body_len};
	timer_set(txn->worker, &txn->client->timer, txn->listener->idle_timeout_us);
	if (body_len > 0 && !response_send(txn, &iov, 1))
		return;
	if (txn->state == RESPONSE_DONE)
		finish(txn);
}

/* Notes how a target has answered, by a final head and `len` bytes with it. True: by a status that
 * the pool tries again, and the request has gone to another target. */
static bool retry_status(struct txn *txn, const struct h1_head *head, size_t len)
{
	results_status(txn->worker, txn->gen, txn->pool, txn->trial, txn->target, head->status,
	    txn->worker->now_us - txn->asked_us);
	if (txn->replayable && head->status >= 502 && head->status <= 504) {
		uint64_t body_len = head->framing == H1_BODY_LENGTH ? head->content_length : 0;
		bool whole = (head->framing == H1_BODY_LENGTH || head->framing == H1_BODY_NONE) &&
			     body_len == len - head->len;
		/* With nothing more to come, its connection is as good as before. */
		txn->state = whole ? RESPONSE_DONE : RESPONSE_HEAD;
		txn->upstream_keep_alive = head->keep_alive;
		if (txn_retry(txn, CONF_RETRY_502 + (head->status - 502)))
			return true;
		txn->state = RESPONSE_HEAD;
	}
	txn->replayable = false;
	return false;
}

/* A head that begins a session waits until the peer has that. */
static bool must_wait(struct txn *txn, const struct h1_head *head)
{
	if (!choose_learns(&txn_pool(txn)->sticky) || txn->learned)
		return false;
	txn->learned = true;
	choose_learn(txn->worker, txn->gen, txn->pool, txn->target, head, &txn->choice, &txn->ack);
	if (!ack_hold(txn->worker, &txn->ack))
		return false;
	txn_watch_upstream(txn);
	return true;
}

/* Returns the bytes taken: fewer than len when a head is incomplete, or must wait. The transaction
 * may be over afterwards. */
static size_t take_input(struct txn *txn, char *data, size_t len)
{
	struct h1_head *head = &txn->worker->head;
	size_t used = 0;
	if (txn->state == RESPONSE_BODY) {
		continue_response(txn, data, len);
		return len;
	}
	while (used < len) {
		enum h1_result result =
		    h1_parse_response(data + used, len - used, txn->method, head);
		if (result == H1_MORE && len - used < txn->listener->max_header_size)
			break;
		if (result != H1_OK || head->len > txn->listener->max_header_size) {
			refuse(txn, "malformed response head, or a too large one");
			return len;
		}
		if (head->status >= 200 && !txn->learned && retry_status(txn, head, len - used))
			return len;
		if ((head->status >= 200 || head->status == 101) && must_wait(txn, head))
			break;
		if (head->status >= 200) {
			begin_response(txn, head, data + used, len - used);
			return len;
		}
		if (head->status == 101) {
			switch_protocols(txn, head, data + used, len - used);
			return len;
		}
		if (!relay_interim(txn, head, data + used))
			return len;
		used += head->len;
	}
	return used;
}

/* The target closed its side (0) or broke (-errno). */
static void input_ended(struct txn *txn, ssize_t error)
{
	if (txn->upstream->error)
		error = txn->upstream->error;
	if (txn->state == RESPONSE_HEAD) {
		txn_attempt_failed(txn, error ? (int)error : -EPIPE);
	} else if (txn->response_body.framing == H1_BODY_UNTIL_CLOSE && error == 0) {
		txn->state = RESPONSE_DONE;
		finish(txn);
	} else {
		fail(txn, "target_closed", "closed in the middle of a response");
		access_why(&txn->note, "target_closed");
		COUNT(txn->worker, target_failed);
		txn_abort(txn);
	}
}

static void take_partial(struct txn *txn)
{
	/* The bytes are ours while they are looked at, even if the transaction ends by them. */
	struct buf partial = txn->partial;
	txn->partial = (struct buf){0};
	partial.start += (uint32_t)take_input(txn, buf_head(&partial), buf_len(&partial));
	if (txn->client && buf_len(&partial) > 0) {
		buf_compact(&partial);
		partial.scanned = 0;
		txn->partial = partial;
	} else {
		buf_free(&partial);
	}
}

static void read_partial(struct txn *txn)
{
	struct buf partial = txn->partial;
	size_t scanned = partial.scanned;
	if (!buf_reserve(&partial, READ_AHEAD)) {
		txn_abort(txn);
		return;
	}
	txn->partial = partial;
	ssize_t n =
	    conn_recv(&txn->upstream->conn, partial.data + partial.end, partial.cap - partial.end);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		input_ended(txn, n);
		return;
	}
	partial.end += (uint32_t)n;
	txn->partial = partial;
	bool enough = h1_head_complete(buf_head(&partial), buf_len(&partial), &scanned) ||
		      buf_len(&partial) >= txn->listener->max_header_size;
	if (!enough) {
		txn->partial.scanned = (uint32_t)scanned;
		return;
	}
	take_partial(txn);
}

/* Moves `n` bytes of the body that are in the pipe. */
static void continue_spliced(struct txn *txn, struct pipe *pipe, size_t n)
{
	struct worker *worker = txn->worker;
	struct body *body = &txn->response_body;
	if (body->framing == H1_BODY_LENGTH) {
		body->left -= n;
		if (body->left == 0)
			txn->state = RESPONSE_DONE;
	}
	txn->response_pipe = pipe;
	timer_set(worker, &txn->client->timer, txn->listener->idle_timeout_us);
	ssize_t sent = send_pipe(txn);
	if (sent < 0) {
		access_why(&txn->note, "client_reset");
		client_close(worker, txn->client, true);
		return;
	}
	txn->note.bytes_out += (size_t)sent;
	COUNT_BY(worker, bytes_out, sent);
	if (txn->response_pipe) {
		client_watch(txn->client);
		txn_watch_upstream(txn);
	}
	if (txn->state == RESPONSE_DONE)
		finish(txn);
}

/* A chunked body is looked at, so it is copied. */
static bool may_splice(const struct txn *txn)
{
	const struct body *body = &txn->response_body;
	if (!txn->client || txn->state != RESPONSE_BODY || txn_owes_client(txn))
		return false;
	return body->framing == H1_BODY_LENGTH ? body->left >= PIPE_MIN
					       : body->framing == H1_BODY_UNTIL_CLOSE && txn->bulk;
}

/* Returns what pipe_fill does; -EAGAIN also when there is no pipe. */
static ssize_t splice_body(struct txn *txn)
{
	struct worker *worker = txn->worker;
	const struct body *body = &txn->response_body;
	struct pipe *pipe = pipes_get(&worker->pipes, worker->now_us);
	if (!pipe)
		return -EAGAIN;
	bool short_body = body->framing == H1_BODY_LENGTH && body->left < PIPE_SIZE;
	ssize_t n =
	    pipe_fill(pipe, &txn->upstream->conn, short_body ? (size_t)body->left : PIPE_SIZE);
	if (n > 0) {
		continue_spliced(txn, pipe, (size_t)n);
		return n;
	}
	pipes_put(&worker->pipes, pipe);
	if (n != -EAGAIN)
		input_ended(txn, n);
	return n;
}

/* False: it must be copied. */
static bool read_bulk(struct txn *txn)
{
	return may_splice(txn) && splice_body(txn) != -EAGAIN;
}

void response_readable(struct txn *txn)
{
	struct worker *worker = txn->worker;
	struct upstream *upstream = txn->upstream;
	if (ack_hold(worker, &txn->ack)) {
		txn_watch_upstream(txn);
		return;
	}
	if (buf_len(&txn->partial) > 0) {
		read_partial(txn);
		return;
	}
	if (read_bulk(txn))
		return;
	ssize_t n = conn_recv(&upstream->conn, worker->read, WORKER_READ_SIZE);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		input_ended(txn, n);
		return;
	}
	txn->bulk = n == WORKER_READ_SIZE;
	upstream->established = true;
	upstream->waiting = false;
	/* Whether the status is one to try again is known when the head is complete. */
	txn->replayable = txn->replayable && retry_after_status(txn->gen, txn->pool);
	size_t used = take_input(txn, worker->read, (size_t)n);
	if (txn->client && used < (size_t)n &&
	    !buf_append(&txn->partial, worker->read + used, (size_t)n - used))
		txn_abort(txn);
}

void response_resume(struct worker *worker, struct ack_wait *wait, bool left)
{
	struct txn *txn = list_entry(wait, struct txn, ack);
	if (left) {
		access_why(&txn->note, LEAVE_WHY);
		client_close(worker, txn->client, true);
		return;
	}
	/* The watcher is level-triggered: what has come meanwhile is read in the next turn. */
	txn_watch_upstream(txn);
	if (txn->learned)
		take_partial(txn);
}
