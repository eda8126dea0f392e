#include "daemon/proxy/forward.h"

#include <stdio.h>
#include <string.h>

static char *put(char *at, const char *p, size_t len)
{
	memcpy(at, p, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static uint32_t bit(enum h1_field_id id, enum conf_forward how)
{
	return how == CONF_FORWARD_REMOVE || how == CONF_FORWARD_REPLACE ? 1U << id : 0;
}

/* The lines that do not depend on the request. */
static size_t put_fixed(const struct conf_listener *conf, const struct addr *bind, unsigned minor,
    char out[FORWARD_FIXED_MAX])
{
	char *at = out;
	if (conf->forwarded.proto == CONF_FORWARD_REPLACE)
		at = PUT(at, "X-Forwarded-Proto: http\r\n");
	if (conf->forwarded.port == CONF_FORWARD_REPLACE)
		at += sprintf(at, "X-Forwarded-Port: %u\r\n", addr_port(bind));
	if (conf->via.requests)
		at += sprintf(at, "Via: 1.%u %s\r\n", minor, conf->via.name);
	return (size_t)(at - out);
}

void forward_init(
    struct forward *forward, const struct conf_listener *conf, const struct addr *bind)
{
	const struct conf_forwarded *how = &conf->forwarded;
	*forward = (struct forward){
	    .replace_for = how->for_ == CONF_FORWARD_REPLACE,
	    .append_for = how->for_ == CONF_FORWARD_APPEND,
	    .host = how->host == CONF_FORWARD_REPLACE,
	    .rfc7239 = how->rfc7239 == CONF_FORWARD_REPLACE || how->rfc7239 == CONF_FORWARD_APPEND,
	    .dropped = bit(H1_FIELD_X_FORWARDED_FOR, how->for_) |
		       bit(H1_FIELD_X_FORWARDED_PROTO, how->proto) |
		       bit(H1_FIELD_X_FORWARDED_HOST, how->host) |
		       bit(H1_FIELD_X_FORWARDED_PORT, how->port) |
		       bit(H1_FIELD_FORWARDED, how->rfc7239),
	};
	/* What came is in our own line. */
	if (forward->append_for)
		forward->dropped |= 1U << H1_FIELD_X_FORWARDED_FOR;
	for (unsigned minor = 0; minor < 2; minor++) {
		forward->fixed_len = (uint8_t)put_fixed(conf, bind, minor, forward->fixed[minor]);
		if (conf->via.responses)
			forward->response_len = (uint8_t)snprintf(forward->response[minor],
			    FORWARD_VIA_MAX, "Via: 1.%u %s\r\n", minor, conf->via.name);
	}
}

/* One line, because many who read it look at one only. */
static char *put_for(
    const struct forward *forward, const struct h1_head *head, const struct addr *peer, char *at)
{
	at = PUT(at, "X-Forwarded-For: ");
	for (uint32_t i = 0; forward->append_for && i < head->n_fields; i++) {
		const struct h1_field *field = &head->fields[i];
		if (field->id != H1_FIELD_X_FORWARDED_FOR || field->value.len == 0)
			continue;
		at = put(at, field->value.p, field->value.len);
		at = PUT(at, ", ");
	}
	at += addr_put_ip(peer, at);
	return PUT(at, "\r\n");
}

static char *put_host(const struct h1_head *head, char *at)
{
	at = PUT(at, "X-Forwarded-Host: ");
	at = put(at, head->host.p, head->host.len);
	return PUT(at, "\r\n");
}

/* A line of its own, behind those that came: together they are one list (RFC 7239 section 4). */
static char *put_rfc7239(const struct h1_head *head, const struct addr *peer, char *at)
{
	bool ipv4 = peer->sa.sa_family == AF_INET;
	at = ipv4 ? PUT(at, "Forwarded: for=") : PUT(at, "Forwarded: for=\"[");
	at += addr_put_ip(peer, at);
	at = ipv4 ? PUT(at, ";proto=http") : PUT(at, "]\";proto=http");
	if (head->host.len > 0) {
		at = PUT(at, ";host=\"");
		at = put(at, head->host.p, head->host.len);
		*at++ = '"';
	}
	return PUT(at, "\r\n");
}

char *forward_put(
    const struct forward *forward, const struct h1_head *head, const struct addr *peer, char *at)
{
	if (forward->append_for || forward->replace_for)
		at = put_for(forward, head, peer, at);
	if (forward->host && head->host.len > 0)
		at = put_host(head, at);
	if (forward->rfc7239)
		at = put_rfc7239(head, peer, at);
	return put(at, forward->fixed[head->minor], forward->fixed_len);
}
