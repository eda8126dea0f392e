/* The interface of a virtual router: is it fit, and what do we need to know of it. Asked by ioctl,
 * without allocation: link/monitor.h tells when to ask again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"

struct vrrp_netif {
	int ifindex;
	bool has_mac; /* an Ethernet-like interface: gratuitous ARP makes sense */
	uint8_t mac[6];
	struct addr source; /* of our adverts */
	/* Where the addresses are and are announced; another interface when there is a virtual MAC
	 * (link/vmac.h). */
	int vip_ifindex;
	uint8_t vip_mac[6];
};

/* Fills *out when `router` can work on its interface. Multicast adverts over IPv4 are sent from the
 * node's address if the interface has it, else from its first address that is no VIP; over IPv6
 * from its link-local address; unicast ones always from the node's address. -ENODEV (no such
 * interface), -ENETDOWN (down or without carrier), -EADDRNOTAVAIL (no address to send from), each
 * with a text for people. */
int vrrp_netif_query(const struct ipc_router *router, struct vrrp_netif *out, struct err *err);

/* 0 if the interface is up and has a carrier; else -errno as above. */
int vrrp_netif_running(const char *interface, struct err *err);

/* The name of an interface, but `except`, that has this address; false when none has. Allocates. */
bool vrrp_netif_holder(const struct addr *addr, const char *except, char name[16]);

/* /proc/sys/net/FAMILY/conf/INTERFACE/NAME */
struct vrrp_setting {
	const char *family, *name, *value;
};
int vrrp_netif_set(const char *interface, const struct vrrp_setting *setting, struct err *err);

/* Sets arp_ignore=1 and arp_announce=2, so that a node never answers or asks by ARP with an address
 * of another interface: a node that lost the VIP would pull it back otherwise. */
int vrrp_netif_strict_arp(const char *interface, struct err *err);
