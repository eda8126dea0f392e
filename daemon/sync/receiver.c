/* The Backup's side: from messages to the table and the control thread. An Active node takes
 * nothing, and nobody takes records of an epoch before the latest one known.
 *
 * A snapshot replaces the table, but what it has not mentioned goes only at its end: if the Active
 * dies in the middle, old and new entries together are the best that is left. */
#include <errno.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/sync/stream_internal.h"

/* Entries looked at in one go of a sweep, so that messages need not wait for it. */
#define SWEEP_CHUNK 8192

/* Digests of a whole table (a peer of version 1) that differ so often in a row, a second apart, are
 * no matter of timing any more. */
#define MISMATCHES_MAX 3

/* Each comparison looks at the whole table. */
#define COMPARE_MIN_US (STREAM_DIGEST_US / 2)

void receiver_reset(struct stream *stream)
{
	struct receiver *receiver = &stream->receiver;
	receiver->phase = RECEIVE_IDLE;
	receiver->peer_last = receiver->behind_since_us = 0;
	receiver->verdict = SYNC_VERDICT_UNKNOWN;
	receiver->mismatches = 0;
	receiver->repair = REPAIR_NONE;
	receiver->n_resend = 0;
	digests_reset(&receiver->digests);
	stream->ack_due = false;
}

/* People are told once of a peer that goes on with it. */
static void say_refused(struct stream *stream, uint64_t epoch)
{
	struct receiver *receiver = &stream->receiver;
	if (stream->active || receiver->said_refused)
		return;
	receiver->said_refused = true;
	stream_say(stream, "records of %s are refused: they are of epoch %llu, and %llu is later",
	    stream->peer_name, (unsigned long long)epoch, (unsigned long long)stream->epoch_seen);
}

/* Others may have been sent before the peer heard of our role or epoch: no reason to disconnect. */
static bool accepts(struct stream *stream, uint64_t epoch)
{
	bool earlier = epoch == 0 || stream_epoch_later(stream->epoch_seen, epoch);
	if (stream->active || earlier) {
		stream->refused_frames++;
		say_refused(stream, epoch);
		return false;
	}
	stream_see_epoch(stream, epoch);
	return true;
}

static void store_taken(struct stream *stream, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	session_table_put(
	    stream->table, receiver->taken, receiver->n_taken, receiver->mark, now_us);
	receiver->n_taken = 0;
}

static void take_session(struct stream *stream, const struct record *record, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	struct session *session = &receiver->taken[receiver->n_taken++];
	session->key.pool_id = record->session.pool_id;
	memcpy(session->key.bytes, record->session.key, sizeof(session->key.bytes));
	session->target_id = record->session.target_id;
	session->expires_us = now_us + record->session.expires_us;
	if (receiver->digests.comparing)
		digests_touch(&receiver->digests, session_bucket(&session->key));
}

static void take_delete(struct stream *stream, const struct record *record, uint64_t now_us)
{
	struct session_key key = {.pool_id = record->session.pool_id};
	memcpy(key.bytes, record->session.key, sizeof(key.bytes));
	store_taken(stream, now_us); /* it may be among them */
	session_table_delete(stream->table, &key);
	digests_touch(&stream->receiver.digests, session_bucket(&key));
}

static uint64_t since(uint64_t age_us, uint64_t now_us)
{
	return age_us < now_us ? now_us - age_us : 0;
}

static void take_target(struct stream *stream, const struct record *record, uint64_t now_us)
{
	struct record copy = *record;
	if (copy.kind == RECORD_HEALTH) {
		copy.health.since_us = since(record->health.since_us, now_us);
		if (record->health.ejected_until_us > 0)
			copy.health.ejected_until_us = now_us + record->health.ejected_until_us;
		/* Longer ago than our clock goes back is long ago, too. */
		uint64_t ready_us = since(record->health.ready_us, now_us);
		if (record->health.ready_us > 0)
			copy.health.ready_us = ready_us > 0 ? ready_us : 1;
	}
	if (copy.kind == RECORD_ADMIN && copy.admin.drain_until_us > 0)
		copy.admin.drain_until_us += now_us;
	if (copy.kind == RECORD_CIRCUIT)
		copy.circuit.due_us += now_us;
	if (stream->callbacks.on_record)
		stream->callbacks.on_record(stream->callbacks.arg, &copy);
}

static void take_records(
    struct stream *stream, const struct record *records, size_t n, uint64_t now_us)
{
	for (size_t i = 0; i < n; i++) {
		switch (records[i].kind) {
		case RECORD_SESSION: take_session(stream, &records[i], now_us); break;
		case RECORD_SESSION_DELETE: take_delete(stream, &records[i], now_us); break;
		default: take_target(stream, &records[i], now_us); break;
		}
	}
	store_taken(stream, now_us);
}

static void take_begin(struct stream *stream, const struct sync_message *message, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	receiver_reset(stream);
	receiver->phase = RECEIVE_SNAPSHOT;
	receiver->mark = session_table_mark(stream->table);
	receiver->complete = false;
	receiver->have = (struct sync_position){
	    stream->peer.instance, message->mark.epoch, message->mark.sequence};
	receiver->started_us = now_us;
	receiver->sessions = receiver->targets = 0;
	stream->sender.in_sync = false;
	stream->snapshots++;
	stream_say(stream, "snapshot from %s begins", stream->peer_name);
}

static int take_resume(struct stream *stream, const struct sync_message *message, struct err *err)
{
	struct receiver *receiver = &stream->receiver;
	const struct sync_position *have = &receiver->have;
	if (!receiver->complete || have->instance != stream->peer.instance ||
	    have->epoch != message->mark.epoch || have->sequence != message->mark.sequence)
		return err_set(err, -EPROTO, "it resumes a stream that we do not follow");
	receiver_reset(stream);
	receiver->phase = RECEIVE_STREAM;
	stream->sender.in_sync = false;
	stream->ack_due = true;
	stream_say(stream, "in sync with %s: resumed after record %llu", stream->peer_name,
	    (unsigned long long)have->sequence);
	return 0;
}

/* When a comparison of digests is complete. */
static void judge(struct stream *stream)
{
	struct receiver *receiver = &stream->receiver;
	if (!digests_complete(&receiver->digests, receiver->have.sequence))
		return;
	if (digests_equal(&receiver->digests))
		receiver->verdict = SYNC_VERDICT_EQUAL;
	size_t n = digests_take(&receiver->digests, receiver->resend);
	if (n == 0)
		return;
	receiver->n_resend = n;
	receiver->verdict = SYNC_VERDICT_DIFFERENT;
	stream_say(stream,
	    "in sync with %s, but %zu of %u parts of the sessions differ: asking again",
	    stream->peer_name, n, SESSION_BUCKETS);
}

bool receiver_produce_resend(struct stream *stream, struct sync_message *out)
{
	struct receiver *receiver = &stream->receiver;
	if (receiver->n_resend == 0)
		return false;
	*out = (struct sync_message){.kind = SYNC_RESEND};
	out->buckets.epoch = receiver->have.epoch;
	out->buckets.list = receiver->resend;
	out->buckets.n = receiver->n_resend;
	receiver->n_resend = 0;
	receiver->asked = true;
	return true;
}

static int take_batch(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err)
{
	struct receiver *receiver = &stream->receiver;
	if (receiver->phase == RECEIVE_IDLE || receiver->have.epoch != message->batch.epoch)
		return err_set(err, -EPROTO, "a batch of epoch %llu without a beginning",
		    (unsigned long long)message->batch.epoch);
	if (message->batch.after != receiver->have.sequence)
		return err_set(err, -EPROTO, "records are missing between %llu and %llu",
		    (unsigned long long)receiver->have.sequence,
		    (unsigned long long)message->batch.after);
	if (message->batch.snapshot &&
	    ((receiver->phase != RECEIVE_SNAPSHOT && receiver->repair != REPAIR_SNAPSHOT) ||
		message->batch.through != message->batch.after))
		return err_set(err, -EPROTO, "a part of a snapshot outside of one");
	take_records(stream, message->batch.records, message->batch.n_records, now_us);
	for (size_t i = 0; message->batch.snapshot && i < message->batch.n_records; i++) {
		receiver->sessions += message->batch.records[i].kind == RECORD_SESSION;
		receiver->targets += message->batch.records[i].kind == RECORD_HEALTH;
	}
	stream->received_records += message->batch.n_records;
	receiver->have.sequence = message->batch.through;
	judge(stream);
	if (receiver->phase == RECEIVE_STREAM)
		stream->ack_due = true;
	return 0;
}

bool receiver_sweeps(const struct stream *stream)
{
	return stream->receiver.phase == RECEIVE_SWEEP || stream->receiver.repair == REPAIR_SWEEP;
}

bool receiver_waits(const struct stream *stream)
{
	const struct receiver *receiver = &stream->receiver;
	bool is_owed = stream->peer.active || (stream->peer.gives && !stream->kept);
	return !stream->active &&
	       ((receiver->phase == RECEIVE_IDLE && is_owed) ||
		   receiver->phase == RECEIVE_SNAPSHOT || receiver->repair == REPAIR_SNAPSHOT);
}

static void snapshot_done(struct stream *stream, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	receiver->phase = RECEIVE_STREAM;
	receiver->complete = stream->kept = true;
	stream->ack_due = true;
	stream->heartbeat_due = true; /* before it: what was compared once says nothing any more */
	stream_say(stream,
	    "in sync with %s: snapshot of %llu sessions, %llu targets in %llu ms, %llu old "
	    "sessions removed",
	    stream->peer_name, (unsigned long long)receiver->sessions,
	    (unsigned long long)receiver->targets,
	    (unsigned long long)((now_us - receiver->started_us) / US_PER_MS),
	    (unsigned long long)receiver->removed);
}

static void repair_done(struct stream *stream)
{
	struct receiver *receiver = &stream->receiver;
	receiver->repair = REPAIR_NONE;
	stream_say(stream,
	    "in sync with %s: what differed was sent again, %llu sessions, and %llu "
	    "removed",
	    stream->peer_name, (unsigned long long)receiver->sessions,
	    (unsigned long long)receiver->removed);
}

void receiver_sweep(struct stream *stream, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	if (!receiver_sweeps(stream))
		return;
	receiver->removed +=
	    session_table_sweep(stream->table, &receiver->sweep_cursor, SWEEP_CHUNK, receiver->mark,
		receiver->repair == REPAIR_SWEEP ? receiver->repair_buckets : NULL);
	if (receiver->sweep_cursor != SESSION_CURSOR_END)
		return;
	if (receiver->repair == REPAIR_SWEEP)
		repair_done(stream);
	else
		snapshot_done(stream, now_us);
}

static int take_end(struct stream *stream, const struct sync_message *message, struct err *err)
{
	struct receiver *receiver = &stream->receiver;
	if (receiver->phase != RECEIVE_SNAPSHOT || receiver->have.epoch != message->mark.epoch ||
	    receiver->have.sequence != message->mark.sequence)
		return err_set(err, -EPROTO, "the end of a snapshot at the wrong place");
	receiver->phase = RECEIVE_SWEEP;
	receiver->sweep_cursor = receiver->removed = 0;
	return 0;
}

static int take_repair(struct stream *stream, const struct sync_message *message, struct err *err)
{
	struct receiver *receiver = &stream->receiver;
	bool begin = message->kind == SYNC_REPAIR_BEGIN;
	if (receiver->phase != RECEIVE_STREAM || receiver->have.epoch != message->buckets.epoch ||
	    receiver->repair != (begin ? REPAIR_NONE : REPAIR_SNAPSHOT))
		return err_set(
		    err, -EPROTO, "a %s at the wrong place", sync_message_name(message->kind));
	if (begin && !receiver->asked)
		return err_set(err, -EPROTO, "a repair that nobody has asked for");
	if (!begin) {
		receiver->repair = REPAIR_SWEEP;
		receiver->sweep_cursor = receiver->removed = 0;
		return 0;
	}
	receiver->asked = false;
	memset(receiver->repair_buckets, 0, sizeof(receiver->repair_buckets));
	for (size_t i = 0; i < message->buckets.n; i++)
		receiver->repair_buckets[message->buckets.list[i]] = true;
	receiver->repair = REPAIR_SNAPSHOT;
	receiver->mark = session_table_mark(stream->table);
	receiver->sessions = 0;
	return 0;
}

static bool may_compare(struct receiver *receiver, uint64_t now_us)
{
	if (now_us < receiver->next_digests_us)
		return false;
	receiver->next_digests_us = now_us + COMPARE_MIN_US;
	return true;
}

static void take_digests(struct stream *stream, const struct sync_message *message, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	uint64_t ours[SESSION_BUCKETS];
	if (receiver->phase != RECEIVE_STREAM || receiver->repair != REPAIR_NONE ||
	    receiver->have.epoch != message->digests.epoch ||
	    receiver->have.sequence != message->digests.through || !may_compare(receiver, now_us))
		return;
	session_table_expire_all(stream->table, now_us);
	session_table_digests(stream->table, ours);
	digests_compare(&receiver->digests, ours, message->digests.digests, message->digests.until);
	judge(stream);
}

static void update_behind(struct stream *stream, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	if (receiver->have.sequence >= receiver->peer_last)
		receiver->behind_since_us = 0;
	else if (receiver->behind_since_us == 0)
		receiver->behind_since_us = now_us;
}

static uint64_t epoch_of(const struct sync_message *message)
{
	switch (message->kind) {
	case SYNC_BATCH: return message->batch.epoch;
	case SYNC_DIGESTS: return message->digests.epoch;
	case SYNC_REPAIR_BEGIN:
	case SYNC_REPAIR_END: return message->buckets.epoch;
	case SYNC_LIMITS: return message->limits.epoch;
	default: return message->mark.epoch;
	}
}

int receiver_take(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err)
{
	int result = 0;
	if (!accepts(stream, epoch_of(message)))
		return 0;
	switch (message->kind) {
	case SYNC_SNAPSHOT_BEGIN: take_begin(stream, message, now_us); break;
	case SYNC_RESUME: result = take_resume(stream, message, err); break;
	case SYNC_BATCH: result = take_batch(stream, message, now_us, err); break;
	case SYNC_DIGESTS: take_digests(stream, message, now_us); break;
	case SYNC_REPAIR_BEGIN:
	case SYNC_REPAIR_END: result = take_repair(stream, message, err); break;
	case SYNC_LIMITS: limits_take(stream, message, now_us); break;
	default: result = take_end(stream, message, err); break;
	}
	stream->moved_us = now_us;
	update_behind(stream, now_us);
	return result;
}

void receiver_on_heartbeat(
    struct stream *stream, const struct sync_message *heartbeat, uint64_t now_us)
{
	struct receiver *receiver = &stream->receiver;
	receiver->peer_last = heartbeat->heartbeat.sequence;
	update_behind(stream, now_us);
	if (receiver->phase != RECEIVE_STREAM || !heartbeat->heartbeat.digest_at_sequence ||
	    receiver->have.epoch != heartbeat->heartbeat.epoch ||
	    receiver->have.sequence != heartbeat->heartbeat.sequence ||
	    !may_compare(receiver, now_us))
		return;
	struct session_stats stats;
	session_table_expire_all(stream->table, now_us);
	session_table_stats(stream->table, &stats);
	if (stats.digest == heartbeat->heartbeat.digest) {
		receiver->mismatches = 0;
		receiver->verdict = SYNC_VERDICT_EQUAL;
	} else if (++receiver->mismatches >= MISMATCHES_MAX) {
		if (receiver->verdict != SYNC_VERDICT_DIFFERENT)
			stream_say(stream,
			    "in sync with %s, but the tables differ: %llu sessions here, %llu "
			    "there",
			    stream->peer_name, (unsigned long long)stats.entries,
			    (unsigned long long)heartbeat->heartbeat.entries);
		receiver->verdict = SYNC_VERDICT_DIFFERENT;
	}
}
