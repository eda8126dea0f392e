#include "daemon/proxy/forward.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define HEAD(fields) "GET / HTTP/1.1\r\nHost: h:80\r\n" fields "\r\n"
#define CAME                                                                         \
	"X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: " \
	"x\r\nX-Forwarded-Port: 1\r\nForwarded: for=_x\r\n"

#define P CONF_FORWARD_PRESERVE
#define R CONF_FORWARD_REMOVE
#define W CONF_FORWARD_REPLACE
#define A CONF_FORWARD_APPEND

/* Which of the fields of `head` are dropped, in the order for, proto, host, port, rfc7239. */
static void dropped_of(const struct forward *forward, char out[6])
{
	static const enum h1_field_id ids[] = {H1_FIELD_X_FORWARDED_FOR, H1_FIELD_X_FORWARDED_PROTO,
	    H1_FIELD_X_FORWARDED_HOST, H1_FIELD_X_FORWARDED_PORT, H1_FIELD_FORWARDED};
	for (size_t i = 0; i < 5; i++)
		out[i] = forward_drops(forward, ids[i]) ? 'x' : '-';
	out[5] = '\0';
}

static void check(const struct conf_listener *conf, const char *ip, const char *in,
    const char *dropped, const char *expected)
{
	struct h1_head head;
	struct addr peer, bind;
	struct forward forward;
	char marks[6];
	CU_ASSERT_FATAL(addr_parse_ip(ip, &peer));
	CU_ASSERT_FATAL(addr_parse_endpoint("192.0.2.10:65535", &bind));
	CU_ASSERT_EQUAL_FATAL(h1_parse_request(in, strlen(in), &head), H1_OK);
	forward_init(&forward, conf, &bind);
	dropped_of(&forward, marks);
	CU_ASSERT_STRING_EQUAL(marks, dropped);
	CU_ASSERT_FALSE(forward_drops(&forward, H1_FIELD_OTHER));
	CU_ASSERT_FALSE(forward_drops(&forward, H1_FIELD_COOKIE));
	/* The output lies in a heap block of exactly the promised room. */
	size_t room = FORWARD_ROOM + head.len + 2 * head.host.len;
	char *out = malloc(room);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	size_t len = (size_t)(forward_put(&forward, &head, &peer, out) - out);
	CU_ASSERT(len <= room);
	bool equal = len == strlen(expected) && memcmp(out, expected, len) == 0;
	if (!equal)
		printf("\nexpected:\n%s\ngot:\n%.*s\n", expected, (int)len, out);
	CU_ASSERT(equal);
	free(out);
}

#define NAME_63 "123456789-123456789-123456789-123456789-123456789-123456789-123"
#define IP6     "2001:db8:1111:2222:3333:4444:5555:6666"

static void requests(void)
{
	static const struct {
		struct conf_listener conf;
		const char *ip, *in, *dropped, *expected;
	} cases[] = {
	    {{.forwarded = {P, P, P, P, P}}, "192.0.2.1", HEAD(CAME), "-----", ""},
	    {{.forwarded = {R, R, R, R, R}}, "192.0.2.1", HEAD(CAME), "xxxxx", ""},
	    {{.forwarded = {W, W, W, W, W}}, "192.0.2.1", HEAD(CAME), "xxxxx",
		"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: h:80\r\n"
		"Forwarded: for=192.0.2.1;proto=http;host=\"h:80\"\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 65535\r\n"},
	    {{.forwarded = {A, P, P, P, A}}, "192.0.2.1", HEAD(CAME), "x----",
		"X-Forwarded-For: 9.9.9.9, 192.0.2.1\r\n"
		"Forwarded: for=192.0.2.1;proto=http;host=\"h:80\"\r\n"},
	    {{.forwarded = {A, P, P, P, A}}, "2001:db8::1", HEAD(""), "x----",
		"X-Forwarded-For: 2001:db8::1\r\n"
		"Forwarded: for=\"[2001:db8::1]\";proto=http;host=\"h:80\"\r\n"},
	    /* HTTP/1.0 may name no host */
	    {{.forwarded = {P, P, W, P, W}}, "192.0.2.1", "GET / HTTP/1.0\r\n\r\n", "--x-x",
		"Forwarded: for=192.0.2.1;proto=http\r\n"},
	    {{.via = {"edge.1", true, false}}, "192.0.2.1", HEAD(""), "-----",
		"Via: 1.1 edge.1\r\n"},
	    {{.via = {"edge.1", true, false}}, "192.0.2.1", "GET / HTTP/1.0\r\n\r\n", "-----",
		"Via: 1.0 edge.1\r\n"},
	    {{.via = {"edge.1", false, true}}, "192.0.2.1", HEAD(""), "-----", ""},
	    /* everything, as long as it gets */
	    {{.forwarded = {A, W, W, W, A}, .via = {NAME_63, true, true}}, IP6, HEAD(CAME CAME),
		"xxxx-",
		"X-Forwarded-For: 9.9.9.9, 9.9.9.9, " IP6 "\r\nX-Forwarded-Host: h:80\r\n"
		"Forwarded: for=\"[" IP6 "]\";proto=http;host=\"h:80\"\r\n"
		"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 65535\r\nVia: 1.1 " NAME_63 "\r\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(
		    &cases[i].conf, cases[i].ip, cases[i].in, cases[i].dropped, cases[i].expected);
}

static void check_response(const struct conf_listener *conf, uint8_t minor, const char *expected)
{
	struct forward forward;
	struct addr bind;
	CU_ASSERT_FATAL(addr_parse_endpoint("192.0.2.10:80", &bind));
	forward_init(&forward, conf, &bind);
	struct slice line = forward_response(&forward, minor);
	CU_ASSERT_EQUAL(line.len, strlen(expected));
	CU_ASSERT(memcmp(line.p, expected, line.len) == 0);
}

static void responses(void)
{
	struct conf_listener conf = {.via = {"edge", true, false}};
	check_response(&conf, 1, "");
	conf.via = (struct conf_via){NAME_63, false, true};
	check_response(&conf, 1, "Via: 1.1 " NAME_63 "\r\n");
	check_response(&conf, 0, "Via: 1.0 " NAME_63 "\r\n");
}

UNIT_MAIN("proxy/forward", UNIT(requests), UNIT(responses))
