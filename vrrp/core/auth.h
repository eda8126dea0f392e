/* Authenticated adverts between two yokes: a trailer behind the message, VRRPv3 only. RFC 9568 has
 * no authentication, and keepalived and FRR refuse a message that is longer than its addresses: so
 * not towards them. Memory only: no clock, no allocation, no state but the caller's.
 *
 *	 0                   1                   2                   3
 *	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *	|   Magic 'Y'   |   Version 1   |            Key id             |
 *	|                      Sequence, 8 bytes                        |
 *	|                      Tag, 16 bytes                            |
 *
 * Tag: HMAC-SHA256, cut to 16 bytes, over source and destination address (as 16 bytes each, IPv4 in
 * the mapped form), the message with its checksum as zero, and the trailer up to the tag.
 *
 * Against replay each sender's sequence grows, and a receiver takes only what is above everything
 * that it has taken. A sequence is the sender's wall clock in microseconds, but at least one more
 * than its last one and than the peer's last one: so a node whose clock has been set back, even
 * over a restart, is believed again as soon as it has heard its peer once.
 *
 * What remains: a receiver that has just started, and was given no marks, takes a recorded packet
 * of any age, and after it every younger one of the recording, until the first genuine packet. That
 * may delay a promotion, or lower its delay to the skew time. The kernel's fence reads the fixed
 * header and does not know about tags: forged adverts can keep a Backup from promotion, but not end
 * an Active.
 *
 * Sequences belong to a virtual router, not to a process: the packets of two of them are received
 * in no particular order. A pair has one other sender, so that nothing is kept per sender. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "vrrp/core/packet.h"

#define VRRP_AUTH_KEY_LEN  32
#define VRRP_AUTH_KEYS_MAX 2

/* The two middle steps of a roll-out: first one node permissive, then the other, then enforce. */
enum vrrp_auth_mode {
	VRRP_AUTH_OFF,        /* sends no trailer, ignores those that come */
	VRRP_AUTH_PERMISSIVE, /* sends it; takes messages without, but none that is wrong */
	VRRP_AUTH_ENFORCE,    /* sends and demands it */
};

/* How far the sequences of a key have come. Plain data: may travel to the process that follows. */
struct vrrp_auth_mark {
	uint64_t sent, heard;
	uint16_t key_id;
};

struct vrrp_auth_marks {
	struct vrrp_auth_mark of[VRRP_AUTH_KEYS_MAX];
};

/* Of one virtual router, in both directions. All zero: off. */
struct vrrp_auth {
	enum vrrp_auth_mode mode;
	unsigned n_keys;
	uint8_t keys[VRRP_AUTH_KEYS_MAX][VRRP_AUTH_KEY_LEN];
	struct vrrp_auth_marks marks; /* of each key, in the order of `keys` */
};

/* The key of adverts out of the pair's sync key; of one as little can be learned from the other. */
void vrrp_auth_derive(
    const uint8_t sync_key[VRRP_AUTH_KEY_LEN], uint8_t advert_key[VRRP_AUTH_KEY_LEN]);

/* Takes mode and keys (derived ones), also in place of earlier ones; a key that stays keeps its
 * marks. The first key signs, each of them is accepted: to change keys without a gap, add the new
 * one as second on both nodes, then make it the first on both, then drop the old one. At most
 * VRRP_AUTH_KEYS_MAX, and one at least unless the mode is off. */
void vrrp_auth_configure(struct vrrp_auth *auth, enum vrrp_auth_mode mode,
    const uint8_t keys[][VRRP_AUTH_KEY_LEN], unsigned n_keys);

/* Goes on where another process was when it had these marks. They may be old by a million packets.
 * Marks of other keys are ignored. */
void vrrp_auth_resume(struct vrrp_auth *auth, const struct vrrp_auth_marks *marks);

/* vrrp_encode and vrrp_parse call these. Appends the trailer to the message of `len` bytes and
 * returns the length of both (`len` itself when off), or 0 when `size` is too small. The checksum
 * is the caller's, afterwards. `wall_us`: CLOCK_REALTIME. */
size_t vrrp_auth_sign(struct vrrp_auth *auth, uint64_t wall_us, const struct addr *source,
    const struct addr *destination, uint8_t *buf, size_t len, size_t size);
/* Judges the packet, in which the message has `len` bytes: VRRP_ACCEPTED or VRRP_REFUSED_TAG_*. The
 * sequence of an accepted one is used up. */
enum vrrp_refusal vrrp_auth_verify(
    struct vrrp_auth *auth, const struct vrrp_received *packet, size_t len);
