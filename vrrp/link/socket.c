#include "vrrp/link/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

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

/* Not bound to an address: a bound raw socket receives nothing that is sent to a group. */
static int join_group(int fd, const char *interface, const struct vrrp_netif *netif)
{
	struct ip_mreqn group = {
	    .imr_multiaddr.s_addr = htonl(VRRP_GROUP4),
	    .imr_address = netif->source.in.sin_addr,
	    .imr_ifindex = netif->ifindex,
	};
	if (setsockopt(
		fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface) + 1) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) < 0 ||
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_MULTICAST_TTL, VRRP_TTL) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) < 0)
		return -1;
	return 0;
}

static int set_up(int fd, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	if (attach_filter(fd, router->vrid) < 0 || set_int(fd, IPPROTO_IP, IP_TTL, VRRP_TTL) < 0 ||
	    set_int(fd, IPPROTO_IP, IP_TOS, IPTOS_CLASS_CS6) < 0)
		return -1;
	if (router->mode == CONF_VRRP_UNICAST)
		return bind(fd, &netif->source.sa, addr_len(&netif->source));
	return join_group(fd, router->interface, netif);
}

int vrrp_socket_open(struct vrrp_socket *sock, const struct ipc_router *router,
    const struct vrrp_netif *netif, struct err *err)
{
	sock->fd = -1;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, VRRP_PROTOCOL);
	if (fd < 0)
		return err_set(err, -errno, "raw socket: %s", strerror(errno));
	if (set_up(fd, router, netif) < 0) {
		int rc = -errno;
		char text[ADDR_TEXT_MAX];
		close(fd);
		return err_set(err, rc, "VRRP socket on %s from %s: %s", router->interface,
		    addr_format_ip(&netif->source, text), strerror(-rc));
	}
	sock->fd = fd;
	sock->source = netif->source;
	sock->destination = router->peer;
	if (router->mode != CONF_VRRP_UNICAST)
		sock->destination = vrrp_group(AF_INET);
	addr_set_port(&sock->destination, 0);
	return 0;
}

void vrrp_socket_close(struct vrrp_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
}

/* A packet that is dropped on its way out is reported only with IP_RECVERR, which also lets any
 * ICMP error make the next call fail: so it is on for this call alone, and an error that is not
 * this call's own is tried again. Turning it off empties the queue of errors. */
static int send_checked(int fd, const struct msghdr *msg)
{
	int rc = -EAGAIN;
	if (set_int(fd, IPPROTO_IP, IP_RECVERR, 1) < 0)
		return -errno;
	for (int i = 0; i < 3 && rc != 0 && rc != -ENOBUFS; i++)
		rc = sendmsg(fd, msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
	set_int(fd, IPPROTO_IP, IP_RECVERR, 0);
	return rc;
}

/* The source is named with each packet: the kernel would otherwise choose one by its own rules,
 * and might choose a VIP. */
static int send_packet(const struct vrrp_socket *sock, uint8_t *data, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {
	    .msg_name = (void *)(uintptr_t)&sock->destination.in,
	    .msg_namelen = sizeof(sock->destination.in),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	struct in_pktinfo info = {.ipi_spec_dst = sock->source.in.sin_addr};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	return send_checked(sock->fd, &msg);
}

static int send_message(const struct vrrp_socket *sock, const struct ipc_router *router,
    enum vrrp_type type, uint8_t priority, uint8_t flags, enum vrrp_checksum form)
{
	uint8_t addresses[4 * IPC_ADDRESSES_MAX], buf[VRRP_HEADER_LEN + sizeof(addresses)];
	if (sock->fd < 0)
		return -ENOTCONN;
	for (unsigned i = 0; i < router->n_addresses; i++)
		memcpy(addresses + 4 * i, &router->addresses[i].addr.in.sin_addr, 4);
	struct vrrp_advert advert = {
	    .version = VRRP_VERSION,
	    .type = (uint8_t)type,
	    .flags = flags,
	    .vrid = router->vrid,
	    .priority = priority,
	    .n_addresses = router->n_addresses,
	    .interval_cs = (uint16_t)(router->advertise_us / 10000),
	    .addresses = addresses,
	};
	struct vrrp_envelope envelope = {
	    .source = &sock->source,
	    .destination = &sock->destination,
	    .form = form,
	};
	size_t len = vrrp_encode(&advert, &envelope, buf, sizeof(buf));
	return len == 0 ? -EINVAL : send_packet(sock, buf, len);
}

int vrrp_socket_advertise(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t priority, enum vrrp_checksum form)
{
	return send_message(sock, router, VRRP_TYPE_ADVERT, priority, 0, form);
}

int vrrp_socket_claim(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t flags, enum vrrp_checksum form)
{
	return send_message(sock, router, VRRP_TYPE_CLAIM, router->priority, flags, form);
}

int vrrp_socket_recv(
    const struct vrrp_socket *sock, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out)
{
	ssize_t n;
	do
		n = recv(sock->fd, buf, VRRP_RECV_MAX, MSG_DONTWAIT);
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
