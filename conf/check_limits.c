/* Rate limits: what one row of the schema cannot see. */
#include "conf/check_parts.h"

static void check_key(
    struct report *report, const struct node *node, const struct limit_spec *limit, bool tcp)
{
	static const char *const names[] = {"by", "header", "cookie"};
	const struct node *key = node_child(node, "key"), *first = NULL;
	for (unsigned i = 0; i < 3; i++) {
		const struct node *child = node_child(key, names[i]);
		if (child && first)
			report_key(report, child,
			    "\"%s\" is given already; only one of them can be", first->key);
		else if (child)
			first = child;
	}
	enum limit_by by = limit->key.by;
	if (tcp && by != LIMIT_BY_SOURCE && by != LIMIT_BY_NONE)
		report_value(report, key, "is for mode \"http\"; here it is source or none");
	bool has_source = by == LIMIT_BY_SOURCE || by >= LIMIT_BY_HEADER;
	for (unsigned i = 0; i < 2 && !has_source; i++) {
		const struct node *prefix = node_child(node, i == 0 ? "prefix4" : "prefix6");
		if (prefix)
			report_key(report, prefix, "the key has no source");
	}
}

static void check_list(struct report *report, const struct node *list,
    const struct limit_spec *limits, uint32_t n, bool tcp)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct node *node = list->kind == NODE_LIST ? check_element(list, i) : list;
		if (node->kind != NODE_OBJECT)
			continue;
		check_key(report, node, &limits[i], tcp);
		if (tcp && node_child(node, "status"))
			report_key(report, node_child(node, "status"),
			    "is for mode \"http\"; connections are reset");
	}
}

void check_limits(
    struct report *report, const struct node *entry, const struct conf_listener *listener)
{
	const struct node *own = node_child(entry, "rate_limit");
	const struct node *route = check_first(node_child(entry, "routes"));
	if (own && listener->mode == CONF_MODE_UDP)
		report_key(report, own, "rate limits are for modes \"http\" and \"tcp\"");
	else
		check_list(report, own, listener->rate_limits, listener->n_rate_limits,
		    listener->mode == CONF_MODE_TCP);
	for (uint32_t i = 0; i < listener->n_routes; i++, route = route->next)
		check_list(report, node_child(route, "rate_limit"), listener->routes[i].rate_limits,
		    listener->routes[i].n_rate_limits, false);
}

static void finish(struct conf *conf, struct limit_spec *limits, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct limit_spec *limit = &limits[i];
		limit->number = conf->n_rate_limits++;
		if (limit->burst == 0)
			limit->burst = limit->rate.count;
		if (limit->key.header)
			limit->key.by = LIMIT_BY_HEADER;
		else if (limit->key.cookie)
			limit->key.by = LIMIT_BY_COOKIE;
	}
}

void check_finish_limits(struct conf *conf, struct conf_listener *listener)
{
	finish(conf, listener->rate_limits, listener->n_rate_limits);
	for (uint32_t i = 0; i < listener->n_routes; i++)
		finish(conf, listener->routes[i].rate_limits, listener->routes[i].n_rate_limits);
}
