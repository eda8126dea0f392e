/* The run directory of one instance: lock, pid file, place of the admin socket. */
#pragma once

#include <sys/types.h>

#include "daemon/base/err.h"

struct rundir {
	int lock_fd; /* held as long as yoked lives */
	char pid_path[128];
	char admin_path[128];
};

/* Creates the directory when it is missing and takes its lock. -EBUSY with a text that says which
 * process has it. */
int rundir_open(struct rundir *rundir, const char *path, struct err *err);
void rundir_close(struct rundir *rundir);
