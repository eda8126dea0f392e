/* Connections of the Admin API: one request each, then close. Small and bounded, since it shares
 * the control thread. */
#include "daemon/admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/admin/routes.h"
#include "daemon/base/addr.h"
#include "daemon/base/list.h"
#include "daemon/base/text.h"
#include "daemon/net/net.h"

#define CONNECTIONS_MAX 32
#define REQUEST_MAX     8192
#define TOKEN_MAX       128
#define REQUEST_TIMEOUT 5.0  /* seconds, to read a request or to write an answer */
#define TICKET_TIMEOUT  30.0 /* seconds, for an answer that comes later */
/* What a refused client is still sending is read and dropped, up to these: a connection that is
 * closed with bytes unread is reset, and the client may lose the answer over that. */
#define DRAIN_MAX     65536
#define DRAIN_TIMEOUT 1.0 /* seconds */
/* Nobody is let in for so long when there were no descriptors, or no memory. */
#define ACCEPT_PAUSE 0.1 /* seconds */

struct admin_listener {
	ev_io io;      /* fd -1: none */
	bool trusted;  /* may change */
	bool loopback; /* may read without a token */
	struct admin *admin;
};

struct admin {
	struct ev_loop *loop;
	struct admin_callbacks callbacks;
	struct admin_listener listeners[2]; /* unix, TCP */
	ev_timer pause;
	struct list connections;
	unsigned n_connections;
	uint64_t last_ticket;
	char token[TOKEN_MAX];
};

struct connection {
	struct list node;
	struct admin *admin;
	ev_io io;
	ev_timer timer;
	bool trusted, loopback, head_only;
	bool unread;         /* the request is refused before its end */
	admin_ticket ticket; /* waiting for admin_complete, or 0 */
	size_t in_len, scanned;
	char *out;
	size_t out_len, out_sent, drained;
	char in[REQUEST_MAX];
};

static void connection_free(struct connection *conn)
{
	struct admin *admin = conn->admin;
	ev_io_stop(admin->loop, &conn->io);
	ev_timer_stop(admin->loop, &conn->timer);
	close(conn->io.fd);
	list_del(&conn->node);
	admin->n_connections--;
	free(conn->out);
	free(conn);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	connection_free(timer->data);
}

static void restart_timer(struct connection *conn, double seconds)
{
	ev_timer_stop(conn->admin->loop, &conn->timer);
	ev_timer_set(&conn->timer, seconds, 0.);
	ev_timer_start(conn->admin->loop, &conn->timer);
}

static void wait_for(struct connection *conn, void (*on_ready)(struct ev_loop *, ev_io *, int),
    int events, double seconds)
{
	ev_io_stop(conn->admin->loop, &conn->io);
	ev_io_init(&conn->io, on_ready, conn->io.fd, events);
	ev_io_start(conn->admin->loop, &conn->io);
	restart_timer(conn, seconds);
}

/* --- writing --- */

static void on_refused_bytes(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct connection *conn = io->data;
	ssize_t got = recv(io->fd, conn->in, sizeof(conn->in), 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		conn->drained += (size_t)got;
	if (got <= 0 || conn->drained > DRAIN_MAX)
		connection_free(conn);
}

static void on_writable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct connection *conn = io->data;
	ssize_t sent =
	    send(io->fd, conn->out + conn->out_sent, conn->out_len - conn->out_sent, MSG_NOSIGNAL);
	if (sent < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (sent > 0)
		conn->out_sent += (size_t)sent;
	if (sent > 0 && conn->out_sent < conn->out_len)
		return;
	if (sent <= 0 || !conn->unread) {
		connection_free(conn);
		return;
	}
	shutdown(io->fd, SHUT_WR);
	wait_for(conn, on_refused_bytes, EV_READ, DRAIN_TIMEOUT);
}

static const char *status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 409: return "Conflict";
	case 413: return "Content Too Large";
	case 422: return "Unprocessable Content";
	case 503: return "Service Unavailable";
	default: return status < 500 ? "Refused" : "Error";
	}
}

static void send_text(
    struct connection *conn, int status, const char *type, const char *body, size_t len)
{
	char head[256];
	int head_len = snprintf(head, sizeof(head),
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
	    "no-store\r\n"
	    "Connection: close\r\n\r\n",
	    status, status_text(status), type, len);
	size_t body_len = conn->head_only ? 0 : len;
	conn->out = malloc((size_t)head_len + body_len);
	if (!conn->out) {
		connection_free(conn);
		return;
	}
	memcpy(conn->out, head, (size_t)head_len);
	memcpy(conn->out + head_len, body, body_len);
	conn->out_len = (size_t)head_len + body_len;
	wait_for(conn, on_writable, EV_WRITE, REQUEST_TIMEOUT);
}

static void send_json(struct connection *conn, int status, struct json_object *body)
{
	if (!body)
		body = json_object_new_object();
	size_t len = 0;
	const char *text = json_object_to_json_string_length(
	    body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	send_text(conn, status, "application/json", text ? text : "{}", text ? len : 2);
	json_object_put(body);
}

static void refuse_unread(struct connection *conn, int status, const char *why)
{
	conn->unread = true;
	send_json(conn, status, admin_error(why));
}

/* --- reading --- */

/* In constant time for texts of the same length: a stranger must not learn the token byte by byte.
 */
static bool token_matches(const struct admin *admin, const struct h1_head *head)
{
	static const char scheme[] = "Bearer ";
	size_t scheme_len = sizeof(scheme) - 1, token_len = strlen(admin->token);
	if (token_len == 0)
		return false;
	for (uint16_t i = 0; i < head->n_fields; i++) {
		struct slice value = head->fields[i].value;
		if (!slice_equal_nocase(head->fields[i].name, SLICE("authorization")) ||
		    value.len != scheme_len + token_len || memcmp(value.p, scheme, scheme_len) != 0)
			continue;
		unsigned char difference = 0;
		for (size_t b = 0; b < token_len; b++)
			difference |= (unsigned char)(value.p[scheme_len + b] ^ admin->token[b]);
		return difference == 0;
	}
	return false;
}

static void handle(struct connection *conn, const struct h1_head *head)
{
	struct admin *admin = conn->admin;
	bool token = token_matches(admin, head);
	const char *mark = memchr(head->path.p, '?', head->path.len);
	size_t path_len = mark ? (size_t)(mark - head->path.p) : head->path.len;
	struct admin_request request = {
	    .method = head->method,
	    .path = {head->path.p, path_len},
	    .query = {head->path.p + path_len + (mark ? 1 : 0),
		head->path.len - path_len - (mark ? 1 : 0)},
	    .body = {conn->in + head->len, conn->in_len - head->len},
	    .may_read = conn->trusted || conn->loopback || token,
	    .may_change = conn->trusted || token,
	    .ticket = ++admin->last_ticket,
	};
	struct admin_answer answer;
	conn->head_only = head->method == H1_HEAD;
	/* Before the call: the answer may come from within it. */
	conn->ticket = request.ticket;
	admin_route(&admin->callbacks, &request, &answer);
	if (answer.status == 0) {
		restart_timer(conn, TICKET_TIMEOUT);
		return;
	}
	conn->ticket = 0;
	if (answer.text) {
		send_text(conn, answer.status, "text/plain; version=0.0.4", answer.text,
		    strlen(answer.text));
		free(answer.text);
	} else {
		send_json(conn, answer.status, answer.body);
	}
}

/* Handles the request when it is whole. */
static void try_handle(struct connection *conn)
{
	struct h1_head head;
	if (!h1_head_complete(conn->in, conn->in_len, &conn->scanned)) {
		if (conn->in_len == sizeof(conn->in))
			refuse_unread(conn, 413, "the request is too large");
		return;
	}
	enum h1_result result = h1_parse_request(conn->in, conn->in_len, &head);
	if (result != H1_OK) {
		refuse_unread(conn, 400, h1_refusal_name(result));
		return;
	}
	if (head.framing == H1_BODY_CHUNKED || head.content_length > sizeof(conn->in) - head.len) {
		refuse_unread(conn, 413, "the body is too large or chunked");
		return;
	}
	if (head.framing == H1_BODY_LENGTH && conn->in_len < head.len + head.content_length)
		return;
	handle(conn, &head);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct connection *conn = io->data;
	if (conn->ticket) { /* a client that waits has nothing to say: it has gone, or it is noise
			     */
		connection_free(conn);
		return;
	}
	ssize_t got = recv(io->fd, conn->in + conn->in_len, sizeof(conn->in) - conn->in_len, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		connection_free(conn);
		return;
	}
	conn->in_len += (size_t)got;
	try_handle(conn);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)events;
	struct admin *admin = timer->data;
	for (int i = 0; i < 2; i++) {
		if (admin->listeners[i].io.fd >= 0)
			ev_io_start(loop, &admin->listeners[i].io);
	}
}

/* Who waits keeps the socket readable: it is not looked at for a while. */
static void pause_accepting(struct admin *admin, ev_io *io)
{
	ev_io_stop(admin->loop, io);
	if (ev_is_active(&admin->pause))
		return;
	ev_timer_set(&admin->pause, ACCEPT_PAUSE, 0.);
	ev_timer_start(admin->loop, &admin->pause);
}

static void on_accept(struct ev_loop *loop, ev_io *io, int events)
{
	(void)events;
	struct admin_listener *listener = io->data;
	struct admin *admin = listener->admin;
	struct addr peer;
	int fd = net_accept(io->fd, &peer);
	if (net_is_short(fd))
		pause_accepting(admin, io);
	if (fd < 0)
		return;
	struct connection *conn =
	    admin->n_connections < CONNECTIONS_MAX ? calloc(1, sizeof(*conn)) : NULL;
	if (!conn) {
		close(fd);
		return;
	}
	conn->admin = admin;
	conn->trusted = listener->trusted;
	conn->loopback = listener->loopback;
	list_push_back(&admin->connections, &conn->node);
	admin->n_connections++;
	ev_io_init(&conn->io, on_readable, fd, EV_READ);
	ev_timer_init(&conn->timer, on_timeout, REQUEST_TIMEOUT, 0.);
	conn->io.data = conn->timer.data = conn;
	ev_io_start(loop, &conn->io);
	ev_timer_start(loop, &conn->timer);
}

/* --- the object --- */

struct admin *admin_new(struct ev_loop *loop, const struct admin_callbacks *callbacks)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (!admin)
		return NULL;
	admin->loop = loop;
	admin->callbacks = *callbacks;
	admin->listeners[0].io.fd = admin->listeners[1].io.fd = -1;
	ev_timer_init(&admin->pause, on_pause_over, ACCEPT_PAUSE, 0.);
	admin->pause.data = admin;
	list_init(&admin->connections);
	return admin;
}

static void stop_listener(struct admin *admin, struct admin_listener *listener)
{
	if (listener->io.fd < 0)
		return;
	ev_io_stop(admin->loop, &listener->io);
	close(listener->io.fd);
	listener->io.fd = -1;
}

void admin_free(struct admin *admin)
{
	if (!admin)
		return;
	list_for_each_safe (node, &admin->connections)
		connection_free(list_entry(node, struct connection, node));
	for (int i = 0; i < 2; i++)
		stop_listener(admin, &admin->listeners[i]);
	ev_timer_stop(admin->loop, &admin->pause);
	text_wipe(admin->token, sizeof(admin->token));
	free(admin);
}

static bool bound_to_loopback(int fd)
{
	struct addr addr = {0};
	socklen_t len = sizeof(addr);
	if (getsockname(fd, &addr.sa, &len) < 0)
		return false;
	if (addr.sa.sa_family == AF_INET)
		return ntohl(addr.in.sin_addr.s_addr) >> 24 == 127;
	return addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&addr.in6.sin6_addr);
}

int admin_listen(struct admin *admin, int fd, bool trusted)
{
	struct admin_listener *listener = &admin->listeners[trusted ? 0 : 1];
	if (fd < 0)
		return -EBADF;
	stop_listener(admin, listener);
	listener->admin = admin;
	listener->trusted = trusted;
	listener->loopback = !trusted && bound_to_loopback(fd);
	ev_io_init(&listener->io, on_accept, fd, EV_READ);
	listener->io.data = listener;
	ev_io_start(admin->loop, &listener->io);
	return 0;
}

void admin_unlisten_tcp(struct admin *admin)
{
	stop_listener(admin, &admin->listeners[1]);
}

void admin_set_token(struct admin *admin, const char *token)
{
	text_copy(admin->token, sizeof(admin->token), token ? token : "");
}

void admin_complete(struct admin *admin, admin_ticket ticket, int status, struct json_object *body)
{
	list_for_each (node, &admin->connections) {
		struct connection *conn = list_entry(node, struct connection, node);
		if (conn->ticket == ticket) {
			conn->ticket = 0;
			send_json(conn, status, body);
			return;
		}
	}
	json_object_put(body); /* whoever asked has gone */
}
