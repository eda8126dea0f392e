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

static int remove_addresses(const struct ipc_router *router, struct err *err)
{
	int ifindex = (int)if_nametoindex(router->interface);
	if (ifindex == 0)
		return 0;
	struct vrrp_netlink *route = vrrp_netlink_open(NETLINK_ROUTE, err);
	if (!route)
		return -ENOMEM;
	int first = 0;
	for (unsigned i = 0; i < router->n_addresses; i++) {
		struct err detail;
		int rc = vrrp_vip_remove(route, ifindex, &router->addresses[i].addr, &detail);
		if (rc && !first)
			first = err_set(err, rc, "%s", detail.text);
	}
	vrrp_netlink_close(route);
	return first;
}

/* The fence outlives the process, and so might its lease: who starts next begins without. Priority
 * 0 does this too, but not on every path. Returns the socket: to close one of its kind takes the
 * kernel more than ten milliseconds, which the peer need not wait for. */
static int release_lease(const struct ipc_router *router)
{
	struct vrrp_netif netif;
	int fd = vrrp_arp_open(NULL);
	struct vrrp_fence_id id = vrrp_router_fence(router);
	if (fd >= 0 && vrrp_netif_query(router, &netif, NULL) == 0)
		vrrp_token_send(fd, &netif, VRRP_TOKEN_RELEASE, &id);
	return fd;
}

/* What form the peer understands died with the process: where both may be, both are sent, and the
 * peer drops the other one. */
static int send_leaving(const struct ipc_router *router, struct err *err)
{
	struct vrrp_netif netif;
	struct vrrp_socket sock;
	int rc = vrrp_netif_query(router, &netif, err);
	if (rc == -ENODEV || rc == -ENETDOWN)
		return 0;
	if (rc == 0)
		rc = vrrp_socket_open(&sock, router, &netif, err);
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

int vrrp_goodbye(const struct ipc_router *router, bool was_active, struct err *err)
{
	struct err detail;
	int fd = release_lease(router);
	int removed = remove_addresses(router, err);
	int sent = was_active ? send_leaving(router, &detail) : 0;
	if (fd >= 0)
		close(fd);
	if (removed)
		return removed;
	return sent ? err_set(err, sent, "%s", detail.text) : 0;
}
