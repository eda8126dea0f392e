/* What the checks of check.c and check_routers.c share. Nobody else includes this. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "conf/node.h"
#include "conf/report.h"

bool check_is_set(const struct addr *addr);
bool check_is_ipv6(const struct addr *addr);
bool check_is_loopback(const struct addr *addr);
bool check_is_link_local(const struct addr *addr);

/* Reports what is not the address of one host. */
void check_unicast(struct report *report, const struct node *node, const struct addr *addr);
/* The same, and what we could not connect to. */
void check_connectable(struct report *report, const struct node *node, const struct addr *addr);
/* Reports the timeout of a check that does not end before the next one begins. */
void check_timeout(
    struct report *report, const struct node *check, uint64_t interval_us, uint64_t timeout_us);

/* Addresses that must differ from each other, and where they are written. */
struct places {
	struct place *items;
	size_t n, size;
	bool out_of_memory;
};

void check_places_add(struct places *places, const struct addr *addr, const struct node *node);
/* Reports each address that is there already, at the later place. Empties the set; returns 0 or
 * -ENOMEM. */
int check_places(struct places *places, struct report *report);
void check_places_fini(struct places *places);

/* The first entry of an object or list, or NULL. */
const struct node *check_first(const struct node *map);
/* The element number `i` of a list that may be a single value instead. */
const struct node *check_element(const struct node *list, uint32_t i);
/* Where the value is written that may stand for an object with `key`. */
const struct node *check_shorthand(const struct node *entry, const char *key);

/* The index of the pool of that name, or CONF_NONE and the nearest name, if there is one. */
uint32_t check_find_pool(const struct conf *conf, const char *name, const char **nearest);
/* The index of the pool that is named at `place`, or CONF_NONE, which is reported. */
uint32_t check_resolve_pool(
    struct report *report, const struct node *place, const struct conf *conf);

/* The pool (an index, or CONF_NONE) that is named at `place` can know its clients in this mode. */
void check_sticky_mode(struct report *report, const struct node *place, const struct conf *conf,
    uint32_t pool, enum conf_listener_mode mode);

/* check_routes.c: the routes of the listener that is written at `entry`: what follows from their
 * values, and whether these fit together. */
void check_finish_routes(struct report *report, const struct node *entry, const struct conf *conf,
    struct conf_listener *listener);
void check_routes(struct report *report, const struct node *entry, const struct conf *conf,
    const struct conf_listener *listener);

/* check_routes.c: what the text of a pattern is, and whether a field may be set by the user. */
void check_pattern(struct report *report, const struct node *node, const char *text);
void check_field_name(
    struct report *report, const struct node *node, const char *name, bool response);

/* check_limits.c: the rate limits of a listener and of its routes, likewise. */
void check_finish_limits(struct conf *conf, struct conf_listener *listener);
void check_limits(
    struct report *report, const struct node *entry, const struct conf_listener *listener);

/* check_balance.c: how a pool is balanced: what follows from its values, and whether these fit
 * together, and what the pool that is named at `node` is used for. */
void check_finish_balance(struct conf_pool *pool);
void check_balance(struct report *report, const struct node *entry, const struct conf_pool *pool);
void check_balance_mode(struct report *report, const struct node *node, const struct conf *conf,
    uint32_t pool, enum conf_listener_mode mode);

/* check_routers.c: the virtual routers, and what nodes say about them. */
void check_priorities(
    struct report *report, const struct node *entry, const struct conf *conf, uint32_t index);
int check_routers(
    struct report *report, const struct node *root, const struct conf *conf, struct places *places);
