#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "vrrp/link/socket_ip.h"

/* Lets through what names our VRID. A raw socket's filter sees the IP header first. */
static int attach_filter(int fd, uint8_t vrid)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 1),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, vrid, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int vrrp_ip4_speak(int fd, int ifindex)
{
	struct ip_mreqn by = {.imr_ifindex = ifindex};
	if (vrrp_set_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX, ifindex) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6) < 0)
		return -1;
	return 0;
}

/* Not bound to an address: a bound raw socket receives nothing that is sent to a group. */
static int join_group(int fd, const struct vrrp_netif *netif)
{
	struct ip_mreqn group = {
	    .imr_multiaddr.s_addr = htonl(VRRP_GROUP4),
	    .imr_ifindex = netif->ifindex,
	};
	if (vrrp_ip4_speak(fd, netif->ifindex) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) < 0)
		return -1;
	return 0;
}

int vrrp_ip4_listen(int fd, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	if (attach_filter(fd, router->vrid) < 0)
		return -1;
	if (router->mode != CONF_VRRP_UNICAST)
		return join_group(fd, netif);
	if (vrrp_set_int(fd, IPPROTO_IP, IP_TTL, VRRP_TTL) < 0 ||
	    vrrp_set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6) < 0)
		return -1;
	return bind(fd, &netif->source.sa, addr_len(&netif->source));
}

/* A packet that is dropped on its way out is reported only with IP_RECVERR, which also lets any
 * ICMP error make the next call fail: so it is on for this call alone, and an error that is not
 * this call's own is tried again. Turning it off empties the queue of errors. */
static int send_checked(int fd, const struct msghdr *msg)
{
	int rc = -EAGAIN;
	if (vrrp_set_int(fd, IPPROTO_IP, IP_RECVERR, 1) < 0)
		return -errno;
	for (int i = 0; i < 3 && rc != 0 && rc != -ENOBUFS; i++)
		rc = sendmsg(fd, msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
	vrrp_set_int(fd, IPPROTO_IP, IP_RECVERR, 0);
	return rc;
}

int vrrp_ip4_send(int fd, struct msghdr *msg, const struct addr *source)
{
	struct in_pktinfo info = {.ipi_spec_dst = source->in.sin_addr};
	vrrp_set_control(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	return send_checked(fd, msg);
}

int vrrp_ip4_recv(int fd, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out)
{
	ssize_t n;
	do
		n = recv(fd, buf, VRRP_RECV_MAX, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	struct iphdr ip;
	if ((size_t)n < sizeof(ip))
		return -EBADMSG;
	memcpy(&ip, buf, sizeof(ip));
	size_t header = 4U * ip.ihl;
	if (header < sizeof(ip) || (size_t)n < header)
		return -EBADMSG;
	*out =
	    (struct vrrp_received){.data = buf + header, .len = (size_t)n - header, .ttl = ip.ttl};
	out->source.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = ip.saddr};
	out->destination.in =
	    (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = ip.daddr};
	return 1;
}
