/* Holding a response back until the peer has the session that it creates (`sessions: acked`). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/worker.h"

struct ack_wait {
	struct list node;
	struct timer timer;
	uint64_t sequence; /* 0: nothing to wait for */
	uint64_t deadline_us;
	void (*resume)(struct worker *worker, struct ack_wait *wait);
};

void ack_init(struct ack_wait *wait, void (*resume)(struct worker *, struct ack_wait *));
/* True when the response has to wait; then `resume` will be called once, by an ack, the loss of
 * the peer or the deadline. Afterwards there is nothing to wait for. Who reaches the deadline ends
 * the waiting of all others, too (journal_give_up). */
bool ack_hold(struct worker *worker, struct ack_wait *wait);
void ack_cancel(struct worker *worker, struct ack_wait *wait);
static inline bool ack_is_held(const struct ack_wait *wait)
{
	return !list_empty(&wait->node);
}

/* Resumes those that were acknowledged. */
void ack_run(struct worker *worker);
