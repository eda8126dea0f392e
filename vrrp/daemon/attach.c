/* A virtual router and its interface, which may be missing, down, or replaced under its name. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/text.h"
#include "vrrp/link/router.h"
#include "vrrp/link/vmac.h"

static void close_socket(struct vrrp_instance *instance)
{
	ev_io_stop(instance->station->loop, &instance->readable);
	vrrp_socket_close(&instance->sock);
}

/* On this interface, and still there. */
static bool has_virtual_mac(const struct vrrp_instance *instance, const struct vrrp_netif *netif)
{
	const struct vrrp_netif *had = &instance->netif;
	return had->vip_ifindex != had->ifindex && had->ifindex == netif->ifindex &&
	       vrrp_vmac_usable(&instance->config, had);
}

static void keep_virtual_mac(const struct vrrp_instance *instance, struct vrrp_netif *netif)
{
	netif->vip_ifindex = instance->netif.vip_ifindex;
	memcpy(netif->vip_mac, instance->netif.vip_mac, sizeof(netif->vip_mac));
}

/* The virtual MAC, or why the addresses are at that of the interface instead. What an earlier life
 * left goes in any case. */
static void put_on_virtual_mac(struct vrrp_instance *instance, struct vrrp_netif *netif)
{
	struct err err = {""};
	struct vrrp_netlink *route = instance->station->route;
	if (has_virtual_mac(instance, netif)) {
		keep_virtual_mac(instance, netif);
		return;
	}
	if (!instance->config.virtual_mac)
		vrrp_vmac_remove(route, &instance->config, netif);
	else if (vrrp_vmac_create(route, &instance->config, netif, &err))
		log_warn("vrrp %s: NO VIRTUAL MAC, the addresses are at that of the interface: %s",
		    instance->config.name, err.text);
	text_copy(instance->vmac_problem, sizeof(instance->vmac_problem), err.text);
}

void instance_detach(struct vrrp_instance *instance)
{
	instance_end_deafness(instance);
	close_socket(instance);
	if (instance->config.virtual_mac && instance->netif.ifindex)
		vrrp_vmac_remove(instance->station->route, &instance->config, &instance->netif);
}

static int open_socket(
    struct vrrp_instance *instance, const struct vrrp_netif *netif, struct err *err)
{
	int rc = vrrp_socket_open(&instance->sock, &instance->config, netif, &instance->auth, err);
	if (rc)
		return rc;
	ev_io_set(&instance->readable, instance->sock.fd, EV_READ);
	ev_io_start(instance->station->loop, &instance->readable);
	return 0;
}

/* The interface is (again) fit, or has become another one. */
static int adopt_interface(
    struct vrrp_instance *instance, struct vrrp_netif *netif, struct err *err)
{
	struct err warning;
	close_socket(instance);
	int rc = vrrp_timer_open(&instance->timer, instance->station->loop, err);
	if (rc)
		return rc;
	if (!vrrp_router_is_ipv6(&instance->config) &&
	    vrrp_netif_strict_arp(instance->config.interface, &warning))
		log_warn("vrrp %s: ARP stays lax, a neighbour may be misled after a failover: %s",
		    instance->config.name, warning.text);
	vrrp_guard_raise(
	    &instance->guard, &instance->config, netif, &instance->fsm, VRRP_FENCE_FRESH);
	put_on_virtual_mac(instance, netif);
	rc = open_socket(instance, netif, err);
	if (rc)
		return rc;
	instance->netif = *netif;
	instance_unwatch(instance);
	instance_watch(instance);
	/* What an earlier life left behind; the kernel would remove it too, but later. */
	if (vrrp_state_outside(instance->fsm.state) != VRRP_ACTIVE)
		instance_remove_addresses(instance);
	return 0;
}

/* What we had is gone with the interface: why, or NULL. */
static const char *find_loss(const struct vrrp_instance *instance, const struct vrrp_netif *netif)
{
	const struct vrrp_netif *had = &instance->netif;
	if (had->ifindex != netif->ifindex)
		return "the interface was replaced";
	if (had->vip_ifindex != had->ifindex && !has_virtual_mac(instance, netif))
		return "the interface of the virtual MAC is gone";
	return NULL;
}

void instance_look_at_link(struct vrrp_instance *instance)
{
	struct err err;
	struct vrrp_netif netif;
	bool had = instance->sock.fd >= 0;
	int rc = vrrp_netif_query(&instance->config, &netif, &err);
	const char *loss = rc == 0 && had ? find_loss(instance, &netif) : NULL;
	if (loss) {
		text_copy(instance->link_fault, sizeof(instance->link_fault), loss);
		instance_settle(instance, "");
	}
	bool fresh = !had || loss;
	if (rc == 0 && (fresh || !addr_equal_ip(&netif.source, &instance->netif.source)))
		rc = adopt_interface(instance, &netif, &err);
	else if (rc == 0 && has_virtual_mac(instance, &netif))
		keep_virtual_mac(instance, &netif);
	if (rc == 0) {
		bool other_mac =
		    memcmp(netif.vip_mac, instance->netif.vip_mac, sizeof(netif.vip_mac)) != 0;
		instance->netif = netif;
		if (fresh)
			instance_begin_deafness(instance);
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
	instance_track_links(instance);
	if (instance->link_fault[0]) {
		instance_end_deafness(instance);
		close_socket(instance); /* after the goodbye */
	}
	instance_rearm(instance);
}
