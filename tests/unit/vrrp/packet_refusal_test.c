/* What is refused on receipt, and why. Numbers are those of the conformance table in
 * vrrp/README.md. */
#include "tests/unit/unit.h"
#include "tests/unit/vrrp/samples.h"

static const int every_kind[] = {KEEPALIVED, PLAIN, KEEPALIVED_V2, KEEPALIVED_IPV6};

/* The sample with one byte changed, and the checksum mended. */
static enum vrrp_refusal parse_changed(int sample, size_t at, uint8_t value)
{
	const struct sample *s = &samples[sample];
	struct vrrp_expect expect = sample_expect(s);
	uint8_t copy[SAMPLE_MAX];
	memcpy(copy, s->bytes, s->len);
	copy[at] = value;
	sample_mend(s, copy, s->len);
	struct vrrp_received packet = sample_received(s, copy, s->len);
	return sample_parse(&packet, &expect);
}

static enum vrrp_refusal parse_with_ttl(int sample, uint8_t ttl, uint8_t min, uint8_t max)
{
	const struct sample *s = &samples[sample];
	struct vrrp_received packet = sample_received(s, s->bytes, s->len);
	struct vrrp_expect expect = sample_expect(s);
	packet.ttl = ttl;
	expect.ttl_min = min;
	expect.ttl_max = max;
	return sample_parse(&packet, &expect);
}

static enum vrrp_refusal parse_from(int sample, const char *source, const struct addr *peer)
{
	const struct sample *s = &samples[sample];
	struct sample from = *s;
	struct vrrp_expect expect = sample_expect(s);
	from.source = source;
	sample_mend(&from, from.bytes, from.len);
	struct vrrp_received packet = sample_received(&from, from.bytes, from.len);
	expect.only_peer = peer;
	if (peer)
		expect.peer = *peer;
	return sample_parse(&packet, &expect);
}

static void ttl_254(void)
{
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 254, 255, 255), VRRP_REFUSED_TTL);
	CU_ASSERT_EQUAL(parse_with_ttl(KEEPALIVED_V2, 254, 255, 255), VRRP_REFUSED_TTL);
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 255, 255, 255), VRRP_ACCEPTED);
}

static void hop_limit_64(void)
{
	CU_ASSERT_EQUAL(parse_with_ttl(KEEPALIVED_IPV6, 64, 255, 255), VRRP_REFUSED_TTL);
	CU_ASSERT_EQUAL(parse_with_ttl(KEEPALIVED_IPV6, 255, 255, 255), VRRP_ACCEPTED);
}

static void ttl_window(void)
{
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 249, 250, 253), VRRP_REFUSED_TTL);
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 250, 250, 253), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 253, 250, 253), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_with_ttl(PLAIN, 254, 250, 253), VRRP_REFUSED_TTL);
}

static void other_versions(void)
{
	static const struct {
		int sample;
		uint8_t first;
		enum vrrp_refusal expected;
	} rows[] = {
	    {PLAIN, 0x21, VRRP_REFUSED_VERSION},
	    {PLAIN, 0x41, VRRP_REFUSED_VERSION},
	    {PLAIN, 0x01, VRRP_REFUSED_VERSION},
	    {KEEPALIVED_IPV6, 0x21, VRRP_REFUSED_VERSION},
	    {KEEPALIVED_V2, 0x31, VRRP_REFUSED_VERSION},
	    {KEEPALIVED_V2, 0x21, VRRP_ACCEPTED},
	};
	for (size_t i = 0; i < COUNT(rows); i++)
		CU_ASSERT_EQUAL(parse_changed(rows[i].sample, 0, rows[i].first), rows[i].expected);
	/* VRRPv2 knows IPv4 only */
	struct sample six = samples[KEEPALIVED_IPV6];
	struct vrrp_expect expect = sample_expect(&samples[KEEPALIVED_IPV6]);
	six.bytes[0] = 0x21;
	sample_mend(&six, six.bytes, six.len);
	struct vrrp_received packet = sample_received(&six, six.bytes, six.len);
	expect.version = VRRP_VERSION_2;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_VERSION);
}

static void other_types(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		uint8_t version = samples[every_kind[i]].version;
		for (unsigned type = 0; type < 16; type++) {
			bool known = type == 1 || (type == 14 && version == 3);
			CU_ASSERT_EQUAL(
			    parse_changed(every_kind[i], 0, (uint8_t)(version << 4 | type)),
			    known ? VRRP_ACCEPTED : VRRP_REFUSED_TYPE);
		}
	}
}

/* One byte is enough to see that. */
static void first_byte_alone(void)
{
	static const uint8_t bytes[] = {0x41, 0x32, 0x31};
	static const enum vrrp_refusal expected[] = {
	    VRRP_REFUSED_VERSION, VRRP_REFUSED_TYPE, VRRP_REFUSED_SHORT};
	struct vrrp_expect expect = sample_expect(&samples[PLAIN]);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		struct vrrp_received packet = sample_received(&samples[PLAIN], &bytes[i], 1);
		CU_ASSERT_EQUAL(sample_parse(&packet, &expect), expected[i]);
	}
}

/* On the heap with its exact size, so that a sanitizer sees a read past the end. */
static void truncated_at_every_byte(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		const struct sample *s = &samples[every_kind[i]];
		struct vrrp_expect expect = sample_expect(s);
		for (size_t cut = 0; cut <= s->len; cut++) {
			uint8_t *copy = malloc(cut ? cut : 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
			memcpy(copy, s->bytes, cut);
			struct vrrp_received packet = sample_received(s, copy, cut);
			enum vrrp_refusal expected = cut < 8        ? VRRP_REFUSED_SHORT
						     : cut < s->len ? VRRP_REFUSED_COUNT_LARGE
								    : VRRP_ACCEPTED;
			CU_ASSERT_EQUAL(sample_parse(&packet, &expect), expected);
			free(copy);
		}
	}
}

static void count_0(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++)
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 3, 0), VRRP_REFUSED_COUNT_ZERO);
}

static void count_too_large(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		uint8_t fits = samples[every_kind[i]].n_addresses;
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 3, fits), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(
		    parse_changed(every_kind[i], 3, (uint8_t)(fits + 1)), VRRP_REFUSED_COUNT_LARGE);
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 3, 255), VRRP_REFUSED_COUNT_LARGE);
	}
}

static void bytes_behind_are_tolerated_and_summed(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		const struct sample *s = &samples[every_kind[i]];
		struct vrrp_expect expect = sample_expect(s);
		uint8_t longer[SAMPLE_MAX];
		for (size_t extra = 1; extra <= 5; extra++) {
			memset(longer, 7, sizeof(longer));
			memcpy(longer, s->bytes, s->len);
			struct vrrp_received packet = sample_received(s, longer, s->len + extra);
			CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_CHECKSUM);
			sample_mend(s, longer, s->len + extra);
			CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_ACCEPTED);
		}
	}
}

static void every_bit_is_checked(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		const struct sample *s = &samples[every_kind[i]];
		struct vrrp_expect expect = sample_expect(s);
		for (size_t bit = 0; bit < 8 * s->len; bit++) {
			uint8_t bad[SAMPLE_MAX];
			memcpy(bad, s->bytes, s->len);
			bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
			struct vrrp_received packet = sample_received(s, bad, s->len);
			CU_ASSERT_NOT_EQUAL(sample_parse(&packet, &expect), VRRP_ACCEPTED);
		}
	}
	CU_ASSERT_EQUAL(parse_changed(PLAIN, 0, 0x31), VRRP_ACCEPTED);
}

/* IPv6 and VRRPv2 leave no choice, so that a policy does not matter there. */
static void checksum_policy(void)
{
	static const struct {
		int sample;
		enum vrrp_accept accept;
		enum vrrp_refusal expected;
	} rows[] = {
	    {PLAIN, VRRP_ACCEPT_EITHER, VRRP_ACCEPTED},
	    {PLAIN, VRRP_ACCEPT_PLAIN, VRRP_ACCEPTED},
	    {PLAIN, VRRP_ACCEPT_PSEUDO, VRRP_REFUSED_CHECKSUM},
	    {KEEPALIVED, VRRP_ACCEPT_EITHER, VRRP_ACCEPTED},
	    {KEEPALIVED, VRRP_ACCEPT_PLAIN, VRRP_REFUSED_CHECKSUM},
	    {KEEPALIVED, VRRP_ACCEPT_PSEUDO, VRRP_ACCEPTED},
	    {KEEPALIVED_IPV6, VRRP_ACCEPT_PLAIN, VRRP_ACCEPTED},
	    {KEEPALIVED_IPV6, VRRP_ACCEPT_PSEUDO, VRRP_ACCEPTED},
	    {KEEPALIVED_V2, VRRP_ACCEPT_PLAIN, VRRP_ACCEPTED},
	    {KEEPALIVED_V2, VRRP_ACCEPT_PSEUDO, VRRP_ACCEPTED},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sample *s = &samples[rows[i].sample];
		struct vrrp_received packet = sample_received(s, s->bytes, s->len);
		struct vrrp_expect expect = sample_expect(s);
		expect.checksum = rows[i].accept;
		CU_ASSERT_EQUAL(sample_parse(&packet, &expect), rows[i].expected);
	}
}

/* And not the group, when the advert is unicast. */
static void pseudo_header_has_the_real_addresses(void)
{
	static const struct {
		int sample;
		const char *source, *destination;
	} rows[] = {
	    {KEEPALIVED, "10.96.0.1", "10.96.0.2"},
	    {KEEPALIVED, "10.96.0.3", "224.0.0.18"},
	    {KEEPALIVED_IPV6, "fe80::1", "fe80::2"},
	    {KEEPALIVED_IPV6, "fe80::3", "ff02::12"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sample *s = &samples[rows[i].sample];
		struct vrrp_received packet = sample_received(s, s->bytes, s->len);
		struct vrrp_expect expect = sample_expect(s);
		packet.source = ip(rows[i].source);
		packet.destination = ip(rows[i].destination);
		CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_CHECKSUM);
	}
}

static void unknown_vrid(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 1, 51), VRRP_REFUSED_VRID);
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 1, 0), VRRP_REFUSED_VRID);
	}
}

static void interval_0(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++)
		CU_ASSERT_EQUAL(parse_changed(every_kind[i], 5, 0), VRRP_REFUSED_INTERVAL);
	CU_ASSERT_EQUAL(parse_changed(PLAIN, 4, 0xf0), VRRP_ACCEPTED);
}

static void reserved_bits_are_ignored(void)
{
	static const int version_3[] = {PLAIN, KEEPALIVED_IPV6};
	for (size_t i = 0; i < COUNT(version_3); i++) {
		const struct sample *s = &samples[version_3[i]];
		struct vrrp_expect expect = sample_expect(s);
		struct vrrp_advert advert;
		enum vrrp_checksum form;
		uint8_t copy[SAMPLE_MAX];
		memcpy(copy, s->bytes, s->len);
		copy[4] = 0xf1;
		sample_mend(s, copy, s->len);
		struct vrrp_received packet = sample_received(s, copy, s->len);
		CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(advert.interval_cs, 0x164);
		CU_ASSERT_EQUAL(advert.flags, 0);
	}
}

static void own_packet(void)
{
	CU_ASSERT_EQUAL(parse_from(PLAIN, "10.96.0.9", NULL), VRRP_REFUSED_OWN);
	CU_ASSERT_EQUAL(parse_from(KEEPALIVED_V2, "10.96.0.9", NULL), VRRP_REFUSED_OWN);
	CU_ASSERT_EQUAL(parse_from(KEEPALIVED_IPV6, "fe80::9", NULL), VRRP_REFUSED_OWN);
	CU_ASSERT_EQUAL(parse_from(KEEPALIVED_IPV6, "fe80::8", NULL), VRRP_ACCEPTED);
}

static void only_the_peer_may_speak_unicast(void)
{
	struct addr four = ip("10.96.0.2"), six = ip("fe80::2");
	CU_ASSERT_EQUAL(parse_from(PLAIN, "10.96.0.1", &four), VRRP_REFUSED_SOURCE);
	CU_ASSERT_EQUAL(parse_from(PLAIN, "10.96.0.2", &four), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_from(KEEPALIVED_IPV6, "fe80::1", &six), VRRP_REFUSED_SOURCE);
	CU_ASSERT_EQUAL(parse_from(KEEPALIVED_IPV6, "fe80::2", &six), VRRP_ACCEPTED);
}

static enum vrrp_refusal parse_by_interval(int sample, uint16_t ours_cs)
{
	const struct sample *s = &samples[sample];
	struct vrrp_received packet = sample_received(s, s->bytes, s->len);
	struct vrrp_expect expect = sample_expect(s);
	expect.interval_cs = ours_cs;
	return sample_parse(&packet, &expect);
}

static void other_interval_version_3(void)
{
	CU_ASSERT_EQUAL(parse_by_interval(KEEPALIVED_50CS, 100), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_by_interval(KEEPALIVED_IPV6, 300), VRRP_ACCEPTED);
}

static void other_interval_version_2(void)
{
	CU_ASSERT_EQUAL(parse_by_interval(KEEPALIVED_V2, 100), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(parse_by_interval(KEEPALIVED_V2, 200), VRRP_REFUSED_INTERVAL_OTHER);
	CU_ASSERT_EQUAL(parse_changed(KEEPALIVED_V2, 5, 2), VRRP_REFUSED_INTERVAL_OTHER);
}

/* Recorded: keepalived with auth_type PASS. */
static void authentication_of_version_2(void)
{
	static const struct sample pass = {"10.96.0.1", "224.0.0.18", 2, 200, 1, 100,
	    VRRP_CHECKSUM_PLAIN, 20,
	    {0x21, 0x32, 0xc8, 0x01, 0x01, 0x01, 0xce, 0xec, 0x0a, 0x60, 0x00, 0x32, 's', 'e', 'c',
		'r', 'e', 't'}};
	struct vrrp_received packet = sample_received(&pass, pass.bytes, pass.len);
	struct vrrp_expect expect = sample_expect(&pass);
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_AUTH_TYPE);
	CU_ASSERT_EQUAL(parse_changed(KEEPALIVED_V2, 4, 2), VRRP_REFUSED_AUTH_TYPE);
	CU_ASSERT_EQUAL(parse_changed(KEEPALIVED_V2, 4, 255), VRRP_REFUSED_AUTH_TYPE);
}

/* What is looked for first is the reason: a packet that is wrong in everything, mended step by
 * step. */
static void reasons_come_in_order(void)
{
	struct sample s = samples[KEEPALIVED_V2];
	struct vrrp_expect expect = sample_expect(&samples[KEEPALIVED_V2]);
	struct vrrp_received packet = sample_received(&s, s.bytes, 7);
	packet.ttl = 1;
	packet.source = expect.self;
	expect.only_peer = true;
	expect.peer = ip("10.96.0.2");
	memcpy(s.bytes, (uint8_t[]){0x52, 51, 0, 0, 1, 0, 0xff, 0xff}, 8);
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_TTL);
	packet.ttl = 255;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_VERSION);
	s.bytes[0] = 0x22;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_TYPE);
	s.bytes[0] = 0x21;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_SHORT);
	packet.len = 15;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_COUNT_LARGE);
	packet.len = 20;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_COUNT_ZERO);
	s.bytes[3] = 1;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_CHECKSUM);
	sample_mend(&s, s.bytes, 20);
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_VRID);
	expect.vrid = 51;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_OWN);
	packet.source = ip("10.96.0.1");
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_SOURCE);
	expect.only_peer = false;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_AUTH_TYPE);
	s.bytes[4] = 0;
	sample_mend(&s, s.bytes, 20);
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_INTERVAL);
	s.bytes[5] = 3;
	sample_mend(&s, s.bytes, 20);
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_REFUSED_INTERVAL_OTHER);
	expect.interval_cs = 300;
	CU_ASSERT_EQUAL(sample_parse(&packet, &expect), VRRP_ACCEPTED);
}

static void refused_packet_leaves_outputs_alone(void)
{
	for (size_t i = 0; i < COUNT(every_kind); i++) {
		const struct sample *s = &samples[every_kind[i]];
		struct vrrp_received packet = sample_received(s, s->bytes, s->len);
		struct vrrp_expect expect = sample_expect(s);
		struct vrrp_advert advert = {.priority = 77};
		enum vrrp_checksum form = (enum vrrp_checksum)55;
		expect.self = packet.source;
		CU_ASSERT_EQUAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_REFUSED_OWN);
		CU_ASSERT_EQUAL(advert.priority, 77);
		CU_ASSERT_EQUAL(form, (enum vrrp_checksum)55);
	}
}

/* One text, and so one counter, for each reason. */
static void every_reason_is_another_one(void)
{
	for (int i = 0; i < VRRP_REFUSAL_COUNT; i++) {
		const char *text = vrrp_refusal_text((enum vrrp_refusal)i);
		CU_ASSERT(strlen(text) > 3);
		for (int k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(text, vrrp_refusal_text((enum vrrp_refusal)k));
	}
	CU_ASSERT_STRING_EQUAL(vrrp_refusal_text(VRRP_REFUSAL_COUNT), "?");
}

UNIT_MAIN("vrrp/packet_refusal", UNIT_AS("15: TTL 254", ttl_254),
    UNIT_AS("16: hop limit 64", hop_limit_64), UNIT_AS("17: other versions", other_versions),
    UNIT_AS("18: other types", other_types), UNIT(first_byte_alone),
    UNIT_AS("19: truncated at every byte", truncated_at_every_byte),
    UNIT_AS("20: count 0", count_0), UNIT_AS("21: count larger than the payload", count_too_large),
    UNIT_AS("21: bytes behind are tolerated, and summed", bytes_behind_are_tolerated_and_summed),
    UNIT_AS("22: every wrong bit", every_bit_is_checked),
    UNIT_AS("22: pseudo-header of other addresses", pseudo_header_has_the_real_addresses),
    UNIT_AS("23: checksum form by policy", checksum_policy),
    UNIT_AS("24: unknown VRID", unknown_vrid), UNIT_AS("25: interval 0", interval_0),
    UNIT_AS("26: reserved bits are ignored", reserved_bits_are_ignored),
    UNIT_AS("27: own packet", own_packet),
    UNIT_AS("28: another interval is no reason in VRRPv3", other_interval_version_3),
    UNIT_AS("32: one text and counter a reason", every_reason_is_another_one),
    UNIT_AS("66: another interval is one in VRRPv2", other_interval_version_2),
    UNIT_AS("68: window of TTLs", ttl_window), UNIT(authentication_of_version_2),
    UNIT(only_the_peer_may_speak_unicast), UNIT(reasons_come_in_order),
    UNIT(refused_packet_leaves_outputs_alone))
