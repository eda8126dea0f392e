/* What the files of the supervisor share; nobody else includes it. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/supervisor/args.h"
#include "daemon/supervisor/child.h"
#include "daemon/supervisor/listeners.h"
#include "daemon/supervisor/rundir.h"
#include "daemon/supervisor/scripts.h"
#include "daemon/supervisor/setup.h"

/* Routers of the set in force and of the one before, while a reload goes from one to the other. */
#define KNOWN_ROUTERS_MAX (2 * CONF_ROUTERS_MAX)
#define RELOADS_MAX       8 /* requests that may wait */

/* What a child still has to be told, in this order. Nothing is copied: messages are made when the
 * channel takes them. */
struct outbox {
	enum outbox_stage {
		OUTBOX_IDLE,
		OUTBOX_BEGIN, /* proxy: CONFIG */
		OUTBOX_LOG,   /* proxy: ACCESS_LOG, if there is one */
		OUTBOX_ITEMS, /* LISTENER.. or ROUTER.. */
		OUTBOX_END    /* CONFIG_END or ROUTERS_END */
	} stage;
	const struct setup *setup; /* which is being sent */
	uint64_t generation;
	bool awaiting;            /* its answer */
	uint32_t item;            /* vrrp: the next router */
	struct listener *sending; /* proxy: the listener just taken */
	bool next_set;            /* proxy: listeners of the next set, not the current one */
	int link_fd;              /* or -1 */
	bool result, log, quiesce, shutdown;
	uint64_t shutdown_timeout_us;
	enum {
		SENT_NOTHING,
		SENT_SET,
		SENT_LINK,
		SENT_RESULT,
		SENT_LOG,
		SENT_SCRIPT,
		SENT_QUIESCE,
		SENT_SHUTDOWN
	} in_flight;
};

/* A process that the supervisor talks to. */
struct peer {
	struct child child;
	struct outbox out;
	bool settled; /* a set is in force since it started */
	uint64_t started_us, heartbeat_us;
};

/* How far the authenticated adverts of a virtual router have come, by its name. */
struct auth_memory {
	char router[IPC_NAME_MAX];
	struct ipc_auth_mark marks[KEYS_MAX];
};

struct known_router {
	struct ipc_router router; /* as sent to the yoke-vrrp that runs */
	bool active;
};

enum reload_phase {
	RELOAD_IDLE,
	RELOAD_PROXY,   /* yoke-proxy is to apply the new set */
	RELOAD_VRRP,    /* then yoke-vrrp (or to end) */
	RELOAD_ROLLBACK /* yoke-vrrp refused: yoke-proxy goes back to the old set */
};

struct supervisor {
	const struct args *args;
	struct ev_loop *loop;
	ev_signal terminate, interrupt, hangup, user1;
	ev_timer tick;
	uint64_t last_tick_us, watchdog_interval_us, watchdog_next_us;
	struct rundir rundir;
	struct listeners listeners;
	struct setup *setup; /* in force */
	uint32_t workers;
	uint64_t generation;
	struct peer proxy, vrrp;
	struct scripts scripts;
	struct known_router routers[KNOWN_ROUTERS_MAX];
	uint32_t n_routers;
	struct auth_memory marks[KNOWN_ROUTERS_MAX];
	bool ready;
	bool reopen_log; /* as soon as no reload is under way */
	int exit_code;

	enum { RUNNING, QUIESCING, ENDING_VRRP, ENDING_PROXY, ENDED } stage;
	uint64_t stage_deadline_us;

	struct {
		enum reload_phase phase;
		struct setup *candidate;
		uint64_t id; /* of the request under way; 0: by signal */
		uint64_t deadline_us;
		int error;
		uint64_t waiting[RELOADS_MAX];
		uint32_t n_waiting;
		char text[IPC_TEXT_MAX];
		union ipc_message result;
	} reload;
};

/* peers.c: talking to the children */
void peers_init(struct supervisor *sup);
/* Its access log's file was opened anew. */
void peers_send_log(struct supervisor *sup);
/* Sends a set (again); for the proxy the listeners of the current or next set. */
void peers_send_to_proxy(struct supervisor *sup, const struct setup *setup, bool next_set);
void peers_send_to_vrrp(struct supervisor *sup, const struct setup *setup);
void peers_send_quiesce(struct supervisor *sup);
void peers_send_shutdown(struct peer *peer, uint64_t timeout_us);
/* Heartbeats that stopped, answers that do not come. */
void peers_check(struct supervisor *sup, uint64_t now_us);
/* yoked itself slept: the silence was ours. */
void peers_forgive(struct supervisor *sup, uint64_t now_us);
bool peer_running(const struct peer *peer);

/* known.c: the virtual routers of the yoke-vrrp that runs */
struct known_router *known_find(
    struct supervisor *sup, const char *name, const char *interface, uint8_t vrid);
/* It is known before it can be Active. A router whose addresses change is still the same one; the
 * old addresses are yoke-vrrp's to remove, or, if it dies over that, the kernel's: by their lifetime. */
void known_add(struct supervisor *sup, const struct ipc_router *router);
/* yoke-vrrp runs this set, whatever it was sent: it has resigned the others. */
void known_settle(struct supervisor *sup, const struct setup *setup);
/* The marks outlive the yoke-vrrp that told them, for the next one. */
void known_remember_marks(struct supervisor *sup, const struct ipc_router *router);
/* As setup_router_message, with the marks. */
void known_router_message(
    struct supervisor *sup, const struct setup *setup, uint32_t index, union ipc_message *msg);

/* reload.c */
void reload_request(struct supervisor *sup, uint64_t id);
/* The file of the access log is opened anew; the configuration is not read. */
void reload_log_request(struct supervisor *sup);
void reload_check(struct supervisor *sup, uint64_t now_us);
/* What the children answer; true when the answer belonged to a reload. */
bool reload_on_proxy_applied(struct supervisor *sup, int error, const char *text);
bool reload_on_vrrp_applied(struct supervisor *sup, int error, const char *text);
void reload_on_proxy_died(struct supervisor *sup, const char *how);
void reload_on_vrrp_died(struct supervisor *sup, bool clean, const char *how);
/* The configuration that a child that starts now is to get. */
const struct setup *reload_target(const struct supervisor *sup, bool *next_set);

/* supervisor.c */
void supervisor_check_ready(struct supervisor *sup);
void supervisor_update_status(struct supervisor *sup);
void supervisor_end(struct supervisor *sup, const char *why, int exit_code);
void supervisor_on_quiet(struct supervisor *sup);
void supervisor_child_died(struct supervisor *sup);
