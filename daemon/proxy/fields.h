/* Values of a head by their name, which is not known when the program is built. Of several that
 * have the name the first one counts. */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "daemon/http/h1.h"
#include "daemon/session/cookie.h"

/* Empty: there is none, or it is. */
static inline struct slice fields_value(const struct h1_head *head, struct slice name)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (slice_equal_nocase(head->fields[i].name, name))
			return head->fields[i].value;
	}
	return (struct slice){"", 0};
}

static inline bool fields_cookie(const struct h1_head *head, const char *name, struct slice *value)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (head->fields[i].id == H1_FIELD_COOKIE &&
		    cookie_find(head->fields[i].value, name, value))
			return true;
	}
	return false;
}

/* Of a request's target: without its query. */
static inline struct slice fields_path(const struct h1_head *head)
{
	const char *query = memchr(head->path.p, '?', head->path.len);
	return (struct slice){
	    head->path.p, query ? (size_t)(query - head->path.p) : head->path.len};
}
