/* The tracked scripts of the virtual routers: yoked runs them, since it may start processes and
 * yoke-vrrp may not, and tells yoke-vrrp what they said. Each is started at its interval, one at a
 * time, without a shell, as the unprivileged user of the configuration, in a process group of its
 * own that is killed when its time is up or its first process has ended. Exit code 0 is good; the
 * first line that it writes is the reason. Nothing here waits, or allocates.
 *
 *	IDLE --interval--> RUNNING --exit, or timeout and SIGKILL--> IDLE, with a result
 *	                      \--another configuration: SIGKILL--> free, when it is dead
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/ipc/ipc.h"
#include "daemon/supervisor/setup.h"

/* Those of a configuration, and as many of the one before that are about to die. */
#define SCRIPTS_MAX (2 * CONF_ROUTERS_MAX * CONF_TRACKED_MAX)

struct script {
	bool used; /* the configuration has it */
	bool has_result, told;
	bool overdue; /* killed by us */
	struct scripts *owner;
	char *argv[CONF_ARGUMENTS_MAX + 1];
	uint64_t interval_us, timeout_us, started_us;
	const struct conf_router *router;
	uint8_t index; /* in what it tracks, for yoke-vrrp */
	bool good;     /* the result, and why: */
	char reason[IPC_REASON_MAX];
	pid_t pid; /* 0: does not run */
	int pidfd, output;
	ev_io exit_watch, output_watch;
	ev_timer timer; /* idle: the next start; running: the timeout */
	char line[IPC_REASON_MAX];
	size_t line_len;
	bool line_complete;
};

struct scripts {
	struct ev_loop *loop;
	void (*on_result)(void *arg); /* there is something to tell */
	void *arg;
	const struct setup *setup;
	struct script all[SCRIPTS_MAX];
	struct script *telling;
};

void scripts_init(
    struct scripts *scripts, struct ev_loop *loop, void (*on_result)(void *arg), void *arg);
/* Runs those of `setup`, which stays as it is until the next call; NULL: none. What runs of the old
 * ones is killed. */
void scripts_set(struct scripts *scripts, const struct setup *setup);

/* For the channel to yoke-vrrp: a result that it does not have; false: there is none. */
bool scripts_next(struct scripts *scripts, union ipc_message *msg);
void scripts_sent(struct scripts *scripts);
/* Another yoke-vrrp, or another set there: it knows nothing. */
void scripts_tell_again(struct scripts *scripts);
