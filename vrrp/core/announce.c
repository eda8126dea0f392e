#include "vrrp/core/announce.h"

#include <string.h>

#include "daemon/base/clock.h"

static const uint64_t rounds_us[] = {
    0, 10 * US_PER_MS, 50 * US_PER_MS, 200 * US_PER_MS, 1100 * US_PER_MS, 5 * US_PER_SEC};
#define ROUNDS (sizeof(rounds_us) / sizeof(rounds_us[0]))

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

void vrrp_burst_start(struct vrrp_burst *burst, uint64_t now_us)
{
	if (burst->round != 0 && now_us - burst->start_us < US_PER_SEC)
		return;
	burst->start_us = now_us;
	burst->round = 1;
}

void vrrp_burst_cancel(struct vrrp_burst *burst)
{
	burst->round = 0;
}

uint64_t vrrp_burst_due(const struct vrrp_burst *burst)
{
	return burst->round == 0 ? UINT64_MAX : burst->start_us + rounds_us[burst->round - 1];
}

bool vrrp_burst_take(struct vrrp_burst *burst, uint64_t now_us)
{
	if (now_us < vrrp_burst_due(burst))
		return false;
	while (burst->round != 0 && now_us >= vrrp_burst_due(burst))
		burst->round = burst->round == ROUNDS ? 0 : burst->round + 1;
	return true;
}
