#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024

static const struct {
	const char *name;
	int syslog_priority;
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", 3},
    [LOG_LEVEL_WARN] = {"warn", 4},
    [LOG_LEVEL_NOTICE] = {"notice", 5},
    [LOG_LEVEL_INFO] = {"info", 6},
    [LOG_LEVEL_DEBUG] = {"debug", 7},
};

static struct {
	const char *role;
	_Atomic int level;
	bool journal;
	_Atomic uint64_t lost, lost_untold;
} logger = {.role = "yoke", .level = LOG_LEVEL_INFO};

/* O_NONBLOCK belongs to the open file, which others share: the pipe is opened a second time. A
 * socket cannot be, and is told with each line. Files and what cannot be opened stay as they are.
 */
static void stop_blocking(void)
{
	struct stat status;
	if (fstat(STDERR_FILENO, &status) < 0 ||
	    !(S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))
		return;
	int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
}

void log_init(const char *role, enum log_level level)
{
	stop_blocking();
	logger.role = role;
	logger.journal = getenv("JOURNAL_STREAM") != NULL;
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&logger.level, (int)level, memory_order_relaxed);
}

static size_t line_prefix(char *line, size_t size, enum log_level level)
{
	int len;
	if (logger.journal) {
		len = snprintf(line, size, "<%d>%s: ", levels[level].syslog_priority, logger.role);
	} else {
		struct timespec now;
		struct tm tm;
		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		len = snprintf(line, size, "%02d:%02d:%02d.%03ld %-6s %s[%d]: ", tm.tm_hour,
		    tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000, levels[level].name, logger.role,
		    (int)getpid());
	}
	return (size_t)len;
}

/* Text of a stranger in a line must not make a second line, nor play with a terminal. */
static void hide_controls(char *line, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];
		if (c < 0x20 || c == 0x7f)
			line[i] = '?';
	}
}

static bool put(const char *line, size_t len)
{
	ssize_t n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		n = write(STDERR_FILENO, line, len);
	return n == (ssize_t)len;
}

static void note_lost(uint64_t lines)
{
	atomic_fetch_add_explicit(&logger.lost_untold, lines, memory_order_relaxed);
}

static void tell_lost(void)
{
	char line[128];
	uint64_t lines = atomic_exchange_explicit(&logger.lost_untold, 0, memory_order_relaxed);
	if (lines == 0)
		return;
	size_t len = line_prefix(line, sizeof(line), LOG_LEVEL_WARN);
	len += (size_t)snprintf(line + len, sizeof(line) - len,
	    "%llu lines are lost: nobody read them\n", (unsigned long long)lines);
	if (!put(line, len))
		note_lost(lines);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	if ((int)level > atomic_load_explicit(&logger.level, memory_order_relaxed))
		return;
	char line[LOG_LINE_MAX];
	size_t len = line_prefix(line, sizeof(line), level);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	hide_controls(line, len);
	line[len++] = '\n';
	tell_lost();
	if (!put(line, len)) {
		note_lost(1);
		atomic_fetch_add_explicit(&logger.lost, 1, memory_order_relaxed);
	}
	errno = saved_errno;
}

uint64_t log_lost(void)
{
	return atomic_load_explicit(&logger.lost, memory_order_relaxed);
}

bool log_allowed(
    struct log_limit *limit, uint64_t now_us, uint64_t interval_us, uint64_t *suppressed)
{
	if (now_us < limit->next_us) {
		limit->suppressed++;
		return false;
	}
	*suppressed = limit->suppressed;
	limit->suppressed = 0;
	limit->next_us = now_us + interval_us;
	return true;
}
