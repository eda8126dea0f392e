#include "conf/check.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/schema.h"
#include "conf/value.h"

#define TCP_IDLE_US  3600000000
#define HTTP_IDLE_US 60000000
#define PROBE_US     1000000
#define PING_US      200000

/* An address and where it is written. */
struct place {
	const struct addr *addr;
	const struct node *node;
};

/* All addresses that must differ from each other. */
struct places {
	struct place *items;
	size_t n, size;
	bool out_of_memory;
};

static bool is_set(const struct addr *addr)
{
	return addr->sa.sa_family != AF_UNSPEC;
}

static bool is_ipv6(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET6;
}

static bool is_any(const struct addr *addr)
{
	return is_ipv6(addr) ? IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr)
			     : addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
}

static bool is_loopback(const struct addr *addr)
{
	return is_ipv6(addr) ? IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr)
			     : ntohl(addr->in.sin_addr.s_addr) >> 24 == 127;
}

static bool is_multicast(const struct addr *addr)
{
	return is_ipv6(addr) ? IN6_IS_ADDR_MULTICAST(&addr->in6.sin6_addr)
			     : ntohl(addr->in.sin_addr.s_addr) >> 28 >= 14;
}

/* Of one host, so neither "any" nor multicast nor broadcast. */
static void check_unicast(struct report *report, const struct node *node, const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	if (is_set(addr) && (is_any(addr) || is_multicast(addr)))
		report_value(
		    report, node, "%s is not the address of a host", addr_format_ip(addr, ip));
}

static void places_add(struct places *places, const struct addr *addr, const struct node *node)
{
	if (!is_set(addr) || places->out_of_memory)
		return;
	if (places->n == places->size) {
		size_t size = places->size ? places->size * 2 : 64;
		struct place *items = realloc(places->items, size * sizeof(*items));
		if (!items) {
			places->out_of_memory = true;
			return;
		}
		places->items = items;
		places->size = size;
	}
	places->items[places->n++] = (struct place){addr, node};
}

static int by_addr(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	uint8_t key_x[16], key_y[16];
	addr_key(x->addr, 32, 128, key_x);
	addr_key(y->addr, 32, 128, key_y);
	int order = memcmp(key_x, key_y, sizeof(key_x));
	if (order)
		return order;
	if (addr_port(x->addr) != addr_port(y->addr))
		return addr_port(x->addr) < addr_port(y->addr) ? -1 : 1;
	return x->node->offset < y->node->offset ? -1 : x->node->offset > y->node->offset;
}

/* Reports each address that is there already, at the later place. Empties the set; returns 0 or
 * -ENOMEM. */
static int places_check(struct places *places, struct report *report)
{
	char text[ADDR_TEXT_MAX], path[256];
	int result = places->out_of_memory ? -ENOMEM : 0;
	if (places->n > 1)
		qsort(places->items, places->n, sizeof(places->items[0]), by_addr);
	for (size_t i = 1; result == 0 && i < places->n; i++) {
		const struct place *here = &places->items[i], *before = here - 1;
		unsigned line, column;
		if (!addr_equal(before->addr, here->addr) || report_full(report))
			continue;
		if (addr_port(here->addr) == 0)
			addr_format_ip(here->addr, text);
		else
			addr_format(here->addr, text);
		report_place(report, before->node->offset, &line, &column);
		report_value(report, here->node, "%s is already used at line %u: %s", text, line,
		    node_path(before->node, NULL, path, sizeof(path)));
	}
	places->n = 0;
	return result;
}

static void places_fini(struct places *places)
{
	free(places->items);
	memset(places, 0, sizeof(*places));
}

static const struct node *first_of(const struct node *map)
{
	return map ? map->child : NULL;
}

/* The element number `i` of a list that may be a single value instead. */
static const struct node *element_of(const struct node *list, uint32_t i)
{
	return list->kind == NODE_LIST ? node_at(list, i) : list;
}

/* Where the one key of an entry is written that may stand for all of it. */
static const struct node *shorthand_place(const struct node *entry, const char *key)
{
	const struct node *place = node_child(entry, key);
	return place ? place : entry;
}

/* ---- what follows from something else ---- */

static uint32_t find_pool(const struct conf *conf, const char *name, const char **nearest)
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
static uint32_t resolve_pool(
    struct report *report, const struct node *place, const struct conf *conf)
{
	if (!place || place->kind != NODE_STRING)
		return CONF_NONE;
	const char *name = node_string(place), *nearest = NULL;
	uint32_t pool = find_pool(conf, name, &nearest);
	if (pool == CONF_NONE && nearest)
		report_value(report, place,
		    "\"%.63s\" is not one of the pools; did you mean \"%s\"?", name, nearest);
	else if (pool == CONF_NONE)
		report_value(report, place, "\"%.63s\" is not one of the pools", name);
	return pool;
}

static void finish_listener(struct report *report, const struct node *node, const struct conf *conf,
    struct conf_listener *listener)
{
	if (listener->idle_timeout_us == 0)
		listener->idle_timeout_us =
		    listener->mode == CONF_MODE_TCP ? TCP_IDLE_US : HTTP_IDLE_US;
	listener->pool = resolve_pool(report, node_child(node, "pool"), conf);
}

static uint64_t shorter(uint64_t a_us, uint64_t b_us)
{
	return a_us < b_us ? a_us : b_us;
}

static void finish_track(struct report *report, const struct node *node, const struct conf *conf,
    struct conf_track *track)
{
	const struct node *entry = first_of(node_child(node, "pools"));
	for (uint32_t i = 0; i < track->n_pools; i++, entry = entry->next) {
		uint32_t pool = resolve_pool(report, shorthand_place(entry, "name"), conf);
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

static void finish_router(struct conf_router *router)
{
	if (!router->authenticate_given && router->version != 2)
		router->authenticate = CONF_AUTHENTICATE_TRUE;
}

static int finish_pool(struct arena *arena, struct conf_pool *pool)
{
	char text[ADDR_TEXT_MAX];
	struct conf_health *health = &pool->health;
	if (health->kind != CONF_HEALTH_NONE && health->timeout_us == 0)
		health->timeout_us = shorter(PROBE_US, health->interval_us);
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
	const struct node *node = first_of(node_child(root, "listeners"));
	for (uint32_t i = 0; i < conf->n_listeners; i++, node = node->next)
		finish_listener(report, node, conf, &conf->listeners[i]);
	node = first_of(node_child(root, "virtual_routers"));
	for (uint32_t i = 0; i < conf->n_routers; i++, node = node->next)
		finish_track(report, node_child(node, "track"), conf, &conf->routers[i].track);
	for (uint32_t i = 0; i < conf->n_routers; i++)
		finish_router(&conf->routers[i]);
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (finish_pool(arena, &conf->pools[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- what must fit together ---- */

static void check_key_file(struct report *report, const struct node *root, const struct conf *conf)
{
	static const char recipe[] =
	    "missing; the pair needs a secret of its own: head -c 32 /dev/urandom | base64 > FILE; "
	    "chmod 600 FILE; copy it to the other node";
	const struct node *sync = node_child(root, "sync");
	if (conf->n_nodes == 0 || conf->sync.key_file || node_child(sync, "key_file"))
		return;
	if (sync && sync->kind == NODE_OBJECT)
		report_missing(report, sync, "key_file", "%s", recipe);
	else if (!sync)
		report_missing(report, root, "sync.key_file", "%s", recipe);
}

static const char *nearest_router(const struct conf *conf, const char *name)
{
	unsigned edits = UINT32_MAX;
	const char *nearest = NULL;
	for (uint32_t i = 0; i < conf->n_routers; i++)
		conf_schema_consider(conf->routers[i].name, name, &nearest, &edits);
	return nearest;
}

static bool has_router(const struct conf *conf, const char *name)
{
	for (uint32_t i = 0; i < conf->n_routers; i++) {
		if (strcmp(conf->routers[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Priorities by virtual router: those exist, and one node only owns each. */
static void check_priorities(
    struct report *report, const struct node *entry, const struct conf *conf, uint32_t index)
{
	const struct conf_node *self = &conf->nodes[index], *first = &conf->nodes[0];
	const struct node *at = first_of(node_child(entry, "priority"));
	for (uint32_t i = 0; i < self->n_priorities; i++, at = at->next) {
		const char *router = self->priorities[i].router;
		const char *nearest = nearest_router(conf, router);
		if (!has_router(conf, router) && nearest)
			report_key(report, at,
			    "not one of the virtual routers; did you mean \"%s\"?", nearest);
		else if (!has_router(conf, router))
			report_key(report, at, "not one of the virtual routers");
		else if (index > 0 && self->priorities[i].value == 255 &&
			 conf_node_priority(first, router) == 255)
			report_value(report, at, "%s has 255 already; one node can be the owner",
			    first->name);
	}
}

static int check_nodes(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = first_of(node_child(root, "nodes"));
	for (uint32_t i = 0; i < conf->n_nodes; i++, entry = entry->next) {
		const struct node *address = node_child(entry, "address");
		check_priorities(report, entry, conf, i);
		if (!address)
			continue;
		check_unicast(report, address, &conf->nodes[i].address);
		places_add(places, &conf->nodes[i].address, address);
		if (i > 0 && is_set(&conf->nodes[i].address) && is_set(&conf->nodes[0].address) &&
		    is_ipv6(&conf->nodes[i].address) != is_ipv6(&conf->nodes[0].address))
			report_value(
			    report, address, "both nodes need IPv4 addresses, or both IPv6");
	}
	check_key_file(report, root, conf);
	return places_check(places, report);
}

static void check_vip(struct report *report, const struct node *node, const struct conf *conf,
    const struct conf_vip *vip)
{
	char ip[ADDR_TEXT_MAX];
	if (!is_set(&vip->addr))
		return;
	addr_format_ip(&vip->addr, ip);
	check_unicast(report, node, &vip->addr);
	if (is_loopback(&vip->addr))
		report_value(report, node, "%s is a loopback address", ip);
	if (vip->prefix == 0)
		report_value(report, node, "a prefix of 0 is not of a network");
	for (uint32_t i = 0; i < conf->n_nodes; i++) {
		if (addr_equal_ip(&vip->addr, &conf->nodes[i].address))
			report_value(report, node,
			    "%s is the own address of node %s; a virtual address belongs to "
			    "neither",
			    ip, conf->nodes[i].name);
	}
}

/* A check must end before the next one begins. */
static void check_timeout(
    struct report *report, const struct node *check, uint64_t interval_us, uint64_t timeout_us)
{
	char is[32], limit[32];
	const struct node *timeout = node_child(check, "timeout");
	if (timeout && interval_us > 0 && timeout_us > interval_us)
		report_value(report, timeout, "%s is longer than the interval, %s",
		    value_format_number(CONF_DURATION, timeout_us, is, sizeof(is)),
		    value_format_number(CONF_DURATION, interval_us, limit, sizeof(limit)));
}

/* Whoever asks itself learns nothing about the network. */
static void check_foreign(struct report *report, const struct node *place, const struct conf *conf,
    const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	check_unicast(report, place, addr);
	for (uint32_t i = 0; is_set(addr) && i < conf->n_nodes; i++) {
		if (addr_equal_ip(addr, &conf->nodes[i].address))
			report_value(report, place, "%s is the own address of node %s",
			    addr_format_ip(addr, ip), conf->nodes[i].name);
	}
}

static void check_tracked_addresses(struct report *report, const struct node *node,
    const struct conf *conf, const struct conf_track *track, struct places *places)
{
	const struct node *entry = first_of(node_child(node, "addresses"));
	for (uint32_t i = 0; i < track->n_addresses; i++, entry = entry->next) {
		const struct conf_track_address *address = &track->addresses[i];
		const struct node *place = shorthand_place(entry, "address");
		check_foreign(report, place, conf, &address->address);
		places_add(places, &address->address, place);
		check_timeout(report, entry, address->interval_us, address->timeout_us);
	}
	const struct node *witness = node_child(node, "witness");
	if (witness)
		check_foreign(report, witness, conf, &track->witness);
}

static void check_tracked_pools(struct report *report, const struct node *node,
    const struct conf *conf, const struct conf_track *track)
{
	const struct node *entry = first_of(node_child(node, "pools"));
	for (uint32_t i = 0; i < track->n_pools; i++, entry = entry->next) {
		uint32_t index = track->pools[i].pool;
		if (index != CONF_NONE && conf->pools[index].health.kind == CONF_HEALTH_NONE)
			report_value(report, shorthand_place(entry, "name"),
			    "pool %s has no health check to go by", conf->pools[index].name);
	}
}

static int check_track(struct report *report, const struct node *node, const struct conf *conf,
    const struct conf_track *track, struct places *places)
{
	check_tracked_pools(report, node, conf, track);
	const struct node *entry = first_of(node_child(node, "scripts"));
	for (uint32_t i = 0; i < track->n_scripts; i++, entry = entry->next) {
		const struct conf_track_script *script = &track->scripts[i];
		const struct node *command = node_child(entry, "command");
		if (script->n_command > 0 && script->command[0] && script->command[0][0] != '/')
			report_value(report, first_of(command), "\"%.63s\" is not an absolute path",
			    script->command[0]);
		check_timeout(report, entry, script->interval_us, script->timeout_us);
	}
	check_tracked_addresses(report, node, conf, track, places);
	return places_check(places, report);
}

/* Who moves together must come back by the same rule. */
static void check_group(
    struct report *report, const struct node *entry, const struct conf *conf, uint32_t index)
{
	const struct conf_router *router = &conf->routers[index];
	for (uint32_t i = 0; i < index && router->group; i++) {
		const struct conf_router *other = &conf->routers[i];
		if (other->group && strcmp(other->group, router->group) == 0 &&
		    other->failback != router->failback) {
			report_value(report, node_child(entry, "group"),
			    "%s of this group has another failback", other->name);
			return;
		}
	}
}

static bool is_link_local(const struct addr *addr)
{
	return is_ipv6(addr) && IN6_IS_ADDR_LINKLOCAL(&addr->in6.sin6_addr);
}

/* There is a VRRP for each family, and a virtual router speaks one of them. That of IPv6 names
 * a link-local address first (RFC 9568 section 5.2.9). */
static void check_family(
    struct report *report, const struct node *entry, const struct conf_router *router)
{
	const struct node *vip = first_of(node_child(entry, "addresses"));
	const struct addr *first = router->n_addresses ? &router->addresses[0].addr : NULL;
	char ip[ADDR_TEXT_MAX], first_ip[ADDR_TEXT_MAX];
	if (!first || !is_set(first))
		return;
	addr_format_ip(first, first_ip);
	if (is_ipv6(first) && !is_link_local(first))
		report_value(report, vip,
		    "%s is not link-local, as the first address of an IPv6 virtual router must be; "
		    "write one of your choice before it, like \"fe80::%x/64\"",
		    first_ip,
		    first->in6.sin6_addr.s6_addr[14] << 8 | first->in6.sin6_addr.s6_addr[15]);
	for (uint32_t i = 1; i < router->n_addresses; i++) {
		const struct addr *addr = &router->addresses[i].addr;
		vip = vip->next;
		if (is_set(addr) && is_ipv6(addr) != is_ipv6(first))
			report_value(report, vip,
			    "%s and %s are of two families; a virtual router has one: make two, "
			    "which may share the vrid",
			    first_ip, addr_format_ip(addr, ip));
	}
}

/* VRRPv2 is for IPv4 and counts in seconds (RFC 3768). */
static void check_version(
    struct report *report, const struct node *entry, const struct conf_router *router)
{
	char is[32];
	const struct node *version = node_child(entry, "version");
	const struct node *advertise = node_child(entry, "advertise");
	const struct node *authenticate = node_child(entry, "authenticate");
	if (router->version != 2)
		return;
	if (authenticate && router->authenticate != CONF_AUTHENTICATE_FALSE)
		report_value(
		    report, authenticate, "VRRPv2 has no authentication of ours; wanted false");
	if (router->n_addresses > 0 && is_ipv6(&router->addresses[0].addr))
		report_value(report, version, "VRRPv2 has no IPv6; wanted 3");
	if (router->advertise_us > 0 && router->advertise_us % 1000000 != 0)
		report_value(report, advertise ? advertise : version,
		    "VRRPv2 advertises in whole seconds, not every %s; wanted \"advertise\": "
		    "\"1s\" "
		    "or more",
		    value_format_number(CONF_DURATION, router->advertise_us, is, sizeof(is)));
}

static void check_unicast_mode(struct report *report, const struct node *entry,
    const struct conf *conf, const struct conf_router *router)
{
	const struct node *mode = node_child(entry, "mode");
	const struct node *min_ttl = node_child(entry, "min_ttl");
	if (router->mode != CONF_VRRP_UNICAST) {
		if (min_ttl && router->min_ttl != 0 && router->min_ttl != 255)
			report_value(report, min_ttl,
			    "adverts to a group do not pass routers; below 255 it needs \"mode\": "
			    "\"unicast\"");
		return;
	}
	for (uint32_t i = 0; mode && i < conf->n_nodes && router->n_addresses > 0; i++) {
		const struct addr *address = &conf->nodes[i].address;
		bool ipv6 = is_ipv6(&router->addresses[0].addr);
		if (is_set(address) && is_set(&router->addresses[0].addr) &&
		    is_ipv6(address) != ipv6)
			report_value(report, mode,
			    "\"unicast\" needs an %s address of node %s, as the virtual addresses "
			    "are %s",
			    ipv6 ? "IPv6" : "IPv4", conf->nodes[i].name, ipv6 ? "IPv6" : "IPv4");
	}
}

static bool same_family(const struct conf_router *a, const struct conf_router *b)
{
	return a->n_addresses == 0 || b->n_addresses == 0 ||
	       is_ipv6(&a->addresses[0].addr) == is_ipv6(&b->addresses[0].addr);
}

static void check_router(
    struct report *report, const struct node *entry, const struct conf *conf, uint32_t index)
{
	const struct conf_router *router = &conf->routers[index];
	for (uint32_t i = 0; i < index && router->interface && router->vrid; i++) {
		const struct conf_router *other = &conf->routers[i];
		if (other->vrid == router->vrid && other->interface &&
		    strcmp(other->interface, router->interface) == 0 && same_family(router, other))
			report_value(report, node_child(entry, "vrid"),
			    "%u is already the vrid of %s on %s", router->vrid, other->name,
			    router->interface);
	}
	check_family(report, entry, router);
	check_version(report, entry, router);
	check_unicast_mode(report, entry, conf, router);
}

static int check_routers(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *map = node_child(root, "virtual_routers"), *entry = first_of(map);
	if (conf->n_routers > 0 && !node_child(root, "nodes"))
		report_key(report, map, "virtual routers need two nodes, but \"nodes\" is missing");
	for (uint32_t i = 0; i < conf->n_routers; i++, entry = entry->next) {
		const struct conf_router *router = &conf->routers[i];
		const struct node *vip = first_of(node_child(entry, "addresses"));
		check_router(report, entry, conf, i);
		for (uint32_t j = 0; j < router->n_addresses; j++, vip = vip->next) {
			check_vip(report, vip, conf, &router->addresses[j]);
			places_add(places, &router->addresses[j].addr, vip);
		}
	}
	if (places_check(places, report) < 0)
		return -ENOMEM;
	entry = first_of(map);
	for (uint32_t i = 0; i < conf->n_routers; i++, entry = entry->next) {
		check_group(report, entry, conf, i);
		if (check_track(report, node_child(entry, "track"), conf, &conf->routers[i].track,
			places) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void check_listener(struct report *report, const struct node *entry, const struct conf *conf,
    const struct conf_listener *listener)
{
	const struct node *pool = node_child(entry, "pool");
	if (listener->pool != CONF_NONE && listener->mode == CONF_MODE_TCP &&
	    conf->pools[listener->pool].sticky.kind == CONF_STICKY_COOKIE)
		report_value(report, pool,
		    "pool %s is sticky by cookie, which mode \"tcp\" does not have",
		    conf->pools[listener->pool].name);
}

/* The sync channel listens on the nodes' own addresses. */
static void check_sync_port(struct report *report, const struct node *node, const struct conf *conf,
    const struct addr *bind)
{
	for (uint32_t i = 0; i < conf->n_nodes; i++) {
		const struct addr *own = &conf->nodes[i].address;
		if (is_set(own) && is_set(bind) && addr_port(bind) == conf->sync.port &&
		    (addr_equal_ip(own, bind) || is_any(bind))) {
			report_value(report, node, "port %u of node %s is the sync channel's",
			    conf->sync.port, conf->nodes[i].name);
			return;
		}
	}
}

static int check_listeners(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = first_of(node_child(root, "listeners"));
	const struct node *admin = node_child(node_child(root, "admin"), "listen");
	for (uint32_t i = 0; i < conf->n_listeners; i++, entry = entry->next) {
		const struct conf_listener *listener = &conf->listeners[i];
		const struct node *binds = node_child(entry, "bind");
		for (uint32_t j = 0; j < listener->n_binds; j++) {
			const struct node *bind = element_of(binds, j);
			places_add(places, &listener->binds[j], bind);
			check_sync_port(report, bind, conf, &listener->binds[j]);
		}
		check_listener(report, entry, conf, listener);
	}
	if (admin)
		places_add(places, &conf->admin_listen, admin);
	return places_check(places, report);
}

static int check_pools(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *entry = first_of(node_child(root, "pools"));
	for (uint32_t i = 0; i < conf->n_pools; i++, entry = entry->next) {
		const struct conf_pool *pool = &conf->pools[i];
		const struct node *target = first_of(node_child(entry, "targets"));
		for (uint32_t j = 0; j < pool->n_targets; j++, target = target->next) {
			check_unicast(
			    report, shorthand_place(target, "address"), &pool->targets[j].addr);
			places_add(
			    places, &pool->targets[j].addr, shorthand_place(target, "address"));
		}
		if (places_check(places, report) < 0)
			return -ENOMEM;
		check_timeout(report, node_child(entry, "health"), pool->health.interval_us,
		    pool->health.timeout_us);
	}
	return 0;
}

static void check_admin(struct report *report, const struct node *root, const struct conf *conf)
{
	const struct node *admin = node_child(root, "admin");
	const struct node *listen = node_child(admin, "listen");
	if (!listen || !is_set(&conf->admin_listen) || is_loopback(&conf->admin_listen) ||
	    node_child(admin, "token_file"))
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
	places_fini(&places);
	return result;
}
