#include "daemon/route/values.h"

#include <errno.h>
#include <string.h>

#include "daemon/base/hash.h"

#define SLOTS (2 * ROUTE_NAMES_MAX)
#define NONE  UINT32_MAX

/* Names of fields: capital letters do not matter. */
static char fold(enum value_kind kind, char c)
{
	return kind == VALUE_HEADER && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static uint32_t hash(enum value_kind kind, struct slice name)
{
	uint32_t h = 2166136261U;
	for (size_t i = 0; i < name.len; i++)
		h = (h ^ (uint8_t)fold(kind, name.p[i])) * 16777619U;
	return h ^ h >> 15;
}

static uint64_t filter_bit(enum value_kind kind, struct slice name)
{
	unsigned first = name.len > 0 ? (uint8_t)fold(kind, name.p[0]) : 0;
	return 1ULL << ((first & 7) * 8 + (name.len & 7));
}

static uint32_t find(const struct value_names *names, enum value_kind kind, struct slice name)
{
	if (!(names->filter & filter_bit(kind, name)))
		return NONE;
	for (uint32_t at = hash(kind, name);; at++) {
		uint16_t slot = names->slots[at % SLOTS];
		if (slot == 0)
			return NONE;
		const char *text = names->names[slot - 1];
		struct slice known = {text, strlen(text)};
		if (kind == VALUE_HEADER ? slice_equal_nocase(known, name)
					 : slice_equal(known, name))
			return slot - 1U;
	}
}

int value_names_add(struct value_names *names, enum value_kind kind, const char *text)
{
	struct slice name = {text, strlen(text)};
	uint32_t number = find(names, kind, name);
	if (number != NONE)
		return (int)number;
	if (names->n == ROUTE_NAMES_MAX)
		return -E2BIG;
	uint32_t at = hash(kind, name);
	while (names->slots[at % SLOTS])
		at++;
	names->names[names->n++] = text;
	names->slots[at % SLOTS] = (uint16_t)names->n;
	names->filter |= filter_bit(kind, name);
	return (int)names->n - 1;
}

void values_begin(struct values *values)
{
	memset(values, 0, offsetof(struct values, first));
}

static bool add(struct values *values, enum value_kind kind, uint32_t name, struct slice text)
{
	if (values->n == VALUES_MAX)
		return false;
	struct value *value = &values->all[values->n++];
	*value = (struct value){text, values->first[kind][name]};
	values->first[kind][name] = values->n;
	return true;
}

static bool collect_headers(
    struct values *values, const struct value_names *names, const struct h1_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		const struct h1_field *field = &head->fields[i];
		uint32_t name = find(names, VALUE_HEADER, field->name);
		if (name != NONE && !add(values, VALUE_HEADER, name, field->value))
			return false;
	}
	return true;
}

/* Takes the next part of *rest, up to `separator`. False: there is none. */
static bool next_part(struct slice *rest, char separator, struct slice *part)
{
	if (!rest->p)
		return false;
	const char *end = memchr(rest->p, separator, rest->len);
	*part = (struct slice){rest->p, end ? (size_t)(end - rest->p) : rest->len};
	*rest = end ? (struct slice){end + 1, rest->len - part->len - 1} : (struct slice){NULL, 0};
	return true;
}

/* "a=b" -> a, b; without '=' an empty value. */
static struct slice split(struct slice part, struct slice *value)
{
	const char *equals = memchr(part.p, '=', part.len);
	size_t len = equals ? (size_t)(equals - part.p) : part.len;
	*value = equals ? (struct slice){equals + 1, part.len - len - 1} : (struct slice){"", 0};
	return (struct slice){part.p, len};
}

static bool collect_cookies(
    struct values *values, const struct value_names *names, const struct h1_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct slice rest = head->fields[i].value, part, value;
		if (head->fields[i].id != H1_FIELD_COOKIE)
			continue;
		while (next_part(&rest, ';', &part)) {
			struct slice name = split(slice_trim(part), &value);
			uint32_t number = find(names, VALUE_COOKIE, name);
			if (number != NONE && !add(values, VALUE_COOKIE, number, value))
				return false;
		}
	}
	return true;
}

/* As forms are encoded; what begins no code stays. Texts are never longer than they came, and all of
 * a head fits the room. */
static struct slice decode(struct values *values, struct slice text)
{
	if (!memchr(text.p, '%', text.len) && !memchr(text.p, '+', text.len))
		return text;
	char *out = values->room + values->decoded, *at = out;
	if (text.len > sizeof(values->room) - values->decoded)
		return text;
	for (size_t i = 0; i < text.len; i++) {
		int high =
		    text.p[i] == '%' && i + 2 < text.len ? text_hex_digit(text.p[i + 1]) : -1;
		int low = high >= 0 ? text_hex_digit(text.p[i + 2]) : -1;
		*at++ = low >= 0 ? (char)(high * 16 + low) : text.p[i] == '+' ? ' ' : text.p[i];
		i += low >= 0 ? 2 : 0;
	}
	values->decoded += (uint32_t)(at - out);
	return (struct slice){out, (size_t)(at - out)};
}

static bool collect_parameters(
    struct values *values, const struct value_names *names, const struct h1_head *head)
{
	const char *query = memchr(head->path.p, '?', head->path.len);
	if (!query)
		return true;
	struct slice rest = {query + 1, (size_t)(head->path.p + head->path.len - query - 1)};
	struct slice part, value;
	while (next_part(&rest, '&', &part)) {
		struct slice name = decode(values, split(part, &value));
		uint32_t number = find(names, VALUE_QUERY, name);
		if (number != NONE && !add(values, VALUE_QUERY, number, decode(values, value)))
			return false;
	}
	return true;
}

bool values_collect(struct values *values, enum value_kind kind, const struct value_names *names,
    const struct h1_head *head)
{
	if (values->collected[kind])
		return true;
	values->collected[kind] = true;
	memset(values->first[kind], 0, names->n * sizeof(values->first[kind][0]));
	switch (kind) {
	case VALUE_HEADER: return collect_headers(values, names, head);
	case VALUE_QUERY: return collect_parameters(values, names, head);
	default: return collect_cookies(values, names, head);
	}
}
