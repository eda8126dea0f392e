/* What the session table costs: `session_bench [SESSIONS]`. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/session/table.h"

#define HOUR_US (3600 * US_PER_SEC)
#define CHUNK   128

static struct session_table *table;
static unsigned long n_sessions;

/* Like a client's address; the numbers come in no order. */
static struct session session_of(unsigned long number)
{
	struct session session = {
	    .key = {.pool_id = 7}, .target_id = number % 3 + 1, .expires_us = HOUR_US};
	uint64_t bytes[2] = {0, hash_mix(number)};
	memcpy(session.key.bytes, bytes, sizeof(bytes));
	return session;
}

static bool insert(unsigned long i)
{
	struct session session = session_of(i);
	return session_table_upsert(table, &session, 1);
}

static bool refresh(unsigned long i)
{
	struct session session = session_of(i);
	return !session_table_upsert(table, &session, 1);
}

static bool lookup(unsigned long i)
{
	struct session session = session_of(i);
	uint64_t target_id;
	return session_table_lookup(table, &session.key, 1, &target_id, NULL) &&
	       target_id == session.target_id;
}

static bool miss(unsigned long i)
{
	struct session session = session_of(i + n_sessions);
	uint64_t target_id;
	return !session_table_lookup(table, &session.key, 1, &target_id, NULL);
}

static bool same_again(unsigned long i)
{
	return lookup(i % 64);
}

static bool delete_one(unsigned long i)
{
	struct session session = session_of(i);
	return session_table_delete(table, &session.key);
}

/* In another pool, which has a limit: each is another one. */
static bool insert_crowded(unsigned long i)
{
	static unsigned long next;
	(void)i;
	struct session session = session_of(next++);
	session.key.pool_id = 8;
	return session_table_upsert(table, &session, 1);
}

static void limit_crowded(uint64_t max_entries)
{
	const struct session_limit limits[] = {{7, UINT64_MAX}, {8, max_entries}};
	if (session_table_limit(table, limits, 2) < 0)
		abort();
}

/* Of the processor: others may be busy, too. */
static double cpu_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void measure_some(const char *name, bool (*run)(unsigned long), unsigned long n)
{
	double start_ns = cpu_ns();
	for (unsigned long i = 0; i < n; i++) {
		if (!run(i))
			abort();
	}
	printf("%-28s %6.0f ns\n", name, (cpu_ns() - start_ns) / (double)n);
}

static void measure(const char *name, bool (*run)(unsigned long))
{
	measure_some(name, run, n_sessions);
}

/* A pool that is full, beside another one with all the sessions. */
static void measure_crowded(const char *name, unsigned long max_entries)
{
	limit_crowded(max_entries);
	for (unsigned long i = 0; i < max_entries; i++)
		insert_crowded(i);
	measure_some(name, insert_crowded, 20000);
	limit_crowded(1);
}

/* As a snapshot of the peer comes. */
static void measure_put(const char *name)
{
	struct session chunk[CHUNK];
	uint16_t mark = session_table_mark(table);
	double start_ns = cpu_ns();
	for (unsigned long i = 0; i < n_sessions; i += CHUNK) {
		for (unsigned long k = 0; k < CHUNK; k++)
			chunk[k] = session_of((i + k) % n_sessions);
		session_table_put(table, chunk, CHUNK, mark, 1);
	}
	printf("%-28s %6.0f ns\n", name, (cpu_ns() - start_ns) / (double)n_sessions);
}

static void measure_scan(void)
{
	struct session chunk[CHUNK];
	double start_ns = cpu_ns();
	uint64_t cursor = 0;
	unsigned long seen = 0;
	for (size_t n = 1; n > 0; seen += n)
		n = session_table_scan(table, &cursor, 1, chunk, CHUNK);
	if (seen != n_sessions)
		abort();
	printf("%-28s %6.1f ms\n", "a scan of all", (cpu_ns() - start_ns) / 1e6);
}

int main(int argc, char **argv)
{
	static const uint64_t hash_key[2] = {1, 2};
	struct session_stats stats;
	n_sessions = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	table = session_table_new(n_sessions, hash_key);
	if (!table || n_sessions == 0)
		return 1;
	measure("insert", insert);
	measure("lookup, at random", lookup);
	measure("lookup of what is not there", miss);
	measure("lookup of the same 64", same_again);
	measure("refresh", refresh);
	measure_put("put, known ones");
	measure_scan();
	session_table_stats(table, &stats);
	printf("%-28s %6.1f bytes\n", "memory, each", (double)stats.bytes / (double)n_sessions);
	session_table_resize(table, 2 * n_sessions);
	limit_crowded(1);
	measure("lookup, pools are counted", lookup);
	measure_crowded("insert, pool of 100 is full", 100);
	measure_crowded("insert, of 10,000", 10000);
	measure_crowded("insert, of 100,000", 100000);
	measure("delete", delete_one);
	measure_put("put, new ones");
	session_table_free(table);
	return 0;
}
