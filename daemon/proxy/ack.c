#include "daemon/proxy/ack.h"

/* The sync thread stores the acked sequence, then looks at n_ack_waits; a worker adds itself, then
 * looks at the acked sequence. With a full barrier between the two halves on each side one of them
 * sees the other, so no wake-up is lost, and nobody is woken while nobody waits. */

static bool is_acked(struct worker *worker, const struct ack_wait *wait)
{
	return journal_acked(worker->shared->journal) >= wait->sequence;
}

/* True ends the waiting: ask once more only after false. */
static bool settled(struct worker *worker, const struct ack_wait *wait)
{
	if (is_acked(worker, wait))
		return true;
	if (journal_protected(worker->shared->journal))
		return false;
	COUNT(worker, unprotected_sessions);
	return true;
}

static void waited_in_vain(struct worker *worker)
{
	COUNT(worker, ack_timeouts);
	COUNT(worker, unprotected_sessions);
	journal_give_up(worker->shared->journal);
}

static void leave(struct worker *worker, struct ack_wait *wait)
{
	list_del(&wait->node);
	timer_cancel(worker, &wait->timer);
	atomic_fetch_sub(&worker->n_ack_waits, 1);
	wait->sequence = 0;
}

static void on_deadline(struct worker *worker, struct timer *timer)
{
	struct ack_wait *wait = list_entry(timer, struct ack_wait, timer);
	/* The ack may have come while this worker did not run. */
	if (!is_acked(worker, wait))
		waited_in_vain(worker);
	leave(worker, wait);
	wait->resume(worker, wait);
}

void ack_init(struct ack_wait *wait, void (*resume)(struct worker *, struct ack_wait *))
{
	list_init(&wait->node);
	timer_init(&wait->timer, on_deadline);
	wait->sequence = 0;
	wait->deadline_us = 0;
	wait->resume = resume;
}

bool ack_hold(struct worker *worker, struct ack_wait *wait)
{
	if (wait->sequence == 0)
		return false;
	if (!list_empty(&wait->node))
		return true;
	if (settled(worker, wait)) {
		wait->sequence = 0;
		return false;
	}
	uint64_t now_us = worker->now_us;
	if (now_us >= wait->deadline_us) {
		waited_in_vain(worker);
		wait->sequence = 0;
		return false;
	}
	list_push_back(&worker->ack_waits, &wait->node);
	timer_set(worker, &wait->timer, wait->deadline_us - now_us);
	atomic_fetch_add(&worker->n_ack_waits, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (!settled(worker, wait))
		return true;
	leave(worker, wait);
	return false;
}

void ack_cancel(struct worker *worker, struct ack_wait *wait)
{
	if (!list_empty(&wait->node))
		leave(worker, wait);
	wait->sequence = 0;
}

void ack_run(struct worker *worker)
{
	/* Resuming one may end others: start over on a list of its own, which shrinks each time. */
	struct list due;
	list_init(&due);
	list_for_each_safe (it, &worker->ack_waits) {
		struct ack_wait *wait = list_entry(it, struct ack_wait, node);
		if (settled(worker, wait)) {
			list_del(it);
			list_push_back(&due, it);
		}
	}
	while (!list_empty(&due)) {
		struct ack_wait *wait = list_entry(due.next, struct ack_wait, node);
		leave(worker, wait);
		wait->resume(worker, wait);
	}
}

void worker_ack_wake(void *arg)
{
	struct worker *worker = arg;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&worker->n_ack_waits) > 0)
		worker_ring(worker);
}
