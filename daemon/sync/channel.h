/* The connection to the peer: connects or accepts, proves the key (TLS), moves frames between the
 * socket and a stream. On the sync thread's loop. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/sync/stream.h"
#include "daemon/tls/psk.h"

struct channel;

struct channel_config {
	const struct sync_config *sync; /* during channel_new only */
	struct ev_loop *loop;
	struct stream *stream;
	void (*on_change)(void *arg); /* after anything happened to the stream */
	void *arg;
};

/* How this side of the pair proves itself and judges the peer. NULL with a text on failure. */
struct tls_psk *channel_make_psk(
    const char *self, const char *peer, const struct keys *keys, struct err *err);

/* NULL with a text on failure. The listening socket stays the caller's. */
struct channel *channel_new(const struct channel_config *config, struct err *err);
/* Says goodbye to the peer, closes everything. */
void channel_free(struct channel *channel, const char *reason);
/* Takes `psk` in place of the one before. A connection with a key that it does not have ends, and is
 * made anew at once. */
void channel_set_psk(struct channel *channel, struct tls_psk *psk);
/* Sends what there is to send. */
void channel_pump(struct channel *channel);
/* Every CHANNEL_TICK_US: time limits, heartbeats, the next attempt to connect. */
void channel_tick(struct channel *channel);
uint64_t channel_handshake_failures(const struct channel *channel);
enum sync_reach channel_reach(const struct channel *channel);

#define CHANNEL_TICK_US (50 * 1000ULL)
