/* The process asks itself: through each listening address it sends a request of its own, by the
 * same way as a user's: kernel, accept, parser, response. What the silence means says verdict.h.
 * Control thread only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/proxy/verdict.h"
#include "daemon/proxy/worker.h"

/* One address of one listener, with a socket on each worker. */
struct selfcheck {
	struct list node;
	struct list sockets; /* struct listener, by of_check */
	char name[CONF_NAME_MAX + 1];
	struct addr bind;
	struct addr self; /* asked, and asked from: bind, or loopback where that is a wildcard */
	char text[ADDR_TEXT_MAX]; /* of bind */
	bool in_force;            /* a configuration names it */
	bool http;
	bool here;         /* self was an address of this host when we looked last */
	int fd;            /* the request under way; -1: none */
	bool sent;         /* the request (TCP: a byte) has left */
	uint64_t asked_us; /* the last one */
	uint64_t due_us;   /* the next one */
	const char *cause; /* of the silence, if more is known; or NULL */
	struct verdict verdict;
	uint64_t answered_wall_us; /* wall clock; 0: never */
	uint64_t failures;
	int told; /* why it cannot be asked, as last logged; 0: nothing */
	struct log_limit log;
};

/* Puts the socket to those of its address in `checks`. -ENOMEM. */
int selfcheck_join(struct list *checks, struct listener *listener);
/* The last one takes the check along. */
void selfcheck_leave(struct listener *listener);
/* A configuration with this listener is about to be in force. */
void selfcheck_set(struct selfcheck *check, const struct conf_listener *conf);
/* Takes back what has been asked: what comes next changes the rules. */
void selfcheck_forget(struct list *checks);
/* Asks what is due, reads what has been answered. To be called several times in a window. */
void selfcheck_step(struct list *checks, uint64_t window_us, uint64_t now_us);
/* Some address is stuck; `why` says which one. */
bool selfcheck_stuck(const struct list *checks, uint64_t now_us, struct err *why);
void selfcheck_free_all(struct list *checks);
