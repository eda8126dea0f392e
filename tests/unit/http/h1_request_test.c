/* Requests that are plainly right or plainly wrong. The ambiguous ones are in h1_smuggling_test.c.
 */
#include "tests/unit/http/h1_case.h"

#define HOST "Host: a\r\n"
#define L    "GET / HTTP/1.1\r\n" HOST

static void accepts_targets(void)
{
	static const struct h1_case cases[] = {
	    {BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("GET /x/y?q=1&r={a|b}^`\"<> HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a",
		"/x/y?q=1&r={a|b}^`\"<>"},
	    {BYTES("GET //a//b HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "//a//b"},
	    {BYTES("GET /%00%zz HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/%00%zz"},
	    {BYTES("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "*"},
	    {BYTES("GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/x"},
	    {BYTES("GET HTTP://A:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n"), H1_OK, "A:80", "/x"},
	    {BYTES("GET https://a HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "*"},
	    {BYTES("OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("GET http://a/x HTTP/1.0\r\n\r\n"), H1_OK, "a", "/x", .flags = ""},
	    {BYTES("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a:443", ""},
	    {BYTES("get / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("M-SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("GET / HTTP/1.0\r\n\r\n"), H1_OK, "", "/", .flags = ""},
	    {BYTES("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("GET / HTTP/1.9\r\nHost: a\r\n\r\n"), H1_OK, "a", "/"},
	    {BYTES("GET /123456789012345678901234567890123456789 HTTP/1.1\r\nHost: a\r\n\r\n"),
		H1_OK, "a", "/123456789012345678901234567890123456789"},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void refuses_request_lines(void)
{
	static const struct h1_case cases[] = {
	    {BYTES("GET /\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/1.1\t\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET /a b HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / http/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/11\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/1.10\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/1.\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / ICY/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("GET / HTTP/2.0\r\n" HOST "\r\n"), H1_BAD_VERSION},
	    {BYTES("GET / HTTP/0.9\r\n" HOST "\r\n"), H1_BAD_VERSION},
	    {BYTES("GET / HTTP/3.1\r\n" HOST "\r\n"), H1_BAD_VERSION},
	    {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), H1_BAD_VERSION},
	    {BYTES(" GET / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_METHOD},
	    {BYTES("G@T / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_METHOD},
	    {BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_METHOD},
	    {BYTES("G\0T / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_METHOD},
	    {BYTES("\x16\x03\x01\x02"), H1_BAD_METHOD},
	    {BYTES("\xc3\x84 / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_METHOD},
	    {BYTES("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_REQUEST_LINE},
	    {BYTES("\nGET / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_LINE_END},
	    {BYTES("\rGET / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_LINE_END},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void refuses_targets(void)
{
	static const struct h1_case cases[] = {
	    {BYTES("GET x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET ?x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET * HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("OPTIONS ** HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /#x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /0123456789abcdef#x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /0123456789abcdef\x7f HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /\xc3\x84 HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /0123456789abcdef\x80 HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /0123456789abcdef\0 HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET /\t HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http:/a/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http:// HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http:///x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http://a?x HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http://u:p@a/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http://a:/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("GET http://a\\b/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("CONNECT a HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("CONNECT / HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	    {BYTES("CONNECT http://a:1/ HTTP/1.1\r\n" HOST "\r\n"), H1_BAD_TARGET},
	};
	CASES_RUN(cases, h1_parse_request);
}

#define HOST_IS(text) BYTES("GET / HTTP/1.1\r\nHost:" text "\r\n\r\n")

static void checks_host(void)
{
	static const struct h1_case cases[] = {
	    {HOST_IS("a"), H1_OK, "a"},
	    {HOST_IS(" \t example.com \t"), H1_OK, "example.com"},
	    {HOST_IS(" example.com:8080"), H1_OK, "example.com:8080"},
	    {HOST_IS(" a_b-c~d.e:65535"), H1_OK, "a_b-c~d.e:65535"},
	    {HOST_IS(" 192.0.2.1"), H1_OK, "192.0.2.1"},
	    {HOST_IS(" [2001:db8::1]"), H1_OK, "[2001:db8::1]"},
	    {HOST_IS(" [::ffff:192.0.2.1]:80"), H1_OK, "[::ffff:192.0.2.1]:80"},
	    {BYTES("GET / HTTP/1.0\r\nHost: b\r\n\r\n"), H1_OK, "b", .flags = ""},
	    {HOST_IS(""), H1_BAD_HOST},
	    {HOST_IS(" "), H1_BAD_HOST},
	    {HOST_IS(" a b"), H1_BAD_HOST},
	    {HOST_IS(" a,b"), H1_BAD_HOST},
	    {HOST_IS(" a/b"), H1_BAD_HOST},
	    {HOST_IS(" a@b"), H1_BAD_HOST},
	    {HOST_IS(" a%41"), H1_BAD_HOST},
	    {HOST_IS(" a?b"), H1_BAD_HOST},
	    {HOST_IS(" a#b"), H1_BAD_HOST},
	    {HOST_IS(" a;b"), H1_BAD_HOST},
	    {HOST_IS(" http://a"), H1_BAD_HOST},
	    {HOST_IS(" \xc3\xa4"), H1_BAD_HOST},
	    {HOST_IS(" a:"), H1_BAD_HOST},
	    {HOST_IS(" a:0"), H1_BAD_HOST},
	    {HOST_IS(" a:65536"), H1_BAD_HOST},
	    {HOST_IS(" a:000080"), H1_BAD_HOST},
	    {HOST_IS(" a:8a"), H1_BAD_HOST},
	    {HOST_IS(" a:80:80"), H1_BAD_HOST},
	    {HOST_IS(" a:-1"), H1_BAD_HOST},
	    {HOST_IS(" :80"), H1_BAD_HOST},
	    {HOST_IS(" ::1"), H1_BAD_HOST},
	    {HOST_IS(" [::1"), H1_BAD_HOST},
	    {HOST_IS(" []"), H1_BAD_HOST},
	    {HOST_IS(" [::1]x"), H1_BAD_HOST},
	    {HOST_IS(" [::g]"), H1_BAD_HOST},
	    {HOST_IS(" [fe80::1%25eth0]"), H1_BAD_HOST},
	    {HOST_IS(" [v1.a]"), H1_BAD_HOST},
	    {HOST_IS(" [0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.1\r\n\r\n"), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), H1_BAD_HOST},
	    {BYTES("GET http://a/ HTTP/1.1\r\n\r\n"), H1_BAD_HOST},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void reads_framing_and_persistence(void)
{
	static const struct h1_case cases[] = {
	    {BYTES(L "Content-Length: 5\r\n\r\n"), H1_OK, .framing = H1_BODY_LENGTH, .length = 5},
	    {BYTES(L "Content-Length: 0\r\n\r\n"), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES(L "Content-Length: \t5\t\r\n\r\n"), H1_OK, .framing = H1_BODY_LENGTH,
		.length = 5},
	    {BYTES(L "content-length:9223372036854775807 \r\n\r\n"), H1_OK,
		.framing = H1_BODY_LENGTH, .length = INT64_MAX},
	    {BYTES(L "Transfer-Encoding: chunked\r\n\r\n"), H1_OK, .framing = H1_BODY_CHUNKED},
	    {BYTES(L "transfer-encoding:CHUNKED\t\r\n\r\n"), H1_OK, .framing = H1_BODY_CHUNKED},
	    {BYTES(L "Connection: close\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES(L "Connection: CLOSE\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES(L "Connection: keep-alive, close\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES(L "Connection: foo\r\nConnection: bar , close\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES(L "Connection: , ,foo,\r\n\r\n"), H1_OK},
	    {BYTES(L "Connection:\r\n\r\n"), H1_OK},
	    {BYTES(L "Connection: closed\r\n\r\n"), H1_OK},
	    {BYTES("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), H1_OK},
	    {BYTES("GET / HTTP/1.0\r\nConnection: keep-alive,close\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES("GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n"), H1_OK, .flags = ""},
	    {BYTES(L "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"), H1_OK, .flags = "ku"},
	    {BYTES(L "Connection: Upgrade\r\n\r\n"), H1_OK},
	    {BYTES(L "Upgrade: websocket\r\n\r\n"), H1_OK},
	    {BYTES(L "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"), H1_OK,
		.framing = H1_BODY_LENGTH, .length = 1, .flags = "ke"},
	    {BYTES(L "Expect: 100-continue\r\n\r\n"), H1_OK},
	    {BYTES("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"), H1_OK,
		.framing = H1_BODY_LENGTH, .length = 1, .flags = ""},
	    {BYTES(L "Expect: 200-ok\r\n\r\n"), H1_BAD_EXPECT},
	    {BYTES(L "Expect:\r\n\r\n"), H1_BAD_EXPECT},
	    {BYTES(L "Expect: 100-continue, x\r\n\r\n"), H1_BAD_EXPECT},
	    {BYTES(L "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"), H1_BAD_EXPECT},
	    {BYTES(L "Connection: close;x\r\n\r\n"), H1_BAD_FIELD_VALUE},
	    {BYTES(L "Connection: a b\r\n\r\n"), H1_BAD_FIELD_VALUE},
	    {BYTES(L "Connection: \"close\"\r\n\r\n"), H1_BAD_FIELD_VALUE},
	    {BYTES(L "Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n\r\n"), H1_BAD_FIELD_VALUE},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void names_methods(void)
{
	static const char *const names[] = {
	    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"};
	static struct h1_head head;
	char text[64];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (int c = 0; names[i][c]; c++) {
			/* Another letter makes another method. */
			int n = snprintf(text, sizeof(text), "%s / HTTP/1.0\r\n\r\n", names[i]);
			text[c] = '_';
			CU_ASSERT(h1_parse_request(text, (size_t)n, &head) != H1_OK ||
				  head.method == H1_OTHER);
		}
		int n = snprintf(text, sizeof(text), "%s %s HTTP/1.0\r\n\r\n", names[i],
		    i == H1_CONNECT ? "a:1" : "/");
		CU_ASSERT_EQUAL(h1_parse_request(text, (size_t)n, &head), H1_OK);
		CU_ASSERT_EQUAL(head.method, (enum h1_method)i);
		CU_ASSERT(case_text_is(head.method_text, names[i]));
	}
	CU_ASSERT(h1_idempotent(H1_GET) && h1_idempotent(H1_HEAD) && h1_idempotent(H1_PUT) &&
		  h1_idempotent(H1_DELETE) && h1_idempotent(H1_OPTIONS) && h1_idempotent(H1_TRACE));
	CU_ASSERT(!h1_idempotent(H1_POST) && !h1_idempotent(H1_PATCH) &&
		  !h1_idempotent(H1_CONNECT) && !h1_idempotent(H1_OTHER));
}

/* RFC 9110 section 5.6.2, spelled out a second time. */
static void knows_every_byte(void)
{
	static struct h1_head head;
	for (int c = 0; c < 256; c++) {
		char method[] = "X / HTTP/1.0\r\n\r\n", target[] = "G /? HTTP/1.0\r\n\r\n";
		char name[] = "G / HTTP/1.0\r\n?:\r\n\r\n", value[] = "G / HTTP/1.0\r\na:?\r\n\r\n";
		char far[] = "G / HTTP/1.0\r\na:0123456789abcdef0123456789abcdef\r\n\r\n";
		bool token = c > 32 && c < 127 && !strchr("\"(),/:;<=>?@[\\]{}", c);
		bool text = c >= 128 || c == '\t' || (c >= 32 && c < 127);
		method[0] = (char)c;
		target[3] = (char)c;
		name[14] = (char)c;
		value[16] = (char)c;
		far[16 + c % 32] = (char)c;
		CU_ASSERT_EQUAL(h1_parse_request(BYTES(method), &head) == H1_OK, token);
		CU_ASSERT_EQUAL(
		    h1_parse_request(BYTES(target), &head) == H1_OK, c > 32 && c < 127 && c != '#');
		CU_ASSERT_EQUAL(h1_parse_request(BYTES(name), &head) == H1_OK, token);
		CU_ASSERT_EQUAL(h1_parse_request(BYTES(value), &head) == H1_OK, text);
		CU_ASSERT_EQUAL(h1_parse_request(BYTES(far), &head) == H1_OK, text);
	}
}

UNIT_MAIN("http/h1_request", UNIT(accepts_targets), UNIT(refuses_request_lines),
    UNIT(refuses_targets), UNIT(checks_host), UNIT(reads_framing_and_persistence),
    UNIT(names_methods), UNIT(knows_every_byte))
