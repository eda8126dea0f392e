#include "vrrp/link/vip.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"

struct vrrp_vip {
	struct nl_sock *sock;
};

struct vrrp_vip *vrrp_vip_open(struct err *err)
{
	struct vrrp_vip *vip = calloc(1, sizeof(*vip));
	int rc = -NLE_NOMEM;
	if (vip && (vip->sock = nl_socket_alloc()))
		rc = nl_connect(vip->sock, NETLINK_ROUTE);
	if (rc == 0)
		return vip;
	err_set(err, 0, "rtnetlink: %s", nl_geterror(rc));
	vrrp_vip_close(vip);
	return NULL;
}

void vrrp_vip_close(struct vrrp_vip *vip)
{
	if (vip && vip->sock)
		nl_socket_free(vip->sock);
	free(vip);
}

static int errno_of(int nl_error)
{
	switch (nl_error < 0 ? -nl_error : nl_error) {
	case 0: return 0;
	case NLE_NOMEM: return -ENOMEM;
	case NLE_PERM: return -EPERM;
	case NLE_NODEV:
	case NLE_OBJ_NOTFOUND: return -ENODEV;
	case NLE_NOADDR: return -EADDRNOTAVAIL;
	default: return -EIO;
	}
}

static struct rtnl_addr *make_address(int ifindex, const struct addr *addr)
{
	if (addr->sa.sa_family != AF_INET)
		return NULL;
	struct rtnl_addr *out = rtnl_addr_alloc();
	struct nl_addr *local = nl_addr_build(AF_INET, &addr->in.sin_addr, 4);
	if (!out || !local || rtnl_addr_set_local(out, local) < 0) {
		rtnl_addr_put(out);
		out = NULL;
	} else {
		rtnl_addr_set_ifindex(out, ifindex);
		rtnl_addr_set_prefixlen(out, 32);
	}
	nl_addr_put(local);
	return out;
}

int vrrp_vip_set(struct vrrp_vip *vip, int ifindex, const struct addr *addr, unsigned lifetime_s,
    struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct rtnl_addr *address = make_address(ifindex, addr);
	if (!address)
		return err_set(
		    err, -ENOMEM, "adding %s: no memory, or not IPv4", addr_format_ip(addr, text));
	rtnl_addr_set_valid_lifetime(address, lifetime_s);
	rtnl_addr_set_preferred_lifetime(address, lifetime_s);
	int rc = rtnl_addr_add(vip->sock, address, NLM_F_REPLACE);
	rtnl_addr_put(address);
	if (rc < 0)
		return err_set(err, errno_of(rc), "adding %s: %s", addr_format_ip(addr, text),
		    nl_geterror(rc));
	return 0;
}

int vrrp_vip_remove(struct vrrp_vip *vip, int ifindex, const struct addr *addr, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	struct rtnl_addr *address = make_address(ifindex, addr);
	if (!address)
		return err_set(err, -ENOMEM, "removing %s: no memory, or not IPv4",
		    addr_format_ip(addr, text));
	int rc = rtnl_addr_delete(vip->sock, address, 0);
	rtnl_addr_put(address);
	int error = errno_of(rc);
	if (error == 0 || error == -EADDRNOTAVAIL || error == -ENODEV)
		return 0;
	return err_set(err, error, "removing %s: %s", addr_format_ip(addr, text), nl_geterror(rc));
}

unsigned vrrp_vip_lifetime_s(uint32_t advertise_us)
{
	uint64_t seconds = 5 * (uint64_t)advertise_us / (2 * US_PER_SEC);
	return seconds < 1 ? 1 : (unsigned)seconds;
}

uint64_t vrrp_vip_refresh_us(uint32_t advertise_us)
{
	return vrrp_vip_lifetime_s(advertise_us) * US_PER_SEC / 4;
}
