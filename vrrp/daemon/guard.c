#include "vrrp/daemon/guard.h"

#include <string.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "vrrp/link/router.h"
#include "vrrp/link/vmac.h"

/* Unicast adverts go from address to address, perhaps by another interface than the VIP's: the
 * fence must stand there, too. Empty: it is that one. */
static void find_other_path(const struct ipc_router *config, char name[16])
{
	if (config->mode != CONF_VRRP_UNICAST ||
	    !vrrp_netif_holder(&config->local, config->interface, name))
		name[0] = '\0';
}

static int install(const struct vrrp_guard *guard, const struct ipc_router *config,
    const struct vrrp_netif *netif, const struct vrrp_fsm *fsm, enum vrrp_fence_mode mode,
    struct err *err)
{
	struct addr addresses[IPC_ADDRESSES_MAX];
	uint8_t virtual_mac[6];
	for (unsigned i = 0; i < config->n_addresses; i++)
		addresses[i] = config->addresses[i].addr;
	vrrp_vmac_address(config, virtual_mac);
	struct vrrp_fence fence = {
	    .id = vrrp_router_fence(config),
	    .advert_path = guard->other_path[0] ? guard->other_path : NULL,
	    .version = config->version,
	    .ttl_min = config->min_ttl,
	    .n_addresses = config->n_addresses,
	    .addresses = addresses,
	    .source = &netif->source,
	    .virtual_mac = config->virtual_mac ? virtual_mac : NULL,
	    .interval_us = config->advertise_us,
	    .active_interval_us = fsm->active_interval_us,
	};
	return vrrp_lease_install(guard->lease, &fence, mode, err);
}

static void note_problem(
    struct vrrp_guard *guard, const struct ipc_router *config, const char *problem)
{
	if (strcmp(guard->problem, problem) != 0)
		log_warn("vrrp %s: NO LEASE, only the lifetime of the addresses guards against two "
			 "holders when this node is stopped or killed: %s",
		    config->name, problem);
	text_copy(guard->problem, sizeof(guard->problem), problem);
	guard->up = false;
}

void vrrp_guard_raise(struct vrrp_guard *guard, const struct ipc_router *config,
    const struct vrrp_netif *netif, const struct vrrp_fsm *fsm, enum vrrp_fence_mode mode)
{
	struct err err;
	guard->active_interval_us = fsm->active_interval_us;
	guard->changed_us = clock_us();
	find_other_path(config, guard->other_path);
	if (!guard->lease) {
		note_problem(guard, config, "libnftables cannot be used");
		return;
	}
	if (install(guard, config, netif, fsm, guard->up ? mode : VRRP_FENCE_FRESH, &err)) {
		note_problem(guard, config, err.text);
		return;
	}
	if (guard->problem[0])
		log_notice("vrrp %s: the lease works", config->name);
	guard->problem[0] = '\0';
	guard->up = true;
}

void vrrp_guard_lower(struct vrrp_guard *guard, const struct ipc_router *config)
{
	struct err err;
	struct vrrp_fence_id id = vrrp_router_fence(config);
	if (guard->up && vrrp_lease_remove(guard->lease, &id, &err))
		log_error("vrrp %s: %s", config->name, err.text);
	guard->up = false;
}

uint64_t vrrp_guard_left_ms(const struct vrrp_guard *guard, const struct ipc_router *config)
{
	struct vrrp_fence_id id = vrrp_router_fence(config);
	return guard->up ? vrrp_lease_left_ms(guard->lease, &id) : 0;
}

bool vrrp_guard_refused(const struct vrrp_guard *guard, const struct ipc_router *config)
{
	return guard->up && vrrp_guard_left_ms(guard, config) == 0;
}

bool vrrp_guard_outdated(
    const struct vrrp_guard *guard, const struct vrrp_fsm *fsm, uint64_t now_us)
{
	return guard->up && fsm->active_interval_us != guard->active_interval_us &&
	       now_us - guard->changed_us > US_PER_SEC;
}

bool vrrp_guard_strayed(const struct vrrp_guard *guard, const struct ipc_router *config)
{
	char path[16];
	if (!guard->up)
		return false;
	find_other_path(config, path);
	return strcmp(path, guard->other_path) != 0;
}

bool vrrp_guard_gone(struct vrrp_guard *guard, const struct ipc_router *config)
{
	struct vrrp_fence_id id = vrrp_router_fence(config);
	return guard->up && !vrrp_lease_installed(guard->lease, &id);
}
