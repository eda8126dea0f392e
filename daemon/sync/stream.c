/* What both sides do: greeting, roles, epochs, heartbeats, status.
 *
 * Epochs never tie: the node whose name sorts first opens even ones, the other odd ones. So two
 * nodes that are promoted at the same moment, unseen by each other, still agree which one is
 * later.
 *
 * Epochs are a ring (0 is none): of two the one that is less than half of it ahead is later, and
 * both nodes see it so. No claim of a peer, however high, is the end of them. */
#include "daemon/sync/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "daemon/sync/stream_internal.h"

/* What may come from the peer at once, and then how often. It outlasts connections. */
struct allowance {
	unsigned burst;
	uint64_t each_us;
};
/* Whatever there is to say but records and acknowledgements of them: far above what 32 virtual
 * routers with the shortest intervals need. */
static const struct allowance talk = {20000, US_PER_SEC / 20000};
/* All that a ring holds, several times. */
static const struct allowance events = {4096, US_PER_MS};
/* Digests, and what is asked for again: kilobytes each, once a second. */
static const struct allowance lists = {32, 100 * US_PER_MS};
/* Twice as often as we send them; what came while we were stopped, at once. */
static const struct allowance limits = {256, STREAM_LIMITS_US / 2};

/* A process that did not run for so long cannot blame the peer for silence. */
#define ASLEEP_US (1 * US_PER_SEC)

struct stream *stream_new(const struct stream_config *config)
{
	assert(config->instance != 0);
	struct stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	text_copy(stream->self, sizeof(stream->self), config->self);
	text_copy(stream->peer_name, sizeof(stream->peer_name), config->peer);
	stream->instance = config->instance;
	stream->config_hash = config->config_hash;
	stream->promise = config->promise;
	stream->table = config->table;
	stream->journal = config->journal;
	stream->urgent = config->urgent;
	stream->callbacks = config->callbacks;
	text_copy(stream->reason, sizeof(stream->reason), "not connected yet");
	return stream;
}

void stream_free(struct stream *stream)
{
	if (!stream)
		return;
	sender_reset(stream);
	free(stream);
}

void stream_say(struct stream *stream, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(stream->reason, sizeof(stream->reason), fmt, args);
	va_end(args);
	stream->transitions++;
}

uint64_t stream_transitions(const struct stream *stream)
{
	return stream->transitions;
}

bool stream_greeted(const struct stream *stream)
{
	return stream->greeted;
}

bool stream_is_silent(const struct stream *stream, uint64_t now_us)
{
	return now_us - stream->last_heard_us > 2 * STREAM_HEARTBEAT_US;
}

bool stream_epoch_later(uint64_t epoch, uint64_t than)
{
	const uint64_t half = (SYNC_EPOCH_MAX >> 1) + 1;
	uint64_t ahead = (epoch - than) & SYNC_EPOCH_MAX;
	if (epoch == 0 || than == 0)
		return epoch != 0 && than == 0;
	return ahead == half ? epoch > than : ahead != 0 && ahead < half;
}

void stream_see_epoch(struct stream *stream, uint64_t epoch)
{
	if (stream_epoch_later(epoch, stream->epoch_seen))
		stream->epoch_seen = epoch;
}

void stream_new_epoch(struct stream *stream)
{
	uint64_t odd = strcmp(stream->self, stream->peer_name) < 0 ? 0 : 1;
	uint64_t epoch = stream->epoch_seen + 1;
	epoch = (epoch + ((epoch & 1) != odd)) & SYNC_EPOCH_MAX;
	stream->epoch = epoch != 0 ? epoch : 2;
	stream->epoch_seen = stream->epoch;
	/* Earlier records are part of what a snapshot finds in the table. */
	stream->sender.acked = journal_last(stream->journal);
	stream->sender.n_marks = 0;
}

bool stream_sends(const struct stream *stream)
{
	return stream->greeted && !stream->peer.active &&
	       (stream->active || (stream->kept && stream->peer.wants));
}

static void say_roles(struct stream *stream)
{
	if (stream->active && stream->peer.active)
		stream_say(stream, "connected to %s: both nodes are Active, neither is replicated",
		    stream->peer_name);
	else if (!stream->active && !stream->peer.active)
		stream_say(stream, "connected to %s: neither node is Active", stream->peer_name);
	else if (stream->active)
		stream_say(stream, "connected to %s: we are Active", stream->peer_name);
	else
		stream_say(stream, "connected to %s: it is Active", stream->peer_name);
}

/* After a change of a role. What the sender says then is news; otherwise say what the roles are. */
static void roles_changed(struct stream *stream, uint64_t now_us)
{
	if (stream->active || stream->peer.active)
		stream->peer.wants = stream->peer.gives = false;
	if (stream->greeted)
		say_roles(stream);
	sender_update(stream, now_us);
	stream->moved_us = now_us;
	stream->heartbeat_due = true;
	protection_update(stream, now_us);
}

void stream_set_active(struct stream *stream, bool active, uint64_t now_us)
{
	if (stream->active == active)
		return;
	stream->active = active;
	if (active) {
		stream->kept = true;
		receiver_reset(stream);
		stream->receiver.complete = false; /* from now on our table goes its own way */
		sender_reset(stream);
		stream->peer.have = (struct sync_position){0};
		stream_new_epoch(stream);
	}
	roles_changed(stream, now_us);
}

void stream_set_config(struct stream *stream, uint64_t hash, const struct sync_promise *promise)
{
	if (stream->config_hash != hash)
		sender_tell_targets(stream);
	stream->config_hash = hash;
	stream->promise = *promise;
	stream->heartbeat_due = true;
}

void stream_connected(struct stream *stream, uint64_t now_us)
{
	stream->connected = true;
	stream->greeted = false;
	stream->hello_due = true;
	stream->heartbeat_due = stream->ack_due = false;
	stream->last_heard_us = stream->last_tick_us = stream->moved_us = now_us;
	stream->next_heartbeat_us = now_us + STREAM_HEARTBEAT_US;
	stream->next_digest_us = now_us;
	memset(&stream->peer, 0, sizeof(stream->peer));
	stream->receiver.asked = stream->receiver.said_refused = false;
	stream->connects++;
}

/* In order with what the peer has said. */
static void say_gone(struct stream *stream)
{
	struct sync_message bye = {.kind = SYNC_BYE};
	if (stream->greeted && stream->callbacks.on_said)
		stream->callbacks.on_said(stream->callbacks.arg, &bye);
}

void stream_disconnected(struct stream *stream, const char *reason, uint64_t now_us)
{
	say_gone(stream);
	stream->connected = stream->greeted = false;
	memset(&stream->peer, 0, sizeof(stream->peer));
	sender_reset(stream);
	receiver_reset(stream);
	protection_update(stream, now_us);
	stream_say(stream, "disconnected from %s: %s", stream->peer_name, reason);
	text_copy(stream->ended, sizeof(stream->ended), reason);
	stream->ended_us = now_us;
}

void stream_unreachable(struct stream *stream, const char *reason)
{
	if (!stream->connected)
		text_copy(stream->reason, sizeof(stream->reason), reason);
}

static int receive_hello(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err)
{
	if (stream->greeted)
		return err_set(err, -EPROTO, "a second hello");
	if (message->hello.version < STREAM_OLDEST_VERSION ||
	    message->hello.oldest_version > STREAM_VERSION)
		return err_set(err, -EPROTO,
		    "it speaks protocol versions %u to %u, this node %u to %u",
		    message->hello.oldest_version, message->hello.version, STREAM_OLDEST_VERSION,
		    STREAM_VERSION);
	if (strcmp(message->hello.node, stream->peer_name) != 0)
		return err_set(err, -EPROTO, "it calls itself %s", message->hello.node);
	if (message->hello.instance == stream->instance)
		return err_set(err, -EPROTO, "it is this very process");
	stream->greeted = true;
	stream->peer.instance = message->hello.instance;
	stream->peer.version = message->hello.version;
	stream->peer.active = message->hello.active;
	stream->peer.config_hash = message->hello.config_hash;
	stream->peer.have = message->hello.have;
	stream->peer.wants = message->hello.wants;
	stream->peer.gives = message->hello.gives;
	stream->peer.takes_targets = message->hello.takes_targets;
	stream->peer.takes_limits = message->hello.takes_limits;
	stream_see_epoch(stream, message->hello.epoch);
	stream->sent_event =
	    message->hello.have_event_instance == stream->instance ? message->hello.have_event : 0;
	urgent_restart(stream->urgent);
	say_roles(stream);
	sender_update(stream, now_us);
	return 0;
}

static void receive_heartbeat(
    struct stream *stream, const struct sync_message *message, uint64_t now_us)
{
	bool was_active = stream->peer.active;
	uint64_t epoch_before = stream->epoch_seen;
	stream->peer.active = message->heartbeat.active;
	if (stream->peer.config_hash != message->heartbeat.config_hash)
		sender_tell_targets(stream); /* it may have got some of them only now */
	stream->peer.config_hash = message->heartbeat.config_hash;
	stream->peer.entries = message->heartbeat.entries;
	stream->peer.verdict = message->heartbeat.verdict;
	stream_see_epoch(stream, message->heartbeat.epoch);
	if (stream->peer.active) {
		stream->peer.have = (struct sync_position){0};
		receiver_on_heartbeat(stream, message, now_us);
	}
	if (was_active != stream->peer.active)
		roles_changed(stream, now_us);
	else if (epoch_before != stream->epoch_seen)
		sender_update(stream, now_us);
}

/* After a cut the peer may send again what was under way. */
static void receive_event(struct stream *stream, const struct sync_message *message)
{
	if (stream->have_event.instance != stream->peer.instance) {
		stream->have_event.instance = stream->peer.instance;
		stream->have_event.id = 0;
	}
	if (message->event.id <= stream->have_event.id)
		return;
	stream->have_event.id = message->event.id;
	if (stream->callbacks.on_said)
		stream->callbacks.on_said(stream->callbacks.arg, message);
}

static bool take(struct quota *quota, const struct allowance *allowance, uint64_t now_us)
{
	return quota_take(quota, allowance->burst, allowance->each_us, now_us);
}

/* Records that we take, or an acknowledgement of such that it has not acknowledged before. */
static bool is_progress(const struct stream *stream, const struct sync_message *message)
{
	const struct receiver *receiver = &stream->receiver;
	const struct sender *sender = &stream->sender;
	if (message->kind == SYNC_BATCH)
		return message->batch.n_records > 0 && !stream->active &&
		       receiver->phase != RECEIVE_IDLE &&
		       message->batch.epoch == receiver->have.epoch;
	return message->kind == SYNC_ACK && sender->phase != SEND_IDLE &&
	       message->mark.epoch == stream->epoch && message->mark.sequence > sender->acked;
}

static bool may_say(struct stream *stream, const struct sync_message *message, uint64_t now_us)
{
	enum sync_message_kind kind = message->kind;
	if (is_progress(stream, message))
		return true;
	if (kind == SYNC_EVENT && !take(&stream->events, &events, now_us))
		return false;
	if ((kind == SYNC_DIGESTS || kind == SYNC_RESEND) && !take(&stream->lists, &lists, now_us))
		return false;
	if (kind == SYNC_LIMITS && !take(&stream->limits, &limits, now_us))
		return false;
	return take(&stream->talk, &talk, now_us);
}

int stream_receive(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err)
{
	int result = 0;
	stream->last_heard_us = now_us;
	if (!may_say(stream, message, now_us))
		return err_set(err, -EPROTO, "it talks too much: another %s",
		    sync_message_name(message->kind));
	if (!stream->greeted && message->kind != SYNC_HELLO && message->kind != SYNC_BYE)
		return err_set(
		    err, -EPROTO, "a %s before the hello", sync_message_name(message->kind));
	switch (message->kind) {
	case SYNC_HELLO: result = receive_hello(stream, message, now_us, err); break;
	case SYNC_RESUME:
	case SYNC_SNAPSHOT_BEGIN:
	case SYNC_BATCH:
	case SYNC_SNAPSHOT_END:
	case SYNC_DIGESTS:
	case SYNC_REPAIR_BEGIN:
	case SYNC_REPAIR_END:
	case SYNC_LIMITS: result = receiver_take(stream, message, now_us, err); break;
	case SYNC_ACK: result = sender_on_ack(stream, message, now_us, err); break;
	case SYNC_RESEND: sender_on_resend(stream, message, now_us); break;
	case SYNC_HEARTBEAT: receive_heartbeat(stream, message, now_us); break;
	case SYNC_BYE: return err_set(err, -ESHUTDOWN, "it says goodbye: %s", message->bye.reason);
	case SYNC_ROUTER:
	case SYNC_QUESTION:
	case SYNC_EVIDENCE:
	case SYNC_CLAIM:
		if (stream->callbacks.on_said)
			stream->callbacks.on_said(stream->callbacks.arg, message);
		break;
	case SYNC_EVENT: receive_event(stream, message); break;
	case SYNC_UNKNOWN:
	case SYNC_KIND_COUNT: break; /* of a newer version */
	}
	protection_update(stream, now_us);
	return result;
}

void stream_count_refused(struct stream *stream)
{
	stream->refused_frames++;
}

static void make_hello(struct stream *stream, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_HELLO};
	out->hello.version = STREAM_VERSION;
	out->hello.oldest_version = STREAM_OLDEST_VERSION;
	text_copy(out->hello.node, sizeof(out->hello.node), stream->self);
	out->hello.instance = stream->instance;
	out->hello.epoch = stream->epoch_seen;
	out->hello.active = stream->active;
	out->hello.config_hash = stream->config_hash;
	if (stream->receiver.complete)
		out->hello.have = stream->receiver.have;
	out->hello.have_event_instance = stream->have_event.instance;
	out->hello.have_event = stream->have_event.id;
	out->hello.wants = !stream->kept;
	out->hello.gives = stream->kept && !stream->active;
	out->hello.takes_targets = true;
	out->hello.takes_limits = stream->callbacks.hear_limits != NULL;
}

bool stream_peer_has_buckets(const struct stream *stream)
{
	return stream->peer.version >= 2;
}

/* For a peer of version 1. The digest goes with a sequence only if nothing was appended around the
 * moment when it was taken and the peer was sent everything before. */
static void add_digest(struct stream *stream, struct sync_message *out, uint64_t now_us)
{
	struct session_stats stats;
	uint64_t last = journal_last(stream->journal);
	bool due = !stream_peer_has_buckets(stream) && stream->active &&
		   stream->sender.phase == SEND_STREAM && stream->sender.cursor == last &&
		   now_us >= stream->next_digest_us;
	if (due)
		session_table_expire_all(stream->table, now_us);
	session_table_stats(stream->table, &stats);
	if (due) {
		stream->next_digest_us = now_us + STREAM_DIGEST_US;
		out->heartbeat.digest_at_sequence = journal_last(stream->journal) == last;
		out->heartbeat.sequence = last;
	}
	out->heartbeat.digest = stats.digest;
	out->heartbeat.entries = stats.entries;
}

static void make_heartbeat(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_HEARTBEAT};
	out->heartbeat.active = stream->active;
	out->heartbeat.epoch = stream->epoch_seen;
	out->heartbeat.sequence =
	    stream->active ? journal_last(stream->journal) : stream->receiver.have.sequence;
	out->heartbeat.verdict = stream->receiver.verdict;
	out->heartbeat.config_hash = stream->config_hash;
	add_digest(stream, out, now_us);
}

static bool make_event(struct stream *stream, struct sync_message *out)
{
	const struct sync_callbacks *callbacks = &stream->callbacks;
	*out = (struct sync_message){.kind = SYNC_EVENT};
	if (!callbacks->next_event ||
	    !callbacks->next_event(callbacks->arg, stream->sent_event, &out->event))
		return false;
	stream->sent_event = out->event.id;
	return true;
}

bool stream_produce(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	if (!stream->connected)
		return false;
	if (stream->hello_due) {
		stream->hello_due = false;
		make_hello(stream, out);
		return true;
	}
	if (!stream->greeted)
		return false;
	if (urgent_take(stream->urgent, out))
		return true;
	receiver_sweep(stream, now_us);
	if (stream->heartbeat_due) {
		stream->heartbeat_due = false;
		stream->next_heartbeat_us = now_us + STREAM_HEARTBEAT_US;
		make_heartbeat(stream, now_us, out);
		return true;
	}
	if (stream->ack_due) {
		stream->ack_due = false;
		*out = (struct sync_message){.kind = SYNC_ACK};
		out->mark.epoch = stream->receiver.have.epoch;
		out->mark.sequence = stream->receiver.have.sequence;
		return true;
	}
	if (make_event(stream, out) || receiver_produce_resend(stream, out) ||
	    sender_produce_digests(stream, now_us, out) || limits_produce(stream, now_us, out))
		return true;
	if (stream->active)
		sender_mark(stream, now_us);
	return sender_produce(stream, now_us, out);
}

bool stream_busy(const struct stream *stream)
{
	return receiver_sweeps(stream);
}

/* It lives, but does not go on: another connection may help, and people are told. */
static int check_progress(struct stream *stream, uint64_t now_us, struct err *err)
{
	bool sending = sender_waits(stream);
	if (!stream->greeted || (!sending && !receiver_waits(stream)))
		stream->moved_us = now_us;
	if (now_us - stream->moved_us <= STREAM_STALL_US)
		return 0;
	return err_set(err, -ETIMEDOUT,
	    sending ? "it has acknowledged nothing for %.0f s"
		    : "its snapshot has stood still for %.0f s",
	    (double)STREAM_STALL_US / US_PER_SEC);
}

int stream_tick(struct stream *stream, uint64_t now_us, struct err *err)
{
	bool was_asleep = now_us - stream->last_tick_us > ASLEEP_US;
	stream->last_tick_us = now_us;
	if (stream->active)
		sender_mark(stream, now_us);
	if (!stream->connected)
		return 0;
	if (was_asleep)
		stream->last_heard_us = stream->moved_us = now_us;
	if (now_us - stream->last_heard_us > STREAM_SILENCE_US)
		return err_set(err, -ETIMEDOUT, "no heartbeat for %.1f s",
		    (double)STREAM_SILENCE_US / US_PER_SEC);
	if (now_us >= stream->next_heartbeat_us)
		stream->heartbeat_due = true;
	protection_update(stream, now_us);
	return check_progress(stream, now_us, err);
}

static enum sync_state state_of(const struct stream *stream)
{
	if (!stream->connected || !stream->greeted)
		return SYNC_DISCONNECTED;
	if (stream->active)
		return stream->sender.phase == SEND_STREAM && stream->sender.in_sync
			   ? SYNC_IN_SYNC
			   : SYNC_SNAPSHOT;
	/* We were Active until now, and nobody is: what the peer has, it has from us. */
	if (stream->receiver.phase == RECEIVE_STREAM ||
	    (stream->receiver.phase == RECEIVE_IDLE && stream->sender.in_sync))
		return SYNC_IN_SYNC;
	return SYNC_SNAPSHOT;
}

void stream_status(const struct stream *stream, uint64_t now_us, struct sync_status *out)
{
	const struct receiver *receiver = &stream->receiver;
	uint64_t last = journal_last(stream->journal);
	*out = (struct sync_status){.state = state_of(stream)};
	text_copy(out->peer, sizeof(out->peer), stream->peer_name);
	text_copy(out->reason, sizeof(out->reason), stream->reason);
	text_copy(out->ended, sizeof(out->ended), stream->ended);
	out->ended_us = stream->ended_us;
	out->sending = stream->active;
	out->peer_active = stream->peer.active;
	out->peer_gives = stream->peer.gives;
	out->peer_takes_targets = stream->greeted && stream->peer.takes_targets;
	out->epoch = stream->active ? stream->epoch : stream->epoch_seen;
	if (stream->active) {
		out->lag_entries = last > stream->sender.acked ? last - stream->sender.acked : 0;
		out->lag_us = sender_lag_us(stream, now_us);
	} else if (receiver->behind_since_us != 0) {
		out->lag_entries = receiver->peer_last - receiver->have.sequence;
		out->lag_us = now_us - receiver->behind_since_us;
	}
	protection_status(stream, out);
	enum sync_verdict verdict = stream->active ? stream->peer.verdict : receiver->verdict;
	out->digest_known = out->state == SYNC_IN_SYNC && verdict != SYNC_VERDICT_UNKNOWN;
	out->digest_equal = out->digest_known && verdict == SYNC_VERDICT_EQUAL;
	out->config_equal = stream->greeted && stream->peer.config_hash == stream->config_hash;
	out->sent_records = stream->sent_records;
	out->received_records = stream->received_records;
	out->snapshots = stream->snapshots;
	out->refused_frames = stream->refused_frames;
	out->connects = stream->connects;
	out->sent_limits = stream->sent_limits;
	memcpy(out->heard_limits, stream->heard_limits, sizeof(out->heard_limits));
}
