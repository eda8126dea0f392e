#include "proto/codec.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "proto/arena.h"
#include "proto/codec_internal.h"

/* A full batch of the longest records needs about a tenth of it. */
#define ARENA_SIZE (1024U * 1024)

struct codec {
	struct frame_arena arena;
	struct record records[SYNC_BATCH_MAX]; /* of the batch decoded last */
};

struct codec *codec_new(void)
{
	struct codec *codec = calloc(1, sizeof(*codec));
	if (codec && frame_arena_init(&codec->arena, ARENA_SIZE) < 0) {
		free(codec);
		codec = NULL;
	}
	return codec;
}

void codec_free(struct codec *codec)
{
	if (!codec)
		return;
	frame_arena_fini(&codec->arena);
	free(codec);
}

const char *sync_message_name(enum sync_message_kind kind)
{
	static const char *const names[SYNC_KIND_COUNT] = {"hello", "resume", "snapshot begin",
	    "batch", "snapshot end", "ack", "heartbeat", "bye", "router", "question", "evidence",
	    "claim", "event", "digests", "resend", "repair begin", "repair end", "limits",
	    "unknown"};
	return kind < SYNC_KIND_COUNT ? names[kind] : "?";
}

/* Every kind of record. */
union record_parts {
	Yoke__Sync__Session session;
	Yoke__Sync__SessionDelete session_delete;
	Yoke__Sync__Health health;
	Yoke__Sync__Admin admin;
	struct {
		Yoke__Sync__Target target;
		Yoke__Sync__TargetSettings settings, file;
	} change;
	Yoke__Sync__Targets targets;
	Yoke__Sync__Circuit circuit;
};

static void pack_session(const struct record *record, Yoke__Sync__Session *session)
{
	session->pool_id = record->session.pool_id;
	session->key.data = (uint8_t *)record->session.key;
	session->key.len = sizeof(record->session.key);
	session->target_id = record->session.target_id;
	session->left_us = record->session.expires_us;
}

static void pack_delete(const struct record *record, Yoke__Sync__SessionDelete *session)
{
	session->pool_id = record->session.pool_id;
	session->key.data = (uint8_t *)record->session.key;
	session->key.len = sizeof(record->session.key);
}

static int pack_health(const struct record *record, Yoke__Sync__Health *health)
{
	if (!memchr(record->health.reason, 0, sizeof(record->health.reason)))
		return -EINVAL;
	health->target_id = record->health.target_id;
	health->state = (Yoke__Sync__HealthState)record->health.health;
	health->rise_count = record->health.rise_count;
	health->fall_count = record->health.fall_count;
	health->age_us = record->health.since_us;
	health->reason = (char *)record->health.reason;
	health->ejection_left_us = record->health.ejected_until_us;
	health->ejections = record->health.ejections;
	health->ejection_cause = record->health.ejection_cause;
	health->probation = record->health.probation;
	health->ready_age_us = record->health.ready_us;
	return 0;
}

static void pack_settings(const struct record_settings *from, Yoke__Sync__TargetSettings *settings)
{
	yoke__sync__target_settings__init(settings);
	settings->weight = from->weight;
	settings->backup = from->backup;
	settings->max_connections = from->max_connections;
}

static int pack_target(const struct record *record, union record_parts *parts)
{
	Yoke__Sync__Target *target = &parts->change.target;
	yoke__sync__target__init(target);
	if (!memchr(record->target.pool, 0, sizeof(record->target.pool)) ||
	    !memchr(record->target.text, 0, sizeof(record->target.text)))
		return -EINVAL;
	target->pool = (char *)record->target.pool;
	target->address = (char *)record->target.text;
	target->change = (Yoke__Sync__TargetChange)record->target.change;
	if (record->target.settings.weight > 0) {
		target->settings = &parts->change.settings;
		pack_settings(&record->target.settings, target->settings);
	}
	if (record->target.file.weight > 0) {
		target->file = &parts->change.file;
		pack_settings(&record->target.file, target->file);
	}
	return 0;
}

static int pack_record(
    const struct record *record, union record_parts *parts, Yoke__Sync__Record *out)
{
	yoke__sync__record__init(out);
	switch (record->kind) {
	case RECORD_SESSION:
		yoke__sync__session__init(out->session = &parts->session);
		out->kind_case = YOKE__SYNC__RECORD__KIND_SESSION;
		pack_session(record, &parts->session);
		return 0;
	case RECORD_SESSION_DELETE:
		yoke__sync__session_delete__init(out->session_delete = &parts->session_delete);
		out->kind_case = YOKE__SYNC__RECORD__KIND_SESSION_DELETE;
		pack_delete(record, &parts->session_delete);
		return 0;
	case RECORD_HEALTH:
		yoke__sync__health__init(out->health = &parts->health);
		out->kind_case = YOKE__SYNC__RECORD__KIND_HEALTH;
		return pack_health(record, &parts->health);
	case RECORD_ADMIN:
		yoke__sync__admin__init(out->admin = &parts->admin);
		out->kind_case = YOKE__SYNC__RECORD__KIND_ADMIN;
		parts->admin.target_id = record->admin.target_id;
		parts->admin.state = (Yoke__Sync__AdminState)record->admin.admin;
		parts->admin.left_us = record->admin.drain_until_us;
		parts->admin.leaving = record->admin.leaving;
		return 0;
	case RECORD_TARGET:
		out->target = &parts->change.target;
		out->kind_case = YOKE__SYNC__RECORD__KIND_TARGET;
		return pack_target(record, parts);
	case RECORD_TARGETS:
		yoke__sync__targets__init(out->targets = &parts->targets);
		out->kind_case = YOKE__SYNC__RECORD__KIND_TARGETS;
		parts->targets.count = record->targets.count;
		return 0;
	case RECORD_CIRCUIT:
		yoke__sync__circuit__init(out->circuit = &parts->circuit);
		out->kind_case = YOKE__SYNC__RECORD__KIND_CIRCUIT;
		parts->circuit.pool_id = record->circuit.pool_id;
		parts->circuit.state = (Yoke__Sync__CircuitState)record->circuit.state;
		parts->circuit.left_us = record->circuit.due_us;
		return 0;
	case RECORD_KIND_COUNT: break;
	}
	return -EINVAL;
}

static int pack_batch(
    struct frame_arena *arena, const struct sync_message *message, Yoke__Sync__Batch *batch)
{
	size_t n = message->batch.n_records;
	if (n > SYNC_BATCH_MAX)
		return -EINVAL;
	Yoke__Sync__Record **list = frame_arena_alloc(arena, n * sizeof(Yoke__Sync__Record *));
	Yoke__Sync__Record *records = frame_arena_alloc(arena, n * sizeof(Yoke__Sync__Record));
	union record_parts *parts = frame_arena_alloc(arena, n * sizeof(union record_parts));
	if (!list || !records || !parts)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		list[i] = &records[i];
		if (pack_record(&message->batch.records[i], &parts[i], list[i]) < 0)
			return -EINVAL;
	}
	batch->epoch = message->batch.epoch;
	batch->snapshot = message->batch.snapshot;
	batch->after = message->batch.after;
	batch->through = message->batch.through;
	batch->n_records = n;
	batch->records = list;
	return 0;
}

static void pack_hello(const struct sync_message *message, Yoke__Sync__Hello *hello)
{
	hello->version = message->hello.version;
	hello->oldest_version = message->hello.oldest_version;
	hello->node = (char *)message->hello.node;
	hello->instance = message->hello.instance;
	hello->epoch = message->hello.epoch;
	hello->active = message->hello.active;
	hello->config_hash = message->hello.config_hash;
	hello->have_instance = message->hello.have.instance;
	hello->have_epoch = message->hello.have.epoch;
	hello->have_sequence = message->hello.have.sequence;
	hello->have_event_instance = message->hello.have_event_instance;
	hello->have_event = message->hello.have_event;
	hello->wants = message->hello.wants;
	hello->gives = message->hello.gives;
	hello->takes_targets = message->hello.takes_targets;
	hello->takes_limits = message->hello.takes_limits;
}

static void pack_heartbeat(const struct sync_message *message, Yoke__Sync__Heartbeat *heartbeat)
{
	heartbeat->active = message->heartbeat.active;
	heartbeat->epoch = message->heartbeat.epoch;
	heartbeat->sequence = message->heartbeat.sequence;
	heartbeat->entries = message->heartbeat.entries;
	heartbeat->digest = message->heartbeat.digest;
	heartbeat->digest_at_sequence = message->heartbeat.digest_at_sequence;
	heartbeat->verdict = (Yoke__Sync__Verdict)message->heartbeat.verdict;
	heartbeat->config_hash = message->heartbeat.config_hash;
}

/* Every kind of message, so that one of them can live on the stack while it is packed. */
union parts {
	Yoke__Sync__Hello hello;
	Yoke__Sync__Resume resume;
	Yoke__Sync__SnapshotBegin begin;
	Yoke__Sync__Batch batch;
	Yoke__Sync__SnapshotEnd end;
	Yoke__Sync__Ack ack;
	Yoke__Sync__Heartbeat heartbeat;
	Yoke__Sync__Bye bye;
	Yoke__Sync__Router router;
	Yoke__Sync__Question question;
	Yoke__Sync__Evidence evidence;
	Yoke__Sync__Claim claim;
	Yoke__Sync__Event event;
	Yoke__Sync__Digests digests;
	Yoke__Sync__Resend resend;
	Yoke__Sync__RepairBegin repair_begin;
	Yoke__Sync__RepairEnd repair_end;
	Yoke__Sync__Limits limits;
};

static void pack_evidence(const struct sync_message *message, Yoke__Sync__Evidence *evidence)
{
	evidence->name = (char *)message->router.name;
	evidence->vrid = message->router.vrid;
	evidence->stamp = message->router.stamp;
	evidence->priority = message->router.priority;
	evidence->source.data = (uint8_t *)message->router.source;
	evidence->source.len = message->router.source_len;
}

static void pack_claim(const struct sync_message *message, Yoke__Sync__Claim *claim)
{
	claim->name = (char *)message->router.name;
	claim->vrid = message->router.vrid;
	claim->stamp = message->router.stamp;
	claim->priority = message->router.priority;
	claim->source.data = (uint8_t *)message->router.source;
	claim->source.len = message->router.source_len;
	claim->flags = message->router.flags;
}

static int pack_router(
    const struct sync_message *message, union parts *parts, Yoke__Sync__Frame *frame)
{
	if (!memchr(message->router.name, 0, sizeof(message->router.name)))
		return -EINVAL;
	switch (message->kind) {
	case SYNC_ROUTER:
		yoke__sync__router__init(frame->router = &parts->router);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_ROUTER;
		parts->router.name = (char *)message->router.name;
		parts->router.vrid = message->router.vrid;
		parts->router.state = (Yoke__Sync__RouterState)message->router.state;
		parts->router.priority = message->router.priority;
		parts->router.handed_over = message->router.handed_over;
		return 0;
	case SYNC_QUESTION:
		yoke__sync__question__init(frame->question = &parts->question);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_QUESTION;
		parts->question.name = (char *)message->router.name;
		parts->question.vrid = message->router.vrid;
		parts->question.stamp = message->router.stamp;
		return 0;
	case SYNC_CLAIM:
		yoke__sync__claim__init(frame->claim = &parts->claim);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_CLAIM;
		pack_claim(message, &parts->claim);
		return 0;
	default:
		yoke__sync__evidence__init(frame->evidence = &parts->evidence);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_EVIDENCE;
		pack_evidence(message, &parts->evidence);
		return 0;
	}
}

static void pack_event(const struct sync_event *from, Yoke__Sync__Event *event)
{
	event->id = from->id;
	event->age_us = from->age_us;
	event->object = (char *)from->object;
	event->from = (char *)from->from;
	event->to = (char *)from->to;
	event->reason = (char *)from->reason;
}

static int pack_buckets(
    const struct sync_message *message, union parts *parts, Yoke__Sync__Frame *frame)
{
	uint64_t epoch = message->buckets.epoch;
	size_t n = message->buckets.n;
	if (n > SYNC_BUCKETS)
		return -EINVAL;
	switch (message->kind) {
	case SYNC_RESEND:
		yoke__sync__resend__init(frame->resend = &parts->resend);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_RESEND;
		parts->resend.epoch = epoch;
		parts->resend.buckets = (uint32_t *)message->buckets.list;
		parts->resend.n_buckets = n;
		return 0;
	case SYNC_REPAIR_BEGIN:
		yoke__sync__repair_begin__init(frame->repair_begin = &parts->repair_begin);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_REPAIR_BEGIN;
		parts->repair_begin.epoch = epoch;
		parts->repair_begin.buckets = (uint32_t *)message->buckets.list;
		parts->repair_begin.n_buckets = n;
		return 0;
	default:
		yoke__sync__repair_end__init(frame->repair_end = &parts->repair_end);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_REPAIR_END;
		parts->repair_end.epoch = epoch;
		return 0;
	}
}

static void pack_digests(const struct sync_message *message, Yoke__Sync__Digests *digests)
{
	digests->epoch = message->digests.epoch;
	digests->through = message->digests.through;
	digests->until = message->digests.until;
	digests->n_digests = SYNC_BUCKETS;
	digests->digests = (uint64_t *)message->digests.digests;
}

static int pack_limits(const struct sync_message *message, Yoke__Sync__Limits *limits)
{
	if (message->limits.n > SYNC_LIMITS_MAX)
		return -EINVAL;
	limits->epoch = message->limits.epoch;
	limits->secret = message->limits.secret;
	limits->n_hashes = limits->n_left_us = message->limits.n;
	limits->hashes = (uint64_t *)message->limits.hashes;
	limits->left_us = (uint64_t *)message->limits.left_us;
	return 0;
}

static int pack_mark(
    const struct sync_message *message, union parts *parts, Yoke__Sync__Frame *frame)
{
	uint64_t epoch = message->mark.epoch, sequence = message->mark.sequence;
	switch (message->kind) {
	case SYNC_RESUME:
		yoke__sync__resume__init(frame->resume = &parts->resume);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_RESUME;
		parts->resume.epoch = epoch;
		parts->resume.sequence = sequence;
		return 0;
	case SYNC_SNAPSHOT_BEGIN:
		yoke__sync__snapshot_begin__init(frame->snapshot_begin = &parts->begin);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_SNAPSHOT_BEGIN;
		parts->begin.epoch = epoch;
		parts->begin.sequence = sequence;
		return 0;
	case SYNC_SNAPSHOT_END:
		yoke__sync__snapshot_end__init(frame->snapshot_end = &parts->end);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_SNAPSHOT_END;
		parts->end.epoch = epoch;
		parts->end.sequence = sequence;
		parts->end.sessions = message->mark.sessions;
		parts->end.targets = message->mark.targets;
		return 0;
	case SYNC_ACK:
		yoke__sync__ack__init(frame->ack = &parts->ack);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_ACK;
		parts->ack.epoch = epoch;
		parts->ack.sequence = sequence;
		return 0;
	default: return -EINVAL;
	}
}

static int pack_message(struct frame_arena *arena, const struct sync_message *message,
    union parts *parts, Yoke__Sync__Frame *frame)
{
	switch (message->kind) {
	case SYNC_HELLO:
		yoke__sync__hello__init(frame->hello = &parts->hello);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_HELLO;
		pack_hello(message, frame->hello);
		return 0;
	case SYNC_BATCH:
		yoke__sync__batch__init(frame->batch = &parts->batch);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_BATCH;
		return pack_batch(arena, message, frame->batch);
	case SYNC_HEARTBEAT:
		yoke__sync__heartbeat__init(frame->heartbeat = &parts->heartbeat);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_HEARTBEAT;
		pack_heartbeat(message, frame->heartbeat);
		return 0;
	case SYNC_BYE:
		yoke__sync__bye__init(frame->bye = &parts->bye);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_BYE;
		parts->bye.reason = (char *)message->bye.reason;
		return 0;
	case SYNC_ROUTER:
	case SYNC_QUESTION:
	case SYNC_EVIDENCE:
	case SYNC_CLAIM: return pack_router(message, parts, frame);
	case SYNC_EVENT:
		yoke__sync__event__init(frame->event = &parts->event);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_EVENT;
		pack_event(&message->event, &parts->event);
		return 0;
	case SYNC_DIGESTS:
		yoke__sync__digests__init(frame->digests = &parts->digests);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_DIGESTS;
		pack_digests(message, &parts->digests);
		return 0;
	case SYNC_RESEND:
	case SYNC_REPAIR_BEGIN:
	case SYNC_REPAIR_END: return pack_buckets(message, parts, frame);
	case SYNC_LIMITS:
		yoke__sync__limits__init(frame->limits = &parts->limits);
		frame->message_case = YOKE__SYNC__FRAME__MESSAGE_LIMITS;
		return pack_limits(message, &parts->limits);
	default: return pack_mark(message, parts, frame);
	}
}

long codec_encode(
    struct codec *codec, const struct sync_message *message, uint8_t *out, size_t size)
{
	Yoke__Sync__Frame frame;
	union parts parts;
	frame_arena_reset(&codec->arena);
	yoke__sync__frame__init(&frame);
	if (pack_message(&codec->arena, message, &parts, &frame) < 0)
		return -EINVAL;
	size_t len = yoke__sync__frame__get_packed_size(&frame);
	if (len > SYNC_FRAME_MAX)
		return -EINVAL;
	if (size < SYNC_FRAME_HEADER + len)
		return -ENOBUFS;
	for (unsigned i = 0; i < SYNC_FRAME_HEADER; i++)
		out[i] = (uint8_t)(len >> (8 * (SYNC_FRAME_HEADER - 1 - i)));
	size_t packed = yoke__sync__frame__pack(&frame, out + SYNC_FRAME_HEADER);
	assert(packed == len);
	return (long)(SYNC_FRAME_HEADER + len);
}

long codec_decode(struct codec *codec, const uint8_t *in, size_t len, struct sync_message *message,
    struct err *err)
{
	if (len < SYNC_FRAME_HEADER)
		return 0;
	size_t body_len = 0;
	for (unsigned i = 0; i < SYNC_FRAME_HEADER; i++)
		body_len = body_len << 8 | in[i];
	if (body_len > SYNC_FRAME_MAX)
		return err_set(err, -EPROTO, "a frame of %zu bytes is over the limit of %u",
		    body_len, SYNC_FRAME_MAX);
	if (len - SYNC_FRAME_HEADER < body_len)
		return 0;
	frame_arena_reset(&codec->arena);
	Yoke__Sync__Frame *frame =
	    yoke__sync__frame__unpack(&codec->arena.allocator, body_len, in + SYNC_FRAME_HEADER);
	if (!frame)
		return err_set(err, -EPROTO,
		    "a frame of %zu bytes is malformed or unpacks to "
		    "over %u bytes",
		    body_len, ARENA_SIZE);
	int result = unpack_frame(frame, codec->records, message, err);
	return result < 0 ? result : (long)(SYNC_FRAME_HEADER + body_len);
}
