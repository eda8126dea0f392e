/* Tunnels under what happens to the engine around them. What passes through them is tested in
 * tests/http, cases_upgrade.py. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define ASK    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define SWITCH "HTTP/1.1 101 S\r\n" ASK "\r\n"
#define BEHIND 30000U /* bytes */

static const char *websocket[] = {"websocket"};

static uint64_t tunnels_now(const struct proxy_stats *stats)
{
	return stats->tunnels_now;
}

static void start(struct rig *rig)
{
	rig_init(rig);
	rig->listener.upgrade = websocket;
	rig->listener.n_upgrade = 1;
	rig->listener.tunnel_timeout_us = 2 * RIG_WAIT_MS * US_PER_MS;
	rig_apply(rig);
}

/* A tunnel between the two that are returned. */
static void open_tunnel(struct rig *rig, int *client, int *target)
{
	char head[PEER_HEAD_MAX];
	*client = rig_connect(rig, RIG_HTTP);
	peer_send(*client, "GET / HTTP/1.1\r\nHost: h\r\n" ASK "\r\n");
	*target = rig_accept(rig, 0);
	peer_read_head(*target, head);
	CU_ASSERT_PTR_NOT_NULL(strstr(head, ASK));
	peer_send(*target, SWITCH);
	peer_expect(*client, SWITCH);
	CU_ASSERT_FATAL(rig_wait(rig, tunnels_now, 1));
}

static void talk(int client, int target)
{
	peer_send(client, "question");
	peer_expect(target, "question");
	peer_send(target, "answer");
	peer_expect(client, "answer");
}

/* Nobody is connected any more, and it is counted so. */
static bool wait_empty(const struct rig *rig)
{
	struct proxy_stats stats;
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS, left;
	do {
		poll(NULL, 0, 1);
		proxy_stats(rig->proxy, &stats);
		left = stats.client_connections + stats.upstream_connections + stats.tunnels_now;
	} while (left > 0 && clock_us() < end_us);
	return left == 0;
}

static void outlives_its_configuration(void)
{
	struct rig rig;
	int client, target;
	start(&rig);
	open_tunnel(&rig, &client, &target);
	rig_apply(&rig);
	talk(client, target);
	rig.targets[0] = rig.targets[1]; /* its target is not in the configuration any more */
	rig_apply(&rig);
	talk(client, target);
	rig.n_listeners = 0; /* and now its listener is not */
	rig_apply(&rig);
	talk(client, target);
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 2); /* the tunnel's and the latest */
	shutdown(client, SHUT_WR);
	peer_expect_eof(target);
	peer_send(target, "more");
	peer_expect(client, "more");
	close(target);
	peer_expect_eof(client);
	close(client);
	CU_ASSERT(wait_empty(&rig));
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 1);
	rig_fini(&rig);
}

static void is_drained(void)
{
	struct rig rig;
	int client, target;
	start(&rig);
	open_tunnel(&rig, &client, &target);
	proxy_drain(rig.proxy);
	talk(client, target);
	CU_ASSERT_FALSE(proxy_drained(rig.proxy));
	close(client);
	peer_expect_eof(target);
	close(target);
	CU_ASSERT(wait_empty(&rig));
	CU_ASSERT(proxy_drained(rig.proxy));
	rig_fini(&rig);
}

static void ends_when_the_engine_stops(void)
{
	struct rig rig;
	int client, target;
	start(&rig);
	open_tunnel(&rig, &client, &target);
	rig_fini(&rig);
	peer_expect_reset(client);
	peer_expect_reset(target);
	close(client), close(target);
}

/* A client whose kernel takes a few KiB only, like that of the engine's socket. */
static int connect_narrow(const struct rig *rig)
{
	const struct addr *addr = &rig->binds[RIG_HTTP];
	const int small = 4096;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0);
	/* Accepted sockets inherit it. */
	setsockopt(rig->sockets[RIG_HTTP], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	CU_ASSERT_FATAL(connect(fd, &addr->sa, addr_len(addr)) == 0);
	return fd;
}

/* The client's socket takes no more than the beginning of the 101 and of what came with it, and the
 * client has spoken ahead: both is unsent when HTTP is over. */
static void takes_what_is_unsent(void)
{
	struct rig rig;
	struct proxy_stats stats;
	char head[PEER_HEAD_MAX], text[sizeof(SWITCH) + BEHIND], got[sizeof(text)];
	start(&rig);
	int client = connect_narrow(&rig);
	peer_send(client, "GET / HTTP/1.1\r\nHost: h\r\n" ASK "\r\nspoken ahead");
	int target = rig_accept(&rig, 0);
	peer_read_head(target, head);
	memcpy(text, SWITCH, sizeof(SWITCH) - 1);
	for (size_t i = sizeof(SWITCH) - 1; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i * i % 23);
	text[sizeof(text) - 1] = '\0';
	peer_send(target, text);
	CU_ASSERT_FATAL(rig_wait(&rig, tunnels_now, 1));
	peer_expect(target, "spoken ahead");
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT(stats.bytes_out < sizeof(text) - 1);
	for (size_t n = 0; n < sizeof(text) - 1;) {
		ssize_t more = recv(client, got + n, sizeof(text) - 1 - n, 0);
		CU_ASSERT_FATAL(more > 0);
		n += (size_t)more;
	}
	CU_ASSERT(memcmp(got, text, sizeof(text) - 1) == 0);
	talk(client, target);
	close(client), close(target);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/tunnel", UNIT(outlives_its_configuration), UNIT(is_drained),
    UNIT(ends_when_the_engine_stops), UNIT(takes_what_is_unsent))
