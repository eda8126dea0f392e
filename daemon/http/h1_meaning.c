/* What the lines of a head mean together: host and path, framing, persistence, which fields stay on
 * this hop. Here the ambiguous is refused. */
#include <arpa/inet.h>
#include <stddef.h>

#include "daemon/http/h1.h"
#include "daemon/http/h1_internal.h"

#define HOST_MAX               255
#define CONNECTION_OPTIONS_MAX 32

/* ":" port, or nothing. An empty port is legal in a URI, but parsers disagree about it: refused. */
static bool port_valid(const char *p, const char *end, bool required)
{
	if (p == end)
		return !required;
	if (*p++ != ':' || p == end || end - p > 5)
		return false;
	unsigned port = 0;
	for (; p < end; p++) {
		if (!h1_is(*p, H1_C_DIGIT))
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	return port > 0 && port <= 65535;
}

static bool ipv6_valid(const char *p, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;
	if (len >= sizeof(text))
		return false;
	memcpy(text, p, len);
	text[len] = '\0';
	return inet_pton(AF_INET6, text, &addr) == 1;
}

/* uri-host [":" port], narrower than RFC 3986: no percent-encoding, no sub-delims (a comma is what
 * two Host fields become when somebody joins them), no user information. */
static bool authority_valid(struct slice host, bool need_port)
{
	const char *p = host.p, *end = p + host.len;
	if (host.len == 0 || host.len > HOST_MAX)
		return false;
	if (*p == '[') {
		const char *close = memchr(p, ']', host.len);
		if (!close || !ipv6_valid(p + 1, (size_t)(close - p - 1)))
			return false;
		return port_valid(close + 1, end, need_port);
	}
	const char *name_end = h1_scan(p, end, H1_C_HOST);
	return name_end > p && port_valid(name_end, end, need_port);
}

/* absolute-form (RFC 9112 section 3.2.2), http and https only. "http://host?query" is refused: its
 * path is empty, and no slice of it can be sent in origin-form. */
static enum h1_result resolve_absolute(struct h1_head *head)
{
	struct slice target = head->target;
	size_t scheme = target.len > 7 && h1_token_is(target.p, "http://", 7)    ? 7
			: target.len > 8 && h1_token_is(target.p, "https://", 8) ? 8
										 : 0;
	if (scheme == 0)
		return H1_BAD_TARGET;
	const char *p = target.p + scheme, *end = target.p + target.len, *slash = p;
	while (slash < end && *slash != '/')
		slash++;
	head->host = (struct slice){p, (size_t)(slash - p)};
	if (slash < end)
		head->path = (struct slice){slash, (size_t)(end - slash)};
	else /* RFC 9112 section 3.2.4 for OPTIONS */
		head->path = head->method == H1_OPTIONS ? SLICE("*") : SLICE("/");
	return authority_valid(head->host, false) ? H1_OK : H1_BAD_TARGET;
}

enum h1_result h1_resolve_target(struct h1_head *head)
{
	struct slice target = head->target;
	if (head->method == H1_CONNECT) {
		head->host = target;
		head->path = (struct slice){target.p, 0};
		return authority_valid(target, true) ? H1_OK : H1_BAD_TARGET;
	}
	if (target.p[0] == '/') {
		head->path = target;
		return H1_OK;
	}
	if (target.len == 1 && target.p[0] == '*') {
		head->path = target;
		return head->method == H1_OPTIONS ? H1_OK : H1_BAD_TARGET;
	}
	return resolve_absolute(head);
}

/* The authority of an absolute target wins over Host; a Host that says something else is refused,
 * so that it does not matter which of them a target believes. */
static enum h1_result check_host(struct h1_head *head, const struct h1_seen *seen)
{
	unsigned n = seen->count[H1_FIELD_HOST];
	if (n == 0)
		return head->minor == 0 ? H1_OK : H1_BAD_HOST;
	struct slice value = head->fields[seen->first[H1_FIELD_HOST]].value;
	if (n > 1 || !authority_valid(value, false))
		return H1_BAD_HOST;
	if (head->host.len > 0)
		return head->method == H1_CONNECT || slice_equal_nocase(head->host, value)
			   ? H1_OK
			   : H1_BAD_HOST;
	head->host = value;
	return H1_OK;
}

/* Fields that Connection cannot take away from the other side: what decides who is asked for what,
 * by whom, and where the message ends. */
static bool is_protected(const struct h1_field *field)
{
	static const struct slice names[] = {
	    {"authorization", 13},
	    {"cache-control", 13},
	    {"set-cookie", 10},
	    {"via", 3},
	    {"x-real-ip", 9},
	};
	if (field->id != H1_FIELD_OTHER)
		return true; /* known: hop-by-hop already, or protected */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_nocase(field->name, names[i]))
			return true;
	return false;
}

static void mark_hop(struct h1_head *head, struct slice name)
{
	for (unsigned i = 0; i < head->n_fields; i++) {
		struct h1_field *field = &head->fields[i];
		if (field->name.len == name.len && !field->hop &&
		    slice_equal_nocase(field->name, name) && !is_protected(field))
			field->hop = true;
	}
}

/* Next element of a comma-separated list of tokens. True with an empty *token for an empty element;
 * false with *p == NULL when the list is malformed, else at its end. */
static bool next_token(const char **p, const char *end, struct slice *token)
{
	const char *at = *p;
	if (at == end)
		return false;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	const char *from = at;
	at = h1_scan(at, end, H1_C_TOKEN);
	*token = (struct slice){from, (size_t)(at - from)};
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (at < end && *at++ != ',') {
		*p = NULL;
		return false;
	}
	*p = at;
	return true;
}

struct options {
	unsigned n;
	bool close, keep_alive, upgrade;
};

static enum h1_result read_options(
    struct h1_head *head, struct slice value, struct options *options)
{
	const char *p = value.p, *end = p + value.len;
	struct slice token;
	while (next_token(&p, end, &token)) {
		if (++options->n > CONNECTION_OPTIONS_MAX)
			return H1_BAD_FIELD_VALUE;
		if (H1_SLICE_IS(token, "close"))
			options->close = true;
		else if (H1_SLICE_IS(token, "keep-alive"))
			options->keep_alive = true;
		else if (H1_SLICE_IS(token, "upgrade"))
			options->upgrade = true;
		else if (token.len > 0)
			mark_hop(head, token);
	}
	return p ? H1_OK : H1_BAD_FIELD_VALUE;
}

/* Connection (RFC 9110 section 7.6.1): persistence and the fields it names. */
static enum h1_result check_connection(struct h1_head *head, const struct h1_seen *seen)
{
	struct options options = {0};
	unsigned left = seen->count[H1_FIELD_CONNECTION];
	for (unsigned i = seen->first[H1_FIELD_CONNECTION]; left > 0; i++) {
		if (head->fields[i].id != H1_FIELD_CONNECTION)
			continue;
		left--;
		enum h1_result result = read_options(head, head->fields[i].value, &options);
		if (result != H1_OK)
			return result;
	}
	head->keep_alive = !options.close && (head->minor == 1 || options.keep_alive);
	head->upgrade = options.upgrade && seen->count[H1_FIELD_UPGRADE] > 0;
	return H1_OK;
}

/* One coding, `chunked`, is understood. Others are 501 if the list could be right, and malformed
 * if chunked is repeated or is not the last. */
static enum h1_result check_encoding(struct slice value)
{
	if (H1_SLICE_IS(value, "chunked"))
		return H1_OK;
	const char *p = value.p, *end = p + value.len;
	struct slice token;
	unsigned n = 0;
	while (next_token(&p, end, &token)) {
		if (token.len == 0)
			return H1_BAD_TRANSFER_ENCODING;
		if (H1_SLICE_IS(token, "chunked") && (n == 0 || p < end))
			return H1_BAD_TRANSFER_ENCODING;
		n++;
	}
	return p && n > 0 && end[-1] != ',' ? H1_UNSUPPORTED_ENCODING : H1_BAD_TRANSFER_ENCODING;
}

/* Digits without leading zeros, at most 2^63 - 1. */
static bool parse_length(struct slice text, uint64_t *out)
{
	uint64_t value = 0;
	if (text.len == 0 || text.len > 19 || (text.len > 1 && text.p[0] == '0'))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!h1_is(text.p[i], H1_C_DIGIT))
			return false;
		value = value * 10 + (uint64_t)(text.p[i] - '0'); /* 19 digits fit in 64 bits */
	}
	if (value > INT64_MAX)
		return false;
	*out = value;
	return true;
}

/* RFC 9112 section 6, without the choices: one length, or one encoding, or neither. */
static enum h1_result check_framing(struct h1_head *head, const struct h1_seen *seen)
{
	unsigned encodings = seen->count[H1_FIELD_TRANSFER_ENCODING];
	unsigned lengths = seen->count[H1_FIELD_CONTENT_LENGTH];
	if (encodings > 0) {
		if (head->minor == 0 || encodings > 1)
			return H1_BAD_TRANSFER_ENCODING;
		if (lengths > 0)
			return H1_LENGTH_AND_ENCODING;
		head->framing = H1_BODY_CHUNKED;
		return check_encoding(head->fields[seen->first[H1_FIELD_TRANSFER_ENCODING]].value);
	}
	if (lengths == 0)
		return H1_OK;
	if (lengths > 1 || !parse_length(head->fields[seen->first[H1_FIELD_CONTENT_LENGTH]].value,
			       &head->content_length))
		return H1_BAD_LENGTH;
	head->framing = head->content_length > 0 ? H1_BODY_LENGTH : H1_BODY_NONE;
	return H1_OK;
}

static enum h1_result check_expect(struct h1_head *head, const struct h1_seen *seen)
{
	unsigned n = seen->count[H1_FIELD_EXPECT];
	if (n == 0)
		return H1_OK;
	struct slice value = head->fields[seen->first[H1_FIELD_EXPECT]].value;
	if (n > 1 || !H1_SLICE_IS(value, "100-continue"))
		return H1_BAD_EXPECT;
	/* RFC 9110 section 10.1.1: ignored in HTTP/1.0; pointless without a body. */
	head->expect_continue = head->minor == 1 && head->framing != H1_BODY_NONE;
	return H1_OK;
}

/* Max-Forwards (RFC 9110 section 7.6.2): of OPTIONS and TRACE; ignored in other requests. */
static enum h1_result check_max_forwards(struct h1_head *head, const struct h1_seen *seen)
{
	unsigned n = seen->count[H1_FIELD_MAX_FORWARDS];
	head->max_forwards = H1_FORWARDS_FREE;
	if (n == 0 || (head->method != H1_OPTIONS && head->method != H1_TRACE))
		return H1_OK;
	struct slice text = head->fields[seen->first[H1_FIELD_MAX_FORWARDS]].value;
	uint64_t value = 0;
	if (n > 1 || text.len == 0)
		return H1_BAD_MAX_FORWARDS;
	for (size_t i = 0; i < text.len; i++) {
		if (!h1_is(text.p[i], H1_C_DIGIT))
			return H1_BAD_MAX_FORWARDS;
		value = value * 10 + (uint64_t)(text.p[i] - '0');
		if (value > H1_FORWARDS_MAX)
			value = H1_FORWARDS_MAX;
	}
	head->max_forwards = (uint32_t)value;
	return H1_OK;
}

enum h1_result h1_finish_request(struct h1_head *head, const struct h1_seen *seen)
{
	enum h1_result result = check_host(head, seen);
	if (result == H1_OK)
		result = check_framing(head, seen);
	if (result == H1_OK)
		result = check_connection(head, seen);
	if (result == H1_OK)
		result = check_expect(head, seen);
	if (result == H1_OK)
		result = check_max_forwards(head, seen);
	return result;
}

enum h1_result h1_finish_response(
    struct h1_head *head, const struct h1_seen *seen, enum h1_method to_method)
{
	enum h1_result result = check_framing(head, seen);
	if (result == H1_OK)
		result = check_connection(head, seen);
	if (result != H1_OK)
		return result;
	if (head->status < 200 || head->status == 204) {
		/* Must not announce a body (RFC 9110 sections 6.4.1, 8.6, RFC 9112 section 6.1):
		 * some recipient would wait for it. */
		if (head->framing == H1_BODY_CHUNKED)
			return H1_BAD_TRANSFER_ENCODING;
		return head->framing == H1_BODY_LENGTH ? H1_BAD_LENGTH : H1_OK;
	}
	if (to_method == H1_HEAD || head->status == 304) {
		head->framing = H1_BODY_NONE;
		return H1_OK;
	}
	bool tunnel = to_method == H1_CONNECT && head->status < 300;
	bool framed =
	    seen->count[H1_FIELD_CONTENT_LENGTH] + seen->count[H1_FIELD_TRANSFER_ENCODING] > 0;
	if (tunnel || !framed) {
		head->framing = H1_BODY_UNTIL_CLOSE;
		head->keep_alive = false;
	}
	return H1_OK;
}
