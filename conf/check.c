#include "conf/check.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <strings.h>

#include "conf/check_parts.h"
#include "conf/schema.h"
#include "conf/value.h"

#define TCP_IDLE_US  3600000000
#define HTTP_IDLE_US 60000000
#define UDP_IDLE_US  30000000
#define PROBE_US     1000000
#define PING_US      200000

/* ---- what follows from something else ---- */

static const char *default_upgrade[] = {"websocket"};

uint32_t check_find_pool(const struct conf *conf, const char *name, const char **nearest)
{
	unsigned edits = UINT32_MAX;
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (strcmp(conf->pools[i].name, name) == 0)
			return i;
	}
	for (uint32_t i = 0; i < conf->n_pools; i++)
		conf_schema_consider(conf->pools[i].name, name, nearest, &edits);
	return CONF_NONE;
}

/* The index of the pool that is named at `place`, or CONF_NONE. */
uint32_t check_resolve_pool(
    struct report *report, const struct node *place, const struct conf *conf)
{
	if (!place || place->kind != NODE_STRING)
		return CONF_NONE;
	const char *name = node_string(place), *nearest = NULL;
	uint32_t pool = check_find_pool(conf, name, &nearest);
	if (pool == CONF_NONE && nearest)
		report_value(report, place,
		    "\"%.63s\" is not one of the pools; did you mean \"%s\"?", name, nearest);
	else if (pool == CONF_NONE)
		report_value(report, place, "\"%.63s\" is not one of the pools", name);
	return pool;
}

static void finish_listener(struct report *report, const struct node *node, struct conf *conf,
    struct conf_listener *listener)
{
	static const uint64_t idle_us[] = {[CONF_MODE_HTTP] = HTTP_IDLE_US,
	    [CONF_MODE_TCP] = TCP_IDLE_US,
	    [CONF_MODE_UDP] = UDP_IDLE_US};
	if (listener->idle_timeout_us == 0)
		listener->idle_timeout_us = idle_us[listener->mode];
	if (!listener->upgrade_given) {
		listener->upgrade = default_upgrade;
		listener->n_upgrade = 1;
	}
	const struct node *pool = node_child(node, "pool");
	listener->pool = check_resolve_pool(report, pool, conf);
	check_finish_routes(report, node, conf, listener);
	check_finish_limits(conf, listener);
	const struct node *routes = node_child(node, "routes");
	bool may_lack = routes && (listener->n_routes > 0 || routes->kind != NODE_LIST);
	if (!pool && node->kind == NODE_OBJECT && !may_lack)
		report_missing(
		    report, node, "pool", "missing; wanted the name of a pool, or routes");
	listener->access_log = listener->access_log && conf->access_log.file;
}

static uint64_t shorter(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static void finish_track(struct report *report, const struct node *node, const struct conf *conf,
    struct conf_track *track)
{
	const struct node *entry = check_first(node_child(node, "pools"));
	for (uint32_t i = 0; i < track->n_pools; i++, entry = entry->next) {
		uint32_t pool = check_resolve_pool(report, check_shorthand(entry, "name"), conf);
		track->pools[i].pool = pool;
		if (pool != CONF_NONE)
			conf->pools[pool].tracked = true;
	}
	for (uint32_t i = 0; i < track->n_addresses; i++) {
		struct conf_track_address *address = &track->addresses[i];
		if (address->timeout_us == 0)
			address->timeout_us = shorter(PING_US, address->interval_us);
	}
	for (uint32_t i = 0; i < track->n_scripts; i++) {
		struct conf_track_script *script = &track->scripts[i];
		if (script->timeout_us == 0)
			script->timeout_us = shorter(PROBE_US, script->interval_us);
	}
}

/* Signing needs a secret that both nodes have. */
static void finish_router(const struct conf *conf, struct conf_router *router)
{
	if (!router->authenticate_given && router->version != 2 && conf->sync.key_file)
		router->authenticate = CONF_AUTHENTICATE_TRUE;
}

static unsigned retry_causes(const struct conf_pool *pool)
{
	unsigned causes = 0;
	if (!pool->retry_on_given)
		return 1U << CONF_RETRY_CONNECT_FAILURE | 1U << CONF_RETRY_RESET;
	for (uint32_t i = 0; i < pool->n_retry_on; i++)
		causes |= 1U << pool->retry_on[i];
	return causes;
}

static int finish_pool(struct arena *arena, struct conf_pool *pool)
{
	char text[ADDR_TEXT_MAX];
	check_finish_balance(pool);
	struct conf_health *health = &pool->health;
	if (health->kind != CONF_HEALTH_NONE && health->timeout_us == 0)
		health->timeout_us = shorter(PROBE_US, health->interval_us);
	pool->retry_causes = retry_causes(pool);
	pool->judged = pool->outlier_given || pool->breaker_given;
	pool->source_client = pool->source && strcmp(pool->source, "client") == 0;
	if (pool->source && !pool->source_client)
		addr_parse_ip(pool->source, &pool->source_addr);
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		addr_format(&pool->targets[i].addr, text);
		pool->targets[i].text = arena_copy(arena, text, strlen(text));
		if (!pool->targets[i].text)
			return -ENOMEM;
	}
	return 0;
}

/* Those that we may run on. Not sysconf(): that opens a file, which the proxy's sandbox refuses. */
static uint32_t count_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	int n = CPU_COUNT(&set);
	return n > CONF_WORKERS_MAX ? CONF_WORKERS_MAX : (uint32_t)n;
}

int check_finish(
    struct arena *arena, struct report *report, const struct node *root, struct conf *conf)
{
	if (conf->workers == 0)
		conf->workers = count_cpus();
	conf->self = CONF_NONE;
	conf->peer = CONF_NONE;
	const struct node *node = check_first(node_child(root, "listeners"));
	for (uint32_t i = 0; i < conf->n_listeners; i++, node = node->next)
		finish_listener(report, node, conf, &conf->listeners[i]);
	node = check_first(node_child(root, "virtual_routers"));
	for (uint32_t i = 0; i < conf->n_routers; i++, node = node->next)
		finish_track(report, node_child(node, "track"), conf, &conf->routers[i].track);
	for (uint32_t i = 0; i < conf->n_routers; i++)
		finish_router(conf, &conf->routers[i]);
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (finish_pool(arena, &conf->pools[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- what must fit together ---- */

static void check_certificates(struct report *report, const struct node *sync)
{
	static const char *const keys[] = {"certificate", "private_key", "ca"};
	for (unsigned i = 0; i < 3; i++) {
		if (!node_child(sync, keys[i]))
			report_missing(report, sync, keys[i],
			    "missing; certificate, private_key and ca go together");
	}
}

/* What needs a secret that both nodes have, and not only certificates. */
static void check_shared_secret(
    struct report *report, const struct node *root, const struct conf *conf)
{
	static const char wish[] =
	    "set sync.key_file beside the certificates (a key is made by: head -c 32 /dev/urandom "
	    "| base64)";
	const struct node *entry = check_first(node_child(root, "pools"));
	for (uint32_t i = 0; i < conf->n_pools; i++, entry = entry->next) {
		if (conf_sticky_reads_heads(&conf->pools[i].sticky))
			report_value(report, node_child(entry, "sticky"),
			    "both nodes know clients by a secret that they share; %s", wish);
	}
	entry = check_first(node_child(root, "virtual_routers"));
	for (uint32_t i = 0; i < conf->n_routers; i++, entry = entry->next) {
		const struct node *authenticate = node_child(entry, "authenticate");
		if (authenticate && conf->routers[i].authenticate != CONF_AUTHENTICATE_FALSE)
			report_value(report, authenticate,
			    "adverts are signed with a secret that both nodes share; %s", wish);
	}
}

static void check_secrets(struct report *report, const struct node *root, const struct conf *conf)
{
	static const char recipe[] =
	    "missing; the pair needs a secret of its own: head -c 32 /dev/urandom | base64 > FILE; "
	    "chmod 600 FILE; copy it to the other node";
	const struct node *sync = node_child(root, "sync");
	bool has_key = node_child(sync, "key_file") != NULL;
	if (conf->n_nodes == 0 || (sync && sync->kind != NODE_OBJECT))
		return;
	if (node_child(sync, "certificate") || node_child(sync, "private_key") ||
	    node_child(sync, "ca")) {
		check_certificates(report, sync);
		if (!has_key)
			check_shared_secret(report, root, conf);
	} else if (!has_key && sync) {
		report_missing(report, sync, "key_file", "%s", recipe);
	} else if (!has_key) {
		report_missing(report, root, "sync.key_file", "%s", recipe);
	}
}

static int check_nodes(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = check_first(node_child(root, "nodes"));
	for (uint32_t i = 0; i < conf->n_nodes; i++, entry = entry->next) {
		const struct node *address = node_child(entry, "address");
		check_priorities(report, entry, conf, i);
		if (!address)
			continue;
		check_connectable(report, address, &conf->nodes[i].address);
		check_places_add(places, &conf->nodes[i].address, address);
		if (i > 0 && check_is_set(&conf->nodes[i].address) &&
		    check_is_set(&conf->nodes[0].address) &&
		    check_is_ipv6(&conf->nodes[i].address) !=
			check_is_ipv6(&conf->nodes[0].address))
			report_value(
			    report, address, "both nodes need IPv4 addresses, or both IPv6");
	}
	check_secrets(report, root, conf);
	return check_places(places, report);
}

static void check_explain(
    struct report *report, const struct node *node, const struct conf_listener *listener)
{
	if (node && listener->mode != CONF_MODE_HTTP)
		report_value(report, node, "is for mode \"http\"");
	else if (node)
		check_field_name(
		    report, check_shorthand(node, "name"), listener->explain.name, true);
}

static void check_listener(struct report *report, const struct node *entry, const struct conf *conf,
    const struct conf_listener *listener)
{
	const struct node *pool = node_child(entry, "pool");
	check_sticky_mode(report, pool, conf, listener->pool, listener->mode);
	check_balance_mode(report, pool, conf, listener->pool, listener->mode);
	check_routes(report, entry, conf, listener);
	check_limits(report, entry, listener);
	check_explain(report, node_child(entry, "explain_header"), listener);
	if (listener->mode == CONF_MODE_UDP && listener->proxy_protocol)
		report_value(report, node_child(entry, "proxy_protocol"),
		    "is for modes \"http\" and \"tcp\"");
	if (listener->mode == CONF_MODE_UDP && listener->pool != CONF_NONE &&
	    conf->pools[listener->pool].send_proxy.version != CONF_PROXY_NONE)
		report_value(report, pool,
		    "pool %s sends the PROXY protocol, which mode \"udp\" does not have",
		    conf->pools[listener->pool].name);
	if (listener->mode == CONF_MODE_UDP && listener->pool != CONF_NONE &&
	    conf->pools[listener->pool].judged)
		report_value(report, pool,
		    "pool %s has outlier or circuit_breaker, which mode \"udp\" does not have",
		    conf->pools[listener->pool].name);
	const struct node *from = node_child(entry, "proxy_protocol_from");
	if (from && !node_child(entry, "proxy_protocol"))
		report_value(report, from, "needs \"proxy_protocol\": true beside it");
}

/* The sync channel listens on the nodes' own addresses. */
static void check_sync_port(struct report *report, const struct node *node, const struct conf *conf,
    const struct addr *bind)
{
	for (uint32_t i = 0; i < conf->n_nodes; i++) {
		const struct addr *own = &conf->nodes[i].address;
		if (check_is_set(own) && check_is_set(bind) && addr_port(bind) == conf->sync.port &&
		    (addr_equal_ip(own, bind) || addr_is_any(bind))) {
			report_value(report, node, "port %u of node %s is the sync channel's",
			    conf->sync.port, conf->nodes[i].name);
			return;
		}
	}
}

/* UDP and TCP have ports of their own. */
static void check_binds(struct report *report, const struct node *root, const struct conf *conf,
    bool udp, struct places *places)
{
	const struct node *entry = check_first(node_child(root, "listeners"));
	for (uint32_t i = 0; i < conf->n_listeners; i++, entry = entry->next) {
		const struct conf_listener *listener = &conf->listeners[i];
		const struct node *binds = node_child(entry, "bind");
		if ((listener->mode == CONF_MODE_UDP) != udp)
			continue;
		for (uint32_t j = 0; j < listener->n_binds; j++) {
			const struct node *bind = check_element(binds, j);
			check_places_add(places, &listener->binds[j], bind);
			if (!udp)
				check_sync_port(report, bind, conf, &listener->binds[j]);
		}
	}
}

static int check_listeners(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = check_first(node_child(root, "listeners"));
	const struct node *admin = node_child(node_child(root, "admin"), "listen");
	for (uint32_t i = 0; i < conf->n_listeners; i++, entry = entry->next)
		check_listener(report, entry, conf, &conf->listeners[i]);
	check_binds(report, root, conf, true, places);
	if (check_places(places, report) < 0)
		return -ENOMEM;
	check_binds(report, root, conf, false, places);
	if (admin)
		check_places_add(places, &conf->admin_listen, admin);
	return check_places(places, report);
}

/* The client's is known only when it comes. */
static void check_source(
    struct report *report, const struct node *entry, const struct conf_pool *pool)
{
	const struct node *source = node_child(entry, "source");
	if (!check_is_set(&pool->source_addr))
		return;
	if (addr_is_any(&pool->source_addr))
		report_value(report, source, "%s is not the address of a host", pool->source);
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		const struct addr *target = &pool->targets[i].addr;
		if (!check_is_set(target) ||
		    check_is_ipv6(target) == check_is_ipv6(&pool->source_addr))
			continue;
		report_value(report, source, "target %s cannot be reached from %s",
		    pool->targets[i].text, pool->source);
		return;
	}
}

/* Only version 2 has room for more than addresses. */
static void check_send_proxy(
    struct report *report, const struct node *node, const struct conf_send_proxy *send_proxy)
{
	if (send_proxy->version == CONF_PROXY_V2)
		return;
	if (send_proxy->pass_tlvs)
		report_value(report, node_child(node, "pass_tlvs"), "needs version \"v2\"");
	if (send_proxy->crc32c)
		report_value(report, node_child(node, "crc32c"), "needs version \"v2\"");
}

static void check_health_field(struct report *report, const struct node *node, const char *name)
{
	if (name && strcasecmp(name, "host") == 0)
		report_key(report, node, "has a key of its own: \"host\" of http");
	else
		check_field_name(report, node, name, true);
}

static void check_health(
    struct report *report, const struct node *node, const struct conf_health *health)
{
	const struct node *http = node_child(node, "http"), *body = node_child(http, "body");
	const struct node *field = check_first(node_child(http, "headers"));
	check_timeout(report, node, health->interval_us, health->timeout_us);
	for (uint32_t i = 0; i < health->n_headers; i++, field = field->next)
		check_health_field(report, field, health->headers[i].name);
	if (health->body && health->body[0] == '~')
		check_pattern(report, body, health->body);
	if (body && health->method && strcmp(health->method, "HEAD") == 0)
		report_value(report, body, "the answer to HEAD has no body; wanted method \"GET\"");
}

static void check_queue(
    struct report *report, const struct node *entry, const struct conf_pool *pool)
{
	const struct node *queue = node_child(entry, "queue");
	const struct node *target = check_first(node_child(entry, "targets"));
	bool limited = false;
	for (; target; target = target->next)
		limited |= node_child(target, "max_connections") != NULL;
	if (queue && pool->n_targets > 0 && !limited)
		report_value(report, queue, "no target has max_connections, so nobody waits");
}

static void check_sticky(
    struct report *report, const struct node *node, const struct conf_sticky *sticky)
{
	const struct node *max_entries = node_child(node, "max_entries");
	if (max_entries && sticky->kind == CONF_STICKY_COOKIE)
		report_key(
		    report, max_entries, "is for sessions in the table; cookies of yoke need none");
}

static void check_outlier(
    struct report *report, const struct node *node, const struct outlier_settings *outlier)
{
	const struct node *most = node_child(node, "max_ejection_time");
	if (node && outlier->max_ejection_us > 0 && outlier->max_ejection_us < outlier->ejection_us)
		report_value(report, most ? most : node_child(node, "ejection_time"),
		    "max_ejection_time is shorter than ejection_time");
}

static int check_pools(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = check_first(node_child(root, "pools"));
	for (uint32_t i = 0; i < conf->n_pools; i++, entry = entry->next) {
		const struct conf_pool *pool = &conf->pools[i];
		const struct node *target = check_first(node_child(entry, "targets"));
		for (uint32_t j = 0; j < pool->n_targets; j++, target = target->next) {
			check_connectable(
			    report, check_shorthand(target, "address"), &pool->targets[j].addr);
			check_places_add(
			    places, &pool->targets[j].addr, check_shorthand(target, "address"));
		}
		if (check_places(places, report) < 0)
			return -ENOMEM;
		check_health(report, node_child(entry, "health"), &pool->health);
		check_sticky(report, node_child(entry, "sticky"), &pool->sticky);
		check_outlier(report, node_child(entry, "outlier"), &pool->outlier);
		check_send_proxy(
		    report, node_child(entry, "send_proxy_protocol"), &pool->send_proxy);
		check_source(report, entry, pool);
		check_balance(report, entry, pool);
		check_queue(report, entry, pool);
	}
	return 0;
}

static void check_admin(struct report *report, const struct node *root, const struct conf *conf)
{
	const struct node *admin = node_child(root, "admin");
	const struct node *listen = node_child(admin, "listen");
	if (!listen || !check_is_set(&conf->admin_listen) ||
	    check_is_loopback(&conf->admin_listen) || node_child(admin, "token_file"))
		return;
	report_value(report, listen, "not a loopback address; this needs a token_file beside it");
}

int check_conf(struct report *report, const struct node *root, const struct conf *conf)
{
	struct places places = {0};
	int result = -ENOMEM;
	if (check_nodes(report, root, conf, &places) < 0 ||
	    check_routers(report, root, conf, &places) < 0 ||
	    check_listeners(report, root, conf, &places) < 0 ||
	    check_pools(report, root, conf, &places) < 0)
		goto out;
	check_admin(report, root, conf);
	result = 0;
out:
	check_places_fini(&places);
	return result;
}
