/* The connection to the peer: connects or accepts, proves the key (TLS), moves frames between the
 * socket and a stream. On the sync thread's loop. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/sync/stream.h"
#include "daemon/tls/tls.h"

struct channel;

struct channel_config {
	const struct sync_config *sync; /* during channel_new only */
	struct ev_loop *loop;
	struct stream *stream;
	void (*on_change)(void *arg); /* after anything happened to the stream */
	void *arg;
};

/* Of two nodes one connects, the other one listens. */
bool channel_dials(const char *self, const char *peer);

/* NULL with a text on failure. The listening socket stays the caller's. Needs a context before the
 * loop runs. */
struct channel *channel_new(const struct channel_config *config, struct err *err);
/* Says goodbye to the peer, closes everything. */
void channel_free(struct channel *channel, const char *reason);
/* Takes `context` in place of the one before. A connection that it does not accept ends, and is made
 * anew at once. */
void channel_set_context(struct channel *channel, struct tls_context *context);
/* Sends what there is to send. */
void channel_pump(struct channel *channel);
/* Every CHANNEL_TICK_US: time limits, heartbeats, the next attempt to connect. */
void channel_tick(struct channel *channel);
/* How many there were, by enum sync_stranger. */
const uint64_t *channel_strangers(const struct channel *channel);
enum sync_reach channel_reach(const struct channel *channel);

#define CHANNEL_TICK_US (50 * 1000ULL)
