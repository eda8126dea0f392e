/* Requests and connections that wait, because every target that they could go to is full: the
 * worker's side of daemon/balance/queue.h.
 *
 *	worker->wait_lines ──> line (a pool of a configuration) ──> waits, as they came
 *
 * A wait ends by a place that somebody gave back, by a change in the pool that makes another look at
 * its targets worth while, by the pool's queue.timeout, or with its client. */
#pragma once

#include "daemon/balance/pick.h"
#include "daemon/balance/queue.h"
#include "daemon/proxy/choose.h"
#include "daemon/proxy/worker.h"

struct wait_line {
	struct list waits; /* struct wait; the first one's time is over first */
	struct list node;  /* of worker->wait_lines, while there are any */
	struct worker_gen *gen;
	uint32_t pool;    /* an index */
	uint64_t version; /* of the pool, when they last looked for a target */
};

struct wait {
	struct waiter waiter;
	struct list node;
	struct wait_line *line; /* NULL: it does not wait */
	uint64_t since_us;
	uint64_t waited_us; /* in all, for the access log */
	/* Set by the owner. The lists of those tried are its own and stay while it waits. */
	struct choice *choice;
	struct target *const *tried;
	uint32_t n_tried;
	/* The wait is over: at a place of `target`, which is taken for it, or `why` not, with NULL. */
	void (*resume)(
	    struct worker *worker, struct wait *wait, struct target *target, const char *why);
};

static inline bool wait_is_on(const struct wait *wait)
{
	return wait->line != NULL;
}

/* Waits for what `wait->choice` has found full. Returns a target with a place after all; or NULL:
 * then it waits, or is refused: wait_refusal. */
struct target *wait_join(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct wait *wait);
/* Why wait_join did not let it wait. */
const char *wait_refusal(const struct wait *wait);
/* Its client is gone, or it is. Harmless when it does not wait. */
void wait_leave(struct worker *worker, struct wait *wait);

/* Once a turn of the loop, if somebody waits. */
void waiting_turn(struct worker *worker);
/* A place at a desk of a worker's, from another thread. */
void waiting_wake(struct queue_desk *desk);

/* Lines for all pools of a configuration. NULL when out of memory. */
struct wait_line *wait_lines_new(struct worker_gen *gen);

/* For place_give_back. */
void place_pass_on(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct target *target);

static inline void place_give_back(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct target *target)
{
	if (target_leave(target))
		place_pass_on(worker, gen, pool, target);
}

/* Who has a place at *at (NULL: nowhere) gives it back, and goes to one at `target` that is taken for
 * it already (NULL: nowhere). */
static inline void place_move(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct target **at, struct target *target)
{
	struct target *before = *at;
	*at = target;
	if (target)
		atomic_fetch_add_explicit(&target->requests, 1, memory_order_relaxed);
	if (before)
		place_give_back(worker, gen, pool, before);
}
