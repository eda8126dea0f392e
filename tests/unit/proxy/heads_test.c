#include "daemon/proxy/heads.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define FORWARDED(ip) "X-Forwarded-For: " ip "\r\n\r\n"

/* The rest of what it can do is tested in forward_test.c. */
static const struct forward forward = {
    .append_for = true, .dropped = 1U << H1_FIELD_X_FORWARDED_FOR};

/* The output lies in a heap block of exactly the promised room, so that a sanitizer sees a byte too
 * many. */
static void check_request(const char *ip, const char *upgrade, const char *in, const char *expected)
{
	struct h1_head head;
	struct addr peer;
	CU_ASSERT_FATAL(addr_parse_ip(ip, &peer));
	CU_ASSERT_EQUAL_FATAL(h1_parse_request(in, strlen(in), &head), H1_OK);
	char *out = malloc(heads_request_room(&head));
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	struct heads_request options = {&forward, &peer, SLICE("192.0.2.9:8080"), upgrade};
	size_t len = heads_request(&head, &options, out);
	CU_ASSERT(len <= heads_request_room(&head));
	bool equal = len == strlen(expected) && memcmp(out, expected, len) == 0;
	if (!equal)
		printf("\nfor:\n%s\ngot:\n%.*s\n", in, (int)len, out);
	CU_ASSERT(equal);
	free(out);
}

static void requests(void)
{
	static const struct {
		const char *ip, *in, *expected;
	} cases[] = {
	    {"192.0.2.1", "GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n",
		"GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\n" FORWARDED("192.0.2.1")},
	    /* every width of an octet */
	    {"1.20.255.100", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" FORWARDED("1.20.255.100")},
	    {"2001:db8::1", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" FORWARDED("2001:db8::1")},
	    /* hop-by-hop fields stay here, also those that Connection names */
	    {"192.0.2.1",
		"GET / HTTP/1.1\r\nConnection: keep-alive, X-A\r\nHost: h\r\nX-A: 1\r\nX-B: 2\r\n"
		"Keep-Alive: 5\r\nUpgrade: websocket\r\nTE: trailers\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX-B: 2\r\n" FORWARDED("192.0.2.1")},
	    /* but Connection cannot take the framing away */
	    {"192.0.2.1",
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: Content-Length, Host\r\n"
		"Content-Length: 3\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" FORWARDED("192.0.2.1")},
	    {"192.0.2.1",
		"POST / HTTP/1.1\r\nHost: h\r\nConnection: Transfer-Encoding\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" FORWARDED(
		    "192.0.2.1")},
	    /* one list of forwarders */
	    {"192.0.2.1",
		"GET / HTTP/1.1\r\nX-Forwarded-For: 9.9.9.9\r\nHost: h\r\n"
		"X-Forwarded-For:\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" FORWARDED("9.9.9.9, 8.8.8.8, 192.0.2.1")},
	    /* absolute form becomes origin form; HTTP/1.0 becomes 1.1 */
	    {"192.0.2.1", "GET http://a.b:81/p?q HTTP/1.1\r\nHost: a.b:81\r\n\r\n",
		"GET /p?q HTTP/1.1\r\nHost: a.b:81\r\n" FORWARDED("192.0.2.1")},
	    {"192.0.2.1", "OPTIONS http://a.b HTTP/1.1\r\nHost: a.b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a.b\r\n" FORWARDED("192.0.2.1")},
	    {"192.0.2.1", "GET /p HTTP/1.0\r\n\r\n",
		"GET /p HTTP/1.1\r\nHost: 192.0.2.9:8080\r\n" FORWARDED("192.0.2.1")},
	    /* one spelling of what decides */
	    {"192.0.2.1",
		"POST / HTTP/1.1\r\nHOST:\tH \r\nA:  b\r\nContent-Length:3\r\nExpect: "
		"\t100-Continue\r\nB:c\r\n\r\n",
		"POST / HTTP/1.1\r\nHOST: H\r\nA:  b\r\nContent-Length: 3\r\nExpect: "
		"100-continue\r\nB:c\r\n" FORWARDED("192.0.2.1")},
	    {"192.0.2.1", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:chunked \r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" FORWARDED(
		    "192.0.2.1")},
	    {"192.0.2.1", "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: CHUNKED\r\n\r\n",
		"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n" FORWARDED(
		    "192.0.2.1")},
	    /* Expect only where somebody waits for it */
	    {"192.0.2.1",
		"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
		"1\r\n" FORWARDED("192.0.2.1")},
	    {"192.0.2.1",
		"PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n" FORWARDED("192.0.2.1")},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_request(cases[i].ip, NULL, cases[i].in, cases[i].expected);
	/* An upgrade is written anew, whatever else Connection and Upgrade say. */
	check_request("192.0.2.1", "websocket",
	    "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c, WebSocket\r\nX-A: 1\r\n"
	    "Connection: x-a, upgrade, http2-settings\r\nHTTP2-Settings: a\r\nX-B: 2\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: h\r\nX-B: 2\r\nConnection: Upgrade\r\nUpgrade: "
	    "websocket\r\n" FORWARDED("192.0.2.1"));
}

static void check_response(
    const char *in, const struct heads_response *options, const char *expected)
{
	struct h1_head head;
	CU_ASSERT_EQUAL_FATAL(h1_parse_response(in, strlen(in), H1_GET, &head), H1_OK);
	char *out = malloc(heads_response_room(&head, options));
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	size_t len = heads_response(&head, options, out);
	CU_ASSERT(len <= heads_response_room(&head, options));
	bool equal = len == strlen(expected) && memcmp(out, expected, len) == 0;
	if (!equal)
		printf("\nfor:\n%s\ngot:\n%.*s\n", in, (int)len, out);
	CU_ASSERT(equal);
	/* "unchanged" must mean what it says */
	CU_ASSERT_EQUAL(heads_response_unchanged(&head, in, options), strcmp(in, expected) == 0);
	free(out);
}

static void responses(void)
{
	static const struct {
		const char *in;
		struct heads_response options;
		const char *expected;
	} cases[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n", {0},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nConnection: X-A, keep-alive\r\nX-A: 1\r\nContent-Length: 2\r\n"
	     "Keep-Alive: timeout=5\r\n\r\n",
		{0}, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"},
	    {"HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\n", {0},
		"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", {.close = true},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", {.keep_alive = true},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", {.add = {"Set-Cookie: a=b\r\n", 17}},
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nVia: 1.0 a\r\nContent-Length: 2\r\n\r\n",
		{.via = {"Via: 1.1 b\r\n", 12}},
		"HTTP/1.1 200 OK\r\nVia: 1.0 a\r\nContent-Length: 2\r\nVia: 1.1 b\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n", {0},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n",
		{.unchunked = true, .close = true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nA:b\r\nContent-Length:\t2\r\n\r\n", {0},
		"HTTP/1.1 200 OK\r\nA:b\r\nContent-Length: 2\r\n\r\n"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", {0},
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
	    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", {0},
		"HTTP/1.1 204 No Content\r\n\r\n"},
	    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", {0},
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
	    {"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", {0},
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_response(cases[i].in, &cases[i].options, cases[i].expected);
}

static void own_answers(void)
{
	static const unsigned statuses[] = {400, 408, 414, 417, 431, 501, 502, 503, 504, 505};
	char text[HEADS_ERROR_MAX];
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct h1_head head;
		size_t len = heads_error(
		    &(struct heads_error){statuses[i], "the_reason", 0, false, true}, text);
		CU_ASSERT_EQUAL_FATAL(h1_parse_response(text, len, H1_GET, &head), H1_OK);
		CU_ASSERT_EQUAL(head.status, statuses[i]);
		CU_ASSERT_FALSE(head.keep_alive);
		CU_ASSERT_EQUAL(head.len + head.content_length, len);
		CU_ASSERT_PTR_NOT_NULL(memmem(text, len, "the_reason", 10));

		size_t full = head.len;
		len = heads_error(&(struct heads_error){statuses[i], NULL, 0, true, false}, text);
		CU_ASSERT_EQUAL_FATAL(h1_parse_response(text, len, H1_HEAD, &head), H1_OK);
		CU_ASSERT_EQUAL(head.len, len);
		CU_ASSERT(head.len < full);
		CU_ASSERT(head.keep_alive);
	}
}

UNIT_MAIN("proxy/heads", UNIT(requests), UNIT(responses), UNIT(own_answers))
