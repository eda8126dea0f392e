/* Connections to targets: each worker keeps those that ended a request well, by target, and sends
 * the next request on the latest one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/conn.h"
#include "daemon/proxy/worker.h"

struct upstream {
	struct conn conn;
	struct timer timer; /* connect, response, then idle timeout: one at a time */
	union node node;    /* of the idle list */
	struct target *target;
	struct txn *txn; /* NULL: idle */
	uint64_t idle_since_us;
	int error;        /* of a send that failed: nothing more is sent */
	bool established; /* a byte went either way */
	bool reused;
	bool waiting; /* for the first byte of a response: the timer says how long */
};

/* An idle connection that was used within `max_age_us`, or NULL. */
struct upstream *upstream_take(
    struct worker *worker, struct target *target, uint64_t max_age_us, struct txn *txn);
/* Starts a connection for txn->pool. NULL with *error (-errno) on failure. */
struct upstream *upstream_connect(
    struct worker *worker, struct target *target, struct txn *txn, int *error);
/* Gives a connection that ended its request well back, for requests of any client. */
void upstream_release(struct worker *worker, struct upstream *upstream);
void upstream_close(struct worker *worker, struct upstream *upstream);
/* Forgets one that was in use: somebody has taken the connection, and counts it on. */
void upstream_give_up(struct worker *worker, struct upstream *upstream);

/* Takes the slots of a new generation: idle connections to targets that it names stay. */
void upstream_set_slots(struct worker *worker, struct worker_gen *gen);
void upstream_close_idle(struct worker *worker);
/* The one that has been idle longest. False: none is. */
bool upstream_close_oldest(struct worker *worker);
