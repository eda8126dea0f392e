/* The same answers as daemon/route, found in the most obvious way: each route in turn, each condition
 * in turn. Slow. */
#pragma once

#include "daemon/route/route.h"

#define REFERENCE_BAD_PATH (-2)

/* The number of the route, -1: none, REFERENCE_BAD_PATH. */
int reference_find(const struct route_spec *specs, uint32_t n, const struct h1_head *head,
    const struct addr *peer);
