/* One conversation of two nodes in which everything happens: a snapshot, records, what is not
 * replication, a cut that is resumed and one that is not, digests, and the roles change hands. What
 * a node says in it depends on its own code and on the model's clock alone. So it can be written
 * down (the node's tape), and said again to nodes of later versions. */
#pragma once

#include <stdio.h>

#include "tests/unit/sync/model.h"

struct conversation {
	struct model model;
	/* This node is none: it says what is on its tape. -1: both are there. */
	int recorded;
	/* The recorded node hears frames; in the order in which they were said. */
	void (*on_heard)(struct conversation *conversation, const uint8_t *frame, size_t len);
	/* A part of the conversation has come to its end. */
	void (*on_part)(struct conversation *conversation, const char *part);
	/* Each turn to speak is 4 bytes length (big-endian) and so many bytes of frames; TAPE_REST
	 * instead of a length when both had nothing more to say. If both are there, NULL: not
	 * written down. */
	FILE *tape[2];
};

#define TAPE_REST UINT32_MAX

/* False, with a text on stderr, if a tape cannot be written, or ends too early or too late. */
bool conversation_run(struct conversation *conversation);
