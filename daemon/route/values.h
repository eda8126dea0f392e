/* The headers, query parameters and cookies that routes of a listener have conditions on: which names
 * these are, and their values in a request, collected in one pass when the first such condition is
 * looked at. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/http/h1.h"
#include "daemon/route/spec.h"

enum value_kind { VALUE_HEADER, VALUE_QUERY, VALUE_COOKIE, VALUE_KIND_COUNT };

/* The names of one kind, each with a number. */
struct value_names {
	const char *names[ROUTE_NAMES_MAX];
	uint16_t slots[2 * ROUTE_NAMES_MAX]; /* number + 1, or 0 */
	uint64_t filter; /* of lengths and first letters: most names are others */
	uint32_t n;
};

/* The number of `name`, which stays the caller's, given to it if it has none yet. -E2BIG: too many. */
int value_names_add(struct value_names *names, enum value_kind kind, const char *name);

#define VALUES_MAX 64 /* values of these names in one request */

struct value {
	struct slice text; /* of a parameter: percent-decoded, '+' as a blank */
	uint16_t next;     /* number + 1 of another one of this name, or 0 */
};

/* Of one request. Zero the beginning, up to `first`, to begin. */
struct values {
	bool collected[VALUE_KIND_COUNT];
	uint16_t n;
	uint32_t decoded; /* bytes of `room` */
	uint16_t first[VALUE_KIND_COUNT][ROUTE_NAMES_MAX];
	struct value all[VALUES_MAX];
	char room[32 * 1024];
};

void values_begin(struct values *values);
/* Collects those of one kind, unless that was done. False: there are too many. */
bool values_collect(struct values *values, enum value_kind kind, const struct value_names *names,
    const struct h1_head *head);
