#include "vrrp/link/arp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

#include "vrrp/core/announce.h"

int vrrp_arp_open(struct err *err)
{
	/* Protocol 0: the kernel delivers nothing to it. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(err, -errno, "packet socket: %s", strerror(errno));
	return fd;
}

static int send_frame(int fd, const struct vrrp_netif *netif, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons((uint16_t)(frame[12] << 8 | frame[13])),
	    .sll_ifindex = netif->vip_ifindex,
	    .sll_halen = 6,
	};
	memcpy(to.sll_addr, frame, 6);
	ssize_t n = sendto(fd, frame, len, MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof(to));
	return n < 0 ? -errno : 0;
}

int vrrp_arp_announce(int fd, const struct vrrp_netif *netif, const struct addr *vip)
{
	uint8_t frame[NA_FRAME_LEN];
	if (vip->sa.sa_family == AF_INET6) {
		vrrp_na_frame(netif->vip_mac, vip, frame);
		return send_frame(fd, netif, frame, NA_FRAME_LEN);
	}
	int rc = 0;
	for (int form = ARP_FORM_REQUEST; form <= ARP_FORM_REPLY; form++) {
		vrrp_arp_frame((enum arp_form)form, netif->vip_mac, vip, frame);
		int sent = send_frame(fd, netif, frame, ARP_FRAME_LEN);
		rc = rc ? rc : sent;
	}
	return rc;
}
