#include "daemon/health/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define LENGTH  "HTTP/1.1 200 OK\r\nContent-Length: "
#define PLAIN   "HTTP/1.1 200 OK\r\n\r\n"

static struct pattern_space *space;

/* Fed `step` bytes at a time, then the end of the connection if `end`. */
static enum answer_state feed(
    const char *wanted, const char *text, size_t len, size_t step, bool end, const char **why)
{
	struct answer_wish wish;
	struct answer answer = {0};
	enum answer_state state = ANSWER_GOES_ON;
	if (!space)
		space = pattern_space_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(space);
	CU_ASSERT_EQUAL_FATAL(answer_wish_init(&wish, wanted), 0);
	for (size_t at = 0; at < len; at += step)
		state = answer_feed(
		    &answer, &wish, space, text + at, step < len - at ? step : len - at);
	if (end)
		state = answer_feed(&answer, &wish, space, "", 0);
	*why = answer.why;
	answer_fini(&answer);
	answer_wish_fini(&wish);
	return state;
}

static void however_it_is_framed_and_cut(void)
{
	static const struct {
		const char *wanted, *text;
		bool end;
		enum answer_state state;
		const char *why;
	} cases[] = {
	    {"ready", LENGTH "11\r\n\r\nI am ready.", false, ANSWER_IS_GOOD, NULL},
	    {"ready", LENGTH "9\r\n\r\nI am read", false, ANSWER_IS_BAD,
		"not the body that is wanted"},
	    {"ready", LENGTH "5\r\n\r\nready and more", false, ANSWER_IS_GOOD, NULL},
	    {"ready", LENGTH "4\r\n\r\nready", false, ANSWER_IS_BAD, "not the body that is wanted"},
	    {"ready", LENGTH "50\r\n\r\nI am read", true, ANSWER_IS_BAD, "closed before its end"},
	    {"ready", LENGTH "50\r\n\r\nI am read", false, ANSWER_GOES_ON, NULL},
	    {"ready", PLAIN "I am ready.", false, ANSWER_IS_GOOD, NULL},
	    {"ready", PLAIN "I am read", false, ANSWER_GOES_ON, NULL},
	    {"ready", PLAIN "I am read", true, ANSWER_IS_BAD, "not the body that is wanted"},
	    {"ready", CHUNKED "2\r\nre\r\n1\r\na\r\n2\r\ndy\r\n0\r\n\r\n", false, ANSWER_IS_GOOD,
		NULL},
	    {"ready", CHUNKED "2;ready\r\nno\r\n0\r\nX: ready\r\n\r\n", false, ANSWER_IS_BAD,
		"not the body that is wanted"},
	    {"ready", CHUNKED "2\r\nno\r\nzz", false, ANSWER_IS_BAD, "bad_chunk"},
	    {"ready", CHUNKED "2\r\nno\r\n", true, ANSWER_IS_BAD, "closed before its end"},
	    {"aab", LENGTH "5\r\n\r\naaaab", false, ANSWER_IS_GOOD, NULL},
	    {"\n\n", CHUNKED "1\r\n\n\r\n1\r\n\n\r\n0\r\n\r\n", false, ANSWER_IS_GOOD, NULL},
	    {"~^a.c$", CHUNKED "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", false, ANSWER_IS_GOOD, NULL},
	    {"~^a.c$", CHUNKED "1\r\na\r\n2\r\nbc\r\n", false, ANSWER_GOES_ON, NULL},
	    {"~^a.c$", PLAIN "abc", true, ANSWER_IS_GOOD, NULL},
	    {"~^a.c$", PLAIN "abcd", true, ANSWER_IS_BAD, "not the body that is wanted"},
	    {"~b", LENGTH "0\r\n\r\n", false, ANSWER_IS_BAD, "not the body that is wanted"},
	    {"~^$", "HTTP/1.1 204 No\r\n\r\n", false, ANSWER_IS_GOOD, NULL},
	    {"~^(a+)+$", LENGTH "31\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false, ANSWER_IS_BAD,
		"body too complex for the expression"},
	    {"ready", "HTTP/1.1 200 OK\r\nX : ready\r\n\r\n", false, ANSWER_IS_BAD,
		"bad_field_name"},
	    {"ready", "HTTP/1.1 200 OK\r\nX", true, ANSWER_IS_BAD, "closed before its end"},
	    {"ready", "", true, ANSWER_IS_BAD, "closed before its end"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].text);
		for (size_t step = 1; step <= len + 1; step++) {
			const char *why;
			enum answer_state state =
			    feed(cases[i].wanted, cases[i].text, len, step, cases[i].end, &why);
			if (state != cases[i].state)
				printf(
				    "case %zu step %zu: %d %s\n", i, step, state, why ? why : "");
			CU_ASSERT_EQUAL(state, cases[i].state);
			if (state == ANSWER_IS_BAD && cases[i].state == ANSWER_IS_BAD)
				CU_ASSERT_STRING_EQUAL(why, cases[i].why);
		}
	}
}

/* `filler` bytes of body, then the text; nothing says how long it is. */
static enum answer_state behind(const char *wanted, size_t filler, const char *text, size_t step)
{
	size_t head = strlen(PLAIN), len = strlen(text);
	const char *why;
	char *all = malloc(head + filler + len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	memcpy(all, PLAIN, head);
	memset(all + head, 'x', filler);
	memcpy(all + head + filler, text, len);
	enum answer_state state = feed(wanted, all, head + filler + len, step, false, &why);
	free(all);
	return state;
}

static void so_much_is_looked_at(void)
{
	static const size_t steps[] = {1000, 4096, 1000000};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		size_t step = steps[i];
		CU_ASSERT_EQUAL(
		    behind("ready", ANSWER_BODY_MAX - 5, "ready", step), ANSWER_IS_GOOD);
		CU_ASSERT_EQUAL(behind("ready", ANSWER_BODY_MAX - 4, "ready", step), ANSWER_IS_BAD);
		CU_ASSERT_EQUAL(behind("ready", ANSWER_BODY_MAX - 6, "x", step), ANSWER_GOES_ON);
		CU_ASSERT_EQUAL(
		    behind("~ready", ANSWER_REGEX_MAX - 5, "ready", step), ANSWER_IS_GOOD);
		CU_ASSERT_EQUAL(
		    behind("~ready", ANSWER_REGEX_MAX - 4, "ready", step), ANSWER_IS_BAD);
		CU_ASSERT_EQUAL(behind("~ready", ANSWER_REGEX_MAX - 6, "x", step), ANSWER_GOES_ON);
	}
}

static void a_head_ends_one_day(void)
{
	static char text[2 * ANSWER_HEAD_MAX];
	const char *why;
	memset(text, 'x', sizeof(text));
	memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
	CU_ASSERT_EQUAL(feed("a", text, sizeof(text), 4096, false, &why), ANSWER_IS_BAD);
	CU_ASSERT_STRING_EQUAL(why, "head_too_large");
}

UNIT_MAIN("health/answer", UNIT(however_it_is_framed_and_cut), UNIT(so_much_is_looked_at),
    UNIT(a_head_ends_one_day))
