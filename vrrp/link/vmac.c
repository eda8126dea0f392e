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

static void write_mac(sa_family_t family, uint8_t vrid, uint8_t mac[6])
{
	const uint8_t is[6] = {0x00, 0x00, 0x5e, 0x00, family == AF_INET6 ? 2 : 1, vrid};
	memcpy(mac, is, sizeof(is));
}

void vrrp_vmac_address(const struct ipc_router *router, uint8_t mac[6])
{
	write_mac(vrrp_router_family(router), router->vrid, mac);
}

static void write_name(sa_family_t family, uint8_t vrid, int below, char name[IFNAMSIZ])
{
	char text[32]; /* an index of more than seven digits does not occur */
	snprintf(text, sizeof(text), "yv%d-%u-%d", family == AF_INET6 ? 6 : 4, vrid, below);
	text_copy(name, IFNAMSIZ, text);
}

static void name_of(const struct ipc_router *router, int below, char name[IFNAMSIZ])
{
	write_name(vrrp_router_family(router), router->vrid, below, name);
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

/* ---- sweeping ---- */

#define SWEPT_MAX 32 /* as many as a run has virtual routers */

struct sweep {
	bool (*keep)(const struct vrrp_fence_id *id);
	char strays[SWEPT_MAX][IFNAMSIZ];
	unsigned n;
};

static bool is_macvlan(struct nlattr *info)
{
	struct nlattr *kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;
	return kind && nla_strcmp(kind, "macvlan") == 0;
}

/* What we make has a name that its MAC and the interface below decide, and that interface is in
 * this network namespace, or the number would be another one's. */
static void on_link(const struct nlmsghdr *answer, void *arg)
{
	struct sweep *sweep = arg;
	struct nlattr *attrs[IFLA_MAX + 1];
	struct nlmsghdr *link = (struct nlmsghdr *)(uintptr_t)answer;
	if (link->nlmsg_type != RTM_NEWLINK || sweep->n == SWEPT_MAX ||
	    nlmsg_parse(link, sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL) < 0 ||
	    !is_macvlan(attrs[IFLA_LINKINFO]) || attrs[IFLA_LINK_NETNSID] || !attrs[IFLA_LINK] ||
	    !attrs[IFLA_IFNAME] || !attrs[IFLA_ADDRESS] || nla_len(attrs[IFLA_ADDRESS]) != 6)
		return;
	uint8_t mac[6], would[6];
	char name[IFNAMSIZ], below[IFNAMSIZ];
	int index = (int)nla_get_u32(attrs[IFLA_LINK]);
	memcpy(mac, nla_data(attrs[IFLA_ADDRESS]), sizeof(mac));
	struct vrrp_fence_id id = {mac[4] == 2 ? AF_INET6 : AF_INET, mac[5], below};
	write_mac(id.family, id.vrid, would);
	write_name(id.family, id.vrid, index, name);
	if (memcmp(mac, would, sizeof(mac)) != 0 || nla_strcmp(attrs[IFLA_IFNAME], name) != 0 ||
	    !if_indextoname((unsigned)index, below) || sweep->keep(&id))
		return;
	text_copy(sweep->strays[sweep->n++], IFNAMSIZ, name);
}

void vrrp_vmac_sweep(struct vrrp_netlink *route, bool (*keep)(const struct vrrp_fence_id *id))
{
	struct sweep sweep = {.keep = keep};
	struct ifinfomsg what = {.ifi_family = AF_UNSPEC};
	struct nl_msg *msg = vrrp_netlink_begin(route, RTM_GETLINK, NLM_F_DUMP);
	struct nlattr *info;
	/* The kernel leaves out interfaces of other kinds. */
	if (nlmsg_append(msg, &what, sizeof(what), NLMSG_ALIGNTO) < 0 ||
	    !(info = nla_nest_start(msg, IFLA_LINKINFO)) ||
	    nla_put_string(msg, IFLA_INFO_KIND, "macvlan") < 0)
		return;
	nla_nest_end(msg, info);
	vrrp_netlink_ask(route, on_link, &sweep);
	for (unsigned i = 0; i < sweep.n; i++)
		change_link(route, RTM_DELLINK, sweep.strays[i], 0);
}

/* ---- making ---- */

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
