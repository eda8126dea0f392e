/* ICMP echo (RFC 792, RFC 4443): a question to a host whether it is there. Each request carries a
 * number that nobody can guess, so that an answer is the host's own and to this very request.
 * Memory only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VRRP_ECHO_LEN 16

/* Writes a request. The checksum of IPv6 is the kernel's to fill in. */
void vrrp_echo_request(bool ipv6, uint16_t ident, uint64_t nonce, uint8_t out[VRRP_ECHO_LEN]);
/* Is this an answer to a request of `ident`? Then *nonce is the request's. The checksum of IPv6 was
 * the kernel's to check. */
bool vrrp_echo_answer(bool ipv6, uint16_t ident, const uint8_t *data, size_t len, uint64_t *nonce);
