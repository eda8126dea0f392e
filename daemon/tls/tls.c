#include "daemon/tls/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/text.h"
#include "daemon/tls/internal.h"

/* Messages of TLS itself after the handshake: our peers send none; one that changes its keys now and
 * then would need some. */
#define LATER_MAX 32

/* OpenSSL takes and answers them within the call that reads, for as long as more come. */
static void on_message(
    int sent, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
	(void)version, (void)data, (void)len, (void)arg;
	struct tls_conn *conn = SSL_get_app_data(ssl);
	if (sent || type != SSL3_RT_HANDSHAKE || !conn->established || conn->n_later > LATER_MAX)
		return;
	if (++conn->n_later > LATER_MAX)
		SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN); /* it reads no further */
}

/* No tickets, no cache: each connection proves anew who it is. */
int tls_context_init(
    struct tls_context *context, const struct tls_method *method, enum tls_side side)
{
	context->method = method;
	context->refs = 1;
	context->side = side;
	context->ctx = SSL_CTX_new(side == TLS_CLIENT ? TLS_client_method() : TLS_server_method());
	SSL_CTX *ctx = context->ctx;
	bool good = ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") == 1 &&
		    SSL_CTX_set1_groups_list(ctx, "X25519") == 1 &&
		    SSL_CTX_set_num_tickets(ctx, 0) == 1;
	ERR_clear_error();
	if (!good)
		return -EIO;
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
				     SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_msg_callback(ctx, on_message);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(ctx, 1);
	return 0;
}

void tls_context_free(struct tls_context *context)
{
	if (!context || --context->refs > 0)
		return;
	SSL_CTX_free(context->ctx);
	context->method->free(context);
}

bool tls_context_accepts(const struct tls_context *context, const struct tls_conn *conn)
{
	return conn->established && context->method->accepts(context, conn);
}

struct tls_conn *tls_conn_new(struct tls_context *context, int fd, enum tls_identity identity)
{
	struct tls_conn *conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	context->refs++;
	conn->context = context;
	conn->identity = identity;
	conn->ssl = SSL_new(context->ctx);
	if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1) {
		ERR_clear_error();
		tls_conn_free(conn);
		return NULL;
	}
	SSL_set_app_data(conn->ssl, conn);
	if (context->side == TLS_CLIENT)
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
	tls_context_free(conn->context);
	free(conn);
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
	const char *text = code ? ERR_reason_error_string(code) : NULL, *better = NULL;
	enum tls_result result = TLS_ERROR;
	if (conn->n_later > LATER_MAX) {
		ERR_clear_error();
		return fail(conn, TLS_ERROR, "it talks too much: TLS, and no data");
	}
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
	default:
		if (!conn->established)
			better = conn->context->method->explain(conn, ERR_GET_REASON(code));
		fail(conn, result, better ? better : text ? text : "TLS failed");
		break;
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
	/* Belt and braces. */
	if (!conn->context->method->proved(conn) || SSL_version(conn->ssl) != TLS1_3_VERSION)
		return fail(conn, TLS_ERROR, "the peer did not prove who it is");
	conn->established = true;
	return TLS_OK;
}

enum tls_result tls_await(struct tls_conn *conn)
{
	char byte;
	size_t n;
	ERR_clear_error();
	errno = 0;
	int status = SSL_peek_ex(conn->ssl, &byte, 1, &n);
	return status == 1 ? TLS_OK : judge(conn, status, errno);
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
