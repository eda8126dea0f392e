/* How many requests may be sent again: a share of all requests of the last BUDGET_SPAN_US, and a few
 * in any case, so that a quiet pool can retry, too. Without it, targets that fail get (1 + retries)
 * times their load just when they have too much of it.
 *
 * Each worker keeps its own and shares nothing: as each one holds
 *
 *	repeated <= share of its requests + its part of the floor
 *
 * the sums over the workers hold it as well. Memory only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/balance/window.h"

#define BUDGET_SPAN_US 10000000

/* Why one is sent again: each kind may take the whole budget, and takes nothing from the other. */
enum budget_kind {
	BUDGET_RETRY, /* on another target, as this one failed */
	BUDGET_STALE  /* on the same one, as a pooled connection to it had been closed */
};

struct budget {
	struct window window; /* all: requests; some: retries; other: stale */
	uint32_t percent;
	uint64_t floor; /* within a span */
};

/* `per_sec`: the floor of all `workers` together; each has at least one in a span, if it is not 0. */
void budget_init(struct budget *budget, uint32_t percent, uint32_t per_sec, uint32_t workers);
/* Whether there is one of the kind. */
bool budget_left(struct budget *budget, enum budget_kind kind, uint64_t now_us);
/* Takes one, if there is. */
bool budget_take(struct budget *budget, enum budget_kind kind, uint64_t now_us);

/* A request, sent for the first time. */
static inline void budget_count(struct budget *budget, uint64_t now_us)
{
	window_add(&budget->window, now_us, (struct window_count){.all = 1});
}
