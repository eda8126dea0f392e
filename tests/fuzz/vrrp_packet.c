/* Arbitrary bytes as a VRRP message. What is accepted is within its bounds, and survives being
 * written and read again, with and without a tag. The first three bytes of the input choose TTL,
 * policy, and what the message is taken for; the checksum can be mended, since nobody guesses it.
 */
#include <stdlib.h>
#include <string.h>

#include "vrrp/core/auth.h"
#include "tests/fuzz/fuzz.h"

#define HEAD_LEN 3 /* TTL, POLICY_, AS_ */
enum { POLICY_OTHER_PEER = 0x20, POLICY_OWN = 0x40, POLICY_PEER = 0x80 };
enum { AS_IPV6 = 1, AS_VERSION_2 = 2, AS_PERMISSIVE = 4, AS_ENFORCE = 8, AS_MENDED = 16 };

static struct addr ip(bool six, const char *four_text, const char *six_text)
{
	struct addr addr;
	require(addr_parse_ip(six ? six_text : four_text, &addr));
	return addr;
}

static struct vrrp_auth make_auth(unsigned as)
{
	static const uint8_t keys[1][VRRP_AUTH_KEY_LEN] = {{'f', 'u', 'z', 'z'}};
	struct vrrp_auth auth = {0};
	vrrp_auth_configure(&auth,
	    as & AS_ENFORCE      ? VRRP_AUTH_ENFORCE
	    : as & AS_PERMISSIVE ? VRRP_AUTH_PERMISSIVE
				 : VRRP_AUTH_OFF,
	    keys, 1);
	return auth;
}

static uint32_t add_up(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

/* The plain form, or over IPv6 the only one. */
static void mend(const struct vrrp_received *packet, uint8_t *p)
{
	uint32_t sum = 0;
	if (packet->len < VRRP_HEADER_LEN)
		return;
	if (packet->source.sa.sa_family == AF_INET6)
		sum = add_up(packet->source.in6.sin6_addr.s6_addr, 16) +
		      add_up(packet->destination.in6.sin6_addr.s6_addr, 16) + VRRP_PROTOCOL +
		      (uint32_t)packet->len;
	p[6] = p[7] = 0;
	sum += add_up(p, packet->len);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	p[6] = (uint8_t)(~sum >> 8);
	p[7] = (uint8_t)~sum;
}

static void require_same(
    const struct vrrp_advert *a, const struct vrrp_advert *b, size_t address_len)
{
	require(a->version == b->version && a->type == b->type && a->flags == b->flags &&
		a->vrid == b->vrid && a->priority == b->priority &&
		a->interval_cs == b->interval_cs && a->n_addresses == b->n_addresses &&
		memcmp(a->addresses, b->addresses, address_len * a->n_addresses) == 0);
}

/* Writes it, reads it, and writes that. `expect` and `envelope` have the same kind of auth. */
static void go_round(const struct vrrp_advert *first, const struct vrrp_expect *expect,
    const struct vrrp_received *packet, const struct vrrp_envelope *envelope)
{
	uint8_t buf[VRRP_ENCODED_MAX], again[VRRP_ENCODED_MAX];
	bool six = packet->source.sa.sa_family == AF_INET6;
	struct vrrp_received echo = *packet;
	struct vrrp_advert second;
	enum vrrp_checksum form;
	echo.data = buf;
	echo.len = vrrp_encode(first, envelope, buf, sizeof(buf));
	require(echo.len >= VRRP_HEADER_LEN + (six ? 16U : 4U) * first->n_addresses);
	require(vrrp_encode(first, envelope, again, echo.len - 1) == 0);
	require(vrrp_parse(&echo, expect, &second, &form) == VRRP_ACCEPTED);
	require_same(first, &second, six ? 16 : 4);
	if (!envelope->auth) {
		require(vrrp_encode(&second, envelope, again, sizeof(again)) == echo.len &&
			memcmp(again, buf, echo.len) == 0);
		return;
	}
	require(vrrp_parse(&echo, expect, &second, &form) == VRRP_REFUSED_TAG_REPLAYED);
	require(vrrp_encode(first, envelope, buf, sizeof(buf)) == echo.len);
	require(vrrp_parse(&echo, expect, &second, &form) == VRRP_ACCEPTED);
}

/* With a tag, which finds any change but of the checksum. */
static void go_round_signed(const struct vrrp_advert *first, const struct vrrp_expect *expect,
    const struct vrrp_received *packet, const struct vrrp_envelope *envelope)
{
	struct vrrp_auth sender = make_auth(AS_ENFORCE), receiver = make_auth(AS_ENFORCE);
	struct vrrp_expect demanding = *expect;
	struct vrrp_envelope sealed = *envelope;
	demanding.auth = &receiver;
	sealed.auth = &sender;
	sealed.wall_us = 1000;
	go_round(first, &demanding, packet, &sealed);

	uint8_t buf[VRRP_ENCODED_MAX];
	struct vrrp_received changed = *packet;
	struct vrrp_advert second;
	enum vrrp_checksum form;
	changed.data = buf;
	changed.len = vrrp_encode(first, &sealed, buf, sizeof(buf));
	size_t at = (first->priority * 256U + first->vrid) % changed.len;
	buf[at == 6 || at == 7 ? at + 2 : at] ^= 0x10;
	mend(&changed, buf);
	demanding.checksum = VRRP_ACCEPT_EITHER;
	require(vrrp_parse(&changed, &demanding, &second, &form) != VRRP_ACCEPTED);
}

static void try_message(uint8_t *message, size_t len, uint8_t ttl, unsigned policy, unsigned as)
{
	bool six = as & AS_IPV6;
	struct vrrp_auth auth = make_auth(as);
	struct vrrp_received packet = {
	    .data = message,
	    .len = len,
	    .ttl = ttl,
	    .source = ip(six, "10.96.0.1", "fe80::1"),
	    .destination = ip(six, "224.0.0.18", "ff02::12"),
	};
	struct vrrp_expect expect = {
	    .version = as & AS_VERSION_2 ? VRRP_VERSION_2 : VRRP_VERSION,
	    .vrid = len > 1 ? message[1] : 1,
	    .ttl_min = 254,
	    .ttl_max = VRRP_TTL,
	    .checksum = (enum vrrp_accept)(policy % 3),
	    .interval_cs = 100,
	    .self = policy & POLICY_OWN ? packet.source : ip(six, "10.96.0.9", "fe80::9"),
	    .only_peer = policy & POLICY_PEER,
	    .peer = policy & POLICY_OTHER_PEER ? packet.destination : packet.source,
	    .auth = &auth,
	};
	if (as & AS_MENDED)
		mend(&packet, message);
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	if (vrrp_parse(&packet, &expect, &advert, &form) != VRRP_ACCEPTED)
		return;
	require(advert.addresses >= packet.data &&
		advert.addresses + (six ? 16 : 4) * advert.n_addresses <= packet.data + packet.len);
	require(advert.type == VRRP_TYPE_CLAIM || advert.flags == 0);

	struct vrrp_envelope envelope = {
	    .source = &packet.source, .destination = &packet.destination, .form = form};
	expect.auth = NULL;
	go_round(&advert, &expect, &packet, &envelope);
	if (advert.version == VRRP_VERSION)
		go_round_signed(&advert, &expect, &packet, &envelope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEAD_LEN)
		return 0;
	size_t len = size - HEAD_LEN;
	uint8_t *message = malloc(len ? len : 1); /* of its exact size, for sanitizers */
	require(message);
	memcpy(message, data + HEAD_LEN, len);
	try_message(message, len, data[0], data[1], data[2]);
	free(message);
	return 0;
}
