#include "daemon/accesslog/accesslog.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/list.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/base/thread.h"

#define RETRY_MS     100        /* while a file does not take what it gets */
#define PATIENCE_US  US_PER_SEC /* then it is told, and given up if nobody adds to it any more */
#define LOG_EVERY_US (10 * US_PER_SEC)

_Static_assert(ACCESS_LINE_MAX <= PIPE_BUF, "a pipe takes a line whole or not at all");

/* A file, and the rings whose lines go there. */
struct sink {
	struct list node;
	char name[128];
	int fd;
	bool whole; /* a file: gets as much as there is; others get line by line */
	bool socket;
	uint32_t n;
	struct access_ring **rings; /* NULL: over and freed */
	struct access_ring *begun;  /* a part of its line was written: it goes on first */
	int error;                  /* of the last write */
	uint64_t error_since_us;    /* no byte was taken; 0: it does not fail */
	bool told;                  /* that it fails */
	struct log_limit error_log;
};

struct accesslog {
	pthread_t thread;
	bool started;
	int wake_fd;
	pthread_mutex_t lock;
	struct list incoming; /* under lock: sinks that the writer does not know yet */
	struct list sinks;    /* the writer's */
	_Atomic uint32_t files;
	_Atomic uint64_t lost;
	_Atomic uint64_t stop_at_us; /* 0: goes on */
};

/* --- writing --- */

/* Cuts what is behind the first line. */
static int first_line(struct iovec iov[2], int n)
{
	for (int i = 0; i < n; i++) {
		const char *end = memchr(iov[i].iov_base, '\n', iov[i].iov_len);
		if (!end)
			continue;
		iov[i].iov_len = (size_t)(end + 1 - (const char *)iov[i].iov_base);
		return i + 1;
	}
	return n;
}

/* Only a file may make us wait. */
static ssize_t write_some(const struct sink *sink, struct iovec *iov, int n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n_iov};
	ssize_t n = sink->socket ? sendmsg(sink->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL)
				 : writev(sink->fd, iov, n_iov);
	if (n == 0)
		return -EIO;
	return n < 0 ? -errno : n;
}

static bool ends_line(const struct iovec *iov, int n_iov, size_t n)
{
	for (int i = 0; i < n_iov; i++) {
		if (n <= iov[i].iov_len)
			return ((const char *)iov[i].iov_base)[n - 1] == '\n';
		n -= iov[i].iov_len;
	}
	return true;
}

/* What the ring holds now; what is added meanwhile is for the next turn, so that blocks stay large.
 * False when the file did not take it all. */
static bool write_ring(struct sink *sink, struct access_ring *ring)
{
	struct iovec iov[2];
	size_t left = access_ring_used(ring);
	/* A line that was begun is finished before another ring gets its turn. */
	while (left > 0 || sink->begun == ring) {
		int n_iov = access_ring_peek(ring, iov);
		if (!sink->whole)
			n_iov = first_line(iov, n_iov);
		ssize_t n = write_some(sink, iov, n_iov);
		if (n < 0) {
			sink->error = (int)n;
			return false;
		}
		sink->begun = ends_line(iov, n_iov, (size_t)n) ? NULL : ring;
		sink->error = 0;
		sink->error_since_us = 0;
		access_ring_take(ring, (size_t)n);
		left = left > (size_t)n ? left - (size_t)n : 0;
	}
	return true;
}

static const char *error_text(const struct sink *sink)
{
	return sink->error == -EAGAIN ? "nobody reads it" : strerror(-sink->error);
}

static void tell_error(struct sink *sink, uint64_t now_us)
{
	uint64_t suppressed;
	if (sink->error && sink->error_since_us == 0)
		sink->error_since_us = now_us;
	if (!sink->error && sink->told) {
		log_notice("access log %s: goes on", sink->name);
		sink->told = false;
	}
	if (sink->error && !sink->told && now_us - sink->error_since_us >= PATIENCE_US &&
	    log_allowed(&sink->error_log, now_us, LOG_EVERY_US, &suppressed)) {
		log_warn("access log %s: %s; lines are dropped when the buffer is full", sink->name,
		    error_text(sink));
		sink->told = true;
	}
}

static void write_sink(struct sink *sink, uint64_t now_us)
{
	bool goes_on = !sink->begun || write_ring(sink, sink->begun);
	for (uint32_t i = 0; i < sink->n && goes_on; i++)
		goes_on = !sink->rings[i] || write_ring(sink, sink->rings[i]);
	tell_error(sink, now_us);
}

/* --- the end of a file --- */

static uint64_t drop_ring(struct access_ring *ring)
{
	struct iovec iov[2];
	uint64_t lines = 0;
	int n = access_ring_peek(ring, iov);
	for (int i = 0; i < n; i++) {
		const char *p = iov[i].iov_base, *end = p + iov[i].iov_len;
		while ((p = memchr(p, '\n', (size_t)(end - p)))) {
			p++;
			lines++;
		}
		access_ring_take(ring, iov[i].iov_len);
	}
	return lines;
}

static void give_up(struct accesslog *log, struct sink *sink)
{
	uint64_t lines = 0;
	for (uint32_t i = 0; i < sink->n; i++)
		lines += sink->rings[i] ? drop_ring(sink->rings[i]) : 0;
	atomic_fetch_add_explicit(&log->lost, lines, memory_order_relaxed);
	log_warn("access log %s: %llu lines are lost: %s", sink->name, (unsigned long long)lines,
	    error_text(sink));
}

/* Frees the rings that are over. True: there is none left. */
static bool free_rings(struct sink *sink)
{
	bool all = true;
	for (uint32_t i = 0; i < sink->n; i++) {
		if (sink->rings[i] && access_ring_closed(sink->rings[i]) &&
		    access_ring_used(sink->rings[i]) == 0) {
			access_ring_free(sink->rings[i]);
			sink->rings[i] = NULL;
		}
		all = all && !sink->rings[i];
	}
	return all;
}

static bool all_closed(const struct sink *sink)
{
	for (uint32_t i = 0; i < sink->n; i++) {
		if (sink->rings[i] && !access_ring_closed(sink->rings[i]))
			return false;
	}
	return true;
}

static void free_sink(struct sink *sink)
{
	for (uint32_t i = 0; sink->rings && i < sink->n; i++)
		access_ring_free(sink->rings[i]);
	free(sink->rings);
	free(sink);
}

static void turn_sink(struct accesslog *log, struct sink *sink, uint64_t now_us, uint64_t stop_us)
{
	/* What was put before a ring was closed is written now. */
	bool closed = all_closed(sink);
	write_sink(sink, now_us);
	if (closed && sink->error &&
	    (now_us - sink->error_since_us >= PATIENCE_US || (stop_us && now_us >= stop_us)))
		give_up(log, sink);
	if (!free_rings(sink))
		return;
	list_del(&sink->node);
	close(sink->fd);
	free_sink(sink);
	atomic_fetch_sub_explicit(&log->files, 1, memory_order_release);
}

/* --- the thread --- */

static void take_incoming(struct accesslog *log)
{
	pthread_mutex_lock(&log->lock);
	struct list *node;
	while ((node = list_pop_front(&log->incoming)))
		list_push_back(&log->sinks, node);
	pthread_mutex_unlock(&log->lock);
}

/* Until there is more to write, or one that did not take it may do so now. */
static void wait_for_more(struct accesslog *log)
{
	struct pollfd fds[2] = {{.fd = log->wake_fd, .events = POLLIN}, {.fd = -1}};
	int timeout_ms = -1;
	list_for_each (it, &log->sinks) {
		const struct sink *sink = list_entry(it, struct sink, node);
		if (sink->error)
			timeout_ms = RETRY_MS;
		if (sink->error == -EAGAIN)
			fds[1] = (struct pollfd){.fd = sink->fd, .events = POLLOUT};
	}
	uint64_t count;
	if (poll(fds, 2, timeout_ms) > 0 && (fds[0].revents & POLLIN) &&
	    read(log->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("access log: eventfd: %s", strerror(errno));
}

static void *run(void *arg)
{
	struct accesslog *log = arg;
	pthread_setname_np(pthread_self(), "access log");
	for (;;) {
		uint64_t stop_us = atomic_load_explicit(&log->stop_at_us, memory_order_acquire);
		take_incoming(log);
		list_for_each_safe (it, &log->sinks)
			turn_sink(log, list_entry(it, struct sink, node), clock_us(), stop_us);
		if (stop_us && list_empty(&log->sinks))
			return NULL;
		wait_for_more(log);
	}
}

static int start_thread(struct accesslog *log)
{
	int error = thread_start(&log->thread, run, log);
	log->started = error == 0;
	return error;
}

struct accesslog *accesslog_new(void)
{
	struct accesslog *log = calloc(1, sizeof(*log));
	if (!log)
		return NULL;
	list_init(&log->incoming);
	list_init(&log->sinks);
	pthread_mutex_init(&log->lock, NULL);
	log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (log->wake_fd >= 0)
		return log;
	pthread_mutex_destroy(&log->lock);
	free(log);
	return NULL;
}

void accesslog_wake(struct accesslog *log)
{
	uint64_t one = 1;
	/* It fails only when it is awake already. */
	ssize_t n = write(log->wake_fd, &one, sizeof(one));
	(void)n;
}

/* By the wall clock: thread sanitizers do not know the function for the other one. */
static bool join(struct accesslog *log, uint64_t timeout_us)
{
	uint64_t until_us = clock_wall_us() + timeout_us;
	struct timespec until = {
	    .tv_sec = (time_t)(until_us / US_PER_SEC),
	    .tv_nsec = (long)(until_us % US_PER_SEC * 1000),
	};
	return pthread_timedjoin_np(log->thread, NULL, &until) == 0;
}

void accesslog_free(struct accesslog *log, uint64_t timeout_us)
{
	if (!log)
		return;
	uint64_t stop_at_us = clock_us() + timeout_us;
	atomic_store_explicit(&log->stop_at_us, stop_at_us, memory_order_release);
	accesslog_wake(log);
	if (log->started && !join(log, timeout_us + US_PER_SEC)) {
		log_error("access log: the disk does not answer; lines are lost");
		return;
	}
	close(log->wake_fd);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

static struct sink *new_sink(const char *name, int fd, uint32_t n, size_t size)
{
	struct stat st;
	struct sink *sink = calloc(1, sizeof(*sink));
	if (!sink)
		return NULL;
	list_init(&sink->node);
	text_copy(sink->name, sizeof(sink->name), name);
	bool known = fstat(fd, &st) == 0;
	sink->whole = known && S_ISREG(st.st_mode);
	sink->socket = known && S_ISSOCK(st.st_mode);
	sink->fd = fd;
	sink->n = n;
	sink->rings = calloc(n, sizeof(struct access_ring *));
	bool complete = sink->rings != NULL;
	for (uint32_t i = 0; complete && i < n; i++)
		complete = (sink->rings[i] = access_ring_new(size)) != NULL;
	if (complete)
		return sink;
	free_sink(sink);
	return NULL;
}

int accesslog_open(struct accesslog *log, const char *name, int fd, uint32_t n, size_t size,
    struct access_ring **rings, struct err *err)
{
	int error = log->started ? 0 : start_thread(log);
	if (error)
		return err_set(err, error, "access_log: no thread: %s", strerror(-error));
	struct sink *sink = new_sink(name, fd, n, size);
	if (!sink)
		return err_set(err, -ENOMEM, "access_log: out of memory");
	memcpy(rings, sink->rings, n * sizeof(struct access_ring *));
	atomic_fetch_add_explicit(&log->files, 1, memory_order_relaxed);
	pthread_mutex_lock(&log->lock);
	list_push_back(&log->incoming, &sink->node);
	pthread_mutex_unlock(&log->lock);
	accesslog_wake(log);
	return 0;
}

uint32_t accesslog_files(const struct accesslog *log)
{
	return atomic_load_explicit(&log->files, memory_order_acquire);
}

uint64_t accesslog_lost(const struct accesslog *log)
{
	return atomic_load_explicit(&log->lost, memory_order_relaxed);
}
