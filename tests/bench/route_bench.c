/* How long a look-up among routes takes: `route_bench [seconds]`. Not a test. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/route/route.h"

#define HOSTS_MAX    4096
#define REQUESTS_MAX 64
#define HEAD_MAX     1024

static char hosts[HOSTS_MAX][40];
static const char *host_lists[HOSTS_MAX];
static const char *pictures[] = {"/*.png"}, *numbers[] = {"~^/v[0-9]+/"}, *api[] = {"/api/*"};
static const char *yes[] = {"yes"};
static struct route_named canary = {"X-Canary", yes, 1};
static struct route_spec specs[HOSTS_MAX + 4];

static char requests[REQUESTS_MAX][HEAD_MAX];
static struct h1_head heads[REQUESTS_MAX];
static struct addr peer;

/* As browsers send them. */
static void make_request(unsigned i, const char *host, const char *path)
{
	int len = snprintf(requests[i], HEAD_MAX,
	    "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\r\n"
	    "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: en\r\n"
	    "Accept-Encoding: gzip, deflate, br\r\nCookie: a=0123456789; "
	    "session=0123456789abcdef\r\n"
	    "Referer: https://www.example.com/shop\r\nConnection: keep-alive\r\n\r\n",
	    path, host);
	if (h1_parse_request(requests[i], (size_t)len, &heads[i]) != H1_OK)
		abort();
}

static void measure(const char *name, uint32_t n_routes, enum route_result want, double seconds)
{
	struct route_table *table = route_table_new(specs, n_routes);
	struct route_space *space = route_space_new();
	/* Time of the processor: the machine may have other work. */
	clock_t start = clock(), elapsed = 0;
	unsigned long n = 0;
	if (!table || !space)
		abort();
	while ((elapsed = clock() - start) < (clock_t)(seconds * CLOCKS_PER_SEC)) {
		for (unsigned i = 0; i < 64 * REQUESTS_MAX; i++, n++) {
			uint32_t index;
			if (route_find(table, &heads[i % REQUESTS_MAX], &peer, space, &index) !=
			    want)
				abort();
		}
	}
	printf("%-44s %5u routes %7.0f ns\n", name, n_routes,
	    (double)elapsed / CLOCKS_PER_SEC * 1e9 / (double)n);
	route_space_free(space);
	route_table_free(table);
}

/* One route a host; requests go to hosts all over the list. */
static void measure_hosts(
    const char *name, unsigned n, bool wild, const char **paths, double seconds)
{
	for (unsigned i = 0; i < n; i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "%shost-%u.example.com", wild ? "*." : "", i);
		host_lists[i] = hosts[i];
		specs[i] = (struct route_spec){.kind = ROUTE_POOL,
		    .hosts = &host_lists[i],
		    .n_hosts = 1,
		    .paths = paths,
		    .n_paths = paths ? 1 : 0};
	}
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		char host[64];
		snprintf(
		    host, sizeof(host), "%shost-%u.example.com", wild ? "www." : "", i * 7919U % n);
		make_request(i, host, "/api/v1/items/17?page=2");
	}
	measure(name, n, ROUTE_FOUND, seconds);
}

/* Routes of one host, told apart by their paths; the last is asked for. */
static void measure_paths(unsigned n, double seconds)
{
	for (unsigned i = 0; i < n; i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "/service-%u/*", i);
		host_lists[i] = hosts[i];
		specs[i] =
		    (struct route_spec){.kind = ROUTE_POOL, .paths = &host_lists[i], .n_paths = 1};
	}
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/service-%u/items/17?page=2", i * 7919U % n);
		make_request(i, "www.example.com", path);
	}
	measure("beginnings of paths", n, ROUTE_FOUND, seconds);
}

/* One condition that does not hold, before one that takes everything. */
static void measure_condition(const char *name, struct route_spec condition, double seconds)
{
	specs[0] = condition;
	specs[1] = (struct route_spec){.kind = ROUTE_POOL};
	specs[0].kind = ROUTE_POOL;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		make_request(i, "www.example.com", "/api/v1/items/17?page=2");
	measure(name, 2, ROUTE_FOUND, seconds);
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = {1, 30, 1000, 4096};
	double seconds = argc > 1 ? atof(argv[1]) : 0.3;
	static struct route_source source = {.prefix = 24};
	addr_parse_ip("192.0.2.0", &source.addr);
	addr_parse_ip("198.51.100.1", &peer);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure_hosts("hosts", counts[i], false, NULL, seconds);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure_hosts("hosts and the beginning of a path", counts[i], false, api, seconds);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure_hosts("wildcards", counts[i], true, NULL, seconds);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		measure_paths(counts[i], seconds);
	measure_condition("a header that is not there",
	    (struct route_spec){.headers = &canary, .n_headers = 1}, seconds);
	measure_condition("a cookie that is not there",
	    (struct route_spec){.cookies = &canary, .n_cookies = 1}, seconds);
	measure_condition("a parameter that is not there",
	    (struct route_spec){.queries = &canary, .n_queries = 1}, seconds);
	measure_condition(
	    "another network", (struct route_spec){.sources = &source, .n_sources = 1}, seconds);
	measure_condition("a star in the middle of a path",
	    (struct route_spec){.paths = pictures, .n_paths = 1}, seconds);
	measure_condition(
	    "a regular expression", (struct route_spec){.paths = numbers, .n_paths = 1}, seconds);
	return 0;
}
