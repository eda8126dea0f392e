/* What makes room when descriptors run short, so that new connections come in and the process can
 * still ask itself, its targets and its peer: pipes that are free; then the oldest of those who were
 * to send something and have not, for a moment at least: connections without a PROXY header or
 * ClientHello, clients without a request; then the connection to a target that has been idle longest;
 * then the client that has been idle longest between requests, among a few. Nobody who waits for an
 * answer has to go. */
#pragma once

#include <stdbool.h>

struct worker;

/* A descriptor with this number or a larger one means that they run short: the kernel gives the
 * smallest that is free. */
int room_fd_short(void);
/* Closes one of this worker's for the new connection `fd`, which moves to the number that became free,
 * so that the large ones stay free: returns it. If nobody may go it is `fd` itself. */
int room_for(struct worker *worker, int fd);
/* Descriptors ran out (`error`), and some were set free: try again. */
bool room_found(struct worker *worker, int error);
