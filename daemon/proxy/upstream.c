#include "daemon/proxy/upstream.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/dial.h"
#include "daemon/proxy/http.h"

#define IDLE_MAX        256U /* per target and worker */
#define IDLE_TIMEOUT_US (60 * US_PER_SEC)

static bool is_idle(const struct upstream *upstream)
{
	return upstream->txn == NULL;
}

void upstream_close(struct worker *worker, struct upstream *upstream)
{
	if (is_idle(upstream)) {
		worker->slots[upstream->target->slot].n_idle--;
		list_del(&upstream->node.list);
		UNCOUNT(worker, upstream_idle);
	}
	timer_cancel(worker, &upstream->timer);
	conn_close(&upstream->conn, false);
	UNCOUNT(worker, upstream_connections);
	worker_bury(worker, &upstream->node, upstream);
}

void upstream_give_up(struct worker *worker, struct upstream *upstream)
{
	timer_cancel(worker, &upstream->timer);
	assert(!conn_is_open(&upstream->conn));
	worker_bury(worker, &upstream->node, upstream);
}

static void on_timeout(struct worker *worker, struct timer *timer)
{
	struct upstream *upstream = list_entry(timer, struct upstream, timer);
	if (is_idle(upstream))
		upstream_close(worker, upstream);
	else if (!upstream->established)
		txn_attempt_failed(upstream->txn, -ETIMEDOUT);
	else if (upstream->waiting)
		response_timed_out(upstream->txn);
}

static void on_event(struct watch *watch, unsigned events)
{
	struct upstream *upstream = list_entry(watch, struct upstream, conn.io);
	if (is_idle(upstream)) {
		/* The target closed it, or speaks without being asked. */
		upstream_close(worker_of_watch(watch), upstream);
		return;
	}
	if (events & POLLER_WRITE)
		txn_send_request(upstream->txn);
	if ((events & POLLER_READ) && upstream->txn && conn_is_open(&upstream->conn))
		response_readable(upstream->txn);
}

struct upstream *upstream_take(
    struct worker *worker, struct target *target, uint64_t max_age_us, struct txn *txn)
{
	struct upstream_slot *slot =
	    target->slot < worker->n_slots ? &worker->slots[target->slot] : NULL;
	if (!slot || slot->target != target || list_empty(&slot->idle))
		return NULL;
	struct upstream *upstream = list_entry(slot->idle.next, struct upstream, node.list);
	if (worker->now_us - upstream->idle_since_us > max_age_us)
		return NULL;
	list_del(&upstream->node.list);
	slot->n_idle--;
	UNCOUNT(worker, upstream_idle);
	COUNT(worker, upstream_reuses);
	upstream->reused = true;
	upstream->txn = txn;
	return upstream;
}

struct upstream *upstream_connect(
    struct worker *worker, struct target *target, struct txn *txn, int *error)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));
	if (!upstream) {
		*error = -ENOMEM;
		return NULL;
	}
	int fd = dial(worker, txn_pool(txn), &target->addr, &txn->client->peer);
	if (fd < 0) {
		free(upstream);
		*error = fd;
		return NULL;
	}
	upstream->target = target;
	upstream->txn = txn;
	conn_init(&upstream->conn, &worker->poller, fd, on_event);
	conn_want(&upstream->conn, POLLER_READ);
	timer_init(&upstream->timer, on_timeout);
	timer_set(worker, &upstream->timer, txn_pool(txn)->connect_timeout_us);
	list_init(&upstream->node.list);
	COUNT(worker, upstream_connects);
	COUNT(worker, upstream_connections);
	return upstream;
}

void upstream_release(struct worker *worker, struct upstream *upstream)
{
	struct target *target = upstream->target;
	struct upstream_slot *slot =
	    target->slot < worker->n_slots ? &worker->slots[target->slot] : NULL;
	if (!slot || slot->target != target || slot->n_idle >= IDLE_MAX || worker->draining) {
		upstream_close(worker, upstream);
		return;
	}
	upstream->txn = NULL;
	upstream->waiting = false;
	upstream->idle_since_us = worker->now_us;
	list_push_front(&slot->idle, &upstream->node.list);
	slot->n_idle++;
	COUNT(worker, upstream_idle);
	timer_set(worker, &upstream->timer, IDLE_TIMEOUT_US);
	conn_want(&upstream->conn, POLLER_READ);
}

static void close_slot(struct worker *worker, struct upstream_slot *slot)
{
	list_for_each_safe (it, &slot->idle)
		upstream_close(worker, list_entry(it, struct upstream, node.list));
}

void upstream_close_idle(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->n_slots; i++)
		close_slot(worker, &worker->slots[i]);
}

bool upstream_close_oldest(struct worker *worker)
{
	struct upstream *oldest = NULL;
	for (uint32_t i = 0; i < worker->n_slots; i++) {
		struct list *idle = &worker->slots[i].idle;
		if (list_empty(idle))
			continue;
		struct upstream *upstream = list_entry(idle->prev, struct upstream, node.list);
		if (!oldest || upstream->idle_since_us < oldest->idle_since_us)
			oldest = upstream;
	}
	if (oldest)
		upstream_close(worker, oldest);
	return oldest;
}

static void move_idle(struct upstream_slot *from, struct upstream_slot *to)
{
	while (!list_empty(&from->idle)) {
		struct list *node = from->idle.prev;
		list_del(node);
		list_push_front(&to->idle, node);
	}
	to->n_idle = from->n_idle;
}

void upstream_set_slots(struct worker *worker, struct worker_gen *gen)
{
	uint32_t n_slots = gen->fleet->n_slots;
	for (uint32_t i = 0; i < worker->n_slots; i++) {
		struct upstream_slot *slot = &worker->slots[i];
		if (i < n_slots && gen->slots[i].target && gen->slots[i].target == slot->target)
			move_idle(slot, &gen->slots[i]);
		else
			close_slot(worker, slot);
	}
	free(worker->slots);
	worker->slots = gen->slots;
	worker->n_slots = n_slots;
	gen->slots = NULL;
}
