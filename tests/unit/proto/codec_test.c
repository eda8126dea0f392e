/* Every message there and back, in pieces, and what a hostile peer might send. */
#include "proto/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define BUF_SIZE (SYNC_FRAME_HEADER + SYNC_FRAME_MAX)

static uint8_t buf[BUF_SIZE + 64];
static struct record records[SYNC_BATCH_MAX + 1];

static void fill_records(size_t n)
{
	memset(records, 0, sizeof(records));
	for (size_t i = 0; i < n; i++) {
		struct record *r = &records[i];
		r->kind = (enum record_kind)(i % RECORD_KIND_COUNT);
		switch (r->kind) {
		case RECORD_SESSION: r->session.target_id = ~i; r->session.expires_us = i * 1000003;
		/* fall through */
		case RECORD_SESSION_DELETE:
			r->session.pool_id = i * 77;
			memset(r->session.key, (int)i, sizeof(r->session.key));
			break;
		case RECORD_HEALTH:
			r->health.target_id = i << 40;
			r->health.health = (uint8_t)(i / 4 % 3);
			r->health.rise_count = (uint16_t)i;
			r->health.fall_count = UINT16_MAX;
			r->health.since_us = i * 999;
			r->health.ejected_until_us = i % 3 * 12345;
			r->health.ejections = (uint16_t)(i % 1001);
			r->health.ejection_cause = (uint8_t)(i % 256);
			r->health.probation = i / 4 % 2;
			r->health.ready_us = i % 5 * 777;
			memset(r->health.reason, 'a' + (int)(i % 26), i % RECORD_REASON_MAX);
			break;
		case RECORD_ADMIN:
			r->admin.target_id = i;
			r->admin.admin = (uint8_t)(i / 4 % 3);
			r->admin.leaving = i & 1;
			r->admin.drain_until_us = i * 1234567;
			break;
		case RECORD_TARGET:
			memset(r->target.pool, 'p', 1 + i % (RECORD_POOL_MAX - 1));
			strcpy(r->target.text, i & 1 ? "192.0.2.1:80" : "[2001:db8::1]:65535");
			r->target.change = (uint8_t)(i % 4);
			r->target.settings =
			    (struct record_settings){RECORD_WEIGHT_MAX, i & 1, (uint32_t)i};
			r->target.file = (struct record_settings){1, true, UINT32_MAX};
			break;
		case RECORD_CIRCUIT:
			r->circuit.pool_id = ~i;
			r->circuit.state = (uint8_t)(i / 4 % 3);
			r->circuit.due_us = i * 4321;
			break;
		default: r->targets.count = RECORD_TARGETS_MAX;
		}
	}
}

static size_t make_router_messages(struct sync_message *m)
{
	for (int i = 0; i < 4; i++) {
		m[i].kind = SYNC_ROUTER + i;
		memset(m[i].router.name, 'r', SYNC_NAME_MAX);
		m[i].router.vrid = 255;
	}
	m[0].router.state = SYNC_ROUTER_FAULT;
	m[0].router.priority = 254;
	m[0].router.handed_over = true;
	m[1].router.stamp = UINT64_MAX;
	m[2].router.stamp = 1;
	m[2].router.priority = 1;
	m[2].router.source_len = 16;
	memset(m[2].router.source, 0xfe, 16);
	m[3].router.stamp = 2;
	m[3].router.priority = 254;
	m[3].router.source_len = 4;
	memset(m[3].router.source, 0xfd, 4);
	m[3].router.flags = UINT8_MAX;
	m[4].kind = SYNC_EVENT;
	m[4].event.id = SYNC_SEQUENCE_MAX;
	m[4].event.age_us = SYNC_TIME_MAX_US;
	memset(m[4].event.object, 'o', sizeof(m[4].event.object) - 1);
	strcpy(m[4].event.from, "backup");
	strcpy(m[4].event.to, "active");
	memset(m[4].event.reason, 'y', sizeof(m[4].event.reason) - 1);
	return 5;
}

static size_t make_bucket_messages(struct sync_message *m)
{
	static uint64_t digests[SYNC_BUCKETS];
	static uint64_t lefts[SYNC_LIMITS_MAX];
	static const uint32_t buckets[] = {0, 7, SYNC_BUCKETS - 1};
	for (size_t i = 0; i < SYNC_LIMITS_MAX; i++)
		lefts[i] = SYNC_TIME_MAX_US >> i % 64;
	for (size_t i = 0; i < SYNC_BUCKETS; i++)
		digests[i] = i * 0x9e3779b97f4a7c15ULL;
	m[0].kind = SYNC_DIGESTS;
	m[0].digests.epoch = 3;
	m[0].digests.through = 4;
	m[0].digests.until = 5;
	m[0].digests.digests = digests;
	m[1].kind = SYNC_RESEND;
	m[2].kind = SYNC_REPAIR_BEGIN;
	m[3].kind = SYNC_REPAIR_END;
	for (int i = 1; i < 4; i++)
		m[i].buckets.epoch = 6;
	for (int i = 1; i < 3; i++) {
		m[i].buckets.list = buckets;
		m[i].buckets.n = 3;
	}
	m[4].kind = SYNC_LIMITS;
	m[4].limits.epoch = 7;
	m[4].limits.secret = UINT64_MAX;
	m[4].limits.hashes = digests;
	m[4].limits.left_us = lefts;
	m[4].limits.n = SYNC_LIMITS_MAX;
	return 5;
}

static size_t make_messages(struct sync_message out[20])
{
	size_t n = 0;
	memset(out, 0, 20 * sizeof(*out));
	struct sync_message *m = &out[n++];
	m->kind = SYNC_HELLO;
	m->hello.version = 3;
	m->hello.oldest_version = 2;
	strcpy(m->hello.node, "node-a");
	m->hello.instance = 0xfedcba9876543210;
	m->hello.epoch = 17;
	m->hello.config_hash = UINT64_MAX;
	m->hello.active = true;
	m->hello.have = (struct sync_position){99, 16, 1234567};
	m->hello.have_event_instance = 98;
	m->hello.have_event = 97;
	m->hello.wants = true;
	m->hello.gives = true;
	m->hello.takes_targets = true;
	m->hello.takes_limits = true;
	for (enum sync_message_kind k = SYNC_RESUME; k <= SYNC_ACK; k++) {
		if (k == SYNC_BATCH)
			continue;
		m = &out[n++];
		m->kind = k;
		m->mark.epoch = SYNC_EPOCH_MAX;
		m->mark.sequence = SYNC_SEQUENCE_MAX;
		m->mark.sessions = k == SYNC_SNAPSHOT_END ? 5 : 0;
		m->mark.targets = k == SYNC_SNAPSHOT_END ? 6 : 0;
	}
	m = &out[n++];
	m->kind = SYNC_BATCH;
	m->batch.epoch = 5;
	m->batch.snapshot = true;
	m->batch.after = 100;
	m->batch.through = 107;
	m->batch.records = records;
	m->batch.n_records = 9;
	m = &out[n++];
	m->kind = SYNC_HEARTBEAT;
	m->heartbeat.active = true;
	m->heartbeat.epoch = 4;
	m->heartbeat.sequence = 8;
	m->heartbeat.entries = 1000000;
	m->heartbeat.digest = 0x8000000000000001;
	m->heartbeat.digest_at_sequence = true;
	m->heartbeat.verdict = SYNC_VERDICT_DIFFERENT;
	m->heartbeat.config_hash = 1;
	m = &out[n++];
	m->kind = SYNC_BYE;
	strcpy(m->bye.reason, "shutting down");
	n += make_router_messages(out + n);
	return n + make_bucket_messages(out + n);
}

static bool same_record(const struct record *a, const struct record *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case RECORD_SESSION: return memcmp(&a->session, &b->session, sizeof(a->session)) == 0;
	case RECORD_SESSION_DELETE:
		return a->session.pool_id == b->session.pool_id &&
		       memcmp(a->session.key, b->session.key, 16) == 0;
	case RECORD_HEALTH:
		return a->health.target_id == b->health.target_id &&
		       a->health.health == b->health.health &&
		       a->health.rise_count == b->health.rise_count &&
		       a->health.fall_count == b->health.fall_count &&
		       a->health.since_us == b->health.since_us &&
		       a->health.ejected_until_us == b->health.ejected_until_us &&
		       a->health.ejections == b->health.ejections &&
		       a->health.ejection_cause == b->health.ejection_cause &&
		       a->health.probation == b->health.probation &&
		       a->health.ready_us == b->health.ready_us &&
		       strcmp(a->health.reason, b->health.reason) == 0;
	case RECORD_ADMIN:
		return a->admin.target_id == b->admin.target_id &&
		       a->admin.admin == b->admin.admin && a->admin.leaving == b->admin.leaving &&
		       a->admin.drain_until_us == b->admin.drain_until_us;
	case RECORD_TARGET: return memcmp(&a->target, &b->target, sizeof(a->target)) == 0;
	case RECORD_CIRCUIT:
		return a->circuit.pool_id == b->circuit.pool_id &&
		       a->circuit.state == b->circuit.state &&
		       a->circuit.due_us == b->circuit.due_us;
	default: return a->targets.count == b->targets.count;
	}
}

static bool same(const struct sync_message *a, const struct sync_message *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == SYNC_DIGESTS)
		return a->digests.epoch == b->digests.epoch &&
		       a->digests.through == b->digests.through &&
		       a->digests.until == b->digests.until &&
		       memcmp(a->digests.digests, b->digests.digests, SYNC_BUCKETS * 8) == 0;
	if (a->kind == SYNC_LIMITS)
		return a->limits.epoch == b->limits.epoch && a->limits.secret == b->limits.secret &&
		       a->limits.n == b->limits.n &&
		       memcmp(a->limits.hashes, b->limits.hashes, a->limits.n * 8) == 0 &&
		       memcmp(a->limits.left_us, b->limits.left_us, a->limits.n * 8) == 0;
	if (a->kind >= SYNC_RESEND && a->kind <= SYNC_REPAIR_END)
		return a->buckets.epoch == b->buckets.epoch && a->buckets.n == b->buckets.n &&
		       (a->buckets.n == 0 ||
			   memcmp(a->buckets.list, b->buckets.list, a->buckets.n * 4) == 0);
	if (a->kind != SYNC_BATCH)
		return memcmp(a, b, sizeof(*a)) == 0;
	if (a->batch.epoch != b->batch.epoch || a->batch.snapshot != b->batch.snapshot ||
	    a->batch.after != b->batch.after || a->batch.through != b->batch.through ||
	    a->batch.n_records != b->batch.n_records)
		return false;
	for (size_t i = 0; i < a->batch.n_records; i++) {
		if (!same_record(&a->batch.records[i], &b->batch.records[i]))
			return false;
	}
	return true;
}

static void every_message_comes_back(void)
{
	struct sync_message messages[20], got;
	struct codec *codec = codec_new();
	struct err err;
	fill_records(SYNC_BATCH_MAX);
	size_t n = make_messages(messages);
	bool seen[SYNC_KIND_COUNT] = {false};
	for (size_t i = 0; i < n; i++) {
		long len = codec_encode(codec, &messages[i], buf, sizeof(buf));
		CU_ASSERT(len > SYNC_FRAME_HEADER);
		memset(&got, 0xee, sizeof(got));
		CU_ASSERT_EQUAL(codec_decode(codec, buf, (size_t)len, &got, &err), len);
		CU_ASSERT(same(&messages[i], &got));
		seen[got.kind] = true;
	}
	for (int kind = 0; kind < SYNC_UNKNOWN; kind++)
		CU_ASSERT(seen[kind]);
	codec_free(codec);
}

/* A decoder that is given one byte more at a time says "more" until the frame is complete. */
static void split_at_every_byte(void)
{
	struct sync_message messages[20], got;
	struct codec *codec = codec_new();
	struct err err;
	fill_records(SYNC_BATCH_MAX);
	size_t n = make_messages(messages), total = 0;
	for (size_t i = 0; i < n; i++)
		total +=
		    (size_t)codec_encode(codec, &messages[i], buf + total, sizeof(buf) - total);
	for (size_t i = 0, at = 0; i < n; i++) {
		long len = 0;
		for (size_t have = 0; len == 0 && at + have <= total; have++) {
			uint8_t *exact = malloc(have ? have : 1); /* a sanitizer sees overreads */
			memcpy(exact, buf + at, have);
			len = codec_decode(codec, exact, have, &got, &err);
			free(exact);
			CU_ASSERT(len == 0 || (size_t)len == have);
		}
		CU_ASSERT(len > 0 && same(&messages[i], &got));
		at += (size_t)len;
	}
	codec_free(codec);
}

static void a_full_batch_of_long_records(void)
{
	struct codec *codec = codec_new();
	struct sync_message m = {.kind = SYNC_BATCH}, got;
	struct err err;
	memset(records, 0, sizeof(records));
	for (size_t i = 0; i < SYNC_BATCH_MAX; i++) {
		records[i].kind = RECORD_HEALTH;
		records[i].health.target_id = UINT64_MAX;
		records[i].health.since_us = SYNC_TIME_MAX_US;
		records[i].health.ejected_until_us = SYNC_TIME_MAX_US;
		records[i].health.ejections = RECORD_EJECTIONS_MAX;
		records[i].health.ejection_cause = UINT8_MAX;
		records[i].health.probation = true;
		records[i].health.ready_us = SYNC_TIME_MAX_US;
		memset(records[i].health.reason, 'x', RECORD_REASON_MAX - 1);
	}
	m.batch.records = records;
	m.batch.n_records = SYNC_BATCH_MAX;
	long len = codec_encode(codec, &m, buf, sizeof(buf));
	CU_ASSERT(len > 0);
	CU_ASSERT_EQUAL(codec_decode(codec, buf, (size_t)len, &got, &err), len);
	CU_ASSERT(same(&m, &got));
	CU_ASSERT_EQUAL(codec_encode(codec, &m, buf, (size_t)len - 1), -ENOBUFS);
	m.batch.n_records++;
	CU_ASSERT_EQUAL(codec_encode(codec, &m, buf, sizeof(buf)), -EINVAL);
	codec_free(codec);
}

static long decode_body(const uint8_t *body, size_t len, struct sync_message *got, struct err *err)
{
	struct codec *codec = codec_new();
	uint8_t *frame = malloc(SYNC_FRAME_HEADER + len);
	for (int i = 0; i < 4; i++)
		frame[i] = (uint8_t)(len >> (24 - 8 * i));
	if (len > 0)
		memcpy(frame + SYNC_FRAME_HEADER, body, len);
	long result = codec_decode(codec, frame, SYNC_FRAME_HEADER + len, got, err);
	free(frame);
	codec_free(codec);
	return result;
}

static void oversized_is_refused_at_once(void)
{
	struct codec *codec = codec_new();
	struct sync_message got;
	struct err err = {""};
	CU_ASSERT_EQUAL(codec_decode(codec, (const uint8_t *)"\0\4\0\1", 4, &got, &err), -EPROTO);
	CU_ASSERT(strstr(err.text, "262145") != NULL);
	CU_ASSERT_EQUAL(codec_decode(codec, (const uint8_t *)"\0\4\0\0", 4, &got, &err), 0);
	CU_ASSERT_EQUAL(
	    codec_decode(codec, (const uint8_t *)"\xff\xff\xff\xff", 4, &got, &err), -EPROTO);
	codec_free(codec);
}

/* Batch with as many empty records as fit: 2 bytes each on the wire, a hundred in memory. */
static void bomb_of_empty_submessages(void)
{
	struct sync_message got;
	struct err err = {""};
	size_t body = SYNC_FRAME_MAX - 4;
	uint8_t *bomb = malloc(SYNC_FRAME_MAX);
	memset(bomb, 0, SYNC_FRAME_MAX);
	bomb[0] = 4 << 3 | 2; /* Frame.batch */
	bomb[1] = (uint8_t)(body | 0x80);
	bomb[2] = (uint8_t)(body >> 7 | 0x80);
	bomb[3] = (uint8_t)(body >> 14);
	for (size_t i = 4; i + 1 < SYNC_FRAME_MAX; i += 2)
		bomb[i] = 5 << 3 | 2; /* records, length 0 */
	CU_ASSERT_EQUAL(decode_body(bomb, SYNC_FRAME_MAX, &got, &err), -EPROTO);
	/* The same batch again and again: protobuf merges them. */
	for (size_t i = 0; i + 3 < SYNC_FRAME_MAX; i += 4)
		memcpy(bomb + i, "\x22\2\x2a\0", 4);
	CU_ASSERT_EQUAL(decode_body(bomb, SYNC_FRAME_MAX, &got, &err), -EPROTO);
	/* Few enough for the arena, too many for a batch. */
	size_t n = SYNC_BATCH_MAX + 1;
	bomb[0] = 4 << 3 | 2;
	bomb[1] = (uint8_t)(n * 2 | 0x80);
	bomb[2] = (uint8_t)(n * 2 >> 7);
	for (size_t i = 0; i < n; i++)
		memcpy(bomb + 3 + 2 * i, "\x2a\0", 2);
	CU_ASSERT_EQUAL(decode_body(bomb, 3 + 2 * n, &got, &err), -EPROTO);
	CU_ASSERT(strstr(err.text, "number of records") != NULL);
	free(bomb);
}

/* Bodies written by hand, as a peer might that does not use our encoder. */
static void fields_are_checked(void)
{
	static const struct {
		const char *what;
		const char *body;
		size_t len;
		bool ok;
	} cases[] = {
#define BODY(text) text, sizeof(text) - 1
	    {"health state 3", BODY("\x22\x06\x2a\x04\x1a\x02\x10\x03"), false},
	    {"1000 ejections", BODY("\x22\x07\x2a\x05\x1a\x03\x40\xe8\x07"), true},
	    {"1001 ejections", BODY("\x22\x07\x2a\x05\x1a\x03\x40\xe9\x07"), false},
	    {"ejection cause 256", BODY("\x22\x07\x2a\x05\x1a\x03\x48\x80\x02"), false},
	    {"ready for a century",
		BODY("\x22\x0d\x2a\x0b\x1a\x09\x58\x80\x80\x94\xff\xa5\x81\xcf\x05"), true},
	    {"ready for longer",
		BODY("\x22\x0d\x2a\x0b\x1a\x09\x58\x81\x80\x94\xff\xa5\x81\xcf\x05"), false},
	    {"circuit that is half-open", BODY("\x22\x06\x2a\x04\x3a\x02\x10\x02"), true},
	    {"circuit state 3", BODY("\x22\x06\x2a\x04\x3a\x02\x10\x03"), false},
	    {"circuit, more than a century left",
		BODY("\x22\x0d\x2a\x0b\x3a\x09\x18\xff\xff\xff\xff\xff\xff\xff\x7f"), false},
	    {"health state 2", BODY("\x22\x06\x2a\x04\x1a\x02\x10\x02"), true},
	    {"health state -1",
		BODY("\x22\x0f\x2a\x0d\x1a\x0b\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		false},
	    {"admin state 3", BODY("\x22\x06\x2a\x04\x22\x02\x10\x03"), false},
	    {"admin state 1", BODY("\x22\x06\x2a\x04\x22\x02\x10\x01"), true},
	    {"admin, more than a century left",
		BODY("\x22\x0d\x2a\x0b\x22\x09\x18\xff\xff\xff\xff\xff\xff\xff\x7f"), false},
#define TARGET(n, m, text) BODY("\x22" n "\x2a" m text)
	    {"target that is as in the file",
		TARGET("\x11", "\x0f", "\x2a\x0d\x0a\x01p\x12\x08[::1]:80"), true},
	    {"target without a pool", TARGET("\x0e", "\x0c", "\x2a\x0a\x12\x08[::1]:80"), false},
	    {"target without an address", TARGET("\x07", "\x05", "\x2a\x03\x0a\x01p"), false},
	    {"target, another form of its address",
		TARGET("\x12", "\x10", "\x2a\x0e\x0a\x01p\x12\x09[0::1]:80"), false},
	    {"target, port 0", TARGET("\x10", "\x0e", "\x2a\x0c\x0a\x01p\x12\x07[::1]:0"), false},
	    {"target, change 4",
		TARGET("\x13", "\x11", "\x2a\x0f\x0a\x01p\x12\x08[::1]:80\x18\x04"), false},
	    {"target that is removed",
		TARGET("\x13", "\x11", "\x2a\x0f\x0a\x01p\x12\x08[::1]:80\x18\x03"), true},
	    {"target that is added, without settings",
		TARGET("\x13", "\x11", "\x2a\x0f\x0a\x01p\x12\x08[::1]:80\x18\x01"), false},
	    {"target that is added",
		TARGET("\x17", "\x15", "\x2a\x13\x0a\x01p\x12\x08[::1]:80\x18\x01\x22\x02\x08\x03"),
		true},
	    {"target that is added, of weight 0",
		TARGET("\x15", "\x13", "\x2a\x11\x0a\x01p\x12\x08[::1]:80\x18\x01\x22\x00"), false},
	    {"target that is added, of weight 257",
		TARGET("\x18", "\x16",
		    "\x2a\x14\x0a\x01p\x12\x08[::1]:80\x18\x01\x22\x03\x08\x81\x02"),
		false},
	    {"target that is changed, without the file's settings",
		TARGET("\x17", "\x15", "\x2a\x13\x0a\x01p\x12\x08[::1]:80\x18\x02\x22\x02\x08\x03"),
		false},
#undef TARGET
	    {"16384 targets follow", BODY("\x22\x08\x2a\x06\x32\x04\x08\x80\x80\x01"), true},
	    {"16385 targets follow", BODY("\x22\x08\x2a\x06\x32\x04\x08\x81\x80\x01"), false},
	    {"rise count 65536", BODY("\x22\x08\x2a\x06\x1a\x04\x18\x80\x80\x04"), false},
	    {"rise count 65535", BODY("\x22\x08\x2a\x06\x1a\x04\x18\xff\xff\x03"), true},
	    {"session without key", BODY("\x22\x04\x2a\x02\x0a\x00"), false},
	    {"session key of 15 bytes",
		BODY("\x22\x15\x2a\x13\x0a\x11\x12\x0f"
		     "abcdefghijklmno"),
		false},
	    {"session key of 16 bytes",
		BODY("\x22\x16\x2a\x14\x0a\x12\x12\x10"
		     "abcdefghijklmnop"),
		true},
	    {"delete without key", BODY("\x22\x04\x2a\x02\x12\x00"), false},
	    {"batch that runs backwards", BODY("\x22\x04\x18\x05\x20\x04"), false},
	    {"batch at a place", BODY("\x22\x04\x18\x05\x20\x05"), true},
	    {"epoch over the limit", BODY("\x32\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
		false},
	    {"verdict 3", BODY("\x3a\x02\x38\x03"), false},
	    {"verdict 2", BODY("\x3a\x02\x38\x02"), true},
	    {"empty hello", BODY("\x0a\x00"), false},
	    {"hello",
		BODY("\x0a\x10\x08\x01\x10\x01\x1a\x01"
		     "a\x21\1\0\0\0\0\0\0\0"),
		true},
	    {"hello of version 0",
		BODY("\x0a\x0c\x1a\x01"
		     "a\x21\1\0\0\0\0\0\0\0"),
		false},
	    {"hello without node", BODY("\x0a\x0d\x08\x01\x10\x01\x21\1\0\0\0\0\0\0\0"), false},
	    {"hello without instance",
		BODY("\x0a\x07\x08\x01\x10\x01\x1a\x01"
		     "a"),
		false},
	    {"cut varint", BODY("\x32\x02\x08\x80"), false},
	    {"length past the end", BODY("\x32\x7f\x08"), false},
	    {"wrong wire type", BODY("\x30\x01"), false},
	    {"router", BODY("\x4a\x05\x0a\x01r\x10\x07"), true},
	    {"router without a name", BODY("\x4a\x02\x10\x07"), false},
	    {"router without a vrid", BODY("\x4a\x03\x0a\x01r"), false},
	    {"router of vrid 256", BODY("\x4a\x06\x0a\x01r\x10\x80\x02"), false},
	    {"router in state 3", BODY("\x4a\x07\x0a\x01r\x10\x07\x18\x03"), true},
	    {"router in state 4", BODY("\x4a\x07\x0a\x01r\x10\x07\x18\x04"), false},
	    {"router of priority 256", BODY("\x4a\x08\x0a\x01r\x10\x07\x20\x80\x02"), false},
	    {"question", BODY("\x52\x05\x0a\x01r\x10\x07"), true},
	    {"question without a name", BODY("\x52\x02\x10\x07"), false},
	    {"evidence", BODY("\x5a\x0b\x0a\x01r\x10\x07\x2a\x04\xc0\0\2\1"), true},
	    {"evidence without a source", BODY("\x5a\x05\x0a\x01r\x10\x07"), false},
	    {"evidence, a source of 5 bytes", BODY("\x5a\x0c\x0a\x01r\x10\x07\x2a\x05\xc0\0\2\1\1"),
		false},
	    {"evidence of priority 256",
		BODY("\x5a\x0e\x0a\x01r\x10\x07\x20\x80\x02\x2a\x04\xc0\0\2\1"), false},
	    {"claim", BODY("\x8a\x01\x0e\x0a\x01r\x10\x07\x2a\x04\xc0\0\2\1\x30\xff\x01"), true},
	    {"claim without a name", BODY("\x8a\x01\x08\x10\x07\x2a\x04\xc0\0\2\1"), false},
	    {"claim without a source", BODY("\x8a\x01\x05\x0a\x01r\x10\x07"), false},
	    {"claim of priority 256",
		BODY("\x8a\x01\x0e\x0a\x01r\x10\x07\x20\x80\x02\x2a\x04\xc0\0\2\1"), false},
	    {"claim with a ninth flag",
		BODY("\x8a\x01\x0e\x0a\x01r\x10\x07\x2a\x04\xc0\0\2\1\x30\x80\x02"), false},
	    {"empty event", BODY("\x62\x00"), true},
	    {"event, from 24 bytes",
		BODY("\x62\x1a\x22\x18"
		     "abcdefghijklmnopqrstuvwx"),
		false},
	    {"event, from 23 bytes",
		BODY("\x62\x19\x22\x17"
		     "abcdefghijklmnopqrstuvw"),
		true},
	    {"event, id over the limit",
		BODY("\x62\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), false},
	    {"digests that run backwards", BODY("\x6a\x04\x10\x05\x18\x04"), false},
	    {"resend of bucket 1023", BODY("\x72\x04\x12\x02\xff\x07"), true},
	    {"resend of bucket 1024", BODY("\x72\x04\x12\x02\x80\x08"), false},
	    {"repair of bucket 1023", BODY("\x7a\x04\x12\x02\xff\x07"), true},
	    {"repair of bucket 1024", BODY("\x7a\x04\x12\x02\x80\x08"), false},
	    {"end of a repair", BODY("\x82\x01\x02\x08\x01"), true},
	    {"empty limits", BODY("\x92\x01\x00"), true},
	    {"limits of one key", BODY("\x92\x01\x0d\x1a\x08\1\2\3\4\5\6\7\x08\x22\x01\x05"), true},
	    {"limits, a hash without a time", BODY("\x92\x01\x0a\x1a\x08\1\2\3\4\5\6\7\x08"),
		false},
	    {"limits, a time without a hash", BODY("\x92\x01\x03\x22\x01\x05"), false},
	    {"limits, more than a century left",
		BODY("\x92\x01\x15\x1a\x08\1\2\3\4\5\6\7\x08\x22\x09\xff\xff\xff\xff\xff\xff\xff"
		     "\xff\x7f"),
		false},
	    {"limits, epoch over the limit",
		BODY("\x92\x01\x0b\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), false},
	    {"unknown field in a router", BODY("\x4a\x07\x0a\x01r\x10\x07\x78\x05"), true},
	    {"unknown field in an ack", BODY("\x32\x06\x08\x01\x10\x02\x78\x05"), true},
#undef BODY
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sync_message got;
		struct err err = {""};
		long result = decode_body((const uint8_t *)cases[i].body, cases[i].len, &got, &err);
		bool as_wanted = cases[i].ok ? result == (long)cases[i].len + SYNC_FRAME_HEADER
					     : result == -EPROTO && err.text[0] != '\0';
		if (!as_wanted)
			printf("%s: %ld %s\n", cases[i].what, result, err.text);
		CU_ASSERT(as_wanted);
	}
}

/* What a newer peer may add is skipped: messages, kinds of records. */
static void unknown_kinds_are_skipped(void)
{
	struct sync_message got;
	struct err err;
	CU_ASSERT(decode_body((const uint8_t *)"", 0, &got, &err) > 0);
	CU_ASSERT_EQUAL(got.kind, SYNC_UNKNOWN);
	CU_ASSERT(decode_body((const uint8_t *)"\xf2\x01\x02\x08\x01", 5, &got, &err) > 0);
	CU_ASSERT_EQUAL(got.kind, SYNC_UNKNOWN);
	/* Digests of two buckets: of a peer that divides otherwise. */
	const char digests[] = "\x6a\x12\x22\x10"
			       "abcdefghijklmnop";
	CU_ASSERT(decode_body((const uint8_t *)digests, sizeof(digests) - 1, &got, &err) > 0);
	CU_ASSERT_EQUAL(got.kind, SYNC_UNKNOWN);
	/* Batch {record of kind 15, admin}. */
	const char batch[] = "\x22\x0a\x2a\x02\x7a\x00\x2a\x04\x22\x02\x10\x01";
	CU_ASSERT(decode_body((const uint8_t *)batch, sizeof(batch) - 1, &got, &err) > 0);
	CU_ASSERT_EQUAL(got.kind, SYNC_BATCH);
	CU_ASSERT_EQUAL(got.batch.n_records, 1);
}

/* One key more than a message may have. */
static void limits_are_bounded(void)
{
	static uint64_t values[SYNC_LIMITS_MAX + 1];
	struct codec *codec = codec_new();
	struct sync_message m = {.kind = SYNC_LIMITS}, got;
	struct err err = {""};
	m.limits.hashes = m.limits.left_us = values;
	m.limits.n = SYNC_LIMITS_MAX + 1;
	CU_ASSERT_EQUAL(codec_encode(codec, &m, buf, sizeof(buf)), -EINVAL);
	codec_free(codec);
	/* Frame.limits {hashes, left_us}, of so many. */
	size_t n = SYNC_LIMITS_MAX + 1, hashes = n * 8, body = 3 + hashes + 3 + n, at = 0;
	buf[at++] = 0x92;
	buf[at++] = 0x01;
	buf[at++] = (uint8_t)(body | 0x80);
	buf[at++] = (uint8_t)(body >> 7);
	buf[at++] = 0x1a;
	buf[at++] = (uint8_t)(hashes | 0x80);
	buf[at++] = (uint8_t)(hashes >> 7);
	memset(buf + at, 1, hashes);
	at += hashes;
	buf[at++] = 0x22;
	buf[at++] = (uint8_t)(n | 0x80);
	buf[at++] = (uint8_t)(n >> 7);
	memset(buf + at, 1, n);
	CU_ASSERT_EQUAL(decode_body(buf, at + n, &got, &err), -EPROTO);
	CU_ASSERT(strstr(err.text, "number of hashes") != NULL);
}

static void text_cannot_forge_log_lines(void)
{
	struct codec *codec = codec_new();
	struct sync_message m = {.kind = SYNC_BYE}, got;
	struct err err;
	strcpy(m.bye.reason, "bad\nline\x1b[31m\x7f\xc3\xa9");
	long len = codec_encode(codec, &m, buf, sizeof(buf));
	CU_ASSERT_EQUAL(codec_decode(codec, buf, (size_t)len, &got, &err), len);
	CU_ASSERT_STRING_EQUAL(got.bye.reason, "bad?line?[31m???");
	/* One byte too long for us; our encoder cannot make it. */
	static const uint8_t head[] = {8 << 3 | 2, 0x83, 1, 1 << 3 | 2, 0x80, 1};
	uint8_t body[sizeof(head) + SYNC_REASON_MAX];
	memset(body, 'x', sizeof(body));
	memcpy(body, head, sizeof(head));
	CU_ASSERT_EQUAL(decode_body(body, sizeof(body), &got, &err), -EPROTO);
	CU_ASSERT_STRING_EQUAL(err.text, "bye.reason is out of range");
	codec_free(codec);
}

UNIT_MAIN("proto/codec", UNIT(every_message_comes_back), UNIT(split_at_every_byte),
    UNIT(a_full_batch_of_long_records), UNIT(oversized_is_refused_at_once),
    UNIT(bomb_of_empty_submessages), UNIT(fields_are_checked), UNIT(limits_are_bounded),
    UNIT(unknown_kinds_are_skipped), UNIT(text_cannot_forge_log_lines))
