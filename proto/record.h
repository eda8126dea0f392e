/* What is replicated, as plain structs. The protobuf form is proto/sync.proto; proto/codec.h
 * converts. */
#pragma once

#include <stdint.h>

#define RECORD_REASON_MAX 128

enum record_kind {
	RECORD_SESSION,
	RECORD_SESSION_DELETE,
	RECORD_HEALTH,
	RECORD_ADMIN,
	RECORD_KIND_COUNT
};

struct record {
	uint64_t sequence; /* set by the journal */
	enum record_kind kind;
	union {
		struct {
			uint64_t pool_id;
			uint8_t key[16];
			uint64_t target_id;
			/* In memory: CLOCK_MONOTONIC of this node. On the wire: what is left,
			 * relative. */
			uint64_t expires_us;
		} session; /* _DELETE: pool_id and key only */
		struct {
			uint64_t target_id;
			uint8_t health; /* enum target_health */
			uint16_t rise_count, fall_count;
			uint64_t since_us; /* as above: on the wire an age */
			char reason[RECORD_REASON_MAX];
		} health;
		struct {
			uint64_t target_id;
			uint8_t admin; /* enum target_admin */
		} admin;
	};
};
