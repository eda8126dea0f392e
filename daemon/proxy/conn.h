/* The I/O of one connection: the seam behind which TLS will sit. Everything in the engine that
 * moves bytes goes through these few functions, and those of pipe.h for long bodies; for plain
 * sockets they are one system call each.
 *
 * One watcher a connection. EV_READ stays armed for its whole life unless the other side is slow;
 * EV_WRITE is armed only after a short write. libev compares masks when it goes to sleep, so
 * changes that cancel each other within one turn of the loop cost no system call. */
#pragma once

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct worker;

struct conn {
	ev_io io; /* data: the worker */
};

typedef void conn_fn(struct ev_loop *loop, ev_io *io, int events);

static inline void conn_init(struct conn *conn, struct worker *worker, int fd, conn_fn *on_event)
{
	ev_io_init(&conn->io, on_event, fd, 0);
	conn->io.data = worker;
}

/* Watches for exactly `events` (EV_READ | EV_WRITE, 0: none). Events of this turn that are not
 * wanted any more are dropped. */
static inline void conn_want(struct ev_loop *loop, struct conn *conn, int events)
{
	int have = ev_is_active(&conn->io) ? conn->io.events & (EV_READ | EV_WRITE) : 0;
	if (have == events)
		return;
	ev_io_stop(loop, &conn->io);
	ev_io_modify(&conn->io, events);
	if (events)
		ev_io_start(loop, &conn->io);
}

static inline bool conn_is_open(const struct conn *conn)
{
	return conn->io.fd >= 0;
}

/* The number of bytes, 0 at the end of the stream, or -errno. A short read means that there is no
 * more for now: do not ask again. */
static inline ssize_t conn_recv(struct conn *conn, void *data, size_t len)
{
	ssize_t n = recv(conn->io.fd, data, len, 0);
	return n < 0 ? -errno : n;
}

/* Bytes, the end or an error could be read now. Takes nothing. */
static inline bool conn_has_input(const struct conn *conn)
{
	char byte;
	return recv(conn->io.fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN;
}

/* The number of bytes, possibly fewer than asked for, or -errno; 0 means not now. */
static inline ssize_t conn_send(struct conn *conn, const void *data, size_t len)
{
	ssize_t n = send(conn->io.fd, data, len, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static inline ssize_t conn_sendv(struct conn *conn, struct iovec *iov, size_t n_iov)
{
	if (n_iov == 1)
		return conn_send(conn, iov->iov_base, iov->iov_len);
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n = sendmsg(conn->io.fd, &msg, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* Says that nothing more will be sent. */
static inline void conn_shut(struct conn *conn)
{
	shutdown(conn->io.fd, SHUT_WR);
}

/* `reset`: the peer gets RST instead of FIN, and unsent bytes are thrown away. */
static inline void conn_close(struct ev_loop *loop, struct conn *conn, bool reset)
{
	if (!conn_is_open(conn))
		return;
	ev_io_stop(loop, &conn->io);
	if (reset) {
		struct linger linger = {.l_onoff = 1, .l_linger = 0};
		setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	close(conn->io.fd);
	conn->io.fd = -1;
}
