/* A virtual router and its interface, which may be missing, down, or replaced under its name. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/link/router.h"
#include "vrrp/link/vmac.h"

/* A socket that could not be opened is tried again after so long, then after twice as long, ... */
#define OPEN_PAUSE_US     100000
#define OPEN_PAUSE_MAX_US 5000000

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

/* The interface is (again) fit, or has become another one. */
static void adopt_interface(struct vrrp_instance *instance, struct vrrp_netif *netif)
{
	struct err warning;
	close_socket(instance);
	if (!vrrp_router_is_ipv6(&instance->config) &&
	    vrrp_netif_strict_arp(instance->config.interface, &warning))
		log_warn("vrrp %s: ARP stays lax, a neighbour may be misled after a failover: %s",
		    instance->config.name, warning.text);
	vrrp_guard_raise(
	    &instance->guard, &instance->config, netif, &instance->fsm, VRRP_FENCE_FRESH);
	put_on_virtual_mac(instance, netif);
	instance->netif = *netif;
	instance->adopted = true;
	instance->open_us = 0;
	instance->open_pause_us = OPEN_PAUSE_US;
	instance_unwatch(instance);
	instance_watch(instance);
	/* What an earlier life left behind; the kernel would remove it too, but later. */
	if (vrrp_state_outside(instance->fsm.state) != VRRP_ACTIVE)
		instance_remove_addresses(instance);
}

/* It is the same; its MAC may be another one. */
static void keep_interface(struct vrrp_instance *instance, struct vrrp_netif *netif)
{
	if (has_virtual_mac(instance, netif))
		keep_virtual_mac(instance, netif);
	bool other_mac =
	    memcmp(netif->vip_mac, instance->netif.vip_mac, sizeof(netif->vip_mac)) != 0;
	instance->netif = *netif;
	if (other_mac)
		instance_watch(instance);
}

static int open_socket(struct vrrp_instance *instance, struct err *err)
{
	int rc = vrrp_timer_open(&instance->timer, instance->station->loop, err);
	if (rc)
		return rc;
	rc = vrrp_socket_open(
	    &instance->sock, &instance->config, &instance->netif, &instance->auth, err);
	if (rc)
		return rc;
	ev_io_set(&instance->readable, instance->sock.fd, EV_READ);
	ev_io_start(instance->station->loop, &instance->readable);
	return 0;
}

/* What it lacks may take long to come back. */
static bool try_socket(struct vrrp_instance *instance)
{
	struct err err;
	uint64_t now_us = clock_us();
	if (instance->sock.fd >= 0)
		return true;
	if (now_us < instance->open_us)
		return false;
	if (open_socket(instance, &err) == 0)
		return true;
	if (strcmp(instance->link_fault, err.text) != 0)
		log_warn("vrrp %s: %s; tried again, in the end every %d s", instance->config.name,
		    err.text, OPEN_PAUSE_MAX_US / (int)US_PER_SEC);
	text_copy(instance->link_fault, sizeof(instance->link_fault), err.text);
	instance->open_us = now_us + instance->open_pause_us;
	instance->open_pause_us = 2 * instance->open_pause_us < OPEN_PAUSE_MAX_US
				      ? 2 * instance->open_pause_us
				      : OPEN_PAUSE_MAX_US;
	return false;
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
	if (vrrp_netif_query(&instance->config, &netif, &err)) {
		instance->adopted = false;
		text_copy(instance->link_fault, sizeof(instance->link_fault), err.text);
		return;
	}
	const char *loss = instance->adopted ? find_loss(instance, &netif) : NULL;
	bool fresh = instance->sock.fd < 0 || loss;
	if (loss) {
		text_copy(instance->link_fault, sizeof(instance->link_fault), loss);
		instance_settle(instance, "");
	}
	if (!instance->adopted || loss || !addr_equal_ip(&netif.source, &instance->netif.source))
		adopt_interface(instance, &netif);
	else
		keep_interface(instance, &netif);
	if (!try_socket(instance))
		return;
	if (fresh)
		instance_begin_deafness(instance);
	instance->link_fault[0] = '\0';
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

void vrrp_instance_check_path(struct vrrp_instance *instance)
{
	if (!instance->adopted || !vrrp_guard_strayed(&instance->guard, &instance->config))
		return;
	log_notice(
	    "vrrp %s: the node's address has moved, the fence follows it", instance->config.name);
	instance_wake(instance);
	vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif, &instance->fsm,
	    VRRP_FENCE_CHANGE);
	instance_settle(instance, "");
	instance_rearm(instance);
}
