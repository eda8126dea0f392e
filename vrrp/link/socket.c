#include "vrrp/link/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "vrrp/link/router.h"
#include "vrrp/link/socket_ip.h"

int vrrp_set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int set_up(int fd, const struct ipc_router *router, const struct vrrp_netif *netif)
{
	return vrrp_router_is_ipv6(router) ? vrrp_ip6_set_up(fd, router, netif)
					   : vrrp_ip4_set_up(fd, router, netif);
}

int vrrp_socket_open(struct vrrp_socket *sock, const struct ipc_router *router,
    const struct vrrp_netif *netif, struct err *err)
{
	sock->fd = -1;
	int fd = socket(
	    vrrp_router_family(router), SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, VRRP_PROTOCOL);
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
	if (router->mode != CONF_VRRP_UNICAST) {
		sock->destination = vrrp_group(vrrp_router_family(router));
		if (vrrp_router_is_ipv6(router))
			sock->destination.in6.sin6_scope_id = (uint32_t)netif->ifindex;
	}
	addr_set_port(&sock->destination, 0);
	return 0;
}

void vrrp_socket_close(struct vrrp_socket *sock)
{
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
}

static int send_packet(const struct vrrp_socket *sock, const uint8_t *data, size_t len)
{
	return sock->source.sa.sa_family == AF_INET6 ? vrrp_ip6_send(sock, data, len)
						     : vrrp_ip4_send(sock, data, len);
}

static int send_message(const struct vrrp_socket *sock, const struct ipc_router *router,
    enum vrrp_type type, uint8_t priority, uint8_t flags, enum vrrp_checksum form)
{
	uint8_t addresses[VRRP_ADDRESS_LEN_MAX * IPC_ADDRESSES_MAX];
	uint8_t buf[VRRP_HEADER_LEN + sizeof(addresses) + VRRP_V2_AUTH_LEN];
	size_t used = 0;
	if (sock->fd < 0)
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
	return sock->source.sa.sa_family == AF_INET6 ? vrrp_ip6_recv(sock->fd, buf, out)
						     : vrrp_ip4_recv(sock->fd, buf, out);
}
