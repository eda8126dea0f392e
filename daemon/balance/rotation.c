#include "daemon/balance/rotation.h"

#include <stdbool.h>
#include <stdlib.h>

#include "daemon/base/hash.h"

#define SCHEDULE_MAX      8192U          /* steps: 16 KiB a picker */
#define SCHEDULE_WORK_MAX (2U * 1000000) /* members * steps: a build of 1 to 2 ms */
#define STRIDE_ONE        (1ULL << 32)

/* A member of the heap: it comes up each time the virtual clock passes `at`, every STRIDE_ONE /
 * weight. */
struct turn {
	uint64_t at;
	uint32_t stride;
	uint32_t member;
};

struct rotation {
	uint64_t count; /* steps since start, from the seed */
	uint64_t seed;
	bool scheduled; /* else by heap */
	uint32_t n;     /* members */
	uint32_t len, pos;
	uint32_t schedule_max;
	uint16_t *schedule;
	int64_t *current; /* scratch of the build */
	struct turn *heap;
};

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

static uint32_t common_divisor(const uint16_t *weights, uint32_t n)
{
	uint32_t divisor = 0;
	for (uint32_t i = 0; i < n && divisor != 1; i++)
		divisor = gcd(weights[i], divisor);
	return divisor ? divisor : 1;
}

uint64_t rotation_turn(const uint16_t *weights, uint32_t n)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += weights[i];
	return sum / common_divisor(weights, n);
}

struct rotation *rotation_new(uint32_t max_members, uint64_t turn, uint64_t seed)
{
	struct rotation *rotation = calloc(1, sizeof(*rotation));
	if (!rotation)
		return NULL;
	uint32_t members = max_members ? max_members : 1;
	rotation->seed = seed;
	rotation->count = hash_mix(seed);
	rotation->schedule_max = turn < SCHEDULE_MAX ? (uint32_t)turn : SCHEDULE_MAX;
	rotation->schedule = calloc(rotation->schedule_max + 1, sizeof(*rotation->schedule));
	rotation->current = calloc(members, sizeof(*rotation->current));
	rotation->heap = calloc(members, sizeof(*rotation->heap));
	if (!rotation->schedule || !rotation->current || !rotation->heap) {
		rotation_free(rotation);
		return NULL;
	}
	return rotation;
}

void rotation_free(struct rotation *rotation)
{
	if (!rotation)
		return;
	free(rotation->schedule);
	free(rotation->current);
	free(rotation->heap);
	free(rotation);
}

/* Each step every member earns its weight, the richest one is chosen and pays the sum of all. Over
 * one turn each comes up exactly `weight` times, as evenly spread as integers allow. */
static void build_schedule(struct rotation *rotation, const uint16_t *weights, uint32_t divisor)
{
	int64_t *current = rotation->current;
	for (uint32_t i = 0; i < rotation->n; i++)
		current[i] = 0;
	for (uint32_t step = 0; step < rotation->len; step++) {
		uint32_t best = 0;
		for (uint32_t i = 0; i < rotation->n; i++) {
			current[i] += weights[i] / divisor;
			if (current[i] > current[best])
				best = i;
		}
		current[best] -= rotation->len;
		rotation->schedule[step] = (uint16_t)best;
	}
}

static bool turn_before(const struct turn *a, const struct turn *b)
{
	return a->at != b->at ? a->at < b->at : a->member < b->member;
}

static void sift_down(struct turn *heap, uint32_t n, uint32_t i)
{
	struct turn moving = heap[i];
	for (;;) {
		uint32_t child = 2 * i + 1;
		if (child >= n)
			break;
		if (child + 1 < n && turn_before(&heap[child + 1], &heap[child]))
			child++;
		if (!turn_before(&heap[child], &moving))
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = moving;
}

/* Members start at different points of their stride: those of equal weight do not come in one
 * burst. */
static void build_heap(struct rotation *rotation, const uint16_t *weights)
{
	for (uint32_t i = 0; i < rotation->n; i++) {
		uint32_t stride = (uint32_t)((STRIDE_ONE - 1) / weights[i]);
		uint64_t phase = hash_mix(rotation->seed + rotation->count + i + 1);
		rotation->heap[i] =
		    (struct turn){.at = phase % stride, .stride = stride, .member = i};
	}
	for (uint32_t i = rotation->n / 2; i-- > 0;)
		sift_down(rotation->heap, rotation->n, i);
}

void rotation_build(struct rotation *rotation, const uint16_t *weights, uint32_t n)
{
	uint64_t turn = rotation_turn(weights, n);
	rotation->n = n;
	rotation->scheduled =
	    turn <= rotation->schedule_max && (turn == n || turn * n <= SCHEDULE_WORK_MAX);
	if (!rotation->scheduled) {
		build_heap(rotation, weights);
		return;
	}
	rotation->len = (uint32_t)turn;
	rotation->pos = (uint32_t)(rotation->count % turn);
	if (turn > n) {
		build_schedule(rotation, weights, common_divisor(weights, n));
		return;
	}
	for (uint32_t i = 0; i < n; i++) /* equal weights */
		rotation->schedule[i] = (uint16_t)i;
}

uint32_t rotation_next(struct rotation *rotation)
{
	rotation->count++;
	if (rotation->scheduled) {
		uint32_t member = rotation->schedule[rotation->pos];
		if (++rotation->pos == rotation->len)
			rotation->pos = 0;
		return member;
	}
	uint32_t member = rotation->heap[0].member;
	rotation->heap[0].at += rotation->heap[0].stride;
	sift_down(rotation->heap, rotation->n, 0);
	return member;
}
