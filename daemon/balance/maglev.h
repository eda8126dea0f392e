/* The Maglev table (Eisenbud et al., NSDI 2016): maps a hash to a member so that each gets its
 * share, and so that few others move when a member comes or goes (one of 30: less than as many
 * again; one of 1,000: about six times as many, still under 1 % of all). Pure. Internal to balance.
 *
 * The table is a function of the members' ids and weights only: the order in which they are given
 * does not matter, so both nodes of a pair and every worker compute the same one. */
#pragma once

#include <stdint.h>

struct maglev_member {
	uint64_t id;
	uint16_t weight; /* >= 1 */
	uint16_t value;  /* what the table holds for it */
	/* Scratch of maglev_build: */
	uint32_t offset, skip, next;
	uint32_t credit;
};

/* Table entries (a prime) for pools of up to `n_members`. Take the number that is configured, not
 * the number that is usable: another size moves everybody. */
uint32_t maglev_size(uint32_t n_members);

/* Fills `table` (`size` entries). Sorts `members`; 1 <= n < size. About 5 ms for 1,000 members. */
void maglev_build(uint16_t *table, uint32_t size, struct maglev_member *members, uint32_t n);
