/* The file of the access log, as yoked opens it for yoke-proxy, which may open nothing. */
#pragma once

#include "daemon/base/err.h"

/* `file` as access_log.file says it: a path, or "stdout" or "stderr" of ours. A file that is not there is
 * made, with mode 0640 less the umask. Nothing waits: a FIFO need not have a reader. A descriptor for
 * writing, or -errno with a text. */
int logfile_open(const char *file, struct err *err);
