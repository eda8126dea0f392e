/* The routes of a listener, compiled: which of them takes a request. The first whose conditions all
 * hold, as they stand in the configuration; the cost does not grow with the number of hosts, and
 * little with that of paths (README.md). A table is immutable, so any thread may look; a look-up
 * allocates nothing. */
#pragma once

#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/http/h1.h"
#include "daemon/route/act.h"
#include "daemon/route/spec.h"
#include "daemon/sni/hello.h"

struct route_table;

/* Keeps pointers to `specs`, which the configuration has checked. NULL when out of memory. */
struct route_table *route_table_new(const struct route_spec *specs, uint32_t n);
void route_table_free(struct route_table *table);

/* What a thread needs for look-ups: room for the path, and more. */
struct route_space;

struct route_space *route_space_new(void); /* NULL when out of memory */
void route_space_free(struct route_space *space);

enum route_result {
	ROUTE_FOUND,
	ROUTE_NOT_FOUND,
	ROUTE_BAD_PATH,        /* refused: path.h. Only if a route has a condition on paths */
	ROUTE_TOO_MANY_VALUES, /* of headers, parameters and cookies with conditions: values.h */
	ROUTE_TOO_COMPLEX, /* a regular expression took too long: nobody knows whose request it is */
};

#define ROUTE_PATH_MAX (32U * 1024) /* a longer path is a bad one */

/* *index gets the number of the route (ROUTE_FOUND). */
enum route_result route_find(const struct route_table *table, const struct h1_head *head,
    const struct addr *peer, struct route_space *space, uint32_t *index);
/* The same for a TLS connection. ROUTE_FOUND or ROUTE_NOT_FOUND. */
enum route_result route_find_hello(const struct route_table *table, const struct hello *hello,
    const struct addr *peer, uint32_t *index);
/* What the route does with requests. */
const struct act *route_act(const struct route_table *table, uint32_t index);
