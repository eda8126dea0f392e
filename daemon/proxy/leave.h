/* Connections of clients to addresses that another node answers for now: nothing that they send
 * arrives here, and nothing of ours leaves. They are ended without a word. */
#pragma once

#include <stddef.h>

#include "daemon/proxy/worker.h"

#define LEAVE_WHY "vip_moved" /* in the access log */

struct leave; /* which addresses; shared by the workers */

/* NULL: out of memory. `router` is for the log; copied, as all of it. Each of the workers ends it by
 * leave_run or leave_put. */
struct leave *leave_new(const char *router, const struct addr *addrs, size_t n, uint32_t workers);
/* Ends the worker's connections to these addresses. The last worker logs how many there were. */
void leave_run(struct worker *worker, struct leave *leave);
/* Ends none. NULL is allowed. */
void leave_put(struct leave *leave);

/* The IP is one of them. */
bool leave_has(const struct leave *leave, const struct addr *addr);
