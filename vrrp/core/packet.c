#include "vrrp/core/packet.h"

#include <arpa/inet.h>
#include <string.h>

#include "vrrp/core/auth.h"

/* ---- lengths and checksums ---- */

static bool is_ipv6(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET6;
}

static size_t address_len(const struct addr *addr)
{
	size_t len;
	addr_bytes(addr, &len);
	return len;
}

static size_t message_len(unsigned version, const struct addr *source, unsigned n_addresses)
{
	return VRRP_HEADER_LEN + address_len(source) * n_addresses +
	       (version == VRRP_VERSION_2 ? VRRP_V2_AUTH_LEN : 0);
}

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

static uint32_t sum_address(const struct addr *addr)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(addr, &len);
	return sum_words(bytes, len);
}

/* RFC 8200 section 8.1; that of IPv4 has other widths and adds up to the same. */
static uint32_t sum_pseudo_header(
    const struct addr *source, const struct addr *destination, size_t len)
{
	return sum_address(source) + sum_address(destination) + VRRP_PROTOCOL + (uint32_t)len;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Whether only one form is right. */
static bool form_is_fixed(unsigned version, const struct addr *source, enum vrrp_checksum *form)
{
	*form = is_ipv6(source) ? VRRP_CHECKSUM_PSEUDO : VRRP_CHECKSUM_PLAIN;
	return is_ipv6(source) || version == VRRP_VERSION_2;
}

/* ---- reading ---- */

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
    const struct vrrp_received *packet, const struct vrrp_expect *expect, enum vrrp_checksum *form)
{
	if (form_is_fixed(expect->version, &packet->source, form))
		return checksum_right(packet, *form);
	if (expect->checksum != VRRP_ACCEPT_PSEUDO && checksum_right(packet, VRRP_CHECKSUM_PLAIN)) {
		*form = VRRP_CHECKSUM_PLAIN;
		return true;
	}
	if (expect->checksum != VRRP_ACCEPT_PLAIN && checksum_right(packet, VRRP_CHECKSUM_PSEUDO)) {
		*form = VRRP_CHECKSUM_PSEUDO;
		return true;
	}
	return false;
}

static bool type_known(unsigned version, unsigned type)
{
	return type == VRRP_TYPE_ADVERT || (type == VRRP_TYPE_CLAIM && version == VRRP_VERSION);
}

/* Is it a whole header of the right version, from near enough? */
static enum vrrp_refusal check_header(
    const struct vrrp_received *packet, const struct vrrp_expect *expect)
{
	if (packet->ttl < expect->ttl_min || packet->ttl > expect->ttl_max)
		return VRRP_REFUSED_TTL;
	if (packet->len < 1)
		return VRRP_REFUSED_SHORT;
	unsigned version = packet->data[0] >> 4, type = packet->data[0] & 0x0f;
	if (version != expect->version || (version == VRRP_VERSION_2 && is_ipv6(&packet->source)))
		return VRRP_REFUSED_VERSION;
	if (!type_known(version, type))
		return VRRP_REFUSED_TYPE;
	return packet->len < VRRP_HEADER_LEN ? VRRP_REFUSED_SHORT : VRRP_ACCEPTED;
}

/* The upper four bits before the interval of a VRRPv3 advert are reserved and ignored. */
static struct vrrp_advert read_header(const uint8_t *p)
{
	struct vrrp_advert advert = {
	    .version = p[0] >> 4,
	    .type = p[0] & 0x0f,
	    .vrid = p[1],
	    .priority = p[2],
	    .n_addresses = p[3],
	    .addresses = p + VRRP_HEADER_LEN,
	};
	if (advert.version == VRRP_VERSION_2) {
		advert.interval_cs = (uint16_t)(p[5] * 100);
	} else {
		advert.flags = advert.type == VRRP_TYPE_CLAIM ? p[4] >> 4 : 0;
		advert.interval_cs = (uint16_t)((p[4] & 0x0f) << 8 | p[5]);
	}
	return advert;
}

/* Is it for us, and from another one? */
static enum vrrp_refusal check_parties(const struct vrrp_received *packet,
    const struct vrrp_expect *expect, const struct vrrp_advert *advert)
{
	if (advert->vrid == 0 || advert->vrid != expect->vrid)
		return VRRP_REFUSED_VRID;
	if (addr_equal_ip(&packet->source, &expect->self))
		return VRRP_REFUSED_OWN;
	if (expect->only_peer && !addr_equal_ip(&packet->source, &expect->peer))
		return VRRP_REFUSED_SOURCE;
	return VRRP_ACCEPTED;
}

/* VRRPv2 demands agreement about authentication and interval (RFC 3768 section 7.1); in VRRPv3 the
 * receiver adopts the interval. */
static enum vrrp_refusal check_terms(const struct vrrp_received *packet,
    const struct vrrp_expect *expect, const struct vrrp_advert *advert)
{
	if (advert->version == VRRP_VERSION_2 && packet->data[4] != 0)
		return VRRP_REFUSED_AUTH_TYPE;
	if (advert->interval_cs == 0)
		return VRRP_REFUSED_INTERVAL;
	if (advert->version == VRRP_VERSION_2 && advert->interval_cs != expect->interval_cs)
		return VRRP_REFUSED_INTERVAL_OTHER;
	return VRRP_ACCEPTED;
}

enum vrrp_refusal vrrp_parse(const struct vrrp_received *packet, const struct vrrp_expect *expect,
    struct vrrp_advert *out, enum vrrp_checksum *form)
{
	enum vrrp_refusal refusal = check_header(packet, expect);
	if (refusal != VRRP_ACCEPTED)
		return refusal;
	struct vrrp_advert advert = read_header(packet->data);
	enum vrrp_checksum used;
	size_t len = message_len(advert.version, &packet->source, advert.n_addresses);
	if (packet->len < len)
		return VRRP_REFUSED_COUNT_LARGE;
	if (advert.n_addresses == 0)
		return VRRP_REFUSED_COUNT_ZERO;
	if (!find_checksum_form(packet, expect, &used))
		return VRRP_REFUSED_CHECKSUM;
	refusal = check_parties(packet, expect, &advert);
	if (refusal == VRRP_ACCEPTED)
		refusal = check_terms(packet, expect, &advert);
	if (refusal == VRRP_ACCEPTED && expect->auth)
		refusal = vrrp_auth_verify(expect->auth, packet, len);
	if (refusal != VRRP_ACCEPTED)
		return refusal;
	*out = advert;
	*form = used;
	return VRRP_ACCEPTED;
}

/* ---- writing ---- */

static bool interval_writable(const struct vrrp_advert *advert)
{
	unsigned cs = advert->interval_cs;
	if (advert->version == VRRP_VERSION_2)
		return cs % 100 == 0 && cs >= 100 && cs <= VRRP_V2_INTERVAL_MAX * 100;
	return cs >= 1 && cs <= VRRP_INTERVAL_CS_MAX;
}

static bool writable(const struct vrrp_advert *advert, const struct vrrp_envelope *envelope)
{
	if (advert->version != VRRP_VERSION &&
	    (advert->version != VRRP_VERSION_2 || is_ipv6(envelope->source)))
		return false;
	if (!type_known(advert->version, advert->type) || advert->flags > 15 ||
	    (advert->flags && advert->type == VRRP_TYPE_ADVERT))
		return false;
	if (advert->version == VRRP_VERSION_2 && envelope->auth &&
	    envelope->auth->mode != VRRP_AUTH_OFF)
		return false;
	return advert->vrid != 0 && advert->n_addresses != 0 && interval_writable(advert);
}

static void write_checksum(
    uint8_t *buf, size_t len, unsigned version, const struct vrrp_envelope *envelope)
{
	enum vrrp_checksum form;
	if (!form_is_fixed(version, envelope->source, &form))
		form = envelope->form;
	uint32_t sum = sum_words(buf, len);
	if (form == VRRP_CHECKSUM_PSEUDO)
		sum += sum_pseudo_header(envelope->source, envelope->destination, len);
	uint16_t checksum = (uint16_t)~fold(sum);
	buf[6] = (uint8_t)(checksum >> 8);
	buf[7] = (uint8_t)checksum;
}

size_t vrrp_encode(const struct vrrp_advert *advert, const struct vrrp_envelope *envelope,
    uint8_t *buf, size_t size)
{
	size_t len = message_len(advert->version, envelope->source, advert->n_addresses);
	if (!writable(advert, envelope) || size < len)
		return 0;
	memset(buf, 0, len);
	buf[0] = (uint8_t)VRRP_FIRST_BYTE(advert->version, advert->type);
	buf[1] = advert->vrid;
	buf[2] = advert->priority;
	buf[3] = advert->n_addresses;
	if (advert->version == VRRP_VERSION_2) {
		buf[5] = (uint8_t)(advert->interval_cs / 100);
	} else {
		buf[4] = (uint8_t)(advert->flags << 4 | advert->interval_cs >> 8);
		buf[5] = (uint8_t)advert->interval_cs;
	}
	memcpy(buf + VRRP_HEADER_LEN, advert->addresses,
	    address_len(envelope->source) * advert->n_addresses);
	if (envelope->auth)
		len = vrrp_auth_sign(envelope->auth, envelope->wall_us, envelope->source,
		    envelope->destination, buf, len, size);
	if (len)
		write_checksum(buf, len, advert->version, envelope);
	return len;
}

/* ---- for callers ---- */

struct addr vrrp_group(sa_family_t family)
{
	struct addr group = {0};
	if (family == AF_INET6) {
		group.in6.sin6_family = AF_INET6;
		group.in6.sin6_addr = (struct in6_addr){.s6_addr = {0xff, 0x02, [15] = 0x12}};
	} else {
		group.in.sin_family = AF_INET;
		group.in.sin_addr.s_addr = htonl(VRRP_GROUP4);
	}
	return group;
}

bool vrrp_advert_lists(const struct vrrp_advert *advert, const struct addr *address)
{
	size_t len;
	const uint8_t *bytes = addr_bytes(address, &len);
	for (unsigned i = 0; i < advert->n_addresses; i++) {
		if (memcmp(advert->addresses + len * i, bytes, len) == 0)
			return true;
	}
	return false;
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
