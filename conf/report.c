#include "conf/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_TEXT_MAX    512
#define MESSAGE_TEXT_MAX 1024
#define LINE_TEXT_MAX    (4096 + PATH_TEXT_MAX + MESSAGE_TEXT_MAX)

void report_init(struct report *report, const char *text, size_t len)
{
	memset(report, 0, sizeof(*report));
	report->text = text;
	report->len = len;
	arena_init(&report->arena);
}

void report_fini(struct report *report)
{
	arena_fini(&report->arena);
}

__attribute__((format(printf, 5, 0))) static void add(struct report *report, size_t offset,
    const struct node *node, const char *key, const char *fmt, va_list args)
{
	char path[PATH_TEXT_MAX], message[MESSAGE_TEXT_MAX];
	if (report->n_errors == REPORT_ERRORS_MAX) {
		report->n_more++;
		return;
	}
	node_path(node, key, path, sizeof(path));
	if (vsnprintf(message, sizeof(message), fmt, args) < 0)
		return;
	size_t size = strlen(path) + strlen(message) + 3;
	char *text = arena_alloc(&report->arena, size);
	if (!text) {
		report->out_of_memory = true;
		return;
	}
	snprintf(text, size, "%s: %s", path, message);
	report->errors[report->n_errors] =
	    (struct report_error){.offset = offset, .order = report->n_errors, .text = text};
	report->n_errors++;
}

void report_value(struct report *report, const struct node *node, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(report, node->offset, node, NULL, fmt, args);
	va_end(args);
}

void report_key(struct report *report, const struct node *node, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(report, node->key_offset, node, NULL, fmt, args);
	va_end(args);
}

void report_missing(
    struct report *report, const struct node *node, const char *key, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(report, node->offset, node, key, fmt, args);
	va_end(args);
}

void report_offset(
    struct report *report, size_t offset, const struct node *node, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	add(report, offset, node, NULL, fmt, args);
	va_end(args);
}

/* Moves a place forward from `*at` to `offset`. */
static void advance(
    const struct report *report, size_t *at, size_t offset, unsigned *line, unsigned *column)
{
	for (; *at < offset && *at < report->len; (*at)++) {
		unsigned char c = (unsigned char)report->text[*at];
		if (c == '\n') {
			++*line;
			*column = 1;
		} else if ((c & 0xc0) != 0x80) {
			++*column;
		}
	}
}

void report_place(const struct report *report, size_t offset, unsigned *line, unsigned *column)
{
	size_t at = 0;
	*line = 1;
	*column = 1;
	advance(report, &at, offset, line, column);
}

static int by_place(const void *a, const void *b)
{
	const struct report_error *x = a, *y = b;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

bool report_flush(struct report *report, const char *file, conf_report_fn *fn, void *arg)
{
	char out[LINE_TEXT_MAX];
	size_t at = 0;
	unsigned line = 1, column = 1;
	if (report->n_errors == 0)
		return false;
	qsort(report->errors, report->n_errors, sizeof(report->errors[0]), by_place);
	for (uint32_t i = 0; i < report->n_errors; i++) {
		const struct report_error *error = &report->errors[i];
		advance(report, &at, error->offset, &line, &column);
		snprintf(out, sizeof(out), "%s:%u:%u: %s", file, line, column, error->text);
		fn(arg, out);
	}
	if (report->n_more > 0) {
		snprintf(out, sizeof(out), "%s:%u:%u: top level: and %u more errors", file, line,
		    column, report->n_more);
		fn(arg, out);
	}
	return true;
}

char *report_shown(const struct report *report, const struct node *node, char buf[SHOWN_MAX])
{
	const char *text = report->text + node->offset;
	size_t len = node->len;
	if (node->kind == NODE_LIST || node->kind == NODE_OBJECT)
		return text_copy(buf, SHOWN_MAX, node->kind == NODE_LIST ? "a list" : "an object");
	if (len < SHOWN_MAX) {
		snprintf(buf, SHOWN_MAX, "%.*s", (int)len, text);
		return buf;
	}
	len = SHOWN_MAX - 5;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	snprintf(buf, SHOWN_MAX, "%.*s...%s", (int)len, text, text[0] == '"' ? "\"" : "");
	return buf;
}
