/* Connections whose PROXY header is on its way, while the configuration changes or we leave. What
 * headers do otherwise is in tests/http. */
#include <poll.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define GET   "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define CLOSE "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

static void begin(struct rig *rig)
{
	rig_init(rig);
	rig->listener.proxy_protocol = true;
	rig_apply(rig);
}

static uint64_t clients(const struct proxy_stats *stats)
{
	return stats->client_connections;
}

/* Connections with half a header; the engine has them. */
static int half(struct rig *rig, enum rig_listener listener, uint64_t n)
{
	int client = rig_connect(rig, listener);
	peer_send(client, "PROXY TCP4 192.0.2.77 ");
	CU_ASSERT_FATAL(rig_wait(rig, clients, n));
	return client;
}

static void send_rest(int client)
{
	peer_send(client, "192.0.2.1 4711 80\r\n");
}

static bool eventually(struct rig *rig, bool (*is)(struct proxy *))
{
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (!is(rig->proxy) && clock_us() < end_us)
		poll(NULL, 0, 1);
	return is(rig->proxy);
}

static void is_expected(void)
{
	struct rig rig;
	begin(&rig);
	int web = half(&rig, RIG_HTTP, 1), raw = half(&rig, RIG_TCP, 2);
	CU_ASSERT_EQUAL(proxy_expectant(rig.proxy), 2);
	send_rest(raw);
	int target = rig_accept(&rig, 0);
	CU_ASSERT_EQUAL(proxy_expectant(rig.proxy), 1);
	close(web), close(raw), close(target);
	rig_fini(&rig);
}

static void is_served_while_we_leave(void)
{
	struct rig rig;
	begin(&rig);
	int late = half(&rig, RIG_HTTP, 1), silent = half(&rig, RIG_TCP, 2);
	proxy_drain(rig.proxy);
	send_rest(late);
	peer_send(late, GET);
	int target = rig_accept(&rig, 0);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", "X-Forwarded-For: 192.0.2.77\r\n");
	peer_send(target, OK);
	peer_expect(late, CLOSE);
	peer_expect_eof(late);
	peer_expect_reset(silent); /* after a moment */
	CU_ASSERT(eventually(&rig, proxy_drained));
	close(late), close(silent), close(target);
	rig_fini(&rig);
}

static void goes_on_after_a_reload(void)
{
	struct rig rig;
	begin(&rig);
	int web = half(&rig, RIG_HTTP, 1), raw = half(&rig, RIG_TCP, 2);
	rig.listener.proxy_protocol = false;
	rig_apply(&rig);
	send_rest(web);
	peer_send(web, GET);
	int target = rig_accept(&rig, 0);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", "X-Forwarded-For: 192.0.2.77\r\n");
	send_rest(raw);
	int target2 = rig_accept(&rig, 0);
	close(web), close(raw), close(target), close(target2);
	rig_fini(&rig);
}

static void goes_with_its_listener(void)
{
	struct rig rig;
	begin(&rig);
	int raw = half(&rig, RIG_TCP, 1);
	rig.n_listeners = 1;
	rig_apply(&rig);
	peer_expect_reset(raw); /* what it said was not read */
	close(raw);
	rig_fini(&rig);
}

static void ends_with_the_engine(void)
{
	struct rig rig;
	begin(&rig);
	int web = half(&rig, RIG_HTTP, 1), raw = half(&rig, RIG_TCP, 2);
	rig_fini(&rig);
	peer_expect_reset(web);
	peer_expect_reset(raw);
	close(web), close(raw);
}

UNIT_MAIN("proxy/preface", UNIT(is_expected), UNIT(is_served_while_we_leave),
    UNIT(goes_on_after_a_reload), UNIT(goes_with_its_listener), UNIT(ends_with_the_engine))
