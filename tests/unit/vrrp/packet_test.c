#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "vrrp/core/packet.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Recorded: keepalived 2.2.7 and FRR vrrpd 8.4.4, VRID 50, VIP 10.96.0.50. Both put the
 * pseudo-header into the checksum. */
static const uint8_t keepalived[] = {
    0x31, 0x32, 0x96, 0x01, 0x00, 0x64, 0x42, 0xe6, 0x0a, 0x60, 0x00, 0x32};
static const uint8_t keepalived_vmac[] = {
    0x31, 0x32, 0xc8, 0x01, 0x00, 0x64, 0x10, 0xe6, 0x0a, 0x60, 0x00, 0x32};
static const uint8_t keepalived_50cs[] = {
    0x31, 0x32, 0xc8, 0x01, 0x00, 0x32, 0x11, 0x18, 0x0a, 0x60, 0x00, 0x32};
static const uint8_t frr[] = {
    0x31, 0x32, 0x78, 0x01, 0x00, 0x64, 0x60, 0xe5, 0x0a, 0x60, 0x00, 0x32};
static const uint8_t keepalived_v2[] = {
    0x21, 0x32, 0x96, 0x01, 0x00, 0x01, 0x3e, 0x39, 0x0a, 0x60, 0x00, 0x32, 0, 0, 0, 0, 0, 0, 0, 0};
/* RFC 9568's form, added up by hand: 3132+9601+0064+0a60+0032 = d229, complement 2dd6. */
static const uint8_t plain[] = {
    0x31, 0x32, 0x96, 0x01, 0x00, 0x64, 0x2d, 0xd6, 0x0a, 0x60, 0x00, 0x32};

static struct addr ip(const char *text)
{
	struct addr addr;
	if (!addr_parse_ip(text, &addr))
		abort();
	return addr;
}

static struct vrrp_received received(const uint8_t *data, size_t len, const char *source)
{
	return (struct vrrp_received){
	    .data = data,
	    .len = len,
	    .ttl = VRRP_TTL,
	    .source = ip(source),
	    .destination = ip("224.0.0.18"),
	};
}

static struct vrrp_expect expectation(void)
{
	return (struct vrrp_expect){.vrid = 50, .ttl_min = VRRP_TTL, .self = ip("10.96.0.9")};
}

static enum vrrp_refusal parse(const struct vrrp_received *packet)
{
	struct vrrp_expect expect = expectation();
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	return vrrp_parse(packet, &expect, &advert, &form);
}

static const struct golden {
	const uint8_t *bytes;
	const char *source;
	uint8_t priority;
	uint16_t interval_cs;
	enum vrrp_checksum form;
} goldens[] = {
    {keepalived, "10.96.0.1", 150, 100, VRRP_CHECKSUM_PSEUDO},
    {keepalived_vmac, "10.96.0.1", 200, 100, VRRP_CHECKSUM_PSEUDO},
    {keepalived_50cs, "10.96.0.1", 200, 50, VRRP_CHECKSUM_PSEUDO},
    {frr, "10.96.0.2", 120, 100, VRRP_CHECKSUM_PSEUDO},
    {plain, "10.96.0.1", 150, 100, VRRP_CHECKSUM_PLAIN},
};

static void golden_packets_are_read(void)
{
	static const uint8_t vip[] = {10, 96, 0, 50};
	for (size_t i = 0; i < COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		struct vrrp_received packet = received(g->bytes, 12, g->source);
		struct vrrp_expect expect = expectation();
		struct vrrp_advert advert;
		enum vrrp_checksum form;
		CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(form, g->form);
		CU_ASSERT_EQUAL(advert.version, 3);
		CU_ASSERT_EQUAL(advert.vrid, 50);
		CU_ASSERT_EQUAL(advert.priority, g->priority);
		CU_ASSERT_EQUAL(advert.interval_cs, g->interval_cs);
		CU_ASSERT_EQUAL(advert.n_addresses, 1);
		CU_ASSERT_EQUAL(memcmp(advert.addresses, vip, 4), 0);
	}
}

static void golden_packets_are_written(void)
{
	static const uint8_t vip[] = {10, 96, 0, 50};
	struct addr group = ip("224.0.0.18");
	for (size_t i = 0; i < COUNT(goldens); i++) {
		const struct golden *g = &goldens[i];
		struct vrrp_advert advert = {.version = 3,
		    .type = VRRP_TYPE_ADVERT,
		    .vrid = 50,
		    .priority = g->priority,
		    .n_addresses = 1,
		    .interval_cs = g->interval_cs,
		    .addresses = vip};
		struct addr source = ip(g->source);
		uint8_t buf[VRRP_ENCODED_MAX];
		CU_ASSERT_EQUAL_FATAL(
		    vrrp_encode(&advert, g->form, &source, &group, buf, sizeof(buf)), 12);
		CU_ASSERT_EQUAL(memcmp(buf, g->bytes, 12), 0);
	}
}

static void checksum_policy_decides(void)
{
	static const struct {
		const uint8_t *bytes;
		enum vrrp_accept accept;
		enum vrrp_refusal expected;
	} rows[] = {
	    {plain, VRRP_ACCEPT_EITHER, VRRP_ACCEPTED},
	    {plain, VRRP_ACCEPT_PLAIN, VRRP_ACCEPTED},
	    {plain, VRRP_ACCEPT_PSEUDO, VRRP_REFUSED_CHECKSUM},
	    {keepalived, VRRP_ACCEPT_EITHER, VRRP_ACCEPTED},
	    {keepalived, VRRP_ACCEPT_PLAIN, VRRP_REFUSED_CHECKSUM},
	    {keepalived, VRRP_ACCEPT_PSEUDO, VRRP_ACCEPTED},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct vrrp_received packet = received(rows[i].bytes, 12, "10.96.0.1");
		struct vrrp_expect expect = expectation();
		struct vrrp_advert advert;
		enum vrrp_checksum form;
		expect.checksum = rows[i].accept;
		CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), rows[i].expected);
	}
}

/* The pseudo-header has the real destination, so that a unicast advert differs. */
static void pseudo_header_has_the_real_destination(void)
{
	struct vrrp_received packet = received(keepalived, 12, "10.96.0.1");
	packet.destination = ip("10.96.0.2");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_CHECKSUM);
	packet = received(keepalived, 12, "10.96.0.3");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_CHECKSUM);
}

/* Makes the plain checksum right again after a change. */
static void mend_checksum(uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	p[6] = p[7] = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	p[6] = (uint8_t)(sum >> 8);
	p[7] = (uint8_t)sum;
}

static enum vrrp_refusal parse_changed(size_t at, uint8_t value)
{
	uint8_t copy[sizeof(plain)];
	memcpy(copy, plain, sizeof(copy));
	copy[at] = value;
	mend_checksum(copy, sizeof(copy));
	struct vrrp_received packet = received(copy, sizeof(copy), "10.96.0.1");
	return parse(&packet);
}

static void each_refusal_has_its_packet(void)
{
	struct vrrp_received packet = received(plain, 12, "10.96.0.1");
	packet.ttl = 254;
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_TTL);
	packet = received(plain, 0, "10.96.0.1");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_SHORT);
	packet = received(keepalived_v2, sizeof(keepalived_v2), "10.96.0.1");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_VERSION);
	CU_ASSERT_EQUAL(parse_changed(0, 0x41), VRRP_REFUSED_VERSION);
	CU_ASSERT_EQUAL(parse_changed(0, 0x32), VRRP_REFUSED_TYPE);
	CU_ASSERT_EQUAL(parse_changed(3, 2), VRRP_REFUSED_COUNT_LARGE);
	CU_ASSERT_EQUAL(parse_changed(3, 255), VRRP_REFUSED_COUNT_LARGE);
	CU_ASSERT_EQUAL(parse_changed(3, 0), VRRP_REFUSED_COUNT_ZERO);
	CU_ASSERT_EQUAL(parse_changed(1, 51), VRRP_REFUSED_VRID);
	CU_ASSERT_EQUAL(parse_changed(1, 0), VRRP_REFUSED_VRID);
	packet = received(plain, 12, "10.96.0.9");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_OWN);
	CU_ASSERT_EQUAL(parse_changed(5, 0), VRRP_REFUSED_INTERVAL);
	CU_ASSERT_EQUAL(parse_changed(5, 1), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_changed(4, 0xf0), VRRP_ACCEPTED); /* reserved bits */
	CU_ASSERT_EQUAL(parse_changed(2, 0), VRRP_ACCEPTED);

	uint8_t bad[sizeof(plain)];
	for (size_t bit = 0; bit < 8 * sizeof(plain); bit++) {
		memcpy(bad, plain, sizeof(plain));
		bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
		packet = received(bad, sizeof(bad), "10.96.0.1");
		CU_ASSERT_NOT_EQUAL(parse(&packet), VRRP_ACCEPTED);
	}
}

static void reserved_bits_are_no_part_of_the_interval(void)
{
	uint8_t copy[sizeof(plain)];
	memcpy(copy, plain, sizeof(copy));
	copy[4] = 0xf1;
	mend_checksum(copy, sizeof(copy));
	struct vrrp_received packet = received(copy, sizeof(copy), "10.96.0.1");
	struct vrrp_expect expect = expectation();
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(advert.interval_cs, 0x164);
}

static void only_the_peer_may_speak_unicast(void)
{
	struct vrrp_received packet = received(plain, 12, "10.96.0.1");
	struct vrrp_expect expect = expectation();
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	expect.only_peer = true;
	expect.peer = ip("10.96.0.2");
	CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_REFUSED_SOURCE);
	expect.peer = ip("10.96.0.1");
	CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
}

static void ttl_window_can_be_wider(void)
{
	struct vrrp_received packet = received(plain, 12, "10.96.0.1");
	struct vrrp_expect expect = expectation();
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	expect.ttl_min = 250;
	packet.ttl = 250;
	CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
	packet.ttl = 249;
	CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_REFUSED_TTL);
}

/* On the heap with its exact size, so that a sanitizer sees a read past the end. */
static void truncated_at_every_byte_is_refused(void)
{
	static const uint8_t vips[] = {192, 0, 2, 1, 192, 0, 2, 2, 192, 0, 2, 3};
	struct addr source = ip("10.96.0.1"), group = ip("224.0.0.18");
	struct vrrp_advert advert = {.version = 3,
	    .type = VRRP_TYPE_ADVERT,
	    .vrid = 50,
	    .priority = 100,
	    .n_addresses = 3,
	    .interval_cs = 10,
	    .addresses = vips};
	uint8_t whole[VRRP_ENCODED_MAX];
	size_t len =
	    vrrp_encode(&advert, VRRP_CHECKSUM_PLAIN, &source, &group, whole, sizeof(whole));
	CU_ASSERT_EQUAL_FATAL(len, 20);
	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, whole, cut);
		struct vrrp_received packet = received(copy, cut, "10.96.0.1");
		enum vrrp_refusal expected = cut < 8     ? VRRP_REFUSED_SHORT
					     : cut < len ? VRRP_REFUSED_COUNT_LARGE
							 : VRRP_ACCEPTED;
		CU_ASSERT_EQUAL(parse(&packet), expected);
		free(copy);
	}
}

static void bytes_behind_are_tolerated_and_summed(void)
{
	uint8_t longer[16] = {0};
	memcpy(longer, plain, 12);
	longer[13] = 7;
	longer[14] = 9;
	struct vrrp_received packet = received(longer, sizeof(longer), "10.96.0.1");
	CU_ASSERT_EQUAL(parse(&packet), VRRP_REFUSED_CHECKSUM);
	mend_checksum(longer, sizeof(longer));
	CU_ASSERT_EQUAL(parse(&packet), VRRP_ACCEPTED);
	packet.len = 15;
	mend_checksum(longer, 15);
	CU_ASSERT_EQUAL(parse(&packet), VRRP_ACCEPTED);
}

static void refused_packet_leaves_outputs_alone(void)
{
	struct vrrp_received packet = received(plain, 11, "10.96.0.1");
	struct vrrp_expect expect = expectation();
	struct vrrp_advert advert = {.priority = 77};
	enum vrrp_checksum form = VRRP_CHECKSUM_PSEUDO;
	CU_ASSERT_NOT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(advert.priority, 77);
	CU_ASSERT_EQUAL(form, VRRP_CHECKSUM_PSEUDO);
}

static void every_value_survives_the_round_trip(void)
{
	uint8_t vips[255 * 4];
	for (size_t i = 0; i < sizeof(vips); i++)
		vips[i] = (uint8_t)(i * 7 + 1);
	struct addr source = ip("10.96.0.1"), group = ip("224.0.0.18");
	static const uint16_t intervals[] = {1, 2, 10, 100, 255, 256, 4094, 4095};
	for (unsigned count = 1; count <= 255; count += 2) {
		struct vrrp_advert in = {.version = 3,
		    .type = VRRP_TYPE_ADVERT,
		    .vrid = (uint8_t)count,
		    .priority = (uint8_t)(255 - count),
		    .n_addresses = (uint8_t)count,
		    .interval_cs = intervals[count % COUNT(intervals)],
		    .addresses = vips};
		enum vrrp_checksum form =
		    count % 4 == 1 ? VRRP_CHECKSUM_PLAIN : VRRP_CHECKSUM_PSEUDO;
		uint8_t buf[VRRP_ENCODED_MAX];
		size_t len = vrrp_encode(&in, form, &source, &group, buf, sizeof(buf));
		CU_ASSERT_EQUAL_FATAL(len, 8 + 4 * count);
		CU_ASSERT_EQUAL(buf[4] >> 4, 0);

		struct vrrp_received packet = received(buf, len, "10.96.0.1");
		struct vrrp_expect expect = expectation();
		expect.vrid = (uint8_t)count;
		struct vrrp_advert out;
		enum vrrp_checksum seen;
		CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &out, &seen), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(seen, form);
		CU_ASSERT_EQUAL(out.priority, in.priority);
		CU_ASSERT_EQUAL(out.interval_cs, in.interval_cs);
		CU_ASSERT_EQUAL(out.n_addresses, in.n_addresses);
		CU_ASSERT_EQUAL(memcmp(out.addresses, vips, 4 * count), 0);
	}
}

/* Whoever does not know it sees an unknown type, and discards it. */
static void claim_is_an_advert_of_another_type(void)
{
	static const uint8_t vip[] = {10, 96, 0, 200};
	struct addr source = ip("10.96.0.1"), group = ip("224.0.0.18");
	struct vrrp_advert claim = {.version = 3,
	    .type = VRRP_TYPE_CLAIM,
	    .flags = VRRP_CLAIM_PREEMPTS | VRRP_CLAIM_OVERRIDES,
	    .vrid = 50,
	    .priority = 100,
	    .n_addresses = 1,
	    .interval_cs = 4095,
	    .addresses = vip};
	struct vrrp_expect expect = {.vrid = 50, .ttl_min = VRRP_TTL, .self = ip("10.96.0.9")};
	uint8_t buf[12];
	for (int form = VRRP_CHECKSUM_PLAIN; form <= VRRP_CHECKSUM_PSEUDO; form++) {
		CU_ASSERT_EQUAL(vrrp_encode(&claim, (enum vrrp_checksum)form, &source, &group, buf,
				    sizeof(buf)),
		    12);
		CU_ASSERT_EQUAL(buf[0], 0x3e);
		CU_ASSERT_EQUAL(buf[4], 0x3f);
		struct vrrp_received packet = {
		    .data = buf, .len = 12, .ttl = 255, .source = source, .destination = group};
		struct vrrp_advert out;
		enum vrrp_checksum used;
		CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &out, &used), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(used, (enum vrrp_checksum)form);
		CU_ASSERT_EQUAL(out.type, VRRP_TYPE_CLAIM);
		CU_ASSERT_EQUAL(out.flags, claim.flags);
		CU_ASSERT_EQUAL(out.priority, 100);
		CU_ASSERT_EQUAL(out.interval_cs, 4095);
	}
	/* an advert has no flags, and what is written there is ignored: RFC 9568 section 5.2.5 */
	claim.type = VRRP_TYPE_ADVERT;
	CU_ASSERT_EQUAL(
	    vrrp_encode(&claim, VRRP_CHECKSUM_PLAIN, &source, &group, buf, sizeof(buf)), 0);
	claim.type = 2;
	claim.flags = 0;
	CU_ASSERT_EQUAL(
	    vrrp_encode(&claim, VRRP_CHECKSUM_PLAIN, &source, &group, buf, sizeof(buf)), 0);
}

static void encode_refuses_what_has_no_form(void)
{
	static const uint8_t vip[] = {10, 96, 0, 50};
	const struct vrrp_advert good = {.version = 3,
	    .type = VRRP_TYPE_ADVERT,
	    .vrid = 50,
	    .n_addresses = 1,
	    .interval_cs = 100,
	    .addresses = vip};
	struct addr a = ip("10.96.0.1");
	uint8_t buf[12];
	struct vrrp_advert bad = good;
	CU_ASSERT_EQUAL(vrrp_encode(&good, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 12);
	CU_ASSERT_EQUAL(vrrp_encode(&good, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 11), 0);
	bad.interval_cs = 0;
	CU_ASSERT_EQUAL(vrrp_encode(&bad, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 0);
	bad.interval_cs = 4096;
	CU_ASSERT_EQUAL(vrrp_encode(&bad, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 0);
	bad = good;
	bad.n_addresses = 0;
	CU_ASSERT_EQUAL(vrrp_encode(&bad, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 0);
	bad = good;
	bad.vrid = 0;
	CU_ASSERT_EQUAL(vrrp_encode(&bad, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 0);
	bad = good;
	bad.version = 2;
	CU_ASSERT_EQUAL(vrrp_encode(&bad, VRRP_CHECKSUM_PLAIN, &a, &a, buf, 12), 0);
}

static void every_refusal_has_a_text(void)
{
	for (unsigned i = 0; i < VRRP_REFUSAL_COUNT; i++)
		CU_ASSERT(strlen(vrrp_refusal_text((enum vrrp_refusal)i)) > 3);
}

UNIT_MAIN("vrrp/packet", UNIT(golden_packets_are_read), UNIT(golden_packets_are_written),
    UNIT(checksum_policy_decides), UNIT(pseudo_header_has_the_real_destination),
    UNIT(each_refusal_has_its_packet), UNIT(reserved_bits_are_no_part_of_the_interval),
    UNIT(only_the_peer_may_speak_unicast), UNIT(ttl_window_can_be_wider),
    UNIT(truncated_at_every_byte_is_refused), UNIT(bytes_behind_are_tolerated_and_summed),
    UNIT(refused_packet_leaves_outputs_alone), UNIT(every_value_survives_the_round_trip),
    UNIT(claim_is_an_advert_of_another_type), UNIT(encode_refuses_what_has_no_form),
    UNIT(every_refusal_has_a_text))
