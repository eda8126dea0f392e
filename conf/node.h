/* The text of a configuration file as a tree that knows where each value stands. Kind, offsets and
 * keys come from our scanner (conf/scan.h); `js` is what json-c made of the same text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/text.h"

struct json_object;

enum node_kind { NODE_NULL, NODE_BOOL, NODE_NUMBER, NODE_STRING, NODE_LIST, NODE_OBJECT };

struct node {
	enum node_kind kind;
	uint32_t offset, len; /* the value as written */
	uint32_t key_offset;  /* in an object: where the key stands */
	uint32_t index;       /* in a list */
	uint32_t n_children;
	const char *key; /* decoded; NULL in a list and at the top */
	struct node *parent, *child, *next;
	struct json_object *js;
};

/* NULL when `object` is no object or has no such key. */
const struct node *node_child(const struct node *object, const char *key);
/* The child number `index`, or NULL. */
const struct node *node_at(const struct node *node, uint32_t index);
/* The decoded text of a string. */
const char *node_string(const struct node *node);

/* "pools.web.targets[1]", "top level" for the root; `key` (or NULL) is one step more. What does not
 * fit is cut. Returns `buf`. */
char *node_path(const struct node *node, const char *key, char *buf, size_t size);

/* Like snprintf at buf + used, without ever writing past the end; returns the new length. */
size_t text_append(char *buf, size_t size, size_t used, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
