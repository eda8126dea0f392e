/* The Admin API over real sockets (a unix and a TCP one): paths, verbs, permissions, late answers,
 * hostile requests. */
#include "daemon/admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/net/net.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

#define TOKEN "s3cret-token"

static struct ev_loop *loop;
static struct admin *admin;
static char dir[SCRATCH_MAX], socket_path[64];
static struct addr tcp_addr;
static admin_ticket late_ticket;
static char last_call[256];

static struct json_object *named(const char *name)
{
	struct json_object *body = json_object_new_object();
	json_object_object_add(body, "view", json_object_new_string(name));
	return body;
}

static struct json_object *view_status(void *arg)
{
	(void)arg;
	return named("status");
}

static struct json_object *view_pools(void *arg)
{
	(void)arg;
	return named("pools");
}

static struct json_object *view_pool(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "web") == 0 ? named("pool web") : NULL;
}

static struct json_object *view_sessions(
    void *arg, const char *pool, uint64_t cursor, uint64_t limit, bool keys)
{
	(void)arg;
	snprintf(last_call, sizeof(last_call), "sessions %s %llu %llu %d", pool ? pool : "-",
	    (unsigned long long)cursor, (unsigned long long)limit, keys);
	return named("sessions");
}

static struct json_object *view_events(void *arg, uint64_t after, bool local)
{
	(void)arg;
	snprintf(last_call, sizeof(last_call), "events %llu%s", (unsigned long long)after,
	    local ? " local" : "");
	return json_object_new_array();
}

static struct admin_reply add(
    void *arg, admin_ticket ticket, const char *pool, const char *body, size_t len)
{
	(void)arg;
	(void)ticket;
	snprintf(last_call, sizeof(last_call), "add %s %.*s", pool, (int)len, body);
	return (struct admin_reply){200, named("added")};
}

static struct admin_reply change(void *arg, admin_ticket ticket, const char *pool,
    const char *target, const char *body, size_t len)
{
	(void)arg;
	(void)ticket;
	snprintf(last_call, sizeof(last_call), "change %s %s %.*s", pool, target, (int)len, body);
	return (struct admin_reply){200, named("changed")};
}

static struct admin_reply take_out(
    void *arg, admin_ticket ticket, const char *pool, const char *target, const char *drain_timeout)
{
	(void)arg;
	(void)ticket;
	snprintf(last_call, sizeof(last_call), "remove %s %s %s", pool, target,
	    drain_timeout ? drain_timeout : "-");
	return (struct admin_reply){200, named("removed")};
}

static struct admin_reply reload(void *arg, admin_ticket ticket)
{
	(void)arg;
	late_ticket = ticket;
	return (struct admin_reply){0};
}

static struct admin_reply failover(void *arg, admin_ticket ticket, const char *router)
{
	(void)arg;
	(void)ticket;
	snprintf(last_call, sizeof(last_call), "failover %s", router ? router : "all");
	return (struct admin_reply){409, named("refused")};
}

static bool healthy(void *arg, struct err *why)
{
	(void)arg;
	err_set(why, 0, "a worker hangs");
	return false;
}

static char *metrics(void *arg)
{
	(void)arg;
	return strdup("yoke_up 1\n");
}

static void set_up(void)
{
	static const struct admin_callbacks callbacks = {view_status, view_pools, view_pool,
	    view_sessions, view_events, add, change, take_out, reload, failover, healthy, metrics,
	    NULL};
	struct net_listen_options options = {.backlog = 64};
	socklen_t len = sizeof(tcp_addr);
	loop = ev_loop_new(EVBACKEND_EPOLL);
	admin = admin_new(loop, &callbacks);
	CU_ASSERT_TRUE_FATAL(scratch_make(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	CU_ASSERT_EQUAL_FATAL(admin_listen(admin, net_listen_unix(socket_path, 0600), true), 0);
	memset(&tcp_addr, 0, sizeof(tcp_addr));
	tcp_addr.in.sin_family = AF_INET;
	tcp_addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = net_listen_tcp(&tcp_addr, &options);
	CU_ASSERT_FATAL(fd >= 0);
	getsockname(fd, &tcp_addr.sa, &len);
	CU_ASSERT_EQUAL_FATAL(admin_listen(admin, fd, false), 0);
	last_call[0] = '\0';
	late_ticket = 0;
}

static void tear_down(void)
{
	admin_free(admin);
	ev_loop_destroy(loop);
	unlink(socket_path);
	rmdir(dir);
}

static int connect_to(bool tcp)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", socket_path);
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = tcp ? connect(fd, &tcp_addr.sa, addr_len(&tcp_addr))
			: connect(fd, (struct sockaddr *)&un, sizeof(un));
	CU_ASSERT_EQUAL_FATAL(error, 0);
	return fd;
}

/* Turns the loop until the connection is closed by the server; the answer is in `answer`. */
static void read_answer(int fd, char *answer, size_t size)
{
	size_t len = 0;
	for (int turns = 0; turns < 10000 && len + 1 < size; turns++) {
		ev_run(loop, EVRUN_NOWAIT);
		ssize_t got = recv(fd, answer + len, size - len - 1, MSG_DONTWAIT);
		if (got == 0)
			break;
		if (got > 0)
			len += (size_t)got;
	}
	answer[len] = '\0';
	close(fd);
}

static int exchange(bool tcp, const char *request, char *answer, size_t size)
{
	int fd = connect_to(tcp), status = 0;
	CU_ASSERT_EQUAL(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
	read_answer(fd, answer, size);
	return sscanf(answer, "HTTP/1.1 %d", &status) == 1 ? status : -1;
}

#define HOST        "Host: y\r\n"
#define TOKEN_FIELD "Authorization: Bearer " TOKEN "\r\n"

static const struct {
	bool tcp;
	const char *request;
	int status;
	const char *contains; /* in the answer */
	const char *call;     /* what the callback saw */
} exchanges[] = {
    {false, "GET /v1/status HTTP/1.1\r\n" HOST "\r\n", 200, "{\"view\":\"status\"}", ""},
    {true, "GET /v1/status HTTP/1.1\r\n" HOST "\r\n", 200, "status", ""},
    {false, "GET /v1/pools/web HTTP/1.1\r\n" HOST "\r\n", 200, "pool web", ""},
    {false, "GET /v1/pools/w%65b HTTP/1.1\r\n" HOST "\r\n", 200, "pool web", ""},
    {false, "GET /v1/pools/none HTTP/1.1\r\n" HOST "\r\n", 404, "no such pool", ""},
    {false, "GET /v1/pools/w%00b HTTP/1.1\r\n" HOST "\r\n", 404, "no such pool", ""},
    {false, "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "no such path", ""},
    {false, "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 503, "a worker hangs", ""},
    {false, "GET /metrics HTTP/1.1\r\n" HOST "\r\n", 200, "\r\n\r\nyoke_up 1\n", ""},
    {false, "GET /v1/sessions?pool=web&limit=7&keys=1 HTTP/1.1\r\n" HOST "\r\n", 200, "sessions",
	"sessions web 0 7 1"},
    {false, "GET /v1/sessions?limit=99999999999999999999 HTTP/1.1\r\n" HOST "\r\n", 200, "sessions",
	"sessions - 0 10000 0"},
    {false, "GET /v1/sessions?cursor=18446744073709551614 HTTP/1.1\r\n" HOST "\r\n", 200,
	"sessions", "sessions - 18446744073709551614 100 0"},
    {true, "GET /v1/sessions?keys=1 HTTP/1.1\r\n" HOST "\r\n", 403, "token", ""},
    {true, "GET /v1/sessions?keys=1 HTTP/1.1\r\n" HOST TOKEN_FIELD "\r\n", 200, "sessions",
	"sessions - 0 100 1"},
    {false, "GET /v1/events?after=12 HTTP/1.1\r\n" HOST "\r\n", 200, "[]", "events 12"},
    {false, "GET /v1/events?local=1 HTTP/1.1\r\n" HOST "\r\n", 200, "[]", "events 0 local"},
    {false, "POST /v1/failover HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 409, "refused",
	"failover all"},
    {false,
	"POST /v1/failover HTTP/1.1\r\n" HOST
	"Content-Length: 27\r\n\r\n{\"virtual_router\": \"front\"}",
	409, "refused", "failover front"},
    {true, "POST /v1/reload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 403, "unix socket", ""},
    {true,
	"POST /v1/reload HTTP/1.1\r\n" HOST
	"Authorization: Bearer s3cret-tokem\r\nContent-Length: 0\r\n\r\n",
	403, "unix socket", ""},
    {true,
	"PATCH /v1/pools/web/targets/127.0.0.1:80 HTTP/1.1\r\n" HOST TOKEN_FIELD
	"Content-Length: 18\r\n\r\n{\"state\": \"drain\"}",
	200, "changed", "change web 127.0.0.1:80 {\"state\": \"drain\"}"},
    {true, "PATCH /v1/pools/web/targets/x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 403,
	"token", ""},
    {false,
	"PATCH /v1/pools/w%65b/targets/%5B::1%5D:80 HTTP/1.1\r\n" HOST
	"Content-Length: 2\r\n\r\n{}",
	200, "changed", "change web [::1]:80 {}"},
    {false, "PATCH /v1/pools/web/targets/ HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 404,
	"no such path", ""},
    {false, "PATCH /v1/pools/web/target/x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 404,
	"no such path", ""},
    {false, "PATCH /v1/pools/web/targets/%zz HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 404,
	"no such path", ""},
    {false, "POST /v1/pools/web/targets HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 200,
	"added", "add web {}"},
    {false, "POST /v1/pools/web/targets HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200,
	"added", "add web "},
    {true, "POST /v1/pools/web/targets HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 403,
	"token", ""},
    {false, "POST /v1/pools/web/targets/x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 404,
	"no such path", ""},
    {false, "DELETE /v1/pools/web/targets/127.0.0.1:80 HTTP/1.1\r\n" HOST "\r\n", 200, "removed",
	"remove web 127.0.0.1:80 -"},
    {false, "DELETE /v1/pools/web/targets/127.0.0.1:80?drain_timeout=1.5h HTTP/1.1\r\n" HOST "\r\n",
	200, "removed", "remove web 127.0.0.1:80 1.5h"},
    {false, "DELETE /v1/pools/web/targets/127.0.0.1:80?force HTTP/1.1\r\n" HOST "\r\n", 200,
	"removed", "remove web 127.0.0.1:80 0s"},
    {false, "DELETE /v1/pools/web/targets/127.0.0.1:80?forced HTTP/1.1\r\n" HOST "\r\n", 400,
	"nothing is removed", ""},
    {true, "DELETE /v1/pools/web/targets/127.0.0.1:80 HTTP/1.1\r\n" HOST "\r\n", 403, "token", ""},
    {false, "DELETE /v1/status HTTP/1.1\r\n" HOST "\r\n", 404, "no such path", ""},
    {false, "PUT /v1/status HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405, "method", ""},
    {false, "GET / HTTP/1.1\r\n" HOST "Bad Field: 1\r\n\r\n", 400, "bad_field_name", ""},
    {false, "POST /v1/reload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413,
	"chunked", ""},
    {false, "POST /v1/reload HTTP/1.1\r\n" HOST "Content-Length: 999999\r\n\r\n", 413, "too large",
	""},
};

static void answers_by_path_verb_and_permission(void)
{
	char answer[16384];
	set_up();
	admin_set_token(admin, TOKEN);
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		last_call[0] = '\0';
		int status =
		    exchange(exchanges[i].tcp, exchanges[i].request, answer, sizeof(answer));
		CU_ASSERT_EQUAL(status, exchanges[i].status);
		CU_ASSERT_PTR_NOT_NULL(strstr(answer, exchanges[i].contains));
		CU_ASSERT_STRING_EQUAL(last_call, exchanges[i].call);
		if (status != exchanges[i].status || !strstr(answer, exchanges[i].contains))
			printf("case %zu: %s", i, answer);
	}
	tear_down();
}

static void without_a_token_tcp_changes_nothing(void)
{
	char answer[4096];
	set_up();
	CU_ASSERT_EQUAL(exchange(true,
			    "POST /v1/reload HTTP/1.1\r\n" HOST
			    "Authorization: Bearer \r\nContent-Length: 0\r\n\r\n",
			    answer, sizeof(answer)),
	    403);
	tear_down();
}

static void a_late_answer_reaches_the_one_who_asked(void)
{
	char answer[4096];
	set_up();
	int fd = connect_to(false);
	static const char request[] =
	    "POST /v1/reload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
	CU_ASSERT_EQUAL(send(fd, request, sizeof(request) - 1, 0), (ssize_t)sizeof(request) - 1);
	for (int i = 0; i < 1000 && !late_ticket; i++)
		ev_run(loop, EVRUN_NOWAIT);
	CU_ASSERT_NOT_EQUAL_FATAL(late_ticket, 0);
	admin_complete(admin, late_ticket + 1, 200, named("somebody else"));
	admin_complete(admin, late_ticket, 422, named("errors"));
	read_answer(fd, answer, sizeof(answer));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "HTTP/1.1 422"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "errors"));
	tear_down();
}

static void one_who_left_is_forgotten(void)
{
	set_up();
	int fd = connect_to(false);
	static const char request[] =
	    "POST /v1/reload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n";
	CU_ASSERT_EQUAL(send(fd, request, sizeof(request) - 1, 0), (ssize_t)sizeof(request) - 1);
	for (int i = 0; i < 1000 && !late_ticket; i++)
		ev_run(loop, EVRUN_NOWAIT);
	close(fd);
	for (int i = 0; i < 10; i++)
		ev_run(loop, EVRUN_NOWAIT);
	admin_complete(
	    admin, late_ticket, 200, named("nobody")); /* ASan: no leak, no use after free */
	tear_down();
}

static void a_request_in_single_bytes_is_the_same(void)
{
	char answer[4096];
	static const char request[] = "PATCH /v1/pools/web/targets/a HTTP/1.1\r\n" HOST
				      "Content-Length: 18\r\n\r\n{\"state\": \"ready\"}";
	set_up();
	int fd = connect_to(false);
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		CU_ASSERT_EQUAL(send(fd, request + i, 1, 0), 1);
		ev_run(loop, EVRUN_NOWAIT);
	}
	read_answer(fd, answer, sizeof(answer));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "HTTP/1.1 200"));
	CU_ASSERT_STRING_EQUAL(last_call, "change web a {\"state\": \"ready\"}");
	tear_down();
}

static void send_all(int fd, size_t len)
{
	static const char zeros[1024];
	while (len > 0) {
		size_t n = len < sizeof(zeros) ? len : sizeof(zeros);
		ssize_t sent = send(fd, zeros, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		CU_ASSERT_EQUAL_FATAL(sent, (ssize_t)n);
		len -= n;
		ev_run(loop, EVRUN_NOWAIT);
	}
}

static int refused_client(bool tcp)
{
	static const char head[] =
	    "POST /v1/reload HTTP/1.1\r\n" HOST "Content-Length: 60000\r\n\r\n";
	int fd = connect_to(tcp);
	CU_ASSERT_EQUAL_FATAL(send(fd, head, sizeof(head) - 1, 0), (ssize_t)sizeof(head) - 1);
	for (int i = 0; i < 10; i++)
		ev_run(loop, EVRUN_NOWAIT);
	return fd;
}

/* The refusal is on its way while the client sends on: no byte of it may meet a closed socket. */
static void a_refused_client_is_heard_out(void)
{
	char answer[4096];
	set_up();
	for (int tcp = 0; tcp < 2; tcp++) {
		int fd = refused_client(tcp);
		send_all(fd, 60000);
		shutdown(fd, SHUT_WR);
		for (int i = 0; i < 10; i++)
			ev_run(loop, EVRUN_NOWAIT);
		ssize_t got = recv(fd, answer, sizeof(answer) - 1, 0);
		CU_ASSERT_FATAL(got > 0);
		answer[got] = '\0';
		CU_ASSERT_PTR_NOT_NULL(strstr(answer, "HTTP/1.1 413"));
		CU_ASSERT_EQUAL(recv(fd, answer, sizeof(answer), 0), 0);
		close(fd);
	}
	tear_down();
}

static void on_deadline(struct ev_loop *of, ev_timer *timer, int events)
{
	(void)of;
	(void)events;
	*(bool *)timer->data = true;
}

/* Neither one that never stops nor one that is silent keeps its place. */
static void a_refused_client_is_not_heard_for_ever(void)
{
	char byte = 0;
	bool late = false;
	ev_timer deadline;
	set_up();
	int fd = refused_client(false);
	ssize_t sent = 0;
	for (int i = 0; i < 1000 && sent >= 0; i++) {
		char more[1024] = {0};
		sent = send(fd, more, sizeof(more), MSG_NOSIGNAL | MSG_DONTWAIT);
		ev_run(loop, EVRUN_NOWAIT);
	}
	CU_ASSERT_TRUE(sent < 0 && (errno == EPIPE || errno == ECONNRESET));
	close(fd);
	fd = refused_client(false);
	ev_timer_init(&deadline, on_deadline, 20., 0.);
	deadline.data = &late;
	ev_timer_start(loop, &deadline);
	ev_run(loop, EVRUN_ONCE);
	CU_ASSERT_FALSE(late);
	CU_ASSERT_TRUE(send(fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	close(fd);
	ev_timer_stop(loop, &deadline);
	tear_down();
}

static void too_many_connections_are_closed(void)
{
	enum { N = 40 };
	int fds[N], closed = 0;
	char byte;
	set_up();
	for (int i = 0; i < N; i++)
		fds[i] = connect_to(false);
	for (int i = 0; i < 200; i++)
		ev_run(loop, EVRUN_NOWAIT);
	for (int i = 0; i < N; i++) {
		closed += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 0;
		close(fds[i]);
	}
	CU_ASSERT_EQUAL(closed, N - 32);
	tear_down();
}

/* The loop sleeps meanwhile, and who waits is answered as soon as there are some. */
static void without_descriptors_nobody_is_let_in(void)
{
	static const char request[] = "GET /v1/status HTTP/1.1\r\n" HOST "\r\n";
	struct rlimit limit, none;
	ev_timer deadline;
	bool late = false;
	char byte = 0;
	set_up();
	int fd = connect_to(true);
	CU_ASSERT_EQUAL(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 3;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	ev_timer_init(&deadline, on_deadline, 0.5, 20.);
	deadline.data = &late;
	ev_timer_start(loop, &deadline);
	unsigned turns = ev_iteration(loop);
	while (!late)
		ev_run(loop, EVRUN_ONCE);
	CU_ASSERT(ev_iteration(loop) - turns < 50);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	late = false;
	while (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && !late)
		ev_run(loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(byte, 'H');
	close(fd);
	ev_timer_stop(loop, &deadline);
	tear_down();
}

UNIT_MAIN("admin", UNIT(answers_by_path_verb_and_permission),
    UNIT(without_a_token_tcp_changes_nothing), UNIT(a_late_answer_reaches_the_one_who_asked),
    UNIT(one_who_left_is_forgotten), UNIT(a_request_in_single_bytes_is_the_same),
    UNIT(a_refused_client_is_heard_out), UNIT(a_refused_client_is_not_heard_for_ever),
    UNIT(too_many_connections_are_closed), UNIT(without_descriptors_nobody_is_let_in))
