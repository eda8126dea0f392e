/* The circuit breaker of a pool: while too many attempts at its targets fail, requests are answered
 * at once instead of being sent, so that the targets can recover and clients do not wait.
 *
 *	closed     all requests go out; too many failures of the last `interval`: open
 *	open       none do, for `open_time`; then half-open
 *	half-open  `trials` requests go out; all of them good: closed, a failure: open.
 *	           No verdict within `open_time`: another `trials` go out. What went out before it
 *	           was half-open says nothing
 *
 * The control thread judges (breaker_step); workers ask (breaker_admits), which costs them one load
 * while it is closed. No clock and no log inside. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/balance/window.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATE_COUNT };

struct breaker_settings {
	uint32_t error_rate;   /* per cent of the attempts */
	uint32_t min_requests; /* attempts within the interval, below which nothing is said */
	uint32_t trials;       /* at least 1 */
	uint64_t interval_us, open_us;
};

struct breaker {
	_Atomic uint8_t state;   /* enum breaker_state; the control thread writes */
	_Atomic int32_t trials;  /* half-open: requests that may still go out */
	_Atomic uint64_t due_us; /* open: when it becomes half-open; half-open: more trials */
	_Atomic uint32_t round;  /* grows when it becomes half-open: the number of its trials */
	_Atomic uint32_t trials_good, trials_failed; /* results of this round */

	/* The control thread's own: */
	uint64_t seen, seen_failed; /* results up to the last step */
	struct window window;
	uint64_t opened; /* how often */
	char why[64];    /* it is in this state */
};

/* Takes the number of results, and of failures among them, that there have ever been; they may begin
 * anew from less. True: the state is another one. */
bool breaker_step(struct breaker *breaker, const struct breaker_settings *settings,
    uint64_t results, uint64_t failed, uint64_t now_us);
/* Back to closed, whatever it was: the pool has none any more. True: it was not. */
bool breaker_reset(struct breaker *breaker);
/* The peer, which has the traffic, says how it stands, and what is left until due_us, of which it takes
 * no more than open_us. True: the state is another one. */
bool breaker_told(struct breaker *breaker, const struct breaker_settings *settings,
    enum breaker_state state, uint64_t left_us, uint64_t now_us);
/* Half-open: one of the trials, if there is one left; its number. 0: none. */
uint32_t breaker_try(struct breaker *breaker);
/* What became of an attempt of a trial. Any thread. */
void breaker_tried(struct breaker *breaker, uint32_t trial, bool failed);
const char *breaker_state_name(enum breaker_state state);

static inline enum breaker_state breaker_state(const struct breaker *breaker)
{
	return (enum breaker_state)atomic_load_explicit(&breaker->state, memory_order_relaxed);
}

/* Whether a request may go out, and as which trial (0: it is none). Any thread. */
static inline bool breaker_admits(struct breaker *breaker, uint32_t *trial)
{
	enum breaker_state state = breaker_state(breaker);
	*trial = state == BREAKER_HALF_OPEN ? breaker_try(breaker) : 0;
	return state == BREAKER_CLOSED || *trial != 0;
}

/* How long a client should wait before it asks again, in whole seconds, at least 1. */
unsigned breaker_retry_after(const struct breaker *breaker, uint64_t now_us);
