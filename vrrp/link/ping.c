#include "vrrp/link/ping.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vrrp/core/echo.h"

/* A longest IPv4 header and an answer; a longer packet is none of ours. */
#define RECV_MAX (60 + VRRP_ECHO_LEN + 1)

/* Lets echo replies through that have our identifier. The IP header comes first. */
static int filter4(int fd, uint16_t ident)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	    BPF_STMT(BPF_LD | BPF_B | BPF_IND, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ICMP_ECHOREPLY, 0, 3),
	    BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ident, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int filter6(int fd)
{
	struct icmp6_filter filter;
	ICMP6_FILTER_SETBLOCKALL(&filter);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
	return setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
}

static int open_socket(bool ipv6, uint16_t ident)
{
	int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	if (fd >= 0 && (ipv6 ? filter6(fd) : filter4(fd, ident)) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

int vrrp_pinger_open(struct vrrp_pinger *pinger, struct err *err)
{
	*pinger = (struct vrrp_pinger){.fd4 = -1, .fd6 = -1};
	if (getrandom(&pinger->ident, sizeof(pinger->ident), GRND_NONBLOCK) < 0)
		return err_set(err, -errno, "random numbers: %s", strerror(errno));
	pinger->fd6 = open_socket(true, pinger->ident);
	pinger->fd4 = open_socket(false, pinger->ident);
	if (pinger->fd4 < 0 && pinger->fd6 < 0)
		return err_set(err, -errno, "ICMP socket: %s", strerror(errno));
	return 0;
}

void vrrp_pinger_close(struct vrrp_pinger *pinger)
{
	if (pinger->fd4 >= 0)
		close(pinger->fd4);
	if (pinger->fd6 >= 0)
		close(pinger->fd6);
	pinger->fd4 = pinger->fd6 = -1;
}

int vrrp_ping_send(const struct vrrp_pinger *pinger, struct vrrp_ping *ping, const struct addr *to,
    int ifindex, uint64_t now_us)
{
	struct addr where = *to;
	bool ipv6 = to->sa.sa_family == AF_INET6;
	uint8_t data[VRRP_ECHO_LEN];
	uint64_t nonce;
	if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) != sizeof(nonce))
		return -EAGAIN;
	vrrp_echo_request(ipv6, pinger->ident, nonce, data);
	if (ipv6 && IN6_IS_ADDR_LINKLOCAL(&to->in6.sin6_addr))
		where.in6.sin6_scope_id = (uint32_t)ifindex;
	ssize_t n = sendto(ipv6 ? pinger->fd6 : pinger->fd4, data, sizeof(data),
	    MSG_DONTWAIT | MSG_NOSIGNAL, &where.sa, addr_len(&where));
	if (n < 0)
		return -errno;
	*ping = (struct vrrp_ping){.nonce = nonce, .sent_us = now_us};
	return 0;
}

int vrrp_ping_recv(const struct vrrp_pinger *pinger, bool ipv6, struct vrrp_pong *out)
{
	uint8_t buf[RECV_MAX];
	struct vrrp_pong pong = {0};
	socklen_t from_len = sizeof(pong.from);
	ssize_t n = recvfrom(ipv6 ? pinger->fd6 : pinger->fd4, buf, sizeof(buf), MSG_DONTWAIT,
	    &pong.from.sa, &from_len);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	size_t len = (size_t)n;
	size_t header = ipv6 || len == 0 ? 0 : 4U * (buf[0] & 0xfU);
	if (len < header ||
	    !vrrp_echo_answer(ipv6, pinger->ident, buf + header, len - header, &pong.nonce))
		return -EBADMSG;
	*out = pong;
	return 1;
}

bool vrrp_ping_answered(
    const struct vrrp_ping *ping, const struct addr *to, const struct vrrp_pong *pong)
{
	return ping->sent_us != 0 && ping->nonce == pong->nonce && addr_equal_ip(to, &pong->from);
}
