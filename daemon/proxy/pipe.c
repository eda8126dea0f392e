#include "daemon/proxy/pipe.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "daemon/base/clock.h"

#define FREE_MAX 64U
/* The kernel lets a user without privileges have pipes of 64 MiB in all (pipe-user-pages-soft);
 * ours are perhaps not the only ones. */
#define TOTAL_MAX 192U
#define SHARE     8U /* 1/SHARE of the descriptors */
#define RETRY_US  US_PER_SEC

void pipes_init(struct pipes *pipes, uint32_t workers)
{
	struct rlimit limit;
	*pipes = (struct pipes){0};
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	rlim_t n = limit.rlim_cur < INT32_MAX ? limit.rlim_cur : INT32_MAX;
	rlim_t total = n / SHARE / 2;
	if (total > TOTAL_MAX)
		total = TOTAL_MAX;
	pipes->max = (uint32_t)total / workers;
	pipes->fd_max = (int)(n - n / SHARE);
}

static void destroy(struct pipes *pipes, struct pipe *pipe)
{
	close(pipe->in);
	close(pipe->out);
	free(pipe);
	pipes->n_open--;
}

static struct pipe *pop(struct pipes *pipes)
{
	struct pipe *pipe = pipes->free;
	pipes->free = pipe->next;
	pipes->n_free--;
	return pipe;
}

void pipes_fini(struct pipes *pipes)
{
	while (pipes->free)
		destroy(pipes, pop(pipes));
	assert(pipes->n_open == 0);
}

static struct pipe *create(const struct pipes *pipes)
{
	int fds[2];
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return NULL;
	struct pipe *pipe = malloc(sizeof(*pipe));
	bool scarce = fds[0] >= pipes->fd_max || fds[1] >= pipes->fd_max;
	if (!pipe || scarce || fcntl(fds[0], F_SETPIPE_SZ, (int)PIPE_SIZE) < (int)PIPE_SIZE) {
		free(pipe);
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	*pipe = (struct pipe){.in = fds[1], .out = fds[0]};
	return pipe;
}

struct pipe *pipes_get(struct pipes *pipes, uint64_t now_us)
{
	if (pipes->free)
		return pop(pipes);
	if (pipes->n_open >= pipes->max || now_us < pipes->retry_us)
		return NULL;
	struct pipe *pipe = create(pipes);
	if (pipe)
		pipes->n_open++;
	else
		pipes->retry_us = now_us + RETRY_US;
	return pipe;
}

void pipes_put(struct pipes *pipes, struct pipe *pipe)
{
	if (!pipe)
		return;
	if (pipe->len > 0 || pipes->n_free >= FREE_MAX) {
		destroy(pipes, pipe);
		return;
	}
	pipe->next = pipes->free;
	pipes->free = pipe;
	pipes->n_free++;
}

bool pipes_give_up(struct pipes *pipes, uint64_t now_us)
{
	bool any = pipes->free != NULL;
	while (pipes->free)
		destroy(pipes, pop(pipes));
	pipes->retry_us = now_us + RETRY_US;
	return any;
}

ssize_t pipe_fill(struct pipe *pipe, struct conn *from, size_t max)
{
	assert(pipe->len == 0);
	ssize_t n = splice(from->io.fd, NULL, pipe->in, NULL, max < PIPE_SIZE ? max : PIPE_SIZE,
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	int error = errno;
	if (n < 0 ? error == EAGAIN : n > 0 && (size_t)n < max)
		watch_ask(&from->io);
	if (n < 0)
		return error == EINTR ? -EAGAIN : -error;
	pipe->len = (uint32_t)n;
	return n;
}

ssize_t pipe_drain(struct pipe *pipe, struct conn *to)
{
	ssize_t n =
	    splice(pipe->out, NULL, to->io.fd, NULL, pipe->len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	n = conn_sent(to, n, pipe->len);
	pipe->len -= (uint32_t)(n > 0 ? n : 0);
	return n;
}
