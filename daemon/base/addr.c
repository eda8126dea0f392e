#include "daemon/base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool addr_parse_ip(const char *text, struct addr *out)
{
	struct addr addr = {0};
	if (inet_pton(AF_INET, text, &addr.in.sin_addr) == 1) {
		addr.in.sin_family = AF_INET;
	} else {
		memset(&addr, 0, sizeof(addr));
		if (inet_pton(AF_INET6, text, &addr.in6.sin6_addr) != 1)
			return false;
		addr.in6.sin6_family = AF_INET6;
	}
	*out = addr;
	return true;
}

/* Decimal digits only, no sign, no space, no leading zero. */
static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	unsigned value = 0;
	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	if (value < min)
		return false;
	*out = value;
	return true;
}

bool addr_parse_endpoint(const char *text, struct addr *out)
{
	char host[ADDR_TEXT_MAX];
	bool bracket = text[0] == '[';
	const char *start = bracket ? text + 1 : text;
	const char *end = bracket ? strchr(start, ']') : strrchr(start, ':');
	if (!end || (size_t)(end - start) >= sizeof(host))
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = '\0';
	const char *port_text = bracket ? end + 1 : end;
	if (*port_text != ':')
		return false;

	struct addr addr;
	unsigned port;
	if (!addr_parse_ip(host, &addr) || !parse_number(port_text + 1, 1, 65535, &port))
		return false;
	if (bracket != (addr.sa.sa_family == AF_INET6))
		return false;
	addr_set_port(&addr, (uint16_t)port);
	*out = addr;
	return true;
}

bool addr_parse_cidr(const char *text, struct addr *out, unsigned *prefix)
{
	char host[ADDR_TEXT_MAX];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';

	struct addr addr;
	if (!addr_parse_ip(host, &addr))
		return false;
	unsigned bits = addr.sa.sa_family == AF_INET ? 32 : 128;
	if (slash && !parse_number(slash + 1, 0, bits, &bits))
		return false;
	*out = addr;
	*prefix = bits;
	return true;
}

char *addr_format_ip(const struct addr *addr, char *buf)
{
	const void *bytes = addr->sa.sa_family == AF_INET6 ? (const void *)&addr->in6.sin6_addr
							   : (const void *)&addr->in.sin_addr;
	if (addr->sa.sa_family != AF_INET && addr->sa.sa_family != AF_INET6)
		snprintf(buf, ADDR_TEXT_MAX, "-");
	else
		inet_ntop(addr->sa.sa_family, bytes, buf, ADDR_TEXT_MAX);
	return buf;
}

char *addr_format(const struct addr *addr, char *buf)
{
	char ip[ADDR_TEXT_MAX - 8]; /* room for "[]:65535" */
	char wide[ADDR_TEXT_MAX];
	addr_format_ip(addr, wide);
	memcpy(ip, wide, sizeof(ip));
	ip[sizeof(ip) - 1] = '\0';
	snprintf(buf, ADDR_TEXT_MAX, addr->sa.sa_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip,
	    addr_port(addr));
	return buf;
}

socklen_t addr_len(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? sizeof(addr->in6) : sizeof(addr->in);
}

uint16_t addr_port(const struct addr *addr)
{
	return ntohs(addr->sa.sa_family == AF_INET6 ? addr->in6.sin6_port : addr->in.sin_port);
}

void addr_set_port(struct addr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET6)
		addr->in6.sin6_port = htons(port);
	else
		addr->in.sin_port = htons(port);
}

const uint8_t *addr_bytes(const struct addr *addr, size_t *len)
{
	bool six = addr->sa.sa_family == AF_INET6;
	*len = six ? sizeof(addr->in6.sin6_addr) : sizeof(addr->in.sin_addr);
	return six ? (const uint8_t *)&addr->in6.sin6_addr : (const uint8_t *)&addr->in.sin_addr;
}

int addr_compare_ip(const struct addr *a, const struct addr *b)
{
	size_t len_a, len_b;
	const uint8_t *bytes_a = addr_bytes(a, &len_a), *bytes_b = addr_bytes(b, &len_b);
	return memcmp(bytes_a, bytes_b, len_a < len_b ? len_a : len_b);
}

bool addr_equal_ip(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET6)
		return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0;
	return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_equal_ip(a, b) && addr_port(a) == addr_port(b);
}

static void mask_bits(uint8_t *bytes, size_t len, unsigned bits)
{
	for (size_t i = 0; i < len; i++) {
		unsigned keep = bits > i * 8 ? bits - (unsigned)i * 8 : 0;
		if (keep < 8)
			bytes[i] &= (uint8_t)(0xff00U >> keep);
	}
}

void addr_key(const struct addr *addr, unsigned prefix4, unsigned prefix6, uint8_t key[16])
{
	if (addr->sa.sa_family == AF_INET6) {
		memcpy(key, &addr->in6.sin6_addr, 16);
		mask_bits(key, 16, prefix6);
		return;
	}
	memset(key, 0, 10);
	memset(key + 10, 0xff, 2);
	memcpy(key + 12, &addr->in.sin_addr, 4);
	mask_bits(key + 12, 4, prefix4);
}
