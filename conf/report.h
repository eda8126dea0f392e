/* Collects errors with their places, to be told all at once and in the order of the text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/arena.h"
#include "conf/conf.h"
#include "conf/node.h"

#define REPORT_ERRORS_MAX 256 /* what comes after is only counted */

struct report_error {
	size_t offset;
	uint32_t order;
	char *text; /* "PATH: message" */
};

struct report {
	const char *text; /* the file's; stays with the caller */
	size_t len;
	struct arena arena;
	struct report_error errors[REPORT_ERRORS_MAX];
	uint32_t n_errors;
	uint32_t n_more;
	bool out_of_memory;
};

void report_init(struct report *report, const char *text, size_t len);
void report_fini(struct report *report);

/* Counting goes on, but no text is kept any more: spare the work of making one. */
static inline bool report_full(struct report *report)
{
	bool full = report->n_errors == REPORT_ERRORS_MAX;
	report->n_more += full;
	return full;
}

/* The value of `node` is wrong. */
void report_value(struct report *report, const struct node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The key of `node` is wrong. */
void report_key(struct report *report, const struct node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* `key` should be in the object `node`, but is not. */
void report_missing(struct report *report, const struct node *node, const char *key,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The byte at `offset`, within `node` (or NULL), is wrong. */
void report_offset(struct report *report, size_t offset, const struct node *node, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

/* Line and column from 1; a column is a character, a tab is one. */
void report_place(const struct report *report, size_t offset, unsigned *line, unsigned *column);

/* Tells everything. True if there were errors. */
bool report_flush(struct report *report, const char *file, conf_report_fn *fn, void *arg);

/* The value as written, for messages: cut when long, "a list", "an object" for those. */
#define SHOWN_MAX 80
char *report_shown(const struct report *report, const struct node *node, char buf[SHOWN_MAX]);
