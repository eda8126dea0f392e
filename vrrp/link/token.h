/* Sends the fence's frames (core/fence.h). */
#pragma once

#include "vrrp/core/fence.h"
#include "vrrp/link/netif.h"

/* Through a packet socket (link/arp.h). 0; -ENOBUFS: a fence refused it; -ENOTSUP: not an Ethernet
 * interface, which has no use for it; else -errno. */
int vrrp_token_send(
    int fd, const struct vrrp_netif *netif, enum vrrp_token kind, const struct vrrp_fence_id *id);
