#include "vrrp/link/monitor.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define EVENTS_MAX 16384 /* longer than any event */

struct vrrp_monitor {
	struct nl_sock *sock;
	uint32_t own_port;
	_Alignas(struct nlmsghdr) uint8_t events[EVENTS_MAX];
};

struct vrrp_monitor *vrrp_monitor_new(uint32_t own_port, struct err *err)
{
	struct vrrp_monitor *monitor = calloc(1, sizeof(*monitor));
	int rc = -NLE_NOMEM;
	if (!monitor || !(monitor->sock = nl_socket_alloc()))
		goto fail;
	monitor->own_port = own_port;
	rc = nl_connect(monitor->sock, NETLINK_ROUTE);
	if (rc == 0)
		rc = nl_socket_add_memberships(monitor->sock, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
		    RTNLGRP_IPV6_IFADDR, RTNLGRP_NONE);
	if (rc == 0)
		return monitor;
fail:
	err_set(err, 0, "rtnetlink events: %s", nl_geterror(rc));
	vrrp_monitor_free(monitor);
	return NULL;
}

void vrrp_monitor_free(struct vrrp_monitor *monitor)
{
	if (monitor && monitor->sock)
		nl_socket_free(monitor->sock);
	free(monitor);
}

int vrrp_monitor_fd(const struct vrrp_monitor *monitor)
{
	return nl_socket_get_fd(monitor->sock);
}

static void tell_changed(struct nlmsghdr *event, vrrp_monitor_fn *changed)
{
	const struct ifaddrmsg *what = nlmsg_data(event);
	struct nlattr *local = nlmsg_find_attr(event, sizeof(*what), IFA_LOCAL);
	if (!local)
		local = nlmsg_find_attr(event, sizeof(*what), IFA_ADDRESS);
	struct addr addr = {.sa.sa_family = what->ifa_family};
	if (local && what->ifa_family == AF_INET && nla_len(local) == 4)
		memcpy(&addr.in.sin_addr, nla_data(local), 4);
	else if (local && what->ifa_family == AF_INET6 && nla_len(local) == 16)
		memcpy(&addr.in6.sin6_addr, nla_data(local), 16);
	else
		return;
	changed((int)what->ifa_index, &addr, event->nlmsg_type == RTM_NEWADDR);
}

static unsigned take(
    const struct vrrp_monitor *monitor, struct nlmsghdr *event, vrrp_monitor_fn *changed)
{
	switch (event->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: return VRRP_MONITOR_CHANGED;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		if (event->nlmsg_pid == monitor->own_port)
			return 0;
		if (nlmsg_datalen(event) >= (int)sizeof(struct ifaddrmsg))
			tell_changed(event, changed);
		return VRRP_MONITOR_CHANGED;
	default: return 0;
	}
}

unsigned vrrp_monitor_read(struct vrrp_monitor *monitor, vrrp_monitor_fn *changed)
{
	unsigned seen = 0;
	for (;;) {
		ssize_t n = recv(nl_socket_get_fd(monitor->sock), monitor->events,
		    sizeof(monitor->events), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS)
			seen |= VRRP_MONITOR_CHANGED | VRRP_MONITOR_LOST;
		else if (n <= 0)
			return seen;
		int left = (int)n;
		for (struct nlmsghdr *at = (struct nlmsghdr *)monitor->events; nlmsg_ok(at, left);
		     at = nlmsg_next(at, &left))
			seen |= take(monitor, at, changed);
	}
}
