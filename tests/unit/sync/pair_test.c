/* Two real instances in one process: threads, sockets on loopback, TLS. Between them a relay that
 * the test can cut or stall, like a bad network. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "daemon/sync/sync.h"
#include "tests/unit/unit.h"

#define DEADLINE_US (120 * US_PER_SEC) /* a busy machine sends the crowd for half of it */
#define HOUR_US     (3600 * US_PER_SEC)
/* How many sessions a snapshot has, how many questions are answered meanwhile at least, and how many
 * sessions may pass while one is under way: what the queues between the two hold, however slow the
 * machine is. Where questions must wait behind the bulk it is a tenth of a million each time. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CROWD       50000
#define ANSWERS_MIN 0
#else
#define CROWD       500000
#define ANSWERS_MIN 12
#endif
#define PASSED_MAX 50000

/* Something happened: conditions are looked at again. */
static pthread_mutex_t news_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

static void ring(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&news_lock);
	pthread_cond_broadcast(&news);
	pthread_mutex_unlock(&news_lock);
}

/* Waits for news, or 5 ms for what nobody announces. */
static void await_news(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 5000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&news_lock);
	pthread_cond_timedwait(&news, &news_lock, &until);
	pthread_mutex_unlock(&news_lock);
}

#define AWAIT(condition)                                                            \
	do {                                                                        \
		uint64_t await_end = clock_us() + DEADLINE_US;                      \
		while (!(condition) && clock_us() < await_end)                      \
			await_news();                                               \
		CU_ASSERT(condition);                                               \
		if (!(condition))                                                   \
			printf("  gave up on line %d: %s\n", __LINE__, #condition); \
	} while (0)

/* How long it takes who offers the processor until it has it again: a busy machine. */
static _Atomic unsigned yield_ms;

int sched_yield(void)
{
	return poll(NULL, 0, (int)yield_ms);
}

/* --- sockets --- */

static struct addr loopback(uint16_t port)
{
	struct addr addr = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};
	addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return addr;
}

static int listen_somewhere(uint16_t *port)
{
	struct addr addr = loopback(0);
	struct net_listen_options options = {0};
	int fd = net_listen_tcp(&addr, &options);
	socklen_t len = sizeof(addr);
	CU_ASSERT_FATAL(fd >= 0 && getsockname(fd, &addr.sa, &len) == 0);
	*port = addr_port(&addr);
	return fd;
}

static int connect_to(uint16_t port)
{
	struct addr addr = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_FATAL(fd >= 0 && connect(fd, &addr.sa, addr_len(&addr)) == 0);
	return fd;
}

/* --- the relay --- */

struct relay {
	pthread_t thread;
	int listen_fd, control[2];
	uint16_t port, to_port;
};

/* c: cut; r: cut by reset; o: be closed, refuse; O: open; s: stall; q: quit */
static void relay_say(struct relay *relay, char command)
{
	CU_ASSERT_EQUAL(write(relay->control[1], &command, 1), 1);
}

static void relay_drop(int fd[2])
{
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

static void relay_reset(int fd[2])
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	for (int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
	relay_drop(fd);
}

static bool relay_copy(int from, int to)
{
	char buf[16384];
	ssize_t n = read(from, buf, sizeof(buf));
	for (ssize_t at = 0; at < n;) {
		ssize_t sent = send(to, buf + at, (size_t)(n - at), MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += sent;
	}
	return n > 0;
}

static void *relay_main(void *arg)
{
	struct relay *relay = arg;
	int fd[2] = {-1, -1};
	bool open = true, stalled = false;
	for (;;) {
		struct pollfd polls[4] = {{relay->control[0], POLLIN, 0},
		    {relay->listen_fd, POLLIN, 0}, {stalled ? -1 : fd[0], POLLIN, 0},
		    {stalled ? -1 : fd[1], POLLIN, 0}};
		poll(polls, 4, -1);
		char command = 0;
		if (polls[0].revents && read(relay->control[0], &command, 1) != 1)
			command = 'q';
		if (command == 'q')
			break;
		if (command == 's')
			stalled = true;
		if (command == 'o' || command == 'O')
			open = command == 'O';
		if (command == 'r')
			relay_reset(fd);
		if (command == 'c' || command == 'o') {
			relay_drop(fd);
			stalled = false;
		}
		if (polls[1].revents) {
			int client = accept(relay->listen_fd, NULL, NULL);
			if (client >= 0 && (!open || stalled)) {
				close(client);
			} else if (client >= 0) {
				relay_drop(fd);
				fd[0] = client;
				fd[1] = connect_to(relay->to_port);
			}
			continue;
		}
		for (int i = 0; i < 2; i++) {
			if (fd[0] >= 0 && polls[2 + i].revents && !relay_copy(fd[i], fd[1 - i]))
				relay_drop(fd);
		}
	}
	relay_drop(fd);
	return NULL;
}

static void relay_start(struct relay *relay, uint16_t to_port)
{
	relay->to_port = to_port;
	relay->listen_fd = listen_somewhere(&relay->port);
	CU_ASSERT_FATAL(pipe(relay->control) == 0);
	CU_ASSERT_FATAL(pthread_create(&relay->thread, NULL, relay_main, relay) == 0);
}

static void relay_stop(struct relay *relay)
{
	relay_say(relay, 'q');
	pthread_join(relay->thread, NULL);
	close(relay->listen_fd);
	close(relay->control[0]);
	close(relay->control[1]);
}

/* --- nodes --- */

struct node {
	struct session_table *table;
	struct journal *journal;
	struct sync *sync;
	_Atomic int health;           /* of target 7, as told by the peer */
	uint8_t own_health;           /* of target 7, for snapshots */
	uint64_t entries_asked;       /* in our table when we asked last */
	_Atomic uint64_t answers;     /* while the crowd was on its way */
	_Atomic uint64_t most_passed; /* entries, from a question to its answer */
};

struct pair {
	struct node alpha, beta; /* alpha dials, beta listens */
	uint16_t port;           /* of beta */
	struct relay relay;
};

static void on_record(void *arg, const struct record *record)
{
	struct node *node = arg;
	if (record->kind == RECORD_HEALTH && record->health.target_id == 7)
		node->health = record->health.health;
	ring(NULL);
}

static void snapshot_targets(void *arg, void (*emit)(void *, const struct record *), void *emit_arg)
{
	struct node *node = arg;
	struct record record = {.kind = RECORD_HEALTH};
	record.health.target_id = 7;
	record.health.health = node->own_health;
	emit(emit_arg, &record);
}

static uint64_t entries(struct node *node)
{
	struct session_stats stats;
	session_table_stats(node->table, &stats);
	return stats.entries;
}

static void ask(struct node *node)
{
	struct sync_message question = {.kind = SYNC_QUESTION};
	node->entries_asked = entries(node);
	strcpy(question.router.name, "front");
	question.router.vrid = 51;
	sync_say(node->sync, &question, false);
}

/* A question is answered at once, and an answer is followed by the next question. */
static void on_said(void *arg, const struct sync_message *message)
{
	struct node *node = arg;
	if (message->kind == SYNC_QUESTION) {
		struct sync_message answer = *message;
		answer.kind = SYNC_EVIDENCE;
		answer.router.source_len = 4;
		sync_say(node->sync, &answer, false);
	} else if (message->kind == SYNC_EVIDENCE) {
		uint64_t now = entries(node), passed = now - node->entries_asked;
		node->answers += now > 0 && now < CROWD;
		if (passed > node->most_passed)
			node->most_passed = passed;
		ask(node);
	}
}

static void node_init(struct node *node, size_t journal_size)
{
	const uint64_t hash_key[2] = {(uintptr_t)node, 2}; /* each its own, as in life */
	node->table = session_table_new(1000000, hash_key);
	node->journal = journal_new(journal_size);
	journal_add_ack_listener(node->journal, ring, NULL);
}

static void node_fini(struct node *node)
{
	sync_stop(node->sync);
	session_table_free(node->table);
	journal_free(node->journal);
}

static struct keys keys_of(const char *first, const char *second)
{
	struct keys keys = {.n = second ? 2 : 1};
	memcpy(keys.of[0], first, strlen(first));
	if (second)
		memcpy(keys.of[1], second, strlen(second));
	return keys;
}

/* More than an ack takes on a busy machine. */
static const struct sync_promise promise = {.acked = true, .max_lag_us = 5 * US_PER_SEC};

static void node_start(
    struct node *node, bool is_alpha, uint16_t peer_port, int listen_fd, const char *key)
{
	struct err err = {""};
	struct keys keys = keys_of(key, NULL);
	struct sync_config config = {
	    .self = is_alpha ? "alpha" : "beta",
	    .peer = is_alpha ? "beta" : "alpha",
	    .self_addr = loopback(1),
	    .peer_addr = loopback(peer_port),
	    .listen_fd = listen_fd,
	    .context = sync_make_context(
		is_alpha ? "alpha" : "beta", is_alpha ? "beta" : "alpha", &keys, NULL, &err),
	    .config_hash = 11,
	    .promise = promise,
	    .table = node->table,
	    .journal = node->journal,
	    .callbacks = {on_record, ring, snapshot_targets, .on_said = on_said, .arg = node},
	};
	node->sync = sync_start(&config, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(node->sync);
}

static void pair_start(struct pair *pair, size_t journal_size)
{
	memset(pair, 0, sizeof(*pair));
	node_init(&pair->alpha, journal_size);
	node_init(&pair->beta, journal_size);
	int listen_fd = listen_somewhere(&pair->port);
	relay_start(&pair->relay, pair->port);
	node_start(&pair->beta, false, 1, listen_fd, "secret");
	node_start(&pair->alpha, true, pair->relay.port, -1, "secret");
}

static void pair_stop(struct pair *pair)
{
	node_fini(&pair->alpha);
	node_fini(&pair->beta);
	relay_stop(&pair->relay);
}

static struct sync_status status_of(struct node *node)
{
	struct sync_status status;
	sync_status(node->sync, &status);
	return status;
}

static bool in_sync(struct node *node)
{
	return status_of(node).state == SYNC_IN_SYNC;
}

static bool reason_has(struct node *node, const char *text)
{
	return strstr(status_of(node).reason, text) != NULL;
}

static struct session make_session(unsigned key, uint64_t target_id)
{
	struct session session = {.key.pool_id = 1, .target_id = target_id};
	memcpy(session.key.bytes, &key, sizeof(key));
	session.expires_us = clock_us() + HOUR_US;
	return session;
}

/* As a worker does it. */
static uint64_t put(struct node *node, unsigned key, uint64_t target_id)
{
	struct session session = make_session(key, target_id);
	struct record record = {.kind = RECORD_SESSION};
	session_table_upsert(node->table, &session, clock_us());
	record.session.pool_id = session.key.pool_id;
	memcpy(record.session.key, session.key.bytes, sizeof(record.session.key));
	record.session.target_id = target_id;
	record.session.expires_us = session.expires_us;
	return journal_append(node->journal, &record);
}

static uint64_t get(struct node *node, unsigned key)
{
	struct session session = make_session(key, 0);
	uint64_t target_id = 0, expires_us;
	session_table_lookup(node->table, &session.key, clock_us(), &target_id, &expires_us);
	return target_id;
}

/* --- tests --- */

static void snapshot_records_and_a_switch(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	AWAIT(reason_has(&pair.alpha, "neither node is Active"));
	for (unsigned key = 0; key < 20000; key++)
		put(&pair.alpha, key, key + 1);
	pair.alpha.own_health = 2;
	put(&pair.beta, 99999, 4);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	CU_ASSERT_EQUAL(entries(&pair.beta), 20000);
	CU_ASSERT_EQUAL(get(&pair.beta, 19999), 20000);
	CU_ASSERT_EQUAL(get(&pair.beta, 99999), 0);
	CU_ASSERT_EQUAL(pair.beta.health, 2);
	CU_ASSERT(journal_protected(pair.alpha.journal));
	struct sync_status a = status_of(&pair.alpha), b = status_of(&pair.beta);
	CU_ASSERT(a.sending && !b.sending && b.peer_active && a.config_equal && b.config_equal);
	CU_ASSERT_EQUAL(a.epoch, b.epoch);
	CU_ASSERT_STRING_EQUAL(a.peer, "beta");

	uint64_t sequence = put(&pair.alpha, 5, 500);
	AWAIT(journal_acked(pair.alpha.journal) >= sequence);
	CU_ASSERT_EQUAL(get(&pair.beta, 5), 500); /* that is what acked means */

	sync_set_active(pair.alpha.sync, false);
	AWAIT(!journal_protected(pair.alpha.journal));
	sync_set_active(pair.beta.sync, true);
	AWAIT(journal_protected(pair.beta.journal) && in_sync(&pair.alpha));
	sequence = put(&pair.beta, 6, 600);
	AWAIT(journal_acked(pair.beta.journal) >= sequence);
	CU_ASSERT_EQUAL(get(&pair.alpha, 6), 600);
	CU_ASSERT_EQUAL(get(&pair.alpha, 5), 500);
	CU_ASSERT(status_of(&pair.beta).epoch > a.epoch);
	AWAIT(status_of(&pair.beta).digest_known && status_of(&pair.beta).digest_equal);
	AWAIT(status_of(&pair.alpha).digest_known && status_of(&pair.alpha).digest_equal);
	sync_set_config(pair.alpha.sync, 12, &promise);
	AWAIT(!status_of(&pair.beta).config_equal && !status_of(&pair.alpha).config_equal);
	pair_stop(&pair);
}

/* While very many sessions are on their way the peer is asked and answers, again and again, over
 * the same connection. */
static void questions_overtake_a_snapshot(void)
{
	struct pair pair;
	memset(&pair, 0, sizeof(pair));
	node_init(&pair.alpha, 1024);
	node_init(&pair.beta, 1024);
	for (unsigned key = 0; key < CROWD; key++) {
		struct session session = make_session(key, key + 1);
		session_table_upsert(pair.alpha.table, &session, clock_us());
	}
	int listen_fd = listen_somewhere(&pair.port);
	node_start(&pair.beta, false, 1, listen_fd, "secret");
	node_start(&pair.alpha, true, pair.port, -1, "secret"); /* without a relay and its queues */
	AWAIT(reason_has(&pair.alpha, "neither node is Active") &&
	      reason_has(&pair.beta, "neither node is Active"));
	ask(&pair.beta);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha));
	uint64_t answers = pair.beta.answers, most_passed = pair.beta.most_passed;
	printf(
	    "  %llu answers during the snapshot, at most %llu sessions between a question and its "
	    "answer; %s\n",
	    (unsigned long long)answers, (unsigned long long)most_passed,
	    status_of(&pair.alpha).reason);
	CU_ASSERT(answers > ANSWERS_MIN);
	CU_ASSERT(most_passed < PASSED_MAX); /* it has not waited for the end */
	node_fini(&pair.alpha);
	node_fini(&pair.beta);
}

/* The bulk gives way again and again, which takes long where many wait for the processor; heartbeats are
 * in time nevertheless, so that it is not cut off and begun anew for ever. */
static void a_snapshot_lives_on_a_busy_machine(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	for (unsigned key = 0; key < 20000; key++)
		put(&pair.alpha, key, key + 1);
	yield_ms = 60;
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	yield_ms = 0;
	CU_ASSERT_EQUAL(status_of(&pair.alpha).connects, 1);
	CU_ASSERT_EQUAL(status_of(&pair.beta).connects, 1);
	CU_ASSERT_EQUAL(entries(&pair.beta), 20000);
	pair_stop(&pair);
}

/* Records that were appended before the hand-over arrive before it. */
static void a_hand_over_loses_nothing(void)
{
	struct pair pair;
	pair_start(&pair, 4096);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	for (unsigned key = 0; key < 2000; key++)
		put(&pair.alpha, key, 3);
	sync_set_active(pair.alpha.sync, false);
	AWAIT(!status_of(&pair.beta).peer_active);
	CU_ASSERT_EQUAL(entries(&pair.beta), 2000);
	pair_stop(&pair);
}

static void a_cut_is_resumed(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.beta.sync, true);
	put(&pair.beta, 1, 1);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	for (unsigned round = 0; round < 3; round++) {
		relay_say(&pair.relay, 'o');
		AWAIT(!in_sync(&pair.beta) && !journal_protected(pair.beta.journal));
		for (unsigned key = 0; key < 500; key++)
			put(&pair.beta, key, 10 + round);
		relay_say(&pair.relay, 'O');
		AWAIT(in_sync(&pair.beta) && in_sync(&pair.alpha));
		CU_ASSERT(reason_has(&pair.beta, "resumed"));
		CU_ASSERT_EQUAL(get(&pair.alpha, 499), 10 + round);
	}
	CU_ASSERT_EQUAL(status_of(&pair.beta).snapshots, 1);
	relay_say(&pair.relay, 'o');
	AWAIT(!in_sync(&pair.beta));
	for (unsigned key = 0; key < 1025; key++)
		put(&pair.beta, key, 20);
	relay_say(&pair.relay, 'O');
	AWAIT(in_sync(&pair.beta) && in_sync(&pair.alpha));
	CU_ASSERT_EQUAL(status_of(&pair.beta).snapshots, 2);
	CU_ASSERT_EQUAL(get(&pair.alpha, 1024), 20);
	pair_stop(&pair);
}

static void silence_is_noticed(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	relay_say(&pair.relay, 's');
	put(&pair.alpha, 1, 1);
	AWAIT(!journal_protected(pair.alpha.journal));
	AWAIT(reason_has(&pair.beta, "no heartbeat for 1.5 s") ||
	      reason_has(&pair.beta, "cannot connect to alpha")); /* when it has knocked since */
	relay_say(&pair.relay, 'c');
	AWAIT(in_sync(&pair.alpha) && get(&pair.beta, 1) == 1);
	pair_stop(&pair);
}

static void a_wrong_key_gets_nothing(void)
{
	struct pair pair = {0};
	node_init(&pair.alpha, 64);
	node_init(&pair.beta, 64);
	int listen_fd = listen_somewhere(&pair.port);
	node_start(&pair.beta, false, 1, listen_fd, "secret");
	sync_set_active(pair.beta.sync, true);
	put(&pair.beta, 1, 1);
	node_start(&pair.alpha, true, pair.port, -1, "Secret");
	AWAIT(status_of(&pair.beta).handshake_failures >= 2 &&
	      status_of(&pair.alpha).handshake_failures >= 2);
	CU_ASSERT_EQUAL(status_of(&pair.alpha).state, SYNC_DISCONNECTED);
	CU_ASSERT_EQUAL(status_of(&pair.beta).state, SYNC_DISCONNECTED);
	CU_ASSERT_EQUAL(status_of(&pair.beta).connects, 0);
	CU_ASSERT_EQUAL(entries(&pair.alpha), 0);
	/* The same one with the right key. */
	sync_stop(pair.alpha.sync);
	node_start(&pair.alpha, true, pair.port, -1, "secret");
	AWAIT(in_sync(&pair.alpha) && get(&pair.alpha, 1) == 1);
	node_fini(&pair.alpha);
	node_fini(&pair.beta);
}

static void set_keys(struct pair *pair, bool alpha, const char *first, const char *second)
{
	struct err err;
	struct keys keys = keys_of(first, second);
	struct tls_context *context = sync_make_context(
	    alpha ? "alpha" : "beta", alpha ? "beta" : "alpha", &keys, NULL, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(context);
	sync_set_context(alpha ? pair->alpha.sync : pair->beta.sync, context);
}

/* Three steps on each node, in both orders. The connection stays until its key is gone, and is then
 * made anew and resumed; that key is of no use any more. */
static void keys_are_changed_under_way(void)
{
	for (int first = 0; first < 2; first++) {
		struct pair pair;
		struct node *nodes[2] = {&pair.alpha, &pair.beta};
		pair_start(&pair, 1024);
		sync_set_active(pair.beta.sync, true);
		AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
		for (int i = 0; i < 2; i++)
			set_keys(&pair, i == first, "secret", "new");
		for (int i = 0; i < 2; i++)
			set_keys(&pair, i == first, "new", "secret");
		put(&pair.beta, 1, 1);
		AWAIT(get(&pair.alpha, 1) == 1);
		CU_ASSERT_EQUAL(status_of(&pair.alpha).connects, 1);
		for (int i = 0; i < 2; i++)
			set_keys(&pair, i == first, "new", NULL);
		AWAIT(status_of(&pair.alpha).connects == 2 && in_sync(&pair.alpha) &&
		      status_of(&pair.beta).connects == 2 && in_sync(&pair.beta));
		put(&pair.beta, 2, 2);
		AWAIT(get(&pair.alpha, 2) == 2);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(status_of(nodes[i]).handshake_failures, 0);
			CU_ASSERT_EQUAL(status_of(nodes[i]).snapshots, 1);
		}
		/* A node that comes with the old key. */
		sync_stop(pair.alpha.sync);
		node_start(&pair.alpha, true, pair.relay.port, -1, "secret");
		AWAIT(status_of(&pair.beta).handshake_failures >= 2);
		CU_ASSERT_EQUAL(status_of(&pair.beta).connects, 2);
		pair_stop(&pair);
	}
}

/* One node is a step ahead of the other, which the operator was told not to do: whoever of them dials,
 * with whatever key in front, they find the one that both have. */
static void keys_in_another_order(void)
{
	static const char *const pairs[][4] = {
	    {"new", "secret", "secret", NULL}, {"secret", "new", "new", NULL}};
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.beta.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	for (unsigned i = 0; i < 2; i++) {
		uint64_t connects = status_of(&pair.beta).connects;
		set_keys(&pair, false, pairs[i][2], pairs[i][3]);
		set_keys(&pair, true, pairs[i][0], pairs[i][1]);
		relay_say(&pair.relay, 'r');
		AWAIT(status_of(&pair.beta).connects > connects && in_sync(&pair.alpha) &&
		      in_sync(&pair.beta));
	}
	pair_stop(&pair);
}

/* Of this kind, or all of them. */
static uint64_t strangers_of(struct node *node, enum sync_stranger kind)
{
	struct sync_status status = status_of(node);
	uint64_t sum = 0;
	for (int i = 0; i < SYNC_STRANGER_COUNT; i++)
		sum += kind == SYNC_STRANGER_COUNT || (int)kind == i ? status.strangers[i] : 0;
	return sum;
}

/* Strangers that send garbage, or nothing at all, keep neither the peer out nor memory. */
static void strangers_do_no_harm(void)
{
	static const char garbage[] = "GET / HTTP/1.1\r\n\r\n";
	enum { STRANGERS = 40, STRANGERS_MAX = 10 * STRANGERS };
	int strangers[STRANGERS_MAX], n = 0;
	struct pair pair = {0};
	node_init(&pair.alpha, 64);
	node_init(&pair.beta, 64);
	int listen_fd = listen_somewhere(&pair.port);
	node_start(&pair.beta, false, 1, listen_fd, "secret");
	sync_set_active(pair.beta.sync, true);
	/* A busy machine may take so long for the first ones that they are not too many in a second. */
	do {
		for (int i = 0; i < STRANGERS; i++, n++) {
			strangers[n] = connect_to(pair.port);
			if (n % 2)
				(void)!send(strangers[n], garbage, sizeof(garbage), MSG_NOSIGNAL);
		}
		AWAIT(strangers_of(&pair.beta, SYNC_STRANGER_COUNT) >= (uint64_t)n - 4);
	} while (n < STRANGERS_MAX && strangers_of(&pair.beta, SYNC_STRANGER_RATE) == 0);
	CU_ASSERT(strangers_of(&pair.beta, SYNC_STRANGER_RATE) > 0);
	CU_ASSERT(strangers_of(&pair.beta, SYNC_STRANGER_NOT_PROVED) > 0);
	CU_ASSERT(strangers_of(&pair.beta, SYNC_STRANGER_REPLACED) > 0);
	node_start(&pair.alpha, true, pair.port, -1, "secret");
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	/* A stranger while the pair is connected changes nothing. */
	int late = connect_to(pair.port);
	(void)!send(late, garbage, sizeof(garbage), MSG_NOSIGNAL);
	char byte;
	CU_ASSERT(recv(late, &byte, 1, 0) >= 0 || errno == ECONNRESET); /* an alert, then the end */
	CU_ASSERT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	CU_ASSERT_EQUAL(status_of(&pair.beta).connects, 1);
	/* Those that say nothing are put out after two seconds. */
	AWAIT(strangers_of(&pair.beta, SYNC_STRANGER_TIMEOUT) > 0 &&
	      strangers_of(&pair.beta, SYNC_STRANGER_COUNT) >= (uint64_t)n + 1);
	close(late);
	for (int i = 0; i < n; i++)
		close(strangers[i]);
	node_fini(&pair.alpha);
	node_fini(&pair.beta);
}

static uint64_t processor_us(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * US_PER_SEC + (uint64_t)used.tv_nsec / 1000;
}

/* While there are no descriptors nobody can be let in: they wait, and no processor turns for it. */
static void who_cannot_be_let_in_waits(void)
{
	struct pair pair = {0};
	struct rlimit limit, none;
	node_init(&pair.alpha, 64);
	node_init(&pair.beta, 64);
	int listen_fd = listen_somewhere(&pair.port);
	struct addr addr = loopback(pair.port);
	int early = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &limit), 0);
	node_start(&pair.beta, false, 1, listen_fd, "secret");
	sync_set_active(pair.beta.sync, true);
	none = limit;
	none.rlim_cur = 3;
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
	CU_ASSERT_EQUAL(connect(early, &addr.sa, addr_len(&addr)), 0);
	AWAIT(reason_has(&pair.beta, "Too many open files"));
	uint64_t since_us = clock_us(), used_us = processor_us();
	while (clock_us() < since_us + US_PER_SEC)
		await_news();
	uint64_t share = (clock_us() - since_us) / (processor_us() - used_us + 1);
	printf("1/%llu of a processor ", (unsigned long long)share);
	CU_ASSERT(share > 20); /* that of a busy loop on a busy machine is larger */
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
	node_start(&pair.alpha, true, pair.port, -1, "secret");
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	close(early);
	node_fini(&pair.alpha);
	node_fini(&pair.beta);
}

/* A peer that comes back is believed before its dead connection has timed out. */
static void a_new_connection_replaces_the_old_one(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.beta.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	relay_say(&pair.relay, 's'); /* beta will not hear of alpha's end */
	sync_stop(pair.alpha.sync);
	node_start(&pair.alpha, true, pair.port, -1, "secret");
	AWAIT(status_of(&pair.beta).connects == 2);
	CU_ASSERT(strstr(status_of(&pair.beta).ended, "connected anew, as 127.0.0.1:") != NULL);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	pair_stop(&pair);
}

static void knock(uint16_t port)
{
	close(connect_to(port));
}

/* Who has failed to connect, and dials ever more rarely, dials anew when it knocks; but not as
 * often as somebody likes. Here every connection fails. */
static void a_knock_makes_it_dial(void)
{
	struct node alpha = {0};
	uint16_t port, knock_port;
	int peer = listen_somewhere(&port);
	int listen_fd = listen_somewhere(&knock_port);
	unsigned dials = 0, knocks = 0;
	node_init(&alpha, 64);
	uint64_t since_us = clock_us();
	node_start(&alpha, true, port, listen_fd, "secret");
	while (dials < 8 && clock_us() < since_us + DEADLINE_US) {
		knocks++;
		knock(knock_port);
		await_news();
		int fd = net_accept(peer, NULL);
		if (fd < 0)
			continue;
		dials++;
		close(fd);
	}
	uint64_t took_us = clock_us() - since_us;
	CU_ASSERT_EQUAL(dials, 8);
	CU_ASSERT(took_us >= 600000); /* once in 100 ms */
	CU_ASSERT(knocks <= 600);     /* in 5 ms each; if they were in vain, it would be 4.5 s */
	CU_ASSERT_EQUAL(status_of(&alpha).reach, SYNC_ANSWERS);
	close(peer);
	AWAIT(status_of(&alpha).reach == SYNC_REFUSES);
	node_fini(&alpha);
}

/* A full backlog: the kernel drops SYNs, as a host does that is off. */
static void who_does_not_answer_is_mute(void)
{
	struct node alpha = {0};
	uint16_t port;
	int peer = listen_somewhere(&port), clients[4];
	CU_ASSERT_EQUAL_FATAL(listen(peer, 0), 0);
	struct addr addr = loopback(port);
	for (size_t i = 0; i < 4; i++) {
		clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		int result = connect(clients[i], &addr.sa, addr_len(&addr));
		CU_ASSERT(result == 0 || errno == EINPROGRESS);
	}
	node_init(&alpha, 64);
	uint64_t since_us = clock_us();
	node_start(&alpha, true, port, -1, "secret");
	AWAIT(status_of(&alpha).reach == SYNC_MUTE);
	CU_ASSERT(clock_us() - since_us >= 250000);
	CU_ASSERT(reason_has(&alpha, "cannot connect to beta: Connection timed out"));
	for (size_t i = 0; i < 4; i++)
		close(clients[i]);
	close(peer);
	AWAIT(status_of(&alpha).reach == SYNC_REFUSES);
	node_fini(&alpha);
}

/* It could be anybody: a connection that is alive stays. */
static void a_knock_disturbs_nothing(void)
{
	struct pair pair = {0};
	uint16_t knock_port;
	node_init(&pair.alpha, 1024);
	node_init(&pair.beta, 1024);
	int alpha_fd = listen_somewhere(&knock_port), beta_fd = listen_somewhere(&pair.port);
	node_start(&pair.alpha, true, pair.port, alpha_fd, "secret");
	node_start(&pair.beta, false, knock_port, beta_fd, "secret");
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	CU_ASSERT_EQUAL(status_of(&pair.alpha).reach, SYNC_ANSWERS);
	CU_ASSERT_EQUAL(status_of(&pair.beta).reach, SYNC_ANSWERS);
	uint64_t end_us = clock_us() + 400000; /* it would dial four times */
	for (unsigned i = 0; clock_us() < end_us; i++) {
		knock(knock_port);
		uint64_t sequence = put(&pair.alpha, i, 1);
		AWAIT(journal_acked(pair.alpha.journal) >= sequence);
	}
	CU_ASSERT_EQUAL(status_of(&pair.alpha).connects, 1);
	CU_ASSERT_EQUAL(status_of(&pair.beta).connects, 1);
	/* Nobody listens any more. */
	sync_stop(pair.beta.sync);
	pair.beta.sync = NULL;
	AWAIT(status_of(&pair.alpha).reach == SYNC_REFUSES);
	node_fini(&pair.alpha);
	node_fini(&pair.beta);
}

static void goodbye_is_told(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	sync_stop(pair.beta.sync);
	pair.beta.sync = NULL;
	AWAIT(reason_has(&pair.alpha, "it says goodbye: shutting down") ||
	      reason_has(&pair.alpha, "cannot connect to beta"));
	CU_ASSERT_FALSE(journal_protected(pair.alpha.journal));
	pair_stop(&pair);
}

struct writer {
	struct node *node;
	unsigned from;
	pthread_t thread;
};

static void *writer_main(void *arg)
{
	struct writer *writer = arg;
	for (unsigned i = 0; i < 20000; i++)
		put(writer->node, (writer->from + i * 7) % 5000, 1 + i % 50);
	return NULL;
}

/* Several workers on the same keys, faster than the ring is long: at the end both are the same. */
static void workers_write_at_full_speed(void)
{
	struct pair pair;
	struct writer writers[3];
	pair_start(&pair, 256);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha));
	for (unsigned i = 0; i < 3; i++) {
		writers[i] = (struct writer){.node = &pair.alpha, .from = i * 1000};
		pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(writers[i].thread, NULL);
	AWAIT(in_sync(&pair.alpha) &&
	      journal_acked(pair.alpha.journal) == journal_last(pair.alpha.journal));
	unsigned different = 0;
	for (unsigned key = 0; key < 5000; key++)
		different += get(&pair.alpha, key) != get(&pair.beta, key);
	CU_ASSERT_EQUAL(different, 0);
	CU_ASSERT_EQUAL(entries(&pair.alpha), entries(&pair.beta));
	pair_stop(&pair);
}

/* The connection breaks while there is always something to write: writing notices it as often as
 * reading does. Whoever notices says why, in words that are still there. */
static void resets_under_full_speed(void)
{
	struct pair pair;
	pair_start(&pair, 1024);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	for (unsigned round = 0; round < 6; round++) {
		struct writer writer = {.node = &pair.alpha, .from = round};
		uint64_t connects = status_of(&pair.alpha).connects;
		pthread_create(&writer.thread, NULL, writer_main, &writer);
		relay_say(&pair.relay, 'r');
		AWAIT(status_of(&pair.alpha).connects > connects);
		pthread_join(writer.thread, NULL);
		struct sync_status status = status_of(&pair.alpha);
		for (const char *c = status.reason; *c; c++)
			CU_ASSERT(*c >= ' ' && *c <= '~');
	}
	AWAIT(in_sync(&pair.alpha) &&
	      journal_acked(pair.alpha.journal) == journal_last(pair.alpha.journal));
	CU_ASSERT_EQUAL(entries(&pair.alpha), entries(&pair.beta));
	pair_stop(&pair);
}

static void acknowledged_latency(void)
{
	struct pair pair;
	uint64_t best_us = UINT64_MAX, sum_us = 0;
	pair_start(&pair, 1024);
	sync_set_active(pair.alpha.sync, true);
	AWAIT(in_sync(&pair.alpha) && in_sync(&pair.beta));
	for (unsigned i = 0; i < 200; i++) {
		uint64_t start_us = clock_us();
		uint64_t sequence = put(&pair.alpha, i, 1);
		AWAIT(journal_acked(pair.alpha.journal) >= sequence);
		uint64_t took_us = clock_us() - start_us;
		sum_us += took_us;
		best_us = took_us < best_us ? took_us : best_us;
	}
	printf("append to ack: mean %llu us, best %llu us (through the relay) ",
	    (unsigned long long)(sum_us / 200), (unsigned long long)best_us);
	CU_ASSERT(best_us < 50000); /* not bound to a timer */
	pair_stop(&pair);
}

UNIT_MAIN("sync/pair", UNIT(snapshot_records_and_a_switch), UNIT(questions_overtake_a_snapshot),
    UNIT(a_snapshot_lives_on_a_busy_machine), UNIT(a_hand_over_loses_nothing),
    UNIT(a_cut_is_resumed), UNIT(silence_is_noticed), UNIT(a_wrong_key_gets_nothing),
    UNIT(keys_are_changed_under_way), UNIT(keys_in_another_order), UNIT(strangers_do_no_harm),
    UNIT(who_cannot_be_let_in_waits), UNIT(a_new_connection_replaces_the_old_one),
    UNIT(a_knock_makes_it_dial), UNIT(a_knock_disturbs_nothing), UNIT(who_does_not_answer_is_mute),
    UNIT(goodbye_is_told), UNIT(workers_write_at_full_speed), UNIT(resets_under_full_speed),
    UNIT(acknowledged_latency))
