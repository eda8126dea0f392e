/* Deliberate bugs of a node: each changes what it says, just before that goes onto the wire. Whoever
 * checks that a pair does its work must notice every one of them. */
#pragma once

#include "proto/codec.h"

enum bug {
	BUG_NONE,
	BUG_RECORD_FORGOTTEN, /* the last one of a batch */
	BUG_DELETE_FORGOTTEN,
	BUG_TARGET_CONFUSED, /* a session goes to another target */
	BUG_UNITS_CONFUSED,  /* what is left of a session, in milliseconds */
	BUG_HEALTH_FORGOTTEN,
	BUG_ADMIN_FORGOTTEN,
	BUG_SNAPSHOT_SHORT, /* its last session */
	BUG_GHOST,          /* a snapshot has a session that does not exist */
	BUG_ACK_TOO_EARLY,  /* of what is still on its way */
	BUG_HELLO_BOASTS,   /* one record more than it has */
	BUG_DIGESTS_BLIND,  /* they are always what the peer has */
	BUG_REPAIR_EMPTY,   /* nothing between its begin and its end */
	BUG_TABLE_LATE,     /* the journal before the table: model_session does that */
	BUG_COUNT
};

struct model;

const char *bug_name(enum bug bug);
/* Of model->bug, in what node `i` is about to say. */
void bug_alter(struct model *model, int i, struct sync_message *message);
