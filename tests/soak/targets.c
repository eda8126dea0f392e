/* The targets of the soak: they do what each request asks for, good or bad. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/soak/peers.h"

#define STALL_MS 300
#define POISON   "HTTP/1.1 200 OK\r\nX-Id: 0\r\nContent-Length: 0\r\n\r\n"

struct connection {
	const struct endpoint *at;
	struct wire wire;
	struct rng rng;
	struct plan plan;
	char head[WIRE_HEAD];
};

/* The end of a response: whether the connection goes on. */
enum { GO_ON, CLOSE, RESET };

static int send_head(struct connection *c, const char *extra)
{
	char text[WIRE_HEAD], framing[64] = "";
	const struct plan *plan = &c->plan;
	if (plan->framing == WIRE_LENGTH)
		snprintf(framing, sizeof(framing), "Content-Length: %" PRIu64 "\r\n", plan->down);
	else if (plan->framing == WIRE_CHUNKED)
		snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked\r\n");
	int len = snprintf(text, sizeof(text),
	    "%sHTTP/1.1 200 OK\r\nX-Id: %" PRIx64 "\r\nX-Target: %u\r\n%s%s\r\n",
	    plan->fault == FAULT_INTERIM ? "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" : "",
	    plan->id, ntohs(c->at->addr.sin_port), framing, extra);
	if (plan->fault == FAULT_HEAD)
		len = (int)rng_below(&c->rng, (uint64_t)len);
	return wire_send(&c->wire, text, (size_t)len, plan->fault == FAULT_SLOW ? 40 : 0, &c->rng);
}

static int respond(struct connection *c)
{
	struct plan *plan = &c->plan;
	bool closes = plan->framing == WIRE_UNTIL_CLOSE || plan->fault == FAULT_CLOSE ||
		      plan->fault == FAULT_EARLY;
	if (plan->fault == FAULT_STALL)
		wire_pause(&c->rng, STALL_MS);
	if (plan->fault == FAULT_RESET)
		return RESET;
	if (plan->fault == FAULT_GARBAGE) {
		uint64_t noise[8];
		for (size_t i = 0; i < 8; i++)
			noise[i] = rng_next(&c->rng);
		wire_send(&c->wire, (const char *)noise, sizeof(noise), 0, &c->rng);
		return CLOSE;
	}
	if (send_head(c, closes ? "Connection: close\r\n" : "") != WIRE_OK)
		return RESET;
	if (plan->fault == FAULT_HEAD)
		return rng_one_in(&c->rng, 2) ? RESET : CLOSE;
	bool cut = plan->fault == FAULT_BODY_RESET || plan->fault == FAULT_BODY_FIN;
	uint64_t len = cut ? rng_below(&c->rng, plan->down + 1) : plan->down;
	char framing = cut && plan->framing == WIRE_CHUNKED ? WIRE_UNTIL_CLOSE : plan->framing;
	if (wire_send_body(&c->wire, plan->id, WIRE_DOWN, len, framing,
		plan->fault == FAULT_SLOW ? 1 + plan->down / 10 : 0,
		plan->fault == FAULT_EXTRA ? POISON : "", &c->rng) != WIRE_OK)
		return RESET;
	if (plan->fault == FAULT_BODY_RESET)
		return RESET;
	return closes || plan->fault == FAULT_BODY_FIN || plan->fault == FAULT_CLOSE_SOON ? CLOSE
											  : GO_ON;
}

/* Is this a request that a client of ours sent, to this pool? */
static bool understand(struct connection *c)
{
	struct plan *plan = &c->plan;
	char method[8];
	const char *id = wire_field(c->head, "X-Id"), *up = wire_field(c->head, "X-Up");
	const char *pool = wire_field(c->head, "X-Pool");
	if (sscanf(c->head, "%7s /%" SCNx64 "/%" SCNu64 "/%c/%c HTTP/1.1", method, &plan->id,
		&plan->down, &plan->framing, &plan->fault) != 5 ||
	    !id || !up || !pool) {
		wrong(c->at, plan, "a target got a head that no client sent: %.200s", c->head);
		return false;
	}
	plan->up = strtoull(up, NULL, 10);
	size_t len = strlen(c->at->pool);
	if (strtoull(id, NULL, 16) != plan->id || strncmp(pool, c->at->pool, len) != 0 ||
	    pool[len] != '\r') {
		wrong(c->at, plan, "a request for another: %.200s", c->head);
		return false;
	}
	return true;
}

static int serve_http(struct connection *c)
{
	if (wire_read_until(&c->wire, "\r\n\r\n", c->head) != WIRE_OK)
		return CLOSE;
	if (!understand(c))
		return RESET;
	struct rng rng = {c->plan.id};
	c->rng = rng;
	if (c->plan.fault == FAULT_EARLY)
		return respond(c);
	char framing = wire_field(c->head, "Transfer-Encoding") ? WIRE_CHUNKED : WIRE_LENGTH;
	enum wire_result result = wire_check_body(&c->wire, c->plan.id, WIRE_UP, c->plan.up,
	    framing, c->plan.fault == FAULT_SLOW ? 1 + c->plan.up / 10 : 0, &c->rng);
	if (result == WIRE_WRONG)
		wrong(c->at, &c->plan, "a wrong byte in a request's body");
	return result == WIRE_OK ? respond(c) : CLOSE;
}

static int serve_tcp(struct connection *c)
{
	struct plan *plan = &c->plan;
	if (wire_read_until(&c->wire, "\n", c->head) != WIRE_OK)
		return CLOSE;
	if (sscanf(c->head, "%" SCNx64 " %" SCNu64 " %" SCNu64 " %c", &plan->id, &plan->up,
		&plan->down, &plan->fault) != 4) {
		wrong(c->at, plan, "a target got a line that no client sent: %.100s", c->head);
		return RESET;
	}
	struct rng rng = {plan->id};
	c->rng = rng;
	size_t step = plan->fault == FAULT_SLOW ? 1 + (plan->up + plan->down) / 10 : 0;
	bool first = plan->fault == FAULT_EARLY; /* says its part, half-closes, then listens */
	uint64_t len = plan->fault == FAULT_BODY_RESET ? plan->down / 2 : plan->down;
	if (first &&
	    wire_send_body(&c->wire, plan->id, WIRE_DOWN, len, WIRE_LENGTH, 0, "", &rng) != WIRE_OK)
		return RESET;
	if (first)
		shutdown(c->wire.fd, SHUT_WR);
	enum wire_result result =
	    wire_check_body(&c->wire, plan->id, WIRE_UP, plan->up, WIRE_LENGTH, step, &rng);
	if (result == WIRE_WRONG)
		wrong(c->at, plan, "a wrong byte on its way to a target");
	if (result != WIRE_OK || first)
		return CLOSE;
	result = wire_send_body(&c->wire, plan->id, WIRE_DOWN, len, WIRE_LENGTH, step, "", &rng);
	return result != WIRE_OK || plan->fault == FAULT_BODY_RESET ? RESET : CLOSE;
}

static void *serve(void *arg)
{
	struct connection *c = arg;
	int next = GO_ON;
	while (next == GO_ON)
		next = c->at->tcp ? serve_tcp(c) : serve_http(c);
	if (next == CLOSE && c->plan.fault != FAULT_CLOSE_SOON) {
		/* Closing with unread bytes would reset what was said. */
		shutdown(c->wire.fd, SHUT_WR);
		wire_discard(&c->wire);
	}
	wire_close(&c->wire, next == RESET);
	free(c);
	return NULL;
}

void *target_run(void *arg)
{
	const struct endpoint *at = arg;
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (at->narrow)
		wire_narrow(fd);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at->addr, sizeof(at->addr)) < 0 ||
	    listen(fd, 1024) < 0) {
		perror("target");
		exit(2);
	}
	for (;;) {
		int accepted = accept(fd, NULL, NULL);
		if (accepted < 0)
			continue;
		struct connection *c = calloc(1, sizeof(*c));
		pthread_t thread;
		c->at = at;
		wire_init(&c->wire, accepted);
		if (pthread_create(&thread, NULL, serve, c) != 0) {
			perror("thread");
			exit(2);
		}
		pthread_detach(thread);
	}
	return NULL;
}
