#include "daemon/balance/maglev.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define MEMBERS_MAX 1000

static struct maglev_member members[MEMBERS_MAX];

/* Members 0..n-1 without `gone`; the value is the number. */
static uint16_t *build(uint32_t n, uint32_t gone, const uint16_t *weights)
{
	uint32_t size = maglev_size(n), k = 0;
	uint16_t *table = calloc(size, sizeof(*table));
	for (uint32_t i = 0; i < n; i++) {
		if (i == gone)
			continue;
		members[k++] = (struct maglev_member){.id = hash_mix(i + 1),
		    .weight = weights ? weights[i] : 1,
		    .value = (uint16_t)i};
	}
	maglev_build(table, size, members, k);
	return table;
}

static bool is_prime(uint32_t n)
{
	for (uint32_t d = 2; d * d <= n; d++) {
		if (n % d == 0)
			return false;
	}
	return n > 1;
}

static void sizes_are_prime_and_large_enough(void)
{
	for (uint32_t n = 1; n <= 1024; n++) {
		CU_ASSERT_TRUE_FATAL(is_prime(maglev_size(n)));
		CU_ASSERT_TRUE_FATAL(maglev_size(n) >= 100 * n);
	}
	CU_ASSERT_TRUE(maglev_size(UINT32_MAX) < 200000);
}

static void check_shares(uint32_t n, const uint16_t *weights, double slack)
{
	uint16_t *table = build(n, UINT32_MAX, weights);
	uint32_t size = maglev_size(n), *count = calloc(n, sizeof(*count));
	double sum = 0;
	for (uint32_t i = 0; i < size; i++) {
		CU_ASSERT_TRUE_FATAL(table[i] < n);
		count[table[i]]++;
	}
	for (uint32_t i = 0; i < n; i++)
		sum += weights ? weights[i] : 1;
	for (uint32_t i = 0; i < n; i++) {
		double share = size * (weights ? weights[i] : 1) / sum;
		CU_ASSERT_TRUE(
		    count[i] > share * (1 - slack) - 2 && count[i] < share * (1 + slack) + 2);
	}
	free(count);
	free(table);
}

static void shares_follow_the_weights(void)
{
	static uint16_t weights[MEMBERS_MAX];
	check_shares(1, NULL, 0.);
	check_shares(3, NULL, 0.01);
	check_shares(100, NULL, 0.01);
	check_shares(MEMBERS_MAX, NULL, 0.01);
	check_shares(2, (uint16_t[]){256, 1}, 0.02);
	check_shares(4, (uint16_t[]){1, 2, 3, 4}, 0.02);
	for (uint32_t i = 0; i < MEMBERS_MAX; i++)
		weights[i] = (uint16_t)(1 + i % 10);
	check_shares(MEMBERS_MAX, weights, 0.05);
}

static void the_order_does_not_matter(void)
{
	uint32_t size = maglev_size(50);
	uint16_t *a = build(50, UINT32_MAX, NULL), *b = calloc(size, sizeof(*b));
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t k = (i * 7 + 3) % 50;
		members[i] = (struct maglev_member){
		    .id = hash_mix(k + 1), .weight = 1, .value = (uint16_t)k};
	}
	maglev_build(b, size, members, 50);
	CU_ASSERT_EQUAL(memcmp(a, b, size * sizeof(*a)), 0);
	free(a);
	free(b);
}

/* One of n is taken out of the configuration: its entries move, and some others. (A target that is
 * only down moves nobody else: pick_test.c.) */
static void one_that_goes_disturbs_little(void)
{
	static const uint32_t sizes[] = {2, 3, 10, 32, 100, 1000};
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		uint32_t n = sizes[s], size = maglev_size(n), worst = 0;
		uint16_t *before = build(n, UINT32_MAX, NULL);
		for (uint32_t gone = 0; gone < n; gone += n / 5 + 1) {
			uint16_t *after = build(n, gone, NULL);
			uint32_t moved = 0;
			for (uint32_t i = 0; i < size; i++)
				moved += before[i] != after[i];
			worst = moved > worst ? moved : worst;
			free(after);
		}
		printf(
		    "\n    n %u: 1/n = %.4f, moved at most %.4f ", n, 1. / n, (double)worst / size);
		CU_ASSERT_TRUE((double)worst / size <= (n <= 32       ? 2. / n
							   : n <= 100 ? 3. / n
								      : 0.01));
		free(before);
	}
}

static uint64_t digest_of_table(void)
{
	uint16_t *table = build(300, 17, NULL);
	uint64_t digest = hash_id(table, maglev_size(300) * sizeof(*table));
	free(table);
	return digest;
}

/* The other node of the pair is another process: nothing of this one may go into the table. The
 * constant says that it is the same in the next version too, for a rolling upgrade. */
static void two_processes_agree(void)
{
	int pipe_fds[2];
	uint64_t theirs = 0, ours = digest_of_table();
	CU_ASSERT_EQUAL_FATAL(pipe(pipe_fds), 0);
	pid_t pid = fork();
	CU_ASSERT_TRUE_FATAL(pid >= 0);
	if (pid == 0) {
		uint64_t digest = digest_of_table();
		_exit(write(pipe_fds[1], &digest, sizeof(digest)) == sizeof(digest) ? 0 : 1);
	}
	int status = 1;
	CU_ASSERT_EQUAL(read(pipe_fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(ours, theirs);
	CU_ASSERT_EQUAL(ours, 0x690b9f1a830764eaULL); /* little-endian hosts */
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* Printed, not judged: a machine that is busy says nothing. */
static void cost_of_a_build(void)
{
	uint64_t start_us = clock_us();
	uint16_t *table = build(MEMBERS_MAX, UINT32_MAX, NULL);
	printf(
	    "\n    %u members: %llu us ", MEMBERS_MAX, (unsigned long long)(clock_us() - start_us));
	CU_ASSERT_PTR_NOT_NULL(table);
	free(table);
}

UNIT_MAIN("balance/maglev", UNIT(sizes_are_prime_and_large_enough), UNIT(shares_follow_the_weights),
    UNIT(the_order_does_not_matter), UNIT(one_that_goes_disturbs_little), UNIT(two_processes_agree),
    UNIT(cost_of_a_build))
