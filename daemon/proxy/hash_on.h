/* The key of a request for balance maglev. Pure. */
#pragma once

#include <stdint.h>

#include "conf/conf.h"
#include "daemon/base/addr.h"
#include "daemon/http/h1.h"

/* A hash of what `on` says, the same on both nodes and in the next version. Of the address of `peer`
 * when the request has no such header or cookie, or an empty one, and when there is none (`head` is
 * NULL: TCP, UDP). */
uint64_t hash_on(
    const struct conf_hash_on *on, const struct addr *peer, const struct h1_head *head);
