/* Two streams with their tables and journals, a wire of encoded frames between them, and a clock
 * that the test turns. The nodes' clocks are far apart, as they are in life. */
#pragma once

#include "daemon/session/table.h"
#include "daemon/sync/stream.h"
#include "tests/unit/sync/bugs.h"

#define MODEL_TARGETS   8
#define MODEL_SAID_MAX  64
#define MODEL_WIRE_SIZE (1024U * 1024)
#define MODEL_HOUR_US   (3600 * 1000000ULL)
#define MODEL_LAG_US    (500 * 1000ULL) /* the promise: acked, at most so late */

struct model_node {
	const char *name;
	uint64_t clock_offset_us;
	struct session_table *table;
	struct journal *journal;
	struct urgent *urgent;
	struct stream *stream;
	struct codec *codec;
	bool active;
	uint8_t health[MODEL_TARGETS], admin[MODEL_TARGETS];
	uint64_t since_us[MODEL_TARGETS], ready_us[MODEL_TARGETS], drain_until_us[MODEL_TARGETS];
	struct record circuit;                /* of the one pool that has one */
	struct record changes[MODEL_TARGETS]; /* of targets at run time */
	uint32_t n_changes;
	unsigned restarts;
	bool older; /* speaks version 1, as it was before routers and events */

	struct sync_message said[MODEL_SAID_MAX]; /* what the peer said besides records */
	size_t n_said;
	size_t n_byes;                            /* how often it was said to be gone */
	struct sync_event events[MODEL_SAID_MAX]; /* our own */
	size_t n_events, n_events_sent;
	struct limit_words limits, heard; /* what it would tell, and was told last */
	size_t n_told, n_heard;           /* how often it was asked, and told */

	uint64_t sent; /* records, for bugs */
	bool repairs;

	uint8_t *wire; /* frames on their way to this node */
	size_t wire_len;
	struct err last_err; /* why this node disconnected last */
};

struct model {
	struct model_node node[2];
	uint64_t now_us;
	bool connected;
	size_t journal_size;
	enum bug bug; /* of both nodes */
};

void model_init(struct model *model, size_t journal_size);
void model_fini(struct model *model);
uint64_t model_now(const struct model *model, int i); /* the node's own clock */

void model_connect(struct model *model);
void model_cut(struct model *model, const char *reason);
void model_restart(struct model *model, int i); /* everything is lost; implies a cut */
void model_set_active(struct model *model, int i, bool active);

/* One message from node `i` onto the wire; false if it has none or the wire is full. */
bool model_send(struct model *model, int i);
/* One message from the wire to node `i`; false if there is none. */
bool model_deliver(struct model *model, int i);
/* Each sends one message, which the other one takes: after model_connect the hellos. */
bool model_exchange(struct model *model);
/* Until neither has anything to say. */
void model_settle(struct model *model);
/* Turns the clock in steps of 50 ms, with ticks; `settle`: messages flow meanwhile. */
void model_advance(struct model *model, uint64_t us, bool settle);

/* What a worker or the control thread does: the table, then the journal. */
void model_session(struct model *model, int i, unsigned key, uint64_t target_id, uint64_t ttl_us);
/* Two workers change one key: the table takes `second` last, the journal first. */
void model_session_race(struct model *model, int i, unsigned key, uint64_t first, uint64_t second);
/* The table changes and nobody says so; target 0: the entry goes. */
void model_corrupt(struct model *model, int i, unsigned key, uint64_t target_id, uint64_t ttl_us);
void model_session_delete(struct model *model, int i, unsigned key);
void model_target(struct model *model, int i, unsigned target, uint8_t health, uint8_t admin);

/* A target is added at run time; the caller appends the record. */
const struct record *model_change(
    struct model *model, int i, const char *pool, const char *address);
void model_drain(struct model *model, int i, unsigned target, uint64_t until_us);
/* Slow start begins at `ready_us`. */
void model_ready(struct model *model, int i, unsigned target, uint64_t ready_us);
void model_circuit(struct model *model, int i, uint8_t state, uint64_t due_us);

/* Something happens on node `i`; ids count from 1. */
void model_event(struct model *model, int i, const char *object);

uint64_t model_lookup(struct model *model, int i, unsigned key); /* the target, or 0 */
/* The same sessions (of those that live for more than half an hour), the same targets. */
bool model_tables_equal(struct model *model);
bool model_targets_equal(const struct model *model);
struct sync_status model_status(const struct model *model, int i);
