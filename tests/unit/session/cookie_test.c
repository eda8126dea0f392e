#include "daemon/session/cookie.h"

#include <string.h>

#include "tests/unit/unit.h"

static void finds_the_named_cookie(void)
{
	static const struct {
		const char *header, *value; /* NULL: none */
	} cases[] = {
	    {"sid=abc", "abc"},
	    {"a=1; sid=abc; b=2", "abc"},
	    {"a=1;sid=abc;b=2", "abc"},
	    {"  sid  =  abc  ;b=2", "abc"},
	    {"sid=\"abc\"", "\"abc\""},
	    {"sid=a=b==", "a=b=="},
	    {"sid=", ""},
	    {"sid=1; sid=2", "1"},
	    {"; ;;sid=x", "x"},
	    {"a; sid=x", "x"},
	    {"a=sid=x", NULL},
	    {"xsid=1; sidx=2; SID=3; si=4", NULL},
	    {"sid", NULL},
	    {"sid; x=1", NULL},
	    {"", NULL},
	    {"=sid", NULL},
	    {";=;=", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice header = {cases[i].header, strlen(cases[i].header)};
		struct slice value = {"untouched", 9};
		bool found = cookie_find(header, "sid", &value);
		const char *wanted = cases[i].value ? cases[i].value : "untouched";
		CU_ASSERT_EQUAL(found, cases[i].value != NULL);
		if (!slice_equal(value, (struct slice){wanted, strlen(wanted)})) {
			printf("\n%s -> '%.*s'\n", cases[i].header, (int)value.len, value.p);
			CU_FAIL("another value");
		}
	}
}

static void payload_has_a_fixed_form(void)
{
	static const uint8_t bytes[COOKIE_PAYLOAD_LEN] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
	    0x08, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0x65, 0x00, 0x00, 0xff};
	struct cookie_payload payload = {0x0102030405060708ULL, 0xf1f2f3f4f5f6f7f8ULL, 0x650000ff};
	struct cookie_payload back;
	uint8_t out[COOKIE_PAYLOAD_LEN];
	cookie_payload_pack(&payload, out);
	CU_ASSERT_EQUAL(memcmp(out, bytes, sizeof(bytes)), 0);
	cookie_payload_unpack(bytes, &back);
	CU_ASSERT_EQUAL(back.pool_id, payload.pool_id);
	CU_ASSERT_EQUAL(back.target_id, payload.target_id);
	CU_ASSERT_EQUAL(back.issued_sec, payload.issued_sec);
}

static void judges_the_age(void)
{
	static const struct {
		uint32_t issued;
		uint64_t now, ttl;
		enum cookie_age age;
	} cases[] = {
	    {1000, 1000, 100, COOKIE_FRESH},
	    {1000, 1050, 100, COOKIE_FRESH},
	    {1000, 1051, 100, COOKIE_RENEW},
	    {1000, 1099, 100, COOKIE_RENEW},
	    {1000, 1100, 100, COOKIE_EXPIRED},
	    {1000, 5000, 100, COOKIE_EXPIRED},
	    {1100, 1000, 100, COOKIE_FRESH}, /* the other node's clock is ahead */
	    {1101, 1000, 100, COOKIE_EXPIRED},
	    {0, 1000, 0, COOKIE_EXPIRED},
	    {UINT32_MAX, 5, 100, COOKIE_EXPIRED},
	    {0, UINT64_MAX, 100, COOKIE_EXPIRED},
	    {0, 1000, UINT64_MAX, COOKIE_FRESH},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(
		    cookie_age(cases[i].issued, cases[i].now, cases[i].ttl), cases[i].age);
}

static void formats_the_header(void)
{
	static const char plain[] = "Set-Cookie: sid=abc; Path=/; HttpOnly; SameSite=Lax\r\n";
	static const char secure[] =
	    "Set-Cookie: sid=abc; Path=/; HttpOnly; SameSite=Lax; Secure\r\n";
	struct slice value = {"abcdef", 3};
	char buf[128];
	CU_ASSERT_EQUAL(cookie_format(buf, sizeof(buf), "sid", value, false), sizeof(plain) - 1);
	CU_ASSERT_STRING_EQUAL(buf, plain);
	CU_ASSERT_EQUAL(cookie_format(buf, sizeof(buf), "sid", value, true), sizeof(secure) - 1);
	CU_ASSERT_STRING_EQUAL(buf, secure);
	CU_ASSERT_EQUAL(cookie_format(buf, sizeof(plain), "sid", value, false), sizeof(plain) - 1);
	for (size_t size = 0; size < sizeof(plain); size++)
		CU_ASSERT_EQUAL(cookie_format(buf, size, "sid", value, false), 0);
}

UNIT_MAIN("session/cookie", UNIT(finds_the_named_cookie), UNIT(payload_has_a_fixed_form),
    UNIT(judges_the_age), UNIT(formats_the_header))
