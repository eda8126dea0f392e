/* Timer wheel for very many coarse timeouts that rarely fire (connection timeouts). Pure: the
 * caller says what time it is. Pushing a deadline back is one store: an entry found too early when
 * its slot comes up is filed again. Only a deadline that moves forward is refiled at once.
 *
 *      now
 *       v
 *   |  |  |e1|  |e2,e3|  |  ...   WHEEL_SLOTS slots of WHEEL_TICK_US; later deadlines wait in the
 *                                 slot they map to modulo the wheel and are filed again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/list.h"

#define WHEEL_TICK_US 16384U
#define WHEEL_SLOTS   1024U /* 16.8 s a turn */

struct wheel {
	struct list slots[WHEEL_SLOTS];
	uint64_t tick; /* the next tick to run */
	uint64_t count;
};

struct wheel_entry {
	struct list node;
	/* The low 32 bits of tick numbers; compared by their difference. */
	uint32_t deadline_tick; /* when to fire */
	uint32_t filed_tick;    /* whose slot holds it; never later than deadline_tick */
};

void wheel_init(struct wheel *wheel, uint64_t now_us);
void wheel_entry_init(struct wheel_entry *entry);
bool wheel_armed(const struct wheel_entry *entry);
/* Fires up to two ticks after `deadline_us`, never before (but what lies more than 200 days ahead
 * is cut to that). Replaces an earlier setting. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t deadline_us);
void wheel_cancel(struct wheel *wheel, struct wheel_entry *entry);
/* Calls `fire` for each entry whose time has come; the entry is disarmed before the call and may be
 * set again or freed in it. `fire` may cancel other entries. */
void wheel_run(
    struct wheel *wheel, uint64_t now_us, void (*fire)(struct wheel_entry *, void *), void *arg);
