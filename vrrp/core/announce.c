#include "vrrp/core/announce.h"

#include <string.h>

#include "daemon/base/clock.h"

static const uint64_t rounds_us[] = {
    0, 10 * US_PER_MS, 50 * US_PER_MS, 200 * US_PER_MS, 1100 * US_PER_MS, 5 * US_PER_SEC};
#define ROUNDS   (sizeof(rounds_us) / sizeof(rounds_us[0]))
#define AGAIN_US (200 * US_PER_MS)

void vrrp_arp_frame(
    enum arp_form form, const uint8_t mac[6], const struct addr *vip, uint8_t frame[ARP_FRAME_LEN])
{
	static const uint8_t fixed[8] = {
	    0x08, 0x06,       /* EtherType ARP */
	    0x00, 0x01,       /* hardware: Ethernet */
	    0x08, 0x00, 6, 4, /* protocol: IPv4; lengths */
	};
	uint8_t *p = frame;
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	memcpy(p + 12, fixed, sizeof(fixed));
	p[20] = 0;
	p[21] = form == ARP_FORM_REQUEST ? 1 : 2;
	memcpy(p + 22, mac, 6);
	memcpy(p + 28, &vip->in.sin_addr, 4);
	memset(p + 32, 0xff, 6);
	memcpy(p + 38, &vip->in.sin_addr, 4);
}

/* Of ICMPv6 (RFC 4443 section 2.3): `frame` is complete but for this. */
static uint16_t na_checksum(const uint8_t frame[NA_FRAME_LEN])
{
	const unsigned source = 22, body = 54;
	uint32_t sum = 58 + NA_FRAME_LEN - body; /* next header and length */
	for (unsigned i = source; i < NA_FRAME_LEN; i += 2)
		sum += (uint32_t)(frame[i] << 8 | frame[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void vrrp_na_frame(const uint8_t mac[6], const struct addr *vip, uint8_t frame[NA_FRAME_LEN])
{
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const uint8_t ipv6[] = {
	    0x86, 0xdd,     /* EtherType IPv6 */
	    0x60, 0, 0, 0,  /* version */
	    0, 32, 58, 255, /* payload length, ICMPv6, hop limit */
	};
	static const uint8_t advert[] = {
	    136, 0, 0, 0,  /* type, code, checksum */
	    0xa0, 0, 0, 0, /* R and O */
	};
	memset(frame, 0, NA_FRAME_LEN);
	memcpy(frame, all_nodes_mac, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(frame + 12, ipv6, sizeof(ipv6));
	memcpy(frame + 22, &vip->in6.sin6_addr, 16);
	memcpy(frame + 38, all_nodes, 16);
	memcpy(frame + 54, advert, sizeof(advert));
	memcpy(frame + 62, &vip->in6.sin6_addr, 16);
	frame[78] = 2; /* option: target link-layer address, of one unit of 8 bytes */
	frame[79] = 1;
	memcpy(frame + 80, mac, 6);
	uint16_t checksum = na_checksum(frame);
	frame[56] = (uint8_t)(checksum >> 8);
	frame[57] = (uint8_t)checksum;
}

/* A word after what was heard, though not the first rounds again; the next round comes at its time
 * all the same. */
static void hasten(struct vrrp_burst *burst, uint64_t now_us)
{
	if (burst->address != 0 || burst->due_us <= now_us + AGAIN_US)
		return;
	burst->due_us = now_us + AGAIN_US;
	burst->round--;
}

void vrrp_burst_start(struct vrrp_burst *burst, uint64_t now_us)
{
	if (burst->round != 0 && now_us - burst->start_us < US_PER_SEC) {
		hasten(burst, now_us);
		return;
	}
	*burst = (struct vrrp_burst){.start_us = now_us, .due_us = now_us, .round = 1};
}

void vrrp_burst_cancel(struct vrrp_burst *burst)
{
	burst->round = 0;
}

uint64_t vrrp_burst_due(const struct vrrp_burst *burst)
{
	return burst->round == 0 ? UINT64_MAX : burst->due_us;
}

static void next_round(struct vrrp_burst *burst, uint64_t refresh_us, uint64_t now_us)
{
	burst->address = 0;
	while (burst->round < ROUNDS && burst->start_us + rounds_us[burst->round] <= now_us)
		burst->round++;
	if (burst->round < ROUNDS) {
		burst->due_us = burst->start_us + rounds_us[burst->round++];
	} else {
		burst->due_us = now_us + refresh_us;
		burst->round = refresh_us ? ROUNDS : 0;
	}
}

int vrrp_burst_take(struct vrrp_burst *burst, const struct vrrp_announce *how, uint64_t now_us)
{
	if (now_us < vrrp_burst_due(burst))
		return -1;
	unsigned address = burst->address++;
	if (burst->address < how->n_addresses)
		burst->due_us = now_us + how->gap_us;
	else
		next_round(burst, how->refresh_us, now_us);
	/* There may be fewer than a moment ago. */
	return address < how->n_addresses ? (int)address : -1;
}
