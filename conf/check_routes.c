/* The routes of a listener: what one row of the schema cannot see. */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "conf/check_parts.h"
#include "conf/format.h"
#include "conf/schema_rows.h"
#include "daemon/route/act.h"
#include "daemon/route/path.h"
#include "daemon/route/pattern.h"
#include "daemon/route/template.h"
#include "daemon/route/values.h"

/* A path that no canonical path is equal to would never be found. */
static void check_literal_path(struct report *report, const struct node *node, const char *text)
{
	char canonical[ROUTE_TEXT_MAX], raw[ROUTE_TEXT_MAX];
	struct slice out, in = {raw, strlen(text)};
	if (in.len > sizeof(raw))
		return;
	if (strpbrk(text, "?#")) {
		report_value(
		    report, node, "\"%.80s\" never matches: a path ends before '?' and '#'", text);
		return;
	}
	if (strchr(text, '%')) {
		report_value(report, node,
		    "\"%.80s\" never matches: paths are compared decoded; write the characters "
		    "themselves",
		    text);
		return;
	}
	/* A star may be anything. */
	for (size_t i = 0; i < in.len; i++)
		raw[i] = text[i] == '*' ? 'x' : text[i];
	if (path_canonical(in, '/', canonical, &out) < 0 || !slice_equal(in, out))
		report_value(report, node,
		    "\"%.80s\" never matches: paths are compared without \"//\", \".\" and \"..\"",
		    text);
}

void check_pattern(struct report *report, const struct node *node, const char *text)
{
	struct pattern pattern;
	struct err err = {0};
	int result = pattern_init(&pattern, text, &err);
	if (result == -ENOMEM)
		report->out_of_memory = true;
	else if (result < 0)
		report_value(report, node, "\"%.80s\" is %s", text, err.text);
	else
		pattern_fini(&pattern);
}

static void check_paths(
    struct report *report, const struct node *list, const struct route_spec *route)
{
	for (uint32_t i = 0; i < route->n_paths; i++) {
		const struct node *node = check_element(list, i);
		const char *text = route->paths[i];
		if (!text)
			continue;
		if (text[0] == '~')
			check_pattern(report, node, text);
		else
			check_literal_path(report, node, text);
	}
}

/* Each value may be a pattern. */
static void check_values(struct report *report, const struct node *map,
    const struct route_named *named, uint32_t n, struct value_names *names, enum value_kind kind)
{
	const struct node *entry = check_first(map);
	for (uint32_t i = 0; i < n; i++, entry = entry->next) {
		for (uint32_t k = 0; k < named[i].n_patterns; k++) {
			const char *text = named[i].patterns[k];
			if (text && text[0] == '~')
				check_pattern(report, check_element(entry, k), text);
		}
		if (kind == VALUE_HEADER && strcasecmp(named[i].name, "host") == 0)
			report_key(report, entry, "the host is a condition of its own: \"host\"");
		if (kind == VALUE_HEADER && !conf_format_field_name.check(named[i].name))
			report_key(report, entry, "not %s", conf_format_field_name.wish);
		if (value_names_add(names, kind, named[i].name) < 0)
			report_key(report, entry, "more than %u different names in one listener",
			    ROUTE_NAMES_MAX);
	}
}

static void check_sources(
    struct report *report, const struct node *list, const struct route_spec *route)
{
	for (uint32_t i = 0; i < route->n_sources; i++) {
		const struct route_source *source = &route->sources[i];
		uint8_t whole[16], network[16];
		struct addr addr = source->addr;
		char ip[ADDR_TEXT_MAX];
		if (!check_is_set(&source->addr))
			continue;
		addr_key(&source->addr, 32, 128, whole);
		addr_key(&source->addr, source->prefix, source->prefix, network);
		if (memcmp(whole, network, 16) == 0)
			continue;
		if (check_is_ipv6(&addr))
			memcpy(&addr.in6.sin6_addr, network, 16);
		else
			memcpy(&addr.in.sin_addr, network + 12, 4);
		addr_format_ip(&source->addr, ip);
		char base[ADDR_TEXT_MAX];
		report_value(report, check_element(list, i),
		    "%s is not the beginning of a network of /%u; did you mean \"%s/%u\"?", ip,
		    source->prefix, addr_format_ip(&addr, base), source->prefix);
	}
}

static void check_template(
    struct report *report, const struct node *node, const char *text, enum template_scope scope)
{
	struct template template;
	struct err err = {0};
	int result = text ? template_init(&template, text, scope, &err) : -EINVAL;
	if (result == -ENOMEM)
		report->out_of_memory = true;
	else if (result < 0 && text)
		report_value(report, node, "%s", err.text);
	else if (result == 0)
		template_fini(&template);
}

static void check_redirect(
    struct report *report, const struct node *node, const struct route_spec *route)
{
	const struct route_redirect *to = &route->redirect;
	const struct node *status = node_child(node, "status");
	if (!node || node->kind != NODE_OBJECT)
		return;
	if (status && to->status >= 304 && to->status <= 306)
		report_value(report, status, "%u is not 301, 302, 303, 307 or 308", to->status);
	check_template(report, node_child(node, "host"), to->host, TEMPLATE_OF_REQUEST);
	check_template(report, node_child(node, "path"), to->path, TEMPLATE_OF_REQUEST);
	check_template(report, node_child(node, "query"), to->query, TEMPLATE_OF_REQUEST);
	if (!node_child(node, "scheme") && !node_child(node, "host") && !node_child(node, "port") &&
	    !node_child(node, "path") && !node_child(node, "query") && !route->rewrite.from)
		report_value(report, node,
		    "leads to where the request came from, without end; wanted another scheme, "
		    "host, port, path or query");
}

static void check_respond(
    struct report *report, const struct node *node, const struct route_spec *route)
{
	unsigned status = route->respond.status;
	if (node_child(node, "body") && (status == 204 || status == 205 || status == 304))
		report_value(report, node_child(node, "body"), "status %u has no body", status);
}

/* What the new path says of the expression's groups. */
static void check_groups(
    struct report *report, const struct node *to, const struct route_rewrite *rewrite)
{
	struct pattern pattern;
	struct template template;
	struct err err;
	if (pattern_init(&pattern, rewrite->from, &err) < 0)
		return;
	if (template_init(&template, rewrite->to, TEMPLATE_OF_MATCH, &err) == 0) {
		uint32_t n = pattern_n_groups(&pattern);
		for (uint32_t i = 0; i < template.n_parts; i++)
			if (template.parts[i].variable == TEMPLATE_GROUP &&
			    template.parts[i].group > n)
				report_value(report, to, "{%u}: the expression has %u group%s",
				    template.parts[i].group, n, n == 1 ? "" : "s");
		template_fini(&template);
	}
	pattern_fini(&pattern);
}

static void check_rewrite(
    struct report *report, const struct node *node, const struct route_spec *route)
{
	const struct route_rewrite *rewrite = &route->rewrite;
	const struct node *path = node_child(node, "path");
	const struct node *from = node_child(path, "from"), *to = node_child(path, "to");
	bool regex = rewrite->from && rewrite->from[0] == '~';
	if (regex)
		check_pattern(report, from, rewrite->from);
	else if (rewrite->from && strchr(rewrite->from, '*'))
		report_value(report, from,
		    "\"%.80s\" begins the path; a star is not needed, and not known here",
		    rewrite->from);
	else if (rewrite->from)
		check_literal_path(report, from, rewrite->from);
	check_template(report, to, rewrite->to, regex ? TEMPLATE_OF_MATCH : TEMPLATE_OF_REQUEST);
	if (regex && to)
		check_groups(report, to, rewrite);
	if (rewrite->from && rewrite->to && rewrite->to[0] != '/' && rewrite->to[0] != '{' &&
	    (!regex || rewrite->from[1] == '^'))
		report_value(report, to, "\"%.80s\" does not begin with \"/\"", rewrite->to);
	check_template(report, node_child(node, "host"), rewrite->host, TEMPLATE_OF_REQUEST);
	if (node && route->kind == ROUTE_RESPOND)
		report_value(report, node, "there is nothing to rewrite for an answer of its own");
}

void check_field_name(
    struct report *report, const struct node *node, const char *name, bool response)
{
	const char *why = name ? act_field_refused(name, response) : NULL;
	if (why && node->key)
		report_key(report, node, "%s", why);
	else if (why)
		report_value(report, node, "\"%.80s\" %s", name, why);
}

static void check_headers(struct report *report, const struct node *node,
    const struct route_headers *headers, bool response)
{
	enum template_scope scope = response ? TEMPLATE_OF_RESPONSE : TEMPLATE_OF_REQUEST;
	const struct node *set = check_first(node_child(node, "set"));
	const struct node *add = check_first(node_child(node, "add"));
	const struct node *remove = node_child(node, "remove");
	for (uint32_t i = 0; i < headers->n_set; i++, set = set->next) {
		check_field_name(report, set, headers->set[i].name, response);
		check_template(report, set, headers->set[i].value, scope);
	}
	for (uint32_t i = 0; i < headers->n_add; i++, add = add->next) {
		check_field_name(report, add, headers->add[i].name, response);
		check_template(report, add, headers->add[i].value, scope);
	}
	for (uint32_t i = 0; i < headers->n_remove; i++)
		check_field_name(report, check_element(remove, i), headers->remove[i], response);
}

/* In mode tcp there is a ClientHello to look at, and nothing else; in mode http there is none. */
static void check_mode(struct report *report, const struct node *node, const struct conf *conf,
    const struct conf_listener *listener, const struct route_spec *route)
{
	static const char of_both[] = "name pool source";
	bool tcp = listener->mode == CONF_MODE_TCP;
	for (const struct node *key = node->child; key; key = key->next) {
		bool of_hello = conf_schema_word_in("sni alpn", key->key);
		if (of_hello == tcp || conf_schema_word_in(of_both, key->key) ||
		    !conf_schema_find(conf_schema_route.object, key->key))
			continue;
		report_key(report, key, "is for mode \"%s\"; here routes have %s",
		    tcp ? "http" : "tcp", tcp ? "sni, alpn and source" : "host, path and others");
	}
	if (!tcp)
		return;
	const struct node *pool = node_child(node, "pool");
	check_sticky_mode(report, pool, conf, route->pool, CONF_MODE_TCP);
	check_balance_mode(report, pool, conf, route->pool, CONF_MODE_TCP);
	for (uint32_t i = 0; i < route->n_shares; i++) {
		check_sticky_mode(report, pool, conf, route->shares[i].pool, CONF_MODE_TCP);
		check_balance_mode(report, pool, conf, route->shares[i].pool, CONF_MODE_TCP);
	}
}

/* One that everything runs into hides those behind it. */
static bool takes_all(const struct node *route)
{
	static const char *const conditions[] = {
	    "host", "path", "sni", "alpn", "method", "header", "query", "cookie", "source"};
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
		if (node_child(route, conditions[i]))
			return false;
	return true;
}

static void check_names(struct report *report, const struct node *list, const struct node *node,
    const struct conf_listener *listener, uint32_t index)
{
	const char *name = listener->routes[index].name;
	const struct node *before = check_first(list);
	for (uint32_t i = 0; name && i < index; i++, before = before->next) {
		const char *other = listener->routes[i].name;
		unsigned line, column;
		if (!other || strcmp(other, name) != 0)
			continue;
		report_place(report, before->offset, &line, &column);
		report_value(report, node_child(node, "name"),
		    "\"%s\" is already the name of the route at line %u", name, line);
		return;
	}
}

static void check_route(struct report *report, const struct node *node,
    const struct route_spec *route, struct value_names names[VALUE_KIND_COUNT])
{
	check_paths(report, node_child(node, "path"), route);
	check_values(report, node_child(node, "header"), route->headers, route->n_headers,
	    &names[VALUE_HEADER], VALUE_HEADER);
	check_values(report, node_child(node, "query"), route->queries, route->n_queries,
	    &names[VALUE_QUERY], VALUE_QUERY);
	check_values(report, node_child(node, "cookie"), route->cookies, route->n_cookies,
	    &names[VALUE_COOKIE], VALUE_COOKIE);
	check_sources(report, node_child(node, "source"), route);
	check_redirect(report, node_child(node, "redirect"), route);
	check_respond(report, node_child(node, "respond"), route);
	check_rewrite(report, node_child(node, "rewrite"), route);
	check_headers(report, node_child(node, "request_headers"), &route->request, false);
	check_headers(report, node_child(node, "response_headers"), &route->response, true);
}

void check_routes(struct report *report, const struct node *entry, const struct conf *conf,
    const struct conf_listener *listener)
{
	const struct node *list = node_child(entry, "routes"), *node = check_first(list);
	const struct node *all = NULL;
	struct value_names names[VALUE_KIND_COUNT] = {0};
	uint64_t items = 0;
	if (list && listener->mode == CONF_MODE_UDP) {
		report_key(report, list, "routes are for modes \"http\" and \"tcp\"");
		return;
	}
	for (uint32_t i = 0; i < listener->n_routes; i++, node = node->next) {
		const struct route_spec *route = &listener->routes[i];
		if (node->kind != NODE_OBJECT)
			continue;
		check_mode(report, node, conf, listener, route);
		check_route(report, node, route, names);
		check_names(report, list, node, listener, i);
		if (all) {
			unsigned line, column;
			report_place(report, all->offset, &line, &column);
			report_value(report, node,
			    "never reached: the route at line %u has no condition, and takes every "
			    "request",
			    line);
			break;
		}
		if (takes_all(node))
			all = node;
		items += (uint64_t)(route->n_hosts > 0 ? route->n_hosts : 1) *
			 (route->n_paths > 0 ? route->n_paths : 1);
	}
	if (items > ROUTE_ITEMS_MAX)
		report_value(report, list,
		    "hosts times paths of all routes are %llu; wanted at most %u",
		    (unsigned long long)items, ROUTE_ITEMS_MAX);
}

/* ---- what follows from something else ---- */

/* Pools by their names; weights of which at least one counts. */
static void finish_shares(struct report *report, const struct node *node, const struct conf *conf,
    struct route_spec *route)
{
	const struct node *entry = check_first(node);
	bool all_zero = route->n_shares > 0;
	for (uint32_t i = 0; i < route->n_shares; i++, entry = entry->next) {
		const char *nearest = NULL;
		struct route_share *share = &route->shares[i];
		share->pool = check_find_pool(conf, share->name, &nearest);
		if (share->pool == CONF_NONE && nearest)
			report_key(
			    report, entry, "not one of the pools; did you mean \"%s\"?", nearest);
		else if (share->pool == CONF_NONE)
			report_key(report, entry, "not one of the pools");
		all_zero &= share->weight == 0 && entry->len == 1; /* as written */
	}
	if (all_zero)
		report_value(report, node, "no pool has a weight; wanted at least one above 0");
}

void check_finish_routes(struct report *report, const struct node *entry, const struct conf *conf,
    struct conf_listener *listener)
{
	const struct node *node = check_first(node_child(entry, "routes"));
	for (uint32_t i = 0; i < listener->n_routes; i++, node = node->next) {
		const struct node *pool = node_child(node, "pool");
		listener->routes[i].pool = check_resolve_pool(report, pool, conf);
		finish_shares(report, pool, conf, &listener->routes[i]);
	}
}
