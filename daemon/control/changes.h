/* Targets at run time: what operators change by the admin API (or the peer's), kept in an overlay beside
 * the configuration, and put in force like a reload: another fleet, so that the request path knows
 * nothing of it. Also drains and their ends. The control thread's.
 *
 *	request ──> overlay ──(a few at once, then one in 20 ms)──> generation ──> workers, prober
 *	                                                                │            │
 *	            peer <── journal, published copy <──────────────────┘  all run it: 200
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/admin/admin.h"
#include "daemon/balance/fleet.h"
#include "daemon/base/quota.h"
#include "daemon/control/overlay.h"
#include "proto/record.h"

#define CHANGES_WAITING_MAX 64 /* above what the admin API has connections */

struct control;
struct generation;

struct changes {
	struct overlay *overlay;
	bool pending;             /* in the overlay, and not in force yet */
	bool drains;              /* some target has a deadline */
	struct quota quota, said; /* of generations, of events */
	uint64_t unsaid;          /* events since one was said */
	ev_timer timer;           /* runs while something is pending, or somebody waits */
	/* Who waits for an answer: the first n_built for the workers, the others for a generation. */
	struct {
		admin_ticket ticket;
		char pool[CONF_NAME_MAX + 1], text[ADDR_TEXT_MAX];
	} waiting[CHANGES_WAITING_MAX];
	unsigned n_waiting, n_built;

	/* All that an Active peer has, until the last one of it has come. */
	struct overlay *arriving;
	uint64_t n_arriving; /* still to come */
};

int changes_init(struct control *control);
void changes_fini(struct control *control);
/* Puts the overlay in force at once. 0, or -errno: it is tried again soon. */
int changes_build(struct control *control);
/* It has been given to the proxy: all else uses it from now on, and the peer is told. */
void changes_use(struct control *control, struct generation *next);
/* Often: ends drains. */
void changes_tick(struct control *control);

/* The verbs of the admin API: struct admin_callbacks says what they take. */
struct admin_reply changes_add(
    void *control, admin_ticket ticket, const char *pool, const char *body, size_t len);
struct admin_reply changes_change(void *control, admin_ticket ticket, const char *pool,
    const char *target, const char *body, size_t len);
struct admin_reply changes_remove(void *control, admin_ticket ticket, const char *pool,
    const char *target, const char *drain_timeout);

/* Says where a target comes from, and how its drain is. */
void changes_put_target(const struct control *control, struct json_object *object,
    const struct pool *pool, const struct target *target);
/* The targets of the file that are not in the pool. */
struct json_object *changes_removed(const struct control *control, const struct pool *pool);
/* How many changes of a kind there are. */
size_t changes_count(const struct control *control, enum overlay_kind kind);
