/* Random routes and random requests: the compiled table says what the obvious matcher says.
 * YOKE_PAIRS: how many pairs (10000000 takes minutes), YOKE_SEED: other ones. */
#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"
#include "tests/unit/route/reference.h"
#include "tests/unit/unit.h"

#define ROUTES_OF_ONE   14
#define REQUESTS_OF_ONE 40
#define TEXTS_MAX       4096

static uint64_t state;

static unsigned below(unsigned n)
{
	state += 0x9e3779b97f4a7c15ULL;
	return (unsigned)(hash_mix(state) % n);
}

/* Texts of one configuration. */
static char texts[TEXTS_MAX][64];
static unsigned n_texts;
static const char *lists[TEXTS_MAX];
static unsigned n_lists;

static const char *keep(const char *text)
{
	return text_copy(texts[n_texts++], sizeof(texts[0]), text);
}

#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

/* Few different ones, so that they meet. */
static void make_host(char *out, bool pattern)
{
	static const char *const labels[] = {"a", "b", "A", "a-b"};
	unsigned n = 1 + below(3);
	strcpy(out, pattern && below(3) == 0 ? "*." : "");
	for (unsigned i = 0; i < n; i++) {
		strcat(out, ONE_OF(labels));
		strcat(out, i + 1 < n ? "." : "");
	}
	if (!pattern && below(8) == 0)
		strcat(out, ".");
	if (!pattern && below(8) == 0)
		strcat(out, ":80");
}

static void make_path_pattern(char *out)
{
	static const char *const pieces[] = {
	    "/", "/a", "/b", "/aa", "/a/", "a", "/.a", "/\xc3\xa4"};
	static const char *const regexes[] = {"~^/a", "~b$", "~^/a+(/|$)", "~a/b"};
	unsigned n = 1 + below(4);
	if (below(12) == 0) {
		strcpy(out, ONE_OF(regexes));
		return;
	}
	strcpy(out, "/");
	for (unsigned i = 0; i < n; i++) {
		if (below(6) == 0)
			strcat(out, "*");
		const char *piece = ONE_OF(pieces);
		strcat(out, piece + (piece[0] == '/' && out[strlen(out) - 1] == '/'));
	}
	if (below(2) == 0)
		strcat(out, "*");
}

static void make_target(char *out)
{
	static const char *const pieces[] = {"/", "/a", "/b", "/aa", "/a/", "a", "%61", "/%61",
	    "//", "/.", "/..", "/./", "/../", "%2f", "%2F", "%2e", "..", "\\", ";", "%", "%0",
	    "%00", "/.a", "%c3%a4", "*", "%25"};
	unsigned n = 1 + below(5);
	strcpy(out, "/");
	for (unsigned i = 0; i < n; i++)
		/* The first ones are the usual ones. */
		strcat(out, below(3) ? pieces[below(6)] : ONE_OF(pieces));
	static const char *const parameters[] = {"?", "&", "x", "x=a", "X=ab", "y-z=b", "x=a+b",
	    "%78=%61", "x=%61%2", "=", "x=a=b", "y-z", "Cookie=a%20b"};
	if (below(2) == 0)
		strcat(out, "?");
	for (unsigned i = below(4); strchr(out, '?') && i > 0; i--) {
		strcat(out, ONE_OF(parameters));
		strcat(out, below(4) ? "&" : "");
	}
}

static void make_fields(char *out)
{
	static const char *const fields[] = {"x: a\r\n", "X: ab\r\n", "X:\r\n", "Y-Z: b\r\n",
	    "y-z: ab\r\n", "Cookie: x=a\r\n", "Cookie: X=b; x=ab;y-z=b\r\n", "Cookie: x\r\n",
	    "cookie: ; y-z = b; x=a\r\n", "Cookie: a b\r\n", "Q: a\r\n", "Cookie: Cookie=a b \r\n"};
	*out = '\0';
	for (unsigned i = below(4); i > 0; i--)
		strcat(out, ONE_OF(fields));
}

static const char **make_list(uint32_t *n, void (*make)(char *out))
{
	const char **list = &lists[n_lists];
	char text[256];
	*n = below(3) == 0 ? 0 : 1 + below(3);
	for (uint32_t i = 0; i < *n; i++) {
		make(text);
		lists[n_lists++] = keep(text);
	}
	return list;
}

static void make_host_pattern(char *out)
{
	make_host(out, true);
}

static void make_value_pattern(char *out)
{
	static const char *const patterns[] = {
	    "a", "b", "*", "a*", "*b", "a*b", "~^a|b$", "", "a b"};
	strcpy(out, ONE_OF(patterns));
}

static void make_method(char *out)
{
	static const char *const methods[] = {"GET", "PUT", "get"};
	strcpy(out, ONE_OF(methods));
}

static struct route_named named[TEXTS_MAX];
static unsigned n_named;

static struct route_named *make_named(uint32_t *n)
{
	static const char *const names[] = {"x", "X", "y-z", "Cookie"};
	struct route_named *list = &named[n_named];
	*n = below(5) == 0 ? 1 + below(2) : 0;
	for (uint32_t i = 0; i < *n; i++) {
		struct route_named *entry = &named[n_named++];
		entry->name = ONE_OF(names);
		do
			entry->patterns = make_list(&entry->n_patterns, make_value_pattern);
		while (entry->n_patterns == 0);
	}
	return list;
}

static struct route_source sources[TEXTS_MAX];
static unsigned n_sources;

static void make_addr(struct addr *addr)
{
	char text[64];
	if (below(3) == 0)
		snprintf(text, sizeof(text), "2001:db8::%x", below(4));
	else
		snprintf(text, sizeof(text), "10.0.%u.%u", below(2), below(4) * 64 + below(3));
	if (!addr_parse_ip(text, addr))
		abort();
}

static struct route_source *make_sources(uint32_t *n)
{
	struct route_source *list = &sources[n_sources];
	*n = below(4) == 0 ? 1 + below(4) : 0;
	for (uint32_t i = 0; i < *n; i++) {
		static const uint8_t lengths4[] = {0, 8, 23, 24, 25, 26, 31, 32};
		static const uint8_t lengths6[] = {0, 32, 126, 127, 128};
		struct route_source *source = &sources[n_sources++];
		make_addr(&source->addr);
		source->prefix =
		    source->addr.sa.sa_family == AF_INET ? ONE_OF(lengths4) : ONE_OF(lengths6);
	}
	return list;
}

static uint32_t make_routes(struct route_spec *specs)
{
	uint32_t n = 1 + below(ROUTES_OF_ONE);
	n_texts = n_lists = n_named = n_sources = 0;
	for (uint32_t i = 0; i < n; i++) {
		specs[i] = (struct route_spec){0};
		specs[i].hosts = make_list(&specs[i].n_hosts, make_host_pattern);
		specs[i].paths = make_list(&specs[i].n_paths, make_path_pattern);
		if (below(3) == 0)
			specs[i].methods = make_list(&specs[i].n_methods, make_method);
		specs[i].headers = make_named(&specs[i].n_headers);
		specs[i].queries = make_named(&specs[i].n_queries);
		specs[i].cookies = make_named(&specs[i].n_cookies);
		specs[i].sources = make_sources(&specs[i].n_sources);
		specs[i].kind = ROUTE_POOL;
	}
	return n;
}

static void print_list(const char *name, const char *const *list, uint32_t n)
{
	printf(" %s", name);
	for (uint32_t i = 0; i < n; i++)
		printf(" %s", list[i]);
}

static void print_difference(const struct route_spec *specs, uint32_t n, const char *request,
    enum route_result result, uint32_t index, int want)
{
	printf("\n%s    result %d, route %u; want %d\n", request, (int)result, index, want);
	for (uint32_t i = 0; i < n; i++) {
		printf("    %u:", i);
		print_list("host", specs[i].hosts, specs[i].n_hosts);
		print_list("path", specs[i].paths, specs[i].n_paths);
		print_list("method", specs[i].methods, specs[i].n_methods);
		for (uint32_t k = 0; k < specs[i].n_headers; k++)
			print_list(specs[i].headers[k].name, specs[i].headers[k].patterns,
			    specs[i].headers[k].n_patterns);
		printf(" | %u queries, %u cookies, %u sources", specs[i].n_queries,
		    specs[i].n_cookies, specs[i].n_sources);
		printf("\n");
	}
}

static uint64_t n_found, n_bad, n_none;

static bool request_agrees(const struct route_table *table, struct route_space *space,
    const struct route_spec *specs, uint32_t n)
{
	static struct h1_head head;
	char request[1024], host[128], target[256], fields[256];
	struct addr peer;
	make_host(host, false);
	make_target(target);
	make_fields(fields);
	make_addr(&peer);
	int len = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
	    below(3) ? "GET" : "PUT", target, host, fields);
	if (h1_parse_request(request, (size_t)len, &head) != H1_OK) {
		printf("not a request: %s", request);
		return false;
	}
	uint32_t index = UINT32_MAX;
	enum route_result result = route_find(table, &head, &peer, space, &index);
	int want = reference_find(specs, n, &head, &peer);
	bool ok = want >= 0                    ? result == ROUTE_FOUND && index == (uint32_t)want
		  : want == REFERENCE_BAD_PATH ? result == ROUTE_BAD_PATH
					       : result == ROUTE_NOT_FOUND;
	if (!ok)
		print_difference(specs, n, request, result, index, want);
	n_found += want >= 0;
	n_bad += want == REFERENCE_BAD_PATH;
	n_none += want == -1;
	return ok;
}

static void table_and_reference_agree(void)
{
	const char *pairs = getenv("YOKE_PAIRS"), *seed = getenv("YOKE_SEED");
	uint64_t n_pairs = pairs ? strtoull(pairs, NULL, 10) : 200000;
	struct route_space *space = route_space_new();
	bool ok = space != NULL;
	state = seed ? strtoull(seed, NULL, 10) : 1;
	for (uint64_t done = 0; ok && done < n_pairs; done += REQUESTS_OF_ONE) {
		struct route_spec specs[ROUTES_OF_ONE];
		uint32_t n = make_routes(specs);
		struct route_table *table = route_table_new(specs, n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(table);
		for (int i = 0; ok && i < REQUESTS_OF_ONE; i++)
			ok = request_agrees(table, space, specs, n);
		route_table_free(table);
	}
	route_space_free(space);
	CU_ASSERT(ok);
	/* What is made at random meets often enough. */
	printf("%llu found, %llu not, %llu bad paths ", (unsigned long long)n_found,
	    (unsigned long long)n_none, (unsigned long long)n_bad);
	CU_ASSERT(n_found > n_pairs / 5 && n_none > n_pairs / 10 && n_bad > n_pairs / 20);
}

UNIT_MAIN("route/random", UNIT(table_and_reference_agree))
