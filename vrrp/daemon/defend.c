/* Others meddle with the addresses that we hold. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>

#include "daemon/base/clock.h"

/* Removed more often than so many times in so long: whoever does it will go on, and the peer may
 * have better luck. */
#define REMOVED_MAX       5
#define REMOVED_WINDOW_US (10 * US_PER_SEC)

static bool is_vip(const struct vrrp_instance *instance, const struct addr *addr)
{
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		if (addr_equal_ip(&instance->config.addresses[i].addr, addr))
			return true;
	}
	return false;
}

static void put_back(struct vrrp_instance *instance, const char *vip, uint64_t now_us)
{
	char text[IPC_REASON_MAX];
	if (now_us - instance->removed_us > REMOVED_WINDOW_US) {
		instance->removed_us = now_us;
		instance->n_removed = 0;
	}
	instance->n_removed++;
	if (instance->n_removed > REMOVED_MAX) {
		snprintf(text, sizeof(text), "somebody removed %s %u times in %llu s", vip,
		    instance->n_removed, (unsigned long long)(REMOVED_WINDOW_US / US_PER_SEC));
		instance_set_trouble(instance, now_us, text);
		return;
	}
	snprintf(text, sizeof(text),
	    "somebody removed %s: put back (%u of at most %d times in %llu s)", vip,
	    instance->n_removed, REMOVED_MAX, (unsigned long long)(REMOVED_WINDOW_US / US_PER_SEC));
	log_warn("vrrp %s: %s", instance->config.name, text);
	instance->station->remarked(instance->station, instance, text);
	instance->stats.addresses_put_back++;
	instance_perform(instance, VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE, now_us);
}

void vrrp_instance_address_changed(
    struct vrrp_instance *instance, int ifindex, const struct addr *addr, bool added)
{
	char vip[ADDR_TEXT_MAX];
	if (instance->netif.vip_ifindex != ifindex || !is_vip(instance, addr))
		return;
	instance_wake(instance);
	addr_format_ip(addr, vip);
	bool active = vrrp_state_outside(instance->fsm.state) == VRRP_ACTIVE;
	if (active && !added) {
		put_back(instance, vip, clock_us());
	} else if (!active && added) {
		instance_complain(instance, COMPLAINT_ADDED, "somebody added %s: removed", vip);
		instance_remove_addresses(instance);
	}
	instance_settle(instance, "");
	instance_rearm(instance);
}
