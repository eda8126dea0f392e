/* Who waits for a place at a target of a pool, because those that could serve it are at their limit
 * (max_connections). One queue a pool, shared by all workers; a place that becomes free is taken at
 * once for the one that has waited longest, and handed over to its worker.
 *
 *	queue->any		go to any target that gets new traffic
 *	target->waiters		go to this target only: sticky ones
 *
 * The lock is taken only to wait and to serve who waits: one order of arrival over all workers cannot
 * be had without. Who leaves a place while nobody waits reads one number. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/list.h"

struct pool;
struct target;

struct queue {
	atomic_uint waiting; /* without those that were handed a place */
	pthread_mutex_t lock;
	struct list any; /* struct waiter, by ticket; under the lock */
	uint64_t tickets;

	/* What became of those who had to wait: queued = waiting + all others but `overflows`. */
	_Atomic uint64_t queued;
	_Atomic uint64_t served, timeouts, left;
	_Atomic uint64_t overflows; /* refused: as many as may wait did so already */
	_Atomic uint64_t waited_us; /* in all, of those that wait no more */
};

/* Of a worker: where it finds those of its waiters that got a place. */
struct queue_desk {
	_Atomic(struct waiter *) inbox;
	struct list handed; /* the owner's: taken from the inbox, the longest waiting first */
	void (*wake)(struct queue_desk *desk); /* there is something in the inbox; any thread */
};

struct waiter {
	struct list node;     /* under the queue's lock; of `handed`: the owner's */
	struct waiter *next;  /* in an inbox */
	struct queue *queue;  /* the owner's; NULL: does not wait */
	struct target *place; /* handed over, and taken by it; under the lock */
	uint64_t ticket;
	/* Set by the owner before queue_join. */
	struct queue_desk *desk;
	const struct pool *pool; /* as its configuration has it */
	struct target *only;     /* NULL: any */
	struct target *const *tried;
	uint32_t n_tried;
};

void queue_init(struct queue *queue);
void queue_fini(struct queue *queue); /* nobody waits */

void queue_desk_init(struct queue_desk *desk, void (*wake)(struct queue_desk *desk));

/* `waiter` waits, unless `max` do so already: false, and counted. Afterwards look for a place once
 * more: one that became free a moment ago was nobody's. */
bool queue_join(struct queue *queue, struct waiter *waiter, uint32_t max);
/* Waits no more. Returns the place that it was handed meanwhile, to be used or given back, or NULL.
 * Not for one that queue_take returned. */
struct target *queue_leave(struct waiter *waiter);
/* Any target will do from now on: it goes to where its ticket belongs. */
void queue_widen(struct waiter *waiter);

/* A place at `target` may have become free: hands it to the first who may have it. `pool` is the
 * target's in the configuration of the caller, `for_new` whether it gets new traffic, or only
 * its own. `from` is the caller's desk, or NULL: it is not woken, but has to look by itself. */
void queue_serve(
    struct target *target, const struct pool *pool, bool for_new, struct queue_desk *from);

/* Takes what is in the inbox to `handed`. */
void queue_collect(struct queue_desk *desk);
static inline bool queue_has_handed(struct queue_desk *desk)
{
	return !list_empty(&desk->handed) ||
	       atomic_load_explicit(&desk->inbox, memory_order_relaxed) != NULL;
}
/* The next of `handed`, who has a place now (waiter->place) and waits no more. NULL: none. */
struct waiter *queue_take(struct queue_desk *desk);

static inline uint32_t queue_waiting(const struct queue *queue)
{
	return atomic_load(&queue->waiting);
}
