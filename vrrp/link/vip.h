/* The VIP in the kernel: a /32 or /128 that the kernel itself takes away when nobody refreshes it.
 * `route`: a socket of NETLINK_ROUTE. */
#pragma once

#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "vrrp/netlink/netlink.h"

/* Adds or refreshes: valid for `lifetime_s` from now; IPv6 without duplicate address detection
 * (RFC 9568 section 6.4.2 replaces it). 0 or -errno with a text. */
int vrrp_vip_set(struct vrrp_netlink *route, int ifindex, const struct addr *addr,
    unsigned lifetime_s, struct err *err);
/* 0 also when the interface or the address is not there. */
int vrrp_vip_remove(
    struct vrrp_netlink *route, int ifindex, const struct addr *addr, struct err *err);

/* A lifetime that ends before a peer's Active_Down_Interval where whole seconds allow it, and how
 * often to refresh: four times in it, so that three may fail. */
unsigned vrrp_vip_lifetime_s(uint32_t advertise_us);
uint64_t vrrp_vip_refresh_us(uint32_t advertise_us);
