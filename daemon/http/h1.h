/* HTTP/1.x messages on the wire (RFC 9110, RFC 9112), parsed in place: every slice points into the
 * caller's buffer. Pure: memory in, facts out. Strict: whatever two parsers could read differently
 * is refused, not repaired, because the message is forwarded to somebody who may read it the other
 * way. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/text.h"

#define H1_FIELDS_MAX    100
#define H1_FORWARDS_MAX  (UINT32_MAX - 1) /* a larger Max-Forwards counts as this */
#define H1_FORWARDS_FREE UINT32_MAX       /* no limit */

/* Why a message was refused. Each has the status that answers it and a word for the access log and
 * metrics (`h1_refusal_name`). */
#define H1_RESULTS(X)                                                 \
	X(OK, 0, "ok")                                                \
	X(MORE, 0, "incomplete")                                      \
	X(BAD_REQUEST_LINE, 400, "bad_request_line")                  \
	X(BAD_STATUS_LINE, 502, "bad_status_line")                    \
	X(BAD_METHOD, 400, "bad_method")                              \
	X(BAD_TARGET, 400, "bad_target")                              \
	X(BAD_VERSION, 505, "bad_version")                            \
	X(BAD_FIELD_NAME, 400, "bad_field_name")                      \
	X(BAD_FIELD_VALUE, 400, "bad_field_value")                    \
	X(BAD_LINE_END, 400, "bad_line_end")                          \
	X(OBS_FOLD, 400, "obs_fold")                                  \
	X(BAD_HOST, 400, "bad_host")                                  \
	X(BAD_LENGTH, 400, "bad_content_length")                      \
	X(BAD_TRANSFER_ENCODING, 400, "bad_transfer_encoding")        \
	X(LENGTH_AND_ENCODING, 400, "length_and_transfer_encoding")   \
	X(UNSUPPORTED_ENCODING, 501, "unsupported_transfer_encoding") \
	X(TARGET_TOO_LONG, 414, "target_too_long")                    \
	X(HEAD_TOO_LARGE, 431, "head_too_large")                      \
	X(TOO_MANY_FIELDS, 431, "too_many_fields")                    \
	X(BAD_CHUNK, 400, "bad_chunk")                                \
	X(BAD_EXPECT, 417, "bad_expect")                              \
	X(BAD_MAX_FORWARDS, 400, "bad_max_forwards")

enum h1_result {
#define X(name, status, text) H1_##name,
	H1_RESULTS(X)
#undef X
	    H1_RESULT_COUNT
};

unsigned h1_refusal_status(enum h1_result result); /* 0 for OK and MORE */
const char *h1_refusal_name(enum h1_result result);

enum h1_method {
	H1_GET,
	H1_HEAD,
	H1_POST,
	H1_PUT,
	H1_DELETE,
	H1_OPTIONS,
	H1_TRACE,
	H1_CONNECT,
	H1_PATCH,
	H1_OTHER
};

/* Field names that a proxy acts on, recognised while parsing; all others are H1_FIELD_OTHER. */
#define H1_KNOWN_FIELDS(X)                            \
	X(CONNECTION, "connection")                   \
	X(CONTENT_LENGTH, "content-length")           \
	X(COOKIE, "cookie")                           \
	X(EXPECT, "expect")                           \
	X(FORWARDED, "forwarded")                     \
	X(HOST, "host")                               \
	X(HTTP2_SETTINGS, "http2-settings")           \
	X(KEEP_ALIVE, "keep-alive")                   \
	X(MAX_FORWARDS, "max-forwards")               \
	X(PROXY_AUTHENTICATE, "proxy-authenticate")   \
	X(PROXY_AUTHORIZATION, "proxy-authorization") \
	X(PROXY_CONNECTION, "proxy-connection")       \
	X(SET_COOKIE, "set-cookie")                   \
	X(TE, "te")                                   \
	X(TRAILER, "trailer")                         \
	X(TRANSFER_ENCODING, "transfer-encoding")     \
	X(UPGRADE, "upgrade")                         \
	X(X_FORWARDED_FOR, "x-forwarded-for")         \
	X(X_FORWARDED_HOST, "x-forwarded-host")       \
	X(X_FORWARDED_PORT, "x-forwarded-port")       \
	X(X_FORWARDED_PROTO, "x-forwarded-proto")

enum h1_field_id {
	H1_FIELD_OTHER,
#define X(name, text) H1_FIELD_##name,
	H1_KNOWN_FIELDS(X)
#undef X
	    H1_FIELD_COUNT,
	H1_FIELD_LOOKALIKE = H1_FIELD_COUNT /* Content_Length and such: the message is refused */
};

struct h1_field {
	struct slice line;        /* the whole line with CRLF: what is forwarded unchanged */
	struct slice name, value; /* value without surrounding white space */
	uint8_t id;               /* enum h1_field_id */
	bool hop; /* hop-by-hop: named by Connection, or by RFC 9110 section 7.6.1; not forwarded */
};

enum h1_framing { H1_BODY_NONE, H1_BODY_LENGTH, H1_BODY_CHUNKED, H1_BODY_UNTIL_CLOSE };

struct h1_head {
	size_t len;    /* bytes of the head, empty line included */
	uint8_t minor; /* HTTP/1.minor: 0 or 1 (higher minors count as 1) */

	/* request */
	enum h1_method method;
	struct slice method_text, target;
	struct slice host; /* from Host, or the absolute-form target's authority, which wins (RFC
			      9112 section 3.2.2) */
	struct slice path; /* origin-form part of the target, "/" if empty; "*" for OPTIONS * */
	bool expect_continue;
	uint32_t max_forwards; /* OPTIONS and TRACE: how many times it may still be forwarded */

	/* response */
	uint16_t status;
	struct slice reason;

	enum h1_framing framing;
	uint64_t content_length; /* H1_BODY_LENGTH; a length of 0 is H1_BODY_NONE */
	bool keep_alive; /* the sender wants to keep the connection (version and Connection) */
	bool upgrade;    /* Connection: upgrade, with an Upgrade field */
	uint16_t n_fields;
	struct h1_field fields[H1_FIELDS_MAX + 1]; /* the last one is for who writes it on */
};

/* True when h1_parse_* has a verdict other than H1_MORE: an empty line is there, or something that
 * will be refused for certain (a bare LF, a first byte that begins no message, such as a TLS
 * handshake). `*scanned` (starts at 0) remembers how far earlier calls looked, so that a head that
 * comes byte by byte costs linear time. One CRLF before a request (RFC 9112 section 2.2) is skipped
 * and is no empty line. */
bool h1_head_complete(const char *buf, size_t len, size_t *scanned);

/* The buffer is full and the head is not complete: which of H1_TARGET_TOO_LONG (the first line has
 * not ended) and H1_HEAD_TOO_LARGE it is. */
enum h1_result h1_too_large(const char *buf, size_t len);

/* Parse the head at buf[0..len). H1_MORE when it is not complete; `out` is undefined unless the
 * result is H1_OK. A refusal is returned as soon as the byte that causes it is there, and more
 * bytes never change it. A request may be preceded by at most one CRLF, counted in out->len. The
 * caller enforces the size limit (h1_too_large when MORE and the buffer is full). What is refused,
 * and where that is stricter than the RFCs, is in README.md. */
enum h1_result h1_parse_request(const char *buf, size_t len, struct h1_head *out);
/* `to_method`: of the request, because the framing depends on it (RFC 9112 section 6.3). 1xx, 204,
 * 304, responses to HEAD: no body. Anything refused is BAD_*: the caller answers 502. */
enum h1_result h1_parse_response(
    const char *buf, size_t len, enum h1_method to_method, struct h1_head *out);

/* Chunked bodies (RFC 9112 section 7.1), byte by byte if need be. Zero-initialise. */
struct h1_chunks {
	uint64_t left;     /* of the present chunk's data */
	uint64_t size;     /* of all data, that of the present chunk included */
	uint64_t name;     /* hash of the present trailer's name: some are refused */
	uint32_t line_len; /* of the size line, or of all trailers */
	uint8_t state;
	bool done; /* the last CRLF was seen */
};

/* Consumes from buf: framing and data. Returns H1_OK and *used bytes belong to this body (all of
 * them, or up to its end when chunks->done), or a refusal. When `data` is not NULL it stops after
 * the first run of data and sets it (possibly empty), so that a caller who unchunks calls again
 * until *used is 0. Bare LF, signs, spaces, more than 15 hex digits, malformed or over-long
 * extensions (256 bytes a line) and trailers (8 KiB in all) are refused (H1_BAD_CHUNK, for ever),
 * and so are trailers that would matter to framing, routing or identity if somebody took them for
 * header fields. *used and *data are untouched then. */
enum h1_result h1_chunks_feed(
    struct h1_chunks *chunks, const char *buf, size_t len, size_t *used, struct slice *data);

/* May be sent again on another connection if no byte of the response was seen (RFC 9110
 * section 9.2.2). */
bool h1_idempotent(enum h1_method method);
