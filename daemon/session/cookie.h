/* The sticky cookie, the part without cryptography: finding it in a request, packing what it says,
 * judging its age. The payload is sealed by tls/seal. It says only which target; no table is
 * needed, and either node of a pair reads what the other wrote. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/text.h"

#define COOKIE_PAYLOAD_LEN 20

struct cookie_payload {
	uint64_t pool_id;
	uint64_t target_id;
	uint32_t issued_sec; /* wall clock: the nodes' clocks may differ by minutes without harm */
};

void cookie_payload_pack(const struct cookie_payload *payload, uint8_t out[COOKIE_PAYLOAD_LEN]);
void cookie_payload_unpack(const uint8_t in[COOKIE_PAYLOAD_LEN], struct cookie_payload *out);

/* The value of the cookie `name` in one Cookie header field value (RFC 6265 section 4.2.1: pairs
 * separated by "; "; lenient about spaces, quotes are part of the value). False if there is none.
 * The first one wins. */
bool cookie_find(struct slice header_value, const char *name, struct slice *value);

/* Nothing, or "": what is left of a cookie where somebody has cleared it. */
static inline bool cookie_is_empty(struct slice value)
{
	return value.len == 0 || slice_equal(value, SLICE("\"\""));
}

enum cookie_age { COOKIE_FRESH, COOKIE_RENEW, COOKIE_EXPIRED };
/* RENEW: past half of its life, so send a new one. Issued more than `ttl_sec` in the future counts
 * as expired. */
enum cookie_age cookie_age(uint32_t issued_sec, uint64_t now_sec, uint64_t ttl_sec);

/* "Set-Cookie: NAME=VALUE; Path=/; HttpOnly; SameSite=Lax[; Secure]\r\n". Returns the length, 0 if
 * it does not fit. */
size_t cookie_format(char *buf, size_t size, const char *name, struct slice value, bool secure);
