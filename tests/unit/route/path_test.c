#include "daemon/route/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* In the table, what is not written is NULL. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* NULL: refused. `kept`: with an encoded slash kept apart, shown as '!'; NULL: the same. */
static const struct path_case {
	const char *raw, *want, *kept;
} paths[] = {
    {"/", "/"},
    {"/a/b.c;d=e", "/a/b.c;d=e"},
    {"/a/", "/a/"},
    {"/a...b/.c/..d/...", "/a...b/.c/..d/..."},
    /* decoding, once */
    {"/%61%2D%7e", "/a-~"},
    {"/%C3%a4", "/\xc3\xa4"},
    {"/%252e%252e/", "/%2e%2e/"},
    {"/%2541", "/%41"},
    {"/a%20b%3Fc%23d", "/a b?c#d"},
    {"/100%25", "/100%"},
    {"/%2a", "/*"},
    /* slashes */
    {"//", "/"},
    {"//a///b//", "/a/b/"},
    {"/a/%2f", "/a/", "/a/!"},
    {"/a%2Fb", "/a/b", "/a!b"},
    {"/%2Fa%2F%2Fb%2f/c", "/a/b/c", "/!a!!b!/c"},
    /* dots */
    {"/.", "/"},
    {"/./", "/"},
    {"/a/.", "/a/"},
    {"/a/./b", "/a/b"},
    {"/a/..", "/"},
    {"/a/../", "/"},
    {"/a/../b", "/b"},
    {"/a/b/../../c", "/c"},
    {"/a/b/..", "/a/"},
    {"/a//../b", "/b"},
    {"/a/%2e%2E/b", "/b"},
    {"/a/.%2e/b", "/b"},
    {"/a/%2e/b", "/a/b"},
    {"/a%2Fb/c/../d", "/a/b/d", "/a!b/d"},
    /* climbing above the root */
    {"/..", NULL},
    {"/../a", NULL},
    {"/a/../..", NULL},
    {"/a/../../b", NULL},
    {"/%2e%2e/", NULL},
    {"//../a", NULL},
    /* two readers, two paths */
    {"/a\\b/../c", NULL},
    {"/a%2F../b", NULL},
    {"/a/..%2Fb", NULL},
    {"/a/%2e%2e%2fb", NULL},
    {"/a%2F./b", NULL},
    {"/a/.%2Fb", NULL},
    {"/a%2Fb/../c", NULL},
    {"/a%2F/../c", NULL},
    {"/a%2F..", NULL},
    {"/a\\..\\b", NULL},
    {"/a/..\\b", NULL},
    {"/a\\../b", NULL},
    {"/a%5C../b", NULL},
    {"/a/..%5cb", NULL},
    {"/a/..;/b", NULL},
    {"/a/..;x=y/b", NULL},
    {"/a/.;/b", NULL},
    {"/a/%2e%2e;/b", NULL},
    {"/..;a", NULL},
    /* but not these */
    {"/a\\b", "/a\\b"},
    {"/a%5Cb", "/a\\b"},
    {"/a;..", "/a;.."},
    {"/a/...;/b", "/a/...;/b"},
    {"/a/;../b", "/a/;../b"},
    /* no text at all */
    {"/%00", NULL},
    {"/%0a", NULL},
    {"/%0D%0A", NULL},
    {"/%01", NULL},
    {"/%1f", NULL},
    {"/%7F", NULL},
    {"/%", NULL},
    {"/%4", NULL},
    {"/a%", NULL},
    {"/%4g", NULL},
    {"/%g4", NULL},
    {"/%%41", NULL},
    {"/% 41", NULL},
};

static bool holds(const char *raw, char slash, const char *want)
{
	/* Of their exact sizes, so that a sanitizer sees who leaves them. */
	size_t len = strlen(raw);
	char *copy = malloc(len), *buf = malloc(len);
	memcpy(copy, raw, len);
	struct slice out = {NULL, 0};
	int result = path_canonical((struct slice){copy, len}, slash, buf, &out);
	bool ok = want ? result == 0 && slice_equal(out, (struct slice){want, strlen(want)})
		       : result == -EINVAL && !out.p;
	if (!ok)
		printf("%s: %d, \"%.*s\"\n", raw, result, (int)out.len, out.p ? out.p : "");
	free(copy);
	free(buf);
	return ok;
}

static void canonical(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		CU_ASSERT(holds(paths[i].raw, '/', paths[i].want));
}

static void encoded_slashes_can_be_kept(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char text[64];
		const char *want = paths[i].kept ? paths[i].kept : paths[i].want;
		if (paths[i].kept) {
			text_copy(text, sizeof(text), want);
			for (char *p = text; *p; p++)
				*p = *p == '!' ? PATH_KEPT_SLASH : *p;
			want = text;
		}
		CU_ASSERT(holds(paths[i].raw, PATH_KEPT_SLASH, want));
	}
}

/* What came out goes in again and stays, unless it has bytes that mean something else then. */
static void is_a_fixed_point(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		if (paths[i].want && !strchr(paths[i].want, '%'))
			CU_ASSERT(holds(paths[i].want, '/', paths[i].want));
	}
}

UNIT_MAIN("route/path", UNIT(canonical), UNIT(encoded_slashes_can_be_kept), UNIT(is_a_fixed_point))
