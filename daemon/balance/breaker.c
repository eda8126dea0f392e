#include "daemon/balance/breaker.h"

#include <stdio.h>

static void enter(struct breaker *breaker, enum breaker_state state)
{
	atomic_store_explicit(&breaker->state, (uint8_t)state, memory_order_release);
}

static void open_it(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	atomic_store_explicit(&breaker->due_us, now_us + settings->open_us, memory_order_relaxed);
	breaker->opened++;
	enter(breaker, BREAKER_OPEN);
}

static void begin_trials(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	atomic_store_explicit(&breaker->trials_good, 0, memory_order_relaxed);
	atomic_store_explicit(&breaker->due_us, now_us + settings->open_us, memory_order_relaxed);
	/* Who takes one knows its number. */
	atomic_store_explicit(&breaker->trials, (int32_t)settings->trials, memory_order_release);
}

static void half_open(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	uint32_t round = atomic_load_explicit(&breaker->round, memory_order_relaxed) + 1;
	atomic_store_explicit(&breaker->round, round != 0 ? round : 1, memory_order_relaxed);
	atomic_store_explicit(&breaker->trials_failed, 0, memory_order_relaxed);
	begin_trials(breaker, settings, now_us);
	enter(breaker, BREAKER_HALF_OPEN);
}

/* What was before does not count. */
static void close_it(struct breaker *breaker, const struct breaker_settings *settings)
{
	window_init(&breaker->window, settings->interval_us);
	enter(breaker, BREAKER_CLOSED);
}

/* What ended meanwhile goes into the window. Targets that are replaced take their numbers with them:
 * fewer than before says nothing. */
static void take_results(struct breaker *breaker, const struct breaker_settings *settings,
    uint64_t results, uint64_t failed, uint64_t now_us)
{
	uint64_t more = results > breaker->seen ? results - breaker->seen : 0;
	uint64_t more_failed = failed > breaker->seen_failed ? failed - breaker->seen_failed : 0;
	if (breaker->window.part_us != settings->interval_us / WINDOW_PARTS) {
		window_init(&breaker->window, settings->interval_us);
		more = more_failed = 0;
	}
	breaker->seen = results;
	breaker->seen_failed = failed;
	window_add(&breaker->window, now_us,
	    (struct window_count){.all = more, .some = more_failed < more ? more_failed : more});
}

static bool step_closed(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	const struct window_count *sum = &breaker->window.sum;
	if (sum->all < settings->min_requests || sum->some == 0 ||
	    sum->some * 100 < sum->all * settings->error_rate)
		return false;
	snprintf(breaker->why, sizeof(breaker->why), "%llu of %llu attempts failed",
	    (unsigned long long)sum->some, (unsigned long long)sum->all);
	open_it(breaker, settings, now_us);
	return true;
}

static bool step_open(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	if (now_us < atomic_load_explicit(&breaker->due_us, memory_order_relaxed))
		return false;
	snprintf(
	    breaker->why, sizeof(breaker->why), "%u requests are let through", settings->trials);
	half_open(breaker, settings, now_us);
	return true;
}

static bool step_half_open(
    struct breaker *breaker, const struct breaker_settings *settings, uint64_t now_us)
{
	if (atomic_load_explicit(&breaker->trials_failed, memory_order_relaxed) > 0) {
		snprintf(breaker->why, sizeof(breaker->why), "a trial failed");
		open_it(breaker, settings, now_us);
		return true;
	}
	if (atomic_load_explicit(&breaker->trials_good, memory_order_relaxed) >= settings->trials) {
		snprintf(
		    breaker->why, sizeof(breaker->why), "%u trials were good", settings->trials);
		close_it(breaker, settings);
		return true;
	}
	/* Clients that left, targets that are slow: nobody knows. */
	if (now_us >= atomic_load_explicit(&breaker->due_us, memory_order_relaxed))
		begin_trials(breaker, settings, now_us);
	return false;
}

bool breaker_step(struct breaker *breaker, const struct breaker_settings *settings,
    uint64_t results, uint64_t failed, uint64_t now_us)
{
	take_results(breaker, settings, results, failed, now_us);
	switch (breaker_state(breaker)) {
	case BREAKER_CLOSED: return step_closed(breaker, settings, now_us);
	case BREAKER_OPEN: return step_open(breaker, settings, now_us);
	case BREAKER_HALF_OPEN: return step_half_open(breaker, settings, now_us);
	default: return false;
	}
}

bool breaker_reset(struct breaker *breaker)
{
	bool changed = breaker_state(breaker) != BREAKER_CLOSED;
	breaker->window = (struct window){0};
	snprintf(breaker->why, sizeof(breaker->why), "no circuit breaker is configured any more");
	enter(breaker, BREAKER_CLOSED);
	return changed;
}

bool breaker_told(struct breaker *breaker, const struct breaker_settings *settings,
    enum breaker_state state, uint64_t left_us, uint64_t now_us)
{
	bool changed = breaker_state(breaker) != state;
	if (changed)
		snprintf(breaker->why, sizeof(breaker->why), "told by the Active peer");
	if (changed && state == BREAKER_HALF_OPEN)
		half_open(breaker, settings, now_us);
	else if (changed && state == BREAKER_CLOSED)
		close_it(breaker, settings);
	if (left_us > settings->open_us)
		left_us = settings->open_us;
	atomic_store_explicit(&breaker->due_us, now_us + left_us, memory_order_relaxed);
	if (changed && state == BREAKER_OPEN)
		enter(breaker, BREAKER_OPEN);
	return changed;
}

uint32_t breaker_try(struct breaker *breaker)
{
	bool taken = atomic_load_explicit(&breaker->trials, memory_order_relaxed) > 0 &&
		     atomic_fetch_sub_explicit(&breaker->trials, 1, memory_order_acquire) > 0;
	return taken ? atomic_load_explicit(&breaker->round, memory_order_relaxed) : 0;
}

void breaker_tried(struct breaker *breaker, uint32_t trial, bool failed)
{
	if (trial == atomic_load_explicit(&breaker->round, memory_order_relaxed))
		atomic_fetch_add_explicit(failed ? &breaker->trials_failed : &breaker->trials_good,
		    1, memory_order_relaxed);
}

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[BREAKER_STATE_COUNT] = {"closed", "open", "half-open"};
	return state < BREAKER_STATE_COUNT ? names[state] : "?";
}

unsigned breaker_retry_after(const struct breaker *breaker, uint64_t now_us)
{
	uint64_t due_us = atomic_load_explicit(&breaker->due_us, memory_order_relaxed);
	return due_us > now_us ? (unsigned)((due_us - now_us + 999999) / 1000000) : 1;
}
