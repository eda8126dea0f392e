#include "daemon/proxy/heads.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ADDED_MAX 256 /* what we write of our own, besides forward_put */

static char *put(char *at, const char *p, size_t len)
{
	memcpy(at, p, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

size_t heads_request_room(const struct h1_head *head)
{
	return head->len + 3 * head->host.len + ADDED_MAX + FORWARD_ROOM;
}

static bool request_keeps(const struct h1_head *head, const struct h1_field *field, bool absolute,
    const struct forward *forward)
{
	switch (field->id) {
	case H1_FIELD_OTHER:
	case H1_FIELD_COOKIE: return !field->hop;
	case H1_FIELD_HOST: return !absolute;
	case H1_FIELD_EXPECT: return head->expect_continue;
	case H1_FIELD_MAX_FORWARDS: return !field->hop && head->max_forwards == H1_FORWARDS_FREE;
	case H1_FIELD_TRANSFER_ENCODING: return head->framing == H1_BODY_CHUNKED;
	case H1_FIELD_CONTENT_LENGTH: return true;
	default: return !field->hop && !forward_drops(forward, field->id);
	}
}

/* What decides where a message ends, and for whom it is, goes out in one spelling: some reader may
 * not know that a tab is a blank or that capitals do not count. */
static bool has_lower_case_value(const struct h1_field *field)
{
	return field->id == H1_FIELD_TRANSFER_ENCODING || field->id == H1_FIELD_EXPECT;
}

static bool is_spelled_oddly(const struct h1_field *field)
{
	struct slice value = field->value;
	if (field->id != H1_FIELD_CONTENT_LENGTH && field->id != H1_FIELD_HOST &&
	    !has_lower_case_value(field))
		return false;
	for (size_t i = 0; has_lower_case_value(field) && i < value.len; i++)
		if (value.p[i] >= 'A' && value.p[i] <= 'Z')
			return true;
	return field->line.len != field->name.len + value.len + sizeof(": \r\n") - 1 ||
	       value.p[-2] != ':' || value.p[-1] != ' ';
}

static char *put_plainly(char *at, const struct h1_field *field)
{
	at = put(at, field->name.p, field->name.len);
	at = PUT(at, ": ");
	at = put(at, field->value.p, field->value.len);
	for (char *c = at - field->value.len; has_lower_case_value(field) && c < at; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c |= 0x20;
	return PUT(at, "\r\n");
}

/* Lines that stay are copied in runs: most heads are one or two. */
struct run {
	const char *from, *to;
};

static inline char *run_end(char *at, struct run *run)
{
	return run->from ? put(at, run->from, (size_t)(run->to - run->from)) : at;
}

static inline char *run_add(char *at, struct run *run, const struct h1_field *field)
{
	struct slice line = field->line;
	if (is_spelled_oddly(field)) {
		at = run_end(at, run);
		*run = (struct run){NULL, NULL};
		return put_plainly(at, field);
	}
	if (line.p != run->to) {
		at = run_end(at, run);
		run->from = line.p;
	}
	run->to = line.p + line.len;
	return at;
}

/* Our own words for what the client asked for. */
static char *put_upgrade(char *at, const char *protocol)
{
	at = PUT(at, "Connection: Upgrade\r\nUpgrade: ");
	at = put(at, protocol, strlen(protocol));
	return PUT(at, "\r\n");
}

size_t heads_request(const struct h1_head *head, const struct heads_request *options, char *out)
{
	char *at = out;
	bool absolute = head->target.p[0] != '/' && head->target.p[0] != '*';
	at = put(at, head->method_text.p, head->method_text.len);
	*at++ = ' ';
	at = put(at, head->path.p, head->path.len);
	at = PUT(at, " HTTP/1.1\r\n");
	/* HTTP/1.1 wants a Host even where HTTP/1.0 had none (RFC 9112 section 3.2), and servers
	 * refuse an empty one. */
	if (absolute || head->host.len == 0) {
		struct slice host = head->host.len > 0 ? head->host : options->default_host;
		at = PUT(at, "Host: ");
		at = put(at, host.p, host.len);
		at = PUT(at, "\r\n");
	}
	struct run run = {NULL, NULL};
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (request_keeps(head, &head->fields[i], absolute, options->forward))
			at = run_add(at, &run, &head->fields[i]);
	at = run_end(at, &run);
	if (head->max_forwards != H1_FORWARDS_FREE)
		at += sprintf(at, "Max-Forwards: %" PRIu32 "\r\n", head->max_forwards - 1);
	if (options->upgrade)
		at = put_upgrade(at, options->upgrade);
	at = forward_put(options->forward, head, options->peer, at);
	at = PUT(at, "\r\n");
	return (size_t)(at - out);
}

static bool response_keeps(
    const struct h1_head *head, const struct h1_field *field, const struct heads_response *options)
{
	if (field->hop)
		return false;
	switch (field->id) {
	/* RFC 9110 section 8.6: not in 1xx and 204 */
	case H1_FIELD_CONTENT_LENGTH: return head->status >= 200 && head->status != 204;
	case H1_FIELD_TRANSFER_ENCODING: return !options->unchunked;
	case H1_FIELD_TRAILER: return !options->unchunked;
	default: return true;
	}
}

bool heads_response_unchanged(
    const struct h1_head *head, const char *raw, const struct heads_response *options)
{
	if (options->close || options->keep_alive || options->via.len + options->add.len > 0 ||
	    memcmp(raw, "HTTP/1.1", 8) != 0)
		return false;
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (!response_keeps(head, &head->fields[i], options) ||
		    is_spelled_oddly(&head->fields[i]))
			return false;
	return true;
}

size_t heads_response_room(const struct h1_head *head, const struct heads_response *options)
{
	return head->len + options->via.len + options->add.len + ADDED_MAX;
}

size_t heads_response(const struct h1_head *head, const struct heads_response *options, char *out)
{
	char *at = out;
	at = PUT(at, "HTTP/1.1 ");
	*at++ = (char)('0' + head->status / 100);
	*at++ = (char)('0' + head->status / 10 % 10);
	*at++ = (char)('0' + head->status % 10);
	*at++ = ' ';
	if (head->reason.len > 0)
		at = put(at, head->reason.p, head->reason.len);
	at = PUT(at, "\r\n");
	struct run run = {NULL, NULL};
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (response_keeps(head, &head->fields[i], options))
			at = run_add(at, &run, &head->fields[i]);
	at = run_end(at, &run);
	if (options->via.len > 0)
		at = put(at, options->via.p, options->via.len);
	if (options->add.len > 0)
		at = put(at, options->add.p, options->add.len);
	if (options->close)
		at = PUT(at, "Connection: close\r\n");
	else if (options->keep_alive)
		at = PUT(at, "Connection: keep-alive\r\n");
	at = PUT(at, "\r\n");
	return (size_t)(at - out);
}

/* Of what we say ourselves, or may be told to; a client need not have one. */
static const char *reason_of(unsigned status)
{
	switch (status) {
	case 200: return "OK";
	case 201: return "Created";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 301: return "Moved Permanently";
	case 302: return "Found";
	case 303: return "See Other";
	case 304: return "Not Modified";
	case 307: return "Temporary Redirect";
	case 308: return "Permanent Redirect";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 410: return "Gone";
	case 413: return "Content Too Large";
	case 414: return "URI Too Long";
	case 417: return "Expectation Failed";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 500: return "Internal Server Error";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	case 505: return "HTTP Version Not Supported";
	default: return "";
	}
}

size_t heads_error(const struct heads_error *error, char out[HEADS_ERROR_MAX])
{
	char body[128], retry_after[48] = "";
	const char *why = error->why;
	int body_len = snprintf(body, sizeof(body), "%u %s%s%s\n", error->status,
	    reason_of(error->status), why ? ": " : "", why ? why : "");
	if (body_len >= (int)sizeof(body))
		body_len = sizeof(body) - 1;
	if (error->retry_after_s > 0)
		snprintf(retry_after, sizeof(retry_after), "Retry-After: %llu\r\n",
		    (unsigned long long)error->retry_after_s);
	int len = snprintf(out, HEADS_ERROR_MAX,
	    "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s%s\r\n%s",
	    error->status, reason_of(error->status), body_len, retry_after,
	    error->close ? "Connection: close\r\n" : "", error->head_only ? "" : body);
	return len < HEADS_ERROR_MAX ? (size_t)len : HEADS_ERROR_MAX - 1;
}

size_t heads_answer(
    unsigned status, struct slice lines, struct slice body, bool head_only, bool close, char *out)
{
	char *at = out + sprintf(out, "HTTP/1.1 %u %s\r\n", status, reason_of(status));
	if (lines.len > 0)
		at = put(at, lines.p, lines.len);
	if (status != 204 && status != 304)
		at += sprintf(at, "Content-Length: %zu\r\n", body.len);
	if (close)
		at = PUT(at, "Connection: close\r\n");
	at = PUT(at, "\r\n");
	if (!head_only && body.len > 0)
		at = put(at, body.p, body.len);
	return (size_t)(at - out);
}

size_t heads_options(bool close, char out[HEADS_OPTIONS_MAX])
{
	return (size_t)snprintf(out, HEADS_OPTIONS_MAX,
	    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n", close ? "Connection: close\r\n" : "");
}
