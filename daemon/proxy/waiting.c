#include "daemon/proxy/waiting.h"

#include <stdlib.h>

struct wait_line *wait_lines_new(struct worker_gen *gen)
{
	uint32_t n = gen->fleet->n_pools;
	struct wait_line *lines = calloc(n + 1, sizeof(*lines));
	for (uint32_t i = 0; lines && i < n; i++) {
		list_init(&lines[i].waits);
		list_init(&lines[i].node);
		lines[i].gen = gen;
		lines[i].pool = i;
	}
	return lines;
}

void waiting_wake(struct queue_desk *desk)
{
	worker_ring(list_entry(desk, struct worker, desk));
}

void place_pass_on(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct target *target)
{
	bool for_new = picker_takes(gen->pickers[pool], target);
	queue_serve(target, &gen->fleet->pools[pool], for_new, &worker->desk);
}

static const struct pool *pool_of(const struct wait_line *line)
{
	return &line->gen->fleet->pools[line->pool];
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* Looks for a place. One that waits for a target which must not be used any more may go anywhere from
 * then on, in its turn. */
static struct target *look(struct worker *worker, const struct wait_line *line, struct wait *wait)
{
	struct target *target =
	    choose_waiting(worker, line->gen, line->pool, wait->choice, wait->tried, wait->n_tried);
	if (!target && wait->waiter.only && !wait->choice->wants)
		queue_widen(&wait->waiter);
	return target;
}

/* Out of the queue, with one place at most: at `target` if that is not NULL. */
static struct target *leave_queue(
    struct worker *worker, const struct wait_line *line, struct wait *wait, struct target *target)
{
	struct target *handed = queue_leave(&wait->waiter);
	if (!target)
		return handed;
	if (handed)
		place_give_back(worker, line->gen, line->pool, handed);
	return target;
}

static void stop_waiting(struct worker *worker, struct wait *wait)
{
	struct wait_line *line = wait->line;
	uint64_t waited_us = worker->now_us - wait->since_us;
	wait->line = NULL;
	wait->waited_us += waited_us;
	count(&pool_of(line)->queue->waited_us, waited_us);
	list_del(&wait->node);
	if (list_empty(&line->waits))
		list_del(&line->node);
}

/* It goes on, at `target`, or without. Its line may be gone afterwards. */
static void finish(
    struct worker *worker, struct wait *wait, struct target *target, const char *why_not)
{
	struct queue *queue = pool_of(wait->line)->queue;
	bool late = !target && wait->choice->full;
	count(target ? &queue->served : late ? &queue->timeouts : &queue->left, 1);
	stop_waiting(worker, wait);
	wait->resume(worker, wait, target, target ? NULL : why_not);
}

struct target *wait_join(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct wait *wait)
{
	struct wait_line *line = &gen->lines[pool];
	struct queue *queue = pool_of(line)->queue;
	uint64_t version = atomic_load_explicit(pool_of(line)->version, memory_order_acquire);
	wait->waiter.desk = &worker->desk;
	wait->waiter.pool = pool_of(line);
	wait->waiter.only = wait->choice->wants;
	wait->waiter.tried = wait->tried;
	wait->waiter.n_tried = wait->n_tried;
	if (!queue_join(queue, &wait->waiter, gen->conf->pools[pool].queue.max))
		return NULL;
	struct target *target = look(worker, line, wait);
	if (target || !wait->choice->full) {
		target = leave_queue(worker, line, wait, target);
		count(target ? &queue->served : &queue->left, 1);
		return target;
	}
	if (list_empty(&line->waits)) {
		line->version = version;
		list_push_back(&worker->wait_lines, &line->node);
	}
	list_push_back(&line->waits, &wait->node);
	wait->line = line;
	wait->since_us = worker->now_us;
	return NULL;
}

const char *wait_refusal(const struct wait *wait)
{
	return wait->choice->full ? "queue_full" : "no_target";
}

void wait_leave(struct worker *worker, struct wait *wait)
{
	struct wait_line *line = wait->line;
	if (!line)
		return;
	struct target *handed = leave_queue(worker, line, wait, NULL);
	count(&pool_of(line)->queue->left, 1);
	stop_waiting(worker, wait);
	if (handed)
		place_give_back(worker, line->gen, line->pool, handed);
}

/* Targets have come or gone, or have other limits. All who go anywhere find the same: if one finds no
 * place, the next ones do not look. */
static void look_again(struct worker *worker, struct wait_line *line)
{
	bool full = false;
	list_for_each_safe (it, &line->waits) {
		struct wait *wait = list_entry(it, struct wait, node);
		if (full && !wait->choice->wants)
			continue;
		struct target *target = look(worker, line, wait);
		if (target || !wait->choice->full)
			finish(worker, wait, leave_queue(worker, line, wait, target), "no_target");
		else
			full |= !wait->choice->wants;
	}
}

static void end_late_ones(struct worker *worker, struct wait_line *line)
{
	uint64_t timeout_us = line->gen->conf->pools[line->pool].queue.timeout_us;
	while (!list_empty(&line->waits)) {
		struct wait *wait = list_entry(line->waits.next, struct wait, node);
		if (worker->now_us - wait->since_us < timeout_us)
			return;
		finish(worker, wait, leave_queue(worker, line, wait, NULL), "queue_timeout");
	}
}

static void serve_handed(struct worker *worker)
{
	struct waiter *waiter;
	queue_collect(&worker->desk);
	while ((waiter = queue_take(&worker->desk)))
		finish(worker, list_entry(waiter, struct wait, waiter), waiter->place, NULL);
}

/* Places come before deadlines: who was served in time is not refused because we were late. */
void waiting_turn(struct worker *worker)
{
	serve_handed(worker);
	list_for_each_safe (it, &worker->wait_lines) {
		struct wait_line *line = list_entry(it, struct wait_line, node);
		struct worker_gen *gen = worker_gen_get(line->gen);
		uint64_t version =
		    atomic_load_explicit(pool_of(line)->version, memory_order_acquire);
		if (line->version != version) {
			line->version = version;
			look_again(worker, line);
		}
		end_late_ones(worker, line);
		worker_gen_put(gen);
	}
	/* What we handed to ourselves meanwhile. */
	if (queue_has_handed(&worker->desk))
		worker_ring(worker);
}
