/* Lines on their way from a worker to the writer: a ring of bytes with one producer and one
 * consumer, without locks. A full one refuses the line; nobody waits. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemon/accesslog/line.h"

struct access_ring;

/* At least `size` bytes (rounded up to a power of two). NULL when out of memory. */
struct access_ring *access_ring_new(size_t size);
void access_ring_free(struct access_ring *ring);

/* The producer's. Room for one line of ACCESS_LINE_MAX bytes, or NULL when there is none. */
char *access_ring_room(struct access_ring *ring);
/* `len` bytes were written there, and end a line. */
void access_ring_put(struct access_ring *ring, size_t len);
/* Its last word: from here on the ring belongs to the consumer. */
void access_ring_close(struct access_ring *ring);
/* Bytes that the consumer has not taken yet. */
size_t access_ring_used(const struct access_ring *ring);
size_t access_ring_size(const struct access_ring *ring);

/* The consumer's. What is there, in up to two pieces: their number. Ends with a line. */
int access_ring_peek(const struct access_ring *ring, struct iovec iov[2]);
void access_ring_take(struct access_ring *ring, size_t n);
bool access_ring_closed(const struct access_ring *ring);
