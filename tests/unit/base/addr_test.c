#include "daemon/base/addr.h"

#include <arpa/inet.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define LONG_TEXT "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff"

/* Good texts and their canonical form; NULL: refused. */
struct row {
	const char *text, *canonical;
};

static void endpoints(void)
{
	static const struct row rows[] = {
	    {"192.0.2.10:80", "192.0.2.10:80"},
	    {"0.0.0.0:1", "0.0.0.0:1"},
	    {"255.255.255.255:65535", "255.255.255.255:65535"},
	    {"[2001:db8::10]:80", "[2001:db8::10]:80"},
	    {"[2001:0DB8:0:0:0:0:0:10]:443", "[2001:db8::10]:443"},
	    {"[::]:8080", "[::]:8080"},
	    {"[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.1]:80"},
	    {"[1111:2222:3333:4444:5555:6666:255.255.255.255]:65535",
		"[1111:2222:3333:4444:5555:6666:ffff:ffff]:65535"},
	    {"", NULL},
	    {":80", NULL},
	    {"80", NULL},
	    {"192.0.2.10", NULL},
	    {"192.0.2.10:", NULL},
	    {"192.0.2.10:0", NULL},
	    {"192.0.2.10:65536", NULL},
	    {"192.0.2.10:080", NULL},
	    {"192.0.2.10:+80", NULL},
	    {"192.0.2.10: 80", NULL},
	    {"192.0.2.10:80 ", NULL},
	    {" 192.0.2.10:80", NULL},
	    {"192.0.2.10:99999999999999999999", NULL},
	    {"192.0.2.10:4294967376", NULL},
	    {"192.0.2:80", NULL},
	    {"192.0.2.256:80", NULL},
	    {"192.0.02.1:80", NULL},
	    {"0x7f.1:80", NULL},
	    {"[192.0.2.10]:80", NULL},
	    {"2001:db8::10:80", NULL},
	    {"[2001:db8::10]", NULL},
	    {"[2001:db8::10]80", NULL},
	    {"[2001:db8::10]:", NULL},
	    {"[2001:db8::10:80", NULL},
	    {"[fe80::1%eth0]:80", NULL},
	    {"[[::1]]:80", NULL},
	    {"[]:80", NULL},
	    {"localhost:80", NULL},
	    {"[" LONG_TEXT "]:80", NULL},
	    {LONG_TEXT ":80", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr, again;
		char text[ADDR_TEXT_MAX];
		memset(&addr, 0x5a, sizeof(addr));
		struct addr before = addr;
		bool ok = addr_parse_endpoint(rows[i].text, &addr);
		if (ok != (rows[i].canonical != NULL))
			printf("\n'%s' ", rows[i].text);
		CU_ASSERT_EQUAL(ok, rows[i].canonical != NULL);
		if (!ok) {
			CU_ASSERT_EQUAL(memcmp(&addr, &before, sizeof(addr)), 0);
			continue;
		}
		CU_ASSERT_STRING_EQUAL(addr_format(&addr, text), rows[i].canonical);
		CU_ASSERT_TRUE(addr_parse_endpoint(text, &again) && addr_equal(&addr, &again));
	}
}

static void addresses(void)
{
	static const struct row rows[] = {
	    {"192.0.2.10", "192.0.2.10"},
	    {"2001:db8::0:1", "2001:db8::1"},
	    {"::", "::"},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	    {"", NULL},
	    {"192.0.2.10:80", NULL},
	    {"[::1]", NULL},
	    {"::1 ", NULL},
	    {"1.2.3", NULL},
	    {":::1", NULL},
	    {"1:2:3:4:5:6:7:8:9", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr;
		char text[ADDR_TEXT_MAX];
		bool ok = addr_parse_ip(rows[i].text, &addr);
		CU_ASSERT_EQUAL(ok, rows[i].canonical != NULL);
		if (!ok)
			continue;
		CU_ASSERT_STRING_EQUAL(addr_format_ip(&addr, text), rows[i].canonical);
		CU_ASSERT_EQUAL(addr_port(&addr), 0);
	}
}

static void cidrs(void)
{
	static const struct {
		const char *text, *ip; /* NULL: refused */
		unsigned prefix;
	} rows[] = {
	    {"192.0.2.10/24", "192.0.2.10", 24},
	    {"192.0.2.10", "192.0.2.10", 32},
	    {"0.0.0.0/0", "0.0.0.0", 0},
	    {"192.0.2.10/32", "192.0.2.10", 32},
	    {"2001:db8::1/64", "2001:db8::1", 64},
	    {"2001:db8::1", "2001:db8::1", 128},
	    {"2001:db8::1/128", "2001:db8::1", 128},
	    {"192.0.2.10/33", NULL, 0},
	    {"2001:db8::1/129", NULL, 0},
	    {"192.0.2.10/", NULL, 0},
	    {"192.0.2.10/-1", NULL, 0},
	    {"192.0.2.10/024", NULL, 0},
	    {"192.0.2.10/24/24", NULL, 0},
	    {"192.0.2.10/255.255.255.0", NULL, 0},
	    {"/24", NULL, 0},
	    {"", NULL, 0},
	    {LONG_TEXT "/64", NULL, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr;
		unsigned prefix = 777;
		char text[ADDR_TEXT_MAX];
		bool ok = addr_parse_cidr(rows[i].text, &addr, &prefix);
		CU_ASSERT_EQUAL(ok, rows[i].ip != NULL);
		if (!ok) {
			CU_ASSERT_EQUAL(prefix, 777);
			continue;
		}
		CU_ASSERT_STRING_EQUAL(addr_format_ip(&addr, text), rows[i].ip);
		CU_ASSERT_EQUAL(prefix, rows[i].prefix);
	}
}

static struct addr endpoint(const char *text)
{
	struct addr addr = {0};
	CU_ASSERT_TRUE(addr_parse_endpoint(text, &addr));
	return addr;
}

static void equality(void)
{
	struct addr a = endpoint("192.0.2.1:80"), b = endpoint("192.0.2.1:81");
	struct addr c = endpoint("192.0.2.2:80"), six = endpoint("[::ffff:192.0.2.1]:80");
	CU_ASSERT_TRUE(addr_equal(&a, &a));
	CU_ASSERT_FALSE(addr_equal(&a, &b));
	CU_ASSERT_TRUE(addr_equal_ip(&a, &b));
	CU_ASSERT_FALSE(addr_equal_ip(&a, &c));
	CU_ASSERT_FALSE(addr_equal_ip(&a, &six));
	CU_ASSERT_TRUE(addr_equal(&six, &six));
	addr_set_port(&b, 80);
	CU_ASSERT_TRUE(addr_equal(&a, &b));
	CU_ASSERT_EQUAL(addr_len(&a), sizeof(struct sockaddr_in));
	CU_ASSERT_EQUAL(addr_len(&six), sizeof(struct sockaddr_in6));
}

static void order_and_bytes(void)
{
	static const struct {
		const char *lower, *higher;
		size_t len;
	} rows[] = {
	    {"10.0.0.255", "10.0.1.0", 4},
	    {"1.255.255.255", "128.0.0.0", 4},
	    {"fe80::ff", "fe80::100", 16},
	    {"2001:db8::ff", "fe80::1", 16},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr lower, higher;
		size_t len = 0;
		CU_ASSERT_TRUE(addr_parse_ip(rows[i].lower, &lower));
		CU_ASSERT_TRUE(addr_parse_ip(rows[i].higher, &higher));
		CU_ASSERT(addr_compare_ip(&lower, &higher) < 0);
		CU_ASSERT(addr_compare_ip(&higher, &lower) > 0);
		CU_ASSERT(addr_compare_ip(&lower, &lower) == 0);
		const uint8_t *bytes = addr_bytes(&lower, &len);
		CU_ASSERT_EQUAL(len, rows[i].len);
		CU_ASSERT_EQUAL(bytes[len - 1], 0xff);
		addr_bytes(&higher, &len);
		CU_ASSERT_EQUAL(len, rows[i].len);
	}
}

static void keys(void)
{
	static const struct {
		const char *text;
		unsigned prefix4, prefix6;
		uint8_t key[16];
	} rows[] = {
	    {"192.0.2.255:80", 32, 64, {[10] = 0xff, 0xff, 192, 0, 2, 255}},
	    {"192.0.2.255:81", 24, 64, {[10] = 0xff, 0xff, 192, 0, 2, 0}},
	    {"192.0.2.255:81", 30, 64, {[10] = 0xff, 0xff, 192, 0, 2, 252}},
	    {"192.0.2.255:81", 1, 64, {[10] = 0xff, 0xff, 128, 0, 0, 0}},
	    {"192.0.2.255:81", 0, 64, {[10] = 0xff, 0xff, 0, 0, 0, 0}},
	    {"[2001:db8:1:2:3:4:5:6]:80", 32, 128,
		{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}},
	    {"[2001:db8:1:2:3:4:5:6]:80", 32, 64, {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2}},
	    {"[2001:db8:1:ffff::]:80", 32, 57, {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0xff, 0x80}},
	    {"[2001:db8::1]:80", 32, 0, {0}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr = endpoint(rows[i].text);
		uint8_t key[16];
		memset(key, 0xaa, sizeof(key));
		addr_key(&addr, rows[i].prefix4, rows[i].prefix6, key);
		CU_ASSERT_EQUAL(memcmp(key, rows[i].key, 16), 0);
	}
}

/* The C library's text is the canonical one; each bit of `zeros` clears a group, so that all their
 * runs occur. */
static void ips_as_the_library_writes_them(void)
{
	uint64_t random = 1;
	for (unsigned zeros = 0; zeros < 256 * 16; zeros++) {
		struct addr addr = {.in6 = {.sin6_family = AF_INET6}};
		uint8_t *bytes = addr.in6.sin6_addr.s6_addr;
		for (int i = 0; i < 16; i++) {
			random = hash_mix(random + 1);
			/* small groups, too: leading zeros are not written */
			bytes[i] = (uint8_t)(random >> (random & 8 ? 63 : 13));
			if (zeros >> (i / 2) & 1)
				bytes[i] = 0;
		}
		if (zeros & 256) /* mapped */
			memcpy(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
		char expected[ADDR_TEXT_MAX], got[ADDR_TEXT_MAX];
		inet_ntop(AF_INET6, bytes, expected, sizeof(expected));
		got[addr_put_ip(&addr, got)] = '\0';
		CU_ASSERT_STRING_EQUAL(got, expected);
		struct addr four = {.in = {.sin_family = AF_INET}};
		memcpy(&four.in.sin_addr, bytes + 8, 4);
		inet_ntop(AF_INET, bytes + 8, expected, sizeof(expected));
		got[addr_put_ip(&four, got)] = '\0';
		CU_ASSERT_STRING_EQUAL(got, expected);
	}
}

UNIT_MAIN("base/addr", UNIT(ips_as_the_library_writes_them), UNIT(endpoints), UNIT(addresses),
    UNIT(cidrs), UNIT(equality), UNIT(order_and_bytes), UNIT(keys))
