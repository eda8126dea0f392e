/* Puts fences (core/fence.h) into the kernel's nftables, by its library. Nothing here is needed for
 * a lease to be renewed, to end, or to be acquired: that is the packets' work. What changes a fence
 * allocates and takes about a millisecond; what only reads does neither. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "vrrp/core/fence.h"

struct vrrp_lease;

/* NULL with a text. */
struct vrrp_lease *vrrp_lease_open(struct err *err);
void vrrp_lease_close(struct vrrp_lease *lease);

/* Puts the fence up, or changes it; one transaction, so that the addresses are never without it.
 * Other tables are not touched. 0 or -errno with a text. */
int vrrp_lease_install(struct vrrp_lease *lease, const struct vrrp_fence *fence,
    enum vrrp_fence_mode mode, struct err *err);
/* 0 also when there is none. */
int vrrp_lease_remove(struct vrrp_lease *lease, const struct vrrp_fence_id *id, struct err *err);

/* How long the lease lives from now; 0 when it is over, or the fence is not there. */
uint64_t vrrp_lease_left_ms(struct vrrp_lease *lease, const struct vrrp_fence_id *id);
/* Is the fence there? Somebody else may have flushed all rules. */
bool vrrp_lease_installed(struct vrrp_lease *lease, const struct vrrp_fence_id *id);

/* A number that changes with every change of nftables' rules, by anybody; 0 when it cannot be read.
 */
uint32_t vrrp_lease_generation(struct vrrp_lease *lease);

/* Readable after each change of nftables' rules, by anybody; packets that renew or end a lease do not
 * make it so. */
int vrrp_lease_changes_fd(const struct vrrp_lease *lease);
/* Forgets what made it readable. Neither allocates nor waits. */
void vrrp_lease_drain_changes(struct vrrp_lease *lease);

/* Removes the fences that a dead run left, but those of virtual routers that `keep` knows. */
void vrrp_lease_sweep(struct vrrp_lease *lease, bool (*keep)(const struct vrrp_fence_id *id));
