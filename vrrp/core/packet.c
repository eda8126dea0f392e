#include "vrrp/core/packet.h"

#include <arpa/inet.h>
#include <string.h>

/* One's-complement sum of 16 bit words (RFC 1071), not folded; an odd last byte is padded. */
static uint32_t sum_words(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)(data[i] << 8 | data[i + 1]);
	if (len % 2)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

static uint32_t sum_pseudo_header(
    const struct addr *source, const struct addr *destination, size_t len)
{
	uint32_t from = ntohl(source->in.sin_addr.s_addr);
	uint32_t to = ntohl(destination->in.sin_addr.s_addr);
	return (from >> 16) + (from & 0xffff) + (to >> 16) + (to & 0xffff) + VRRP_PROTOCOL +
	       (uint32_t)len;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* The sum over a message with its checksum in place is all ones. A message can be right in both
 * forms, when the pseudo-header happens to add up to nothing. */
static bool checksum_right(const struct vrrp_received *packet, enum vrrp_checksum form)
{
	uint32_t sum = sum_words(packet->data, packet->len);
	if (form == VRRP_CHECKSUM_PSEUDO)
		sum += sum_pseudo_header(&packet->source, &packet->destination, packet->len);
	return fold(sum) == 0xffff;
}

static bool find_checksum_form(
    const struct vrrp_received *packet, enum vrrp_accept accept, enum vrrp_checksum *form)
{
	if (accept != VRRP_ACCEPT_PSEUDO && checksum_right(packet, VRRP_CHECKSUM_PLAIN)) {
		*form = VRRP_CHECKSUM_PLAIN;
		return true;
	}
	if (accept != VRRP_ACCEPT_PLAIN && checksum_right(packet, VRRP_CHECKSUM_PSEUDO)) {
		*form = VRRP_CHECKSUM_PSEUDO;
		return true;
	}
	return false;
}

enum vrrp_refusal vrrp_parse(const struct vrrp_received *packet, const struct vrrp_expect *expect,
    struct vrrp_advert *out, enum vrrp_checksum *form)
{
	const uint8_t *p = packet->data;
	if (packet->ttl < expect->ttl_min)
		return VRRP_REFUSED_TTL;
	if (packet->len < 1)
		return VRRP_REFUSED_SHORT;
	if (p[0] >> 4 != VRRP_VERSION)
		return VRRP_REFUSED_VERSION;
	if (p[0] != VRRP_FIRST_BYTE_ADVERT && p[0] != VRRP_FIRST_BYTE_CLAIM)
		return VRRP_REFUSED_TYPE;
	if (packet->len < VRRP_HEADER_LEN)
		return VRRP_REFUSED_SHORT;

	struct vrrp_advert advert = {
	    .version = VRRP_VERSION,
	    .type = p[0] & 0x0f,
	    .vrid = p[1],
	    .priority = p[2],
	    .n_addresses = p[3],
	    /* The upper four bits of an advert are reserved and ignored. */
	    .flags = p[0] == VRRP_FIRST_BYTE_CLAIM ? p[4] >> 4 : 0,
	    .interval_cs = (uint16_t)((p[4] & 0x0f) << 8 | p[5]),
	    .addresses = p + VRRP_HEADER_LEN,
	};
	enum vrrp_checksum used;
	if (packet->len < VRRP_HEADER_LEN + 4U * advert.n_addresses)
		return VRRP_REFUSED_COUNT_LARGE;
	if (advert.n_addresses == 0)
		return VRRP_REFUSED_COUNT_ZERO;
	if (!find_checksum_form(packet, expect->checksum, &used))
		return VRRP_REFUSED_CHECKSUM;
	if (advert.vrid == 0 || advert.vrid != expect->vrid)
		return VRRP_REFUSED_VRID;
	if (addr_equal_ip(&packet->source, &expect->self))
		return VRRP_REFUSED_OWN;
	if (expect->only_peer && !addr_equal_ip(&packet->source, &expect->peer))
		return VRRP_REFUSED_SOURCE;
	if (advert.interval_cs == 0)
		return VRRP_REFUSED_INTERVAL;
	*out = advert;
	*form = used;
	return VRRP_ACCEPTED;
}

size_t vrrp_encode(const struct vrrp_advert *advert, enum vrrp_checksum form,
    const struct addr *source, const struct addr *destination, uint8_t *buf, size_t size)
{
	size_t len = VRRP_HEADER_LEN + 4U * advert->n_addresses;
	if (advert->type != VRRP_TYPE_ADVERT && advert->type != VRRP_TYPE_CLAIM)
		return 0;
	if (advert->flags > 15 || (advert->flags && advert->type == VRRP_TYPE_ADVERT))
		return 0;
	if (advert->version != VRRP_VERSION || advert->vrid == 0 || advert->n_addresses == 0 ||
	    advert->interval_cs == 0 || advert->interval_cs > VRRP_INTERVAL_CS_MAX || size < len)
		return 0;
	buf[0] = (uint8_t)(VRRP_VERSION << 4 | advert->type);
	buf[1] = advert->vrid;
	buf[2] = advert->priority;
	buf[3] = advert->n_addresses;
	buf[4] = (uint8_t)(advert->flags << 4 | advert->interval_cs >> 8);
	buf[5] = (uint8_t)advert->interval_cs;
	buf[6] = buf[7] = 0;
	memcpy(buf + VRRP_HEADER_LEN, advert->addresses, 4U * advert->n_addresses);

	uint32_t sum = sum_words(buf, len);
	if (form == VRRP_CHECKSUM_PSEUDO)
		sum += sum_pseudo_header(source, destination, len);
	uint16_t checksum = (uint16_t)~fold(sum);
	buf[6] = (uint8_t)(checksum >> 8);
	buf[7] = (uint8_t)checksum;
	return len;
}

const char *vrrp_refusal_text(enum vrrp_refusal refusal)
{
	static const char *const texts[VRRP_REFUSAL_COUNT] = {[VRRP_ACCEPTED] = "accepted",
#define X(name, text) [VRRP_REFUSED_##name] = text,
	    VRRP_REFUSALS(X)
#undef X
	};
	return (unsigned)refusal < VRRP_REFUSAL_COUNT ? texts[refusal] : "?";
}
