/* Single values: from text to a field of a struct, and back to a canonical text. Pure. */
#pragma once

#include "conf/arena.h"
#include "conf/node.h"
#include "conf/schema.h"
#include "daemon/base/err.h"

/* Parses the value of a row that is no object, map or list into `field`. `text` is decoded if it
 * was a string, else as written; `shown` is what messages call it. Strings are copied to `arena`.
 * 0, -EINVAL with a text (the value and what was wanted), or -ENOMEM. Leaves CONF_POOL to the
 * caller: it checks the text only. */
int value_parse(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, struct arena *arena, void *field, struct err *err);
/* The same for the row's default. */
int value_parse_default(
    const struct conf_key *key, struct arena *arena, void *field, struct err *err);
/* True when two fields of this row mean the same. */
bool value_equal(const struct conf_key *key, const void *a, const void *b);

/* The one text of a field, whichever way it was written ("1000ms" and "1s" are both "1s"). */
#define VALUE_TEXT_MAX 4200
char *value_format(const struct conf_key *key, const void *field, char buf[VALUE_TEXT_MAX]);
/* A number of this row's kind: 100, "100ms", "16KiB" (without quotes). */
char *value_format_number(enum conf_type type, uint64_t value, char *buf, size_t size);

/* What the row wants, for messages and the manual: "an integer in 1..256". */
#define VALUE_WISH_MAX 256
char *value_wish(const struct conf_key *key, char buf[VALUE_WISH_MAX]);

/* "90s", "1.5h" to microseconds; units us, ms, s, m, h, d. Exact, no sign, no blanks. */
bool value_parse_duration(const char *text, uint64_t *out);
/* "16KiB" to bytes; units B, KiB, MiB, GiB. */
bool value_parse_size(const char *text, uint64_t *out);
