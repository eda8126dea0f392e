/* The timer wheel, with a clock of our own and against a naive model. */
#include "daemon/base/wheel.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define TICK ((uint64_t)WHEEL_TICK_US)
#define TURN (TICK * WHEEL_SLOTS)

struct timer {
	struct wheel_entry entry;
	uint64_t deadline_us; /* UINT64_MAX: not armed */
	unsigned fired;
	struct timer *cancels, *rearms; /* in its callback */
	uint64_t rearm_us;
	bool dies;
};

static struct wheel wheel;
static uint64_t now_us;
static unsigned early, unarmed;

static void timer_init(struct timer *timer)
{
	memset(timer, 0, sizeof(*timer));
	wheel_entry_init(&timer->entry);
	timer->deadline_us = UINT64_MAX;
}

static void set(struct timer *timer, uint64_t deadline_us)
{
	timer->deadline_us = deadline_us;
	wheel_set(&wheel, &timer->entry, deadline_us);
}

static void cancel(struct timer *timer)
{
	timer->deadline_us = UINT64_MAX;
	wheel_cancel(&wheel, &timer->entry);
}

static void on_fire(struct wheel_entry *entry, void *arg)
{
	struct timer *timer = (struct timer *)((char *)entry - offsetof(struct timer, entry));
	(void)arg;
	unarmed += timer->deadline_us == UINT64_MAX;
	unarmed += wheel_armed(entry);
	early += timer->deadline_us != UINT64_MAX && now_us < timer->deadline_us;
	timer->fired++;
	timer->deadline_us = UINT64_MAX;
	if (timer->cancels)
		cancel(timer->cancels);
	if (timer->rearms)
		set(timer->rearms, timer->rearm_us);
	if (timer->dies)
		free(timer);
}

static void start(uint64_t at_us)
{
	now_us = at_us;
	early = unarmed = 0;
	wheel_init(&wheel, now_us);
}

static void run_at(uint64_t at_us)
{
	now_us = at_us;
	wheel_run(&wheel, now_us, on_fire, NULL);
}

static void fires_on_time(void)
{
	static const uint64_t waits[] = {
	    0, 1, TICK - 1, TICK, TICK + 1, 10 * TICK, TURN - 1, TURN, TURN + TICK, 3 * TURN + 7};
	static const uint64_t starts[] = {0, 1, TICK - 1, 123456789, 1ULL << 46, (1ULL << 46) - 5};
	for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (size_t w = 0; w < sizeof(waits) / sizeof(waits[0]); w++) {
			struct timer timer;
			timer_init(&timer);
			start(starts[s]);
			uint64_t deadline = starts[s] + waits[w];
			set(&timer, deadline);
			while (timer.fired == 0 && now_us <= deadline + 2 * TICK)
				run_at(now_us + TICK / 3);
			CU_ASSERT_EQUAL(timer.fired, 1);
			CU_ASSERT_TRUE(now_us <= deadline + 2 * TICK);
			CU_ASSERT_EQUAL(early, 0);
			CU_ASSERT_EQUAL(wheel.count, 0);
		}
	}
}

static void pushing_back_and_pulling_forward(void)
{
	struct timer timer;
	timer_init(&timer);
	start(0);
	set(&timer, 10 * TICK);
	set(&timer, 2 * TURN);
	run_at(TURN);
	CU_ASSERT_EQUAL(timer.fired, 0);
	set(&timer, TURN + 5 * TICK);
	run_at(TURN + 7 * TICK);
	CU_ASSERT_EQUAL(timer.fired, 1);
	run_at(5 * TURN);
	CU_ASSERT_EQUAL(timer.fired, 1);
	CU_ASSERT_EQUAL(wheel.count, 0);
}

static void cancelling(void)
{
	struct timer timer;
	timer_init(&timer);
	start(0);
	wheel_cancel(&wheel, &timer.entry); /* not armed: harmless */
	CU_ASSERT_EQUAL(wheel.count, 0);
	set(&timer, TICK);
	CU_ASSERT_TRUE(wheel_armed(&timer.entry));
	CU_ASSERT_EQUAL(wheel.count, 1);
	cancel(&timer);
	CU_ASSERT_FALSE(wheel_armed(&timer.entry));
	run_at(TURN * 2);
	CU_ASSERT_EQUAL(timer.fired, 0);
}

/* The same slot holds one that is due and one of a later turn. */
static void later_turns_wait(void)
{
	struct timer a, b;
	timer_init(&a);
	timer_init(&b);
	start(0);
	set(&a, 10 * TICK);
	set(&b, 10 * TICK + 2 * TURN);
	run_at(12 * TICK);
	CU_ASSERT_EQUAL(a.fired, 1);
	CU_ASSERT_EQUAL(b.fired, 0);
	run_at(12 * TICK + TURN);
	CU_ASSERT_EQUAL(b.fired, 0);
	run_at(12 * TICK + 2 * TURN);
	CU_ASSERT_EQUAL(b.fired, 1);
}

static void a_callback_may_cancel_and_set(void)
{
	struct timer a, b, c;
	timer_init(&a);
	timer_init(&b);
	timer_init(&c);
	start(0);
	set(&a, TICK);
	set(&b, TICK); /* in the same slot: cancelled by a, which fires first */
	set(&c, TICK); /* in the same slot: put off by a */
	a.cancels = &b;
	a.rearms = &c;
	a.rearm_us = TURN;
	run_at(4 * TICK);
	CU_ASSERT_EQUAL(a.fired, 1);
	CU_ASSERT_EQUAL(b.fired, 0);
	CU_ASSERT_EQUAL(c.fired, 0);
	CU_ASSERT_EQUAL(wheel.count, 1);
	run_at(TURN + 2 * TICK);
	CU_ASSERT_EQUAL(c.fired, 1);
	CU_ASSERT_EQUAL(wheel.count, 0);
}

/* Set again in its own callback for a time that has passed: it runs, but wheel_run comes back. */
static void a_callback_may_set_itself(void)
{
	struct timer a;
	timer_init(&a);
	start(0);
	set(&a, TICK);
	a.rearms = &a;
	a.rearm_us = 0;
	run_at(10 * TICK);
	CU_ASSERT_TRUE(a.fired >= 1 && a.fired <= 11);
	CU_ASSERT_TRUE(wheel_armed(&a.entry));
	CU_ASSERT_EQUAL(wheel.count, 1);
	CU_ASSERT_EQUAL(unarmed, 0);
}

static void a_callback_may_free(void)
{
	start(0);
	for (int i = 0; i < 10; i++) {
		struct timer *timer = malloc(sizeof(*timer));
		CU_ASSERT_PTR_NOT_NULL_FATAL(timer);
		timer_init(timer);
		timer->dies = true;
		set(timer, TICK * (i / 2 + 1));
	}
	run_at(TURN);
	CU_ASSERT_EQUAL(wheel.count, 0);
}

/* The loop stood still for many turns: all that was due fires, once, the rest stays. */
static void a_stall(void)
{
	enum { N = 2000 };
	static struct timer timers[N];
	unsigned fired = 0, later = 0;
	start(5);
	for (int i = 0; i < N; i++) {
		timer_init(&timers[i]);
		set(&timers[i], (uint64_t)i * TICK * 3);
	}
	uint64_t end_us = 1500 * TICK * 3;
	run_at(end_us);
	for (int i = 0; i < N; i++) {
		fired += timers[i].fired == 1 && (uint64_t)i * TICK * 3 <= end_us;
		later += timers[i].fired == 0 && (uint64_t)i * TICK * 3 >= end_us - 2 * TICK;
	}
	CU_ASSERT_TRUE(fired >= 1500 && fired + later == N);
	CU_ASSERT_EQUAL(early, 0);
	run_at(end_us + 1000 * TURN);
	for (int i = 0; i < N; i++)
		CU_ASSERT_EQUAL(timers[i].fired, 1);
	CU_ASSERT_EQUAL(wheel.count, 0);
}

static void a_clock_that_goes_back(void)
{
	struct timer timer;
	timer_init(&timer);
	start(10 * TURN);
	set(&timer, 10 * TURN + 5 * TICK);
	run_at(TURN);
	CU_ASSERT_EQUAL(timer.fired, 0);
	run_at(10 * TURN + 7 * TICK);
	CU_ASSERT_EQUAL(timer.fired, 1);
}

/* Tick numbers have 32 bits in an entry: they wrap after 814 days, and "never" must be no time in
 * the past. */
static void far_away(void)
{
	struct timer past, next, never;
	uint64_t wrap_us = (1ULL << 32) * TICK;
	timer_init(&past);
	timer_init(&next);
	timer_init(&never);
	start(wrap_us - 3 * TICK);
	set(&past, 0);
	set(&next, wrap_us + 3 * TICK);
	wheel_set(&wheel, &never.entry, UINT64_MAX);
	run_at(wrap_us - TICK);
	CU_ASSERT_EQUAL(past.fired, 1);
	run_at(wrap_us + 2 * TICK);
	CU_ASSERT_EQUAL(next.fired, 0);
	run_at(wrap_us + 5 * TICK);
	CU_ASSERT_EQUAL(next.fired, 1);
	run_at(wrap_us + 100 * TURN);
	CU_ASSERT_EQUAL(never.fired, 0);
	CU_ASSERT_EQUAL(wheel.count, 1);
}

/* ---- the model: an array of deadlines ---- */

#define MODEL_TIMERS 200
#define MODEL_STEPS  100000

static void model_step(struct timer *timers, uint64_t *state)
{
	*state = hash_mix(*state + 1);
	struct timer *timer = &timers[*state % MODEL_TIMERS];
	uint64_t dice = *state >> 32;
	/* Mostly near, sometimes turns ahead. */
	uint64_t wait_us = dice % 16 == 0 ? dice % (3 * TURN) : dice % (40 * TICK);
	switch (*state >> 60) {
	case 0:
	case 1: cancel(timer); break;
	case 2:
	case 3:
	case 4:
	case 5:
	case 6:
	case 7: set(timer, now_us + wait_us); break;
	case 8:
		if (dice % 50 == 0) {
			run_at(now_us + dice % (5 * TURN));
			break;
		}
		/* fall through */
	default: run_at(now_us + dice % (2 * TICK));
	}
}

static void behaves_like_a_list_of_deadlines(void)
{
	static struct timer timers[MODEL_TIMERS];
	unsigned late = 0, miscounted = 0;
	uint64_t state = 1, last_run_us;
	start(987654321);
	for (int i = 0; i < MODEL_TIMERS; i++)
		timer_init(&timers[i]);
	for (int step = 0; step < MODEL_STEPS; step++) {
		model_step(timers, &state);
		last_run_us = now_us;
		uint64_t armed = 0;
		run_at(last_run_us);
		for (int i = 0; i < MODEL_TIMERS; i++) {
			bool is_armed = timers[i].deadline_us != UINT64_MAX;
			armed += is_armed;
			late += is_armed && timers[i].deadline_us + 2 * TICK < now_us;
			miscounted += is_armed != wheel_armed(&timers[i].entry);
		}
		miscounted += armed != wheel.count;
	}
	CU_ASSERT_EQUAL(early, 0);
	CU_ASSERT_EQUAL(late, 0);
	CU_ASSERT_EQUAL(unarmed, 0);
	CU_ASSERT_EQUAL(miscounted, 0);
	unsigned fired = 0;
	for (int i = 0; i < MODEL_TIMERS; i++)
		fired += timers[i].fired;
	CU_ASSERT_TRUE(fired > 1000);
}

UNIT_MAIN("base/wheel", UNIT(fires_on_time), UNIT(pushing_back_and_pulling_forward),
    UNIT(cancelling), UNIT(later_turns_wait), UNIT(a_callback_may_cancel_and_set),
    UNIT(a_callback_may_set_itself), UNIT(a_callback_may_free), UNIT(a_stall),
    UNIT(a_clock_that_goes_back), UNIT(far_away), UNIT(behaves_like_a_list_of_deadlines))
