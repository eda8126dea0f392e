/* The VIP in the kernel: a /32 that the kernel itself takes away when nobody refreshes it. libnl
 * allocates and frees a message for each call; nothing is kept. */
#pragma once

#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"

struct vrrp_vip;

/* A netlink socket for the calls below. NULL with a text. */
struct vrrp_vip *vrrp_vip_open(struct err *err);
void vrrp_vip_close(struct vrrp_vip *vip);

/* Adds or refreshes: valid for `lifetime_s` from now. 0 or -errno with a text. */
int vrrp_vip_set(struct vrrp_vip *vip, int ifindex, const struct addr *addr, unsigned lifetime_s,
    struct err *err);
/* 0 also when the interface or the address is not there. */
int vrrp_vip_remove(struct vrrp_vip *vip, int ifindex, const struct addr *addr, struct err *err);

/* A lifetime that ends before a peer's Active_Down_Interval where whole seconds allow it, and how
 * often to refresh: four times in it, so that three may fail. */
unsigned vrrp_vip_lifetime_s(uint32_t advertise_us);
uint64_t vrrp_vip_refresh_us(uint32_t advertise_us);
