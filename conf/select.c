#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/value.h"

static int select_by_name(
    const struct conf *conf, const char *name, uint32_t *self, struct err *err)
{
	for (uint32_t i = 0; i < conf->n_nodes; i++) {
		if (strcmp(conf->nodes[i].name, name) == 0) {
			*self = i;
			return 0;
		}
	}
	return err_set(err, -ENOENT, "node %s is not in the configuration, which has %s and %s",
	    name, conf->nodes[0].name, conf->nodes[1].name);
}

static int select_by_address(
    const struct conf *conf, bool (*is_local)(const struct addr *), uint32_t *self, struct err *err)
{
	bool first = is_local(&conf->nodes[0].address), second = is_local(&conf->nodes[1].address);
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
	if (first == second)
		return err_set(err, -ENOENT,
		    "which node is this? Of the addresses of %s (%s) and %s (%s) %s on this host; "
		    "say it with --node",
		    conf->nodes[0].name, addr_format_ip(&conf->nodes[0].address, a),
		    conf->nodes[1].name, addr_format_ip(&conf->nodes[1].address, b),
		    first ? "both are" : "neither is");
	*self = first ? 0 : 1;
	return 0;
}

int conf_select_node(
    struct conf *conf, const char *name, bool (*is_local)(const struct addr *), struct err *err)
{
	uint32_t self = CONF_NONE;
	if (conf->n_nodes == 0)
		return 0;
	int result = name ? select_by_name(conf, name, &self, err)
			  : select_by_address(conf, is_local, &self, err);
	if (result < 0)
		return result;
	conf->self = self;
	conf->peer = 1 - self;
	return 0;
}

uint8_t conf_node_priority(const struct conf_node *node, const char *router)
{
	for (uint32_t i = 0; i < node->n_priorities; i++) {
		if (strcmp(node->priorities[i].router, router) == 0)
			return node->priorities[i].value;
	}
	return node->priority;
}

static int compare_nodes(const struct conf *from, const struct conf *to, struct err *err)
{
	if (from->n_nodes != to->n_nodes)
		return err_set(err, -EINVAL, "nodes: %s needs a restart of both nodes",
		    to->n_nodes ? "becoming a pair" : "leaving a pair");
	for (uint32_t i = 0; i < from->n_nodes; i++) {
		const struct conf_node *old = &from->nodes[i], *new = NULL;
		for (uint32_t j = 0; j < to->n_nodes; j++) {
			if (strcmp(to->nodes[j].name, old->name) == 0)
				new = &to->nodes[j];
		}
		if (!new)
			return err_set(err, -EINVAL,
			    "nodes.%s: renaming or removing a node needs a restart", old->name);
		if (!addr_equal_ip(&old->address, &new->address))
			return err_set(
			    err, -EINVAL, "nodes.%s.address: a change needs a restart", old->name);
	}
	if (from->n_nodes > 0 && from->self != CONF_NONE && to->self != CONF_NONE &&
	    strcmp(from->nodes[from->self].name, to->nodes[to->self].name) != 0)
		return err_set(err, -EINVAL, "nodes: this node is %s; becoming %s needs a restart",
		    from->nodes[from->self].name, to->nodes[to->self].name);
	return 0;
}

/* The row must keep its value, and does not. A default that depends on the host (the number of
 * CPUs) may differ; whoever runs with the old one goes on with it. */
static bool needs_restart(const struct conf_key *key, const char *from, const char *to)
{
	if (!key->restart || value_equal(key, from + key->offset, to + key->offset))
		return false;
	return !key->notes_given || *(const bool *)(from + key->given_offset) ||
	       *(const bool *)(to + key->given_offset);
}

/* All rows of an object that say `restart`, also in objects below it. */
static int compare_rows(const struct conf_object *object, const char *prefix, const char *from,
    const char *to, struct err *err)
{
	char before[VALUE_TEXT_MAX], after[VALUE_TEXT_MAX], below[64];
	for (uint32_t i = 0; i < object->n_keys; i++) {
		const struct conf_key *key = &object->keys[i];
		const void *old = from + key->offset, *new = to + key->offset;
		if (key->type == CONF_OBJECT && !key->variant) {
			snprintf(below, sizeof(below), "%s%s.", prefix, key->name);
			int result = compare_rows(key->object, below, old, new, err);
			if (result < 0)
				return result;
		} else if (needs_restart(key, from, to)) {
			value_format(key, old, before);
			value_format(key, new, after);
			return err_set(err, -EINVAL,
			    "%s%s: the change from %.100s to %.100s needs a restart", prefix,
			    key->name, *before ? before : "none", *after ? after : "none");
		}
	}
	return 0;
}

bool conf_is_transparent(const struct conf *conf)
{
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		if (conf->pools[i].source_client)
			return true;
	}
	return false;
}

int conf_reload_allowed(const struct conf *from, const struct conf *to, struct err *err)
{
	int result = compare_nodes(from, to, err);
	if (result < 0)
		return result;
	/* A capability that was given up does not come back. */
	if (conf_is_transparent(to) && !conf_is_transparent(from))
		return err_set(
		    err, -EINVAL, "pools: the first pool with source \"client\" needs a restart");
	return compare_rows(&conf_schema_root, "", (const char *)from, (const char *)to, err);
}
