#include "vrrp/link/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/icmp6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/ipc/ipc.h"
#include "vrrp/core/announce.h"

/* Offsets in a frame. */
#define ETHER_SOURCE  6
#define ARP_SENDER_IP 28
#define IP6_NEXT      20
#define ICMP6_TYPE    54
#define NA_TARGET     62

#define PER_ADDRESS_MAX 9
#define CODE_MAX        (12 + IPC_ADDRESSES_MAX * PER_ADDRESS_MAX)

struct program {
	struct sock_filter code[CODE_MAX];
	unsigned short len;
};

static void put(struct program *program, struct sock_filter instruction)
{
	program->code[program->len++] = instruction;
}

#define STMT(what, value) put(program, (struct sock_filter)BPF_STMT(what, value))
#define JUMP(value, when, other) \
	put(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, when, other))

static uint32_t word(const uint8_t *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return ntohl(value);
}

/* Goes on behind it if the frame's address is another one; accepts it otherwise. */
static void put_address(struct program *program, const struct addr *addr)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(addr, &len);
	unsigned at = len == 4 ? ARP_SENDER_IP : NA_TARGET;
	for (size_t left = len; left > 0; left -= 4, at += 4, bytes += 4) {
		STMT(BPF_LD | BPF_W | BPF_ABS, at);
		JUMP(word(bytes), 0, (uint8_t)(left / 2 - 1));
	}
	STMT(BPF_RET | BPF_K, UINT32_MAX);
}

static void put_program(struct program *program, const struct vrrp_netif *netif,
    const struct addr *addresses, unsigned n_addresses)
{
	/* our own, also those that leave */
	STMT(BPF_LD | BPF_W | BPF_ABS, ETHER_SOURCE);
	JUMP(word(netif->vip_mac), 0, 3);
	STMT(BPF_LD | BPF_H | BPF_ABS, ETHER_SOURCE + 4);
	JUMP((uint32_t)(netif->vip_mac[4] << 8 | netif->vip_mac[5]), 0, 1);
	STMT(BPF_RET | BPF_K, 0);
	if (addresses[0].sa.sa_family == AF_INET6) {
		STMT(BPF_LD | BPF_B | BPF_ABS, IP6_NEXT);
		JUMP(IPPROTO_ICMPV6, 0, 2);
		STMT(BPF_LD | BPF_B | BPF_ABS, ICMP6_TYPE);
		JUMP(ND_NEIGHBOR_ADVERT, 1, 0);
		STMT(BPF_RET | BPF_K, 0);
	}
	for (unsigned i = 0; i < n_addresses; i++)
		put_address(program, &addresses[i]);
	STMT(BPF_RET | BPF_K, 0);
}

int vrrp_watch_change(int fd, const struct vrrp_netif *netif, const struct addr *addresses,
    unsigned n_addresses, struct err *err)
{
	struct program program = {.len = 0};
	if (!netif->has_mac || n_addresses == 0 || n_addresses > IPC_ADDRESSES_MAX)
		return err_set(err, -EINVAL, "nothing to watch");
	put_program(&program, netif, addresses, n_addresses);
	struct sock_fprog filter = {.len = program.len, .filter = program.code};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		return err_set(err, -errno, "filter of a packet socket: %s", strerror(errno));
	return 0;
}

static int bind_to(int fd, const struct vrrp_netif *netif, sa_family_t family, struct err *err)
{
	struct sockaddr_ll where = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(family == AF_INET6 ? ETH_P_IPV6 : ETH_P_ARP),
	    .sll_ifindex = netif->ifindex,
	};
	if (bind(fd, (const struct sockaddr *)&where, sizeof(where)) < 0)
		return err_set(err, -errno, "binding a packet socket: %s", strerror(errno));
	return 0;
}

int vrrp_watch_open(const struct vrrp_netif *netif, const struct addr *addresses,
    unsigned n_addresses, struct err *err)
{
	/* Protocol 0: it hears nothing before it is bound, with the filter in place. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "packet socket: %s", strerror(errno));
	int rc = vrrp_watch_change(fd, netif, addresses, n_addresses, err);
	if (rc == 0)
		rc = bind_to(fd, netif, addresses[0].sa.sa_family, err);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

bool vrrp_watch_read(int fd, uint8_t mac[6], struct addr *addr)
{
	uint8_t frame[NA_FRAME_LEN];
	ssize_t n = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
	if (n < ARP_FRAME_LEN)
		return false;
	memcpy(mac, frame + ETHER_SOURCE, 6);
	*addr = (struct addr){.sa.sa_family = AF_INET};
	if (frame[12] == ETH_P_IPV6 >> 8 && frame[13] == (ETH_P_IPV6 & 0xff) &&
	    n >= NA_TARGET + 16) {
		addr->sa.sa_family = AF_INET6;
		memcpy(&addr->in6.sin6_addr, frame + NA_TARGET, 16);
	} else {
		memcpy(&addr->in.sin_addr, frame + ARP_SENDER_IP, 4);
	}
	return true;
}
