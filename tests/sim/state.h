/* States of a world (world.h), packed, and the set of those that were seen.
 *
 * States are kept as 64-bit hashes: of 100 million, two are taken for one with a probability of 1
 * in 3,700. */
#pragma once

#include <stddef.h>

#include "tests/sim/world.h"

#define STATE_MAX 88

struct state {
	uint8_t bytes[STATE_MAX];
	uint32_t id;
};

struct seen {
	uint64_t *hashes;
	uint32_t *parents; /* from which state it was reached */
	uint32_t *slots;   /* id + 1, or 0 */
	size_t n, room, n_slots;
};

struct layer {
	struct state *states;
	size_t n, room;
};

void state_pack(struct world *w, struct state *state);
void state_unpack(const struct state *state, enum sim_rule without, struct world *w);
uint64_t state_hash(const struct state *state);

/* True if it is new; then it gets an id. Ends the program when there is no memory. */
bool seen_note(struct seen *seen, struct state *state, uint32_t parent);
void seen_fini(struct seen *seen);
void layer_add(struct layer *layer, const struct state *state);
