/* Other parameters for a virtual router that runs: without a transition where that is possible. */
#include "vrrp/daemon/internal.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/link/router.h"

static bool same_place(const struct ipc_router *a, const struct ipc_router *b)
{
	return strcmp(a->interface, b->interface) == 0 && a->vrid == b->vrid &&
	       vrrp_router_family(a) == vrrp_router_family(b) && a->version == b->version &&
	       a->min_ttl == b->min_ttl && a->virtual_mac == b->virtual_mac && a->mode == b->mode &&
	       addr_equal_ip(&a->local, &b->local) && addr_equal_ip(&a->peer, &b->peer);
}

static bool same_auth(const struct ipc_router *a, const struct ipc_router *b)
{
	return a->authenticate == b->authenticate &&
	       memcmp(&a->auth_keys, &b->auth_keys, sizeof(a->auth_keys)) == 0;
}

static bool same_addresses(const struct ipc_router *a, const struct ipc_router *b)
{
	bool same = a->n_addresses == b->n_addresses;
	for (unsigned i = 0; i < a->n_addresses && same; i++)
		same = addr_equal_ip(&a->addresses[i].addr, &b->addresses[i].addr) &&
		       a->addresses[i].prefix == b->addresses[i].prefix;
	return same;
}

/* What decides about its priority and its promotion. */
static bool same_judgment(const struct ipc_router *a, const struct ipc_router *b)
{
	return a->peer_priority == b->peer_priority && strcmp(a->group, b->group) == 0 &&
	       a->startup_delay_us == b->startup_delay_us &&
	       addr_equal_ip(&a->witness, &b->witness) && a->n_tracked == b->n_tracked &&
	       memcmp(a->tracked, b->tracked, a->n_tracked * sizeof(a->tracked[0])) == 0;
}

/* The fence stands before new addresses come, and the sets of the old one stay. */
static void change_guard(struct vrrp_instance *instance)
{
	if (instance->adopted)
		vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif,
		    &instance->fsm, VRRP_FENCE_CHANGE);
}

void vrrp_instance_rename(struct vrrp_instance *instance, const char *name)
{
	char before[IPC_NAME_MAX];
	text_copy(before, sizeof(before), instance->config.name);
	text_copy(instance->config.name, sizeof(instance->config.name), name);
	log_notice("vrrp %s: was called %s, still %s", name, before,
	    vrrp_state_name(vrrp_state_outside(instance->fsm.state)));
	instance->station->renamed(instance->station, instance, before);
}

void vrrp_instance_make_room(struct vrrp_instance *instance, const struct ipc_router *next)
{
	static const char reason[] = "configuration changed";
	struct err err;
	if (!same_place(&instance->config, next)) {
		vrrp_instance_leave(instance, reason);
		instance_lead_group(instance);
		vrrp_instance_stop(instance, reason);
		return;
	}
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		const struct addr *addr = &instance->config.addresses[i].addr;
		if (!vrrp_router_has(next, addr) && vrrp_vip_remove(instance->station->route,
							instance->netif.vip_ifindex, addr, &err))
			log_error("vrrp %s: %s", instance->config.name, err.text);
	}
}

/* While Active the new ones come and are announced; those that go have made room. */
static void change_addresses(struct vrrp_instance *instance, const struct ipc_router *config)
{
	instance->config = *config;
	change_guard(instance);
	if (instance->adopted)
		instance_watch(instance);
	if (instance->fsm.state == VRRP_ACTIVE)
		instance_conclude(instance, VRRP_ACTIVE,
		    VRRP_DO_SEND_ADVERT | VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE, "", clock_us());
}

void vrrp_instance_configure(struct vrrp_instance *instance, const struct ipc_router *config,
    const struct vrrp_fitness *fitness)
{
	const struct ipc_router *old = &instance->config;
	if (old->announce_interval_us == config->announce_interval_us &&
	    old->announce_refresh_us == config->announce_refresh_us &&
	    old->priority == config->priority && old->advertise_us == config->advertise_us &&
	    old->failback == config->failback && old->checksum == config->checksum &&
	    same_auth(old, config) && same_addresses(old, config) && same_judgment(old, config))
		return;
	instance_wake(instance);
	if (old->checksum != config->checksum)
		instance->form = instance_first_form(config);
	vrrp_router_configure_auth(config, &instance->auth);
	struct ipc_router before = *old;
	vrrp_fsm_configure(
	    &instance->fsm, instance->fsm.priority, config->advertise_us, clock_us());
	if (same_addresses(old, config)) {
		instance->config = *config;
		change_guard(instance);
	} else {
		change_addresses(instance, config);
	}
	instance_adopt_fitness(instance, fitness);
	instance_track_configure(instance, &before);
	/* The next refresh was planned by the old rhythm, or not at all. */
	if (before.announce_refresh_us != config->announce_refresh_us &&
	    instance->fsm.state == VRRP_ACTIVE)
		vrrp_burst_start(&instance->burst, clock_us());
	log_notice("vrrp %s: configuration changed, still %s", config->name,
	    vrrp_state_name(instance->fsm.state));
	instance_settle(instance, "");
	instance_rearm(instance);
}
