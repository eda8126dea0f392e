/* rtnetlink tells when something about interfaces or addresses has changed; what it is now,
 * link/netif.h says. So a lost event costs nothing but one more question. Reading does not
 * allocate. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"

struct vrrp_monitor;

/* LOST: also what was not told. */
enum { VRRP_MONITOR_CHANGED = 1, VRRP_MONITOR_LOST = 2 };

/* Somebody added or removed an address. */
typedef void vrrp_monitor_fn(int ifindex, const struct addr *addr, bool added);

/* Changes of addresses by the netlink socket `own_port` are not told. NULL with a text. */
struct vrrp_monitor *vrrp_monitor_new(uint32_t own_port, struct err *err);
void vrrp_monitor_free(struct vrrp_monitor *monitor);
int vrrp_monitor_fd(const struct vrrp_monitor *monitor);
/* Reads all there is, and calls `changed` for each address that came or went. Returns
 * VRRP_MONITOR_* bits. */
unsigned vrrp_monitor_read(struct vrrp_monitor *monitor, vrrp_monitor_fn *changed);
