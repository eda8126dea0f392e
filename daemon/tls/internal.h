/* What the ways to prove who one is (psk.c, cert.c) and the connection (tls.c) know of each other. */
#pragma once

#include <openssl/ssl.h>

#include "daemon/tls/tls.h"

struct tls_method {
	/* After a handshake that succeeded: did the peer prove who it is? */
	bool (*proved)(const struct tls_conn *conn);
	bool (*accepts)(const struct tls_context *context, const struct tls_conn *conn);
	/* What OpenSSL's `reason` (ERR_GET_REASON) for a handshake that failed means; NULL: what it
	 * says itself. */
	const char *(*explain)(const struct tls_conn *conn, int reason);
	/* Frees what is the method's own, the context itself included. */
	void (*free)(struct tls_context *context);
};

/* The first member of a method's own struct. */
struct tls_context {
	const struct tls_method *method;
	unsigned refs; /* its owner's, and one a connection */
	enum tls_side side;
	SSL_CTX *ctx;
};

struct tls_conn {
	SSL *ssl;
	struct tls_context *context;
	enum tls_identity identity; /* of a client */
	const struct psk_key *key;  /* which one was agreed upon, or NULL */
	bool established;
	unsigned n_later; /* messages of TLS itself since then */
	char reason[160];
};

/* Fills the context with what all of them have in common. 0, or -EIO. */
int tls_context_init(
    struct tls_context *context, const struct tls_method *method, enum tls_side side);
