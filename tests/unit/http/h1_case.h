/* One message as test data, and what must hold for each of them however it arrives. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "daemon/http/h1.h"
#include "tests/unit/unit.h"

/* In tables of cases, what is not written is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define BYTES(literal) (literal), sizeof(literal) - 1

/* What is expected of an accepted message; NULL text is not looked at. */
struct h1_case {
	const char *bytes;
	size_t len;
	enum h1_result want;
	const char *host, *path;
	enum h1_framing framing;
	uint64_t length;
	const char *flags; /* k keep-alive, e expect-continue, u upgrade; "k" if NULL */
};

typedef enum h1_result h1_case_parse(const char *buf, size_t len, struct h1_head *out);

static inline bool case_text_is(struct slice got, const char *want)
{
	return !want || slice_equal(got, (struct slice){want, strlen(want)});
}

static inline bool case_facts_hold(const struct h1_case *c, const struct h1_head *head)
{
	const char *flags = c->flags ? c->flags : "k";
	return head->len == c->len && case_text_is(head->host, c->host) &&
	       case_text_is(head->path, c->path) && head->framing == c->framing &&
	       (c->framing != H1_BODY_LENGTH || head->content_length == c->length) &&
	       head->keep_alive == (strchr(flags, 'k') != NULL) &&
	       head->expect_continue == (strchr(flags, 'e') != NULL) &&
	       head->upgrade == (strchr(flags, 'u') != NULL);
}

/* Every prefix in a heap block of its exact size, so that a sanitizer sees a read past the end:
 * MORE until the verdict, which then stays; h1_head_complete never claims what is not so. */
static inline bool case_prefixes_hold(
    const struct h1_case *c, h1_case_parse *parse, struct h1_head *head)
{
	bool decided = false;
	size_t scanned = 0;
	for (size_t n = 0; n <= c->len; n++) {
		char *copy = malloc(n ? n : 1);
		if (!copy)
			return false;
		memcpy(copy, c->bytes, n);
		enum h1_result got = parse(copy, n, head);
		bool complete = h1_head_complete(copy, n, &scanned);
		bool facts = got != H1_OK || case_text_is(head->path, c->path);
		free(copy);
		if (got == H1_MORE ? decided || complete : got != c->want || !facts)
			return false;
		if (got == H1_OK && (n < c->len || !complete))
			return false;
		decided = got != H1_MORE;
	}
	return decided || c->want == H1_MORE;
}

static inline bool case_holds(
    const struct h1_case *c, h1_case_parse *parse, struct h1_head *head, enum h1_result *got)
{
	*got = parse(c->bytes, c->len, head);
	return *got == c->want && (*got != H1_OK || case_facts_hold(c, head)) &&
	       case_prefixes_hold(c, parse, head);
}

static inline void cases_run(const struct h1_case *cases, size_t n, h1_case_parse *parse)
{
	static struct h1_head head;
	for (size_t i = 0; i < n; i++) {
		enum h1_result got;
		bool ok = case_holds(&cases[i], parse, &head, &got);
		if (!ok)
			printf(
			    "\n    case %zu: %.60s...: want %s, got %s (framing %d, length %llu, "
			    "flags %s%s%s)",
			    i, cases[i].bytes, h1_refusal_name(cases[i].want), h1_refusal_name(got),
			    (int)head.framing, (unsigned long long)head.content_length,
			    head.keep_alive ? "k" : "", head.expect_continue ? "e" : "",
			    head.upgrade ? "u" : "");
		CU_ASSERT(ok);
	}
}

#define CASES_RUN(cases, parse) cases_run(cases, sizeof(cases) / sizeof((cases)[0]), parse)
