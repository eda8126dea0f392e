#include "daemon/route/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* As pattern_matches; `text` in a block of its exact size. */
static int match(const char *pattern_text, const char *text, size_t len)
{
	struct pattern pattern;
	struct err err = {0};
	struct pattern_space *space = pattern_space_new();
	char *copy = malloc(len ? len : 1);
	CU_ASSERT_FATAL(space && copy);
	memcpy(copy, text, len);
	if (pattern_init(&pattern, pattern_text, &err) < 0) {
		printf("%s: %s\n", pattern_text, err.text);
		abort();
	}
	int result = pattern_matches(&pattern, (struct slice){copy, len}, space);
	pattern_space_free(space);
	pattern_fini(&pattern);
	free(copy);
	return result;
}

static void matches(void)
{
	static const struct {
		const char *pattern, *text;
		int want;
	} cases[] = {
	    {"/a", "/a", 1},
	    {"/a", "/A", 0},
	    {"/a", "/ab", 0},
	    {"/a", "/", 0},
	    {"/a", "", 0},
	    {"", "", 1},
	    {"", "a", 0},
	    /* beginnings */
	    {"/a/*", "/a/", 1},
	    {"/a/*", "/a/b/c", 1},
	    {"/a/*", "/a", 0},
	    {"/a/*", "/A/", 0},
	    {"*", "", 1},
	    {"*", "x", 1},
	    {"a*", "a", 1},
	    /* stars elsewhere */
	    {"*a", "a", 1},
	    {"*a", "ba", 1},
	    {"*a", "ab", 0},
	    {"*a", "", 0},
	    {"/*.png", "/x.png", 1},
	    {"/*.png", "/.png", 1},
	    {"/*.png", "/a/b.png", 1},
	    {"/*.png", "/x.pngx", 0},
	    {"/*.png", ".png", 0},
	    {"a*a", "a", 0},
	    {"a*a", "aa", 1},
	    {"a*a", "aba", 1},
	    {"a*b*c", "abc", 1},
	    {"a*b*c", "axbxc", 1},
	    {"a*b*c", "acb", 0},
	    {"a*b*c", "abbc", 1},
	    {"*ab*ab", "abab", 1},
	    {"*ab*ab", "ab", 0},
	    {"*ab*ab*", "xabab", 1},
	    {"**", "", 1},
	    {"**a**", "bab", 1},
	    {"a**b", "ab", 1},
	    {"*aab", "aaab", 1},
	    {"*aa*aab", "aaab", 0},
	    {"*aa*aab", "aaaab", 1},
	    /* regular expressions */
	    {"~^/v[0-9]+/", "/v12/x", 1},
	    {"~^/v[0-9]+/", "/vx/", 0},
	    {"~b", "abc", 1},
	    {"~^b", "abc", 0},
	    {"~c$", "abc", 1},
	    {"~c$", "abc\n", 0},
	    {"~(?i)^/A$", "/a", 1},
	    {"~^a.b$", "a\nb", 1},
	    {"~", "", 1},
	    {"~^$", "", 1},
	    {"~^(a|b)\\1$", "aa", 1},
	    {"~\xc3\xa4", "x\xc3\xa4", 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int got = match(cases[i].pattern, cases[i].text, strlen(cases[i].text));
		if (got != cases[i].want)
			printf("%s: %s: %d\n", cases[i].pattern, cases[i].text, got);
		CU_ASSERT_EQUAL(got, cases[i].want);
	}
}

static void refuses(void)
{
	static const char *const bad[] = {"~[", "~(", "~a**", "~(?<x", "~\\C", "~(*UTF)a", "~\\"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pattern pattern;
		struct err err = {0};
		int result = pattern_init(&pattern, bad[i], &err);
		if (result == 0)
			printf("%s is accepted\n", bad[i]);
		CU_ASSERT_EQUAL(result, -EINVAL);
		CU_ASSERT(strncmp(err.text, "not a regular expression, at its byte ", 38) == 0);
	}
}

/* What would take ages ends. */
static void gives_up(void)
{
	static char text[32 * 1024];
	memset(text, 'a', sizeof(text));
	CU_ASSERT_EQUAL(match("~^(a+)+$", text, 100), 1);
	text[99] = 'b';
	CU_ASSERT_EQUAL(match("~^(a+)+$", text, 100), -E2BIG);
	CU_ASSERT_EQUAL(match("~^(a|aa)+$", text, 100), -E2BIG);
	text[99] = 'a';
	/* and what is long but simple does not give up */
	CU_ASSERT_EQUAL(match("~^/?a*$", text, sizeof(text)), 1);
	CU_ASSERT_EQUAL(match("~^[a-z]+[0-9]$", text, sizeof(text)), 0);
	CU_ASSERT_EQUAL(match("*b*", text, sizeof(text)), 0);
	/* quadratic if done badly */
	CU_ASSERT_EQUAL(match("*aaaaaaaaab*aaaaaaaaab*b", text, sizeof(text)), 0);
}

UNIT_MAIN("route/pattern", UNIT(matches), UNIT(refuses), UNIT(gives_up))
