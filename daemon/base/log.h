/* Leveled logging to stderr (the journal under systemd). One call is one write of one line, so
 * lines of several threads and processes do not mix. A line names the object, the change and the
 * cause. Whatever a stranger can trigger goes through log_allowed().
 *
 * Nothing waits for a reader that does not read: a line that a full pipe or socket does not take is
 * lost, and how many were is said by the next one that it takes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Opens stderr anew for this process, so that it does not block; others who have the same pipe are
 * not affected. `role` is the process' name in each line; it must stay valid. Under systemd
 * (JOURNAL_STREAM set) lines carry the <N> priority prefix, otherwise a time stamp. */
void log_init(const char *role, enum log_level level);
void log_set_level(enum log_level level);

/* Keeps errno. Control characters are written as '?', long lines are cut. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Lines lost since the start. */
uint64_t log_lost(void);

#define log_error(...)  log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)   log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_at(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)   log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)  log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* For lines that others can cause: one per `interval_us`. Starts zero-initialised; not shared
 * between threads. */
struct log_limit {
	uint64_t next_us;
	uint64_t suppressed;
};
/* True when a line may be written now; *suppressed gets the number swallowed since the last one. */
bool log_allowed(
    struct log_limit *limit, uint64_t now_us, uint64_t interval_us, uint64_t *suppressed);
