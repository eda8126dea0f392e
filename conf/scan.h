/* Strict JSON (RFC 8259) plus comments, to a tree with places. json-c reads the same text for the
 * values; what json-c lets pass (single quotes, NaN, "1.", raw control characters, duplicate keys,
 * lone surrogates, NUL) is refused here, and both must accept a text. */
#pragma once

#include "conf/arena.h"
#include "conf/node.h"
#include "conf/report.h"

#define SCAN_DEPTH_MAX  32
#define SCAN_VALUES_MAX 400000

/* Scans `text`. `plain` (len bytes) becomes a copy in which comments are blanks, for json-c.
 * Returns the root, which lives in `arena`; NULL when an error was reported or memory ran out. A
 * duplicate key is reported too, but does not end the scan: the last one stays in the tree, as in
 * json-c's. `js` of the nodes is left NULL. */
struct node *scan_text(struct arena *arena, struct report *report, char *plain);
