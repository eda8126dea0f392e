/* What must fit together in virtual routers. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "conf/check_parts.h"
#include "conf/schema.h"
#include "conf/value.h"

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
void check_priorities(
    struct report *report, const struct node *entry, const struct conf *conf, uint32_t index)
{
	const struct conf_node *self = &conf->nodes[index], *first = &conf->nodes[0];
	const struct node *at = check_first(node_child(entry, "priority"));
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

/* The first and the last address of an IPv4 network are of no host (but see RFC 3021). */
static bool is_of_network(const struct conf_vip *vip)
{
	if (check_is_ipv6(&vip->addr) || vip->prefix == 0 || vip->prefix > 30)
		return false;
	uint32_t hosts = UINT32_MAX >> vip->prefix;
	uint32_t host = ntohl(vip->addr.in.sin_addr.s_addr) & hosts;
	return host == 0 || host == hosts;
}

static void check_vip(struct report *report, const struct node *node, const struct conf *conf,
    const struct conf_vip *vip)
{
	char ip[ADDR_TEXT_MAX];
	if (!check_is_set(&vip->addr))
		return;
	addr_format_ip(&vip->addr, ip);
	check_unicast(report, node, &vip->addr);
	if (check_is_loopback(&vip->addr))
		report_value(report, node, "%s is a loopback address", ip);
	if (vip->prefix == 0)
		report_value(report, node, "a prefix of 0 is not of a network");
	if (is_of_network(vip))
		report_value(report, node, "%s is not the address of a host in a network of /%u",
		    ip, vip->prefix);
	for (uint32_t i = 0; i < conf->n_nodes; i++) {
		if (addr_equal_ip(&vip->addr, &conf->nodes[i].address))
			report_value(report, node,
			    "%s is the own address of node %s; a virtual address belongs to "
			    "neither",
			    ip, conf->nodes[i].name);
	}
}

static const struct conf_router *find_holder(const struct conf *conf, const struct addr *addr)
{
	for (uint32_t i = 0; i < conf->n_routers; i++) {
		for (uint32_t j = 0; j < conf->routers[i].n_addresses; j++) {
			if (addr_equal_ip(&conf->routers[i].addresses[j].addr, addr))
				return &conf->routers[i];
		}
	}
	return NULL;
}

/* Whoever asks itself learns nothing about the network. */
static void check_foreign(struct report *report, const struct node *place, const struct conf *conf,
    const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	check_unicast(report, place, addr);
	const struct conf_router *holder = check_is_set(addr) ? find_holder(conf, addr) : NULL;
	if (holder)
		report_value(report, place, "%s is a virtual address of %s, which the Active has",
		    addr_format_ip(addr, ip), holder->name);
	if (check_is_set(addr) && check_is_loopback(addr))
		report_value(report, place, "%s is a loopback address", addr_format_ip(addr, ip));
	for (uint32_t i = 0; check_is_set(addr) && i < conf->n_nodes; i++) {
		if (addr_equal_ip(addr, &conf->nodes[i].address))
			report_value(report, place, "%s is the own address of node %s",
			    addr_format_ip(addr, ip), conf->nodes[i].name);
	}
}

static void check_tracked_addresses(struct report *report, const struct node *node,
    const struct conf *conf, const struct conf_track *track, struct places *places)
{
	const struct node *entry = check_first(node_child(node, "addresses"));
	for (uint32_t i = 0; i < track->n_addresses; i++, entry = entry->next) {
		const struct conf_track_address *address = &track->addresses[i];
		const struct node *place = check_shorthand(entry, "address");
		check_foreign(report, place, conf, &address->address);
		check_places_add(places, &address->address, place);
		check_timeout(report, entry, address->interval_us, address->timeout_us);
	}
	const struct node *witness = node_child(node, "witness");
	if (witness)
		check_foreign(report, witness, conf, &track->witness);
}

static void check_tracked_interfaces(
    struct report *report, const struct node *node, const struct conf_router *router)
{
	const struct conf_track_interface *interfaces = router->track.interfaces;
	const struct node *entry = check_first(node_child(node, "interfaces"));
	for (uint32_t i = 0; i < router->track.n_interfaces; i++, entry = entry->next) {
		const char *name = interfaces[i].name;
		const struct node *place = check_shorthand(entry, "name");
		if (name && router->interface && strcmp(name, router->interface) == 0)
			report_value(report, place,
			    "%s is the interface of the virtual router, which must have a carrier "
			    "in any case",
			    name);
		for (uint32_t j = 0; j < i && name; j++) {
			if (interfaces[j].name && strcmp(interfaces[j].name, name) == 0)
				report_value(report, place, "%s is tracked already", name);
		}
	}
}

static void check_tracked_pools(struct report *report, const struct node *node,
    const struct conf *conf, const struct conf_track *track)
{
	const struct node *entry = check_first(node_child(node, "pools"));
	for (uint32_t i = 0; i < track->n_pools; i++, entry = entry->next) {
		uint32_t index = track->pools[i].pool;
		if (index != CONF_NONE && conf->pools[index].health.kind == CONF_HEALTH_NONE)
			report_value(report, check_shorthand(entry, "name"),
			    "pool %s has no health check to go by", conf->pools[index].name);
	}
}

static int check_track(struct report *report, const struct node *node, const struct conf *conf,
    const struct conf_router *router, struct places *places)
{
	const struct conf_track *track = &router->track;
	check_tracked_interfaces(report, node, router);
	check_tracked_pools(report, node, conf, track);
	const struct node *entry = check_first(node_child(node, "scripts"));
	for (uint32_t i = 0; i < track->n_scripts; i++, entry = entry->next) {
		const struct conf_track_script *script = &track->scripts[i];
		const struct node *command = node_child(entry, "command");
		if (script->n_command > 0 && script->command[0] && script->command[0][0] != '/')
			report_value(report, check_first(command),
			    "\"%.63s\" is not an absolute path", script->command[0]);
		check_timeout(report, entry, script->interval_us, script->timeout_us);
	}
	check_tracked_addresses(report, node, conf, track, places);
	return check_places(places, report);
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

/* There is a VRRP for each family, and a virtual router speaks one of them. That of IPv6 names
 * a link-local address first (RFC 9568 section 5.2.9). */
static void check_family(
    struct report *report, const struct node *entry, const struct conf_router *router)
{
	const struct node *vip = check_first(node_child(entry, "addresses"));
	const struct addr *first = router->n_addresses ? &router->addresses[0].addr : NULL;
	char ip[ADDR_TEXT_MAX], first_ip[ADDR_TEXT_MAX];
	if (!first || !check_is_set(first))
		return;
	addr_format_ip(first, first_ip);
	if (check_is_ipv6(first) && !check_is_link_local(first))
		report_value(report, vip,
		    "%s is not link-local, as the first address of an IPv6 virtual router must be; "
		    "write one of your choice before it, like \"fe80::%x/64\"",
		    first_ip,
		    first->in6.sin6_addr.s6_addr[14] << 8 | first->in6.sin6_addr.s6_addr[15]);
	for (uint32_t i = 1; i < router->n_addresses; i++) {
		const struct addr *addr = &router->addresses[i].addr;
		vip = vip->next;
		if (check_is_set(addr) && check_is_ipv6(addr) != check_is_ipv6(first))
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
	const struct node *checksum = node_child(entry, "checksum");
	if (router->version != 2)
		return;
	if (checksum && router->checksum != CONF_CHECKSUM_AUTO)
		report_value(report, checksum,
		    "VRRPv2 has one form of it, without pseudo-header; wanted \"auto\"");
	if (authenticate && router->authenticate != CONF_AUTHENTICATE_FALSE)
		report_value(
		    report, authenticate, "VRRPv2 has no authentication of ours; wanted false");
	if (router->n_addresses > 0 && check_is_ipv6(&router->addresses[0].addr))
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
		bool ipv6 = check_is_ipv6(&router->addresses[0].addr);
		if (check_is_set(address) && check_is_set(&router->addresses[0].addr) &&
		    check_is_ipv6(address) != ipv6)
			report_value(report, mode,
			    "\"unicast\" needs an %s address of node %s, as the virtual addresses "
			    "are %s",
			    ipv6 ? "IPv6" : "IPv4", conf->nodes[i].name, ipv6 ? "IPv6" : "IPv4");
	}
}

static bool same_family(const struct conf_router *a, const struct conf_router *b)
{
	return a->n_addresses == 0 || b->n_addresses == 0 ||
	       check_is_ipv6(&a->addresses[0].addr) == check_is_ipv6(&b->addresses[0].addr);
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

int check_routers(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places)
{
	const struct node *map = node_child(root, "virtual_routers"), *entry = check_first(map);
	if (conf->n_routers > 0 && !node_child(root, "nodes"))
		report_key(report, map, "virtual routers need two nodes, but \"nodes\" is missing");
	for (uint32_t i = 0; i < conf->n_routers; i++, entry = entry->next) {
		const struct conf_router *router = &conf->routers[i];
		const struct node *vip = check_first(node_child(entry, "addresses"));
		check_router(report, entry, conf, i);
		for (uint32_t j = 0; j < router->n_addresses; j++, vip = vip->next) {
			check_vip(report, vip, conf, &router->addresses[j]);
			check_places_add(places, &router->addresses[j].addr, vip);
		}
	}
	if (check_places(places, report) < 0)
		return -ENOMEM;
	entry = check_first(map);
	for (uint32_t i = 0; i < conf->n_routers; i++, entry = entry->next) {
		check_group(report, entry, conf, i);
		if (check_track(
			report, node_child(entry, "track"), conf, &conf->routers[i], places) < 0)
			return -ENOMEM;
	}
	return 0;
}
