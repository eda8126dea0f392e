/* TLS between two nodes that share a key: external PSK with ephemeral Diffie-Hellman (psk_dhe_ke,
 * RFC 8446 section 2.2). Who does not know the key gets no further than the handshake; there is no
 * way back to certificates. */
#pragma once

#include "daemon/base/err.h"
#include "daemon/base/keys.h"
#include "daemon/tls/tls.h"

#define TLS_PAIR_MAX 160

/* `pair` names the two talkers ("alpha>beta": who connects comes first): both sides must give the
 * same. The client offers the first key, or the second one (tls.h), the server takes any. The keys of TLS, and the identities
 * that say which one is meant, are derived from `keys` and `pair`; `keys` themselves are not kept.
 * NULL with a text on failure. */
struct tls_context *tls_psk_new(
    enum tls_side side, const struct keys *keys, const char *pair, struct err *err);
