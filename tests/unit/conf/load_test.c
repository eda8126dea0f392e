/* The examples with the values they mean; defaults; the hash; reload; which node we are. */
#include <errno.h>
#include <string.h>

#include "conf/conf.h"
#include "tests/unit/unit.h"

#define MS 1000ULL
#define S  (1000 * MS)

static void print_line(void *arg, const char *line)
{
	(void)arg;
	printf("%s\n", line);
}

static struct conf *load(const char *text)
{
	struct conf *conf = NULL;
	CU_ASSERT_EQUAL(conf_load("test.json", text, strlen(text), print_line, NULL, &conf), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

static struct conf *load_example(const char *path)
{
	struct conf *conf = NULL;
	CU_ASSERT_EQUAL(conf_load_file(path, print_line, NULL, &conf), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	return conf;
}

static void assert_endpoint(const struct addr *addr, const char *text)
{
	char buf[ADDR_TEXT_MAX];
	CU_ASSERT_STRING_EQUAL(addr_format(addr, buf), text);
}

static void assert_ip(const struct addr *addr, const char *text)
{
	char buf[ADDR_TEXT_MAX];
	CU_ASSERT_STRING_EQUAL(addr_format_ip(addr, buf), text);
}

static void minimal_example(void)
{
	struct conf *conf = load_example(EXAMPLES "/minimal.json");
	CU_ASSERT_STRING_EQUAL(conf->cluster, "yoke");
	CU_ASSERT_EQUAL(conf->n_nodes, 0);
	CU_ASSERT_EQUAL(conf->n_routers, 0);
	CU_ASSERT_EQUAL(conf->self, CONF_NONE);
	CU_ASSERT_EQUAL(conf->peer, CONF_NONE);
	CU_ASSERT_EQUAL_FATAL(conf->n_listeners, 1);
	CU_ASSERT_EQUAL_FATAL(conf->n_pools, 1);

	const struct conf_listener *listener = &conf->listeners[0];
	CU_ASSERT_STRING_EQUAL(listener->name, "web");
	CU_ASSERT_EQUAL_FATAL(listener->n_binds, 1);
	assert_endpoint(&listener->binds[0], "127.0.0.1:8080");
	CU_ASSERT_EQUAL(listener->mode, CONF_MODE_HTTP);
	CU_ASSERT_EQUAL(listener->pool, 0);
	CU_ASSERT_EQUAL(listener->header_timeout_us, 10 * S);
	CU_ASSERT_EQUAL(listener->idle_timeout_us, 60 * S);
	CU_ASSERT_EQUAL(listener->max_header_size, 16384);
	CU_ASSERT_EQUAL(listener->max_connections, 0);
	CU_ASSERT_EQUAL(listener->backlog, 16384);
	CU_ASSERT_EQUAL(listener->tcp_keepalive.idle_us, 0); /* no probes */
	CU_ASSERT_EQUAL(listener->tcp_user_timeout_us, 0);
	CU_ASSERT_EQUAL(listener->requests, 0);
	CU_ASSERT_EQUAL(listener->responses, 0);

	const struct conf_pool *pool = &conf->pools[0];
	CU_ASSERT_STRING_EQUAL(pool->name, "web");
	CU_ASSERT_EQUAL(pool->balance, CONF_BALANCE_ROUND_ROBIN);
	CU_ASSERT_EQUAL_FATAL(pool->n_targets, 2);
	CU_ASSERT_STRING_EQUAL(pool->targets[1].text, "127.0.0.1:9002");
	CU_ASSERT_EQUAL(pool->targets[1].weight, 1);
	CU_ASSERT_FALSE(pool->targets[1].backup);
	CU_ASSERT_EQUAL(pool->health.kind, CONF_HEALTH_NONE);
	CU_ASSERT_EQUAL(pool->sticky.kind, CONF_STICKY_NONE);
	CU_ASSERT_EQUAL(pool->connect_timeout_us, 2 * S);
	CU_ASSERT_EQUAL(pool->response_timeout_us, 60 * S);
	CU_ASSERT_EQUAL(pool->retries, 2);
	CU_ASSERT_FALSE(pool->fail_open);
	conf_free(conf);
}

static void top_level_defaults(void)
{
	struct conf *conf = load_example(EXAMPLES "/minimal.json");
	CU_ASSERT_EQUAL(conf->sync.port, 5405);
	CU_ASSERT_PTR_NULL(conf->sync.key_file);
	CU_ASSERT_EQUAL(conf->sync.sessions, CONF_SYNC_ASYNC);
	CU_ASSERT_EQUAL(conf->sync.ack_timeout_us, 50 * MS);
	CU_ASSERT_EQUAL(conf->sync.max_lag_us, 1000 * MS);
	CU_ASSERT_EQUAL(conf->sync.max_lag_entries, 50000);
	CU_ASSERT_EQUAL(conf->sync.start_timeout_us, 5000 * MS);
	CU_ASSERT_EQUAL(conf->sync.max_sessions, 1000000);
	CU_ASSERT_FALSE(conf->admin_tcp);
	CU_ASSERT_PTR_NULL(conf->admin_token_file);
	CU_ASSERT(conf->workers >= 1 && conf->workers <= CONF_WORKERS_MAX);
	CU_ASSERT_STRING_EQUAL(conf->user, "yoke");
	CU_ASSERT_FALSE(conf->user_given);
	CU_ASSERT_EQUAL(conf->shutdown_timeout_us, 10 * S);
	CU_ASSERT_EQUAL(conf->log_level, LOG_LEVEL_NOTICE);
	conf_free(conf);
}

static void routes_example(void)
{
	struct conf *conf = load_example(EXAMPLES "/routes.json");
	const struct conf_listener *listener = &conf->listeners[0];
	CU_ASSERT_EQUAL(listener->pool, 0);
	CU_ASSERT_EQUAL_FATAL(listener->n_routes, 8);
	const struct route_spec *route = listener->routes;
	CU_ASSERT_EQUAL(route[0].kind, ROUTE_RESPOND);
	CU_ASSERT_EQUAL(route[0].respond.status, 403);
	CU_ASSERT_STRING_EQUAL(route[0].respond.content_type, "text/plain");
	CU_ASSERT_EQUAL(route[1].kind, ROUTE_REDIRECT);
	CU_ASSERT_STRING_EQUAL(route[1].redirect.host, "www.shop.example");
	CU_ASSERT_PTR_NULL(route[1].redirect.scheme);
	CU_ASSERT_STRING_EQUAL(route[2].rewrite.to, "/items/{1}");
	CU_ASSERT_EQUAL(route[3].kind, ROUTE_POOL);
	CU_ASSERT_EQUAL(route[3].pool, 2);
	CU_ASSERT_EQUAL(route[3].n_hosts, 2);
	CU_ASSERT_STRING_EQUAL(route[3].headers[0].name, "X-Beta");
	CU_ASSERT_STRING_EQUAL(route[3].headers[0].patterns[0], "*");
	CU_ASSERT_EQUAL_FATAL(route[4].n_shares, 2);
	CU_ASSERT_EQUAL(route[4].shares[1].pool, 2);
	CU_ASSERT_EQUAL(route[4].shares[1].weight, 5);
	CU_ASSERT_STRING_EQUAL(route[4].request.set[0].value, "{path}");
	CU_ASSERT_STRING_EQUAL(route[4].request.remove[0], "Cookie");
	CU_ASSERT_EQUAL(route[5].n_methods, 2);
	CU_ASSERT_EQUAL(route[5].sources[0].prefix, 8);
	CU_ASSERT_EQUAL(route[6].response.n_set, 1);
	CU_ASSERT_EQUAL(listener->max_connections_per_source.max, 200);
	CU_ASSERT_EQUAL(listener->max_connections_per_source.prefix6, 64);
	CU_ASSERT_EQUAL(listener->min_body_rate.bytes, 500);
	CU_ASSERT_EQUAL_FATAL(listener->n_rate_limits, 1);
	CU_ASSERT_EQUAL(listener->rate_limits[0].burst, 300);
	CU_ASSERT_EQUAL_FATAL(route[7].n_rate_limits, 1);
	const struct limit_spec *limit = route[7].rate_limits;
	CU_ASSERT(limit->rate.count == 10 && limit->rate.period_s == 60 && limit->burst == 10);
	CU_ASSERT(limit->key.by == LIMIT_BY_SOURCE && limit->status == 429 && !limit->log_only);
	CU_ASSERT(limit->number == 1 && conf->n_rate_limits == 2);
	conf_free(conf);
}

static void pair_example(void)
{
	struct conf *conf = load_example(EXAMPLES "/pair.json");
	CU_ASSERT_STRING_EQUAL(conf->cluster, "shop");
	CU_ASSERT_EQUAL_FATAL(conf->n_nodes, 2);
	CU_ASSERT_STRING_EQUAL(conf->nodes[0].name, "primary");
	assert_ip(&conf->nodes[0].address, "192.0.2.11");
	CU_ASSERT_EQUAL(conf->nodes[0].priority, 200);
	CU_ASSERT_STRING_EQUAL(conf->nodes[1].name, "standby");
	CU_ASSERT_EQUAL(conf->nodes[1].priority, 150);

	CU_ASSERT_EQUAL_FATAL(conf->n_routers, 1);
	const struct conf_router *router = &conf->routers[0];
	CU_ASSERT_STRING_EQUAL(router->name, "front");
	CU_ASSERT_EQUAL(router->vrid, 51);
	CU_ASSERT_STRING_EQUAL(router->interface, "eth0");
	CU_ASSERT_EQUAL_FATAL(router->n_addresses, 1);
	assert_ip(&router->addresses[0].addr, "192.0.2.10");
	CU_ASSERT_EQUAL(router->addresses[0].prefix, 24);
	CU_ASSERT_EQUAL(router->advertise_us, 100 * MS);
	CU_ASSERT_EQUAL(router->failback, CONF_FAILBACK_MANUAL);
	CU_ASSERT_EQUAL(router->mode, CONF_VRRP_MULTICAST);
	CU_ASSERT_EQUAL(router->checksum, CONF_CHECKSUM_AUTO);
	CU_ASSERT_EQUAL(router->version, 3);

	CU_ASSERT_EQUAL_FATAL(conf->n_listeners, 2);
	CU_ASSERT_EQUAL(conf->listeners[1].mode, CONF_MODE_TCP);
	CU_ASSERT_EQUAL(conf->listeners[1].pool, 1);
	CU_ASSERT_EQUAL(conf->listeners[1].idle_timeout_us, 3600 * S);
	CU_ASSERT_STRING_EQUAL(conf->sync.key_file, "/etc/yoke/sync.key");
	CU_ASSERT_EQUAL(conf->sync.sessions, CONF_SYNC_ACKED);
	CU_ASSERT_TRUE(conf->admin_tcp);
	assert_endpoint(&conf->admin_listen, "127.0.0.1:8404");
	conf_free(conf);
}

static void pair_example_pools(void)
{
	struct conf *conf = load_example(EXAMPLES "/pair.json");
	CU_ASSERT_EQUAL_FATAL(conf->n_pools, 2);
	const struct conf_pool *web = &conf->pools[0], *sql = &conf->pools[1];
	CU_ASSERT_EQUAL(web->balance, CONF_BALANCE_LEAST_CONNECTIONS);
	CU_ASSERT_EQUAL_FATAL(web->n_targets, 3);
	CU_ASSERT_STRING_EQUAL(web->targets[0].text, "192.0.2.21:8080");
	CU_ASSERT_EQUAL(web->targets[1].weight, 2);
	CU_ASSERT_FALSE(web->targets[1].backup);
	CU_ASSERT_EQUAL(web->targets[2].weight, 1);
	CU_ASSERT_TRUE(web->targets[2].backup);
	CU_ASSERT_EQUAL(web->health.kind, CONF_HEALTH_HTTP);
	CU_ASSERT_STRING_EQUAL(web->health.path, "/healthz");
	CU_ASSERT_STRING_EQUAL(web->health.method, "GET");
	CU_ASSERT_PTR_NULL(web->health.host);
	CU_ASSERT_EQUAL(web->health.expect_min, 200);
	CU_ASSERT_EQUAL(web->health.expect_max, 399);
	CU_ASSERT_EQUAL(web->health.interval_us, S);
	CU_ASSERT_EQUAL(web->health.timeout_us, 500 * MS);
	CU_ASSERT_EQUAL(web->health.rise, 2);
	CU_ASSERT_EQUAL(web->health.fall, 3);
	CU_ASSERT_EQUAL(web->sticky.kind, CONF_STICKY_COOKIE);
	CU_ASSERT_STRING_EQUAL(web->sticky.cookie_name, "YOKE");
	CU_ASSERT_EQUAL(web->sticky.ttl_us, 3600 * S);
	CU_ASSERT_FALSE(web->sticky.fail_when_down);
	CU_ASSERT_EQUAL(sql->balance, CONF_BALANCE_SOURCE_HASH);
	CU_ASSERT_EQUAL(sql->health.kind, CONF_HEALTH_TCP);
	CU_ASSERT_EQUAL(sql->health.interval_us, 2 * S);
	CU_ASSERT_EQUAL(sql->health.timeout_us, S);
	conf_free(conf);
}

/* Every key that the examples leave out, with a value that is not the default. */
static void keys_beyond_the_examples(void)
{
	struct conf *conf = load(
	    "/* all */ {\"workers\": 3, \"user\": \"yoke\", \"shutdown_timeout\": \"1.5s\",\n"
	    "\"log_level\": \"debug\", \"admin\": {\"listen\": \"[::]:1\", \"token_file\": "
	    "\"/t\"},\n"
	    "\"sync\": {\"ack_timeout\": \"20ms\", \"max_sessions\": 5, \"max_lag\": \"2s\",\n"
	    "\"max_lag_entries\": 7},\n"
	    "\"listeners\": {\"w\": {\"bind\": [\"0.0.0.0:80\", \"[::]:80\"], \"pool\": \"p\",\n"
	    "\"header_timeout\": \"5s\", \"idle_timeout\": \"2m\", \"max_header_size\": \"8KiB\",\n"
	    "\"max_connections\": 77, \"backlog\": 100, \"defer_accept\": true,\n"
	    "\"fast_open\": true, \"tcp_user_timeout\": \"30s\",\n"
	    "\"tcp_keepalive\": {\"idle\": \"1m\", \"interval\": \"5s\", \"count\": 4}}},\n"
	    "\"pools\": {\"p\": {\"targets\": [\"[2001:DB8:0::1]:80\"], \"retries\": 0,\n"
	    "\"source\": \"2001:db8::9\", \"tcp_keepalive\": {\"idle\": \"90s\"}, "
	    "\"tcp_user_timeout\": \"1500ms\",\n"
	    "\"fail_open\": true, \"connect_timeout\": \"250ms\", \"response_timeout\": \"1h\",\n"
	    "\"health\": {\"http\": {\"host\": \"a.example\", \"method\": \"HEAD\", \"expect\": "
	    "\"204\"},\n"
	    "\"interval\": \"300ms\"},\n"
	    "\"sticky\": {\"source\": {\"prefix4\": 24}, \"when_down\": \"fail\", \"ttl\": "
	    "\"1d\"}}}}");
	CU_ASSERT_EQUAL(conf->workers, 3);
	CU_ASSERT_TRUE(conf->user_given);
	CU_ASSERT_EQUAL(conf->shutdown_timeout_us, 1500 * MS);
	CU_ASSERT_EQUAL(conf->log_level, LOG_LEVEL_DEBUG);
	CU_ASSERT_STRING_EQUAL(conf->admin_token_file, "/t");
	CU_ASSERT_EQUAL(conf->sync.ack_timeout_us, 20 * MS);
	CU_ASSERT_EQUAL(conf->sync.max_sessions, 5);
	CU_ASSERT_EQUAL(conf->sync.max_lag_us, 2000 * MS);
	CU_ASSERT_EQUAL(conf->sync.max_lag_entries, 7);
	const struct conf_listener *listener = &conf->listeners[0];
	CU_ASSERT_EQUAL_FATAL(listener->n_binds, 2);
	assert_endpoint(&listener->binds[1], "[::]:80");
	CU_ASSERT_EQUAL(listener->header_timeout_us, 5 * S);
	CU_ASSERT_EQUAL(listener->idle_timeout_us, 120 * S);
	CU_ASSERT_EQUAL(listener->max_header_size, 8192);
	CU_ASSERT_EQUAL(listener->max_connections, 77);
	CU_ASSERT_EQUAL(listener->backlog, 100);
	CU_ASSERT_TRUE(listener->defer_accept && listener->fast_open);
	CU_ASSERT_EQUAL(listener->tcp_user_timeout_us, 30 * S);
	CU_ASSERT_EQUAL(listener->tcp_keepalive.idle_us, 60 * S);
	CU_ASSERT_EQUAL(listener->tcp_keepalive.interval_us, 5 * S);
	CU_ASSERT_EQUAL(listener->tcp_keepalive.count, 4);
	const struct conf_pool *pool = &conf->pools[0];
	CU_ASSERT_STRING_EQUAL(pool->targets[0].text, "[2001:db8::1]:80");
	CU_ASSERT_EQUAL(pool->retries, 0);
	CU_ASSERT_TRUE(pool->fail_open);
	CU_ASSERT_EQUAL(pool->tcp_user_timeout_us, 1500 * MS);
	CU_ASSERT_EQUAL(pool->source_addr.sa.sa_family, AF_INET6);
	CU_ASSERT_FALSE(pool->source_client || conf_is_transparent(conf));
	CU_ASSERT_EQUAL(pool->tcp_keepalive.idle_us, 90 * S);
	CU_ASSERT_EQUAL(pool->tcp_keepalive.interval_us, 10 * S);
	CU_ASSERT_EQUAL(pool->tcp_keepalive.count, 3);
	CU_ASSERT_EQUAL(pool->connect_timeout_us, 250 * MS);
	CU_ASSERT_EQUAL(pool->response_timeout_us, 3600 * S);
	CU_ASSERT_STRING_EQUAL(pool->health.host, "a.example");
	CU_ASSERT_STRING_EQUAL(pool->health.path, "/");
	CU_ASSERT_STRING_EQUAL(pool->health.method, "HEAD");
	CU_ASSERT_EQUAL(pool->health.expect_min, 204);
	CU_ASSERT_EQUAL(pool->health.expect_max, 204);
	CU_ASSERT_EQUAL(pool->health.timeout_us, 300 * MS);
	CU_ASSERT_EQUAL(pool->sticky.kind, CONF_STICKY_SOURCE);
	CU_ASSERT_EQUAL(pool->sticky.prefix4, 24);
	CU_ASSERT_EQUAL(pool->sticky.prefix6, 64);
	CU_ASSERT_TRUE(pool->sticky.fail_when_down);
	CU_ASSERT_EQUAL(pool->sticky.ttl_us, 86400 * S);
	conf_free(conf);
}

static uint64_t hash_of(const char *text)
{
	struct conf *conf = load(text);
	uint64_t hash = conf->hash;
	conf_free(conf);
	return hash;
}

#define BASE(listener, pool, more)                                                       \
	"{\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"" listener "}}," \
	"\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\",\"10.0.0.2:80\"]" pool "}}" more "}"

#define ROUTER                                                                                  \
	"{\"nodes\": {\"a\": {\"address\": \"10.0.0.1\"}, \"b\": {\"address\": \"10.0.0.2\"}}," \
	"\"sync\": {\"key_file\": \"/k\"},"                                                     \
	"\"pools\": {\"x\": {\"targets\": [\"10.0.0.8:80\"]},"                                  \
	"\"web\": {\"targets\": [\"10.0.0.9:80\"], \"health\": {\"tcp\": {}}}},"                \
	"\"virtual_routers\": {\"v\": {\"vrid\": 1, \"interface\": \"eth0\","                   \
	"\"addresses\": [\"10.0.0.10/24\"]"

/* Signing needs a secret that both nodes have. */
static void adverts_are_signed_where_there_is_a_key(void)
{
#define SIGNED(sync)                                                                            \
	"{\"nodes\": {\"a\": {\"address\": \"10.0.0.1\"}, \"b\": {\"address\": \"10.0.0.2\"}}," \
	"\"sync\": {" sync                                                                      \
	"}, \"virtual_routers\": {\"v\": {\"vrid\": 1, \"interface\": \"eth0\","                \
	"\"addresses\": [\"10.0.0.10/24\"]}}}"
#define CERTIFICATES "\"certificate\": \"/c\", \"private_key\": \"/p\", \"ca\": \"/a\""
	static const struct {
		const char *text;
		enum conf_authenticate wanted;
	} cases[] = {
	    {SIGNED("\"key_file\": \"/k\""), CONF_AUTHENTICATE_TRUE},
	    {SIGNED(CERTIFICATES ", \"key_file\": \"/k\""), CONF_AUTHENTICATE_TRUE},
	    {SIGNED(CERTIFICATES), CONF_AUTHENTICATE_FALSE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf *conf = load(cases[i].text);
		CU_ASSERT_EQUAL(conf->routers[0].authenticate, cases[i].wanted);
		CU_ASSERT_EQUAL(conf->sync.certificate != NULL, i > 0);
		CU_ASSERT_EQUAL(conf->sync.key_file != NULL, i < 2);
		conf_free(conf);
	}
}

static void announcing_is_configurable(void)
{
	struct conf *conf =
	    load(ROUTER ", \"announce\": {\"interval\": \"5ms\", \"refresh\": \"0s\"}}}}");
	CU_ASSERT_EQUAL(conf->routers[0].announce.interval_us, 5 * MS);
	CU_ASSERT_EQUAL(conf->routers[0].announce.refresh_us, 0);
	conf_free(conf);
}

static void what_is_tracked(void)
{
	struct conf *conf = load(
	    ROUTER ", \"group\": \"g\", \"track\": {\"interfaces\": [\"eth1\", {\"name\": \"eth2\","
		   "\"weight\": 20}], \"pools\": [\"web\"], \"addresses\": [\"10.0.0.254\","
		   "{\"address\": \"2001:db8::1\", \"interval\": \"100ms\"}],"
		   "\"scripts\": [{\"command\": [\"/bin/c\", \"-x\"], \"weight\": 10}],"
		   "\"witness\": \"10.0.0.253\"}}}}");
	const struct conf_router *router = &conf->routers[0];
	const struct conf_track *track = &router->track;
	CU_ASSERT_STRING_EQUAL(router->group, "g");
	CU_ASSERT_EQUAL(router->startup_delay_us, 3 * S);
	CU_ASSERT_EQUAL(router->announce.interval_us, 1 * MS);
	CU_ASSERT_EQUAL(router->announce.refresh_us, 60 * S);
	CU_ASSERT_EQUAL_FATAL(track->n_interfaces, 2);
	CU_ASSERT_STRING_EQUAL(track->interfaces[0].name, "eth1");
	CU_ASSERT_EQUAL(track->interfaces[0].weight, 0);
	CU_ASSERT_EQUAL(track->interfaces[1].weight, 20);
	CU_ASSERT_EQUAL_FATAL(track->n_pools, 1);
	CU_ASSERT_EQUAL(track->pools[0].pool, 1);
	CU_ASSERT_EQUAL(track->pools[0].at_least, 50);
	CU_ASSERT_FALSE(conf->pools[0].tracked);
	CU_ASSERT_TRUE(conf->pools[1].tracked);
	CU_ASSERT_EQUAL_FATAL(track->n_addresses, 2);
	assert_ip(&track->addresses[0].address, "10.0.0.254");
	CU_ASSERT_EQUAL(track->addresses[0].interval_us, 500 * MS);
	CU_ASSERT_EQUAL(track->addresses[0].timeout_us, 200 * MS);
	CU_ASSERT_EQUAL(track->addresses[0].rise, 2);
	CU_ASSERT_EQUAL(track->addresses[0].fall, 3);
	CU_ASSERT_EQUAL(track->addresses[1].timeout_us, 100 * MS);
	CU_ASSERT_EQUAL_FATAL(track->n_scripts, 1);
	CU_ASSERT_EQUAL_FATAL(track->scripts[0].n_command, 2);
	CU_ASSERT_STRING_EQUAL(track->scripts[0].command[1], "-x");
	CU_ASSERT_EQUAL(track->scripts[0].timeout_us, 1 * S);
	CU_ASSERT_EQUAL(track->scripts[0].rise, 1);
	CU_ASSERT_EQUAL(track->scripts[0].fall, 2);
	assert_ip(&track->witness, "10.0.0.253");
	conf_free(conf);

	conf = load(ROUTER "}}}");
	CU_ASSERT_PTR_NULL(conf->routers[0].group);
	CU_ASSERT_EQUAL(conf->routers[0].track.n_pools, 0);
	CU_ASSERT_EQUAL(conf->routers[0].track.witness.sa.sa_family, AF_UNSPEC);
	CU_ASSERT_FALSE(conf->pools[1].tracked);
	conf_free(conf);
}

static void hash_is_of_the_meaning(void)
{
	uint64_t hash = hash_of(BASE("", "", ""));
	static const char *const same[] = {
	    " // comment\n" BASE("", "", "") "\n\n",
	    BASE(",\"mode\":\"http\",\"header_timeout\":\"10000ms\"", ",\"retries\":2", ""),
	    BASE("", "", ",\"sync\":{},\"admin\":{},\"cluster\":\"yoke\""),
	    "{\"pools\":{\"p\":{\"targets\":[{\"address\":\"10.0.0.1:80\",\"weight\":1},"
	    "\"10.0.0.2:80\"]}},"
	    "\"listeners\":{\"w\":{\"pool\":\"p\",\"bind\":[\"127.0.0.1:80\"]}}}",
	};
	static const char *const different[] = {
	    BASE(",\"mode\":\"tcp\"", "", ""),
	    BASE("", ",\"retries\":1", ""),
	    BASE("", ",\"health\":{\"tcp\":{}}", ""),
	    BASE("", ",\"health\":{\"http\":{}}", ""),
	    BASE("", ",\"sticky\":{\"source\":{}}", ""),
	    BASE("", ",\"outlier\":{}", ""),
	    BASE("", ",\"circuit_breaker\":{}", ""),
	    BASE("", ",\"outlier\":{\"consecutive_failures\":6}", ""),
	    BASE("", ",\"retry_on\":[]", ""),
	    BASE("", ",\"retry_on\":[\"503\"]", ""),
	    BASE("", "", ",\"workers\":1"),
	    BASE("},\"v\":{\"bind\":\"127.0.0.1:81\",\"pool\":\"p\"", "", ""),
	    BASE("", "},\"q\":{\"targets\":[\"10.0.0.3:80\"]", ""),
	    "{\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"}},"
	    "\"pools\":{\"p\":{\"targets\":[\"10.0.0.2:80\",\"10.0.0.1:80\"]}}}",
	    "{\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"q\"}},"
	    "\"pools\":{\"q\":{\"targets\":[\"10.0.0.1:80\",\"10.0.0.2:80\"]}}}",
	};
	size_t n = sizeof(different) / sizeof(different[0]);
	uint64_t seen[sizeof(different) / sizeof(different[0])];
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		CU_ASSERT_EQUAL(hash_of(same[i]), hash);
	for (size_t i = 0; i < n; i++) {
		seen[i] = hash_of(different[i]);
		CU_ASSERT_NOT_EQUAL(seen[i], hash);
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(seen[i], seen[j]);
	}
}

static bool is_primary(const struct addr *addr)
{
	char buf[ADDR_TEXT_MAX];
	return strcmp(addr_format_ip(addr, buf), "192.0.2.11") == 0;
}

static bool is_standby(const struct addr *addr)
{
	return !is_primary(addr);
}

static bool is_every(const struct addr *addr)
{
	(void)addr;
	return true;
}

static bool is_none(const struct addr *addr)
{
	(void)addr;
	return false;
}

static void selects_the_node(void)
{
	struct err err = {0};
	struct conf *conf = load_example(EXAMPLES "/pair.json");
	CU_ASSERT_EQUAL(conf_select_node(conf, NULL, is_none, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "neither is on this host"));
	CU_ASSERT_EQUAL(conf_select_node(conf, NULL, is_every, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "both are on this host"));
	CU_ASSERT_EQUAL(conf_select_node(conf, "third", is_primary, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "third"));
	CU_ASSERT_EQUAL(conf->self, CONF_NONE);
	CU_ASSERT_EQUAL(conf_select_node(conf, NULL, is_primary, &err), 0);
	CU_ASSERT(conf->self == 0 && conf->peer == 1);
	CU_ASSERT_EQUAL(conf_select_node(conf, NULL, is_standby, &err), 0);
	CU_ASSERT(conf->self == 1 && conf->peer == 0);
	CU_ASSERT_EQUAL(conf_select_node(conf, "primary", is_none, &err), 0);
	CU_ASSERT(conf->self == 0 && conf->peer == 1);
	conf_free(conf);

	conf = load_example(EXAMPLES "/minimal.json");
	CU_ASSERT_EQUAL(conf_select_node(conf, "any", is_none, &err), 0);
	CU_ASSERT_EQUAL(conf->self, CONF_NONE);
	conf_free(conf);
}

#define PAIR(nodes, more)                                                                         \
	"{\"nodes\":{" nodes "},\"listeners\":{\"w\":{\"bind\":\"10.0.0.9:80\",\"pool\":\"p\"}}," \
	"\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]}}" more "}"
#define NODE_A "\"a\":{\"address\":\"10.0.0.11\"}"
#define NODE_B "\"b\":{\"address\":\"10.0.0.12\"}"
#define KEY    ",\"sync\":{\"key_file\":\"/k\"}"

/* `wish` NULL: the reload is allowed; else the text names the key. */
static const struct reload {
	const char *to, *wish;
} reloads[] = {
    {PAIR(NODE_A "," NODE_B, KEY), NULL},
    {PAIR(NODE_B "," NODE_A, KEY), NULL},
    {PAIR("\"a\":{\"address\":\"10.0.0.11\",\"priority\":7}," NODE_B, KEY), NULL},
    {PAIR(NODE_A "," NODE_B,
	 ",\"sync\":{\"key_file\":\"/k\",\"max_sessions\":9},\"log_level\":\"debug\""),
	NULL},
    {PAIR(NODE_A "," NODE_B, KEY ",\"workers\":63"), "workers: the change from "},
    {PAIR(NODE_A "," NODE_B, KEY ",\"user\":\"www\""), "user: the change from yoke to www"},
    {PAIR(NODE_A "," NODE_B, ",\"sync\":{\"key_file\":\"/k\",\"port\":9}"),
	"sync.port: the change from 5405 to 9"},
    {PAIR(NODE_A "," NODE_B, ",\"sync\":{\"key_file\":\"/other\"}"), NULL},
    {PAIR(NODE_A ",\"c\":{\"address\":\"10.0.0.12\"}", KEY), "nodes.b: "},
    {PAIR(NODE_A ",\"b\":{\"address\":\"10.0.0.13\"}", KEY), "nodes.b.address: "},
    {BASE("", "", ""), "nodes: leaving a pair"},
};

static void reload_names_what_needs_a_restart(void)
{
	struct conf *from = load(reloads[0].to);
	for (size_t i = 0; i < sizeof(reloads) / sizeof(reloads[0]); i++) {
		struct err err = {0};
		const struct reload *reload = &reloads[i];
		struct conf *to = load(reload->to);
		int result = conf_reload_allowed(from, to, &err);
		CU_ASSERT_EQUAL(result, reload->wish ? -EINVAL : 0);
		if (reload->wish)
			CU_ASSERT_EQUAL(strncmp(err.text, reload->wish, strlen(reload->wish)), 0);
		conf_free(to);
	}
	conf_free(from);
}

static void reload_stands_another_number_of_cpus(void)
{
	struct err err = {0};
	struct conf *from = load(BASE("", "", "")), *to = load(BASE("", "", ""));
	CU_ASSERT_FALSE(from->workers_given);
	to->workers++;
	CU_ASSERT_EQUAL(conf_reload_allowed(from, to, &err), 0);
	to->workers_given = true;
	CU_ASSERT_EQUAL(conf_reload_allowed(from, to, &err), -EINVAL);
	conf_free(from);
	conf_free(to);
}

static void reload_does_not_bring_a_privilege_back(void)
{
	struct err err = {0};
	struct conf *from = load(BASE("", "", "")),
		    *to = load(BASE("", ",\"source\":\"client\"", ""));
	CU_ASSERT_TRUE(conf_is_transparent(to));
	CU_ASSERT_EQUAL(conf_reload_allowed(from, to, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "needs a restart"));
	CU_ASSERT_EQUAL(conf_reload_allowed(to, from, &err), 0);
	CU_ASSERT_EQUAL(conf_reload_allowed(to, to, &err), 0);
	conf_free(from);
	conf_free(to);
}

static void reload_does_not_swap_the_nodes(void)
{
	struct err err = {0};
	struct conf *from = load(reloads[0].to), *to = load(reloads[1].to);
	CU_ASSERT_EQUAL(conf_select_node(from, "a", is_none, &err), 0);
	CU_ASSERT_EQUAL(conf_select_node(to, "b", is_none, &err), 0);
	CU_ASSERT_EQUAL(conf_reload_allowed(from, to, &err), -EINVAL);
	CU_ASSERT_EQUAL(conf_select_node(to, "a", is_none, &err), 0);
	CU_ASSERT_EQUAL(conf_reload_allowed(from, to, &err), 0);
	conf_free(from);
	conf_free(to);
}

static void keep(void *arg, const char *text)
{
	snprintf(arg, 512, "%s", text);
}

static void says_when_a_file_cannot_be_read(void)
{
	char line[512] = "";
	struct conf *conf = NULL;
	CU_ASSERT_EQUAL(conf_load_file("/nonexistent/y.json", keep, line, &conf), -ENOENT);
	CU_ASSERT_STRING_EQUAL(
	    line, "/nonexistent/y.json:1:1: top level: cannot be read: No such file or directory");
	CU_ASSERT_EQUAL(conf_load_file("/", keep, line, &conf), -EISDIR);
	CU_ASSERT_PTR_NULL(conf);
}

UNIT_MAIN("conf/load", UNIT(minimal_example), UNIT(routes_example), UNIT(top_level_defaults),
    UNIT(pair_example), UNIT(adverts_are_signed_where_there_is_a_key),
    UNIT(announcing_is_configurable), UNIT(what_is_tracked), UNIT(pair_example_pools),
    UNIT(keys_beyond_the_examples), UNIT(hash_is_of_the_meaning), UNIT(selects_the_node),
    UNIT(reload_names_what_needs_a_restart), UNIT(reload_stands_another_number_of_cpus),
    UNIT(reload_does_not_bring_a_privilege_back), UNIT(reload_does_not_swap_the_nodes),
    UNIT(says_when_a_file_cannot_be_read))
