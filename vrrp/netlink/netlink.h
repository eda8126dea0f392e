/* Questions to the kernel by netlink, one at a time, without allocation: the socket, the one
 * message and the buffer of answers are made at the start. Nothing waits for an answer, because the
 * kernel has put it into the queue before it returns from the sending; the sending itself takes as
 * long as the kernel needs, or other holders of its locks. */
#pragma once

#include <netlink/attr.h>
#include <netlink/msg.h>

#include "daemon/base/err.h"

struct vrrp_netlink;

/* `protocol`: NETLINK_ROUTE, ... NULL with a text. */
struct vrrp_netlink *vrrp_netlink_open(int protocol, struct err *err);
void vrrp_netlink_close(struct vrrp_netlink *nl);
/* The port by which events name us as the cause of a change. */
uint32_t vrrp_netlink_port(const struct vrrp_netlink *nl);

/* Begins a request; the caller puts its payload (nlmsg_append) and attributes (nla_put). A request
 * that grows beyond a page is refused by those. */
struct nl_msg *vrrp_netlink_begin(struct vrrp_netlink *nl, int type, int flags);

/* Sends the request that was begun and reads its answers: `visit` (or NULL) sees each but the last,
 * which is an acknowledgement. 0; -errno as the kernel has it; -EIO when an answer was lost. */
int vrrp_netlink_ask(
    struct vrrp_netlink *nl, void (*visit)(const struct nlmsghdr *answer, void *arg), void *arg);
