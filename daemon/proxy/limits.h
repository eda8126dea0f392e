/* What listeners and routes limit by key: how often requests come, how many connections a source has.
 * The limits of a configuration are made on the control thread; what is known of keys lives as long
 * as the process, so a reload forgives nobody. Where nothing is limited callers pay a branch. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/limit/table.h"
#include "daemon/limit/tally.h"
#include "daemon/proxy/proxy.h"

struct h1_head;
struct limits;
struct listener;
struct txn;
struct worker;

/* Those of a configuration. `before` (or NULL) are the ones before: what was counted goes on for a
 * limit at the same place of the same listener and route. NULL when out of memory. */
struct limits *limits_new(const struct conf *conf, const struct limits *before);
void limits_free(struct limits *limits);
void limits_each(const struct limits *limits, proxy_limit_fn *fn, void *arg);
/* False: there is no rate limit. */
bool limits_stats(const struct limits *limits, uint64_t now_us, struct limit_stats *out);

/* Whether a request is within `n` rate limits of its configuration. False: it was answered. */
bool limits_pass_request(
    struct txn *txn, const struct limit_spec *specs, uint32_t n, const struct h1_head *head);
/* The same for a TCP connection of `peer`. */
bool limits_pass_connection(struct listener *listener, const struct addr *peer);
/* Counts one more connection, or UDP session, of `peer`, if that is limited: *out is for tally_give,
 * or NULL. False: there are too many. */
bool limits_count(struct listener *listener, const struct addr *peer, struct tally **out);
