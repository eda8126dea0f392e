/* Which protocol a request may switch to, and whether a 101 switches to it (RFC 9110 section 7.8).
 * Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/http/h1.h"

/* The one of `allowed` that the client likes best: its Upgrade names protocols in the order of its
 * preference. NULL: none of them, or this is no request that may switch: one of HTTP/1.0, or with a
 * body, whose end the target could see elsewhere than we. */
const char *upgrade_choose(
    const struct h1_head *request, const char *const *allowed, uint32_t n_allowed);
/* A 101 that says, in a head of HTTP/1.1, that it switches to `protocol` and to nothing else. */
bool upgrade_accepted(const struct h1_head *response, const char *protocol);
