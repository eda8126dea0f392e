/* Long bodies and streams through the engine: every byte is looked at, at sizes around the
 * thresholds; readers that do not read, ends that vanish, pipes that are not to be had. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/pipe.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define MIB       (1024U * 1024)
#define BLOCK     65521U /* a prime: a lost or doubled page shows */
#define READ_SIZE (32U * 1024)
#define QUIET_MS  5
#define QUIETS    20
#define FLOOD     (256U * MIB)
#define PIPES_FEW 8U
#define FILES_FEW (PIPES_FEW * 2 * 8)

static const size_t sizes[] = {1, PIPE_MIN - 1, PIPE_MIN, PIPE_MIN + 1, READ_SIZE - 1, READ_SIZE,
    READ_SIZE + 1, READ_SIZE + PIPE_MIN - 1, READ_SIZE + PIPE_MIN, 65535, 65536, 65537, 100000,
    PIPE_SIZE - 1, PIPE_SIZE, PIPE_SIZE + 1, READ_SIZE + PIPE_SIZE, READ_SIZE + PIPE_SIZE + 1,
    2 * PIPE_SIZE + 7, MIB, 3 * MIB + 12345};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static const char *pattern_at(size_t offset)
{
	static char pattern[2 * BLOCK];
	static bool made;
	for (uint32_t i = 0; !made && i < sizeof(pattern); i++)
		pattern[i] = (char)(i % BLOCK * 2654435761U >> 23);
	made = true;
	return pattern + offset % BLOCK;
}

/* A flow of `len` bytes of the pattern from one peer to the other through the proxy. */
struct flow {
	int from, to;
	size_t len, sent, got;
	bool wrong; /* bytes that are not the pattern */
};

static bool send_more(struct flow *flow)
{
	size_t left = flow->len - flow->sent;
	ssize_t n = send(flow->from, pattern_at(flow->sent), left < BLOCK ? left : BLOCK,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		flow->sent += (size_t)n;
	return n > 0 || errno == EAGAIN;
}

static bool take_more(struct flow *flow)
{
	static char buf[BLOCK];
	size_t left = flow->len - flow->got;
	ssize_t n = recv(flow->to, buf, left < BLOCK ? left : BLOCK, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN;
	flow->wrong = memcmp(buf, pattern_at(flow->got), (size_t)n) != 0;
	flow->got += (size_t)n;
	return n > 0 && !flow->wrong;
}

/* Sends and receives until all flows are through: false when one is wrong or stuck. */
static bool run(struct flow *flows, size_t n)
{
	for (;;) {
		struct pollfd fds[4];
		bool done = true, ok = true;
		for (size_t i = 0; i < n; i++) {
			struct flow *flow = &flows[i];
			bool sending = flow->sent < flow->len, taking = flow->got < flow->len;
			fds[2 * i] = (struct pollfd){sending ? flow->from : -1, POLLOUT, 0};
			fds[2 * i + 1] = (struct pollfd){taking ? flow->to : -1, POLLIN, 0};
			done = done && !taking;
		}
		if (done)
			return true;
		ok = poll(fds, 2 * n, RIG_WAIT_MS) > 0;
		for (size_t i = 0; i < n && ok; i++)
			ok = (!fds[2 * i].revents || send_more(&flows[i])) &&
			     (!fds[2 * i + 1].revents || take_more(&flows[i]));
		if (!ok) {
			for (size_t i = 0; i < n; i++)
				printf("\n%zu of %zu sent, %zu received%s\n", flows[i].sent,
				    flows[i].len, flows[i].got, flows[i].wrong ? ", wrong" : "");
			return false;
		}
	}
}

static bool transfer(int from, int to, size_t len)
{
	return run(&(struct flow){.from = from, .to = to, .len = len}, 1);
}

/* Sends while anybody takes it, which is over when the engine rests each time that we look: false when
 * the connection broke. */
static bool push(struct flow *flow)
{
	struct pollfd fd = {flow->from, POLLOUT, 0};
	for (unsigned quiet = 0; flow->sent < flow->len && quiet < QUIETS;) {
		if (poll(&fd, 1, QUIET_MS) == 1) {
			if (!send_more(flow))
				return false;
			quiet = 0;
		} else {
			quiet = rig_at_rest() ? quiet + 1 : 0;
		}
	}
	return true;
}

static void await_rest(void)
{
	for (unsigned quiet = 0; quiet < QUIETS; quiet = rig_at_rest() ? quiet + 1 : 0)
		poll(NULL, 0, QUIET_MS);
}

static unsigned pipe_ends(void)
{
	unsigned n = 0;
	char path[300], target[8];
	DIR *dir = opendir("/proc/self/fd");
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		n += readlink(path, target, 5) == 5 && memcmp(target, "pipe:", 5) == 0;
	}
	closedir(dir);
	return n;
}

static struct proxy_stats stats_of(struct rig *rig)
{
	struct proxy_stats stats;
	proxy_stats(rig->proxy, &stats);
	return stats;
}

static uint64_t idle_upstreams(const struct proxy_stats *stats)
{
	return stats->upstream_idle;
}

static uint64_t no_upstreams(const struct proxy_stats *stats)
{
	return stats->upstream_connections == 0;
}

static uint64_t no_clients(const struct proxy_stats *stats)
{
	return stats->client_connections == 0;
}

static void send_head(int fd, const char *start, size_t len)
{
	char text[256];
	snprintf(text, sizeof(text), "%sContent-Length: %zu\r\n\r\n", start, len);
	peer_send(fd, text);
}

static int ask(struct rig *rig, int client, int target)
{
	peer_send(client, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
	if (target < 0)
		target = rig_accept(rig, 0);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", "");
	return target;
}

/* Begins a response of `len` bytes. */
static void begin_response(int client, int target, size_t len)
{
	send_head(target, "HTTP/1.1 200 OK\r\n", len);
	peer_expect_head(client, "HTTP/1.1 200 OK\r\n", "Content-Length: ");
}

static void begin_upload(int client, size_t len)
{
	send_head(client, "PUT / HTTP/1.1\r\nHost: h\r\n", len);
}

static void small_exchange(struct rig *rig, int client, int target)
{
	ask(rig, client, target);
	peer_send(target, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	peer_expect(client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	CU_ASSERT_FATAL(rig_wait(rig, idle_upstreams, 1));
}

static void responses_of_all_sizes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = -1;
	uint64_t total = 0;
	for (size_t i = 0; i < N_SIZES; i++) {
		target = ask(&rig, client, target);
		begin_response(client, target, sizes[i]);
		CU_ASSERT_FATAL(transfer(target, client, sizes[i]));
		CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
		total += sizes[i];
	}
	small_exchange(&rig, client, target); /* both connections are as good as new */
	struct proxy_stats stats = stats_of(&rig);
	CU_ASSERT(stats.bytes_spliced > MIB && stats.bytes_spliced <= total);
	CU_ASSERT(stats.bytes_out > total && stats.bytes_out < total + 4096);
	CU_ASSERT_EQUAL(stats.upstream_connects, 1);
	close(client), close(target);
	rig_fini(&rig);
}

static void uploads_of_all_sizes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = -1;
	uint64_t total = 0;
	for (size_t i = 0; i < N_SIZES; i++) {
		begin_upload(client, sizes[i]);
		if (target < 0)
			target = rig_accept(&rig, 0);
		struct flow flow = {.from = client, .to = target, .len = sizes[i]};
		CU_ASSERT_FATAL(send_more(&flow)); /* the head may come with it */
		peer_expect_head(target, "PUT / HTTP/1.1\r\n", "Content-Length: ");
		CU_ASSERT_FATAL(run(&flow, 1));
		begin_response(client, target, 0);
		CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
		total += sizes[i];
	}
	small_exchange(&rig, client, target);
	struct proxy_stats stats = stats_of(&rig);
	CU_ASSERT(stats.bytes_spliced > MIB && stats.bytes_spliced <= total);
	CU_ASSERT(stats.bytes_in > total && stats.bytes_in < total + 4096);
	CU_ASSERT_EQUAL(stats.requests, N_SIZES + 1);
	CU_ASSERT_EQUAL(stats.upstream_connects, 1);
	close(client), close(target);
	rig_fini(&rig);
}

static void streams_of_all_sizes(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
	uint64_t total = 0;
	for (size_t i = 0; i < N_SIZES; i++) {
		CU_ASSERT_FATAL(transfer(client, target, sizes[i]));
		CU_ASSERT_FATAL(transfer(target, client, sizes[i]));
		total += sizes[i];
	}
	struct flow both[] = {
	    {.from = client, .to = target, .len = 8 * MIB + 1},
	    {.from = target, .to = client, .len = 8 * MIB + 3},
	};
	CU_ASSERT_FATAL(run(both, 2));
	/* the end follows the bytes, in one direction at a time */
	struct flow last = {.from = client, .to = target, .len = 4 * MIB + 5};
	CU_ASSERT_FATAL(push(&last));
	CU_ASSERT_FATAL(run(&last, 1));
	shutdown(client, SHUT_WR);
	peer_expect_eof(target);
	CU_ASSERT_FATAL(transfer(target, client, 2 * MIB + 1));
	close(target);
	peer_expect_eof(client);
	close(client);
	CU_ASSERT_FATAL(rig_wait(&rig, no_clients, 1)); /* it counts after it sends */
	struct proxy_stats stats = stats_of(&rig);
	CU_ASSERT_EQUAL(stats.bytes_in, total + both[0].len + last.len);
	CU_ASSERT_EQUAL(stats.bytes_out, total + both[1].len + 2 * MIB + 1);
	CU_ASSERT(stats.bytes_spliced > 8 * MIB);
	rig_fini(&rig);
}

static void body_until_the_end(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1);
	peer_send(target, "HTTP/1.1 200 OK\r\n\r\n");
	peer_expect(client, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
	struct flow flow = {.from = target, .to = client, .len = 4 * MIB + 77};
	CU_ASSERT_FATAL(run(&flow, 1));
	flow = (struct flow){.from = target, .to = client, .len = 64 * MIB + 1};
	CU_ASSERT_FATAL(push(&flow));
	CU_ASSERT(flow.sent < flow.len); /* the client does not read: the target must wait */
	CU_ASSERT_FATAL(run(&flow, 1));
	CU_ASSERT(stats_of(&rig).bytes_spliced > 4 * MIB);
	close(target);
	peer_expect_eof(client);
	close(client);
	rig_fini(&rig);
}

/* A flood into `flow`, stopped by its reader, with bytes left in a pipe. */
static void jam(struct flow *flow, unsigned ends_before)
{
	CU_ASSERT_FATAL(push(flow));
	CU_ASSERT_FATAL(flow->sent < flow->len);
	CU_ASSERT(pipe_ends() > ends_before);
}

static void slow_readers_get_all(void)
{
	struct rig rig;
	unsigned ends = pipe_ends();
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1);
	struct flow flow = {.from = target, .to = client, .len = 64 * MIB + 1};
	begin_response(client, target, flow.len);
	jam(&flow, ends);
	CU_ASSERT_FATAL(run(&flow, 1));
	CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
	small_exchange(&rig, client, target);

	begin_upload(client, flow.len);
	peer_expect_head(target, "PUT / HTTP/1.1\r\n", "Content-Length: ");
	flow = (struct flow){.from = client, .to = target, .len = flow.len};
	jam(&flow, ends);
	CU_ASSERT_FATAL(run(&flow, 1));
	begin_response(client, target, 0);
	CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
	small_exchange(&rig, client, target);
	close(client), close(target);

	client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
	struct flow both[] = {
	    {.from = client, .to = target, .len = 64 * MIB + 1},
	    {.from = target, .to = client, .len = 64 * MIB + 3},
	};
	jam(&both[0], ends);
	jam(&both[1], ends);
	CU_ASSERT_FATAL(run(both, 2));
	close(client), close(target);
	rig_fini(&rig);
	CU_ASSERT_EQUAL(pipe_ends(), ends);
}

/* Takes what comes until the connection ends: it is the beginning of what was sent. */
static void take_rest(struct flow *flow)
{
	struct pollfd fd = {flow->to, POLLIN, 0};
	while (poll(&fd, 1, RIG_WAIT_MS) == 1 && take_more(flow))
		;
	CU_ASSERT(!flow->wrong && fd.revents != 0 && flow->got < flow->len);
}

/* What stood in the pipe of a connection that broke must never reach another one. */
static void expect_clean(struct rig *rig)
{
	CU_ASSERT_FATAL(rig_wait(rig, no_upstreams, 1));
	int client = rig_connect(rig, RIG_TCP), target = rig_accept(rig, 0);
	CU_ASSERT_FATAL(transfer(target, client, 2 * MIB));
	CU_ASSERT_FATAL(transfer(client, target, 2 * MIB));
	close(client), close(target);
	CU_ASSERT_FATAL(rig_wait(rig, no_clients, 1));
}

static void ends_vanish(void)
{
	struct rig rig;
	unsigned ends = pipe_ends();
	rig_init(&rig);
	rig_apply(&rig);
	for (int i = 0; i < 4; i++) { /* who floods, and who resets */
		bool up = i & 1, reader = i & 2;
		int client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
		struct flow flow = {.from = up ? client : target, .to = up ? target : client};
		flow.len = FLOOD;
		jam(&flow, ends);
		peer_reset(reader ? flow.to : flow.from);
		if (!reader)
			take_rest(&flow); /* its end shows when all before it was delivered */
		close(reader ? flow.from : flow.to);
		expect_clean(&rig);

		client = rig_connect(&rig, RIG_HTTP);
		if (up) {
			begin_upload(client, FLOOD);
			target = rig_accept(&rig, 0);
			peer_expect_head(target, "PUT / HTTP/1.1\r\n", "");
		} else {
			target = ask(&rig, client, -1);
			begin_response(client, target, FLOOD);
		}
		flow = (struct flow){.from = up ? client : target, .to = up ? target : client};
		flow.len = FLOOD;
		jam(&flow, ends);
		peer_reset(reader ? flow.to : flow.from);
		if (up && reader)
			peer_expect_answer(client, "HTTP/1.1 502 ", "\r\n");
		if (!reader)
			take_rest(&flow);
		close(reader ? flow.from : flow.to);
		expect_clean(&rig);
	}
	rig_fini(&rig);
	CU_ASSERT_EQUAL(pipe_ends(), ends);
}

static void idle_readers_are_closed(void)
{
	struct rig rig;
	unsigned ends = pipe_ends();
	rig_init(&rig);
	rig.listener.idle_timeout_us = US_PER_SEC; /* nobody else is idle so long */
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1);
	struct flow flow = {.from = target, .to = client, .len = FLOOD};
	begin_response(client, target, flow.len);
	push(&flow); /* perhaps until it is over */
	CU_ASSERT(rig_wait(&rig, no_clients, 1));
	CU_ASSERT(rig_wait(&rig, no_upstreams, 1));
	close(client), close(target);
	client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
	flow = (struct flow){.from = target, .to = client, .len = FLOOD};
	push(&flow); /* perhaps until it is over */
	CU_ASSERT(rig_wait(&rig, no_clients, 1));
	close(client), close(target);
	rig_fini(&rig);
	CU_ASSERT_EQUAL(pipe_ends(), ends);
}

/* What the proxy can send to a client that does not read. */
static size_t capacity(struct rig *rig, enum rig_listener listener)
{
	int client = rig_connect(rig, listener), target;
	uint64_t before = stats_of(rig).bytes_out;
	if (listener == RIG_HTTP) {
		target = ask(rig, client, -1);
		begin_response(client, target, FLOOD);
	} else {
		target = rig_accept(rig, 0);
	}
	struct flow flow = {.from = target, .to = client, .len = FLOOD};
	CU_ASSERT_FATAL(push(&flow) && flow.sent < flow.len);
	size_t n = stats_of(rig).bytes_out - before;
	close(client), close(target);
	CU_ASSERT_FATAL(rig_wait(rig, no_upstreams, 1));
	return n;
}

/* More than was asked for is behind the body, and the next request waits to use the connection at
 * this very moment: it must not get that for its answer. */
static void surplus_is_noticed(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	size_t most = capacity(&rig, RIG_HTTP);
	for (size_t len = most + MIB; len < most + MIB + 3; len++) {
		int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1);
		peer_send(client, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
		begin_response(client, target, len);
		struct flow flow = {.from = target, .to = client, .len = len};
		CU_ASSERT_FATAL(push(&flow) && flow.sent == len);
		peer_send(target, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
		CU_ASSERT_FATAL(run(&flow, 1));
		int next = rig_accept(&rig, 0);
		peer_expect_head(next, "GET /next HTTP/1.1\r\n", "");
		begin_response(client, next, 0);
		close(client), close(target), close(next);
		CU_ASSERT_FATAL(rig_wait(&rig, no_upstreams, 1));
	}
	rig_fini(&rig);
}

/* More slow readers than there may be pipes: the others are served by copying, and nobody who
 * connects is turned away. */
static void runs_out_of_pipes(void)
{
	enum { N = PIPES_FEW + 6 };
	struct rig rig;
	struct rlimit before, few;
	struct flow flows[N];
	unsigned ends = pipe_ends();
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){.rlim_cur = FILES_FEW, .rlim_max = before.rlim_max};
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
	rig_init(&rig);
	rig_apply(&rig);
	for (int i = 0; i < N; i++) {
		int client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
		flows[i] = (struct flow){.from = target, .to = client, .len = 32 * MIB + 1};
		CU_ASSERT_FATAL(push(&flows[i]));
		CU_ASSERT(flows[i].sent < flows[i].len);
	}
	CU_ASSERT_EQUAL(pipe_ends() - ends, 2 * PIPES_FEW);
	for (int i = N - 1; i >= 0; i--) {
		CU_ASSERT_FATAL(run(&flows[i], 1));
		close(flows[i].from), close(flows[i].to);
	}
	CU_ASSERT_EQUAL(stats_of(&rig).connections_accepted, N);
	rig_fini(&rig);
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void send_urgently(int from, int to)
{
	struct flow flow = {.from = from, .to = to, .len = MIB};
	for (int block = 0; block < 4; block++)
		CU_ASSERT_FATAL(send_more(&flow));
	CU_ASSERT_EQUAL(send(from, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
	CU_ASSERT_FATAL(run(&flow, 1));
}

/* splice() stops before urgent data, and says "not now" for ever. */
static void steps_over_urgent_data(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_TCP), target = rig_accept(&rig, 0);
	CU_ASSERT_FATAL(transfer(target, client, 2 * MIB));
	for (int i = 0; i < 20; i++)
		send_urgently(target, client);
	close(client), close(target);
	client = rig_connect(&rig, RIG_HTTP), target = -1;
	for (int i = 0; i < 20; i++) {
		target = ask(&rig, client, target);
		begin_response(client, target, MIB);
		send_urgently(target, client);
		begin_upload(client, MIB);
		peer_expect_head(target, "PUT / HTTP/1.1\r\n", "Content-Length: ");
		send_urgently(client, target);
		begin_response(client, target, 0);
	}
	close(client), close(target);
	rig_fini(&rig);
}

static void pipelines_behind_uploads(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = -1;
	for (size_t i = 0; i < N_SIZES; i++) {
		/* all is there before the target reads: a piece must not go beyond its body */
		begin_upload(client, sizes[i]);
		struct flow flow = {.from = client, .len = sizes[i]};
		CU_ASSERT_FATAL(push(&flow) && flow.sent == flow.len);
		peer_send(client, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
		if (target < 0)
			target = rig_accept(&rig, 0);
		flow.to = target;
		peer_expect_head(target, "PUT / HTTP/1.1\r\n", "Content-Length: ");
		CU_ASSERT_FATAL(run(&flow, 1));
		begin_response(client, target, 0);
		peer_expect_head(target, "GET /next HTTP/1.1\r\n", "");
		begin_response(client, target, 0);
		CU_ASSERT_FATAL(rig_wait(&rig, idle_upstreams, 1));
	}
	close(client), close(target);
	rig_fini(&rig);
}

enum tail { TAIL_LENGTH, TAIL_UNTIL_CLOSE, TAIL_TCP, TAIL_COUNT };

/* The target has finished, and perhaps closed, while the last bytes wait in a pipe. */
static void tail_waits(struct rig *rig, enum tail tail, size_t len)
{
	int client = rig_connect(rig, tail == TAIL_TCP ? RIG_TCP : RIG_HTTP), target;
	if (tail == TAIL_TCP) {
		target = rig_accept(rig, 0);
	} else {
		target = ask(rig, client, -1);
		if (tail == TAIL_LENGTH)
			begin_response(client, target, len);
		else
			peer_send(target, "HTTP/1.1 200 OK\r\n\r\n");
	}
	struct flow flow = {.from = target, .to = client, .len = len};
	CU_ASSERT_FATAL(push(&flow));
	CU_ASSERT_EQUAL(flow.sent, len);
	if (tail != TAIL_LENGTH)
		close(target);
	await_rest();
	if (tail == TAIL_UNTIL_CLOSE)
		peer_expect_head(client, "HTTP/1.1 200 OK\r\n", "Connection: close\r\n");
	CU_ASSERT_FATAL(run(&flow, 1));
	if (tail == TAIL_LENGTH) {
		CU_ASSERT_FATAL(rig_wait(rig, idle_upstreams, 1));
		small_exchange(rig, client, target);
		close(target);
	} else {
		peer_expect_eof(client);
	}
	close(client);
	CU_ASSERT_FATAL(rig_wait(rig, no_upstreams, 1));
}

static void last_bytes_wait_in_a_pipe(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply(&rig);
	for (enum tail tail = 0; tail < TAIL_COUNT; tail++) {
		size_t most = capacity(&rig, tail == TAIL_TCP ? RIG_TCP : RIG_HTTP);
		for (size_t more = 0; more <= 192; more += 48)
			tail_waits(&rig, tail, most - 32 * 1024 + more * 1024);
	}
	rig_fini(&rig);
}

static void reloads_and_drains_under_a_body(void)
{
	struct rig rig;
	unsigned ends = pipe_ends();
	rig_init(&rig);
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1);
	struct flow flow = {.from = target, .to = client, .len = 64 * MIB};
	begin_response(client, target, flow.len);
	jam(&flow, ends);
	for (int i = 0; i < 5; i++)
		rig_apply(&rig);
	proxy_reap(rig.proxy);
	CU_ASSERT_EQUAL(rig.generations, 2); /* the body's and the latest */
	proxy_drain(rig.proxy);
	CU_ASSERT_FATAL(run(&flow, 1));
	peer_expect_eof(client);
	CU_ASSERT(rig_wait(&rig, no_clients, 1));
	CU_ASSERT(proxy_drained(rig.proxy));
	close(client), close(target);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/bulk", UNIT(responses_of_all_sizes), UNIT(uploads_of_all_sizes),
    UNIT(streams_of_all_sizes), UNIT(body_until_the_end), UNIT(slow_readers_get_all),
    UNIT(ends_vanish), UNIT(idle_readers_are_closed), UNIT(surplus_is_noticed),
    UNIT(runs_out_of_pipes), UNIT(steps_over_urgent_data), UNIT(pipelines_behind_uploads),
    UNIT(last_bytes_wait_in_a_pipe), UNIT(reloads_and_drains_under_a_body))
