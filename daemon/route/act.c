#include "daemon/route/act.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/route/path.h"
#include "daemon/route/pattern.h"
#include "daemon/route/template.h"

#define ROOM_SIZE (64U * 1024)
#define PATH_SIZE (32U * 1024)
#define HOST_MAX  255 /* as the parser has it */

struct act_room {
	struct pattern_space *patterns;
	char canonical[PATH_SIZE];
	char path[PATH_SIZE]; /* what a rewrite makes */
	char text[ROOM_SIZE]; /* lines */
};

struct field {
	struct slice name;
	struct template value;
};

struct headers {
	struct field *fields; /* to set, then to add */
	uint32_t n_set, n_fields;
	const char *const *remove;
	uint32_t n_remove;
};

struct act {
	const struct route_spec *spec;
	uint8_t *turns; /* of the shares; NULL: one pool */
	uint32_t n_turns;
	struct template host, path, query; /* of a redirect */
	struct pattern from;
	struct template to, rewrite_host;
	struct headers request, response;
};

struct act_room *act_room_new(void)
{
	struct act_room *room = malloc(sizeof(*room));
	if (!room)
		return NULL;
	room->patterns = pattern_space_new();
	if (room->patterns)
		return room;
	free(room);
	return NULL;
}

void act_room_free(struct act_room *room)
{
	if (!room)
		return;
	pattern_space_free(room->patterns);
	free(room);
}

/* ---- compiling ---- */

static uint32_t divisor(uint32_t a, uint32_t b)
{
	return b == 0 ? a : divisor(b, a % b);
}

/* Smooth weighted rotation: who lags most behind its share is next. */
static int make_turns(struct act *act)
{
	const struct route_spec *spec = act->spec;
	int64_t lag[ROUTE_SHARES_MAX] = {0};
	uint32_t sum = 0, common = 0;
	for (uint32_t i = 0; i < spec->n_shares; i++) {
		common = divisor(spec->shares[i].weight, common);
		sum += spec->shares[i].weight;
	}
	if (spec->n_shares == 0 || sum == 0)
		return 0;
	act->n_turns = sum / common;
	act->turns = calloc(act->n_turns, sizeof(*act->turns));
	if (!act->turns)
		return -ENOMEM;
	for (uint32_t turn = 0; turn < act->n_turns; turn++) {
		uint32_t next = 0;
		for (uint32_t i = 0; i < spec->n_shares; i++) {
			lag[i] += spec->shares[i].weight;
			next = lag[i] > lag[next] ? i : next;
		}
		lag[next] -= sum;
		act->turns[turn] = (uint8_t)next;
	}
	return 0;
}

uint32_t act_pool(const struct act *act, uint64_t turn)
{
	if (!act->turns)
		return act->spec->pool;
	return act->spec->shares[act->turns[turn % act->n_turns]].pool;
}

static int make_headers(struct headers *headers, const struct route_headers *spec,
    enum template_scope scope, struct err *err)
{
	headers->fields = calloc(spec->n_set + spec->n_add + 1, sizeof(*headers->fields));
	if (!headers->fields)
		return -ENOMEM;
	headers->n_set = spec->n_set;
	headers->remove = spec->remove;
	headers->n_remove = spec->n_remove;
	for (uint32_t i = 0; i < spec->n_set + spec->n_add; i++) {
		const struct route_field *from =
		    i < spec->n_set ? &spec->set[i] : &spec->add[i - spec->n_set];
		struct field *field = &headers->fields[headers->n_fields];
		int result = template_init(&field->value, from->value, scope, err);
		if (result < 0)
			return result;
		field->name = (struct slice){from->name, strlen(from->name)};
		headers->n_fields++;
	}
	return 0;
}

static int make_rewrite(struct act *act, const struct route_rewrite *rewrite, struct err *err)
{
	int result = 0;
	if (rewrite->from)
		result = pattern_init(&act->from, rewrite->from, err);
	if (result == 0)
		result = template_init(&act->to, rewrite->to,
		    rewrite->from && rewrite->from[0] == '~' ? TEMPLATE_OF_MATCH
							     : TEMPLATE_OF_REQUEST,
		    err);
	if (result == 0)
		result = template_init(&act->rewrite_host, rewrite->host, TEMPLATE_OF_REQUEST, err);
	return result;
}

static int make(struct act *act, struct err *err)
{
	const struct route_spec *spec = act->spec;
	int result = make_turns(act);
	if (result == 0)
		result = template_init(&act->host, spec->redirect.host, TEMPLATE_OF_REQUEST, err);
	if (result == 0)
		result = template_init(&act->path, spec->redirect.path, TEMPLATE_OF_REQUEST, err);
	if (result == 0)
		result = template_init(&act->query, spec->redirect.query, TEMPLATE_OF_REQUEST, err);
	if (result == 0)
		result = make_rewrite(act, &spec->rewrite, err);
	if (result == 0)
		result = make_headers(&act->request, &spec->request, TEMPLATE_OF_REQUEST, err);
	if (result == 0)
		result = make_headers(&act->response, &spec->response, TEMPLATE_OF_RESPONSE, err);
	return result;
}

int act_new(const struct route_spec *spec, struct err *err, struct act **out)
{
	struct act *act = calloc(1, sizeof(*act));
	if (!act)
		return err_set(err, -ENOMEM, "out of memory");
	act->spec = spec;
	int result = make(act, err);
	if (result < 0)
		act_free(act);
	else
		*out = act;
	return result;
}

static void headers_free(struct headers *headers)
{
	for (uint32_t i = 0; i < headers->n_fields; i++)
		template_fini(&headers->fields[i].value);
	free(headers->fields);
}

void act_free(struct act *act)
{
	if (!act)
		return;
	free(act->turns);
	template_fini(&act->host);
	template_fini(&act->path);
	template_fini(&act->query);
	pattern_fini(&act->from);
	template_fini(&act->to);
	template_fini(&act->rewrite_host);
	headers_free(&act->request);
	headers_free(&act->response);
	free(act);
}

/* ---- requests ---- */

static bool headers_change(const struct headers *headers)
{
	return headers->n_fields + headers->n_remove > 0;
}

bool act_changes_request(const struct act *act)
{
	const struct route_rewrite *rewrite = &act->spec->rewrite;
	return rewrite->from || rewrite->host || headers_change(&act->request);
}

bool act_changes_response(const struct act *act)
{
	return headers_change(&act->response);
}

/* As a path may have it in a request: what it may not is encoded. */
static void put_path(struct template_out *out, struct slice text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-._~!$&'()*+,;=:@/";
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = (uint8_t)text.p[i];
		if (c == PATH_KEPT_SLASH)
			c = '/';
		else if (strchr(plain, c)) {
			template_put(out, (struct slice){&text.p[i], 1});
			continue;
		}
		char code[3] = {'%', digits[c >> 4], digits[c & 15]};
		template_put(out, (struct slice){code, 3});
	}
}

/* The parts of `path` before, in and behind what `from` is. 1: found, 0: not, -E2BIG. */
static int find_from(const struct act *act, struct slice path, struct act_room *room,
    struct template_values *values, struct slice *before, struct slice *behind)
{
	struct slice text = act->from.text;
	*before = (struct slice){path.p, 0};
	if (act->from.kind == PATTERN_REGEX) {
		int result = pattern_find(&act->from, path, room->patterns, values->groups);
		if (result != 1)
			return result;
		const char *end = values->groups[0].p + values->groups[0].len;
		before->len = (size_t)(values->groups[0].p - path.p);
		*behind = (struct slice){end, (size_t)(path.p + path.len - end)};
		return 1;
	}
	if (path.len < text.len || memcmp(path.p, text.p, text.len) != 0)
		return 0;
	*behind = (struct slice){path.p + text.len, path.len - text.len};
	return 1;
}

/* Found text is put in as a path, written text as it is. */
static void put_replacement(
    const struct act *act, const struct template_values *values, struct template_out *out)
{
	for (uint32_t i = 0; i < act->to.n_parts; i++) {
		const struct template_part *part = &act->to.parts[i];
		if (part->variable == TEMPLATE_GROUP)
			put_path(out, values->groups[part->group]);
		else if (part->variable == TEMPLATE_TEXT)
			put_path(out, part->text);
		else
			template_expand(
			    &(struct template){.parts = &act->to.parts[i], .n_parts = 1}, values,
			    out);
	}
}

static int rewrite_path(const struct act *act, struct h1_head *head, struct act_room *room)
{
	struct template_out out = {room->path, room->path + PATH_SIZE, false};
	struct template_values values = {0};
	struct slice path, before, behind = {0};
	if (!act->spec->rewrite.from || head->path.p[0] != '/')
		return 0;
	template_request_values(&values, head);
	struct slice raw = values.text[TEMPLATE_PATH];
	if (raw.len > PATH_SIZE || path_canonical(raw, PATH_KEPT_SLASH, room->canonical, &path) < 0)
		return -EINVAL;
	int result = find_from(act, path, room, &values, &before, &behind);
	if (result <= 0)
		return result;
	put_path(&out, before);
	put_replacement(act, &values, &out);
	put_path(&out, behind);
	if (!out.full && (out.at == room->path || room->path[0] != '/'))
		return -E2BIG;
	template_put(&out, (struct slice){raw.p + raw.len, head->path.len - raw.len});
	if (out.full)
		return -E2BIG;
	head->path = (struct slice){room->path, (size_t)(out.at - room->path)};
	return 0;
}

static bool name_is(const struct h1_field *field, struct slice name)
{
	return slice_equal_nocase(field->name, name);
}

/* Fields that are set or removed do not go on. */
static void drop(const struct headers *headers, struct h1_head *head)
{
	for (uint32_t i = 0; i < head->n_fields; i++) {
		struct h1_field *field = &head->fields[i];
		for (uint32_t k = 0; k < headers->n_set && !field->hop; k++)
			field->hop = name_is(field, headers->fields[k].name);
		for (uint32_t k = 0; k < headers->n_remove && !field->hop; k++)
			field->hop = name_is(
			    field, (struct slice){headers->remove[k], strlen(headers->remove[k])});
	}
}

static void put_lines(
    const struct headers *headers, const struct template_values *values, struct template_out *out)
{
	for (uint32_t i = 0; i < headers->n_fields; i++) {
		template_put(out, headers->fields[i].name);
		template_put(out, SLICE(": "));
		template_expand(&headers->fields[i].value, values, out);
		template_put(out, SLICE("\r\n"));
	}
}

/* There is room for one field more than can come, and a field may be several lines. */
static void append(struct h1_head *head, struct slice lines)
{
	if (lines.len > 0)
		head->fields[head->n_fields++] =
		    (struct h1_field){.line = lines, .name = {"", 0}, .id = H1_FIELD_OTHER};
}

/* Variables may bring an address in brackets, which stands alone, or make a name too long. */
static bool is_host(struct slice text, bool port)
{
	const char *bracket = memchr(text.p, ']', text.len);
	if (text.len == 0 || text.len > HOST_MAX)
		return false;
	if (!bracket)
		return !memchr(text.p, '[', text.len);
	struct slice rest = {bracket + 1, (size_t)(text.p + text.len - bracket - 1)};
	return text.p[0] == '[' && !memchr(text.p + 1, '[', text.len - 1) &&
	       (rest.len == 0 || (port && rest.p[0] == ':')) && !memchr(rest.p, ']', rest.len);
}

/* Writes a Host line. 1: it replaces the field that came, 0: there was none, -ENOENT: it is no host. */
static int change_host(const struct act *act, struct h1_head *head,
    const struct template_values *values, struct template_out *out)
{
	char *line = out->at;
	template_put(out, SLICE("Host: "));
	template_expand(&act->rewrite_host, values, out);
	template_put(out, SLICE("\r\n"));
	if (out->full)
		return -E2BIG;
	struct h1_field field = {.line = {line, (size_t)(out->at - line)},
	    .name = {line, 4},
	    .value = {line + 6, (size_t)(out->at - line) - 8},
	    .id = H1_FIELD_HOST};
	if (!is_host(field.value, true))
		return -ENOENT;
	head->target = head->path; /* nobody shall write the host of an absolute one */
	if (head->host.len == 0)
		head->host = field.value;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (head->fields[i].id == H1_FIELD_HOST) {
			head->fields[i] = field;
			return 1;
		}
	}
	return 0;
}

int act_change_request(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, size_t *grown)
{
	struct template_out out = {room->text, room->text + ROOM_SIZE, false};
	struct template_values values = {.peer = peer};
	const char *lines = room->text;
	template_request_values(&values, head);
	int result = rewrite_path(act, head, room);
	if (result < 0)
		return result;
	drop(&act->request, head);
	if (act->spec->rewrite.host) {
		result = change_host(act, head, &values, &out);
		if (result < 0)
			return result;
		lines = result == 1 ? out.at : lines;
	}
	put_lines(&act->request, &values, &out);
	if (out.full)
		return -E2BIG;
	append(head, (struct slice){lines, (size_t)(out.at - lines)});
	*grown = (size_t)(out.at - room->text) + head->path.len;
	return 0;
}

/* ---- responses ---- */

int act_change_response(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, struct slice *lines)
{
	struct template_out out = {room->text, room->text + ROOM_SIZE, false};
	struct template_values values = {.peer = peer};
	drop(&act->response, head);
	template_put(&out, *lines);
	put_lines(&act->response, &values, &out);
	if (out.full)
		return -E2BIG;
	*lines = (struct slice){room->text, (size_t)(out.at - room->text)};
	return 0;
}

static void put_number(struct template_out *out, unsigned number)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", number);
	template_put(out, (struct slice){text, (size_t)n});
}

/* The request's own port stays, unless the scheme changes: then it is that scheme's usual one. */
static void put_port(const struct act *act, const struct template_values *values, bool named,
    struct template_out *out)
{
	const struct route_redirect *redirect = &act->spec->redirect;
	struct slice port = values->text[TEMPLATE_PORT];
	const char *scheme = redirect->scheme ? redirect->scheme : "http";
	if (redirect->port) {
		if (redirect->port == (strcmp(scheme, "https") == 0 ? 443 : 80))
			return;
		template_put(out, SLICE(":"));
		put_number(out, redirect->port);
	} else if (!redirect->scheme || strcmp(redirect->scheme, "http") == 0) {
		if (!named)
			return;
		template_put(out, SLICE(":"));
		template_put(out, port);
	}
}

/* False: there is no host to go to. */
static bool put_location(const struct act *act, const struct template_values *values, bool named,
    struct template_out *out)
{
	const struct route_redirect *redirect = &act->spec->redirect;
	const char *scheme = redirect->scheme ? redirect->scheme : "http";
	const struct slice *text = values->text;
	template_put(out, SLICE("Location: "));
	template_put(out, (struct slice){scheme, strlen(scheme)});
	template_put(out, SLICE("://"));
	struct slice host = {out->at, 0};
	if (redirect->host)
		template_expand(&act->host, values, out);
	else
		template_put(out, text[TEMPLATE_HOST]);
	host.len = (size_t)(out->at - host.p);
	put_port(act, values, named && !redirect->host, out);
	if (redirect->path)
		template_expand(&act->path, values, out);
	else
		template_put(out, text[TEMPLATE_PATH]);
	char *mark = out->at;
	template_put(out, SLICE("?"));
	if (redirect->query)
		template_expand(&act->query, values, out);
	else
		template_put(out, text[TEMPLATE_QUERY]);
	if (!out->full && out->at == mark + 1)
		out->at = mark;
	template_put(out, SLICE("\r\n"));
	return out->full || is_host(host, false);
}

static int answer_redirect(const struct act *act, struct h1_head *head,
    struct template_values *values, struct act_room *room, struct template_out *out)
{
	int result = rewrite_path(act, head, room);
	if (result < 0)
		return result;
	template_request_values(values, head);
	struct slice host = values->text[TEMPLATE_HOST];
	return put_location(act, values, host.len < head->host.len, out) ? 0 : -ENOENT;
}

int act_answer(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, struct act_answer *answer)
{
	struct template_out out = {room->text, room->text + ROOM_SIZE, false};
	struct template_values values = {.peer = peer};
	const struct route_respond *respond = &act->spec->respond;
	*answer = (struct act_answer){.status = respond->status};
	if (act->spec->kind == ROUTE_REDIRECT) {
		int result = answer_redirect(act, head, &values, room, &out);
		if (result < 0)
			return result;
		answer->status = act->spec->redirect.status;
	} else if (respond->body) {
		answer->body = (struct slice){respond->body, strlen(respond->body)};
		template_put(&out, SLICE("Content-Type: "));
		template_put(
		    &out, (struct slice){respond->content_type, strlen(respond->content_type)});
		template_put(&out, SLICE("\r\n"));
	}
	put_lines(&act->response, &values, &out);
	if (out.full)
		return -E2BIG;
	answer->lines = (struct slice){room->text, (size_t)(out.at - room->text)};
	return 0;
}

const char *act_field_refused(const char *name, bool response)
{
	static const char *const connection[] = {"connection", "keep-alive", "proxy-connection",
	    "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "content-length",
	    "expect", "max-forwards", "proxy-authenticate", "proxy-authorization", NULL};
	static const char *const forwarded[] = {"forwarded", "x-forwarded-for", "x-forwarded-proto",
	    "x-forwarded-host", "x-forwarded-port", "via", NULL};
	for (const char *const *known = connection; *known; known++)
		if (strcasecmp(name, *known) == 0)
			return "belongs to the connection or frames the message";
	for (const char *const *known = forwarded; !response && *known; known++)
		if (strcasecmp(name, *known) == 0)
			return "is set by the listener: see \"forwarded\" and \"via\" there";
	if (!response && strcasecmp(name, "host") == 0)
		return "is changed by \"rewrite\": {\"host\": ...}";
	return NULL;
}
