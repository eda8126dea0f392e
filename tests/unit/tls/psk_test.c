/* Two ends of a socket pair: what works, and everything that must not. */
#include "daemon/tls/psk.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/tls/internal.h"
#include "tests/unit/unit.h"

static const struct keys key = {1, {"the pair's key, thirty-two bytes"}};
static const struct keys wrong = {1, {"the pair's key, thirty-two byteS"}};

struct ends {
	int fd[2]; /* client, server */
	struct tls_context *psk[2];
	struct tls_conn *conn[2];
};

static void open_pair(int fd[2])
{
	CU_ASSERT_EQUAL_FATAL(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
}

static void ends_open_as(struct ends *ends, const struct keys *client, enum tls_identity identity,
    const struct keys *server, const char *server_pair)
{
	struct err err;
	open_pair(ends->fd);
	ends->psk[0] = tls_psk_new(TLS_CLIENT, client, "a>b", &err);
	ends->psk[1] = tls_psk_new(TLS_SERVER, server, server_pair, &err);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(ends->psk[i]);
		ends->conn[i] = tls_conn_new(ends->psk[i], ends->fd[i], identity);
	}
}

static void ends_open(struct ends *ends, const struct keys *server, const char *server_pair)
{
	ends_open_as(ends, &key, TLS_IDENTITY_DERIVED, server, server_pair);
}

static void ends_close(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		tls_conn_free(ends->conn[i]);
		tls_context_free(ends->psk[i]);
		close(ends->fd[i]);
	}
}

static bool waiting(enum tls_result result)
{
	return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
}

/* Turn by turn until both are done, one way or the other. */
static void shake(struct ends *ends, enum tls_result result[2])
{
	result[0] = result[1] = TLS_WANT_READ;
	for (int turn = 0; turn < 20; turn++) {
		int i = turn % 2;
		if (waiting(result[i]))
			result[i] = tls_handshake(ends->conn[i]);
		/* One side's failure is the other's end of file. */
		if (result[i] == TLS_ERROR || result[i] == TLS_CLOSED)
			shutdown(ends->fd[i], SHUT_WR);
	}
}

static bool refused(enum tls_result result)
{
	return result == TLS_ERROR || result == TLS_CLOSED;
}

/* The client may think that all is well until it reads: the server's refusal comes after its own
 * last message. Nothing that it reads is data. */
static bool client_refused(struct ends *ends, enum tls_result result)
{
	char byte;
	size_t n;
	return refused(result) ||
	       (result == TLS_OK && refused(tls_read(ends->conn[0], &byte, 1, &n)));
}

static void same_key_talks_both_ways(void)
{
	struct ends ends;
	enum tls_result result[2];
	char buf[64];
	size_t n;
	ends_open(&ends, &key, "a>b");
	CU_ASSERT_EQUAL(tls_read(ends.conn[0], buf, 1, &n), TLS_ERROR); /* not before */
	shake(&ends, result);
	CU_ASSERT_EQUAL(result[0], TLS_OK);
	CU_ASSERT_EQUAL(result[1], TLS_OK);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(tls_write(ends.conn[i], "hello", 5, &n), TLS_OK);
		CU_ASSERT_EQUAL(n, 5);
		CU_ASSERT_EQUAL(tls_read(ends.conn[1 - i], buf, sizeof(buf), &n), TLS_OK);
		CU_ASSERT(n == 5 && memcmp(buf, "hello", 5) == 0);
		CU_ASSERT_EQUAL(tls_read(ends.conn[1 - i], buf, sizeof(buf), &n), TLS_WANT_READ);
	}
	tls_goodbye(ends.conn[0]);
	CU_ASSERT_EQUAL(tls_read(ends.conn[1], buf, sizeof(buf), &n), TLS_CLOSED);
	ends_close(&ends);
}

/* More than the socket holds: partial writes, from a buffer that moves. */
static void large_transfers_wait_and_continue(void)
{
	enum { SIZE = 2 * 1024 * 1024 };
	struct ends ends;
	enum tls_result result[2];
	uint8_t *data = malloc(SIZE), *copy = malloc(SIZE), *got = malloc(SIZE);
	size_t sent = 0, received = 0, n;
	bool waited = false;
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (uint8_t)(i * 2654435761U >> 13);
	memcpy(copy, data, SIZE);
	ends_open(&ends, &key, "a>b");
	shake(&ends, result);
	while (received < SIZE) {
		enum tls_result r = TLS_OK;
		while (sent < SIZE && r == TLS_OK) {
			n = 0;
			r = tls_write(ends.conn[0], (waited ? copy : data) + sent, SIZE - sent, &n);
			sent += n;
			waited = waited || r == TLS_WANT_WRITE;
		}
		CU_ASSERT_FATAL(r == TLS_OK || r == TLS_WANT_WRITE);
		while (tls_read(ends.conn[1], got + received, SIZE - received, &n) == TLS_OK) {
			received += n;
			if (received == SIZE)
				break;
		}
	}
	CU_ASSERT(waited);
	CU_ASSERT(memcmp(data, got, SIZE) == 0);
	ends_close(&ends);
	free(data);
	free(copy);
	free(got);
}

static void another_key_is_refused(void)
{
	struct ends ends;
	enum tls_result result[2];
	ends_open(&ends, &wrong, "a>b");
	shake(&ends, result);
	CU_ASSERT(refused(result[1]));
	CU_ASSERT(client_refused(&ends, result[0]));
	CU_ASSERT_STRING_EQUAL(tls_conn_reason(ends.conn[0]), "it does not know our key");
	CU_ASSERT_STRING_EQUAL(tls_conn_reason(ends.conn[1]), "it has none of our keys");
	ends_close(&ends);
}

static void another_pair_is_refused(void)
{
	struct ends ends;
	enum tls_result result[2];
	ends_open(&ends, &key, "a>c");
	shake(&ends, result);
	CU_ASSERT(refused(result[1]));
	CU_ASSERT(client_refused(&ends, result[0]));
	ends_close(&ends);
}

static const struct keys steps[] = {
    {1, {"old"}}, {2, {"old", "new"}}, {2, {"new", "old"}}, {1, {"new"}}};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static bool has_key(const struct keys *keys, const uint8_t wanted[KEY_LEN])
{
	for (unsigned i = 0; i < keys->n; i++) {
		if (memcmp(keys->of[i], wanted, KEY_LEN) == 0)
			return true;
	}
	return false;
}

/* The handshake succeeds where the server has the key that the client means, and what it was proved
 * with stays good for as long as that key is there. True if it succeeded. */
static bool keys_meet(
    const struct keys *client, enum tls_identity identity, const struct keys *server)
{
	struct ends ends;
	struct err err;
	enum tls_result result[2];
	unsigned meant = identity == TLS_IDENTITY_SECOND && client->n > 1;
	bool known = has_key(server, client->of[meant]);
	ends_open_as(&ends, client, identity, server, "a>b");
	shake(&ends, result);
	CU_ASSERT_EQUAL(result[1] == TLS_OK, known);
	CU_ASSERT_EQUAL(!client_refused(&ends, result[0]), known);
	for (int step = 0; step < STEPS; step++) {
		struct tls_context *next = tls_psk_new(TLS_SERVER, &steps[step], "a>b", &err);
		CU_ASSERT_EQUAL(tls_context_accepts(next, ends.conn[1]),
		    known && has_key(&steps[step], client->of[meant]));
		tls_context_free(next);
	}
	ends_close(&ends);
	return known;
}

/* Each step of a change of keys against each that the peer may be at: they talk unless they have no key
 * in common. */
static void keys_change_without_a_gap(void)
{
	for (int client = 0; client < STEPS; client++) {
		for (int server = 0; server < STEPS; server++) {
			bool first =
			    keys_meet(&steps[client], TLS_IDENTITY_DERIVED, &steps[server]);
			bool second =
			    keys_meet(&steps[client], TLS_IDENTITY_SECOND, &steps[server]);
			bool strange = (client == 0 && server == 3) || (client == 3 && server == 0);
			CU_ASSERT_EQUAL(first || second, !strange);
		}
	}
}

/* An older peer's way: it works with the first key, in both directions. */
static void names_in_the_clear_are_understood(void)
{
	static const struct keys servers[] = {
	    {2, {"the pair's key, thirty-two bytes", "another one"}},
	    {2, {"another one", "the pair's key, thirty-two bytes"}}};
	for (int i = 0; i < 2; i++) {
		struct ends ends;
		enum tls_result result[2];
		ends_open_as(&ends, &key, TLS_IDENTITY_NAMED, &servers[i], "a>b");
		shake(&ends, result);
		CU_ASSERT_EQUAL(result[1] == TLS_OK, i == 0);
		CU_ASSERT_EQUAL(!client_refused(&ends, result[0]), i == 0);
		CU_ASSERT_EQUAL(tls_context_accepts(ends.psk[1], ends.conn[1]), i == 0);
		ends_close(&ends);
	}
}

static bool has_bytes(const uint8_t *data, size_t len, const void *wanted, size_t wanted_len)
{
	return memmem(data, len, wanted, wanted_len) != NULL;
}

/* What the client says to anybody who listens on the peer's address. */
static void the_hello_names_nobody(void)
{
	for (int identity = 0; identity < TLS_IDENTITY_COUNT; identity++) {
		struct err err;
		int fd[2];
		uint8_t hello[2048];
		open_pair(fd);
		struct tls_context *psk = tls_psk_new(TLS_CLIENT, &key, "alpha>beta", &err);
		struct tls_conn *conn = tls_conn_new(psk, fd[0], (enum tls_identity)identity);
		tls_context_free(psk); /* the connection keeps what it needs */
		CU_ASSERT_EQUAL(tls_handshake(conn), TLS_WANT_READ);
		ssize_t len = read(fd[1], hello, sizeof(hello));
		CU_ASSERT_FATAL(len > 0);
		bool named = identity == TLS_IDENTITY_NAMED;
		CU_ASSERT_EQUAL(has_bytes(hello, (size_t)len, "alpha", 5), named);
		CU_ASSERT_EQUAL(has_bytes(hello, (size_t)len, "beta", 4), named);
		CU_ASSERT_FALSE(has_bytes(hello, (size_t)len, key.of[0], 8));
		tls_conn_free(conn);
		close(fd[0]);
		close(fd[1]);
	}
}

static void garbage_is_refused(void)
{
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	    "\x16\x03\x01\xff\xff garbage that claims to be a long record",
	    "\x15\x03\x03\x00\x02\x02\x28"};
	for (size_t i = 0; i < 3; i++) {
		struct ends ends;
		ends_open(&ends, &key, "a>b");
		CU_ASSERT(write(ends.fd[0], texts[i], strlen(texts[i]) + 1) > 0);
		shutdown(ends.fd[0], SHUT_WR);
		CU_ASSERT(refused(tls_handshake(ends.conn[1])));
		ends_close(&ends);
	}
}

/* The reason is the real one, also behind a handshake without certificates. */
static void garbage_after_the_handshake_is_told(void)
{
	static const char garbage[] = "\x17\x03\x03\x00\x20 this is no record of the connection";
	struct ends ends;
	enum tls_result result[2];
	char byte;
	size_t n;
	ends_open(&ends, &key, "a>b");
	shake(&ends, result);
	CU_ASSERT(write(ends.fd[0], garbage, sizeof(garbage)) > 0);
	CU_ASSERT_EQUAL(tls_read(ends.conn[1], &byte, 1, &n), TLS_ERROR);
	CU_ASSERT_STRING_EQUAL(
	    tls_conn_reason(ends.conn[1]), "decryption failed or bad record mac");
	ends_close(&ends);
}

/* New keys, to be answered with new keys, and no data: OpenSSL reads them for as long as they come. */
static void new_keys_without_end_are_refused(void)
{
	for (int i = 0; i < 2; i++) {
		struct ends ends;
		enum tls_result result[2];
		char buf[8];
		size_t n;
		ends_open(&ends, &key, "a>b");
		shake(&ends, result);
		CU_ASSERT(result[0] == TLS_OK && result[1] == TLS_OK);
		for (int turn = 0; turn < 200; turn++) {
			if (turn == 10) {
				CU_ASSERT_EQUAL(tls_write(ends.conn[i], "hello", 5, &n), TLS_OK);
				CU_ASSERT_EQUAL(tls_read(ends.conn[1 - i], buf, 8, &n), TLS_OK);
			}
			CU_ASSERT_EQUAL(
			    SSL_key_update(ends.conn[i]->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
			CU_ASSERT_EQUAL(SSL_do_handshake(ends.conn[i]->ssl), 1);
		}
		CU_ASSERT_EQUAL(tls_read(ends.conn[1 - i], buf, 8, &n), TLS_ERROR);
		CU_ASSERT_STRING_EQUAL(
		    tls_conn_reason(ends.conn[1 - i]), "it talks too much: TLS, and no data");
		ends_close(&ends);
	}
}

/* --- foreign ends, made with OpenSSL directly --- */

static SSL_CTX *certificate_server(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, pkey);
	CU_ASSERT(X509_sign(cert, pkey, EVP_sha256()) > 0);
	CU_ASSERT_EQUAL(SSL_CTX_use_certificate(ctx, cert), 1);
	CU_ASSERT_EQUAL(SSL_CTX_use_PrivateKey(ctx, pkey), 1);
	X509_free(cert);
	EVP_PKEY_free(pkey);
	return ctx;
}

/* Our side `ours` against a foreign one; returns our result. */
static enum tls_result shake_foreign(struct tls_conn *ours, SSL *theirs, int *their_result)
{
	enum tls_result result = TLS_WANT_READ;
	*their_result = -1;
	for (int turn = 0; turn < 10; turn++) {
		if (waiting(result))
			result = tls_handshake(ours);
		if (*their_result != 1)
			*their_result = SSL_do_handshake(theirs);
	}
	ERR_clear_error();
	return result;
}

/* Who does not know the key answers with a certificate instead: the client must not take it. */
static void a_certificate_is_no_way_in(void)
{
	struct err err;
	int fd[2], theirs;
	open_pair(fd);
	struct tls_context *psk = tls_psk_new(TLS_CLIENT, &key, "a>b", &err);
	struct tls_conn *conn = tls_conn_new(psk, fd[0], TLS_IDENTITY_DERIVED);
	SSL_CTX *ctx = certificate_server();
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd[1]);
	SSL_set_accept_state(ssl);
	CU_ASSERT_EQUAL(shake_foreign(conn, ssl, &theirs), TLS_ERROR);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	tls_conn_free(conn);
	tls_context_free(psk);
	close(fd[0]);
	close(fd[1]);
}

static void foreign_client(int max_version)
{
	struct err err;
	int fd[2], theirs;
	open_pair(fd);
	struct tls_context *psk = tls_psk_new(TLS_SERVER, &key, "a>b", &err);
	struct tls_conn *conn = tls_conn_new(psk, fd[1], TLS_IDENTITY_DERIVED);
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(ctx, max_version);
	SSL *ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd[0]);
	SSL_set_connect_state(ssl);
	CU_ASSERT_EQUAL(shake_foreign(conn, ssl, &theirs), TLS_ERROR);
	CU_ASSERT_NOT_EQUAL(theirs, 1);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	tls_conn_free(conn);
	tls_context_free(psk);
	close(fd[0]);
	close(fd[1]);
}

static void clients_without_key_or_tls13_are_refused(void)
{
	foreign_client(TLS1_2_VERSION);
	foreign_client(TLS1_3_VERSION);
}

static void bad_settings_are_errors(void)
{
	struct err err = {""};
	char long_pair[TLS_PAIR_MAX + 2];
	static const struct keys none = {0};
	memset(long_pair, 'x', sizeof(long_pair) - 1);
	long_pair[sizeof(long_pair) - 1] = '\0';
	CU_ASSERT_PTR_NULL(tls_psk_new(TLS_CLIENT, &key, "", &err));
	CU_ASSERT(err.text[0] != '\0');
	CU_ASSERT_PTR_NULL(tls_psk_new(TLS_CLIENT, &none, "a>b", &err));
	CU_ASSERT_PTR_NULL(tls_psk_new(TLS_CLIENT, &key, long_pair, &err));
}

static int run(void)
{
	static const struct unit_case cases[] = {UNIT(same_key_talks_both_ways),
	    UNIT(large_transfers_wait_and_continue), UNIT(another_key_is_refused),
	    UNIT(another_pair_is_refused), UNIT(keys_change_without_a_gap),
	    UNIT(names_in_the_clear_are_understood), UNIT(the_hello_names_nobody),
	    UNIT(garbage_is_refused), UNIT(garbage_after_the_handshake_is_told),
	    UNIT(new_keys_without_end_are_refused), UNIT(a_certificate_is_no_way_in),
	    UNIT(clients_without_key_or_tls13_are_refused), UNIT(bad_settings_are_errors)};
	return unit_run("tls/psk", cases, sizeof(cases) / sizeof(cases[0]));
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	return run();
}
