#include "daemon/tls/psk.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/tls/derive.h"
#include "daemon/tls/internal.h"

/* IANA value of TLS_AES_128_GCM_SHA256, as SSL_CIPHER_find wants it. */
static const unsigned char cipher_id[2] = {0x13, 0x01};

#define ID_LEN         16
#define DERIVED_PREFIX "yoke sync 2 "
#define NAMED_PREFIX   "yoke sync 1 "
#define DERIVED_MAX    (sizeof(DERIVED_PREFIX) + 2 * ID_LEN)
#define NAMED_MAX      (sizeof(NAMED_PREFIX) + TLS_PAIR_MAX)

/* Derived; wiped at the end. */
struct psk_key {
	uint8_t key[KEY_LEN];
	char identity[DERIVED_MAX];
};

struct tls_psk {
	struct tls_context context;
	unsigned n_keys;
	struct psk_key keys[KEYS_MAX];
	char named[NAMED_MAX];
};

static const struct tls_psk *psk_of(const struct tls_context *context)
{
	return (const struct tls_psk *)context;
}

/* A session in name only: the container in which OpenSSL wants an external PSK. */
static SSL_SESSION *psk_session(SSL *ssl, const struct psk_key *key)
{
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, cipher_id);
	SSL_SESSION *session = SSL_SESSION_new();
	if (session && cipher &&
	    SSL_SESSION_set1_master_key(session, key->key, sizeof(key->key)) == 1 &&
	    SSL_SESSION_set_cipher(session, cipher) == 1 &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int on_client_psk(
    SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len, SSL_SESSION **session)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	const struct tls_psk *psk = psk_of(conn->context);
	bool second = conn->identity == TLS_IDENTITY_SECOND && psk->n_keys > 1;
	const struct psk_key *key = &psk->keys[second];
	bool named = conn->identity == TLS_IDENTITY_NAMED;
	/* After a HelloRetryRequest OpenSSL asks again, for the digest that the server chose. */
	if (md && EVP_MD_get_type(md) != NID_sha256)
		return 0;
	*session = psk_session(ssl, key);
	if (!*session)
		return 0;
	conn->key = key;
	const char *identity = named ? psk->named : key->identity;
	*id = (const unsigned char *)identity;
	*id_len = strlen(identity);
	return 1;
}

static bool same_text(const unsigned char *id, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(id, text, len) == 0;
}

static const struct psk_key *find_key(
    const struct tls_psk *psk, const unsigned char *id, size_t id_len)
{
	for (unsigned i = 0; i < psk->n_keys; i++) {
		if (same_text(id, id_len, psk->keys[i].identity))
			return &psk->keys[i];
	}
	return same_text(id, id_len, psk->named) ? &psk->keys[0] : NULL;
}

/* An identity that is not ours: no session, and as there is no certificate either, the handshake
 * fails. */
static int on_server_psk(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	struct tls_conn *conn = SSL_get_app_data(ssl);
	*session = NULL;
	conn->key = find_key(psk_of(conn->context), id, id_len);
	if (!conn->key)
		return 1;
	*session = psk_session(ssl, conn->key);
	return *session != NULL;
}

/* The identity belongs to key and pair, so that a reflected or misdirected handshake fails. */
static int derive_one(struct psk_key *key, const uint8_t master[KEY_LEN], const char *pair)
{
	char label[64 + TLS_PAIR_MAX];
	uint8_t id[ID_LEN];
	snprintf(label, sizeof(label), "yoke sync channel identity %s", pair);
	if (derive_key(master, label, id, sizeof(id)) < 0)
		return -EIO;
	int len = snprintf(key->identity, sizeof(key->identity), DERIVED_PREFIX);
	for (unsigned i = 0; i < ID_LEN; i++)
		len += snprintf(
		    key->identity + len, sizeof(key->identity) - (size_t)len, "%02x", id[i]);
	return derive_key(master, "yoke sync channel psk", key->key, sizeof(key->key));
}

static int derive_all(struct tls_psk *psk, const struct keys *keys, const char *pair)
{
	snprintf(psk->named, sizeof(psk->named), NAMED_PREFIX "%s", pair);
	for (; psk->n_keys < keys->n; psk->n_keys++) {
		if (derive_one(&psk->keys[psk->n_keys], keys->of[psk->n_keys], pair) < 0)
			return -EIO;
	}
	return 0;
}

/* OpenSSL calls a PSK handshake a resumption. Without it nobody proved anything, whatever else was
 * agreed. */
static bool psk_proved(const struct tls_conn *conn)
{
	return conn->key && SSL_session_reused(conn->ssl) == 1;
}

static bool psk_accepts(const struct tls_context *context, const struct tls_conn *conn)
{
	const struct tls_psk *psk = psk_of(context);
	for (unsigned i = 0; i < psk->n_keys && conn->key; i++) {
		if (strcmp(psk->keys[i].identity, conn->key->identity) == 0)
			return true;
	}
	return false;
}

/* Without a key in common OpenSSL looks for a way with certificates, and tells why that is none. */
static const char *psk_explain(const struct tls_conn *conn, int reason)
{
	bool server = conn->context->side == TLS_SERVER;
	if (server && !conn->key && reason == SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM)
		return "it has none of our keys";
	if (!server && reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
		return "it does not know our key";
	return NULL;
}

static void psk_free(struct tls_context *context)
{
	struct tls_psk *psk = (struct tls_psk *)context;
	text_wipe(psk->keys, sizeof(psk->keys));
	free(psk);
}

static const struct tls_method psk_method = {psk_proved, psk_accepts, psk_explain, psk_free};

/* The client verifies certificates, with no authority to believe in: one that is offered ends the
 * handshake. */
static void set_callbacks(struct tls_context *context)
{
	if (context->side == TLS_CLIENT) {
		SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_psk_use_session_callback(context->ctx, on_client_psk);
	} else {
		SSL_CTX_set_psk_find_session_callback(context->ctx, on_server_psk);
	}
}

struct tls_context *tls_psk_new(
    enum tls_side side, const struct keys *keys, const char *pair, struct err *err)
{
	if (strlen(pair) == 0 || strlen(pair) > TLS_PAIR_MAX || keys->n == 0 ||
	    keys->n > KEYS_MAX) {
		err_set(err, -EINVAL, "TLS needs a key, and a name of 1..%d bytes for the pair",
		    TLS_PAIR_MAX);
		return NULL;
	}
	struct tls_psk *psk = calloc(1, sizeof(*psk));
	if (!psk) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	if (tls_context_init(&psk->context, &psk_method, side) < 0 ||
	    derive_all(psk, keys, pair) < 0) {
		err_set(err, -EIO, "OpenSSL refuses to set up TLS 1.3 with a pre-shared key");
		tls_context_free(&psk->context);
		return NULL;
	}
	set_callbacks(&psk->context);
	return &psk->context;
}
