#include "tests/unit/route/reference.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/route/pattern.h"

#define TEXT_MAX 512

static bool glob(const char *pattern, const char *text)
{
	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern != '*')
		return *pattern == *text && glob(pattern + 1, text + 1);
	return glob(pattern + 1, text) || (*text && glob(pattern, text + 1));
}

/* The regular expressions themselves are not what is tested. */
static bool regex(const char *pattern, const char *text)
{
	struct pattern_space *space = pattern_space_new();
	struct pattern compiled;
	struct err err;
	if (!space || pattern_init(&compiled, pattern, &err) < 0)
		abort();
	int result = pattern_matches(&compiled, (struct slice){text, strlen(text)}, space);
	pattern_fini(&compiled);
	pattern_space_free(space);
	return result == 1;
}

static bool text_matches(const char *pattern, const char *text)
{
	return pattern[0] == '~' ? regex(pattern, text) : glob(pattern, text);
}

static bool host_matches(const char *pattern, const char *host)
{
	if (pattern[0] != '*')
		return strcasecmp(pattern, host) == 0;
	size_t len = strlen(host), end = strlen(pattern) - 1;
	return len > end && strcasecmp(host + len - end, pattern + 1) == 0;
}

/* In a decoded path: a slash that was encoded. */
#define ENCODED 1

static bool decode(const char *raw, char *out)
{
	for (; *raw; raw++) {
		unsigned value = (unsigned char)*raw;
		if (*raw == '%') {
			char digits[3] = {raw[1], raw[1] ? raw[2] : '\0', '\0'}, *end;
			if (strspn(digits, "0123456789abcdefABCDEF") != 2)
				return false;
			value = (unsigned)strtoul(digits, &end, 16);
			raw += 2;
			if (value < 0x20 || value == 0x7f)
				return false;
			if (value == '/')
				value = ENCODED;
		}
		*out++ = (char)value;
	}
	*out = '\0';
	return true;
}

/* 1 for ".", 2 for "..", 0 else; with a parameter behind it the same, and *parameter. */
static int dots(const char *name, size_t len, bool *parameter)
{
	const char *semicolon = memchr(name, ';', len);
	size_t n = semicolon ? (size_t)(semicolon - name) : len;
	*parameter = semicolon != NULL;
	if (n == 1 && name[0] == '.')
		return 1;
	return n == 2 && name[0] == '.' && name[1] == '.' ? 2 : 0;
}

/* Dots that somebody may take for a step in the path, and somebody else for a name. */
static bool has_doubtful_dots(const char *segment)
{
	const char *separators = "\1\\";
	bool divided = strpbrk(segment, separators) != NULL, parameter;
	for (;;) {
		size_t n = strcspn(segment, separators);
		if (dots(segment, n, &parameter) && (divided || parameter))
			return true;
		if (segment[n] == '\0')
			return false;
		segment += n + 1;
	}
}

/* Splits at the slashes, keeps a stack of segments, joins them again. */
static bool canonical(const char *raw, char *out)
{
	char decoded[TEXT_MAX], *stack[TEXT_MAX], *save = decoded + 1;
	int n = 0;
	bool ends_with_slash = false, parameter;
	if (!decode(raw, decoded))
		return false;
	for (char *segment; (segment = strsep(&save, "/"));) {
		ends_with_slash = true;
		if (has_doubtful_dots(segment))
			return false;
		int steps = dots(segment, strlen(segment), &parameter);
		if (steps == 2) {
			if (n == 0 || strpbrk(stack[--n], "\1\\"))
				return false;
		} else if (steps == 0 && segment[0] != '\0') {
			stack[n++] = segment;
			ends_with_slash = false;
		}
	}
	char joined[TEXT_MAX] = "", *to = out;
	for (int i = 0; i < n; i++) {
		strcat(joined, "/");
		strcat(joined, stack[i]);
	}
	if (n == 0 || ends_with_slash)
		strcat(joined, "/");
	for (const char *p = joined; *p; p++) {
		char c = *p == ENCODED ? '/' : *p;
		if (c != '/' || to == out || to[-1] != '/')
			*to++ = c;
	}
	*to = '\0';
	return true;
}

static void to_text(struct slice slice, char *text)
{
	if (slice.len >= TEXT_MAX)
		abort();
	memcpy(text, slice.p, slice.len);
	text[slice.len] = '\0';
}

static bool any_matches(const char *const *patterns, uint32_t n, const char *text,
    bool (*matches)(const char *pattern, const char *text))
{
	for (uint32_t i = 0; i < n; i++)
		if (matches(patterns[i], text))
			return true;
	return n == 0;
}

static bool method_matches(const char *pattern, const char *method)
{
	return strcmp(pattern, method) == 0;
}

/* A value of `name` that is like one of its patterns. */
typedef bool value_fn(const struct route_named *named, const struct h1_head *head);

static bool like_one(const struct route_named *named, const char *text)
{
	for (uint32_t i = 0; i < named->n_patterns; i++)
		if (text_matches(named->patterns[i], text))
			return true;
	return false;
}

static bool header_holds(const struct route_named *named, const struct h1_head *head)
{
	char name[TEXT_MAX], value[TEXT_MAX];
	for (uint32_t i = 0; i < head->n_fields; i++) {
		to_text(head->fields[i].name, name);
		to_text(head->fields[i].value, value);
		if (strcasecmp(name, named->name) == 0 && like_one(named, value))
			return true;
	}
	return false;
}

/* In place. */
static void decode_form(char *text)
{
	char *out = text;
	for (; *text; text++) {
		char digits[3] = {text[1], text[1] ? text[2] : '\0', '\0'};
		bool code = *text == '%' && strspn(digits, "0123456789abcdefABCDEF") == 2;
		*out++ = code ? (char)strtoul(digits, NULL, 16) : *text == '+' ? ' ' : *text;
		text += code ? 2 : 0;
	}
	*out = '\0';
}

static bool query_holds(const struct route_named *named, const struct h1_head *head)
{
	char target[TEXT_MAX], *save;
	to_text(head->path, target);
	if (!(save = strchr(target, '?')))
		return false;
	save++;
	for (char *part; (part = strsep(&save, "&"));) {
		char *value = strchr(part, '=');
		if (value)
			*value++ = '\0';
		else
			value = part + strlen(part);
		decode_form(part);
		decode_form(value);
		if (strcmp(part, named->name) == 0 && like_one(named, value))
			return true;
	}
	return false;
}

static bool cookie_holds(const struct route_named *named, const struct h1_head *head)
{
	char name[TEXT_MAX], cookies[TEXT_MAX], *save;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		to_text(head->fields[i].name, name);
		to_text(head->fields[i].value, cookies);
		save = cookies;
		for (char *part; strcasecmp(name, "cookie") == 0 && (part = strsep(&save, ";"));) {
			part += strspn(part, " \t");
			for (char *end = part + strlen(part); end > part && end[-1] == ' '; end--)
				end[-1] = '\0';
			char *value = strchr(part, '=');
			if (value)
				*value++ = '\0';
			if (strcmp(part, named->name) == 0 && like_one(named, value ? value : ""))
				return true;
		}
	}
	return false;
}

static bool all_hold(
    const struct route_named *named, uint32_t n, const struct h1_head *head, value_fn *holds)
{
	for (uint32_t i = 0; i < n; i++)
		if (!holds(&named[i], head))
			return false;
	return true;
}

/* Bit by bit. */
static bool source_holds(const struct route_spec *spec, const struct addr *peer)
{
	for (uint32_t i = 0; i < spec->n_sources; i++) {
		size_t len, other;
		const uint8_t *a = addr_bytes(&spec->sources[i].addr, &len);
		const uint8_t *b = addr_bytes(peer, &other);
		unsigned same = 0;
		while (len == other && same < spec->sources[i].prefix &&
		       ((a[same / 8] ^ b[same / 8]) & (0x80 >> same % 8)) == 0)
			same++;
		if (len == other && same == spec->sources[i].prefix)
			return true;
	}
	return spec->n_sources == 0;
}

int reference_find(
    const struct route_spec *specs, uint32_t n, const struct h1_head *head, const struct addr *peer)
{
	char host[TEXT_MAX], target[TEXT_MAX], path[TEXT_MAX], method[TEXT_MAX];
	bool uses_paths = false;
	to_text(head->host, host);
	to_text(head->method_text, method);
	if (host[0] != '[')
		host[strcspn(host, ":")] = '\0';
	else
		strchr(host, ']')[1] = '\0';
	if (host[0] && host[strlen(host) - 1] == '.')
		host[strlen(host) - 1] = '\0';
	to_text(head->path, target);
	target[strcspn(target, "?")] = '\0';
	for (uint32_t i = 0; i < n; i++)
		uses_paths |= specs[i].n_paths > 0;
	if (uses_paths && target[0] == '/' && !canonical(target, path))
		return REFERENCE_BAD_PATH;
	if (target[0] != '/')
		strcpy(path, target);
	for (uint32_t i = 0; i < n; i++) {
		const struct route_spec *spec = &specs[i];
		if (any_matches(spec->hosts, spec->n_hosts, host, host_matches) &&
		    any_matches(spec->paths, spec->n_paths, path, text_matches) &&
		    any_matches(spec->methods, spec->n_methods, method, method_matches) &&
		    all_hold(spec->headers, spec->n_headers, head, header_holds) &&
		    all_hold(spec->queries, spec->n_queries, head, query_holds) &&
		    all_hold(spec->cookies, spec->n_cookies, head, cookie_holds) &&
		    source_holds(spec, peer))
			return (int)i;
	}
	return -1;
}
