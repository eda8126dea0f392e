/* Routes as the configuration says them: plain data, filled in by conf/, compiled by table.c. The
 * lists are empty where a condition is not given; of a list any entry may hold, of a route's
 * conditions all must. */
#pragma once

#include <stdint.h>

#define ROUTE_LIST_MAX  64      /* entries of one list of a route */
#define ROUTES_MAX      4096    /* of a listener */
#define ROUTE_ITEMS_MAX 1000000 /* of a listener: hosts times paths, added up over its routes */
#define ROUTE_TEXT_MAX  1024    /* bytes of a pattern */

struct route_spec {
	const char *name;   /* of metrics and logs, or NULL */
	const char **hosts; /* "example.com", "*.example.com" */
	const char **paths; /* patterns (pattern.h) of the canonical path (path.h) */
	uint32_t n_hosts, n_paths;
	uint32_t pool; /* an index */
};
