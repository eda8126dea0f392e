/* The pipes through which long bodies and streams go from socket to socket without being copied
 * (splice). A connection has one only while bytes are in it: the next connection uses the same one,
 * whose memory is still in the cache. Who gets none copies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/proxy/conn.h"

/* Measured: with less than what usually waits in a socket a MiB costs up to 1.5 times as much; more
 * does not help. */
#define PIPE_SIZE (256U * 1024)
/* Copying fewer bytes is as cheap. */
#define PIPE_MIN (16U * 1024)

struct pipe {
	int in, out;
	uint32_t len; /* bytes inside */
	struct pipe *next;
};

struct pipes {
	struct pipe *free; /* the latest first */
	uint32_t n_free, n_open, max;
	int fd_max;        /* descriptors from here on are for connections only */
	uint64_t retry_us; /* before that there is nothing to be had */
};

/* For one of `workers`. Uses at most an eighth of the process' descriptors, and none of the last
 * eighth. */
void pipes_init(struct pipes *pipes, uint32_t workers);
/* After every pipe was put back. */
void pipes_fini(struct pipes *pipes);
/* An empty pipe, or NULL: copy. */
struct pipe *pipes_get(struct pipes *pipes, uint64_t now_us);
/* Keeps it when it is empty; else its bytes are lost. NULL is fine. */
void pipes_put(struct pipes *pipes, struct pipe *pipe);
/* Descriptors ran out: closes those that nobody uses. False: there were none. */
bool pipes_give_up(struct pipes *pipes, uint64_t now_us);

/* Both are one system call on a plain socket. Into an empty pipe, up to `max` bytes: their number,
 * 0 at the end of the stream, or -errno. -EAGAIN on a readable socket says that reading must be
 * tried: splice does not step over urgent data. */
ssize_t pipe_fill(struct pipe *pipe, struct conn *from, size_t max);
/* Sends what is inside: the number of bytes, possibly fewer, or -errno; 0 means not now. SIGPIPE
 * must be blocked or ignored. */
ssize_t pipe_drain(struct pipe *pipe, struct conn *to);
