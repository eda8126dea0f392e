/* What a rate limit costs a request: `limit_bench [KEYS]`. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/base/addr.h"
#include "daemon/base/hash.h"
#include "daemon/limit/share.h"
#include "daemon/limit/table.h"
#include "daemon/limit/tally.h"

#define SEC 1000000000ULL

static const uint64_t hash_key[2] = {1, 2};
static struct limit_table *table;
static struct tally_table *tallies;
static struct gcra gcra;
static unsigned long n_keys;
static _Atomic uint64_t shared_ns;

static bool take(unsigned long number, uint64_t now_ns)
{
	uint64_t bytes[2] = {0, hash_mix(number)}, wait_ns;
	return limit_table_take(
	    table, limit_table_hash(table, 7, bytes, sizeof(bytes)), &gcra, now_ns, &wait_ns);
}

static bool new_ones(unsigned long i)
{
	return take(i, SEC);
}

static bool known_ones(unsigned long i)
{
	return take(i, SEC);
}

static bool same_again(unsigned long i)
{
	return take(i % 64, (i + 2) * SEC);
}

static bool one_for_all(unsigned long i)
{
	uint64_t wait_ns;
	return gcra_take_shared(&gcra, &shared_ns, (i + 2) * SEC, &wait_ns);
}

static bool connection(unsigned long i)
{
	uint64_t bytes[2] = {0, hash_mix(i)};
	struct tally *tally;
	if (tally_take(tallies, 7, bytes, sizeof(bytes), 10, &tally) < 0)
		return false;
	tally_give(tallies, tally);
	return true;
}

/* Of the processor: others may be busy, too. */
static double cpu_ns(void)
{
	struct timespec at;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
	return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

static void measure(const char *name, bool (*run)(unsigned long))
{
	double start_ns = cpu_ns();
	for (unsigned long i = 0; i < n_keys; i++) {
		if (!run(i))
			abort();
	}
	printf("%-32s %6.0f ns\n", name, (cpu_ns() - start_ns) / (double)n_keys);
}

/* Nobody is near his limit by now, or everybody is. */
static void measure_round(const char *name, uint64_t now_us)
{
	struct limit_known known = {.id = 6, .gcra = gcra};
	struct limit_share *share = limit_share_new(table, 1, &known, 1);
	uint64_t cursor = 0, buckets = limit_table_buckets(table), told = 0;
	static struct limit_words words;
	if (!share)
		abort();
	double start_ns = cpu_ns();
	do {
		limit_share_tell(share, &cursor, now_us, &words);
		told += words.n;
	} while (cursor < buckets);
	printf("%-32s %6.0f ns, %.2f of a key\n", name, (cpu_ns() - start_ns) / (double)buckets,
	    (double)told / (double)n_keys);
	limit_share_free(share);
}

int main(int argc, char **argv)
{
	n_keys = argc > 1 ? strtoul(argv[1], NULL, 0) : 1000000;
	gcra_init(&gcra, (struct limit_rate){100, 1}, 100);
	table = limit_table_new(n_keys, hash_key);
	tallies = tally_table_new(hash_key);
	if (!table || !tallies || n_keys == 0)
		return 1;
	measure("keys that come first", new_ones);
	measure("known keys, at random", known_ones);
	measure("the same 64 keys", same_again);
	measure("one for all (key none)", one_for_all);
	measure("a connection's source", connection);
	measure_round("telling the peer, a bucket", UINT64_MAX / 2000);
	for (unsigned long i = 0; i < 60 * n_keys; i++)
		(void)take(i % n_keys, 2 * n_keys * SEC);
	measure_round("the same, all at their limits", 2 * n_keys * SEC / 1000);
	limit_table_free(table);
	tally_table_free(tallies);
	return 0;
}
