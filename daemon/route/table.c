#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/route/names.h"
#include "daemon/route/path.h"
#include "daemon/route/pattern.h"
#include "daemon/route/route.h"
#include "daemon/route/sources.h"
#include "daemon/route/values.h"

/* A part of table->postings: numbers of routes, ascending. */
struct span {
	uint32_t from, n;
};

/* A path, or the beginning of paths, that routes of one bucket name. */
struct literal {
	struct slice text;
	uint32_t parent;    /* the longest other one that this begins with, or NONE */
	struct span begins; /* routes that take what begins so: also those of the parents */
	struct span equals; /* routes that take exactly this, and those of `begins` */
};

/* The routes that name one host or wildcard, or none. */
struct bucket {
	uint32_t first, n;  /* of table->literals, sorted */
	struct span others; /* without a path, or with patterns to be tried */
};

/* A value of this name is like one of the patterns. */
struct condition {
	enum value_kind kind;
	uint16_t name; /* its number */
	uint32_t n_patterns;
	struct pattern *patterns;
};

/* A route's own conditions that are not in the index. */
struct route {
	struct pattern *patterns; /* of paths: wildcards and regular expressions */
	uint32_t n_patterns;
	bool any_path; /* no condition on paths */
	uint32_t n_conditions;
	const struct route_spec *spec;
	struct condition *conditions;
	struct sources sources;
	struct act *act;
};

struct route_table {
	struct route *routes;
	struct names *names;
	struct bucket *buckets; /* by name, then one for routes without a host */
	struct literal *literals;
	uint32_t *postings;
	uint32_t n_routes, n_literals, n_postings, max_postings;
	bool uses_paths;
	struct value_names values[VALUE_KIND_COUNT];
};

#define NONE UINT32_MAX

struct route_space {
	struct pattern_space *patterns;
	char path[ROUTE_PATH_MAX];
	struct values values;
};

/* ---- building ---- */

/* One route under one path in one bucket: what is sorted to build the index. */
enum item_kind { ITEM_OTHER, ITEM_BEGINS, ITEM_EQUALS };

struct item {
	uint32_t bucket, route;
	enum item_kind kind;
	struct slice text;
};

struct builder {
	struct route_table *table;
	struct item *items;
	uint32_t n_items;
	bool failed;
};

static int compare_texts(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n > 0 ? memcmp(a.p, b.p, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_place(const void *left, const void *right)
{
	const struct item *a = left, *b = right;
	if (a->bucket != b->bucket)
		return a->bucket < b->bucket ? -1 : 1;
	bool a_other = a->kind == ITEM_OTHER, b_other = b->kind == ITEM_OTHER;
	if (a_other != b_other)
		return a_other ? -1 : 1;
	int order = compare_texts(a->text, b->text);
	if (order)
		return order;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->route < b->route ? -1 : a->route > b->route;
}

static uint32_t n_places(const struct route_spec *spec)
{
	return (spec->n_hosts > 0 ? spec->n_hosts : 1) * (spec->n_paths + 1);
}

static void add_items(
    struct builder *builder, const struct route_spec *spec, uint32_t route, uint32_t bucket)
{
	const struct route *compiled = &builder->table->routes[route];
	bool other = compiled->any_path || compiled->n_patterns > 0;
	if (other)
		builder->items[builder->n_items++] = (struct item){bucket, route, ITEM_OTHER, {0}};
	for (uint32_t i = 0; i < spec->n_paths; i++) {
		struct pattern pattern;
		if (spec->paths[i][0] == '~' || pattern_init(&pattern, spec->paths[i], NULL) < 0 ||
		    pattern.kind == PATTERN_WILDCARD)
			continue;
		builder->items[builder->n_items++] = (struct item){bucket, route,
		    pattern.kind == PATTERN_PREFIX ? ITEM_BEGINS : ITEM_EQUALS, pattern.text};
	}
}

static void post(struct builder *builder, uint32_t route)
{
	struct route_table *table = builder->table;
	if (table->n_postings == table->max_postings) {
		uint32_t max = table->max_postings ? table->max_postings * 2 : 256;
		uint32_t *more = realloc(table->postings, max * sizeof(*more));
		if (!more) {
			builder->failed = true;
			return;
		}
		table->postings = more;
		table->max_postings = max;
	}
	table->postings[table->n_postings++] = route;
}

/* The routes of items[0..n) and those of `more`, ascending and once each. */
static struct span merge(
    struct builder *builder, const struct item *items, uint32_t n, struct span more)
{
	struct route_table *table = builder->table;
	struct span out = {table->n_postings, 0};
	uint32_t last = NONE, i = 0, j = 0;
	while ((i < n || j < more.n) && !builder->failed) {
		uint32_t a = i < n ? items[i].route : NONE;
		uint32_t b = j < more.n ? table->postings[more.from + j] : NONE;
		uint32_t next = a < b ? a : b;
		i += a == next;
		j += b == next;
		if (next != last)
			post(builder, next);
		last = next;
	}
	out.n = builder->failed ? 0 : table->n_postings - out.from;
	return out;
}

static bool begins_with(struct slice text, struct slice start)
{
	return text.len >= start.len && memcmp(text.p, start.p, start.len) == 0;
}

static uint32_t while_same(const struct item *items, uint32_t n, enum item_kind kind)
{
	uint32_t same = 0;
	while (same < n && items[same].kind == kind &&
	       (kind == ITEM_OTHER || compare_texts(items[same].text, items[0].text) == 0))
		same++;
	return same;
}

/* A literal from the first items; returns how many they are. */
static uint32_t add_literal(
    struct builder *builder, const struct bucket *bucket, const struct item *items, uint32_t n)
{
	struct route_table *table = builder->table;
	struct literal *literal = &table->literals[table->n_literals];
	struct span above = {0, 0};
	literal->text = items[0].text;
	/* In sorted order, what this begins with is the literal before, or one of its parents. */
	literal->parent = table->n_literals > bucket->first ? table->n_literals - 1 : NONE;
	while (literal->parent != NONE &&
	       !begins_with(literal->text, table->literals[literal->parent].text))
		literal->parent = table->literals[literal->parent].parent;
	if (literal->parent != NONE)
		above = table->literals[literal->parent].begins;
	uint32_t n_begins = while_same(items, n, ITEM_BEGINS);
	literal->begins = n_begins ? merge(builder, items, n_begins, above) : above;
	uint32_t n_equals = 0;
	while (n_begins + n_equals < n && items[n_begins + n_equals].kind == ITEM_EQUALS &&
	       compare_texts(items[n_begins + n_equals].text, literal->text) == 0)
		n_equals++;
	literal->equals = n_equals ? merge(builder, items + n_begins, n_equals, literal->begins)
				   : literal->begins;
	table->n_literals++;
	return n_begins + n_equals;
}

static uint32_t add_bucket(
    struct builder *builder, struct bucket *bucket, const struct item *items, uint32_t n)
{
	struct route_table *table = builder->table;
	uint32_t number = items[0].bucket, used = 0;
	while (used < n && items[used].bucket == number)
		used++;
	n = used;
	used = while_same(items, n, ITEM_OTHER);
	bucket->first = table->n_literals;
	bucket->others = merge(builder, items, used, (struct span){0, 0});
	while (used < n)
		used += add_literal(builder, bucket, items + used, n - used);
	bucket->n = table->n_literals - bucket->first;
	return used;
}

static bool build_index(struct route_table *table, const struct route_spec *specs)
{
	struct builder builder = {.table = table};
	uint32_t n_buckets = names_count(table->names) + 1, max = 0;
	for (uint32_t i = 0; i < table->n_routes; i++)
		max += n_places(&specs[i]);
	builder.items = calloc(max + 1, sizeof(*builder.items));
	table->buckets = calloc(n_buckets, sizeof(*table->buckets));
	table->literals = calloc(max + 1, sizeof(*table->literals));
	if (!builder.items || !table->buckets || !table->literals) {
		free(builder.items);
		return false;
	}
	for (uint32_t i = 0; i < table->n_routes; i++) {
		for (uint32_t h = 0; h < specs[i].n_hosts; h++)
			add_items(
			    &builder, &specs[i], i, names_number(table->names, specs[i].hosts[h]));
		if (specs[i].n_hosts == 0)
			add_items(&builder, &specs[i], i, n_buckets - 1);
	}
	qsort(builder.items, builder.n_items, sizeof(*builder.items), by_place);
	for (uint32_t used = 0; used < builder.n_items && !builder.failed;)
		used += add_bucket(&builder, &table->buckets[builder.items[used].bucket],
		    builder.items + used, builder.n_items - used);
	free(builder.items);
	return !builder.failed;
}

static struct names *build_names(const struct route_spec *specs, uint32_t n)
{
	uint32_t n_names = 0, at = 0;
	for (uint32_t i = 0; i < n; i++)
		n_names += specs[i].n_hosts;
	const char **texts = calloc(n_names + 1, sizeof(*texts));
	if (!texts)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t h = 0; h < specs[i].n_hosts; h++)
			texts[at++] = specs[i].hosts[h];
	struct names *names = names_new(texts, n_names);
	free(texts);
	return names;
}

static bool build_condition(struct route_table *table, struct route *route, enum value_kind kind,
    const struct route_named *named)
{
	struct condition *condition = &route->conditions[route->n_conditions++];
	struct err err;
	int number = value_names_add(&table->values[kind], kind, named->name);
	condition->kind = kind;
	condition->name = (uint16_t)number;
	condition->patterns = calloc(named->n_patterns + 1, sizeof(*condition->patterns));
	for (uint32_t i = 0; condition->patterns && i < named->n_patterns; i++) {
		if (pattern_init(&condition->patterns[i], named->patterns[i], &err) < 0)
			return false;
		condition->n_patterns++;
	}
	return number >= 0 && condition->patterns;
}

static bool build_conditions(
    struct route_table *table, struct route *route, const struct route_spec *spec)
{
	const struct route_named *lists[] = {[VALUE_HEADER] = spec->headers,
	    [VALUE_QUERY] = spec->queries,
	    [VALUE_COOKIE] = spec->cookies};
	const uint32_t counts[] = {[VALUE_HEADER] = spec->n_headers,
	    [VALUE_QUERY] = spec->n_queries,
	    [VALUE_COOKIE] = spec->n_cookies};
	uint32_t n = spec->n_headers + spec->n_queries + spec->n_cookies;
	route->conditions = calloc(n + 1, sizeof(*route->conditions));
	for (enum value_kind kind = 0; route->conditions && kind < VALUE_KIND_COUNT; kind++)
		for (uint32_t i = 0; i < counts[kind]; i++)
			if (!build_condition(table, route, kind, &lists[kind][i]))
				return false;
	return route->conditions &&
	       sources_init(&route->sources, spec->sources, spec->n_sources) == 0;
}

static bool build_paths(struct route *route, const struct route_spec *spec)
{
	route->any_path = spec->n_paths == 0;
	route->patterns = calloc(spec->n_paths + 1, sizeof(*route->patterns));
	if (!route->patterns)
		return false;
	for (uint32_t i = 0; i < spec->n_paths; i++) {
		struct pattern *pattern = &route->patterns[route->n_patterns];
		struct err err;
		if (pattern_init(pattern, spec->paths[i], &err) < 0)
			return false;
		route->n_patterns +=
		    pattern->kind == PATTERN_WILDCARD || pattern->kind == PATTERN_REGEX;
	}
	return true;
}

static bool build_route(
    struct route_table *table, struct route *route, const struct route_spec *spec)
{
	struct err err;
	route->spec = spec;
	return build_paths(route, spec) && build_conditions(table, route, spec) &&
	       act_new(spec, &err, &route->act) == 0;
}

struct route_table *route_table_new(const struct route_spec *specs, uint32_t n)
{
	struct route_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	table->n_routes = n;
	table->routes = calloc(n + 1, sizeof(*table->routes));
	table->names = build_names(specs, n);
	bool ok = table->routes && table->names;
	for (uint32_t i = 0; ok && i < n; i++) {
		ok = build_route(table, &table->routes[i], &specs[i]);
		table->uses_paths |= !table->routes[i].any_path;
	}
	if (ok && build_index(table, specs))
		return table;
	route_table_free(table);
	return NULL;
}

static void free_patterns(struct pattern *patterns, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		pattern_fini(&patterns[i]);
	free(patterns);
}

static void route_fini(struct route *route)
{
	free_patterns(route->patterns, route->n_patterns);
	for (uint32_t i = 0; i < route->n_conditions; i++)
		free_patterns(route->conditions[i].patterns, route->conditions[i].n_patterns);
	free(route->conditions);
	sources_fini(&route->sources);
	act_free(route->act);
}

void route_table_free(struct route_table *table)
{
	if (!table)
		return;
	for (uint32_t i = 0; table->routes && i < table->n_routes; i++)
		route_fini(&table->routes[i]);
	free(table->routes);
	names_free(table->names);
	free(table->buckets);
	free(table->literals);
	free(table->postings);
	free(table);
}

struct route_space *route_space_new(void)
{
	struct route_space *space = calloc(1, sizeof(*space));
	if (!space)
		return NULL;
	space->patterns = pattern_space_new();
	if (!space->patterns) {
		free(space);
		return NULL;
	}
	return space;
}

void route_space_free(struct route_space *space)
{
	if (!space)
		return;
	pattern_space_free(space->patterns);
	free(space);
}

/* ---- looking ---- */

/* Ascending numbers of routes that come into question. */
struct cursor {
	const uint32_t *at, *end;
	bool path_holds; /* it is known of all of them that the path is theirs */
};

/* Two of each name that a host can have here, and of none. */
#define CURSORS_MAX (2 * (NAMES_WILD_LABELS_MAX + 2))

struct search {
	const struct route_table *table;
	const struct h1_head *head;
	const struct hello *hello; /* instead, of a TLS connection; or NULL */
	const struct addr *peer;
	struct route_space *space;
	struct slice path;
	struct cursor cursors[CURSORS_MAX];
	uint32_t n_cursors;
};

/* The longest literal of the bucket that the path begins with: it is the greatest one that is not
 * greater than the path, or what that begins with. */
static const struct literal *find_literal(
    const struct route_table *table, const struct bucket *bucket, struct slice path)
{
	const struct literal *all = table->literals;
	uint32_t low = bucket->first, high = low + bucket->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (compare_texts(all[middle].text, path) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	uint32_t found = low > bucket->first ? low - 1 : NONE;
	while (found != NONE && !begins_with(path, all[found].text))
		found = all[found].parent;
	return found != NONE ? &all[found] : NULL;
}

static void add_cursor(struct search *search, struct span span, bool path_holds)
{
	const uint32_t *at = search->table->postings + span.from;
	if (span.n == 0)
		return;
	assert(search->n_cursors < CURSORS_MAX);
	search->cursors[search->n_cursors++] = (struct cursor){at, at + span.n, path_holds};
}

static void add_candidates(struct search *search, const struct bucket *bucket)
{
	add_cursor(search, bucket->others, false);
	if (bucket->n == 0)
		return;
	const struct literal *literal = find_literal(search->table, bucket, search->path);
	if (!literal)
		return;
	bool equal = literal->text.len == search->path.len;
	add_cursor(search, equal ? literal->equals : literal->begins, true);
}

static void add_all_candidates(struct search *search, struct slice host)
{
	const struct route_table *table = search->table;
	char buf[NAMES_TEXT_MAX];
	uint32_t any = names_count(table->names);
	if (any > 0) {
		uint32_t name = names_find(table->names, names_fold(host, buf));
		for (; name != NAMES_NONE; name = names_wider(table->names, name))
			add_candidates(search, &table->buckets[name]);
	}
	add_candidates(search, &table->buckets[any]);
}

/* As pattern_matches. */
static int path_matches(struct search *search, const struct route *route)
{
	if (route->any_path)
		return 1;
	for (uint32_t i = 0; i < route->n_patterns; i++) {
		int result =
		    pattern_matches(&route->patterns[i], search->path, search->space->patterns);
		if (result != 0)
			return result;
	}
	return 0;
}

static bool method_matches(const struct search *search, const struct route_spec *spec)
{
	for (uint32_t i = 0; i < spec->n_methods; i++) {
		struct slice method = {spec->methods[i], strlen(spec->methods[i])};
		if (slice_equal(search->head->method_text, method))
			return true;
	}
	return spec->n_methods == 0;
}

/* ROUTE_FOUND: one of the values is like one of the patterns. */
static enum route_result condition_holds(struct search *search, const struct condition *condition)
{
	struct values *values = &search->space->values;
	enum value_kind kind = condition->kind;
	if (!values_collect(values, kind, &search->table->values[kind], search->head))
		return ROUTE_TOO_MANY_VALUES;
	for (uint16_t at = values->first[kind][condition->name]; at > 0;) {
		const struct value *value = &values->all[at - 1];
		for (uint32_t i = 0; i < condition->n_patterns; i++) {
			int result = pattern_matches(
			    &condition->patterns[i], value->text, search->space->patterns);
			if (result != 0)
				return result < 0 ? ROUTE_TOO_COMPLEX : ROUTE_FOUND;
		}
		at = value->next;
	}
	return ROUTE_NOT_FOUND;
}

static bool alpn_matches(const struct search *search, const struct route_spec *spec)
{
	for (uint32_t i = 0; i < spec->n_alpn; i++) {
		struct slice protocol = {spec->alpn[i], strlen(spec->alpn[i])};
		if (hello_offers(search->hello, protocol))
			return true;
	}
	return spec->n_alpn == 0;
}

/* ROUTE_FOUND: the route takes the request. The cheap conditions come first. */
static enum route_result holds(struct search *search, const struct route *route, bool path_holds)
{
	if (!method_matches(search, route->spec) || !alpn_matches(search, route->spec) ||
	    (route->sources.n > 0 && !sources_have(&route->sources, search->peer)))
		return ROUTE_NOT_FOUND;
	for (uint32_t i = 0; i < route->n_conditions; i++) {
		enum route_result result = condition_holds(search, &route->conditions[i]);
		if (result != ROUTE_FOUND)
			return result;
	}
	int result = path_holds ? 1 : path_matches(search, route);
	return result < 0 ? ROUTE_TOO_COMPLEX : result > 0 ? ROUTE_FOUND : ROUTE_NOT_FOUND;
}

/* Takes the smallest number that is left; NONE at the end. */
static uint32_t next_candidate(struct search *search, bool *path_holds)
{
	struct cursor *best = NULL;
	for (uint32_t i = 0; i < search->n_cursors; i++) {
		struct cursor *cursor = &search->cursors[i];
		if (cursor->at < cursor->end && (!best || *cursor->at < *best->at))
			best = cursor;
	}
	if (!best)
		return NONE;
	*path_holds = best->path_holds;
	return *best->at++;
}

static enum route_result first_that_holds(struct search *search, uint32_t *index)
{
	uint32_t number;
	bool path_holds;
	while ((number = next_candidate(search, &path_holds)) != NONE) {
		const struct route *route = &search->table->routes[number];
		enum route_result result = holds(search, route, path_holds);
		if (result == ROUTE_NOT_FOUND)
			continue;
		*index = number;
		return result;
	}
	return ROUTE_NOT_FOUND;
}

static bool set_path(struct search *search, const struct h1_head *head)
{
	struct slice raw = head->path;
	const char *query = memchr(raw.p, '?', raw.len);
	if (query)
		raw.len = (size_t)(query - raw.p);
	search->path = raw;
	if (!search->table->uses_paths || raw.len == 0 || raw.p[0] != '/')
		return true;
	return raw.len <= ROUTE_PATH_MAX &&
	       path_canonical(raw, '/', search->space->path, &search->path) == 0;
}

const struct act *route_act(const struct route_table *table, uint32_t index)
{
	return table->routes[index].act;
}

enum route_result route_find(const struct route_table *table, const struct h1_head *head,
    const struct addr *peer, struct route_space *space, uint32_t *index)
{
	struct search search;
	search.table = table;
	search.head = head;
	search.hello = NULL;
	search.peer = peer;
	search.space = space;
	values_begin(&space->values);
	search.n_cursors = 0;
	if (!set_path(&search, head))
		return ROUTE_BAD_PATH;
	add_all_candidates(&search, head->host);
	return first_that_holds(&search, index);
}

enum route_result route_find_hello(const struct route_table *table, const struct hello *hello,
    const struct addr *peer, uint32_t *index)
{
	struct search search;
	search.table = table;
	search.head = NULL; /* no route has a condition on what is in one, nor on paths */
	search.hello = hello;
	search.peer = peer;
	search.space = NULL;
	search.path = (struct slice){NULL, 0};
	search.n_cursors = 0;
	add_all_candidates(&search, hello->name);
	return first_that_holds(&search, index);
}
