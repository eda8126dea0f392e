/* The syntax of HTTP/1.x heads: lines, tokens, fields, in one pass. What they mean together is in
 * h1_meaning.c, chunked bodies are in h1_chunks.c. */
#include "daemon/http/h1.h"

#include <stddef.h>

#include "daemon/http/h1_internal.h"

#define T           H1_C_TOKEN
#define R           H1_C_TARGET
#define V           H1_C_VALUE
#define N           H1_C_HOST
#define ALPHA_DIGIT (T | R | V | N)

const uint8_t h1_class[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | R | V,
    ['"'] = R | V,
    ['#'] = T | V,
    ['$' ... '\''] = T | R | V,
    ['(' ... ')'] = R | V,
    ['*' ... '+'] = T | R | V,
    [','] = R | V,
    ['-' ... '.'] = T | R | V | N,
    ['/'] = R | V,
    ['0' ... '9'] = ALPHA_DIGIT | H1_C_DIGIT,
    [':' ... '@'] = R | V,
    ['A' ... 'Z'] = ALPHA_DIGIT,
    ['[' ... ']'] = R | V,
    ['^'] = T | R | V,
    ['_'] = T | R | V | N,
    ['`'] = T | R | V,
    ['a' ... 'z'] = ALPHA_DIGIT,
    ['{'] = R | V,
    ['|'] = T | R | V,
    ['}'] = R | V,
    ['~'] = T | R | V | N,
    [0x80 ... 0xff] = V,
};

#undef T
#undef R
#undef V
#undef N

static const struct {
	uint16_t status;
	const char *name;
} results[H1_RESULT_COUNT] = {
#define X(name, status, text) {status, text},
    H1_RESULTS(X)
#undef X
};

unsigned h1_refusal_status(enum h1_result result)
{
	return (unsigned)result < H1_RESULT_COUNT ? results[result].status : 500;
}

const char *h1_refusal_name(enum h1_result result)
{
	return (unsigned)result < H1_RESULT_COUNT ? results[result].name : "unknown";
}

bool h1_idempotent(enum h1_method method)
{
	switch (method) {
	case H1_GET:
	case H1_HEAD:
	case H1_PUT:
	case H1_DELETE:
	case H1_OPTIONS:
	case H1_TRACE: return true;
	default: return false;
	}
}

bool h1_head_complete(const char *buf, size_t len, size_t *scanned)
{
	size_t start = len >= 2 && buf[0] == '\r' && buf[1] == '\n' ? 2 : 0;
	if (start == len || (len == 1 && buf[0] == '\r'))
		return false;
	if (!h1_is(buf[start], H1_C_TOKEN))
		return true;
	size_t at = *scanned > start ? *scanned : start;
	while (at < len) {
		const char *lf = memchr(buf + at, '\n', len - at);
		if (!lf)
			break;
		at = (size_t)(lf - buf);
		/* The first byte is a token character: at - 1 and, after a CR, at - 2 exist. */
		if (buf[at - 1] != '\r' || buf[at - 2] == '\n')
			return true;
		at++;
	}
	*scanned = len;
	return false;
}

enum h1_result h1_too_large(const char *buf, size_t len)
{
	size_t start = len >= 2 && buf[0] == '\r' && buf[1] == '\n' ? 2 : 0;
	return len > start && memchr(buf + start, '\n', len - start) ? H1_HEAD_TOO_LARGE
								     : H1_TARGET_TOO_LONG;
}

/* Expects CRLF at *at and steps over it; `otherwise` is the complaint about any other byte. */
static inline enum h1_result take_crlf(const char **at, const char *end, enum h1_result otherwise)
{
	const char *p = *at;
	if (end - p >= 2 && p[0] == '\r' && p[1] == '\n') {
		*at = p + 2;
		return H1_OK;
	}
	if (p == end || (*p == '\r' && p + 1 == end))
		return H1_MORE;
	return *p == '\r' || *p == '\n' ? H1_BAD_LINE_END : otherwise;
}

/* "HTTP/" DIGIT "." DIGIT */
static enum h1_result take_version(
    const char **at, const char *end, uint8_t *minor, enum h1_result otherwise)
{
	static const char form[8] = {'H', 'T', 'T', 'P', '/', '0', '.', '0'};
	const char *p = *at;
	if (end - p >= 8 && memcmp(p, "HTTP/1.1", 8) == 0) {
		*minor = 1;
		*at = p + 8;
		return H1_OK;
	}
	for (size_t i = 0; i < sizeof(form); i++) {
		if (p + i == end)
			return H1_MORE;
		if (form[i] == '0' ? !h1_is(p[i], H1_C_DIGIT) : p[i] != form[i])
			return otherwise;
	}
	if (p[5] != '1')
		return H1_BAD_VERSION;
	*minor = p[7] != '0';
	*at = p + 8;
	return H1_OK;
}

static enum h1_method method_of(struct slice text)
{
#define IS(literal) (memcmp(text.p, literal, sizeof(literal) - 1) == 0)
	switch (text.len) {
	case 3: return IS("GET") ? H1_GET : IS("PUT") ? H1_PUT : H1_OTHER;
	case 4: return IS("POST") ? H1_POST : IS("HEAD") ? H1_HEAD : H1_OTHER;
	case 5: return IS("PATCH") ? H1_PATCH : IS("TRACE") ? H1_TRACE : H1_OTHER;
	case 6: return IS("DELETE") ? H1_DELETE : H1_OTHER;
	case 7: return IS("OPTIONS") ? H1_OPTIONS : IS("CONNECT") ? H1_CONNECT : H1_OTHER;
	default: return H1_OTHER;
	}
#undef IS
}

static enum h1_result take_request_line(const char **at, const char *end, struct h1_head *head)
{
	const char *p = *at, *from = p;
	enum h1_result result;

	p = h1_scan(p, end, H1_C_TOKEN);
	if (p == end)
		return H1_MORE;
	if (*p != ' ' || p == from)
		return *p == '\r' || *p == '\n' ? H1_BAD_REQUEST_LINE : H1_BAD_METHOD;
	head->method_text = (struct slice){from, (size_t)(p - from)};
	head->method = method_of(head->method_text);

	from = ++p;
	p = h1_scan_target(p, end);
	if (p == end)
		return H1_MORE;
	if (*p != ' ')
		return *p == '\r' || *p == '\n' ? H1_BAD_REQUEST_LINE : H1_BAD_TARGET;
	if (p == from)
		return H1_BAD_REQUEST_LINE;
	head->target = (struct slice){from, (size_t)(p - from)};

	p++;
	if ((result = take_version(&p, end, &head->minor, H1_BAD_REQUEST_LINE)) != H1_OK)
		return result;
	if ((result = take_crlf(&p, end, H1_BAD_REQUEST_LINE)) != H1_OK)
		return result;
	*at = p;
	return h1_resolve_target(head);
}

/* "HTTP/1.1 200 OK"; without a reason, the space before it may be missing too. */
static enum h1_result take_status_line(const char **at, const char *end, struct h1_head *head)
{
	const char *p = *at;
	enum h1_result result = take_version(&p, end, &head->minor, H1_BAD_STATUS_LINE);
	if (result != H1_OK)
		return result;
	unsigned status = 0;
	for (size_t i = 0; i < 4; i++) {
		if (p + i == end)
			return H1_MORE;
		if (i == 0 ? p[i] != ' ' : !h1_is(p[i], H1_C_DIGIT))
			return H1_BAD_STATUS_LINE;
		if (i > 0)
			status = status * 10 + (unsigned)(p[i] - '0');
	}
	if (status < 100 || status > 599)
		return H1_BAD_STATUS_LINE;
	head->status = (uint16_t)status;
	p += 4;
	if (p < end && *p == ' ') {
		const char *from = ++p;
		p = h1_scan_value(p, end);
		head->reason = (struct slice){from, (size_t)(p - from)};
	}
	if ((result = take_crlf(&p, end, H1_BAD_STATUS_LINE)) != H1_OK)
		return result;
	*at = p;
	return H1_OK;
}

/* `lower` with something else for its hyphens. Gateways that make variables of fields read such a
 * name as the real one. */
static bool is_lookalike(const char *name, const char *lower, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (lower[i] == '-' ? h1_is_alnum(name[i]) : (name[i] | 0x20) != lower[i])
			return false;
	return true;
}

static inline uint8_t field_id(const char *name, size_t len)
{
#define TRY(text, id)                                  \
	if (h1_token_is(name, text, sizeof(text) - 1)) \
	return H1_FIELD_##id
#define BEWARE(text)                                    \
	if (is_lookalike(name, text, sizeof(text) - 1)) \
	return H1_FIELD_LOOKALIKE
	switch (len) {
	case 2: TRY("te", TE); break;
	case 4: TRY("host", HOST); break;
	case 6:
		TRY("cookie", COOKIE);
		TRY("expect", EXPECT);
		break;
	case 7:
		TRY("upgrade", UPGRADE);
		TRY("trailer", TRAILER);
		break;
	case 9: TRY("forwarded", FORWARDED); break;
	case 10:
		TRY("connection", CONNECTION);
		TRY("keep-alive", KEEP_ALIVE);
		TRY("set-cookie", SET_COOKIE);
		break;
	case 12: TRY("max-forwards", MAX_FORWARDS); break;
	case 14:
		TRY("content-length", CONTENT_LENGTH);
		TRY("http2-settings", HTTP2_SETTINGS);
		BEWARE("content-length");
		break;
	case 15:
		TRY("x-forwarded-for", X_FORWARDED_FOR);
		BEWARE("x-forwarded-for");
		break;
	case 16:
		TRY("proxy-connection", PROXY_CONNECTION);
		TRY("x-forwarded-host", X_FORWARDED_HOST);
		TRY("x-forwarded-port", X_FORWARDED_PORT);
		BEWARE("x-forwarded-host");
		BEWARE("x-forwarded-port");
		break;
	case 17:
		TRY("transfer-encoding", TRANSFER_ENCODING);
		TRY("x-forwarded-proto", X_FORWARDED_PROTO);
		BEWARE("transfer-encoding");
		BEWARE("x-forwarded-proto");
		break;
	case 18: TRY("proxy-authenticate", PROXY_AUTHENTICATE); break;
	case 19: TRY("proxy-authorization", PROXY_AUTHORIZATION); break;
	default: break;
	}
#undef TRY
#undef BEWARE
	return H1_FIELD_OTHER;
}

/* Hop-by-hop whatever Connection says. Transfer-Encoding and Trailer are not here: a chunked body
 * is passed on as it is. */
static const bool always_hop[H1_FIELD_COUNT] = {
    [H1_FIELD_CONNECTION] = true,
    [H1_FIELD_HTTP2_SETTINGS] = true,
    [H1_FIELD_KEEP_ALIVE] = true,
    [H1_FIELD_PROXY_AUTHENTICATE] = true,
    [H1_FIELD_PROXY_AUTHORIZATION] = true,
    [H1_FIELD_PROXY_CONNECTION] = true,
    [H1_FIELD_TE] = true,
    [H1_FIELD_UPGRADE] = true,
};

static inline bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* field-name ":" OWS field-value OWS CRLF */
static inline enum h1_result take_field(const char **at, const char *end, struct h1_field *field)
{
	const char *line = *at, *p = h1_scan_name(line, end), *value_end;
	if (p == end)
		return H1_MORE;
	if (*p != ':' || p == line)
		return H1_BAD_FIELD_NAME;
	field->name = (struct slice){line, (size_t)(p - line)};
	p++;
	while (p < end && is_blank(*p))
		p++;
	const char *value = p;
	value_end = p = h1_scan_value(p, end);
	enum h1_result result = take_crlf(&p, end, H1_BAD_FIELD_VALUE);
	if (result != H1_OK)
		return result;
	while (value_end > value && is_blank(value_end[-1]))
		value_end--;
	field->value = (struct slice){value, (size_t)(value_end - value)};
	field->line = (struct slice){line, (size_t)(p - line)};
	*at = p;
	return H1_OK;
}

static enum h1_result take_fields(
    const char **at, const char *end, struct h1_head *head, struct h1_seen *seen)
{
	unsigned n = 0;
	memset(seen, 0, sizeof(*seen));
	for (;;) {
		if (*at == end)
			return H1_MORE;
		char c = **at;
		if (c == '\r' || c == '\n')
			break;
		if (is_blank(c))
			return H1_OBS_FOLD;
		if (n == H1_FIELDS_MAX)
			return H1_TOO_MANY_FIELDS;
		struct h1_field *field = &head->fields[n];
		enum h1_result result = take_field(at, end, field);
		if (result != H1_OK)
			return result;
		uint8_t id = field_id(field->name.p, field->name.len);
		if (id == H1_FIELD_LOOKALIKE)
			return H1_BAD_FIELD_NAME;
		field->id = id;
		field->hop = always_hop[id];
		if (seen->count[id]++ == 0)
			seen->first[id] = (uint8_t)n;
		n++;
	}
	head->n_fields = (uint16_t)n;
	return take_crlf(at, end, H1_BAD_LINE_END);
}

enum h1_result h1_parse_request(const char *buf, size_t len, struct h1_head *out)
{
	const char *p = buf, *end = buf + len;
	struct h1_seen seen;
	enum h1_result result;
	memset(out, 0, offsetof(struct h1_head, fields));
	if (len > 0 && (*p == '\r' || *p == '\n') &&
	    (result = take_crlf(&p, end, H1_BAD_LINE_END)) != H1_OK)
		return result;
	if ((result = take_request_line(&p, end, out)) != H1_OK)
		return result;
	if ((result = take_fields(&p, end, out, &seen)) != H1_OK)
		return result;
	out->len = (size_t)(p - buf);
	return h1_finish_request(out, &seen);
}

enum h1_result h1_parse_response(
    const char *buf, size_t len, enum h1_method to_method, struct h1_head *out)
{
	const char *p = buf, *end = buf + len;
	struct h1_seen seen;
	enum h1_result result;
	memset(out, 0, offsetof(struct h1_head, fields));
	if ((result = take_status_line(&p, end, out)) != H1_OK)
		return result;
	if ((result = take_fields(&p, end, out, &seen)) != H1_OK)
		return result;
	out->len = (size_t)(p - buf);
	return h1_finish_response(out, &seen, to_method);
}
