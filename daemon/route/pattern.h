/* What a text of a request is compared with, in one notation for all conditions:
 *
 *	"/cart"     this text
 *	"/api*"     texts that begin so
 *	"*.png"     a star stands for any text, also for none
 *	"~^/v[0-9]" a regular expression (PCRE2) that is found in it
 *
 * Bytes are compared, so capital and small letters differ. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"

/* A comparison with a regular expression is given up after so many steps, well under a
 * millisecond. */
#define PATTERN_STEPS_MAX 20000
#define PATTERN_GROUPS    10 /* the whole, and what stands in the first nine brackets */

enum pattern_kind { PATTERN_EXACT, PATTERN_PREFIX, PATTERN_WILDCARD, PATTERN_REGEX };

struct pattern {
	enum pattern_kind kind;
	struct slice text; /* PATTERN_PREFIX: without the star */
	void *code;        /* PATTERN_REGEX: compiled */
};

/* What a thread needs to look for regular expressions. */
struct pattern_space;

struct pattern_space *pattern_space_new(void); /* NULL when out of memory */
void pattern_space_free(struct pattern_space *space);

/* Keeps a pointer to `text`. -EINVAL with a text: not a regular expression; -ENOMEM. */
int pattern_init(struct pattern *pattern, const char *text, struct err *err);
void pattern_fini(struct pattern *pattern);

/* How many groups PATTERN_REGEX has, the whole not counted. */
uint32_t pattern_n_groups(const struct pattern *pattern);

/* The same for PATTERN_REGEX; groups[0] gets what it found, groups[1..9] its groups, empty where there
 * are none. */
int pattern_find(const struct pattern *pattern, struct slice text, struct pattern_space *space,
    struct slice groups[PATTERN_GROUPS]);
/* 1: it matches, 0: it does not, -E2BIG: given up. */
int pattern_matches(const struct pattern *pattern, struct slice text, struct pattern_space *space);
