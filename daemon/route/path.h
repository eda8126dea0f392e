/* The path of a request in the one form that routes are compared with: percent-decoded, "//" as
 * "/", without "." and "..". A path that two readers could take for different ones in this is
 * refused (README.md). Pure. */
#pragma once

#include "daemon/base/text.h"

/* A decoded %2F where it must stay apart from a slash: no path has this byte otherwise. */
#define PATH_KEPT_SLASH '\001'

/* `raw` begins with "/" and has no query. *out is `raw` itself where nothing differs, else in `buf`,
 * which needs raw.len bytes. `slash` stands for an encoded slash: '/', or PATH_KEPT_SLASH. 0, or
 * -EINVAL: refused, and *out untouched. */
int path_canonical(struct slice raw, char slash, char *buf, struct slice *out);
