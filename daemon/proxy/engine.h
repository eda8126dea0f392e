/* The control thread's side: proxy.c, apply.c and figures.c share it. Private to them. */
#pragma once

#include <pthread.h>

#include "daemon/accesslog/accesslog.h"
#include "daemon/limit/tally.h"
#include "daemon/proxy/worker.h"

struct proxy {
	struct proxy_shared shared;
	struct worker **workers;
	uint32_t n_started;
	struct list listeners;   /* struct listener, by registry: those that may be used */
	struct list checks;      /* struct selfcheck */
	struct list generations; /* struct generation */
	struct listener_shared *names;
	atomic_uint connections;     /* of users, over all workers */
	struct tally_table *tallies; /* connections by source */
	pthread_mutex_t limits_lock; /* held by the control and the sync thread alone */
	struct limits *limits;       /* of the newest generation; NULL before the first one */
	struct accesslog *log;
	uint64_t log_patience_us; /* for the file of the configuration before */
	bool logging;
	uint64_t serial;
	uint64_t udp_overflows; /* of listeners that are gone */
	bool draining, paused;
};

/* NULL if there is none. */
struct listener *proxy_find_listener(const struct proxy *proxy, const char *name,
    const struct addr *bind, uint32_t worker, bool udp);
/* The configuration in force; NULL before the first one. */
const struct generation *proxy_newest(const struct proxy *proxy);
