#include "conf/node.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct node *node_child(const struct node *object, const char *key)
{
	if (!object || object->kind != NODE_OBJECT)
		return NULL;
	const struct node *child = object->child;
	while (child && strcmp(child->key, key) != 0)
		child = child->next;
	return child;
}

const struct node *node_at(const struct node *node, uint32_t index)
{
	const struct node *child = node ? node->child : NULL;
	while (child && index-- > 0)
		child = child->next;
	return child;
}

const char *node_string(const struct node *node)
{
	return json_object_get_string(node->js);
}

size_t text_append(char *buf, size_t size, size_t used, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(buf + used, size - used, fmt, args);
	va_end(args);
	if (n < 0)
		return used;
	return (size_t)n < size - used ? used + (size_t)n : size - 1;
}

/* Keys that are not names are quoted, so that a path is one line and can be read back. */
static size_t append_key(char *buf, size_t size, size_t used, const char *key)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_.-";
	if (*key && key[strspn(key, plain)] == '\0')
		return text_append(buf, size, used, "%s%s", used > 0 ? "." : "", key);
	used = text_append(buf, size, used, "[\"");
	for (; *key; key++) {
		unsigned char c = (unsigned char)*key;
		if (c < 0x20 || c == 0x7f)
			used = text_append(buf, size, used, "\\x%02x", c);
		else
			used =
			    text_append(buf, size, used, c == '"' || c == '\\' ? "\\%c" : "%c", c);
	}
	return text_append(buf, size, used, "\"]");
}

static size_t append_node(char *buf, size_t size, const struct node *node)
{
	if (!node || !node->parent)
		return 0;
	/* As deep as the scanner allows, so not deep. */
	size_t used = append_node(buf, size, node->parent);
	if (!node->key)
		return text_append(buf, size, used, "[%u]", node->index);
	return append_key(buf, size, used, node->key);
}

char *node_path(const struct node *node, const char *key, char *buf, size_t size)
{
	buf[0] = '\0';
	size_t used = append_node(buf, size, node);
	if (key)
		used = append_key(buf, size, used, key);
	if (used == 0)
		text_append(buf, size, 0, "top level");
	return buf;
}
