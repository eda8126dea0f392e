/* What a node of the previous version understands of what it is sent: frames are read by the schema
 * of that time, and applied to a table as its README said. It knows nothing of later fields and
 * messages. */
#pragma once

#include "tests/unit/sync/model.h"

struct previous_reader {
	struct model_node *node; /* its table and targets are changed */
	uint64_t now_us;         /* by the node's clock */

	bool in_snapshot, complete;
	uint64_t epoch, sequence;
	uint16_t mark;
	unsigned frames, digests; /* read; of these, digests of the whole table */
};

/* NULL, or what is wrong with the frame (without its length). */
const char *previous_reader_take(struct previous_reader *reader, const uint8_t *frame, size_t len);
/* NULL, or what the schema of today has of that time's in another form. */
const char *previous_schema_differs(void);
