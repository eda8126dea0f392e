/* The access log, as seen from the worker: what is noted of a request, a TCP connection or a UDP
 * session while it lasts, and the one line that is made of it at its end. Nothing here waits, locks or asks the kernel
 * for more than the time; while there is no access log, each hook is a store or a branch. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "daemon/accesslog/accesslog.h"
#include "daemon/base/log.h"
#include "daemon/proxy/buf.h"

struct h1_head;
struct pool;
struct target;
struct txn;
struct worker;

/* Of a worker. */
struct access_state {
	struct accesslog *log;
	struct access_ring *ring; /* NULL: no access log */
	struct access_date date;
	int64_t wall_us;       /* what the wall clock is ahead of the monotonic one */
	uint64_t wall_read_us; /* when that was read */
	uint64_t woken_us;     /* when the writer was told that there is something */
	uint32_t unsampled;    /* lines left out since the last one that went well */
	uint64_t dropped_told;
	struct log_limit dropped_log;
};

/* The texts that are kept of a request head. */
enum access_text {
	ACCESS_TEXT_METHOD,
	ACCESS_TEXT_HOST,
	ACCESS_TEXT_PATH,
	ACCESS_TEXT_QUERY,
	ACCESS_TEXT_REFERER,
	ACCESS_TEXT_USER_AGENT,
	ACCESS_TEXT_COUNT
};

/* Attempts that failed, the first ones. */
struct access_failures {
	uint32_t n;
	struct {
		const struct target *target;
		const char *why;
	} each[ACCESS_FAILED_MAX];
};

/* Of a transaction. Times are those of the turns of the loop, 0: not yet. */
struct access_note {
	bool kept;       /* what is below, as it will have a line or be explained to the client */
	bool on;         /* it will have a line */
	bool reused;     /* not the first request on its connection */
	bool pooled;     /* the target's connection was used before */
	bool over_limit; /* of a rate limit that is log_only */
	uint8_t retries;
	uint16_t status; /* that the client got; 0: none */
	uint16_t len[ACCESS_TEXT_COUNT];
	struct buf text;
	const char *why, *route; /* words; NULL: none */
	const char *tier;        /* of the target, if not one of those that should be used */
	const struct target *target;
	struct access_failures failures;
	uint64_t bytes_in, bytes_out, head_out;
	uint64_t began_us, head_us, connected_us, response_us;
};

/* Of a TCP connection or UDP session: exists only when it will have a line. */
struct access_pair {
	struct addr client;
	const struct target *target;
	const char *pool, *route, *why, *tier;
	struct access_failures failures;
	bool failed; /* `why` is no way in which one should end */
	bool tunnel; /* it began as a request, which had a line of its own */
	uint8_t sticky, retries;
	uint64_t bytes[2];     /* read from the client, from the target */
	uint64_t datagrams[2]; /* the same of a UDP session; 0: none */
	uint64_t began_us, queue_us, connected_us;
};

/* Takes the ring of a configuration that is put in force, or NULL, and ends the one before. */
void access_set_ring(struct worker *worker, struct access_ring *ring);
/* Each turn of the loop: wakes the writer now and then, says that lines were dropped. */
void access_turn(struct worker *worker);

/* For a new transaction whose note is kept. */
void access_begin(struct txn *txn);
/* It goes to this target now. */
void access_target(struct txn *txn, const struct target *target);
/* How its target was chosen: a word; NULL: none was. */
const char *access_chosen(const struct txn *txn);
/* Its head was understood: copies what the line needs. */
void access_request(struct txn *txn, const struct h1_head *head);
/* It is over: writes the line. */
void access_end(struct txn *txn);

/* The same for a TCP connection or UDP session; NULL when out of memory: then it has no line. */
struct access_pair *access_pair_new(const struct addr *client, uint64_t now_us);
/* It goes to this target of the pool now. */
void access_pair_target(
    struct access_pair *note, const struct pool *pool, const struct target *target);
/* It is over. Takes the note. */
void access_pair_end(struct worker *worker, struct access_pair *note, const char *listener);

/* The first reason is the one that counts. */
static inline void access_why(struct access_note *note, const char *why)
{
	if (!note->why)
		note->why = why;
}

/* The attempt has failed, so that another one may follow. */
static inline void access_failed(
    struct access_failures *failed, const struct target *target, const char *why)
{
	if (failed->n == ACCESS_FAILED_MAX)
		return;
	failed->each[failed->n].target = target;
	failed->each[failed->n++].why = why;
}

/* An answer of ours: its head, for a reader that wants the length of the body. */
static inline void access_answer(
    struct access_note *note, unsigned status, const char *why, struct slice text)
{
	note->status = (uint16_t)status;
	access_why(note, why);
	const char *end = note->on ? memmem(text.p, text.len, "\r\n\r\n", 4) : NULL;
	note->head_out = end ? (uint64_t)(end + 4 - text.p) : 0;
}

/* As above, but what failed overrules who closed. */
static inline void access_pair_why(struct access_pair *note, const char *why, bool failed)
{
	if (!note || note->failed || (note->why && !failed))
		return;
	note->why = why;
	note->failed = failed;
}
