/* A set of networks: is an address in one of them. A network of IPv6 has no address of IPv4, not even
 * ::/0. Immutable once built. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/route/spec.h"

struct source_range {
	uint8_t from[16], to[16]; /* as addr_key */
};

/* Of one family: ascending, apart from each other. */
struct source_ranges {
	struct source_range *ranges;
	uint32_t n;
};

struct sources {
	struct source_ranges ipv4, ipv6;
	uint32_t n; /* networks */
};

int sources_init(struct sources *sources, const struct route_source *list, uint32_t n);
void sources_fini(struct sources *sources);
bool sources_have(const struct sources *sources, const struct addr *addr);
