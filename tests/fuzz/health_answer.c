/* Any bytes as the answer to a health check that looks at the body. They come to an end, and memory is
 * bounded. Byte by byte the verdict is that of one piece, but that what is found counts at once, before
 * something malformed behind it. */
#include <stdlib.h>

#include "daemon/health/answer.h"
#include "tests/fuzz/fuzz.h"

static enum answer_state run(const struct answer_wish *wish, struct pattern_space *space,
    const char *data, size_t size, size_t step)
{
	struct answer answer = {0};
	for (size_t at = 0; at < size; at += step) {
		answer_feed(&answer, wish, space, data + at, step < size - at ? step : size - at);
		require(answer.len <= ANSWER_BODY_MAX + ANSWER_HEAD_MAX + step);
	}
	enum answer_state state = answer_feed(&answer, wish, space, "", 0);
	require(state != ANSWER_GOES_ON);
	require((state == ANSWER_IS_BAD) == (answer.why != NULL));
	answer_fini(&answer);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const wishes[] = {"ready", "aab", "~^re.*dy$", "~(a+)+b"};
	if (size < 1)
		return 0;
	struct answer_wish wish;
	struct pattern_space *space = pattern_space_new();
	require(space && answer_wish_init(&wish, wishes[data[0] % 4]) == 0);
	const char *text = (const char *)data + 1;
	size--;
	enum answer_state whole = run(&wish, space, text, size, size + 1);
	for (size_t step = 1; step <= 7; step += 3) {
		enum answer_state pieces = run(&wish, space, text, size, step);
		require(pieces == whole || (pieces == ANSWER_IS_GOOD && whole == ANSWER_IS_BAD));
	}
	answer_wish_fini(&wish);
	pattern_space_free(space);
	return 0;
}
