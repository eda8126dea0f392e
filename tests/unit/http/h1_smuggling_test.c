/* Shapes by which one request hides in another: what a second parser might read as the end of the
 * head, as the length of the body, or as another field. Each must be refused, whole. */
#include "tests/unit/http/h1_case.h"

#define P "POST / HTTP/1.1\r\nHost: a\r\n"
#define E "\r\n\r\n"

static void two_framings(void)
{
	static const struct h1_case cases[] = {
	    {BYTES(P "Content-Length: 5\r\nTransfer-Encoding: chunked" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(P "Transfer-Encoding: chunked\r\nContent-Length: 5" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(P "Transfer-Encoding: gzip\r\nContent-Length: 5" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(P "Transfer-Encoding:\r\nContent-Length: 5" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(P "transfer-encoding: chunked\r\ncontent-length: 0" E), H1_LENGTH_AND_ENCODING},
	    {BYTES(P "TRANSFER-ENCODING: chunked\r\nCONTENT-LENGTH: x" E), H1_LENGTH_AND_ENCODING},
	    {BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5" E),
		H1_BAD_TRANSFER_ENCODING},
	    {BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked" E), H1_BAD_TRANSFER_ENCODING},
	    {BYTES("POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked" E),
		H1_BAD_TRANSFER_ENCODING},
	};
	CASES_RUN(cases, h1_parse_request);
}

#define CL(text) BYTES(P "Content-Length:" text E), H1_BAD_LENGTH

static void lengths(void)
{
	static const struct h1_case cases[] = {
	    {CL("")},
	    {CL(" +5")},
	    {CL(" -5")},
	    {CL(" 5,5")},
	    {CL(" 5, 6")},
	    {CL(" 5 5")},
	    {CL(" 0x5")},
	    {CL(" 05")},
	    {CL(" 00")},
	    {CL(" 5.0")},
	    {CL(" 5e1")},
	    {CL(" 5a")},
	    {CL(" \"5\"")},
	    {CL(" 5;x")},
	    {CL(" 5 ,")},
	    {CL(" ,5")},
	    {CL(" 9223372036854775808")},
	    {CL(" 18446744073709551615")},
	    {CL(" 18446744073709551621")},
	    {CL(" 99999999999999999999999999")},
	    {CL(" \xd9\xa5")},
	    {CL(" 5\r\nContent-Length: 5")},
	    {CL(" 5\r\nContent-Length: 6")},
	    {CL(" 5\r\ncontent-length: 6")},
	    {CL(" 5\r\nX: y\r\nContent-Length:")},
	};
	CASES_RUN(cases, h1_parse_request);
}

#define TE(text) BYTES(P "Transfer-Encoding:" text E)

static void encodings(void)
{
	static const struct h1_case cases[] = {
	    {TE(""), H1_BAD_TRANSFER_ENCODING},
	    {TE(" ,chunked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked,"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" gzip,"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked, chunked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked, identity"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked, gzip"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" gzip, chunked, gzip"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked;q=1"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked ;x"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" \"chunked\""), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chun ked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked\xa0"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" \xc3\xa7hunked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" [chunked]"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked\r\nTransfer-Encoding: chunked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" chunked\r\nTransfer-Encoding: x"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" x\r\ntransfer-encoding: chunked"), H1_BAD_TRANSFER_ENCODING},
	    {TE(" identity"), H1_UNSUPPORTED_ENCODING},
	    {TE(" xchunked"), H1_UNSUPPORTED_ENCODING},
	    {TE(" chunkedx"), H1_UNSUPPORTED_ENCODING},
	    {TE(" cow"), H1_UNSUPPORTED_ENCODING},
	    {TE(" gzip, chunked"), H1_UNSUPPORTED_ENCODING},
	    {TE(" identity, chunked"), H1_UNSUPPORTED_ENCODING},
	    {TE("\x0b chunked"), H1_BAD_FIELD_VALUE},
	    {TE(" chunked\x0c"), H1_BAD_FIELD_VALUE},
	    {TE(" \0chunked"), H1_BAD_FIELD_VALUE},
	    {TE(" chunked\x7f"), H1_BAD_FIELD_VALUE},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void names(void)
{
	static const struct h1_case cases[] = {
	    {BYTES(P "Transfer-Encoding : chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer-Encoding\t: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer Encoding: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer-Encoding\0: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "\x0bTransfer-Encoding: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "\0Transfer-Encoding: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer-Encoding\r\n: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer-Encoding" E), H1_BAD_FIELD_NAME},
	    {BYTES(P ": chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P ":Content-Length: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content-Length\xa0: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content-Length[]: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "\"Content-Length\": 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content-Length=5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "GET / HTTP/1.1" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content_Length: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "content.length: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content-Length: 5\r\nCONTENT_LENGTH: 5" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Transfer_Encoding: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "transfer|encoding: chunked" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "X_Forwarded_For: 192.0.2.1" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "X-Forwarded_For: 192.0.2.1" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "x_forwarded-host: b" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "X.Forwarded.Port: 1" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "X_Forwarded_Proto: https" E), H1_BAD_FIELD_NAME},
	    {BYTES(P "Content1Length: 5\r\nContent--Lengt: 5\r\nTransfer-Encodin_: x" E), H1_OK},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void lines(void)
{
	static const struct h1_case cases[] = {
	    {BYTES("POST / HTTP/1.1\nHost: a\n\n"), H1_BAD_LINE_END},
	    {BYTES("POST / HTTP/1.1\r\nHost: a\n\n"), H1_BAD_LINE_END},
	    {BYTES("POST / HTTP/1.1\r\nHost: a\n\r\n"), H1_BAD_LINE_END},
	    {BYTES("POST / HTTP/1.1\r\nHost: a\r\n\n"), H1_BAD_LINE_END},
	    {BYTES("POST / HTTP/1.1\rHost: a" E), H1_BAD_LINE_END},
	    {BYTES("POST / HTTP/1.1\r\rHost: a" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\nTransfer-Encoding: chunked" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\rTransfer-Encoding: chunked" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\r\r\nTransfer-Encoding: chunked" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\n\rTransfer-Encoding: chunked" E), H1_BAD_LINE_END},
	    {BYTES(P "X: 0123456789abcdef0123456789\rY: z" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\r\n\rX" E), H1_BAD_LINE_END},
	    {BYTES(P "X: y\0z" E), H1_BAD_FIELD_VALUE},
	    {BYTES(P "X: y\x0bz" E), H1_BAD_FIELD_VALUE},
	    {BYTES(P "X: y\x1b[31m" E), H1_BAD_FIELD_VALUE},
	    {BYTES(P "X: 0123456789abcdef0123456789abcde\x01z" E), H1_BAD_FIELD_VALUE},
	    {BYTES(P "X: y\r\n z" E), H1_OBS_FOLD},
	    {BYTES(P "X: y\r\n\tz" E), H1_OBS_FOLD},
	    {BYTES(P "X: y\r\n \r\n" E), H1_OBS_FOLD},
	    {BYTES(P "Transfer-Encoding:\r\n chunked" E), H1_OBS_FOLD},
	    {BYTES(P " Transfer-Encoding: chunked" E), H1_OBS_FOLD},
	    {BYTES("POST / HTTP/1.1\r\n Host: a" E), H1_OBS_FOLD},
	    {BYTES("POST / HTTP/1.1\r\n\tX: y\r\nHost: a" E), H1_OBS_FOLD},
	};
	CASES_RUN(cases, h1_parse_request);
}

static void hosts(void)
{
	static const struct h1_case cases[] = {
	    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: a" E), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nhost: b" E), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.0\r\nHost: a\r\nHost: b" E), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.1\r\nHost: a, b" E), H1_BAD_HOST},
	    {BYTES("GET / HTTP/1.1\r\nHost : a" E), H1_BAD_FIELD_NAME},
	    {BYTES("GET http://a/ HTTP/1.1\r\nHost: b" E), H1_BAD_HOST},
	    {BYTES("GET http://a/ HTTP/1.1\r\nHost: a:80" E), H1_BAD_HOST},
	    {BYTES("GET http://a:80/ HTTP/1.0\r\nHost: a" E), H1_BAD_HOST},
	    {BYTES("GET http://a@b/ HTTP/1.1\r\nHost: a" E), H1_BAD_TARGET},
	    {BYTES("GET http://a\\@b/ HTTP/1.1\r\nHost: a" E), H1_BAD_TARGET},
	    {BYTES("GET http://a#@b/ HTTP/1.1\r\nHost: a" E), H1_BAD_TARGET},
	    {BYTES("GET @a/ HTTP/1.1\r\nHost: a" E), H1_BAD_TARGET},
	};
	CASES_RUN(cases, h1_parse_request);
}

/* Connection must not take away what the other side decides by. */
static void connection_cannot_strip(void)
{
	static const char text[] =
	    P "Connection: host, Content-Length, cookie, Authorization, transfer-encoding, "
	      "x-forwarded-for, X-Forwarded-Proto, x-forwarded-host, X-Real-IP, forwarded, via, "
	      "expect, trailer, set-cookie, cache-control, X-Mine\r\n"
	      "Content-Length: 5\r\nCookie: c\r\nAuthorization: d\r\nX-Forwarded-For: e\r\n"
	      "X-Forwarded-Proto: f\r\nX-Forwarded-Host: g\r\nX-Real-IP: h\r\nForwarded: i\r\n"
	      "Via: j\r\nExpect: 100-continue\r\nTrailer: k\r\nSet-Cookie: l\r\n"
	      "Cache-Control: m\r\nX-Mine: n\r\nx-mine: o\r\nX-Mine2: p\r\n\r\n";
	static struct h1_head head;
	CU_ASSERT_EQUAL(h1_parse_request(BYTES(text), &head), H1_OK);
	CU_ASSERT_EQUAL(head.n_fields, 18);
	for (unsigned i = 0; i < head.n_fields; i++) {
		const struct h1_field *field = &head.fields[i];
		bool mine = slice_equal_nocase(field->name, SLICE("x-mine"));
		CU_ASSERT_EQUAL(field->hop, mine || field->id == H1_FIELD_CONNECTION);
	}
}

UNIT_MAIN("http/h1_smuggling", UNIT(two_framings), UNIT(lengths), UNIT(encodings), UNIT(names),
    UNIT(lines), UNIT(hosts), UNIT(connection_cannot_strip))
