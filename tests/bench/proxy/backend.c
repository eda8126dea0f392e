/* The web server behind the proxies of the benchmark: one thread, as little as possible. Not a test.
 *
 *	proxy_backend PORT WHAT [PORT WHAT]...
 *
 * WHAT is a number: it answers each request head on PORT (of every local address) with 200 and that
 * many bytes. It keeps connections alive, unless the head says "Connection: close", and does not
 * understand request bodies. Or "echo": it sends back each UDP datagram. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 8192
#define IN_ONE   65536 /* head and body up to this size leave with one send */
#define EVENTS   256
#define ACCEPTS  64 /* at most, per turn */
#define BATCH    64 /* datagrams, per turn */

struct body {
	size_t size;
	char *head; /* for small ones with the body behind it */
	size_t len;
	int fd; /* of the body of large ones */
};

enum kind { LISTENER, ECHO, CLIENT };

struct watched {
	enum kind kind;
	int fd;
	const struct body *body;
	/* CLIENT */
	bool last;
	size_t left;
	off_t at;
	size_t len;
	char in[HEAD_MAX];
};

static int epoll;

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static const struct body *make_body(size_t size)
{
	struct body *body = calloc(1, sizeof(*body));
	char *bytes = malloc(size + 1);
	if (!body || !bytes)
		fatal("memory");
	memset(bytes, 'y', size);
	body->size = size;
	body->head = malloc(512 + (size <= IN_ONE ? size : 0));
	if (!body->head)
		fatal("memory");
	body->len = (size_t)sprintf(body->head,
	    "HTTP/1.1 200 OK\r\n"
	    "Server: backend\r\n"
	    "Date: Sat, 28 Nov 2026 09:00:00 GMT\r\n"
	    "Content-Type: text/html; charset=utf-8\r\n"
	    "Cache-Control: max-age=60\r\n"
	    "ETag: \"5f-1a2b3c\"\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    size);
	body->fd = -1;
	if (size <= IN_ONE) {
		memcpy(body->head + body->len, bytes, size);
		body->len += size;
	} else if ((body->fd = memfd_create("body", MFD_CLOEXEC)) < 0 ||
		   write(body->fd, bytes, size) != (ssize_t)size) {
		fatal("memfd");
	}
	free(bytes);
	return body;
}

static void watch(enum kind kind, int fd, const struct body *body)
{
	struct watched *w = malloc(sizeof(*w));
	if (!w)
		fatal("memory");
	*w = (struct watched){.kind = kind, .fd = fd, .body = body};
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
	if (kind == CLIENT)
		event.events |= EPOLLOUT | EPOLLRDHUP | EPOLLET;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		fatal("epoll_ctl");
}

static int bound(int type, const char *port)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in addr = {
	    .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		fatal("bind");
	return fd;
}

static void listen_on(const char *port, const struct body *body)
{
	int fd = bound(SOCK_STREAM, port), on = 1;
	/* Accepted connections inherit TCP_NODELAY. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 || listen(fd, 16384) < 0)
		fatal("listen");
	watch(LISTENER, fd, body);
}

/* It answers from the address that was asked. */
static void echo_on(const char *port)
{
	int fd = bound(SOCK_DGRAM, port), on = 1, size = 4 << 20;
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		fatal("setsockopt");
	watch(ECHO, fd, NULL);
}

static void on_datagrams(const struct watched *echo)
{
	static char bytes[BATCH][2048];
	static struct sockaddr_in from[BATCH];
	static union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
	} control[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr messages[BATCH];
	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){bytes[i], sizeof(bytes[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
		    .msg_namelen = sizeof(from[i]),
		    .msg_iov = &iov[i],
		    .msg_iovlen = 1,
		    .msg_control = control[i].bytes,
		    .msg_controllen = sizeof(control[i].bytes)};
	}
	int n = recvmmsg(echo->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(&control[i].align);
		info->ipi_ifindex = 0;
		info->ipi_spec_dst = info->ipi_addr;
		iov[i].iov_len = messages[i].msg_len;
	}
	for (int sent = 0, more; sent < n; sent += more)
		if ((more = sendmmsg(echo->fd, messages + sent, (unsigned)(n - sent), 0)) <= 0)
			return; /* lost, as datagrams are */
}

static void on_acceptable(const struct watched *listener)
{
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		watch(CLIENT, fd, listener->body);
	}
}

/* The rest of a large body. False: the connection is over. */
static bool send_rest(struct watched *client)
{
	while (client->left > 0) {
		ssize_t n = sendfile(client->fd, client->body->fd, &client->at, client->left);
		if (n < 0)
			return errno == EAGAIN;
		client->left -= (size_t)n;
	}
	return !client->last;
}

static bool answer(struct watched *client)
{
	const struct body *body = client->body;
	bool large = body->fd >= 0;
	/* One who does not read what he asked for gets no second answer. */
	if (send(client->fd, body->head, body->len, MSG_NOSIGNAL | (large ? MSG_MORE : 0)) !=
	    (ssize_t)body->len)
		return false;
	client->at = 0;
	client->left = large ? body->size : 0;
	return send_rest(client);
}

/* Answers all complete heads that are there. */
static bool serve(struct watched *client)
{
	static const char close_field[] = "\r\nConnection: close\r\n";
	while (client->left == 0) {
		char *end = memmem(client->in, client->len, "\r\n\r\n", 4);
		if (!end)
			return client->len < HEAD_MAX;
		size_t len = (size_t)(end + 4 - client->in);
		client->last = memmem(client->in, len, close_field, sizeof(close_field) - 1);
		client->len -= len;
		memmove(client->in, client->in + len, client->len);
		if (!answer(client))
			return false;
	}
	return true;
}

static bool on_client(struct watched *client, uint32_t events)
{
	if (!send_rest(client))
		return false;
	while (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		size_t room = HEAD_MAX - client->len;
		ssize_t n = recv(client->fd, client->in + client->len, room, 0);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		client->len += (size_t)n;
		if (!serve(client))
			return false;
		if ((size_t)n < room && !(events & EPOLLRDHUP))
			return true;
	}
	return true;
}

int main(int argc, char **argv)
{
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (argc < 3 || argc % 2 == 0 || epoll < 0) {
		fprintf(stderr, "usage: proxy_backend PORT WHAT [PORT WHAT]...\n");
		return 2;
	}
	for (int i = 1; i < argc; i += 2)
		if (strcmp(argv[i + 1], "echo") == 0)
			echo_on(argv[i]);
		else
			listen_on(argv[i], make_body(strtoul(argv[i + 1], NULL, 10)));
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct watched *w = events[i].data.ptr;
			if (w->kind == LISTENER) {
				on_acceptable(w);
			} else if (w->kind == ECHO) {
				on_datagrams(w);
			} else if (!on_client(w, events[i].events)) {
				close(w->fd);
				free(w);
			}
		}
	}
}
