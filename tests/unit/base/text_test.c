#include "daemon/base/text.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"
#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

/* RFC 4648 section 10, and texts that must be refused (NULL). */
static void base64(void)
{
	static const struct {
		const char *text, *data;
	} rows[] = {
	    {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYg==", "foob"},
	    {"Zm9vYmE=", "fooba"}, {"Zm9vYmFy", "foobar"}, {"+/+/", "\xfb\xff\xbf"},
	    {"Zg", NULL},       /* no padding */
	    {"Zg=", NULL},      /* half of it */
	    {"Zg===", NULL},    /* too much */
	    {"Z===", NULL},     /* a digit alone */
	    {"====", NULL},     /* nothing but padding */
	    {"Zh==", NULL},     /* unused bits set */
	    {"Zm9=", NULL},     /* unused bits set */
	    {"Zg==Zg==", NULL}, /* padding inside */
	    {"Zm9v\n", NULL},   /* a line end */
	    {"Zm 9", NULL},     /* a space */
	    {"-_-_", NULL},     /* the other alphabet */
	    {"Zm9\x80", NULL},  /* not ASCII */
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t out[16];
		long len = text_base64_decode(rows[i].text, strlen(rows[i].text), out, sizeof(out));
		long wanted = rows[i].data ? (long)strlen(rows[i].data) : -1;
		if (len != wanted)
			printf("\n'%s': %ld ", rows[i].text, len);
		CU_ASSERT_EQUAL(len, wanted);
		if (len > 0)
			CU_ASSERT_EQUAL(memcmp(out, rows[i].data, (size_t)len), 0);
	}
	CU_ASSERT_EQUAL(text_base64_decode("Zm9\0", 4, (uint8_t[8]){0}, 8), -1);
}

static void base64_that_does_not_fit(void)
{
	uint8_t out[6] = {0, 0, 0, 0, 0, 0x77};
	CU_ASSERT_EQUAL(text_base64_decode("Zm9vYmFy", 8, out, 5), -1);
	CU_ASSERT_EQUAL(out[5], 0x77);
	CU_ASSERT_EQUAL(text_base64_decode("Zm9vYmE=", 8, out, 5), 5);
	CU_ASSERT_EQUAL(out[5], 0x77);
	CU_ASSERT_EQUAL(text_base64_decode("Zg==", 4, out, 0), -1);
}

static void base64url_round_trips(void)
{
	uint64_t state = 1;
	for (size_t len = 0; len < 70; len++) {
		uint8_t data[70], back[70];
		for (size_t i = 0; i < len; i++) {
			state = hash_mix(state + 1);
			data[i] = (uint8_t)state;
		}
		size_t want = (len * 4 + 2) / 3;
		char *text = malloc(want + 1); /* exact, for a sanitizer */
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		size_t n = text_base64url_encode(data, len, text);
		CU_ASSERT_EQUAL(n, want);
		for (size_t i = 0; i < n; i++)
			CU_ASSERT_FALSE(text[i] == '+' || text[i] == '/' || text[i] == '=');
		CU_ASSERT_EQUAL(text_base64url_decode(text, n, back, sizeof(back)), (long)len);
		CU_ASSERT_EQUAL(memcmp(data, back, len), 0);
		if (len > 0)
			CU_ASSERT_EQUAL(text_base64url_decode(text, n, back, len - 1), -1);
		free(text);
	}
	uint8_t out[8];
	CU_ASSERT_EQUAL(text_base64url_decode("-_-_", 4, out, sizeof(out)), 3);
	CU_ASSERT_EQUAL(text_base64url_decode("Zg==", 4, out, sizeof(out)), -1);
	CU_ASSERT_EQUAL(text_base64url_decode("Z", 1, out, sizeof(out)), -1);
	CU_ASSERT_EQUAL(text_base64url_decode("Zh", 2, out, sizeof(out)), -1);
	CU_ASSERT_EQUAL(text_base64url_decode("+/+/", 4, out, sizeof(out)), -1);
}

static void slices(void)
{
	struct slice empty = {NULL, 0};
	CU_ASSERT_TRUE(slice_equal(empty, SLICE("")));
	CU_ASSERT_TRUE(slice_equal(SLICE("Host"), SLICE("Host")));
	CU_ASSERT_FALSE(slice_equal(SLICE("Host"), SLICE("host")));
	CU_ASSERT_FALSE(slice_equal(SLICE("Host"), SLICE("Hos")));
	CU_ASSERT_TRUE(slice_equal_nocase(SLICE("Host"), SLICE("hOST")));
	CU_ASSERT_FALSE(slice_equal_nocase(SLICE("Host"), SLICE("Hosts")));
	CU_ASSERT_FALSE(slice_equal_nocase(SLICE("Host"), SLICE("Hose")));
	CU_ASSERT_TRUE(slice_equal_nocase(empty, empty));
	CU_ASSERT_FALSE(slice_equal_nocase(SLICE("["), SLICE("{"))); /* differ by 0x20 too */
}

static void copies(void)
{
	char buf[5] = "xxxx";
	CU_ASSERT_STRING_EQUAL(text_copy(buf, sizeof(buf), "abcd"), "abcd");
	CU_ASSERT_STRING_EQUAL(text_copy(buf, sizeof(buf), "abcdefgh"), "abcd");
	CU_ASSERT_STRING_EQUAL(text_copy(buf, sizeof(buf), ""), "");
	CU_ASSERT_STRING_EQUAL(text_copy(buf, 1, "abc"), "");
	memset(buf, 'x', sizeof(buf));
	text_wipe(buf, 3);
	CU_ASSERT_EQUAL(memcmp(buf, "\0\0\0xx", 5), 0);
}

static void errors_carry_text(void)
{
	struct err err;
	CU_ASSERT_EQUAL(err_set(&err, -5, "port %d is taken", 80), -5);
	CU_ASSERT_STRING_EQUAL(err.text, "port 80 is taken");
	CU_ASSERT_EQUAL(err_set(&err, -6, "listener web: %s", err.text), -6);
	CU_ASSERT_STRING_EQUAL(err.text, "listener web: port 80 is taken");
	CU_ASSERT_EQUAL(err_set(NULL, -7, "nobody listens"), -7);
	char much[2 * sizeof(err.text)];
	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	err_set(&err, 0, "%s", much);
	CU_ASSERT_EQUAL(strlen(err.text), sizeof(err.text) - 1);
}

UNIT_MAIN("base/text", UNIT(base64), UNIT(base64_that_does_not_fit), UNIT(base64url_round_trips),
    UNIT(slices), UNIT(copies), UNIT(errors_carry_text))
