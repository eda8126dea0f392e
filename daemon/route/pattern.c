#include "daemon/route/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Enough for PATTERN_STEPS_MAX of a plain expression; kept by the space once it was needed. */
#define HEAP_KIB_MAX 2048
#define GROUPS       PATTERN_GROUPS

struct pattern_space {
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

struct pattern_space *pattern_space_new(void)
{
	struct pattern_space *space = calloc(1, sizeof(*space));
	if (!space)
		return NULL;
	space->data = pcre2_match_data_create(GROUPS, NULL);
	space->limits = pcre2_match_context_create(NULL);
	if (!space->data || !space->limits) {
		pattern_space_free(space);
		return NULL;
	}
	pcre2_set_match_limit(space->limits, PATTERN_STEPS_MAX);
	pcre2_set_depth_limit(space->limits, PATTERN_STEPS_MAX);
	pcre2_set_heap_limit(space->limits, HEAP_KIB_MAX);
	return space;
}

void pattern_space_free(struct pattern_space *space)
{
	if (!space)
		return;
	pcre2_match_data_free(space->data);
	pcre2_match_context_free(space->limits);
	free(space);
}

/* Not compiled to machine code: the sandbox allows no memory that is both written and run. */
static int compile(struct pattern *pattern, const char *regex, struct err *err)
{
	int error;
	PCRE2_SIZE at;
	pattern->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
	    PCRE2_DOLLAR_ENDONLY | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF, &error,
	    &at, NULL);
	if (pattern->code)
		return 0;
	if (error == PCRE2_ERROR_HEAP_FAILED)
		return err_set(err, -ENOMEM, "out of memory");
	char text[128];
	pcre2_get_error_message(error, (PCRE2_UCHAR *)text, sizeof(text));
	return err_set(err, -EINVAL, "not a regular expression, at its byte %zu: %s", at + 1, text);
}

int pattern_init(struct pattern *pattern, const char *text, struct err *err)
{
	const char *star = strchr(text, '*');
	*pattern = (struct pattern){.text = {text, strlen(text)}};
	if (text[0] == '~') {
		pattern->kind = PATTERN_REGEX;
		return compile(pattern, text + 1, err);
	}
	if (!star) {
		pattern->kind = PATTERN_EXACT;
	} else if (star[1] == '\0') {
		pattern->kind = PATTERN_PREFIX;
		pattern->text.len--;
	} else {
		pattern->kind = PATTERN_WILDCARD;
	}
	return 0;
}

void pattern_fini(struct pattern *pattern)
{
	pcre2_code_free(pattern->code);
	pattern->code = NULL;
}

static bool begins_with(struct slice text, struct slice start)
{
	return text.len >= start.len && memcmp(text.p, start.p, start.len) == 0;
}

/* The first piece stands at the beginning, the last at the end, each other one where it is found
 * first: if any way to place them works, this does. */
static bool wildcard_matches(struct slice pattern, struct slice text)
{
	const char *at = pattern.p, *end = pattern.p + pattern.len;
	const char *star = memchr(at, '*', pattern.len);
	struct slice piece = {at, (size_t)(star - at)};
	if (!begins_with(text, piece))
		return false;
	text.p += piece.len;
	text.len -= piece.len;
	for (;;) {
		at = star + 1;
		star = memchr(at, '*', (size_t)(end - at));
		if (!star)
			break;
		piece = (struct slice){at, (size_t)(star - at)};
		if (piece.len == 0)
			continue;
		const char *found = memmem(text.p, text.len, piece.p, piece.len);
		if (!found)
			return false;
		text.len -= (size_t)(found - text.p) + piece.len;
		text.p = found + piece.len;
	}
	piece = (struct slice){at, (size_t)(end - at)};
	return text.len >= piece.len &&
	       memcmp(text.p + text.len - piece.len, piece.p, piece.len) == 0;
}

uint32_t pattern_n_groups(const struct pattern *pattern)
{
	uint32_t n = 0;
	pcre2_pattern_info(pattern->code, PCRE2_INFO_CAPTURECOUNT, &n);
	return n;
}

/* The number of groups that are set, the whole among them; 0: no match, -E2BIG. */
static int run(const struct pattern *pattern, struct slice text, struct pattern_space *space)
{
	int n = pcre2_match(
	    pattern->code, (PCRE2_SPTR)text.p, text.len, 0, 0, space->data, space->limits);
	return n > 0 ? n : n == 0 ? GROUPS : n == PCRE2_ERROR_NOMATCH ? 0 : -E2BIG;
}

int pattern_find(const struct pattern *pattern, struct slice text, struct pattern_space *space,
    struct slice groups[GROUPS])
{
	int n = run(pattern, text, space);
	if (n <= 0)
		return n;
	const PCRE2_SIZE *places = pcre2_get_ovector_pointer(space->data);
	for (int i = 0; i < GROUPS; i++) {
		/* \K can put the beginning behind the end. */
		bool is_set =
		    i < n && places[2 * i] != PCRE2_UNSET && places[2 * i] <= places[2 * i + 1];
		groups[i] = is_set ? (struct slice){text.p + places[2 * i],
					 places[2 * i + 1] - places[2 * i]}
				   : (struct slice){text.p, 0};
	}
	return 1;
}

static int regex_matches(
    const struct pattern *pattern, struct slice text, struct pattern_space *space)
{
	int n = run(pattern, text, space);
	return n > 0 ? 1 : n;
}

int pattern_matches(const struct pattern *pattern, struct slice text, struct pattern_space *space)
{
	switch (pattern->kind) {
	case PATTERN_EXACT: return slice_equal(text, pattern->text);
	case PATTERN_PREFIX: return begins_with(text, pattern->text);
	case PATTERN_WILDCARD: return wildcard_matches(pattern->text, text);
	default: return regex_matches(pattern, text, space);
	}
}
