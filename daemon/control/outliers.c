/* Outlier ejection and circuit breakers: when they are judged, and who hears of it. The judgment is in
 * daemon/balance (outlier.h, breaker.h). */
#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/control/control.h"

static void on_outlier(
    void *arg, struct pool *pool, struct target *target, enum outlier_change change)
{
	struct control *control = arg;
	const char *reason = target->outlier.reason;
	char object[sizeof(((struct event *)0)->object)];
	control_object_target(object, sizeof(object), pool, target);
	if (change == OUTLIER_EJECTED) {
		log_warn("%s: ejected: %s", object, reason);
		events_add(&control->events, object, "in", "ejected", reason);
	} else if (change == OUTLIER_ADMITTED) {
		log_notice("%s: in again: %s", object, reason);
		events_add(&control->events, object, "ejected", "in", reason);
	}
	replica_health_changed(control, target);
}

static void say_circuit(struct control *control, const struct pool *pool, const char *before)
{
	const struct breaker *breaker = &pool->watch->breaker;
	const char *now = breaker_state_name(breaker_state(breaker));
	char object[sizeof(((struct event *)0)->object)];
	snprintf(object, sizeof(object), "pool %s circuit", pool->name);
	log_at(breaker_state(breaker) == BREAKER_OPEN ? LOG_LEVEL_WARN : LOG_LEVEL_NOTICE,
	    "%s: %s -> %s: %s", object, before, now, breaker->why);
	events_add(&control->events, object, before, now, breaker->why);
}

static void breaker_changed(struct control *control, struct pool *pool, const char *before)
{
	say_circuit(control, pool, before);
	replica_circuit_changed(control, pool);
}

static void step_breaker(struct control *control, struct pool *pool,
    const struct breaker_settings *settings, uint64_t now_us)
{
	uint64_t results = 0, failed = 0;
	const char *before = breaker_state_name(breaker_state(&pool->watch->breaker));
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct target *target = pool->targets[i].target;
		failed += atomic_load_explicit(&target->results_failed, memory_order_relaxed);
		results += atomic_load_explicit(&target->results, memory_order_relaxed);
	}
	if (breaker_step(&pool->watch->breaker, settings, results, failed, now_us))
		breaker_changed(control, pool, before);
}

void outliers_poll(struct control *control)
{
	if (!control->current)
		return;
	const struct conf *conf = control->current->conf;
	uint64_t now_us = clock_us();
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		struct pool *pool = &control->current->fleet->pools[i];
		if (conf->pools[i].outlier_given)
			outlier_step(pool, &pool->watch->outliers, &conf->pools[i].outlier, now_us,
			    on_outlier, control);
		if (conf->pools[i].breaker_given)
			step_breaker(control, pool, &conf->pools[i].breaker, now_us);
	}
}

void outliers_set(struct control *control)
{
	const struct conf *conf = control->current->conf;
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		struct pool *pool = &control->current->fleet->pools[i];
		const char *before = breaker_state_name(breaker_state(&pool->watch->breaker));
		if (!conf->pools[i].outlier_given)
			outlier_off(pool, on_outlier, control);
		if (!conf->pools[i].breaker_given && breaker_reset(&pool->watch->breaker))
			breaker_changed(control, pool, before);
	}
	outliers_poll(control);
}

/* The Active says so. */
static void on_told(void *arg, struct pool *pool, struct target *target, enum outlier_change change)
{
	struct control *control = arg;
	bool news = change == OUTLIER_EJECTED || change == OUTLIER_ADMITTED;
	if (!news || replica_may_say(control))
		on_outlier(control, pool, target, change);
	else
		replica_health_changed(control, target);
}

void outliers_told(struct control *control, struct pool *pool, struct target *target,
    const struct outlier_report *report)
{
	const struct conf_pool *conf = &control->current->conf->pools[pool->index];
	if (conf->outlier_given)
		outlier_told(pool, target, &conf->outlier, report, clock_us(), on_told, control);
}

void outliers_circuit_told(
    struct control *control, struct pool *pool, enum breaker_state state, uint64_t left_us)
{
	const struct conf_pool *conf = &control->current->conf->pools[pool->index];
	const char *before = breaker_state_name(breaker_state(&pool->watch->breaker));
	if (conf->breaker_given &&
	    breaker_told(&pool->watch->breaker, &conf->breaker, state, left_us, clock_us()) &&
	    replica_may_say(control))
		say_circuit(control, pool, before);
}

static void on_wake(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	outliers_poll(async->data);
}

void outliers_start(struct control *control)
{
	ev_async_init(&control->outlier_wake, on_wake);
	control->outlier_wake.data = control;
	ev_async_start(control->loop, &control->outlier_wake);
}

void outliers_wake(void *arg)
{
	struct control *control = arg;
	ev_async_send(control->loop, &control->outlier_wake);
}
