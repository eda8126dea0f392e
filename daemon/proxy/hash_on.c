#include "daemon/proxy/hash_on.h"

#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/session/cookie.h"

static struct slice header(const struct h1_head *head, const char *name)
{
	struct slice wanted = {name, strlen(name)};
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (slice_equal_nocase(head->fields[i].name, wanted))
			return head->fields[i].value;
	}
	return (struct slice){0};
}

static struct slice cookie(const struct h1_head *head, const char *name)
{
	struct slice value;
	for (uint32_t i = 0; i < head->n_fields; i++) {
		if (head->fields[i].id == H1_FIELD_COOKIE &&
		    cookie_find(head->fields[i].value, name, &value))
			return value;
	}
	return (struct slice){0};
}

static struct slice path(const struct h1_head *head)
{
	const char *query = memchr(head->path.p, '?', head->path.len);
	return (struct slice){
	    head->path.p, query ? (size_t)(query - head->path.p) : head->path.len};
}

static struct slice key_of(const struct conf_hash_on *on, const struct h1_head *head)
{
	switch (head ? on->key : CONF_HASH_SOURCE) {
	case CONF_HASH_PATH: return path(head);
	case CONF_HASH_HEADER: return header(head, on->header);
	case CONF_HASH_COOKIE: return cookie(head, on->cookie);
	case CONF_HASH_SOURCE: break;
	}
	return (struct slice){0};
}

uint64_t hash_on(const struct conf_hash_on *on, const struct addr *peer, const struct h1_head *head)
{
	uint8_t source[16];
	struct slice key = key_of(on, head);
	if (key.len > 0)
		return hash_id(key.p, key.len);
	addr_key(peer, 32, 128, source);
	return hash_id(source, sizeof(source));
}
