#include "daemon/proxy/ack.h"

#include "daemon/base/clock.h"
#include "daemon/proxy/conn.h"

/* Who has just become Active may learn of it after the first requests: they wait for so long at
 * least. */
#define ROLE_PATIENCE_US US_PER_SEC

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
	struct journal *journal = worker->shared->journal;
	if (journal_protected(journal) || journal_left(journal))
		return false;
	COUNT(worker, unprotected_sessions);
	return true;
}

static bool has_left(struct worker *worker, const struct ack_wait *wait)
{
	return journal_left(worker->shared->journal) && !is_acked(worker, wait);
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

static void end(struct worker *worker, struct ack_wait *wait, bool left)
{
	leave(worker, wait);
	if (left)
		COUNT(worker, vip_moved_closed);
	wait->resume(worker, wait, left);
}

static void on_deadline(struct worker *worker, struct timer *timer)
{
	struct ack_wait *wait = list_entry(timer, struct ack_wait, timer);
	bool left = has_left(worker, wait);
	/* The ack may have come while this worker did not run. */
	if (!left && !is_acked(worker, wait))
		waited_in_vain(worker);
	end(worker, wait, left);
}

void ack_init(struct ack_wait *wait, ack_resume_fn *resume, const struct conn *client,
    const struct addr *local)
{
	list_init(&wait->node);
	timer_init(&wait->timer, on_deadline);
	wait->sequence = 0;
	wait->deadline_us = 0;
	wait->resume = resume;
	wait->client = client;
	wait->local = local;
}

static bool is_virtual(const struct conf *conf, const struct addr *local)
{
	for (uint32_t i = 0; i < conf->n_routers; i++) {
		const struct conf_router *router = &conf->routers[i];
		for (uint32_t j = 0; j < router->n_addresses; j++) {
			if (addr_same_host(&router->addresses[j].addr, local))
				return true;
		}
	}
	return false;
}

/* Only asked while this node is not Active, so that nobody pays for it elsewhere. */
static bool comes_to_vip(const struct conf *conf, const struct ack_wait *wait)
{
	struct addr local;
	socklen_t len = sizeof(local);
	if (wait->local)
		return is_virtual(conf, wait->local);
	return wait->client && getsockname(wait->client->io.fd, &local.sa, &len) == 0 &&
	       is_virtual(conf, &local);
}

bool ack_must_wait(
    const struct worker *worker, const struct conf *conf, const struct ack_wait *wait)
{
	struct journal *journal = worker->shared->journal;
	if (!journal || conf->sync.sessions != CONF_SYNC_ACKED)
		return false;
	return journal_protected(journal) || (journal_left(journal) && comes_to_vip(conf, wait));
}

void ack_begin(
    struct worker *worker, const struct conf *conf, struct ack_wait *wait, uint64_t sequence)
{
	uint64_t patience_us = conf->sync.ack_timeout_us;
	if (journal_left(worker->shared->journal) && patience_us < ROLE_PATIENCE_US)
		patience_us = ROLE_PATIENCE_US;
	wait->sequence = sequence;
	wait->deadline_us = worker->now_us + patience_us;
}

static bool is_late(struct worker *worker, const struct ack_wait *wait)
{
	return worker->now_us >= wait->deadline_us && !has_left(worker, wait);
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
	if (is_late(worker, wait)) {
		waited_in_vain(worker);
		wait->sequence = 0;
		return false;
	}
	list_push_back(&worker->ack_waits, &wait->node);
	atomic_fetch_add(&worker->n_ack_waits, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (settled(worker, wait)) {
		leave(worker, wait);
		return false;
	}
	bool late =
	    worker->now_us >= wait->deadline_us || (worker->draining && has_left(worker, wait));
	timer_set(worker, &wait->timer, late ? 0 : wait->deadline_us - worker->now_us);
	return true;
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
		if (settled(worker, wait) || (worker->draining && has_left(worker, wait))) {
			list_del(it);
			list_push_back(&due, it);
		}
	}
	while (!list_empty(&due)) {
		struct ack_wait *wait = list_entry(due.next, struct ack_wait, node);
		end(worker, wait, has_left(worker, wait));
	}
}

void worker_ack_wake(void *arg)
{
	struct worker *worker = arg;
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&worker->n_ack_waits) > 0)
		worker_ring(worker);
}
