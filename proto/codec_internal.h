/* Shared by codec.c (framing, packing) and unpack.c (checking what came in). */
#pragma once

#include "proto/codec.h"
#include "proto/sync.pb-c.h"

/* Converts a whole frame and checks every field; records go to `records` (SYNC_BATCH_MAX of them).
 * 0, or -EPROTO with a text. */
int unpack_frame(const Yoke__Sync__Frame *frame, struct record *records,
    struct sync_message *message, struct err *err);
