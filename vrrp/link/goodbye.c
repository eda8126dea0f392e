#include "vrrp/link/goodbye.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "vrrp/link/arp.h"
#include "vrrp/link/netif.h"
#include "vrrp/link/router.h"
#include "vrrp/link/socket.h"
#include "vrrp/link/token.h"
#include "vrrp/link/vip.h"
#include "vrrp/link/vmac.h"

void vrrp_goodbye_begin(struct vrrp_goodbye *goodbye)
{
	goodbye->route = vrrp_netlink_open(NETLINK_ROUTE, NULL);
	goodbye->packet_fd = vrrp_arp_open(NULL);
}

void vrrp_goodbye_end(struct vrrp_goodbye *goodbye)
{
	vrrp_netlink_close(goodbye->route);
	if (goodbye->packet_fd >= 0)
		close(goodbye->packet_fd);
}

/* Where the addresses may be, also on an interface that is not fit: 0, or why it is not. */
static int find_place(const struct ipc_router *router, struct vrrp_netif *netif, struct err *err)
{
	int rc = vrrp_netif_query(router, netif, err);
	if (rc) {
		*netif = (struct vrrp_netif){.ifindex = (int)if_nametoindex(router->interface)};
		netif->vip_ifindex = netif->ifindex;
	}
	if (router->virtual_mac)
		vrrp_vmac_find(router, netif);
	return rc;
}

static int remove_addresses(struct vrrp_netlink *route, const struct ipc_router *router,
    const struct vrrp_netif *netif, struct err *err)
{
	int first = 0;
	if (!route)
		return err_set(err, -ENOMEM, "rtnetlink cannot be used");
	for (unsigned i = 0; i < router->n_addresses; i++) {
		struct err detail;
		int rc =
		    vrrp_vip_remove(route, netif->vip_ifindex, &router->addresses[i].addr, &detail);
		if (rc && !first)
			first = err_set(err, rc, "%s", detail.text);
	}
	return first;
}

/* What form the peer understands died with the process: where both may be, both are sent, and the
 * peer drops the other one. */
static int send_leaving(
    const struct ipc_router *router, const struct vrrp_netif *netif, struct err *err)
{
	struct vrrp_socket sock;
	struct vrrp_auth auth;
	vrrp_router_start_auth(router, &auth);
	int rc = vrrp_socket_open(&sock, router, netif, &auth, err);
	if (rc)
		return rc;
	if (router->checksum != CONF_CHECKSUM_RFC5798)
		rc = vrrp_socket_advertise(
		    &sock, router, VRRP_PRIORITY_LEAVING, VRRP_CHECKSUM_PLAIN);
	if (router->checksum != CONF_CHECKSUM_RFC9568) {
		int rc2 = vrrp_socket_advertise(
		    &sock, router, VRRP_PRIORITY_LEAVING, VRRP_CHECKSUM_PSEUDO);
		rc = rc ? rc : rc2;
	}
	vrrp_socket_close(&sock);
	if (rc)
		return err_set(
		    err, rc, "priority 0 advert on %s: %s", router->interface, strerror(-rc));
	return 0;
}

int vrrp_goodbye_say(const struct vrrp_goodbye *goodbye, const struct ipc_router *router,
    bool was_active, struct err *err)
{
	struct err detail;
	struct vrrp_netif netif;
	struct vrrp_fence_id id = vrrp_router_fence(router);
	int unfit = find_place(router, &netif, &detail), sent = 0;
	if (netif.ifindex == 0)
		return 0;
	/* The fence outlives the process, and so might its lease: who starts next begins without.
	 * Priority 0 does this too, but not on every path. */
	if (!unfit && goodbye->packet_fd >= 0)
		vrrp_token_send(goodbye->packet_fd, &netif, VRRP_TOKEN_RELEASE, &id);
	int removed = remove_addresses(goodbye->route, router, &netif, err);
	if (was_active && !unfit)
		sent = send_leaving(router, &netif, &detail);
	else if (was_active && unfit != -ENETDOWN)
		sent = unfit;
	if (removed)
		return removed;
	return sent ? err_set(err, sent, "%s", detail.text) : 0;
}

void vrrp_goodbye_clear(const struct vrrp_goodbye *goodbye, const struct ipc_router *router)
{
	struct vrrp_netif netif = {.ifindex = (int)if_nametoindex(router->interface)};
	if (goodbye->route && router->virtual_mac && netif.ifindex)
		vrrp_vmac_remove(goodbye->route, router, &netif);
}
