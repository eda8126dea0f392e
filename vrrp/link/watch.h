/* Who else says that it has our addresses? ARP whose sender is one of them, and neighbour
 * advertisements for one, from another MAC than ours: a packet socket, whose filter drops
 * everything else in the kernel. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "vrrp/link/netif.h"

/* `addresses` are of one family. A descriptor, or -errno with a text. To close it takes the kernel
 * many milliseconds. */
int vrrp_watch_open(const struct vrrp_netif *netif, const struct addr *addresses,
    unsigned n_addresses, struct err *err);
/* Other addresses, or another MAC, of the same interface. 0 or -errno with a text. */
int vrrp_watch_change(int fd, const struct vrrp_netif *netif, const struct addr *addresses,
    unsigned n_addresses, struct err *err);
/* Takes one: who says it, of which address. False: there is none. */
bool vrrp_watch_read(int fd, uint8_t mac[6], struct addr *addr);
