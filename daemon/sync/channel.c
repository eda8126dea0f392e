/* See channel.h.
 *
 *	dialing ──> connecting ──> TLS ──┐
 *	   ^ knock                       ├──> the connection (one) <──> stream
 *	listening ──> accepted ──> TLS ──┘
 *
 * Who listens and has no connection knocks: it connects to the socket that the other one has as
 * well, and hangs up. So it learns whether anybody is there, and the other one dials at once.
 *
 * Before TLS has succeeded the other side is a stranger: a few of them at a time and so many in a
 * second, for two seconds each, without buffers of ours, and their failures are logged once in a
 * while. */
#include "daemon/sync/channel.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/quota.h"
#include "daemon/net/net.h"

#define STRANGERS_MAX     4
#define ACCEPTS_PER_EVENT 16
/* A handshake by certificates costs up to a millisecond. */
#define HANDSHAKES_BURST   32
#define HANDSHAKES_EACH_US (US_PER_SEC / 32)
#define HANDSHAKE_US       (2 * US_PER_SEC)
#define CONNECT_US         (250 * US_PER_MS) /* then with a new SYN: TCP would wait for a second */
#define DIAL_MIN_US        (100 * US_PER_MS)
#define DIAL_MAX_US        (1 * US_PER_SEC)
#define STRANGER_LOG_US    (10 * US_PER_SEC)
#define UNREACHABLE_LOG_US (60 * US_PER_SEC)

#define IN_SIZE (SYNC_FRAME_HEADER + SYNC_FRAME_MAX + 16U * 1024)
/* What an urgent message may find before it: on both sides little enough for a few milliseconds. */
#define OUT_SOFT   (8U * 1024) /* no new message is made above it */
#define OUT_SIZE   (OUT_SOFT + 128U * 1024)
#define UNSENT_MAX (32 * 1024)
#define UNREAD_MAX (128 * 1024)
/* Bytes moved in one event before other events get their turn, and for how long at most: where many
 * wait for the processor, each offer of it takes some time, and the peer waits for our heartbeats. */
#define BUDGET  (256U * 1024)
#define TURN_US (20 * US_PER_MS)
/* As if each record of TLS had so many: it takes its time, however little is in it. */
#define RECORD_COST 256U
/* Bytes after which a worker that waits for this processor gets it: about 75 us. */
#define BURST (8U * 1024)

struct link {
	struct channel *channel;
	int fd; /* -1: unused */
	struct tls_conn *tls;
	bool connecting;
	bool shaken; /* our side of the handshake is complete */
	ev_io io;
	uint64_t deadline_us, accepted_us;
	struct addr addr;
};

struct channel {
	struct ev_loop *loop;
	struct stream *stream;
	void (*on_change)(void *arg);
	void *arg;

	bool dials; /* else it knocks */
	enum sync_reach reach;
	char peer[CONF_NAME_MAX + 1];
	struct addr peer_addr;
	int listen_fd;
	ev_io listener;
	struct tls_context *context;
	enum tls_identity identity; /* for the next attempt to connect */
	uint64_t dialed_us, next_dial_us, dial_delay_us;

	struct link strangers[STRANGERS_MAX];
	struct quota handshakes[2]; /* of the peer's address, of all others */
	struct link current;
	ev_idle again; /* it has more to do, when others had their turn */
	struct codec *codec;
	uint8_t *in, *out;
	size_t in_len, out_at, out_len;
	size_t burst;           /* moved since other threads had their turn */
	uint64_t last_write_us; /* of progress, or when there was nothing to write */

	uint64_t counts[SYNC_STRANGER_COUNT];
	struct log_limit stranger_log, unreachable_log;
};

const uint64_t *channel_strangers(const struct channel *channel)
{
	return channel->counts;
}

enum sync_reach channel_reach(const struct channel *channel)
{
	return channel->reach;
}

static void link_close(struct link *link)
{
	if (link->fd < 0)
		return;
	ev_io_stop(link->channel->loop, &link->io);
	tls_conn_free(link->tls);
	link->tls = NULL;
	close(link->fd);
	link->fd = -1;
}

static void link_watch(struct link *link, int events)
{
	int wanted = events & (EV_READ | EV_WRITE);
	if (ev_is_active(&link->io) && (link->io.events & (EV_READ | EV_WRITE)) == wanted)
		return;
	ev_io_stop(link->channel->loop, &link->io);
	ev_io_set(&link->io, link->fd, wanted);
	ev_io_start(link->channel->loop, &link->io);
}

/* --- strangers --- */

static void note_stranger(
    struct channel *channel, const struct addr *addr, enum sync_stranger kind, const char *reason)
{
	char text[ADDR_TEXT_MAX];
	uint64_t suppressed;
	channel->counts[kind]++;
	if (log_allowed(&channel->stranger_log, clock_us(), STRANGER_LOG_US, &suppressed))
		log_warn("sync: no connection with %s: %s (%llu more since the last such line)",
		    addr_format(addr, text), reason, (unsigned long long)suppressed);
}

static void refuse(struct link *link, enum sync_stranger kind, const char *reason)
{
	struct channel *channel = link->channel;
	note_stranger(channel, &link->addr, kind, reason);
	if (channel->dials) {
		char status[SYNC_REASON_MAX];
		snprintf(
		    status, sizeof(status), "no connection with %s: %s", channel->peer, reason);
		stream_unreachable(channel->stream, status);
	}
	link_close(link);
}

static void connection_begin(struct channel *channel, struct link *link);

/* While the key is changed the peer may know our second one only; one of an older version wants to be
 * told the names. */
static void try_another_identity(struct channel *channel)
{
	channel->identity = (channel->identity + 1) % TLS_IDENTITY_COUNT;
}

/* Whether the server is content with its client shows when it says something. */
static enum tls_result shake_hands(struct link *link)
{
	enum tls_result result = link->shaken ? TLS_OK : tls_handshake(link->tls);
	link->shaken = result == TLS_OK;
	return link->shaken && link->channel->dials ? tls_await(link->tls) : result;
}

static void advance_handshake(struct link *link)
{
	struct channel *channel = link->channel;
	enum tls_result result = shake_hands(link);
	switch (result) {
	case TLS_OK:
		if (tls_context_accepts(channel->context, link->tls))
			connection_begin(channel, link);
		else
			refuse(link, SYNC_STRANGER_NOT_PROVED,
			    "its key or certificate is not accepted any more");
		return;
	case TLS_WANT_READ: link_watch(link, EV_READ); return;
	case TLS_WANT_WRITE: link_watch(link, EV_WRITE); return;
	case TLS_CLOSED: /* what a wrong key looks like from one of the two sides */
	case TLS_ERROR: break;
	}
	char reason[256];
	snprintf(
	    reason, sizeof(reason), "it did not prove who it is: %s", tls_conn_reason(link->tls));
	refuse(
	    link, result == TLS_CLOSED ? SYNC_STRANGER_CLOSED : SYNC_STRANGER_NOT_PROVED, reason);
	/* An older peer says that it refuses; one that is only gone has not read the identity. */
	if (result == TLS_ERROR)
		try_another_identity(channel);
}

static void unreachable(struct channel *channel, int error)
{
	char text[ADDR_TEXT_MAX], reason[SYNC_REASON_MAX];
	uint64_t suppressed;
	snprintf(
	    reason, sizeof(reason), "cannot connect to %s: %s", channel->peer, strerror(error));
	stream_unreachable(channel->stream, reason);
	channel->reach = error == ECONNREFUSED ? SYNC_REFUSES : SYNC_MUTE;
	if (log_allowed(&channel->unreachable_log, clock_us(), UNREACHABLE_LOG_US, &suppressed))
		log_notice("sync: cannot connect to %s at %s: %s; trying again all the time",
		    channel->peer, addr_format(&channel->peer_addr, text), strerror(error));
	channel->on_change(channel->arg);
}

/* TCP has reached the peer. False: that was all there was to do. */
static bool reached(struct channel *channel)
{
	char reason[SYNC_REASON_MAX];
	channel->reach = SYNC_ANSWERS;
	if (channel->dials)
		return true;
	snprintf(reason, sizeof(reason), "waiting for %s to connect", channel->peer);
	stream_unreachable(channel->stream, reason);
	channel->on_change(channel->arg);
	return false;
}

static void on_stranger(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct link *link = io->data;
	if (link->connecting) {
		int result = net_connect_result(link->fd);
		if (result < 0) {
			unreachable(link->channel, -result);
			link_close(link);
			return;
		}
		if (!reached(link->channel)) {
			link_close(link);
			return;
		}
		link->connecting = false;
		link->deadline_us = clock_us() + HANDSHAKE_US;
	}
	advance_handshake(link);
}

static bool is_peer_addr(const struct channel *channel, const struct addr *addr)
{
	return addr_equal_ip(addr, &channel->peer_addr);
}

/* A free place, or that of the oldest stranger; who comes from the peer's address stays longer than
 * who does not, so that strangers cannot keep the peer out. */
static struct link *stranger_place(struct channel *channel)
{
	struct link *place = NULL;
	for (int i = 0; i < STRANGERS_MAX; i++) {
		struct link *link = &channel->strangers[i];
		if (link->fd < 0)
			return link;
		bool worse = place && is_peer_addr(channel, &place->addr) &&
			     !is_peer_addr(channel, &link->addr);
		bool same = place && is_peer_addr(channel, &place->addr) ==
					 is_peer_addr(channel, &link->addr);
		if (!place || worse || (same && link->accepted_us < place->accepted_us))
			place = link;
	}
	refuse(place, SYNC_STRANGER_REPLACED,
	    "replaced by another one before the handshake was complete");
	return place;
}

static int stranger_begin(struct channel *channel, int fd, const struct addr *addr, bool connecting)
{
	struct link *link = stranger_place(channel);
	struct tls_conn *tls = tls_conn_new(channel->context, fd, channel->identity);
	if (!tls) {
		close(fd);
		return -ENOMEM;
	}
	uint64_t now_us = clock_us();
	if (net_bound_queues(fd, UNSENT_MAX, UNREAD_MAX) < 0)
		log_warn("sync: the kernel's queues cannot be bounded: %s", strerror(errno));
	link->fd = fd;
	link->tls = tls;
	link->addr = *addr;
	link->connecting = connecting;
	link->shaken = false;
	link->accepted_us = now_us;
	link->deadline_us = now_us + (connecting ? CONNECT_US : HANDSHAKE_US);
	ev_io_init(&link->io, on_stranger, fd, 0);
	/* After a stall of ours, an answer that came in time wins over the deadline. */
	ev_set_priority(&link->io, 1);
	link->io.data = link;
	link_watch(link, connecting ? EV_WRITE : EV_READ);
	if (!connecting)
		advance_handshake(link);
	return 0;
}

/* Or knocks. */
static void dial(struct channel *channel, uint64_t now_us)
{
	bool in_progress = false;
	channel->dialed_us = now_us;
	channel->next_dial_us = now_us + channel->dial_delay_us;
	channel->dial_delay_us *= 2;
	if (channel->dial_delay_us > DIAL_MAX_US)
		channel->dial_delay_us = DIAL_MAX_US;
	int fd = net_connect_tcp(&channel->peer_addr, &in_progress);
	if (fd < 0)
		unreachable(channel, -fd);
	else if (!in_progress && !reached(channel))
		close(fd);
	else if (stranger_begin(channel, fd, &channel->peer_addr, in_progress) < 0)
		unreachable(channel, ENOMEM);
}

/* The peer has no connection: it has just started, or lost it. It need not be the peer who says so,
 * so what is alive is left alone, and we do not dial more often than we would. */
static void on_knock(struct channel *channel)
{
	uint64_t now_us = clock_us();
	if (channel->current.fd >= 0 && !stream_is_silent(channel->stream, now_us))
		return;
	for (int i = 0; i < STRANGERS_MAX; i++) {
		struct link *link = &channel->strangers[i];
		if (link->fd >= 0 && !link->connecting)
			return; /* the peer will find it, where it listens */
		link_close(link);
	}
	channel->dial_delay_us = DIAL_MIN_US;
	channel->next_dial_us = channel->dialed_us + DIAL_MIN_US;
	if (now_us >= channel->next_dial_us)
		dial(channel, now_us);
}

/* The peer's address has a quota of its own: others do not use it up. */
static bool may_begin(struct channel *channel, const struct addr *addr)
{
	struct quota *quota = &channel->handshakes[is_peer_addr(channel, addr) ? 0 : 1];
	return quota_take(quota, HANDSHAKES_BURST, HANDSHAKES_EACH_US, clock_us());
}

static void meet(struct channel *channel, int fd, const struct addr *addr)
{
	if (channel->dials) {
		close(fd);
		if (is_peer_addr(channel, addr))
			on_knock(channel);
		else
			note_stranger(channel, addr, SYNC_STRANGER_UNEXPECTED,
			    "nobody but the peer has to knock here");
	} else if (!may_begin(channel, addr)) {
		note_stranger(channel, addr, SYNC_STRANGER_RATE, "too many in a second");
		close(fd);
	} else if (stranger_begin(channel, fd, addr, false) < 0) {
		log_error("sync: out of memory for a connection");
	}
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct channel *channel = io->data;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct addr addr;
		int fd = net_accept(channel->listen_fd, &addr);
		if (net_is_short(fd))
			ev_io_stop(loop, io); /* they wait for channel_tick */
		if (fd < 0)
			return;
		meet(channel, fd, &addr);
	}
}

/* --- the connection --- */

static void connection_end(struct channel *channel, const char *reason)
{
	/* First, because the reason may be the connection's own text. */
	stream_disconnected(channel->stream, reason, clock_us());
	link_close(&channel->current);
	ev_idle_stop(channel->loop, &channel->again);
	channel->in_len = channel->out_at = channel->out_len = 0;
	channel->next_dial_us = clock_us() + channel->dial_delay_us;
	channel->reach = SYNC_UNTRIED;
	channel->on_change(channel->arg);
}

/* Tells the peer why, as far as that goes without waiting. What is queued before it is cut to whole
 * frames only if nothing of it has left yet; so it is sent only when the queue is empty. */
static void say_bye(struct channel *channel, const char *reason)
{
	struct sync_message bye = {.kind = SYNC_BYE};
	uint8_t frame[SYNC_FRAME_HEADER + SYNC_REASON_MAX + 16];
	size_t n;
	if (channel->current.fd < 0 || channel->out_at < channel->out_len)
		return;
	snprintf(bye.bye.reason, sizeof(bye.bye.reason), "%s", reason);
	long len = codec_encode(channel->codec, &bye, frame, sizeof(frame));
	if (len > 0 && tls_write(channel->current.tls, frame, (size_t)len, &n) == TLS_OK)
		tls_goodbye(channel->current.tls);
}

/* Takes whole frames from the input buffer. */
static int take_frames(struct channel *channel, uint64_t now_us, struct err *err)
{
	size_t at = 0;
	int result = 0;
	while (result == 0) {
		struct sync_message message;
		long len = codec_decode(
		    channel->codec, channel->in + at, channel->in_len - at, &message, err);
		if (len <= 0) {
			result = (int)len;
			break;
		}
		at += (size_t)len;
		uint64_t transitions = stream_transitions(channel->stream);
		result = stream_receive(channel->stream, &message, now_us, err);
		/* Before what comes next, which the control thread may see earlier. */
		if (transitions != stream_transitions(channel->stream))
			channel->on_change(channel->arg);
	}
	if (result == -EPROTO)
		stream_count_refused(channel->stream);
	channel->in_len -= at;
	if (at > 0) /* else a large frame that comes in small pieces is copied for each */
		memmove(channel->in, channel->in + at, channel->in_len);
	return result;
}

/* A snapshot is nothing that a request should wait for, and a thread that just goes on is not
 * interrupted for a millisecond or more. */
static void moved_bytes(struct channel *channel, size_t n)
{
	channel->burst += n;
	if (channel->burst < BURST)
		return;
	channel->burst = 0;
	sched_yield();
}

/* What comes in small events is no snapshot. */
static void end_of_event(struct channel *channel, size_t moved)
{
	if (moved < BURST / 2)
		channel->burst = 0;
}

/* Reads until there is no more. False: the connection has ended. */
static bool read_all(struct channel *channel, bool *want_write)
{
	struct err err;
	uint64_t end_us = clock_us() + TURN_US;
	for (size_t moved = 0, cost = 0; cost < BUDGET && clock_us() < end_us;) {
		size_t n = 0;
		enum tls_result result = tls_read(channel->current.tls,
		    channel->in + channel->in_len, IN_SIZE - channel->in_len, &n);
		if (result == TLS_WANT_READ) {
			end_of_event(channel, moved);
			return true;
		}
		if (result == TLS_WANT_WRITE) {
			*want_write = true;
			return true;
		}
		if (result != TLS_OK) {
			connection_end(channel, tls_conn_reason(channel->current.tls));
			return false;
		}
		moved += n;
		cost += n + RECORD_COST;
		channel->in_len += n;
		if (take_frames(channel, clock_us(), &err) < 0) {
			say_bye(channel, err.text);
			connection_end(channel, err.text);
			return false;
		}
		moved_bytes(channel, n);
	}
	/* What OpenSSL has buffered does not make the socket readable. */
	ev_idle_start(channel->loop, &channel->again);
	return true;
}

/* Fills the output buffer up to the soft limit. */
static int fill(struct channel *channel, uint64_t now_us)
{
	struct sync_message message;
	while (channel->out_len - channel->out_at < OUT_SOFT &&
	       stream_produce(channel->stream, now_us, &message)) {
		if (channel->out_at > 0 && OUT_SIZE - channel->out_len < OUT_SIZE - OUT_SOFT) {
			channel->out_len -= channel->out_at;
			memmove(channel->out, channel->out + channel->out_at, channel->out_len);
			channel->out_at = 0;
		}
		long len = codec_encode(channel->codec, &message, channel->out + channel->out_len,
		    OUT_SIZE - channel->out_len);
		if (len < 0)
			return (int)len;
		channel->out_len += (size_t)len;
	}
	return 0;
}

/* Writes what is queued. 1: all; 0: the socket is full; -1: broken. */
static int flush(struct channel *channel, size_t *moved)
{
	while (channel->out_at < channel->out_len) {
		size_t n = 0;
		enum tls_result result = tls_write(channel->current.tls,
		    channel->out + channel->out_at, channel->out_len - channel->out_at, &n);
		if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
			return 0;
		if (result != TLS_OK)
			return -1;
		channel->out_at += n;
		*moved += n;
		moved_bytes(channel, n);
		channel->last_write_us = clock_us();
	}
	channel->out_at = channel->out_len = 0;
	return 1;
}

static bool write_all(struct channel *channel, bool *want_write)
{
	uint64_t end_us = clock_us() + TURN_US;
	for (size_t moved = 0; moved < BUDGET && clock_us() < end_us;) {
		if (channel->out_len == 0)
			channel->last_write_us = clock_us();
		if (fill(channel, clock_us()) < 0) {
			connection_end(channel, "a message of ours breaks a limit");
			return false;
		}
		if (channel->out_len == 0) {
			end_of_event(channel, moved);
			return true;
		}
		int result = flush(channel, &moved);
		if (result < 0) {
			connection_end(channel, tls_conn_reason(channel->current.tls));
			return false;
		}
		if (result == 0)
			break;
	}
	*want_write = true;
	return true;
}

static void serve(struct channel *channel, bool read)
{
	bool want_write = false;
	if (channel->current.fd < 0)
		return;
	if (read && !read_all(channel, &want_write))
		return;
	if (!write_all(channel, &want_write))
		return;
	if (stream_greeted(channel->stream))
		channel->dial_delay_us = DIAL_MIN_US;
	link_watch(&channel->current, EV_READ | (want_write ? EV_WRITE : 0));
	if (stream_busy(channel->stream))
		ev_idle_start(channel->loop, &channel->again);
	channel->on_change(channel->arg);
}

static void on_current(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	serve(io->data, true);
}

/* Not an event that is fed: that would be handled before any timer. */
static void on_again(struct ev_loop *loop, ev_idle *again, int events)
{
	(void)events;
	ev_idle_stop(loop, again);
	serve(again->data, true);
}

void channel_pump(struct channel *channel)
{
	serve(channel, false);
}

/* The stranger has proved the key: it becomes the connection, in place of an earlier one. */
static void connection_begin(struct channel *channel, struct link *link)
{
	if (channel->current.fd >= 0) {
		char from[ADDR_TEXT_MAX], reason[SYNC_REASON_MAX];
		snprintf(reason, sizeof(reason), "it has connected anew, as %s",
		    addr_format(&link->addr, from));
		connection_end(channel, reason);
	}
	channel->identity = TLS_IDENTITY_DERIVED;
	ev_io_stop(channel->loop, &link->io);
	channel->current.fd = link->fd;
	channel->current.tls = link->tls;
	channel->current.addr = link->addr;
	link->fd = -1;
	link->tls = NULL;
	ev_io_init(&channel->current.io, on_current, channel->current.fd, EV_READ);
	channel->current.io.data = channel;
	ev_io_start(channel->loop, &channel->current.io);
	channel->last_write_us = clock_us();
	channel->reach = SYNC_ANSWERS;
	stream_connected(channel->stream, clock_us());
	serve(channel, true);
}

void channel_tick(struct channel *channel)
{
	uint64_t now_us = clock_us();
	struct err err;
	bool busy = channel->current.fd >= 0;
	if (channel->listen_fd >= 0)
		ev_io_start(channel->loop, &channel->listener);
	for (int i = 0; i < STRANGERS_MAX; i++) {
		struct link *link = &channel->strangers[i];
		if (link->fd < 0)
			continue;
		if (now_us < link->deadline_us) {
			busy = true;
		} else if (link->connecting) {
			unreachable(channel, ETIMEDOUT);
			link_close(link);
		} else {
			refuse(link, SYNC_STRANGER_TIMEOUT, "the handshake took too long");
		}
	}
	if (!busy && now_us >= channel->next_dial_us)
		dial(channel, now_us);
	if (stream_tick(channel->stream, now_us, &err) < 0) {
		say_bye(channel, err.text);
		connection_end(channel, err.text);
	} else if (channel->current.fd >= 0 && channel->out_len > 0 &&
		   now_us - channel->last_write_us > STREAM_STALL_US) {
		connection_end(channel, "it does not read");
	} else {
		serve(channel, false);
	}
	channel->on_change(channel->arg);
}

/* --- begin and end --- */

bool channel_dials(const char *self, const char *peer)
{
	return strcmp(self, peer) < 0;
}

void channel_set_context(struct channel *channel, struct tls_context *context)
{
	static const char removed[] = "its key or certificate is not accepted any more";
	tls_context_free(channel->context);
	channel->context = context;
	if (channel->current.fd < 0 || tls_context_accepts(context, channel->current.tls))
		return;
	say_bye(channel, removed);
	connection_end(channel, removed);
	channel->next_dial_us = clock_us();
}

static int channel_init(
    struct channel *channel, const struct channel_config *config, struct err *err)
{
	const struct sync_config *sync = config->sync;
	channel->codec = codec_new();
	channel->in = malloc(IN_SIZE);
	channel->out = malloc(OUT_SIZE);
	if (!channel->codec || !channel->in || !channel->out)
		return err_set(err, -ENOMEM, "out of memory");
	if (channel->listen_fd >= 0) {
		ev_io_init(&channel->listener, on_accept, channel->listen_fd, EV_READ);
		channel->listener.data = channel;
		ev_io_start(channel->loop, &channel->listener);
	} else if (!channel->dials) {
		return err_set(err, -EINVAL, "no socket to listen for %s on", sync->peer);
	}
	return 0;
}

struct channel *channel_new(const struct channel_config *config, struct err *err)
{
	const struct sync_config *sync = config->sync;
	struct channel *channel = calloc(1, sizeof(*channel));
	if (!channel) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	channel->loop = config->loop;
	channel->stream = config->stream;
	channel->on_change = config->on_change;
	channel->arg = config->arg;
	channel->dials = channel_dials(sync->self, sync->peer);
	channel->peer_addr = sync->peer_addr;
	channel->listen_fd = sync->listen_fd;
	channel->dial_delay_us = DIAL_MIN_US;
	snprintf(channel->peer, sizeof(channel->peer), "%s", sync->peer);
	channel->current = (struct link){.channel = channel, .fd = -1};
	ev_idle_init(&channel->again, on_again);
	channel->again.data = channel;
	for (int i = 0; i < STRANGERS_MAX; i++)
		channel->strangers[i] = (struct link){.channel = channel, .fd = -1};
	if (channel_init(channel, config, err) < 0) {
		channel_free(channel, NULL);
		return NULL;
	}
	if (!channel->dials)
		stream_unreachable(channel->stream, "waiting for the peer to connect");
	return channel;
}

void channel_free(struct channel *channel, const char *reason)
{
	if (!channel)
		return;
	for (int i = 0; i < STRANGERS_MAX; i++)
		link_close(&channel->strangers[i]);
	if (channel->current.fd >= 0) {
		say_bye(channel, reason);
		connection_end(channel, reason);
	}
	if (channel->listener.data)
		ev_io_stop(channel->loop, &channel->listener);
	tls_context_free(channel->context);
	codec_free(channel->codec);
	free(channel->in);
	free(channel->out);
	free(channel);
}
