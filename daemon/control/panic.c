/* Tells when a pool enters and leaves panic. The workers find out by themselves. */
#include <stdio.h>

#include "daemon/base/log.h"
#include "daemon/control/control.h"

static void tell(struct control *control, const struct pool *pool)
{
	uint32_t usable, ready;
	char object[sizeof(((struct event *)0)->object)], reason[128];
	pool_count_usable(pool, &usable, &ready);
	snprintf(object, sizeof(object), "pool %s", pool->name);
	snprintf(reason, sizeof(reason), "%u of %u targets usable, panic_threshold %u%%%s", usable,
	    ready, pool->panic_threshold, pool->panicking ? ": their health is ignored" : "");
	log_at(pool->panicking ? LOG_LEVEL_WARN : LOG_LEVEL_NOTICE, "%s: %s: %s", object,
	    pool->panicking ? "panic" : "no panic any more", reason);
	events_add(&control->events, object, pool->panicking ? "normal" : "panic",
	    pool->panicking ? "panic" : "normal", reason);
}

void panic_poll(struct control *control)
{
	const struct fleet *fleet = control->current->fleet;
	for (uint32_t i = 0; i < fleet->n_pools; i++) {
		struct pool *pool = &fleet->pools[i];
		if (pool_panics(pool) == pool->panicking)
			continue;
		pool->panicking = !pool->panicking;
		tell(control, pool);
	}
}
