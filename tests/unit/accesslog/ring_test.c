#include "daemon/accesslog/ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

/* Line `n`: its number, then letters up to a length that follows from it. */
static size_t make_line(uint64_t n, char *out)
{
	size_t len = 30 + (size_t)(n * 2654435761U % (ACCESS_LINE_MAX - 31));
	int head = snprintf(out, 30, "%llu ", (unsigned long long)n);
	memset(out + head, 'a' + (int)(n % 26), len - (size_t)head - 1);
	out[len - 1] = '\n';
	return len;
}

static bool put_line(struct access_ring *ring, uint64_t n)
{
	char *room = access_ring_room(ring);
	if (room)
		access_ring_put(ring, make_line(n, room));
	return room != NULL;
}

/* Takes at most `max` bytes and compares them with what must come; *n and *done say where it is. */
static bool take_some(struct access_ring *ring, size_t max, uint64_t *n, size_t *done)
{
	struct iovec iov[2];
	int pieces = access_ring_peek(ring, iov);
	bool right = true;
	for (int i = 0; i < pieces && max > 0; i++) {
		const char *p = iov[i].iov_base;
		size_t left = iov[i].iov_len < max ? iov[i].iov_len : max;
		size_t took = left;
		while (left > 0) {
			char line[ACCESS_LINE_MAX];
			size_t len = make_line(*n, line), rest = len - *done;
			size_t compare = rest < left ? rest : left;
			right = right && memcmp(p, line + *done, compare) == 0;
			p += compare;
			left -= compare;
			*done += compare;
			if (*done == len) {
				*done = 0;
				(*n)++;
			}
		}
		access_ring_take(ring, took);
		max -= took;
	}
	return right;
}

static void lines_come_out_as_they_went_in(void)
{
	struct access_ring *ring = access_ring_new(20000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	CU_ASSERT_EQUAL(access_ring_size(ring), 32768);
	uint64_t in = 0, out = 0;
	size_t done = 0;
	for (int turn = 0; turn < 20000; turn++) {
		if (put_line(ring, in))
			in++;
		CU_ASSERT_TRUE_FATAL(take_some(ring, (size_t)(turn * 7919 % 5000), &out, &done));
	}
	CU_ASSERT(in > 1000);
	while (access_ring_used(ring) > 0)
		CU_ASSERT_TRUE_FATAL(take_some(ring, SIZE_MAX, &out, &done));
	CU_ASSERT_EQUAL(in, out);
	CU_ASSERT_EQUAL(done, 0);
	access_ring_free(ring);
}

/* Full is when a line of the greatest length might not fit; what is in it stays as it is. */
static void a_full_ring_refuses(void)
{
	struct access_ring *ring = access_ring_new(8 * ACCESS_LINE_MAX);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	uint64_t in = 0, out = 0;
	size_t done = 0;
	while (put_line(ring, in))
		in++;
	CU_ASSERT(access_ring_used(ring) > access_ring_size(ring) - ACCESS_LINE_MAX);
	CU_ASSERT(access_ring_used(ring) <= access_ring_size(ring));
	CU_ASSERT_PTR_NULL(access_ring_room(ring));
	CU_ASSERT_TRUE(take_some(ring, ACCESS_LINE_MAX, &out, &done));
	CU_ASSERT_TRUE(put_line(ring, in));
	in++;
	while (access_ring_used(ring) > 0)
		CU_ASSERT_TRUE_FATAL(take_some(ring, SIZE_MAX, &out, &done));
	CU_ASSERT_EQUAL(in, out);
	CU_ASSERT_FALSE(access_ring_closed(ring));
	access_ring_close(ring);
	CU_ASSERT_TRUE(access_ring_closed(ring));
	access_ring_free(ring);
}

#define LINES 20000

static void *produce(void *arg)
{
	for (uint64_t n = 0; n < LINES;) {
		if (put_line(arg, n))
			n++;
		else
			sched_yield();
	}
	access_ring_close(arg);
	return NULL;
}

static void two_threads(void)
{
	struct access_ring *ring = access_ring_new(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, produce, ring), 0);
	uint64_t out = 0;
	size_t done = 0;
	bool right = true;
	while (right && !(access_ring_closed(ring) && access_ring_used(ring) == 0)) {
		size_t before = access_ring_used(ring);
		right = take_some(ring, SIZE_MAX, &out, &done);
		if (before == 0)
			sched_yield();
	}
	CU_ASSERT_TRUE(right);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(out, LINES);
	CU_ASSERT_EQUAL(done, 0);
	access_ring_free(ring);
}

UNIT_MAIN("accesslog/ring", UNIT(lines_come_out_as_they_went_in), UNIT(a_full_ring_refuses),
    UNIT(two_threads))
