#include "daemon/tls/cert.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/tls/internal.h"

#define NAME_FLAGS     (X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS)
#define SECURITY_LEVEL 2 /* RSA of 2048 bits, or what is as strong */
#define NAME_MAX_LEN   64
/* What a stranger can make us look at. */
#define CHAIN_DEPTH_MAX 4
#define CHAIN_SIZE_MAX  (32 * 1024)

struct tls_cert {
	struct tls_context context;
	char peer[NAME_MAX_LEN];
	int64_t expiry;
};

static const struct tls_cert *cert_of(const struct tls_context *context)
{
	return (const struct tls_cert *)context;
}

/* ---- judging the peer ---- */

static bool cert_proved(const struct tls_conn *conn)
{
	return SSL_get0_peer_certificate(conn->ssl) &&
	       SSL_get_verify_result(conn->ssl) == X509_V_OK;
}

/* Judges the peer's certificate once more, by other authorities and today's date. */
static bool cert_accepts(const struct tls_context *context, const struct tls_conn *conn)
{
	const struct tls_cert *cert = cert_of(context);
	X509 *peer = SSL_get0_peer_certificate(conn->ssl);
	X509_STORE_CTX *verify = peer ? X509_STORE_CTX_new() : NULL;
	X509_VERIFY_PARAM *param = NULL;
	bool good = verify && X509_STORE_CTX_init(verify, SSL_CTX_get_cert_store(context->ctx),
				  peer, SSL_get_peer_cert_chain(conn->ssl)) == 1;
	if (good) {
		param = X509_STORE_CTX_get0_param(verify);
		X509_VERIFY_PARAM_set_hostflags(param, NAME_FLAGS);
		X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
		good = X509_STORE_CTX_set_default(verify,
			   context->side == TLS_CLIENT ? "ssl_server" : "ssl_client") == 1 &&
		       X509_VERIFY_PARAM_set1_host(param, cert->peer, 0) == 1 &&
		       X509_verify_cert(verify) == 1;
	}
	X509_STORE_CTX_free(verify);
	ERR_clear_error();
	return good;
}

/* What was wrong with the peer's certificate says more than that it was. */
static const char *cert_explain(const struct tls_conn *conn, int reason)
{
	long result = SSL_get_verify_result(conn->ssl);
	(void)reason;
	return result != X509_V_OK ? X509_verify_cert_error_string(result) : NULL;
}

static void cert_free(struct tls_context *context)
{
	free(context);
}

static const struct tls_method cert_method = {cert_proved, cert_accepts, cert_explain, cert_free};

/* ---- our own ---- */

/* Nobody is there to be asked. */
static int no_pass_phrase(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static BIO *reader(struct slice pem)
{
	return BIO_new_mem_buf(pem.p, (int)pem.len);
}

/* The first certificate of the text is the node's, the others follow it in the handshake. */
static X509 *read_certificates(SSL_CTX *ctx, struct slice pem)
{
	BIO *bio = reader(pem);
	X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL) : NULL;
	X509 *more = NULL;
	bool good = leaf && SSL_CTX_use_certificate(ctx, leaf) == 1;
	while (good && (more = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
		good = SSL_CTX_add0_chain_cert(ctx, more) == 1;
		if (!good)
			X509_free(more);
	}
	BIO_free(bio);
	if (!good) {
		X509_free(leaf);
		leaf = NULL;
	}
	return leaf;
}

static EVP_PKEY *read_private_key(struct slice pem)
{
	BIO *bio = reader(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;
	BIO_free(bio);
	return key;
}

static int read_authorities(SSL_CTX *ctx, struct slice pem)
{
	BIO *bio = reader(pem);
	X509 *authority;
	int n = 0;
	while (bio && (authority = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL))) {
		if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), authority) == 1)
			n++;
		X509_free(authority);
	}
	BIO_free(bio);
	return n;
}

/* "alpha, beta.example.com", or "none". */
static void list_names(X509 *leaf, char *buf, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t used = 0;
	buf[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && used < size; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS)
			continue;
		int n = snprintf(buf + used, size - used, "%s%.*s", used ? ", " : "",
		    ASN1_STRING_length(name->d.dNSName),
		    (const char *)ASN1_STRING_get0_data(name->d.dNSName));
		used += n > 0 ? (size_t)n : 0;
	}
	if (used == 0)
		snprintf(buf, size, "none");
	GENERAL_NAMES_free(names);
}

static int64_t seconds(const ASN1_TIME *time)
{
	struct tm tm;
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int check_leaf(X509 *leaf, enum tls_side side, const char *self, struct err *err)
{
	char names[128];
	int purpose = side == TLS_CLIENT ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_SSL_SERVER;
	if (X509_check_host(leaf, self, 0, NAME_FLAGS, NULL) != 1) {
		list_names(leaf, names, sizeof(names));
		return err_set(err, -EINVAL,
		    "certificate: it does not name this node: it needs the DNS name \"%s\" in "
		    "subjectAltName, and has: %s",
		    self, names);
	}
	if (X509_check_purpose(leaf, purpose, 0) != 1)
		return err_set(err, -EINVAL,
		    "certificate: its extended key usage lacks %s; it needs clientAuth and "
		    "serverAuth, or none",
		    side == TLS_CLIENT ? "clientAuth" : "serverAuth");
	return 0;
}

static int use_own(
    struct tls_cert *cert, const struct tls_pem *pem, const char *self, struct err *err)
{
	SSL_CTX *ctx = cert->context.ctx;
	int result = 0;
	EVP_PKEY *key = NULL;
	X509 *leaf = read_certificates(ctx, pem->certificate);
	if (!leaf)
		return err_set(err, -EINVAL, "certificate: %s",
		    "no certificate in PEM in it, or one that is too weak (RSA below 2048 bits)");
	key = read_private_key(pem->private_key);
	if (!key)
		result = err_set(err, -EINVAL, "private_key: %s",
		    "no private key in PEM without a pass phrase in it");
	else if (X509_check_private_key(leaf, key) != 1 || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		result = err_set(
		    err, -EINVAL, "private_key: %s", "it is not the key of sync.certificate");
	else
		result = check_leaf(leaf, cert->context.side, self, err);
	cert->expiry = seconds(X509_get0_notAfter(leaf));
	EVP_PKEY_free(key);
	X509_free(leaf);
	return result;
}

static int use_authorities(struct tls_cert *cert, const struct tls_pem *pem, struct err *err)
{
	SSL_CTX *ctx = cert->context.ctx;
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	if (read_authorities(ctx, pem->ca) == 0)
		return err_set(err, -EINVAL, "ca: %s", "no certificate in PEM in it");
	X509_VERIFY_PARAM_set_hostflags(param, NAME_FLAGS);
	if (X509_VERIFY_PARAM_set1_host(param, cert->peer, 0) != 1)
		return err_set(err, -EINVAL, "ca: %s", "out of memory");
	/* Strangers need not know our authorities: neither their names are sent, nor, as OpenSSL
	 * would, their certificates behind ours. */
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH_MAX);
	SSL_CTX_set_max_cert_list(ctx, CHAIN_SIZE_MAX);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

struct tls_context *tls_cert_new(enum tls_side side, const struct tls_pem *pem, const char *self,
    const char *peer, struct err *err)
{
	struct tls_cert *cert = calloc(1, sizeof(*cert));
	if (!cert) {
		err_set(err, -ENOMEM, "certificate: out of memory");
		return NULL;
	}
	text_copy(cert->peer, sizeof(cert->peer), peer);
	if (tls_context_init(&cert->context, &cert_method, side) < 0) {
		err_set(err, -EINVAL, "certificate: %s", "OpenSSL refuses to set up TLS 1.3");
		goto failed;
	}
	SSL_CTX_set_security_level(cert->context.ctx, SECURITY_LEVEL);
	if (use_own(cert, pem, self, err) < 0 || use_authorities(cert, pem, err) < 0)
		goto failed;
	ERR_clear_error(); /* each PEM text was read until there was no more */
	return &cert->context;
failed:
	ERR_clear_error();
	tls_context_free(&cert->context);
	return NULL;
}

int64_t tls_cert_expiry(const struct tls_context *context)
{
	return context->method == &cert_method ? cert_of(context)->expiry : 0;
}
