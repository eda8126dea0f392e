/* Virtual routers that move together: a node is Active for all of a group or for none. The rules:
 *
 *	G1  a fault of one is a fault of all, and what one loses in priority all lose
 *	G2  when one stops being Active, the others resign
 *	G3  one becomes Active only when all the others are it, or may become it: where the peer is
 *	    heard, nobody begins
 *	G4  if it happened all the same (a change of the configuration, a segment that was cut),
 *	    the node that is the worse one where they meet resigns all of it
 *
 * Here are G3 and G4, the ones that need judgment; the others are done by whoever sees it happen.
 * Pure: a member is its machine and what was heard last. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vrrp/core/fsm.h"

struct vrrp_member {
	const struct vrrp_fsm *fsm;
	uint64_t heard_us;      /* the last advert while it was Backup; 0: none */
	uint8_t heard_priority; /* its priority; 0: that Active has resigned */
	bool heard_better;      /* it would win an election against us */
};

/* The number of the member because of which `self`, whose time has come, must wait; `n`: none.
 *
 * Another one may become Active too if it claims already, waits itself, is about to claim, or if
 * its Active has resigned one of the group since it was heard: by G2 the peer resigns all. */
unsigned vrrp_group_objector(
    const struct vrrp_member *members, unsigned n, unsigned self, uint64_t now_us);

/* We are Active for one, and hear a better Active for another: G4, if it lasts. */
bool vrrp_group_split(const struct vrrp_member *members, unsigned n, uint64_t now_us);
