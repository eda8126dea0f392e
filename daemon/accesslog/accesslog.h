/* The writer of the access log: one thread that takes the workers' lines from their rings and writes
 * them in large blocks. It alone waits for a slow disk, a full one, or a reader that does not read;
 * meanwhile the rings fill, and then lines are dropped and counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/accesslog/ring.h"
#include "daemon/base/err.h"

struct accesslog;

/* NULL when out of memory. The thread starts with the first file. */
struct accesslog *accesslog_new(void);
/* Writes what the rings hold, which must be closed, for at most `timeout_us`; then the rest is
 * dropped. Joins the thread, frees all. Where the kernel does not return from a write within a
 * second more, the thread is left behind. */
void accesslog_free(struct accesslog *log, uint64_t timeout_us);

/* Lines of `n` new rings, of `size` bytes each, go to `fd` (a file, FIFO, socket or device) from now
 * on. On success `fd` and the rings are the log's: each ring has one producer, who ends it by
 * access_ring_close; when all are closed and written, `fd` is closed. `name` is for messages.
 * 0 or -errno with a text; then nothing was taken. */
int accesslog_open(struct accesslog *log, const char *name, int fd, uint32_t n, size_t size,
    struct access_ring **rings, struct err *err);
/* Any thread: there is something to write, or a ring was closed. */
void accesslog_wake(struct accesslog *log);
/* Files that are open: 1 besides those whose last lines are still on their way. */
uint32_t accesslog_files(const struct accesslog *log);
/* Lines that were in a ring and could not be written before their file was closed. */
uint64_t accesslog_lost(const struct accesslog *log);
