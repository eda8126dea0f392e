/* Gratuitous ARP and unsolicited neighbour advertisements: which frame, and when. They tell the
 * segment where the VIP lives now (RFC 9568 section 6.4.2, RFC 5227 section 3, RFC 4861 section
 * 7.2.6); repeated, because nobody acknowledges them and because a bridge may learn late. Memory
 * only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"

#define ARP_FRAME_LEN 42 /* Ethernet header and ARP for IPv4 */
#define NA_FRAME_LEN  86 /* Ethernet, IPv6, neighbour advertisement with one option */

/* Some stacks update their cache on requests only, some on replies only: a round sends both. */
enum arp_form { ARP_FORM_REQUEST, ARP_FORM_REPLY };

/* A broadcast frame that says `vip` (IPv4) is at `mac`. */
void vrrp_arp_frame(
    enum arp_form form, const uint8_t mac[6], const struct addr *vip, uint8_t frame[ARP_FRAME_LEN]);

/* To all nodes: `vip` (IPv6) is at `mac`; flags R and O are set, S is not. */
void vrrp_na_frame(const uint8_t mac[6], const struct addr *vip, uint8_t frame[NA_FRAME_LEN]);

/* How a virtual router announces. */
struct vrrp_announce {
	unsigned n_addresses;
	uint32_t gap_us;     /* between two addresses; garp_interval of keepalived */
	uint64_t refresh_us; /* of rounds after the burst; 0: none; garp_master_refresh */
};

/* A burst: rounds at fixed distances from its start, then one each refresh. A round announces one
 * address after another. Zero-initialised: silent. */
struct vrrp_burst {
	uint64_t start_us;
	uint64_t due_us;
	unsigned round;   /* from 1; 0: silent */
	unsigned address; /* of the round, the next one */
};

/* Starts from the first round. A burst that began less than a second ago goes on instead, with a
 * round in 200 ms at the latest, so that a stranger's packets cannot make us repeat the first
 * rounds for ever, and what we say comes last. */
void vrrp_burst_start(struct vrrp_burst *burst, uint64_t now_us);
void vrrp_burst_cancel(struct vrrp_burst *burst);
/* When the next address is due; UINT64_MAX: never. */
uint64_t vrrp_burst_due(const struct vrrp_burst *burst);
/* Which address to announce now, or -1; with a gap of 0, call it until then. Rounds missed by a
 * late caller are one round, and a late address does not make the next one come sooner. */
int vrrp_burst_take(struct vrrp_burst *burst, const struct vrrp_announce *how, uint64_t now_us);
