/* The answer to an HTTP check whose body matters: its head and its framing are taken apart, and what
 * is left is looked through. Pure. Internal to health. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/http/h1.h"
#include "daemon/route/pattern.h"

#define ANSWER_HEAD_MAX  (16U * 1024)
#define ANSWER_BODY_MAX  (64U * 1024) /* of the body; what comes behind it is not looked at */
#define ANSWER_REGEX_MAX (8U * 1024)  /* the same for an expression, which can take its time */

/* What a body must have: a text anywhere in it, or behind ~ a regular expression that is found. */
struct answer_wish {
	const char *text;     /* as configured; NULL: nothing */
	struct pattern regex; /* if text begins with ~ */
};

/* Keeps a pointer to `text`, which was checked. -ENOMEM. */
int answer_wish_init(struct answer_wish *wish, const char *text);
void answer_wish_fini(struct answer_wish *wish);

enum answer_state { ANSWER_GOES_ON, ANSWER_IS_GOOD, ANSWER_IS_BAD };

/* Zero-initialise. */
struct answer {
	enum answer_state state;
	const char *why; /* ANSWER_IS_BAD */
	bool has_head;
	bool done; /* the body is complete, or as much of it as is looked at */
	enum h1_framing framing;
	uint64_t left; /* of Content-Length */
	struct h1_chunks chunks;
	char *data; /* the head, then the body without framing */
	size_t len, cap;
	size_t searched; /* no text begins before */
};

/* The next bytes that came; none: the end of the connection. What is
 * good may be known before the end; an expression is looked for when the body is complete. */
enum answer_state answer_feed(struct answer *answer, const struct answer_wish *wish,
    struct pattern_space *space, const char *data, size_t len);
void answer_fini(struct answer *answer);
