#include "vrrp/link/token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

int vrrp_token_send(
    int fd, const struct vrrp_netif *netif, enum vrrp_token kind, const struct vrrp_fence_id *id)
{
	uint8_t frame[VRRP_TOKEN_LEN];
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(VRRP_TOKEN_ETHERTYPE),
	    .sll_ifindex = netif->ifindex,
	    .sll_halen = 6,
	};
	if (!netif->has_mac)
		return -ENOTSUP;
	memcpy(to.sll_addr, netif->mac, 6);
	vrrp_fence_token(kind, id, netif->mac, frame);
	ssize_t n = sendto(
	    fd, frame, sizeof(frame), MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof(to));
	return n < 0 ? -errno : 0;
}
