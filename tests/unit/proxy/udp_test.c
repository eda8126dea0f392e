/* UDP listeners in this process: what needs the session table, the journal or the engine's own
 * counters. The rest is tests/http/cases_udp.py. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

/* A UDP socket that the pool has as its target number `i`. */
static int make_target(struct rig *rig, unsigned i)
{
	struct addr *addr = &rig->targets[i];
	socklen_t len = sizeof(*addr);
	addr_set_port(addr, 0);
	int fd = net_listen_udp(addr, &(struct net_listen_options){0});
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(getsockname(fd, &addr->sa, &len), 0);
	return fd;
}

static int make_client(const struct rig *rig)
{
	int fd = net_connect_udp(&rig->binds[RIG_UDP], &(struct net_connect_options){0});
	CU_ASSERT_FATAL(fd >= 0);
	return fd;
}

/* The target gets this datagram; *from is where it answers to. */
static void target_gets(int fd, const char *text, struct addr *from)
{
	char buf[256];
	socklen_t len = sizeof(*from);
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	CU_ASSERT_EQUAL_FATAL(poll(&pollfd, 1, 5000), 1);
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, &from->sa, &len);
	CU_ASSERT_EQUAL_FATAL(n, (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(memcmp(buf, text, strlen(text)), 0);
}

static void target_says(int fd, const char *text, const struct addr *to)
{
	CU_ASSERT_EQUAL(
	    sendto(fd, text, strlen(text), 0, &to->sa, addr_len(to)), (ssize_t)strlen(text));
}

static void wait_sessions(struct rig *rig, uint64_t n)
{
	struct proxy_stats stats;
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	do {
		poll(NULL, 0, 1);
		proxy_stats(rig->proxy, &stats);
	} while (stats.udp_sessions_now != n && clock_us() < end_us);
	CU_ASSERT_EQUAL_FATAL(stats.udp_sessions_now, n);
}

static void holds_answers_back_until_acked(void)
{
	struct rig rig;
	struct record record;
	struct addr from;
	struct proxy_stats stats;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int client = make_client(&rig);
	peer_send(client, "q");
	target_gets(target, "q", &from); /* the target may work meanwhile */
	target_says(target, "one", &from);
	target_says(target, "two", &from);
	peer_expect_silence(client, 100);
	CU_ASSERT_EQUAL_FATAL(journal_read(rig.journal, 0, &record, 1), 1);
	CU_ASSERT_EQUAL(record.session.target_id, rig.fleet->pools[0].targets[0].target->id);
	journal_set_acked(rig.journal, record.sequence);
	peer_expect(client, "one");
	peer_expect(client, "two");
	/* Later ones do not wait, nor are they news to the peer. */
	peer_send(client, "q");
	target_gets(target, "q", &from);
	target_says(target, "three", &from);
	peer_expect(client, "three");
	CU_ASSERT_EQUAL(journal_last(rig.journal), 1);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.ack_timeouts + stats.unprotected_sessions, 0);
	close(client), close(target);
	rig_fini(&rig);
}

static void waits_for_an_ack_no_longer_than_told(void)
{
	struct rig rig;
	struct addr from;
	struct proxy_stats stats;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig.ack_timeout_us = 100 * US_PER_MS;
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	uint64_t start_us = clock_us();
	int client = make_client(&rig);
	peer_send(client, "q");
	target_gets(target, "q", &from);
	target_says(target, "a", &from);
	peer_expect(client, "a");
	CU_ASSERT(clock_us() - start_us >= 100 * US_PER_MS);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.ack_timeouts, 1);
	close(client), close(target);
	rig_fini(&rig);
}

/* A session that is ended while its answer waits leaves nothing behind. */
static void ends_while_it_waits(void)
{
	struct rig rig;
	struct addr from;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig_apply_acked(&rig, CONF_STICKY_SOURCE);
	int client = make_client(&rig);
	peer_send(client, "q");
	target_gets(target, "q", &from);
	target_says(target, "a", &from);
	peer_expect_silence(client, 50);
	rig_fini(&rig); /* with the session */
	close(client), close(target);
}

/* The entry of the table lives for ttl; a session that lives longer must not lose it. */
static void a_long_session_renews_its_entry(void)
{
	struct rig rig;
	struct addr from;
	struct proxy_stats stats;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig.pool.sticky.kind = CONF_STICKY_SOURCE;
	rig.pool.sticky.ttl_us = US_PER_SEC;
	rig_apply(&rig);
	int client = make_client(&rig);
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (journal_last(rig.journal) < 2 && clock_us() < end_us) {
		peer_send(client, "q");
		target_gets(target, "q", &from);
		poll(NULL, 0, 20);
	}
	CU_ASSERT_EQUAL(journal_last(rig.journal), 2);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.udp_sessions, 1);
	close(client), close(target);
	rig_fini(&rig);
}

/* A generation stays as long as a session that began with it, and no longer. */
static void holds_its_generation(void)
{
	struct rig rig;
	struct addr from;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig.listener.responses = 1;
	rig_apply(&rig);
	int client = make_client(&rig);
	peer_send(client, "q");
	target_gets(target, "q", &from);
	rig_apply(&rig);
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 2);
	target_says(target, "a", &from);
	peer_expect(client, "a");
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (rig.generations > 1 && clock_us() < end_us) {
		proxy_reap(rig.proxy);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(rig.generations, 1);
	close(client), close(target);
	rig_fini(&rig);
}

/* What the kernel drops because nobody reads. */
static void counts_what_is_not_read(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig); /* nothing is applied, so nobody does */
	int client = make_client(&rig);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.udp_overflows, 0);
	for (int i = 0; i < 5000; i++)
		peer_send(client, "0123456789");
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT(stats.udp_overflows > 0 && stats.udp_overflows < 5000);
	uint64_t before = stats.udp_overflows;
	rig.n_listeners = RIG_UDP; /* without it */
	rig_apply(&rig);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.udp_overflows, before); /* a counter does not go back */
	close(client);
	rig_fini(&rig);
}

static void a_drain_ends_what_owes_nothing(void)
{
	struct rig rig;
	struct addr from;
	rig_init(&rig);
	int target = make_target(&rig, 0);
	rig_apply(&rig);
	int idle = make_client(&rig), asking = make_client(&rig);
	peer_send(idle, "q");
	target_gets(target, "q", &from);
	target_says(target, "a", &from);
	peer_expect(idle, "a");
	peer_send(asking, "q");
	target_gets(target, "q", &from);
	wait_sessions(&rig, 2);
	proxy_drain(rig.proxy);
	wait_sessions(&rig, 1);
	peer_send(idle, "late"); /* nobody hears it */
	target_says(target, "a", &from);
	peer_expect(asking, "a");
	wait_sessions(&rig, 0);
	CU_ASSERT(proxy_drained(rig.proxy));
	peer_expect_silence(target, 50);
	close(idle), close(asking), close(target);
	rig_fini(&rig);
}

/* With another fleet of its configuration a session goes on and does not keep the one before; the end
 * of its target's drain ends it, and the client's next datagram begins another one. */
static void fleets_come_and_go(void)
{
	struct rig rig;
	struct addr from, again;
	rig_init(&rig);
	int first = make_target(&rig, 0), second = make_target(&rig, 1);
	rig_apply(&rig);
	uint64_t id = rig.fleet->pools[0].targets[0].target->id;
	int client = make_client(&rig);
	peer_send(client, "a");
	target_gets(first, "a", &from);
	for (unsigned i = 0; i < 20; i++) {
		rig.n_targets = 1 + i % 2;
		rig_apply_fleet(&rig);
	}
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 1);
	peer_send(client, "b");
	target_gets(first, "b", &again);
	CU_ASSERT(addr_equal(&from, &again)); /* the same session */
	target_says(first, "c", &from);
	peer_expect(client, "c");

	struct pool *pool = &rig.fleet->pools[0];
	target_set_admin(pool, pool->targets[0].target, TARGET_DISABLED);
	proxy_cut(rig.proxy, id + 1);
	proxy_cut(rig.proxy, id);
	wait_sessions(&rig, 0);
	peer_send(client, "d");
	target_gets(second, "d", &again);
	wait_sessions(&rig, 1);
	close(client), close(first), close(second);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/udp", UNIT(holds_answers_back_until_acked),
    UNIT(waits_for_an_ack_no_longer_than_told), UNIT(ends_while_it_waits),
    UNIT(a_long_session_renews_its_entry), UNIT(holds_its_generation),
    UNIT(counts_what_is_not_read), UNIT(a_drain_ends_what_owes_nothing), UNIT(fleets_come_and_go))
