/* Shared by stream.c (greeting, roles, epochs, heartbeats), sender.c and receiver.c. */
#pragma once

#include "daemon/base/quota.h"
#include "daemon/sync/digests.h"
#include "daemon/sync/stream.h"

#define STREAM_CHUNK 128 /* records of a batch that we send */
#define LAG_MARKS    32

_Static_assert(SYNC_BUCKETS == SESSION_BUCKETS, "what the table has is what travels");

enum send_phase {
	SEND_IDLE,     /* not ours to send */
	SEND_RESUME,   /* next: Resume */
	SEND_BEGIN,    /* next: SnapshotBegin */
	SEND_TARGETS,  /* health and admin state */
	SEND_SESSIONS, /* the table, with what happens meanwhile in between */
	SEND_TAIL,     /* what happened until the scan ended, then SnapshotEnd */
	SEND_STREAM    /* records as they happen */
};

struct sender {
	enum send_phase phase;
	uint64_t cursor;     /* the last record sent */
	uint64_t acked;      /* the last one that the peer has */
	uint64_t sync_point; /* the peer is in sync when it has this one */
	bool in_sync;
	bool by_snapshot; /* how it got there */
	uint64_t started_us;

	/* Of the snapshot under way; or told again in the stream, when the peer may have others. */
	struct record *targets;
	size_t n_targets, targets_size, next_target;
	bool targets_due; /* to be told again, but not before: */
	uint64_t next_targets_us;
	uint64_t scan_cursor, sent_sessions, sent_targets;
	bool scan_turn; /* the scan and the records take turns */

	/* When records were first seen here, to tell the age of the oldest unacknowledged. */
	struct {
		uint64_t sequence, at_us;
	} marks[LAG_MARKS];
	size_t first_mark, n_marks;

	uint64_t digests[SESSION_BUCKETS]; /* as sent last */
	uint64_t beside; /* digests, or rate limits, were sent last behind this record */
	struct {
		uint32_t list[SESSION_BUCKETS]; /* the buckets that the peer wants again */
		size_t n;                       /* 0: no repair is under way */
		bool wanted[SESSION_BUCKETS];
		bool begun;
		uint64_t cursor;
		bool turn; /* as scan_turn */
	} repair;
	uint64_t next_repair_us; /* not before */
	struct quota repairs;

	uint64_t limits_cursor, next_limits_us;
	struct limit_words limits; /* as sent last */

	struct record chunk[STREAM_CHUNK];
	struct session scanned[STREAM_CHUNK];
};

enum receive_phase {
	RECEIVE_IDLE,
	RECEIVE_SNAPSHOT,
	RECEIVE_SWEEP, /* what the snapshot has not mentioned goes, piece by piece */
	RECEIVE_STREAM
};

/* In RECEIVE_STREAM, for some buckets what a snapshot is for all. */
enum repair_phase { REPAIR_NONE, REPAIR_SNAPSHOT, REPAIR_SWEEP };

struct receiver {
	enum receive_phase phase;
	/* How far our tables follow a peer's stream. Survives the connection; worth something only
	 * if complete. */
	struct sync_position have;
	bool complete;
	enum repair_phase repair;
	bool repair_buckets[SESSION_BUCKETS];
	uint16_t mark; /* in the table, of what the last snapshot or repair mentioned */
	struct session
	    taken[SYNC_BATCH_MAX]; /* sessions of a batch that go into the table at once */
	size_t n_taken;
	uint64_t started_us, sessions, targets;
	uint64_t sweep_cursor, removed;
	uint64_t peer_last;       /* the last record that exists, as the peer said */
	uint64_t behind_since_us; /* 0: not behind */
	enum sync_verdict verdict;
	unsigned mismatches; /* in a row, of a peer of version 1 */
	struct digests digests;
	uint64_t next_digests_us; /* none is looked at before */
	bool said_refused;        /* on this connection */
	bool asked;               /* for a repair; outlasts a snapshot, which may cross it */
	uint32_t resend[SESSION_BUCKETS]; /* what to ask for */
	size_t n_resend;
};

struct stream {
	char self[SYNC_NODE_MAX + 1], peer_name[SYNC_NODE_MAX + 1];
	uint64_t instance, config_hash;
	struct sync_promise promise;
	struct session_table *table;
	struct journal *journal;
	struct urgent *urgent;
	struct sync_callbacks callbacks;

	bool active;
	bool kept;           /* we were Active, or had all that an Active had */
	uint64_t epoch;      /* ours, while we send */
	uint64_t epoch_seen; /* the latest of all */

	bool connected, greeted;
	bool hello_due, heartbeat_due, ack_due;
	uint64_t moved_us; /* when the peer did last what we wait for, or we did not wait */
	uint64_t last_heard_us, last_tick_us, next_heartbeat_us, next_digest_us;
	struct {
		uint64_t instance, config_hash, entries;
		uint32_t version;
		bool active;
		bool takes_targets, takes_limits;
		bool wants, gives;         /* as of its Hello, until one of us is Active */
		struct sync_position have; /* as of its Hello, until used or outdated */
		enum sync_verdict verdict;
	} peer;

	uint64_t sent_event; /* the last one that this peer has, or was sent */
	struct {
		uint64_t instance, id; /* of the peer's events: the last one that we have */
	} have_event;

	struct quota talk, events, lists, limits; /* of the peer */

	struct sender sender;
	struct receiver receiver;

	enum sync_protection protection;
	bool peer_quick; /* follows and is not late: as the journal was told */
	uint64_t
	    unwaited; /* the last record, at most, whose response did not wait although it may now */
	uint64_t late_us; /* when the peer was late last; 0: never */
	uint64_t unprotected;

	uint64_t sent_records, received_records, snapshots, refused_frames, connects;
	uint64_t sent_limits, heard_limits[LIMIT_HEARD_COUNT];
	uint64_t transitions;
	char reason[SYNC_REASON_MAX];
	char ended[SYNC_REASON_MAX]; /* why the last connection has ended */
	uint64_t ended_us;
};

/* Something worth a log line happened. */
void stream_say(struct stream *stream, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool stream_epoch_later(uint64_t epoch, uint64_t than);
void stream_see_epoch(struct stream *stream, uint64_t epoch);
/* Opens an epoch of our own, above all that we know of. */
void stream_new_epoch(struct stream *stream);
/* We are the one who sends: Active, or, where nobody is, we have what the peer has lost. */
bool stream_sends(const struct stream *stream);
/* The peer compares digests by bucket. */
bool stream_peer_has_buckets(const struct stream *stream);

/* After whatever may change who is protected. */
void protection_update(struct stream *stream, uint64_t now_us);
/* The part of stream_status. */
void protection_status(const struct stream *stream, struct sync_status *out);

/* Starts or stops sending, as the roles want it. After each change of one. */
void sender_update(struct stream *stream, uint64_t now_us);
void sender_reset(struct stream *stream);
/* What the peer has of our targets may not be what we have: its configuration is another one now, or
 * ours. */
void sender_tell_targets(struct stream *stream);
bool sender_produce(struct stream *stream, uint64_t now_us, struct sync_message *out);
/* The peer has not acknowledged something that was sent, or that it is in sync. */
bool sender_waits(const struct stream *stream);
int sender_on_ack(
    struct stream *stream, const struct sync_message *ack, uint64_t now_us, struct err *err);
/* The peer asks for buckets again. */
void sender_on_resend(struct stream *stream, const struct sync_message *resend, uint64_t now_us);
/* Something was sent beside records, and now it is their turn: else, on a line that is slower than what
 * is due beside them, they would never leave. */
bool sender_yields(const struct stream *stream);
/* Our digests, when they are due. */
bool sender_produce_digests(struct stream *stream, uint64_t now_us, struct sync_message *out);
/* A piece of our rate limits, when it is due and not empty. */
bool limits_produce(struct stream *stream, uint64_t now_us, struct sync_message *out);
/* What the Active knows of them; its epoch has been accepted. */
void limits_take(struct stream *stream, const struct sync_message *message, uint64_t now_us);
/* Notes when records appeared. */
void sender_mark(struct stream *stream, uint64_t now_us);
uint64_t sender_lag_us(const struct stream *stream, uint64_t now_us);

void receiver_reset(struct stream *stream);
/* RESUME, SNAPSHOT_BEGIN, BATCH, SNAPSHOT_END, DIGESTS, REPAIR_BEGIN, REPAIR_END, LIMITS. */
int receiver_take(
    struct stream *stream, const struct sync_message *message, uint64_t now_us, struct err *err);
/* The next piece of a sweep, if one is under way. */
void receiver_sweep(struct stream *stream, uint64_t now_us);
bool receiver_sweeps(const struct stream *stream);
/* The peer, which is Active or gives what it has, has to go on with a snapshot or a repair. */
bool receiver_waits(const struct stream *stream);
/* What we ask for again, if there is something. */
bool receiver_produce_resend(struct stream *stream, struct sync_message *out);
/* The peer, which is Active, says how far it is and what its table looks like. */
void receiver_on_heartbeat(
    struct stream *stream, const struct sync_message *heartbeat, uint64_t now_us);
