#include "daemon/admin/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/addr.h"
#include "daemon/base/text.h"

#define NAME_MAX_LEN     64
#define SESSIONS_DEFAULT 100
#define SESSIONS_LIMIT   10000
#define POOLS_PREFIX     "/v1/pools/"
#define TARGETS_INFIX    "/targets"

static struct json_object *message_body(const char *key, const char *text)
{
	struct json_object *body = json_object_new_object();
	json_object_object_add(body, key, json_object_new_string(text));
	return body;
}

struct json_object *admin_error(const char *text)
{
	return message_body("error", text);
}

struct json_object *admin_done(const char *text)
{
	return message_body("done", text);
}

static void answer_error(struct admin_answer *answer, int status, const char *text)
{
	answer->status = status;
	answer->body = admin_error(text);
}

static void answer_body(
    struct admin_answer *answer, struct json_object *body, const char *otherwise)
{
	if (!body) {
		answer_error(answer, 404, otherwise);
		return;
	}
	answer->status = 200;
	answer->body = body;
}

static void answer_reply(struct admin_answer *answer, struct admin_reply reply)
{
	answer->status = reply.status;
	answer->body = reply.body;
}

/* Percent-decodes into a string; false if it is malformed, contains NUL, or does not fit. */
static bool decode(struct slice in, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < in.len; i++) {
		int c = (unsigned char)in.p[i];
		if (c == '%') {
			if (i + 2 >= in.len)
				return false;
			int high = text_hex_digit(in.p[i + 1]), low = text_hex_digit(in.p[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return true;
}

/* The value of `name` in the query. False if it is absent; a malformed value counts as absent. */
static bool query_value(struct slice query, const char *name, char *out, size_t size)
{
	size_t name_len = strlen(name);
	while (query.len > 0) {
		const char *end = memchr(query.p, '&', query.len);
		struct slice pair = {query.p, end ? (size_t)(end - query.p) : query.len};
		if (pair.len > name_len && memcmp(pair.p, name, name_len) == 0 &&
		    pair.p[name_len] == '=')
			return decode(
			    (struct slice){pair.p + name_len + 1, pair.len - name_len - 1}, out,
			    size);
		size_t skip = pair.len + (end ? 1 : 0);
		query.p += skip;
		query.len -= skip;
	}
	return false;
}

static uint64_t query_number(struct slice query, const char *name, uint64_t otherwise, uint64_t max)
{
	char text[24];
	if (!query_value(query, name, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return otherwise;
	uint64_t value = strtoull(text, NULL, 10);
	return value > max ? max : value;
}

static void get_sessions(const struct admin_callbacks *cb, const struct admin_request *request,
    struct admin_answer *answer)
{
	char pool[NAME_MAX_LEN], keys[8];
	bool one = query_value(request->query, "pool", pool, sizeof(pool));
	bool show =
	    query_value(request->query, "keys", keys, sizeof(keys)) && strcmp(keys, "1") == 0;
	uint64_t limit = query_number(request->query, "limit", SESSIONS_DEFAULT, SESSIONS_LIMIT);
	uint64_t cursor = query_number(request->query, "cursor", 0, UINT64_MAX);
	/* Keys are people's addresses: only for those who may also change things. */
	if (show && !request->may_change) {
		answer_error(
		    answer, 403, "keys are shown on the unix socket or with the token only");
		return;
	}
	answer_body(
	    answer, cb->sessions(cb->arg, one ? pool : NULL, cursor, limit, show), "no such pool");
}

static void get_health(const struct admin_callbacks *cb, struct admin_answer *answer)
{
	struct err why = {{0}};
	bool healthy = cb->healthy(cb->arg, &why);
	answer->status = healthy ? 200 : 503;
	answer->body = json_object_new_object();
	json_object_object_add(answer->body, "ready", json_object_new_boolean(healthy));
	json_object_object_add(answer->body, "reason", json_object_new_string(why.text));
}

static void get_metrics(const struct admin_callbacks *cb, struct admin_answer *answer)
{
	answer->text = cb->metrics(cb->arg);
	answer->status = answer->text ? 200 : 500;
}

static void get_pool(
    const struct admin_callbacks *cb, struct slice name_text, struct admin_answer *answer)
{
	char name[NAME_MAX_LEN];
	if (!decode(name_text, name, sizeof(name)))
		answer_error(answer, 404, "no such pool");
	else
		answer_body(answer, cb->pool(cb->arg, name), "no such pool");
}

static void route_get(const struct admin_callbacks *cb, const struct admin_request *request,
    struct admin_answer *answer)
{
	struct slice path = request->path;
	if (slice_equal(path, SLICE("/healthz")))
		get_health(cb, answer);
	else if (slice_equal(path, SLICE("/metrics")))
		get_metrics(cb, answer);
	else if (slice_equal(path, SLICE("/v1/status")))
		answer_body(answer, cb->status(cb->arg), "");
	else if (slice_equal(path, SLICE("/v1/pools")))
		answer_body(answer, cb->pools(cb->arg), "");
	else if (slice_equal(path, SLICE("/v1/sessions")))
		get_sessions(cb, request, answer);
	else if (slice_equal(path, SLICE("/v1/events")))
		answer_body(answer,
		    cb->events(cb->arg, query_number(request->query, "after", 0, UINT64_MAX),
			query_number(request->query, "local", 0, 1) == 1),
		    "");
	else if (path.len > strlen(POOLS_PREFIX) &&
		 memcmp(path.p, POOLS_PREFIX, strlen(POOLS_PREFIX)) == 0)
		get_pool(cb,
		    (struct slice){path.p + strlen(POOLS_PREFIX), path.len - strlen(POOLS_PREFIX)},
		    answer);
	else
		answer_error(answer, 404, "no such path");
}

/* The string member `key` of a JSON object in the body, copied. */
static bool body_string(struct slice body, const char *key, char *out, size_t size)
{
	if (body.len == 0 || body.len > 4096)
		return false;
	struct json_tokener *tokener = json_tokener_new_ex(4);
	if (!tokener)
		return false;
	bool found = false;
	struct json_object *value = NULL;
	struct json_object *object = json_tokener_parse_ex(tokener, body.p, (int)body.len);
	if (object && json_object_object_get_ex(object, key, &value) &&
	    json_object_is_type(value, json_type_string) &&
	    (size_t)json_object_get_string_len(value) < size) {
		text_copy(out, size, json_object_get_string(value));
		found = true;
	}
	json_object_put(object);
	json_tokener_free(tokener);
	return found;
}

/* Of /v1/pools/NAME/targets[/ADDRESS]; false: it is another path. `target` NULL: without address. */
static bool read_place(struct slice path, char pool[NAME_MAX_LEN], char target[ADDR_TEXT_MAX])
{
	size_t prefix = strlen(POOLS_PREFIX), infix = strlen(TARGETS_INFIX);
	if (path.len <= prefix || memcmp(path.p, POOLS_PREFIX, prefix) != 0)
		return false;
	path.p += prefix;
	path.len -= prefix;
	const char *slash = memchr(path.p, '/', path.len);
	if (!slash || !decode((struct slice){path.p, (size_t)(slash - path.p)}, pool, NAME_MAX_LEN))
		return false;
	path.len -= (size_t)(slash - path.p);
	path.p = slash;
	if (!target)
		return path.len == infix && memcmp(path.p, TARGETS_INFIX, infix) == 0;
	return path.len > infix + 1 && memcmp(path.p, TARGETS_INFIX "/", infix + 1) == 0 &&
	       decode(
		   (struct slice){path.p + infix + 1, path.len - infix - 1}, target, ADDR_TEXT_MAX);
}

static void route_post(const struct admin_callbacks *cb, const struct admin_request *request,
    struct admin_answer *answer)
{
	char name[NAME_MAX_LEN];
	if (slice_equal(request->path, SLICE("/v1/reload"))) {
		answer_reply(answer, cb->reload(cb->arg, request->ticket));
	} else if (slice_equal(request->path, SLICE("/v1/failover"))) {
		bool one = body_string(request->body, "virtual_router", name, sizeof(name));
		answer_reply(answer, cb->failover(cb->arg, request->ticket, one ? name : NULL));
	} else if (read_place(request->path, name, NULL)) {
		answer_reply(answer, cb->target_add(cb->arg, request->ticket, name, request->body.p,
					 request->body.len));
	} else {
		answer_error(answer, 404, "no such path");
	}
}

static void route_patch(const struct admin_callbacks *cb, const struct admin_request *request,
    struct admin_answer *answer)
{
	char pool[NAME_MAX_LEN], target[ADDR_TEXT_MAX];
	if (!read_place(request->path, pool, target))
		answer_error(answer, 404, "no such path");
	else
		answer_reply(answer, cb->target_change(cb->arg, request->ticket, pool, target,
					 request->body.p, request->body.len));
}

/* ?drain_timeout=30s; ?force is ?drain_timeout=0s. */
static void route_delete(const struct admin_callbacks *cb, const struct admin_request *request,
    struct admin_answer *answer)
{
	char pool[NAME_MAX_LEN], target[ADDR_TEXT_MAX], timeout[24];
	if (!read_place(request->path, pool, target)) {
		answer_error(answer, 404, "no such path");
		return;
	}
	bool given = query_value(request->query, "drain_timeout", timeout, sizeof(timeout));
	bool force = slice_equal(request->query, SLICE("force")) ||
		     slice_equal(request->query, SLICE("force=1"));
	if (request->query.len > 0 && !given && !force)
		answer_error(answer, 400,
		    "the query is not drain_timeout=DURATION or force: nothing is removed");
	else
		answer_reply(answer, cb->target_remove(cb->arg, request->ticket, pool, target,
					 force   ? "0s"
					 : given ? timeout
						 : NULL));
}

void admin_route(const struct admin_callbacks *callbacks, const struct admin_request *request,
    struct admin_answer *answer)
{
	*answer = (struct admin_answer){0};
	bool read = request->method == H1_GET || request->method == H1_HEAD;
	if (read ? !request->may_read : !request->may_change) {
		answer_error(answer, 403,
		    read ? "reading needs the token here"
			 : "changes need the unix socket or the token");
		return;
	}
	switch (request->method) {
	case H1_GET:
	case H1_HEAD: route_get(callbacks, request, answer); break;
	case H1_POST: route_post(callbacks, request, answer); break;
	case H1_PATCH: route_patch(callbacks, request, answer); break;
	case H1_DELETE: route_delete(callbacks, request, answer); break;
	default: answer_error(answer, 405, "method not allowed"); break;
	}
}
