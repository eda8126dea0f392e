/* What the three HTTP/1 targets share. */
#pragma once

#include <string.h>

#include "daemon/http/h1.h"
#include "tests/fuzz/fuzz.h"

typedef enum h1_result h1_fuzz_parse(const char *buf, size_t len, struct h1_head *out);

static inline bool h1_inside(struct slice s, const char *buf, size_t len)
{
	return s.p >= buf && s.len <= len && (size_t)(s.p - buf) <= len - s.len;
}

/* MORE, then the verdict for ever; the search for the end agrees. Short inputs are cut at every
 * byte, long ones at some. */
static inline void h1_require_stable(
    const char *buf, size_t size, enum h1_result result, h1_fuzz_parse *parse)
{
	static struct h1_head head;
	size_t scanned = 0, stride = 1 + size / 512;
	bool decided = false;
	for (size_t n = 0; n <= size; n += stride) {
		enum h1_result got = parse(buf, n, &head);
		require(got == H1_MORE ? !decided : got == result);
		decided = got != H1_MORE;
		require(!h1_head_complete(buf, n, &scanned) || decided);
		require(scanned <= n);
	}
	size_t anew = 0;
	bool complete = h1_head_complete(buf, size, &anew);
	require(!complete || result != H1_MORE);
	require(complete || result != H1_OK);
}

static inline void h1_require_fields_inside(const struct h1_head *head, const char *buf)
{
	require(head->n_fields <= H1_FIELDS_MAX && head->content_length <= INT64_MAX);
	for (unsigned i = 0; i < head->n_fields; i++) {
		const struct h1_field *field = &head->fields[i];
		require(field->id < H1_FIELD_COUNT && field->name.len > 0);
		require(h1_inside(field->line, buf, head->len));
		require(h1_inside(field->name, field->line.p, field->line.len));
		require(h1_inside(field->value, field->line.p, field->line.len));
		require(memchr(field->line.p, '\n', field->line.len) ==
			field->line.p + field->line.len - 1);
		require(!memchr(field->value.p, '\r', field->value.len));
	}
}

static inline size_t h1_append(char *out, size_t at, struct slice text)
{
	memcpy(out + at, text.p, text.len);
	return at + text.len;
}

static inline size_t h1_append_fields(const struct h1_head *head, char *out, size_t at)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		at = h1_append(out, at, head->fields[i].name);
		at = h1_append(out, at, SLICE(":"));
		at = h1_append(out, at, head->fields[i].value);
		at = h1_append(out, at, SLICE("\r\n"));
	}
	return h1_append(out, at, SLICE("\r\n"));
}

static inline void h1_require_same(const struct h1_head *a, const struct h1_head *b)
{
	require(a->minor == b->minor && a->framing == b->framing);
	require(a->content_length == b->content_length && a->upgrade == b->upgrade);
	require(a->keep_alive == b->keep_alive && a->n_fields == b->n_fields);
	for (unsigned i = 0; i < a->n_fields; i++) {
		require(a->fields[i].id == b->fields[i].id);
		require(a->fields[i].hop == b->fields[i].hop);
		require(slice_equal(a->fields[i].value, b->fields[i].value));
	}
}
