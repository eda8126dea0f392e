/* What differs between IPv4 and IPv6 below link/socket.h. Nobody else includes this. */
#pragma once

#include "vrrp/link/socket.h"

/* Options of a new raw socket that receives, and of one that sends to the group by the interface
 * `ifindex`. 0, or -1 with errno. */
int vrrp_ip4_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif);
int vrrp_ip6_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif);
int vrrp_ip4_speak(int fd, int ifindex);
int vrrp_ip6_speak(int fd, int ifindex);

/* 0 or -errno; -ENOBUFS also when a rule of the kernel has dropped it. */
int vrrp_ip4_send(int fd, const struct vrrp_socket *sock, const void *data, size_t len);
int vrrp_ip6_send(int fd, const struct vrrp_socket *sock, const void *data, size_t len);

/* As vrrp_socket_recv. */
int vrrp_ip4_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out);
int vrrp_ip6_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out);

int vrrp_set_int(int fd, int level, int option, int value);
