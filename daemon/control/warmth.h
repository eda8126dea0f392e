/* After a start the peer may have what this process lacks: sessions, health, what the operator set.
 * Until it is here, or is known not to be had, or time is up, the virtual routers are left to the
 * peer. Pure.
 *
 *	connected, and the peer is Active ──> waits, as long as the timeout
 *	  or it has kept what an Active had
 *	in sync                           ──> over: warm
 *	connected, but it has nothing     ──> over
 *	refused: yoked is not there       ──> over
 *	no answer, not even to a SYN      ──> over: there is no such host, or nobody lets us through
 *	answers TCP, but nothing else     ──> waits: its proxy is starting, too, or hangs */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/sync/sync.h"

#define WARMTH_TEXT_MAX (CONF_NAME_MAX + 96)

struct warmth {
	bool waiting;
	uint64_t since_us, timeout_us;
};

/* timeout_us 0: does not wait. */
void warmth_begin(struct warmth *warmth, uint64_t timeout_us, uint64_t now_us);
/* While it waits: often, and whenever the status has changed. True when it is over, with the
 * reason. */
bool warmth_step(
    struct warmth *warmth, const struct sync_status *status, uint64_t now_us, struct err *why);
/* "waiting for the sessions of node1: 512 ms of 5 s", or empty when it does not. */
void warmth_text(
    const struct warmth *warmth, const char *peer, uint64_t now_us, char text[WARMTH_TEXT_MAX]);
