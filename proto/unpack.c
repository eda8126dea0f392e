/* From protobuf-c's structs to ours. What leaves here is within every limit, so that nobody behind
 * checks again. */
#include <errno.h>
#include <string.h>

#include "daemon/base/addr.h"
#include "proto/codec_internal.h"

static int refuse(struct err *err, const char *field)
{
	return err_set(err, -EPROTO, "%s is out of range", field);
}

/* Text for people: printable ASCII, so that it can go into a log line as it is. */
static int take_text(const char *text, char *out, size_t size)
{
	size_t len = strlen(text);
	if (len >= size)
		return -EPROTO;
	for (size_t i = 0; i <= len; i++)
		out[i] = text[i] == '\0' || (text[i] >= ' ' && text[i] <= '~') ? text[i] : '?';
	return 0;
}

static bool epoch_ok(uint64_t epoch, uint64_t sequence)
{
	return epoch <= SYNC_EPOCH_MAX && sequence <= SYNC_SEQUENCE_MAX;
}

static int take_key(const ProtobufCBinaryData *key, struct record *out)
{
	if (key->len != sizeof(out->session.key))
		return -EPROTO;
	memcpy(out->session.key, key->data, sizeof(out->session.key));
	return 0;
}

static int take_session(const Yoke__Sync__Session *in, struct record *out, struct err *err)
{
	out->kind = RECORD_SESSION;
	out->session.pool_id = in->pool_id;
	out->session.target_id = in->target_id;
	out->session.expires_us = in->left_us;
	if (in->left_us > SYNC_TIME_MAX_US)
		return refuse(err, "session.left_us");
	return take_key(&in->key, out) < 0 ? refuse(err, "session.key") : 0;
}

static int take_delete(const Yoke__Sync__SessionDelete *in, struct record *out, struct err *err)
{
	out->kind = RECORD_SESSION_DELETE;
	out->session.pool_id = in->pool_id;
	return take_key(&in->key, out) < 0 ? refuse(err, "session_delete.key") : 0;
}

static int take_health(const Yoke__Sync__Health *in, struct record *out, struct err *err)
{
	if ((unsigned)in->state > YOKE__SYNC__HEALTH_STATE__HEALTH_DOWN)
		return refuse(err, "health.state");
	if (in->rise_count > UINT16_MAX || in->fall_count > UINT16_MAX)
		return refuse(err, "health.rise_count or fall_count");
	if (in->age_us > SYNC_TIME_MAX_US)
		return refuse(err, "health.age_us");
	if (in->ejection_left_us > SYNC_TIME_MAX_US)
		return refuse(err, "health.ejection_left_us");
	if (in->ready_age_us > SYNC_TIME_MAX_US)
		return refuse(err, "health.ready_age_us");
	if (in->ejections > RECORD_EJECTIONS_MAX || in->ejection_cause > UINT8_MAX)
		return refuse(err, "health.ejections or ejection_cause");
	out->kind = RECORD_HEALTH;
	out->health.target_id = in->target_id;
	out->health.health = (uint8_t)in->state;
	out->health.rise_count = (uint16_t)in->rise_count;
	out->health.fall_count = (uint16_t)in->fall_count;
	out->health.since_us = in->age_us;
	out->health.ejected_until_us = in->ejection_left_us;
	out->health.ejections = (uint16_t)in->ejections;
	out->health.ejection_cause = (uint8_t)in->ejection_cause;
	out->health.probation = in->probation;
	out->health.ready_us = in->ready_age_us;
	if (take_text(in->reason, out->health.reason, sizeof(out->health.reason)) < 0)
		return refuse(err, "health.reason");
	return 0;
}

static int take_admin(const Yoke__Sync__Admin *in, struct record *out, struct err *err)
{
	if ((unsigned)in->state > YOKE__SYNC__ADMIN_STATE__ADMIN_DISABLED)
		return refuse(err, "admin.state");
	out->kind = RECORD_ADMIN;
	out->admin.target_id = in->target_id;
	out->admin.admin = (uint8_t)in->state;
	out->admin.leaving = in->leaving;
	out->admin.drain_until_us = in->left_us;
	return in->left_us > SYNC_TIME_MAX_US ? refuse(err, "admin.left_us") : 0;
}

/* NULL is none, which only `needed` ones must not be. */
static int take_settings(
    const Yoke__Sync__TargetSettings *in, bool needed, struct record_settings *out)
{
	if (!in)
		return needed ? -EPROTO : 0;
	if (in->weight == 0 || in->weight > RECORD_WEIGHT_MAX)
		return -EPROTO;
	out->weight = (uint16_t)in->weight;
	out->backup = in->backup;
	out->max_connections = in->max_connections;
	return 0;
}

static int take_target(const Yoke__Sync__Target *in, struct record *out, struct err *err)
{
	bool changed = in->change == YOKE__SYNC__TARGET_CHANGE__TARGET_CHANGED;
	bool added = in->change == YOKE__SYNC__TARGET_CHANGE__TARGET_ADDED;
	struct addr addr;
	char text[ADDR_TEXT_MAX];
	out->kind = RECORD_TARGET;
	if ((unsigned)in->change > YOKE__SYNC__TARGET_CHANGE__TARGET_REMOVED)
		return refuse(err, "target.change");
	out->target.change = (uint8_t)in->change;
	if (in->pool[0] == '\0' ||
	    take_text(in->pool, out->target.pool, sizeof(out->target.pool)) < 0)
		return refuse(err, "target.pool");
	if (!addr_parse_endpoint(in->address, &addr) ||
	    strcmp(addr_format(&addr, text), in->address) != 0)
		return refuse(err, "target.address");
	memcpy(out->target.text, text, strlen(text) + 1);
	if (take_settings(in->settings, added || changed, &out->target.settings) < 0)
		return refuse(err, "target.settings");
	if (take_settings(in->file, changed, &out->target.file) < 0)
		return refuse(err, "target.file");
	return 0;
}

static int take_targets(const Yoke__Sync__Targets *in, struct record *out, struct err *err)
{
	out->kind = RECORD_TARGETS;
	out->targets.count = in->count;
	return in->count > RECORD_TARGETS_MAX ? refuse(err, "targets.count") : 0;
}

static int take_circuit(const Yoke__Sync__Circuit *in, struct record *out, struct err *err)
{
	if ((unsigned)in->state > YOKE__SYNC__CIRCUIT_STATE__CIRCUIT_HALF_OPEN)
		return refuse(err, "circuit.state");
	out->kind = RECORD_CIRCUIT;
	out->circuit.pool_id = in->pool_id;
	out->circuit.state = (uint8_t)in->state;
	out->circuit.due_us = in->left_us;
	return in->left_us > SYNC_TIME_MAX_US ? refuse(err, "circuit.left_us") : 0;
}

/* 1: taken. 0: a kind that we do not know yet. */
static int take_record(const Yoke__Sync__Record *in, struct record *out, struct err *err)
{
	int result = 0;
	memset(out, 0, sizeof(*out));
	switch (in->kind_case) {
	case YOKE__SYNC__RECORD__KIND_SESSION: result = take_session(in->session, out, err); break;
	case YOKE__SYNC__RECORD__KIND_SESSION_DELETE:
		result = take_delete(in->session_delete, out, err);
		break;
	case YOKE__SYNC__RECORD__KIND_HEALTH: result = take_health(in->health, out, err); break;
	case YOKE__SYNC__RECORD__KIND_ADMIN: result = take_admin(in->admin, out, err); break;
	case YOKE__SYNC__RECORD__KIND_TARGET: result = take_target(in->target, out, err); break;
	case YOKE__SYNC__RECORD__KIND_TARGETS: result = take_targets(in->targets, out, err); break;
	case YOKE__SYNC__RECORD__KIND_CIRCUIT: result = take_circuit(in->circuit, out, err); break;
	default: return 0;
	}
	return result < 0 ? result : 1;
}

static int take_batch(const Yoke__Sync__Batch *in, struct record *records,
    struct sync_message *message, struct err *err)
{
	if (!epoch_ok(in->epoch, in->through))
		return refuse(err, "batch.epoch or through");
	if (in->after > in->through)
		return refuse(err, "batch.after");
	if (in->n_records > SYNC_BATCH_MAX)
		return refuse(err, "the number of records of a batch");
	size_t n = 0;
	for (size_t i = 0; i < in->n_records; i++) {
		int taken = take_record(in->records[i], &records[n], err);
		if (taken < 0)
			return taken;
		n += (size_t)taken;
	}
	message->kind = SYNC_BATCH;
	message->batch.epoch = in->epoch;
	message->batch.snapshot = in->snapshot;
	message->batch.after = in->after;
	message->batch.through = in->through;
	message->batch.records = records;
	message->batch.n_records = n;
	return 0;
}

static int take_hello(const Yoke__Sync__Hello *in, struct sync_message *message, struct err *err)
{
	if (in->version == 0 || in->oldest_version > in->version)
		return refuse(err, "hello.version");
	if (in->instance == 0)
		return refuse(err, "hello.instance");
	if (!epoch_ok(in->epoch, 0) || !epoch_ok(in->have_epoch, in->have_sequence))
		return refuse(err, "hello.epoch, have_epoch or have_sequence");
	if (in->node[0] == '\0' ||
	    take_text(in->node, message->hello.node, sizeof(message->hello.node)) < 0)
		return refuse(err, "hello.node");
	message->kind = SYNC_HELLO;
	message->hello.version = in->version;
	message->hello.oldest_version = in->oldest_version;
	message->hello.instance = in->instance;
	message->hello.epoch = in->epoch;
	message->hello.active = in->active;
	message->hello.config_hash = in->config_hash;
	message->hello.have =
	    (struct sync_position){in->have_instance, in->have_epoch, in->have_sequence};
	message->hello.have_event_instance = in->have_event_instance;
	message->hello.have_event = in->have_event;
	message->hello.wants = in->wants;
	message->hello.gives = in->gives;
	message->hello.takes_targets = in->takes_targets;
	message->hello.takes_limits = in->takes_limits;
	return 0;
}

static int take_heartbeat(
    const Yoke__Sync__Heartbeat *in, struct sync_message *message, struct err *err)
{
	if (!epoch_ok(in->epoch, in->sequence))
		return refuse(err, "heartbeat.epoch or sequence");
	if ((unsigned)in->verdict > YOKE__SYNC__VERDICT__VERDICT_DIFFERENT)
		return refuse(err, "heartbeat.verdict");
	message->kind = SYNC_HEARTBEAT;
	message->heartbeat.active = in->active;
	message->heartbeat.epoch = in->epoch;
	message->heartbeat.sequence = in->sequence;
	message->heartbeat.entries = in->entries;
	message->heartbeat.digest = in->digest;
	message->heartbeat.digest_at_sequence = in->digest_at_sequence;
	message->heartbeat.verdict = (enum sync_verdict)in->verdict;
	message->heartbeat.config_hash = in->config_hash;
	return 0;
}

static int take_mark(enum sync_message_kind kind, uint64_t epoch, uint64_t sequence,
    struct sync_message *message, struct err *err)
{
	if (!epoch_ok(epoch, sequence))
		return err_set(err, -EPROTO, "epoch or sequence of a %s is out of range",
		    sync_message_name(kind));
	message->kind = kind;
	message->mark.epoch = epoch;
	message->mark.sequence = sequence;
	return 0;
}

static int take_end(
    const Yoke__Sync__SnapshotEnd *in, struct sync_message *message, struct err *err)
{
	message->mark.sessions = in->sessions;
	message->mark.targets = in->targets;
	return take_mark(SYNC_SNAPSHOT_END, in->epoch, in->sequence, message, err);
}

static int take_bye(const Yoke__Sync__Bye *in, struct sync_message *message, struct err *err)
{
	message->kind = SYNC_BYE;
	if (take_text(in->reason, message->bye.reason, sizeof(message->bye.reason)) < 0)
		return refuse(err, "bye.reason");
	return 0;
}

static int take_router_name(enum sync_message_kind kind, const char *name, uint32_t vrid,
    struct sync_message *message, struct err *err)
{
	message->kind = kind;
	message->router.vrid = (uint8_t)vrid;
	if (vrid == 0 || vrid > UINT8_MAX || name[0] == '\0' ||
	    take_text(name, message->router.name, sizeof(message->router.name)) < 0)
		return err_set(
		    err, -EPROTO, "name or vrid of a %s is out of range", sync_message_name(kind));
	return 0;
}

static int take_router(const Yoke__Sync__Router *in, struct sync_message *message, struct err *err)
{
	if ((unsigned)in->state > YOKE__SYNC__ROUTER_STATE__ROUTER_FAULT)
		return refuse(err, "router.state");
	if (in->priority > UINT8_MAX)
		return refuse(err, "router.priority");
	message->router.state = (enum sync_router_state)in->state;
	message->router.priority = (uint8_t)in->priority;
	message->router.handed_over = in->handed_over;
	return take_router_name(SYNC_ROUTER, in->name, in->vrid, message, err);
}

static int take_question(
    const Yoke__Sync__Question *in, struct sync_message *message, struct err *err)
{
	message->router.stamp = in->stamp;
	return take_router_name(SYNC_QUESTION, in->name, in->vrid, message, err);
}

static int take_source(const ProtobufCBinaryData *source, struct sync_message *message)
{
	if (source->len != 4 && source->len != 16)
		return -EPROTO;
	message->router.source_len = (uint8_t)source->len;
	memcpy(message->router.source, source->data, source->len);
	return 0;
}

static int take_evidence(
    const Yoke__Sync__Evidence *in, struct sync_message *message, struct err *err)
{
	if (in->priority > UINT8_MAX)
		return refuse(err, "evidence.priority");
	if (take_source(&in->source, message) < 0)
		return refuse(err, "evidence.source");
	message->router.stamp = in->stamp;
	message->router.priority = (uint8_t)in->priority;
	return take_router_name(SYNC_EVIDENCE, in->name, in->vrid, message, err);
}

static int take_claim(const Yoke__Sync__Claim *in, struct sync_message *message, struct err *err)
{
	if (in->priority > UINT8_MAX || in->flags > UINT8_MAX)
		return refuse(err, "claim.priority or flags");
	if (take_source(&in->source, message) < 0)
		return refuse(err, "claim.source");
	message->router.stamp = in->stamp;
	message->router.priority = (uint8_t)in->priority;
	message->router.flags = (uint8_t)in->flags;
	return take_router_name(SYNC_CLAIM, in->name, in->vrid, message, err);
}

static int take_event(const Yoke__Sync__Event *in, struct sync_message *message, struct err *err)
{
	struct sync_event *out = &message->event;
	if (in->id > SYNC_SEQUENCE_MAX || in->age_us > SYNC_TIME_MAX_US)
		return refuse(err, "event.id or age_us");
	if (take_text(in->object, out->object, sizeof(out->object)) < 0 ||
	    take_text(in->from, out->from, sizeof(out->from)) < 0 ||
	    take_text(in->to, out->to, sizeof(out->to)) < 0 ||
	    take_text(in->reason, out->reason, sizeof(out->reason)) < 0)
		return refuse(err, "a text of an event");
	message->kind = SYNC_EVENT;
	out->id = in->id;
	out->age_us = in->age_us;
	return 0;
}

/* Of another number of buckets they are of no use, but of no harm. */
static int take_digests(
    const Yoke__Sync__Digests *in, struct sync_message *message, struct err *err)
{
	if (!epoch_ok(in->epoch, in->until) || in->through > in->until)
		return refuse(err, "digests.epoch, through or until");
	message->kind = in->n_digests == SYNC_BUCKETS ? SYNC_DIGESTS : SYNC_UNKNOWN;
	message->digests.epoch = in->epoch;
	message->digests.through = in->through;
	message->digests.until = in->until;
	message->digests.digests = in->digests;
	return 0;
}

static int take_buckets(enum sync_message_kind kind, uint64_t epoch, const uint32_t *list, size_t n,
    struct sync_message *message, struct err *err)
{
	bool ok = epoch_ok(epoch, 0) && n <= SYNC_BUCKETS;
	for (size_t i = 0; ok && i < n; i++)
		ok = list[i] < SYNC_BUCKETS;
	if (!ok)
		return err_set(err, -EPROTO, "epoch or buckets of a %s are out of range",
		    sync_message_name(kind));
	message->kind = kind;
	message->buckets.epoch = epoch;
	message->buckets.list = list;
	message->buckets.n = n;
	return 0;
}

static int take_limits(const Yoke__Sync__Limits *in, struct sync_message *message, struct err *err)
{
	if (!epoch_ok(in->epoch, 0))
		return refuse(err, "limits.epoch");
	if (in->n_hashes > SYNC_LIMITS_MAX || in->n_hashes != in->n_left_us)
		return refuse(err, "the number of hashes or times of limits");
	for (size_t i = 0; i < in->n_left_us; i++)
		if (in->left_us[i] > SYNC_TIME_MAX_US)
			return refuse(err, "limits.left_us");
	message->kind = SYNC_LIMITS;
	message->limits.epoch = in->epoch;
	message->limits.secret = in->secret;
	message->limits.hashes = in->hashes;
	message->limits.left_us = in->left_us;
	message->limits.n = in->n_hashes;
	return 0;
}

int unpack_frame(const Yoke__Sync__Frame *frame, struct record *records,
    struct sync_message *message, struct err *err)
{
	memset(message, 0, sizeof(*message));
	switch (frame->message_case) {
	case YOKE__SYNC__FRAME__MESSAGE_HELLO: return take_hello(frame->hello, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_RESUME:
		return take_mark(
		    SYNC_RESUME, frame->resume->epoch, frame->resume->sequence, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_SNAPSHOT_BEGIN:
		return take_mark(SYNC_SNAPSHOT_BEGIN, frame->snapshot_begin->epoch,
		    frame->snapshot_begin->sequence, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_BATCH:
		return take_batch(frame->batch, records, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_SNAPSHOT_END:
		return take_end(frame->snapshot_end, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_ACK:
		return take_mark(SYNC_ACK, frame->ack->epoch, frame->ack->sequence, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_HEARTBEAT:
		return take_heartbeat(frame->heartbeat, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_BYE: return take_bye(frame->bye, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_ROUTER: return take_router(frame->router, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_QUESTION:
		return take_question(frame->question, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_EVIDENCE:
		return take_evidence(frame->evidence, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_CLAIM: return take_claim(frame->claim, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_EVENT: return take_event(frame->event, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_DIGESTS: return take_digests(frame->digests, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_RESEND:
		return take_buckets(SYNC_RESEND, frame->resend->epoch, frame->resend->buckets,
		    frame->resend->n_buckets, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_REPAIR_BEGIN:
		return take_buckets(SYNC_REPAIR_BEGIN, frame->repair_begin->epoch,
		    frame->repair_begin->buckets, frame->repair_begin->n_buckets, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_REPAIR_END:
		return take_buckets(
		    SYNC_REPAIR_END, frame->repair_end->epoch, NULL, 0, message, err);
	case YOKE__SYNC__FRAME__MESSAGE_LIMITS: return take_limits(frame->limits, message, err);
	default: message->kind = SYNC_UNKNOWN; return 0;
	}
}
