/* What the files with rows of the schema table share. Of others only check_routes.c includes this. */
#pragma once

#include "conf/schema.h"

#define FIELD(t, m)            .offset = offsetof(t, m), .size = sizeof(((t *)NULL)->m)
#define ENTRIES(t, m, counter) FIELD(t, m), .count_offset = offsetof(t, counter)
#define KEYS(array)            .keys = (array), .n_keys = sizeof(array) / sizeof((array)[0])

extern const struct conf_object conf_schema_target; /* schema.c: one of a pool's targets */
extern const struct conf_key conf_schema_route; /* schema_routes.c: one of a listener's routes */
extern const struct conf_key conf_schema_rate_limit; /* schema_limits.c: one of a list */
