/* The writer with real files, pipes and devices. */
#include "daemon/accesslog/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define PATIENCE_US (20 * US_PER_SEC)

/* Lets the writer work. */
static void pass(void)
{
	poll(NULL, 0, 1);
}

static bool put_line(struct access_ring *ring, const char *text)
{
	char *room = access_ring_room(ring);
	if (!room)
		return false;
	size_t len = strlen(text);
	memcpy(room, text, len);
	room[len] = '\n';
	access_ring_put(ring, len + 1);
	return true;
}

static void open_rings(
    struct accesslog *log, int fd, uint32_t n, size_t size, struct access_ring **rings)
{
	struct err err = {""};
	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	CU_ASSERT_EQUAL_FATAL(accesslog_open(log, "a file", fd, n, size, rings, &err), 0);
}

static void require_files(const struct accesslog *log, uint32_t n)
{
	uint64_t until_us = clock_us() + PATIENCE_US;
	while (accesslog_files(log) != n && clock_us() < until_us)
		pass();
	CU_ASSERT_EQUAL(accesslog_files(log), n);
}

/* A file in memory that outlives what the log closes. */
static int make_file(int *ours)
{
	*ours = memfd_create("log", MFD_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(*ours >= 0);
	int fd = fcntl(*ours, F_DUPFD_CLOEXEC, 0);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	return fd;
}

static void require_content(int fd, const char *expected)
{
	char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void lines_reach_the_file(void)
{
	int ours, fd = make_file(&ours);
	struct access_ring *ring;
	struct accesslog *log = accesslog_new();
	open_rings(log, fd, 1, 65536, &ring);
	CU_ASSERT_TRUE(put_line(ring, "one"));
	CU_ASSERT_TRUE(put_line(ring, "two"));
	accesslog_wake(log);
	uint64_t until_us = clock_us() + PATIENCE_US;
	while (access_ring_used(ring) > 0 && clock_us() < until_us)
		pass();
	require_content(ours, "one\ntwo\n");
	/* What was put last is not forgotten, and the file is closed. */
	CU_ASSERT_TRUE(put_line(ring, "three"));
	access_ring_close(ring);
	accesslog_wake(log);
	require_files(log, 0);
	require_content(ours, "one\ntwo\nthree\n");
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) < 0);
	CU_ASSERT_EQUAL(accesslog_lost(log), 0);
	accesslog_free(log, US_PER_SEC);
	close(ours);
}

/* The lines of a configuration go to its file, whatever came after it. */
static void each_file_has_its_rings(void)
{
	int ours[2], fds[2] = {make_file(&ours[0]), make_file(&ours[1])};
	struct access_ring *old[2], *new[2];
	struct accesslog *log = accesslog_new();
	open_rings(log, fds[0], 2, 65536, old);
	put_line(old[0], "a");
	open_rings(log, fds[1], 2, 65536, new);
	CU_ASSERT_EQUAL(accesslog_files(log), 2);
	put_line(new[1], "c");
	access_ring_close(old[0]);
	put_line(old[1], "b");
	access_ring_close(old[1]);
	accesslog_wake(log);
	require_files(log, 1);
	require_content(ours[0], "a\nb\n");
	access_ring_close(new[0]);
	access_ring_close(new[1]);
	accesslog_free(log, US_PER_SEC);
	require_content(ours[1], "c\n");
	close(ours[0]);
	close(ours[1]);
}

/* A pipe that nobody reads: the writer gives up, and says how many lines are lost. */
static void a_pipe_that_nobody_reads(void)
{
	int pipe_fds[2];
	CU_ASSERT_EQUAL_FATAL(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	struct access_ring *ring;
	struct accesslog *log = accesslog_new();
	open_rings(log, pipe_fds[1], 1, 1 << 18, &ring);
	char line[1024];
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	uint64_t lines = 0, read_lines = 0;
	while (put_line(ring, line))
		lines++;
	access_ring_close(ring);
	accesslog_wake(log);
	require_files(log, 0);
	/* What was taken is whole lines. */
	for (ssize_t n; (n = read(pipe_fds[0], line, sizeof(line))) > 0; read_lines++) {
		CU_ASSERT_EQUAL(n, sizeof(line));
		CU_ASSERT_EQUAL(line[sizeof(line) - 1], '\n');
	}
	CU_ASSERT(read_lines > 0 && read_lines < lines);
	CU_ASSERT_EQUAL(read_lines + accesslog_lost(log), lines);
	accesslog_free(log, 0);
	close(pipe_fds[0]);
}

static void *read_slowly(void *arg)
{
	static char buf[3000];
	size_t total = 0;
	int fd = *(int *)arg;
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	while (poll(&readable, 1, (int)(PATIENCE_US / US_PER_MS)) > 0) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			break;
		total += (size_t)n;
		pass();
	}
	*(int *)arg = (int)total;
	return NULL;
}

/* Short writes to a socket are continued in the middle of a line. */
static void a_slow_reader_gets_all(void)
{
	int fds[2], small = 4096;
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	int reader = fds[0];
	pthread_t thread;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, read_slowly, &reader), 0);
	struct access_ring *ring;
	struct accesslog *log = accesslog_new();
	open_rings(log, fds[1], 1, 65536, &ring);
	char line[3000];
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	uint64_t until_us = clock_us() + PATIENCE_US;
	int lines = 0;
	while (lines < 500 && clock_us() < until_us) {
		if (put_line(ring, line))
			lines++;
		else
			pass();
		accesslog_wake(log);
	}
	access_ring_close(ring);
	accesslog_wake(log);
	require_files(log, 0);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(reader, 500 * (int)sizeof(line));
	CU_ASSERT_EQUAL(accesslog_lost(log), 0);
	accesslog_free(log, 0);
	close(fds[0]);
}

/* A full disk: the rings fill, and the end does not wait for it longer than it is told to. */
static void a_full_disk(void)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	struct access_ring *rings[2];
	struct accesslog *log = accesslog_new();
	open_rings(log, fd, 2, 65536, rings);
	put_line(rings[0], "x");
	put_line(rings[1], "y");
	accesslog_wake(log);
	while (put_line(rings[0], "a line that waits, and then they are too many"))
		;
	CU_ASSERT(access_ring_used(rings[0]) > 60000);
	access_ring_close(rings[0]);
	access_ring_close(rings[1]);
	accesslog_free(log, 0); /* the sanitizer tells if it forgets memory */
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A disk that is full in the middle of a line, and then gets room: no line is lost, or mixed with one
 * of another worker. */
static void a_disk_that_gets_room(void)
{
	int ours, fd = make_file(&ours);
	struct access_ring *rings[2];
	struct accesslog *log = accesslog_new();
	signal(SIGXFSZ, SIG_IGN);
	limit_file_size(10);
	open_rings(log, fd, 2, 65536, rings);
	put_line(rings[1], "one");
	put_line(rings[1], "two and more");
	accesslog_wake(log);
	uint64_t until_us = clock_us() + PATIENCE_US;
	while (lseek(ours, 0, SEEK_END) < 10 && clock_us() < until_us)
		pass();
	require_content(ours, "one\ntwo an");
	put_line(rings[0], "three");
	accesslog_wake(log);
	limit_file_size(RLIM_INFINITY);
	access_ring_close(rings[0]);
	access_ring_close(rings[1]);
	accesslog_free(log, PATIENCE_US);
	require_content(ours, "one\ntwo and more\nthree\n");
	close(ours);
}

static void nothing_was_opened(void)
{
	struct accesslog *log = accesslog_new();
	CU_ASSERT_EQUAL(accesslog_files(log), 0);
	accesslog_wake(log);
	accesslog_free(log, US_PER_SEC);
}

struct producer {
	struct access_ring *ring;
	struct accesslog *log;
	int number;
};

#define LINES 20000

static void *produce(void *arg)
{
	struct producer *producer = arg;
	char line[64];
	for (int n = 0; n < LINES;) {
		snprintf(line, sizeof(line), "%d %d", producer->number, n);
		if (put_line(producer->ring, line))
			n++;
		else
			pass();
		if (n % 1000 == 0)
			accesslog_wake(producer->log);
	}
	access_ring_close(producer->ring);
	return NULL;
}

/* All lines of several threads, each thread's in its order. */
static void several_threads(void)
{
	int ours, fd = make_file(&ours);
	struct access_ring *rings[3];
	struct producer producers[3];
	pthread_t threads[3];
	struct accesslog *log = accesslog_new();
	open_rings(log, fd, 3, 65536, rings);
	for (int i = 0; i < 3; i++) {
		producers[i] = (struct producer){rings[i], log, i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	accesslog_free(log, PATIENCE_US);
	int next[3] = {0}, wrong = 0, number, n;
	FILE *file = fdopen(ours, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	rewind(file);
	while (fscanf(file, "%d %d\n", &number, &n) == 2)
		wrong += number < 0 || number > 2 || next[number]++ != n;
	fclose(file);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(next[0] == LINES && next[1] == LINES && next[2] == LINES);
}

UNIT_MAIN("accesslog/writer", UNIT(lines_reach_the_file), UNIT(each_file_has_its_rings),
    UNIT(a_pipe_that_nobody_reads), UNIT(a_slow_reader_gets_all), UNIT(a_full_disk),
    UNIT(a_disk_that_gets_room), UNIT(nothing_was_opened), UNIT(several_threads))
