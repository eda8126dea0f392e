/* The heads that the proxy writes: requests to targets, responses to clients, its own answers.
 * Pure: parsed heads in, bytes out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/addr.h"
#include "daemon/base/text.h"
#include "daemon/http/h1.h"
#include "daemon/proxy/forward.h"

/* Room that is enough for heads_request of this head. */
size_t heads_request_room(const struct h1_head *head);
struct heads_request {
	const struct forward *forward;
	const struct addr *peer;
	struct slice default_host; /* for one of HTTP/1.0 that names no host: an address and port */
	const char *upgrade;       /* ask for a switch to this protocol; NULL: do not */
};

/* The request as the target gets it: HTTP/1.1, origin-form, without hop-by-hop fields but those of an
 * upgrade, with what `forward` says of `peer`, and one forward fewer in Max-Forwards, which must not
 * be 0. Returns the length. */
size_t heads_request(const struct h1_head *head, const struct heads_request *options, char *out);

struct heads_response {
	bool close;       /* say Connection: close */
	bool keep_alive;  /* say Connection: keep-alive (to HTTP/1.0) */
	bool unchunked;   /* to HTTP/1.0, which knows no chunked coding */
	struct slice via; /* these two are complete field lines, or empty */
	struct slice add;
};

/* The head may go out as it came. `raw` is its first byte. */
bool heads_response_unchanged(
    const struct h1_head *head, const char *raw, const struct heads_response *options);
size_t heads_response_room(const struct h1_head *head, const struct heads_response *options);
size_t heads_response(const struct h1_head *head, const struct heads_response *options, char *out);

/* Status line of an interim response, its fields, the empty line. */
#define HEADS_ERROR_MAX 512
/* An answer of our own with a short text body. */
struct heads_error {
	unsigned status;
	const char *why;        /* a word for people, or NULL */
	uint64_t retry_after_s; /* 0: nothing is said of it */
	bool head_only;         /* the body is announced but left out */
	bool close;
};

/* Returns the length. */
size_t heads_error(const struct heads_error *error, char out[HEADS_ERROR_MAX]);

/* An answer of the configuration: complete field lines, and a body (announced but left out when
 * `head_only`). `out` has HEADS_ANSWER_ROOM and the lengths of both. Returns the length. */
#define HEADS_ANSWER_ROOM 256
size_t heads_answer(
    unsigned status, struct slice lines, struct slice body, bool head_only, bool close, char *out);

#define HEADS_OPTIONS_MAX 64
/* Our own answer to OPTIONS, when we are the one that is asked (RFC 9110 section 9.3.7). Returns the
 * length. */
size_t heads_options(bool close, char out[HEADS_OPTIONS_MAX]);
