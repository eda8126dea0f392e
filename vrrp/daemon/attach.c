/* A virtual router and its interface, which may be missing, down, or replaced under its name. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "vrrp/link/router.h"

void instance_close_socket(struct vrrp_instance *instance)
{
	ev_io_stop(instance->station->loop, &instance->readable);
	vrrp_socket_close(&instance->sock);
}

static int open_socket(
    struct vrrp_instance *instance, const struct vrrp_netif *netif, struct err *err)
{
	instance_close_socket(instance);
	int rc = vrrp_socket_open(&instance->sock, &instance->config, netif, err);
	if (rc)
		return rc;
	instance->netif = *netif;
	ev_io_set(&instance->readable, instance->sock.fd, EV_READ);
	ev_io_start(instance->station->loop, &instance->readable);
	return 0;
}

/* The interface is (again) fit, or has become another one. */
static int adopt_interface(
    struct vrrp_instance *instance, const struct vrrp_netif *netif, struct err *err)
{
	struct err warning;
	int rc = vrrp_timer_open(&instance->timer, instance->station->loop, err);
	if (rc == 0)
		rc = open_socket(instance, netif, err);
	if (rc)
		return rc;
	if (!vrrp_router_is_ipv6(&instance->config) &&
	    vrrp_netif_strict_arp(instance->config.interface, &warning))
		log_warn("vrrp %s: ARP stays lax, a neighbour may be misled after a failover: %s",
		    instance->config.name, warning.text);
	vrrp_guard_raise(
	    &instance->guard, &instance->config, netif, &instance->fsm, VRRP_FENCE_FRESH);
	instance_watch(instance);
	/* What an earlier life left behind; the kernel would remove it too, but later. */
	if (vrrp_state_outside(instance->fsm.state) != VRRP_ACTIVE)
		instance_remove_addresses(instance);
	return 0;
}

void instance_look_at_link(struct vrrp_instance *instance)
{
	struct err err;
	struct vrrp_netif netif;
	bool had = instance->sock.fd >= 0;
	int rc = vrrp_netif_query(&instance->config, &netif, &err);
	if (rc == 0 && had && netif.ifindex != instance->netif.ifindex) {
		/* Replaced under the same name: what we had is gone with the old one. */
		text_copy(instance->link_fault, sizeof(instance->link_fault),
		    "the interface was replaced");
		instance_settle(instance, "");
	}
	if (rc == 0 && (!had || netif.ifindex != instance->netif.ifindex ||
			   !addr_equal_ip(&netif.source, &instance->netif.source)))
		rc = adopt_interface(instance, &netif, &err);
	if (rc == 0) {
		bool other_mac = memcmp(netif.mac, instance->netif.mac, sizeof(netif.mac)) != 0;
		instance->netif = netif;
		if (other_mac)
			instance_watch(instance);
		instance->link_fault[0] = '\0';
		return;
	}
	text_copy(instance->link_fault, sizeof(instance->link_fault), err.text);
}

void vrrp_instance_check_link(struct vrrp_instance *instance)
{
	instance_wake(instance);
	instance_look_at_link(instance);
	char reason[IPC_REASON_MAX];
	snprintf(reason, sizeof(reason), "interface %s is usable", instance->config.interface);
	instance_settle(instance, reason);
	if (instance->link_fault[0])
		instance_close_socket(instance); /* after the goodbye */
	instance_rearm(instance);
}
