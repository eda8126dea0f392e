/* From the client: heads and bodies of requests. */
#include <errno.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/heads.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/proxy_header.h"
#include "daemon/proxy/routing.h"
#include "daemon/proxy/upgrade.h"

/* The result of looking for a head at data. */
static enum h1_result parse(struct client *client, const char *data, size_t len)
{
	struct worker *worker = worker_of_watch(&client->conn.io);
	size_t max = client->listener->conf->max_header_size;
	size_t scanned = client->in.scanned;
	enum h1_result result = H1_MORE;
	/* A head that comes byte by byte is parsed once, at its end. */
	if (scanned == 0 || h1_head_complete(data, len, &scanned))
		result = h1_parse_request(data, len, &worker->head);
	if (result == H1_OK && worker->head.len > max)
		return h1_too_large(data, max);
	if (result == H1_MORE && len >= max)
		return h1_too_large(data, len);
	return result;
}

static void wait_for_head(struct client *client, const char *data, size_t len)
{
	size_t scanned = client->in.scanned;
	h1_head_complete(data, len, &scanned);
	client->in.scanned = (uint32_t)scanned;
	if (client->head_timed)
		return;
	struct worker *worker = worker_of_watch(&client->conn.io);
	client->head_timed = true;
	client->head_began_us = (uint32_t)worker->now_us;
	timer_cancel(worker, &client->timer);
	timer_set(worker, &client->timer, client->listener->conf->header_timeout_us);
}

static void refuse(struct txn *txn, unsigned status, const char *why)
{
	COUNT(txn->worker, refused_malformed);
	txn->malformed = true;
	txn_answer(txn, status, why);
}

/* The sender wants an answer of this very hop. TRACE would show what proxies before us have added,
 * secrets included, to scripts in a browser: not done. */
static void answer_last(struct txn *txn)
{
	if (txn->method == H1_OPTIONS)
		txn_answer_options(txn);
	else
		txn_answer(txn, 501, "trace");
}

/* What is not passed on is dropped, and the request is an ordinary one. */
static const char *choose_upgrade(struct txn *txn, const struct h1_head *head)
{
	const char *protocol =
	    upgrade_choose(head, txn->listener->upgrade, txn->listener->n_upgrade);
	if (!protocol)
		COUNT(txn->worker, upgrades_dropped);
	return protocol;
}

/* False: there is none, and the client has its answer. It may have to wait for one. */
static bool choose_target(struct txn *txn)
{
	struct breaker *breaker = &txn->gen->fleet->pools[txn->pool].watch->breaker;
	if (!breaker_admits(breaker, &txn->trial)) {
		COUNT(txn->worker, circuit_open);
		txn_answer_later(
		    txn, 503, "circuit_open", breaker_retry_after(breaker, txn->worker->now_us));
		return false;
	}
	struct target *target = choose_first(txn->worker, txn->gen, txn->pool, &txn->choice);
	if (target) {
		txn_set_target(txn, target);
		return true;
	}
	if (txn->choice.full)
		return txn_wait(txn) || wait_is_on(&txn->wait);
	COUNT(txn->worker, no_target);
	txn_answer(txn, 503, "no_target");
	return false;
}

/* Not who waits for the target's word before he goes on (RFC 9110 section 10.1.1), and not a request
 * without a host, as the target's address stands in for it. */
static bool may_hold(const struct txn *txn, const struct h1_head *head)
{
	if (head->expect_continue || head->host.len == 0)
		return false;
	return head->framing == H1_BODY_CHUNKED ||
	       (head->framing == H1_BODY_LENGTH &&
		   head->content_length <= txn->listener->buffer_request);
}

static bool is_too_large(const struct txn *txn, uint64_t body_len)
{
	return txn->listener->max_body_size > 0 && body_len > txn->listener->max_body_size;
}

/* --- a body must come with some speed --- */

/* When as much as has come should have come at the latest. */
static uint64_t body_due_us(const struct txn *txn)
{
	const struct conf_pace *pace = &txn->listener->min_body_rate;
	uint64_t bytes = txn->note.bytes_in - txn->paced_bytes;
	return txn->paced_us + pace->grace_us + bytes * US_PER_SEC / pace->bytes;
}

bool request_is_slow(const struct txn *txn)
{
	return txn->paced_us > 0 && txn->worker->now_us >= body_due_us(txn);
}

/* More of a body must come. Who is answered already takes the time that he needs. */
static void await_body(struct txn *txn)
{
	uint64_t now_us = txn->worker->now_us, timeout_us = txn->listener->idle_timeout_us;
	if (txn->listener->min_body_rate.bytes > 0 && !txn->request_done &&
	    txn->state == RESPONSE_HEAD) {
		if (txn->paced_us == 0) {
			txn->paced_us = now_us;
			txn->paced_bytes = txn->note.bytes_in;
		}
		uint64_t due_us = body_due_us(txn), left_us = due_us > now_us ? due_us - now_us : 0;
		if (left_us == 0)
			return; /* the timer is about to fire: who comes late does not stop it */
		if (left_us < timeout_us)
			timeout_us = left_us;
	}
	timer_set(txn->worker, &txn->client->timer, timeout_us);
}

void request_pace_again(struct txn *txn)
{
	if (txn->paced_us == 0)
		return;
	txn->paced_us = 0;
	await_body(txn);
}

static void accept_head(struct txn *txn, struct h1_head *head)
{
	txn->method = head->method;
	txn->minor = head->minor;
	txn->client_keep_alive = head->keep_alive;
	txn->request_body.framing = head->framing;
	txn->request_body.left = head->content_length;
	if (head->framing == H1_BODY_NONE) {
		txn->request_done = true;
		COUNT_CLIENT(txn->client, requests, 1);
	}
	const struct conf_listener *listener = txn->listener;
	if (listener->n_rate_limits > 0 && !txn->client->own &&
	    !limits_pass_request(txn, listener->rate_limits, listener->n_rate_limits, head))
		return;
	/* Who expects 100 waits for the target's word. */
	if (listener->min_body_rate.bytes > 0 && !txn->request_done && !head->expect_continue)
		await_body(txn);
	if (head->method == H1_CONNECT) {
		refuse(txn, 501, "connect");
		return;
	}
	if (head->max_forwards == 0) {
		answer_last(txn);
		return;
	}
	if (is_too_large(txn, head->content_length)) {
		refuse(txn, 413, "body_too_large");
		return;
	}
	if (txn->listener->n_routes > 0 && !routing_take(txn, head))
		return;
	struct client *client = txn->client;
	struct worker *worker = txn->worker;
	txn->retries_left = txn_pool(txn)->retries;
	if (head->upgrade)
		txn->upgrade = choose_upgrade(txn, head);
	choose_read(worker, txn->gen, txn->pool, &client->peer, head, &txn->choice);
	bool hold = txn->listener->buffer_request > 0 && may_hold(txn, head);
	if (!hold && !choose_target(txn))
		return;
	size_t grown = 0;
	if (txn->act && !routing_change_request(txn, head, &grown))
		return;
	bool announced = txn_pool(txn)->send_proxy.version == CONF_PROXY_NONE ||
			 proxy_header_put(&txn->request, txn_pool(txn), &client->conn,
			     &client->peer, client->origin);
	if (!announced || !buf_reserve(&txn->request, heads_request_room(head) + grown)) {
		access_why(&txn->note, "no_memory");
		client_close(worker, client, true);
		return;
	}
	struct heads_request options = {
	    .forward = &client->listener->forward,
	    .peer = &client->peer,
	    .upgrade = txn->upgrade,
	};
	if (!hold) {
		/* Who waits does not know its target yet. */
		const char *text = txn->target ? txn->target->text : txn_pool(txn)->targets[0].text;
		options.default_host = (struct slice){text, strlen(text)};
	}
	txn->request.end +=
	    (uint32_t)heads_request(head, &options, txn->request.data + txn->request.end);
	if (hold)
		txn->held_until = txn->request.end + txn->listener->buffer_request;
}

void request_dispatch(struct txn *txn)
{
	if (wait_is_on(&txn->wait) || (!txn->target && !choose_target(txn)))
		return;
	if (txn->target)
		txn_dispatch(txn);
}

size_t request_begin(struct client *client, const char *data, size_t len)
{
	struct worker *worker = worker_of_watch(&client->conn.io);
	enum h1_result result = parse(client, data, len);
	if (result == H1_MORE) {
		wait_for_head(client, data, len);
		return 0;
	}
	client->in.scanned = 0;
	client->head_timed = false;
	struct txn *txn = txn_new(client);
	if (!txn) {
		client_close(worker, client, true);
		return len;
	}
	if (client->fresh)
		client_is_known(client);
	timer_set(worker, &client->timer, txn->listener->idle_timeout_us);
	if (result != H1_OK) {
		txn->note.bytes_in = len;
		refuse(txn, h1_refusal_status(result), h1_refusal_name(result));
		return len;
	}
	size_t head_len = worker->head.len;
	txn->note.bytes_in = head_len;
	if (txn->note.on)
		access_request(txn, &worker->head);
	accept_head(txn, &worker->head);
	return head_len;
}

/* Bytes that were checked go to the target at once, unless they may have to be sent again. */
static void forward(struct txn *txn, const char *data, size_t len)
{
	struct upstream *upstream = txn->upstream;
	size_t end = txn->request.end + len;
	if (end > HTTP_REPLAY_MAX && end > txn->held_until)
		txn->replayable = false;
	if (txn->dispatched && !txn->replayable && !txn_owes_target(txn)) {
		buf_reset(&txn->request);
		if (upstream && !upstream->error) {
			ssize_t n = conn_send(&upstream->conn, data, len);
			if (n < 0)
				upstream->error = (int)n; /* reading will tell the rest */
			else
				data += n, len -= (size_t)n;
		}
	}
	/* It may have answered all the same. If not, what can be sent again is needed whole. */
	if (upstream && upstream->error && !txn->replayable)
		return;
	if (!txn->replayable)
		buf_compact(&txn->request); /* a slow target must not make it grow for ever */
	if (!buf_append(&txn->request, data, len)) {
		access_why(&txn->note, "no_memory");
		client_close(txn->worker, txn->client, true);
		return;
	}
	if (txn->dispatched)
		txn_send_request(txn);
}

/* In the middle of a body. */
static void break_off(struct txn *txn, unsigned status, const char *why)
{
	access_why(&txn->note, why);
	if (txn->started)
		txn_abort(txn);
	else
		refuse(txn, status, why);
}

/* The client has said all: from now on it is the target that takes time. */
static void end_body(struct txn *txn)
{
	COUNT(txn->worker, requests);
	txn->asked_us = txn->worker->now_us;
}

size_t request_body(struct txn *txn, const char *data, size_t len)
{
	struct body *body = &txn->request_body;
	size_t take = len;
	if (txn->state == RESPONSE_DONE)
		return len; /* answered already */
	if (body->framing == H1_BODY_CHUNKED) {
		enum h1_result result = h1_chunks_feed(&body->chunks, data, len, &take, NULL);
		if (result != H1_OK) {
			break_off(txn, h1_refusal_status(result), h1_refusal_name(result));
			return len;
		}
		if (is_too_large(txn, body->chunks.size)) {
			break_off(txn, 413, "body_too_large");
			return len;
		}
		txn->request_done = body->chunks.done;
	} else {
		if (take > body->left)
			take = (size_t)body->left;
		body->left -= take;
		txn->request_done = body->left == 0;
	}
	txn->note.bytes_in += take;
	if (txn->request_done)
		end_body(txn);
	await_body(txn);
	forward(txn, data, take);
	return take;
}

/* Only a long body whose beginning has gone: what is in a pipe cannot be sent again. */
static bool may_splice(const struct txn *txn)
{
	return txn->client && txn->state != RESPONSE_DONE && !txn->request_done &&
	       txn->dispatched && !txn->replayable && txn->request_body.framing == H1_BODY_LENGTH &&
	       txn->request_body.left >= PIPE_MIN && !txn_owes_target(txn) && txn->upstream &&
	       !txn->upstream->error;
}

ssize_t request_splice(struct txn *txn)
{
	struct worker *worker = txn->worker;
	struct body *body = &txn->request_body;
	if (!may_splice(txn))
		return -EAGAIN;
	struct pipe *pipe = pipes_get(&worker->pipes, worker->now_us);
	if (!pipe)
		return -EAGAIN;
	size_t max = body->left < PIPE_SIZE ? (size_t)body->left : PIPE_SIZE;
	ssize_t n = pipe_fill(pipe, &txn->client->conn, max);
	if (n <= 0) {
		pipes_put(&worker->pipes, pipe);
		return n;
	}
	body->left -= (size_t)n;
	txn->note.bytes_in += (size_t)n;
	txn->request_done = body->left == 0;
	if (txn->request_done)
		end_body(txn);
	await_body(txn);
	txn->request_pipe = pipe;
	txn_send_request(txn);
	return n;
}
