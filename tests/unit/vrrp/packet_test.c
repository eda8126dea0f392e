/* What is written, and the round trip. Numbers are those of the conformance table in
 * vrrp/README.md; what is refused on receipt is in packet_refusal_test.c. */
#include "tests/unit/unit.h"
#include "tests/unit/vrrp/samples.h"

static const uint8_t vip4[] = {10, 96, 0, 50};
static const uint8_t vip6[] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x50, /* link-local first */
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x50};

static struct vrrp_advert advert_of(const struct sample *s)
{
	return (struct vrrp_advert){
	    .version = s->version,
	    .type = VRRP_TYPE_ADVERT,
	    .vrid = 50,
	    .priority = s->priority,
	    .n_addresses = s->n_addresses,
	    .interval_cs = s->interval_cs,
	    .addresses = sample_is_ipv6(s) ? vip6 : vip4,
	};
}

static size_t encode(
    const struct vrrp_advert *advert, const struct sample *s, uint8_t *buf, size_t size)
{
	struct addr source = ip(s->source), destination = ip(s->destination);
	struct vrrp_envelope envelope = {
	    .source = &source, .destination = &destination, .form = s->form};
	return vrrp_encode(advert, &envelope, buf, size);
}

static void golden_messages_are_read(void)
{
	for (size_t i = 0; i < SAMPLE_COUNT; i++) {
		const struct sample *s = &samples[i];
		struct vrrp_advert expected = advert_of(s), advert;
		struct vrrp_received packet = sample_received(s, s->bytes, s->len);
		struct vrrp_expect expect = sample_expect(s);
		enum vrrp_checksum form;
		CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &advert, &form), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(form, s->form);
		CU_ASSERT_EQUAL(advert.version, s->version);
		CU_ASSERT_EQUAL(advert.type, VRRP_TYPE_ADVERT);
		CU_ASSERT_EQUAL(advert.flags, 0);
		CU_ASSERT_EQUAL(advert.vrid, 50);
		CU_ASSERT_EQUAL(advert.priority, s->priority);
		CU_ASSERT_EQUAL(advert.interval_cs, s->interval_cs);
		CU_ASSERT_EQUAL_FATAL(advert.n_addresses, s->n_addresses);
		CU_ASSERT_EQUAL(memcmp(advert.addresses, expected.addresses,
				    (sample_is_ipv6(s) ? 16U : 4U) * s->n_addresses),
		    0);
	}
}

static void check_written(int first, int last)
{
	for (int i = first; i <= last; i++) {
		uint8_t buf[VRRP_ENCODED_MAX];
		struct vrrp_advert advert = advert_of(&samples[i]);
		CU_ASSERT_EQUAL_FATAL(
		    encode(&advert, &samples[i], buf, sizeof(buf)), samples[i].len);
		CU_ASSERT_EQUAL(memcmp(buf, samples[i].bytes, samples[i].len), 0);
	}
}

static void golden_with_pseudo_header(void)
{
	check_written(KEEPALIVED, FRR);
}

static void golden_plain(void)
{
	check_written(PLAIN, PLAIN);
}

static void golden_version_2(void)
{
	check_written(KEEPALIVED_V2, FRR_V2);
}

static void golden_ipv6(void)
{
	check_written(KEEPALIVED_IPV6, FRR_IPV6);
}

static void groups_and_protocol(void)
{
	struct addr four = vrrp_group(AF_INET), six = vrrp_group(AF_INET6);
	char text[ADDR_TEXT_MAX];
	CU_ASSERT_STRING_EQUAL(addr_format_ip(&four, text), "224.0.0.18");
	CU_ASSERT_STRING_EQUAL(addr_format_ip(&six, text), "ff02::12");
	CU_ASSERT_EQUAL(VRRP_PROTOCOL, 112);
}

static void version_and_type(void)
{
	static const struct {
		int sample;
		uint8_t type, first;
	} rows[] = {
	    {PLAIN, VRRP_TYPE_ADVERT, 0x31},
	    {KEEPALIVED_IPV6, VRRP_TYPE_ADVERT, 0x31},
	    {KEEPALIVED_V2, VRRP_TYPE_ADVERT, 0x21},
	    {PLAIN, VRRP_TYPE_CLAIM, 0x3e},
	    {KEEPALIVED_IPV6, VRRP_TYPE_CLAIM, 0x3e},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sample *s = &samples[rows[i].sample];
		struct vrrp_advert advert = advert_of(s);
		uint8_t buf[SAMPLE_MAX];
		advert.type = rows[i].type;
		CU_ASSERT_EQUAL_FATAL(encode(&advert, s, buf, sizeof(buf)), s->len);
		CU_ASSERT_EQUAL(buf[0], rows[i].first);
	}
}

static void reserved_is_zero(void)
{
	for (unsigned cs = 1; cs <= VRRP_INTERVAL_CS_MAX; cs++) {
		struct vrrp_advert advert = advert_of(&samples[PLAIN]);
		uint8_t buf[SAMPLE_MAX];
		advert.interval_cs = (uint16_t)cs;
		CU_ASSERT_EQUAL_FATAL(encode(&advert, &samples[PLAIN], buf, sizeof(buf)), 12);
		CU_ASSERT_EQUAL(buf[4] >> 4, 0);
	}
}

static void interval_is_as_configured(void)
{
	static const struct {
		int sample;
		uint16_t cs;
		uint8_t high, low; /* bytes 4 and 5 */
		bool has_form;
	} rows[] = {
	    {PLAIN, 1, 0, 1, true},
	    {PLAIN, 255, 0, 255, true},
	    {PLAIN, 256, 1, 0, true},
	    {PLAIN, 4095, 0x0f, 0xff, true},
	    {PLAIN, 0, 0, 0, false},
	    {PLAIN, 4096, 0, 0, false},
	    {KEEPALIVED_IPV6, 4095, 0x0f, 0xff, true},
	    {KEEPALIVED_V2, 100, 0, 1, true},
	    {KEEPALIVED_V2, 25500, 0, 255, true},
	    {KEEPALIVED_V2, 25600, 0, 0, false},
	    {KEEPALIVED_V2, 150, 0, 0, false},
	    {KEEPALIVED_V2, 10, 0, 0, false},
	    {KEEPALIVED_V2, 0, 0, 0, false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sample *s = &samples[rows[i].sample];
		struct vrrp_advert advert = advert_of(s);
		uint8_t buf[SAMPLE_MAX];
		advert.interval_cs = rows[i].cs;
		CU_ASSERT_EQUAL(
		    encode(&advert, s, buf, sizeof(buf)), rows[i].has_form ? s->len : 0);
		if (rows[i].has_form) {
			CU_ASSERT_EQUAL(buf[4], rows[i].high);
			CU_ASSERT_EQUAL(buf[5], rows[i].low);
		}
	}
}

static void addresses_stay_in_order(void)
{
	static const uint8_t list[] = {192, 0, 2, 9, 192, 0, 2, 1, 192, 0, 2, 5};
	struct vrrp_advert advert = advert_of(&samples[PLAIN]);
	struct addr first = ip("192.0.2.9"), last = ip("192.0.2.5"), other = ip("192.0.2.2");
	uint8_t buf[20];
	advert.n_addresses = 3;
	advert.addresses = list;
	CU_ASSERT_EQUAL_FATAL(encode(&advert, &samples[PLAIN], buf, sizeof(buf)), 20);
	CU_ASSERT_EQUAL(buf[3], 3);
	CU_ASSERT_EQUAL(memcmp(buf + 8, list, sizeof(list)), 0);
	CU_ASSERT_TRUE(vrrp_advert_lists(&advert, &first));
	CU_ASSERT_TRUE(vrrp_advert_lists(&advert, &last));
	CU_ASSERT_FALSE(vrrp_advert_lists(&advert, &other));
	advert.n_addresses = 2;
	CU_ASSERT_FALSE(vrrp_advert_lists(&advert, &last));
}

/* The same list, counted in addresses of 4 bytes and of 16. */
static void family_is_that_of_the_ip_header(void)
{
	struct vrrp_advert advert = advert_of(&samples[KEEPALIVED_IPV6]);
	struct addr second = ip("2001:db8::50"), other = ip("2001:db8::51");
	uint8_t buf[SAMPLE_MAX];
	CU_ASSERT_EQUAL(encode(&advert, &samples[KEEPALIVED_IPV6], buf, sizeof(buf)), 8 + 2 * 16);
	CU_ASSERT_EQUAL(encode(&advert, &samples[PLAIN], buf, sizeof(buf)), 8 + 2 * 4);
	CU_ASSERT_TRUE(vrrp_advert_lists(&advert, &second));
	CU_ASSERT_FALSE(vrrp_advert_lists(&advert, &other));
	advert.version = VRRP_VERSION_2; /* knows IPv4 only */
	CU_ASSERT_EQUAL(encode(&advert, &samples[KEEPALIVED_IPV6], buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(encode(&advert, &samples[PLAIN], buf, sizeof(buf)), 8 + 2 * 4 + 8);
}

static void every_priority_is_data(void)
{
	for (unsigned priority = 0; priority <= 255; priority++) {
		const struct sample *s = &samples[PLAIN];
		struct vrrp_advert advert = advert_of(s), out;
		struct vrrp_expect expect = sample_expect(s);
		enum vrrp_checksum form;
		uint8_t buf[SAMPLE_MAX];
		advert.priority = (uint8_t)priority;
		CU_ASSERT_EQUAL_FATAL(encode(&advert, s, buf, sizeof(buf)), s->len);
		struct vrrp_received packet = sample_received(s, buf, s->len);
		CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &out, &form), VRRP_ACCEPTED);
		CU_ASSERT_EQUAL(out.priority, priority);
	}
}

/* VRRPv2 and IPv6 have one form, whatever is wished. */
static void checksum_form_is_a_choice_of_version_3_over_ipv4(void)
{
	static const int fixed[] = {KEEPALIVED_V2, KEEPALIVED_IPV6};
	for (size_t i = 0; i < COUNT(fixed); i++) {
		struct sample other = samples[fixed[i]];
		struct vrrp_advert advert = advert_of(&samples[fixed[i]]);
		uint8_t buf[SAMPLE_MAX];
		other.form =
		    other.form == VRRP_CHECKSUM_PLAIN ? VRRP_CHECKSUM_PSEUDO : VRRP_CHECKSUM_PLAIN;
		CU_ASSERT_EQUAL_FATAL(encode(&advert, &other, buf, sizeof(buf)), other.len);
		CU_ASSERT_EQUAL(memcmp(buf, other.bytes, other.len), 0);
	}
}

static void check_round_trip(const struct sample *s, unsigned count, const uint8_t *list)
{
	static const uint16_t intervals[] = {1, 2, 10, 100, 255, 256, 4094, 4095};
	size_t each = sample_is_ipv6(s) ? 16 : 4;
	struct vrrp_advert in = {
	    .version = s->version,
	    .type = count % 3 && s->version == 3 ? VRRP_TYPE_CLAIM : VRRP_TYPE_ADVERT,
	    .vrid = (uint8_t)count,
	    .priority = (uint8_t)(255 - count),
	    .n_addresses = (uint8_t)count,
	    .interval_cs =
		s->version == 2 ? (uint16_t)(100 * count) : intervals[count % COUNT(intervals)],
	    .addresses = list,
	};
	in.flags = in.type == VRRP_TYPE_CLAIM ? count % 4 : 0;
	uint8_t buf[VRRP_ENCODED_MAX];
	size_t len = encode(&in, s, buf, sizeof(buf));
	CU_ASSERT_EQUAL_FATAL(len, 8 + each * count + (s->version == 2 ? 8 : 0));

	struct vrrp_received packet = sample_received(s, buf, len);
	struct vrrp_expect expect = sample_expect(s);
	struct vrrp_advert out;
	enum vrrp_checksum seen;
	expect.vrid = (uint8_t)count;
	expect.interval_cs = in.interval_cs;
	CU_ASSERT_EQUAL_FATAL(vrrp_parse(&packet, &expect, &out, &seen), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(seen, s->form);
	CU_ASSERT_EQUAL(out.version, in.version);
	CU_ASSERT_EQUAL(out.type, in.type);
	CU_ASSERT_EQUAL(out.flags, in.flags);
	CU_ASSERT_EQUAL(out.vrid, in.vrid);
	CU_ASSERT_EQUAL(out.priority, in.priority);
	CU_ASSERT_EQUAL(out.interval_cs, in.interval_cs);
	CU_ASSERT_EQUAL(out.n_addresses, in.n_addresses);
	CU_ASSERT_EQUAL(memcmp(out.addresses, list, each * count), 0);
}

static void every_value_survives_the_round_trip(void)
{
	static const int kinds[] = {KEEPALIVED, PLAIN, KEEPALIVED_V2, KEEPALIVED_IPV6};
	uint8_t list[255 * VRRP_ADDRESS_LEN_MAX];
	for (size_t i = 0; i < sizeof(list); i++)
		list[i] = (uint8_t)(i * 7 + 1);
	for (size_t kind = 0; kind < COUNT(kinds); kind++) {
		for (unsigned count = 1; count <= 255; count++)
			check_round_trip(&samples[kinds[kind]], count, list);
	}
}

static void encode_refuses_what_has_no_form(void)
{
	const struct sample *s = &samples[PLAIN];
	const struct vrrp_advert good = advert_of(s);
	uint8_t buf[SAMPLE_MAX];
	struct vrrp_advert bad = good;
	CU_ASSERT_EQUAL(encode(&good, s, buf, 12), 12);
	CU_ASSERT_EQUAL(encode(&good, s, buf, 11), 0);
	bad.n_addresses = 0;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad = good;
	bad.vrid = 0;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad = good;
	bad.version = 4;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad = good;
	bad.type = 2;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad = good;
	bad.flags = VRRP_CLAIM_PREEMPTS; /* the bits are reserved in an advert */
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad.type = VRRP_TYPE_CLAIM;
	bad.flags = 15;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 12);
	bad.flags = 16;
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
	bad.flags = 0;
	bad.version = VRRP_VERSION_2; /* has no claims */
	CU_ASSERT_EQUAL(encode(&bad, s, buf, sizeof(buf)), 0);
}

static void addresses_compare_as_numbers(void)
{
	static const struct {
		const char *lower, *higher;
	} rows[] = {
	    {"10.0.0.255", "10.0.1.0"}, /* the other way round as little-endian words */
	    {"9.255.255.255", "10.0.0.0"},
	    {"127.255.255.255", "128.0.0.0"},
	    {"fe80::ff", "fe80::100"},
	    {"fe80::ffff:ffff:ffff:ffff", "fe80:0:0:1::"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr lower = ip(rows[i].lower), higher = ip(rows[i].higher);
		CU_ASSERT(addr_compare_ip(&lower, &higher) < 0);
		CU_ASSERT(addr_compare_ip(&higher, &lower) > 0);
		CU_ASSERT(addr_compare_ip(&lower, &lower) == 0);
	}
}

UNIT_MAIN("vrrp/packet", UNIT(golden_messages_are_read),
    UNIT_AS("3: groups and protocol", groups_and_protocol),
    UNIT_AS("6: version and type", version_and_type),
    UNIT_AS("7: reserved bits are zero", reserved_is_zero),
    UNIT_AS("8: interval as configured, 1 and 4095 cs included", interval_is_as_configured),
    UNIT_AS("9: golden IPv4 checksum without pseudo-header", golden_plain),
    UNIT_AS("9: golden IPv4 checksum as keepalived and FRR write it", golden_with_pseudo_header),
    UNIT_AS("10: golden IPv6 checksum with pseudo-header", golden_ipv6),
    UNIT_AS("11: addresses exact and in order", addresses_stay_in_order),
    UNIT_AS("13: the list has the family of the IP header", family_is_that_of_the_ip_header),
    UNIT_AS("14: every priority is data, the owner's 255 too", every_priority_is_data),
    UNIT_AS("59: addresses compare as unsigned numbers", addresses_compare_as_numbers),
    UNIT_AS("65: golden VRRPv2 messages of keepalived and FRR", golden_version_2),
    UNIT(checksum_form_is_a_choice_of_version_3_over_ipv4),
    UNIT(every_value_survives_the_round_trip), UNIT(encode_refuses_what_has_no_form))
