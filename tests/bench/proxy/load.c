/* Clients of the proxy benchmark: HTTP/1.1 requests, or datagrams, from one thread. Not a test.
 *
 *	proxy_load ADDRESS:PORT REQUESTS SECONDS [KEY VALUE]...
 *
 * REQUESTS is a file of request heads, which are sent in turn. By default each connection sends its
 * next request when the answer to the last one has arrived (a closed loop). Keys:
 *
 *	connections N  64
 *	close 1        each request has a connection of its own, and is answered when that has ended
 *	rate N         requests a second, each with its time, whatever becomes of the earlier ones; its
 *	               latency counts from that time on (an open loop, nothing is omitted)
 *	warm_up SECONDS  before, not counted
 *	idle N         as many more connections, which ask once and then stay
 *	clients N      each request is that of a random one of N clients, after each has asked once. It
 *	               has a cookie "SID" with the client's number, and the last cookie that was set for
 *	               that client; they join a Cookie field that is a head's last line
 *	hosts 1        with close: clients have no cookies but addresses, from 127.0.0.1 up
 *	udp 1          each request is one datagram and so is its answer, which is the same. With close:
 *	               each from another port
 *	sources N      else connections come from 127.0.0.1 to 127.0.0.N, in turn; 8
 *
 * Prints "ready" and how many requests have failed when all that was prepared stands, waits for a
 * line, then does SECONDS of work and prints a line of JSON; its connections stay until stdin ends. A
 * request has failed if its answer is not a 200 with a Content-Length and that many bytes, or if the
 * connection ended or was silent at the end; after some it gives up. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/addr.h"
#include "daemon/base/clock.h"
#include "tests/bench/until.h"

#define REQUEST_MAX 8192
#define COOKIE_MAX  160
#define ANSWER_MAX  2048 /* of an answer's head, and of a small answer as a whole */
#define EVENTS      512
#define AT_ONCE     200 /* idle connections that are being opened */
#define FAILED_MAX  100
#define MEET_US     (300 * US_PER_SEC) /* until each client has asked once */
#define LAST_US     (5 * US_PER_SEC)   /* for what is still under way at the end */

enum state { CLOSED, FREE, SENDING, HEAD, BODY, ENDING };

struct conn {
	int fd;
	enum state state;
	uint64_t due_us;
	size_t request, client, sent, left, len;
	char in[ANSWER_MAX + 1];
	struct conn *next; /* free ones */
};

struct request {
	const char *head; /* without the end of its last line, and the empty line */
	size_t len;
	bool cookie; /* its last line is a Cookie field */
};

static struct {
	/* What is asked for. */
	struct addr addr;
	size_t n_conns, n_idle, n_clients, n_sources;
	uint64_t rate_wanted;
	bool close, hosts, udp;
	double warm_up_s;

	struct request *requests;
	size_t n_requests, next_request;
	char (*cookies)[COOKIE_MAX]; /* by client */
	size_t n_met;
	uint64_t random;
	int epoll;
	struct conn *conns, *free;
	size_t next_idle, next_source;

	/* The work that is being done. */
	uint64_t rate, start_us, end_us; /* rate 0: in turn */
	size_t busy, begun, answered, failed;
	uint32_t *took_us;
	size_t took_size;
} load = {.n_conns = 64, .n_sources = 8, .random = 88172645463325252ULL};

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static bool read_requests(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return false;
	size_t size = (size_t)status.st_size;
	char *text = malloc(size + 1);
	load.requests = calloc(size / 4 + 1, sizeof(*load.requests));
	if (!text || !load.requests || read(fd, text, size) != (ssize_t)size)
		return false;
	close(fd);
	text[size] = '\0';
	for (char *end; (end = strstr(text, "\r\n\r\n")); text = end + 4) {
		struct request request = {.head = text, .len = (size_t)(end - text)};
		if (request.len > REQUEST_MAX - COOKIE_MAX - 64)
			return false;
		*end = '\0';
		const char *last = strrchr(text, '\n');
		request.cookie = last && strncmp(last, "\nCookie: ", 9) == 0;
		load.requests[load.n_requests++] = request;
	}
	return load.n_requests > 0;
}

static size_t choose_client(void)
{
	if (load.n_clients == 0)
		return 0;
	if (load.n_met < load.n_clients)
		return load.n_met++;
	load.random ^= load.random << 13;
	load.random ^= load.random >> 7;
	load.random ^= load.random << 17;
	return load.random % load.n_clients;
}

/* The same for a connection until it is answered. */
static size_t compose(const struct conn *conn, char out[REQUEST_MAX])
{
	const struct request *request = &load.requests[conn->request];
	size_t len = request->len;
	memcpy(out, request->head, len);
	if (load.cookies)
		len += (size_t)sprintf(out + len, "%sSID=%08zx%s",
		    request->cookie ? "; " : "\r\nCookie: ", conn->client,
		    load.cookies[conn->client]);
	memcpy(out + len, "\r\n\r\n", 4);
	return len + 4;
}

static void open_conn(struct conn *conn)
{
	int type = load.udp ? SOCK_DGRAM : SOCK_STREAM, on = 1;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in from = {.sin_family = AF_INET};
	size_t source = load.hosts ? conn->client : load.next_source++ % load.n_sources;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)source);
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
	    (!load.udp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) ||
	    bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(fd, &load.addr.sa, addr_len(&load.addr)) < 0 && errno != EINPROGRESS))
		fatal("connect");
	struct epoll_event event = {
	    .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = conn};
	if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fatal("epoll_ctl");
	conn->fd = fd;
}

static void close_conn(struct conn *conn)
{
	if (conn->state != CLOSED)
		close(conn->fd);
	conn->state = CLOSED;
}

static bool send_request(struct conn *conn)
{
	char out[REQUEST_MAX];
	size_t len = compose(conn, out);
	ssize_t n = send(conn->fd, out + conn->sent, len - conn->sent, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == ENOTCONN;
	conn->sent += (size_t)n;
	if (conn->sent == len)
		conn->state = HEAD;
	return true;
}

static void begin(struct conn *conn, uint64_t due_us);

/* What happens after an answer. */
static void go_on(struct conn *conn, uint64_t now_us)
{
	if (conn >= load.conns + load.n_conns) {
		if (load.next_idle < load.n_idle)
			begin(&load.conns[load.n_conns + load.next_idle++], now_us);
	} else if (load.rate > 0) {
		conn->next = load.free;
		load.free = conn;
	} else if (now_us < load.end_us || load.n_met < load.n_clients) {
		begin(conn, now_us);
	}
}

static void fail(struct conn *conn)
{
	if (conn->state > FREE)
		load.busy--;
	close_conn(conn);
	load.failed++;
}

static void record(uint64_t took_us)
{
	if (load.answered == load.took_size) {
		load.took_size = load.took_size ? 2 * load.took_size : 1 << 18;
		load.took_us = realloc(load.took_us, load.took_size * sizeof(*load.took_us));
		if (!load.took_us)
			fatal("memory");
	}
	load.took_us[load.answered++] = took_us < UINT32_MAX ? (uint32_t)took_us : UINT32_MAX;
}

static void settle(struct conn *conn)
{
	uint64_t now_us = clock_us();
	record(now_us - conn->due_us);
	load.busy--;
	conn->state = FREE;
	if (load.close)
		close_conn(conn);
	go_on(conn, now_us);
}

static void begin(struct conn *conn, uint64_t due_us)
{
	conn->client = choose_client();
	if (conn->state == CLOSED)
		open_conn(conn);
	conn->state = SENDING;
	conn->due_us = due_us;
	conn->sent = conn->len = 0;
	conn->request = load.next_request++ % load.n_requests;
	load.begun++;
	load.busy++;
	if (!send_request(conn))
		fail(conn);
}

/* The value of a field of an answer's head, without white space before it; NULL: there is none. */
static const char *find_field(const char *head, const char *name)
{
	size_t len = strlen(name);
	for (const char *line = head; (line = strchr(line, '\n'));) {
		line++;
		if (strncasecmp(line, name, len) == 0 && line[len] == ':')
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

static void learn_cookie(const struct conn *conn)
{
	const char *value = find_field(conn->in, "Set-Cookie");
	if (value)
		snprintf(load.cookies[conn->client], COOKIE_MAX, "; %.*s",
		    (int)strcspn(value, ";\r"), value);
}

/* Reads the head of an answer. False: *again says whether there is only nothing more to read now. */
static bool on_head(struct conn *conn, bool *again)
{
	size_t room = ANSWER_MAX - conn->len;
	ssize_t n = recv(conn->fd, conn->in + conn->len, room, 0);
	*again = n < 0 && errno == EAGAIN;
	if (n <= 0)
		return false;
	conn->len += (size_t)n;
	conn->in[conn->len] = '\0';
	char *end = strstr(conn->in, "\r\n\r\n");
	*again = conn->len < ANSWER_MAX;
	if (!end)
		return false;
	end[2] = '\0';
	const char *length = find_field(conn->in, "Content-Length");
	*again = false;
	if (strncmp(conn->in, "HTTP/1.1 200", 12) != 0 || !length)
		return false;
	if (load.cookies)
		learn_cookie(conn);
	size_t body = strtoul(length, NULL, 10);
	size_t got = conn->len - (size_t)(end + 4 - conn->in);
	if (got > body)
		return false;
	conn->left = body - got;
	conn->state = BODY;
	return true;
}

/* The same result. */
static bool on_datagram(struct conn *conn, bool *again)
{
	char out[REQUEST_MAX], in[REQUEST_MAX];
	ssize_t n = recv(conn->fd, in, sizeof(in), 0);
	*again = n < 0 && errno == EAGAIN;
	return n == (ssize_t)compose(conn, out) && memcmp(in, out, (size_t)n) == 0;
}

/* Drops what is there of the body. The same result. */
static bool on_body(struct conn *conn, bool *again)
{
	*again = true;
	while (conn->left > 0) {
		ssize_t n = recv(conn->fd, NULL, conn->left, MSG_TRUNC);
		if (n <= 0) {
			*again = n < 0 && errno == EAGAIN;
			return false;
		}
		conn->left -= (size_t)n;
	}
	return true;
}

static bool ended(struct conn *conn, bool *again)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, 0);
	*again = n < 0 && errno == EAGAIN;
	return n == 0;
}

static void on_readable(struct conn *conn)
{
	bool again = true;
	if (load.udp && conn->state == HEAD) {
		if (!on_datagram(conn, &again))
			goto out;
		settle(conn);
		return;
	}
	if (conn->state == HEAD && !on_head(conn, &again))
		goto out;
	if (conn->state == BODY) {
		if (!on_body(conn, &again))
			goto out;
		if (!load.close) {
			settle(conn);
			return;
		}
		conn->state = ENDING;
	}
	if (conn->state == ENDING && ended(conn, &again)) {
		settle(conn);
		return;
	}
	if (conn->state == FREE && ended(conn, &again))
		again = false;
out:
	if (!again)
		fail(conn);
}

static void await(uint64_t until_us)
{
	struct epoll_event events[EVENTS];
	int n = epoll_until(load.epoll, events, EVENTS, until_us);
	for (int i = 0; i < n; i++) {
		struct conn *conn = events[i].data.ptr;
		if (conn->state == SENDING && !send_request(conn))
			fail(conn);
		else if (conn->state != CLOSED && events[i].events & ~(unsigned)EPOLLOUT)
			on_readable(conn);
	}
}

/* Waits until all are answered that are under way, as long as some are. */
static void finish(void)
{
	size_t answered = load.answered;
	uint64_t end_us = clock_us() + LAST_US;
	while (load.busy > 0 && load.failed < FAILED_MAX && clock_us() < end_us) {
		await(end_us);
		if (load.answered != answered)
			end_us = clock_us() + LAST_US;
		answered = load.answered;
	}
	load.failed += load.busy;
	load.busy = 0;
}

static void work_at_rate(void)
{
	for (;;) {
		uint64_t now_us = clock_us();
		uint64_t due_us = load.start_us + load.begun * US_PER_SEC / load.rate;
		if (due_us >= load.end_us || load.failed >= FAILED_MAX ||
		    now_us > load.end_us + LAST_US)
			return;
		if (due_us > now_us || !load.free) {
			await(due_us > now_us ? due_us : now_us + US_PER_MS);
			continue;
		}
		struct conn *conn = load.free;
		load.free = conn->next;
		begin(conn, due_us);
		if (load.begun % 16 == 0)
			await(0); /* who is late still reads */
	}
}

static void work_in_turn(void)
{
	for (size_t i = 0; i < load.n_conns; i++)
		begin(&load.conns[i], load.start_us);
	for (;;) {
		uint64_t now_us = clock_us();
		if ((now_us >= load.end_us && load.n_met == load.n_clients) ||
		    load.failed >= FAILED_MAX || now_us > load.end_us + MEET_US)
			return;
		await(now_us + 10 * US_PER_MS);
	}
}

static void work(double seconds, uint64_t rate)
{
	load.begun = load.answered = load.failed = 0;
	load.rate = rate;
	load.start_us = clock_us();
	load.end_us = load.start_us + (uint64_t)(seconds * US_PER_SEC);
	if (rate > 0) {
		load.free = NULL;
		for (size_t i = 0; i < load.n_conns; i++) {
			load.conns[i].next = load.free;
			load.free = &load.conns[i];
		}
		work_at_rate();
	} else {
		work_in_turn();
	}
	finish();
}

static void open_idle(void)
{
	while (load.next_idle < load.n_idle && load.next_idle < AT_ONCE)
		begin(&load.conns[load.n_conns + load.next_idle++], clock_us());
	finish();
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static uint32_t percentile(double share)
{
	return load.answered ? load.took_us[(size_t)((double)(load.answered - 1) * share)] : 0;
}

static void report(uint64_t took_us)
{
	qsort(load.took_us, load.answered, sizeof(*load.took_us), compare);
	printf("{\"requests\": %zu, \"failed\": %zu, \"seconds\": %.6f, \"p50_us\": %u, "
	       "\"p99_us\": %u, \"p999_us\": %u, \"max_us\": %u}\n",
	    load.answered, load.failed, (double)took_us / US_PER_SEC, percentile(0.5),
	    percentile(0.99), percentile(0.999), percentile(1));
	fflush(stdout);
}

static bool set(const char *key, const char *value)
{
	uint64_t number = strtoul(value, NULL, 10);
	if (strcmp(key, "connections") == 0)
		load.n_conns = number;
	else if (strcmp(key, "close") == 0)
		load.close = number;
	else if (strcmp(key, "rate") == 0)
		load.rate_wanted = number;
	else if (strcmp(key, "warm_up") == 0)
		load.warm_up_s = strtod(value, NULL);
	else if (strcmp(key, "idle") == 0)
		load.n_idle = number;
	else if (strcmp(key, "clients") == 0)
		load.n_clients = number;
	else if (strcmp(key, "hosts") == 0)
		load.hosts = number;
	else if (strcmp(key, "udp") == 0)
		load.udp = number;
	else if (strcmp(key, "sources") == 0)
		load.n_sources = number;
	else
		return false;
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: proxy_load ADDRESS:PORT REQUESTS SECONDS [KEY VALUE]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc % 2 || !addr_parse_endpoint(argv[1], &load.addr))
		return usage();
	for (int i = 4; i < argc; i += 2)
		if (!set(argv[i], argv[i + 1]))
			return usage();
	if (load.n_sources == 0 || (load.hosts && !load.close))
		return usage();
	if (!read_requests(argv[2])) {
		fprintf(stderr, "proxy_load: %s has no request heads\n", argv[2]);
		return 1;
	}
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	load.conns = calloc(load.n_conns + load.n_idle, sizeof(*load.conns));
	if (load.n_clients > 0 && !load.hosts)
		load.cookies = calloc(load.n_clients, sizeof(*load.cookies));
	if (load.epoll < 0 || !load.conns || (load.n_clients > 0 && !load.hosts && !load.cookies))
		fatal("memory");
	prctl(PR_SET_TIMERSLACK, 1);
	open_idle();
	size_t failed = load.failed;
	if (load.n_clients > 0) {
		work(0, 0);
		failed += load.failed;
	}
	work(load.warm_up_s, load.rate_wanted);
	printf("ready %zu\n", failed + load.failed);
	fflush(stdout);
	if (getchar() != EOF) {
		work(strtod(argv[3], NULL), load.rate_wanted);
		report(clock_us() - load.start_us);
	}
	while (getchar() != EOF)
		;
	return 0;
}
