/* Requirement 69: authenticated adverts. Two nodes in memory, 10.96.0.1 and 10.96.0.2. */
#include "vrrp/core/auth.h"

#include <nettle/hmac.h>

#include "tests/unit/unit.h"
#include "tests/unit/vrrp/samples.h"

#define SIGNED_LEN (12 + VRRP_TRAILER_LEN)
#define NOON       0x0006448b12345678ULL /* a wall clock, in microseconds */

static const uint8_t sync_key[VRRP_AUTH_KEY_LEN] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

/* Made with another implementation of HMAC, as auth.h describes them. */
static const uint8_t derived[VRRP_AUTH_KEY_LEN] = {0x2e, 0x6b, 0x44, 0xa2, 0xbc, 0xfd, 0x83, 0x00,
    0x75, 0x26, 0x93, 0xe7, 0x37, 0x63, 0xb1, 0x96, 0xff, 0xbd, 0x85, 0xa2, 0x87, 0x3f, 0x60, 0x55,
    0x49, 0x4b, 0x4f, 0xfe, 0x9d, 0x7b, 0xea, 0x17};
static const uint8_t golden4[SIGNED_LEN] = {0x31, 0x32, 0x96, 0x01, 0x00, 0x64, 0xc3, 0x01, 0x0a,
    0x60, 0x00, 0x32, 0x59, 0x01, 0x51, 0xb0, 0x00, 0x06, 0x44, 0x8b, 0x12, 0x34, 0x56, 0x78, 0xe2,
    0x9b, 0x26, 0x61, 0xe5, 0x7d, 0xce, 0x56, 0x09, 0x48, 0x70, 0x21, 0x7e, 0xcf, 0x5d, 0xda};
static const uint8_t golden6[40 + VRRP_TRAILER_LEN] = {0x31, 0x32, 0x96, 0x02, 0x00, 0x64, 0x02,
    0x7c, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x50, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x50, 0x59, 0x01, 0x51, 0xb0, 0x00, 0x06, 0x44, 0x8b, 0x12, 0x34, 0x56, 0x78, 0x09, 0x86, 0x7b,
    0xaf, 0x7a, 0x78, 0xf6, 0xa7, 0xac, 0xe7, 0xbf, 0x95, 0x54, 0x4a, 0xfb, 0xb8};

/* Keys by one letter. */
static void key_of(char letter, uint8_t key[VRRP_AUTH_KEY_LEN])
{
	memset(key, letter, VRRP_AUTH_KEY_LEN);
}

/* `letters`: the first one signs. */
static void configure(struct vrrp_auth *auth, enum vrrp_auth_mode mode, const char *letters)
{
	uint8_t keys[VRRP_AUTH_KEYS_MAX][VRRP_AUTH_KEY_LEN];
	unsigned n = (unsigned)strlen(letters);
	for (unsigned i = 0; i < n; i++)
		key_of(letters[i], keys[i]);
	vrrp_auth_configure(auth, mode, (const uint8_t(*)[VRRP_AUTH_KEY_LEN])keys, n);
}

static struct vrrp_auth auth_of(enum vrrp_auth_mode mode, const char *letters)
{
	struct vrrp_auth auth = {0};
	configure(&auth, mode, letters);
	return auth;
}

/* ---- a message from 10.96.0.1 ---- */

struct packet {
	uint8_t bytes[SAMPLE_MAX];
	size_t len;
};

static struct packet say_type(struct vrrp_auth *auth, enum vrrp_type type, uint64_t wall_us)
{
	static const uint8_t vip[] = {10, 96, 0, 50};
	struct addr source = ip("10.96.0.1"), group = vrrp_group(AF_INET);
	struct vrrp_advert advert = {
	    .version = VRRP_VERSION,
	    .type = (uint8_t)type,
	    .vrid = 50,
	    .priority = 150,
	    .n_addresses = 1,
	    .interval_cs = 100,
	    .addresses = vip,
	};
	struct vrrp_envelope envelope = {
	    .source = &source, .destination = &group, .auth = auth, .wall_us = wall_us};
	struct packet packet;
	packet.len = vrrp_encode(&advert, &envelope, packet.bytes, sizeof(packet.bytes));
	return packet;
}

static struct packet say(struct vrrp_auth *auth, uint64_t wall_us)
{
	return say_type(auth, VRRP_TYPE_ADVERT, wall_us);
}

static enum vrrp_refusal hear(struct vrrp_auth *auth, const struct packet *packet)
{
	struct vrrp_received received =
	    sample_received(&samples[PLAIN], packet->bytes, packet->len);
	struct vrrp_expect expect = sample_expect(&samples[PLAIN]);
	expect.auth = auth;
	return sample_parse(&received, &expect);
}

/* ---- what is on the wire ---- */

static void vectors_of_rfc_4231(void)
{
	static const struct {
		const char *key, *data;

		size_t len;
		uint8_t mac[32];
	} rows[] = {
	    {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
		"Hi There", 32,
		{0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b,
		    0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7, 0x26, 0xe9, 0x37,
		    0x6c, 0x2e, 0x32, 0xcf, 0xf7}},
	    {"Jefe", "what do ya want for nothing?", 32,
		{0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95,
		    0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58,
		    0xb9, 0x64, 0xec, 0x38, 0x43}},
	    {"\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c",
		"Test With Truncation", 16,
		{0xa3, 0xb6, 0x16, 0x74, 0x73, 0x10, 0x0e, 0xe0, 0x6e, 0x0c, 0x79, 0x6c, 0x29, 0x55,
		    0x55, 0x2b}},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct hmac_sha256_ctx ctx;
		uint8_t mac[32];
		hmac_sha256_set_key(&ctx, strlen(rows[i].key), (const uint8_t *)rows[i].key);
		hmac_sha256_update(&ctx, strlen(rows[i].data), (const uint8_t *)rows[i].data);
		hmac_sha256_digest(&ctx, rows[i].len, mac);
		CU_ASSERT_EQUAL(memcmp(mac, rows[i].mac, rows[i].len), 0);
	}
}

static struct vrrp_auth golden_auth(void)
{
	struct vrrp_auth auth = {0};
	uint8_t keys[1][VRRP_AUTH_KEY_LEN];
	vrrp_auth_derive(sync_key, keys[0]);
	CU_ASSERT_EQUAL(memcmp(keys[0], derived, sizeof(derived)), 0);
	vrrp_auth_configure(&auth, VRRP_AUTH_ENFORCE, (const uint8_t(*)[VRRP_AUTH_KEY_LEN])keys, 1);
	return auth;
}

static void golden_messages(void)
{
	static const struct {
		int sample;
		const uint8_t *bytes;
	} rows[] = {{PLAIN, golden4}, {KEEPALIVED_IPV6, golden6}};
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct sample *s = &samples[rows[i].sample];
		struct vrrp_auth sender = golden_auth(), receiver = golden_auth();
		struct addr source = ip(s->source), destination = ip(s->destination);
		struct vrrp_advert advert;
		struct vrrp_expect expect = sample_expect(s);
		struct vrrp_received received = sample_received(s, s->bytes, s->len);
		enum vrrp_checksum form;
		uint8_t buf[SAMPLE_MAX + VRRP_TRAILER_LEN];
		CU_ASSERT_EQUAL_FATAL(
		    vrrp_parse(&received, &expect, &advert, &form), VRRP_ACCEPTED);
		struct vrrp_envelope envelope = {.source = &source,
		    .destination = &destination,
		    .auth = &sender,
		    .wall_us = NOON};
		size_t len = s->len + VRRP_TRAILER_LEN;
		CU_ASSERT_EQUAL_FATAL(vrrp_encode(&advert, &envelope, buf, sizeof(buf)), len);
		CU_ASSERT_EQUAL(memcmp(buf, rows[i].bytes, len), 0);
		received.data = rows[i].bytes;
		received.len = len;
		expect.auth = &receiver;
		CU_ASSERT_EQUAL(sample_parse(&received, &expect), VRRP_ACCEPTED);
	}
}

static void claims_too(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet claim = say_type(&a, VRRP_TYPE_CLAIM, NOON);
	CU_ASSERT_EQUAL(claim.len, SIGNED_LEN);
	CU_ASSERT_EQUAL(hear(&b, &claim), VRRP_ACCEPTED);
	claim.bytes[0] = VRRP_FIRST_BYTE_ADVERT;
	b = auth_of(VRRP_AUTH_ENFORCE, "k");
	sample_mend(&samples[PLAIN], claim.bytes, claim.len);
	CU_ASSERT_EQUAL(hear(&b, &claim), VRRP_REFUSED_TAG_WRONG);
}

/* Every bit but the checksum, which is mended, so that the tag alone can notice. */
static void every_bit_is_covered(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	const struct packet good = say(&a, NOON);
	struct vrrp_received received = sample_received(&samples[PLAIN], NULL, good.len);
	for (size_t bit = 0; bit < 8 * good.len; bit++) {
		struct packet bad = good;
		if (bit / 8 == 6 || bit / 8 == 7)
			continue;
		bad.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		received.data = bad.bytes;
		CU_ASSERT_NOT_EQUAL(vrrp_auth_verify(&b, &received, 12), VRRP_ACCEPTED);
		sample_mend(&samples[PLAIN], bad.bytes, bad.len);
		CU_ASSERT_NOT_EQUAL(hear(&b, &bad), VRRP_ACCEPTED);
	}
	CU_ASSERT_EQUAL(hear(&b, &good), VRRP_ACCEPTED);
}

static void addresses_are_covered(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet packet = say(&a, NOON);
	struct vrrp_expect expect = sample_expect(&samples[PLAIN]);
	struct vrrp_received received = sample_received(&samples[PLAIN], packet.bytes, packet.len);
	expect.auth = &b;
	received.source = ip("10.96.0.2");
	CU_ASSERT_EQUAL(sample_parse(&received, &expect), VRRP_REFUSED_TAG_WRONG);
	received.source = ip("10.96.0.1");
	received.destination = ip("10.96.0.9");
	CU_ASSERT_EQUAL(sample_parse(&received, &expect), VRRP_REFUSED_TAG_WRONG);
	received.destination = ip("224.0.0.18");
	CU_ASSERT_EQUAL(sample_parse(&received, &expect), VRRP_ACCEPTED);
}

/* On the heap with its exact size, so that a sanitizer sees a read past the end. */
static void truncated_at_every_byte(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet whole = say(&a, NOON);
	for (size_t cut = 12; cut < whole.len; cut++) {
		uint8_t *copy = malloc(cut);
		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		memcpy(copy, whole.bytes, cut);
		sample_mend(&samples[PLAIN], copy, cut);
		struct vrrp_received received = sample_received(&samples[PLAIN], copy, cut);
		struct vrrp_expect expect = sample_expect(&samples[PLAIN]);
		expect.auth = &b;
		CU_ASSERT_EQUAL(sample_parse(&received, &expect), VRRP_REFUSED_TAG_MISSING);
		free(copy);
	}
}

static void checksum_covers_the_trailer(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), off = auth_of(VRRP_AUTH_OFF, "");
	struct packet packet = say(&a, NOON);
	CU_ASSERT_EQUAL(hear(&off, &packet), VRRP_ACCEPTED);
	packet.bytes[SIGNED_LEN - 1] ^= 1;
	CU_ASSERT_EQUAL(hear(&off, &packet), VRRP_REFUSED_CHECKSUM);
}

static void sign_needs_room(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct addr source = ip("10.96.0.1"), group = vrrp_group(AF_INET);
	uint8_t buf[SIGNED_LEN];
	memcpy(buf, samples[PLAIN].bytes, 12);
	CU_ASSERT_EQUAL(vrrp_auth_sign(&a, NOON, &source, &group, buf, 12, SIGNED_LEN - 1), 0);
	CU_ASSERT_EQUAL(vrrp_auth_sign(&a, NOON, &source, &group, buf, 12, SIGNED_LEN), SIGNED_LEN);
}

static void version_2_has_none(void)
{
	const struct sample *s = &samples[KEEPALIVED_V2];
	struct vrrp_auth off = {0}, permissive = auth_of(VRRP_AUTH_PERMISSIVE, "k");
	struct vrrp_received received = sample_received(s, s->bytes, s->len);
	struct vrrp_expect expect = sample_expect(s);
	struct addr source = ip(s->source), destination = ip(s->destination);
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	uint8_t buf[SAMPLE_MAX];
	expect.auth = &off;
	CU_ASSERT_EQUAL_FATAL(vrrp_parse(&received, &expect, &advert, &form), VRRP_ACCEPTED);
	struct vrrp_envelope envelope = {
	    .source = &source, .destination = &destination, .auth = &off};
	CU_ASSERT_EQUAL(vrrp_encode(&advert, &envelope, buf, sizeof(buf)), s->len);
	envelope.auth = &permissive;
	CU_ASSERT_EQUAL(vrrp_encode(&advert, &envelope, buf, sizeof(buf)), 0);
}

/* ---- modes and keys ---- */

static void modes_of_the_roll_out(void)
{
	static const struct {
		enum vrrp_auth_mode sender, receiver;
		enum vrrp_refusal expected;
	} rows[] = {
	    {VRRP_AUTH_OFF, VRRP_AUTH_OFF, VRRP_ACCEPTED},
	    {VRRP_AUTH_OFF, VRRP_AUTH_PERMISSIVE, VRRP_ACCEPTED},
	    {VRRP_AUTH_OFF, VRRP_AUTH_ENFORCE, VRRP_REFUSED_TAG_MISSING},
	    {VRRP_AUTH_PERMISSIVE, VRRP_AUTH_OFF, VRRP_ACCEPTED},
	    {VRRP_AUTH_PERMISSIVE, VRRP_AUTH_PERMISSIVE, VRRP_ACCEPTED},
	    {VRRP_AUTH_PERMISSIVE, VRRP_AUTH_ENFORCE, VRRP_ACCEPTED},
	    {VRRP_AUTH_ENFORCE, VRRP_AUTH_OFF, VRRP_ACCEPTED},
	    {VRRP_AUTH_ENFORCE, VRRP_AUTH_PERMISSIVE, VRRP_ACCEPTED},
	    {VRRP_AUTH_ENFORCE, VRRP_AUTH_ENFORCE, VRRP_ACCEPTED},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct vrrp_auth sender = auth_of(rows[i].sender, "k");
		struct vrrp_auth receiver = auth_of(rows[i].receiver, "k");
		struct packet packet = say(&sender, NOON);
		CU_ASSERT_EQUAL(packet.len, rows[i].sender == VRRP_AUTH_OFF ? 12 : SIGNED_LEN);
		CU_ASSERT_EQUAL(hear(&receiver, &packet), rows[i].expected);
	}
}

static void permissive_refuses_what_is_wrong(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_PERMISSIVE, "k");
	struct vrrp_auth b = auth_of(VRRP_AUTH_PERMISSIVE, "k");
	struct vrrp_auth stranger = auth_of(VRRP_AUTH_PERMISSIVE, "x");
	struct packet good = say(&a, NOON), bad = good, foreign = say(&stranger, NOON + 9);
	bad.bytes[SIGNED_LEN - 1] ^= 1;
	sample_mend(&samples[PLAIN], bad.bytes, bad.len);
	CU_ASSERT_EQUAL(hear(&b, &bad), VRRP_REFUSED_TAG_WRONG);
	CU_ASSERT_EQUAL(hear(&b, &foreign), VRRP_REFUSED_TAG_KEY);
	CU_ASSERT_EQUAL(hear(&b, &good), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&b, &good), VRRP_REFUSED_TAG_REPLAYED);
}

/* A node goes over after the other one; nothing is refused on the way. */
static void keys_change_without_a_gap(void)
{
	static const struct {
		const char *a, *b;
	} steps[] = {
	    {"o", "o"},
	    {"on", "o"},
	    {"on", "on"},
	    {"no", "on"},
	    {"no", "no"},
	    {"n", "no"},
	    {"n", "n"},
	};
	struct vrrp_auth a = {0}, b = {0};
	for (size_t i = 0; i < COUNT(steps); i++) {
		configure(&a, VRRP_AUTH_ENFORCE, steps[i].a);
		configure(&b, VRRP_AUTH_ENFORCE, steps[i].b);
		struct packet packet = say(&a, NOON + i);
		CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_ACCEPTED);
		packet = say(&b, NOON + i);
		CU_ASSERT_EQUAL(hear(&a, &packet), VRRP_ACCEPTED);
	}
	struct vrrp_auth old = auth_of(VRRP_AUTH_ENFORCE, "o");
	struct packet packet = say(&old, NOON + 100);
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_REFUSED_TAG_KEY);
}

/* ---- sequences ---- */

static void replays_are_refused(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet first = say(&a, NOON), second = say(&a, NOON), third = say(&a, NOON);
	CU_ASSERT_EQUAL(hear(&b, &first), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&b, &first), VRRP_REFUSED_TAG_REPLAYED);
	CU_ASSERT_EQUAL(hear(&b, &third), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&b, &second), VRRP_REFUSED_TAG_REPLAYED);
	CU_ASSERT_EQUAL(hear(&b, &third), VRRP_REFUSED_TAG_REPLAYED);
}

/* So that nobody without the key can make us deaf. */
static void refused_packets_use_no_sequence(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet good = say(&a, NOON), forged = good, other = say(&a, NOON + 5);
	forged.bytes[12 + 4] = 0xff; /* the sequence */
	sample_mend(&samples[PLAIN], forged.bytes, forged.len);
	CU_ASSERT_EQUAL(hear(&b, &forged), VRRP_REFUSED_TAG_WRONG);
	other.bytes[1] = 51; /* somebody else's virtual router */
	sample_mend(&samples[PLAIN], other.bytes, other.len);
	CU_ASSERT_EQUAL(hear(&b, &other), VRRP_REFUSED_VRID);
	CU_ASSERT_EQUAL(hear(&b, &good), VRRP_ACCEPTED);
}

static void sequence_follows_the_clock_and_never_falls(void)
{
	static const struct {
		uint64_t wall_us, sent;
	} rows[] = {
	    {NOON, NOON},
	    {NOON + 1000, NOON + 1000},
	    {NOON + 1000, NOON + 1001},
	    {NOON - 5000, NOON + 1002},
	    {0, NOON + 1003},
	    {NOON + 2000, NOON + 2000},
	};
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k");
	for (size_t i = 0; i < COUNT(rows); i++) {
		say(&a, rows[i].wall_us);
		CU_ASSERT_EQUAL(a.marks.of[0].sent, rows[i].sent);
	}
}

/* Restarted with a clock that begins in 1970, a node is refused until it has heard its peer. */
static void clock_set_back_heals(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet packet = say(&a, NOON);
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_ACCEPTED);
	a = auth_of(VRRP_AUTH_ENFORCE, "k");
	packet = say(&a, 1);
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_REFUSED_TAG_REPLAYED);
	packet = say(&b, 1);
	CU_ASSERT_EQUAL(hear(&a, &packet), VRRP_ACCEPTED);
	packet = say(&a, 2);
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_ACCEPTED);
}

static void marks_travel_to_the_process_that_follows(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet old = say(&a, NOON);
	CU_ASSERT_EQUAL(hear(&b, &old), VRRP_ACCEPTED);
	say(&b, NOON);
	struct vrrp_auth_marks marks = b.marks;
	struct packet late = {.len = 0};
	for (int i = 0; i < 1000; i++) /* that the marks know nothing of, and with a poor clock */
		late = say(&b, 1);
	CU_ASSERT_EQUAL(hear(&a, &late), VRRP_ACCEPTED);

	struct vrrp_auth next = auth_of(VRRP_AUTH_ENFORCE, "xk");
	vrrp_auth_resume(&next, &marks);
	CU_ASSERT_EQUAL(hear(&next, &old), VRRP_REFUSED_TAG_REPLAYED);
	CU_ASSERT_EQUAL(next.marks.of[0].sent, 0); /* of key x, which was not there */
	configure(&next, VRRP_AUTH_ENFORCE, "k");
	struct packet packet = say(&next, 1);
	CU_ASSERT_EQUAL(hear(&a, &packet), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&a, &late), VRRP_REFUSED_TAG_REPLAYED);
}

static void reload_keeps_the_marks_of_keys_that_stay(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet packet = say(&a, NOON);
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_ACCEPTED);
	configure(&b, VRRP_AUTH_PERMISSIVE, "nk");
	CU_ASSERT_EQUAL(hear(&b, &packet), VRRP_REFUSED_TAG_REPLAYED);
	CU_ASSERT_EQUAL(b.marks.of[0].heard, 0);
	CU_ASSERT_EQUAL(b.marks.of[1].heard, NOON);
}

/* What is left open, and when it closes. */
static void just_started_receiver_takes_an_old_packet_until_a_genuine_one(void)
{
	struct vrrp_auth a = auth_of(VRRP_AUTH_ENFORCE, "k"), b = auth_of(VRRP_AUTH_ENFORCE, "k");
	struct packet yesterday = say(&a, NOON), later = say(&a, NOON + 1);
	struct packet today = say(&a, NOON + 86400000000);
	CU_ASSERT_EQUAL(hear(&b, &yesterday), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&b, &today), VRRP_ACCEPTED);
	CU_ASSERT_EQUAL(hear(&b, &later), VRRP_REFUSED_TAG_REPLAYED);
}

UNIT_MAIN("vrrp/auth", UNIT(vectors_of_rfc_4231), UNIT_AS("69: golden messages", golden_messages),
    UNIT_AS("69: claims too", claims_too),
    UNIT_AS("69: every bit is covered", every_bit_is_covered),
    UNIT_AS("69: addresses are covered", addresses_are_covered),
    UNIT_AS("69: truncated at every byte", truncated_at_every_byte),
    UNIT_AS("69: the checksum covers the trailer", checksum_covers_the_trailer),
    UNIT_AS("69: modes of the roll-out", modes_of_the_roll_out),
    UNIT_AS("69: permissive refuses what is wrong", permissive_refuses_what_is_wrong),
    UNIT_AS("69: keys change without a gap", keys_change_without_a_gap),
    UNIT_AS("69: replays are refused", replays_are_refused),
    UNIT_AS("69: refused packets use no sequence", refused_packets_use_no_sequence),
    UNIT_AS("69: a clock that was set back heals", clock_set_back_heals),
    UNIT_AS("69: marks travel to the next process", marks_travel_to_the_process_that_follows),
    UNIT(sequence_follows_the_clock_and_never_falls),
    UNIT(reload_keeps_the_marks_of_keys_that_stay),
    UNIT(just_started_receiver_takes_an_old_packet_until_a_genuine_one), UNIT(sign_needs_room),
    UNIT(version_2_has_none))
