/* What differs between IPv4 and IPv6 below link/socket.h. Nobody else includes this. */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "vrrp/link/socket.h"

/* Options of a new raw socket that receives, and of one that sends to the group by the interface
 * `ifindex`. 0, or -1 with errno. */
int vrrp_ip4_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif);
int vrrp_ip6_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif);
int vrrp_ip4_speak(int fd, int ifindex);
int vrrp_ip6_speak(int fd, int ifindex);

/* Sends what `msg` has, from `source`: puts that into its control data, which has room for either
 * family. 0 or -errno; -ENOBUFS also when a rule of the kernel has dropped it. */
int vrrp_ip4_send(int fd, struct msghdr *msg, const struct addr *source);
int vrrp_ip6_send(int fd, struct msghdr *msg, const struct addr *source);
#define VRRP_CONTROL_MAX CMSG_SPACE(sizeof(struct in6_pktinfo))

/* As vrrp_socket_recv. */
int vrrp_ip4_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out);
int vrrp_ip6_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out);

int vrrp_set_int(int fd, int level, int option, int value);
/* The one thing in the control data. */
void vrrp_set_control(struct msghdr *msg, int level, int type, const void *data, size_t len);
