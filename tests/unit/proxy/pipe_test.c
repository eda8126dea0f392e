/* The pool of pipes: what it may take, and what it gives back. */
#include "daemon/proxy/pipe.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define FEW 64 /* descriptors: an eighth are four pipes */

static struct rlimit before;

static void limit_files(rlim_t n)
{
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	struct rlimit limit = {.rlim_cur = n, .rlim_max = before.rlim_max};
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void unlimit_files(void)
{
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static unsigned open_files(void)
{
	unsigned n = 0;
	DIR *dir = opendir("/proc/self/fd");
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void takes_its_share(void)
{
	struct pipes pipes;
	struct pipe *taken[4];
	limit_files(FEW);
	unsigned files = open_files();
	pipes_init(&pipes, 1);
	for (int i = 0; i < 4; i++) {
		taken[i] = pipes_get(&pipes, 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(taken[i]);
		CU_ASSERT(fcntl(taken[i]->in, F_GETPIPE_SZ) >= (int)PIPE_SIZE);
	}
	CU_ASSERT_PTR_NULL(pipes_get(&pipes, 0));
	CU_ASSERT_EQUAL(open_files(), files + 8);
	pipes_put(&pipes, taken[2]);
	CU_ASSERT_PTR_EQUAL(pipes_get(&pipes, 0), taken[2]);
	for (int i = 0; i < 4; i++)
		pipes_put(&pipes, taken[i]);
	CU_ASSERT_PTR_EQUAL(pipes_get(&pipes, 0), taken[3]); /* the warmest */
	pipes_put(&pipes, taken[3]);
	pipes_put(&pipes, NULL);
	pipes_fini(&pipes);
	CU_ASSERT_EQUAL(open_files(), files);
	pipes_init(&pipes, 5); /* less than one each */
	CU_ASSERT_PTR_NULL(pipes_get(&pipes, 0));
	pipes_fini(&pipes);
	unlimit_files();
}

static void leaves_the_last_files_alone(void)
{
	struct pipes pipes;
	int files[FEW], n = 0;
	limit_files(FEW);
	pipes_init(&pipes, 1);
	while (n < FEW && (files[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < FEW - FEW / 8 - 2)
		n++;
	CU_ASSERT_PTR_NULL(pipes_get(&pipes, 0));
	/* it does not ask each time */
	for (int i = 0; i < n; i++)
		close(files[i]);
	CU_ASSERT_PTR_NULL(pipes_get(&pipes, US_PER_SEC / 2));
	struct pipe *pipe = pipes_get(&pipes, 2 * US_PER_SEC);
	CU_ASSERT_PTR_NOT_NULL(pipe);
	pipes_put(&pipes, pipe);
	close(files[n]);
	pipes_fini(&pipes);
	unlimit_files();
}

static void forgets_bytes(void)
{
	struct pipes pipes;
	pipes_init(&pipes, 1);
	struct pipe *pipe = pipes_get(&pipes, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
	CU_ASSERT_EQUAL(write(pipe->in, "secret", 6), 6);
	pipe->len = 6;
	pipes_put(&pipes, pipe);
	CU_ASSERT_EQUAL(pipes.n_open, 0);
	pipe = pipes_get(&pipes, 0);
	char byte;
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
	CU_ASSERT(read(pipe->out, &byte, 1) < 0 && errno == EAGAIN);
	pipes_put(&pipes, pipe);
	pipes_fini(&pipes);
}

static void gives_up_what_idles(void)
{
	struct pipes pipes;
	unsigned files = open_files();
	pipes_init(&pipes, 1);
	CU_ASSERT_FALSE(pipes_give_up(&pipes, 0));
	struct pipe *used = pipes_get(&pipes, 2 * US_PER_SEC);
	struct pipe *idle = pipes_get(&pipes, 2 * US_PER_SEC);
	CU_ASSERT_FATAL(used && idle);
	pipes_put(&pipes, idle);
	CU_ASSERT(pipes_give_up(&pipes, 2 * US_PER_SEC));
	CU_ASSERT_EQUAL(open_files(), files + 2);
	CU_ASSERT_PTR_NULL(pipes_get(&pipes, 2 * US_PER_SEC)); /* others need them more */
	pipes_put(&pipes, used);
	CU_ASSERT_PTR_EQUAL(pipes_get(&pipes, 2 * US_PER_SEC), used);
	pipes_put(&pipes, used);
	pipes_fini(&pipes);
	CU_ASSERT_EQUAL(open_files(), files);
}

UNIT_MAIN("proxy/pipe", UNIT(takes_its_share), UNIT(leaves_the_last_files_alone),
    UNIT(forgets_bytes), UNIT(gives_up_what_idles))
