/* The rows of a route: conditions, actions, changes. */
#include "conf/format.h"
#include "conf/schema_rows.h"
#include "daemon/route/spec.h"

static const char *const scheme_words[] = {"http", "https", NULL};

static const struct conf_key host_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_host_pattern, .help = "A host name, or \"*.\" and one"};
static const struct conf_key path_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_path_pattern, .help = "A path; * is any text; ~ a regular expression"};
static const struct conf_key alpn_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_alpn, .help = "The name of a protocol"};
static const struct conf_key method_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_token, .help = "A method in capital letters"};
static const struct conf_key source_element = {
    "", CONF_CIDR, 0, sizeof(struct route_source), .help = "A network"};
static const struct conf_key pattern_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_pattern, .help = "A value; * is any text; ~ a regular expression"};

static const struct conf_key named_keys[] = {
    {"values", CONF_LIST, ENTRIES(struct route_named, patterns, n_patterns), .one_or_list = true,
	.min = 1, .max = ROUTE_LIST_MAX, .element = &pattern_element,
	.help = "One of these is a value: this text; with * for any text; or behind ~ a regular "
		"expression (PCRE2). \"*\": it is there"},
};
static const struct conf_object named_object = {
    "Values by name", KEYS(named_keys), .size = sizeof(struct route_named), .shorthand = "values"};

static const struct conf_key share_keys[] = {
    {"weight", CONF_INT, FIELD(struct route_share, weight), .max = ROUTE_WEIGHT_MAX, .def = "1",
	.help = "Share of the requests relative to the other pools; 0: only those of sticky "
		"clients"},
};
static const struct conf_object share_object = {
    "Shares", KEYS(share_keys), .size = sizeof(struct route_share), .shorthand = "weight"};
static const struct conf_key shares_by_pool = {"", CONF_MAP,
    ENTRIES(struct route_spec, shares, n_shares), .object = &share_object, .min = 1,
    .max = ROUTE_SHARES_MAX, .help = "Weights by pool"};

static const struct conf_key redirect_keys[] = {
    {"status", CONF_INT, FIELD(struct route_spec, redirect.status), .min = 301, .max = 308,
	.def = "302", .help = "301, 302, 303, 307 or 308"},
    {"scheme", CONF_WORD, FIELD(struct route_spec, redirect.scheme), .words = scheme_words,
	.def_note = "the request's", .help = "Of the URL that the client is sent to"},
    {"host", CONF_STRING, FIELD(struct route_spec, redirect.host),
	.format = &conf_format_host_template, .def_note = "the request's",
	.help = "Its host, without port"},
    {"port", CONF_INT, FIELD(struct route_spec, redirect.port), .min = 1, .max = 65535,
	.def_note = "the request's, where neither scheme nor host changes", .help = "Its port"},
    {"path", CONF_STRING, FIELD(struct route_spec, redirect.path),
	.format = &conf_format_path_template, .def_note = "the request's, behind rewrite",
	.help = "Its path; may have variables, as /old{path}"},
    {"query", CONF_STRING, FIELD(struct route_spec, redirect.query),
	.format = &conf_format_query_template, .def_note = "the request's",
	.help = "What stands behind the ?; empty: nothing"},
};
static const struct conf_object redirect_object = {"Redirects", KEYS(redirect_keys)};

static const struct conf_key respond_keys[] = {
    {"status", CONF_INT, FIELD(struct route_spec, respond.status), .required = true, .min = 200,
	.max = 599, .help = "The status of the answer"},
    {"content_type", CONF_STRING, FIELD(struct route_spec, respond.content_type),
	.format = &conf_format_field_value, .def = "text/plain", .help = "What the body is"},
    {"body", CONF_STRING, FIELD(struct route_spec, respond.body), .format = &conf_format_body,
	.def_note = "none", .help = "The body, as it is"},
};
static const struct conf_object respond_object = {"Answers", KEYS(respond_keys)};

static const struct conf_key rewrite_path_keys[] = {
    {"from", CONF_STRING, FIELD(struct route_rewrite, from), .required = true,
	.format = &conf_format_path_pattern,
	.help = "What is replaced: the beginning of the path, as /api/, or behind ~ the first that "
		"a regular expression finds. A path without it stays as it is"},
    {"to", CONF_STRING, FIELD(struct route_rewrite, to), .required = true,
	.format = &conf_format_rewrite,
	.help = "What it is replaced by; {1} to {9} are what the brackets of the expression found"},
};
static const struct conf_object rewrite_path_object = {
    "Rewriting of paths", KEYS(rewrite_path_keys)};
static const struct conf_key rewrite_keys[] = {
    {"path", CONF_OBJECT, 0, sizeof(struct route_rewrite), .object = &rewrite_path_object,
	.def_note = "none",
	.help = "A part of the path is replaced, in the form that conditions see; the query stays"},
    {"host", CONF_STRING, FIELD(struct route_rewrite, host), .format = &conf_format_host_template,
	.def_note = "the request's", .help = "The Host field that the target gets"},
};
static const struct conf_object rewrite_object = {
    "Rewriting", KEYS(rewrite_keys), .size = sizeof(struct route_rewrite)};

static const struct conf_key field_keys[] = {
    {"value", CONF_STRING, FIELD(struct route_field, value), .format = &conf_format_field_value,
	.help = "Text, which may have variables"},
};
static const struct conf_object field_object = {
    "Fields", KEYS(field_keys), .size = sizeof(struct route_field), .shorthand = "value"};
static const struct conf_key field_name_element = {"", CONF_STRING, 0, sizeof(const char *),
    .format = &conf_format_field_name, .help = "The name of a field"};
static const struct conf_key headers_keys[] = {
    {"set", CONF_MAP, ENTRIES(struct route_headers, set, n_set), .object = &field_object,
	.max = ROUTE_FIELDS_MAX, .format = &conf_format_field_name, .def_note = "none",
	.help = "Fields by name, instead of those of that name that came"},
    {"add", CONF_MAP, ENTRIES(struct route_headers, add, n_add), .object = &field_object,
	.max = ROUTE_FIELDS_MAX, .format = &conf_format_field_name, .def_note = "none",
	.help = "Fields by name, besides those that came"},
    {"remove", CONF_LIST, ENTRIES(struct route_headers, remove, n_remove), .one_or_list = true,
	.max = ROUTE_LIST_MAX, .element = &field_name_element, .def_note = "none",
	.help = "Fields that are not passed on"},
};
static const struct conf_object headers_object = {
    "Fields of heads", KEYS(headers_keys), .size = sizeof(struct route_headers)};

#define NAMED(key, field, counter, text)                                        \
	{                                                                       \
		key, CONF_MAP, ENTRIES(struct route_spec, field, counter),      \
		    .min = 1, .max = ROUTE_LIST_MAX, .object = &named_object,   \
		    .format = &conf_format_key, .def_note = "any", .help = text \
	}

static const struct conf_key route_keys[] = {
    {"name", CONF_STRING, FIELD(struct route_spec, name), .format = &conf_format_name,
	.def_note = "its number, from 0", .help = "What metrics call it"},
    {"host", CONF_LIST, ENTRIES(struct route_spec, hosts, n_hosts), .one_or_list = true, .min = 1,
	.max = ROUTE_LIST_MAX, .element = &host_element, .def_note = "any",
	.help = "One of these is the request's host; *.example.com is every name below "
		"example.com. Capital letters and the port do not matter"},
    {"path", CONF_LIST, ENTRIES(struct route_spec, paths, n_paths), .one_or_list = true, .min = 1,
	.max = ROUTE_LIST_MAX, .element = &path_element, .def_note = "any",
	.help = "One of these is the request's path, percent-decoded, with // as / and without . "
		"and .. segments: this path; /api/*, what begins so; with stars elsewhere; or "
		"behind ~ a regular expression (PCRE2). A path that climbs above / is answered "
		"with 400"},
    {"sni", CONF_LIST, ENTRIES(struct route_spec, hosts, n_hosts), .one_or_list = true, .min = 1,
	.max = ROUTE_LIST_MAX, .element = &host_element, .def_note = "any",
	.help = "tcp: one of these is the host that a TLS client asks for (SNI); *.example.com is "
		"every name below example.com. TLS is not terminated: all bytes go to the target "
		"as they came"},
    {"alpn", CONF_LIST, ENTRIES(struct route_spec, alpn, n_alpn), .one_or_list = true, .min = 1,
	.max = ROUTE_LIST_MAX, .element = &alpn_element, .def_note = "any",
	.help = "tcp: one of these is among the protocols that a TLS client offers, like \"h2\""},
    {"method", CONF_LIST, ENTRIES(struct route_spec, methods, n_methods), .one_or_list = true,
	.min = 1, .max = ROUTE_LIST_MAX, .element = &method_element, .def_note = "any",
	.help = "One of these is the request's method; GET is not HEAD"},
    NAMED("header", headers, n_headers,
	"Header fields and the value, or list of values, of which one must be theirs: this text; "
	"with * for any text; or behind ~ a regular expression. {\"X-Beta\": \"*\"}: it is there"),
    NAMED(
	"query", queries, n_queries, "The same for parameters of the query, decoded as forms are"),
    NAMED("cookie", cookies, n_cookies, "The same for cookies"),
    {"source", CONF_LIST, ENTRIES(struct route_spec, sources, n_sources), .one_or_list = true,
	.min = 1, .max = ROUTES_MAX, .element = &source_element, .def_note = "any",
	.help = "The client's address is in one of these networks"},
    {"pool", CONF_POOL, FIELD(struct route_spec, pool), .variant = ROUTE_POOL,
	.format = &conf_format_name, .by_name = &shares_by_pool,
	.help = "Name of the pool that serves it; or pools and their weights, 0 to 1000, as "
		"{\"new\": 1, \"old\": 9}, among which requests are shared out. Clients that are "
		"sticky in one of them stay there"},
    {"redirect", CONF_OBJECT, 0, 0, .variant = ROUTE_REDIRECT, .object = &redirect_object,
	.help = "Sends the client to another URL"},
    {"respond", CONF_OBJECT, 0, 0, .variant = ROUTE_RESPOND, .object = &respond_object,
	.help = "Answers without a target"},
    {"rate_limit", CONF_LIST, ENTRIES(struct route_spec, rate_limits, n_rate_limits),
	.one_or_list = true, .max = LIMIT_LIST_MAX, .element = &conf_schema_rate_limit,
	.def_note = "none",
	.help = "How many requests the route takes in a time, whatever it does with them; besides "
		"what the listener's rate_limit says"},
    {"rewrite", CONF_OBJECT, FIELD(struct route_spec, rewrite), .object = &rewrite_object,
	.help = "What targets get instead of path and host"},
    {"request_headers", CONF_OBJECT, FIELD(struct route_spec, request), .object = &headers_object,
	.help = "Changes in the fields that targets get. Variables: {client_ip} {client_port} "
		"{scheme} {host} {port} {path} {query} {method}, as the request came"},
    {"response_headers", CONF_OBJECT, FIELD(struct route_spec, response), .object = &headers_object,
	.help = "Changes in the fields that clients get, also of redirect and respond. Variables: "
		"{client_ip} {client_port}"},
};
static const struct conf_object route_object = {"Routes", KEYS(route_keys),
    .size = sizeof(struct route_spec), .variants = true,
    .kind_offset = offsetof(struct route_spec, kind)};
const struct conf_key conf_schema_route = {"", CONF_OBJECT, 0, sizeof(struct route_spec),
    .object = &route_object, .help = "Conditions, which all must hold, and an action"};
