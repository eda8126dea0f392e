/* How a connection to a target begins: its socket, with what the pool wants of it. */
#pragma once

#include "conf/conf.h"
#include "daemon/base/addr.h"

struct worker;

/* A connect that has begun, or -errno. When descriptors run out, those of idle pipes are given up
 * for it. */
int dial(struct worker *worker, const struct conf_pool *pool, const struct addr *target);
