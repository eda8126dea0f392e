#include "daemon/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static struct addr parse(const char *ip)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_ip(ip, &addr));
	return addr;
}

/* Listens on a free port of `ip` and stores the complete address. */
static int listen_on(const char *ip, struct addr *out, struct net_listen_options options)
{
	struct addr addr = parse(ip);
	int fd = net_listen_tcp(&addr, &options);
	socklen_t len = sizeof(*out);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(getsockname(fd, &out->sa, &len), 0);
	return fd;
}

static bool has_option(int fd, int level, int option)
{
	int value = 0;
	socklen_t len = sizeof(value);
	CU_ASSERT_EQUAL(getsockopt(fd, level, option, &value, &len), 0);
	return value != 0;
}

static bool guarded(int fd)
{
	return fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	CU_ASSERT_EQUAL_FATAL(poll(&p, 1, 60000), 1);
}

static void connection(const char *ip)
{
	struct addr addr, from, own;
	bool in_progress = false;
	char byte = 'x';
	int listener = listen_on(ip, &addr, (struct net_listen_options){0});
	CU_ASSERT_EQUAL(net_accept(listener, &from), -EAGAIN);
	int client = net_connect_tcp(&addr, &in_progress);
	CU_ASSERT_TRUE_FATAL(client >= 0);
	wait_for(client, POLLOUT);
	CU_ASSERT_EQUAL(net_connect_result(client), 0);
	wait_for(listener, POLLIN);
	int server = net_accept(listener, &from);
	CU_ASSERT_TRUE_FATAL(server >= 0);

	socklen_t len = sizeof(own);
	CU_ASSERT_EQUAL(getsockname(client, &own.sa, &len), 0);
	CU_ASSERT_TRUE(addr_equal(&own, &from));
	CU_ASSERT_TRUE(guarded(listener) && guarded(client) && guarded(server));
	CU_ASSERT_TRUE(has_option(client, IPPROTO_TCP, TCP_NODELAY));
	CU_ASSERT_TRUE(has_option(server, IPPROTO_TCP, TCP_NODELAY)); /* inherited */
	CU_ASSERT_EQUAL(write(client, &byte, 1), 1);
	wait_for(server, POLLIN);
	CU_ASSERT_EQUAL(read(server, &byte, 1), 1);
	close(server);
	close(client);
	close(listener);
}

static void connects_and_accepts_v4(void)
{
	connection("127.0.0.1");
}

static void connects_and_accepts_v6(void)
{
	connection("::1");
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	CU_ASSERT_EQUAL(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void expect_tcp_options(int fd, const struct net_tcp_options *expected)
{
	CU_ASSERT_EQUAL(option(fd, SOL_SOCKET, SO_KEEPALIVE), expected->keepalive_idle_sec > 0);
	CU_ASSERT_EQUAL(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), (int)expected->user_timeout_ms);
	if (expected->keepalive_idle_sec == 0)
		return;
	CU_ASSERT_EQUAL(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), (int)expected->keepalive_idle_sec);
	CU_ASSERT_EQUAL(
	    option(fd, IPPROTO_TCP, TCP_KEEPINTVL), (int)expected->keepalive_interval_sec);
	CU_ASSERT_EQUAL(option(fd, IPPROTO_TCP, TCP_KEEPCNT), (int)expected->keepalive_count);
}

/* Connects to `listener`; both ends. */
static int join(
    int listener, const struct addr *addr, const struct net_tcp_options *tcp, int *accepted)
{
	bool in_progress;
	struct net_connect_options options = {.tcp = *tcp};
	int client = net_connect_tcp_with(addr, &options, &in_progress);
	CU_ASSERT_TRUE_FATAL(client >= 0);
	wait_for(listener, POLLIN);
	*accepted = net_accept(listener, NULL);
	CU_ASSERT_TRUE_FATAL(*accepted >= 0);
	return client;
}

static void options_are_inherited_and_changed(void)
{
	struct net_listen_options options = {.tcp = {7, 2, 4, 12345}};
	struct net_tcp_options own = {9, 3, 5, 0}, none = {0};
	struct addr addr;
	int first, second, listener = listen_on("127.0.0.1", &addr, options);
	int client = join(listener, &addr, &own, &first);
	expect_tcp_options(client, &own);
	expect_tcp_options(first, &options.tcp);
	close(client);

	options = (struct net_listen_options){.fast_open = true, .defer_accept = true};
	CU_ASSERT_EQUAL(net_listen_change(listener, &options), 0);
	CU_ASSERT_TRUE(option(listener, IPPROTO_TCP, TCP_FASTOPEN) > 0);
	CU_ASSERT_TRUE(option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
	options = (struct net_listen_options){.backlog = 3};
	CU_ASSERT_EQUAL(net_listen_change(listener, &options), 0);
	CU_ASSERT_EQUAL(option(listener, IPPROTO_TCP, TCP_FASTOPEN), 0);
	CU_ASSERT_EQUAL(option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
	struct tcp_info info;
	socklen_t len = sizeof(info);
	CU_ASSERT_EQUAL(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	CU_ASSERT_EQUAL(info.tcpi_sacked, 3); /* of one that listens: its backlog */
	client = join(listener, &addr, &none, &second);
	expect_tcp_options(client, &none);
	expect_tcp_options(second, &none);
	expect_tcp_options(first, &(struct net_tcp_options){7, 2, 4, 12345});
	close(client);
	close(first);
	close(second);
	close(listener);
}

static void comes_from_where_it_is_told(void)
{
	struct addr addr, from, source = parse("127.9.8.7");
	struct net_connect_options options = {.source = &source};
	bool in_progress;
	addr_set_port(&source, 80); /* does not count */
	int listener = listen_on("127.0.0.1", &addr, (struct net_listen_options){0});
	int client = net_connect_tcp_with(&addr, &options, &in_progress);
	CU_ASSERT_TRUE_FATAL(client >= 0);
	wait_for(listener, POLLIN);
	int server = net_accept(listener, &from);
	CU_ASSERT_TRUE(addr_equal_ip(&from, &source));
	CU_ASSERT_NOT_EQUAL(addr_port(&from), 80);
	source = parse("198.51.100.77");
	CU_ASSERT_EQUAL(net_connect_tcp_with(&addr, &options, &in_progress), -EADDRNOTAVAIL);
	close(server);
	close(client);
	close(listener);
}

static void accepting_waits_for_a_byte(void)
{
	struct net_listen_options options = {.defer_accept = true};
	struct addr addr;
	bool in_progress;
	int listener = listen_on("127.0.0.1", &addr, options);
	int client = net_connect_tcp(&addr, &in_progress);
	wait_for(client, POLLOUT);
	CU_ASSERT_EQUAL(net_accept(listener, NULL), -EAGAIN);
	CU_ASSERT_EQUAL(write(client, "x", 1), 1);
	wait_for(listener, POLLIN);
	int server = net_accept(listener, NULL);
	CU_ASSERT_TRUE(server >= 0);
	close(server);
	close(client);
	close(listener);
}

static void a_refused_connection_is_reported(void)
{
	struct addr addr;
	bool in_progress = true;
	close(listen_on("127.0.0.1", &addr, (struct net_listen_options){0}));
	int fd = net_connect_tcp(&addr, &in_progress);
	if (fd < 0) { /* loopback may answer at once */
		CU_ASSERT_EQUAL(fd, -ECONNREFUSED);
		return;
	}
	CU_ASSERT_TRUE(in_progress);
	wait_for(fd, POLLOUT);
	CU_ASSERT_EQUAL(net_connect_result(fd), -ECONNREFUSED);
	close(fd);
}

static void ports_are_shared_only_on_request(void)
{
	struct addr addr;
	struct net_listen_options shared = {.reuse_port = true}, alone = {0};
	int first = listen_on("127.0.0.1", &addr, shared);
	int second = net_listen_tcp(&addr, &shared);
	CU_ASSERT_TRUE(second >= 0);
	CU_ASSERT_EQUAL(net_listen_tcp(&addr, &alone), -EADDRINUSE);
	close(first);
	close(second);
	int third = net_listen_tcp(&addr, &alone);
	CU_ASSERT_TRUE(third >= 0);
	CU_ASSERT_EQUAL(net_listen_tcp(&addr, &shared), -EADDRINUSE);
	close(third);
}

static void addresses_of_others_need_free_bind(void)
{
	static const char *const foreign[] = {"198.51.100.77", "2001:db8::77"};
	for (size_t i = 0; i < 2; i++) {
		struct addr addr = parse(foreign[i]);
		struct net_listen_options options = {0};
		CU_ASSERT_EQUAL(net_listen_tcp(&addr, &options), -EADDRNOTAVAIL);
		options.free_bind = true;
		int fd = net_listen_tcp(&addr, &options);
		CU_ASSERT_TRUE(fd >= 0);
		close(fd);
	}
}

/* A port that the kernel has just chosen for IPv6 may be busy for IPv4: connections of other tests
 * linger there. */
static void v6_does_not_take_v4(void)
{
	int other = -EADDRINUSE;
	for (int i = 0; i < 50 && other == -EADDRINUSE; i++) {
		struct addr v6, v4;
		int fd = listen_on("::", &v6, (struct net_listen_options){0});
		v4 = parse("0.0.0.0");
		addr_set_port(&v4, addr_port(&v6));
		other = net_listen_tcp(&v4, &(struct net_listen_options){0});
		close(fd);
	}
	CU_ASSERT_TRUE(other >= 0);
	close(other);
}

static int listen_udp_on(const char *ip, struct addr *out, struct net_listen_options options)
{
	struct addr addr = parse(ip);
	int fd = net_listen_udp(&addr, &options);
	socklen_t len = sizeof(*out);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(getsockname(fd, &out->sa, &len), 0);
	return fd;
}

static void datagrams(const char *ip)
{
	struct addr addr, from = {0};
	char byte = 'x';
	socklen_t len = sizeof(from);
	int listener = listen_udp_on(ip, &addr, (struct net_listen_options){0});
	int client = net_connect_udp(&addr, &(struct net_connect_options){0});
	CU_ASSERT_TRUE_FATAL(client >= 0);
	CU_ASSERT_TRUE(guarded(listener) && guarded(client));
	CU_ASSERT_FALSE(has_option(listener, SOL_SOCKET, SO_REUSEADDR));
	CU_ASSERT_EQUAL(send(client, &byte, 1, 0), 1);
	wait_for(listener, POLLIN);
	CU_ASSERT_EQUAL(recvfrom(listener, &byte, 1, 0, &from.sa, &len), 1);
	CU_ASSERT_EQUAL(sendto(listener, &byte, 1, 0, &from.sa, len), 1);
	wait_for(client, POLLIN);
	CU_ASSERT_EQUAL(recv(client, &byte, 1, 0), 1);
	close(client);
	close(listener);
}

static void datagrams_come_from_where_they_are_told(void)
{
	struct addr addr, from = {0}, source = parse("127.9.8.7");
	char byte = 'x';
	socklen_t len = sizeof(from);
	struct net_connect_options options = {.source = &source};
	int listener = listen_udp_on("127.0.0.1", &addr, (struct net_listen_options){0});
	int client = net_connect_udp(&addr, &options);
	CU_ASSERT_TRUE_FATAL(client >= 0);
	CU_ASSERT_EQUAL(send(client, &byte, 1, 0), 1);
	wait_for(listener, POLLIN);
	CU_ASSERT_EQUAL(recvfrom(listener, &byte, 1, 0, &from.sa, &len), 1);
	CU_ASSERT_TRUE(addr_equal_ip(&from, &source));
	source = parse("198.51.100.77");
	CU_ASSERT_EQUAL(net_connect_udp(&addr, &options), -EADDRNOTAVAIL);
	close(client);
	close(listener);
}

static void datagrams_v4(void)
{
	datagrams("127.0.0.1");
}

static void datagrams_v6(void)
{
	datagrams("::1");
}

static void udp_ports_are_shared_only_on_request(void)
{
	struct addr addr;
	struct net_listen_options shared = {.reuse_port = true}, alone = {0};
	int first = listen_udp_on("127.0.0.1", &addr, shared);
	int second = net_listen_udp(&addr, &shared);
	CU_ASSERT_TRUE(second >= 0);
	CU_ASSERT_EQUAL(net_listen_udp(&addr, &alone), -EADDRINUSE);
	close(first);
	close(second);
}

static void a_wildcard_hears_where_datagrams_went(void)
{
	struct addr addr;
	int four = listen_udp_on("0.0.0.0", &addr, (struct net_listen_options){0});
	int six = listen_udp_on("::", &addr, (struct net_listen_options){0});
	int one = listen_udp_on("127.0.0.1", &addr, (struct net_listen_options){0});
	CU_ASSERT_TRUE(has_option(four, IPPROTO_IP, IP_PKTINFO));
	CU_ASSERT_TRUE(has_option(six, IPPROTO_IPV6, IPV6_RECVPKTINFO));
	CU_ASSERT_TRUE(has_option(six, IPPROTO_IPV6, IPV6_V6ONLY));
	CU_ASSERT_FALSE(has_option(one, IPPROTO_IP, IP_PKTINFO));
	close(four);
	close(six);
	close(one);
}

/* A Backup's socket has the virtual address, and must not answer from it. */
static void nothing_leaves_from_an_address_of_others(void)
{
	struct net_listen_options options = {.free_bind = true};
	struct addr here, bind4 = parse("198.51.100.77"), bind6 = parse("2001:db8::77");
	int fd = net_listen_udp(&bind4, &options);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	here = parse("127.0.0.1");
	addr_set_port(&here, 9);
	CU_ASSERT_EQUAL(sendto(fd, "x", 1, 0, &here.sa, addr_len(&here)), -1);
	close(fd);

	fd = net_listen_udp(&bind6, &options);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	here = parse("::1");
	addr_set_port(&here, 9);
	struct in6_pktinfo info = {.ipi6_addr = bind6.in6.sin6_addr};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(info))] = "";
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_name = &here,
	    .msg_namelen = addr_len(&here),
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	*c = (struct cmsghdr){.cmsg_level = IPPROTO_IPV6,
	    .cmsg_type = IPV6_PKTINFO,
	    .cmsg_len = CMSG_LEN(sizeof(info))};
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	CU_ASSERT_EQUAL(sendmsg(fd, &msg, 0), -1);
	close(fd);
}

static void local_addresses_are_known(void)
{
	struct addr a = parse("127.0.0.1"), b = parse("198.51.100.77"), c = parse("2001:db8::77");
	CU_ASSERT_TRUE(net_is_local(&a));
	CU_ASSERT_FALSE(net_is_local(&b));
	CU_ASSERT_FALSE(net_is_local(&c));
	addr_set_port(&a, 80); /* the port does not matter */
	CU_ASSERT_TRUE(net_is_local(&a));
}

static char dir[SCRATCH_MAX];
static char path[64];

static void unix_sockets(void)
{
	CU_ASSERT_TRUE_FATAL(scratch_make(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	struct stat st;
	mode_t mask = umask(0077);
	int fd = net_listen_unix(path, 0660);
	umask(mask);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(guarded(fd));
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_TRUE(S_ISSOCK(st.st_mode));
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0660); /* whatever the umask */

	/* somebody listens: it stays his */
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600), -EADDRINUSE);
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	memcpy(sun.sun_path, path, strlen(path) + 1);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(connect(client, (struct sockaddr *)&sun, sizeof(sun)), 0);
	struct addr from;
	wait_for(fd, POLLIN); /* the look of the refused one; it is gone */
	close(net_accept(fd, &from));
	int server = net_accept(fd, &from);
	CU_ASSERT_TRUE(server >= 0);
	CU_ASSERT_EQUAL(from.sa.sa_family, AF_UNIX);
	close(server);
	close(client);

	close(fd); /* the file stays, as after SIGKILL */
	fd = net_listen_unix(path, 0600);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	close(fd);
	unlink(path);

	/* other files are not ours to remove */
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	CU_ASSERT_EQUAL(net_listen_unix(path, 0600), -EEXIST);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
	char long_path[200];
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	CU_ASSERT_EQUAL(net_listen_unix(long_path, 0600), -ENAMETOOLONG);
}

UNIT_MAIN("net/net", UNIT(connects_and_accepts_v4), UNIT(connects_and_accepts_v6),
    UNIT(options_are_inherited_and_changed), UNIT(comes_from_where_it_is_told),
    UNIT(accepting_waits_for_a_byte), UNIT(a_refused_connection_is_reported),
    UNIT(ports_are_shared_only_on_request), UNIT(addresses_of_others_need_free_bind),
    UNIT(v6_does_not_take_v4), UNIT(datagrams_v4), UNIT(datagrams_v6),
    UNIT(datagrams_come_from_where_they_are_told), UNIT(udp_ports_are_shared_only_on_request),
    UNIT(a_wildcard_hears_where_datagrams_went), UNIT(nothing_leaves_from_an_address_of_others),
    UNIT(local_addresses_are_known), UNIT(unix_sockets))
