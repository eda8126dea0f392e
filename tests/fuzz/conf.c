/* Any bytes as a configuration: no crash, no leak, and the same answer twice. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/base/hash.h"
#include "tests/fuzz/fuzz.h"

struct answer {
	int result;
	uint64_t lines; /* hash over what was said */
	uint64_t hash;
};

/* One line, and it begins with the file's name. */
static void on_line(void *arg, const char *line)
{
	struct answer *answer = arg;
	require(strncmp(line, "f:", 2) == 0 && !strchr(line, '\n'));
	answer->lines = hash_mix(answer->lines + hash_id(line, strlen(line)));
}

/* Names were resolved and limits hold. */
static void check_tree(const struct conf *conf)
{
	require(conf->n_listeners <= CONF_LISTENERS_MAX && conf->n_pools <= CONF_POOLS_MAX);
	require(conf->n_routers <= CONF_ROUTERS_MAX && (conf->n_nodes == 0 || conf->n_nodes == 2));
	require(conf->workers >= 1 && conf->workers <= CONF_WORKERS_MAX);
	require(conf->cluster && conf->user);
	for (uint32_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *listener = &conf->listeners[i];
		bool has_pool = listener->pool < conf->n_pools;
		require(has_pool || (listener->pool == CONF_NONE && listener->n_routes > 0));
		require(listener->n_binds > 0 && listener->idle_timeout_us > 0);
		for (uint32_t j = 0; j < listener->n_routes; j++) {
			const struct route_spec *route = &listener->routes[j];
			require(route->kind != ROUTE_NOTHING);
			require(route->kind != ROUTE_POOL || route->n_shares > 0 ||
				route->pool < conf->n_pools);
		}
	}
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		const struct conf_pool *pool = &conf->pools[i];
		require(pool->n_targets > 0 && pool->n_targets <= CONF_TARGETS_MAX);
		for (uint32_t j = 0; j < pool->n_targets; j++) {
			require(pool->targets[j].text && pool->targets[j].weight > 0);
		}
	}
}

static struct answer load(const uint8_t *data, size_t size)
{
	struct answer answer = {0};
	struct conf *conf = NULL;
	answer.result = conf_load("f", (const char *)data, size, on_line, &answer, &conf);
	require((answer.result == 0) == (conf != NULL));
	require((answer.result == 0) == (answer.lines == 0));
	if (conf) {
		answer.hash = conf->hash;
		check_tree(conf);
	}
	conf_free(conf);
	return answer;
}

/* The same bytes as what the admin API takes. */
static void check_parts(const char *text, size_t len)
{
	struct conf_target target;
	struct conf_target_change change;
	struct err err;
	if (conf_target_parse(text, len, &target, &err) == 0)
		require(target.weight >= 1 && target.weight <= 256 && addr_port(&target.addr) > 0);
	else
		require(strncmp(err.text, "body:", 5) == 0 && !strchr(err.text, '\n'));
	if (conf_target_change_parse(text, len, &change, &err) == 0)
		require((!change.weight_given || (change.weight >= 1 && change.weight <= 256)) &&
			change.drain_timeout_us <= CONF_DRAIN_MAX_US);
	else
		require(strncmp(err.text, "body:", 5) == 0 && !strchr(err.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer first = load(data, size), second = load(data, size);
	require(first.result == second.result && first.lines == second.lines);
	require(first.hash == second.hash);
	check_parts((const char *)data, size);
	return 0;
}
