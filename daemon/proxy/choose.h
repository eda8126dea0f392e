/* Which target: sticky session first, else the pool's balancing. For HTTP and TCP alike. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/ack.h"
#include "daemon/proxy/worker.h"

/* What one request or connection knows about its session. Zero-initialise. */
struct choice {
	uint64_t hash;        /* maglev: of what the pool hashes on */
	uint64_t bound_id;    /* target of the session that came with it; 0: none */
	uint64_t expires_us;  /* of the table's entry; 0: none, or it is to be written anew */
	uint8_t key[16];      /* of the entry that it has, or gets; see has_key */
	bool has_key;         /* false: no entry is to be made */
	struct target *wants; /* the client's own target, which is full; no other will do */
	bool full;            /* nobody was chosen, because of targets that are full */
	bool renew;           /* sticky cookie: it, or its key, is getting old */
	bool locked;          /* when_down "fail": no other target will do */
	uint8_t sticky;       /* enum access_sticky: for the access log */
};

/* The first of these pools in which the client has a session, with a target that may be used, or
 * CONF_NONE. */
uint32_t choose_pool(struct worker *worker, struct worker_gen *gen,
    const struct route_share *shares, uint32_t n, const struct addr *peer,
    const struct h1_head *head);
/* What a request of `pool` (an index) from `peer` says about where it belongs; `head` is NULL for TCP. */
void choose_read(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct addr *peer, const struct h1_head *head, struct choice *choice);
/* A target for it, later or at once, and a place there (target_enter), which is the caller's. NULL: none
 * is usable; or, if choice->full, who could be chosen is full. */
struct target *choose_first(
    struct worker *worker, struct worker_gen *gen, uint32_t pool, struct choice *choice);
/* The same after those in `tried` failed. */
struct target *choose_again(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct choice *choice, struct target *const *tried, size_t n_tried);
/* The same for one who has found all full before. */
struct target *choose_waiting(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct choice *choice, struct target *const *tried, size_t n_tried);
/* Takes a place at the target that is the client's own. False: it is full, and what choice wants. */
bool choose_enter(struct choice *choice, struct target *target);
/* Kinds with a table: writes the decision into it and the journal, where it is news. Fills `wait`
 * when the response has to wait for the peer. Returns where to go: to `target`, unless another
 * request of that client has just decided otherwise: there it has no place yet. */
struct target *choose_commit(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    struct target *target, struct choice *choice, struct ack_wait *wait);
/* Responses of a pool like this may begin or end sessions. */
static inline bool choose_learns(const struct conf_sticky *sticky)
{
	return sticky->kind == CONF_STICKY_APP_COOKIE || sticky->response_name;
}
/* Writes down what the head of a response of `target` says of sessions. Fills `wait`, as
 * choose_commit does. */
void choose_learn(struct worker *worker, struct worker_gen *gen, uint32_t pool,
    const struct target *target, const struct h1_head *head, struct choice *choice,
    struct ack_wait *wait);
/* Sticky cookie: the Set-Cookie line that the response must carry, or 0. */
size_t choose_set_cookie(struct worker_gen *gen, uint32_t pool, const struct target *target,
    const struct choice *choice, char *line, size_t size);
