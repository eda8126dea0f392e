#include "conf/check_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/value.h"

/* An address and where it is written. */
struct place {
	const struct addr *addr;
	const struct node *node;
};

bool check_is_set(const struct addr *addr)
{
	return addr->sa.sa_family != AF_UNSPEC;
}

bool check_is_ipv6(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET6;
}

bool check_is_loopback(const struct addr *addr)
{
	return check_is_ipv6(addr) ? IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr)
				   : ntohl(addr->in.sin_addr.s_addr) >> 24 == 127;
}

static bool is_multicast(const struct addr *addr)
{
	return check_is_ipv6(addr) ? IN6_IS_ADDR_MULTICAST(&addr->in6.sin6_addr)
				   : ntohl(addr->in.sin_addr.s_addr) >> 28 >= 14;
}

/* Neither "any" nor multicast nor broadcast. */
void check_unicast(struct report *report, const struct node *node, const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	if (check_is_set(addr) && (addr_is_any(addr) || is_multicast(addr)))
		report_value(
		    report, node, "%s is not the address of a host", addr_format_ip(addr, ip));
}

bool check_is_link_local(const struct addr *addr)
{
	return check_is_ipv6(addr) && IN6_IS_ADDR_LINKLOCAL(&addr->in6.sin6_addr);
}

void check_connectable(struct report *report, const struct node *node, const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	check_unicast(report, node, addr);
	if (check_is_link_local(addr))
		report_value(report, node,
		    "%s is link-local: no connection finds it without the name of an interface",
		    addr_format_ip(addr, ip));
}

void check_places_add(struct places *places, const struct addr *addr, const struct node *node)
{
	if (!check_is_set(addr) || places->out_of_memory)
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

int check_places(struct places *places, struct report *report)
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

void check_places_fini(struct places *places)
{
	free(places->items);
	memset(places, 0, sizeof(*places));
}

const struct node *check_first(const struct node *map)
{
	return map ? map->child : NULL;
}

const struct node *check_element(const struct node *list, uint32_t i)
{
	return list->kind == NODE_LIST ? node_at(list, i) : list;
}

const struct node *check_shorthand(const struct node *entry, const char *key)
{
	const struct node *place = node_child(entry, key);
	return place ? place : entry;
}

void check_timeout(
    struct report *report, const struct node *check, uint64_t interval_us, uint64_t timeout_us)
{
	char is[32], limit[32];
	const struct node *timeout = node_child(check, "timeout");
	if (timeout && interval_us > 0 && timeout_us > interval_us)
		report_value(report, timeout, "%s is longer than the interval, %s",
		    value_format_number(CONF_DURATION, timeout_us, is, sizeof(is)),
		    value_format_number(CONF_DURATION, interval_us, limit, sizeof(limit)));
}

void check_sticky_mode(struct report *report, const struct node *place, const struct conf *conf,
    uint32_t pool, enum conf_listener_mode mode)
{
	if (pool == CONF_NONE || mode == CONF_MODE_HTTP ||
	    !conf_sticky_reads_heads(&conf->pools[pool].sticky))
		return;
	report_value(report, place, "pool %s is sticky by %s, which mode \"%s\" does not have",
	    conf->pools[pool].name, conf_sticky_name(conf->pools[pool].sticky.kind),
	    mode == CONF_MODE_TCP ? "tcp" : "udp");
}
