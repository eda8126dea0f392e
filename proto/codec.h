/* Frames of the sync channel: a 4-byte big-endian length, then a protobuf Frame (sync.proto), to
 * and from plain structs. Memory only. Every field of what comes in is checked; what goes out is
 * cut to the limits. A frame is unpacked in an arena of fixed size, so that a small hostile frame
 * cannot become a large tree. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "proto/record.h"

#define SYNC_FRAME_HEADER 4
#define SYNC_FRAME_MAX    (256U * 1024) /* of the protobuf part */
#define SYNC_BATCH_MAX    256           /* records */
#define SYNC_BUCKETS      1024          /* of sessions, for digests */
#define SYNC_LIMITS_MAX   512           /* keys of rate limits in a message */
#define SYNC_NODE_MAX     63            /* bytes of a node's name */
#define SYNC_NAME_MAX     63            /* bytes of a virtual router's name */
#define SYNC_REASON_MAX   128           /* with NUL */
#define SYNC_EPOCH_MAX    (UINT64_MAX >> 2)
#define SYNC_SEQUENCE_MAX (UINT64_MAX >> 2)
#define SYNC_TIME_MAX_US  (100ULL * 366 * 86400 * 1000000) /* a century is enough for an age */

enum sync_message_kind {
	SYNC_HELLO,
	SYNC_RESUME,
	SYNC_SNAPSHOT_BEGIN,
	SYNC_BATCH,
	SYNC_SNAPSHOT_END,
	SYNC_ACK,
	SYNC_HEARTBEAT,
	SYNC_BYE,
	SYNC_ROUTER,
	SYNC_QUESTION,
	SYNC_EVIDENCE,
	SYNC_CLAIM,
	SYNC_EVENT,
	SYNC_DIGESTS,
	SYNC_RESEND,
	SYNC_REPAIR_BEGIN,
	SYNC_REPAIR_END,
	SYNC_LIMITS,
	SYNC_UNKNOWN, /* of a newer peer: to be skipped */
	SYNC_KIND_COUNT
};

enum sync_verdict { SYNC_VERDICT_UNKNOWN, SYNC_VERDICT_EQUAL, SYNC_VERDICT_DIFFERENT };

enum sync_router_state {
	SYNC_ROUTER_INITIALIZE,
	SYNC_ROUTER_BACKUP,
	SYNC_ROUTER_ACTIVE,
	SYNC_ROUTER_FAULT
};

/* A place in somebody's stream of records. */
struct sync_position {
	uint64_t instance; /* 0: nowhere */
	uint64_t epoch;
	uint64_t sequence;
};

/* Sizes with NUL. */
struct sync_event {
	uint64_t id, age_us;
	char object[144];
	char from[24], to[24];
	char reason[192];
};

/* sync.proto says what the fields mean. */
struct sync_message {
	enum sync_message_kind kind;
	union {
		struct {
			uint32_t version, oldest_version;
			char node[SYNC_NODE_MAX + 1];
			uint64_t instance, epoch, config_hash;
			bool active;
			struct sync_position have;
			uint64_t have_event_instance, have_event;
			bool wants, gives, takes_targets, takes_limits;
		} hello;
		struct {
			uint64_t epoch, sequence;
			uint64_t sessions, targets; /* SNAPSHOT_END only */
		} mark;                             /* RESUME, SNAPSHOT_BEGIN, SNAPSHOT_END, ACK */
		struct {
			uint64_t epoch, after, through;
			bool snapshot;
			/* Times relative: what is left (session), age (health). When decoded they
			 * belong to the codec and live until its next call. */
			const struct record *records;
			size_t n_records;
		} batch;
		struct {
			uint64_t epoch, sequence, entries, digest, config_hash;
			bool active, digest_at_sequence;
			enum sync_verdict verdict;
		} heartbeat;
		struct {
			char reason[SYNC_REASON_MAX];
		} bye;
		struct {
			char name[SYNC_NAME_MAX + 1];
			uint8_t vrid, priority;
			enum sync_router_state state; /* ROUTER only, as the next one */
			bool handed_over;
			uint64_t stamp; /* all but ROUTER */
			uint8_t source[16];
			uint8_t source_len; /* EVIDENCE, CLAIM: 4 or 16; else 0 */
			uint8_t flags;      /* CLAIM only */
		} router;                   /* ROUTER, QUESTION, EVIDENCE, CLAIM */
		struct sync_event event;
		/* When decoded, the lists belong to the codec as above. */
		struct {
			uint64_t epoch, through, until;
			const uint64_t *digests; /* of SYNC_BUCKETS */
		} digests;
		struct {
			uint64_t epoch;
			const uint32_t *list; /* below SYNC_BUCKETS */
			size_t n;
		} buckets; /* RESEND, REPAIR_BEGIN; REPAIR_END has no list */
		struct {
			uint64_t epoch, secret;
			const uint64_t *hashes, *left_us; /* n of each */
			size_t n;
		} limits;
	};
};

struct codec;

/* One per connection or thread; holds 1 MiB. NULL when out of memory. */
struct codec *codec_new(void);
void codec_free(struct codec *codec);

/* Writes one frame. Returns its length, -ENOBUFS if it does not fit into `size`, or -EINVAL if the
 * message breaks a limit. */
long codec_encode(
    struct codec *codec, const struct sync_message *message, uint8_t *out, size_t size);

/* Reads the frame at the start of `in`. Returns its length, 0 if it is not complete yet (the caller
 * needs room for SYNC_FRAME_HEADER + SYNC_FRAME_MAX bytes), or -EPROTO with a text: the stream is
 * broken for good. */
long codec_decode(struct codec *codec, const uint8_t *in, size_t len, struct sync_message *message,
    struct err *err);

const char *sync_message_name(enum sync_message_kind kind);
