#include "daemon/balance/queue.h"

#include <assert.h>
#include <stddef.h>

#include "daemon/balance/fleet.h"

/* Nobody sleeps while a place is free for him. Who joins counts himself, then looks at the targets
 * once more; who leaves a target gives the place back, then looks whether somebody waits
 * (place_give_back). All four are sequentially consistent, so one of the two sees the other. */

void queue_init(struct queue *queue)
{
	pthread_mutex_init(&queue->lock, NULL);
	list_init(&queue->any);
}

void queue_fini(struct queue *queue)
{
	assert(list_empty(&queue->any));
	pthread_mutex_destroy(&queue->lock);
}

void queue_desk_init(struct queue_desk *desk, void (*wake)(struct queue_desk *desk))
{
	atomic_init(&desk->inbox, NULL);
	list_init(&desk->handed);
	desk->wake = wake;
}

/* --- under the lock --- */

/* Nearly always at the end. */
static void insert(struct list *line, struct waiter *waiter)
{
	struct list *before = line->prev;
	while (before != line && list_entry(before, struct waiter, node)->ticket > waiter->ticket)
		before = before->prev;
	list_insert_between(&waiter->node, before, before->next);
}

static struct list *line_of(struct waiter *waiter)
{
	return waiter->only ? &waiter->only->waiters : &waiter->queue->any;
}

static bool has_target(const struct pool *pool, const struct target *target)
{
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (pool->targets[i].target == target)
			return true;
	}
	return false;
}

/* Around a reload, waiters may be of a configuration that does not have the target. */
static struct waiter *first_of_any(
    const struct queue *queue, const struct target *target, const struct pool *pool)
{
	list_for_each (it, &queue->any) {
		struct waiter *waiter = list_entry(it, struct waiter, node);
		if (!target_is_among(target, waiter->tried, waiter->n_tried) &&
		    (waiter->pool == pool || has_target(waiter->pool, target)))
			return waiter;
	}
	return NULL;
}

static struct waiter *first_for(const struct target *target, const struct pool *pool, bool for_new)
{
	struct waiter *any = for_new ? first_of_any(target->queue, target, pool) : NULL;
	if (list_empty(&target->waiters))
		return any;
	struct waiter *own = list_entry(target->waiters.next, struct waiter, node);
	return any && any->ticket < own->ticket ? any : own;
}

static void remove_waiter(struct waiter *waiter)
{
	list_del(&waiter->node);
	atomic_fetch_sub(&waiter->queue->waiting, 1);
}

/* True: the inbox was empty. */
static bool put(struct queue_desk *desk, struct waiter *waiter)
{
	struct waiter *first = atomic_load_explicit(&desk->inbox, memory_order_relaxed);
	do {
		waiter->next = first;
	} while (!atomic_compare_exchange_weak_explicit(
	    &desk->inbox, &first, waiter, memory_order_release, memory_order_relaxed));
	return first == NULL;
}

/* --- */

bool queue_join(struct queue *queue, struct waiter *waiter, uint32_t max)
{
	assert(!waiter->queue);
	bool joined = false;
	if (queue_waiting(queue) < max) {
		pthread_mutex_lock(&queue->lock);
		joined = queue_waiting(queue) < max;
		if (joined) {
			waiter->queue = queue;
			waiter->place = NULL;
			waiter->ticket = queue->tickets++;
			insert(line_of(waiter), waiter);
			atomic_fetch_add(&queue->waiting, 1);
		}
		pthread_mutex_unlock(&queue->lock);
	}
	atomic_fetch_add_explicit(
	    joined ? &queue->queued : &queue->overflows, 1, memory_order_relaxed);
	return joined;
}

struct target *queue_leave(struct waiter *waiter)
{
	struct queue *queue = waiter->queue;
	pthread_mutex_lock(&queue->lock);
	struct target *place = waiter->place;
	if (!place)
		remove_waiter(waiter);
	pthread_mutex_unlock(&queue->lock);
	if (place) {
		queue_collect(waiter->desk);
		list_del(&waiter->node);
	}
	waiter->queue = NULL;
	return place;
}

void queue_widen(struct waiter *waiter)
{
	struct queue *queue = waiter->queue;
	pthread_mutex_lock(&queue->lock);
	waiter->only = NULL;
	if (!waiter->place) {
		list_del(&waiter->node);
		insert(&queue->any, waiter);
	}
	pthread_mutex_unlock(&queue->lock);
}

void queue_serve(
    struct target *target, const struct pool *pool, bool for_new, struct queue_desk *from)
{
	struct queue *queue = target->queue;
	struct queue_desk *to_wake = NULL;
	pthread_mutex_lock(&queue->lock);
	struct waiter *waiter = first_for(target, pool, for_new);
	if (waiter && target_enter(target)) {
		struct queue_desk *desk = waiter->desk;
		remove_waiter(waiter);
		waiter->place = target;
		if (put(desk, waiter) && desk != from)
			to_wake = desk;
	}
	pthread_mutex_unlock(&queue->lock);
	if (to_wake)
		to_wake->wake(to_wake);
}

void queue_collect(struct queue_desk *desk)
{
	struct waiter *waiter = atomic_exchange_explicit(&desk->inbox, NULL, memory_order_acquire);
	/* The last one that came is the first one here. */
	struct list *after = desk->handed.prev;
	while (waiter) {
		list_insert_between(&waiter->node, after, after->next);
		waiter = waiter->next;
	}
}

struct waiter *queue_take(struct queue_desk *desk)
{
	struct list *node = list_pop_front(&desk->handed);
	if (!node)
		return NULL;
	struct waiter *waiter = list_entry(node, struct waiter, node);
	waiter->queue = NULL;
	return waiter;
}
