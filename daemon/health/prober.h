/* Active health checks: TCP connect, one HTTP/1.1 request or one datagram to each target, on the control thread's
 * loop. Never blocks; at most one check of a target at a time. */
#pragma once

#include <ev.h>
#include <stdbool.h>

#include "conf/conf.h"
#include "daemon/balance/fleet.h"

struct prober;

/* Our own check changed a target's health, or something that whoever takes over should know: how
 * many results in a row speak against it, or its reason; then `before` is what it still is. Control
 * thread; it may call prober_set and prober_enable, not prober_free. `target->reason` says why. */
typedef void prober_change_fn(
    void *arg, struct pool *pool, struct target *target, enum target_health before);

struct prober *prober_new(struct ev_loop *loop, prober_change_fn *on_change, void *arg);
void prober_free(struct prober *prober);
/* Takes the pools of this configuration (both must stay valid until the next call has returned, or
 * prober_free). Targets that were checked before with the same health settings go on undisturbed.
 */
void prober_set(struct prober *prober, const struct conf *conf, struct fleet *fleet);
/* On from the start. Off while a peer that is Active tells us the state of the targets. On again:
 * the first round is spread over one interval; the states that we have stay in force until checks
 * say otherwise. */
void prober_enable(struct prober *prober, bool on);
/* How a check ended. */
#define PROBER_RESULTS(X)                                                 \
	X(OK, "ok")                                                       \
	X(CONNECT, "connect") /* no connection */                         \
	X(TIMEOUT, "timeout") /* of the whole check */                    \
	X(CLOSED, "closed")   /* or reset, or an ICMP error */            \
	X(STATUS, "status")   /* another one than expected */             \
	X(BODY, "body")       /* another one than wanted, or malformed */ \
	X(MALFORMED, "malformed")                                         \
	X(UNTRIED, "untried") /* our own shortage, which says nothing */

enum prober_result {
#define X(name, text) PROBER_##name,
	PROBER_RESULTS(X)
#undef X
	    PROBER_RESULT_COUNT
};

/* What this node's own checks found, whoever else says what. Of a pool that is tracked they go on
 * while the prober is off, so that the node knows what it could serve. */
struct prober_sight {
	enum target_health health;
	uint16_t rise_count, fall_count;
	char reason[TARGET_REASON_MAX]; /* of that health */
	/* The last check, which may speak against it: */
	enum prober_result last;
	uint64_t last_us; /* when it ended; 0: there was none */
	uint64_t took_us;
	char last_reason[TARGET_REASON_MAX];
};

/* NULL: the target is not checked. */
const struct prober_sight *prober_sight(const struct prober *prober, uint64_t target_id);
/* A number that changes whenever a sight's health does, or the set of targets. */
uint64_t prober_sights(const struct prober *prober);
/* When the check is or was due that comes next or is under way; false: none is. */
bool prober_next(const struct prober *prober, uint64_t target_id, uint64_t *due_us);
/* Checks started since start: the probe rate. */
uint64_t prober_count(const struct prober *prober);
/* Checks that ended so. */
uint64_t prober_results(const struct prober *prober, enum prober_result result);
const char *prober_result_name(enum prober_result result);
