/* The virtual MAC (RFC 9568 section 7.3): an interface of its own on top of the virtual router's, a
 * macvlan named yv4-VRID-N or yv6-VRID-N (N: the index of the interface below). It has the virtual
 * addresses; adverts and announcements leave by it. The node's own addresses stay below.
 *
 * Mode bridge: in the others the kernel would give adverts that come from the same MAC, those of
 * the peer, to the macvlan alone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/core/fence.h"
#include "vrrp/link/netif.h"
#include "vrrp/netlink/netlink.h"

/* 00-00-5E-00-01-VRID, or 00-00-5E-00-02-VRID for IPv6. */
void vrrp_vmac_address(const struct ipc_router *router, uint8_t mac[6]);

/* Makes it anew and looks whether it is what was wanted: up, with that MAC. Then *netif has it as
 * the place of the addresses. -errno with a text, and then it is not there. The fence must stand:
 * the kernel greets the network from a new interface. */
int vrrp_vmac_create(struct vrrp_netlink *route, const struct ipc_router *router,
    struct vrrp_netif *netif, struct err *err);
/* Removes those that a dead run left, but those of virtual routers that `keep` knows. Of no more
 * than one run: what is over that is left to the next sweep. */
void vrrp_vmac_sweep(struct vrrp_netlink *route, bool (*keep)(const struct vrrp_fence_id *id));
/* Also when there is none. */
void vrrp_vmac_remove(
    struct vrrp_netlink *route, const struct ipc_router *router, const struct vrrp_netif *netif);

/* Finds the one that another process made; *netif stays as it is when there is none. */
void vrrp_vmac_find(const struct ipc_router *router, struct vrrp_netif *netif);
/* Is it still there, and up? */
bool vrrp_vmac_usable(const struct ipc_router *router, const struct vrrp_netif *netif);
