/* The fence of one virtual router, and what to do without: a node whose kernel has no nftables, or
 * that may not use it, works on, guarded by the lifetime of the addresses only, and says so. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/core/fsm.h"
#include "vrrp/lease/lease.h"
#include "vrrp/link/netif.h"

struct vrrp_guard {
	struct vrrp_lease *lease; /* NULL: the library cannot be used */
	bool up;
	char problem[IPC_REASON_MAX]; /* why it is not up; empty when it is */
	uint32_t active_interval_us;  /* what its times are made for */
	uint64_t changed_us;
	char other_path[16]; /* the interface of unicast adverts, if it is not that of the VIP */
};

/* Puts the fence up for `config` on `netif`, or changes it. Says it when that fails, or works again
 * after it failed; the guard is then not up. */
void vrrp_guard_raise(struct vrrp_guard *guard, const struct ipc_router *config,
    const struct vrrp_netif *netif, const struct vrrp_fsm *fsm, enum vrrp_fence_mode mode);
void vrrp_guard_lower(struct vrrp_guard *guard, const struct ipc_router *config);

/* How long the lease lives from now; 0 when it is over, or there is no fence. */
uint64_t vrrp_guard_left_ms(const struct vrrp_guard *guard, const struct ipc_router *config);
/* -ENOBUFS came back from a send: was it the fence, because the lease is over? */
bool vrrp_guard_refused(const struct vrrp_guard *guard, const struct ipc_router *config);

/* Another Active with other times was heard: not more often than once in a second. */
bool vrrp_guard_outdated(
    const struct vrrp_guard *guard, const struct vrrp_fsm *fsm, uint64_t now_us);
/* Unicast adverts take another path than it stands on. Allocates. */
bool vrrp_guard_strayed(const struct vrrp_guard *guard, const struct ipc_router *config);
/* Somebody flushed all rules of this host. */
bool vrrp_guard_gone(struct vrrp_guard *guard, const struct ipc_router *config);
