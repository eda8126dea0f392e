#include "vrrp/link/netif.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/text.h"
#include "vrrp/core/packet.h"
#include "vrrp/link/router.h"

static struct ifreq request_for(const char *interface)
{
	struct ifreq request;
	memset(&request, 0, sizeof(request));
	text_copy(request.ifr_name, sizeof(request.ifr_name), interface);
	return request;
}

static int query_link(int fd, const char *interface, struct vrrp_netif *out, struct err *err)
{
	struct ifreq request = request_for(interface);
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return err_set(err, -ENODEV, "interface %s does not exist", interface);
	out->ifindex = request.ifr_ifindex;
	request = request_for(interface);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return err_set(err, -ENODEV, "interface %s does not exist", interface);
	if (!(request.ifr_flags & IFF_UP))
		return err_set(err, -ENETDOWN, "interface %s is down", interface);
	if (!(request.ifr_flags & IFF_RUNNING))
		return err_set(err, -ENETDOWN, "interface %s has no carrier", interface);
	request = request_for(interface);
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return err_set(err, -ENODEV, "interface %s does not exist", interface);
	out->has_mac = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
	memcpy(out->mac, request.ifr_hwaddr.sa_data, sizeof(out->mac));
	return 0;
}

/* With an address filled in, SIOCGIFADDR answers with that one if the interface has it, else with
 * the first. */
static int query_source4(
    int fd, const struct ipc_router *router, struct vrrp_netif *out, struct err *err)
{
	struct ifreq request = request_for(router->interface);
	if (router->local.sa.sa_family == AF_INET)
		memcpy(&request.ifr_addr, &router->local.in, sizeof(router->local.in));
	struct addr source = {0};
	if (ioctl(fd, SIOCGIFADDR, &request) == 0)
		memcpy(&source.in, &request.ifr_addr, sizeof(source.in));
	if (source.sa.sa_family != AF_INET || vrrp_router_has(router, &source))
		return err_set(err, -EADDRNOTAVAIL, "interface %s has no IPv4 address of its own",
		    router->interface);
	source.in.sin_port = 0;
	out->source = source;
	return 0;
}

/* The link-local address that the kernel would send adverts from: none that it still checks for
 * duplicates, and no VIP, which is not preferred, unless there is no other. */
static int query_source6(const struct ipc_router *router, struct vrrp_netif *out, struct err *err)
{
	struct addr source = {0}, group = vrrp_group(AF_INET6);
	socklen_t len = sizeof(source.in6);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	group.in6.sin6_scope_id = (uint32_t)out->ifindex;
	group.in6.sin6_port = htons(9); /* nothing is sent */
	bool found = connect(fd, &group.sa, sizeof(group.in6)) == 0 &&
		     getsockname(fd, &source.sa, &len) == 0 &&
		     IN6_IS_ADDR_LINKLOCAL(&source.in6.sin6_addr) &&
		     !vrrp_router_has(router, &source);
	close(fd);
	if (!found)
		return err_set(err, -EADDRNOTAVAIL,
		    "interface %s has no IPv6 link-local address of its own", router->interface);
	source.in6.sin6_port = 0;
	out->source = source;
	return 0;
}

/* The peer sends there, and believes nobody else. */
static int query_source_unicast(
    const struct ipc_router *router, struct vrrp_netif *out, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct addr source = router->local;
	int fd = socket(source.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	addr_set_port(&source, 0);
	int error = bind(fd, &source.sa, addr_len(&source)) < 0 ? errno : 0;
	close(fd);
	if (error)
		return err_set(err, -EADDRNOTAVAIL, "the node's address %s cannot be used: %s",
		    addr_format_ip(&source, text), strerror(error));
	out->source = source;
	return 0;
}

int vrrp_netif_query(const struct ipc_router *router, struct vrrp_netif *out, struct err *err)
{
	struct vrrp_netif netif = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	int rc = query_link(fd, router->interface, &netif, err);
	if (rc == 0 && router->mode == CONF_VRRP_UNICAST)
		rc = query_source_unicast(router, &netif, err);
	else if (rc == 0 && vrrp_router_is_ipv6(router))
		rc = query_source6(router, &netif, err);
	else if (rc == 0)
		rc = query_source4(fd, router, &netif, err);
	close(fd);
	if (rc)
		return rc;
	netif.vip_ifindex = netif.ifindex;
	memcpy(netif.vip_mac, netif.mac, sizeof(netif.mac));
	*out = netif;
	return 0;
}

int vrrp_netif_running(const char *interface, struct err *err)
{
	struct vrrp_netif netif = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "socket: %s", strerror(errno));
	int rc = query_link(fd, interface, &netif, err);
	close(fd);
	return rc;
}

static bool has_ip(const struct ifaddrs *at, const struct addr *addr)
{
	struct addr one = {0};
	if (!at->ifa_addr || at->ifa_addr->sa_family != addr->sa.sa_family)
		return false;
	memcpy(&one, at->ifa_addr, addr_len(addr));
	return addr_equal_ip(&one, addr);
}

bool vrrp_netif_holder(const struct addr *addr, const char *except, char name[16])
{
	struct ifaddrs *all, *at;
	if (getifaddrs(&all) < 0)
		return false;
	for (at = all; at; at = at->ifa_next) {
		if (has_ip(at, addr) && strcmp(at->ifa_name, except) != 0)
			break;
	}
	if (at)
		text_copy(name, 16, at->ifa_name);
	freeifaddrs(all);
	return at != NULL;
}

int vrrp_netif_set(const char *interface, const struct vrrp_setting *setting, struct err *err)
{
	char path[96];
	if (strchr(interface, '/') || strcmp(interface, ".") == 0 || strcmp(interface, "..") == 0)
		return err_set(err, -EINVAL, "\"%s\" is no interface name", interface);
	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", setting->family, interface,
	    setting->name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	ssize_t n = write(fd, setting->value, strlen(setting->value));
	int rc = n < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
	close(fd);
	return rc;
}

int vrrp_netif_strict_arp(const char *interface, struct err *err)
{
	static const struct vrrp_setting ignore = {"ipv4", "arp_ignore", "1"};
	static const struct vrrp_setting announce = {"ipv4", "arp_announce", "2"};
	int rc = vrrp_netif_set(interface, &ignore, err);
	return rc ? rc : vrrp_netif_set(interface, &announce, err);
}
