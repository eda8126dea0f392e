#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/dial.h"
#include "daemon/proxy/explain.h"
#include "daemon/proxy/heads.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/results.h"
#include "daemon/proxy/retry.h"

#define FREE_MAX    256U        /* transactions kept for reuse */
#define KEEP_BUFFER (8U * 1024) /* of their request buffers */
/* What cannot be repeated goes only on a connection that was in use a moment ago: one that idles
 * may be closing at this very moment, and then nobody knows whether the request was served. */
#define RECENT_US US_PER_SEC

struct txn *txn_new(struct client *client)
{
	struct worker *worker = worker_of_watch(&client->conn.io);
	struct buf request = {0}, text = {0};
	struct txn *txn = worker->free_txns;
	if (txn) {
		worker->free_txns = txn->next;
		worker->n_free_txns--;
		request = txn->request;
		text = txn->note.text;
		buf_reset(&request);
	} else {
		txn = malloc(sizeof(*txn));
		if (!txn)
			return NULL;
	}
	memset(txn, 0, sizeof(*txn));
	txn->worker = worker;
	txn->client = client;
	txn->request = request;
	txn->note.text = text;
	txn->gen = worker_gen_get(worker->gen);
	txn->listener = client->listener->conf;
	txn->pool = txn->listener->pool;
	txn->replayable = true;
	ack_init(&txn->ack, response_resume, &client->conn, NULL);
	client->txn = txn;
	if ((txn->listener->access_log || txn->listener->explain.name) && !client->own)
		access_begin(txn);
	return txn;
}

static void free_txn(struct txn *txn)
{
	buf_free(&txn->request);
	buf_free(&txn->note.text);
	free(txn);
}

void txn_free_dead(struct worker *worker)
{
	while (worker->dead_txns) {
		struct txn *txn = worker->dead_txns;
		worker->dead_txns = txn->next;
		if (worker->n_free_txns >= FREE_MAX) {
			free_txn(txn);
			continue;
		}
		if (txn->request.cap > KEEP_BUFFER)
			buf_free(&txn->request);
		txn->next = worker->free_txns;
		worker->free_txns = txn;
		worker->n_free_txns++;
	}
}

void txn_free_all(struct worker *worker)
{
	txn_free_dead(worker);
	while (worker->free_txns) {
		struct txn *txn = worker->free_txns;
		worker->free_txns = txn->next;
		free_txn(txn);
	}
}

void txn_set_target(struct txn *txn, struct target *target)
{
	place_move(txn->worker, txn->gen, txn->pool, &txn->target, target);
	if (target)
		access_target(txn, target);
}

void txn_observe(const struct txn *txn, uint64_t took_us)
{
	picker_observe(txn->gen->pickers[txn->pool], txn->target, took_us, txn->worker->now_us);
}

static void drop_request_pipe(struct txn *txn)
{
	pipes_put(&txn->worker->pipes, txn->request_pipe);
	txn->request_pipe = NULL;
}

void txn_release_upstream(struct txn *txn)
{
	struct upstream *upstream = txn->upstream;
	if (upstream) {
		bool clean = txn->state == RESPONSE_DONE && txn->request_done &&
			     txn->upstream_keep_alive && !upstream->error &&
			     !txn_owes_target(txn) && !conn_has_input(&upstream->conn);
		txn->upstream = NULL;
		if (clean && !dial_is_personal(txn_pool(txn)))
			upstream_release(txn->worker, upstream);
		else
			upstream_close(txn->worker, upstream);
	}
	drop_request_pipe(txn);
	txn_set_target(txn, NULL);
}

void txn_move_on(struct txn *txn, struct worker_gen *gen)
{
	/* Of targets that have failed it the old fleet has the names. */
	if (!txn->started || txn->n_tried > 0 || txn->note.failures.n > 0 ||
	    !worker_gen_follows(gen, txn->gen, txn->target))
		return;
	worker_gen_put(txn->gen);
	txn->gen = worker_gen_get(gen);
}

void txn_drop(struct txn *txn)
{
	struct worker *worker = txn->worker;
	wait_leave(worker, &txn->wait);
	if (txn->note.on)
		access_end(txn);
	txn_release_upstream(txn);
	ack_cancel(worker, &txn->ack);
	worker_gen_put(txn->gen);
	buf_free(&txn->partial);
	pipes_put(&worker->pipes, txn->response_pipe);
	txn->response_pipe = NULL;
	buf_free(&txn->out);
	txn->client->txn = NULL;
	txn->client = NULL;
	txn->next = worker->dead_txns;
	worker->dead_txns = txn;
}

void txn_end(struct txn *txn)
{
	struct client *client = txn->client;
	bool rest_unread = !txn->request_done || txn->malformed;
	bool keep = !txn->close && !rest_unread;
	txn_drop(txn);
	client_txn_ended(client, keep, rest_unread);
}

void txn_abort(struct txn *txn)
{
	client_close(txn->worker, txn->client, true);
}

bool txn_must_close(const struct txn *txn)
{
	return txn->malformed || !txn->request_done || !txn->client_keep_alive ||
	       txn->worker->draining || txn->client->listener->closing;
}

static void begin_answer(struct txn *txn)
{
	txn_release_upstream(txn);
	txn->dispatched = true;
	txn->state = RESPONSE_DONE;
	txn->started = true;
	txn->close = txn->minor == 0 || txn_must_close(txn);
}

static void send_answer(struct txn *txn, char *text, size_t len)
{
	struct iovec iov = {text, len};
	if (response_send(txn, &iov, 1) && !txn_owes_client(txn))
		txn_end(txn);
}

void txn_answer(struct txn *txn, unsigned status, const char *why)
{
	txn_answer_later(txn, status, why, 0);
}

void txn_answer_later(struct txn *txn, unsigned status, const char *why, uint64_t retry_after_s)
{
	char text[HEADS_ERROR_MAX + EXPLAIN_LINE_MAX];
	begin_answer(txn);
	if (status < 500)
		COUNT(txn->worker, responses_4xx);
	else
		COUNT(txn->worker, responses_5xx);
	struct heads_error error = {status, why, retry_after_s, txn->method == H1_HEAD, txn->close};
	size_t len = heads_error(&error, text);
	reasons_count(&txn->worker->refused_requests, why);
	len = explain_answer(txn, why, text, len);
	access_answer(&txn->note, status, why, (struct slice){text, len});
	send_answer(txn, text, len);
}

void txn_answer_options(struct txn *txn)
{
	char text[HEADS_OPTIONS_MAX];
	begin_answer(txn);
	COUNT_CLIENT(txn->client, responses_2xx, 1);
	txn->note.status = 200;
	send_answer(txn, text, heads_options(txn->close, text));
}

void txn_answer_with(struct txn *txn, unsigned status, struct slice lines, struct slice body)
{
	struct buf *scratch = &txn->worker->scratch;
	begin_answer(txn);
	response_count(txn->worker, status);
	buf_reset(scratch);
	if (!buf_reserve(scratch, HEADS_ANSWER_ROOM + EXPLAIN_LINE_MAX + lines.len + body.len)) {
		txn_abort(txn);
		return;
	}
	size_t len =
	    heads_answer(status, lines, body, txn->method == H1_HEAD, txn->close, scratch->data);
	len = explain_answer(txn, NULL, scratch->data, len);
	access_answer(&txn->note, status, NULL, (struct slice){scratch->data, len});
	send_answer(txn, scratch->data, len);
}

void txn_watch_upstream(struct txn *txn)
{
	struct upstream *upstream = txn->upstream;
	if (!upstream)
		return;
	bool read = !txn_owes_client(txn) && !ack_is_held(&txn->ack);
	bool write = txn_owes_target(txn) && !upstream->error;
	conn_want(&upstream->conn, (read ? POLLER_READ : 0) | (write ? POLLER_WRITE : 0));
}

static ssize_t send_request(struct txn *txn)
{
	struct buf *request = &txn->request;
	ssize_t n = conn_send(&txn->upstream->conn, buf_head(request), buf_len(request));
	if (n > 0)
		request->start += (uint32_t)n;
	return n;
}

static ssize_t send_pipe(struct txn *txn)
{
	ssize_t n = pipe_drain(txn->request_pipe, &txn->upstream->conn);
	if (n > 0)
		COUNT_BY(txn->worker, bytes_spliced, n);
	if (txn->request_pipe->len == 0)
		drop_request_pipe(txn);
	return n;
}

/* Never ends the transaction: an error shows again when the response is read, after what the
 * target may have said before it closed. */
void txn_send_request(struct txn *txn)
{
	struct upstream *upstream = txn->upstream;
	struct buf *request = &txn->request;
	if (!upstream || upstream->error)
		return;
	bool was_full = txn->request_pipe || buf_len(request) >= HTTP_UNSENT_MAX;
	if (txn_owes_target(txn)) {
		ssize_t n = txn->request_pipe ? send_pipe(txn) : send_request(txn);
		if (n < 0) {
			upstream->error = (int)n;
			drop_request_pipe(txn);
		} else if (n > 0) {
			if (!upstream->established)
				txn->note.connected_us = txn->worker->now_us;
			upstream->established = true;
			txn->sent_any = true;
		}
	}
	if (!txn_owes_target(txn)) {
		if (!txn->replayable)
			buf_reset(request);
		if (txn->request_done && txn->state == RESPONSE_HEAD && !upstream->waiting) {
			upstream->waiting = true;
			timer_set(
			    txn->worker, &upstream->timer, txn_pool(txn)->response_timeout_us);
		}
	}
	txn_watch_upstream(txn);
	if (was_full) {
		request_pace_again(txn);
		client_watch(txn->client);
	}
}

void txn_note_failed(struct txn *txn, const char *why)
{
	reasons_count(&txn->worker->failed_attempts, why);
	access_failed(&txn->note.failures, txn->target, why);
}

/* What the client is told if this was the last attempt. */
static const char *failure_word(int error, bool established)
{
	if (error == -ETIMEDOUT)
		return "connect_timeout";
	return established ? "target_closed" : "connect_failed";
}

/* When it is the turn of one who comes again, nobody knows; at once it is not. */
#define COME_AGAIN_S 1

static void refuse_place(struct txn *txn, const char *why)
{
	if (!txn->choice.full)
		COUNT(txn->worker, no_target);
	txn_answer_later(txn, 503, why, COME_AGAIN_S);
}

static void on_place(
    struct worker *worker, struct wait *wait, struct target *target, const char *why)
{
	struct txn *txn = list_entry(wait, struct txn, wait);
	struct client *client = txn->client;
	if (target) {
		/* The client was not read meanwhile, and is not to blame for that. */
		timer_set(worker, &client->timer, txn->listener->idle_timeout_us);
		txn_set_target(txn, target);
		txn_dispatch(txn);
	} else {
		refuse_place(txn, why);
	}
	client_watch(client);
}

bool txn_wait(struct txn *txn)
{
	txn_set_target(txn, NULL);
	txn->wait.choice = &txn->choice;
	txn->wait.tried = txn->tried;
	txn->wait.n_tried = txn->n_tried;
	txn->wait.resume = on_place;
	struct target *target = wait_join(txn->worker, txn->gen, txn->pool, &txn->wait);
	if (target)
		txn_set_target(txn, target);
	else if (wait_is_on(&txn->wait))
		client_watch(txn->client);
	else
		refuse_place(txn, wait_refusal(&txn->wait));
	return target != NULL;
}

static void note_failure(struct txn *txn, int error, bool established)
{
	if (!established)
		COUNT(txn->worker, upstream_connect_failures);
	if (!worker_error_is_local(error)) {
		atomic_fetch_add_explicit(&txn->target->failures, 1, memory_order_relaxed);
		txn_observe(txn, PICKER_FAILED);
		results_failed(txn->worker, txn->gen, txn->pool, txn->trial, txn->target);
	}
	const char *what =
	    error == -ETIMEDOUT && !established ? "connect timed out" : worker_error_text(error);
	worker_log_target(txn->worker, txn_pool(txn)->name, txn->target, what);
	txn_note_failed(txn, failure_word(error, established));
}

/* All of the request is still here, the client knows nothing of a response, and to send it twice
 * does no harm. */
static bool may_repeat(const struct txn *txn)
{
	return txn->replayable && buf_len(&txn->partial) == 0 &&
	       (!txn->sent_any || h1_idempotent(txn->method) ||
		   retry_is_wanted(txn->gen, txn->pool, CONF_RETRY_NON_IDEMPOTENT));
}

/* The request may go to another target after this failure. */
static bool may_retry(const struct txn *txn, enum conf_retry cause)
{
	return retry_is_wanted(txn->gen, txn->pool, cause) && may_repeat(txn) &&
	       txn->retries_left > 0 && txn->n_tried < HTTP_TRIED_MAX &&
	       retry_left(txn->worker, txn->gen, txn->pool);
}

/* A place at another target; NULL: there is none left, or txn->choice.full. */
static struct target *find_another(struct txn *txn)
{
	txn->tried[txn->n_tried] = txn->target;
	return choose_again(
	    txn->worker, txn->gen, txn->pool, &txn->choice, txn->tried, txn->n_tried + 1);
}

/* It goes to `next`, or where there is a place first. */
static void note_retry(struct txn *txn, const struct target *next)
{
	retry_take(txn->worker, txn->gen, txn->pool);
	txn->retries_left--;
	txn->n_tried++;
	txn->note.retries++;
	/* A stale connection to one target says nothing about those to others. */
	txn->fresh_only = txn->fresh_only && next == txn->target;
}

/* Says where to go after an attempt failed. False: nowhere, and the client has its answer; or it
 * waits for a place. */
static bool try_another(struct txn *txn, int error, bool reused, bool established)
{
	if (reused && may_repeat(txn) && retry_take_stale(txn->worker, txn->gen, txn->pool)) {
		/* It was closed while it idled: says nothing about the target. */
		txn->fresh_only = true;
		txn->note.retries++;
		return true;
	}
	note_failure(txn, error, established);
	if (may_retry(txn, established ? CONF_RETRY_RESET : CONF_RETRY_CONNECT_FAILURE)) {
		struct target *next = find_another(txn);
		if (next || txn->choice.full)
			note_retry(txn, next);
		if (next) {
			txn_set_target(txn, next);
			return true;
		}
		if (txn->choice.full)
			return txn_wait(txn);
	}
	if (error == -ETIMEDOUT) {
		COUNT(txn->worker, target_timeout);
		txn_answer(txn, 504, failure_word(error, established));
	} else {
		COUNT(txn->worker, target_failed);
		txn_answer(txn, 502, failure_word(error, established));
	}
	return false;
}

void txn_dispatch(struct txn *txn)
{
	struct worker *worker = txn->worker;
	struct upstream *upstream = NULL;
	uint64_t max_age_us = h1_idempotent(txn->method) ? UINT64_MAX : RECENT_US;
	int error = 0;
	if (!txn->dispatched)
		retry_count_request(worker, txn->gen, txn->pool);
	txn->dispatched = true;
	for (;;) {
		struct target *target = choose_commit(
		    worker, txn->gen, txn->pool, txn->target, &txn->choice, &txn->ack);
		if (target != txn->target) {
			if (choose_enter(&txn->choice, target))
				txn_set_target(txn, target);
			else if (!txn_wait(txn))
				return;
		}
		if (!txn->fresh_only && !dial_is_personal(txn_pool(txn)))
			upstream = upstream_take(worker, txn->target, max_age_us, txn);
		if (!upstream)
			upstream = upstream_connect(worker, txn->target, txn, &error);
		if (upstream)
			break;
		txn->sent_any = false;
		if (!try_another(txn, error, false, false))
			return;
	}
	txn->upstream = upstream;
	txn->asked_us = worker->now_us;
	txn->note.pooled = upstream->reused;
	txn->sent_any = false;
	txn->request.start = 0;
	txn_send_request(txn);
}

void txn_attempt_failed(struct txn *txn, int error)
{
	struct upstream *upstream = txn->upstream;
	bool reused = upstream->reused, established = upstream->established;
	txn->upstream = NULL;
	upstream_close(txn->worker, upstream);
	if (try_another(txn, error, reused, established))
		txn_dispatch(txn);
}

bool txn_retry(struct txn *txn, enum conf_retry cause)
{
	static const char *const words[] = {[CONF_RETRY_502] = "status_502",
	    [CONF_RETRY_503] = "status_503",
	    [CONF_RETRY_504] = "status_504"};
	struct target *next = may_retry(txn, cause) ? find_another(txn) : NULL;
	if (!next) /* where all are full, the answer that there is now is better than to wait */
		return false;
	if (cause != CONF_RETRY_TIMEOUT)
		txn_note_failed(txn, words[cause]);
	note_retry(txn, next);
	txn_release_upstream(txn);
	txn_set_target(txn, next);
	txn->state = RESPONSE_HEAD;
	txn_dispatch(txn);
	return true;
}
