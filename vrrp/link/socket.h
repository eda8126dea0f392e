/* The raw socket of one virtual router, of the family of its addresses: IP protocol 112 with TTL
 * or hop limit 255 and class selector 6, joined to the group on its interface, or between two
 * addresses in unicast mode. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/core/auth.h"
#include "vrrp/core/packet.h"
#include "vrrp/link/netif.h"

#define VRRP_RECV_MAX 4352 /* longer than an IP header, 255 IPv6 addresses and a trailer */

struct vrrp_socket {
	int fd;        /* -1: closed */
	int advert_fd; /* by the virtual MAC; or the same as `fd` */
	struct addr source, destination;
	struct vrrp_auth *auth; /* somebody else's: signs what is sent */
};

/* 0, or -errno with a text; *sock is closed then. Multicast is bound to the interface; unicast is
 * not, since the nodes' addresses may be on another one. Packets of other VRIDs are dropped by a
 * filter in the kernel. If there is a virtual MAC, adverts leave from it, but in unicast mode;
 * claims never do: switches would take the claimant for its holder. */
int vrrp_socket_open(struct vrrp_socket *sock, const struct ipc_router *router,
    const struct vrrp_netif *netif, struct vrrp_auth *auth, struct err *err);
void vrrp_socket_close(struct vrrp_socket *sock);

/* Sends an advert for the router's addresses. 0 or -errno; -ENOBUFS when it did not get past a
 * fence, or a queue. */
int vrrp_socket_advertise(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t priority, enum vrrp_checksum form);
/* The same for a claim, with VRRP_CLAIM_* flags. */
int vrrp_socket_claim(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t priority, uint8_t flags, enum vrrp_checksum form);

/* Takes one packet: its IP header is stripped, *out points into `buf`. 1; 0 when there is none;
 * -EBADMSG for one that cannot be judged, else -errno. */
int vrrp_socket_recv(
    const struct vrrp_socket *sock, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out);
