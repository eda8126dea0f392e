/* VRRP messages, memory to memory: VRRPv3 over IPv4 and IPv6 (RFC 9568 section 5), and VRRPv2 (RFC
 * 3768 section 5), which exists over IPv4 only.
 *
 *	 0                   1                   2                   3
 *	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *	|Version| Type  | Virtual Rtr ID|   Priority    |  Addr Count   |
 *	|Reserve| Max Advertise Interval|           Checksum            |  v3: centiseconds
 *	| Auth Type     | Adver Int     |           Checksum            |  v2: seconds
 *	|              addresses, 4 or 16 bytes each                    |
 *	|              v2: 8 bytes of authentication data               |
 *
 * A claim of ours is a VRRPv3 message with another type, which every router discards (RFC 9568
 * section 7.1), and with flags in the reserved bits. VRRPv3 messages between two yokes may have a
 * trailer that authenticates them: auth.h.
 *
 * A virtual router speaks one version and discards the other one. Both at once, the migration mode
 * of RFC 9568 section 8.4, is left out: it is not recommended, and cannot go below a second. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"

#define VRRP_PROTOCOL         112
#define VRRP_TTL              255         /* also the hop limit */
#define VRRP_GROUP4           0xe0000012U /* 224.0.0.18, host order */
#define VRRP_VERSION          3
#define VRRP_VERSION_2        2
#define VRRP_HEADER_LEN       8
#define VRRP_V2_AUTH_LEN      8
#define VRRP_INTERVAL_CS_MAX  4095
#define VRRP_V2_INTERVAL_MAX  255 /* seconds */
#define VRRP_ADDRESS_LEN_MAX  16
#define VRRP_TRAILER_LEN      28
#define VRRP_ENCODED_MAX      (VRRP_HEADER_LEN + 255 * VRRP_ADDRESS_LEN_MAX + VRRP_TRAILER_LEN)
#define VRRP_PRIORITY_LEAVING 0 /* "I am leaving" */
#define VRRP_PRIORITY_OWNER   255

enum vrrp_type { VRRP_TYPE_ADVERT = 1, VRRP_TYPE_CLAIM = 14 };
#define VRRP_FIRST_BYTE(version, type) ((version) << 4 | (type))
#define VRRP_FIRST_BYTE_ADVERT         VRRP_FIRST_BYTE(VRRP_VERSION, VRRP_TYPE_ADVERT)
#define VRRP_FIRST_BYTE_CLAIM          VRRP_FIRST_BYTE(VRRP_VERSION, VRRP_TYPE_CLAIM)

/* Flags of a claim: it would take the VIP from an Active of lower priority, and does so because
 * that one does not understand claims (for the fence of the sender); the claimant was Active a
 * moment ago, and the VIP need not move. */
enum { VRRP_CLAIM_PREEMPTS = 1, VRRP_CLAIM_OVERRIDES = 2, VRRP_CLAIM_INCUMBENT = 4 };

/* What the checksum of a VRRPv3 message over IPv4 covers. RFC 9568: the message alone. RFC 5798 was
 * read by others (keepalived, Wireshark) to include a pseudo-header of source, destination,
 * protocol, length. There is no such choice over IPv6, where the pseudo-header is always included,
 * nor in VRRPv2, where it never is. */
enum vrrp_checksum { VRRP_CHECKSUM_PLAIN, VRRP_CHECKSUM_PSEUDO };

/* Which forms a receiver accepts, where there is a choice. */
enum vrrp_accept { VRRP_ACCEPT_EITHER, VRRP_ACCEPT_PLAIN, VRRP_ACCEPT_PSEUDO };

struct vrrp_advert {
	uint8_t version; /* VRRP_VERSION, VRRP_VERSION_2 */
	uint8_t type;    /* enum vrrp_type */
	uint8_t flags;   /* of a claim; 0 in an advert */
	uint8_t vrid;    /* 1..255 */
	uint8_t priority;
	uint8_t n_addresses;  /* 1..255 */
	uint16_t interval_cs; /* 1..VRRP_INTERVAL_CS_MAX; VRRPv2: whole seconds, up to 255 */
	/* Network order, 4 or 16 bytes each as the family of the IP header says (addr_bytes);
	 * belongs to somebody else. */
	const uint8_t *addresses;
};

struct vrrp_auth;

/* What surrounds a message that is sent: the addresses of its IP header say the family. */
struct vrrp_envelope {
	const struct addr *source, *destination; /* ports do not matter */
	enum vrrp_checksum form;
	struct vrrp_auth *auth; /* NULL: no trailer. Its sequence is used up */
	uint64_t wall_us;       /* CLOCK_REALTIME, for `auth` */
};

/* What the network delivered: the message behind the IP header, and what the header said. */
struct vrrp_received {
	const uint8_t *data;
	size_t len;
	uint8_t ttl;                     /* or hop limit */
	struct addr source, destination; /* of one family; ports do not matter */
};

/* What a virtual router accepts. */
struct vrrp_expect {
	uint8_t version;
	uint8_t vrid;
	uint8_t ttl_min, ttl_max; /* 255 on a shared segment (RFC 9568 section 7.1) */
	enum vrrp_accept checksum;
	uint16_t interval_cs; /* our own; VRRPv2 refuses every other */
	struct addr self;     /* our own source address: a packet from it is our echo */
	bool only_peer;       /* unicast: adverts of other sources than `peer` are refused */
	struct addr peer;
	struct vrrp_auth *auth; /* NULL: trailers are ignored */
};

/* Every reason to refuse a packet, in the order in which it is looked for: name, text. */
#define VRRP_REFUSALS(X)                                                 \
	X(TTL, "TTL or hop limit out of range")                          \
	X(SHORT, "shorter than a VRRP header")                           \
	X(VERSION, "another VRRP version")                               \
	X(TYPE, "neither an advertisement nor a claim")                  \
	X(COUNT_LARGE, "more addresses announced than the packet holds") \
	X(COUNT_ZERO, "no address")                                      \
	X(CHECKSUM, "wrong checksum")                                    \
	X(VRID, "another virtual router")                                \
	X(OWN, "our own packet came back")                               \
	X(SOURCE, "the sender is not our peer")                          \
	X(AUTH_TYPE, "VRRPv2 authentication")                            \
	X(INTERVAL, "advertisement interval 0")                          \
	X(INTERVAL_OTHER, "another advertisement interval (VRRPv2)")     \
	X(TAG_MISSING, "not authenticated")                              \
	X(TAG_KEY, "authenticated by a key that we do not have")         \
	X(TAG_WRONG, "wrong authentication tag")                         \
	X(TAG_REPLAYED, "a replay: not newer than what was heard")

enum vrrp_refusal {
	VRRP_ACCEPTED,
#define X(name, text) VRRP_REFUSED_##name,
	VRRP_REFUSALS(X)
#undef X
	    VRRP_REFUSAL_COUNT
};

/* Checks a received packet completely. Fills *out (whose addresses point into the packet) and *form
 * (which checksum the sender uses; a packet valid in both forms counts as plain) and returns
 * VRRP_ACCEPTED; else says the first thing wrong, in the order above, and leaves both untouched.
 * Bytes after the message are tolerated: they belong to extensions, and to the checksum. The state
 * of expect->auth advances with each packet that is accepted, and only then. */
enum vrrp_refusal vrrp_parse(const struct vrrp_received *packet, const struct vrrp_expect *expect,
    struct vrrp_advert *out, enum vrrp_checksum *form);

/* Writes the message, with the trailer if there is to be one, and returns its length; or 0 when a
 * field is out of range, the version does not have it, or `size` is too small. */
size_t vrrp_encode(const struct vrrp_advert *advert, const struct vrrp_envelope *envelope,
    uint8_t *buf, size_t size);

/* Where adverts go on a shared segment: 224.0.0.18 or ff02::12. */
struct addr vrrp_group(sa_family_t family);

/* Is `address`, of the family of the advert, in its list? */
bool vrrp_advert_lists(const struct vrrp_advert *advert, const struct addr *address);

const char *vrrp_refusal_text(enum vrrp_refusal refusal);
