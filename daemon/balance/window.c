#include "daemon/balance/window.h"

#include <assert.h>

void window_init(struct window *window, uint64_t span_us)
{
	assert(span_us >= WINDOW_PARTS);
	*window = (struct window){.part_us = span_us / WINDOW_PARTS};
}

void window_move(struct window *window, uint64_t now_us)
{
	if (now_us < window->end_us)
		return;
	uint64_t parts = (now_us - window->end_us) / window->part_us + 1;
	window->end_us += parts * window->part_us;
	for (uint64_t i = 0; i < parts && i < WINDOW_PARTS; i++) {
		window->newest = (window->newest + 1) % WINDOW_PARTS;
		struct window_count *oldest = &window->parts[window->newest];
		window->sum.all -= oldest->all;
		window->sum.some -= oldest->some;
		window->sum.other -= oldest->other;
		*oldest = (struct window_count){0};
	}
}
