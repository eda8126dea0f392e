/* Texts with variables: "https://{host}{path}". A brace that encloses no name of small letters, digits
 * and '_' is itself. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/http/h1.h"

/* Of the client's connection: known at any time. */
#define TEMPLATE_CLIENT_VARIABLES(X) \
	X(CLIENT_IP, "client_ip")    \
	X(CLIENT_PORT, "client_port")
/* Of a request's head: without those of a response. */
#define TEMPLATE_REQUEST_VARIABLES(X) \
	X(SCHEME, "scheme")           \
	X(HOST, "host")               \
	X(PORT, "port")               \
	X(PATH, "path")               \
	X(QUERY, "query")             \
	X(METHOD, "method")

enum template_variable {
	TEMPLATE_TEXT,
#define X(id, name) TEMPLATE_##id,
	TEMPLATE_CLIENT_VARIABLES(X) TEMPLATE_REQUEST_VARIABLES(X)
#undef X
	    TEMPLATE_COUNT,
	TEMPLATE_GROUP = TEMPLATE_COUNT /* {0} to {9}: what a regular expression found */
};

/* Which variables a text may have. */
enum template_scope { TEMPLATE_OF_RESPONSE, TEMPLATE_OF_REQUEST, TEMPLATE_OF_MATCH };

struct template_part {
	enum template_variable variable;
	uint8_t group;
	struct slice text; /* TEMPLATE_TEXT */
};

struct template
{
	struct template_part *parts;
	uint32_t n_parts;
};

/* Keeps a pointer to `text`. -EINVAL with a text for a variable that is not known (there), or
 * -ENOMEM. NULL is the empty text. */
int template_init(
    struct template *template, const char *text, enum template_scope scope, struct err *err);
void template_fini(struct template *template);

/* The values of the variables; what a scope does not have need not be there. */
struct template_values {
	const struct addr *peer;
	struct slice text[TEMPLATE_COUNT]; /* of those of the request */
	struct slice groups[10];
};

/* Those of a request, all but `peer`: its path without query, its host without port. */
void template_request_values(struct template_values *values, const struct h1_head *head);

/* Where texts are written: nothing more once it is full. */
struct template_out {
	char *at, *end;
	bool full;
};

void template_put(struct template_out *out, struct slice text);
void template_expand(const struct template *template, const struct template_values *values,
    struct template_out *out);
