#include "daemon/health/prober.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/health/answer.h"
#include "daemon/health/check.h"
#include "daemon/health/http_probe.h"
#include "daemon/health/udp_probe.h"
#include "daemon/net/net.h"
#include "daemon/proxyproto/proxyproto.h"

#define CHECKS_AT_ONCE_MAX 512
#define ANSWER_MAX         4096 /* usually all of it: closing with unread bytes would reset */
#define LOCAL_ERROR_LOG_US (10 * US_PER_SEC)

enum stage { STAGE_IDLE, STAGE_QUEUED, STAGE_CONNECTING, STAGE_SENDING, STAGE_READING };

/*	IDLE --timer: due--> CONNECTING --> SENDING --> READING --> IDLE
 *	       \--> QUEUED --^   (too many at once)       any stage --timer: timeout--> IDLE
 */
struct probe {
	struct prober *prober;
	const struct conf_health *health;
	enum conf_proxy_version proxy_version; /* of the header that a connection begins with */
	struct pool *pool;
	struct target *target;
	uint64_t id;
	uint64_t round;
	uint64_t due_us; /* when the present round was to start: the next one counts from there */
	enum stage stage;
	bool tracked; /* goes on when the prober is off */
	bool hurried; /* the present round is early, with all others whose health is unknown */
	struct prober_sight sight;
	bool kept; /* during prober_set: the new configuration has it too */
	int fd;
	ev_timer timer; /* idle: the next check; else: the timeout */
	ev_io io;
	struct list waiting; /* STAGE_QUEUED */
	char *request;
	size_t request_len, request_sent;
	size_t line_len;
	char line[HTTP_PROBE_LINE_MIN]; /* what the status is read from */
	struct answer_wish wish;
	struct answer answer; /* while there is a wish */
	uint64_t began_us;
};

struct prober {
	struct ev_loop *loop;
	prober_change_fn *on_change;
	void *arg;
	bool enabled;
	struct probe **probes; /* sorted by target id */
	size_t n_probes;
	struct list queue;
	unsigned running;
	uint64_t started;
	uint64_t sights;
	uint64_t results[PROBER_RESULT_COUNT];
	struct pattern_space *space; /* for expressions */
	struct log_limit local_errors;
};

/* What a check found. */
struct verdict {
	enum prober_result result;
	char reason[TARGET_REASON_MAX];
};

static void run_queue(struct prober *prober);

static struct verdict verdict(enum prober_result result, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static struct verdict verdict(enum prober_result result, const char *fmt, ...)
{
	struct verdict verdict = {.result = result};
	va_list args;
	va_start(args, fmt);
	vsnprintf(verdict.reason, sizeof(verdict.reason), fmt, args);
	va_end(args);
	return verdict;
}

/* Lets go of everything that a running check holds; the next one is not planned yet. */
static void stop_check(struct probe *probe)
{
	struct prober *prober = probe->prober;
	ev_timer_stop(prober->loop, &probe->timer);
	if (probe->stage == STAGE_IDLE)
		return;
	if (probe->stage == STAGE_QUEUED)
		list_del(&probe->waiting);
	else
		prober->running--;
	ev_io_stop(prober->loop, &probe->io);
	if (probe->fd >= 0)
		close(probe->fd);
	probe->fd = -1;
	free(probe->request);
	probe->request = NULL;
	answer_fini(&probe->answer);
	probe->stage = STAGE_IDLE;
}

static void start_timer(struct probe *probe, uint64_t after_us)
{
	struct ev_loop *loop = probe->prober->loop;
	ev_timer_stop(loop, &probe->timer);
	ev_timer_set(&probe->timer, (double)after_us / 1e6, 0.);
	ev_timer_start(loop, &probe->timer);
}

static bool is_on(const struct probe *probe)
{
	return probe->prober->enabled || probe->tracked;
}

static void plan_at(struct probe *probe, uint64_t due_us, uint64_t now_us)
{
	probe->due_us = due_us > now_us ? due_us : now_us;
	if (is_on(probe))
		start_timer(probe, probe->due_us - now_us);
}

static enum target_health target_health(const struct target *target)
{
	return (enum target_health)atomic_load_explicit(&target->health, memory_order_relaxed);
}

static uint16_t target_doubts(const struct target *target)
{
	return health_doubts(target_health(target), target->rise_count, target->fall_count);
}

static uint64_t interval_of(const struct probe *probe)
{
	const struct prober_sight *sight = &probe->sight;
	if (probe->prober->enabled)
		return health_interval_us(
		    probe->health, target_health(probe->target), target_doubts(probe->target) > 0);
	return health_interval_us(probe->health, sight->health,
	    health_doubts(sight->health, sight->rise_count, sight->fall_count) > 0);
}

/* The interval is kept from start to start, but after a hurried one; a check that took longer than
 * it is followed at once. */
static void plan_next(struct probe *probe, uint64_t now_us)
{
	uint64_t interval_us = interval_of(probe);
	uint64_t next_us =
	    probe->hurried ? health_spread_us(probe->id, interval_us, probe->due_us)
			   : health_next_us(probe->id, ++probe->round, interval_us, probe->due_us);
	probe->hurried = false;
	plan_at(probe, next_us, now_us);
}

static void log_change(const struct probe *probe, enum target_health before,
    enum target_health after, const char *reason)
{
	const struct target *target = probe->target;
	unsigned in_a_row = after == TARGET_UP ? target->rise_count : target->fall_count;
	char times[32] = "";
	if (in_a_row > 1)
		snprintf(times, sizeof(times), " (%u in a row)", in_a_row);
	log_at(after == TARGET_DOWN ? LOG_LEVEL_WARN : LOG_LEVEL_NOTICE,
	    "pool %s target %s: %s -> %s: %s%s", probe->pool->name, target->text,
	    target_health_name(before), target_health_name(after), reason, times);
}

static void note_sight(struct probe *probe, const struct verdict *verdict, uint64_t now_us)
{
	struct prober_sight *sight = &probe->sight;
	enum target_health before = sight->health;
	bool ok = verdict->result == PROBER_OK;
	sight->health = health_judge(before, &sight->rise_count, &sight->fall_count, ok,
	    probe->health->rise, probe->health->fall);
	sight->last = verdict->result;
	sight->last_us = now_us;
	sight->took_us = now_us - probe->began_us;
	text_copy(sight->last_reason, sizeof(sight->last_reason), verdict->reason);
	if (ok == (sight->health == TARGET_UP))
		text_copy(sight->reason, sizeof(sight->reason), verdict->reason);
	if (sight->health == before)
		return;
	probe->prober->sights++;
	if (!probe->prober->enabled)
		log_info("pool %s target %s: %s, as seen from here: %s", probe->pool->name,
		    probe->target->text, target_health_name(sight->health), sight->reason);
}

/* Returns whether somebody has to know. */
static bool apply(struct probe *probe, const struct verdict *verdict, uint64_t now_us)
{
	struct target *target = probe->target;
	enum target_health before = target_health(target);
	uint16_t doubts = target_doubts(target);
	bool news = false, ok = verdict->result == PROBER_OK;
	target->last_check_us = now_us;
	enum target_health after =
	    health_step(target, ok, probe->health->rise, probe->health->fall);
	/* A single failure does not explain why a target is up. */
	if (ok == (after == TARGET_UP)) {
		news = strcmp(target->reason, verdict->reason) != 0;
		target_set_health(probe->pool, target, after, verdict->reason, now_us);
	}
	if (before != after)
		log_change(probe, before, after, verdict->reason);
	return news || before != after || target_doubts(target) != doubts;
}

/* Ends a check. The callback comes last, and nothing of the probe is used after it: it may replace
 * the configuration. */
static void finish(struct probe *probe, const struct verdict *verdict)
{
	struct prober *prober = probe->prober;
	uint64_t now_us = clock_us();
	enum target_health before = target_health(probe->target);
	bool news = false;
	prober->results[verdict->result]++;
	stop_check(probe);
	if (verdict->result != PROBER_UNTRIED) {
		note_sight(probe, verdict, now_us);
		news = prober->enabled && apply(probe, verdict, now_us);
	}
	plan_next(probe, now_us);
	run_queue(prober);
	if (news && prober->on_change)
		prober->on_change(prober->arg, probe->pool, probe->target, before);
}

/* Our own shortage says nothing about the target. */
static bool is_local_error(int code)
{
	switch (-code) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: return true;
	default: return false;
	}
}

static void finish_error(struct probe *probe, enum prober_result how, const char *doing, int code)
{
	struct prober *prober = probe->prober;
	struct verdict result = verdict(how, "%s: %s", doing, strerror(-code));
	if (is_local_error(code)) {
		uint64_t suppressed;
		if (log_allowed(&prober->local_errors, clock_us(), LOCAL_ERROR_LOG_US, &suppressed))
			log_error("pool %s target %s: cannot check: %s (%llu more)",
			    probe->pool->name, probe->target->text, result.reason,
			    (unsigned long long)suppressed);
		result.result = PROBER_UNTRIED;
	}
	finish(probe, &result);
}

static struct verdict judge_status(const struct conf_health *health, int status)
{
	if (status >= health->expect_min && status <= health->expect_max)
		return verdict(PROBER_OK, "HTTP %d", status);
	if (health->expect_min == health->expect_max)
		return verdict(PROBER_STATUS, "HTTP %d, wanted %u", status, health->expect_min);
	return verdict(
	    PROBER_STATUS, "HTTP %d, wanted %u-%u", status, health->expect_min, health->expect_max);
}

/* `ended`: there is no more to come. */
static void judge_answer(struct probe *probe, bool ended)
{
	int status = http_probe_status(probe->line, probe->line_len);
	struct verdict result;
	if (status == -EAGAIN && !ended)
		return;
	if (status == -EAGAIN)
		result = verdict(PROBER_CLOSED, "closed without an answer");
	else if (status < 0)
		result = verdict(PROBER_MALFORMED, "not an HTTP/1 answer");
	else
		result = judge_status(probe->health, status);
	if (result.result == PROBER_OK && probe->wish.text) {
		if (probe->answer.state == ANSWER_GOES_ON)
			return;
		if (probe->answer.state == ANSWER_IS_BAD)
			result = verdict(PROBER_BODY, "HTTP %d, %s", status, probe->answer.why);
	}
	finish(probe, &result);
}

static void take_answer(struct probe *probe, const char *data, size_t len)
{
	size_t room = sizeof(probe->line) - probe->line_len;
	size_t take = len < room ? len : room;
	memcpy(probe->line + probe->line_len, data, take);
	probe->line_len += take;
	if (probe->wish.text)
		answer_feed(&probe->answer, &probe->wish, probe->prober->space, data, len);
	judge_answer(probe, len == 0);
}

static void judge_datagram(struct probe *probe, const char *data, size_t len)
{
	struct verdict result = udp_probe_matches(probe->health->answer, data, len)
				    ? verdict(PROBER_OK, "answered")
				    : verdict(PROBER_BODY, "another answer than expected");
	finish(probe, &result);
}

static void read_answer(struct probe *probe)
{
	char buf[ANSWER_MAX];
	ssize_t n = recv(probe->fd, buf, sizeof(buf), 0);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			finish_error(probe, PROBER_CLOSED, "read", -errno);
		return;
	}
	if (probe->health->kind == CONF_HEALTH_UDP)
		judge_datagram(probe, buf, (size_t)n);
	else
		take_answer(probe, buf, (size_t)n);
}

static void wait_for(struct probe *probe, int events)
{
	struct ev_loop *loop = probe->prober->loop;
	ev_io_stop(loop, &probe->io);
	ev_io_set(&probe->io, probe->fd, events);
	ev_io_start(loop, &probe->io);
}

/* All that there is to say has been said. */
static void asked(struct probe *probe)
{
	if (probe->health->kind == CONF_HEALTH_TCP) {
		struct verdict result = verdict(PROBER_OK, "connected");
		finish(probe, &result);
		return;
	}
	probe->stage = STAGE_READING;
	wait_for(probe, EV_READ);
}

static void send_request(struct probe *probe)
{
	ssize_t n = send(probe->fd, probe->request + probe->request_sent,
	    probe->request_len - probe->request_sent, MSG_NOSIGNAL);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			wait_for(probe, EV_WRITE);
		else
			finish_error(probe, PROBER_CLOSED, "write", -errno);
		return;
	}
	probe->request_sent += (size_t)n;
	if (probe->request_sent < probe->request_len) {
		wait_for(probe, EV_WRITE);
		return;
	}
	asked(probe);
}

static void connected(struct probe *probe)
{
	if (probe->request_len == 0) {
		asked(probe);
		return;
	}
	probe->stage = STAGE_SENDING;
	send_request(probe);
}

static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct probe *probe = io->data;
	if (probe->stage == STAGE_CONNECTING) {
		int rc = net_connect_result(probe->fd);
		if (rc < 0)
			finish_error(probe, PROBER_CONNECT, "connect", rc);
		else
			connected(probe);
	} else if (probe->stage == STAGE_SENDING) {
		send_request(probe);
	} else {
		read_answer(probe);
	}
}

/* The text of a check that says something. */
static int write_request(struct probe *probe)
{
	const struct conf_health *health = probe->health;
	if (health->kind == CONF_HEALTH_HTTP)
		probe->request =
		    http_probe_request(health, probe->target->text, &probe->request_len);
	else if (health->kind == CONF_HEALTH_UDP)
		probe->request = udp_probe_request(health->send, &probe->request_len);
	else
		return 0;
	return probe->request ? 0 : -ENOMEM;
}

/* The header of a connection that is our own. Version 1 could say UNKNOWN, but some servers do not
 * take that; the protocol recommends the addresses of the connection (section 2.1). */
static void write_header(const struct probe *probe, struct proxyproto_writer *header)
{
	struct addr own = {0};
	socklen_t len = sizeof(own);
	header->len = 0;
	if (probe->proxy_version == CONF_PROXY_V1) {
		bool known = getsockname(probe->fd, &own.sa, &len) == 0;
		header->len =
		    proxyproto_write_line(known ? &own : NULL, &probe->target->addr, header->data);
	} else if (probe->proxy_version == CONF_PROXY_V2) {
		proxyproto_begin(header, NULL, NULL);
		proxyproto_end(header, false);
	}
}

/* Puts the header of the connection before what is asked. */
static int prepend_header(struct probe *probe)
{
	struct proxyproto_writer header;
	if (probe->proxy_version == CONF_PROXY_NONE || probe->health->kind == CONF_HEALTH_UDP)
		return 0;
	write_header(probe, &header);
	char *text = malloc(header.len + probe->request_len);
	if (!text)
		return -ENOMEM;
	memcpy(text, header.data, header.len);
	if (probe->request_len > 0)
		memcpy(text + header.len, probe->request, probe->request_len);
	free(probe->request);
	probe->request = text;
	probe->request_len += header.len;
	return 0;
}

static int open_socket(const struct probe *probe, bool *in_progress)
{
	const struct addr *addr = &probe->target->addr;
	if (probe->health->kind == CONF_HEALTH_UDP)
		return net_connect_udp(addr, &(struct net_connect_options){0});
	return net_connect_tcp(addr, in_progress);
}

static void start_check(struct probe *probe)
{
	struct prober *prober = probe->prober;
	bool in_progress = false;
	prober->running++;
	prober->started++;
	probe->stage = STAGE_CONNECTING;
	probe->request_len = probe->request_sent = 0;
	probe->line_len = 0;
	probe->began_us = clock_us();
	/* The timeout counts from now, not from when this turn of the loop began. */
	ev_now_update(prober->loop);
	start_timer(probe, probe->health->timeout_us);
	int fd = open_socket(probe, &in_progress);
	if (fd < 0) {
		finish_error(probe, PROBER_CONNECT, "connect", fd);
		return;
	}
	probe->fd = fd;
	if (write_request(probe) < 0 || prepend_header(probe) < 0) {
		finish_error(probe, PROBER_UNTRIED, "request", -ENOMEM);
		return;
	}
	if (in_progress)
		wait_for(probe, EV_WRITE);
	else
		connected(probe);
}

static void start_or_queue(struct probe *probe)
{
	struct prober *prober = probe->prober;
	if (prober->running < CHECKS_AT_ONCE_MAX) {
		start_check(probe);
		return;
	}
	probe->stage = STAGE_QUEUED;
	list_push_back(&prober->queue, &probe->waiting);
}

/* Those that waited go through their timer, from the loop: a check that fails at once ends here
 * again, and must not do so ever deeper. */
static void run_queue(struct prober *prober)
{
	struct list *node;
	if (prober->running >= CHECKS_AT_ONCE_MAX || !(node = list_pop_front(&prober->queue)))
		return;
	struct probe *probe = list_entry(node, struct probe, waiting);
	probe->stage = STAGE_IDLE;
	start_timer(probe, 0);
}

static void finish_timeout(struct probe *probe)
{
	const char *doing = probe->stage == STAGE_CONNECTING ? "connect: " : "";
	struct verdict result = verdict(PROBER_TIMEOUT, "%stimeout after %llu ms", doing,
	    (unsigned long long)(probe->health->timeout_us / US_PER_MS));
	finish(probe, &result);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct probe *probe = timer->data;
	if (probe->stage == STAGE_IDLE)
		start_or_queue(probe);
	else
		finish_timeout(probe);
}

static struct probe *probe_new(struct prober *prober, uint64_t id)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	if (!probe)
		return NULL;
	probe->prober = prober;
	probe->id = id;
	probe->fd = -1;
	list_init(&probe->waiting);
	ev_init(&probe->timer, on_timer);
	ev_init(&probe->io, on_io);
	/* After a stall of the loop, an answer that came in time wins over its timeout. */
	ev_set_priority(&probe->io, 1);
	probe->timer.data = probe->io.data = probe;
	return probe;
}

static void probe_free(struct probe *probe)
{
	if (!probe)
		return;
	stop_check(probe);
	answer_wish_fini(&probe->wish);
	free(probe);
}

struct prober *prober_new(struct ev_loop *loop, prober_change_fn *on_change, void *arg)
{
	struct prober *prober = calloc(1, sizeof(*prober));
	if (!prober)
		return NULL;
	prober->loop = loop;
	prober->on_change = on_change;
	prober->arg = arg;
	prober->enabled = true;
	prober->space = pattern_space_new();
	list_init(&prober->queue);
	if (!prober->space) {
		free(prober);
		return NULL;
	}
	return prober;
}

void prober_free(struct prober *prober)
{
	if (!prober)
		return;
	for (size_t i = 0; i < prober->n_probes; i++)
		probe_free(prober->probes[i]);
	free(prober->probes);
	pattern_space_free(prober->space);
	free(prober);
}

static bool text_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool headers_equal(const struct conf_health *a, const struct conf_health *b)
{
	if (a->n_headers != b->n_headers)
		return false;
	for (uint32_t i = 0; i < a->n_headers; i++) {
		if (!text_equal(a->headers[i].name, b->headers[i].name) ||
		    !text_equal(a->headers[i].value, b->headers[i].value))
			return false;
	}
	return true;
}

/* Not `initial`, which is of no more meaning once there is a probe. */
static bool health_equal(const struct conf_health *a, const struct conf_health *b)
{
	return a->kind == b->kind && text_equal(a->path, b->path) &&
	       text_equal(a->method, b->method) && text_equal(a->host, b->host) &&
	       text_equal(a->send, b->send) && text_equal(a->answer, b->answer) &&
	       text_equal(a->body, b->body) && headers_equal(a, b) &&
	       a->expect_min == b->expect_min && a->expect_max == b->expect_max &&
	       a->fast_interval_us == b->fast_interval_us &&
	       a->down_interval_us == b->down_interval_us && a->interval_us == b->interval_us &&
	       a->timeout_us == b->timeout_us && a->rise == b->rise && a->fall == b->fall;
}

static int compare_probes(const void *a, const void *b)
{
	const struct probe *x = *(struct probe *const *)a, *y = *(struct probe *const *)b;
	return (x->id > y->id) - (x->id < y->id);
}

static struct probe *find_probe(const struct prober *prober, uint64_t id)
{
	struct probe key = {.id = id}, *key_at = &key;
	if (prober->n_probes == 0)
		return NULL;
	struct probe **found =
	    bsearch(&key_at, prober->probes, prober->n_probes, sizeof(key_at), compare_probes);
	return found ? *found : NULL;
}

/* What this node has not seen itself may be known all the same: the peer told it. Not so where our
 * own sight is what counts. A target that nobody has checked has no results in a row. */
static void plan_first(struct probe *probe, uint64_t now_us)
{
	const struct target *target = probe->target;
	bool known = target_health(target) != TARGET_UNKNOWN &&
		     (target->rise_count > 0 || target->fall_count > 0) &&
		     (!probe->tracked || probe->sight.health != TARGET_UNKNOWN);
	uint64_t phase_us = health_phase_us(probe->id, interval_of(probe), known);
	probe->hurried = !known;
	plan_at(probe, now_us + phase_us, now_us);
}

/* The old probe of this target with its schedule, or a new one. The old configuration is still
 * there to be compared with. */
static struct probe *adopt(
    struct prober *prober, const struct conf_pool *conf, struct pool *pool, struct target *target)
{
	struct probe *probe = find_probe(prober, target->id);
	const struct conf_health *health = &conf->health;
	bool same = probe && health_equal(probe->health, health) &&
		    probe->tracked == conf->tracked &&
		    probe->proxy_version == conf->send_proxy.version;
	if (!probe)
		probe = probe_new(prober, target->id);
	if (!probe)
		return NULL;
	/* The text belongs to the configuration, so the wish goes with it. */
	answer_wish_fini(&probe->wish);
	if (answer_wish_init(&probe->wish, health->body) < 0) {
		probe->wish.text = NULL;
		if (find_probe(prober, target->id) != probe)
			probe_free(probe);
		return NULL;
	}
	probe->health = health;
	probe->proxy_version = conf->send_proxy.version;
	probe->pool = pool;
	probe->target = target;
	probe->tracked = conf->tracked;
	probe->kept = true;
	if (!same) {
		stop_check(probe);
		plan_first(probe, clock_us());
	}
	return probe;
}

/* Frees the old probes that no new configuration adopted, and installs the new array. */
static void install(struct prober *prober, struct probe **probes, size_t n)
{
	for (size_t i = 0; i < prober->n_probes; i++) {
		if (!prober->probes[i]->kept)
			probe_free(prober->probes[i]);
	}
	free(prober->probes);
	prober->probes = probes;
	prober->n_probes = n;
	prober->sights++;
	for (size_t i = 0; i < n; i++)
		probes[i]->kept = false;
	if (n > 0)
		qsort(probes, n, sizeof(*probes), compare_probes);
	for (unsigned room = CHECKS_AT_ONCE_MAX; room > prober->running; room--)
		run_queue(prober);
}

static size_t count_checked(const struct conf *conf, const struct fleet *fleet)
{
	size_t n = 0;
	for (uint32_t p = 0; p < conf->n_pools; p++) {
		if (conf->pools[p].health.kind != CONF_HEALTH_NONE)
			n += fleet->pools[p].n_targets;
	}
	return n;
}

void prober_set(struct prober *prober, const struct conf *conf, struct fleet *fleet)
{
	size_t n = 0, wanted = count_checked(conf, fleet);
	struct probe **probes = calloc(wanted ? wanted : 1, sizeof(struct probe *));
	ev_now_update(prober->loop);
	for (uint32_t p = 0; probes && p < conf->n_pools; p++) {
		struct pool *pool = &fleet->pools[p];
		if (conf->pools[p].health.kind == CONF_HEALTH_NONE)
			continue;
		for (uint32_t t = 0; t < pool->n_targets; t++) {
			struct probe *probe =
			    adopt(prober, &conf->pools[p], pool, pool->targets[t].target);
			if (probe)
				probes[n++] = probe;
		}
	}
	if (n < wanted)
		log_error("out of memory: %zu of %zu targets are checked", n, wanted);
	install(prober, probes, n);
}

void prober_enable(struct prober *prober, bool on)
{
	if (prober->enabled == on)
		return;
	prober->enabled = on;
	ev_now_update(prober->loop);
	uint64_t now_us = clock_us();
	for (size_t i = 0; i < prober->n_probes; i++) {
		struct probe *probe = prober->probes[i];
		if (probe->tracked)
			continue; /* it was on, and stays so */
		stop_check(probe);
		if (on)
			plan_first(probe, now_us);
	}
}

const struct prober_sight *prober_sight(const struct prober *prober, uint64_t target_id)
{
	const struct probe *probe = find_probe(prober, target_id);
	return probe ? &probe->sight : NULL;
}

uint64_t prober_sights(const struct prober *prober)
{
	return prober->sights;
}

uint64_t prober_count(const struct prober *prober)
{
	return prober->started;
}

bool prober_next(const struct prober *prober, uint64_t target_id, uint64_t *due_us)
{
	const struct probe *probe = find_probe(prober, target_id);
	if (!probe || !is_on(probe))
		return false;
	*due_us = probe->due_us;
	return true;
}

uint64_t prober_results(const struct prober *prober, enum prober_result result)
{
	return prober->results[result];
}

const char *prober_result_name(enum prober_result result)
{
	static const char *const names[] = {
#define X(name, text) [PROBER_##name] = (text),
	    PROBER_RESULTS(X)
#undef X
	};
	return names[result];
}
