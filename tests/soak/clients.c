/* The clients of the soak: each plans its exchanges at random, checks all that comes back, and where
 * its front allows it, misbehaves. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/soak/peers.h"

#define ROUNDS_MAX 30
#define DEPTH_MAX  4 /* pipelined requests */
#define NARROW     4 /* one of so many connections */

/* How a client misbehaves. */
enum act {
	ACT_NONE,
	ACT_SLOW_READER,
	ACT_HALF_CLOSE, /* behind the request */
	ACT_STALL,      /* in the head */
	ACT_LAST_GOOD = ACT_STALL,
	ACT_ABORT_HEAD,
	ACT_ABORT_BODY,
	ACT_LEAVE,      /* while waiting for the response */
	ACT_LEAVE_BODY, /* in the middle of the response */
	ACT_GARBAGE,
	ACT_COUNT
};

struct session {
	struct client *client;
	const struct endpoint *front;
	struct rng *rng;
	struct wire wire;
	enum act act;
	bool over;
	char head[WIRE_HEAD];
};

static uint64_t any_size(struct rng *rng)
{
	uint64_t dice = rng_below(rng, 100);
	uint64_t below = dice < 10   ? 1
			 : dice < 60 ? 2048
			 : dice < 89 ? 65536
			 : dice < 99 ? 1 << 19
				     : 1 << 23;
	return rng_below(rng, below);
}

static char any_fault(struct rng *rng)
{
	static const char faults[] = {FAULT_SLOW, FAULT_STALL, FAULT_INTERIM, FAULT_CLOSE,
	    FAULT_CLOSE_SOON, FAULT_EXTRA, FAULT_EARLY, FAULT_RESET, FAULT_GARBAGE, FAULT_HEAD,
	    FAULT_BODY_RESET, FAULT_BODY_FIN};
	return rng_one_in(rng, 4) ? faults[rng_below(rng, sizeof(faults))] : FAULT_NONE;
}

static struct plan make_plan(struct session *s, bool body)
{
	static const char framings[] = {
	    WIRE_LENGTH, WIRE_LENGTH, WIRE_CHUNKED, WIRE_CHUNKED, WIRE_UNTIL_CLOSE};
	struct plan plan = {.id = rng_next(s->rng),
	    .up = body ? any_size(s->rng) : 0,
	    .down = any_size(s->rng),
	    .framing = framings[rng_below(s->rng, sizeof(framings))],
	    .fault = s->front->faulty ? any_fault(s->rng) : FAULT_NONE};
	/* What no proxy can hide is for faulty fronts: a response that ends with its connection
	 * ends the client's, too, whatever the client has pipelined. */
	if (plan.framing == WIRE_UNTIL_CLOSE && !s->front->faulty)
		plan.framing = WIRE_LENGTH;
	/* Until the close it would be a part of the body; behind an empty one it comes too late: the
	 * next client's request may be on its way. */
	if (plan.fault == FAULT_EXTRA && (plan.framing == WIRE_UNTIL_CLOSE || plan.down == 0))
		plan.fault = FAULT_NONE;
	return plan;
}

static bool good_end(const struct session *s)
{
	return s->front->faulty;
}

/* The connection ended, or worse, where a response should have been. */
static void ended(
    struct session *s, const struct plan *plan, enum wire_result result, const char *where)
{
	s->over = true;
	if (result == WIRE_STUCK || result == WIRE_WRONG || !good_end(s))
		wrong(s->front, plan, "%s in %s",
		    result == WIRE_STUCK   ? "nothing came for a minute"
		    : result == WIRE_WRONG ? "a wrong byte"
		    : result == WIRE_RESET ? "a reset"
					   : "the end",
		    where);
	else
		atomic_fetch_add(&totals.cut, 1);
}

/* Sends one request; body and all that is asked of it. False: it was broken off. */
static bool send_request(struct session *s, const struct plan *plan)
{
	char text[1024], framing[64] = "";
	bool chunked = plan->up > 0 && rng_one_in(s->rng, 2);
	if (chunked)
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	else if (plan->up > 0)
		snprintf(framing, sizeof(framing), "Content-Length: %" PRIu64 "\r\n", plan->up);
	int len = snprintf(text, sizeof(text),
	    "%s /%" PRIx64 "/%" PRIu64 "/%c/%c HTTP/1.1\r\nHost: soak\r\nX-Id: %" PRIx64
	    "\r\nX-Up: %" PRIu64 "\r\nX-Pool: %s\r\n%s%s%s%s\r\n",
	    plan->up > 0 ? "POST" : "GET", plan->id, plan->down, plan->framing, plan->fault,
	    plan->id, plan->up, s->front->pool, framing, s->client->cookie[0] ? "Cookie: " : "",
	    s->client->cookie, s->client->cookie[0] ? "\r\n" : "");
	size_t send = (size_t)len;
	if (s->act == ACT_ABORT_HEAD)
		send = rng_below(s->rng, send);
	if (wire_send(&s->wire, text, send, s->act == ACT_STALL ? 50 : 0, s->rng) != WIRE_OK ||
	    s->act == ACT_ABORT_HEAD)
		return false;
	uint64_t up = s->act == ACT_ABORT_BODY ? rng_below(s->rng, plan->up + 1) : plan->up;
	bool whole = s->act != ACT_ABORT_BODY;
	if (plan->up == 0)
		return whole;
	char how = chunked && whole ? WIRE_CHUNKED : WIRE_LENGTH;
	if (chunked && !whole)
		return false; /* broken off before the first chunk */
	return wire_send_body(&s->wire, plan->id, WIRE_UP, up, how,
		   s->act == ACT_STALL ? 1 + up / 10 : 0, "", s->rng) == WIRE_OK &&
	       whole;
}

static void remember_target(struct session *s, const struct plan *plan)
{
	const char *target = wire_field(s->head, "X-Target"),
		   *set = wire_field(s->head, "Set-Cookie");
	unsigned port = target ? (unsigned)strtoul(target, NULL, 10) : 0;
	struct client *client = s->client;
	if (client->cookie[0] && (port != client->target || set))
		wrong(s->front, plan, "target %u, not %u%s", port, client->target,
		    set ? ", and a new cookie" : "");
	if (!client->cookie[0] && (!set || strcspn(set, ";\r") >= sizeof(client->cookie)))
		wrong(s->front, plan, "no cookie: %s", s->head);
	else if (!client->cookie[0])
		snprintf(
		    client->cookie, sizeof(client->cookie), "%.*s", (int)strcspn(set, ";\r"), set);
	client->target = port;
}

/* yoke's own answer. */
static void read_error(struct session *s, const struct plan *plan, unsigned status)
{
	const char *length = wire_field(s->head, "Content-Length");
	uint64_t left = length ? strtoull(length, NULL, 10) : 0;
	if (!s->front->faulty || status < 400 || !length || left > 256) {
		wrong(s->front, plan, "answer %.100s", s->head);
		s->over = true;
		return;
	}
	char body[WIRE_HEAD];
	if (wire_read_until(&s->wire, "\n", body) != WIRE_OK || strlen(body) != left) {
		s->over = true;
		return;
	}
	atomic_fetch_add(&totals.refused, 1);
}

static void read_response(struct session *s, const struct plan *plan)
{
	unsigned status = 0;
	size_t step = s->act == ACT_SLOW_READER ? 1 + plan->down / 20 : 0;
	do {
		enum wire_result result = wire_read_until(&s->wire, "\r\n\r\n", s->head);
		if (result != WIRE_OK) {
			ended(s, plan, result, "a head");
			return;
		}
		if (sscanf(s->head, "HTTP/1.1 %3u", &status) != 1) {
			wrong(s->front, plan, "no status line: %.100s", s->head);
			s->over = true;
			return;
		}
	} while (status == 103);
	const char *id = wire_field(s->head, "X-Id"),
		   *connection = wire_field(s->head, "Connection");
	if (connection && strncmp(connection, "close", 5) == 0)
		s->over = true;
	if (!id) {
		read_error(s, plan, status);
		return;
	}
	if (status != 200 || strtoull(id, NULL, 16) != plan->id) {
		wrong(s->front, plan, "the response of another: %.200s", s->head);
		s->over = true;
		return;
	}
	char framing = wire_field(s->head, "Transfer-Encoding") ? WIRE_CHUNKED
		       : wire_field(s->head, "Content-Length")  ? WIRE_LENGTH
								: WIRE_UNTIL_CLOSE;
	if (s->act == ACT_LEAVE_BODY) {
		s->over = true;
		return;
	}
	enum wire_result result =
	    wire_check_body(&s->wire, plan->id, WIRE_DOWN, plan->down, framing, step, s->rng);
	if (result != WIRE_OK) {
		ended(s, plan, result, "a response's body");
		return;
	}
	if (s->front->sticky)
		remember_target(s, plan);
	atomic_fetch_add(&totals.done, 1);
	atomic_fetch_add(&totals.bytes, plan->up + plan->down);
}

static void send_garbage(struct session *s)
{
	char noise[256];
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)rng_next(s->rng);
	wire_send(&s->wire, noise, 1 + rng_below(s->rng, sizeof(noise)), 0, s->rng);
	shutdown(s->wire.fd, SHUT_WR);
	if (wire_discard(&s->wire) == WIRE_STUCK)
		wrong(s->front, &(struct plan){0}, "garbage was not answered for a minute");
}

/* Some requests at once, then their responses. */
static void http_round(struct session *s)
{
	struct plan plans[DEPTH_MAX];
	unsigned n = rng_one_in(s->rng, 4) ? 1 + (unsigned)rng_below(s->rng, DEPTH_MAX) : 1;
	if (s->client->exchanges || (s->front->sticky && !s->client->cookie[0]))
		n = 1; /* what is sent before the first cookie has come makes sessions of its own */
	s->act = s->front->faulty && rng_one_in(s->rng, 8)
		     ? (enum act)(1 + rng_below(s->rng, ACT_COUNT - 1))
		     : ACT_NONE;
	if (s->act != ACT_NONE)
		atomic_fetch_add(&totals.faults, 1);
	if (s->act == ACT_GARBAGE) {
		send_garbage(s);
		s->over = true;
		return;
	}
	unsigned sent = 0;
	bool whole = true;
	while (sent < n && whole) {
		plans[sent] =
		    make_plan(s, n == 1 && !s->client->exchanges && rng_one_in(s->rng, 2));
		whole = send_request(s, &plans[sent++]);
	}
	if (s->act == ACT_HALF_CLOSE)
		shutdown(s->wire.fd, SHUT_WR);
	/* A request that could not be sent may have its answer all the same. */
	if (s->act == ACT_LEAVE || (!whole && s->act > ACT_LAST_GOOD)) {
		s->over = true;
		return;
	}
	for (unsigned i = 0; i < sent && !s->over; i++)
		read_response(s, &plans[i]);
	s->over |= s->act == ACT_HALF_CLOSE || !whole;
}

static void tcp_session(struct session *s)
{
	char line[128];
	static const char faults[] = {FAULT_NONE, FAULT_SLOW, FAULT_EARLY, FAULT_BODY_RESET};
	struct plan plan = make_plan(s, true);
	plan.fault = faults[rng_below(s->rng, s->front->faulty ? 4 : 3)];
	bool leaves = s->front->faulty && rng_one_in(s->rng, 6);
	int len = snprintf(line, sizeof(line), "%" PRIx64 " %" PRIu64 " %" PRIu64 " %c\n", plan.id,
	    plan.up, plan.down, plan.fault);
	enum wire_result result = wire_send(&s->wire, line, (size_t)len, 0, s->rng);
	uint64_t up = leaves ? rng_below(s->rng, plan.up + 1) : plan.up;
	if (result == WIRE_OK && plan.fault == FAULT_EARLY && !leaves)
		result = wire_check_body(
		    &s->wire, plan.id, WIRE_DOWN, plan.down, WIRE_UNTIL_CLOSE, 0, s->rng);
	if (result == WIRE_OK)
		result = wire_send_body(&s->wire, plan.id, WIRE_UP, up, WIRE_LENGTH, 0, "", s->rng);
	if (result == WIRE_OK && leaves) {
		atomic_fetch_add(&totals.faults, 1);
		return;
	}
	if (result == WIRE_OK && rng_one_in(s->rng, 2))
		shutdown(s->wire.fd, SHUT_WR);
	if (result == WIRE_OK && plan.fault != FAULT_EARLY)
		result = wire_check_body(
		    &s->wire, plan.id, WIRE_DOWN, plan.down, WIRE_UNTIL_CLOSE, 0, s->rng);
	if (result == WIRE_OK) {
		atomic_fetch_add(&totals.done, 1);
		atomic_fetch_add(&totals.bytes, plan.up + plan.down);
	} else {
		ended(s, &plan, result, "a stream");
	}
}

static void run_session(struct session *s)
{
	struct client *client = s->client;
	if (s->front->tcp) {
		tcp_session(s);
		return;
	}
	uint64_t rounds = client->exchanges ? client->exchanges : 1 + rng_below(s->rng, ROUNDS_MAX);
	while (rounds-- > 0 && !s->over && !atomic_load(&stopping)) {
		http_round(s);
		if (client->exchanges && --client->exchanges == 0)
			return;
	}
}

void *client_run(void *arg)
{
	struct client *client = arg;
	bool counted = client->exchanges > 0;
	struct session *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	while (!atomic_load(&stopping) && (!counted || client->exchanges > 0)) {
		*s =
		    (struct session){.client = client, .front = client->front, .rng = &client->rng};
		int fd = wire_connect(&client->front->addr, rng_one_in(s->rng, NARROW));
		if (fd == -ECONNRESET && client->front->faulty) {
			/* Accepted, and reset before this thread woke: its target has failed. */
			atomic_fetch_add(&totals.cut, 1);
			continue;
		}
		if (fd < 0) {
			wrong(client->front, &(struct plan){0}, "no connection: %s", strerror(-fd));
			break;
		}
		wire_init(&s->wire, fd);
		run_session(s);
		wire_close(&s->wire, client->front->faulty && rng_one_in(s->rng, 4));
	}
	free(s);
	return NULL;
}
