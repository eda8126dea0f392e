/* ClientHellos: captured ones, and made ones with one thing wrong. Each is read whole, and then cut
 * at every byte. */
#include "daemon/sni/hello.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct hello hello;

/* ---- making one ---- */

struct text {
	char bytes[70000];
	size_t len;
};

static void put(struct text *text, const void *bytes, size_t len)
{
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
}

static void put_number(struct text *text, unsigned bytes, size_t number)
{
	for (unsigned i = bytes; i-- > 0;)
		text->bytes[text->len++] = (char)(number >> 8 * i);
}

static void put_vector(struct text *text, unsigned bytes, const void *data, size_t len)
{
	put_number(text, bytes, len);
	put(text, data, len);
}

static void put_extension(struct text *text, unsigned type, struct slice body)
{
	put_number(text, 2, type);
	put_vector(text, 2, body.p, body.len);
}

/* Wraps what is in a list of one host_name, as the extension has it. */
static void put_name(struct text *text, struct slice name)
{
	put_number(text, 2, 0);
	put_number(text, 2, name.len + 5);
	put_number(text, 2, name.len + 3);
	put_number(text, 1, 0);
	put_vector(text, 2, name.p, name.len);
}

/* The message without its header. */
static void put_body(struct text *text, struct slice extensions)
{
	static const char zeros[32];
	put_number(text, 2, 0x0303);
	put(text, zeros, 32);
	put_vector(text, 1, zeros, 32);
	put_vector(text, 2, "\x13\x01\x13\x02", 4);
	put_vector(text, 1, zeros, 1);
	if (extensions.p)
		put_vector(text, 2, extensions.p, extensions.len);
}

/* The message in records of at most `fragment` bytes. */
static void put_records(struct text *text, struct slice body, size_t fragment)
{
	static struct text message;
	message.len = 0;
	put_number(&message, 1, 1);
	put_vector(&message, 3, body.p, body.len);
	for (size_t at = 0; at < message.len; at += fragment) {
		size_t n = message.len - at < fragment ? message.len - at : fragment;
		put_number(text, 3, 0x160301);
		put_vector(text, 2, message.bytes + at, n);
	}
}

static void make_with(struct text *out, struct slice extensions, size_t fragment)
{
	static struct text body;
	body.len = out->len = 0;
	put_body(&body, extensions);
	put_records(out, (struct slice){body.bytes, body.len}, fragment);
}

static void make_named(struct text *out, struct slice name, size_t fragment)
{
	static struct text extensions;
	extensions.len = 0;
	put_name(&extensions, name);
	make_with(out, (struct slice){extensions.bytes, extensions.len}, fragment);
}

/* ---- reading ---- */

static enum hello_result read_whole(const char *bytes, size_t len)
{
	struct hello_scan scan = {0};
	return hello_read(&scan, bytes, len, &hello);
}

/* The verdict, which must be the same whole and byte by byte, where nothing but MORE precedes it.
 * `hello` is that of the last read. */
static enum hello_result read_cut(const char *bytes, size_t len)
{
	enum hello_result whole = read_whole(bytes, len);
	struct hello_scan scan = {0};
	bool decided = false, same = true;
	for (size_t n = 0; n <= len && !decided; n++) {
		/* A copy of its own size: a sanitizer sees who reads behind it. */
		char *copy = malloc(n + 1);
		memcpy(copy, bytes, n);
		enum hello_result part = hello_read(&scan, copy, n, &hello);
		enum hello_result anew = read_whole(copy, n);
		free(copy);
		decided = part != HELLO_MORE;
		same &= part == anew && (!decided || part == whole);
	}
	CU_ASSERT(same);
	CU_ASSERT_EQUAL(decided, whole != HELLO_MORE);
	return read_whole(bytes, len);
}

static bool is_text(struct slice slice, const char *text)
{
	return slice_equal(slice, (struct slice){text, strlen(text)});
}

static enum hello_result read_name(const char *name, size_t len)
{
	static struct text text;
	make_named(&text, (struct slice){name, len}, SIZE_MAX / 2);
	return read_cut(text.bytes, text.len);
}

/* ---- captured ---- */

static void read_file(const char *name, struct text *out)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", CAPTURED, name);
	FILE *file = fopen(path, "rb");
	out->len = file ? fread(out->bytes, 1, sizeof(out->bytes), file) : 0;
	if (file)
		fclose(file);
}

static void reads_what_clients_send(void)
{
	static const struct {
		const char *file, *name, *offers, *offers_not;
	} rows[] = {
	    {"openssl_tls13", "Www.Example.com", "h2", "h3"},
	    {"openssl_tls12", "a.example.com", NULL, "h2"},
	    {"openssl_no_name", "", NULL, "h2"},
	    {"openssl_trailing_dot", "dot.example.com", NULL, "h2"},
	    {"openssl_fragments", "fragments.example.com", "h2", "h"},
	    {"curl_h2", "curl.example.com", "http/1.1", "http/1.0"},
	    {"curl_http11", "curl.example.com", NULL, "http/1.1"},
	    {"python", "py.example.com", "http/1.1", "h2"},
	    {"wget", "localhost", NULL, "http/1.1"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct text text;
		read_file(rows[i].file, &text);
		CU_ASSERT(text.len > 0);
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_OK);
		CU_ASSERT(is_text(hello.name, rows[i].name));
		struct slice not = {rows[i].offers_not, strlen(rows[i].offers_not)};
		CU_ASSERT(!hello_offers(&hello, not ));
		if (!rows[i].offers)
			continue;
		struct slice offers = {rows[i].offers, strlen(rows[i].offers)};
		CU_ASSERT(hello_offers(&hello, offers));
	}
}

/* ---- records ---- */

static void reads_any_fragments(void)
{
	static struct text text;
	for (size_t fragment = 1; fragment < 150; fragment++) {
		make_named(&text, SLICE("fragment.example"), fragment);
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_OK);
		CU_ASSERT(is_text(hello.name, "fragment.example"));
		/* What follows is not looked at. */
		size_t len = text.len;
		put(&text, "\x15garbage", 8);
		CU_ASSERT_EQUAL(read_whole(text.bytes, text.len), HELLO_OK);
		CU_ASSERT_EQUAL(read_whole(text.bytes, len - 1), HELLO_MORE);
	}
}

/* The message ends before its last record does, of which the rest has not come. */
static void stops_where_the_message_ends(void)
{
	static struct text text;
	for (size_t fragment = 20; fragment <= 40; fragment += 10) {
		make_named(&text, SLICE("a.example"), fragment);
		size_t last = text.len - (text.len - 1) % (fragment + 5) - 1;
		text.bytes[last + 3] = 0x3f;
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_OK);
		CU_ASSERT(is_text(hello.name, "a.example"));
	}
}

static void tells_what_is_no_tls(void)
{
	static const struct {
		struct slice bytes;
		enum hello_result result;
	} rows[] = {
	    {SLICE(""), HELLO_MORE},
	    {SLICE("\x16"), HELLO_MORE},
	    {SLICE("GET / HTTP/1.1\r\n"), HELLO_NOT_TLS},
	    {SLICE("SSH-2.0-x\r\n"), HELLO_NOT_TLS},
	    {SLICE("\n"), HELLO_NOT_TLS},
	    {SLICE("\0"), HELLO_NOT_TLS},
	    {SLICE("\xff\xff\xff"), HELLO_NOT_TLS},
	    {SLICE("\x16\x02"), HELLO_NOT_TLS},
	    {SLICE("\x16\xfe\xff"), HELLO_NOT_TLS},                 /* DTLS */
	    {SLICE("\x17\x03\x03\x00\x01x"), HELLO_NOT_TLS},        /* application data */
	    {SLICE("\x15\x03\x01\x00\x02\x02\x28"), HELLO_NOT_TLS}, /* alert */
	    {SLICE("\x80\x2e\x01\x03\x01"), HELLO_SSLV2},
	    {SLICE("\x80\x2e\x01\x00\x02"), HELLO_SSLV2},
	    {SLICE("\x80\x2e\x01"), HELLO_MORE},
	    {SLICE("\x80\x2e\x01\x09\x09"), HELLO_NOT_TLS},
	    {SLICE("\x80\x2e\x02"), HELLO_NOT_TLS},
	    {SLICE("\x16\x03\x01\x00\x00"), HELLO_BAD_RECORD},    /* empty */
	    {SLICE("\x16\x03\x01\x40\x01"), HELLO_BAD_RECORD},    /* longer than a record is */
	    {SLICE("\x16\x03\x01\x00\x05\x02"), HELLO_NOT_HELLO}, /* server_hello */
	    {SLICE("\x16\x03\x01\x00\x04\x01\x00\x40\x01"), HELLO_TOO_LARGE},
	    {SLICE("\x16\x03\x01\x00\x02\x01\x00\x15"), HELLO_BAD_RECORD}, /* alert between */
	    {SLICE("\x16\x03\x01\x00\x02\x01\x00\x16\x02"), HELLO_BAD_RECORD},
	    {SLICE("\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x00"), HELLO_BAD_RECORD},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum hello_result result = read_cut(rows[i].bytes.p, rows[i].bytes.len);
		if (result != rows[i].result)
			printf("\n  row %zu: %s", i, hello_result_name(result));
		CU_ASSERT_EQUAL(result, rows[i].result);
	}
}

/* A message of exactly so many bytes of records passes, one more does not. */
static void limits_the_size(void)
{
	static struct text text, padding;
	static const char zeros[HELLO_MAX];
	/* record, message and body without padding: 5 + 4 + 77, the extension's header 4 */
	size_t room = HELLO_MAX - 5 - 4 - 77 - 4;
	for (size_t over = 0; over < 2; over++) {
		padding.len = 0;
		put_extension(&padding, 21, (struct slice){zeros, room + over});
		make_with(&text, (struct slice){padding.bytes, padding.len}, SIZE_MAX / 2);
		CU_ASSERT_EQUAL(text.len, HELLO_MAX + over);
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), over ? HELLO_TOO_LARGE : HELLO_OK);
		/* In small records it needs more room than there is. */
		make_with(&text, (struct slice){padding.bytes, padding.len}, 1000);
		CU_ASSERT_EQUAL(read_whole(text.bytes, text.len), HELLO_TOO_LARGE);
	}
}

/* ---- the message ---- */

/* Every truncation of a good message whose lengths of record and message say that it is all. */
static void refuses_what_is_cut_short(void)
{
	static struct text body, text, extensions;
	body.len = extensions.len = 0;
	put_extension(&extensions, 16, SLICE("\x00\x03\x02h2"));
	put_name(&extensions, SLICE("example.com"));
	put_body(&body, (struct slice){extensions.bytes, extensions.len});
	size_t without_extensions = body.len - extensions.len - 2;
	for (size_t len = 0; len <= body.len; len++) {
		text.len = 0;
		put_records(&text, (struct slice){body.bytes, len}, SIZE_MAX / 2);
		enum hello_result expected =
		    len == body.len || len == without_extensions ? HELLO_OK : HELLO_BAD_HELLO;
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), expected);
	}
	text.len = 0;
	put(&body, "", 1);
	put_records(&text, (struct slice){body.bytes, body.len}, SIZE_MAX / 2);
	CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_BAD_HELLO);
}

/* One byte of a good message changed: at (from the body's start), to. */
static void refuses_bad_fields(void)
{
	static const struct {
		size_t at;
		char to;
	} rows[] = {
	    {0, 2},   /* legacy_version */
	    {34, 33}, /* a session_id that is too long */
	    {68, 0},  /* no cipher suites */
	    {68, 3},  /* an odd number of bytes */
	    {73, 0},  /* no compression method */
	    {75, 1},  /* extensions beyond the end */
	    {76, 0},  /* something behind them */
	};
	static struct text body, text, extensions;
	extensions.len = 0;
	put_name(&extensions, SLICE("example.com"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		body.len = text.len = 0;
		put_body(&body, (struct slice){extensions.bytes, extensions.len});
		body.bytes[rows[i].at] = rows[i].to;
		put_records(&text, (struct slice){body.bytes, body.len}, SIZE_MAX / 2);
		CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_BAD_HELLO);
	}
}

static void judges_extensions(void)
{
	static const struct {
		struct slice extensions;
		enum hello_result result;
	} rows[] = {
	    {SLICE(""), HELLO_OK},
	    {SLICE("\xff\x01\x00\x01\x00"), HELLO_OK}, /* unknown ones are passed over */
	    {SLICE("\xff\x01\x00\x02\x00"), HELLO_BAD_HELLO},
	    {SLICE("\xff\x01\x00"), HELLO_BAD_HELLO},
	    /* server_name */
	    {SLICE("\0\0\0\x06\0\x04\0\0\x01"
		   "a"),
		HELLO_OK},
	    {SLICE("\0\0\0\0"), HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x02\0\0"), HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x05\0\x03\0\0\0"), HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x06\0\x04\x01\0\x01"
		   "a"),
		HELLO_BAD_NAME}, /* another type */
	    {SLICE("\0\0\0\x06\0\x04\0\0\x02"
		   "a"),
		HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x06\0\x05\0\0\x01"
		   "a"),
		HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x07\0\x04\0\0\x01"
		   "ab"),
		HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x07\0\x05\0\0\x01"
		   "ab"),
		HELLO_BAD_NAME},
	    {SLICE("\0\0\0\x0a\0\x08\0\0\x01"
		   "a\0\0\x01"
		   "b"),
		HELLO_BAD_NAME}, /* two names */
	    {SLICE("\0\0\0\x06\0\x04\0\0\x01"
		   "a\0\0\0\x06\0\x04\0\0\x01"
		   "b"),
		HELLO_BAD_NAME},
	    /* ALPN */
	    {SLICE("\0\x10\0\x05\0\x03\x02h2"), HELLO_OK},
	    {SLICE("\0\x10\0\0"), HELLO_BAD_ALPN},
	    {SLICE("\0\x10\0\x02\0\0"), HELLO_BAD_ALPN},
	    {SLICE("\0\x10\0\x04\0\x02\0\0"), HELLO_BAD_ALPN}, /* an empty protocol */
	    {SLICE("\0\x10\0\x05\0\x03\x03h2"), HELLO_BAD_ALPN},
	    {SLICE("\0\x10\0\x05\0\x04\x02h2"), HELLO_BAD_ALPN},
	    {SLICE("\0\x10\0\x06\0\x03\x02h2x"), HELLO_BAD_ALPN},
	    {SLICE("\0\x10\0\x05\0\x03\x02h2\0\x10\0\x05\0\x03\x02h2"), HELLO_BAD_ALPN},
	};
	static struct text text;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_with(&text, rows[i].extensions, SIZE_MAX / 2);
		enum hello_result result = read_cut(text.bytes, text.len);
		if (result != rows[i].result)
			printf("\n  row %zu: %s", i, hello_result_name(result));
		CU_ASSERT_EQUAL(result, rows[i].result);
	}
}

static void offers_whole_protocols(void)
{
	static struct text text;
	make_with(&text, SLICE("\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1"), SIZE_MAX / 2);
	CU_ASSERT_EQUAL(read_cut(text.bytes, text.len), HELLO_OK);
	CU_ASSERT(hello_offers(&hello, SLICE("h2")));
	CU_ASSERT(hello_offers(&hello, SLICE("http/1.1")));
	CU_ASSERT(!hello_offers(&hello, SLICE("http/1")));
	CU_ASSERT(!hello_offers(&hello, SLICE("H2"))); /* they are bytes */
	CU_ASSERT(!hello_offers(&hello, SLICE("")));
	CU_ASSERT_EQUAL(hello.name.len, 0);
}

static void judges_names(void)
{
	static const struct slice good[] = {SLICE("a"), SLICE("EXAMPLE.com"), SLICE("_dmarc.x-y.z"),
	    SLICE("xn--bcher-kva.example"), SLICE("192.0.2.1"), SLICE("example.com.")};
	static const struct slice bad[] = {SLICE("."), SLICE(".a"), SLICE("a..b"), SLICE("a.."),
	    SLICE("a b"), SLICE("a\0b"), SLICE("a/b"), SLICE("*.example.com"), SLICE("2001:db8::1"),
	    SLICE("a:443"),
	    SLICE("b\xc3\xbc"
		  "cher.example"),
	    SLICE("a\r\n")};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_EQUAL(read_name(good[i].p, good[i].len), HELLO_OK);
	CU_ASSERT(is_text(hello.name, "example.com"));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(read_name(bad[i].p, bad[i].len), HELLO_BAD_NAME);
}

static void limits_names(void)
{
	char name[300];
	memset(name, 'a', sizeof(name));
	CU_ASSERT_EQUAL(read_name(name, 63), HELLO_OK);
	CU_ASSERT_EQUAL(read_name(name, 64), HELLO_BAD_NAME);
	for (size_t i = 50; i < sizeof(name); i += 51)
		name[i] = '.';
	CU_ASSERT_EQUAL(read_name(name, 253), HELLO_OK);
	CU_ASSERT_EQUAL(read_name(name, 254), HELLO_BAD_NAME);
	name[253] = '.'; /* a final dot does not count */
	CU_ASSERT_EQUAL(read_name(name, 254), HELLO_OK);
}

UNIT_MAIN("sni/hello", UNIT(reads_what_clients_send), UNIT(reads_any_fragments),
    UNIT(stops_where_the_message_ends), UNIT(tells_what_is_no_tls), UNIT(limits_the_size),
    UNIT(refuses_what_is_cut_short), UNIT(refuses_bad_fields), UNIT(judges_extensions),
    UNIT(offers_whole_protocols), UNIT(judges_names), UNIT(limits_names))
