#include "tests/unit/proxy/rig.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "tests/unit/unit.h"

/* What no test waits for, on a busy machine neither. */
#define LONG_US (2 * RIG_WAIT_MS * US_PER_MS)

/* One configuration with all that it points to. */
struct setup {
	unsigned users;
	struct conf conf;
	struct conf_listener listeners[RIG_LISTENERS];
	struct conf_pool pool;
	struct conf_target targets[RIG_TARGETS];
	char texts[RIG_TARGETS][ADDR_TEXT_MAX];
	struct rig *rig;
	struct conf_router router;
	struct conf_vip vip;
};

struct applied {
	struct proxy_generation pub;
	struct setup *setup;
};

static void let_go(struct proxy_generation *generation)
{
	struct applied *applied = generation->owner;
	applied->setup->rig->generations--;
	fleet_free(generation->fleet);
	if (--applied->setup->users == 0)
		free(applied->setup);
	free(applied);
}

static int listen_somewhere(struct addr *bind, uint32_t ip, bool udp)
{
	struct net_listen_options options = {.reuse_port = true};
	socklen_t len = sizeof(*bind);
	memset(bind, 0, sizeof(*bind));
	bind->in.sin_family = AF_INET;
	bind->in.sin_addr.s_addr = htonl(ip);
	int fd = udp ? net_listen_udp(bind, &options) : net_listen_tcp(bind, &options);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(getsockname(fd, &bind->sa, &len) == 0);
	return fd;
}

void rig_init_at(struct rig *rig, uint32_t ip)
{
	static const char *const names[] = {"web", "raw", "dns"};
	const uint64_t hash_key[2] = {1, 2};
	struct err err = {""};
	memset(rig, 0, sizeof(*rig));
	rig->sessions = session_table_new(1000, hash_key);
	rig->journal = journal_new(64);
	CU_ASSERT_FATAL(rig->sessions && rig->journal);
	struct proxy_shared shared = {
	    .workers = 1, .sessions = rig->sessions, .journal = rig->journal};
	rig->proxy = proxy_start(&shared, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->proxy);
	for (unsigned i = 0; i < RIG_LISTENERS; i++) {
		int fd = listen_somewhere(&rig->binds[i], ip, i == RIG_UDP);
		CU_ASSERT_EQUAL_FATAL(
		    proxy_add_listener(rig->proxy, names[i], &rig->binds[i], 0, fd), 0);
		rig->sockets[i] = fd;
	}
	for (unsigned i = 0; i < RIG_TARGETS; i++)
		rig->listening[i] = listen_somewhere(&rig->targets[i], INADDR_LOOPBACK, false);
	rig->n_targets = 1;
	rig->keys.n = 1;
	rig->n_listeners = RIG_LISTENERS;
	rig->ack_timeout_us = LONG_US;
	rig->listener = (struct conf_listener){
	    .n_binds = 1,
	    .header_timeout_us = LONG_US,
	    .idle_timeout_us = LONG_US,
	    .max_header_size = 4096,
	    .forwarded = {.for_ = CONF_FORWARD_APPEND, .proto = CONF_FORWARD_REPLACE},
	};
	rig->pool = (struct conf_pool){
	    .name = "pool",
	    .sticky = {.cookie_name = "Y",
		.prefix4 = 32,
		.prefix6 = 64,
		.ttl_us = 3600 * US_PER_SEC},
	    .connect_timeout_us = 2 * US_PER_SEC, /* a kernel answers in its own time */
	    .response_timeout_us = LONG_US,
	    .retries = 2,
	    .retry_causes = 1U << CONF_RETRY_CONNECT_FAILURE | 1U << CONF_RETRY_RESET,
	    .retry_budget = {.per_sec = 10},
	};
}

void rig_init(struct rig *rig)
{
	rig_init_at(rig, INADDR_LOOPBACK);
}

static void build_conf(struct rig *rig, struct setup *setup)
{
	setup->rig = rig;
	setup->pool = rig->pool;
	setup->pool.targets = setup->targets;
	setup->pool.n_targets = rig->n_targets;
	for (unsigned i = 0; i < RIG_LISTENERS; i++)
		setup->listeners[i] = rig->listener;
	setup->listeners[RIG_HTTP].name = "web";
	setup->listeners[RIG_HTTP].binds = &rig->binds[RIG_HTTP];
	setup->listeners[RIG_TCP].name = "raw";
	setup->listeners[RIG_TCP].binds = &rig->binds[RIG_TCP];
	setup->listeners[RIG_TCP].mode = CONF_MODE_TCP;
	setup->listeners[RIG_UDP].name = "dns";
	setup->listeners[RIG_UDP].binds = &rig->binds[RIG_UDP];
	setup->listeners[RIG_UDP].mode = CONF_MODE_UDP;
	setup->conf = (struct conf){
	    .listeners = setup->listeners,
	    .n_listeners = rig->n_listeners,
	    .pools = &setup->pool,
	    .n_pools = 1,
	    .sync = {.sessions = rig->sessions_mode, .ack_timeout_us = rig->ack_timeout_us},
	};
	setup->vip.addr = rig->binds[RIG_HTTP];
	setup->router = (struct conf_router){.addresses = &setup->vip, .n_addresses = 1};
	if (rig->is_virtual) {
		setup->conf.routers = &setup->router;
		setup->conf.n_routers = 1;
	}
}

void rig_apply_fleet(struct rig *rig)
{
	struct err err = {""};
	struct setup *setup = rig->setup;
	struct applied *applied = calloc(1, sizeof(*applied));
	struct fleet_target_spec targets[RIG_TARGETS] = {{0}};
	CU_ASSERT_PTR_NOT_NULL_FATAL(applied);
	for (unsigned i = 0; i < rig->n_targets; i++) {
		addr_format(&rig->targets[i], setup->texts[i]);
		targets[i] = (struct fleet_target_spec){
		    .text = setup->texts[i], .addr = rig->targets[i], .weight = 1};
	}
	struct fleet_pool_spec pool = {
	    .name = "pool", .targets = targets, .n_targets = rig->n_targets};
	rig->fleet = fleet_new(&pool, 1, rig->fleet);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->fleet);
	applied->setup = setup;
	/* A second fleet of a configuration gets no keys. */
	applied->pub = (struct proxy_generation){.conf = &setup->conf,
	    .fleet = rig->fleet,
	    .keys = setup->users == 0 ? &rig->keys : NULL,
	    .free_fn = let_go,
	    .owner = applied};
	setup->users++;
	rig->generations++;
	CU_ASSERT_EQUAL_FATAL(proxy_apply(rig->proxy, &applied->pub, &err), 0);
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (!proxy_applied(rig->proxy) && clock_us() < end_us)
		poll(NULL, 0, 1);
	CU_ASSERT_FATAL(proxy_applied(rig->proxy));
}

void rig_apply(struct rig *rig)
{
	rig->setup = calloc(1, sizeof(*rig->setup));
	CU_ASSERT_PTR_NOT_NULL_FATAL(rig->setup);
	build_conf(rig, rig->setup);
	for (unsigned i = 0; i < rig->n_targets; i++)
		rig->setup->targets[i] = (struct conf_target){
		    .text = rig->setup->texts[i], .addr = rig->targets[i], .weight = 1};
	rig_apply_fleet(rig);
}

void rig_apply_acked(struct rig *rig, enum conf_sticky_kind kind)
{
	rig->pool.sticky.kind = kind;
	rig->sessions_mode = CONF_SYNC_ACKED;
	rig_apply(rig);
	journal_set_protected(rig->journal, true);
}

void rig_fini(struct rig *rig)
{
	proxy_stop(rig->proxy);
	CU_ASSERT_EQUAL(rig->generations, 0);
	for (unsigned i = 0; i < RIG_TARGETS; i++)
		rig_close_target(rig, i);
	session_table_free(rig->sessions);
	journal_free(rig->journal);
}

bool rig_wait(struct rig *rig, uint64_t (*counter)(const struct proxy_stats *), uint64_t at_least)
{
	struct proxy_stats stats;
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	do {
		proxy_stats(rig->proxy, &stats);
		if (counter(&stats) >= at_least)
			return true;
		poll(NULL, 0, 1);
	} while (clock_us() < end_us);
	return false;
}

/* It waits for something (proc(5): state S), or is gone. */
static bool sleeps(const char *tid)
{
	char path[300], text[512] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%s/stat", tid);
	FILE *file = fopen(path, "r");
	if (!file)
		return true;
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end && strncmp(name_end, ") S", 3) == 0;
}

bool rig_at_rest(void)
{
	bool rest = true;
	DIR *dir = opendir("/proc/self/task");
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		bool engine = entry->d_name[0] != '.' && atoi(entry->d_name) != gettid();
		rest = rest && (!engine || sleeps(entry->d_name));
	}
	closedir(dir);
	return rest;
}

int rig_connect(const struct rig *rig, enum rig_listener listener)
{
	const struct addr *addr = &rig->binds[listener];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_FATAL(connect(fd, &addr->sa, addr_len(addr)) == 0);
	return fd;
}

static bool wait_readable(int fd, int ms)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	return poll(&pollfd, 1, ms) == 1;
}

int rig_accept(const struct rig *rig, unsigned target)
{
	CU_ASSERT_FATAL(wait_readable(rig->listening[target], RIG_WAIT_MS));
	int fd = accept4(rig->listening[target], NULL, NULL, SOCK_CLOEXEC);
	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

void rig_close_target(struct rig *rig, unsigned target)
{
	if (rig->listening[target] >= 0)
		close(rig->listening[target]);
	rig->listening[target] = -1;
}

void peer_send(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static ssize_t read_some(int fd, char *buf, size_t len)
{
	if (!wait_readable(fd, RIG_WAIT_MS))
		return -ETIMEDOUT;
	ssize_t n = recv(fd, buf, len, 0);
	return n < 0 ? -errno : n;
}

void peer_expect(int fd, const char *text)
{
	char buf[4096];
	size_t len = 0, want = strlen(text);
	CU_ASSERT_FATAL(want < sizeof(buf));
	while (len < want) {
		ssize_t n = read_some(fd, buf + len, want - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	bool equal = len == want && memcmp(buf, text, want) == 0;
	if (!equal)
		printf("\nwant:\n%s\ngot:\n%.*s\n", text, (int)len, buf);
	CU_ASSERT_FATAL(equal);
}

void peer_read_head(int fd, char head[PEER_HEAD_MAX])
{
	size_t len = 0;
	while (len < PEER_HEAD_MAX - 1 && (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) != 0)) {
		if (read_some(fd, head + len, 1) <= 0)
			break;
		len++;
	}
	head[len] = '\0';
}

static void check_head(const char *head, const char *start, const char *part)
{
	bool good = strncmp(head, start, strlen(start)) == 0 && strstr(head, part);
	if (!good)
		printf("\nwant: %s ... %s\ngot:\n%s\n", start, part, head);
	CU_ASSERT_FATAL(good);
}

void peer_expect_head(int fd, const char *start, const char *part)
{
	char head[PEER_HEAD_MAX];
	peer_read_head(fd, head);
	check_head(head, start, part);
}

void peer_expect_answer(int fd, const char *start, const char *part)
{
	char head[PEER_HEAD_MAX], byte;
	peer_read_head(fd, head);
	check_head(head, start, part);
	const char *field = strstr(head, "\r\nContent-Length: ");
	for (long left = field ? atol(field + 18) : 0; left > 0; left--)
		CU_ASSERT_EQUAL_FATAL(read_some(fd, &byte, 1), 1);
}

void peer_expect_eof(int fd)
{
	char byte;
	CU_ASSERT_EQUAL(read_some(fd, &byte, 1), 0);
}

void peer_expect_reset(int fd)
{
	char byte;
	CU_ASSERT_EQUAL(read_some(fd, &byte, 1), -ECONNRESET);
}

void peer_expect_silence(int fd, int ms)
{
	CU_ASSERT_FALSE(wait_readable(fd, ms));
}

void peer_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	close(fd);
}
