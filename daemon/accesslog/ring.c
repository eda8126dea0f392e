#include "daemon/accesslog/ring.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct access_ring {
	/* Positions count bytes for ever; the place is what is left modulo the size. */
	alignas(64) _Atomic uint64_t head; /* the producer's */
	uint64_t tail_seen;                /* by the producer: the consumer is here at least */
	atomic_bool closed;
	alignas(64) _Atomic uint64_t tail; /* the consumer's */
	alignas(64) size_t size;           /* a power of two */
	/* A line may run over the end by ACCESS_LINE_MAX; what did is copied to the beginning. */
	char data[];
};

struct access_ring *access_ring_new(size_t size)
{
	size_t rounded = 2 * ACCESS_LINE_MAX;
	while (rounded < size)
		rounded *= 2;
	size_t total = sizeof(struct access_ring) + rounded + ACCESS_LINE_MAX;
	struct access_ring *ring = aligned_alloc(64, (total + 63) / 64 * 64);
	if (!ring)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	ring->size = rounded;
	return ring;
}

void access_ring_free(struct access_ring *ring)
{
	free(ring);
}

char *access_ring_room(struct access_ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	if (head - ring->tail_seen > ring->size - ACCESS_LINE_MAX) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (head - ring->tail_seen > ring->size - ACCESS_LINE_MAX)
			return NULL;
	}
	return ring->data + (head & (ring->size - 1));
}

void access_ring_put(struct access_ring *ring, size_t len)
{
	uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t end = (head & (ring->size - 1)) + len;
	if (end > ring->size)
		memcpy(ring->data, ring->data + ring->size, end - ring->size);
	atomic_store_explicit(&ring->head, head + len, memory_order_release);
}

void access_ring_close(struct access_ring *ring)
{
	atomic_store_explicit(&ring->closed, true, memory_order_release);
}

size_t access_ring_used(const struct access_ring *ring)
{
	return (size_t)(atomic_load_explicit(&ring->head, memory_order_relaxed) -
			atomic_load_explicit(&ring->tail, memory_order_relaxed));
}

size_t access_ring_size(const struct access_ring *ring)
{
	return ring->size;
}

int access_ring_peek(const struct access_ring *ring, struct iovec iov[2])
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	size_t len = (size_t)(atomic_load_explicit(&ring->head, memory_order_acquire) - tail);
	size_t place = tail & (ring->size - 1), first = ring->size - place;
	const char *data = ring->data;
	if (len == 0)
		return 0;
	iov[0] = (struct iovec){(void *)(uintptr_t)(data + place), len < first ? len : first};
	iov[1] = (struct iovec){(void *)(uintptr_t)data, len - iov[0].iov_len};
	return iov[1].iov_len > 0 ? 2 : 1;
}

void access_ring_take(struct access_ring *ring, size_t n)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	atomic_store_explicit(&ring->tail, tail + n, memory_order_release);
}

bool access_ring_closed(const struct access_ring *ring)
{
	return atomic_load_explicit(&ring->closed, memory_order_acquire);
}
