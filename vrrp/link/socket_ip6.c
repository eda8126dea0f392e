#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "vrrp/link/socket_ip.h"

/* Linux has them since 4.20, the C library's headers of Debian 12 have not. */
#ifndef IPV6_MULTICAST_ALL
#define IPV6_MULTICAST_ALL 29
#endif
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif

/* Lets through what names our VRID. The filter sees the message: its IP header is gone. */
static int attach_filter(int fd, uint8_t vrid)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, vrid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* The source is an address of the interface below, if it is that of a virtual MAC: FREEBIND. */
int vrrp_ip6_speak(int fd, int ifindex)
{
	if (vrrp_set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, ifindex) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, VRRP_TTL) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, IPTOS_CLASS_CS6) < 0)
		return -1;
	return 0;
}

static int join_group(int fd, const struct vrrp_netif *netif)
{
	struct ipv6_mreq group = {
	    .ipv6mr_multiaddr = vrrp_group(AF_INET6).in6.sin6_addr,
	    .ipv6mr_interface = (unsigned)netif->ifindex,
	};
	if (vrrp_ip6_speak(fd, netif->ifindex) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0) < 0)
		return -1;
	return 0;
}

int vrrp_ip6_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	if (attach_filter(fd, router->vrid) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) < 0)
		return -1;
	if (router->mode != CONF_VRRP_UNICAST)
		return join_group(fd, netif);
	if (vrrp_set_int(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, VRRP_TTL) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, IPTOS_CLASS_CS6) < 0)
		return -1;
	return bind(fd, &netif->source.sa, addr_len(&netif->source));
}

/* A drop is reported without being asked for. */
int vrrp_ip6_send(int fd, struct msghdr *msg, const struct addr *source)
{
	struct in6_pktinfo info = {.ipi6_addr = source->in6.sin6_addr};
	vrrp_set_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	return sendmsg(fd, msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What the IP header said comes beside the message. A packet without it is not judged. */
static int read_header(struct msghdr *msg, struct vrrp_received *out)
{
	bool has_hops = false, has_destination = false;
	for (struct cmsghdr *at = CMSG_FIRSTHDR(msg); at; at = CMSG_NXTHDR(msg, at)) {
		struct in6_pktinfo info;
		int hops;
		if (at->cmsg_level != IPPROTO_IPV6)
			continue;
		if (at->cmsg_type == IPV6_HOPLIMIT && at->cmsg_len >= CMSG_LEN(sizeof(hops))) {
			memcpy(&hops, CMSG_DATA(at), sizeof(hops));
			out->ttl = (uint8_t)hops;
			has_hops = true;
		} else if (at->cmsg_type == IPV6_PKTINFO &&
			   at->cmsg_len >= CMSG_LEN(sizeof(info))) {
			memcpy(&info, CMSG_DATA(at), sizeof(info));
			out->destination.in6 = (struct sockaddr_in6){
			    .sin6_family = AF_INET6,
			    .sin6_addr = info.ipi6_addr,
			};
			has_destination = true;
		}
	}
	return has_hops && has_destination ? 1 : -EBADMSG;
}

int vrrp_ip6_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
	} control;
	struct vrrp_received received = {.data = buf};
	struct iovec iov = {.iov_base = buf, .iov_len = VRRP_RECV_MAX};
	struct msghdr msg = {
	    .msg_name = &received.source.in6,
	    .msg_namelen = sizeof(received.source.in6),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;
	do
		n = recvmsg(fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	received.len = (size_t)n;
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	int rc = read_header(&msg, &received);
	if (rc == 1)
		*out = received;
	return rc;
}
