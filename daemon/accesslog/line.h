/* One line of the access log: what became of a request, a TCP connection or a UDP session. As a JSON
 * object, or in the combined format of Apache and nginx. Pure: facts in, bytes out, without locale,
 * time zone or printf. Whatever strangers have sent is escaped and cut to a length, so a line is one
 * line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/text.h"

/* No line is longer, so a pipe takes it whole or not at all. */
#define ACCESS_LINE_MAX 4096

/* Bytes of each text, as written. */
#define ACCESS_METHOD_MAX     32U
#define ACCESS_HOST_MAX       256U
#define ACCESS_PATH_MAX       1024U
#define ACCESS_QUERY_MAX      896U
#define ACCESS_REFERER_MAX    320U
#define ACCESS_USER_AGENT_MAX 320U

enum access_format { ACCESS_JSON, ACCESS_COMBINED };
enum access_sticky {
	ACCESS_STICKY_NONE,
	ACCESS_STICKY_HIT,
	ACCESS_STICKY_NEW,
	ACCESS_STICKY_MOVED
};

#define ACCESS_FAILED_MAX 3

/* An attempt that failed. */
struct access_failure {
	const char *target, *why;
};

#define ACCESS_UNKNOWN UINT64_MAX /* a time that there is not */

/* Texts without value are NULL or empty, and have no field. Names are those of the configuration,
 * of at most 63 harmless characters; `why` is a word of ours. */
struct access_entry {
	uint64_t time_us;          /* wall clock, of the beginning */
	const struct addr *client; /* with port */
	const char *listener, *route, *pool, *target, *why;
	const char *chosen, *tier; /* words: how the target was, and from which ones */
	struct access_failure failed[ACCESS_FAILED_MAX]; /* the first ones, in their order */
	uint32_t n_failed;
	bool http;   /* else a TCP connection, which has none of the request's fields, */
	bool tunnel; /* what became of one of HTTP after a switch of protocols, */
	uint64_t datagrams_in, datagrams_out; /* or a UDP session, which has had one at least */
	enum access_sticky sticky;
	uint32_t retries, sample;
	uint64_t bytes_in, bytes_out, body_out;
	uint64_t request_us, queue_us, connect_us, response_us, total_us;

	/* http. Without a method the request was not understood. */
	struct slice method, host, path, query, user_agent, referer;
	uint8_t minor;
	uint16_t status; /* 0: the client got none */
	bool reused;     /* not the first request on its connection */
	bool pooled;     /* the connection to the target was used before */
};

/* A day and time of the last line, since the next one is often of the same second.
 * Zero-initialise. */
struct access_date {
	uint64_t sec;
	char json[19];     /* 2026-01-31T23:59:59 */
	char combined[20]; /* 31/Jan/2026:23:59:59 */
};

/* Write a line with its line feed to `out`, which has room for ACCESS_LINE_MAX bytes, and return
 * its length. The combined format is for http only. */
size_t access_json(
    const struct access_entry *entry, struct access_date *date, char out[ACCESS_LINE_MAX]);
size_t access_combined(
    const struct access_entry *entry, struct access_date *date, char out[ACCESS_LINE_MAX]);
