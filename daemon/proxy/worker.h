/* One worker: a thread, its loop, and all that lives on it. Private to the engine. Unless a comment
 * says otherwise a field belongs to the worker's thread. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/balance/fleet.h"
#include "daemon/balance/pick.h"
#include "daemon/base/addr.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/base/wheel.h"
#include "daemon/http/h1.h"
#include "daemon/limit/tally.h"
#include "daemon/net/poller.h"
#include "daemon/proxy/access.h"
#include "daemon/proxy/buf.h"
#include "daemon/proxy/forward.h"
#include "daemon/proxy/pipe.h"
#include "daemon/proxy/proxy.h"
#include "daemon/proxy/reasons.h"
#include "daemon/route/route.h"
#include "daemon/tls/seal.h"

/* One read. It fits the first-level cache; longer heads and bodies take several. */
#define WORKER_READ_SIZE (32U * 1024)

struct worker;
struct upstream;
struct txn;
struct selfcheck;
struct udp_io;
struct udp_listener;
struct arrival;
struct budget;
struct wait_line;
struct leave;

/* A timeout on the worker's wheel. */
struct timer {
	struct wheel_entry entry;
	void (*fire)(struct worker *worker, struct timer *timer);
};

/* What was closed in this turn of the loop is freed at its end, so that a callback may still look
 * at an object that something it called has closed. Lies over the object's list node. */
struct grave {
	struct grave *next;
	void *base;
};

union node {
	struct list list;
	struct grave grave;
};

/* The connections of one listener, over all workers and binds: for max_connections. */
struct listener_shared {
	char name[CONF_NAME_MAX + 1];
	atomic_uint connections;
	struct listener_shared *next; /* control thread */
};

struct listener {
	/* Immutable. */
	char name[CONF_NAME_MAX + 1];
	struct addr bind;
	uint32_t worker_index;
	struct listener_shared *shared;
	atomic_uint *total;   /* connections of the process, for its max_connections */
	struct addr own_addr; /* the process' own requests come from here */

	/* The control thread's. */
	struct list registry;
	bool handed;             /* to the worker, who frees it */
	struct selfcheck *check; /* of its address; NULL: UDP */
	struct list of_check;
	uint64_t accepted_before; /* what it last saw of `accepted` */

	_Atomic uint64_t accepted; /* counted by the worker */
	_Atomic uint16_t own_port; /* the process' own request comes from here; 0: none does */

	struct worker *worker;
	struct watch io;
	int fd;                           /* -1: not listening any more */
	uint32_t connections;             /* of this worker */
	uint32_t batch;                   /* accepts in a turn: follows the load */
	bool attached;                    /* on worker->listeners */
	bool closing;                     /* not in the present configuration */
	struct timer pause;               /* accepting goes on when it fires */
	const struct conf_listener *conf; /* of the worker's generation; NULL when closing */
	struct forward forward;           /* as conf says */
	struct list clients;              /* struct client */
	struct list pairs;                /* struct pair */
	struct udp_listener *udp;         /* NULL: TCP */
	struct list prefaces;             /* struct preface */
	union node node;                  /* worker->listeners */
};

/* A configuration as the control thread sees it. */
struct generation {
	struct proxy_generation *user;
	struct routing *routing; /* shared by those of one configuration */
	struct limits *limits;
	bool fleet_only;     /* the configuration is that of the one before */
	atomic_uint workers; /* that still use it */
	struct list node;
};

struct upstream_slot {
	struct target *target;
	struct list idle; /* struct upstream, the latest first */
	uint32_t n_idle;
};

struct binding {
	struct listener *listener;
	const struct conf_listener *conf;
};

/* A configuration on one worker: built by the control thread, then the worker's. */
struct worker_gen {
	struct generation *generation;
	const struct conf *conf;
	struct fleet *fleet;
	const struct routing *routing; /* shared by the workers */
	const struct limits *limits;   /* likewise */
	uint64_t serial;
	uint32_t refs;               /* the worker's own and one a request or pair */
	struct picker **pickers;     /* by pool index */
	struct wait_line *lines;     /* the same */
	struct upstream_slot *slots; /* moves to the worker when it is put in force */
	struct budget *retries;      /* by pool index */
	struct binding *bindings;
	uint32_t n_bindings;
	struct listener **removed;
	uint32_t n_removed;
	struct seal *seal; /* of sticky cookies; fleet_only: that of the one before */
	struct keys
	    value_keys; /* of hashes that stand for values of app_cookie and header; the same */
	struct access_ring *ring; /* moves to the worker, too; NULL: no access log */
};

enum message_type {
	MESSAGE_APPLY,
	MESSAGE_LOG,
	MESSAGE_CUT,
	MESSAGE_LEAVE,
	MESSAGE_DRAIN,
	MESSAGE_STOP
};

struct message {
	struct message *next;
	enum message_type type;
	struct worker_gen *gen;   /* MESSAGE_APPLY */
	struct access_ring *ring; /* MESSAGE_LOG: of the file that was opened anew */
	uint64_t target_id;       /* MESSAGE_CUT */
	struct leave *leave;      /* MESSAGE_LEAVE */
};

/* Written by the worker alone, read by the control thread. */
struct counters {
#define X(name, help) _Atomic uint64_t name;
	PROXY_COUNTERS(X)
#undef X
	_Atomic uint64_t client_connections, upstream_connections, upstream_idle;
	_Atomic uint64_t tunnels_now;
	_Atomic uint64_t fresh_clients; /* in a preface, or http and without a request yet */
	_Atomic uint64_t udp_sessions_now;
};

static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction. */
	atomic_store_explicit(
	    counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

#define COUNT(worker, name)       counter_add(&(worker)->counters.name, 1)
#define COUNT_BY(worker, name, n) counter_add(&(worker)->counters.name, (uint64_t)(n))
#define UNCOUNT(worker, name)     counter_add(&(worker)->counters.name, UINT64_MAX)

struct worker {
	uint32_t index;
	const struct proxy_shared *shared;
	pthread_t thread;
	struct poller poller;
	struct watch bell;

	struct wheel wheel;
	uint64_t now_us; /* of this turn of the loop */
	bool draining, stopping;

	struct worker_gen *gen;
	struct upstream_slot *slots; /* by target slot */
	uint32_t n_slots;
	struct list listeners;
	struct list fresh;           /* clients without a request so far, the oldest first */
	struct tally_table *tallies; /* connections by source, of all workers */
	bool walking;                /* somebody goes through clients: none may be closed aside */
	int fd_short;                /* a descriptor from here on: they run short */
	struct pipes pipes;
	struct udp_io *udp;

	struct grave *graves;
	struct txn *dead_txns, *free_txns;
	uint32_t n_free_txns;

	struct list ack_waits;
	struct list wait_lines; /* waiting.h: those with somebody */
	struct access_state access;
	struct log_limit log_targets, log_accept, log_prefaces;

	struct counters counters;
	struct reasons refused_requests, refused_connections, failed_attempts;

	/* Shared with the control thread. */
	int bell_fd; /* eventfd: there is mail, or what a response waits for was acknowledged */
	atomic_bool rung;
	pthread_mutex_t mail_lock;
	struct message *mail_first, **mail_last; /* under mail_lock */
	_Atomic uint64_t heartbeat_us;
	_Atomic uint64_t applied; /* serial of the generation in force */
	atomic_bool drain_seen;
	atomic_uint n_ack_waits; /* read by the sync thread */
	struct queue_desk desk;  /* places for those of ours that wait; shared with the workers */

	/* Scratch: valid within one callback. */
	struct buf scratch; /* a generated head */
	struct h1_head head;
	struct route_space *route_space;
	struct act_room *act_room;
	char read[WORKER_READ_SIZE];
};

struct worker *worker_new(uint32_t index, const struct proxy_shared *shared,
    struct tally_table *tallies, struct accesslog *log);
int worker_start(struct worker *worker); /* 0 or -errno */
/* Takes `message`. Any thread. */
void worker_post(struct worker *worker, struct message *message);
void worker_join(struct worker *worker);
/* After worker_join, or when it was never started. */
void worker_free(struct worker *worker);
/* The journal's ack listener: any thread. */
void worker_ack_wake(void *worker);

static inline struct worker_gen *worker_gen_get(struct worker_gen *gen)
{
	gen->refs++;
	return gen;
}
void worker_gen_put(struct worker_gen *gen);
/* `gen`, which is in force, has the configuration of `before` and this target of it (NULL: none). */
bool worker_gen_follows(
    const struct worker_gen *gen, const struct worker_gen *before, const struct target *target);
/* Frees one that no worker has seen. */
void worker_gen_free(struct worker_gen *gen);

void worker_bury(struct worker *worker, union node *node, void *base);
/* The worker looks what there is for it. Any thread. */
void worker_ring(struct worker *worker);

static inline struct worker *worker_of_watch(const struct watch *watch)
{
	return list_entry(watch->poller, struct worker, poller);
}

static inline void timer_init(
    struct timer *timer, void (*fire)(struct worker *worker, struct timer *timer))
{
	wheel_entry_init(&timer->entry);
	timer->fire = fire;
}

/* Not before now + timeout_us, although now_us is the beginning of this turn. */
static inline void timer_set(struct worker *worker, struct timer *timer, uint64_t timeout_us)
{
	wheel_set(&worker->wheel, &timer->entry, worker->now_us + timeout_us + WHEEL_TICK_US);
}

static inline void timer_cancel(struct worker *worker, struct timer *timer)
{
	wheel_cancel(&worker->wheel, &timer->entry);
}

/* listener.c */
void listener_init(struct listener *listener, struct worker *worker);
void listener_attach(struct listener *listener, const struct conf_listener *conf);
/* Takes a connection that counts already, as its mode says: preface.h. */
void listener_serve(struct listener *listener, struct arrival *arrival);
/* No more new connections; those in the kernel's queue are taken first. */
void listener_shut(struct listener *listener);
/* Not in the configuration any more: closed, and freed with its last connection. */
void listener_retire(struct listener *listener);
void listener_close_idle(struct listener *listener);
/* The limit that is passed when `more` connections come to those that count already, as a word for
 * people; NULL: none. */
const char *listener_limit(const struct listener *listener, uint32_t more);
/* A user's connection, or UDP session, began. */
void listener_joined(struct listener *listener);
/* Undoes a `connections++` that kept it alive. May free the listener. */
void listener_release(struct listener *listener);
/* A connection ended, our `own` or a user's. May free the listener. */
void listener_left(struct listener *listener, bool own);
/* Closes it with all its connections. */
void listener_stop(struct listener *listener);
/* Takes who waits to be accepted: those whose socket is `unwanted` are reset, the others served. How
 * many were reset. */
uint32_t listener_sift_queue(
    struct listener *listener, bool (*unwanted)(const void *arg, int fd), const void *arg);
/* How many wait to be accepted, and for how many there is room. Also for the control thread. False:
 * the kernel does not say. */
bool listener_queue(const struct listener *listener, uint32_t *waiting, uint32_t *room);

/* `pool web target 192.0.2.21:8080: connect refused`, rate-limited. */
void worker_log_target(
    struct worker *worker, const char *pool, const struct target *target, const char *what);
const char *worker_error_text(int error); /* of a negative errno */
bool worker_error_is_local(int error);    /* our own shortage, not the target's fault */
