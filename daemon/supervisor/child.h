/* One child process: start, message channel, death, restart with back-off. What is said on the
 * channel is the supervisor's business.
 *
 *	          start                 died, wanted
 *	STOPPED ---------> RUNNING <--------------------> WAITING (back-off)
 *	   ^                  |          time is up           |
 *	   +------------------+---- child_dismiss ------------+
 */
#pragma once

#include <ev.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"

#define CHILD_BACKOFF_MIN_US 100000U
#define CHILD_BACKOFF_MAX_US 5000000U
#define CHILD_STEADY_US      10000000U /* a life so long makes the next restart quick again */

enum child_state { CHILD_STOPPED, CHILD_WAITING, CHILD_RUNNING };

struct child;

struct child_handlers {
	/* A process runs; its channel is open. */
	void (*started)(struct child *child);
	void (*message)(struct child *child, const union ipc_message *msg);
	/* The next message to send, with the descriptor to go beside it or -1; false: none. */
	bool (*next)(struct child *child, union ipc_message *msg, int *fd);
	/* That one has left. */
	void (*sent)(struct child *child);
	/* It is dead for sure, its last messages were handled. `clean`: exit code 0. */
	void (*died)(struct child *child, bool clean, const char *how);
};

struct child {
	const char *name; /* of the program */
	char path[PATH_MAX];
	struct ev_loop *loop;
	const struct child_handlers *handlers;
	void *owner;
	enum child_state state;
	bool wanted; /* restart it when it dies */
	pid_t pid;
	int pidfd, sock;
	ev_io exit_watch, sock_watch;
	ev_timer restart;
	uint64_t started_us;
	uint64_t backoff_us; /* before the latest restart */
	uint64_t restarts;
};

/* How long to wait before the next start: `previous_us` is the wait before the life that ended
 * after `lived_us`. */
uint64_t child_backoff_us(uint64_t previous_us, uint64_t lived_us);

void child_init(struct child *child, const char *name, struct ev_loop *loop,
    const struct child_handlers *handlers, void *owner);
/* Finds the program: beside yoked, else in the directory where the package puts it. -ENOENT. */
int child_find_program(struct child *child, struct err *err);
/* Wanted from now on; starts it unless it runs or waits for its restart already. */
void child_start(struct child *child);
/* Not wanted any more: if it waits for a restart, it stays stopped; if it runs, the caller asks it
 * to end. */
void child_dismiss(struct child *child);
/* There may be something to send. */
void child_kick(struct child *child);
/* SIGKILL; `died` follows. */
void child_kill(struct child *child);
