#include "vrrp/link/vmac.h"

#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "vrrp/link/router.h"

void vrrp_vmac_address(const struct ipc_router *router, uint8_t mac[6])
{
	const uint8_t is[6] = {
	    0x00, 0x00, 0x5e, 0x00, vrrp_router_is_ipv6(router) ? 2 : 1, router->vrid};
	memcpy(mac, is, sizeof(is));
}

static void name_of(const struct ipc_router *router, int below, char name[IFNAMSIZ])
{
	char text[32]; /* an index of more than seven digits does not occur */
	snprintf(text, sizeof(text), "yv%d-%u-%d", vrrp_router_is_ipv6(router) ? 6 : 4,
	    router->vrid, below);
	text_copy(name, IFNAMSIZ, text);
}

/* ---- asking ---- */

static int add_link(struct vrrp_netlink *route, const char *name, int below, const uint8_t mac[6])
{
	struct ifinfomsg what = {.ifi_family = AF_UNSPEC};
	struct nl_msg *msg = vrrp_netlink_begin(route, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	if (nlmsg_append(msg, &what, sizeof(what), NLMSG_ALIGNTO) < 0 ||
	    nla_put_string(msg, IFLA_IFNAME, name) < 0 ||
	    nla_put_u32(msg, IFLA_LINK, (uint32_t)below) < 0 ||
	    nla_put(msg, IFLA_ADDRESS, 6, mac) < 0)
		return -EMSGSIZE;
	struct nlattr *info = nla_nest_start(msg, IFLA_LINKINFO), *data;
	if (!info || nla_put_string(msg, IFLA_INFO_KIND, "macvlan") < 0 ||
	    !(data = nla_nest_start(msg, IFLA_INFO_DATA)) ||
	    nla_put_u32(msg, IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE) < 0)
		return -EMSGSIZE;
	nla_nest_end(msg, data);
	nla_nest_end(msg, info);
	return vrrp_netlink_ask(route, NULL, NULL);
}

/* RTM_DELLINK, or RTM_NEWLINK to set it up. */
static int change_link(struct vrrp_netlink *route, int type, const char *name, unsigned flags)
{
	struct ifinfomsg what = {.ifi_family = AF_UNSPEC, .ifi_flags = flags, .ifi_change = flags};
	struct nl_msg *msg = vrrp_netlink_begin(route, type, 0);
	if (nlmsg_append(msg, &what, sizeof(what), NLMSG_ALIGNTO) < 0 ||
	    nla_put_string(msg, IFLA_IFNAME, name) < 0)
		return -EMSGSIZE;
	return vrrp_netlink_ask(route, NULL, NULL);
}

/* ---- settings ---- */

/* No address of its own, no router to ask for. It answers for what it has only: also one for IPv6
 * would answer by ARP for the others. It takes packets whose way back is the interface below.
 * "forwarding" of one interface of IPv6 forwards nothing: it makes the R flag of neighbour
 * advertisements (RFC 9568 section 6.4.3). */
static int write_settings(const struct ipc_router *router, const char *name, struct err *err)
{
	static const struct vrrp_setting settings[] = {
	    {"ipv4", "arp_ignore", "1"},
	    {"ipv4", "arp_announce", "2"},
	    {"ipv4", "rp_filter", "2"},
	    {"ipv6", "addr_gen_mode", "1"},
	    {"ipv6", "accept_ra", "0"},
	    {"ipv6", "forwarding", "1"},
	};
	/* A host may be without IPv6. */
	size_t n = vrrp_router_is_ipv6(router) ? 6 : 3;
	for (size_t i = 0; i < n; i++) {
		int rc = vrrp_netif_set(name, &settings[i], err);
		if (rc)
			return rc;
	}
	if (!vrrp_router_is_ipv6(router))
		vrrp_netif_set(name, &(struct vrrp_setting){"ipv6", "disable_ipv6", "1"}, NULL);
	return 0;
}

/* ---- what is there ---- */

/* The index of the interface if it is up and has the MAC, else 0. */
static int look(const char *name, const uint8_t mac[6])
{
	struct ifreq request;
	int index = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	memset(&request, 0, sizeof(request));
	text_copy(request.ifr_name, sizeof(request.ifr_name), name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) &&
	    ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
	    memcmp(request.ifr_hwaddr.sa_data, mac, 6) == 0 &&
	    ioctl(fd, SIOCGIFINDEX, &request) == 0)
		index = request.ifr_ifindex;
	close(fd);
	return index;
}

void vrrp_vmac_find(const struct ipc_router *router, struct vrrp_netif *netif)
{
	char name[IFNAMSIZ];
	uint8_t mac[6];
	name_of(router, netif->ifindex, name);
	vrrp_vmac_address(router, mac);
	int index = look(name, mac);
	if (index == 0)
		return;
	netif->vip_ifindex = index;
	memcpy(netif->vip_mac, mac, sizeof(mac));
}

bool vrrp_vmac_usable(const struct ipc_router *router, const struct vrrp_netif *netif)
{
	char name[IFNAMSIZ];
	name_of(router, netif->ifindex, name);
	return look(name, netif->vip_mac) == netif->vip_ifindex;
}

void vrrp_vmac_remove(
    struct vrrp_netlink *route, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	char name[IFNAMSIZ];
	name_of(router, netif->ifindex, name);
	change_link(route, RTM_DELLINK, name, 0);
}

int vrrp_vmac_create(struct vrrp_netlink *route, const struct ipc_router *router,
    struct vrrp_netif *netif, struct err *err)
{
	char name[IFNAMSIZ];
	uint8_t mac[6];
	struct vrrp_netif found = *netif;
	name_of(router, netif->ifindex, name);
	vrrp_vmac_address(router, mac);
	if (!netif->has_mac)
		return err_set(err, -ENOTSUP, "%s is not an Ethernet interface", router->interface);
	vrrp_vmac_remove(route, router, netif);
	int rc = add_link(route, name, netif->ifindex, mac);
	if (rc)
		return err_set(
		    err, rc, "macvlan %s on %s: %s", name, router->interface, strerror(-rc));
	rc = write_settings(router, name, err);
	if (rc == 0) {
		rc = change_link(route, RTM_NEWLINK, name, IFF_UP);
		vrrp_vmac_find(router, &found);
		if (rc || found.vip_ifindex == netif->ifindex)
			rc = err_set(err, rc ? rc : -EIO, "macvlan %s does not come up%s%s", name,
			    rc ? ": " : "", rc ? strerror(-rc) : "");
	}
	if (rc)
		vrrp_vmac_remove(route, router, netif);
	else
		*netif = found;
	return rc;
}
