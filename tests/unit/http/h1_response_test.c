#include "tests/unit/http/h1_case.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define E  "\r\n\r\n"

static enum h1_result parse_to_get(const char *buf, size_t len, struct h1_head *out)
{
	return h1_parse_response(buf, len, H1_GET, out);
}

static enum h1_result parse_to_head(const char *buf, size_t len, struct h1_head *out)
{
	return h1_parse_response(buf, len, H1_HEAD, out);
}

static enum h1_result parse_to_connect(const char *buf, size_t len, struct h1_head *out)
{
	return h1_parse_response(buf, len, H1_CONNECT, out);
}

static void reads_status_lines(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		enum h1_result want;
		unsigned status, minor;
		const char *reason;
	} cases[] = {
	    {BYTES("HTTP/1.1 200 OK" E), H1_OK, 200, 1, "OK"},
	    {BYTES("HTTP/1.0 404 Not Found" E), H1_OK, 404, 0, "Not Found"},
	    {BYTES("HTTP/1.1 200 " E), H1_OK, 200, 1, ""},
	    {BYTES("HTTP/1.1 200" E), H1_OK, 200, 1, ""},
	    {BYTES("HTTP/1.1 599 \xe2\x82\xac\t!" E), H1_OK, 599, 1, "\xe2\x82\xac\t!"},
	    {BYTES("HTTP/1.7 100 C" E), H1_OK, 100, 1, "C"},
	    {BYTES("HTTP/1.1 099 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 600 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 000 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 20 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 2000 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 2x0 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 +20 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1  200 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1\t200 X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 200\tX" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 200-X" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 200 X\x01" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1 200 X\0" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/1.1" E), H1_BAD_STATUS_LINE},
	    {BYTES("\r\nHTTP/1.1 200 OK" E), H1_BAD_STATUS_LINE},
	    {BYTES("http/1.1 200 OK" E), H1_BAD_STATUS_LINE},
	    {BYTES("ICY 200 OK" E), H1_BAD_STATUS_LINE},
	    {BYTES("HTTP/2.0 200 OK" E), H1_BAD_VERSION},
	    {BYTES("HTTP/1.1 200 OK\n\n"), H1_BAD_LINE_END},
	    {BYTES("HTTP/1.1 200 X\rY" E), H1_BAD_LINE_END},
	};
	static struct h1_head head;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t n = 0; n < cases[i].len; n++) {
			enum h1_result got = parse_to_get(cases[i].bytes, n, &head);
			CU_ASSERT(got == H1_MORE || (got == cases[i].want && got != H1_OK));
		}
		CU_ASSERT_EQUAL(parse_to_get(cases[i].bytes, cases[i].len, &head), cases[i].want);
		if (cases[i].want != H1_OK)
			continue;
		CU_ASSERT_EQUAL(head.status, cases[i].status);
		CU_ASSERT_EQUAL(head.minor, cases[i].minor);
		CU_ASSERT(case_text_is(head.reason, cases[i].reason));
	}
}

static void frames_bodies(void)
{
	static const struct h1_case cases[] = {
	    {BYTES(OK "Content-Length: 5" E), H1_OK, .framing = H1_BODY_LENGTH, .length = 5},
	    {BYTES(OK "Content-Length: 0" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES(OK "Transfer-Encoding: Chunked" E), H1_OK, .framing = H1_BODY_CHUNKED},
	    {BYTES(OK "\r\n"), H1_OK, .framing = H1_BODY_UNTIL_CLOSE, .flags = ""},
	    {BYTES(OK "Connection: keep-alive" E), H1_OK, .framing = H1_BODY_UNTIL_CLOSE,
		.flags = ""},
	    {BYTES("HTTP/1.0 200 OK" E), H1_OK, .framing = H1_BODY_UNTIL_CLOSE, .flags = ""},
	    {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 3" E), H1_OK, .framing = H1_BODY_LENGTH,
		.length = 3, .flags = ""},
	    {BYTES("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3" E), H1_OK,
		.framing = H1_BODY_LENGTH, .length = 3},
	    {BYTES(OK "Connection: close\r\nContent-Length: 3" E), H1_OK, .framing = H1_BODY_LENGTH,
		.length = 3, .flags = ""},
	    {BYTES("HTTP/1.1 100 Continue" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 103 Early Hints\r\nLink: x" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x" E), H1_OK,
		.framing = H1_BODY_NONE, .flags = "ku"},
	    {BYTES("HTTP/1.1 204 No Content" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 204 No Content\r\nContent-Length: 0" E), H1_OK,
		.framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 304 Not Modified" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 304 Not Modified\r\nContent-Length: 5" E), H1_OK,
		.framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked" E), H1_OK,
		.framing = H1_BODY_NONE},
	    {BYTES("HTTP/1.1 205 Reset\r\nContent-Length: 0" E), H1_OK, .framing = H1_BODY_NONE},
	};
	CASES_RUN(cases, parse_to_get);
	static const struct h1_case head_cases[] = {
	    {BYTES(OK "Content-Length: 5" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES(OK "Transfer-Encoding: chunked" E), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES(OK "\r\n"), H1_OK, .framing = H1_BODY_NONE},
	    {BYTES(OK "Content-Length: x" E), H1_BAD_LENGTH},
	};
	CASES_RUN(head_cases, parse_to_head);
	static const struct h1_case connect_cases[] = {
	    {BYTES(OK "Content-Length: 5" E), H1_OK, .framing = H1_BODY_UNTIL_CLOSE, .flags = ""},
	    {BYTES("HTTP/1.1 405 No\r\nContent-Length: 5" E), H1_OK, .framing = H1_BODY_LENGTH,
		.length = 5},
	};
	CASES_RUN(connect_cases, parse_to_connect);
}

/* A response can be split in two as well as a request. */
static void refuses_ambiguous_framing(void)
{
	static const struct h1_case cases[] = {
	    {BYTES(OK "Content-Length: 5\r\nTransfer-Encoding: chunked" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(OK "Content-Length: 5\r\nContent-Length: 5" E), H1_BAD_LENGTH},
	    {BYTES(OK "Content-Length: 5, 5" E), H1_BAD_LENGTH},
	    {BYTES(OK "Content-Length: +5" E), H1_BAD_LENGTH},
	    {BYTES(OK "Content-Length: 05" E), H1_BAD_LENGTH},
	    {BYTES(OK "Content-Length:" E), H1_BAD_LENGTH},
	    {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked" E), H1_BAD_TRANSFER_ENCODING},
	    {BYTES(OK "Transfer-Encoding: chunked, chunked" E), H1_BAD_TRANSFER_ENCODING},
	    {BYTES(OK "Transfer-Encoding: gzip, chunked" E), H1_UNSUPPORTED_ENCODING},
	    {BYTES(OK "Transfer-Encoding: identity" E), H1_UNSUPPORTED_ENCODING},
	    {BYTES("HTTP/1.1 204 X\r\nContent-Length: 5" E), H1_BAD_LENGTH},
	    {BYTES("HTTP/1.1 204 X\r\nTransfer-Encoding: chunked" E), H1_BAD_TRANSFER_ENCODING},
	    {BYTES("HTTP/1.1 100 X\r\nContent-Length: 5" E), H1_BAD_LENGTH},
	    {BYTES("HTTP/1.1 103 X\r\nTransfer-Encoding: chunked" E), H1_BAD_TRANSFER_ENCODING},
	    {BYTES(OK "Content-Length : 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(OK "X: y\r\n z" E), H1_OBS_FOLD},
	    {BYTES(OK "X: y\nContent-Length: 5" E), H1_BAD_LINE_END},
	    {BYTES(OK "X: y\rContent-Length: 5" E), H1_BAD_LINE_END},
	    {BYTES(OK "X: \0" E), H1_BAD_FIELD_VALUE},
	    {BYTES(OK "Connection: \"x\"" E), H1_BAD_FIELD_VALUE},
	};
	CASES_RUN(cases, parse_to_get);
}

UNIT_MAIN("http/h1_response", UNIT(reads_status_lines), UNIT(frames_bodies),
    UNIT(refuses_ambiguous_framing))
