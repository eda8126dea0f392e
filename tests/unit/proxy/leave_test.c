/* Another node has an address: connections to it end here, whatever they are in the middle of, and no
 * others. */
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

static uint64_t ended(const struct proxy_stats *stats)
{
	return stats->vip_moved_closed;
}

static uint64_t udp_sessions(const struct proxy_stats *stats)
{
	return stats->udp_sessions_now;
}

static uint64_t connections(struct rig *rig)
{
	struct proxy_stats stats;
	proxy_stats(rig->proxy, &stats);
	return stats.client_connections;
}

static void leave(struct rig *rig, const char *ip)
{
	struct addr addrs[2];
	CU_ASSERT_TRUE_FATAL(addr_parse_ip("192.0.2.1", &addrs[0]));
	CU_ASSERT_TRUE_FATAL(addr_parse_ip(ip, &addrs[1]));
	proxy_leave(rig->proxy, "front", addrs, 2);
}

/* To a listener on every address, by this one of them. */
static int connect_by(const struct rig *rig, enum rig_listener listener, const char *ip)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_ip(ip, &addr));
	addr_set_port(&addr, addr_port(&rig->binds[listener]));
	int fd = listener == RIG_UDP ? net_connect_udp(&addr, &(struct net_connect_options){0})
				     : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0);
	if (listener != RIG_UDP)
		CU_ASSERT_FATAL(connect(fd, &addr.sa, addr_len(&addr)) == 0);
	return fd;
}

/* Where datagrams are not refused. */
static int open_sink(const struct rig *rig)
{
	int fd = net_listen_udp(&rig->targets[0], &(struct net_listen_options){0});
	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

struct crowd {
	int fresh, half, asking, answering, raw, datagrams;
	int asked, answers, raw_target;
};

/* One in each state that a connection can be in. */
static struct crowd gather(struct rig *rig, const char *ip)
{
	struct crowd crowd = {.fresh = connect_by(rig, RIG_HTTP, ip),
	    .half = connect_by(rig, RIG_HTTP, ip),
	    .asking = connect_by(rig, RIG_HTTP, ip)};
	char head[PEER_HEAD_MAX];
	peer_send(crowd.half, "GET / HTT");
	peer_send(crowd.asking, "GET /asking HTTP/1.1\r\nHost: h\r\n\r\n");
	crowd.asked = rig_accept(rig, 0);
	peer_read_head(crowd.asked, head);
	crowd.answering = connect_by(rig, RIG_HTTP, ip);
	peer_send(crowd.answering, "GET /answering HTTP/1.1\r\nHost: h\r\n\r\n");
	crowd.answers = rig_accept(rig, 0);
	peer_read_head(crowd.answers, head);
	peer_send(crowd.answers, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
	peer_expect_head(crowd.answering, "HTTP/1.1 200 OK", "");
	peer_expect(crowd.answering, "half");
	crowd.raw = connect_by(rig, RIG_TCP, ip);
	crowd.raw_target = rig_accept(rig, 0);
	peer_send(crowd.raw, "a");
	peer_expect(crowd.raw_target, "a");
	crowd.datagrams = connect_by(rig, RIG_UDP, ip);
	peer_send(crowd.datagrams, "a");
	return crowd;
}

static void goes_on(const struct crowd *crowd)
{
	peer_send(crowd->raw, "b");
	peer_expect(crowd->raw_target, "b");
	peer_send(crowd->answers, " more");
	peer_expect(crowd->answering, " more");
	peer_send(crowd->asked, "HTTP/1.1 204 No Content\r\n\r\n");
	peer_expect_head(crowd->asking, "HTTP/1.1 204 ", "");
	peer_send(crowd->half, "P/1.1\r\n\r\n");
	peer_expect_head(crowd->half, "HTTP/1.1 400 ", "");
	peer_send(crowd->fresh, "GET / HTTP/1.1\r\n\r\n");
	peer_expect_head(crowd->fresh, "HTTP/1.1 400 ", "");
}

static void is_over(const struct crowd *crowd)
{
	const int clients[] = {
	    crowd->fresh, crowd->half, crowd->asking, crowd->answering, crowd->raw};
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		peer_expect_reset(clients[i]);
	/* Nothing is left at the targets either. */
	peer_expect_eof(crowd->asked);
	peer_expect_eof(crowd->answers);
	peer_expect_reset(crowd->raw_target);
}

static void disperse(const struct crowd *crowd)
{
	close(crowd->fresh), close(crowd->half), close(crowd->asking), close(crowd->answering);
	close(crowd->raw), close(crowd->datagrams);
	close(crowd->asked), close(crowd->answers), close(crowd->raw_target);
}

static void ends_what_is_of_an_address(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int sink = open_sink(&rig);
	struct crowd crowd = gather(&rig, "127.0.0.1");
	CU_ASSERT_FATAL(rig_wait(&rig, udp_sessions, 1));
	leave(&rig, "127.0.0.2");
	peer_expect_silence(crowd.raw, 20);
	CU_ASSERT_EQUAL(connections(&rig), 6);
	leave(&rig, "127.0.0.1");
	CU_ASSERT_FATAL(rig_wait(&rig, ended, 6));
	CU_ASSERT_EQUAL(connections(&rig), 0);
	is_over(&crowd);
	disperse(&crowd);
	/* Whoever comes now, as when the address is back, is served. */
	crowd = gather(&rig, "127.0.0.1");
	goes_on(&crowd);
	disperse(&crowd);
	close(sink);
	rig_fini(&rig);
}

static void a_listener_on_every_address_keeps_the_others(void)
{
	struct rig rig;
	rig_init_at(&rig, INADDR_ANY);
	rig_apply(&rig);
	int sink = open_sink(&rig);
	struct crowd stay = gather(&rig, "127.0.0.1"), go = gather(&rig, "127.0.0.2");
	CU_ASSERT_FATAL(rig_wait(&rig, udp_sessions, 2));
	leave(&rig, "127.0.0.2");
	CU_ASSERT_FATAL(rig_wait(&rig, ended, 6));
	CU_ASSERT_EQUAL(connections(&rig), 6);
	is_over(&go);
	goes_on(&stay);
	disperse(&stay);
	disperse(&go);
	close(sink);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/leave", UNIT(ends_what_is_of_an_address),
    UNIT(a_listener_on_every_address_keeps_the_others))
