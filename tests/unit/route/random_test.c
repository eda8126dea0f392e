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
	if (below(6) == 0)
		strcat(out, "?a=/b");
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

static uint32_t make_routes(struct route_spec *specs)
{
	uint32_t n = 1 + below(ROUTES_OF_ONE);
	n_texts = n_lists = 0;
	for (uint32_t i = 0; i < n; i++) {
		specs[i] = (struct route_spec){0};
		specs[i].hosts = make_list(&specs[i].n_hosts, make_host_pattern);
		specs[i].paths = make_list(&specs[i].n_paths, make_path_pattern);
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
		printf("\n");
	}
}

static uint64_t n_found, n_bad, n_none;

static bool request_agrees(const struct route_table *table, struct route_space *space,
    const struct route_spec *specs, uint32_t n)
{
	static struct h1_head head;
	char request[1024], host[128], target[256];
	make_host(host, false);
	make_target(target);
	int len =
	    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, host);
	if (h1_parse_request(request, (size_t)len, &head) != H1_OK) {
		printf("not a request: %s", request);
		return false;
	}
	uint32_t index = UINT32_MAX;
	enum route_result result = route_find(table, &head, space, &index);
	int want = reference_find(specs, n, &head);
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
	CU_ASSERT(n_found > n_pairs / 4 && n_none > n_pairs / 10 && n_bad > n_pairs / 20);
}

UNIT_MAIN("route/random", UNIT(table_and_reference_agree))
