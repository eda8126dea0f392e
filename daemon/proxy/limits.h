/* What listeners and routes limit by key: how often requests come, how many connections a source has.
 * The limits of a configuration are made on the control thread; what is known of keys lives as long
 * as the process, so a reload forgives nobody. Where nothing is limited callers pay a branch. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/limit/share.h"
#include "daemon/limit/table.h"
#include "daemon/limit/tally.h"
#include "daemon/proxy/proxy.h"

struct h1_head;
struct limits;
struct listener;
struct txn;
struct worker;

/* Those of a configuration. `before` (or NULL) are the ones before: what was counted goes on for a
 * limit of the same listener and route, by the same key in the same period, wherever it stands in
 * their list, if the first of `keys` is the same. `is_paired`: the peer has these keys, so it can be
 * told. NULL when out of memory. */
struct limits *limits_new(
    const struct conf *conf, const struct keys *keys, bool is_paired, const struct limits *before);
/* Of the same configuration once more. */
struct limits *limits_share(struct limits *limits);
void limits_free(struct limits *limits);
/* From and to the peer (daemon/limit/share.h). Any thread, while nobody frees them. */
void limits_tell(
    const struct limits *limits, uint64_t *cursor, uint64_t now_us, struct limit_words *out);
void limits_hear(const struct limits *limits, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT]);
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
