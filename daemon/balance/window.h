/* How many of a thing there were in the last while, and how many of one kind and of another: a
 * sliding window in parts, so it covers between 0.9 and 1.0 of its span. Memory only; one thread
 * owns it. */
#pragma once

#include <stdint.h>

#define WINDOW_PARTS 10

struct window_count {
	uint64_t all, some, other;
};

struct window {
	uint64_t part_us;
	uint64_t end_us; /* of the newest part */
	uint32_t newest;
	struct window_count parts[WINDOW_PARTS], sum;
};

/* `span_us` is at least WINDOW_PARTS. */
void window_init(struct window *window, uint64_t span_us);
/* What is older than the span is left out. Times that go backwards count as the latest one. */
void window_move(struct window *window, uint64_t now_us);

static inline void window_add(struct window *window, uint64_t now_us, struct window_count more)
{
	if (now_us >= window->end_us)
		window_move(window, now_us);
	struct window_count *part = &window->parts[window->newest];
	part->all += more.all;
	part->some += more.some;
	part->other += more.other;
	window->sum.all += more.all;
	window->sum.some += more.some;
	window->sum.other += more.other;
}
