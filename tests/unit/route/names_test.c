#include "daemon/route/names.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static void folds(void)
{
	static const struct {
		const char *host, *want;
	} cases[] = {{"example.com", "example.com"}, {"Example.COM:8080", "example.com"},
	    {"example.com.", "example.com"}, {"example.com.:80", "example.com"}, {"", ""},
	    {"192.0.2.1:80", "192.0.2.1"}, {"[2001:DB8::1]:80", "[2001:db8::1]"},
	    {"[::1]", "[::1]"}, {"A_B-c", "a_b-c"}, {"@[`{", "@[`{"}, {".", ""}, {":80", ""}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[NAMES_TEXT_MAX];
		struct slice got =
		    names_fold((struct slice){cases[i].host, strlen(cases[i].host)}, buf);
		CU_ASSERT(slice_equal(got, (struct slice){cases[i].want, strlen(cases[i].want)}));
	}
	char buf[NAMES_TEXT_MAX], text[NAMES_TEXT_MAX + 2];
	memset(text, 'a', sizeof(text));
	CU_ASSERT_EQUAL(names_fold((struct slice){text, NAMES_TEXT_MAX}, buf).len, NAMES_TEXT_MAX);
	CU_ASSERT_EQUAL(names_fold((struct slice){text, NAMES_TEXT_MAX + 1}, buf).len, 0);
}

static void knows_what_a_name_is(void)
{
	static const char *const good[] = {"a", "example.com", "*.example.com", "*.com", "a_b-c.d",
	    "192.0.2.1", "[2001:db8::1]", "EXAMPLE.com"};
	static const char *const bad[] = {"", "*", "*.", ".", ".a", "a.", "a..b", "a.*", "*.*.a",
	    "*a.b", "a:80", "a/b", "[", "[]", "[::1", "[::g]", "\xc3\xa4", "a b"};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_TRUE(names_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(names_valid(bad[i]));
	char deep[2 + 2 * (NAMES_WILD_LABELS_MAX + 1) + 1] = "*.";
	for (unsigned i = 0; i < NAMES_WILD_LABELS_MAX; i++)
		strcat(deep, i == 0 ? "a" : ".a");
	CU_ASSERT_TRUE(names_valid(deep));
	strcat(deep, ".a");
	CU_ASSERT_FALSE(names_valid(deep));
	CU_ASSERT_TRUE(names_valid(deep + 2));
}

static uint32_t find(const struct names *names, const char *host)
{
	/* Of its exact size, so that a sanitizer sees a read past the end. */
	size_t len = strlen(host);
	char *copy = malloc(len ? len : 1);
	memcpy(copy, host, len);
	uint32_t found = names_find(names, (struct slice){copy, len});
	free(copy);
	return found;
}

static void finds_the_most_specific(void)
{
	static const char *const texts[] = {"a.example.com", "*.example.com", "*.com",
	    "*.B.example.com", "example.com", "*.example.com", "[::1]"};
	static const struct {
		const char *host;
		int want; /* index of texts; -1: none */
	} cases[] = {{"a.example.com", 0}, {"b.example.com", 1}, {"x.b.example.com", 3},
	    {"y.x.b.example.com", 3}, {"x.a.example.com", 1}, {"example.com", 4},
	    {"example.org", -1}, {"com", -1}, {"x.com", 2}, {"xexample.com", 2}, {"", -1},
	    {".example.com", 2}, {".com", -1}, {".", -1}, {"[::1]", 6}, {"a.example.co", -1},
	    {"a.example.comm", -1}};
	struct names *names = names_new(texts, 7);
	CU_ASSERT_PTR_NOT_NULL_FATAL(names);
	CU_ASSERT_EQUAL(names_count(names), 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t want =
		    cases[i].want < 0 ? NAMES_NONE : names_number(names, texts[cases[i].want]);
		uint32_t got = find(names, cases[i].host);
		if (got != want)
			printf("%s: %u, not %u\n", cases[i].host, got, want);
		CU_ASSERT_EQUAL(got, want);
	}
	uint32_t at = find(names, "z.b.example.com");
	at = names_wider(names, at);
	CU_ASSERT_EQUAL(at, names_number(names, "*.example.com"));
	at = names_wider(names, at);
	CU_ASSERT_EQUAL(at, names_number(names, "*.com"));
	CU_ASSERT_EQUAL(names_wider(names, at), NAMES_NONE);
	CU_ASSERT_EQUAL(names_wider(names, names_number(names, "a.example.com")),
	    names_number(names, "*.example.com"));
	CU_ASSERT_EQUAL(
	    names_wider(names, names_number(names, "example.com")), names_number(names, "*.com"));
	CU_ASSERT_EQUAL(names_number(names, "*.example.org"), NAMES_NONE);
	names_free(names);
}

static void holds_many(void)
{
	enum { N = 5000 };
	static char texts[N][32];
	static const char *list[N];
	for (int i = 0; i < N; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%shost-%d.example.com", i % 3 ? "" : "*.", i);
		list[i] = texts[i];
	}
	struct names *names = names_new(list, N);
	CU_ASSERT_PTR_NOT_NULL_FATAL(names);
	CU_ASSERT_EQUAL(names_count(names), N);
	bool ok = true;
	for (int i = 0; i < N; i++) {
		char host[48];
		snprintf(host, sizeof(host), "%shost-%d.example.com", i % 3 ? "" : "x.", i);
		ok &= find(names, host) == (uint32_t)i;
		ok &= find(names, host + 1) != (uint32_t)i;
	}
	CU_ASSERT(ok);
	names_free(names);
	names = names_new(NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(names);
	CU_ASSERT_EQUAL(find(names, "a.b"), NAMES_NONE);
	names_free(names);
	names_free(NULL);
}

UNIT_MAIN("route/names", UNIT(folds), UNIT(knows_what_a_name_is), UNIT(finds_the_most_specific),
    UNIT(holds_many))
