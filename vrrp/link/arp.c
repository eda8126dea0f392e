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

int vrrp_arp_announce(int fd, const struct vrrp_netif *netif, const struct addr *vip)
{
	struct sockaddr_ll to = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ARP),
	    .sll_ifindex = netif->ifindex,
	    .sll_halen = 6,
	};
	memset(to.sll_addr, 0xff, 6);
	int rc = 0;
	for (int form = ARP_FORM_REQUEST; form <= ARP_FORM_REPLY; form++) {
		uint8_t frame[ARP_FRAME_LEN];
		vrrp_arp_frame((enum arp_form)form, netif->mac, vip, frame);
		if (sendto(fd, frame, sizeof(frame), MSG_NOSIGNAL, (struct sockaddr *)&to,
			sizeof(to)) < 0)
			rc = -errno;
	}
	return rc;
}
