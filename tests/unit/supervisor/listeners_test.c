#include "daemon/supervisor/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/net/net.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static char dir[SCRATCH_MAX];
static char admin_path[64];
static struct listeners set;

static void open_set(void)
{
	static bool made;
	if (!made)
		CU_ASSERT_TRUE_FATAL(scratch_make(dir));
	made = true;
	snprintf(admin_path, sizeof(admin_path), "%s/admin.sock", dir);
	listeners_init(&set, admin_path);
}

/* A free port of loopback: nothing else of this machine is touched. */
static struct addr free_address(void)
{
	struct addr addr;
	socklen_t len = sizeof(addr);
	addr_parse_ip("127.0.0.1", &addr);
	int fd = net_listen_tcp(&addr, &(struct net_listen_options){0});
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	getsockname(fd, &addr.sa, &len);
	close(fd);
	return addr;
}

static struct listener traffic(const char *name, struct addr bind, uint32_t worker)
{
	struct listener listener = {.kind = IPC_LISTENER_TRAFFIC,
	    .worker = worker,
	    .bind = bind,
	    .options = {.reuse_port = true},
	    .fd = -1};
	strcpy(listener.name, name);
	return listener;
}

static size_t count_open(void)
{
	size_t n = 0;
	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static ino_t inode(int fd)
{
	struct stat st = {0};
	fstat(fd, &st);
	return st.st_ino;
}

static const struct listener *find(const char *name, uint32_t worker)
{
	for (size_t i = 0; i < set.n; i++) {
		if (strcmp(set.array[i].name, name) == 0 && set.array[i].worker == worker)
			return &set.array[i];
	}
	return NULL;
}

static void wanted_follows_the_configuration(void)
{
	struct addr binds[2];
	addr_parse_endpoint("192.0.2.10:80", &binds[0]);
	addr_parse_endpoint("[2001:db8::10]:80", &binds[1]);
	struct conf_listener listeners[2] = {{.name = "web",
						 .binds = binds,
						 .n_binds = 2,
						 .backlog = 77,
						 .fast_open = true,
						 .tcp_keepalive = {60000000, 5000000, 4},
						 .tcp_user_timeout_us = 90000000},
	    {.name = "sql", .binds = binds, .n_binds = 1}};
	struct conf_node nodes[2] = {{.name = "a"}, {.name = "b"}};
	addr_parse_ip("192.0.2.11", &nodes[0].address);
	addr_parse_ip("192.0.2.12", &nodes[1].address);
	struct conf conf = {.listeners = listeners,
	    .n_listeners = 2,
	    .nodes = nodes,
	    .self = CONF_NONE,
	    .peer = CONF_NONE,
	    .sync = {.port = 5405}};
	struct listener *wanted;
	size_t n;
	CU_ASSERT_EQUAL(listeners_wanted(&conf, 3, &wanted, &n), 0);
	CU_ASSERT_EQUAL(n, 3 * 3 + 1);
	CU_ASSERT_STRING_EQUAL(wanted[3].name, "web");
	CU_ASSERT_TRUE(addr_equal(&wanted[3].bind, &binds[1]));
	CU_ASSERT_EQUAL(wanted[4].worker, 1);
	CU_ASSERT_EQUAL(wanted[9].kind, IPC_LISTENER_ADMIN_UNIX);
	const struct net_listen_options *options = &wanted[3].options;
	CU_ASSERT_TRUE(options->reuse_port && options->free_bind);
	CU_ASSERT_TRUE(options->fast_open && !options->defer_accept);
	CU_ASSERT_EQUAL(options->backlog, 77);
	CU_ASSERT_EQUAL(options->tcp.keepalive_idle_sec, 60);
	CU_ASSERT_EQUAL(options->tcp.keepalive_interval_sec, 5);
	CU_ASSERT_EQUAL(options->tcp.keepalive_count, 4);
	CU_ASSERT_EQUAL(options->tcp.user_timeout_ms, 90000);
	CU_ASSERT_TRUE(!wanted[9].options.reuse_port && wanted[9].options.backlog == 0);
	free(wanted);

	conf.admin_tcp = true;
	addr_parse_endpoint("127.0.0.1:8404", &conf.admin_listen);
	conf.n_nodes = 2;
	conf.self = 1;
	conf.peer = 0;
	CU_ASSERT_EQUAL(listeners_wanted(&conf, 1, &wanted, &n), 0);
	CU_ASSERT_EQUAL(n, 3 + 3);
	CU_ASSERT_EQUAL(wanted[4].kind, IPC_LISTENER_ADMIN_TCP);
	CU_ASSERT_EQUAL(wanted[5].kind, IPC_LISTENER_SYNC);
	CU_ASSERT_TRUE(addr_equal_ip(&wanted[5].bind, &nodes[1].address)); /* our own */
	CU_ASSERT_EQUAL(addr_port(&wanted[5].bind), 5405);
	free(wanted);
}

static void a_reload_keeps_opens_and_closes(void)
{
	struct addr a = free_address(), b = free_address();
	struct listener before[] = {traffic("web", a, 0), traffic("web", a, 1)};
	struct listener after[] = {
	    traffic("web", a, 0), traffic("web", a, 1), traffic("sql", b, 0)};
	struct err err;
	open_set();
	size_t fds = count_open();
	CU_ASSERT_EQUAL(listeners_prepare(&set, before, 2, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(count_open(), fds + 2);
	ino_t kept = inode(find("web", 1)->fd);

	CU_ASSERT_EQUAL(listeners_prepare(&set, after, 3, &err), 0);
	listeners_abort(&set); /* as if the proxy had refused */
	CU_ASSERT_EQUAL(count_open(), fds + 2);
	CU_ASSERT_PTR_NULL(find("sql", 0));

	CU_ASSERT_EQUAL(listeners_prepare(&set, after, 3, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(count_open(), fds + 3);
	CU_ASSERT_EQUAL(inode(find("web", 1)->fd), kept); /* undisturbed */

	CU_ASSERT_EQUAL(listeners_prepare(&set, after + 2, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(count_open(), fds + 1);
	CU_ASSERT_PTR_NULL(find("web", 0));
	CU_ASSERT_PTR_NOT_NULL(find("sql", 0));
	listeners_fini(&set);
	CU_ASSERT_EQUAL(count_open(), fds);
}

static void a_taken_port_changes_nothing(void)
{
	struct addr a = free_address(), taken = free_address();
	/* Somebody with SO_REUSEPORT, with whom the kernel would let us share. */
	int other = net_listen_tcp(&taken, &(struct net_listen_options){.reuse_port = true});
	struct listener first[] = {traffic("web", a, 0)};
	struct listener second[] = {
	    traffic("web", a, 0), traffic("new", free_address(), 0), traffic("sql", taken, 0)};
	struct err err = {""};
	open_set();
	CU_ASSERT_EQUAL(listeners_prepare(&set, first, 1, &err), 0);
	listeners_commit(&set);
	size_t fds = count_open();
	CU_ASSERT_EQUAL(listeners_prepare(&set, second, 3, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "sql"));
	CU_ASSERT_EQUAL(count_open(), fds);
	CU_ASSERT_EQUAL(set.n, 1);
	CU_ASSERT_TRUE(find("web", 0)->current);
	CU_ASSERT_FALSE(find("web", 0)->next);
	listeners_fini(&set);
	close(other);
}

static void a_new_name_keeps_the_socket(void)
{
	struct addr a = free_address();
	struct listener before = traffic("web", a, 0), after = traffic("shop", a, 0);
	struct err err;
	open_set();
	CU_ASSERT_EQUAL(listeners_prepare(&set, &before, 1, &err), 0);
	listeners_commit(&set);
	ino_t socket = inode(find("web", 0)->fd);
	CU_ASSERT_EQUAL(listeners_prepare(&set, &after, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_PTR_NULL(find("web", 0));
	CU_ASSERT_EQUAL(inode(find("shop", 0)->fd), socket);
	listeners_fini(&set);
}

static int user_timeout(const char *name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	getsockopt(find(name, 0)->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &len);
	return value;
}

static void a_reload_changes_options_of_kept_sockets(void)
{
	struct addr a = free_address();
	struct listener before = traffic("web", a, 0), after = before,
			renamed = traffic("shop", a, 0);
	struct err err;
	after.options.tcp.user_timeout_ms = 7000;
	open_set();
	CU_ASSERT_EQUAL(listeners_prepare(&set, &before, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(user_timeout("web"), 0);
	CU_ASSERT_EQUAL(listeners_prepare(&set, &after, 1, &err), 0);
	listeners_abort(&set);
	CU_ASSERT_EQUAL(user_timeout("web"), 0);
	CU_ASSERT_EQUAL(listeners_prepare(&set, &after, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(user_timeout("web"), 7000);
	/* The same socket under another name. */
	CU_ASSERT_EQUAL(listeners_prepare(&set, &renamed, 1, &err), 0);
	CU_ASSERT_EQUAL(user_timeout("web"), 7000);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(user_timeout("shop"), 0);
	listeners_fini(&set);
}

static void the_proxy_gets_what_it_lacks(void)
{
	struct listener before[] = {
	    traffic("web", free_address(), 0), traffic("old", free_address(), 0)};
	struct listener after[] = {before[0], traffic("new", free_address(), 0)};
	struct err err;
	struct listener *l;
	open_set();
	CU_ASSERT_EQUAL(listeners_prepare(&set, before, 2, &err), 0);
	listeners_commit(&set);
	while ((l = listeners_unsent(&set, false)))
		l->sent = true;

	CU_ASSERT_EQUAL(listeners_prepare(&set, after, 2, &err), 0);
	l = listeners_unsent(&set, true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(l->name, "new");
	l->sent = true;
	CU_ASSERT_PTR_NULL(listeners_unsent(&set, true));
	CU_ASSERT_PTR_NULL(listeners_unsent(&set, false));

	/* It applied the next set and closed "old"; going back needs that one again. */
	listeners_applied(&set, true);
	l = listeners_unsent(&set, false);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(l->name, "old");
	l->sent = true;
	listeners_applied(&set, false);
	listeners_abort(&set);
	CU_ASSERT_PTR_NULL(listeners_unsent(&set, false));

	listeners_forget_sent(&set);
	CU_ASSERT_PTR_NOT_NULL(listeners_unsent(&set, false));
	listeners_fini(&set);
}

static void the_admin_socket_is_private_and_goes(void)
{
	struct listener admin = {.kind = IPC_LISTENER_ADMIN_UNIX, .name = "admin", .fd = -1};
	struct err err;
	struct stat st;
	open_set();
	CU_ASSERT_EQUAL(listeners_prepare(&set, &admin, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(stat(admin_path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(listeners_prepare(&set, &admin, 1, &err), 0); /* a reload */
	listeners_commit(&set);
	CU_ASSERT_EQUAL(set.n, 1);
	listeners_fini(&set);
	CU_ASSERT_EQUAL(stat(admin_path, &st), -1);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static int connect_to(const struct addr *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, &addr->sa, addr_len(addr)), 0);
	return fd;
}

static struct listener datagrams(const char *name, struct addr bind)
{
	struct listener listener = traffic(name, bind, 0);
	listener.kind = IPC_LISTENER_UDP;
	return listener;
}

static void udp_has_sockets_of_its_own(void)
{
	struct addr a = free_address();
	struct listener both[] = {traffic("dns", a, 0), datagrams("dns-udp", a)};
	struct listener swapped[] = {datagrams("dns", a)}; /* the mode changes */
	struct err err = {""};
	open_set();
	CU_ASSERT_EQUAL_FATAL(listeners_prepare(&set, both, 2, &err), 0);
	listeners_commit(&set);
	ino_t socket = inode(find("dns-udp", 0)->fd);
	CU_ASSERT_NOT_EQUAL(inode(find("dns", 0)->fd), socket);
	CU_ASSERT_EQUAL(listeners_prepare(&set, swapped, 1, &err), 0);
	listeners_commit(&set);
	CU_ASSERT_EQUAL(set.n, 1);
	CU_ASSERT_EQUAL(inode(find("dns", 0)->fd), socket); /* the UDP one, renamed */
	listeners_fini(&set);

	int other = net_listen_udp(&a, &(struct net_listen_options){.reuse_port = true});
	CU_ASSERT_TRUE(other >= 0);
	CU_ASSERT_EQUAL(listeners_prepare(&set, both, 2, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "dns-udp"));
	close(other);
	listeners_fini(&set);
}

static void what_waits_at_a_virtual_address_is_reset(void)
{
	struct conf_vip vip = {.prefix = 32};
	struct conf_router router = {.addresses = &vip, .n_addresses = 1};
	struct conf conf = {.peer = CONF_NONE, .routers = &router, .n_routers = 1};
	struct err err;
	char byte;
	open_set();
	struct listener web = traffic("web", free_address(), 0);
	CU_ASSERT_EQUAL_FATAL(listeners_prepare(&set, &web, 1, &err), 0);
	listeners_commit(&set);
	int fds[2] = {connect_to(&web.bind), connect_to(&web.bind)};
	vip.addr = web.bind;
	listeners_reset_waiting(&set, &conf); /* a single node: they are served */
	conf.peer = 1;
	addr_parse_ip("192.0.2.10", &vip.addr);
	listeners_reset_waiting(&set, &conf); /* an address of its own: they are served */
	CU_ASSERT(recv(fds[0], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	vip.addr = web.bind;
	listeners_reset_waiting(&set, &conf);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(recv(fds[i], &byte, 1, 0) < 0 && errno == ECONNRESET);
		close(fds[i]);
	}
	listeners_fini(&set);
}

static void datagrams_that_wait_at_a_virtual_address_are_dropped(void)
{
	struct conf_vip vip = {.prefix = 32};
	struct conf_router router = {.addresses = &vip, .n_addresses = 1};
	struct conf conf = {.peer = 1, .routers = &router, .n_routers = 1};
	struct err err;
	char byte = 'x';
	open_set();
	struct listener dns = datagrams("dns", free_address());
	CU_ASSERT_EQUAL_FATAL(listeners_prepare(&set, &dns, 1, &err), 0);
	listeners_commit(&set);
	int client = net_connect_udp(&dns.bind, &(struct net_connect_options){0}),
	    server = find("dns", 0)->fd;
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(send(client, &byte, (size_t)i, 0), i);
	addr_parse_ip("192.0.2.10", &vip.addr);
	listeners_reset_waiting(&set, &conf);
	CU_ASSERT_EQUAL(recv(server, &byte, 1, MSG_PEEK), 0); /* still there, the empty one first */
	vip.addr = dns.bind;
	listeners_reset_waiting(&set, &conf);
	CU_ASSERT(recv(server, &byte, 1, 0) < 0 && errno == EAGAIN);
	close(client);
	listeners_fini(&set);
}

UNIT_MAIN("supervisor/listeners", UNIT(datagrams_that_wait_at_a_virtual_address_are_dropped),
    UNIT(udp_has_sockets_of_its_own), UNIT(what_waits_at_a_virtual_address_is_reset),
    UNIT(wanted_follows_the_configuration), UNIT(a_reload_keeps_opens_and_closes),
    UNIT(a_taken_port_changes_nothing), UNIT(a_new_name_keeps_the_socket),
    UNIT(a_reload_changes_options_of_kept_sockets), UNIT(the_proxy_gets_what_it_lacks),
    UNIT(the_admin_socket_is_private_and_goes))
