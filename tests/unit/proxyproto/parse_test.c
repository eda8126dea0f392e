/* Headers as data, each shown byte by byte as well: whatever is cut off, the answer is MORE until it
 * is the answer for the whole. */
#include <string.h>

#include "daemon/proxyproto/proxyproto.h"
#include "tests/unit/unit.h"

#define SIG   "\r\n\r\n\0\r\nQUIT\n"
#define INET4 "\300\0\2\1\300\0\2\2\020\341\0P" /* 192.0.2.1:4321 > 192.0.2.2:80 */
#define INET6                                                                              \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2" \
	"\020\341\1\273" /* [2001:db8::1]:4321 > [2001:db8::2]:443 */
#define X8   "xxxxxxxx"
#define X32  X8 X8 X8 X8
#define X108 X32 X32 X32 X8 "xxxx"
#define X129 X108 X8 X8 "xxxxx"

struct sample {
	const char *what;
	struct slice text;
	enum proxyproto_result result;
	const char *source, *destination; /* NULL: no addresses */
	size_t tlvs_len;
};

#define CLIENT(name, literal, from, to, n_tlvs)                                           \
	{                                                                                 \
		.what = (name), .text = {literal, sizeof(literal) - 1}, .source = (from), \
		.destination = (to), .tlvs_len = (n_tlvs)                                 \
	}
#define NOBODY(name, literal)                                            \
	{                                                                \
		.what = (name), .text = { literal, sizeof(literal) - 1 } \
	}
#define REFUSED(name, literal, why)                                                                \
	{                                                                                          \
		.what = (name), .text = {literal, sizeof(literal) - 1}, .result = PROXYPROTO_##why \
	}

static const struct sample samples[] = {
    /* Version 1: the examples of section 2.1, and the longest lines. */
    CLIENT("v1 TCP4", "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324",
	"192.168.0.11:443", 0),
    CLIENT("v1 longest TCP4", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	"255.255.255.255:65535", "255.255.255.255:65535", 0),
    CLIENT("v1 TCP6", "PROXY TCP6 2001:db8::1 2001:DB8::2 4321 443\r\n", "[2001:db8::1]:4321",
	"[2001:db8::2]:443", 0),
    CLIENT("v1 longest TCP6",
	"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", 0),
    CLIENT(
	"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.1 :: 1 2\r\n", "[::ffff:192.0.2.1]:1", "[::]:2", 0),
    CLIENT("v1 port 0", "PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n", "192.0.2.1:0", "192.0.2.2:0", 0),
    NOBODY("v1 UNKNOWN", "PROXY UNKNOWN\r\n"),
    NOBODY("v1 UNKNOWN with a blank", "PROXY UNKNOWN \r\n"),
    NOBODY("v1 UNKNOWN and more", "PROXY UNKNOWN what \0 ever\r\n"),
    NOBODY("v1 longest UNKNOWN", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
				 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),

    REFUSED("another protocol", "GET / HTTP/1.1\r\n", MISSING),
    REFUSED("another protocol with P", "POST / HTTP/1.1\r\n", MISSING),
    REFUSED("another protocol with PRO", "PROPFIND / HTTP/1.1\r\n", MISSING),
    REFUSED("TLS", "\x16\x03\x01\x02\0\1\0", MISSING),
    REFUSED("a space before it", " PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", MISSING),
    REFUSED("an empty line before it", "\r\nPROXY UNKNOWN\r\n", MISSING),
    REFUSED("small letters", "proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", MISSING),
    REFUSED("v1 a tab", "PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n", MISSING),
    REFUSED("v1 two blanks", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", BAD_LINE),
    REFUSED("v1 small tcp4", "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", BAD_LINE),
    REFUSED("v1 UDP4", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", BAD_LINE),
    REFUSED("v1 TCP", "PROXY TCP 192.0.2.1 192.0.2.2 1 2\r\n", BAD_LINE),
    REFUSED("v1 TCP46", "PROXY TCP46 192.0.2.1 192.0.2.2 1 2\r\n", BAD_LINE),
    REFUSED("v1 UNKNOWNS", "PROXY UNKNOWNS\r\n", BAD_LINE),
    REFUSED("v1 nothing", "PROXY \r\n", BAD_LINE),
    REFUSED("v1 TCP4 alone", "PROXY TCP4\r\n", BAD_LINE),
    REFUSED("v1 no destination", "PROXY TCP4 192.0.2.1\r\n", BAD_LINE),
    REFUSED("v1 no ports", "PROXY TCP4 192.0.2.1 192.0.2.2\r\n", BAD_LINE),
    REFUSED("v1 one port", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", BAD_LINE),
    REFUSED("v1 blank at the end", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", BAD_ADDRESS),
    REFUSED("v1 a third port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", BAD_ADDRESS),
    REFUSED("v1 two blanks inside", "PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 port too high", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", BAD_ADDRESS),
    REFUSED("v1 port of six digits", "PROXY TCP4 192.0.2.1 192.0.2.2 100000 2\r\n", BAD_ADDRESS),
    REFUSED("v1 port 00", "PROXY TCP4 192.0.2.1 192.0.2.2 00 2\r\n", BAD_ADDRESS),
    REFUSED("v1 port with zero", "PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n", BAD_ADDRESS),
    REFUSED("v1 port with sign", "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 port in hex", "PROXY TCP4 192.0.2.1 192.0.2.2 0x1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 octet with zero", "PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 octet too high", "PROXY TCP4 192.0.256.1 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 three octets", "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 a name", "PROXY TCP4 localhost 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 NUL in an address", "PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 IPv6 in TCP4", "PROXY TCP4 ::1 ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 IPv4 in TCP6", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 two ::", "PROXY TCP6 1::2::3 ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 five digits", "PROXY TCP6 ::12345 ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 nine groups", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 scope", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n", BAD_ADDRESS),
    REFUSED("v1 LF", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", BAD_LINE),
    REFUSED("v1 CR", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rGET", BAD_LINE),
    REFUSED("v1 CR CR LF", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", BAD_LINE),
    REFUSED("v1 UNKNOWN with LF", "PROXY UNKNOWN a\nb\r\n", BAD_LINE),
    REFUSED("v1 no end in 107", "PROXY UNKNOWN " X32 X32 X8 X8 X8 "xxxxx", LONG_LINE),
    REFUSED("v1 107 and then CR", "PROXY UNKNOWN " X32 X32 X8 X8 X8 "xxxx\r\n", LONG_LINE),

    /* Version 2. */
    NOBODY("v2 LOCAL", SIG "\x20\0\0\0"),
    NOBODY("v2 LOCAL with addresses", SIG "\x20\x11\0\x0c" INET4),
    NOBODY("v2 LOCAL with anything", SIG "\x20\xff\0\3\xff\xff\xff"),
    CLIENT("v2 TCP4", SIG "\x21\x11\0\x0c" INET4, "192.0.2.1:4321", "192.0.2.2:80", 0),
    CLIENT("v2 TCP6", SIG "\x21\x21\0\x24" INET6, "[2001:db8::1]:4321", "[2001:db8::2]:443", 0),
    NOBODY("v2 UDP4", SIG "\x21\x12\0\x0c" INET4),
    NOBODY("v2 UDP6", SIG "\x21\x22\0\x24" INET6),
    NOBODY("v2 UNIX stream", SIG "\x21\x31\0\xd8" X108 X108),
    NOBODY("v2 UNIX datagram", SIG "\x21\x32\0\xd8" X108 X108),
    NOBODY("v2 UNSPEC", SIG "\x21\0\0\0"),
    NOBODY("v2 UNSPEC with bytes", SIG "\x21\0\0\5hello"),
    NOBODY("v2 INET without transport", SIG "\x21\x10\0\x0c" INET4),

    CLIENT("v2 TLV of no kind", SIG "\x21\x11\0\x0f" INET4 "\xe0\0\0", "192.0.2.1:4321",
	"192.0.2.2:80", 3),
    CLIENT("v2 TLVs", SIG "\x21\x11\0\x1e" INET4 "\4\0\2\0\0\1\0\2h2\5\0\1u\2\0\1a",
	"192.0.2.1:4321", "192.0.2.2:80", 18),
    CLIENT("v2 SSL", SIG "\x21\x11\0\x1e" INET4 "\x20\0\x0f\7\0\0\0\0\x21\0\7TLSv1.3",
	"192.0.2.1:4321", "192.0.2.2:80", 18),
    CLIENT("v2 SSL without TLVs", SIG "\x21\x11\0\x14" INET4 "\x20\0\5\0\0\0\0\0", "192.0.2.1:4321",
	"192.0.2.2:80", 8),
    CLIENT("v2 checksum", SIG "\x21\x11\0\x13" INET4 "\3\0\4\x47\xf6\x72\xe3", "192.0.2.1:4321",
	"192.0.2.2:80", 7),

    REFUSED("v2 version 1", SIG "\x11\x11\0\x0c" INET4, BAD_VERSION),
    REFUSED("v2 version 3", SIG "\x31\x11\0\x0c" INET4, BAD_VERSION),
    REFUSED("v2 command 2", SIG "\x22\x11\0\x0c" INET4, BAD_COMMAND),
    REFUSED("v2 family 4", SIG "\x21\x41\0\x0c" INET4, BAD_FAMILY),
    REFUSED("v2 transport 3", SIG "\x21\x13\0\x0c" INET4, BAD_FAMILY),
    REFUSED("v2 too short for IPv4", SIG "\x21\x11\0\x0b" INET4, BAD_LENGTH),
    REFUSED("v2 too short for IPv6", SIG "\x21\x21\0\x23" INET6, BAD_LENGTH),
    REFUSED("v2 too short for UNIX", SIG "\x21\x31\0\xd7" X108 X108, BAD_LENGTH),
    REFUSED("v2 too short for UDP", SIG "\x21\x12\0\0", BAD_LENGTH),
    REFUSED("v2 longer than 4096", SIG "\x21\x11\x0f\xf1", TOO_LONG),
    REFUSED("v2 65551", SIG "\x20\0\xff\xff", TOO_LONG),
    REFUSED("v2 one byte of a TLV", SIG "\x21\x11\0\x0d" INET4 "\4", BAD_TLV),
    REFUSED("v2 two bytes of a TLV", SIG "\x21\x11\0\x0e" INET4 "\4\0", BAD_TLV),
    REFUSED("v2 a TLV over the end", SIG "\x21\x11\0\x10" INET4 "\4\0\2x", BAD_TLV),
    REFUSED("v2 a TLV far over the end", SIG "\x21\x11\0\x10" INET4 "\4\xff\xffx", BAD_TLV),
    REFUSED("v2 a TLV and a byte", SIG "\x21\x11\0\x10" INET4 "\4\0\0x", BAD_TLV),
    REFUSED("v2 id of 129 bytes", SIG "\x21\x11\0\x90" INET4 "\5\0\x81" X129, BAD_TLV),
    REFUSED("v2 SSL of 4 bytes", SIG "\x21\x11\0\x13" INET4 "\x20\0\4\0\0\0\0", BAD_TLV),
    REFUSED(
	"v2 SSL with half a TLV", SIG "\x21\x11\0\x16" INET4 "\x20\0\7\0\0\0\0\0\x21\0", BAD_TLV),
    REFUSED("v2 checksum of 3 bytes", SIG "\x21\x11\0\x12" INET4 "\3\0\3\0\0\0", BAD_TLV),
    REFUSED("v2 two checksums", SIG "\x21\x11\0\x1a" INET4 "\3\0\4\0\0\0\0\3\0\4\0\0\0\0", BAD_TLV),
    REFUSED("v2 wrong checksum", SIG "\x21\x11\0\x13" INET4 "\3\0\4\0\0\0\0", BAD_CHECKSUM),
};

static void check(const char *what, bool ok)
{
	if (!ok)
		printf("\n    %s", what);
	CU_ASSERT(ok);
}

static bool reads(const struct addr *addr, const char *text)
{
	char buf[ADDR_TEXT_MAX];
	return strcmp(addr_format(addr, buf), text) == 0;
}

static bool is_as_it_says(const struct sample *sample, const struct proxyproto_header *header)
{
	bool v1 = sample->text.p[0] == 'P';
	if (header->len != sample->text.len || header->version != (v1 ? 1 : 2) ||
	    header->has_addresses != (sample->source != NULL) ||
	    header->tlvs.len != sample->tlvs_len)
		return false;
	if (header->tlvs.len > 0 &&
	    header->tlvs.p + header->tlvs.len != sample->text.p + sample->text.len)
		return false;
	return !sample->source || (reads(&header->source, sample->source) &&
				      reads(&header->destination, sample->destination));
}

static void reads_what_is_whole(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *sample = &samples[i];
		struct proxyproto_header header = {.len = 77};
		enum proxyproto_result result =
		    proxyproto_parse(sample->text.p, sample->text.len, &header);
		check(sample->what, result == sample->result);
		if (result == PROXYPROTO_OK)
			check(sample->what, is_as_it_says(sample, &header));
		else
			check(sample->what, header.len == 77);
	}
}

static void does_not_change_its_mind(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *sample = &samples[i];
		struct proxyproto_header header;
		enum proxyproto_result result = PROXYPROTO_MORE;
		for (size_t len = 0; len <= sample->text.len; len++) {
			enum proxyproto_result now = proxyproto_parse(sample->text.p, len, &header);
			check(sample->what, result == PROXYPROTO_MORE || now == result);
			check(sample->what, now != PROXYPROTO_OK || len == sample->text.len);
			result = now;
		}
		check(sample->what, result == sample->result);
	}
}

static void leaves_what_is_behind(void)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		const struct sample *sample = &samples[i];
		char text[512];
		struct proxyproto_header header;
		CU_ASSERT_FATAL(sample->text.len + 4 <= sizeof(text));
		memcpy(text, sample->text.p, sample->text.len);
		memcpy(text + sample->text.len, "\r\n\0x", 4);
		enum proxyproto_result result =
		    proxyproto_parse(text, sample->text.len + 4, &header);
		check(sample->what, result == sample->result);
		check(sample->what, result != PROXYPROTO_OK || header.len == sample->text.len);
	}
}

static void hears_of_each_tlv(void)
{
	static const char text[] =
	    SIG "\x21\x11\0\x21" INET4 "\4\0\2\0\0\1\0\2h2\5\0\1u\xe3\0\0\2\0\1a";
	static const struct proxyproto_tlv wanted[] = {{PROXYPROTO_NOOP, {"\0\0", 2}},
	    {PROXYPROTO_ALPN, {"h2", 2}}, {PROXYPROTO_UNIQUE_ID, {"u", 1}}, {0xe3, {"", 0}},
	    {PROXYPROTO_AUTHORITY, {"a", 1}}};
	struct proxyproto_header header;
	struct proxyproto_tlv tlv;
	CU_ASSERT_EQUAL_FATAL(proxyproto_parse(text, sizeof(text) - 1, &header), PROXYPROTO_OK);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		CU_ASSERT_FATAL(proxyproto_tlv_next(&header.tlvs, &tlv));
		CU_ASSERT_EQUAL(tlv.type, wanted[i].type);
		CU_ASSERT(slice_equal(tlv.value, wanted[i].value));
	}
	CU_ASSERT(!proxyproto_tlv_next(&header.tlvs, &tlv));
	CU_ASSERT_EQUAL(header.tlvs.len, 0);
}

static void takes_4096_bytes(void)
{
	static char text[PROXYPROTO_MAX] = SIG "\x21\x11\x0f\xf0" INET4 "\4\x0f\xe1";
	struct proxyproto_header header;
	CU_ASSERT_EQUAL(proxyproto_parse(text, sizeof(text) - 1, &header), PROXYPROTO_MORE);
	CU_ASSERT_EQUAL(proxyproto_parse(text, sizeof(text), &header), PROXYPROTO_OK);
	CU_ASSERT_EQUAL(header.len, sizeof(text));
}

UNIT_MAIN("proxyproto/parse", UNIT(reads_what_is_whole), UNIT(does_not_change_its_mind),
    UNIT(leaves_what_is_behind), UNIT(hears_of_each_tlv), UNIT(takes_4096_bytes))
