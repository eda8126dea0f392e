/* Socket addresses as values: IPv4 and IPv6, with port. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
};

#define ADDR_TEXT_MAX 56 /* "[" + 45 + "]:65535" and NUL */

/* "192.0.2.10:80", "[2001:db8::10]:80". The port must be in 1..65535. */
bool addr_parse_endpoint(const char *text, struct addr *out);
/* "192.0.2.10", "2001:db8::10"; port 0. */
bool addr_parse_ip(const char *text, struct addr *out);
/* "192.0.2.10/24"; without "/N" the prefix is 32 or 128. Host bits may be set. */
bool addr_parse_cidr(const char *text, struct addr *out, unsigned *prefix);

/* The canonical texts of the parsers above; `buf` needs ADDR_TEXT_MAX bytes. Return `buf`. */
char *addr_format(const struct addr *addr, char *buf);
char *addr_format_ip(const struct addr *addr, char *buf);
/* As addr_format_ip, without a NUL: returns the length. For heads and log lines, of which each needs
 * one: inet_ntop costs more than the rest of them together. */
size_t addr_put_ip(const struct addr *addr, char *out);

socklen_t addr_len(const struct addr *addr);
uint16_t addr_port(const struct addr *addr);
void addr_set_port(struct addr *addr, uint16_t port);
bool addr_equal(const struct addr *a, const struct addr *b);    /* address and port */
bool addr_equal_ip(const struct addr *a, const struct addr *b); /* address only */
bool addr_is_any(const struct addr *addr);                      /* 0.0.0.0 or :: */
/* Order of two addresses of one family as unsigned numbers: below, at or above 0. */
int addr_compare_ip(const struct addr *a, const struct addr *b);
/* The IP in network order, as it stands in packets: points into `addr`; *len is 4 or 16. */
const uint8_t *addr_bytes(const struct addr *addr, size_t *len);

/* The IP is one of the network of `prefix` bits that `net` is in. */
bool addr_is_within(const struct addr *addr, const struct addr *net, unsigned prefix);

/* The IP as 16 bytes, IPv4 in the mapped form ::ffff:a.b.c.d, cut to `prefix4`/`prefix6` bits: the
 * key of tables by source. */
void addr_key(const struct addr *addr, unsigned prefix4, unsigned prefix6, uint8_t key[16]);
/* As addr_equal_ip, and IPv4 on a socket of IPv6 is the same address. */
bool addr_same_host(const struct addr *a, const struct addr *b);
