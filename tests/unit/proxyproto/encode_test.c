/* Headers that we write: exact bytes, and what the parser makes of them. */
#include <string.h>

#include "daemon/proxyproto/proxyproto.h"
#include "tests/unit/unit.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static struct addr endpoint(const char *text)
{
	struct addr addr = {0};
	CU_ASSERT_FATAL(addr_parse_endpoint(text, &addr));
	return addr;
}

static void expect_line(const char *source, const char *destination, const char *line)
{
	struct addr from = endpoint(source), to = endpoint(destination);
	char out[PROXYPROTO_LINE_MAX];
	size_t len = proxyproto_write_line(&from, &to, out);
	CU_ASSERT_EQUAL_FATAL(len, strlen(line));
	CU_ASSERT_EQUAL(memcmp(out, line, len), 0);
}

static void writes_lines(void)
{
	expect_line("192.0.2.1:4321", "192.0.2.2:80", "PROXY TCP4 192.0.2.1 192.0.2.2 4321 80\r\n");
	expect_line("[2001:db8::1]:4321", "[2001:db8::2]:443",
	    "PROXY TCP6 2001:db8::1 2001:db8::2 4321 443\r\n");
	expect_line("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	    "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n");
	expect_line("192.0.2.1:1", "[::1]:2", "PROXY UNKNOWN\r\n");
	char out[PROXYPROTO_LINE_MAX];
	CU_ASSERT_EQUAL(proxyproto_write_line(NULL, NULL, out), 15);
	CU_ASSERT_EQUAL(memcmp(out, "PROXY UNKNOWN\r\n", 15), 0);
}

static void expect_bytes(const struct proxyproto_writer *writer, struct slice bytes)
{
	CU_ASSERT(slice_equal((struct slice){writer->data, writer->len}, bytes));
}

static void writes_binary(void)
{
	static struct proxyproto_writer writer;
	struct addr from = endpoint("192.0.2.1:4321"), to = endpoint("192.0.2.2:80");
	struct addr from6 = endpoint("[2001:db8::1]:4321"), to6 = endpoint("[2001:db8::2]:443");
	proxyproto_begin(&writer, NULL, NULL);
	proxyproto_end(&writer, false);
	expect_bytes(&writer, SLICE(SIG "\x20\0\0\0"));
	proxyproto_begin(&writer, &from, &to);
	proxyproto_end(&writer, false);
	expect_bytes(&writer, SLICE(SIG "\x21\x11\0\x0c\300\0\2\1\300\0\2\2\020\341\0P"));
	proxyproto_begin(&writer, &from6, &to6);
	CU_ASSERT(proxyproto_add(&writer, PROXYPROTO_ALPN, SLICE("h2")));
	proxyproto_end(&writer, false);
	expect_bytes(
	    &writer, SLICE(SIG "\x21\x21\0\x29\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
			       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\020\341\1\273\1\0\2h2"));
	proxyproto_begin(&writer, &from, &to6);
	proxyproto_end(&writer, false);
	expect_bytes(&writer, SLICE(SIG "\x21\0\0\0"));
}

static void is_read_again(void)
{
	static struct proxyproto_writer writer;
	struct addr from = endpoint("[2001:db8::1]:4321"), to = endpoint("[2001:db8::2]:443");
	struct proxyproto_header header;
	for (int checksum = 0; checksum <= 1; checksum++) {
		proxyproto_begin(&writer, &from, &to);
		CU_ASSERT(proxyproto_add(&writer, PROXYPROTO_UNIQUE_ID, SLICE("id")));
		proxyproto_end(&writer, checksum);
		CU_ASSERT_EQUAL_FATAL(
		    proxyproto_parse(writer.data, writer.len, &header), PROXYPROTO_OK);
		CU_ASSERT_EQUAL(header.len, writer.len);
		CU_ASSERT(addr_equal(&header.source, &from));
		CU_ASSERT(addr_equal(&header.destination, &to));
		CU_ASSERT_EQUAL(header.tlvs.len, checksum ? 5 + 7 : 5);
	}
	/* Each bit of it is under the checksum, but for those that say that there is one. */
	size_t type = writer.len - 7;
	for (size_t bit = 0; bit < writer.len * 8; bit++) {
		if (bit / 8 == type)
			continue;
		writer.data[bit / 8] ^= (char)(1 << bit % 8);
		enum proxyproto_result result = proxyproto_parse(writer.data, writer.len, &header);
		/* (But of what is LOCAL or no IP nothing is read.) */
		CU_ASSERT(result != PROXYPROTO_OK || !header.has_addresses);
		writer.data[bit / 8] ^= (char)(1 << bit % 8);
	}
}

/* RFC 3720 appendix B.4 has the sum of 32 zeros; ours is of a header, so of one that is known. */
static void knows_the_checksum(void)
{
	static struct proxyproto_writer writer;
	struct addr from = endpoint("192.0.2.1:4321"), to = endpoint("192.0.2.2:80");
	proxyproto_begin(&writer, &from, &to);
	proxyproto_end(&writer, true);
	expect_bytes(&writer,
	    SLICE(SIG "\x21\x11\0\x13\300\0\2\1\300\0\2\2\020\341\0P\3\0\4\x47\xf6\x72\xe3"));
}

static void leaves_out_what_does_not_fit(void)
{
	static struct proxyproto_writer writer;
	static char much[PROXYPROTO_MAX];
	struct addr from = endpoint("192.0.2.1:4321"), to = endpoint("192.0.2.2:80");
	struct proxyproto_header header;
	proxyproto_begin(&writer, &from, &to);
	size_t room = PROXYPROTO_MAX - writer.len - 3;
	CU_ASSERT(!proxyproto_add(&writer, 0xe0, (struct slice){much, room + 1}));
	CU_ASSERT(proxyproto_add(&writer, 0xe0, (struct slice){much, room}));
	CU_ASSERT(!proxyproto_add(&writer, 0xe0, (struct slice){much, 0}));
	proxyproto_end(&writer, true);
	CU_ASSERT_EQUAL(writer.len, PROXYPROTO_MAX);
	CU_ASSERT_EQUAL(proxyproto_parse(writer.data, writer.len, &header), PROXYPROTO_OK);
	CU_ASSERT_EQUAL(header.tlvs.len, room + 3);
}

UNIT_MAIN("proxyproto/encode", UNIT(writes_lines), UNIT(writes_binary), UNIT(is_read_again),
    UNIT(knows_the_checksum), UNIT(leaves_out_what_does_not_fit))
