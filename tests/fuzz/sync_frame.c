/* Frames of the sync channel: whatever is decoded is within the limits, and what was decoded can be
 * encoded and decoded again to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/addr.h"
#include "proto/codec.h"
#include "tests/fuzz/fuzz.h"

static void check_target(const struct record *record)
{
	struct addr addr;
	char text[ADDR_TEXT_MAX];
	require(record->target.pool[0] != 0 && memchr(record->target.pool, 0, RECORD_POOL_MAX));
	require(memchr(record->target.text, 0, RECORD_TEXT_MAX) != NULL);
	require(addr_parse_endpoint(record->target.text, &addr));
	require(strcmp(addr_format(&addr, text), record->target.text) == 0);
	require(record->target.change <= 3);
	require(record->target.settings.weight <= RECORD_WEIGHT_MAX);
	require(record->target.file.weight <= RECORD_WEIGHT_MAX);
	require(record->target.change == 0 || record->target.change == 3 ||
		record->target.settings.weight > 0);
	require(record->target.change != 2 || record->target.file.weight > 0);
}

static void check_record(const struct record *record)
{
	switch (record->kind) {
	case RECORD_SESSION: require(record->session.expires_us <= SYNC_TIME_MAX_US); break;
	case RECORD_HEALTH:
		require(record->health.health <= 2 && record->health.since_us <= SYNC_TIME_MAX_US);
		require(record->health.ready_us <= SYNC_TIME_MAX_US);
		require(memchr(record->health.reason, 0, RECORD_REASON_MAX) != NULL);
		break;
	case RECORD_ADMIN:
		require(
		    record->admin.admin <= 2 && record->admin.drain_until_us <= SYNC_TIME_MAX_US);
		break;
	case RECORD_TARGET: check_target(record); break;
	case RECORD_TARGETS: require(record->targets.count <= RECORD_TARGETS_MAX); break;
	case RECORD_CIRCUIT:
		require(record->circuit.state <= 2 && record->circuit.due_us <= SYNC_TIME_MAX_US);
		break;
	default: require(record->kind == RECORD_SESSION_DELETE);
	}
}

static void check_router(const struct sync_message *message)
{
	require(message->router.vrid != 0 && message->router.name[0] != '\0');
	require(memchr(message->router.name, 0, sizeof(message->router.name)) != NULL);
	require(message->router.state <= SYNC_ROUTER_FAULT);
	bool has_source = message->kind == SYNC_EVIDENCE || message->kind == SYNC_CLAIM;
	require(!has_source || message->router.source_len == 4 || message->router.source_len == 16);
}

static void check_event(const struct sync_event *event)
{
	require(event->age_us <= SYNC_TIME_MAX_US);
	require(memchr(event->object, 0, sizeof(event->object)) != NULL);
	require(memchr(event->from, 0, sizeof(event->from)) != NULL);
	require(memchr(event->to, 0, sizeof(event->to)) != NULL);
	require(memchr(event->reason, 0, sizeof(event->reason)) != NULL);
}

static void check_buckets(const uint32_t *list, size_t n)
{
	require(n <= SYNC_BUCKETS);
	for (size_t i = 0; i < n; i++)
		require(list[i] < SYNC_BUCKETS);
}

static void check_limits(const struct sync_message *message)
{
	require(message->limits.n <= SYNC_LIMITS_MAX);
	for (size_t i = 0; i < message->limits.n; i++)
		require(message->limits.left_us[i] <= SYNC_TIME_MAX_US);
}

static void check_message(const struct sync_message *message)
{
	require(message->kind < SYNC_KIND_COUNT);
	if (message->kind >= SYNC_ROUTER && message->kind <= SYNC_CLAIM)
		check_router(message);
	if (message->kind == SYNC_EVENT)
		check_event(&message->event);
	if (message->kind == SYNC_DIGESTS)
		require(message->digests.through <= message->digests.until);
	if (message->kind == SYNC_RESEND || message->kind == SYNC_REPAIR_BEGIN)
		check_buckets(message->buckets.list, message->buckets.n);
	if (message->kind == SYNC_LIMITS)
		check_limits(message);
	if (message->kind != SYNC_BATCH)
		return;
	require(message->batch.n_records <= SYNC_BATCH_MAX);
	require(message->batch.after <= message->batch.through);
	for (size_t i = 0; i < message->batch.n_records; i++)
		check_record(&message->batch.records[i]);
}

static void check_round_trip(const struct sync_message *message)
{
	static struct codec *codec;
	static uint8_t frame[2][SYNC_FRAME_HEADER + SYNC_FRAME_MAX];
	struct sync_message again;
	struct err err;
	if (!codec)
		codec = codec_new();
	if (!codec || message->kind == SYNC_UNKNOWN)
		return;
	long len = codec_encode(codec, message, frame[0], sizeof(frame[0]));
	require(len > 0);
	require(codec_decode(codec, frame[0], (size_t)len, &again, &err) == len);
	require(again.kind == message->kind);
	require(codec_encode(codec, &again, frame[1], sizeof(frame[1])) == len);
	require(memcmp(frame[0], frame[1], (size_t)len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec *codec;
	struct sync_message message;
	struct err err;
	if (!codec)
		codec = codec_new();
	while (codec) {
		long len = codec_decode(codec, data, size, &message, &err);
		if (len <= 0)
			break;
		require((size_t)len <= size);
		check_message(&message);
		check_round_trip(&message);
		data += len;
		size -= (size_t)len;
	}
	return 0;
}
