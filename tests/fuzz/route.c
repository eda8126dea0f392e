/* Any request among routes with every kind of condition, action and change: what becomes of it is a
 * request again, and a redirect a response. */
#include "daemon/route/route.h"

#include <errno.h>

#include "tests/fuzz/h1_fuzz.h"

#define OUT_MAX (512 * 1024)

static const char *hosts[] = {"a.example", "*.example"},
		  *paths[] = {"/a/*", "/*.png", "~^/v[0-9]+/"};
static const char *methods[] = {"GET", "PUT"}, *values[] = {"a", "b*", "~c$", "*"};
static struct route_named named[] = {
    {"x", values, 2}, {"Cookie", values, 4}, {"y-z", values + 2, 1}};
static struct route_field fields[] = {
    {"X-A", "{path}?{query} {host}:{port} {method} {client_ip}"}, {"Cookie", "a"}};
static const char *removed[] = {"x", "User-Agent"};
static struct route_source source;

static struct route_spec specs[] = {
    {.hosts = hosts,
	.n_hosts = 2,
	.paths = paths,
	.n_paths = 3,
	.kind = ROUTE_POOL,
	.rewrite = {.from = "/a/", .to = "/b c/{host}/", .host = "x.{host}:{port}"}},
    {.methods = methods,
	.n_methods = 2,
	.headers = named,
	.n_headers = 2,
	.kind = ROUTE_POOL,
	.request = {.set = fields, .n_set = 2, .remove = removed, .n_remove = 2}},
    {.queries = named,
	.n_queries = 3,
	.kind = ROUTE_POOL,
	.rewrite = {.from = "~^/(.)(.*)", .to = "/{2}/{1}"},
	.request = {.add = fields, .n_add = 1}},
    {.cookies = named,
	.n_cookies = 3,
	.kind = ROUTE_REDIRECT,
	.redirect = {.status = 302,
	    .scheme = "https",
	    .host = "{host}",
	    .path = "/{path}/{method}",
	    .query = "{query}&{client_port}"}},
    {.sources = &source,
	.n_sources = 1,
	.kind = ROUTE_REDIRECT,
	.redirect = {.status = 307},
	.rewrite = {.from = "~/", .to = "/"}},
    {.kind = ROUTE_REDIRECT, .redirect = {.status = 308, .port = 81}},
};

#define N_SPECS (sizeof(specs) / sizeof(specs[0]))

static struct addr peer;
static struct route_table *table;
static struct route_space *space;
static struct act_room *room;

static void set_up(void)
{
	addr_parse_ip("2001:db8::1", &peer);
	addr_parse_ip("2001:db8::", &source.addr);
	source.prefix = 32;
	table = route_table_new(specs, N_SPECS);
	space = route_space_new();
	room = act_room_new();
	require(table && space && room);
}

/* Whether the texts grew too long, or the path is one that is refused, is known; nothing else fails. */
static bool may_fail(int result)
{
	return result == -E2BIG || result == -EINVAL || result == -ENOENT;
}

/* As the proxy writes it, less what it adds. */
static void require_request(const struct h1_head *head, size_t grown)
{
	static char out[OUT_MAX];
	static struct h1_head again;
	size_t n = 0;
	require(head->len + grown + 64 <= sizeof(out));
	n = h1_append(out, n, head->method_text);
	n = h1_append(out, n, SLICE(" "));
	n = h1_append(out, n, head->path);
	n = h1_append(out, n, SLICE(" HTTP/1.1\r\n"));
	for (uint32_t i = 0; i < head->n_fields; i++)
		if (!head->fields[i].hop)
			n = h1_append(out, n, head->fields[i].line);
	n = h1_append(out, n, SLICE("\r\n"));
	require(n <= head->len + grown + 64);
	require(h1_parse_request(out, n, &again) == H1_OK && again.len == n);
	require(slice_equal(again.path, head->path));
}

static void change(const struct act *act, const char *buf, size_t size)
{
	static struct h1_head head;
	size_t grown = 0;
	require(h1_parse_request(buf, size, &head) == H1_OK);
	int result = act_change_request(act, &head, &peer, room, &grown);
	require(result == 0 || may_fail(result));
	if (result == 0)
		require_request(&head, grown);
}

static void answer(const struct act *act, const char *buf, size_t size)
{
	static char out[OUT_MAX];
	static struct h1_head head, response;
	struct act_answer answer;
	require(h1_parse_request(buf, size, &head) == H1_OK);
	int result = act_answer(act, &head, &peer, room, &answer);
	require(result == 0 || may_fail(result));
	if (result < 0)
		return;
	size_t n = h1_append(out, 0, SLICE("HTTP/1.1 302 \r\n"));
	n = h1_append(out, n, answer.lines);
	n = h1_append(out, n, SLICE("Content-Length: 0\r\n\r\n"));
	require(h1_parse_response(out, n, H1_GET, &response) == H1_OK && response.len == n);
	require(response.n_fields == 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct h1_head head;
	const char *buf = (const char *)data;
	uint32_t index = UINT32_MAX;
	if (!table)
		set_up();
	if (size > 32 * 1024 || h1_parse_request(buf, size, &head) != H1_OK ||
	    head.method == H1_CONNECT)
		return 0;
	enum route_result result = route_find(table, &head, &peer, space, &index);
	require(result != ROUTE_NOT_FOUND && (result != ROUTE_FOUND || index < N_SPECS));
	/* Each route's changes, whoever takes it. A Host is there, and fields are not at their limit. */
	if (head.minor == 0 || head.n_fields > H1_FIELDS_MAX - 4)
		return 0;
	for (uint32_t i = 0; i < N_SPECS; i++) {
		if (specs[i].kind == ROUTE_POOL)
			change(route_act(table, i), buf, size);
		else
			answer(route_act(table, i), buf, size);
	}
	return 0;
}
