#include "conf/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/format.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "daemon/base/hash.h"

struct load {
	struct arena *arena;
	struct report *report;
	uint64_t hash;
	bool out_of_memory;
};

/* `id` identifies a place in the tree by the names on the way, for the hash: the same for a string
 * and for the object or list it stands for. */
static void load_object(struct load *load, const struct conf_object *object,
    const struct node *node, void *base, uint64_t id);

static void load_list(struct load *load, const struct conf_key *key, const struct node *node,
    char *base, uint64_t id);

static uint64_t id_of(uint64_t parent, const char *name)
{
	return hash_mix(parent + hash_id(name, strlen(name)));
}

/* The hash of the whole is a sum over all values that differ from their defaults. So neither the
 * order of keys nor a default that is written down makes a difference, and a version that knows
 * more keys computes the same. */
static void hash_leaf(struct load *load, uint64_t id, const char *text)
{
	load->hash += hash_mix(id ^ hash_id(text, strlen(text)));
}

/* The text in which the value is parsed: decoded if it is a string, else as written. */
static const char *node_text(
    const struct load *load, const struct node *node, char *buf, size_t size)
{
	if (node->kind == NODE_STRING)
		return node_string(node);
	snprintf(buf, size, "%.*s", (int)node->len, load->report->text + node->offset);
	return buf;
}

static void load_scalar(struct load *load, const struct conf_key *key, const struct node *node,
    void *field, uint64_t id)
{
	char shown[SHOWN_MAX], text[64], was[VALUE_TEXT_MAX], is[VALUE_TEXT_MAX];
	struct err err = {0};
	const char *value = node_text(load, node, text, sizeof(text));
	report_shown(load->report, node, shown);
	/* The field holds the default now. */
	value_format(key, field, was);
	int error = value_parse(key, node->kind, value, shown, load->arena, field, &err);
	if (error == -ENOMEM) {
		load->out_of_memory = true;
		return;
	}
	if (error < 0) {
		report_value(load->report, node, "%s", err.text);
		/* Neither the default nor anything else: the checks pass over empty fields. */
		memset(field, 0, key->size);
		return;
	}
	if (key->type == CONF_POOL)
		hash_leaf(load, id, value);
	else if (strcmp(value_format(key, field, is), was) != 0)
		hash_leaf(load, id, is);
}

/* Wrong kind of thing where an object, a list or a map must be. */
static bool check_kind(
    struct load *load, const struct node *node, enum node_kind kind, const char *wish)
{
	char shown[SHOWN_MAX];
	if (node->kind == kind)
		return true;
	report_value(
	    load->report, node, "%s is not %s", report_shown(load->report, node, shown), wish);
	return false;
}

/* How many entries to load: those that are too many are only counted. */
static uint32_t check_count(struct load *load, const struct conf_key *key, const struct node *node)
{
	uint32_t n = node->n_children;
	unsigned long long min = key->min, max = key->max;
	const char *entries = n == 1 ? "entry" : "entries";
	if (n >= min && n <= max)
		return n;
	if (min == max)
		report_value(load->report, node, "%u %s; wanted exactly %llu", n, entries, max);
	else if (n < min)
		report_value(load->report, node, "%u %s; wanted at least %llu", n, entries, min);
	else
		report_value(load->report, node, "%u %s; wanted at most %llu", n, entries, max);
	return n < key->max ? n : (uint32_t)key->max;
}

static void *make_entries(
    struct load *load, const struct conf_key *key, char *base, uint32_t n, size_t size)
{
	void *entries = arena_array(load->arena, n, size);
	if (!entries) {
		load->out_of_memory = true;
		return NULL;
	}
	*(void **)(base + key->offset) = entries;
	*(uint32_t *)(base + key->count_offset) = n;
	return entries;
}

static bool check_name(struct load *load, const struct conf_key *key, const struct node *entry)
{
	const struct conf_format *format = key->format ? key->format : &conf_format_name;
	if (format->check(entry->key) && strlen(entry->key) <= format->max_len)
		return true;
	report_key(load->report, entry, "not %s", format->wish);
	return false;
}

/* A value in the place of an object: its one key, and defaults for the rest. */
static void load_shorthand(struct load *load, const struct conf_object *object,
    const struct node *node, char *base, uint64_t id)
{
	load_object(load, object, NULL, base, id);
	const struct conf_key *key = conf_schema_find(object, object->shorthand);
	if (key->type == CONF_LIST)
		load_list(load, key, node, base, id_of(id, key->name));
	else
		load_scalar(load, key, node, base + key->offset, id_of(id, key->name));
}

static void load_map(
    struct load *load, const struct conf_key *key, const struct node *node, char *base, uint64_t id)
{
	size_t size = key->object->size;
	if (!check_kind(load, node, NODE_OBJECT, "an object of named entries"))
		return;
	uint32_t n = check_count(load, key, node);
	char *entry = make_entries(load, key, base, n, size);
	if (!entry)
		return;
	for (const struct node *child = node->child; n > 0; n--, child = child->next) {
		uint64_t child_id = id_of(id, child->key);
		/* Each struct of a map begins with its name. */
		*(const char **)entry = arena_copy(load->arena, child->key, strlen(child->key));
		if (!*(const char **)entry) {
			load->out_of_memory = true;
			return;
		}
		check_name(load, key, child);
		hash_leaf(load, child_id, "");
		if (key->object->shorthand)
			load_shorthand(load, key->object, child, entry, child_id);
		else
			load_object(load, key->object, child, entry, child_id);
		entry += size;
	}
}

static void load_element(struct load *load, const struct conf_key *element, const struct node *node,
    char *field, uint64_t id)
{
	const struct conf_object *object = element->object;
	if (!object)
		load_scalar(load, element, node, field, id);
	else if (object->shorthand && node->kind != NODE_OBJECT)
		load_shorthand(load, object, node, field, id);
	else
		load_object(load, object, node, field, id);
}

static void load_list(
    struct load *load, const struct conf_key *key, const struct node *node, char *base, uint64_t id)
{
	const struct conf_key *element = key->element;
	bool single = key->one_or_list && node->kind != NODE_LIST;
	if (!single && !check_kind(load, node, NODE_LIST, "a list"))
		return;
	uint32_t n = single ? 1 : check_count(load, key, node);
	char *entry = make_entries(load, key, base, n, element->size);
	if (!entry)
		return;
	const struct node *child = single ? node : node->child;
	for (uint32_t i = 0; i < n; i++, child = child->next) {
		load_element(load, element, child, entry, hash_mix(id + i + 1));
		entry += element->size;
	}
}

/* `node` is NULL when the key is not in the file. */
static void load_key(struct load *load, const struct conf_key *key, const struct node *object,
    const struct node *node, char *base, uint64_t parent_id)
{
	uint64_t id = id_of(parent_id, key->name);
	char *field = base + key->offset;
	struct err err = {0};
	char wish[VALUE_WISH_MAX];
	if (key->def && value_parse_default(key, load->arena, field, &err) < 0)
		load->out_of_memory = true; /* unit/conf/schema proves that defaults parse */
	if (!node) {
		if (key->required && object)
			report_missing(load->report, object, key->name, "missing; wanted %s",
			    value_wish(key, wish));
		if (key->type == CONF_OBJECT && !key->variant && !key->object->variants)
			load_object(load, key->object, NULL, field, id);
		return;
	}
	if (key->notes_given) {
		*(bool *)(base + key->given_offset) = true;
		/* An object of defaults alone and an empty list mean something, too. */
		if (key->type == CONF_OBJECT || (key->type == CONF_LIST && node->n_children == 0))
			hash_leaf(load, id, "");
	}
	if (key->by_name && node->kind == NODE_OBJECT) {
		load_map(load, key->by_name, node, base, id);
		return;
	}
	switch (key->type) {
	case CONF_OBJECT: load_element(load, key, node, field, id); break;
	case CONF_MAP: load_map(load, key, node, base, id); break;
	case CONF_LIST: load_list(load, key, node, base, id); break;
	default: load_scalar(load, key, node, field, id);
	}
}

static void report_unknown(
    struct load *load, const struct conf_object *object, const struct node *child)
{
	if (report_full(load->report))
		return;
	if (conf_schema_word_in(object->later, child->key)) {
		report_key(load->report, child, "not supported by this version");
		return;
	}
	const char *nearest = conf_schema_nearest_key(object, child->key);
	if (nearest) {
		report_key(load->report, child, "unknown key; did you mean \"%s\"?", nearest);
		return;
	}
	char known[512];
	size_t used = 0;
	for (uint32_t i = 0; i < object->n_keys; i++)
		used = text_append(
		    known, sizeof(known), used, "%s%s", i > 0 ? ", " : "", object->keys[i].name);
	if (object->n_keys > 0)
		report_key(load->report, child, "unknown key; known here are %s", known);
	else
		report_key(load->report, child, "unknown key; nothing is known here");
}

/* Of the keys with a variant exactly one must be there; it gives the kind. */
static void load_kind(struct load *load, const struct conf_object *object, const struct node *node,
    char *base, uint64_t id)
{
	char names[128];
	size_t used = 0;
	const struct conf_key *chosen = NULL;
	for (uint32_t i = 0; i < object->n_keys; i++) {
		const struct conf_key *key = &object->keys[i];
		if (!key->variant)
			continue;
		used = text_append(
		    names, sizeof(names), used, "%s\"%s\"", used > 0 ? " or " : "", key->name);
		const struct node *child = node_child(node, key->name);
		if (child && chosen)
			report_key(load->report, child,
			    "\"%s\" is given already; only one of them can be", chosen->name);
		if (child && !chosen)
			chosen = key;
	}
	if (!chosen) {
		report_value(load->report, node, "needs %s", names);
		return;
	}
	*(unsigned *)(base + object->kind_offset) = chosen->variant;
	hash_leaf(load, id_of(id, chosen->name), "");
}

static void load_object(struct load *load, const struct conf_object *object,
    const struct node *node, void *base, uint64_t id)
{
	if (node && !check_kind(load, node, NODE_OBJECT, "an object")) {
		/* Only the kind is wrong; do not complain about what is missing as well. */
		node = NULL;
	}
	for (const struct node *child = node ? node->child : NULL; child; child = child->next) {
		if (!conf_schema_find(object, child->key))
			report_unknown(load, object, child);
	}
	if (node && object->variants)
		load_kind(load, object, node, base, id);
	for (uint32_t i = 0; i < object->n_keys; i++) {
		const struct conf_key *key = &object->keys[i];
		load_key(load, key, node, node_child(node, key->name), base, id);
	}
}

int load_part(struct arena *arena, struct report *report, const struct conf_object *object,
    const struct node *root, void *base)
{
	struct load load = {.arena = arena, .report = report};
	load_object(&load, object, root, base, 0);
	return load.out_of_memory ? -ENOMEM : 0;
}

int load_conf(
    struct arena *arena, struct report *report, const struct node *root, struct conf *conf)
{
	struct load load = {.arena = arena, .report = report};
	load_object(&load, &conf_schema_root, root, conf, 0);
	conf->hash = hash_mix(load.hash);
	return load.out_of_memory ? -ENOMEM : 0;
}
