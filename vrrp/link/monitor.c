#include "vrrp/link/monitor.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>

struct vrrp_monitor {
	struct nl_sock *sock;
	unsigned seen;
};

static int on_message(struct nl_msg *msg, void *arg)
{
	struct vrrp_monitor *monitor = arg;
	switch (nlmsg_hdr(msg)->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK: monitor->seen |= VRRP_MONITOR_LINKS; break;
	case RTM_NEWADDR:
	case RTM_DELADDR: monitor->seen |= VRRP_MONITOR_ADDRESSES; break;
	default: break;
	}
	return NL_OK;
}

struct vrrp_monitor *vrrp_monitor_new(struct err *err)
{
	struct vrrp_monitor *monitor = calloc(1, sizeof(*monitor));
	int rc = -NLE_NOMEM;
	if (!monitor || !(monitor->sock = nl_socket_alloc()))
		goto fail;
	nl_socket_disable_seq_check(monitor->sock);
	rc = nl_socket_modify_cb(monitor->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, monitor);
	if (rc == 0)
		rc = nl_connect(monitor->sock, NETLINK_ROUTE);
	if (rc == 0)
		rc = nl_socket_add_memberships(
		    monitor->sock, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_NONE);
	if (rc == 0)
		rc = nl_socket_set_nonblocking(monitor->sock);
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

unsigned vrrp_monitor_read(struct vrrp_monitor *monitor)
{
	int rc;
	monitor->seen = 0;
	while ((rc = nl_recvmsgs_default(monitor->sock)) == 0)
		;
	if (rc != -NLE_AGAIN)
		monitor->seen |= VRRP_MONITOR_LINKS | VRRP_MONITOR_ADDRESSES;
	return monitor->seen;
}
