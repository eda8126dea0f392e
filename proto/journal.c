#include "proto/journal.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A read holds the lock for at most this many copies (some microseconds). */
#define READ_MAX      128
#define LISTENERS_MAX 64

struct listener {
	void (*wake)(void *);
	void *arg;
};

/* Of responses that make a session, to who is told of it. */
enum promise {
	PROMISE_NONE, /* they do not wait */
	PROMISE_PROTECTED,
	PROMISE_LEFT, /* they are not to leave from here */
};

struct journal {
	pthread_mutex_t lock;
	struct record *ring; /* the entry with sequence s is at s & mask */
	size_t capacity, mask;
	uint64_t last;      /* under the lock; 0: nothing yet */
	bool reader_is_dry; /* the reader has seen everything: the next entry wakes it */

	pthread_mutex_t wake_lock; /* so that nobody is woken who has just signed off */
	struct listener reader;

	_Atomic uint64_t acked;
	_Atomic enum promise promise;
	struct listener listeners[LISTENERS_MAX];
	size_t n_listeners;
};

struct journal *journal_new(size_t capacity)
{
	assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
	struct journal *journal = calloc(1, sizeof(*journal));
	if (!journal)
		return NULL;
	journal->ring = calloc(capacity, sizeof(journal->ring[0]));
	if (!journal->ring) {
		free(journal);
		return NULL;
	}
	pthread_mutex_init(&journal->lock, NULL);
	pthread_mutex_init(&journal->wake_lock, NULL);
	journal->capacity = capacity;
	journal->mask = capacity - 1;
	journal->reader_is_dry = true;
	return journal;
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	pthread_mutex_destroy(&journal->lock);
	pthread_mutex_destroy(&journal->wake_lock);
	free(journal->ring);
	free(journal);
}

void journal_set_reader_wake(struct journal *journal, void (*wake)(void *), void *arg)
{
	pthread_mutex_lock(&journal->wake_lock);
	journal->reader = (struct listener){wake, arg};
	pthread_mutex_unlock(&journal->wake_lock);
}

static void wake_reader(struct journal *journal)
{
	pthread_mutex_lock(&journal->wake_lock);
	if (journal->reader.wake)
		journal->reader.wake(journal->reader.arg);
	pthread_mutex_unlock(&journal->wake_lock);
}

uint64_t journal_append(struct journal *journal, const struct record *record)
{
	pthread_mutex_lock(&journal->lock);
	uint64_t sequence = ++journal->last;
	struct record *slot = &journal->ring[sequence & journal->mask];
	*slot = *record;
	slot->sequence = sequence;
	bool wake = journal->reader_is_dry;
	journal->reader_is_dry = false;
	pthread_mutex_unlock(&journal->lock);
	if (wake)
		wake_reader(journal);
	return sequence;
}

/* What the ring holds is (last - capacity, last]. */
static bool ring_has(const struct journal *journal, uint64_t after)
{
	return after <= journal->last && journal->last - after <= journal->capacity;
}

long journal_read(struct journal *journal, uint64_t after, struct record *out, size_t max)
{
	if (max > READ_MAX)
		max = READ_MAX;
	long n = -1;
	pthread_mutex_lock(&journal->lock);
	if (ring_has(journal, after)) {
		uint64_t have = journal->last - after;
		size_t count = have < max ? (size_t)have : max;
		for (size_t i = 0; i < count; i++)
			out[i] = journal->ring[(after + 1 + i) & journal->mask];
		if (count == have)
			journal->reader_is_dry = true;
		n = (long)count;
	}
	pthread_mutex_unlock(&journal->lock);
	return n;
}

uint64_t journal_last(struct journal *journal)
{
	pthread_mutex_lock(&journal->lock);
	uint64_t last = journal->last;
	pthread_mutex_unlock(&journal->lock);
	return last;
}

static void wake_listeners(struct journal *journal)
{
	for (size_t i = 0; i < journal->n_listeners; i++)
		journal->listeners[i].wake(journal->listeners[i].arg);
}

/* What is said while this node is not Active may be late: it does not count. */
void journal_set_protected(struct journal *journal, bool is_protected)
{
	enum promise promise = is_protected ? PROMISE_PROTECTED : PROMISE_NONE;
	enum promise before = atomic_load(&journal->promise);
	while (before != PROMISE_LEFT && before != promise) {
		if (atomic_compare_exchange_weak(&journal->promise, &before, promise))
			wake_listeners(journal);
	}
}

void journal_give_up(struct journal *journal)
{
	journal_set_protected(journal, false);
}

void journal_set_role(struct journal *journal, bool active)
{
	enum promise left = PROMISE_LEFT;
	if (!active)
		atomic_store(&journal->promise, PROMISE_LEFT);
	else if (atomic_compare_exchange_strong(&journal->promise, &left, PROMISE_NONE))
		wake_listeners(journal);
}

bool journal_protected(struct journal *journal)
{
	return atomic_load_explicit(&journal->promise, memory_order_acquire) == PROMISE_PROTECTED;
}

bool journal_left(struct journal *journal)
{
	return atomic_load_explicit(&journal->promise, memory_order_acquire) == PROMISE_LEFT;
}

void journal_set_acked(struct journal *journal, uint64_t sequence)
{
	if (sequence <= atomic_load_explicit(&journal->acked, memory_order_relaxed))
		return;
	atomic_store_explicit(&journal->acked, sequence, memory_order_release);
	wake_listeners(journal);
}

uint64_t journal_acked(struct journal *journal)
{
	return atomic_load_explicit(&journal->acked, memory_order_acquire);
}

void journal_add_ack_listener(struct journal *journal, void (*wake)(void *), void *arg)
{
	assert(journal->n_listeners < LISTENERS_MAX);
	journal->listeners[journal->n_listeners++] = (struct listener){wake, arg};
}
