#include "vrrp/link/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "vrrp/link/router.h"
#include "vrrp/link/socket_ip.h"

int vrrp_set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

void vrrp_set_control(struct msghdr *msg, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), data, len);
	msg->msg_controllen = CMSG_SPACE(len);
}

static int open_raw(const struct ipc_router *router)
{
	return socket(
	    vrrp_router_family(router), SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, VRRP_PROTOCOL);
}

static int listen_on(int fd, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	return vrrp_router_is_ipv6(router) ? vrrp_ip6_listen(fd, router, netif)
					   : vrrp_ip4_listen(fd, router, netif);
}

/* The way out by the virtual MAC; what arrives there is not for it. */
static int speak_by(int fd, const struct ipc_router *router, int ifindex)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = nothing};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -1;
	return vrrp_router_is_ipv6(router) ? vrrp_ip6_speak(fd, ifindex)
					   : vrrp_ip4_speak(fd, ifindex);
}

static bool is_unicast(const struct ipc_router *router)
{
	return router->mode == CONF_VRRP_UNICAST;
}

static int set_up(
    struct vrrp_socket *sock, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	if ((sock->fd = open_raw(router)) < 0 || listen_on(sock->fd, router, netif) < 0)
		return -1;
	if (is_unicast(router) || netif->vip_ifindex == netif->ifindex) {
		sock->advert_fd = sock->fd;
		return 0;
	}
	if ((sock->advert_fd = open_raw(router)) < 0)
		return -1;
	return speak_by(sock->advert_fd, router, netif->vip_ifindex);
}

int vrrp_socket_open(struct vrrp_socket *sock, const struct ipc_router *router,
    const struct vrrp_netif *netif, struct vrrp_auth *auth, struct err *err)
{
	*sock = (struct vrrp_socket){.advert_fd = -1, .source = netif->source, .auth = auth};
	sock->destination =
	    is_unicast(router) ? router->peer : vrrp_group(vrrp_router_family(router));
	addr_set_port(&sock->destination, 0);
	if (set_up(sock, router, netif) == 0)
		return 0;
	int rc = -errno;
	char text[ADDR_TEXT_MAX];
	vrrp_socket_close(sock);
	return err_set(err, rc, "VRRP socket on %s from %s: %s", router->interface,
	    addr_format_ip(&netif->source, text), strerror(-rc));
}

void vrrp_socket_close(struct vrrp_socket *sock)
{
	if (sock->fd < 0)
		return;
	if (sock->advert_fd >= 0 && sock->advert_fd != sock->fd)
		close(sock->advert_fd);
	close(sock->fd);
	sock->fd = -1;
}

/* The source is named with each packet: the kernel would otherwise choose one by its own rules,
 * and might choose a VIP. */
static int send_packet(int fd, const struct vrrp_socket *sock, uint8_t *data, size_t len)
{
	union {
		struct cmsghdr align;
		char bytes[VRRP_CONTROL_MAX];
	} control;
	struct addr to = sock->destination;
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {
	    .msg_name = &to.sa,
	    .msg_namelen = addr_len(&to),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes),
	};
	memset(&control, 0, sizeof(control));
	return to.sa.sa_family == AF_INET6 ? vrrp_ip6_send(fd, &msg, &sock->source)
					   : vrrp_ip4_send(fd, &msg, &sock->source);
}

static int send_message(int fd, const struct vrrp_socket *sock, const struct ipc_router *router,
    enum vrrp_type type, uint8_t priority, uint8_t flags, enum vrrp_checksum form)
{
	uint8_t addresses[VRRP_ADDRESS_LEN_MAX * IPC_ADDRESSES_MAX];
	uint8_t buf[VRRP_HEADER_LEN + sizeof(addresses) + VRRP_TRAILER_LEN];
	size_t used = 0;
	if (fd < 0)
		return -ENOTCONN;
	for (unsigned i = 0; i < router->n_addresses; i++) {
		size_t each;
		const uint8_t *bytes = addr_bytes(&router->addresses[i].addr, &each);
		memcpy(addresses + used, bytes, each);
		used += each;
	}
	struct vrrp_advert advert = {
	    .version = router->version,
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
	    .auth = sock->auth,
	    .wall_us = clock_wall_us(),
	};
	size_t len = vrrp_encode(&advert, &envelope, buf, sizeof(buf));
	if (len == 0)
		return -EINVAL;
	return send_packet(fd, sock, buf, len);
}

int vrrp_socket_advertise(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t priority, enum vrrp_checksum form)
{
	return send_message(sock->advert_fd, sock, router, VRRP_TYPE_ADVERT, priority, 0, form);
}

int vrrp_socket_claim(const struct vrrp_socket *sock, const struct ipc_router *router,
    uint8_t priority, uint8_t flags, enum vrrp_checksum form)
{
	return send_message(sock->fd, sock, router, VRRP_TYPE_CLAIM, priority, flags, form);
}

int vrrp_socket_recv(
    const struct vrrp_socket *sock, uint8_t buf[VRRP_RECV_MAX], struct vrrp_received *out)
{
	return sock->source.sa.sa_family == AF_INET6 ? vrrp_ip6_recv(sock->fd, buf, out)
						     : vrrp_ip4_recv(sock->fd, buf, out);
}
