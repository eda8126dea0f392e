/* The fence: nftables rules by which the kernel decides who may speak and who may answer, also
 * while our processes are stopped or dead. Here are its text and its times, in memory only;
 * vrrp/lease hands the text to the kernel.
 *
 * One table of family netdev for each virtual router (sets are shared within a table only, and only
 * netdev sees ARP, IP and packet sockets alike). Four sets, each with at most one element that
 * times out by itself:
 *
 *	lease   this node may answer for the addresses. Renewed by each advert that leaves, while it
 *	        lasts; created by one that leaves while permit is alive and neither peer nor claim is
 *	permit  we have claimed just now
 *	peer    the peer was heard Active
 *	claim   the peer has claimed
 *
 * Besides adverts two frames, which no network forwards, change sets: see vrrp_fence_token. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"

#define VRRP_FENCE_PREFIX   "yoke_vrrp_" /* of the names of our tables */
#define VRRP_FENCE_NAME_MAX 48
#define VRRP_FENCE_TEXT_MAX 8192

/* Which virtual router: a VRID may be used once for each family. */
struct vrrp_fence_id {
	sa_family_t family;
	uint8_t vrid;
	const char *interface; /* where the addresses are */
};

struct vrrp_fence {
	struct vrrp_fence_id id;
	const char *advert_path; /* the interface of the adverts, if it is another one; or NULL */
	uint8_t version;         /* of VRRP: 2 has no claims */
	uint8_t ttl_min;
	uint8_t n_addresses;
	const struct addr *addresses; /* of the family */
	const struct addr *source;    /* of our adverts: an echo is not the peer */
	const uint8_t *virtual_mac;   /* or NULL */
	uint32_t interval_us;         /* ours */
	uint32_t active_interval_us;  /* of the Active that was heard */
};

/* D is the delay that the network may add. A claim takes W = 5 D before the end of a Backup's
 * patience and is repeated every D: D is 2 ms, or T/20 for intervals T below 40 ms. */
uint32_t vrrp_claim_beat_us(uint32_t interval_us);
uint32_t vrrp_claim_us(uint32_t interval_us);
/* So long the answer of a peer may take that is asked by replication (core/fsm.h): the threads of
 * the proxies have to share the CPUs with others. */
uint32_t vrrp_answer_us(void);
/* How long a better claimant has to claim after the last claim of another, for its kernel to have
 * forgotten that one. */
uint32_t vrrp_claim_outbid_us(uint32_t interval_us);

/* Timeouts of elements; the kernel may be early or late by a jiffy, up to 4 ms.
 *
 *	lease    2 T less delay and jiffy: longer than T and its jitter, and over before
 *	         the peer loses its patience of 3 T and skew, even if the last advert was
 *	         lost. 2 T if T is below 40 ms, for the sake of jitter; intervals are of
 *	         10 ms, so that no jiffy rounds this up. A longer one would be safe only where
 *	         no advert is lost, and is not needed: who comes late claims it back
 *	permit   a little over W
 *	claim    permit + D and two jiffies: when ours is forgotten, the peer's permit has ended
 *	peer     3 T - W: has ended when our patience ends, but not before the peer's lease */
struct vrrp_fence_times {
	uint32_t lease_ms, permit_ms, claim_ms, peer_ms;
};
struct vrrp_fence_times vrrp_fence_times(uint32_t interval_us, uint32_t active_interval_us);

/* The name of the table. -EINVAL with a text when the interface's name cannot be written in
 * nftables' language. */
int vrrp_fence_name(
    const struct vrrp_fence_id *id, char name[VRRP_FENCE_NAME_MAX], struct err *err);
/* Of which virtual router that table is; its interface's name is a part of `name`. False when it
 * is no name of ours. */
bool vrrp_fence_parse_name(const char *name, struct vrrp_fence_id *id);

enum vrrp_fence_mode {
	VRRP_FENCE_FRESH,  /* replaces the table, if there is one: no lease, no permit */
	VRRP_FENCE_CHANGE, /* new rules, the sets stay */
};

/* Commands that put the fence up, one transaction. Returns their length, or -errno with a text. */
int vrrp_fence_text(const struct vrrp_fence *fence, enum vrrp_fence_mode mode,
    char text[VRRP_FENCE_TEXT_MAX], struct err *err);

/* An Ethernet frame from our MAC to our MAC, which no bridge passes on. RENEW is to the fence what
 * an advert is, PERMIT what a claim is, OVERRIDE what one is that overrides: in unicast mode a
 * message may wait for the peer's MAC, or leave by another interface, and VRRPv2 has no claims.
 * RELEASE ends lease and permit. */
enum vrrp_token { VRRP_TOKEN_RENEW, VRRP_TOKEN_RELEASE, VRRP_TOKEN_PERMIT, VRRP_TOKEN_OVERRIDE };
#define VRRP_TOKEN_ETHERTYPE 0x88b5 /* IEEE 802: for local experiments */
#define VRRP_TOKEN_LEN       60
void vrrp_fence_token(enum vrrp_token kind, const struct vrrp_fence_id *id, const uint8_t mac[6],
    uint8_t frame[VRRP_TOKEN_LEN]);
