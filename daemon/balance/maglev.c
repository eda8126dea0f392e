#include "daemon/balance/maglev.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/hash.h"

#define FREE UINT16_MAX

/* About 100 entries a member keep shares within a few per cent of each other. Few sizes, far apart:
 * a pool that grows past one of them moves its clients once. */
uint32_t maglev_size(uint32_t n_members)
{
	if (n_members <= 32)
		return 4093;
	if (n_members <= 160)
		return 16381;
	return 131071;
}

static int compare_members(const void *a, const void *b)
{
	const struct maglev_member *x = a, *y = b;
	return (x->id > y->id) - (x->id < y->id);
}

/* Each member walks the table in an order of its own: offset, offset + skip, ... (mod size). */
static void member_start(struct maglev_member *member, uint32_t size)
{
	uint64_t h = hash_mix(member->id ^ 0x6d61676c65760001ULL);
	member->offset = (uint32_t)(h % size);
	h = hash_mix(member->id ^ 0x6d61676c65760002ULL);
	member->skip = (uint32_t)(h % (size - 1)) + 1;
	member->next = member->offset;
	member->credit = 0;
}

/* The next free entry in the member's order. There is one: the caller counts. */
static uint32_t claim(const uint16_t *table, uint32_t size, struct maglev_member *member)
{
	for (;;) {
		uint32_t at = member->next;
		member->next += member->skip;
		if (member->next >= size)
			member->next -= size;
		if (table[at] == FREE)
			return at;
	}
}

void maglev_build(uint16_t *table, uint32_t size, struct maglev_member *members, uint32_t n)
{
	uint16_t heaviest = 1;
	qsort(members, n, sizeof(*members), compare_members);
	for (uint32_t i = 0; i < n; i++) {
		member_start(&members[i], size);
		if (members[i].weight > heaviest)
			heaviest = members[i].weight;
	}
	memset(table, 0xff, size * sizeof(*table));

	/* In each round a member earns its weight, and takes an entry for every `heaviest` it has:
	 * the heaviest ones in each round, the others in their proportion. */
	for (uint32_t left = size; left > 0;) {
		for (uint32_t i = 0; i < n && left > 0; i++) {
			members[i].credit += members[i].weight;
			if (members[i].credit < heaviest)
				continue;
			members[i].credit -= heaviest;
			table[claim(table, size, &members[i])] = members[i].value;
			left--;
		}
	}
}
