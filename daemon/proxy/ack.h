/* Holding a response back until the peer has the session that it creates (`sessions: acked`). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/worker.h"

struct ack_wait;

/* `left`: nobody but us has the session, and this node is not Active. The client must not get the
 * response, not even when the VIP comes back and the kernel sends again: its connection is reset. */
typedef void ack_resume_fn(struct worker *worker, struct ack_wait *wait, bool left);

struct ack_wait {
	struct list node;
	struct timer timer;
	uint64_t sequence; /* 0: nothing to wait for */
	uint64_t deadline_us;
	ack_resume_fn *resume;
	/* Where the client's packets arrive: its connection, or the address itself. */
	const struct conn *client;
	const struct addr *local;
};

/* client, local: one of them, as long as the wait lives. */
void ack_init(struct ack_wait *wait, ack_resume_fn *resume, const struct conn *client,
    const struct addr *local);
/* The response makes a session, or follows one that another response makes. Whether it has to wait
 * for the peer: while one is quick enough; and on an address of a virtual router also while this
 * node is not Active (yet, or any more). */
bool ack_must_wait(
    const struct worker *worker, const struct conf *conf, const struct ack_wait *wait);
/* That record is what it waits for. */
void ack_begin(
    struct worker *worker, const struct conf *conf, struct ack_wait *wait, uint64_t sequence);
/* True when the response has to wait; then `resume` will be called once, by an ack, the loss of
 * the peer, or the deadline. Afterwards there is nothing to wait for. Who reaches the deadline as
 * Active ends the waiting of all others, too (journal_give_up). */
bool ack_hold(struct worker *worker, struct ack_wait *wait);
void ack_cancel(struct worker *worker, struct ack_wait *wait);
static inline bool ack_is_held(const struct ack_wait *wait)
{
	return !list_empty(&wait->node);
}

/* Resumes those that need not wait any more. */
void ack_run(struct worker *worker);
