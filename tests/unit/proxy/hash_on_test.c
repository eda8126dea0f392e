#include "daemon/proxy/hash_on.h"

#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define HOST "Host: h\r\n"

static const struct conf_hash_on by_source = {.key = CONF_HASH_SOURCE};
static const struct conf_hash_on by_path = {.key = CONF_HASH_PATH};
static const struct conf_hash_on by_header = {.key = CONF_HASH_HEADER, .header = "X-User"};
static const struct conf_hash_on by_cookie = {.key = CONF_HASH_COOKIE, .cookie = "id"};

/* What the requests, all from 192.0.2.7, are known by; NULL: their source. */
static const struct {
	const struct conf_hash_on *on;
	const char *head, *key;
} requests[] = {
    {&by_source, "GET /a HTTP/1.1\r\n" HOST "X-User: u\r\nCookie: id=1\r\n\r\n", NULL},
    {&by_path, "GET /a/b HTTP/1.1\r\n" HOST "\r\n", "/a/b"},
    {&by_path, "GET /a/b?c=d HTTP/1.1\r\n" HOST "\r\n", "/a/b"},
    {&by_path, "GET /a/b? HTTP/1.1\r\n" HOST "\r\n", "/a/b"},
    {&by_path, "GET /a/b/ HTTP/1.1\r\n" HOST "\r\n", "/a/b/"},
    {&by_path, "GET http://h/a/b?c HTTP/1.1\r\n" HOST "\r\n", "/a/b"},
    {&by_path, "GET http://h HTTP/1.1\r\n" HOST "\r\n", "/"},
    {&by_path, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "*"},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "X-User: u\r\n\r\n", "u"},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "x-uSER:  u v \r\n\r\n", "u v"},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "X-Users: u\r\nX-Use: u\r\n\r\n", NULL},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "X-User: 1\r\nX-User: 2\r\n\r\n", "1"},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "X-User:\r\n\r\n", NULL},
    {&by_header, "GET / HTTP/1.1\r\n" HOST "\r\n", NULL},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: id=17\r\n\r\n", "17"},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: a=b; id=17; c=d\r\n\r\n", "17"},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: a=b\r\nCookie: id=17\r\n\r\n", "17"},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: ID=17; xid=1\r\n\r\n", NULL},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: id\r\n\r\n", NULL},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "Cookie: id=\r\n\r\n", NULL},
    {&by_cookie, "GET / HTTP/1.1\r\n" HOST "\r\n", NULL},
};

static void keys_of_requests(void)
{
	struct addr peer;
	uint8_t source[16];
	CU_ASSERT_FATAL(addr_parse_ip("192.0.2.7", &peer));
	addr_key(&peer, 32, 128, source);
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct h1_head head;
		const char *text = requests[i].head, *key = requests[i].key;
		CU_ASSERT_EQUAL_FATAL(h1_parse_request(text, strlen(text), &head), H1_OK);
		uint64_t expected =
		    key ? hash_id(key, strlen(key)) : hash_id(source, sizeof(source));
		CU_ASSERT_EQUAL(hash_on(requests[i].on, &peer, &head), expected);
		CU_ASSERT_EQUAL(
		    hash_on(requests[i].on, &peer, NULL), hash_id(source, sizeof(source)));
	}
}

UNIT_MAIN("proxy/hash_on", UNIT(keys_of_requests))
