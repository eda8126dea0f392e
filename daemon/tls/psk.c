#include "daemon/tls/psk.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/tls/derive.h"

#define REASON_MAX 160

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
	unsigned refs; /* its owner's, and one a connection */
	SSL_CTX *ctx;
	enum tls_side side;
	unsigned n_keys;
	struct psk_key keys[KEYS_MAX];
	char named[NAMED_MAX];
};

struct tls_conn {
	SSL *ssl;
	struct tls_psk *psk;
	enum tls_identity identity; /* of a client */
	const struct psk_key *key;  /* which one was agreed upon, or NULL */
	bool established;
	char reason[REASON_MAX];
};

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
	const struct psk_key *key = &conn->psk->keys[0];
	bool named = conn->identity == TLS_IDENTITY_NAMED;
	/* After a HelloRetryRequest OpenSSL asks again, for the digest that the server chose. */
	if (md && EVP_MD_get_type(md) != NID_sha256)
		return 0;
	*session = psk_session(ssl, key);
	if (!*session)
		return 0;
	conn->key = key;
	const char *identity = named ? conn->psk->named : key->identity;
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
	conn->key = find_key(conn->psk, id, id_len);
	if (!conn->key)
		return 1;
	*session = psk_session(ssl, conn->key);
	return *session != NULL;
}

static bool ctx_configure(SSL_CTX *ctx, enum tls_side side)
{
	/* No tickets, no cache: each connection proves the key anew. The client verifies
	 * certificates, with no authority to believe in: one that is offered ends the handshake. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				     SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (side == TLS_CLIENT) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_psk_use_session_callback(ctx, on_client_psk);
	} else {
		SSL_CTX_set_psk_find_session_callback(ctx, on_server_psk);
	}
	return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1 &&
	       SSL_CTX_set1_groups_list(ctx, "X25519") == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1;
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

struct tls_psk *tls_psk_new(
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
	psk->refs = 1;
	psk->side = side;
	psk->ctx = SSL_CTX_new(side == TLS_CLIENT ? TLS_client_method() : TLS_server_method());
	if (!psk->ctx || !ctx_configure(psk->ctx, side) || derive_all(psk, keys, pair) < 0) {
		err_set(err, -EIO, "OpenSSL refuses to set up TLS 1.3 with a pre-shared key");
		ERR_clear_error();
		tls_psk_free(psk);
		return NULL;
	}
	return psk;
}

void tls_psk_free(struct tls_psk *psk)
{
	if (!psk || --psk->refs > 0)
		return;
	SSL_CTX_free(psk->ctx);
	text_wipe(psk->keys, sizeof(psk->keys));
	free(psk);
}

struct tls_conn *tls_conn_new(struct tls_psk *psk, int fd, enum tls_identity identity)
{
	struct tls_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	psk->refs++;
	conn->psk = psk;
	conn->identity = identity;
	conn->ssl = SSL_new(psk->ctx);
	if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1) {
		ERR_clear_error();
		tls_conn_free(conn);
		return NULL;
	}
	SSL_set_app_data(conn->ssl, conn);
	if (psk->side == TLS_CLIENT)
		SSL_set_connect_state(conn->ssl);
	else
		SSL_set_accept_state(conn->ssl);
	return conn;
}

void tls_conn_free(struct tls_conn *conn)
{
	if (!conn)
		return;
	SSL_free(conn->ssl);
	tls_psk_free(conn->psk);
	free(conn);
}

bool tls_psk_accepts(const struct tls_psk *psk, const struct tls_conn *conn)
{
	for (unsigned i = 0; i < psk->n_keys && conn->established; i++) {
		if (strcmp(psk->keys[i].identity, conn->key->identity) == 0)
			return true;
	}
	return false;
}

static enum tls_result fail(struct tls_conn *conn, enum tls_result result, const char *reason)
{
	text_copy(conn->reason, sizeof(conn->reason), reason);
	return result;
}

/* What `status`, a return value of OpenSSL that is not success, means. errno as it was left. */
static enum tls_result judge(struct tls_conn *conn, int status, int saved_errno)
{
	int kind = SSL_get_error(conn->ssl, status);
	unsigned long code = ERR_peek_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;
	enum tls_result result = TLS_ERROR;
	switch (kind) {
	case SSL_ERROR_WANT_READ: result = TLS_WANT_READ; break;
	case SSL_ERROR_WANT_WRITE: result = TLS_WANT_WRITE; break;
	case SSL_ERROR_ZERO_RETURN: fail(conn, result = TLS_CLOSED, "closed by the peer"); break;
	case SSL_ERROR_SYSCALL:
		if (saved_errno == 0)
			fail(conn, result = TLS_CLOSED, "closed by the peer");
		else
			fail(conn, result, strerror(saved_errno));
		break;
	default: fail(conn, result, text ? text : "TLS failed"); break;
	}
	ERR_clear_error();
	return result;
}

enum tls_result tls_handshake(struct tls_conn *conn)
{
	ERR_clear_error();
	errno = 0;
	int status = SSL_do_handshake(conn->ssl);
	if (status != 1)
		return judge(conn, status, errno);
	/* Belt and braces: OpenSSL calls a PSK handshake a resumption. Without it nobody proved
	 * anything, whatever else was agreed. */
	if (!conn->key || SSL_session_reused(conn->ssl) != 1 ||
	    SSL_version(conn->ssl) != TLS1_3_VERSION)
		return fail(conn, TLS_ERROR, "the peer did not prove the key");
	conn->established = true;
	return TLS_OK;
}

enum tls_result tls_read(struct tls_conn *conn, void *buf, size_t size, size_t *n)
{
	if (!conn->established)
		return fail(conn, TLS_ERROR, "read before the handshake");
	ERR_clear_error();
	errno = 0;
	int status = SSL_read_ex(conn->ssl, buf, size, n);
	return status == 1 ? TLS_OK : judge(conn, status, errno);
}

enum tls_result tls_write(struct tls_conn *conn, const void *buf, size_t len, size_t *n)
{
	if (!conn->established)
		return fail(conn, TLS_ERROR, "write before the handshake");
	ERR_clear_error();
	errno = 0;
	int status = SSL_write_ex(conn->ssl, buf, len, n);
	return status == 1 ? TLS_OK : judge(conn, status, errno);
}

void tls_goodbye(struct tls_conn *conn)
{
	if (!conn->established)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(conn->ssl);
	ERR_clear_error();
}

const char *tls_conn_reason(const struct tls_conn *conn)
{
	return conn->reason;
}
