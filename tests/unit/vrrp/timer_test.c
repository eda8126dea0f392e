#include "vrrp/daemon/timer.h"

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"
#include "vrrp/core/fsm.h"

static struct ev_loop *loop;
static struct vrrp_timer timer;
static unsigned fired;
static uint64_t taken_us;

static void on_due(struct ev_loop *l, ev_io *io, int revents)
{
	(void)revents;
	CU_ASSERT_PTR_EQUAL(io->data, &fired);
	taken_us = vrrp_timer_take(&timer);
	fired++;
	ev_break(l, EVBREAK_ALL);
}

static void open_timer(void)
{
	loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	fired = 0;
	vrrp_timer_init(&timer, on_due, &fired);
	CU_ASSERT_EQUAL_FATAL(vrrp_timer_open(&timer, loop, NULL), 0);
}

static void close_timer(void)
{
	vrrp_timer_close(&timer, loop);
	vrrp_timer_close(&timer, loop);
	ev_loop_destroy(loop);
}

static void it_is_not_early(void)
{
	open_timer();
	uint64_t due_us = clock_us() + 1500;
	vrrp_timer_set(&timer, due_us);
	ev_run(loop, 0);
	CU_ASSERT_TRUE(clock_us() >= due_us);
	CU_ASSERT_EQUAL(taken_us, due_us);
	CU_ASSERT_EQUAL(vrrp_timer_take(&timer), VRRP_NEVER);
	close_timer();
}

static void what_is_past_is_due_at_once(void)
{
	static const uint64_t past_us[] = {0, 1, 2 * US_PER_SEC};
	open_timer();
	for (size_t i = 0; i < sizeof(past_us) / sizeof(past_us[0]); i++) {
		vrrp_timer_set(&timer, past_us[i]);
		ev_run(loop, 0);
		CU_ASSERT_EQUAL(taken_us, past_us[i]);
	}
	CU_ASSERT_EQUAL(fired, 3);
	close_timer();
}

static void the_last_setting_counts(void)
{
	open_timer();
	vrrp_timer_set(&timer, 1);
	vrrp_timer_set(&timer, VRRP_NEVER);
	ev_run(loop, EVRUN_NOWAIT);
	CU_ASSERT_EQUAL(fired, 0);
	vrrp_timer_set(&timer, 1);
	uint64_t later_us = clock_us() + 3 * US_PER_MS;
	vrrp_timer_set(&timer, later_us);
	ev_run(loop, 0);
	CU_ASSERT_EQUAL(fired, 1);
	CU_ASSERT_TRUE(taken_us == later_us && clock_us() >= later_us);
	close_timer();
}

/* Set anew between its firing and the call: it is not due any more. */
static void one_that_was_overtaken_is_not_due(void)
{
	open_timer();
	vrrp_timer_set(&timer, 1);
	vrrp_timer_set(&timer, clock_us() + 60 * US_PER_SEC);
	CU_ASSERT_EQUAL(vrrp_timer_take(&timer), VRRP_NEVER);
	close_timer();
}

static void a_closed_one_does_nothing(void)
{
	vrrp_timer_init(&timer, on_due, &fired);
	vrrp_timer_set(&timer, 1);
	CU_ASSERT_EQUAL(timer.due_us, VRRP_NEVER);
}

UNIT_MAIN("vrrp/timer", UNIT(it_is_not_early), UNIT(what_is_past_is_due_at_once),
    UNIT(the_last_setting_counts), UNIT(one_that_was_overtaken_is_not_due),
    UNIT(a_closed_one_does_nothing))
