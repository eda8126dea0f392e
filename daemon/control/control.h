/* yoke-proxy's control thread: what its files share. One struct, owned by that thread; the parts
 * that other threads touch say so. */
#pragma once

#include <ev.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/conf.h"
#include "daemon/admin/admin.h"
#include "daemon/balance/fleet.h"
#include "daemon/base/quota.h"
#include "daemon/control/changes.h"
#include "daemon/control/events.h"
#include "daemon/control/warmth.h"
#include "daemon/health/prober.h"
#include "daemon/ipc/ipc.h"
#include "daemon/proxy/proxy.h"
#include "daemon/session/table.h"
#include "daemon/sync/sync.h"
#include "daemon/tls/derive.h"
#include "proto/journal.h"

#define CONTROL_TICK_SEC     (IPC_HEARTBEAT_US / 1e6)
#define CONTROL_INBOX_MAX    4096
#define CONTROL_JOURNAL_SIZE 65536
#define CONTROL_SAID_MAX     128

/* A configuration with what was built from it, and from what was changed since at run time. */
struct generation {
	struct proxy_generation pub; /* first: the proxy knows us by it */
	struct shared_conf *shared;
	const struct conf *conf;
	struct fleet *fleet;
	uint64_t number;
};

/* The mirror of a virtual router of yoke-vrrp. */
struct router_view {
	struct ipc_router_state state;
	struct ipc_router_stats stats; /* without a name: none came yet */
};

/* What the peer says of a virtual router of its own. */
struct peer_router {
	char name[IPC_NAME_MAX];
	uint8_t vrid, priority;
	uint8_t role; /* enum ipc_router_role */
	/* When the last one was passed on. */
	uint64_t words_us[IPC_WORD_COUNT], handed_over_us;
};

/* Records, and what the peer says besides, from the sync thread to the control thread. The sync
 * thread waits while it is full. */
struct inbox {
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct record records[CONTROL_INBOX_MAX];
	size_t n;
	struct sync_message said[CONTROL_SAID_MAX];
	size_t n_said;
	bool closed;
};

/* The targets' states as records, for the sync thread's snapshots: a copy under a lock, because a
 * target's reason and counters belong to the control thread. */
struct published {
	pthread_mutex_t lock;
	struct record *records; /* two a target: admin, health; one a pool */
	size_t n;
};

/* The addresses that a virtual router had when it was Active here last, and is not known to be
 * Active elsewhere since. */
struct held_addresses {
	char router[IPC_NAME_MAX];
	uint32_t n;
	struct addr addrs[IPC_ADDRESSES_MAX];
};

struct control {
	struct ev_loop *loop;
	bool started; /* the first configuration is in force */
	uint64_t start_us;

	/* yoked */
	ev_io supervisor_io;
	struct ipc_config incoming; /* the configuration that is being received */
	int incoming_text_fd, incoming_log_fd;
	int sync_listen_fd;   /* before sync starts */
	int admin_fds[2];     /* unix, TCP: not served before a configuration is in force */
	struct keys own_keys; /* where the pair has none: random */
	uint64_t applying;    /* generation whose APPLIED is due, or 0 */
	char file[sizeof(((struct ipc_config *)0)->file)];
	char node[IPC_NAME_MAX];

	/* the VIP is about to leave: handover.c */
	struct {
		bool waiting;
		bool for_supervisor; /* yoked goes on; else we resign ourselves */
		unsigned quiet_polls;
		uint64_t deadline_us;
		admin_ticket ticket;
		char router[IPC_NAME_MAX];
	} handover;

	/* yoke-vrrp */
	ev_io link_io; /* fd -1: no link */
	struct router_view routers[CONF_ROUTERS_MAX];
	uint32_t n_routers;
	bool active;         /* some virtual router is Active */
	uint64_t parting_us; /* since when only as routers_poll says; 0: it is */
	struct held_addresses held[CONF_ROUTERS_MAX];
	uint32_t n_held;
	struct peer_router peer_routers[CONF_ROUTERS_MAX];
	uint32_t n_peer_routers; /* 0: not connected, or it has not said anything yet */

	struct generation *current;
	struct session_table *sessions;
	struct journal *journal;
	struct proxy *proxy;
	ev_async outlier_wake; /* sent by workers */
	struct prober *prober;
	struct changes changes;
	uint64_t sights_told; /* what yoke-vrrp knows of tracked pools: prober_sights() */
	bool probing;

	struct sync *sync;
	ev_async sync_wake;
	struct inbox inbox;
	struct published published;
	enum sync_state sync_state; /* as last seen by the control thread */
	bool told; /* since the peer is Active and connected it has said how a target is */
	struct {
		enum sync_state state;
		enum sync_protection protection;
		struct quota quota;
	} sync_told; /* by events */
	struct {
		struct quota quota;
		uint64_t unsaid;
	} targets_told; /* changes, by the peer */
	struct warmth warmth;
	char key_names[KEYS_MAX][DERIVE_NAME_SIZE]; /* the first one speaks; "": no more */
	int64_t certificate_expiry;                 /* of ours, in seconds since 1970; 0: none */
	struct log_limit expiry_log;

	struct admin *admin;
	struct events events;

	ev_timer tick;
	uint64_t ticks;
	bool ready;                    /* every worker's loop turns, and we are not about to end */
	struct err stuck;              /* what of the proxy hangs; empty: nothing */
	uint64_t watched_us;           /* when we looked last */
	uint64_t thawed_us;            /* when we looked for the first time after a stall */
	uint64_t shutdown_deadline_us; /* 0: not shutting down */
};

/* control.c */
int control_run(struct control *control);
/* A part of what came with the incoming configuration, for the caller to free; a NUL behind it. NULL
 * with a text. */
char *control_read_incoming(
    const struct control *control, uint32_t offset, uint32_t len, struct err *err);
/* The target's admin state is another one now, and this is why. */
void control_note_admin(struct target *target, const char *why);
void control_object_target(
    char *buf, size_t size, const struct pool *pool, const struct target *target);

/* generation.c */
/* Takes `conf`. NULL, and nothing is taken, when out of memory. */
struct generation *generation_new(
    struct conf *conf, const struct overlay *overlay, uint64_t number, struct fleet *previous);
/* Another fleet under the same configuration; NULL when out of memory. */
struct generation *generation_next(const struct generation *now, const struct overlay *overlay);
void generation_free(struct generation *generation);

/* Polls again in a few milliseconds. */
void control_poll_soon(struct control *control);

/* handover.c: no request is lost when the VIP moves as planned */
void handover_for_supervisor(struct control *control);
struct admin_reply handover_by_operator(
    struct control *control, admin_ticket ticket, const char *router);
void handover_poll(struct control *control);
/* yoke-vrrp has answered, or is gone. */
void handover_over(struct control *control);

/* routers.c: the link to yoke-vrrp */
void routers_set_link(struct control *control, int fd);
void routers_heartbeat(struct control *control, bool ready);
/* yoke-vrrp is dead: are we still Active for replication? At each tick, and when the peer says something. */
void routers_poll(struct control *control);
const char *routers_role_name(uint8_t role); /* enum ipc_router_role */
/* To yoke-vrrp, if there is a link; what it does not read is lost. */
void routers_send(struct control *control, const union ipc_message *msg);
bool routers_linked(const struct control *control);
/* What yoke-vrrp has told of the virtual router with this name; NULL: nothing. */
struct router_view *routers_find(struct control *control, const char *name);
/* Asks yoke-vrrp to give the VIP away; its answer completes the ticket. 0 or -errno. */
int routers_resign(struct control *control, admin_ticket ticket, const char *name);

/* moved.c: connections to addresses that the peer has by now */
/* A virtual router was told of, and is in the mirror. */
void moved_note(struct control *control, const struct ipc_router_state *state);
/* From the tick, and when it may have become known that the peer is Active. */
void moved_poll(struct control *control);

/* track.c: what the virtual routers watch */
void track_report(struct control *control); /* to yoke-vrrp, from the tick */

/* panic.c */
void panic_poll(struct control *control); /* from the tick */
void track_note(struct control *control, const struct ipc_router_state *before,
    const struct ipc_router_state *now);

/* replica.c: between the fleet and the sync thread */
/* How the nodes prove who they are, as the incoming configuration says it; NULL where nothing is
 * replicated. 0, or -EINVAL with a text that names the key and the file. */
int replica_prepare(
    struct control *control, const struct conf *conf, struct tls_context **out, struct err *err);
/* Takes it, and starts the replication if this is the first one. */
int replica_use(struct control *control, struct tls_context *context, struct err *err);
/* Every second or so: says that our certificate is about to expire. */
void replica_check_certificate(struct control *control);
void replica_stop(struct control *control);
void replica_publish(struct control *control); /* the fleet is new */
void replica_set_active(struct control *control, bool active);
/* There is a new configuration. */
void replica_set_config(struct control *control);
/* A target's state changed here, or how far it is from another one: publish it, and replicate it if
 * we are the one to tell. */
void replica_health_changed(struct control *control, const struct target *target);
void replica_admin_changed(struct control *control, const struct target *target);
void replica_circuit_changed(struct control *control, const struct pool *pool);
/* What was changed at run time and is in force now. */
void replica_tell_changes(struct control *control);
/* The peer tells a change of a target: may the log and the events have it? They have the first ones of a
 * peer that says something else all the time, and then some. */
bool replica_may_say(struct control *control);
/* Every second or so, on a Backup: of the table, while the Active fills it. */
void replica_keep_limits(struct control *control);
/* An event when the state of replication is another one. */
void replica_tell_state(struct control *control);
/* Probe, or be told? */
void replica_update_probing(struct control *control);
/* The Active peer tells us the targets' states, and what is changed about them. */
bool replica_is_told(const struct control *control);
/* After a start: does it still wait for the peer's sessions? Tells who wants to know when it is
 * over. */
void replica_poll_warmth(struct control *control);

/* peer.c: between yoke-vrrp and the peer's, by way of the sync channel */
void peer_tell_state(struct control *control, const struct ipc_router_state *state);
void peer_tell_word(struct control *control, const struct ipc_word *word);
void peer_said(struct control *control, const struct sync_message *message);
void peer_replay(struct control *control); /* to a yoke-vrrp whose router is new */
const struct peer_router *peer_router(struct control *control, const char *name); /* or NULL */

/* outliers.c */
void outliers_start(struct control *control);
void outliers_wake(void *control);          /* a target fails. Any thread */
void outliers_set(struct control *control); /* there is a new configuration */
/* Whatever is due; also when a target's state has changed. */
void outliers_poll(struct control *control);
/* The peer says how it stands with a target, or a pool. */
void outliers_told(struct control *control, struct pool *pool, struct target *target,
    const struct outlier_report *report);
void outliers_circuit_told(
    struct control *control, struct pool *pool, enum breaker_state state, uint64_t left_us);

/* router_stats.c */
/* Adds what was counted to the status of a virtual router. */
void router_stats_put(struct json_object *router, const struct ipc_router_stats *stats);
void router_stats_metrics(FILE *out, const struct control *control);

/* views.c, metrics.c */
void views_callbacks(struct control *control, struct admin_callbacks *out);
char *metrics_text(struct control *control);
