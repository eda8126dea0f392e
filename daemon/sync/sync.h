/* The replication channel to the peer: one thread, one TLS 1.3 connection (pre-shared key),
 * protobuf frames. The node whose name sorts first connects, the other accepts (and knocks, so that
 * it does); who is Active sends. A slow, dead or hostile peer costs bounded memory and no traffic.
 *
 * Outgoing: what is in the journal. Incoming sessions go straight into the session table; health
 * and admin state go to the control thread by `on_record`. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/limit/share.h"
#include "daemon/session/table.h"
#include "daemon/tls/cert.h"
#include "proto/codec.h"
#include "proto/journal.h"
#include "proto/record.h"

struct sync;

enum sync_state { SYNC_DISCONNECTED, SYNC_SNAPSHOT, SYNC_IN_SYNC };

/* What came of the last attempt to connect that is over. */
enum sync_reach {
	SYNC_UNTRIED, /* none is, since the start or the last connection */
	SYNC_MUTE,    /* no answer in 250 ms, or no way there */
	SYNC_REFUSES, /* nobody listens there */
	SYNC_ANSWERS  /* TCP is there, if no more; also all the time while connected */
};

/* What is promised of the sessions that an Active made, if it dies. acked: none is missing whose
 * response has left, because that waits for the peer, but not longer than max_lag_us. Otherwise:
 * those are missing at most that the peer has not acknowledged yet, which is no more than this. */
struct sync_promise {
	bool acked;
	uint64_t max_lag_us;
	uint64_t max_lag_entries; /* not if acked */
};
/* NONE: not Active. UNPROTECTED: the promise would not be kept now; traffic goes on all the same. */
enum sync_protection { SYNC_PROTECTION_NONE, SYNC_UNPROTECTED, SYNC_PROTECTED };

/* What became of connections that did not become the peer's: name, as in the metrics. */
#define SYNC_STRANGERS(X)                                                               \
	X(NOT_PROVED, not_proved) /* another key or certificate, another TLS, no TLS */ \
	X(CLOSED, closed)         /* gone before the handshake was complete */          \
	X(TIMEOUT, timeout)       /* the handshake took too long */                     \
	X(REPLACED, replaced)     /* made room for a newer one */                       \
	X(RATE, rate)             /* too many in a second: closed unheard */            \
	X(UNEXPECTED, unexpected) /* closed unheard: this node connects itself */

enum sync_stranger {
#define X(reason, name) SYNC_STRANGER_##reason,
	SYNC_STRANGERS(X)
#undef X
	    SYNC_STRANGER_COUNT
};

struct sync_status {
	char peer[CONF_NAME_MAX + 1];
	enum sync_state state;
	enum sync_reach reach;
	bool sending;            /* we are Active: the direction */
	bool peer_active;        /* what the peer says of itself */
	bool peer_takes_targets; /* connected, and it knows of targets at run time */
	bool peer_gives;      /* it is not Active, but gives what it has to one who has nothing */
	uint64_t lag_entries; /* not yet acknowledged by the peer (sending) or told by its last
				 message (receiving) */
	uint64_t lag_us;      /* age of the oldest of these */
	uint64_t epoch;
	bool digest_known, digest_equal;
	bool config_equal;
	uint64_t sent_records, received_records, snapshots, refused_frames, connects;
	uint64_t sent_limits, heard_limits[LIMIT_HEARD_COUNT]; /* keys, again each time */
	uint64_t strangers[SYNC_STRANGER_COUNT];
	uint64_t handshake_failures; /* those among them that could begin one */
	char reason[128];            /* why the state is what it is */
	char ended[128];             /* why the last connection has ended, and when; 0: none has */
	uint64_t ended_us;
	struct sync_promise promise;
	enum sync_protection protection;
	uint64_t unprotected; /* how often it became so */
	char protection_reason[128];
};

struct sync_callbacks {
	/* On the sync thread: must post to the control thread and return. */
	void (*on_record)(void *arg, const struct record *record); /* of targets */
	/* sync_status() differs in state, reach, peer_active, direction or protection */
	void (*on_status)(void *arg);
	/* On the sync thread, while a snapshot is made: emit the records of targets, first those
	 * of what was changed at run time, then health and admin state of every one (called once per snapshot; `emit` copies). Reads atomics and what the control
	 * thread published; no locks held by the caller. */
	void (*snapshot_targets)(
	    void *arg, void (*emit)(void *emit_arg, const struct record *), void *emit_arg);
	/* On the sync thread: what the peer says besides records: ROUTER, QUESTION, EVIDENCE,
	 * CLAIM and EVENT (each event once), and BYE: it is gone, what it said is void. Must post
	 * to the control thread and return. */
	void (*on_said)(void *arg, const struct sync_message *message);
	/* On the sync thread: our first event with an id above `after`; false: there is none. */
	bool (*next_event)(void *arg, uint64_t after, struct sync_event *out);
	/* On the sync thread, of rate limits (daemon/limit/share.h): what the peer should know,
	 * piece by piece, and what it says. NULL: there are none. */
	void (*tell_limits)(void *arg, uint64_t *cursor, uint64_t now_us, struct limit_words *out);
	void (*hear_limits)(void *arg, const struct limit_words *words, uint64_t now_us,
	    uint64_t results[LIMIT_HEARD_COUNT]);
	void *arg;
};

struct sync_config {
	const char *self, *peer;          /* node names; copied */
	struct addr self_addr, peer_addr; /* with sync.port */
	int listen_fd; /* from yoked; closed by sync_stop. -1: none, for the node that dials */
	struct tls_context *context; /* of sync_make_context; taken, also on failure */
	uint64_t config_hash;
	struct sync_promise promise;
	struct session_table *table;
	struct journal *journal;
	struct sync_callbacks callbacks;
};

/* How the nodes prove to each other who they are: by certificates where `pem` is given, else by the
 * keys, which are not kept. NULL with a text on failure. */
struct tls_context *sync_make_context(const char *self, const char *peer, const struct keys *keys,
    const struct tls_pem *pem, struct err *err);

/* Starts the thread. NULL with a text on failure; listen_fd then stays the caller's. */
struct sync *sync_start(const struct sync_config *config, struct err *err);
void sync_stop(struct sync *sync);
/* Control thread: our VRRP role changed. Active: a new epoch begins and a connected peer gets a
 * snapshot. */
void sync_set_active(struct sync *sync, bool active);
void sync_set_config(struct sync *sync, uint64_t hash, const struct sync_promise *promise);
/* Control thread. Takes `context` in place of the earlier one: a connection that it accepts goes on. */
void sync_set_context(struct sync *sync, struct tls_context *context);
/* Any thread. Something about a virtual router, which overtakes what else there is to send: ROUTER,
 * QUESTION, EVIDENCE or CLAIM (urgent.h). */
void sync_say(struct sync *sync, const struct sync_message *message, bool last);
/* Any thread. There is a new event for next_event. */
void sync_event_added(struct sync *sync);
/* Any thread. */
void sync_status(struct sync *sync, struct sync_status *out);
const char *sync_state_name(enum sync_state state);
const char *sync_stranger_name(enum sync_stranger reason);
const char *sync_protection_name(enum sync_protection protection);
