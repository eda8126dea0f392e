/* The I/O of one connection: the seam behind which TLS will sit. Everything in the engine that
 * moves bytes goes through these few functions, and those of pipe.h for long bodies; for plain
 * sockets they are one system call each.
 *
 * One watch a connection (daemon/net/poller.h). Reading is armed for its whole life, writing from
 * the first short write on; when the interest changes, because the other side is slow, that costs
 * no system call.
 *
 * The calls are made by their numbers: those of the C library are points where a thread can be
 * cancelled, which costs two locked instructions each in a process with threads. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/net/poller.h"

struct conn {
	struct watch io;
};

static inline void conn_init(struct conn *conn, struct poller *poller, int fd, watch_fn *on_event)
{
	watch_init(&conn->io, poller, fd, on_event);
}

/* Watches for exactly `events` (POLLER_READ | POLLER_WRITE | POLLER_BROKEN, 0: none). */
static inline void conn_want(struct conn *conn, unsigned events)
{
	watch_want(&conn->io, events);
}

static inline bool conn_is_open(const struct conn *conn)
{
	return watch_is_open(&conn->io);
}

/* The number of bytes, 0 at the end of the stream, or -errno. A short read means that there is no
 * more for now: do not ask again. */
static inline ssize_t conn_recv(struct conn *conn, void *data, size_t len)
{
	ssize_t n = syscall(SYS_recvfrom, conn->io.fd, data, len, 0, NULL, NULL);
	if (n > 0 && (size_t)n < len)
		watch_read_short(&conn->io);
	if (n >= 0)
		return n;
	if (errno == EAGAIN)
		watch_blocked(&conn->io, POLLER_READ);
	return -errno;
}

/* After a read that came short: the kernel has said that the end, or an error, or urgent data is
 * there, too. */
static inline bool conn_may_end(const struct conn *conn)
{
	return conn->io.wary;
}

/* Bytes, the end or an error could be read now. Takes nothing, and costs nothing after a read that
 * came short. */
static inline bool conn_has_input(struct conn *conn)
{
	char byte;
	if (!(conn->io.ready & POLLER_READ))
		return false;
	if (recv(conn->io.fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN)
		return true;
	watch_blocked(&conn->io, POLLER_READ);
	return false;
}

/* The result of a call that was to send `len` bytes, as conn_send returns it. */
static inline ssize_t conn_sent(struct conn *conn, ssize_t n, size_t len)
{
	if (n == (ssize_t)len)
		return n;
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n >= 0 || errno == EAGAIN)
		watch_blocked(&conn->io, POLLER_WRITE);
	return n < 0 ? 0 : n;
}

static inline ssize_t conn_send_flags(struct conn *conn, const void *data, size_t len, int flags)
{
	ssize_t n = syscall(SYS_sendto, conn->io.fd, data, len, MSG_NOSIGNAL | flags, NULL, 0);
	return conn_sent(conn, n, len);
}

/* The number of bytes, possibly fewer than asked for, or -errno; 0 means not now. */
static inline ssize_t conn_send(struct conn *conn, const void *data, size_t len)
{
	return conn_send_flags(conn, data, len, 0);
}

/* The same, if conn_shut or conn_close follows at once: these bytes and the end leave in one
 * segment. */
static inline ssize_t conn_send_last(struct conn *conn, const void *data, size_t len)
{
	return conn_send_flags(conn, data, len, MSG_MORE);
}

static inline ssize_t conn_sendv(struct conn *conn, struct iovec *iov, size_t n_iov)
{
	if (n_iov == 1)
		return conn_send(conn, iov->iov_base, iov->iov_len);
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	size_t len = 0;
	for (size_t i = 0; i < n_iov; i++)
		len += iov[i].iov_len;
	return conn_sent(conn, syscall(SYS_sendmsg, conn->io.fd, &msg, MSG_NOSIGNAL), len);
}

/* Says that nothing more will be sent. */
static inline void conn_shut(struct conn *conn)
{
	shutdown(conn->io.fd, SHUT_WR);
}

/* Becomes the connection that `from` was. Nothing is wanted of it yet. */
static inline void conn_take(struct conn *conn, struct conn *from, watch_fn *on_event)
{
	watch_take(&conn->io, &from->io, on_event);
}

/* `reset`: the peer gets RST instead of FIN, and unsent bytes are thrown away. */
static inline void conn_close(struct conn *conn, bool reset)
{
	if (!conn_is_open(conn))
		return;
	int fd = conn->io.fd;
	watch_stop(&conn->io);
	if (reset) {
		struct linger linger = {.l_onoff = 1, .l_linger = 0};
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	close(fd);
}
