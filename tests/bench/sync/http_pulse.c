/* HTTP requests at a steady pace, whatever becomes of the earlier ones: each has its time, and its
 * latency counts from that time on. Not a test.
 *
 *	http_pulse ADDRESS:PORT RATE SECONDS CONNECTIONS [new FROM | twins FROM | keys FROM]
 *
 * Connections are kept alive. `new`: each request has its own one, from an address of its own in
 * 10.0.0.0/8, numbered from FROM, so that it is a new client; who gets no answer within a second
 * goes away. `twins`: the same, but each client asks twice at the same moment. `keys`: each request
 * names three such addresses in fields, K0 to K2. Prints a line for each answered request: when it
 * was due (CLOCK_MONOTONIC) and how long it took, in microseconds, and of new clients their number
 * and the answer's first word; "failed N" at the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/addr.h"
#include "daemon/base/clock.h"
#include "tests/bench/until.h"

#define CONNECTIONS_MAX 4096
#define BUF_SIZE        4096
#define EVENTS          256
#define LAST_US         (2 * US_PER_SEC) /* for what is still under way at the end */
#define PATIENCE_US     (1 * US_PER_SEC)
#define ROUND_US        (10 * US_PER_MS)

struct conn {
	int fd; /* -1: none */
	bool busy, asked;
	uint64_t due_us, number; /* the client's */
	char buf[BUF_SIZE];
	size_t len;
	struct conn *next; /* idle ones */
};

static struct {
	struct addr addr;
	uint64_t rate, end_us, start_us, n, from;
	bool fresh, keys;
	unsigned each; /* requests of a client */
	int epoll;
	struct conn *conns, *idle;
	size_t n_conns;
	uint64_t failed, busy, next_round_us;
} pulse;

static void host(uint64_t number, char text[INET_ADDRSTRLEN])
{
	struct in_addr in = {htonl(0x0a000000U | (uint32_t)(number & 0xffffff))};
	inet_ntop(AF_INET, &in, text, INET_ADDRSTRLEN);
}

static int connect_from(uint64_t number)
{
	int type = SOCK_STREAM | SOCK_CLOEXEC | (pulse.fresh ? SOCK_NONBLOCK : 0);
	int fd = socket(AF_INET, type, 0), one = 1;
	struct sockaddr_in from = {.sin_family = AF_INET};
	from.sin_addr.s_addr = htonl(0x0a000000U | (uint32_t)(number & 0xffffff));
	if (fd < 0)
		return -1;
	/* A reset at the end leaves nothing behind. */
	struct linger linger = {.l_onoff = 1};
	if ((pulse.fresh &&
		(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) < 0 ||
		    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0 ||
		    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)) ||
	    (connect(fd, &pulse.addr.sa, addr_len(&pulse.addr)) < 0 && errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool open_conn(struct conn *conn, uint64_t number)
{
	conn->fd = connect_from(number);
	if (conn->fd < 0)
		return false;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
	if (pulse.fresh)
		event.events |= EPOLLOUT | EPOLLET;
	return epoll_ctl(pulse.epoll, EPOLL_CTL_ADD, conn->fd, &event) == 0;
}

static void close_conn(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

static void tell(const struct conn *conn)
{
	printf("%llu %llu", (unsigned long long)conn->due_us,
	    (unsigned long long)(clock_us() - conn->due_us));
	if (pulse.fresh) {
		const char *body = strstr(conn->buf, "\r\n\r\n") + 4;
		printf(" %llu %.*s", (unsigned long long)(pulse.from + conn->number),
		    (int)strcspn(body, " \r\n"), body);
	}
	putchar('\n');
}

static void settle(struct conn *conn, bool ok)
{
	if (ok)
		tell(conn);
	else
		pulse.failed++;
	if (!ok || pulse.fresh)
		close_conn(conn);
	conn->busy = false;
	conn->len = 0;
	pulse.busy--;
	conn->next = pulse.idle;
	pulse.idle = conn;
}

static size_t request(char *buf, size_t size, uint64_t number)
{
	char key[3][INET_ADDRSTRLEN];
	if (!pulse.keys)
		return (size_t)snprintf(
		    buf, size, "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
	for (uint64_t i = 0; i < 3; i++)
		host(pulse.from + number * 3 + i, key[i]);
	return (size_t)snprintf(buf, size,
	    "GET / HTTP/1.1\r\nHost: www.example.com\r\nK0: %s\r\nK1: %s\r\nK2: %s\r\n\r\n", key[0],
	    key[1], key[2]);
}

static void ask(struct conn *conn)
{
	char buf[512];
	size_t len = request(buf, sizeof(buf), conn->number);
	conn->asked = true;
	if (send(conn->fd, buf, len, MSG_NOSIGNAL) != (ssize_t)len)
		settle(conn, false);
}

/* A new client asks when it is connected, and does not make others wait until then. */
static void begin(uint64_t number, uint64_t due_us)
{
	struct conn *conn = pulse.idle;
	pulse.idle = conn->next;
	conn->busy = true;
	conn->asked = false;
	conn->due_us = due_us;
	conn->number = number / pulse.each;
	pulse.busy++;
	if (conn->fd < 0 && !open_conn(conn, pulse.from + conn->number))
		settle(conn, false);
	else if (!pulse.fresh)
		ask(conn);
}

/* The answer is complete: 200, a head, and Content-Length bytes. 1: yes; 0: not yet; -1: wrong. */
static int complete(struct conn *conn)
{
	conn->buf[conn->len] = '\0';
	const char *end = strstr(conn->buf, "\r\n\r\n");
	if (!end)
		return conn->len + 1 < BUF_SIZE ? 0 : -1;
	const char *length = strcasestr(conn->buf, "\r\nContent-Length:");
	if (strncmp(conn->buf, "HTTP/1.1 200", 12) != 0 || !length || length > end)
		return -1;
	size_t head = (size_t)(end + 4 - conn->buf);
	return conn->len >= head + strtoul(length + 17, NULL, 10);
}

static void on_readable(struct conn *conn)
{
	ssize_t n = recv(conn->fd, conn->buf + conn->len, BUF_SIZE - 1 - conn->len, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || !conn->busy) {
		if (conn->busy)
			settle(conn, false);
		else
			close_conn(conn); /* the next request opens it anew */
		return;
	}
	conn->len += (size_t)n;
	int result = complete(conn);
	if (result != 0)
		settle(conn, result > 0);
}

/* What has been told is to be read at once; who waits too long goes away. */
static void make_round(uint64_t now_us)
{
	if (now_us < pulse.next_round_us)
		return;
	pulse.next_round_us = now_us + ROUND_US;
	fflush(stdout);
	for (size_t i = 0; pulse.fresh && i < pulse.n_conns; i++) {
		struct conn *conn = &pulse.conns[i];
		if (conn->busy && conn->due_us + PATIENCE_US < now_us)
			settle(conn, false);
	}
}

static void await(uint64_t until_us)
{
	struct epoll_event events[EVENTS];
	int n = epoll_until(pulse.epoll, events, EVENTS, until_us);
	for (int i = 0; i < n; i++) {
		struct conn *conn = events[i].data.ptr;
		if (pulse.fresh && conn->busy && !conn->asked)
			ask(conn);
		if (conn->fd >= 0)
			on_readable(conn);
	}
}

static void run(void)
{
	uint64_t now_us;
	while ((now_us = clock_us()) < pulse.end_us + LAST_US) {
		uint64_t due_us =
		    pulse.start_us + pulse.n / pulse.each * pulse.each * US_PER_SEC / pulse.rate;
		make_round(now_us);
		if (due_us >= pulse.end_us) {
			if (pulse.busy == 0)
				return;
			await(pulse.end_us + LAST_US);
		} else if (due_us > now_us || !pulse.idle) {
			await(due_us > now_us ? due_us : now_us + US_PER_MS);
		} else {
			begin(pulse.n++, due_us);
			if (pulse.n % 16 == 0)
				await(0); /* who is late still reads */
		}
	}
	pulse.failed += pulse.busy;
}

int main(int argc, char **argv)
{
	size_t n_conns = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	if ((argc != 5 && argc != 7) || !addr_parse_endpoint(argv[1], &pulse.addr) ||
	    n_conns == 0 || n_conns > CONNECTIONS_MAX ||
	    (pulse.rate = strtoul(argv[2], NULL, 10)) == 0) {
		fprintf(stderr, "usage: http_pulse ADDRESS:PORT RATE SECONDS CONNECTIONS "
				"[new FROM | twins FROM | keys FROM]\n");
		return 2;
	}
	pulse.each = argc == 7 && strcmp(argv[5], "twins") == 0 ? 2 : 1;
	pulse.fresh = pulse.each == 2 || (argc == 7 && strcmp(argv[5], "new") == 0);
	pulse.keys = argc == 7 && strcmp(argv[5], "keys") == 0;
	pulse.from = argc == 7 ? strtoul(argv[6], NULL, 10) : 0;
	pulse.epoll = epoll_create1(EPOLL_CLOEXEC);
	pulse.conns = calloc(n_conns, sizeof(*pulse.conns));
	if (pulse.epoll < 0 || !pulse.conns)
		return 1;
	pulse.n_conns = n_conns;
	for (size_t i = 0; i < n_conns; i++) {
		pulse.conns[i].fd = -1;
		if (!pulse.fresh && !open_conn(&pulse.conns[i], 0))
			return 1;
		pulse.conns[i].next = pulse.idle;
		pulse.idle = &pulse.conns[i];
	}
	pulse.start_us = clock_us();
	pulse.end_us = pulse.start_us + (uint64_t)(atof(argv[3]) * US_PER_SEC);
	run();
	printf("failed %llu\n", (unsigned long long)pulse.failed);
	free(pulse.conns);
	return 0;
}
