/* Two ends with certificates that are made here: what works, and everything that must not. */
#include "daemon/tls/cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/tls/psk.h"
#include "tests/unit/unit.h"

#define DAY      (24 * 3600L)
#define PEM_SIZE 4096

/* --- an authority in a few lines --- */

struct cred {
	X509 *cert;
	EVP_PKEY *key;
	char cert_pem[PEM_SIZE], key_pem[PEM_SIZE];
};

/* What a certificate says. Zero: valid from yesterday for a year, without extensions. */
struct spec {
	const char *common_name;
	const char *names; /* "DNS:a,DNS:b" */
	const char *usage; /* extended key usage */
	long from, until;  /* from now */
	bool authority;
	bool weak;
};

static void to_pem(struct cred *cred)
{
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, cred->cert);
	cred->cert_pem[BIO_read(bio, cred->cert_pem, PEM_SIZE - 1)] = '\0';
	PEM_write_bio_PrivateKey(bio, cred->key, NULL, NULL, 0, NULL, NULL);
	cred->key_pem[BIO_read(bio, cred->key_pem, PEM_SIZE - 1)] = '\0';
	BIO_free(bio);
}

static void extend(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;
	if (!value)
		return;
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!extension || X509_add_ext(cert, extension, -1) != 1)
		abort();
	X509_EXTENSION_free(extension);
}

/* `issuer` NULL: signed by itself. */
static void issue(struct cred *cred, const struct cred *issuer, const struct spec *spec)
{
	static long serial = 1;
	X509 *cert = X509_new();
	cred->cert = cert;
	cred->key = spec->weak ? EVP_RSA_gen(1024) : EVP_EC_gen("P-256");
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert), spec->from ? spec->from : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(cert), spec->until ? spec->until : 365 * DAY);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)spec->common_name, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer->cert : cert));
	X509_set_pubkey(cert, cred->key);
	extend(cert, NID_basic_constraints, spec->authority ? "critical,CA:TRUE" : NULL);
	extend(cert, NID_subject_alt_name, spec->names);
	extend(cert, NID_ext_key_usage, spec->usage);
	if (X509_sign(cert, issuer ? issuer->key : cred->key, EVP_sha256()) <= 0)
		abort();
	to_pem(cred);
}

static void cred_free(struct cred *cred)
{
	X509_free(cred->cert);
	EVP_PKEY_free(cred->key);
}

static struct cred ca, other_ca, alpha, beta;

static void make_credentials(void)
{
	issue(&ca, NULL, &(struct spec){.common_name = "lab", .authority = true});
	issue(&other_ca, NULL, &(struct spec){.common_name = "another", .authority = true});
	issue(&alpha, &ca, &(struct spec){.common_name = "x", .names = "DNS:alpha"});
	issue(&beta, &ca, &(struct spec){.common_name = "x", .names = "DNS:www,DNS:beta"});
}

/* --- two ends --- */

static struct slice text(const char *s)
{
	return (struct slice){s, strlen(s)};
}

static struct tls_pem pem_of(const struct cred *own, const char *authorities)
{
	return (struct tls_pem){text(own->cert_pem), text(own->key_pem), text(authorities)};
}

static struct tls_context *context(enum tls_side side, const struct cred *own,
    const struct cred *authority, const char *self, const char *peer)
{
	struct err err = {""};
	struct tls_pem pem = pem_of(own, authority->cert_pem);
	struct tls_context *made = tls_cert_new(side, &pem, self, peer, &err);
	if (!made)
		printf("  %s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	return made;
}

struct ends {
	int fd[2]; /* client, server */
	struct tls_conn *conn[2];
	enum tls_result result[2];
};

static bool waiting(enum tls_result result)
{
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

static bool refused(enum tls_result result)
{
	return result == TLS_ERROR || result == TLS_CLOSED;
}

static void open_pair(int fd[2])
{
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

/* Takes the contexts. Turn by turn until both are done, one way or the other; a client that thinks
 * that all is well waits for a word of the server. */
static void shake(struct ends *ends, struct tls_context *client, struct tls_context *server)
{
	struct tls_context *contexts[2] = {client, server};
	size_t n;
	open_pair(ends->fd);
	for (int i = 0; i < 2; i++) {
		ends->conn[i] = tls_conn_new(contexts[i], ends->fd[i], TLS_IDENTITY_DERIVED);
		ends->result[i] = TLS_WANT_READ;
		tls_context_free(contexts[i]);
	}
	for (int turn = 0; turn < 20; turn++) {
		int i = turn % 2;
		if (waiting(ends->result[i]))
			ends->result[i] = tls_handshake(ends->conn[i]);
		if (refused(ends->result[i]))
			shutdown(ends->fd[i], SHUT_WR);
	}
	if (ends->result[1] == TLS_OK)
		CU_ASSERT_EQUAL(tls_write(ends->conn[1], "hello", 5, &n), TLS_OK);
	if (ends->result[0] == TLS_OK)
		ends->result[0] = tls_await(ends->conn[0]);
}

static void ends_close(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		tls_conn_free(ends->conn[i]);
		close(ends->fd[i]);
	}
}

static bool says(const struct ends *ends, int side, const char *wanted)
{
	const char *reason = tls_conn_reason(ends->conn[side]);
	if (strstr(reason, wanted))
		return true;
	printf("  says \"%s\", not \"%s\"\n", reason, wanted);
	return false;
}

static void certificates_of_one_authority_talk(void)
{
	struct ends ends;
	char buf[16];
	size_t n;
	shake(&ends, context(TLS_CLIENT, &alpha, &ca, "alpha", "beta"),
	    context(TLS_SERVER, &beta, &ca, "beta", "alpha"));
	CU_ASSERT_EQUAL(ends.result[0], TLS_OK);
	CU_ASSERT_EQUAL(ends.result[1], TLS_OK);
	CU_ASSERT_EQUAL(tls_read(ends.conn[0], buf, sizeof(buf), &n), TLS_OK);
	CU_ASSERT(n == 5 && memcmp(buf, "hello", 5) == 0);
	CU_ASSERT_EQUAL(tls_write(ends.conn[0], "well", 4, &n), TLS_OK);
	CU_ASSERT_EQUAL(tls_read(ends.conn[1], buf, sizeof(buf), &n), TLS_OK);
	ends_close(&ends);
}

static void an_intermediate_travels_along(void)
{
	struct cred middle, leaf;
	struct ends ends;
	struct err err;
	char chain[2 * PEM_SIZE];
	issue(&middle, &ca, &(struct spec){.common_name = "middle", .authority = true});
	issue(&leaf, &middle, &(struct spec){.common_name = "x", .names = "DNS:beta"});
	snprintf(chain, sizeof(chain), "%s%s", leaf.cert_pem, middle.cert_pem);
	struct tls_pem pem = {text(chain), text(leaf.key_pem), text(ca.cert_pem)};
	shake(&ends, context(TLS_CLIENT, &alpha, &ca, "alpha", "beta"),
	    tls_cert_new(TLS_SERVER, &pem, "beta", "alpha", &err));
	CU_ASSERT_EQUAL(ends.result[0], TLS_OK);
	CU_ASSERT_EQUAL(ends.result[1], TLS_OK);
	ends_close(&ends);
	cred_free(&middle);
	cred_free(&leaf);
}

/* Somebody else in the place of each node in turn: the other one refuses, and says why. */
static void others_are_refused(void)
{
	static const struct {
		struct spec spec;
		const char *said;
		int issuer; /* 0: ca, 1: other_ca, 2: itself */
	} cases[] = {
	    {{.common_name = "n", .names = "DNS:gamma"}, "hostname mismatch", 0},
	    {{.common_name = "n", .names = "DNS:gamma,DNS:*"}, "hostname mismatch", 0},
	    {{.common_name = "alpha", .names = "DNS:gamma"}, "hostname mismatch", 0},
	    {{.common_name = "beta", .names = "DNS:gamma"}, "hostname mismatch", 0},
	    {{.common_name = "n", .names = "DNS:gamma,DNS:alpha,DNS:beta"},
		"unable to get local issuer certificate", 1},
	    {{.common_name = "n", .names = "DNS:gamma,DNS:alpha,DNS:beta"},
		"self-signed certificate", 2},
	    {{.common_name = "n", .names = "DNS:gamma,DNS:alpha,DNS:beta", .until = -60},
		"certificate has expired", 0},
	    {{.common_name = "n", .names = "DNS:gamma,DNS:alpha,DNS:beta", .from = DAY},
		"certificate is not yet valid", 0},
	};
	const struct cred *issuers[] = {&ca, &other_ca, NULL};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int side = 0; side < 2; side++) {
			struct cred stranger;
			struct ends ends;
			struct tls_context *contexts[2];
			issue(&stranger, issuers[cases[i].issuer], &cases[i].spec);
			contexts[0] = context(TLS_CLIENT, &alpha, &ca, "alpha", "beta");
			contexts[1] = context(TLS_SERVER, &beta, &ca, "beta", "alpha");
			tls_context_free(contexts[side]);
			contexts[side] = context(side ? TLS_SERVER : TLS_CLIENT, &stranger, &ca,
			    "gamma", side ? "alpha" : "beta");
			shake(&ends, contexts[0], contexts[1]);
			CU_ASSERT(refused(ends.result[1 - side]));
			CU_ASSERT(refused(ends.result[side]));
			CU_ASSERT(says(&ends, 1 - side, cases[i].said));
			ends_close(&ends);
			cred_free(&stranger);
		}
	}
}

static void keys_and_certificates_do_not_mix(void)
{
	static const struct keys key = {1, {"a key"}};
	struct err err;
	struct ends ends;
	shake(&ends, tls_psk_new(TLS_CLIENT, &key, "alpha>beta", &err),
	    context(TLS_SERVER, &beta, &ca, "beta", "alpha"));
	CU_ASSERT(refused(ends.result[0]) && refused(ends.result[1]));
	ends_close(&ends);
	shake(&ends, context(TLS_CLIENT, &alpha, &ca, "alpha", "beta"),
	    tls_psk_new(TLS_SERVER, &key, "alpha>beta", &err));
	CU_ASSERT(refused(ends.result[0]) && refused(ends.result[1]));
	ends_close(&ends);
}

/* Our server against a client made with OpenSSL directly. What did it learn? */
static void foreign_client(int max_version, const struct cred *own, bool shown)
{
	int fd[2], theirs = -1;
	open_pair(fd);
	struct tls_context *server = context(TLS_SERVER, &beta, &ca, "beta", "alpha");
	struct tls_conn *conn = tls_conn_new(server, fd[1], TLS_IDENTITY_DERIVED);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, max_version);
	if (own) {
		SSL_CTX_use_certificate(ctx, own->cert);
		SSL_CTX_use_PrivateKey(ctx, own->key);
	}
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd[0]);
	SSL_set_connect_state(ssl);
	enum tls_result result = TLS_WANT_READ;
	for (int turn = 0; turn < 10; turn++) {
		if (waiting(result))
			result = tls_handshake(conn);
		if (theirs != 1)
			theirs = SSL_do_handshake(ssl);
	}
	CU_ASSERT_EQUAL(result, TLS_ERROR);
	/* The certificate of a server is shown to whoever speaks TLS 1.3; nothing else is. */
	CU_ASSERT_EQUAL(SSL_get0_peer_certificate(ssl) != NULL, shown);
	CU_ASSERT(sk_X509_NAME_num(SSL_get0_peer_CA_list(ssl)) <= 0);
	CU_ASSERT(sk_X509_num(SSL_get_peer_cert_chain(ssl)) == (shown ? 1 : -1));
	char byte;
	CU_ASSERT(SSL_read(ssl, &byte, 1) <= 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	tls_conn_free(conn);
	tls_context_free(server);
	close(fd[0]);
	close(fd[1]);
	ERR_clear_error();
}

static void strangers_are_refused(void)
{
	struct cred self_signed;
	issue(&self_signed, NULL, &(struct spec){.common_name = "n", .names = "DNS:alpha"});
	foreign_client(TLS1_2_VERSION, NULL, false);
	foreign_client(TLS1_2_VERSION, &alpha, false);
	foreign_client(TLS1_3_VERSION, NULL, true);
	foreign_client(TLS1_3_VERSION, &self_signed, true);
	cred_free(&self_signed);
}

/* What each renewal, and each other change, means for a connection that there is. */
static void a_reload_judges_the_connection_anew(void)
{
	static const struct keys key = {1, {"a key"}};
	struct cred renewed;
	struct err err;
	struct ends ends, psk_ends;
	char both[2 * PEM_SIZE];
	issue(&renewed, &ca, &(struct spec){.common_name = "y", .names = "DNS:alpha"});
	snprintf(both, sizeof(both), "%s%s", other_ca.cert_pem, ca.cert_pem);
	struct tls_pem two = pem_of(&beta, both);
	struct {
		struct tls_context *context;
		bool good;
	} cases[] = {
	    {context(TLS_CLIENT, &renewed, &ca, "alpha", "beta"), true},
	    {context(TLS_CLIENT, &alpha, &other_ca, "alpha", "beta"), false},
	    {context(TLS_CLIENT, &alpha, &ca, "alpha", "gamma"), false},
	    {context(TLS_CLIENT, &alpha, &ca, "alpha", "www"), true},
	    {tls_cert_new(TLS_CLIENT, &two, "beta", "beta", &err), true},
	    {tls_psk_new(TLS_CLIENT, &key, "alpha>beta", &err), false},
	};
	shake(&ends, context(TLS_CLIENT, &alpha, &ca, "alpha", "beta"),
	    context(TLS_SERVER, &beta, &ca, "beta", "alpha"));
	shake(&psk_ends, tls_psk_new(TLS_CLIENT, &key, "alpha>beta", &err),
	    tls_psk_new(TLS_SERVER, &key, "alpha>beta", &err));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(tls_context_accepts(cases[i].context, ends.conn[0]), cases[i].good);
		CU_ASSERT_EQUAL(tls_context_accepts(cases[i].context, psk_ends.conn[0]),
		    i + 1 == sizeof(cases) / sizeof(cases[0]));
		tls_context_free(cases[i].context);
	}
	struct tls_context *server = context(TLS_SERVER, &beta, &ca, "beta", "alpha");
	CU_ASSERT(tls_context_accepts(server, ends.conn[1]));
	tls_context_free(server);
	ends_close(&ends);
	ends_close(&psk_ends);
	cred_free(&renewed);
}

static void own_mistakes_are_told(void)
{
	struct cred weak, client_only, common_name_only;
	char encrypted[PEM_SIZE];
	issue(&weak, &ca, &(struct spec){.common_name = "x", .names = "DNS:beta", .weak = true});
	issue(&client_only, &ca,
	    &(struct spec){.common_name = "x", .names = "DNS:beta", .usage = "clientAuth"});
	issue(&common_name_only, &ca, &(struct spec){.common_name = "beta"});
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(
	    bio, beta.key, EVP_aes_128_cbc(), (const unsigned char *)"phrase", 6, NULL, NULL);
	encrypted[BIO_read(bio, encrypted, PEM_SIZE - 1)] = '\0';
	BIO_free(bio);
	const struct {
		const char *certificate, *private_key, *authorities, *said;
	} cases[] = {
	    {"", beta.key_pem, ca.cert_pem, "certificate: no certificate in PEM"},
	    {beta.key_pem, beta.key_pem, ca.cert_pem, "certificate: no certificate in PEM"},
	    {weak.cert_pem, weak.key_pem, ca.cert_pem,
		"certificate: no certificate in PEM in it, "
		"or one that is too weak"},
	    {beta.cert_pem, "", ca.cert_pem, "private_key: no private key in PEM"},
	    {beta.cert_pem, encrypted, ca.cert_pem,
		"private_key: no private key in PEM without a "
		"pass phrase"},
	    {beta.cert_pem, alpha.key_pem, ca.cert_pem,
		"private_key: it is not the key of sync.certificate"},
	    {alpha.cert_pem, alpha.key_pem, ca.cert_pem,
		"certificate: it does not name this node: it needs the DNS name \"beta\" in "
		"subjectAltName, and has: alpha"},
	    {common_name_only.cert_pem, common_name_only.key_pem, ca.cert_pem, "and has: none"},
	    {client_only.cert_pem, client_only.key_pem, ca.cert_pem,
		"certificate: its extended key usage lacks serverAuth"},
	    {beta.cert_pem, beta.key_pem, "", "ca: no certificate in PEM"},
	    {beta.cert_pem, beta.key_pem, "-----BEGIN CERTIFICATE-----\nAAAA\n",
		"ca: no certificate in PEM"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = {""};
		struct tls_pem pem = {text(cases[i].certificate), text(cases[i].private_key),
		    text(cases[i].authorities)};
		CU_ASSERT_PTR_NULL(tls_cert_new(TLS_SERVER, &pem, "beta", "alpha", &err));
		if (!strstr(err.text, cases[i].said))
			printf("  says \"%s\", not \"%s\"\n", err.text, cases[i].said);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].said));
		CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	}
	cred_free(&weak);
	cred_free(&client_only);
	cred_free(&common_name_only);
}

static void tells_when_it_expires(void)
{
	static const struct keys key = {1, {"a key"}};
	struct err err;
	struct tls_context *certificate = context(TLS_SERVER, &beta, &ca, "beta", "alpha");
	struct tls_context *psk = tls_psk_new(TLS_SERVER, &key, "alpha>beta", &err);
	int64_t left = tls_cert_expiry(certificate) - (int64_t)time(NULL);
	CU_ASSERT(left > 364 * DAY && left <= 365 * DAY);
	CU_ASSERT_EQUAL(tls_cert_expiry(psk), 0);
	tls_context_free(certificate);
	tls_context_free(psk);
}

static int run(void)
{
	static const struct unit_case cases[] = {UNIT(certificates_of_one_authority_talk),
	    UNIT(an_intermediate_travels_along), UNIT(others_are_refused),
	    UNIT(keys_and_certificates_do_not_mix), UNIT(strangers_are_refused),
	    UNIT(a_reload_judges_the_connection_anew), UNIT(own_mistakes_are_told),
	    UNIT(tells_when_it_expires)};
	return unit_run("tls/cert", cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	make_credentials();
	int result = run();
	cred_free(&ca);
	cred_free(&other_ca);
	cred_free(&alpha);
	cred_free(&beta);
	return result;
}
