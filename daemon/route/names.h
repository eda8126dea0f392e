/* A table of host names: exact ones, and wildcards like "*.example.com", which stand for every name
 * below it, however deep, but not for "example.com" itself. The cost of a look-up depends on the
 * length of the name that is looked for, not on the number of names. Immutable once built, so any
 * thread may look. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/text.h"

#define NAMES_TEXT_MAX        255
#define NAMES_WILD_LABELS_MAX 30 /* of a wildcard: so many can stand for one name */
#define NAMES_NONE            UINT32_MAX

struct names;

/* A name without port, in small letters, in `buf`: of a Host ("Example.com.:80") or a server name.
 * Empty when it is longer than a name can be. */
struct slice names_fold(struct slice host, char buf[NAMES_TEXT_MAX]);

/* Whether a configuration may have this as a name: letters, digits, '-' and '_' between dots, an
 * address, or one of these behind "*.". */
bool names_valid(const char *text);

/* Keeps copies of `texts` (of names_valid), which may repeat. NULL when out of memory. */
struct names *names_new(const char *const *texts, uint32_t n);
void names_free(struct names *names);

/* The number of different names; each has a number below. */
uint32_t names_count(const struct names *names);
/* The number of a name as it was given to names_new. */
uint32_t names_number(const struct names *names, const char *text);
/* The most specific name that stands for `folded`: itself, else the longest wildcard; NAMES_NONE if
 * none does. */
uint32_t names_find(const struct names *names, struct slice folded);
/* The wildcard that is next less specific and stands for the same names, or NAMES_NONE. */
uint32_t names_wider(const struct names *names, uint32_t number);
