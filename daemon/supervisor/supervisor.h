/* yoked: one process, one thread, no network input. It starts yoke-proxy and yoke-vrrp, watches
 * them by pidfd and heartbeat, restarts them, gives away the virtual addresses of a yoke-vrrp that
 * died, and puts new configurations in force. No allocation but at start and reload. */
#pragma once

#include "daemon/supervisor/args.h"

/* Runs until SIGTERM or SIGINT. Returns the exit code. */
int supervisor_run(const struct args *args);
