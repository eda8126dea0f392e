/* What the peer must hear before everything else: messages about one virtual router each (ROUTER,
 * QUESTION, EVIDENCE, CLAIM). They are worth something only as long as they are the newest of their
 * kind, so a newer one takes the place of one that has not left, and the memory is bounded. Any
 * thread puts, the sync thread takes. */
#pragma once

#include <stdbool.h>

#include "proto/codec.h"

struct urgent;

struct urgent *urgent_new(void); /* NULL when out of memory */
void urgent_free(struct urgent *urgent);

/* `last`: the router leaves our configuration; nothing is kept of it when this has been sent. */
void urgent_put(struct urgent *urgent, const struct sync_message *message, bool last);
/* A peer has been greeted: it must hear how all routers stand, and nothing else of what was said
 * before. */
void urgent_restart(struct urgent *urgent);
/* What is due next, if anything is. */
bool urgent_take(struct urgent *urgent, struct sync_message *out);
