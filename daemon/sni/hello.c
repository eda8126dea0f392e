#include "daemon/sni/hello.h"

#include <string.h>

#include "daemon/base/bytes.h"

#define RECORD_HEADER     5U
#define RECORD_MAX        16384U /* RFC 8446 section 5.1 */
#define MESSAGE_HEADER    4U
#define TYPE_HANDSHAKE    22
#define TYPE_CLIENT_HELLO 1
#define RANDOM_LEN        32
#define SESSION_ID_MAX    32
#define EXT_SERVER_NAME   0
#define EXT_ALPN          16
#define NAME_HOST         0
#define NAME_MAX          253
#define LABEL_MAX         63

const char *hello_result_name(enum hello_result result)
{
	static const char *const names[] = {
#define X(name, text) text,
	    HELLO_RESULTS(X)
#undef X
	};
	return result < HELLO_RESULT_COUNT ? names[result] : "?";
}

/* ---- the message, in one piece ---- */

/* The part of a message that was not read yet. */
struct cursor {
	const uint8_t *p;
	size_t left;
};

static bool take(struct cursor *from, size_t len, struct cursor *out)
{
	if (from->left < len)
		return false;
	*out = (struct cursor){from->p, len};
	from->p += len;
	from->left -= len;
	return true;
}

static bool take_number(struct cursor *from, unsigned bytes, size_t *out)
{
	struct cursor number;
	if (!take(from, bytes, &number))
		return false;
	*out = bytes_get(number.p, bytes);
	return true;
}

/* A vector: its length in `bytes` bytes, then so many. */
static bool take_vector(struct cursor *from, unsigned bytes, size_t min, struct cursor *out)
{
	size_t len;
	return take_number(from, bytes, &len) && len >= min && take(from, len, out);
}

static struct slice slice_of(struct cursor cursor)
{
	return (struct slice){(const char *)cursor.p, cursor.left};
}

static bool is_label_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool is_dns_name(struct slice name)
{
	size_t label = 0;
	for (size_t i = 0; i < name.len; i++) {
		if (name.p[i] != '.' && !is_label_byte(name.p[i]))
			return false;
		label = name.p[i] == '.' ? 0 : label + 1;
		bool empty = label == 0 && (i == 0 || name.p[i - 1] == '.');
		if (empty || label > LABEL_MAX)
			return false;
	}
	return label > 0 && name.len <= NAME_MAX;
}

/* A list of exactly one host_name: other types were never defined, and servers differ on them. */
static bool read_server_name(struct cursor extension, struct slice *out)
{
	struct cursor list, name;
	size_t type;
	if (!take_vector(&extension, 2, 1, &list) || extension.left > 0 ||
	    !take_number(&list, 1, &type) || type != NAME_HOST ||
	    !take_vector(&list, 2, 1, &name) || list.left > 0)
		return false;
	if (name.p[name.left - 1] == '.')
		name.left--;
	*out = slice_of(name);
	return is_dns_name(*out);
}

static bool read_alpn(struct cursor extension, struct slice *out)
{
	struct cursor list, protocol;
	if (!take_vector(&extension, 2, 2, &list) || extension.left > 0)
		return false;
	*out = slice_of(list);
	while (list.left > 0) {
		if (!take_vector(&list, 1, 1, &protocol))
			return false;
	}
	return true;
}

static enum hello_result read_extensions(struct cursor list, struct hello *out)
{
	while (list.left > 0) {
		struct cursor extension;
		size_t type;
		if (!take_number(&list, 2, &type) || !take_vector(&list, 2, 0, &extension))
			return HELLO_BAD_HELLO;
		/* Neither may come twice (RFC 8446 section 4.2). */
		if (type == EXT_SERVER_NAME &&
		    (out->name.p || !read_server_name(extension, &out->name)))
			return HELLO_BAD_NAME;
		if (type == EXT_ALPN && (out->alpn.p || !read_alpn(extension, &out->alpn)))
			return HELLO_BAD_ALPN;
	}
	return HELLO_OK;
}

static enum hello_result read_message(struct cursor body, struct hello *out)
{
	struct cursor random, session_id, ciphers, compressions, extensions;
	size_t version;
	out->name = out->alpn = (struct slice){NULL, 0};
	if (!take_number(&body, 2, &version) || version >> 8 != 3 ||
	    !take(&body, RANDOM_LEN, &random) || !take_vector(&body, 1, 0, &session_id) ||
	    session_id.left > SESSION_ID_MAX || !take_vector(&body, 2, 2, &ciphers) ||
	    ciphers.left % 2 != 0 || !take_vector(&body, 1, 1, &compressions))
		return HELLO_BAD_HELLO;
	if (body.left == 0) /* before RFC 3546 there were none */
		return HELLO_OK;
	if (!take_vector(&body, 2, 0, &extensions) || body.left > 0)
		return HELLO_BAD_HELLO;
	return read_extensions(extensions, out);
}

bool hello_offers(const struct hello *hello, struct slice protocol)
{
	struct cursor list = {(const uint8_t *)hello->alpn.p, hello->alpn.len}, offered;
	while (take_vector(&list, 1, 1, &offered)) {
		if (slice_equal(slice_of(offered), protocol))
			return true;
	}
	return false;
}

/* ---- records ---- */

/* The first bytes of a connection, when they are not those of a handshake record. The hello of
 * SSLv2 (RFC 5246 appendix E.2): length with the high bit set, 1, version. */
static enum hello_result judge_stranger(const uint8_t *p, size_t len)
{
	if (!(p[0] & 0x80) || (len > 2 && p[2] != TYPE_CLIENT_HELLO))
		return HELLO_NOT_TLS;
	if (len < 5)
		return HELLO_MORE;
	bool ssl2 = p[3] == 0 && p[4] == 2;
	return ssl2 || p[3] == 3 ? HELLO_SSLV2 : HELLO_NOT_TLS;
}

/* A record's header at `p`, of which `len` bytes are there. HELLO_OK: it is complete, and good. */
static enum hello_result read_record(struct hello_scan *scan, const uint8_t *p, size_t len)
{
	bool first = scan->records == 0;
	if (p[0] != TYPE_HANDSHAKE)
		return first ? judge_stranger(p, len) : HELLO_BAD_RECORD;
	if (len > 1 && p[1] != 3) /* the minor version does not count (RFC 8446 section 5.1) */
		return first ? HELLO_NOT_TLS : HELLO_BAD_RECORD;
	if (len < RECORD_HEADER)
		return HELLO_MORE;
	scan->left = (uint32_t)p[3] << 8 | p[4];
	scan->at += RECORD_HEADER;
	scan->records++;
	return scan->left == 0 || scan->left > RECORD_MAX ? HELLO_BAD_RECORD : HELLO_OK;
}

/* The length of the message, its header included; known when that is there. */
static size_t message_len(const struct hello_scan *scan)
{
	return MESSAGE_HEADER + (scan->header & 0xffffff);
}

static enum hello_result read_header_byte(struct hello_scan *scan, uint8_t byte)
{
	scan->header = scan->header << 8 | byte;
	scan->message++;
	if (scan->message == 1 && byte != TYPE_CLIENT_HELLO)
		return HELLO_NOT_HELLO;
	if (scan->message == MESSAGE_HEADER && message_len(scan) > HELLO_MAX)
		return HELLO_TOO_LARGE;
	return HELLO_OK;
}

static bool is_complete(const struct hello_scan *scan)
{
	return scan->message >= MESSAGE_HEADER && scan->message >= message_len(scan);
}

/* What is there of the present record. */
static enum hello_result read_fragment(struct hello_scan *scan, const uint8_t *p, size_t len)
{
	size_t n = scan->left < len ? scan->left : len, i = 0;
	for (; i < n && scan->message < MESSAGE_HEADER; i++) {
		enum hello_result result = read_header_byte(scan, p[i]);
		if (result != HELLO_OK)
			return result;
	}
	scan->message += (uint32_t)(n - i);
	scan->at += (uint32_t)n;
	scan->left -= (uint32_t)n;
	return HELLO_OK;
}

/* The fragments of a message of `len` bytes, one behind the other. */
static void flatten(const uint8_t *p, size_t len, char *out)
{
	for (size_t done = 0; done < len;) {
		size_t n = (size_t)p[3] << 8 | p[4];
		n = n < len - done ? n : len - done;
		memcpy(out + done, p + RECORD_HEADER, n);
		done += n;
		p += RECORD_HEADER + n;
	}
}

enum hello_result hello_read(
    struct hello_scan *scan, const char *buf, size_t len, struct hello *out)
{
	const uint8_t *p = (const uint8_t *)buf;
	size_t end = len < HELLO_MAX ? len : HELLO_MAX;
	while (scan->at < end && !is_complete(scan)) {
		enum hello_result result = scan->left == 0
					       ? read_record(scan, p + scan->at, end - scan->at)
					       : read_fragment(scan, p + scan->at, end - scan->at);
		if (result == HELLO_MORE)
			break;
		if (result != HELLO_OK)
			return result;
	}
	if (!is_complete(scan))
		return end == HELLO_MAX ? HELLO_TOO_LARGE : HELLO_MORE;
	struct cursor message = {p + RECORD_HEADER, message_len(scan)};
	if (scan->records > 1) {
		flatten(p, message.left, out->flat);
		message.p = (const uint8_t *)out->flat;
	}
	message.p += MESSAGE_HEADER;
	message.left -= MESSAGE_HEADER;
	return read_message(message, out);
}
