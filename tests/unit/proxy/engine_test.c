/* The engine through sockets: what a client and a target see, byte for byte. */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define ADDED "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\r\n"
#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static void get(int fd, const char *path)
{
	char text[256];
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
	peer_send(fd, text);
}

static void expect_get(int fd, const char *path)
{
	char text[256];
	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n" ADDED, path);
	peer_expect(fd, text);
}

static uint64_t idle_upstreams(const struct proxy_stats *stats)
{
	return stats->upstream_idle;
}

/* One exchange on connections that stay open. */
static int exchange(struct rig *rig, int client, int target)
{
	get(client, "/");
	if (target < 0)
		target = rig_accept(rig, 0);
	expect_get(target, "/");
	peer_send(target, OK);
	peer_expect(client, OK);
	CU_ASSERT_FATAL(rig_wait(rig, idle_upstreams, 1));
	return target;
}

static void keeps_both_sides_alive(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig_apply(&rig);
	int first = rig_connect(&rig, RIG_HTTP), second = rig_connect(&rig, RIG_HTTP);
	int target = exchange(&rig, first, -1);
	exchange(&rig, first, target);
	exchange(&rig, second, target); /* another client, the same connection to the target */
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.requests, 3);
	CU_ASSERT_EQUAL(stats.upstream_connects, 1);
	CU_ASSERT_EQUAL(stats.upstream_reuses, 2);
	peer_send(second, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
	expect_get(target, "/");
	peer_send(target, OK);
	peer_expect(second, CLOSE);
	peer_expect_eof(second);
	close(first), close(second), close(target);
	rig_fini(&rig);
}

static void serves_pipelined_requests_in_order(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	peer_send(client, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
			  "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
			  "GET /3 HTTP/1.1\r\nHost: h\r\n\r\nGET /4 HT");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/1");
	peer_expect_silence(target, 50);
	peer_send(target, OK);
	peer_expect(target, "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" ADDED "abc");
	peer_send(target, OK);
	expect_get(target, "/3");
	peer_send(target, OK);
	peer_expect(client, OK OK OK);
	peer_send(client, "TP/1.1\r\nHost: h\r\n\r\n");
	expect_get(target, "/4");
	close(client), close(target);
	rig_fini(&rig);
}

static void passes_chunked_bodies(void)
{
	static const char body[] = "3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	peer_send(client, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x");
	int target = rig_accept(&rig, 0);
	peer_expect(target, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n" ADDED);
	peer_send(client, body + 3);
	peer_expect(target, body);
	peer_send(target, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	peer_expect(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	for (size_t i = 0; i < sizeof(body) - 1; i++) {
		char byte[2] = {body[i], '\0'};
		peer_send(target, byte);
		peer_expect(client, byte);
	}
	exchange(&rig, client, target);
	/* HTTP/1.0 gets the data only */
	int old = rig_connect(&rig, RIG_HTTP);
	peer_send(old, "GET / HTTP/1.0\r\nHost: h\r\n\r\n");
	expect_get(target, "/");
	peer_send(target, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	peer_send(target, body);
	peer_expect(old, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
	peer_expect_eof(old);
	close(client), close(old), close(target);
	rig_fini(&rig);
}

static void relays_interim_responses(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	peer_send(client, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
			  "Content-Length: 3\r\n\r\n");
	int target = rig_accept(&rig, 0);
	peer_expect_head(target, "PUT / HTTP/1.1\r\n", "Expect: 100-continue\r\n");
	CU_ASSERT_EQUAL(send(client, "abc", 3, 0), 3);
	peer_expect(target, "abc");
	peer_send(target, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n" OK);
	peer_expect(
	    client, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: a\r\n\r\n" OK);
	exchange(&rig, client, target);
	close(client), close(target);
	rig_fini(&rig);
}

static void refuses_what_is_malformed(void)
{
	static const char *const cases[][2] = {
	    {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "HTTP/1.1 400 "},
	    {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n",
		"HTTP/1.1 400 "},
	    {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
	    {"CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", "HTTP/1.1 501 "},
	    {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505 "},
	};
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig_apply(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int client = rig_connect(&rig, RIG_HTTP);
		peer_send(client, cases[i][0]);
		peer_expect_answer(client, cases[i][1], "Connection: close\r\n");
		peer_expect_eof(client);
		close(client);
	}
	/* in the middle of a body: the target must not take it for complete */
	int client = rig_connect(&rig, RIG_HTTP);
	peer_send(
	    client, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
	int target = rig_accept(&rig, 0);
	peer_expect_head(target, "PUT", "chunked");
	peer_expect(target, "1\r\na\r\n");
	peer_send(client, "-1\r\n");
	peer_expect_answer(client, "HTTP/1.1 400 ", "Connection: close\r\n");
	peer_expect_eof(target);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.refused_malformed, 6);
	CU_ASSERT_EQUAL(stats.upstream_connects, 1);
	close(client), close(target);
	rig_fini(&rig);
}

static void retries_what_can_be_repeated(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	int target = exchange(&rig, client, -1);
	/* a pooled connection dies with the request on it */
	get(client, "/again");
	expect_get(target, "/again");
	close(target);
	target = rig_accept(&rig, 0);
	expect_get(target, "/again");
	peer_send(target, OK);
	peer_expect(client, OK);
	/* a method that is not idempotent was perhaps served: no second time */
	CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
	peer_send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
	peer_expect_answer(target, "POST", "Content-Length: 2\r\n");
	peer_reset(target);
	peer_expect_answer(client, "HTTP/1.1 502 ", "\r\n");
	peer_expect_silence(rig.listening[0], 50);
	close(client);
	rig_fini(&rig);
}

static void goes_to_another_target_when_refused(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.n_targets = 2;
	rig_apply(&rig);
	rig_close_target(&rig, 0);
	int target = -1;
	for (int i = 0; i < 2; i++) { /* round robin: one of them meets the dead target */
		int client = rig_connect(&rig, RIG_HTTP);
		peer_send(client, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
		if (target < 0)
			target = rig_accept(&rig, 1);
		peer_expect_answer(target, "POST", "Content-Length: 2\r\n");
		peer_send(target, OK);
		peer_expect(client, OK);
		CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
		close(client);
	}
	for (int i = 0; i < 2; i++) {
		int client = rig_connect(&rig, RIG_TCP);
		int raw = rig_accept(&rig, 1);
		peer_send(raw, "hello");
		peer_expect(client, "hello");
		close(client), close(raw);
	}
	close(target);
	rig_close_target(&rig, 1);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	peer_expect_answer(client, "HTTP/1.1 502 ", "\r\n");
	close(client);
	client = rig_connect(&rig, RIG_TCP);
	peer_expect_reset(client);
	close(client);
	rig_fini(&rig);
}

static void answers_when_time_is_up(void)
{
	struct rig rig;
	rig_init(&rig);
	/* The request is sent in time also by a busy machine. */
	rig.listener.header_timeout_us = US_PER_SEC;
	rig.listener.idle_timeout_us = 1500 * US_PER_MS;
	rig.pool.response_timeout_us = 500 * US_PER_MS;
	rig_apply(&rig);
	int silent = rig_connect(&rig, RIG_HTTP), slow = rig_connect(&rig, RIG_HTTP);
	peer_send(slow, "GET / HT");
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_expect_answer(client, "HTTP/1.1 504 ", "\r\n");
	peer_expect_eof(target);
	peer_expect_answer(slow, "HTTP/1.1 408 ", "Connection: close\r\n");
	peer_expect_eof(silent);
	peer_expect_eof(client); /* idle */
	int raw = rig_connect(&rig, RIG_TCP), raw_target = rig_accept(&rig, 0);
	peer_expect_eof(raw);
	peer_expect_eof(raw_target);
	close(silent), close(slow), close(client), close(target), close(raw), close(raw_target);
	rig_fini(&rig);
}

static void shows_the_client_a_broken_response(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	peer_expect(client, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
	close(target);
	peer_expect_reset(client);
	close(client);

	/* more than was asked for never reaches the next client */
	client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, OK "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
	peer_expect(client, OK);
	peer_expect_eof(target);
	int fresh = exchange(&rig, client, -1);
	close(client), close(target), close(fresh);
	rig_fini(&rig);
}

static void answers_early_and_lingers(void)
{
	static const char piece[64 * 1024];
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	peer_send(client, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n");
	int target = rig_accept(&rig, 0);
	peer_expect_head(target, "PUT", "Content-Length: 1000000000\r\n");
	/* The target does not read: fill all that lies between. A close that does not read it first
	 * would reset the client before it has seen the answer. */
	struct pollfd writable = {.fd = client, .events = POLLOUT};
	size_t sent = 0;
	while (sent < 100000000 && poll(&writable, 1, 100) == 1) {
		ssize_t n = send(client, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
		CU_ASSERT_FATAL(n > 0);
		sent += (size_t)n;
	}
	CU_ASSERT(sent < 100000000); /* the proxy does not swallow it either */
	peer_send(target, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	peer_expect(
	    client, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
	peer_expect_eof(client);
	close(client), close(target);
	rig_fini(&rig);
}

static void half_closes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_TCP);
	peer_send(client, "ask");
	shutdown(client, SHUT_WR);
	int target = rig_accept(&rig, 0);
	peer_expect(target, "ask");
	peer_expect_eof(target);
	peer_send(target, "answer");
	peer_expect(client, "answer");
	close(target);
	peer_expect_eof(client);
	close(client);

	client = rig_connect(&rig, RIG_TCP);
	target = rig_accept(&rig, 0);
	peer_send(client, "x");
	peer_expect(target, "x");
	peer_reset(client);
	peer_expect_reset(target);
	close(target);

	/* HTTP: who has asked completely is answered */
	client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	shutdown(client, SHUT_WR);
	target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_expect_silence(client, 50);
	peer_send(target, OK);
	peer_expect(client, OK);
	peer_expect_eof(client);
	close(client), close(target);
	rig_fini(&rig);
}

/* Takes a response; the cookie that it sets, or "". */
static void read_cookie(int client, char cookie[256])
{
	char head[PEER_HEAD_MAX];
	peer_read_head(client, head);
	peer_expect(client, "ok");
	const char *line = strstr(head, "\r\nSet-Cookie: ");
	cookie[0] = '\0';
	if (line)
		sscanf(line, "\r\nSet-Cookie: %200[^;]", cookie);
}

static void follows_the_cookie(void)
{
	struct rig rig;
	char cookie[256], again[256], request[512];
	rig_init(&rig);
	rig.n_targets = 2;
	rig.pool.sticky.kind = CONF_STICKY_COOKIE;
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	struct pollfd listening[2] = {
	    {.fd = rig.listening[0], .events = POLLIN}, {.fd = rig.listening[1], .events = POLLIN}};
	CU_ASSERT_FATAL(poll(listening, 2, RIG_WAIT_MS) == 1);
	unsigned home = listening[0].revents ? 0 : 1;
	int target = rig_accept(&rig, home);
	expect_get(target, "/");
	peer_send(target, OK);
	read_cookie(client, cookie);
	CU_ASSERT(strncmp(cookie, "Y=", 2) == 0);
	for (int i = 0; i < 5; i++) {
		snprintf(request, sizeof(request),
		    "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=b; %s\r\n\r\n", cookie);
		peer_send(client, request);
		peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
		peer_send(target, OK);
		read_cookie(client, again);
		CU_ASSERT_EQUAL(again[0], '\0');
	}
	/* its target is gone: another one, and a new cookie */
	close(target);
	rig_close_target(&rig, home);
	peer_send(client, request);
	target = rig_accept(&rig, 1 - home);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
	peer_send(target, OK);
	read_cookie(client, again);
	CU_ASSERT(strncmp(again, "Y=", 2) == 0 && strcmp(again, cookie) != 0);
	close(client), close(target);
	rig_fini(&rig);
}

/* The key changes while a client keeps its connection: the cookie of the old one is good, and comes
 * back as one of the new key. */
static void a_cookie_outlives_its_key(void)
{
	struct rig rig;
	char cookie[256], request[512];
	rig_init(&rig);
	rig.pool.sticky.kind = CONF_STICKY_COOKIE;
	rig.keys = (struct keys){1, {"old"}};
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, OK);
	read_cookie(client, cookie);
	CU_ASSERT(strncmp(cookie, "Y=", 2) == 0);
	static const struct {
		struct keys keys;
		bool anew;
	} steps[] = {{{2, {"old", "new"}}, false}, {{2, {"new", "old"}}, true},
	    {{1, {"new"}}, false}, {{1, {"other"}}, true}};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char again[256];
		rig.keys = steps[i].keys;
		rig_apply(&rig);
		snprintf(request, sizeof(request),
		    "GET / HTTP/1.1\r\nHost: h\r\nCookie: %s\r\n\r\n", cookie);
		peer_send(client, request);
		peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
		peer_send(target, OK);
		read_cookie(client, again);
		CU_ASSERT_EQUAL(again[0] != '\0', steps[i].anew);
		if (steps[i].anew)
			memcpy(cookie, again, sizeof(cookie));
	}
	struct proxy_stats stats;
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.sticky_hits, 3);
	CU_ASSERT_EQUAL(stats.sticky_stale, 1);
	CU_ASSERT_EQUAL(stats.sticky_misses, 2); /* the first request, and the last key */
	close(client), close(target);
	rig_fini(&rig);
}

static uint64_t requests(const struct proxy_stats *stats)
{
	return stats->requests;
}

static void holds_back_until_acked(void)
{
	struct rig rig;
	struct proxy_stats stats;
	struct record record;
	rig_init(&rig);
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, OK);
	CU_ASSERT_FATAL(rig_wait(&rig, requests, 1));
	peer_expect_silence(client, 100);
	CU_ASSERT_EQUAL_FATAL(journal_read(rig.journal, 0, &record, 1), 1);
	CU_ASSERT_EQUAL(record.kind, RECORD_SESSION);
	CU_ASSERT_EQUAL(record.session.target_id, rig.fleet->pools[0].targets[0].target->id);
	journal_set_acked(rig.journal, record.sequence);
	peer_expect(client, OK);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.ack_timeouts + stats.unprotected_sessions, 0);
	/* What began when sessions lived longer is not new. */
	rig.pool.sticky.ttl_us /= 2;
	rig_apply(&rig);
	exchange(&rig, client, target);
	CU_ASSERT_EQUAL(journal_last(rig.journal), 1);
	close(client), close(target);
	rig_fini(&rig);
}

/* A browser asks on several connections at once. What it gets on any of them, it has seen: none of
 * the responses may leave before the peer has the session, whichever of them made it. */
static void holds_back_who_follows_a_new_session(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.ack_timeout_us = 4 * US_PER_SEC; /* all that follows up to the ack takes less */
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int first = rig_connect(&rig, RIG_HTTP), second = rig_connect(&rig, RIG_HTTP);
	get(first, "/1");
	int target1 = rig_accept(&rig, 0);
	expect_get(target1, "/1");
	get(second, "/2"); /* follows */
	int target2 = rig_accept(&rig, 0);
	expect_get(target2, "/2");
	peer_send(target2, OK);
	peer_expect_silence(second, 100);
	uint64_t last = journal_last(rig.journal);
	CU_ASSERT_EQUAL(last, 2);
	journal_set_acked(rig.journal, last);
	peer_expect(second, OK);
	peer_send(target1, OK);
	peer_expect(first, OK);
	/* Older than a response may wait: nothing is written, nothing is held. */
	uint64_t end_us = clock_us() + rig.ack_timeout_us;
	while (clock_us() < end_us)
		poll(NULL, 0, 10);
	exchange(&rig, first, target1);
	CU_ASSERT_EQUAL(journal_last(rig.journal), 2);
	close(first), close(second), close(target1), close(target2);
	rig_fini(&rig);
}

static uint64_t unprotected_sessions(const struct proxy_stats *stats)
{
	return stats->unprotected_sessions;
}

/* Who has waited in vain frees all others, and nobody waits any more. */
static void one_wait_in_vain_is_enough(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig.ack_timeout_us = 1500 * US_PER_MS;
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int first = rig_connect(&rig, RIG_TCP), target1 = rig_accept(&rig, 0);
	peer_send(target1, "hello");
	peer_expect_silence(first, 100);
	int second = rig_connect(&rig, RIG_TCP), target2 = rig_accept(&rig, 0);
	peer_send(target2, "hello");
	peer_expect(second, "hello");
	peer_expect(first, "hello");
	CU_ASSERT_FALSE(journal_protected(rig.journal));
	CU_ASSERT_FATAL(rig_wait(&rig, unprotected_sessions, 2));
	proxy_stats(rig.proxy, &stats);
	/* 2: the worker did not run between the two deadlines */
	CU_ASSERT(stats.ack_timeouts == 1 || stats.ack_timeouts == 2);
	CU_ASSERT_EQUAL(stats.unprotected_sessions, 2);
	close(first), close(second), close(target1), close(target2);
	rig_fini(&rig);
}

/* What makes a session on a VIP leaves from the Active only. Who is Backup on its own address answers
 * as ever. */
static void answers_on_a_vip_only_as_active(bool is_virtual, bool was_active)
{
	struct rig rig;
	rig_init(&rig);
	rig.is_virtual = is_virtual;
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	journal_set_role(rig.journal, was_active);
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	journal_set_role(rig.journal, false);
	peer_send(target, OK);
	if (is_virtual || was_active) { /* begun as Active it waits wherever it is */
		peer_expect_silence(client, 100);
		journal_set_role(rig.journal, true);
	}
	peer_expect(client, OK);
	CU_ASSERT(rig_wait(&rig, unprotected_sessions, 1));
	close(client), close(target);
	rig_fini(&rig);
}

static void waits_for_the_role(void)
{
	answers_on_a_vip_only_as_active(true, true);
	answers_on_a_vip_only_as_active(true, false);
	answers_on_a_vip_only_as_active(false, true);
	answers_on_a_vip_only_as_active(false, false);
}

static uint64_t vip_moved_closed(const struct proxy_stats *stats)
{
	return stats->vip_moved_closed;
}

/* The role does not come back: nobody may ever get the answer, so nothing is left to the kernel. */
static void resets_who_waits_for_the_role_in_vain(void)
{
	static const enum rig_listener kinds[] = {RIG_HTTP, RIG_TCP};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct rig rig;
		rig_init(&rig);
		rig.is_virtual = true;
		rig.ack_timeout_us = 50 * US_PER_MS;
		rig_apply_acked(&rig, CONF_STICKY_SOURCE);
		journal_set_role(rig.journal, false);
		uint64_t start_us = clock_us();
		int client = rig_connect(&rig, kinds[i]);
		if (kinds[i] == RIG_HTTP)
			get(client, "/");
		int target = rig_accept(&rig, 0);
		if (kinds[i] == RIG_HTTP)
			expect_get(target, "/");
		peer_send(target, OK);
		peer_expect_reset(client);
		/* Longer than ack_timeout: who has just become Active may learn of it late. */
		CU_ASSERT(clock_us() - start_us >= US_PER_SEC);
		CU_ASSERT(rig_wait(&rig, vip_moved_closed, 1));
		CU_ASSERT(journal_left(rig.journal));
		close(client), close(target);
		rig_fini(&rig);
	}
}

/* Who ends does not wait for what cannot come. */
static void resets_who_waits_for_the_role_when_draining(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.is_virtual = true;
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int waiting = rig_connect(&rig, RIG_HTTP);
	get(waiting, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, OK);
	peer_expect_silence(waiting, 100);
	journal_set_role(rig.journal, false);
	proxy_drain(rig.proxy);
	peer_expect_reset(waiting);
	close(waiting), close(target);
	rig_fini(&rig);
}

static void counts_who_is_unprotected(void)
{
	struct rig rig;
	rig_init(&rig);
	rig.pool.sticky.kind = CONF_STICKY_SOURCE;
	rig_apply(&rig); /* async */
	int client = rig_connect(&rig, RIG_HTTP);
	int target = exchange(&rig, client, -1);
	CU_ASSERT(rig_wait(&rig, unprotected_sessions, 1));
	exchange(&rig, client, target); /* no new session */
	struct proxy_stats stats;
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.unprotected_sessions, 1);
	close(client), close(target);
	rig_fini(&rig);
}

static void stops_waiting_for_an_ack(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig.ack_timeout_us = 100 * US_PER_MS;
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	uint64_t start_us = clock_us();
	int client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
	peer_send(target, "hello");
	peer_expect(client, "hello");
	CU_ASSERT(clock_us() - start_us >= 100 * US_PER_MS);
	CU_ASSERT_FATAL(rig_wait(&rig, unprotected_sessions, 1)); /* it counts after it sends */
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.ack_timeouts, 1);
	CU_ASSERT_EQUAL(stats.unprotected_sessions, 1);
	CU_ASSERT_FALSE(journal_protected(rig.journal));
	close(client), close(target);
	rig_fini(&rig);
}

static void reloads_under_a_request(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int idle = rig_connect(&rig, RIG_HTTP), busy = rig_connect(&rig, RIG_HTTP);
	int target = exchange(&rig, idle, -1);
	get(busy, "/old");
	expect_get(target, "/old");
	for (int i = 0; i < 20; i++)
		rig_apply(&rig);
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 2); /* the request's and the latest */
	peer_send(target, OK);
	peer_expect(busy, OK);
	CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
	exchange(&rig, idle, target); /* both connections survived */
	rig_apply(&rig);
	exchange(&rig, busy, target); /* and so did the one in the pool */
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 1);
	close(idle), close(busy), close(target);
	rig_fini(&rig);
}

static uint64_t drain_closed(const struct proxy_stats *stats)
{
	return stats->drain_closed;
}

/* Other targets under the same configuration: what lasts goes over to them and does not keep what was
 * before, unless its target is not there any more. */
static void fleets_come_and_go(void)
{
	struct rig rig;
	char cookie[256], again[256], request[512];
	rig_init(&rig);
	rig.pool.sticky.kind = CONF_STICKY_COOKIE;
	rig_apply(&rig);
	uint64_t id = rig.fleet->pools[0].targets[0].target->id;
	int raw = rig_connect(&rig, RIG_TCP);
	peer_send(raw, "a");
	int raw_target = rig_accept(&rig, 0);
	peer_expect(raw_target, "a");
	int client = rig_connect(&rig, RIG_HTTP);
	get(client, "/");
	int target = rig_accept(&rig, 0);
	expect_get(target, "/");
	peer_send(target, OK);
	read_cookie(client, cookie);
	snprintf(
	    request, sizeof(request), "GET / HTTP/1.1\r\nHost: h\r\nCookie: %s\r\n\r\n", cookie);
	int endless = rig_connect(&rig, RIG_HTTP);
	static const char part[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab";
	peer_send(endless, request);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
	peer_send(target, part);
	peer_expect(endless, part);
	int stream = target;
	peer_send(client, request);
	target = rig_accept(&rig, 0);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
	peer_send(target, OK);
	read_cookie(client, again);
	for (int i = 0; i < 20; i++) {
		rig.n_targets = 1 + (unsigned)i % 2;
		rig_apply_fleet(&rig);
		peer_send(client, request); /* the cookie is good, the connection is used again */
		peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie);
		peer_send(target, OK);
		read_cookie(client, again);
		CU_ASSERT_EQUAL(again[0], '\0');
	}
	peer_send(raw_target, "b");
	peer_expect(raw, "b");
	peer_send(stream, "c");
	peer_expect(endless, "c");
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 1);
	peer_send(stream, "d");
	peer_expect(endless, "d");

	rig.n_targets = 0;
	rig_apply_fleet(&rig);
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 2); /* the connection's and the latest */
	peer_send(raw, "c");
	peer_expect(raw_target, "c");
	peer_send(client, request);
	peer_expect_head(client, "HTTP/1.1 503 ", "");
	proxy_cut(rig.proxy, id + 1); /* somebody else */
	rig_apply_fleet(&rig);
	peer_send(raw, "d");
	peer_expect(raw_target, "d");
	proxy_cut(rig.proxy, id);
	peer_expect_reset(raw);
	CU_ASSERT_FATAL(rig_wait(&rig, drain_closed, 1));
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (rig.generations > 1 && clock_us() < end_us)
		proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 1);
	close(raw), close(raw_target), close(client), close(target);
	close(endless), close(stream);
	rig_fini(&rig);
}

static void drains(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int idle = rig_connect(&rig, RIG_HTTP), busy = rig_connect(&rig, RIG_HTTP);
	int target = exchange(&rig, idle, -1);
	get(busy, "/");
	expect_get(target, "/");
	proxy_drain(rig.proxy);
	peer_expect_eof(idle);
	CU_ASSERT_FALSE(proxy_drained(rig.proxy));
	peer_send(target, OK);
	peer_expect(busy, CLOSE);
	peer_expect_eof(busy);
	close(idle), close(busy), close(target);
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (!proxy_drained(rig.proxy) && clock_us() < end_us)
		poll(NULL, 0, 1);
	CU_ASSERT(proxy_drained(rig.proxy));
	rig_fini(&rig);
}

UNIT_MAIN("proxy/engine", UNIT(keeps_both_sides_alive), UNIT(serves_pipelined_requests_in_order),
    UNIT(passes_chunked_bodies), UNIT(relays_interim_responses), UNIT(refuses_what_is_malformed),
    UNIT(retries_what_can_be_repeated), UNIT(goes_to_another_target_when_refused),
    UNIT(answers_when_time_is_up), UNIT(shows_the_client_a_broken_response),
    UNIT(answers_early_and_lingers), UNIT(half_closes), UNIT(follows_the_cookie),
    UNIT(a_cookie_outlives_its_key), UNIT(holds_back_until_acked), UNIT(stops_waiting_for_an_ack),
    UNIT(waits_for_the_role), UNIT(resets_who_waits_for_the_role_in_vain),
    UNIT(resets_who_waits_for_the_role_when_draining), UNIT(holds_back_who_follows_a_new_session),
    UNIT(one_wait_in_vain_is_enough), UNIT(counts_who_is_unprotected),
    UNIT(reloads_under_a_request), UNIT(fleets_come_and_go), UNIT(drains))
