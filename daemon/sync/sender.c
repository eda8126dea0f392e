/* The Active's side: from the journal and the table to messages.
 *
 *	IDLE ──> RESUME ───────────────────────────────────────> STREAM
 *	  └────> BEGIN ──> TARGETS ──> SESSIONS ──> TAIL ──────────┘ │
 *	           ^___________ the journal has overtaken us ________│
 *	                                     a repair: BEGIN, sessions of some buckets, END
 *	                                     all targets again: after RESUME, a reload
 *
 * A session is sent as the table has it at that moment, not as the record says: two workers may
 * touch one key and append in the other order, and the table is right. This needs the writers to
 * change the table first and append then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/sync/stream_internal.h"

/* Between two repairs, each of which may be the whole table. A difference is beyond doubt, and asked
 * for, at the third comparison: later than this. */
#define REPAIR_PAUSE_US ((DIGESTS_IN_A_ROW - 1) * STREAM_DIGEST_US)
/* So many that follow close upon each other, and then one in so long: where they do not help, another one
 * does not either, and costs as much. */
#define REPAIRS_BURST   8
#define REPAIRS_EACH_US (30 * US_PER_SEC)

/* All targets are told again at most so often. */
#define TARGETS_PAUSE_US (1 * US_PER_SEC)
#define TARGETS_MAX      (4U * 1024 * 1024) /* records; far above what a configuration may have */

static void free_targets(struct sender *sender)
{
	free(sender->targets);
	sender->targets = NULL;
	sender->n_targets = sender->targets_size = sender->next_target = 0;
}

void sender_reset(struct stream *stream)
{
	stream->sender.phase = SEND_IDLE;
	stream->sender.in_sync = false;
	stream->sender.repair.n = 0;
	stream->sender.targets_due = false;
	free_targets(&stream->sender);
}

void sender_tell_targets(struct stream *stream)
{
	stream->sender.targets_due = true;
}

static void snapshot_restart(struct stream *stream, uint64_t now_us)
{
	sender_reset(stream);
	stream->sender.phase = SEND_BEGIN;
	stream->sender.by_snapshot = true;
	stream->sender.started_us = now_us;
	protection_update(stream, now_us);
}

static bool can_resume(struct stream *stream)
{
	const struct sync_position *have = &stream->peer.have;
	struct record none;
	return have->instance == stream->instance && have->epoch == stream->epoch &&
	       journal_read(stream->journal, have->sequence, &none, 0) == 0;
}

static void start(struct stream *stream, uint64_t now_us)
{
	struct sender *sender = &stream->sender;
	if (can_resume(stream)) {
		sender_reset(stream);
		sender->phase = SEND_RESUME;
		sender->by_snapshot = false;
		sender->cursor = stream->peer.have.sequence;
	} else {
		const char *why = stream->peer.have.instance != stream->instance
				      ? "it follows no stream of ours"
				  : stream->peer.have.epoch != stream->epoch
				      ? "it follows an earlier epoch"
				      : "it has missed more than the journal holds";
		snapshot_restart(stream, now_us);
		stream_say(stream, "snapshot to %s begins: %s", stream->peer_name, why);
	}
	stream->peer.have = (struct sync_position){0};
	stream->peer.verdict = SYNC_VERDICT_UNKNOWN;
}

void sender_update(struct stream *stream, uint64_t now_us)
{
	struct sender *sender = &stream->sender;
	if (!stream_sends(stream)) {
		sender->phase = SEND_IDLE;
		return;
	}
	/* The peer was Active after us (we were cut off, or restarted) and is not any more: what we
	 * have is what counts, but it would refuse our epoch. */
	if (stream_epoch_later(stream->epoch_seen, stream->epoch)) {
		stream_new_epoch(stream);
		sender->phase = SEND_IDLE;
	}
	if (sender->phase == SEND_IDLE)
		start(stream, now_us);
}

static void emit_target(void *arg, const struct record *record)
{
	struct sender *sender = arg;
	if (sender->n_targets == sender->targets_size) {
		size_t size = sender->targets_size ? sender->targets_size * 2 : 64;
		struct record *targets =
		    size > TARGETS_MAX ? NULL : realloc(sender->targets, size * sizeof(*targets));
		if (!targets)
			return; /* the peer checks this target itself once it is Active */
		sender->targets = targets;
		sender->targets_size = size;
	}
	sender->targets[sender->n_targets++] = *record;
	sender->sent_targets += record->kind == RECORD_HEALTH;
}

static uint64_t age_of(uint64_t since_us, uint64_t now_us)
{
	uint64_t age_us = since_us < now_us ? now_us - since_us : 0;
	return age_us < SYNC_TIME_MAX_US ? age_us : SYNC_TIME_MAX_US;
}

static uint64_t left_of(uint64_t until_us, uint64_t now_us)
{
	return until_us > now_us ? until_us - now_us : 0;
}

/* On the wire times are relative, and a session is as the table has it now. */
static void make_relative(struct stream *stream, struct record *record, uint64_t now_us)
{
	struct session_key key;
	uint64_t expires_us;
	switch (record->kind) {
	case RECORD_SESSION:
	case RECORD_SESSION_DELETE:
		key.pool_id = record->session.pool_id;
		memcpy(key.bytes, record->session.key, sizeof(key.bytes));
		record->kind = RECORD_SESSION_DELETE;
		if (session_table_lookup(
			stream->table, &key, now_us, &record->session.target_id, &expires_us)) {
			uint64_t left_us = expires_us - now_us;
			record->kind = RECORD_SESSION;
			record->session.expires_us =
			    left_us < SYNC_TIME_MAX_US ? left_us : SYNC_TIME_MAX_US;
		}
		break;
	case RECORD_HEALTH:
		record->health.since_us = age_of(record->health.since_us, now_us);
		record->health.ejected_until_us = left_of(record->health.ejected_until_us, now_us);
		if (record->health.ready_us > 0) {
			uint64_t age_us = age_of(record->health.ready_us, now_us);
			record->health.ready_us = age_us > 0 ? age_us : 1;
		}
		break;
	case RECORD_ADMIN:
		/* One that is over is not one that never ends. */
		if (record->admin.drain_until_us > 0) {
			uint64_t left_us = left_of(record->admin.drain_until_us, now_us);
			record->admin.drain_until_us = left_us > 0 ? left_us : 1;
		}
		break;
	case RECORD_CIRCUIT:
		record->circuit.due_us = left_of(record->circuit.due_us, now_us);
		break;
	default: break;
	}
}

static void make_batch(struct stream *stream, struct sync_message *out, bool snapshot,
    uint64_t through, const struct record *records, size_t n)
{
	*out = (struct sync_message){.kind = SYNC_BATCH};
	out->batch.epoch = stream->epoch;
	out->batch.snapshot = snapshot;
	out->batch.after = stream->sender.cursor;
	out->batch.through = through;
	out->batch.records = records;
	out->batch.n_records = n;
	stream->sender.cursor = through;
	stream->sent_records += n;
}

static void make_mark(struct stream *stream, struct sync_message *out, enum sync_message_kind kind)
{
	*out = (struct sync_message){.kind = kind};
	out->mark.epoch = stream->epoch;
	out->mark.sequence = stream->sender.cursor;
}

/* 1: a batch; 0: nothing new; -1: the journal has overtaken us. */
static int produce_records(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	long n = journal_read(stream->journal, sender->cursor, sender->chunk, STREAM_CHUNK);
	if (n <= 0)
		return (int)n;
	uint64_t through = sender->cursor + (uint64_t)n;
	for (long i = 0; i < n; i++)
		make_relative(stream, &sender->chunk[i], now_us);
	make_batch(stream, out, false, through, sender->chunk, (size_t)n);
	return 1;
}

static void collect_targets(struct stream *stream)
{
	struct sender *sender = &stream->sender;
	free_targets(sender);
	sender->targets_due = false;
	sender->sent_targets = 0;
	if (stream->callbacks.snapshot_targets)
		stream->callbacks.snapshot_targets(stream->callbacks.arg, emit_target, sender);
}

static void produce_begin(struct stream *stream, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	sender->cursor = journal_last(stream->journal);
	sender->scan_cursor = 0;
	sender->sent_sessions = 0;
	sender->scan_turn = false;
	collect_targets(stream);
	make_mark(stream, out, SYNC_SNAPSHOT_BEGIN);
	stream->snapshots++;
	sender->phase = SEND_TARGETS;
}

/* A batch of them; false when there is no more. No record comes between, as a change of the set of
 * targets counts when it is there as a whole. */
static bool produce_targets(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	size_t n = sender->n_targets - sender->next_target;
	if (n == 0) {
		free_targets(sender);
		return false;
	}
	if (n > STREAM_CHUNK)
		n = STREAM_CHUNK;
	struct record *records = sender->targets + sender->next_target;
	for (size_t i = 0; i < n; i++)
		make_relative(stream, &records[i], now_us);
	make_batch(stream, out, sender->phase == SEND_TARGETS, sender->cursor, records, n);
	sender->next_target += n;
	return true;
}

static void make_session(struct record *record, const struct session *session, uint64_t now_us)
{
	uint64_t left_us = session->expires_us - now_us;
	*record = (struct record){.kind = RECORD_SESSION};
	record->session.pool_id = session->key.pool_id;
	memcpy(record->session.key, session->key.bytes, sizeof(record->session.key));
	record->session.target_id = session->target_id;
	record->session.expires_us = left_us < SYNC_TIME_MAX_US ? left_us : SYNC_TIME_MAX_US;
}

/* A batch of what the table has from the cursor on, in the buckets that are wanted (NULL: in all);
 * false when there is no more. The entries leave before any record that is read later, so what is
 * newer comes later. */
static bool produce_scan(struct stream *stream, uint64_t *cursor, const bool *wanted,
    uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	size_t n = 0, found = 1;
	while (n < STREAM_CHUNK && found > 0) {
		found = session_table_scan(
		    stream->table, cursor, now_us, sender->scanned, STREAM_CHUNK - n);
		for (size_t i = 0; i < found; i++) {
			const struct session *session = &sender->scanned[i];
			if (!wanted || wanted[session_bucket(&session->key)])
				make_session(&sender->chunk[n++], session, now_us);
		}
	}
	if (n > 0)
		make_batch(stream, out, true, sender->cursor, sender->chunk, n);
	return n > 0;
}

static bool produce_sessions(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	if (produce_scan(stream, &sender->scan_cursor, NULL, now_us, out)) {
		sender->sent_sessions += out->batch.n_records;
		return true;
	}
	sender->phase = SEND_TAIL;
	sender->sync_point = journal_last(stream->journal);
	return false;
}

void sender_on_resend(struct stream *stream, const struct sync_message *resend, uint64_t now_us)
{
	struct sender *sender = &stream->sender;
	if (sender->phase != SEND_STREAM || resend->buckets.epoch != stream->epoch)
		return; /* for what we were before: it will ask again */
	if (sender->repair.n > 0 || now_us < sender->next_repair_us || resend->buckets.n == 0 ||
	    !quota_take(&sender->repairs, REPAIRS_BURST, REPAIRS_EACH_US, now_us)) {
		stream->refused_frames++;
		return;
	}
	sender->next_repair_us = now_us + REPAIR_PAUSE_US;
	memset(&sender->repair, 0, sizeof(sender->repair));
	for (size_t i = 0; i < resend->buckets.n; i++) {
		sender->repair.list[sender->repair.n++] = resend->buckets.list[i];
		sender->repair.wanted[resend->buckets.list[i]] = true;
	}
	stream_say(stream,
	    "in sync with %s, but %zu of %u parts of the sessions differ: sent again",
	    stream->peer_name, sender->repair.n, SESSION_BUCKETS);
}

static void produce_repair(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	if (sender->repair.begun &&
	    produce_scan(stream, &sender->repair.cursor, sender->repair.wanted, now_us, out))
		return;
	*out = (struct sync_message){.kind = SYNC_REPAIR_END};
	out->buckets.epoch = stream->epoch;
	if (sender->repair.begun) {
		sender->repair.n = 0;
		sender->next_repair_us = now_us + REPAIR_PAUSE_US;
		return;
	}
	out->kind = SYNC_REPAIR_BEGIN;
	out->buckets.list = sender->repair.list;
	out->buckets.n = sender->repair.n;
	sender->repair.begun = true;
}

/* All targets, if they are to be told again. Then records, and a repair if one is under way: they take
 * turns. As produce_records. */
static int produce_stream(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	if (sender->targets_due && now_us >= sender->next_targets_us) {
		sender->next_targets_us = now_us + TARGETS_PAUSE_US;
		collect_targets(stream);
	}
	if (produce_targets(stream, now_us, out))
		return 1;
	sender->repair.turn = !sender->repair.turn;
	int result = 0;
	if (sender->repair.n == 0 || sender->repair.turn)
		result = produce_records(stream, now_us, out);
	if (result != 0 || sender->repair.n == 0)
		return result;
	produce_repair(stream, now_us, out);
	return 1;
}

bool sender_yields(const struct stream *stream)
{
	const struct sender *sender = &stream->sender;
	return sender->beside == sender->cursor && journal_last(stream->journal) > sender->cursor;
}

bool sender_produce_digests(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	if (!stream->active || sender->phase != SEND_STREAM || sender->repair.n > 0 ||
	    !stream_peer_has_buckets(stream) || now_us < stream->next_digest_us ||
	    sender_yields(stream))
		return false;
	stream->next_digest_us = now_us + STREAM_DIGEST_US;
	sender->beside = sender->cursor;
	session_table_expire_all(stream->table, now_us);
	session_table_digests(stream->table, sender->digests);
	*out = (struct sync_message){.kind = SYNC_DIGESTS};
	out->digests.epoch = stream->epoch;
	out->digests.through = sender->cursor;
	out->digests.until = journal_last(stream->journal);
	out->digests.digests = sender->digests;
	return true;
}

static void produce_end(struct stream *stream, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	make_mark(stream, out, SYNC_SNAPSHOT_END);
	out->mark.sessions = sender->sent_sessions;
	out->mark.targets = sender->sent_targets;
	sender->sync_point = sender->cursor;
	sender->phase = SEND_STREAM;
}

/* 1: a message; 0: nothing to send; -1: the journal has overtaken us; -2: ask the next phase. */
static int produce_step(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	struct sender *sender = &stream->sender;
	int result;
	switch (sender->phase) {
	case SEND_IDLE: return 0;
	case SEND_RESUME:
		make_mark(stream, out, SYNC_RESUME);
		/* While it was alone it has checked, and taken changes, itself. */
		sender_tell_targets(stream);
		sender->sync_point = journal_last(stream->journal);
		sender->phase = SEND_STREAM;
		return 1;
	case SEND_BEGIN: produce_begin(stream, out); return 1;
	case SEND_TARGETS:
		if (produce_targets(stream, now_us, out))
			return 1;
		sender->phase = SEND_SESSIONS;
		return -2;
	case SEND_SESSIONS:
		sender->scan_turn = !sender->scan_turn;
		if (sender->scan_turn)
			return produce_sessions(stream, now_us, out) ? 1 : -2;
		result = produce_records(stream, now_us, out);
		return result == 0 ? -2 : result;
	case SEND_TAIL:
		if (sender->cursor < sender->sync_point)
			return produce_records(stream, now_us, out);
		produce_end(stream, out);
		return 1;
	case SEND_STREAM: return produce_stream(stream, now_us, out);
	}
	return 0;
}

bool sender_produce(struct stream *stream, uint64_t now_us, struct sync_message *out)
{
	for (;;) {
		int result = produce_step(stream, now_us, out);
		if (result == 1 || result == 0)
			return result == 1;
		if (result == -1) {
			snapshot_restart(stream, now_us);
			stream_say(stream, "snapshot to %s begins: the journal has overtaken it",
			    stream->peer_name);
		}
	}
}

static void say_in_sync(struct stream *stream, uint64_t now_us)
{
	struct sender *sender = &stream->sender;
	if (sender->by_snapshot)
		stream_say(stream,
		    "in sync with %s: snapshot of %llu sessions, %llu targets in %llu ms",
		    stream->peer_name, (unsigned long long)sender->sent_sessions,
		    (unsigned long long)sender->sent_targets,
		    (unsigned long long)((now_us - sender->started_us) / US_PER_MS));
	else
		stream_say(stream, "in sync with %s: resumed, it has record %llu",
		    stream->peer_name, (unsigned long long)sender->acked);
}

bool sender_waits(const struct stream *stream)
{
	const struct sender *sender = &stream->sender;
	return sender->phase == SEND_STREAM && (!sender->in_sync || sender->acked < sender->cursor);
}

int sender_on_ack(
    struct stream *stream, const struct sync_message *ack, uint64_t now_us, struct err *err)
{
	struct sender *sender = &stream->sender;
	if (sender->phase == SEND_IDLE || ack->mark.epoch != stream->epoch)
		return 0; /* for what we were before */
	uint64_t sequence = ack->mark.sequence;
	if (sequence > sender->cursor)
		return err_set(err, -EPROTO, "it acknowledges record %llu, %llu were sent",
		    (unsigned long long)sequence, (unsigned long long)sender->cursor);
	if (sequence > sender->acked) {
		sender->acked = sequence;
		stream->moved_us = now_us;
	}
	while (sender->n_marks > 0 && sender->marks[sender->first_mark].sequence <= sender->acked) {
		sender->first_mark = (sender->first_mark + 1) % LAG_MARKS;
		sender->n_marks--;
	}
	if (!sender->in_sync && sender->phase == SEND_STREAM && sequence >= sender->sync_point) {
		sender->in_sync = true;
		say_in_sync(stream, now_us);
	}
	journal_set_acked(stream->journal, sequence);
	return 0;
}

void sender_mark(struct stream *stream, uint64_t now_us)
{
	struct sender *sender = &stream->sender;
	uint64_t last = journal_last(stream->journal);
	size_t newest = (sender->first_mark + sender->n_marks + LAG_MARKS - 1) % LAG_MARKS;
	uint64_t known = sender->n_marks > 0 ? sender->marks[newest].sequence : sender->acked;
	if (last <= known)
		return;
	if (sender->n_marks == LAG_MARKS) {
		sender->marks[newest].sequence = last; /* looks older than it is */
		return;
	}
	size_t at = (sender->first_mark + sender->n_marks++) % LAG_MARKS;
	sender->marks[at].sequence = last;
	sender->marks[at].at_us = now_us;
}

uint64_t sender_lag_us(const struct stream *stream, uint64_t now_us)
{
	const struct sender *sender = &stream->sender;
	if (sender->n_marks == 0)
		return 0;
	uint64_t at_us = sender->marks[sender->first_mark].at_us;
	return now_us > at_us ? now_us - at_us : 0;
}
