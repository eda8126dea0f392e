#include <stdlib.h>
#include <string.h>

#include "daemon/route/route.h"
#include "tests/unit/unit.h"

/* Of "a b c": three texts in a list. */
struct words {
	char copy[512];
	const char *list[ROUTE_LIST_MAX];
	uint32_t n;
};

static void split(struct words *words, const char *text)
{
	char *save = words->copy;
	text_copy(words->copy, sizeof(words->copy), text);
	words->n = 0;
	for (char *word; (word = strsep(&save, " "));)
		if (*word)
			words->list[words->n++] = word;
}

/* Routes as they would be written, and what happens to requests. */
struct written {
	const char *hosts, *paths;
};

#define WRITTEN_MAX 8

struct expectation {
	const char *host, *target;
	int want; /* number of the route; -1: none, -2: bad path, -3: too complex */
};

static struct words hosts[WRITTEN_MAX], paths[WRITTEN_MAX];
static struct route_spec specs[WRITTEN_MAX];

static struct route_table *compile(const struct written *routes, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		split(&hosts[i], routes[i].hosts);
		split(&paths[i], routes[i].paths);
		specs[i] = (struct route_spec){.hosts = hosts[i].list,
		    .n_hosts = hosts[i].n,
		    .paths = paths[i].list,
		    .n_paths = paths[i].n};
	}
	return route_table_new(specs, n);
}

static int find(const struct route_table *table, const char *host, const char *target)
{
	static struct h1_head head;
	struct route_space *space = route_space_new();
	char request[1024];
	int len = host ? snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
			     target, host)
		       : snprintf(request, sizeof(request), "OPTIONS %s HTTP/1.0\r\n\r\n", target);
	CU_ASSERT_FATAL(space && h1_parse_request(request, (size_t)len, &head) == H1_OK);
	uint32_t index;
	static const struct addr peer;
	enum route_result result = route_find(table, &head, &peer, space, &index);
	route_space_free(space);
	return result == ROUTE_FOUND       ? (int)index
	       : result == ROUTE_NOT_FOUND ? -1
	       : result == ROUTE_BAD_PATH  ? -2
					   : -3;
}

static void expect(
    const struct written *routes, uint32_t n, const struct expectation *expected, size_t n_expected)
{
	struct route_table *table = compile(routes, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	for (size_t i = 0; i < n_expected; i++) {
		int got = find(table, expected[i].host, expected[i].target);
		if (got != expected[i].want)
			printf("%s %s: %d, not %d\n", expected[i].host, expected[i].target, got,
			    expected[i].want);
		CU_ASSERT_EQUAL(got, expected[i].want);
	}
	route_table_free(table);
}

#define EXPECT(routes, expected)                                       \
	expect(routes, sizeof(routes) / sizeof((routes)[0]), expected, \
	    sizeof(expected) / sizeof((expected)[0]))

static void hosts_decide(void)
{
	static const struct written routes[] = {
	    {"a.example", ""}, {"*.example", ""}, {"b.example c.test", ""}, {"[::1]", ""}};
	static const struct expectation expected[] = {{"a.example", "/", 0},
	    {"A.Example.:80", "/x", 0}, {"b.example", "/", 1}, {"x.y.example", "/", 1},
	    {"c.test", "/", 2}, {"example", "/", -1}, {"test", "/", -1}, {"[::1]:80", "/", 3},
	    {"[::2]", "/", -1}, {NULL, "/", -1}};
	EXPECT(routes, expected);
}

static void the_first_wins_not_the_most_specific(void)
{
	static const struct written routes[] = {{"*.example", "/a/*"}, {"a.example", "/a/b/*"},
	    {"a.example", ""}, {"", "/a/b/c"}, {"", "/*"}};
	static const struct expectation expected[] = {{"a.example", "/a/b/c", 0},
	    {"a.example", "/b", 2}, {"b.example", "/a/b/c", 0}, {"b.example", "/a", 4},
	    {"b.test", "/a/b/c", 3}, {"b.test", "/a/b/", 4}};
	EXPECT(routes, expected);
}

static void paths_decide(void)
{
	static const struct written routes[] = {{"", "/a"}, {"", "/a/*"}, {"", "/a/b /c/"},
	    {"", "/*.png"}, {"", "~^/v[0-9]+/"}, {"", "/ab*"}, {"", "/\xc3\xa4"}};
	static const struct expectation expected[] = {{"h", "/a", 0}, {"h", "/a?b", 0},
	    {"h", "/a/", 1}, {"h", "/a/b", 1}, {"h", "/c/", 2}, {"h", "/c", -1}, {"h", "/c/d", -1},
	    {"h", "/x/y.png", 3}, {"h", "/v12/x", 4}, {"h", "/ab", 5}, {"h", "/abc", 5},
	    {"h", "/%61", 0}, {"h", "/x/../a", 0}, {"h", "//a", 0}, {"h", "/%C3%A4", 6},
	    {"h", "/A", -1}, {"h", "/", -1}, {NULL, "*", -1}, {"h", "/..", -2}, {"h", "/%00", -2},
	    {"h", "/?/..", -1}};
	EXPECT(routes, expected);
}

static void paths_do_not_matter_where_no_route_looks(void)
{
	static const struct written routes[] = {{"a", ""}};
	static const struct expectation expected[] = {
	    {"a", "/..", 0}, {"a", "/%00", 0}, {"b", "/..", -1}};
	EXPECT(routes, expected);
}

static void a_route_may_be_met_by_several_of_its_paths(void)
{
	static const struct written routes[] = {
	    {"a *.a b", "/x* /xy /xy* ~^/x"}, {"a b", "/x /x* ~x$"}, {"", "/xyz ~."}};
	static const struct expectation expected[] = {
	    {"a", "/xy", 0}, {"c.a", "/x", 0}, {"b", "/yx", 1}, {"c", "/xyz", 2}, {"a", "/", 2}};
	EXPECT(routes, expected);
}

static void a_pattern_that_takes_too_long_is_no_answer(void)
{
	static const struct written routes[] = {{"", "/b"}, {"a", "~^/(a+)+$"}, {"", ""}};
	static const struct expectation expected[] = {{"a", "/b", 0},
	    {"a", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", -3},
	    {"b", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 2}};
	EXPECT(routes, expected);
}

static void a_name_may_lie_below_many_wildcards(void)
{
	enum { DEPTH = 30 };
	char texts[DEPTH][96] = {"*.w"}, host[80] = "w";
	const char *lists[DEPTH];
	struct route_spec deep[DEPTH];
	for (int i = 0; i < DEPTH; i++) {
		snprintf(texts[i], sizeof(texts[i]), "*.%s", host);
		memmove(host + 2, host, strlen(host) + 1);
		memcpy(host, "w.", 2);
		lists[i] = texts[i];
		deep[i] = (struct route_spec){.hosts = &lists[i], .n_hosts = 1, .paths = NULL};
	}
	struct route_table *table = route_table_new(deep, DEPTH);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(find(table, host, "/"), 0);
	CU_ASSERT_EQUAL(find(table, host + 2, "/"), 0);
	CU_ASSERT_EQUAL(find(table, "x", "/"), -1);
	route_table_free(table);
}

static void a_long_path_is_refused(void)
{
	static const struct written routes[] = {{"", "/*"}};
	static char request[ROUTE_PATH_MAX + 128];
	static struct h1_head head;
	struct route_table *table = compile(routes, 1);
	struct route_space *space = route_space_new();
	CU_ASSERT_FATAL(table && space);
	for (size_t len = ROUTE_PATH_MAX; len <= ROUTE_PATH_MAX + 1; len++) {
		uint32_t index;
		size_t n = (size_t)sprintf(request, "GET /");
		memset(request + n, '.', len - 1);
		n += len - 1;
		n += (size_t)sprintf(request + n, " HTTP/1.1\r\nHost: a\r\n\r\n");
		CU_ASSERT_EQUAL_FATAL(h1_parse_request(request, n, &head), H1_OK);
		static const struct addr peer;
		CU_ASSERT_EQUAL(route_find(table, &head, &peer, space, &index),
		    len <= ROUTE_PATH_MAX ? ROUTE_FOUND : ROUTE_BAD_PATH);
	}
	route_space_free(space);
	route_table_free(table);
	route_table_free(NULL);
	route_space_free(NULL);
}

UNIT_MAIN("route/table", UNIT(hosts_decide), UNIT(the_first_wins_not_the_most_specific),
    UNIT(paths_decide), UNIT(paths_do_not_matter_where_no_route_looks),
    UNIT(a_route_may_be_met_by_several_of_its_paths),
    UNIT(a_pattern_that_takes_too_long_is_no_answer), UNIT(a_name_may_lie_below_many_wildcards),
    UNIT(a_long_path_is_refused))
