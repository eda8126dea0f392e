/* What is replicated, as plain structs. The protobuf form is proto/sync.proto; proto/codec.h
 * converts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RECORD_REASON_MAX    128
#define RECORD_POOL_MAX      64 /* with NUL, as the next one */
#define RECORD_TEXT_MAX      56
#define RECORD_TARGETS_MAX   16384
#define RECORD_WEIGHT_MAX    256
#define RECORD_EJECTIONS_MAX 1000

enum record_kind {
	RECORD_SESSION,
	RECORD_SESSION_DELETE,
	RECORD_HEALTH,
	RECORD_ADMIN,
	RECORD_TARGET,  /* a change at run time */
	RECORD_TARGETS, /* how many of these follow in a snapshot */
	RECORD_CIRCUIT,
	RECORD_KIND_COUNT
};

/* Of a target that was changed at run time. */
struct record_settings {
	uint16_t weight;
	bool backup;
	uint32_t max_connections;
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
			/* Outlier ejection. In memory: when it ends, on this node's clock; on the
			 * wire: what is left. 0: it is not ejected. */
			uint64_t ejected_until_us;
			uint16_t ejections;     /* in a row */
			uint8_t ejection_cause; /* enum outlier_cause, or of a later version */
			bool probation;
			/* Its slow start, beside since_us (fleet.h). In memory: since when, on this
			 * node's clock; on the wire an age of at least 1. 0: nothing is said. */
			uint64_t ready_us;
		} health;
		struct {
			uint64_t target_id;
			uint8_t admin; /* enum target_admin */
			bool leaving;
			uint64_t drain_until_us; /* 0: never; on the wire what is left */
		} admin;
		struct {
			char pool[RECORD_POOL_MAX], text[RECORD_TEXT_MAX];
			uint8_t change; /* enum overlay_kind, 0: none any more */
			struct record_settings settings, file;
		} target;
		struct {
			uint32_t count;
		} targets;
		struct {
			uint64_t pool_id;
			uint8_t state;   /* enum breaker_state */
			uint64_t due_us; /* breaker.h; on the wire what is left */
		} circuit;
	};
};
