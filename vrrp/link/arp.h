/* Sends gratuitous ARP, and for IPv6 unsolicited neighbour advertisements. */
#pragma once

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "vrrp/link/netif.h"

/* A packet socket that receives nothing. A descriptor, or -errno with a text. */
int vrrp_arp_open(struct err *err);
/* One round: `vip` is at netif->vip_mac; ARP in both forms. 0 or -errno. */
int vrrp_arp_announce(int fd, const struct vrrp_netif *netif, const struct addr *vip);
