/* rtnetlink tells when something about interfaces or IPv4 addresses has changed; what it is now,
 * link/netif.h says. So a lost event costs nothing but one more question. */
#pragma once

#include "daemon/base/err.h"

struct vrrp_monitor;

enum { VRRP_MONITOR_LINKS = 1, VRRP_MONITOR_ADDRESSES = 2 };

struct vrrp_monitor *vrrp_monitor_new(struct err *err);
void vrrp_monitor_free(struct vrrp_monitor *monitor);
int vrrp_monitor_fd(const struct vrrp_monitor *monitor);
/* Reads all there is; returns VRRP_MONITOR_* bits, both when events were lost. */
unsigned vrrp_monitor_read(struct vrrp_monitor *monitor);
