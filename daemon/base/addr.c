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

static char *put_octet(char *at, unsigned value)
{
	if (value >= 100)
		*at++ = (char)('0' + value / 100);
	if (value >= 10)
		*at++ = (char)('0' + value / 10 % 10);
	*at++ = (char)('0' + value % 10);
	return at;
}

static char *put_ipv4(char *at, const uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		at = put_octet(at, ip[i]);
		*at++ = '.';
	}
	return at - 1;
}

static char *put_group(char *at, unsigned group)
{
	static const char digits[] = "0123456789abcdef";
	int shift = 12;
	while (shift > 0 && group >> shift == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*at++ = digits[group >> shift & 15];
	return at;
}

/* The first of the longest runs of two or more zero groups (RFC 5952 section 4.2): its length. */
static int find_zeros(const unsigned groups[8], int *start)
{
	int best = 1, run = 0;
	*start = -1;
	for (int i = 0; i < 8; i++) {
		run = groups[i] == 0 ? run + 1 : 0;
		if (run > best) {
			best = run;
			*start = i - run + 1;
		}
	}
	return best;
}

static char *put_ipv6(char *at, const uint8_t ip[16])
{
	unsigned groups[8];
	int start;
	for (int i = 0; i < 8; i++)
		groups[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
	int len = find_zeros(groups, &start);
	for (int i = 0; i < 8; i++) {
		if (i == start) {
			*at++ = ':';
			if (i == 0)
				*at++ = ':';
			i += len - 1;
			continue;
		}
		/* IPv4 addresses in IPv6 ones (RFC 4291 section 2.5.5). */
		bool mapped = start == 0 && len == 5 && groups[5] == 0xffff;
		if (i == 6 && (mapped || (start == 0 && len == 6)))
			return put_ipv4(at, ip + 12);
		at = put_group(at, groups[i]);
		if (i < 7)
			*at++ = ':';
	}
	return at;
}

size_t addr_put_ip(const struct addr *addr, char *out)
{
	if (addr->sa.sa_family == AF_INET)
		return (size_t)(put_ipv4(out, (const uint8_t *)&addr->in.sin_addr) - out);
	if (addr->sa.sa_family == AF_INET6)
		return (size_t)(put_ipv6(out, addr->in6.sin6_addr.s6_addr) - out);
	*out = '-';
	return 1;
}

char *addr_format_ip(const struct addr *addr, char *buf)
{
	buf[addr_put_ip(addr, buf)] = '\0';
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

bool addr_same_host(const struct addr *a, const struct addr *b)
{
	uint8_t key_a[16], key_b[16];
	addr_key(a, 32, 128, key_a);
	addr_key(b, 32, 128, key_b);
	return memcmp(key_a, key_b, sizeof(key_a)) == 0;
}

bool addr_is_any(const struct addr *addr)
{
	return addr->sa.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&addr->in6.sin6_addr)
					      : addr->in.sin_addr.s_addr == htonl(INADDR_ANY);
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

bool addr_is_within(const struct addr *addr, const struct addr *net, unsigned prefix)
{
	uint8_t a[16], b[16];
	addr_key(addr, prefix, prefix, a);
	addr_key(net, prefix, prefix, b);
	return addr->sa.sa_family == net->sa.sa_family && memcmp(a, b, sizeof(a)) == 0;
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
