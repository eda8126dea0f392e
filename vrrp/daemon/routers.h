/* The set of virtual routers of this node, and how a new set replaces it. */
#pragma once

#include "vrrp/daemon/instance.h"

#define VRRP_ROUTERS_MAX 32

/* Collects one router of the next set; what is wrong is said by vrrp_routers_apply. */
void vrrp_routers_stage(const struct ipc_router *config);
/* Puts the collected set in force: routers that it does not name resign and go, new ones start,
 * changed ones change, others notice nothing. -errno with a text when the set is refused; nothing
 * has changed then. The next set begins empty either way. */
int vrrp_routers_apply(
    struct vrrp_station *station, const struct vrrp_fitness *fitness, struct err *err);

/* In turn: the one after `after` (NULL: the first), NULL at the end. */
struct vrrp_instance *vrrp_routers_next(const struct vrrp_instance *after);
/* The same for the others of the group of `instance`. */
struct vrrp_instance *vrrp_routers_mate(
    const struct vrrp_instance *instance, const struct vrrp_instance *after);
void vrrp_routers_set_fitness(const struct vrrp_fitness *fitness);
void vrrp_routers_check_links(void);
void vrrp_routers_check_paths(void);
void vrrp_routers_check_guards(void);
void vrrp_routers_address_changed(int ifindex, const struct addr *addr, bool added);
/* Is one of them that one? */
bool vrrp_routers_own(const struct vrrp_fence_id *id);
void vrrp_routers_tick(void);
/* All Active ones resign; all end. */
void vrrp_routers_stop(const char *reason);
/* NULL when there is none of that name and VRID (0: any). */
struct vrrp_instance *vrrp_routers_find(const char *name, uint8_t vrid);
/* `name` empty: every Active router. 0 with a text that says what was done; -ENOENT, -EPERM with
 * one that says why not. */
int vrrp_routers_resign(const char *name, const char *reason, struct err *err);
