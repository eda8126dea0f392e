/* A TLS 1.3 connection between the two nodes of a pair: TLS_AES_128_GCM_SHA256, X25519, no tickets,
 * no older version, no plain text. How the nodes prove who they are is the context's matter: by a
 * key that both have (psk.h) or by certificates (cert.h). Recorded traffic stays secret when a key
 * leaks later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

enum tls_side { TLS_CLIENT, TLS_SERVER };

enum tls_result {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* the peer said goodbye, or the connection ended */
	TLS_ERROR   /* tls_conn_reason() says why; the connection is of no more use */
};

/* One side's settings and secrets; for any number of connections, of one thread. */
struct tls_context;
struct tls_conn; /* a connection */

void tls_context_free(struct tls_context *context);

/* How a client that has a key says which one it means. */
enum tls_identity {
	TLS_IDENTITY_DERIVED, /* tells nobody anything who does not know the key */
	TLS_IDENTITY_SECOND,  /* the same of the second key, if there is one: the peer may have no
				 other yet, or no other any more */
	TLS_IDENTITY_NAMED,   /* the names in the clear, as an older peer wants it */
	TLS_IDENTITY_COUNT
};

/* Over a connected non-blocking socket, which stays the caller's and must outlive the connection;
 * the context need not. A server ignores `identity`: it understands both, the named one for its
 * first key. NULL when out of memory. */
struct tls_conn *tls_conn_new(struct tls_context *context, int fd, enum tls_identity identity);
void tls_conn_free(struct tls_conn *conn);
/* Would what was proved on the connection be good enough for `context` as well? */
bool tls_context_accepts(const struct tls_context *context, const struct tls_conn *conn);

/* Until TLS_OK; only then read and write. A client's success is one-sided: whether the server is
 * content too shows when it says something (tls_await). */
enum tls_result tls_handshake(struct tls_conn *conn);
/* TLS_OK when there is something to read. */
enum tls_result tls_await(struct tls_conn *conn);
/* TLS_OK with *n > 0 bytes moved, perhaps fewer than asked. Read until TLS_WANT_READ: what is
 * buffered inside does not make the socket readable. A caller that was told to wait may write again
 * from another address, but not fewer bytes. SIGPIPE must be blocked or ignored. */
enum tls_result tls_read(struct tls_conn *conn, void *buf, size_t size, size_t *n);
enum tls_result tls_write(struct tls_conn *conn, const void *buf, size_t len, size_t *n);
/* Says goodbye if that is possible without waiting. */
void tls_goodbye(struct tls_conn *conn);
/* Why the last call ended with TLS_ERROR or TLS_CLOSED. */
const char *tls_conn_reason(const struct tls_conn *conn);
