/* What yoked does for a yoke-vrrp that died without a word: for each virtual router first what the
 * peer waits for, then, for all of them, what the kernel takes longer for. */
#pragma once

#include <stdbool.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/netlink/netlink.h"

struct vrrp_goodbye {
	struct vrrp_netlink *route;
	int packet_fd;
};

/* Needs CAP_NET_RAW and CAP_NET_ADMIN. What cannot be had is missed, and said, by the next one. */
void vrrp_goodbye_begin(struct vrrp_goodbye *goodbye);
/* Ends the lease, removes the router's addresses and, if it was Active, tells the peer by an advert
 * of priority 0, so that it takes over at once, or in its Skew_Time if it is no yoke. Tries
 * everything; returns the first error (-errno with a text) or 0. Blocks for a few system calls only.
 * An interface that is missing or down has no addresses to remove from the view of others: no
 * error. */
int vrrp_goodbye_say(const struct vrrp_goodbye *goodbye, const struct ipc_router *router,
    bool was_active, struct err *err);
/* Removes its virtual MAC, if it has one. */
void vrrp_goodbye_clear(const struct vrrp_goodbye *goodbye, const struct ipc_router *router);
void vrrp_goodbye_end(struct vrrp_goodbye *goodbye);
