/* What a virtual router watches besides its peer, and what that makes of its priority. Memory and
 * arithmetic only: who asks, and when, is the caller's business. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VRRP_TRACK_WHY_MAX 64

enum vrrp_sight { VRRP_UNSEEN, VRRP_GOOD, VRRP_BAD };

/* A tracked thing. Nothing is held against one that was never seen. */
struct vrrp_tracked {
	enum vrrp_sight sight;
	uint8_t weight;      /* what a failure takes from the priority; 0: it is a fault */
	uint16_t rise, fall; /* results in a row that change the sight */
	uint16_t in_a_row;   /* of them, against the present sight */
	char why[VRRP_TRACK_WHY_MAX];
};

/* One result, with a reason that is kept if it confirms or changes the sight. From UNSEEN the first
 * one decides. True when it has begun or ceased to fail. */
bool vrrp_tracked_result(struct vrrp_tracked *tracked, bool good, const char *why);

/* Weights of those of `n` that fail. */
unsigned vrrp_tracked_weights(const struct vrrp_tracked *tracked, unsigned n);
/* The first that is a fault; `n` if none is. */
unsigned vrrp_tracked_fault(const struct vrrp_tracked *tracked, unsigned n);

/* The configured priority less weights, at least 1: a node that is badly off is still better than
 * none. That of an address owner, 255, stays. */
uint8_t vrrp_effective_priority(uint8_t configured, unsigned weights);

/* Health beats failback: an Active that advertises less than it was configured with has trouble,
 * and a Backup that has less of it and the higher priority relieves it, whatever the failback
 * policy says of nodes that are well. Not before it would have seen the same trouble itself,
 * `patience_us` later: what both of them have is no reason to move. */
struct vrrp_standing {
	uint8_t configured, effective; /* priorities */
};

struct vrrp_rival {
	uint64_t since_us; /* for how long it has been worse off than we; 0: it is not */
};

/* The Active has advertised `theirs.effective`. True: relieve it. */
bool vrrp_rival_judge(struct vrrp_rival *rival, struct vrrp_standing theirs,
    struct vrrp_standing ours, uint64_t patience_us, uint64_t now_us);
