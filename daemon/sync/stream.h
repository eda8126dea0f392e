/* The replication protocol without sockets and clock: what to send next, what to do with what
 * arrives. One object lives as long as the process and outlasts connections, because what it knows
 * of epochs and positions decides whether a new connection continues or starts over. Works on the
 * session table and the journal, which are memory. One thread.
 *
 * The caller moves messages and time:
 *
 *	stream_connected ─> loop { stream_produce -> encode, send;
 *	                           receive, decode -> stream_receive; stream_tick }
 *	                 ─> stream_disconnected
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/sync/sync.h"
#include "daemon/sync/urgent.h"
#include "proto/codec.h"

/* 2: digests by bucket, and repairs. */
#define STREAM_VERSION        2
#define STREAM_OLDEST_VERSION 1

#define STREAM_HEARTBEAT_US (200 * 1000ULL)
#define STREAM_SILENCE_US   (1500 * 1000ULL)
#define STREAM_DIGEST_US    (1000 * 1000ULL)
/* A piece of the rate limits; not more often than a tick, so that a round takes a second at most. */
#define STREAM_LIMITS_US (40 * 1000ULL)
/* It is alive, but does not go on with what it has to do. */
#define STREAM_STALL_US (5 * 1000 * 1000ULL)
/* A peer that was late protects again when it has not been for so long. */
#define STREAM_RECOVER_US (1000 * 1000ULL)

struct stream;

struct stream_config {
	const char *self, *peer; /* copied */
	uint64_t instance;       /* random, not 0 */
	uint64_t config_hash;
	struct sync_promise promise;
	struct session_table *table;
	struct journal *journal;
	struct urgent *urgent;
	struct sync_callbacks callbacks; /* on_status is not called */
};

struct stream *stream_new(const struct stream_config *config); /* NULL when out of memory */
void stream_free(struct stream *stream);

/* Our role. Becoming Active begins a new epoch. */
void stream_set_active(struct stream *stream, bool active, uint64_t now_us);
void stream_set_config(struct stream *stream, uint64_t hash, const struct sync_promise *promise);

/* An authenticated connection to the peer is there, or gone. */
void stream_connected(struct stream *stream, uint64_t now_us);
void stream_disconnected(struct stream *stream, const char *reason, uint64_t now_us);
/* Why there is no connection: a reason to show, not a transition. */
void stream_unreachable(struct stream *stream, const char *reason);

/* 0; -EPROTO: disconnect, with a text; -ESHUTDOWN: the peer says goodbye, and why. */
int stream_receive(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err);
/* A frame broke a rule, here or before it came here. */
void stream_count_refused(struct stream *stream);
/* The next message to send, if there is one. What it points at lives until the next call. Call it
 * when what arrived has been received: acknowledgements then cover all of it. */
bool stream_produce(struct stream *stream, uint64_t now_us, struct sync_message *out);
/* There is work left although nothing is to be sent: call stream_produce again soon. */
bool stream_busy(const struct stream *stream);
/* Every 50 ms or so. 0, or -ETIMEDOUT with a text: the peer is silent or stands still, disconnect. */
int stream_tick(struct stream *stream, uint64_t now_us, struct err *err);

/* Does not know of strangers, their handshakes, and reach. */
void stream_status(const struct stream *stream, uint64_t now_us, struct sync_status *out);
/* Grows when something happened that people want to read: status.reason says what. */
uint64_t stream_transitions(const struct stream *stream);
/* The peer's Hello was accepted on this connection. */
bool stream_greeted(const struct stream *stream);
/* The connection has been silent for longer than it is when all is well. */
bool stream_is_silent(const struct stream *stream, uint64_t now_us);
