/* TCP: a pair of connections and the bytes between them. */
#pragma once

#include "daemon/proxy/conn.h"
#include "daemon/proxy/worker.h"

enum side { SIDE_CLIENT, SIDE_SERVER };

struct pair_setup;

/* Bytes that could not be sent: in memory or in a pipe. */
struct unsent {
	struct buf buf;
	struct pipe *pipe; /* NULL: in buf */
};

struct pair {
	struct conn conns[2];
	struct timer timer; /* connect, then idle */
	union node node;    /* of listener->pairs */
	struct listener *listener;
	const struct conf_listener *conf;
	struct worker_gen *gen;
	uint32_t pool;            /* an index */
	uint32_t trial;           /* of its circuit breaker; 0: it is none */
	struct target *target;    /* where it has a place */
	struct tally *tally;      /* of the client's source; NULL: it is not counted */
	struct unsent *unsent[2]; /* for conns[i]; NULL: nothing */
	struct access_pair *note; /* NULL: not in the access log */
	struct pair_setup *setup; /* until the connection stands and the peer has the session */
	bool eof[2];              /* conns[i] sent its FIN */
	bool broken[2];           /* conns[i] takes no more bytes */
	uint8_t bulk[2];          /* conns[i] says much at a time: small pieces until copying */
	bool established;
	bool dead;
};

/* Connections that stand already and go on as a pair: a tunnel. */
struct pair_parts {
	struct listener *listener;
	const struct conf_listener *conf;
	struct worker_gen *gen;
	uint32_t pool;
	struct target *target; /* where they have a place */
	struct tally *tally;   /* for which they are counted */
	struct conn *conns[2];
	struct buf *unsent[2]; /* for conns[i] */
	const struct addr *client;
};

bool pair_open(struct listener *listener, const struct arrival *arrival);
/* Takes the connections and what is unsent, and their counts at listener, target and worker; nothing
 * if it returns false. */
bool pair_adopt(struct worker *worker, const struct pair_parts *parts);
void pair_close(struct worker *worker, struct pair *pair, bool reset);
/* Belongs to `gen` from now on, which has the same configuration and is the worker's, if that has
 * its target. */
void pair_move_on(struct pair *pair, struct worker_gen *gen);
/* Closes it if it is with this target. */
void pair_cut(struct worker *worker, struct pair *pair, uint64_t target_id);
