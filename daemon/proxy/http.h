/* HTTP/1.1: a client connection (small, lives long) and a transaction (one request and its
 * response; exists only while it is in progress, then goes back to a free list).
 *
 *	client.c    the connection: reading, idling, lingering, closing
 *	request.c   request head and body, from the client into txn->request
 *	txn.c       choosing a target, sending, trying again, ending; answers of our own
 *	response.c  from the target to the client
 *	tunnel.c    the end of HTTP on a connection: its pair becomes one of tcp.c
 *
 * A callback may end the transaction, and that may end the client: what was closed stays readable
 * until the loop's turn ends, and says so (client->dead, txn->client == NULL). */
#pragma once

#include "daemon/proxy/ack.h"
#include "daemon/proxy/buf.h"
#include "daemon/proxy/choose.h"
#include "daemon/proxy/conn.h"
#include "daemon/proxy/upstream.h"
#include "daemon/proxy/waiting.h"
#include "daemon/proxy/worker.h"

/* Unsent bytes towards one side at which the other side is not read any more. */
#define HTTP_UNSENT_MAX (32U * 1024)
/* Request bytes kept so that they can be sent again. */
#define HTTP_REPLAY_MAX (64U * 1024)
/* Pipelined requests are read ahead up to this. */
#define HTTP_AHEAD_MAX (16U * 1024)
#define HTTP_TRIED_MAX 8

struct client {
	struct conn conn;
	struct timer timer; /* head, idle, linger */
	union node node;    /* of worker->fresh while it is fresh, then of listener->clients */
	struct listener *listener;
	struct txn *txn; /* NULL: between requests */
	struct buf in;   /* an incomplete head, or requests to come */
	struct addr peer;
	struct tally *tally;   /* of its source; NULL: it is not counted */
	struct origin *origin; /* of its PROXY header; NULL: none */
	bool dead;
	bool own;        /* the process asks itself: selfcheck.h */
	bool fresh;      /* no request yet; never our own */
	bool busy;       /* client_input is on the stack */
	bool eof;        /* the client will send nothing more */
	bool head_timed; /* the timer counts for a head that has begun */
	bool lingering;  /* answered and shut: reading until the client has closed too */
	uint8_t linger_reads;
	/* Access log: when an incomplete head began, modulo 2^32 us; 0: heads came whole. */
	uint32_t head_began_us;
	uint32_t since_us; /* when it came, likewise */
};

/* What a client does is counted, unless the client is ourselves. */
#define COUNT_CLIENT(client, name, n)                                    \
	counter_add(&worker_of_watch(&(client)->conn.io)->counters.name, \
	    (client)->own ? 0 : (uint64_t)(n))

enum response_state { RESPONSE_HEAD, RESPONSE_BODY, RESPONSE_DONE };

/* A body that passes through, in either direction. */
struct body {
	enum h1_framing framing;
	uint64_t left; /* H1_BODY_LENGTH */
	struct h1_chunks chunks;
};

struct txn {
	struct worker *worker;
	struct client *client; /* NULL: ended */
	struct worker_gen *gen;
	const struct conf_listener *listener;
	uint32_t pool;         /* an index; CONF_NONE: the request has not found its route */
	uint32_t trial;        /* of the pool's circuit breaker; 0: it is none */
	const struct act *act; /* of the route, if it changes heads; else NULL */
	struct upstream *upstream;
	struct target *target; /* where it has a place; NULL: nowhere (yet) */
	struct txn *next;      /* of a free list */

	struct access_note note;
	struct choice choice;
	struct wait wait; /* for a place */
	struct ack_wait ack;
	struct target *tried[HTTP_TRIED_MAX];
	uint32_t n_tried, retries_left;
	uint64_t asked_us; /* when this attempt began, or the last byte of the request came */

	/* The request. */
	struct pipe *request_pipe; /* bytes that go before `request`; NULL: none */
	struct buf request; /* from `start`: not sent yet; before: sent, kept to send it again */
	struct body request_body;
	enum h1_method method;
	uint8_t minor;
	const char *upgrade; /* the protocol that the target may switch to; NULL: none */
	/* While its body is paced (min_body_rate): since when, and what had come then. 0: it is not. */
	uint64_t paced_us, paced_bytes;
	uint32_t held_until; /* bytes in `request` from which on it is not held; 0: it never is */
	bool client_keep_alive;
	bool request_done; /* read completely from the client */
	bool dispatched;
	bool replayable; /* `request` still has every byte */
	bool sent_any;   /* in this attempt */
	bool fresh_only; /* no pooled connection any more */
	bool malformed;

	/* The response. */
	struct buf partial;         /* an incomplete head */
	struct pipe *response_pipe; /* bytes that go before `out`; NULL: none */
	struct buf out;             /* not sent to the client yet */
	struct body response_body;
	enum response_state state;
	bool started; /* the client got a byte of it */
	bool upstream_keep_alive;
	bool learned; /* what its head says of sessions is written down */
	bool unchunk;
	bool bulk;  /* the last read was a full one */
	bool close; /* the client connection ends with this response */
};

static inline const struct conf_pool *txn_pool(const struct txn *txn)
{
	return &txn->gen->conf->pools[txn->pool];
}

/* Bytes wait for the client, so the target is not read. */
static inline bool txn_owes_client(const struct txn *txn)
{
	return txn->response_pipe || buf_len(&txn->out) > 0;
}

/* Bytes wait for the target. */
static inline bool txn_owes_target(const struct txn *txn)
{
	return txn->request_pipe || buf_len(&txn->request) > 0;
}

/* The request waits here until it is complete, or too long for that. */
static inline bool txn_is_held(const struct txn *txn)
{
	return !txn->dispatched && !txn->request_done && txn->request.end < txn->held_until;
}

/* client.c */
bool client_open(struct listener *listener, const struct arrival *arrival, bool own);
/* Now, whatever is in progress. */
void client_close(struct worker *worker, struct client *client, bool reset);
/* Forgets it and what is in progress: somebody has taken the connection, and counts it on. */
void client_give_up(struct worker *worker, struct client *client);
/* Unless a request is in progress or has just arrived. */
void client_close_idle(struct worker *worker, struct client *client);
/* It has sent a request. */
void client_is_known(struct client *client);
/* What is watched follows from the state; call it when that has changed. */
void client_watch(struct client *client);
/* The transaction is over and gone. */
void client_txn_ended(struct client *client, bool keep, bool rest_unread);

/* request.c */
/* Begins a transaction if a head is complete. Returns the bytes it took: 0 means that the head goes
 * on. May close the client. */
size_t request_begin(struct client *client, const char *data, size_t len);
/* Takes what belongs to the body. May end the transaction. */
size_t request_body(struct txn *txn, const char *data, size_t len);
/* Sends what is here of a request that is not held (any more). May end the transaction. */
void request_dispatch(struct txn *txn);
/* Moves a piece of the body without copying it: the number of bytes, 0 at the end of the stream, or
 * -errno; -EAGAIN: it must be copied. May end the transaction. */
ssize_t request_splice(struct txn *txn);
/* Of a body that is paced: it should have come further by now. */
bool request_is_slow(const struct txn *txn);
/* Its time begins anew: it could not come, because we did not read. */
void request_pace_again(struct txn *txn);

/* txn.c */
struct txn *txn_new(struct client *client);
/* Goes to a place that is taken for it at `target`; NULL: has none any more. */
void txn_set_target(struct txn *txn, struct target *target);
/* Who could be chosen is full (txn->choice): waits for a place. True: it has one at once. Else it
 * waits, or has its answer. */
bool txn_wait(struct txn *txn);
/* Balancing hears how long the target took to answer, or PICKER_FAILED. */
void txn_observe(const struct txn *txn, uint64_t took_us);
void txn_dispatch(struct txn *txn);
void txn_send_request(struct txn *txn);
void txn_watch_upstream(struct txn *txn);
/* The present attempt is over before a byte of the response: try again, or answer. */
void txn_attempt_failed(struct txn *txn, int error);
/* The attempt has failed; why: a word of the access log. */
void txn_note_failed(struct txn *txn, const char *why);
/* The target has not answered in time, or by a status of which the client knows nothing yet. True:
 * the request is on its way to another one, or the transaction is over. */
bool txn_retry(struct txn *txn, enum conf_retry cause);
/* Answers by ourselves instead of a target. */
void txn_answer(struct txn *txn, unsigned status, const char *why);
/* The same, and when to ask again, if that is known (not 0). */
void txn_answer_later(struct txn *txn, unsigned status, const char *why, uint64_t retry_after_s);
void txn_answer_options(struct txn *txn);
/* The same with fields (each with CRLF) and a body of the configuration. */
void txn_answer_with(struct txn *txn, unsigned status, struct slice lines, struct slice body);
/* The connection to the target is not needed any more: pooled when it is clean, else closed. */
void txn_release_upstream(struct txn *txn);
/* The client connection cannot go on after this response. */
bool txn_must_close(const struct txn *txn);
/* Everything was sent. */
void txn_end(struct txn *txn);
/* The response cannot be completed: the client must notice. */
void txn_abort(struct txn *txn);
/* As pair_move_on, for a response that is under way: an endless one lasts as long as a connection. */
void txn_move_on(struct txn *txn, struct worker_gen *gen);
/* The client is gone; only client_close calls it. */
void txn_drop(struct txn *txn);
void txn_free_dead(struct worker *worker);
void txn_free_all(struct worker *worker);

/* tunnel.c */
/* The client was told that the protocol is switched: hands over both connections, and what is still
 * unsent. The transaction and the client are over. */
void tunnel_begin(struct txn *txn);

/* response.c */
void response_count(struct worker *worker, unsigned status);
void response_readable(struct txn *txn);
void response_timed_out(struct txn *txn);
void response_resume(struct worker *worker, struct ack_wait *wait, bool left);
/* Sends what is left in txn->out. */
void response_flush(struct txn *txn);
/* Sends or keeps; false when the client is gone, and with it the transaction. */
bool response_send(struct txn *txn, struct iovec *iov, size_t n_iov);
