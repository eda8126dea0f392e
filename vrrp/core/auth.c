#include "vrrp/core/auth.h"

#include <assert.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#include "daemon/base/bytes.h"

#define MAGIC        'Y'
#define VERSION      1
#define AT_KEY_ID    2 /* offsets in the trailer */
#define AT_SEQUENCE  4
#define AT_TAG       12
#define TAG_LEN      (VRRP_TRAILER_LEN - AT_TAG)
#define AT_CHECKSUM  6       /* in the message */
#define PACKETS_LOST 1000000 /* that marks may be old by */

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- keys ---- */

static void hmac_text(
    const uint8_t key[VRRP_AUTH_KEY_LEN], const char *text, uint8_t *out, size_t len)
{
	struct hmac_sha256_ctx ctx;
	hmac_sha256_set_key(&ctx, VRRP_AUTH_KEY_LEN, key);
	hmac_sha256_update(&ctx, strlen(text), (const uint8_t *)text);
	hmac_sha256_digest(&ctx, len, out);
}

void vrrp_auth_derive(
    const uint8_t sync_key[VRRP_AUTH_KEY_LEN], uint8_t advert_key[VRRP_AUTH_KEY_LEN])
{
	hmac_text(sync_key, "yoke vrrp adverts", advert_key, VRRP_AUTH_KEY_LEN);
}

static uint16_t id_of(const uint8_t key[VRRP_AUTH_KEY_LEN])
{
	uint8_t id[2];
	hmac_text(key, "yoke vrrp key id", id, sizeof(id));
	return (uint16_t)bytes_get(id, sizeof(id));
}

/* Raises the marks of the keys that are in `marks` too. */
static void take_marks(struct vrrp_auth *auth, const struct vrrp_auth_marks *marks, uint64_t lost)
{
	for (unsigned i = 0; i < auth->n_keys; i++) {
		struct vrrp_auth_mark *mark = &auth->marks.of[i];
		for (unsigned k = 0; k < VRRP_AUTH_KEYS_MAX; k++) {
			const struct vrrp_auth_mark *other = &marks->of[k];
			if (other->key_id != mark->key_id)
				continue;
			mark->sent = max(mark->sent, other->sent + lost);
			mark->heard = max(mark->heard, other->heard);
		}
	}
}

void vrrp_auth_configure(struct vrrp_auth *auth, enum vrrp_auth_mode mode,
    const uint8_t keys[][VRRP_AUTH_KEY_LEN], unsigned n_keys)
{
	assert(n_keys <= VRRP_AUTH_KEYS_MAX && (n_keys > 0 || mode == VRRP_AUTH_OFF));
	struct vrrp_auth next = {.mode = mode, .n_keys = n_keys};
	for (unsigned i = 0; i < n_keys; i++) {
		memcpy(next.keys[i], keys[i], VRRP_AUTH_KEY_LEN);
		next.marks.of[i].key_id = id_of(keys[i]);
	}
	take_marks(&next, &auth->marks, 0);
	*auth = next;
}

void vrrp_auth_resume(struct vrrp_auth *auth, const struct vrrp_auth_marks *marks)
{
	take_marks(auth, marks, PACKETS_LOST);
}

/* ---- the trailer ---- */

static void make_tag(const uint8_t key[VRRP_AUTH_KEY_LEN], const struct addr *source,
    const struct addr *destination, const uint8_t *message, size_t len, const uint8_t *trailer,
    uint8_t tag[TAG_LEN])
{
	static const uint8_t no_checksum[2];
	uint8_t addresses[2][16];
	struct hmac_sha256_ctx ctx;
	addr_key(source, 32, 128, addresses[0]);
	addr_key(destination, 32, 128, addresses[1]);
	hmac_sha256_set_key(&ctx, VRRP_AUTH_KEY_LEN, key);
	hmac_sha256_update(&ctx, sizeof(addresses), addresses[0]);
	hmac_sha256_update(&ctx, AT_CHECKSUM, message);
	hmac_sha256_update(&ctx, sizeof(no_checksum), no_checksum);
	hmac_sha256_update(&ctx, len - VRRP_HEADER_LEN, message + VRRP_HEADER_LEN);
	hmac_sha256_update(&ctx, AT_TAG, trailer);
	hmac_sha256_digest(&ctx, TAG_LEN, tag);
}

size_t vrrp_auth_sign(struct vrrp_auth *auth, uint64_t wall_us, const struct addr *source,
    const struct addr *destination, uint8_t *buf, size_t len, size_t size)
{
	if (auth->mode == VRRP_AUTH_OFF)
		return len;
	if (size < len + VRRP_TRAILER_LEN)
		return 0;
	struct vrrp_auth_mark *mark = &auth->marks.of[0];
	uint8_t *trailer = buf + len;
	mark->sent = max(wall_us, max(mark->sent, mark->heard) + 1);
	trailer[0] = MAGIC;
	trailer[1] = VERSION;
	bytes_put(trailer + AT_KEY_ID, mark->key_id, 2);
	bytes_put(trailer + AT_SEQUENCE, mark->sent, 8);
	make_tag(auth->keys[0], source, destination, buf, len, trailer, trailer + AT_TAG);
	return len + VRRP_TRAILER_LEN;
}

static enum vrrp_refusal take_sequence(struct vrrp_auth_mark *mark, uint64_t sequence)
{
	if (sequence <= mark->heard)
		return VRRP_REFUSED_TAG_REPLAYED;
	mark->heard = sequence;
	return VRRP_ACCEPTED;
}

/* Keys with the same id are possible, if unlikely: each is tried. */
static enum vrrp_refusal judge_trailer(
    struct vrrp_auth *auth, const struct vrrp_received *packet, size_t len, const uint8_t *trailer)
{
	enum vrrp_refusal refusal = VRRP_REFUSED_TAG_KEY;
	for (unsigned i = 0; i < auth->n_keys; i++) {
		uint8_t tag[TAG_LEN];
		if (bytes_get(trailer + AT_KEY_ID, 2) != auth->marks.of[i].key_id)
			continue;
		make_tag(auth->keys[i], &packet->source, &packet->destination, packet->data, len,
		    trailer, tag);
		if (memeql_sec(tag, trailer + AT_TAG, TAG_LEN))
			return take_sequence(
			    &auth->marks.of[i], bytes_get(trailer + AT_SEQUENCE, 8));
		refusal = VRRP_REFUSED_TAG_WRONG;
	}
	return refusal;
}

/* Other bytes behind the message are no trailer of ours. */
enum vrrp_refusal vrrp_auth_verify(
    struct vrrp_auth *auth, const struct vrrp_received *packet, size_t len)
{
	const uint8_t *trailer = packet->data + len;
	if (auth->mode == VRRP_AUTH_OFF)
		return VRRP_ACCEPTED;
	if (packet->len == len + VRRP_TRAILER_LEN && trailer[0] == MAGIC && trailer[1] == VERSION)
		return judge_trailer(auth, packet, len, trailer);
	return auth->mode == VRRP_AUTH_ENFORCE ? VRRP_REFUSED_TAG_MISSING : VRRP_ACCEPTED;
}
