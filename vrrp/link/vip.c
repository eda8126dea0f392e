#include "vrrp/link/vip.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "daemon/base/clock.h"

/* Asks for `type` with the address; a lifetime if there is one. IPv6: what is not preferred is no
 * source of connections that we begin, where there is another address. */
static int ask(struct vrrp_netlink *route, int type, int flags, int ifindex,
    const struct addr *addr, unsigned lifetime_s)
{
	bool v6 = addr->sa.sa_family == AF_INET6;
	size_t len;
	const uint8_t *bytes = addr_bytes(addr, &len);
	struct ifaddrmsg what = {
	    .ifa_family = (uint8_t)addr->sa.sa_family,
	    .ifa_prefixlen = (uint8_t)(8 * len),
	    .ifa_index = (uint32_t)ifindex,
	};
	uint32_t more = v6 ? IFA_F_NODAD | IFA_F_NOPREFIXROUTE : 0;
	struct ifa_cacheinfo life = {.ifa_prefered = v6 ? 0 : lifetime_s, .ifa_valid = lifetime_s};
	struct nl_msg *msg = vrrp_netlink_begin(route, type, flags);
	if (nlmsg_append(msg, &what, sizeof(what), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, IFA_LOCAL, (int)len, bytes) < 0 ||
	    nla_put(msg, IFA_ADDRESS, (int)len, bytes) < 0 ||
	    nla_put_u32(msg, IFA_FLAGS, more) < 0 ||
	    (lifetime_s && nla_put(msg, IFA_CACHEINFO, sizeof(life), &life) < 0))
		return -EMSGSIZE;
	return vrrp_netlink_ask(route, NULL, NULL);
}

int vrrp_vip_set(struct vrrp_netlink *route, int ifindex, const struct addr *addr,
    unsigned lifetime_s, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int rc = ask(route, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, ifindex, addr, lifetime_s);
	if (rc)
		return err_set(err, rc, "adding %s: %s", addr_format_ip(addr, text), strerror(-rc));
	return 0;
}

int vrrp_vip_remove(
    struct vrrp_netlink *route, int ifindex, const struct addr *addr, struct err *err)
{
	char text[ADDR_TEXT_MAX];
	int rc = ask(route, RTM_DELADDR, 0, ifindex, addr, 0);
	if (rc == 0 || rc == -EADDRNOTAVAIL || rc == -ENODEV)
		return 0;
	return err_set(err, rc, "removing %s: %s", addr_format_ip(addr, text), strerror(-rc));
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
