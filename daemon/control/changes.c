#include "daemon/control/changes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/control/control.h"

/* Generations: each costs the workers new pickers, and those of source_hash a new table. */
#define BUILD_BURST   8
#define BUILD_EACH_US (20 * US_PER_MS)
#define POLL_SEC      0.001
/* Events about changes. */
#define EVENTS_BURST   64
#define EVENTS_EACH_US (100 * US_PER_MS)

/* What a request is about. */
struct place {
	struct pool *pool;
	const struct conf_pool *conf;
	char text[ADDR_TEXT_MAX];
	struct target *target; /* NULL: not in the fleet */
};

/* --- putting in force --- */

static void start_timer(struct control *control, double after_sec)
{
	ev_timer *timer = &control->changes.timer;
	ev_timer_stop(control->loop, timer);
	ev_timer_set(timer, after_sec, 0.);
	ev_timer_start(control->loop, timer);
}

static struct json_object *describe(
    const struct control *control, const char *pool_name, const char *text);

static void answer(struct control *control, unsigned n, const char *error)
{
	struct changes *changes = &control->changes;
	for (unsigned i = 0; i < n; i++)
		admin_complete(control->admin, changes->waiting[i].ticket, error ? 503 : 200,
		    error ? admin_error(error)
			  : describe(control, changes->waiting[i].pool, changes->waiting[i].text));
	changes->n_waiting -= n;
	changes->n_built -= changes->n_built < n ? changes->n_built : n;
	memmove(changes->waiting, changes->waiting + n,
	    changes->n_waiting * sizeof(changes->waiting[0]));
}

void changes_use(struct control *control, struct generation *next)
{
	struct changes *changes = &control->changes;
	control->current = next;
	prober_set(control->prober, next->conf, next->fleet);
	outliers_set(control);
	/* Published first: what is in the journal by then, a snapshot that begins now has, too. */
	replica_publish(control);
	replica_tell_changes(control);
	overlay_told(changes->overlay);
	changes->pending = false;
	changes->n_built = changes->n_waiting;
	if (changes->n_waiting > 0)
		start_timer(control, 0.);
}

int changes_build(struct control *control)
{
	struct err err;
	struct generation *next = generation_next(control->current, control->changes.overlay);
	int error = next ? proxy_apply(control->proxy, &next->pub, &err) : -ENOMEM;
	if (error) {
		log_error("targets: what was changed is not in force yet: %s",
		    next ? err.text : "out of memory");
		generation_free(next);
		control->changes.pending = true; /* again, after a while */
		if (!ev_is_active(&control->changes.timer))
			start_timer(control, BUILD_EACH_US / 1e6);
		return error;
	}
	changes_use(control, next);
	return 0;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct control *control = timer->data;
	struct changes *changes = &control->changes;
	bool applied = proxy_applied(control->proxy);
	if (applied && changes->n_built > 0) {
		answer(control, changes->n_built, NULL);
		proxy_reap(control->proxy);
	}
	/* One at a time, so that a worker that is slow is not given more and more of them. */
	if (applied && changes->pending &&
	    quota_take(&changes->quota, BUILD_BURST, BUILD_EACH_US, clock_us()) &&
	    changes_build(control) < 0)
		answer(control, changes->n_waiting, "out of memory: it will be tried again");
	if (changes->pending || changes->n_waiting > 0)
		start_timer(control, POLL_SEC);
}

static void touch(struct control *control)
{
	control->changes.pending = true;
	if (!ev_is_active(&control->changes.timer))
		start_timer(control, 0.);
}

int changes_init(struct control *control)
{
	ev_timer_init(&control->changes.timer, on_timer, 0., 0.);
	control->changes.timer.data = control;
	control->changes.overlay = overlay_new();
	return control->changes.overlay ? 0 : -ENOMEM;
}

void changes_fini(struct control *control)
{
	struct changes *changes = &control->changes;
	if (!changes->overlay)
		return;
	ev_timer_stop(control->loop, &changes->timer);
	overlay_free(changes->overlay);
	overlay_free(changes->arriving);
	*changes = (struct changes){0};
}

/* --- what is shown --- */

static void put_text(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? json_object_new_string(value) : NULL);
}

static const char *origin_of(const struct overlay_change *change)
{
	return change && change->kind == OVERLAY_ADDED ? "run_time" : "file";
}

void changes_put_target(const struct control *control, struct json_object *object,
    const struct pool *pool, const struct target *target)
{
	const struct overlay_change *change =
	    overlay_find(control->changes.overlay, pool->name, target->text);
	uint64_t until_us = target->drain_until_us, now_us = clock_us();
	put_text(object, "origin", origin_of(change));
	json_object_object_add(object, "file_weight",
	    change && change->kind == OVERLAY_CHANGED ? json_object_new_int(change->file.weight)
						      : NULL);
	json_object_object_add(object, "drain_left_ms",
	    until_us
		? json_object_new_uint64(until_us > now_us ? (until_us - now_us) / US_PER_MS : 0)
		: NULL);
	json_object_object_add(object, "leaving", json_object_new_boolean(target->leaving));
}

struct json_object *changes_removed(const struct control *control, const struct pool *pool)
{
	const struct overlay *overlay = control->changes.overlay;
	struct json_object *array = json_object_new_array();
	for (size_t i = overlay_first(overlay, pool->name); i < overlay_count(overlay); i++) {
		const struct overlay_change *change = overlay_at(overlay, i);
		if (strcmp(change->pool, pool->name) != 0)
			break;
		if (change->kind == OVERLAY_REMOVED)
			json_object_array_add(array, json_object_new_string(change->text));
	}
	return array;
}

size_t changes_count(const struct control *control, enum overlay_kind kind)
{
	const struct overlay *overlay = control->changes.overlay;
	size_t n = 0;
	for (size_t i = 0; i < overlay_count(overlay); i++)
		n += overlay_at(overlay, i)->kind == kind;
	return n;
}

/* --- requests --- */

static struct admin_reply refuse(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static struct admin_reply refuse(int status, const char *fmt, ...)
{
	struct err err;
	va_list args;
	va_start(args, fmt);
	vsnprintf(err.text, sizeof(err.text), fmt, args);
	va_end(args);
	return (struct admin_reply){status, admin_error(err.text)};
}

/* The target as it is, or is about to be. */
static struct json_object *describe(
    const struct control *control, const char *pool_name, const char *text)
{
	const struct generation *now = control->current;
	const struct pool *pool = fleet_pool(now->fleet, pool_name);
	const struct target *target = fleet_target(now->fleet, hash_id2(pool_name, text), NULL);
	struct json_object *body = json_object_new_object();
	struct conf_target settings;
	put_text(body, "address", text);
	if (!pool || !target ||
	    !overlay_target(
		control->changes.overlay, &now->conf->pools[pool->index], text, &settings)) {
		put_text(body, "state", "removed");
		return body;
	}
	put_text(body, "state", target_state_name(target));
	json_object_object_add(body, "weight", json_object_new_int(settings.weight));
	json_object_object_add(body, "backup", json_object_new_boolean(settings.backup));
	json_object_object_add(
	    body, "max_connections", json_object_new_int64(settings.max_connections));
	changes_put_target(control, body, pool, target);
	return body;
}

/* Answers when it is in force on every worker. */
static struct admin_reply wait_for_it(
    struct control *control, admin_ticket ticket, const struct place *place)
{
	struct changes *changes = &control->changes;
	touch(control);
	if (changes->n_waiting == CHANGES_WAITING_MAX)
		return refuse(503, "too many changes wait to be in force; this one will be, too");
	unsigned at = changes->n_waiting++;
	changes->waiting[at].ticket = ticket;
	text_copy(changes->waiting[at].pool, sizeof(changes->waiting[at].pool), place->pool->name);
	text_copy(changes->waiting[at].text, sizeof(changes->waiting[at].text), place->text);
	return (struct admin_reply){0};
}

static struct admin_reply answer_now(const struct control *control, const struct place *place)
{
	return (struct admin_reply){200, describe(control, place->pool->name, place->text)};
}

static void find_live(struct control *control, struct place *place)
{
	place->target =
	    fleet_target(control->current->fleet, hash_id2(place->pool->name, place->text), NULL);
}

/* False with *refusal where nothing can be changed. */
static bool find_pool(
    struct control *control, const char *name, struct place *place, struct admin_reply *refusal)
{
	place->pool = fleet_pool(control->current->fleet, name);
	if (!place->pool) {
		*refusal = refuse(404, "no such pool");
		return false;
	}
	/* The Active tells the peer; the other way round the change would be overwritten. */
	if (replica_is_told(control)) {
		*refusal = refuse(409, "this node is Backup: ask the Active one");
		return false;
	}
	place->conf = &control->current->conf->pools[place->pool->index];
	return true;
}

static bool find_target(struct control *control, const char *pool, const char *text,
    struct place *place, struct conf_target *now, struct admin_reply *refusal)
{
	struct addr addr;
	if (!find_pool(control, pool, place, refusal))
		return false;
	if (!addr_parse_endpoint(text, &addr) ||
	    !overlay_target(
		control->changes.overlay, place->conf, addr_format(&addr, place->text), now)) {
		*refusal = refuse(404, "no such target");
		return false;
	}
	find_live(control, place);
	/* Just added: it must exist to have a state. */
	if (!place->target && changes_build(control) == 0) {
		place->pool = fleet_pool(control->current->fleet, pool);
		find_live(control, place);
	}
	if (!place->target)
		*refusal = refuse(503, "out of memory: try again");
	return place->target;
}

/* The log has all; of many at once the events have some, since they are kept with others, and sent. */
static void say(struct control *control, const struct place *place, const char *from,
    const char *to, const char *why)
{
	struct changes *changes = &control->changes;
	struct err text;
	char object[sizeof(((struct event *)0)->object)];
	snprintf(object, sizeof(object), "pool %s target %s", place->pool->name, place->text);
	log_notice("%s: %s -> %s: %s", object, from, to, why);
	if (!quota_take(&changes->said, EVENTS_BURST, EVENTS_EACH_US, clock_us())) {
		changes->unsaid++;
		return;
	}
	if (changes->unsaid > 0)
		err_set(&text, 0, "%s (%llu changes before it are in the log only)", why,
		    (unsigned long long)changes->unsaid);
	else
		err_set(&text, 0, "%s", why);
	changes->unsaid = 0;
	events_add(&control->events, object, from, to, text.text);
}

/* --- states and drains --- */

static void end_drain(struct control *control, struct place *place, const char *why)
{
	struct target *target = place->target;
	bool leaves = target->leaving;
	struct err err, text;
	unsigned left = atomic_load_explicit(&target->active, memory_order_relaxed);
	const char *before = target_state_name(target);
	target_set_admin(place->pool, target, TARGET_DISABLED);
	control_note_admin(target, why);
	target->drain_until_us = 0;
	target->leaving = false;
	proxy_cut(control->proxy, target->id);
	replica_admin_changed(control, target);
	err_set(&text, 0, "%s; %u in progress", why, left);
	say(control, place, before, leaves ? "removed" : "disabled", text.text);
	if (!leaves)
		return;
	if (overlay_remove(control->changes.overlay, place->conf, place->text, &err) < 0)
		log_error("pool %s target %s: it stays, disabled: %s", place->pool->name,
		    place->text, err.text);
	touch(control);
}

/* A drain that goes on keeps its end, unless another one is `given`. */
static void set_state(struct control *control, struct place *place, enum target_admin admin,
    const uint64_t *given, bool leaves)
{
	struct target *target = place->target;
	struct err why;
	const char *before = target_state_name(target);
	bool goes_on = admin == TARGET_DRAIN && target->drain_until_us > 0 && !given;
	uint64_t drain_us = given ? *given : place->conf->drain_timeout_us;
	if (goes_on && target->leaving == leaves)
		return;
	if (!goes_on)
		target->drain_until_us = admin == TARGET_DRAIN ? clock_us() + drain_us : 0;
	target->leaving = leaves;
	if (target_set_admin(place->pool, target, admin))
		control_note_admin(target, "set by the operator");
	control->changes.drains |= target->drain_until_us > 0;
	replica_admin_changed(control, target);
	if (admin == TARGET_DRAIN)
		err_set(&why, 0, "set by the operator; %s in %llu s",
		    leaves ? "it leaves the pool" : "it is disabled",
		    (unsigned long long)((target->drain_until_us - clock_us() + US_PER_SEC - 1) /
					 US_PER_SEC));
	else
		err_set(&why, 0, "set by the operator");
	if (admin == TARGET_DRAIN && !goes_on && drain_us == 0)
		end_drain(control, place, "at once, as the operator said");
	else if (strcmp(before, target_state_name(target)) != 0 || leaves || given)
		say(control, place, before, target_state_name(target), why.text);
}

static bool is_due(const struct place *place, uint64_t now_us, const char **why)
{
	const struct target *target = place->target;
	*why = "the time of its drain is over";
	if (now_us >= target->drain_until_us)
		return true;
	/* Without sticky clients nobody comes any more. */
	*why = "nothing was left";
	return target->leaving && place->conf->sticky.kind == CONF_STICKY_NONE &&
	       atomic_load_explicit(&target->active, memory_order_relaxed) == 0;
}

void changes_tick(struct control *control)
{
	const struct generation *now = control->current;
	uint64_t now_us = clock_us();
	if (!control->changes.drains || replica_is_told(control))
		return;
	control->changes.drains = false;
	for (uint32_t p = 0; p < now->fleet->n_pools; p++) {
		struct pool *pool = &now->fleet->pools[p];
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			struct place place = {.pool = pool,
			    .conf = &now->conf->pools[p],
			    .target = pool->targets[t].target};
			const char *why;
			if (place.target->drain_until_us == 0)
				continue;
			text_copy(place.text, sizeof(place.text), place.target->text);
			if (is_due(&place, now_us, &why))
				end_drain(control, &place, why);
			else
				control->changes.drains = true;
		}
	}
}

/* --- verbs --- */

/* The client's address is known only when it comes. */
static bool reaches(const struct conf_pool *pool, const struct addr *addr)
{
	return pool->source_addr.sa.sa_family == AF_UNSPEC ||
	       pool->source_addr.sa.sa_family == addr->sa.sa_family;
}

/* 0, or -errno with *refusal. */
static int set_target(struct control *control, struct place *place,
    const struct conf_target *target, struct admin_reply *refusal)
{
	struct err err;
	int error = overlay_set(control->changes.overlay, place->conf, target, &err);
	if (error)
		*refusal = refuse(error == -ENOMEM ? 503 : 409, "%s", err.text);
	return error;
}

struct admin_reply changes_add(
    void *arg, admin_ticket ticket, const char *pool, const char *body, size_t len)
{
	struct control *control = arg;
	struct place place = {0};
	struct conf_target target, now;
	struct admin_reply refusal;
	struct err err;
	char text[24];
	int error = conf_target_parse(body, len, &target, &err);
	if (error)
		return refuse(error == -ENOMEM ? 503 : 400, "%s", err.text);
	if (!find_pool(control, pool, &place, &refusal))
		return refusal;
	target.text = addr_format(&target.addr, place.text);
	if (!reaches(place.conf, &target.addr))
		return refuse(400, "%s cannot be reached from the pool's source %s", place.text,
		    place.conf->source);
	find_live(control, &place);
	bool is_there = overlay_target(control->changes.overlay, place.conf, place.text, &now);
	bool leaves = is_there && place.target && place.target->leaving;
	if (is_there && !leaves && overlay_same_settings(&now, &target))
		return place.target ? answer_now(control, &place)
				    : wait_for_it(control, ticket, &place);
	if (is_there && !leaves)
		return refuse(409,
		    "%s is a target of the pool already, with weight %u%s; PATCH changes it",
		    place.text, now.weight, now.backup ? ", backup" : "");
	if (set_target(control, &place, &target, &refusal) < 0)
		return refusal;
	snprintf(text, sizeof(text), "weight %u%s", target.weight, target.backup ? " b" : "");
	/* One that has just been removed may still be in the fleet: it does not come back disabled. */
	if (place.target)
		set_state(control, &place, TARGET_READY, NULL, false);
	if (!leaves)
		say(control, &place, "absent", text, "added by the operator");
	return wait_for_it(control, ticket, &place);
}

static void say_number(struct control *control, const struct place *place, const char *what,
    unsigned from, unsigned to)
{
	char before[24], after[24];
	snprintf(before, sizeof(before), "%s %u", what, from);
	snprintf(after, sizeof(after), "%s %u", what, to);
	if (from != to)
		say(control, place, before, after, "set by the operator");
}

struct admin_reply changes_change(void *arg, admin_ticket ticket, const char *pool,
    const char *target, const char *body, size_t len)
{
	static const enum target_admin states[] = {[CONF_STATE_READY] = TARGET_READY,
	    [CONF_STATE_DRAIN] = TARGET_DRAIN,
	    [CONF_STATE_DISABLED] = TARGET_DISABLED};
	struct control *control = arg;
	struct conf_target_change change;
	struct conf_target now, before;
	struct place place;
	struct admin_reply refusal;
	struct err err;
	int error = conf_target_change_parse(body, len, &change, &err);
	if (error)
		return refuse(error == -ENOMEM ? 503 : 400, "%s", err.text);
	if (!change.weight_given && !change.max_connections_given && !change.state_given)
		return refuse(
		    400, "body: nothing to change; wanted state, weight or max_connections");
	if (change.drain_timeout_given && !(change.state_given && change.state == CONF_STATE_DRAIN))
		return refuse(400, "body: drain_timeout needs \"state\": \"drain\"");
	if (!find_target(control, pool, target, &place, &now, &refusal))
		return refusal;
	before = now;
	now.weight = change.weight_given ? change.weight : now.weight;
	now.max_connections =
	    change.max_connections_given ? change.max_connections : now.max_connections;
	bool differs = !overlay_same_settings(&now, &before);
	if (differs && set_target(control, &place, &now, &refusal) < 0)
		return refusal;
	if (change.state_given)
		set_state(control, &place, states[change.state],
		    change.drain_timeout_given ? &change.drain_timeout_us : NULL, false);
	say_number(control, &place, "weight", before.weight, now.weight);
	say_number(control, &place, "limit", before.max_connections, now.max_connections);
	return differs ? wait_for_it(control, ticket, &place) : answer_now(control, &place);
}

struct admin_reply changes_remove(
    void *arg, admin_ticket ticket, const char *pool, const char *target, const char *drain_timeout)
{
	struct control *control = arg;
	struct conf_target now;
	struct place place;
	struct admin_reply refusal;
	uint64_t drain_us;
	if (drain_timeout && !conf_drain_timeout_parse(drain_timeout, &drain_us))
		return refuse(400,
		    "drain_timeout: \"%s\" is not a duration in 0s..365d, such as \"30s\"",
		    drain_timeout);
	if (!find_target(control, pool, target, &place, &now, &refusal))
		return refusal;
	set_state(control, &place, TARGET_DRAIN, drain_timeout ? &drain_us : NULL, true);
	if (!control->changes.pending)
		return answer_now(control, &place);
	return wait_for_it(control, ticket, &place);
}
