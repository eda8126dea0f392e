/* Routes by what a TLS client says. */
#include <string.h>

#include "daemon/route/route.h"
#include "tests/unit/unit.h"

static const char *exact[] = {"a.example", "b.example"}, *wild[] = {"*.example"},
		  *protocols[] = {"h2", "imap"};

static struct hello hello; /* large */
static const struct addr nobody;

/* The number of the route that takes it, or -1. `alpn` is as it is on the wire. */
static int find(const struct route_table *table, const char *name, struct slice alpn)
{
	uint32_t index = 0;
	hello.name = (struct slice){name, strlen(name)};
	hello.alpn = alpn;
	enum route_result result = route_find_hello(table, &hello, &nobody, &index);
	CU_ASSERT(result == ROUTE_FOUND || result == ROUTE_NOT_FOUND);
	return result == ROUTE_FOUND ? (int)index : -1;
}

static void first_that_fits(void)
{
	struct route_spec specs[] = {{.hosts = exact, .n_hosts = 2, .alpn = protocols, .n_alpn = 2},
	    {.hosts = wild, .n_hosts = 1}, {.hosts = exact, .n_hosts = 2},
	    {.alpn = protocols + 1, .n_alpn = 1}};
	struct route_table *table = route_table_new(specs, 4);
	struct slice none = {NULL, 0}, h2 = SLICE("\x08http/1.1\x02h2"), imap = SLICE("\x04imap");
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(find(table, "a.example", h2), 0);
	CU_ASSERT_EQUAL(find(table, "B.Example", imap), 0);
	CU_ASSERT_EQUAL(find(table, "a.example", none), 1); /* the first, not the nearest */
	CU_ASSERT_EQUAL(find(table, "x.y.example", h2), 1);
	CU_ASSERT_EQUAL(find(table, "example", none), -1);
	CU_ASSERT_EQUAL(find(table, "example", imap), 3);
	CU_ASSERT_EQUAL(find(table, "", imap), 3);
	CU_ASSERT_EQUAL(find(table, "", h2), -1);
	CU_ASSERT_EQUAL(find(table, "", SLICE("\x05imaps")), -1);
	route_table_free(table);
}

UNIT_MAIN("route/hello", UNIT(first_that_fits))
