/* Routes as the configuration says them: plain data, filled in by conf/, compiled by table.c. The
 * lists are empty where a condition is not given; of a list any entry may hold, of a route's
 * conditions all must. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/limit/spec.h"

#define ROUTE_LIST_MAX   64      /* entries of one list of a route */
#define ROUTES_MAX       4096    /* of a listener */
#define ROUTE_ITEMS_MAX  1000000 /* of a listener: hosts times paths, added up over its routes */
#define ROUTE_TEXT_MAX   1024    /* bytes of a pattern, or of a text with variables */
#define ROUTE_NAMES_MAX  256     /* different headers, parameters and cookies a listener looks at */
#define ROUTE_SHARES_MAX 16
#define ROUTE_WEIGHT_MAX 1000
#define ROUTE_FIELDS_MAX 32   /* set or added by a route */
#define ROUTE_BODY_MAX   4096 /* of its own response */

/* The value of a header, parameter or cookie is like one of the patterns. */
struct route_named {
	const char *name;
	const char **patterns;
	uint32_t n_patterns;
};

struct route_source {
	struct addr addr;
	uint8_t prefix;
};

struct route_share {
	const char *name; /* of the pool */
	uint16_t weight;
	uint32_t pool; /* an index */
};

/* The parts of the Location; one that is NULL or 0 is the request's own. */
struct route_redirect {
	uint16_t status, port;
	const char *scheme, *host, *path, *query;
};

struct route_respond {
	uint16_t status;
	const char *content_type, *body;
};

struct route_rewrite {
	const char *from, *to; /* of the path; or NULL */
	const char *host;
};

struct route_field {
	const char *name, *value;
};

struct route_headers {
	struct route_field *set, *add;
	const char **remove;
	uint32_t n_set, n_add, n_remove;
};

enum route_kind { ROUTE_NOTHING, ROUTE_POOL, ROUTE_REDIRECT, ROUTE_RESPOND };

struct route_spec {
	const char *name; /* of metrics and logs, or NULL */

	const char **hosts; /* "example.com", "*.example.com"; mode tcp: of the ClientHello */
	const char **paths; /* patterns (pattern.h) of the canonical path (path.h) */
	const char **methods;
	const char **alpn; /* mode tcp: protocols that the client offers */
	struct route_named *headers, *queries, *cookies;
	struct route_source *sources;
	uint32_t n_hosts, n_paths, n_methods, n_alpn, n_headers, n_queries, n_cookies, n_sources;

	enum route_kind kind;
	uint32_t pool;              /* ROUTE_POOL: an index, or */
	struct route_share *shares; /* these */
	uint32_t n_shares;
	struct route_redirect redirect;
	struct route_respond respond;

	struct limit_spec *rate_limits; /* of what the route takes */
	uint32_t n_rate_limits;

	struct route_rewrite rewrite;
	struct route_headers request, response;
};
