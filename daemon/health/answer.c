#include "daemon/health/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/err.h"

#define ROOM_MIN 4096U

int answer_wish_init(struct answer_wish *wish, const char *text)
{
	struct err err;
	*wish = (struct answer_wish){.text = text};
	return text && text[0] == '~' ? pattern_init(&wish->regex, text, &err) : 0;
}

void answer_wish_fini(struct answer_wish *wish)
{
	pattern_fini(&wish->regex);
}

static void fail(struct answer *answer, const char *why)
{
	answer->state = ANSWER_IS_BAD;
	answer->why = why;
}

static void append(struct answer *answer, const char *data, size_t len)
{
	size_t cap = answer->cap ? answer->cap : ROOM_MIN;
	while (cap < answer->len + len)
		cap *= 2;
	char *grown = cap > answer->cap ? realloc(answer->data, cap) : answer->data;
	if (!grown) {
		fail(answer, "no memory to read it");
		return;
	}
	answer->data = grown;
	answer->cap = cap;
	memcpy(answer->data + answer->len, data, len);
	answer->len += len;
}

static void append_body(struct answer *answer, const char *data, size_t len)
{
	size_t room = ANSWER_BODY_MAX - answer->len;
	append(answer, data, len < room ? len : room);
	answer->done |= len >= room;
}

static void take_chunks(struct answer *answer, const char *data, size_t len)
{
	size_t used = 1;
	while (len > 0 && used > 0 && !answer->done) {
		struct slice run = {"", 0};
		enum h1_result result = h1_chunks_feed(&answer->chunks, data, len, &used, &run);
		if (result != H1_OK) {
			fail(answer, h1_refusal_name(result));
			return;
		}
		append_body(answer, run.p, run.len);
		answer->done |= answer->chunks.done;
		data += used;
		len -= used;
	}
}

static void take_body(struct answer *answer, const char *data, size_t len)
{
	switch (answer->framing) {
	case H1_BODY_LENGTH:
		len = len < answer->left ? len : (size_t)answer->left;
		answer->left -= len;
		append_body(answer, data, len);
		answer->done |= answer->left == 0;
		break;
	case H1_BODY_CHUNKED: take_chunks(answer, data, len); break;
	case H1_BODY_UNTIL_CLOSE: append_body(answer, data, len); break;
	default: answer->done = true;
	}
}

/* The head may be complete now; what stands behind it is body. */
static void take_head(struct answer *answer)
{
	struct h1_head head;
	enum h1_result result = h1_parse_response(answer->data, answer->len, H1_GET, &head);
	if (result == H1_MORE && answer->len < ANSWER_HEAD_MAX)
		return;
	if (result != H1_OK) {
		fail(answer, result == H1_MORE ? "head_too_large" : h1_refusal_name(result));
		return;
	}
	char *data = answer->data;
	size_t len = answer->len;
	answer->data = NULL;
	answer->len = answer->cap = 0;
	answer->has_head = true;
	answer->framing = head.framing;
	answer->left = head.content_length;
	take_body(answer, data + head.len, len - head.len);
	free(data);
}

static void search(struct answer *answer, const char *text)
{
	size_t wanted = strlen(text);
	if (answer->len < wanted)
		return;
	if (memmem(answer->data + answer->searched, answer->len - answer->searched, text, wanted))
		answer->state = ANSWER_IS_GOOD;
	answer->searched = answer->len - wanted + 1;
}

/* "$" is the end of the body, so all of it must be there, if it is not too long. */
static void search_regex(
    struct answer *answer, const struct answer_wish *wish, struct pattern_space *space)
{
	struct slice body = {answer->data ? answer->data : "", answer->len};
	if (body.len >= ANSWER_REGEX_MAX) {
		body.len = ANSWER_REGEX_MAX;
		answer->done = true;
	}
	if (!answer->done)
		return;
	int found = pattern_matches(&wish->regex, body, space);
	if (found > 0)
		answer->state = ANSWER_IS_GOOD;
	else if (found < 0)
		fail(answer, "body too complex for the expression");
}

static void take(struct answer *answer, const char *data, size_t len)
{
	if (answer->has_head) {
		take_body(answer, data, len);
		return;
	}
	append(answer, data, len);
	if (answer->state == ANSWER_GOES_ON)
		take_head(answer);
}

enum answer_state answer_feed(struct answer *answer, const struct answer_wish *wish,
    struct pattern_space *space, const char *data, size_t len)
{
	if (answer->state != ANSWER_GOES_ON)
		return answer->state;
	if (len > 0)
		take(answer, data, len);
	else if (answer->has_head && answer->framing == H1_BODY_UNTIL_CLOSE)
		answer->done = true;
	else
		fail(answer, "closed before its end");
	if (answer->state != ANSWER_GOES_ON || !answer->has_head)
		return answer->state;
	if (wish->text[0] == '~')
		search_regex(answer, wish, space);
	else
		search(answer, wish->text);
	if (answer->state == ANSWER_GOES_ON && answer->done)
		fail(answer, "not the body that is wanted");
	return answer->state;
}

void answer_fini(struct answer *answer)
{
	free(answer->data);
	*answer = (struct answer){0};
}
