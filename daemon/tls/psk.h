/* TLS 1.3 between two nodes that share a key: external PSK with ephemeral Diffie-Hellman
 * (psk_dhe_ke, RFC 8446 section 2.2), TLS_AES_128_GCM_SHA256, X25519. Who does not know the key
 * gets no further than the handshake; recorded traffic stays secret when the key leaks later. There
 * is no way back to certificates, older versions or plain text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/keys.h"

#define TLS_PAIR_MAX 160

enum tls_side { TLS_CLIENT, TLS_SERVER };

enum tls_result {
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_CLOSED, /* the peer said goodbye, or the connection ended */
	TLS_ERROR   /* tls_conn_reason() says why; the connection is of no more use */
};

struct tls_psk;  /* one side's settings and keys; for any number of connections, of one thread */
struct tls_conn; /* a connection */

/* `pair` names the two talkers ("alpha>beta": who connects comes first): both sides must give the
 * same. The client offers the first key, the server takes any. The keys of TLS, and the identities
 * that say which one is meant, are derived from `keys` and `pair`; `keys` themselves are not kept.
 * NULL with a text on failure. */
struct tls_psk *tls_psk_new(
    enum tls_side side, const struct keys *keys, const char *pair, struct err *err);
void tls_psk_free(struct tls_psk *psk);

/* How a client says which key it means. */
enum tls_identity {
	TLS_IDENTITY_DERIVED, /* tells nobody anything who does not know the key */
	TLS_IDENTITY_NAMED,   /* the names in the clear, as an older peer wants it */
	TLS_IDENTITY_COUNT
};

/* Over a connected non-blocking socket, which stays the caller's and must outlive the connection;
 * `psk` need not. A server ignores `identity`: it understands both, the named one for its first
 * key. NULL when out of memory. */
struct tls_conn *tls_conn_new(struct tls_psk *psk, int fd, enum tls_identity identity);
void tls_conn_free(struct tls_conn *conn);
/* Is the key that was proved on the connection one of `psk`'s? */
bool tls_psk_accepts(const struct tls_psk *psk, const struct tls_conn *conn);

/* Until TLS_OK; only then read and write. */
enum tls_result tls_handshake(struct tls_conn *conn);
/* TLS_OK with *n > 0 bytes moved, perhaps fewer than asked. Read until TLS_WANT_READ: what is
 * buffered inside does not make the socket readable. A caller that was told to wait may write again
 * from another address, but not fewer bytes. SIGPIPE must be blocked or ignored. */
enum tls_result tls_read(struct tls_conn *conn, void *buf, size_t size, size_t *n);
enum tls_result tls_write(struct tls_conn *conn, const void *buf, size_t len, size_t *n);
/* Says goodbye if that is possible without waiting. */
void tls_goodbye(struct tls_conn *conn);
/* Why the last call ended with TLS_ERROR or TLS_CLOSED. */
const char *tls_conn_reason(const struct tls_conn *conn);
