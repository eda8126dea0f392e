/* What the message about a virtual router (daemon/ipc) says, in the words of the layers below. */
#pragma once

#include "daemon/ipc/ipc.h"
#include "vrrp/core/auth.h"
#include "vrrp/core/fence.h"

_Static_assert(
    KEYS_MAX == VRRP_AUTH_KEYS_MAX && KEY_LEN == VRRP_AUTH_KEY_LEN, "the keys are the pair's");

/* All addresses of a virtual router are of one family: there is one VRRP for each. */
static inline sa_family_t vrrp_router_family(const struct ipc_router *router)
{
	return router->addresses[0].addr.sa.sa_family;
}

static inline bool vrrp_router_is_ipv6(const struct ipc_router *router)
{
	return vrrp_router_family(router) == AF_INET6;
}

/* Is that one of its virtual addresses? */
static inline bool vrrp_router_has(const struct ipc_router *router, const struct addr *addr)
{
	for (unsigned i = 0; i < router->n_addresses; i++) {
		if (addr_equal_ip(&router->addresses[i].addr, addr))
			return true;
	}
	return false;
}

static inline void vrrp_router_configure_auth(
    const struct ipc_router *router, struct vrrp_auth *auth)
{
	vrrp_auth_configure(auth, (enum vrrp_auth_mode)router->authenticate, router->auth_keys.of,
	    router->auth_keys.n);
}

/* Also goes on where an earlier process was. */
static inline void vrrp_router_start_auth(const struct ipc_router *router, struct vrrp_auth *auth)
{
	struct vrrp_auth_marks marks;
	for (unsigned i = 0; i < KEYS_MAX; i++) {
		const struct ipc_auth_mark *mark = &router->auth_marks[i];
		marks.of[i] = (struct vrrp_auth_mark){mark->sent, mark->heard, mark->key_id};
	}
	*auth = (struct vrrp_auth){0};
	vrrp_router_configure_auth(router, auth);
	vrrp_auth_resume(auth, &marks);
}

static inline struct vrrp_fence_id vrrp_router_fence(const struct ipc_router *router)
{
	return (struct vrrp_fence_id){
	    .family = vrrp_router_family(router),
	    .vrid = router->vrid,
	    .interface = router->interface,
	};
}
