/* The prober against real sockets on loopback, in one process and one loop. Every test runs the
 * loop until what it waits for has happened, or a guard ends it. */
#include "daemon/health/prober.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "tests/unit/unit.h"

#define GUARD_SEC    60.
#define TARGETS_MAX  600
#define WAIT_FOREVER UINT64_MAX
/* Of a check that is to fail by it: longer than a busy machine lets this process stand between
 * two steps of the same check. */
#define TIMEOUT_US (300 * US_PER_MS)

/* ---- servers ---- */

enum behaviour { ANSWERS, REFUSES, MUTE, HANGS_UP, DRIPS };

struct server {
	enum behaviour behaviour;
	const char *answer;
	int fd;
	unsigned accepted, at_once;
	ev_io io;
	struct addr addr;
};

struct peer {
	struct server *server;
	int fd;
	size_t sent;
	ev_io io;
	ev_timer timer;
};

static struct ev_loop *loop;

static void peer_free(struct peer *peer)
{
	ev_io_stop(loop, &peer->io);
	ev_timer_stop(loop, &peer->timer);
	close(peer->fd);
	peer->server->at_once--;
	free(peer);
}

static void on_drip(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)l;
	(void)events;
	struct peer *peer = timer->data;
	const char *answer = peer->server->answer;
	if (!answer[peer->sent] || send(peer->fd, answer + peer->sent, 1, MSG_NOSIGNAL) != 1)
		peer_free(peer);
	else
		peer->sent++;
}

static void on_request(struct ev_loop *l, ev_io *io, int events)
{
	(void)l;
	(void)events;
	struct peer *peer = io->data;
	struct server *server = peer->server;
	char buf[1024];
	ssize_t n = recv(peer->fd, buf, sizeof(buf), 0);
	if (n > 0 && server->behaviour == MUTE)
		return;
	if (n > 0 && server->behaviour == DRIPS) {
		ev_timer_start(loop, &peer->timer);
		return;
	}
	if (n > 0 && server->behaviour == ANSWERS) {
		n = send(peer->fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
		CU_ASSERT_TRUE(n > 0);
	}
	peer_free(peer);
}

static void on_accept(struct ev_loop *l, ev_io *io, int events)
{
	(void)l;
	(void)events;
	struct server *server = io->data;
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	struct peer *peer = calloc(1, sizeof(*peer));
	if (!peer)
		abort();
	server->accepted++;
	server->at_once++;
	peer->server = server;
	peer->fd = fd;
	ev_io_init(&peer->io, on_request, fd, EV_READ);
	ev_timer_init(&peer->timer, on_drip, 0., 0.002);
	peer->io.data = peer->timer.data = peer;
	ev_io_start(loop, &peer->io);
}

static void server_start(struct server *server, enum behaviour behaviour, const char *answer)
{
	memset(server, 0, sizeof(*server));
	server->behaviour = behaviour;
	server->answer = answer;
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct addr addr = {0};
	socklen_t len = sizeof(addr);
	bool ok = server->fd >= 0 && addr_parse_ip("127.0.0.1", &addr) &&
		  bind(server->fd, &addr.sa, addr_len(&addr)) == 0 &&
		  getsockname(server->fd, &addr.sa, &len) == 0 &&
		  (behaviour == REFUSES || listen(server->fd, 1024) == 0);
	CU_ASSERT_TRUE_FATAL(ok);
	server->addr = addr;
	ev_io_init(&server->io, on_accept, server->fd, EV_READ);
	server->io.data = server;
	if (behaviour != REFUSES)
		ev_io_start(loop, &server->io);
}

/* Peers that the prober has left come to an end by themselves while the loop runs. */
static void server_stop(struct server *server)
{
	for (int i = 0; i < 1000 && server->at_once > 0; i++)
		ev_run(loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(server->at_once, 0);
	ev_io_stop(loop, &server->io);
	close(server->fd);
}

/* ---- the bench: one pool, and what the prober reported ---- */

struct bench {
	struct conf conf[2]; /* the one in force and the one before */
	struct conf_pool pool[2];
	unsigned sets;
	struct fleet *fleet;
	struct prober *prober;
	unsigned changes, wanted_changes;
	unsigned notes; /* of what may lead to a change */
	bool tracked;   /* the pool, in the next bench_set */
	enum target_health initial;
	uint64_t wanted_checks;
	enum target_health before;
	char texts[TARGETS_MAX][ADDR_TEXT_MAX];
	ev_timer guard, poll;
	bool timed_out;
};

static struct bench bench;

static const struct conf_health http_health = {.kind = CONF_HEALTH_HTTP,
    .path = "/",
    .method = "GET",
    .expect_min = 200,
    .expect_max = 399,
    .interval_us = 20000,
    .timeout_us = 30 * US_PER_SEC,
    .rise = 2,
    .fall = 3};

static struct conf_health tcp_health(void)
{
	struct conf_health health = http_health;
	health.kind = CONF_HEALTH_TCP;
	return health;
}

static void on_change(
    void *arg, struct pool *pool, struct target *target, enum target_health before)
{
	CU_ASSERT_PTR_EQUAL(arg, &bench);
	CU_ASSERT_PTR_EQUAL(pool, &bench.fleet->pools[0]);
	if (target->health == before) {
		bench.notes++;
		return;
	}
	bench.before = before;
	bench.changes++;
	if (bench.changes == bench.wanted_changes)
		ev_break(loop, EVBREAK_ALL);
}

static void on_guard(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	bench.timed_out = true;
	ev_break(l, EVBREAK_ALL);
}

static void on_poll(struct ev_loop *l, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	if (prober_count(bench.prober) >= bench.wanted_checks)
		ev_break(l, EVBREAK_ALL);
}

/* Runs until so many changes, or so many checks in all, were seen; false when the guard ended it.
 */
static bool run_until(unsigned changes, uint64_t checks)
{
	bench.wanted_changes = changes;
	bench.wanted_checks = checks;
	bench.timed_out = false;
	ev_now_update(loop);
	ev_timer_init(&bench.guard, on_guard, GUARD_SEC, 0.);
	ev_timer_init(&bench.poll, on_poll, 0.001, 0.001);
	ev_timer_start(loop, &bench.guard);
	ev_timer_start(loop, &bench.poll);
	ev_run(loop, 0);
	ev_timer_stop(loop, &bench.guard);
	ev_timer_stop(loop, &bench.poll);
	return !bench.timed_out;
}

/* For what must not happen: some intervals long. */
static void run_for(double seconds)
{
	bench.timed_out = false;
	ev_now_update(loop);
	ev_timer_init(&bench.guard, on_guard, seconds, 0.);
	ev_timer_start(loop, &bench.guard);
	while (!bench.timed_out)
		ev_run(loop, EVRUN_ONCE);
}

static void bench_set(const struct conf_health *health, const struct addr *addrs, uint32_t n)
{
	static struct fleet_target_spec targets[TARGETS_MAX];
	struct fleet *previous = bench.fleet;
	for (uint32_t i = 0; i < n; i++) {
		addr_format(&addrs[i], bench.texts[i]);
		targets[i] = (struct fleet_target_spec){.text = bench.texts[i],
		    .addr = addrs[i],
		    .weight = 1,
		    .initial = bench.initial};
	}
	struct fleet_pool_spec spec = {
	    .name = "web", .checked = true, .targets = targets, .n_targets = n};
	bench.fleet = fleet_new(&spec, 1, previous);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench.fleet);
	unsigned k = bench.sets++ % 2;
	bench.pool[k] = (struct conf_pool){
	    .name = "web", .n_targets = n, .health = *health, .tracked = bench.tracked};
	bench.conf[k] = (struct conf){.pools = &bench.pool[k], .n_pools = 1};
	prober_set(bench.prober, &bench.conf[k], bench.fleet);
	fleet_free(previous);
}

static void bench_start(void)
{
	memset(&bench, 0, sizeof(bench));
	loop = ev_loop_new(EVFLAG_AUTO);
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	bench.prober = prober_new(loop, on_change, &bench);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bench.prober);
}

static void bench_stop(void)
{
	prober_free(bench.prober);
	fleet_free(bench.fleet);
	bench.prober = NULL;
	bench.fleet = NULL;
}

static struct target *target_at(uint32_t i)
{
	return bench.fleet->pools[0].targets[i].target;
}

/* One server, one check: what is the verdict? */
static void check_one(enum behaviour behaviour, const char *answer, struct conf_health health,
    enum target_health wanted, const char *reason)
{
	struct server server;
	bench_start();
	server_start(&server, behaviour, answer);
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(bench.before, TARGET_UNKNOWN);
	CU_ASSERT_EQUAL(target_at(0)->health, wanted);
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, reason);
	CU_ASSERT_TRUE(target_at(0)->last_check_us > 0);
	CU_ASSERT_TRUE(target_at(0)->since_us > 0);
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

/* ---- tests ---- */

static void http_verdicts(void)
{
	struct conf_health short_timeout = http_health, exact = http_health;
	short_timeout.timeout_us = TIMEOUT_US;
	exact.expect_min = exact.expect_max = 204;
	check_one(ANSWERS, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", http_health, TARGET_UP,
	    "HTTP 200");
	check_one(ANSWERS, "HTTP/1.0 302 Found\r\n\r\n", http_health, TARGET_UP, "HTTP 302");
	check_one(DRIPS, "HTTP/1.1 200 OK\r\n\r\n", http_health, TARGET_UP, "HTTP 200");
	check_one(ANSWERS, "HTTP/1.1 503 Busy\r\n\r\n", http_health, TARGET_DOWN,
	    "HTTP 503, wanted 200-399");
	check_one(ANSWERS, "HTTP/1.1 200 OK\r\n\r\n", exact, TARGET_DOWN, "HTTP 200, wanted 204");
	check_one(ANSWERS, "220 mail ESMTP\r\n", http_health, TARGET_DOWN, "not an HTTP/1 answer");
	check_one(ANSWERS, "HTTP/1.1 2", http_health, TARGET_DOWN, "closed without an answer");
	check_one(HANGS_UP, NULL, http_health, TARGET_DOWN, "closed without an answer");
	check_one(REFUSES, NULL, http_health, TARGET_DOWN, "connect: Connection refused");
	check_one(MUTE, NULL, short_timeout, TARGET_DOWN, "timeout after 300 ms");
}

static void tcp_verdicts(void)
{
	check_one(MUTE, NULL, tcp_health(), TARGET_UP, "connected");
	check_one(REFUSES, NULL, tcp_health(), TARGET_DOWN, "connect: Connection refused");
}

/* A UDP server that answers a ping, or, without an answer, is mute. */
static void on_datagram(struct ev_loop *l, ev_io *io, int events)
{
	(void)l, (void)events;
	struct server *server = io->data;
	struct addr from;
	socklen_t len = sizeof(from);
	char buf[16];
	ssize_t n = recvfrom(server->fd, buf, sizeof(buf), 0, &from.sa, &len);
	if (n == 5 && memcmp(buf, "ping\0", 5) == 0 && server->answer)
		sendto(server->fd, server->answer, strlen(server->answer), 0, &from.sa, len);
}

static void check_udp(bool there, const char *answer, const char *expect, enum target_health wanted,
    const char *reason)
{
	struct conf_health health = http_health;
	struct server server = {.answer = answer};
	socklen_t len = sizeof(server.addr);
	health.kind = CONF_HEALTH_UDP;
	health.send = "ping\\x00";
	health.answer = expect;
	health.timeout_us = answer || !there ? health.timeout_us : TIMEOUT_US;
	bench_start();
	addr_parse_ip("127.0.0.1", &server.addr);
	server.fd = net_listen_udp(&server.addr, &(struct net_listen_options){0});
	CU_ASSERT_TRUE_FATAL(server.fd >= 0);
	CU_ASSERT_EQUAL(getsockname(server.fd, &server.addr.sa, &len), 0);
	/* The port stays ours, but a socket that hears another one takes nothing. */
	struct addr nobody = server.addr;
	addr_set_port(&nobody, 1);
	if (!there)
		CU_ASSERT_EQUAL(connect(server.fd, &nobody.sa, addr_len(&nobody)), 0);
	ev_io_init(&server.io, on_datagram, server.fd, EV_READ);
	server.io.data = &server;
	ev_io_start(loop, &server.io);
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, wanted);
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, reason);
	bench_stop();
	ev_io_stop(loop, &server.io);
	close(server.fd);
	ev_loop_destroy(loop);
}

static void udp_verdicts(void)
{
	check_udp(true, "pong", NULL, TARGET_UP, "answered");
	check_udp(true, "pong", "po", TARGET_UP, "answered");
	check_udp(true, "pong", "pi", TARGET_DOWN, "another answer than expected");
	check_udp(true, NULL, NULL, TARGET_DOWN, "timeout after 300 ms");
	check_udp(false, "pong", NULL, TARGET_DOWN, "read: Connection refused"); /* at once */
}

/* A backlog that is full: the kernel drops the handshake, nobody answers. */
static void connect_timeout(void)
{
	struct conf_health health = tcp_health();
	health.timeout_us = TIMEOUT_US;
	bench_start();
	struct server server;
	server_start(&server, REFUSES, NULL);
	CU_ASSERT_EQUAL_FATAL(listen(server.fd, 0), 0);
	int clients[4];
	for (size_t i = 0; i < 4; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		int rc = connect(clients[i], &server.addr.sa, addr_len(&server.addr));
		CU_ASSERT_TRUE(rc == 0 || errno == EINPROGRESS);
	}
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, "connect: timeout after 300 ms");
	bench_stop();
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	server_stop(&server);
	ev_loop_destroy(loop);
}

static void falls_after_three_and_rises_after_two(void)
{
	struct server server;
	bench_start();
	server_start(&server, ANSWERS, "HTTP/1.1 200 OK\r\n\r\n");
	bench_set(&http_health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);

	unsigned before = server.accepted;
	CU_ASSERT_EQUAL(bench.notes, 0); /* all is well, again and again: nothing to tell */
	server.answer = "HTTP/1.1 500 Oops\r\n\r\n";
	CU_ASSERT_TRUE(run_until(2, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	CU_ASSERT_EQUAL(server.accepted - before, 3);
	CU_ASSERT_EQUAL(bench.notes, 2); /* the first two failures */

	server.answer = "HTTP/1.1 404 Gone\r\n\r\n";
	CU_ASSERT_TRUE(run_until(99, prober_count(bench.prober) + 2));
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, "HTTP 404, wanted 200-399");
	CU_ASSERT_EQUAL(bench.changes, 2);
	CU_ASSERT_EQUAL(bench.notes, 3); /* another reason, once */

	server.answer = "HTTP/1.1 200 OK\r\n\r\n";
	CU_ASSERT_TRUE(run_until(3, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	CU_ASSERT_EQUAL(bench.notes, 4); /* the first success */
	CU_ASSERT_EQUAL(target_at(0)->rise_count, 2);
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, "HTTP 200");
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

static uint64_t next_us(uint32_t target)
{
	uint64_t due_us = 0;
	CU_ASSERT_TRUE(prober_next(bench.prober, target_at(target)->id, &due_us));
	return due_us;
}

/* Hours between checks, but while the state is in doubt. */
static void fast_while_in_doubt(void)
{
	struct server server;
	struct conf_health health = http_health;
	health.interval_us = health.down_interval_us = 3600 * US_PER_SEC;
	health.fast_interval_us = 20000;
	bench_start();
	bench.initial = TARGET_UP;
	server_start(&server, ANSWERS, "HTTP/1.1 500 Oops\r\n\r\n");
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	CU_ASSERT_EQUAL(server.accepted, health.fall);
	CU_ASSERT_EQUAL(prober_results(bench.prober, PROBER_STATUS), health.fall);
	CU_ASSERT_TRUE(next_us(0) > clock_us() + 1000 * US_PER_SEC);

	/* Down, it is looked at more often; the first good check is the beginning of the end. */
	health.down_interval_us = 20000;
	server.answer = "HTTP/1.1 200 OK\r\n\r\n";
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(2, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	CU_ASSERT_EQUAL(server.accepted, health.fall + health.rise);
	CU_ASSERT_TRUE(next_us(0) > clock_us() + 1000 * US_PER_SEC);
	const struct prober_sight *sight = prober_sight(bench.prober, target_at(0)->id);
	CU_ASSERT_EQUAL(sight->last, PROBER_OK);
	CU_ASSERT_STRING_EQUAL(sight->last_reason, "HTTP 200");
	CU_ASSERT_TRUE(sight->last_us > 0 && sight->took_us > 0);
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

/* From the first check on, and not by the first good one. */
static void down_until_checks_say_otherwise(void)
{
	struct server server;
	bench_start();
	bench.initial = TARGET_DOWN;
	server_start(&server, ANSWERS, "HTTP/1.1 200 OK\r\n\r\n");
	bench_set(&http_health, &server.addr, 1);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	CU_ASSERT_STRING_EQUAL(target_at(0)->reason, "not checked yet");
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(bench.before, TARGET_DOWN);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	CU_ASSERT_EQUAL(server.accepted, http_health.rise);
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

static void bodies(void)
{
	struct conf_health text = http_health, regex = http_health;
	text.body = "ready";
	regex.body = "~^ready$";
	check_one(ANSWERS, "HTTP/1.1 200 OK\r\n\r\nI am ready", text, TARGET_UP, "HTTP 200");
	check_one(ANSWERS, "HTTP/1.1 200 OK\r\n\r\nI am not", text, TARGET_DOWN,
	    "HTTP 200, not the body that is wanted");
	check_one(ANSWERS, "HTTP/1.1 500 Oops\r\n\r\nready", text, TARGET_DOWN,
	    "HTTP 500, wanted 200-399");
	check_one(ANSWERS, "220 mail ESMTP ready\r\n", text, TARGET_DOWN, "not an HTTP/1 answer");
	check_one(HANGS_UP, NULL, text, TARGET_DOWN, "closed without an answer");
	check_one(DRIPS, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", regex, TARGET_UP,
	    "HTTP 200");
	check_one(DRIPS, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready!", regex, TARGET_DOWN,
	    "HTTP 200, not the body that is wanted");
}

static void off_means_off(void)
{
	struct server server;
	bench_start();
	server_start(&server, ANSWERS, "HTTP/1.1 200 OK\r\n\r\n");
	prober_enable(bench.prober, false);
	bench_set(&http_health, &server.addr, 1);
	run_for(3 * 0.02);
	CU_ASSERT_EQUAL(prober_count(bench.prober), 0);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UNKNOWN);

	prober_enable(bench.prober, true);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	CU_ASSERT_TRUE(run_until(99, prober_count(bench.prober) + 1)); /* in the middle of one */
	prober_enable(bench.prober, false);
	uint64_t count = prober_count(bench.prober);
	run_for(3 * 0.02);
	CU_ASSERT_EQUAL(prober_count(bench.prober), count);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP); /* stays in force */
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

/* While the peer tells us the states, what we see ourselves is kept beside them. */
static void off_does_not_blind_to_what_is_tracked(void)
{
	struct server server;
	bench_start();
	server_start(&server, ANSWERS, "HTTP/1.1 200 OK\r\n\r\n");
	bench.tracked = true;
	prober_enable(bench.prober, false);
	bench_set(&http_health, &server.addr, 1);
	const struct prober_sight *sight = prober_sight(bench.prober, target_at(0)->id);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sight);
	CU_ASSERT_PTR_NULL(prober_sight(bench.prober, target_at(0)->id + 1));
	CU_ASSERT_EQUAL(sight->health, TARGET_UNKNOWN);
	uint64_t sights = prober_sights(bench.prober);
	CU_ASSERT_TRUE(run_until(99, 2));
	CU_ASSERT_EQUAL(sight->health, TARGET_UP);
	CU_ASSERT_STRING_EQUAL(sight->reason, "HTTP 200");
	CU_ASSERT_EQUAL(prober_sights(bench.prober), sights + 1);

	server.answer = "HTTP/1.1 503 No\r\n\r\n";
	CU_ASSERT_TRUE(run_until(99, prober_count(bench.prober) + http_health.fall + 2));
	CU_ASSERT_EQUAL(sight->health, TARGET_DOWN);
	CU_ASSERT_EQUAL(prober_sights(bench.prober), sights + 2);
	/* None of which was the target's. */
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UNKNOWN);
	CU_ASSERT_EQUAL(target_at(0)->fall_count, 0);
	CU_ASSERT_EQUAL(bench.changes, 0);

	prober_enable(bench.prober, true);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	/* Tracked no more, and off. */
	bench.tracked = false;
	bench_set(&http_health, &server.addr, 1);
	prober_enable(bench.prober, false);
	uint64_t count = prober_count(bench.prober);
	run_for(3 * 0.02);
	CU_ASSERT_EQUAL(prober_count(bench.prober), count);
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

static struct addr nth_address(const struct server *server, uint32_t n)
{
	struct addr addr = server->addr; /* all of 127.0.0.0/8 is this host; nobody listens there */
	addr.in.sin_addr.s_addr = htonl(0x7f010000U + n);
	return addr;
}

/* A Backup that has never checked anything, since its peer told it everything, becomes Active: the
 * round is spread over the interval, not over the second of a start. */
static void what_is_known_is_checked_at_the_usual_pace(void)
{
	static struct addr addrs[100];
	struct server nobody;
	struct conf_health health = tcp_health();
	health.interval_us = 10 * US_PER_SEC;
	bench_start();
	server_start(&nobody, REFUSES, NULL);
	for (uint32_t i = 0; i < 100; i++)
		addrs[i] = nth_address(&nobody, i + 1);
	prober_enable(bench.prober, false);
	bench_set(&health, addrs, 100);
	for (uint32_t i = 0; i < 100; i++) {
		target_set_health(&bench.fleet->pools[0], target_at(i), TARGET_UP, "told", 1);
		target_at(i)->rise_count = 1;
	}
	uint64_t begun_us = clock_us();
	prober_enable(bench.prober, true);
	run_for(1.);
	uint64_t pace = 100 * (clock_us() - begun_us) / health.interval_us; /* 10, if on time */
	CU_ASSERT_TRUE(prober_count(bench.prober) >= 1);
	CU_ASSERT_TRUE(prober_count(bench.prober) <= 2 * pace);
	bench_stop();
	server_stop(&nobody);
	ev_loop_destroy(loop);
}

/* A reload between two checks: the third failure in a row comes after the first interval has
 * passed, as if nothing had been, also for a check that was in flight. */
static void a_reload_keeps_the_schedule(void)
{
	struct server mute;
	struct conf_health health = http_health;
	health.interval_us = 3600 * US_PER_SEC;
	health.timeout_us = TIMEOUT_US;
	bench_start();
	server_start(&mute, MUTE, NULL);
	struct addr addrs[3] = {mute.addr, nth_address(&mute, 1), nth_address(&mute, 2)};
	bench_set(&health, addrs, 2);
	CU_ASSERT_TRUE(run_until(99, 2)); /* both run, or the refused one has ended already */
	struct target *kept = target_at(0);
	bench_set(&health, addrs, 3);
	CU_ASSERT_PTR_EQUAL(target_at(0), kept);
	CU_ASSERT_TRUE(run_until(3, WAIT_FOREVER));
	/* Each was checked once: nobody began again, and the new one was checked too. */
	CU_ASSERT_EQUAL(prober_count(bench.prober), 3);
	CU_ASSERT_EQUAL(mute.accepted, 1);
	CU_ASSERT_EQUAL(target_at(0)->fall_count, 1);

	health.timeout_us =
	    TIMEOUT_US / 2; /* other settings: all begin again, within one interval */
	health.interval_us = 20000;
	bench_set(&health, addrs, 3);
	CU_ASSERT_TRUE(run_until(99, 9));

	bench_set(&health, addrs + 1, 1); /* gone, with or without a check in flight */
	unsigned accepted = mute.accepted;
	CU_ASSERT_TRUE(run_until(99, prober_count(bench.prober) + 3));
	CU_ASSERT_TRUE(mute.accepted <= accepted + 1);
	bench_stop();
	server_stop(&mute);
	ev_loop_destroy(loop);
}

/* More targets than checks at once: 600 that never answer (one listening socket, reached through
 * 600 loopback addresses). */
static void bounds_the_checks_at_once(void)
{
	static struct addr addrs[TARGETS_MAX];
	struct server mute;
	struct conf_health health = http_health;
	health.interval_us = 1000;          /* how far the first round is spread: all at once */
	health.timeout_us = 2 * US_PER_SEC; /* until then all have begun, that can */
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	bench_start();
	server_start(&mute, MUTE, NULL);
	int any = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct addr addr = {0};
	socklen_t len = sizeof(addr);
	addr_parse_ip("0.0.0.0", &addr);
	bool ok = bind(any, &addr.sa, addr_len(&addr)) == 0 &&
		  getsockname(any, &addr.sa, &len) == 0 && listen(any, 1024) == 0;
	CU_ASSERT_TRUE_FATAL(ok);
	ev_io_stop(loop, &mute.io);
	close(mute.fd);
	mute.fd = any;
	mute.addr = addr;
	ev_io_set(&mute.io, any, EV_READ);
	ev_io_start(loop, &mute.io);
	for (uint32_t i = 0; i < TARGETS_MAX; i++)
		addrs[i] = nth_address(&mute, i + 1);
	log_set_level(LOG_LEVEL_ERROR);
	bench_set(&health, addrs, TARGETS_MAX);
	/* The first that ends makes room for the first that waits. */
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_EQUAL(prober_count(bench.prober), 512);
	CU_ASSERT_TRUE(run_until(TARGETS_MAX, WAIT_FOREVER));
	log_set_level(LOG_LEVEL_INFO);
	bench_stop();
	server_stop(&mute);
	ev_loop_destroy(loop);
}

/* No descriptor left: that is our trouble and says nothing about the target. */
static void our_own_shortage_is_no_verdict(void)
{
	struct server server;
	struct rlimit limit, none;
	struct conf_health health = http_health;
	health.timeout_us = US_PER_SEC; /* of the check that our server cannot accept either */
	bench_start();
	server_start(&server, ANSWERS, "HTTP/1.1 200 OK\r\n\r\n");
	bench_set(&health, &server.addr, 1);
	CU_ASSERT_TRUE(run_until(1, WAIT_FOREVER));
	CU_ASSERT_TRUE(run_until(99, prober_count(bench.prober) + 1));
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3;
	setrlimit(RLIMIT_NOFILE, &none);
	CU_ASSERT_TRUE(run_until(2, prober_count(bench.prober) + 6));
	CU_ASSERT_EQUAL(bench.changes, 1);
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_UP);
	setrlimit(RLIMIT_NOFILE, &limit);
	server.answer = "HTTP/1.1 500 Oops\r\n\r\n";
	CU_ASSERT_TRUE(run_until(2, WAIT_FOREVER)); /* and then it goes on */
	CU_ASSERT_EQUAL(target_at(0)->health, TARGET_DOWN);
	bench_stop();
	server_stop(&server);
	ev_loop_destroy(loop);
}

UNIT_MAIN("health/prober", UNIT(http_verdicts), UNIT(tcp_verdicts), UNIT(udp_verdicts),
    UNIT(connect_timeout), UNIT(falls_after_three_and_rises_after_two), UNIT(fast_while_in_doubt),
    UNIT(down_until_checks_say_otherwise), UNIT(bodies), UNIT(off_means_off),
    UNIT(off_does_not_blind_to_what_is_tracked), UNIT(what_is_known_is_checked_at_the_usual_pace),
    UNIT(a_reload_keeps_the_schedule), UNIT(bounds_the_checks_at_once),
    UNIT(our_own_shortage_is_no_verdict))
