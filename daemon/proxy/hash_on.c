#include "daemon/proxy/hash_on.h"

#include <string.h>

#include "daemon/base/hash.h"
#include "daemon/proxy/fields.h"

static struct slice key_of(const struct conf_hash_on *on, const struct h1_head *head)
{
	struct slice value;
	switch (head ? on->key : CONF_HASH_SOURCE) {
	case CONF_HASH_PATH: return fields_path(head);
	case CONF_HASH_HEADER:
		return fields_value(head, (struct slice){on->header, strlen(on->header)});
	case CONF_HASH_COOKIE:
		return fields_cookie(head, on->cookie, &value) ? value : (struct slice){0};
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
