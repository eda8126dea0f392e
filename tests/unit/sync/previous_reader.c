#include "tests/unit/sync/previous_reader.h"

#include <string.h>

#include "proto/sync.pb-c.h"
#include "tests/unit/sync/previous.pb-c.h"

typedef Yoke__Previous__Frame Frame;

/* Messages that only a peer of a later version may be sent, because they begin something that the
 * sender then relies on. (Others are just not heard.) */
static const uint32_t not_for_it[] = {
    YOKE__SYNC__FRAME__MESSAGE_DIGESTS,
    YOKE__SYNC__FRAME__MESSAGE_RESEND,
    YOKE__SYNC__FRAME__MESSAGE_REPAIR_BEGIN,
    YOKE__SYNC__FRAME__MESSAGE_REPAIR_END,
};

/* Has every enum in it, and below, a value that was known? (A value of a list is not looked for:
 * there is none.) */
static bool enums_known(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const uint8_t *at = (const uint8_t *)message + field->offset;
		const uint8_t *quantifier = (const uint8_t *)message + field->quantifier_offset;
		bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
		if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
		    *(const uint32_t *)quantifier != field->id)
			continue;
		if (field->type == PROTOBUF_C_TYPE_ENUM && !list &&
		    !protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at))
			return false;
		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		size_t n = list ? *(const size_t *)quantifier : 1;
		const ProtobufCMessage *const *parts =
		    list ? *(const ProtobufCMessage *const *const *)at
			 : (const ProtobufCMessage *const *)at;
		for (size_t k = 0; k < n; k++) {
			if (parts[k] && !enums_known(parts[k]))
				return false;
		}
	}
	return true;
}

static struct session_key make_key(uint64_t pool_id, const ProtobufCBinaryData *bytes)
{
	struct session_key key = {.pool_id = pool_id};
	memcpy(key.bytes, bytes->data, sizeof(key.bytes));
	return key;
}

static const char *take_record(
    struct previous_reader *reader, const Yoke__Previous__Record *record, bool snapshot)
{
	struct model_node *node = reader->node;
	struct session session;
	switch (record->kind_case) {
	case YOKE__PREVIOUS__RECORD__KIND_SESSION:
		if (record->session->key.len != sizeof(session.key.bytes))
			return "the key of a session";
		session.key = make_key(record->session->pool_id, &record->session->key);
		session.target_id = record->session->target_id;
		session.expires_us = reader->now_us + record->session->left_us;
		session_table_put(
		    node->table, &session, 1, snapshot ? reader->mark : 0, reader->now_us);
		return NULL;
	case YOKE__PREVIOUS__RECORD__KIND_SESSION_DELETE:
		if (record->session_delete->key.len != sizeof(session.key.bytes))
			return "the key of a session that goes";
		session.key =
		    make_key(record->session_delete->pool_id, &record->session_delete->key);
		session_table_delete(node->table, &session.key);
		return NULL;
	case YOKE__PREVIOUS__RECORD__KIND_HEALTH:
		if (record->health->target_id >= MODEL_TARGETS)
			return "the target of a health record";
		node->health[record->health->target_id] = (uint8_t)record->health->state;
		return NULL;
	case YOKE__PREVIOUS__RECORD__KIND_ADMIN:
		if (record->admin->target_id >= MODEL_TARGETS)
			return "the target of an admin record";
		node->admin[record->admin->target_id] = (uint8_t)record->admin->state;
		return NULL;
	default: return NULL; /* a kind of later */
	}
}

static const char *take_batch(struct previous_reader *reader, const Yoke__Previous__Batch *batch)
{
	if ((!reader->in_snapshot && !reader->complete) || batch->epoch != reader->epoch)
		return "a batch without a beginning";
	if (batch->after != reader->sequence || batch->through < batch->after)
		return "records are missing";
	if (batch->snapshot && (!reader->in_snapshot || batch->through != batch->after))
		return "a part of a snapshot outside of one";
	reader->sequence = batch->through;
	for (size_t i = 0; i < batch->n_records; i++) {
		/* In a snapshot, records that happen meanwhile are mentions as well. */
		const char *wrong = take_record(reader, batch->records[i], reader->in_snapshot);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *take_begin(
    struct previous_reader *reader, const Yoke__Previous__SnapshotBegin *begin)
{
	if (begin->epoch < reader->epoch)
		return "a snapshot of an epoch that is over";
	reader->epoch = begin->epoch;
	reader->sequence = begin->sequence;
	reader->mark = session_table_mark(reader->node->table);
	reader->in_snapshot = true;
	reader->complete = false;
	return NULL;
}

static const char *take_end(struct previous_reader *reader, const Yoke__Previous__SnapshotEnd *end)
{
	uint64_t cursor = 0;
	if (!reader->in_snapshot || end->epoch != reader->epoch ||
	    end->sequence != reader->sequence)
		return "the end of a snapshot at the wrong place";
	while (cursor != SESSION_CURSOR_END)
		session_table_sweep(reader->node->table, &cursor, 1024, reader->mark, NULL);
	reader->in_snapshot = false;
	reader->complete = true;
	return NULL;
}

static const char *take_heartbeat(
    struct previous_reader *reader, const Yoke__Previous__Heartbeat *heartbeat)
{
	struct session_stats stats;
	if (!heartbeat->active || !heartbeat->digest_at_sequence || !reader->complete ||
	    heartbeat->epoch != reader->epoch || heartbeat->sequence != reader->sequence)
		return NULL;
	session_table_stats(reader->node->table, &stats);
	reader->digests++;
	return stats.digest == heartbeat->digest ? NULL : "the digest of the table";
}

static const char *take_unknown(const Frame *frame)
{
	for (unsigned i = 0; i < frame->base.n_unknown_fields; i++) {
		for (size_t k = 0; k < sizeof(not_for_it) / sizeof(not_for_it[0]); k++) {
			if (frame->base.unknown_fields[i].tag == not_for_it[k])
				return "a message that only later versions may be sent";
		}
	}
	return NULL;
}

static const char *take(struct previous_reader *reader, const Frame *frame)
{
	switch (frame->message_case) {
	case YOKE__PREVIOUS__FRAME__MESSAGE_SNAPSHOT_BEGIN:
		return take_begin(reader, frame->snapshot_begin);
	case YOKE__PREVIOUS__FRAME__MESSAGE_BATCH: return take_batch(reader, frame->batch);
	case YOKE__PREVIOUS__FRAME__MESSAGE_SNAPSHOT_END:
		return take_end(reader, frame->snapshot_end);
	case YOKE__PREVIOUS__FRAME__MESSAGE_RESUME:
		return reader->complete && frame->resume->epoch == reader->epoch &&
			       frame->resume->sequence == reader->sequence
			   ? NULL
			   : "it resumes something else";
	case YOKE__PREVIOUS__FRAME__MESSAGE_HEARTBEAT:
		return take_heartbeat(reader, frame->heartbeat);
	case YOKE__PREVIOUS__FRAME__MESSAGE_BYE: return "a goodbye";
	case YOKE__PREVIOUS__FRAME__MESSAGE__NOT_SET: return take_unknown(frame);
	default: return NULL; /* needs nothing done */
	}
}

const char *previous_reader_take(struct previous_reader *reader, const uint8_t *bytes, size_t len)
{
	Frame *frame = yoke__previous__frame__unpack(NULL, len, bytes);
	if (!frame)
		return "a frame that cannot be unpacked";
	reader->frames++;
	const char *wrong = enums_known(&frame->base) ? take(reader, frame) : "a value of an enum";
	yoke__previous__frame__free_unpacked(frame, NULL);
	return wrong;
}

static const char *enum_differs(
    const ProtobufCEnumDescriptor *before, const ProtobufCEnumDescriptor *now)
{
	for (unsigned i = 0; i < before->n_values; i++) {
		const ProtobufCEnumValue *value =
		    protobuf_c_enum_descriptor_get_value(now, before->values[i].value);
		if (!value || strcmp(value->name, before->values[i].name) != 0)
			return before->values[i].name;
	}
	return NULL;
}

static const char *message_differs(
    const ProtobufCMessageDescriptor *before, const ProtobufCMessageDescriptor *now)
{
	for (unsigned i = 0; i < before->n_fields; i++) {
		const ProtobufCFieldDescriptor *was = &before->fields[i];
		const ProtobufCFieldDescriptor *is =
		    protobuf_c_message_descriptor_get_field(now, was->id);
		const char *below = NULL;
		if (!is || is->type != was->type || is->label != was->label ||
		    strcmp(is->name, was->name) != 0)
			return was->name;
		if (was->type == PROTOBUF_C_TYPE_ENUM)
			below = enum_differs(was->descriptor, is->descriptor);
		else if (was->type == PROTOBUF_C_TYPE_MESSAGE)
			below = message_differs(was->descriptor, is->descriptor);
		if (below)
			return below;
	}
	return NULL;
}

const char *previous_schema_differs(void)
{
	return message_differs(&yoke__previous__frame__descriptor, &yoke__sync__frame__descriptor);
}
