/* One virtual router on this node: the state machine, its socket and its one timer. Performs what
 * the machine orders, says each change with its reason. Lives in a static array: nothing here
 * allocates after the start, but putting up or changing a fence (vrrp/lease) does. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/core/announce.h"
#include "vrrp/core/fsm.h"
#include "vrrp/core/lateness.h"
#include "vrrp/core/packet.h"
#include "vrrp/daemon/guard.h"
#include "vrrp/daemon/timer.h"
#include "vrrp/daemon/track.h"
#include "vrrp/link/netif.h"
#include "vrrp/link/socket.h"
#include "vrrp/link/vip.h"

struct vrrp_instance;

/* What all virtual routers of the process use. */
struct vrrp_station {
	struct ev_loop *loop;
	struct vrrp_netlink *route;
	int arp_fd;               /* packet socket: ARP, and frames for the fence */
	struct vrrp_lease *lease; /* NULL: the nodes' kernel cannot */
	int waiting_fd;           /* daemon/waiting.h */
	uint64_t waited_us;       /* as it was at the last tick */
	/* Worth an event, already logged. */
	void (*remarked)(
	    struct vrrp_station *station, const struct vrrp_instance *instance, const char *text);
	/* A change of state, already logged. */
	void (*changed)(
	    struct vrrp_station *station, struct vrrp_instance *instance, enum vrrp_state previous);
	/* It was called `before` until now; nothing else has changed. */
	void (*renamed)(
	    struct vrrp_station *station, struct vrrp_instance *instance, const char *before);
	/* Something else that is shown has changed. */
	void (*noted)(struct vrrp_station *station, struct vrrp_instance *instance);
	/* For the peer, by way of the proxy: a WORD. May be lost. */
	void (*say)(struct vrrp_station *station, const union ipc_message *msg);
	/* Reads what has come that way: any virtual router may have gone on when it returns. */
	void (*listen)(struct vrrp_station *station);
};

/* Who is told of changes. */
enum vrrp_listener { VRRP_TELL_YOKED = 1, VRRP_TELL_PROXY = 2 };

/* Is the proxy fit to serve? `reason` tells why not. `waiting`: it is, but does not know yet what
 * the Active peer knows. */
struct vrrp_fitness {
	bool ready, waiting, warm;
	const char *reason;
};

/* What a stranger can make us log, each limited by itself. */
enum vrrp_complaint {
	COMPLAINT_REFUSED,
	COMPLAINT_INTERVAL,
	COMPLAINT_ADDRESSES,
	COMPLAINT_PRIORITY,
	COMPLAINT_STALL,
	COMPLAINT_SEND,
	COMPLAINT_LEASE,
	COMPLAINT_ADDED,
	COMPLAINT_LATE,
	COMPLAINT_FOREIGN,
	COMPLAINT_LOST,
	COMPLAINT_FOUND,
	COMPLAINT_HELD,
	COMPLAINT_COUNT
};

struct vrrp_instance {
	bool used;
	bool removed; /* stops because the configuration names it no more */
	struct vrrp_station *station;
	struct ipc_router config;
	struct vrrp_fsm fsm;
	struct vrrp_netif netif;
	bool adopted; /* it is fit, the fence stands on it, the virtual MAC is made */
	struct vrrp_socket sock;
	uint64_t open_us;       /* when it is tried again, if it could not be opened */
	uint32_t open_pause_us; /* and how long after that */
	struct vrrp_auth auth;
	struct vrrp_guard guard;
	enum vrrp_checksum form; /* of what we send */
	int presence_fd;         /* link/presence.h */
	ev_io readable;
	ev_io foreign; /* others that announce our addresses; fd -1: closed */
	struct vrrp_timer timer;
	struct vrrp_burst burst;
	uint64_t refresh_us; /* when the addresses are refreshed next; VRRP_NEVER */

	struct vrrp_tracking tracking;

	/* Why it is not fit; empty: no objection. */
	char proxy_fault[IPC_REASON_MAX];
	char link_fault[IPC_REASON_MAX];
	char vmac_problem[IPC_REASON_MAX]; /* why there is no virtual MAC, if there should be */
	bool waiting, warm;
	bool handed_over; /* by the operator: no preemption before we have been Active again */
	char trouble[IPC_REASON_MAX]; /* something failed; tried again at retry_us */
	uint64_t retry_us;
	uint64_t removed_us; /* others remove our addresses: the first time of a window */
	unsigned n_removed;
	uint64_t mute_us; /* since when no advert could be sent; 0: the last one was */

	enum vrrp_event event;  /* the machine's last one */
	unsigned untold;        /* enum vrrp_listener: who could not be told of a change */
	uint64_t since_us;      /* of the present state */
	enum vrrp_state before; /* what it was before */
	char reason[IPC_REASON_MAX];
	uint64_t heard_us; /* the last advert that we respected; 0: none since the last change */
	struct addr heard_from;
	uint8_t heard_priority;
	bool heard_better;   /* it would win against us */
	uint64_t ignored_us; /* the last advert of a lower priority, ignored */
	uint8_t preempted;   /* the priority of who has resigned to our claim; 0: nobody has */

	/* Why its time has come, and it is still Backup; empty: it has not. */
	char held[IPC_REASON_MAX];
	ev_io ear; /* active: nothing was heard since the link came up */
	uint64_t deaf_since_us;

	/* With others of a group. */
	bool left;         /* it was Active, and the others do not know yet */
	uint64_t split_us; /* since when the peer has a part of the group; 0: it has none */

	/* By replication. */
	bool paired;        /* the peer has ever said anything: it is a yoke */
	bool peer_active;   /* what it said last of its state */
	uint8_t other_vrid; /* by which it is Active, if that is not ours; 0: it is not */
	bool released;      /* the change under way: we were Active and have let go of it all */
	uint64_t asked_us, handover_us;
	/* Adverts are lost since lost_us, but the peer is Active; else empty, and why it ended. */
	char lost[IPC_REASON_MAX], found[IPC_REASON_MAX];
	uint64_t lost_us;

	struct ipc_router_stats stats;
	struct vrrp_lateness lateness; /* of the timer */
	struct vrrp_lateness silence;  /* Backup: between two adverts */
	uint64_t late_us;              /* the timer that woke us; 0: something else did */
	uint64_t counted_due_us;       /* when it was due last */
	struct log_limit limits[COMPLAINT_COUNT];
};

/* Starts with `config`; addresses that an earlier life left on the interface are removed. */
void vrrp_instance_start(struct vrrp_instance *instance, struct vrrp_station *station,
    const struct ipc_router *config, const struct vrrp_fitness *fitness);
/* Resigns if Active; nothing is left but to stop it. */
void vrrp_instance_leave(struct vrrp_instance *instance, const char *reason);
/* Leaves, and frees what it holds. `instance->used` is false then. */
void vrrp_instance_stop(struct vrrp_instance *instance, const char *reason);
/* A new set has it under another name. The machine goes on: nobody on the wire knows names. */
void vrrp_instance_rename(struct vrrp_instance *instance, const char *name);
/* A new set names it, with `next`: lets go of what another one of the set may want. Addresses that
 * it loses are removed; for another interface, VRID, family, version, mode or node address it is
 * stopped, to be started anew. */
void vrrp_instance_make_room(struct vrrp_instance *instance, const struct ipc_router *next);
/* Goes over to `config`, for which it has made room and was not stopped: priority, interval,
 * addresses and policies change in place. */
void vrrp_instance_configure(struct vrrp_instance *instance, const struct ipc_router *config,
    const struct vrrp_fitness *fitness);

/* The proxy's fitness; the same as before does nothing. */
void vrrp_instance_set_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness);
/* What the peer says of this virtual router by replication: its VRID and state; that it has let go
 * of the VIP in our favour. */
void vrrp_instance_hear_peer(
    struct vrrp_instance *instance, uint8_t vrid, bool active, bool handed_over);
/* The same way: it asks whether we hold it (we say yes, or nothing), says that it does, asked by us,
 * or claims it: as on the wire, and a question. */
void vrrp_instance_hear_word(struct vrrp_instance *instance, const struct ipc_word *word);
/* Something about interfaces has changed: look again. */
void vrrp_instance_check_link(struct vrrp_instance *instance);
/* The node's own address may have come to another interface. */
void vrrp_instance_check_path(struct vrrp_instance *instance);
/* Somebody else added or removed an address. */
void vrrp_instance_address_changed(
    struct vrrp_instance *instance, int ifindex, const struct addr *addr, bool added);
/* The rules of this host have changed, perhaps ours too. */
void vrrp_instance_check_guard(struct vrrp_instance *instance);
/* The set of virtual routers is another one, and perhaps its group. */
void vrrp_instance_regroup(struct vrrp_instance *instance);
/* Every 100 ms or so. */
void vrrp_instance_tick(struct vrrp_instance *instance);
/* Gives the VIP to the peer. -EPERM with a text when it is not Active. */
int vrrp_instance_resign(struct vrrp_instance *instance, const char *reason, struct err *err);
/* What was counted, as a message. */
void vrrp_instance_tell_stats(
    const struct vrrp_instance *instance, uint64_t now_us, union ipc_message *msg);
/* The state as a message. */
void vrrp_instance_describe(
    const struct vrrp_instance *instance, enum vrrp_state previous, union ipc_message *msg);
