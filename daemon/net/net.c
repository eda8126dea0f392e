#include "daemon/net/net.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG_DEFAULT 16384
#define DEFER_SEC       1 /* the kernel counts in retransmissions of its SYN-ACK: this is one */
#define DATAGRAM_QUEUE  (1 << 20) /* bytes as the kernel counts them: about 1400 small datagrams */

/* linux/in6.h, which does not mix with netinet/in.h */
#ifndef IPV6_FREEBIND
#define IPV6_FREEBIND 78
#endif
#ifndef IPV6_TRANSPARENT
#define IPV6_TRANSPARENT 75
#endif

static int set_number(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int set_flag(int fd, int level, int option)
{
	return set_number(fd, level, option, 1);
}

/* Also to what is the default: the socket may have had something else. */
static int set_tcp_options(int fd, const struct net_tcp_options *options)
{
	bool probes = options->keepalive_idle_sec > 0;
	int rc = set_number(fd, SOL_SOCKET, SO_KEEPALIVE, probes);
	if (!rc && probes)
		rc = set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)options->keepalive_idle_sec);
	if (!rc && probes)
		rc = set_number(
		    fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)options->keepalive_interval_sec);
	if (!rc && probes)
		rc = set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)options->keepalive_count);
	if (!rc)
		rc = set_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)options->user_timeout_ms);
	return rc;
}

int net_listen_change(int fd, const struct net_listen_options *options)
{
	int backlog = options->backlog > 0 ? options->backlog : BACKLOG_DEFAULT;
	int rc = set_tcp_options(fd, &options->tcp);
	if (!rc)
		rc = set_number(
		    fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options->defer_accept ? DEFER_SEC : 0);
	if (!rc)
		rc = set_number(fd, IPPROTO_TCP, TCP_FASTOPEN, options->fast_open ? backlog : 0);
	if (!rc && listen(fd, backlog) < 0)
		rc = -errno;
	return rc;
}

/* What both transports need. */
static int set_bind_options(
    int fd, const struct addr *addr, const struct net_listen_options *options)
{
	bool v6 = addr->sa.sa_family == AF_INET6;
	int rc = v6 ? set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY) : 0;
	if (!rc && options->reuse_port)
		rc = set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
	if (!rc && options->free_bind)
		rc = v6 ? set_flag(fd, IPPROTO_IPV6, IPV6_FREEBIND)
			: set_flag(fd, IPPROTO_IP, IP_FREEBIND);
	return rc;
}

static int set_listen_options(
    int fd, const struct addr *addr, const struct net_listen_options *options)
{
	int rc = set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
	if (!rc)
		rc = set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
	if (!rc)
		rc = set_bind_options(fd, addr, options);
	return rc;
}

int net_listen_tcp(const struct addr *addr, const struct net_listen_options *options)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = set_listen_options(fd, addr, options);
	if (!rc && bind(fd, &addr->sa, addr_len(addr)) < 0)
		rc = -errno;
	if (!rc)
		rc = net_listen_change(fd, options);
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Not SO_REUSEADDR: of UDP it lets a stranger take the address away. */
static int set_datagram_options(
    int fd, const struct addr *addr, const struct net_listen_options *options)
{
	int rc = set_bind_options(fd, addr, options);
	if (!rc && addr_is_any(addr))
		rc = addr->sa.sa_family == AF_INET6 ? set_flag(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO)
						    : set_flag(fd, IPPROTO_IP, IP_PKTINFO);
	if (rc)
		return rc;
	/* Beyond net.core.rmem_max for a privileged process, else as much as there may be. */
	int bytes = DATAGRAM_QUEUE / 2; /* the kernel doubles it */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return 0;
}

int net_listen_udp(const struct addr *addr, const struct net_listen_options *options)
{
	int off = 0;
	bool v6 = addr->sa.sa_family == AF_INET6;
	int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = set_datagram_options(fd, addr, options);
	if (!rc && bind(fd, &addr->sa, addr_len(addr)) < 0)
		rc = -errno;
	if (!rc && v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &off, sizeof(off)) < 0)
		rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Makes room for a socket file: 0 when the path is free now. A socket that nobody listens on is
 * what a process that was killed left behind. */
static int remove_stale_socket(const char *path, const struct sockaddr_un *sun)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 ? -errno : 0;
	close(fd);
	if (rc == 0 || rc == -EAGAIN) /* -EAGAIN: a listener with a full backlog */
		return -EADDRINUSE;
	if (rc != -ECONNREFUSED && rc != -ENOENT)
		return rc;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int net_listen_unix(const char *path, unsigned mode)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(sun.sun_path))
		return -ENAMETOOLONG;
	memcpy(sun.sun_path, path, strlen(path) + 1);
	int rc = remove_stale_socket(path, &sun);
	if (rc)
		return rc;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The file is created with the mode of the socket's inode, less the umask: so it is never,
	 * not even for a moment, more open than asked for. chmod gives back what the umask took. */
	if (fchmod(fd, (mode_t)mode) < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (chmod(path, (mode_t)mode) < 0 || listen(fd, SOMAXCONN) < 0) {
		rc = -errno;
		unlink(path);
		close(fd);
		return rc;
	}
	return fd;
}

/* The kernel chooses the port when it knows the other end, too: so the number of ports limits the
 * connections to one target, not those to all. */
static int bind_source(int fd, const struct addr *source, bool transparent)
{
	struct addr from = *source;
	bool v6 = from.sa.sa_family == AF_INET6;
	addr_set_port(&from, 0);
	int rc = set_flag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
	if (!rc && transparent)
		rc = v6 ? set_flag(fd, IPPROTO_IPV6, IPV6_TRANSPARENT)
			: set_flag(fd, IPPROTO_IP, IP_TRANSPARENT);
	if (!rc && bind(fd, &from.sa, addr_len(&from)) < 0)
		rc = -errno;
	return rc;
}

int net_connect_tcp(const struct addr *addr, bool *in_progress)
{
	static const struct net_connect_options none;
	return net_connect_tcp_with(addr, &none, in_progress);
}

int net_connect_tcp_with(
    const struct addr *addr, const struct net_connect_options *options, bool *in_progress)
{
	int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
	if (!rc && (options->tcp.keepalive_idle_sec > 0 || options->tcp.user_timeout_ms > 0))
		rc = set_tcp_options(fd, &options->tcp);
	if (!rc && options->source)
		rc = bind_source(fd, options->source, options->transparent);
	if (!rc && connect(fd, &addr->sa, addr_len(addr)) < 0)
		rc = -errno;
	/* A connect that a signal interrupted goes on by itself, like one in progress. */
	bool waiting = rc == -EINPROGRESS || rc == -EINTR;
	if (rc && !waiting) {
		close(fd);
		return rc;
	}
	*in_progress = waiting;
	return fd;
}

int net_connect_udp(const struct addr *addr, const struct net_connect_options *options)
{
	int fd = socket(addr->sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = options->source ? bind_source(fd, options->source, options->transparent) : 0;
	if (!rc && connect(fd, &addr->sa, addr_len(addr)) < 0)
		rc = errno == EAGAIN ? -EADDRNOTAVAIL : -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int net_connect_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int net_accept(int listen_fd, struct addr *peer)
{
	struct sockaddr_storage from; /* a unix peer does not fit a struct addr */
	socklen_t len = sizeof(from);
	int fd = accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (peer) {
		memset(peer, 0, sizeof(*peer));
		if (from.ss_family == AF_INET || from.ss_family == AF_INET6)
			memcpy(peer, &from, sizeof(*peer));
		else
			peer->sa.sa_family = from.ss_family;
	}
	return fd;
}

bool net_is_short(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

int net_bound_queues(int fd, int unsent, int unread)
{
	if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &unread, sizeof(unread)) < 0)
		return -errno;
	return 0;
}

bool net_is_local(const struct addr *addr)
{
	struct ifaddrs *list;
	if (getifaddrs(&list) < 0)
		return false;
	bool found = false;
	for (struct ifaddrs *it = list; it && !found; it = it->ifa_next) {
		if (!it->ifa_addr || it->ifa_addr->sa_family != addr->sa.sa_family)
			continue;
		struct addr own = {0};
		memcpy(&own, it->ifa_addr, addr_len(addr));
		found = addr_equal_ip(&own, addr);
	}
	freeifaddrs(list);
	return found;
}
