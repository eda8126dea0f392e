#include "vrrp/daemon/track.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "vrrp/daemon/internal.h"
#include "vrrp/daemon/routers.h"

#define ANSWERS_PER_PASS 256
/* The witness is asked once in an interval, within these. */
#define WITNESS_MIN_US (10 * US_PER_MS)
#define WITNESS_MAX_US US_PER_SEC

static struct {
	struct ev_loop *loop;
	struct vrrp_pinger pinger;
	ev_io readable[2]; /* IPv4, IPv6 */
	ev_timer timer;
} track = {.pinger = {.fd4 = -1, .fd6 = -1}};

/* ---- what the results mean ---- */

static bool same_thing(const struct ipc_tracked *a, const struct ipc_tracked *b)
{
	return a->kind == b->kind && strcmp(a->name, b->name) == 0 &&
	       addr_equal_ip(&a->address, &b->address);
}

/* A pool may be tracked with several shares, a script with several arguments: these are numbered.
 * The arguments may be nobody else's business. */
char *instance_tracked_name(const struct ipc_router *config, unsigned i, char *buf, size_t size)
{
	static const char *const kinds[] = {
	    [IPC_TRACKED_INTERFACE] = "interface",
	    [IPC_TRACKED_POOL] = "pool",
	    [IPC_TRACKED_ADDRESS] = "address",
	    [IPC_TRACKED_SCRIPT] = "script",
	};
	const struct ipc_tracked *tracked = &config->tracked[i];
	char address[ADDR_TEXT_MAX], number[8] = "";
	unsigned n = 1;
	for (unsigned j = 0; j < i; j++)
		n += same_thing(&config->tracked[j], tracked);
	if (n > 1)
		snprintf(number, sizeof(number), " #%u", n % 100);
	snprintf(buf, size, "%s %s%s", kinds[tracked->kind],
	    tracked->kind == IPC_TRACKED_ADDRESS ? addr_format_ip(&tracked->address, address)
						 : tracked->name,
	    number);
	return buf;
}

static void describe(const struct vrrp_instance *instance, unsigned i, char *buf, size_t size)
{
	char name[IPC_REASON_MAX];
	const struct ipc_tracked *tracked = &instance->config.tracked[i];
	const char *why = instance->tracking.results[i].why;
	if (tracked->kind == IPC_TRACKED_INTERFACE) /* it names itself */
		text_copy(buf, size, why);
	else
		snprintf(buf, size, "%s: %s",
		    instance_tracked_name(&instance->config, i, name, sizeof(name)), why);
}

static unsigned weights_of(const struct vrrp_instance *instance)
{
	return vrrp_tracked_weights(instance->tracking.results, instance->config.n_tracked);
}

/* Of a group all members have what one loses. True if it is another one now. */
static bool adopt_priority(struct vrrp_instance *instance, const char *cause)
{
	unsigned weights = weights_of(instance);
	struct vrrp_instance *mate = NULL;
	while ((mate = vrrp_routers_mate(instance, mate)))
		weights += weights_of(mate);
	uint8_t before = instance->fsm.priority;
	uint8_t now = vrrp_effective_priority(instance->config.priority, weights);
	if (now == before)
		return false;
	log_notice("vrrp %s: priority %u -> %u: %s", instance->config.name, before, now, cause);
	vrrp_fsm_configure(&instance->fsm, now, instance->config.advertise_us, clock_us());
	return true;
}

/* Results have changed: so may priorities and faults. The caller settles then. */
static void adopt_results(struct vrrp_instance *instance, const char *cause)
{
	struct vrrp_tracking *tracking = &instance->tracking;
	unsigned fault = vrrp_tracked_fault(tracking->results, instance->config.n_tracked);
	tracking->fault[0] = '\0';
	if (fault < instance->config.n_tracked)
		describe(instance, fault, tracking->fault, sizeof(tracking->fault));
	adopt_priority(instance, cause);
	instance_tell(instance);
	struct vrrp_instance *mate = NULL;
	while ((mate = vrrp_routers_mate(instance, mate))) {
		if (adopt_priority(mate, cause))
			instance_tell(mate);
	}
}

void vrrp_instance_regroup(struct vrrp_instance *instance)
{
	instance_wake(instance);
	if (adopt_priority(instance, "its group has changed"))
		instance_tell(instance);
	instance_settle(instance, "its group has changed");
	instance_rearm(instance);
}

static void on_result(struct vrrp_instance *instance, unsigned i, bool good, const char *why)
{
	char text[IPC_REASON_MAX];
	struct vrrp_tracked before = instance->tracking.results[i];
	const struct vrrp_tracked *now = &instance->tracking.results[i];
	if (!vrrp_tracked_result(&instance->tracking.results[i], good, why)) {
		if (now->sight != before.sight || strcmp(now->why, before.why) != 0)
			instance_tell(instance);
		return;
	}
	instance_wake(instance);
	describe(instance, i, text, sizeof(text));
	adopt_results(instance, text);
	instance_settle(instance, text);
	instance_rearm(instance);
}

/* How long a failure may last before we see it too: what is asked, is asked in rounds. */
static uint64_t detection_us(const struct vrrp_instance *instance)
{
	uint64_t longest_us = 0;
	for (unsigned i = 0; i < instance->config.n_tracked; i++) {
		const struct ipc_tracked *tracked = &instance->config.tracked[i];
		uint64_t us = (uint64_t)tracked->interval_us * tracked->fall + tracked->timeout_us;
		longest_us = us > longest_us ? us : longest_us;
	}
	return longest_us;
}

void instance_judge_rival(struct vrrp_instance *instance, uint8_t priority, uint64_t now_us)
{
	struct vrrp_tracking *tracking = &instance->tracking;
	uint64_t patience_us = detection_us(instance);
	struct vrrp_instance *mate = NULL;
	while ((mate = vrrp_routers_mate(instance, mate))) {
		uint64_t us = detection_us(mate);
		patience_us = us > patience_us ? us : patience_us;
	}
	struct vrrp_standing theirs = {instance->config.peer_priority, priority};
	struct vrrp_standing ours = {instance->config.priority, instance->fsm.priority};
	tracking->rival_priority = priority;
	tracking->relieves = vrrp_rival_judge(&tracking->rival, theirs, ours, patience_us, now_us);
	instance_adopt_preemption(instance);
}

/* ---- interfaces ---- */

void instance_track_links(struct vrrp_instance *instance)
{
	for (unsigned i = 0; i < instance->config.n_tracked; i++) {
		const struct ipc_tracked *tracked = &instance->config.tracked[i];
		struct err err;
		if (tracked->kind != IPC_TRACKED_INTERFACE)
			continue;
		int rc = vrrp_netif_running(tracked->name, &err);
		if (rc == 0)
			err_set(&err, 0, "interface %s is usable", tracked->name);
		on_result(instance, i, rc == 0, err.text);
	}
}

/* ---- pools and scripts ---- */

static void on_pool(struct vrrp_instance *instance, const struct ipc_pool *pool)
{
	char why[VRRP_TRACK_WHY_MAX];
	for (unsigned i = 0; i < instance->config.n_tracked; i++) {
		const struct ipc_tracked *tracked = &instance->config.tracked[i];
		if (tracked->kind != IPC_TRACKED_POOL || strcmp(tracked->name, pool->name) != 0)
			continue;
		bool good = 100 * (uint64_t)pool->up >= (uint64_t)tracked->at_least * pool->total;
		snprintf(why, sizeof(why), "%u of %u targets up, wanted %u%%", pool->up,
		    pool->total, tracked->at_least);
		on_result(instance, i, good, why);
	}
}

void vrrp_track_pool(const struct ipc_pool *pool)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		on_pool(instance, pool);
}

/* One of a configuration that is not ours any more, or not yet, is of no interest. */
void vrrp_track_script(const struct ipc_script *script)
{
	struct vrrp_instance *instance = vrrp_routers_find(script->router, script->vrid);
	if (instance && script->index < instance->config.n_tracked &&
	    instance->config.tracked[script->index].kind == IPC_TRACKED_SCRIPT)
		on_result(instance, script->index, script->good, script->reason);
}

/* ---- addresses ---- */

/* An address to ask, of whatever kind. */
struct question {
	struct vrrp_instance *instance;
	unsigned index; /* of the tracked thing; IPC_TRACKED_MAX: the witness */
	struct vrrp_watch *watch;
	const struct addr *to;
	uint64_t interval_us, timeout_us;
};

static uint64_t witness_us(const struct vrrp_instance *instance)
{
	uint64_t us = instance->config.advertise_us;
	if (us < WITNESS_MIN_US)
		return WITNESS_MIN_US;
	return us > WITNESS_MAX_US ? WITNESS_MAX_US : us;
}

/* False: nothing is to be asked there. */
static bool question_of(struct vrrp_instance *instance, unsigned i, struct question *out)
{
	const struct ipc_router *config = &instance->config;
	if (i == IPC_TRACKED_MAX) {
		uint64_t us = witness_us(instance);
		*out = (struct question){
		    instance, i, &instance->tracking.witness, &config->witness, us, us};
		return config->witness.sa.sa_family != AF_UNSPEC;
	}
	if (i >= config->n_tracked || config->tracked[i].kind != IPC_TRACKED_ADDRESS)
		return false;
	*out = (struct question){instance, i, &instance->tracking.watches[i],
	    &config->tracked[i].address, config->tracked[i].interval_us,
	    config->tracked[i].timeout_us};
	return true;
}

static void each_question(void (*visit)(struct question *question, void *arg), void *arg)
{
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance))) {
		for (unsigned i = 0; i <= IPC_TRACKED_MAX; i++) {
			struct question question;
			if (question_of(instance, i, &question))
				visit(&question, arg);
		}
	}
}

static void conclude(const struct question *question, bool good, const char *why)
{
	question->watch->ping.sent_us = 0;
	if (question->index < IPC_TRACKED_MAX)
		on_result(question->instance, question->index, good, why);
}

static void look_for_answer(struct question *question, void *arg)
{
	struct vrrp_watch *watch = question->watch;
	if (!vrrp_ping_answered(&watch->ping, question->to, arg))
		return;
	watch->answered_us = watch->ping.sent_us;
	conclude(question, true, "answers");
}

static void read_answers(bool ipv6)
{
	struct vrrp_pong pong;
	for (int i = 0; i < ANSWERS_PER_PASS; i++) {
		int rc = vrrp_ping_recv(&track.pinger, ipv6, &pong);
		if (rc == 0)
			return;
		if (rc == 1)
			each_question(look_for_answer, &pong);
	}
}

static void give_up(struct question *question, uint64_t now_us)
{
	char why[VRRP_TRACK_WHY_MAX];
	if (question->watch->ping.sent_us == 0 ||
	    now_us < question->watch->ping.sent_us + question->timeout_us)
		return;
	snprintf(why, sizeof(why), "no answer in %llu ms",
	    (unsigned long long)(question->timeout_us / US_PER_MS));
	conclude(question, false, why);
}

/* A shortage of our own says nothing about the address. */
static void ask(struct question *question, uint64_t now_us)
{
	struct vrrp_watch *watch = question->watch;
	if (now_us < watch->next_us)
		return;
	watch->next_us = now_us + question->interval_us;
	int rc = vrrp_ping_send(
	    &track.pinger, &watch->ping, question->to, question->instance->netif.ifindex, now_us);
	if (rc && rc != -EAGAIN && rc != -ENOBUFS && rc != -ENOMEM)
		conclude(question, false, strerror(-rc));
}

static void on_due(struct question *question, void *arg)
{
	uint64_t now_us = *(uint64_t *)arg;
	give_up(question, now_us);
	ask(question, now_us);
}

static void find_earliest(struct question *question, void *arg)
{
	uint64_t *due_us = arg;
	const struct vrrp_watch *watch = question->watch;
	uint64_t us = watch->next_us;
	if (watch->ping.sent_us && watch->ping.sent_us + question->timeout_us < us)
		us = watch->ping.sent_us + question->timeout_us;
	*due_us = us < *due_us ? us : *due_us;
}

/* When the next question is due, or an answer overdue. */
static void rearm(void)
{
	uint64_t due_us = VRRP_NEVER, now_us = clock_us();
	if (track.pinger.fd4 < 0 && track.pinger.fd6 < 0)
		return;
	each_question(find_earliest, &due_us);
	ev_timer_stop(track.loop, &track.timer);
	if (due_us == VRRP_NEVER)
		return;
	ev_timer_set(
	    &track.timer, due_us > now_us ? (double)(due_us - now_us) / US_PER_SEC : 0., 0.);
	ev_timer_start(track.loop, &track.timer);
}

/* After a stall, an answer that waits in the queue wins over its timeout. */
static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	uint64_t now_us = clock_us();
	(void)timer;
	(void)revents;
	read_answers(false);
	read_answers(true);
	each_question(on_due, &now_us);
	ev_now_update(loop);
	rearm();
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)revents;
	read_answers(io == &track.readable[1]);
}

/* ---- life ---- */

/* The number there of what is `tracked` here, if it was not taken; n_tracked: there is none. */
static unsigned find_same(
    const struct ipc_router *there, const struct ipc_tracked *tracked, const bool *taken)
{
	unsigned i = 0;
	while (i < there->n_tracked && (taken[i] || !same_thing(tracked, &there->tracked[i])))
		i++;
	return i;
}

/* What was known stays known. */
void instance_track_configure(struct vrrp_instance *instance, const struct ipc_router *old)
{
	const struct ipc_router *config = &instance->config;
	struct vrrp_tracking before = instance->tracking;
	bool taken[IPC_TRACKED_MAX] = {false};
	instance->tracking = (struct vrrp_tracking){.rival = before.rival};
	for (unsigned i = 0; i < config->n_tracked; i++) {
		const struct ipc_tracked *tracked = &config->tracked[i];
		struct vrrp_tracked *result = &instance->tracking.results[i];
		unsigned j = find_same(old, tracked, taken);
		if (j < old->n_tracked) {
			taken[j] = true;
			*result = before.results[j];
		}
		result->weight = tracked->weight;
		result->rise = tracked->rise;
		result->fall = tracked->fall;
	}
	instance_track_links(instance);
	adopt_results(instance, "configuration changed");
	rearm();
}

void vrrp_track_open(struct ev_loop *loop)
{
	struct err err;
	track.loop = loop;
	ev_init(&track.timer, on_timer);
	if (vrrp_pinger_open(&track.pinger, &err))
		log_error("tracked addresses cannot be asked: %s", err.text);
	int fds[2] = {track.pinger.fd4, track.pinger.fd6};
	for (int i = 0; i < 2; i++) {
		ev_io_init(&track.readable[i], on_readable, fds[i], EV_READ);
		if (fds[i] >= 0)
			ev_io_start(loop, &track.readable[i]);
	}
}

void vrrp_track_close(void)
{
	ev_timer_stop(track.loop, &track.timer);
	ev_io_stop(track.loop, &track.readable[0]);
	ev_io_stop(track.loop, &track.readable[1]);
	vrrp_pinger_close(&track.pinger);
}
