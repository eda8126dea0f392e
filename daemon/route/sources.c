#include "daemon/route/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Also an IPv4 address that is written as one of IPv6. */
static bool is_ipv4(const uint8_t key[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(key, mapped, sizeof(mapped)) == 0;
}

static int by_start(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/* The network's first and last address. */
static void make_range(struct source_range *range, const struct route_source *source)
{
	unsigned bits = source->prefix + (source->addr.sa.sa_family == AF_INET ? 96U : 0U);
	addr_key(&source->addr, source->prefix, source->prefix, range->from);
	memcpy(range->to, range->from, 16);
	for (unsigned bit = bits; bit < 128; bit++)
		range->to[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
}

/* Networks lie in each other or apart. */
static void join(struct source_ranges *set)
{
	uint32_t n = set->n;
	qsort(set->ranges, n, sizeof(*set->ranges), by_start);
	set->n = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct source_range *range = &set->ranges[i];
		struct source_range *last = set->n > 0 ? &set->ranges[set->n - 1] : NULL;
		if (!last || memcmp(range->from, last->to, 16) > 0)
			set->ranges[set->n++] = *range;
		else if (memcmp(range->to, last->to, 16) > 0)
			memcpy(last->to, range->to, 16);
	}
}

int sources_init(struct sources *sources, const struct route_source *list, uint32_t n)
{
	*sources = (struct sources){.n = n};
	sources->ipv4.ranges = calloc(n + 1, sizeof(*sources->ipv4.ranges));
	sources->ipv6.ranges = calloc(n + 1, sizeof(*sources->ipv6.ranges));
	if (!sources->ipv4.ranges || !sources->ipv6.ranges) {
		sources_fini(sources);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct source_ranges *set =
		    list[i].addr.sa.sa_family == AF_INET ? &sources->ipv4 : &sources->ipv6;
		make_range(&set->ranges[set->n++], &list[i]);
	}
	join(&sources->ipv4);
	join(&sources->ipv6);
	return 0;
}

void sources_fini(struct sources *sources)
{
	free(sources->ipv4.ranges);
	free(sources->ipv6.ranges);
	*sources = (struct sources){0};
}

bool sources_have(const struct sources *sources, const struct addr *addr)
{
	uint8_t key[16];
	addr_key(addr, 32, 128, key);
	const struct source_ranges *set = is_ipv4(key) ? &sources->ipv4 : &sources->ipv6;
	uint32_t low = 0, high = set->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (memcmp(set->ranges[middle].from, key, 16) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && memcmp(key, set->ranges[low - 1].to, 16) <= 0;
}
