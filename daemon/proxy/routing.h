/* Which pool serves a request: the routes of its listener, where it has some. The tables are made
 * on the control thread, one set a configuration, and are immutable; each worker has counters of its
 * own beside them. */
#pragma once

#include <stdbool.h>

#include "daemon/proxy/http.h"
#include "daemon/proxy/proxy.h"

struct hello;
struct routing;

/* The tables of a configuration, and counters for `workers`, which go on from those that `before`
 * (or NULL) has of routes with the same listener and name. NULL when out of memory. */
struct routing *routing_new(
    const struct conf *conf, uint32_t workers, const struct routing *before);
/* The same one once more; control thread. routing_free as often as it was made and shared. */
struct routing *routing_share(struct routing *routing);
void routing_free(struct routing *routing);
void routing_each(const struct routing *routing, proxy_route_fn *fn, void *arg);

/* The pool of a TCP connection to a listener that has routes: by what its client says in `hello`, or
 * (NULL) by nothing. CONF_NONE: nobody's. *route: the name of the route, if one took it that has a name. */
uint32_t routing_pool(struct worker *worker, const struct conf_listener *conf,
    const struct addr *peer, const struct hello *hello, const char **route);
/* Sets the pool of a request to a listener that has routes. False: it was answered. */
bool routing_take(struct txn *txn, struct h1_head *head);
/* What txn->act says of the head of a request, which becomes up to *grown bytes longer. False: it was
 * answered. */
bool routing_change_request(struct txn *txn, struct h1_head *head, size_t *grown);
/* The same for the head of a response; *add, field lines to be added, becomes more. */
bool routing_change_response(struct txn *txn, struct h1_head *head, struct slice *add);
