/* The TLS ClientHello (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2) as somebody on the way
 * reads it: which host is asked for (SNI, RFC 6066 section 3) and which protocols (ALPN, RFC 7301).
 * Nothing is decrypted, answered or changed. Pure: memory in, facts out. Strict: what two readers
 * could take differently is refused, because the hello goes on to a target that reads it itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/text.h"

/* More records than these bytes, their headers included, are refused. A hello of today has 200 to
 * 2,000 bytes. */
#define HELLO_MAX (16U * 1024)

/* Verdicts, each with its word for logs. From NOT_TLS on they are final. */
#define HELLO_RESULTS(X)                       \
	X(OK, "ok")                            \
	X(MORE, "incomplete")                  \
	X(NOT_TLS, "not_tls")                  \
	X(SSLV2, "sslv2_hello")                \
	X(BAD_RECORD, "bad_record")            \
	X(NOT_HELLO, "not_a_client_hello")     \
	X(TOO_LARGE, "client_hello_too_large") \
	X(BAD_HELLO, "bad_client_hello")       \
	X(BAD_NAME, "bad_server_name")         \
	X(BAD_ALPN, "bad_alpn")

enum hello_result {
#define X(name, text) HELLO_##name,
	HELLO_RESULTS(X)
#undef X
	    HELLO_RESULT_COUNT
};

const char *hello_result_name(enum hello_result result);

struct hello {
	/* The host_name: a DNS name of letters, digits, hyphens and underscores, as it was written,
	 * but for a final dot. Empty: none was sent. */
	struct slice name;
	struct slice alpn;    /* the checked list, for hello_offers(). Empty: none was sent */
	char flat[HELLO_MAX]; /* a message that came in several records */
};

/* How far earlier calls have looked: a hello that comes byte by byte costs linear time.
 * Zero-initialise. */
struct hello_scan {
	uint32_t at;      /* bytes of the input */
	uint32_t left;    /* of the present record */
	uint32_t message; /* bytes of the handshake message, its header included */
	uint32_t header;  /* the message's first four bytes */
	uint32_t records;
};

/* Looks at buf[0..len): all bytes since the connection began, in one piece; those behind the hello
 * are ignored. HELLO_MORE: not complete yet; what its record or message headers get wrong is told as
 * soon as it is there. HELLO_OK fills
 * *out, whose slices point into buf or into out->flat; *out is undefined otherwise. HELLO_NOT_TLS
 * says that the bytes begin no TLS connection at all, what follows it in the enum that they begin a
 * bad one. More bytes never change a verdict. */
enum hello_result hello_read(
    struct hello_scan *scan, const char *buf, size_t len, struct hello *out);

/* `protocol` ("h2") is one of those in hello->alpn. */
bool hello_offers(const struct hello *hello, struct slice protocol);
