/* The engine asks itself, through sockets. */
#include <linux/filter.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define LONG_US  (RIG_WAIT_MS * US_PER_MS)
#define SHORT_US (300 * US_PER_MS)
#define TICK_MS  5

/* What is known of both listeners. */
struct known {
	unsigned n;
	uint64_t answered_wall_us[2], failures[2];
};

static void note(void *arg, const struct proxy_listening *listening)
{
	struct known *known = arg;
	unsigned i = strcmp(listening->listener, "web") == 0 ? RIG_HTTP : RIG_TCP;
	known->n++;
	known->answered_wall_us[i] = listening->answered_wall_us;
	known->failures[i] = listening->failures;
}

static struct known ask(struct rig *rig)
{
	struct known known = {0};
	proxy_each_listening(rig->proxy, note, &known);
	return known;
}

/* Both answer once more, and nothing is stuck meanwhile. */
static void expect_answers(struct rig *rig)
{
	struct err why = {""};
	uint64_t since = clock_wall_us(), give_up_us = clock_us() + LONG_US;
	struct known known;
	do {
		CU_ASSERT_TRUE(proxy_alive(rig->proxy, LONG_US, &why));
		poll(NULL, 0, TICK_MS);
		known = ask(rig);
	} while ((known.answered_wall_us[RIG_HTTP] <= since ||
		     known.answered_wall_us[RIG_TCP] <= since) &&
		 clock_us() < give_up_us);
	CU_ASSERT_TRUE(known.answered_wall_us[RIG_HTTP] > since);
	CU_ASSERT_TRUE(known.answered_wall_us[RIG_TCP] > since);
	if (why.text[0])
		printf("\n%s\n", why.text);
}

/* Is stuck soon, and says so. */
static void expect_stuck(struct rig *rig, const char *text)
{
	struct err why = {""};
	uint64_t give_up_us = clock_us() + LONG_US;
	while (!strstr(why.text, text) && clock_us() < give_up_us) {
		proxy_alive(rig->proxy, SHORT_US, &why);
		poll(NULL, 0, TICK_MS);
	}
	if (!strstr(why.text, text))
		printf("\nwant: %s\ngot: %s\n", text, why.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(why.text, text));
}

/* No listener is, in several windows; that a loop does not turn for a moment is not our subject. */
static void expect_no_verdict(struct rig *rig)
{
	struct err why = {""};
	for (uint64_t end_us = clock_us() + 4 * SHORT_US; clock_us() < end_us;) {
		bool alive = proxy_alive(rig->proxy, SHORT_US, &why);
		CU_ASSERT_FATAL(alive || !strstr(why.text, "listener"));
		poll(NULL, 0, TICK_MS);
	}
}

static void expect_recovery(struct rig *rig)
{
	struct err why = {""};
	uint64_t give_up_us = clock_us() + LONG_US;
	while (!proxy_alive(rig->proxy, LONG_US, &why) && clock_us() < give_up_us)
		poll(NULL, 0, TICK_MS);
	expect_answers(rig);
}

static void expect_nothing_counted(struct rig *rig)
{
	struct proxy_stats stats, none = {0};
	proxy_stats(rig->proxy, &stats);
	CU_ASSERT_EQUAL(memcmp(&stats, &none, sizeof(none)), 0);
	CU_ASSERT_EQUAL(proxy_expectant(rig->proxy), 0);
}

static void counts_for_nothing(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	expect_answers(&rig);
	/* neither as a client nor towards a target */
	expect_nothing_counted(&rig);
	peer_expect_silence(rig.listening[0], 0);
	CU_ASSERT_EQUAL(ask(&rig).failures[RIG_HTTP], 0);
	CU_ASSERT_EQUAL(ask(&rig).failures[RIG_TCP], 0);
	rig_fini(&rig);
}

static uint64_t bytes_out(const struct proxy_stats *stats)
{
	return stats->bytes_out;
}

static void a_user_who_asks_the_same_is_counted(void)
{
	static const char question[] =
	    "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nMax-Forwards: 0\r\n\r\n";
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	int user = rig_connect(&rig, RIG_HTTP);
	peer_send(user, question);
	peer_expect(user, answer);
	CU_ASSERT_TRUE(rig_wait(&rig, bytes_out, strlen(answer)));
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.connections_accepted, 1);
	CU_ASSERT_EQUAL(stats.client_connections, 1);
	CU_ASSERT_EQUAL(stats.requests, 1);
	CU_ASSERT_EQUAL(stats.responses_2xx, 1);
	CU_ASSERT_EQUAL(stats.bytes_in, strlen(question));
	CU_ASSERT_EQUAL(stats.bytes_out, strlen(answer));
	close(user);
	rig_fini(&rig);
}

static uint64_t accepted(const struct proxy_stats *stats)
{
	return stats->connections_accepted;
}

static void no_limit_keeps_it_out(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig.listener.max_connections = 1;
	rig_apply(&rig);
	int web = rig_connect(&rig, RIG_HTTP), raw = rig_connect(&rig, RIG_TCP);
	CU_ASSERT_TRUE(rig_wait(&rig, accepted, 2));
	expect_answers(&rig);
	/* the limit holds for others */
	int more = rig_connect(&rig, RIG_HTTP);
	peer_expect_reset(more);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.connections_refused, 1);
	close(web), close(raw), close(more);
	rig_fini(&rig);
}

static void says_when_no_descriptor_is_left(void)
{
	struct rig rig;
	struct rlimit before, none;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){3, before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	expect_stuck(&rig, ": out of file descriptors");
	setrlimit(RLIMIT_NOFILE, &before);
	expect_recovery(&rig);
	rig_fini(&rig);
}

static void says_when_it_is_refused(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	CU_ASSERT_EQUAL(shutdown(rig.sockets[RIG_TCP], SHUT_RD), 0); /* listens no more */
	expect_stuck(&rig, ": connect refused");
	CU_ASSERT_EQUAL(ask(&rig).failures[RIG_HTTP], 0);
	rig_fini(&rig);
}

/* What a request says is dropped, the handshake passes: its connections are accepted, and then
 * nothing comes. */
static void drop_data(int fd, bool on)
{
	struct sock_filter code[] = {
	    /* longer than the TCP header? */
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12),
	    BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
	    BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
	    BPF_STMT(BPF_MISC | BPF_TAX, 0),
	    BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_X, 0, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};
	int error = setsockopt(
	    fd, SOL_SOCKET, on ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &program, sizeof(program));
	CU_ASSERT_EQUAL(error, 0);
}

static void says_which_one_is_stuck(void)
{
	struct rig rig;
	struct known known;
	char text[ADDR_TEXT_MAX], want[128];
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	snprintf(want, sizeof(want), "listener web at %s: no answer to our own request for ",
	    addr_format(&rig.binds[RIG_HTTP], text));
	drop_data(rig.sockets[RIG_HTTP], true);
	expect_stuck(&rig, want);
	known = ask(&rig);
	CU_ASSERT_EQUAL(known.failures[RIG_HTTP], 1);
	CU_ASSERT_EQUAL(known.failures[RIG_TCP], 0);
	/* No reload makes it well, and it is asked anew. */
	rig_apply(&rig);
	expect_stuck(&rig, want);
	drop_data(rig.sockets[RIG_HTTP], false);
	rig_apply(&rig);
	expect_recovery(&rig);
	rig_fini(&rig);
}

/* The kernel drops what comes: not the process' fault, nor a reason to doubt it. */
static void does_not_judge_while_paused(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	proxy_pause(rig.proxy, true);
	expect_no_verdict(&rig);
	proxy_pause(rig.proxy, false);
	expect_answers(&rig);
	CU_ASSERT_EQUAL(ask(&rig).failures[RIG_HTTP], 0);
	rig_fini(&rig);
}

static void does_not_judge_what_a_packet_filter_drops(void)
{
	struct rig rig;
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {1, code};
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	setsockopt(rig.sockets[RIG_HTTP], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	expect_no_verdict(&rig);
	CU_ASSERT_TRUE(ask(&rig).failures[RIG_HTTP] > 0); /* but it is seen */
	rig_fini(&rig);
}

static void does_not_judge_while_draining(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	proxy_drain(rig.proxy);
	expect_no_verdict(&rig);
	rig_fini(&rig);
}

static void follows_reloads(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	expect_answers(&rig);
	rig.listener.mode = CONF_MODE_TCP; /* both */
	rig_apply(&rig);
	expect_answers(&rig);
	rig.listener.mode = CONF_MODE_HTTP;
	rig_apply(&rig);
	expect_answers(&rig);
	CU_ASSERT_EQUAL(ask(&rig).n, 2);
	rig.n_listeners = 1;
	rig_apply(&rig);
	CU_ASSERT_EQUAL(ask(&rig).n, 1);
	CU_ASSERT_EQUAL(ask(&rig).failures[RIG_HTTP], 0);
	rig_fini(&rig);
}

/* The kernel keeps back who has said nothing. */
static void is_heard_where_accepting_is_deferred(void)
{
	struct rig rig;
	rig_init(&rig);
	for (unsigned i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(net_listen_change(rig.sockets[i],
				    &(struct net_listen_options){.defer_accept = true}),
		    0);
	rig_apply(&rig);
	/* Not by the kernel's giving up after a second or three each time. */
	uint64_t took_us = UINT64_MAX;
	for (int i = 0; i < 20 && took_us >= 900 * US_PER_MS; i++) {
		uint64_t begun_us = clock_us();
		expect_answers(&rig);
		took_us = clock_us() - begun_us;
	}
	CU_ASSERT_TRUE(took_us < 900 * US_PER_MS);
	expect_nothing_counted(&rig);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/selfcheck", UNIT(counts_for_nothing), UNIT(a_user_who_asks_the_same_is_counted),
    UNIT(no_limit_keeps_it_out), UNIT(says_when_no_descriptor_is_left),
    UNIT(says_when_it_is_refused), UNIT(says_which_one_is_stuck), UNIT(does_not_judge_while_paused),
    UNIT(does_not_judge_what_a_packet_filter_drops), UNIT(does_not_judge_while_draining),
    UNIT(follows_reloads), UNIT(is_heard_where_accepting_is_deferred))
