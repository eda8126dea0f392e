/* TLS between two nodes with a certificate each: both are verified against the same authorities,
 * and the peer's must have the peer's name among its DNS names (subjectAltName; the common name
 * does not count, wildcards neither). Extended key usage, if there is any: clientAuth on the node
 * that connects, serverAuth on the other. */
#pragma once

#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/text.h"
#include "daemon/tls/tls.h"

/* PEM texts: the certificate and those that lead to an authority, its private key (without a pass
 * phrase), the authorities. */
struct tls_pem {
	struct slice certificate, private_key, ca;
};

/* NULL with a text that begins with "certificate: ", "private_key: " or "ca: " when something does
 * not fit: the key to the certificate, its names to `self`. One that has expired is taken: a node
 * that serves should not end because of it, and the peer refuses it anyhow. */
struct tls_context *tls_cert_new(enum tls_side side, const struct tls_pem *pem, const char *self,
    const char *peer, struct err *err);
/* When our certificate expires, in seconds since 1970; 0: the context is one of keys. */
int64_t tls_cert_expiry(const struct tls_context *context);
