/* A node with its table and journal, and a peer that knows the key and the form of messages, but no
 * rules. The input is what happens, one after the other: a frame of the peer (its first byte is 0,
 * because it is short), or another byte for something that the node does itself or that time does.
 * What must hold: the node takes nothing while it is Active; what it says is within the limits, and
 * comes to an end; its table stays within its size; its status makes sense. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/session/table.h"
#include "daemon/sync/stream.h"
#include "tests/fuzz/fuzz.h"

#define SESSIONS_MAX 600
#define TARGETS      4
#define HOUR_US      (3600ULL * 1000000)
/* Far above what is to be said at any one time but for events: the table in batches of two. */
#define SAID_MAX  1000
#define BYTES_MAX (SESSIONS_MAX * 80UL + 256 * 1024)

enum { DO_TIME = 1, DO_CONNECTION, DO_ROLE, DO_SESSION, DO_DELETE, DO_TARGET, DO_SAY };

struct node {
	struct session_table *table;
	struct journal *journal;
	struct urgent *urgent;
	struct stream *stream;
	struct codec *codec, *reader; /* as if there were two ends */
	uint64_t now_us, n_events, taken;
	bool active, connected;
	bool wanted; /* the peer says that it has lost what the node has kept */
};

static void on_record(void *arg, const struct record *record)
{
	struct node *node = arg;
	require(!node->active);
	require(record->kind >= RECORD_HEALTH && record->kind < RECORD_KIND_COUNT);
	node->taken++;
}

static void snapshot_targets(void *arg, void (*emit)(void *, const struct record *), void *emit_arg)
{
	(void)arg;
	for (uint64_t i = 0; i < TARGETS; i++) {
		struct record record = {.kind = RECORD_HEALTH, .health.target_id = i};
		record.health.ready_us = i;
		emit(emit_arg, &record);
	}
	struct record circuit = {.kind = RECORD_CIRCUIT, .circuit.state = 1};
	emit(emit_arg, &circuit);
}

static void on_said(void *arg, const struct sync_message *message)
{
	(void)arg;
	require(message->kind == SYNC_BYE ||
		(message->kind >= SYNC_ROUTER && message->kind <= SYNC_EVENT));
}

static bool next_event(void *arg, uint64_t after, struct sync_event *out)
{
	struct node *node = arg;
	*out = (struct sync_event){.id = after + 1, .object = "sync"};
	return after < node->n_events;
}

static void tell_limits(void *arg, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	struct node *node = arg;
	require(now_us == node->now_us);
	out->secret = 1;
	out->n = node->n_events % (LIMIT_WORDS_MAX + 1);
	for (size_t i = 0; i < out->n; i++) {
		out->hashes[i] = (*cursor)++;
		out->left_us[i] = i;
	}
}

static void hear_limits(void *arg, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT])
{
	struct node *node = arg;
	require(!node->active && now_us == node->now_us && words->n <= LIMIT_WORDS_MAX);
	results[LIMIT_HEARD_APPLIED] += words->n;
}

/* A new life of the node; what costs much is used again. */
static void node_start(struct node *node)
{
	static struct codec *codecs[2];
	static const uint64_t hash_key[2] = {7, 9};
	for (int i = 0; i < 2; i++)
		codecs[i] = codecs[i] ? codecs[i] : codec_new();
	*node = (struct node){.now_us = HOUR_US, .codec = codecs[0], .reader = codecs[1]};
	node->table = session_table_new(SESSIONS_MAX, hash_key);
	node->journal = journal_new(64);
	node->urgent = urgent_new();
	struct stream_config config = {
	    .self = "alpha",
	    .peer = "beta",
	    .instance = 1,
	    .table = node->table,
	    .journal = node->journal,
	    .urgent = node->urgent,
	    .callbacks = {.on_record = on_record,
		.snapshot_targets = snapshot_targets,
		.on_said = on_said,
		.next_event = next_event,
		.tell_limits = tell_limits,
		.hear_limits = hear_limits,
		.arg = node},
	};
	node->stream = stream_new(&config);
	require(
	    node->table && node->journal && node->urgent && node->stream && codecs[0] && codecs[1]);
}

static void node_stop(struct node *node)
{
	stream_free(node->stream);
	urgent_free(node->urgent);
	journal_free(node->journal);
	session_table_free(node->table);
}

static void connection_ends(struct node *node, const char *reason)
{
	if (node->connected)
		stream_disconnected(node->stream, reason, node->now_us);
	node->connected = node->wanted = false;
}

/* Up to `max` messages, as a peer of ours would read them; true if there are more. */
static bool produce(struct node *node, unsigned max)
{
	static uint8_t frame[SYNC_FRAME_HEADER + SYNC_FRAME_MAX];
	for (unsigned n = 0; n < max; n++) {
		struct sync_message message, again;
		struct err err;
		if (!stream_produce(node->stream, node->now_us, &message)) {
			if (!stream_busy(node->stream))
				return false;
			continue;
		}
		require(node->connected);
		require(node->active || node->wanted || message.kind != SYNC_BATCH);
		long len = codec_encode(node->codec, &message, frame, sizeof(frame));
		require(len > 0);
		require(codec_decode(node->reader, frame, (size_t)len, &again, &err) == len);
		require(again.kind == message.kind);
	}
	return true;
}

static void receive(struct node *node, const struct sync_message *message)
{
	struct session_stats before, after;
	struct err err = {0};
	session_table_stats(node->table, &before);
	node->wanted |= message->kind == SYNC_HELLO && message->hello.wants;
	int result = stream_receive(node->stream, message, node->now_us, &err);
	session_table_stats(node->table, &after);
	require(
	    !node->active || (before.digest == after.digest && before.entries == after.entries &&
				 before.updates == after.updates));
	require(result == 0 || result == -EPROTO || result == -ESHUTDOWN);
	if (result < 0) {
		require(err.text[0] != '\0' && memchr(err.text, 0, sizeof(err.text)));
		connection_ends(node, err.text);
	}
}

static void write_session(struct node *node, unsigned which, bool gone)
{
	struct session session = {.target_id = 5, .expires_us = node->now_us + HOUR_US};
	struct record record = {.kind = gone ? RECORD_SESSION_DELETE : RECORD_SESSION};
	session.key.bytes[0] = (uint8_t)which;
	memcpy(record.session.key, session.key.bytes, sizeof(record.session.key));
	if (gone)
		session_table_delete(node->table, &session.key);
	else
		session_table_upsert(node->table, &session, node->now_us);
	journal_append(node->journal, &record);
}

static void say(struct node *node, unsigned which)
{
	static const enum sync_message_kind kinds[] = {
	    SYNC_ROUTER, SYNC_QUESTION, SYNC_EVIDENCE, SYNC_CLAIM};
	struct sync_message message = {.kind = kinds[which % 4]};
	message.router.name[0] = 'r';
	message.router.vrid = 1;
	if (message.kind == SYNC_EVIDENCE || message.kind == SYNC_CLAIM)
		message.router.source_len = 4;
	urgent_put(node->urgent, &message, which >= 16);
	node->n_events++;
}

static void pass_time(struct node *node, unsigned how)
{
	struct err err;
	node->now_us += how < 31 ? (how + 1) * 50000ULL : HOUR_US; /* it was stopped */
	if (stream_tick(node->stream, node->now_us, &err) < 0)
		connection_ends(node, err.text);
}

static void set_config(struct node *node, unsigned how)
{
	struct sync_promise promise = {
	    .acked = how & 1, .max_lag_us = 100000ULL << (how / 8), .max_lag_entries = how};
	stream_set_config(node->stream, how, &promise);
}

static void act(struct node *node, uint8_t byte)
{
	unsigned how = byte >> 3;
	struct record target = {.kind = RECORD_HEALTH, .health.target_id = how % TARGETS};
	struct record circuit = {.kind = RECORD_CIRCUIT, .circuit.state = (uint8_t)(how % 3)};
	circuit.circuit.due_us = node->now_us + how * 1000;
	switch (byte & 7) {
	case DO_TIME: pass_time(node, how); break;
	case DO_CONNECTION:
		if (node->connected) {
			connection_ends(node, "cut");
			break;
		}
		node->connected = true;
		stream_connected(node->stream, node->now_us);
		break;
	case DO_ROLE:
		node->active = how & 1;
		stream_set_active(node->stream, node->active, node->now_us);
		break;
	case DO_SESSION: write_session(node, how, false); break;
	case DO_DELETE: write_session(node, how, true); break;
	case DO_TARGET: journal_append(node->journal, how < 16 ? &target : &circuit); break;
	case DO_SAY: say(node, how); break;
	default: set_config(node, how); break;
	}
}

static void check_node(struct node *node)
{
	struct sync_status status;
	struct session_stats stats;
	stream_status(node->stream, node->now_us, &status);
	session_table_stats(node->table, &stats);
	require(stats.entries <= SESSIONS_MAX && stats.bytes <= BYTES_MAX);
	require(status.state <= SYNC_IN_SYNC);
	require(node->connected || status.state == SYNC_DISCONNECTED);
	require(status.sending == node->active);
	require(status.lag_entries <= SYNC_SEQUENCE_MAX && status.lag_us <= node->now_us);
	require(memchr(status.reason, 0, sizeof(status.reason)) != NULL);
	require(
	    !journal_protected(node->journal) || (node->active && status.state == SYNC_IN_SYNC));
	require(journal_acked(node->journal) <= journal_last(node->journal));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node node;
	node_start(&node);
	while (size > 0) {
		struct sync_message message;
		struct err err;
		long len = 1;
		if (data[0] != 0) {
			act(&node, data[0]);
		} else {
			len = codec_decode(node.codec, data, size, &message, &err);
			if (len <= 0)
				break;
			if (node.connected)
				receive(&node, &message);
		}
		data += len;
		size -= (size_t)len;
		produce(&node, 2);
		check_node(&node);
	}
	require(!produce(&node, SAID_MAX + (unsigned)node.n_events));
	check_node(&node);
	node_stop(&node);
	return 0;
}
