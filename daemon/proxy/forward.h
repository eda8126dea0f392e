/* What a listener tells targets about where a request came from: X-Forwarded-*, Forwarded (RFC 7239)
 * and Via (RFC 9110 section 7.6.3). All that is the same for each request is written once. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "daemon/base/addr.h"
#include "daemon/base/text.h"
#include "daemon/http/h1.h"

#define FORWARD_VIA_MAX (sizeof("Via: 1.1 \r\n") + CONF_NAME_MAX)
/* X-Forwarded-Proto, X-Forwarded-Port and Via */
#define FORWARD_FIXED_MAX (25 + 25 + FORWARD_VIA_MAX)
/* What forward_put writes besides fixed lines, fields that came, and hosts: the names of its fields
 * and two IPv6 addresses. */
#define FORWARD_ROOM (FORWARD_FIXED_MAX + 256)

struct forward {
	uint32_t
	    dropped; /* fields that are not passed on as they came: a bit for each h1_field_id */
	bool replace_for, append_for; /* X-Forwarded-For */
	bool host;
	bool rfc7239;
	uint8_t fixed_len;
	uint8_t response_len;
	char fixed[2][FORWARD_FIXED_MAX];  /* lines, by the minor version of the request */
	char response[2][FORWARD_VIA_MAX]; /* Via, by the minor version of the response */
};

/* For requests that come to `bind`. */
void forward_init(
    struct forward *forward, const struct conf_listener *conf, const struct addr *bind);
/* Writes the lines for a request of `peer`, at most FORWARD_ROOM bytes, the length of head and twice
 * that of its host. Returns the end. */
char *forward_put(
    const struct forward *forward, const struct h1_head *head, const struct addr *peer, char *at);

/* Is this field of a request replaced by ours, or kept from the target? */
static inline bool forward_drops(const struct forward *forward, enum h1_field_id id)
{
	return forward->dropped >> id & 1;
}

/* The line for the head of a response of HTTP/1.`minor`, or nothing. */
static inline struct slice forward_response(const struct forward *forward, uint8_t minor)
{
	return (struct slice){forward->response[minor], forward->response_len};
}
