#include "daemon/balance/rotation.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct rotation *rotation_of(const uint16_t *weights, uint32_t n, uint64_t seed)
{
	struct rotation *rotation = rotation_new(n, rotation_turn(weights, n), seed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rotation);
	rotation_build(rotation, weights, n);
	return rotation;
}

static void length_of_a_turn(void)
{
	CU_ASSERT_EQUAL(rotation_turn((uint16_t[]){5, 1, 1}, 3), 7);
	CU_ASSERT_EQUAL(rotation_turn((uint16_t[]){100, 100, 200}, 3), 4);
	CU_ASSERT_EQUAL(rotation_turn((uint16_t[]){256}, 1), 1);
	CU_ASSERT_EQUAL(rotation_turn((uint16_t[]){6, 9}, 2), 5);
}

static void five_one_one(void)
{
	const uint16_t weights[] = {5, 1, 1};
	struct rotation *rotation = rotation_of(weights, 3, 1);
	char turn[15] = "";
	for (int i = 0; i < 14; i++)
		turn[i] = (char)('a' + rotation_next(rotation));
	/* From wherever the seed starts: the turn repeats, and somewhere reads a a b a c a a. */
	CU_ASSERT_EQUAL(memcmp(turn, turn + 7, 7), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(turn, "aabacaa"));
	rotation_free(rotation);
}

/* After any number of steps each member is within `slack` of its share. */
static void check_smoothness(const uint16_t *weights, uint32_t n, uint32_t steps, double slack)
{
	struct rotation *rotation = rotation_of(weights, n, 42);
	unsigned *count = calloc(n, sizeof(*count));
	double sum = 0, worst = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += weights[i];
	for (uint32_t step = 1; step <= steps; step++) {
		uint32_t i = rotation_next(rotation);
		CU_ASSERT_TRUE_FATAL(i < n);
		count[i]++;
		if (step % 97 != 0 && step != steps && n > 10)
			continue;
		for (uint32_t k = 0; k < n; k++) {
			double off = count[k] - step * weights[k] / sum;
			off = off < 0 ? -off : off;
			worst = off > worst ? off : worst;
		}
	}
	if (worst > slack)
		printf("\n%u members: %.2f from the share\n", n, worst);
	CU_ASSERT_TRUE(worst <= slack);
	free(count);
	rotation_free(rotation);
}

static void is_smooth_at_every_step(void)
{
	static uint16_t weights[1000];
	check_smoothness((uint16_t[]){1, 1, 1}, 3, 10000, 1.);
	check_smoothness((uint16_t[]){5, 1, 1}, 3, 10000, 2.);
	check_smoothness((uint16_t[]){256, 1}, 2, 10000, 2.);
	check_smoothness((uint16_t[]){3, 5, 7, 11, 13}, 5, 10000, 2.);
	for (uint32_t i = 0; i < 1000; i++)
		weights[i] = 7;
	check_smoothness(weights, 1000, 20000, 1.);
	for (uint32_t i = 0; i < 100; i++)
		weights[i] = (uint16_t)(1 + i * 37 % 60);
	check_smoothness(weights, 100, 20000, 3.);
	/* Too large for a schedule: the heap. */
	for (uint32_t i = 0; i < 1000; i++)
		weights[i] = (uint16_t)(1 + i * 37 % 256);
	CU_ASSERT_TRUE(rotation_turn(weights, 1000) > 100000);
	check_smoothness(weights, 1000, 500000, 4.);
}

/* Members of equal weight that go into the heap together must not come out in one run. */
static void the_heap_mixes(void)
{
	static uint16_t weights[1000];
	for (uint32_t i = 0; i < 1000; i++)
		weights[i] = i < 500 ? 255 : 1;
	struct rotation *rotation = rotation_of(weights, 1000, 9);
	unsigned ordered = 0;
	uint32_t last = rotation_next(rotation);
	for (int i = 0; i < 10000; i++) {
		uint32_t next = rotation_next(rotation);
		ordered += next == last + 1;
		last = next;
	}
	CU_ASSERT_TRUE(ordered < 200);
	rotation_free(rotation);
}

/* Rebuilt before each step (targets that flap): still everybody gets a turn. */
static void rebuilding_favours_nobody(void)
{
	const uint16_t weights[] = {1, 1, 1, 1};
	struct rotation *rotation = rotation_of(weights, 4, 3);
	unsigned count[4] = {0};
	for (int i = 0; i < 4000; i++) {
		rotation_build(rotation, weights, 4);
		count[rotation_next(rotation)]++;
	}
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(count[i], 1000);
	rotation_free(rotation);
}

static void seeds_start_at_different_points(void)
{
	static uint16_t weights[100];
	bool seen[100] = {false};
	unsigned different = 0;
	for (uint32_t i = 0; i < 100; i++)
		weights[i] = 1;
	for (uint64_t seed = 0; seed < 16; seed++) {
		struct rotation *rotation = rotation_of(weights, 100, seed);
		uint32_t first = rotation_next(rotation);
		different += !seen[first];
		seen[first] = true;
		rotation_free(rotation);
	}
	CU_ASSERT_TRUE(different >= 10);
}

UNIT_MAIN("balance/rotation", UNIT(length_of_a_turn), UNIT(five_one_one),
    UNIT(is_smooth_at_every_step), UNIT(the_heap_mixes), UNIT(rebuilding_favours_nobody),
    UNIT(seeds_start_at_different_points))
