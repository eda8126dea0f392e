/* What the virtual routers watch besides their peers: interfaces and addresses are asked from here,
 * pools and scripts are told by the other processes. Results become parts of the priority, or
 * faults; those of a group count for all of it. The rules are core/track.h's. */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/core/track.h"
#include "vrrp/link/ping.h"

struct vrrp_instance;

/* An address that is asked now and then. */
struct vrrp_watch {
	struct vrrp_ping ping;
	uint64_t next_us;     /* the next request */
	uint64_t answered_us; /* when the last request left that was answered; 0: none */
};

/* Of one virtual router; indexes are those of its configuration. */
struct vrrp_tracking {
	struct vrrp_tracked results[IPC_TRACKED_MAX];
	struct vrrp_watch watches[IPC_TRACKED_MAX]; /* addresses only */
	struct vrrp_watch witness;
	struct vrrp_rival rival;
	uint8_t rival_priority;
	bool relieves;              /* takes over from an Active that is worse off */
	char fault[IPC_REASON_MAX]; /* empty: none */
};

/* Opens the sockets that ask. Without them, which is said in the log, addresses stay unseen. */
void vrrp_track_open(struct ev_loop *loop);
void vrrp_track_close(void);

/* What others found out. */
void vrrp_track_pool(const struct ipc_pool *pool);
void vrrp_track_script(const struct ipc_script *script);
