/* The replication of one node without proxy and VRRP: a session table, a journal, the sync thread
 * of the product, and a thread that does to them what a worker does for a new session. Two of them
 * are a pair; one can also be the peer of a real yoke-proxy. Not a test.
 *
 *	sync_node SELF PEER PEER_ADDRESS:PORT KEY_FILE [LISTEN_ADDRESS:PORT]
 *
 * Reads commands, one a line, and answers each with a line of JSON:
 *	active, backup         the role
 *	fill N FROM            N sessions into the table, past the journal
 *	insert N RATE FROM     N new sessions, RATE a second: table and journal, as a worker does it
 *	in_sync ENTRIES        when both are connected, in sync, and have so many sessions
 *	digest                 of the table
 * Ends with its input. Sessions are numbered: the same number is the same key. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/net/net.h"
#include "daemon/session/table.h"
#include "daemon/sync/sync.h"
#include "proto/journal.h"

#define MAX_SESSIONS 8000000
#define JOURNAL_SIZE 65536 /* as in yoke-proxy */
#define TTL_US       (3600 * US_PER_SEC)
#define BURST_US     (1 * US_PER_MS) /* sessions come in bursts, as a worker serves events */
#define BURSTS_MAX   100000
#define PATIENCE_US  (60 * US_PER_SEC)

static struct session_table *table;
static struct journal *journal;
static struct sync *replication;

/* When the connection was made, when it was in sync; 0: it is not. */
static _Atomic uint64_t connected_us, in_sync_us;

/* The bursts of an insert and how late the peer had them. */
static struct {
	pthread_mutex_t lock;
	size_t n, acked;
	uint64_t sequence[BURSTS_MAX]; /* of its last session */
	uint64_t at_us[BURSTS_MAX];    /* its beginning, so that lags are not too small */
	uint32_t lag_us[BURSTS_MAX];
} bursts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_status(void *arg)
{
	struct sync_status status;
	(void)arg;
	if (!replication)
		return; /* not yet */
	sync_status(replication, &status);
	uint64_t now_us = clock_us();
	if (status.state == SYNC_DISCONNECTED)
		connected_us = 0;
	else if (connected_us == 0)
		connected_us = now_us;
	if (status.state != SYNC_IN_SYNC)
		in_sync_us = 0;
	else if (in_sync_us == 0)
		in_sync_us = now_us;
}

static void on_acked(void *arg)
{
	(void)arg;
	uint64_t acked = journal_acked(journal), now_us = clock_us();
	pthread_mutex_lock(&bursts.lock);
	for (; bursts.acked < bursts.n && bursts.sequence[bursts.acked] <= acked; bursts.acked++)
		bursts.lag_us[bursts.acked] = (uint32_t)(now_us - bursts.at_us[bursts.acked]);
	pthread_mutex_unlock(&bursts.lock);
}

/* A client of 10.0.0.0/8, as tables by source have it. */
static struct session session_of(uint64_t number, uint64_t now_us)
{
	struct session session = {
	    .key = {.pool_id = hash_id("pool", 4), .bytes = {[10] = 0xff, 0xff, 10}},
	    .target_id = hash_mix(number % 3 + 1),
	    .expires_us = now_us + TTL_US,
	};
	for (int i = 0; i < 3; i++)
		session.key.bytes[15 - i] = (uint8_t)(number >> (8 * i));
	return session;
}

static void fill(uint64_t n, uint64_t from)
{
	uint64_t now_us = clock_us();
	for (uint64_t i = 0; i < n; i++) {
		struct session session = session_of(from + i, now_us);
		session_table_upsert(table, &session, now_us);
	}
	printf("{\"filled\": %llu}\n", (unsigned long long)n);
}

static uint64_t insert_one(uint64_t number, uint64_t now_us)
{
	struct session session = session_of(number, now_us);
	session_table_upsert(table, &session, now_us);
	struct record record = {.kind = RECORD_SESSION};
	record.session.pool_id = session.key.pool_id;
	memcpy(record.session.key, session.key.bytes, sizeof(record.session.key));
	record.session.target_id = session.target_id;
	record.session.expires_us = session.expires_us;
	return journal_append(journal, &record);
}

struct insert {
	uint64_t n, rate, from;
	uint64_t took_us, most_behind; /* out */
};

static void burst(struct insert *insert, uint64_t from, uint64_t to)
{
	uint64_t at_us = clock_us(), sequence = 0;
	uint64_t behind = journal_last(journal) - journal_acked(journal);
	if (from > 0 && behind > insert->most_behind)
		insert->most_behind = behind;
	for (uint64_t i = from; i < to; i++)
		sequence = insert_one(insert->from + i, at_us);
	pthread_mutex_lock(&bursts.lock);
	bursts.sequence[bursts.n] = sequence;
	bursts.at_us[bursts.n++] = at_us;
	pthread_mutex_unlock(&bursts.lock);
	on_acked(NULL); /* it may have come already */
}

static void sleep_until(uint64_t at_us)
{
	struct timespec at = {
	    .tv_sec = (time_t)(at_us / US_PER_SEC), .tv_nsec = (long)(at_us % US_PER_SEC) * 1000};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void *inserter_main(void *arg)
{
	struct insert *insert = arg;
	uint64_t start_us = clock_us();
	pthread_setname_np(pthread_self(), "inserter");
	for (uint64_t done = 0; done < insert->n && bursts.n < BURSTS_MAX;) {
		uint64_t due = (clock_us() - start_us) * insert->rate / US_PER_SEC + 1;
		due = due < insert->n ? due : insert->n;
		if (due > done)
			burst(insert, done, due);
		done = due;
		sleep_until(start_us + ((clock_us() - start_us) / BURST_US + 1) * BURST_US);
	}
	insert->took_us = clock_us() - start_us;
	return NULL;
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void insert(uint64_t n, uint64_t rate, uint64_t from)
{
	struct insert insert = {.n = n, .rate = rate, .from = from};
	pthread_t thread;
	bursts.n = bursts.acked = 0;
	if (n == 0 || pthread_create(&thread, NULL, inserter_main, &insert) != 0) {
		printf("{\"error\": \"nothing to insert, or no thread\"}\n");
		return;
	}
	pthread_join(thread, NULL);
	uint64_t end_us = clock_us() + PATIENCE_US;
	while (journal_acked(journal) < bursts.sequence[bursts.n - 1] && clock_us() < end_us)
		sleep_until(clock_us() + US_PER_MS);
	on_acked(NULL);
	qsort(bursts.lag_us, bursts.acked, sizeof(bursts.lag_us[0]), compare_u32);
	if (bursts.acked < bursts.n)
		printf("{\"error\": \"the peer does not follow\"}\n");
	else
		printf("{\"rate\": %.0f, \"lag_p50_us\": %u, \"lag_p99_us\": %u, \"lag_max_us\": "
		       "%u, \"lag_entries\": %llu}\n",
		    (double)n * US_PER_SEC / (double)insert.took_us, bursts.lag_us[bursts.n / 2],
		    bursts.lag_us[bursts.n * 99 / 100], bursts.lag_us[bursts.n - 1],
		    (unsigned long long)insert.most_behind);
}

static void await_in_sync(uint64_t entries)
{
	struct session_stats stats;
	uint64_t end_us = clock_us() + PATIENCE_US;
	do {
		sleep_until(clock_us() + US_PER_MS);
		session_table_stats(table, &stats);
	} while ((in_sync_us == 0 || stats.entries < entries) && clock_us() < end_us);
	uint64_t since_us = connected_us, at_us = in_sync_us;
	if (at_us == 0 || stats.entries < entries)
		printf("{\"error\": \"not in sync\", \"entries\": %llu}\n",
		    (unsigned long long)stats.entries);
	else
		printf("{\"entries\": %llu, \"since_connected_us\": %llu}\n",
		    (unsigned long long)stats.entries, (unsigned long long)(at_us - since_us));
}

static void answer(const char *line)
{
	unsigned long long n = 0, rate = 0, from = 0;
	struct session_stats stats;
	if (strcmp(line, "active\n") == 0 || strcmp(line, "backup\n") == 0) {
		sync_set_active(replication, line[0] == 'a');
		printf("{}\n");
	} else if (sscanf(line, "fill %llu %llu", &n, &from) == 2) {
		fill(n, from);
	} else if (sscanf(line, "insert %llu %llu %llu", &n, &rate, &from) == 3) {
		insert(n, rate, from);
	} else if (sscanf(line, "in_sync %llu", &n) == 1) {
		await_in_sync(n);
	} else if (strcmp(line, "digest\n") == 0) {
		session_table_stats(table, &stats);
		printf("{\"digest\": %llu}\n", (unsigned long long)stats.digest);
	} else {
		printf("{\"error\": \"no such command\"}\n");
	}
	fflush(stdout);
}

static int start(char **words, struct err *err)
{
	struct keys keys;
	struct sync_config config = {
	    .self = words[0],
	    .peer = words[1],
	    .listen_fd = -1,
	    .promise = {.max_lag_us = US_PER_SEC, .max_lag_entries = JOURNAL_SIZE},
	    .table = table,
	    .journal = journal,
	    .callbacks = {.on_status = on_status},
	};
	struct addr listen;
	if (!addr_parse_endpoint(words[2], &config.peer_addr))
		return err_set(err, -EINVAL, "%s is no ADDRESS:PORT", words[2]);
	int result = conf_keys_load(words[3], &keys, err);
	if (result < 0)
		return result;
	config.context = sync_make_context(config.self, config.peer, &keys, NULL, err);
	if (!config.context)
		return -EINVAL;
	if (words[4]) {
		struct net_listen_options options = {0};
		if (!addr_parse_endpoint(words[4], &listen))
			return err_set(err, -EINVAL, "%s is no ADDRESS:PORT", words[4]);
		config.listen_fd = net_listen_tcp(&listen, &options);
		if (config.listen_fd < 0)
			return err_set(err, config.listen_fd, "cannot listen on %s", words[4]);
	}
	replication = sync_start(&config, err);
	return replication ? 0 : -EIO;
}

int main(int argc, char **argv)
{
	uint64_t hash_key[2]; /* of each node its own, as in yoke-proxy */
	struct err err;
	char line[128];
	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: sync_node SELF PEER PEER_ADDRESS:PORT KEY_FILE "
				"[LISTEN_ADDRESS:PORT]\n");
		return 2;
	}
	log_init("sync_node", LOG_LEVEL_NOTICE);
	if (getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key))
		return 1;
	table = session_table_new(MAX_SESSIONS, hash_key);
	journal = journal_new(JOURNAL_SIZE);
	if (!table || !journal)
		return 1;
	journal_add_ack_listener(journal, on_acked, NULL);
	if (start(argv + 1, &err) < 0) {
		fprintf(stderr, "sync_node: %s\n", err.text);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin))
		answer(line);
	sync_stop(replication);
	journal_free(journal);
	session_table_free(table);
	return 0;
}
