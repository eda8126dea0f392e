/* What a route does with a request that it takes, compiled from its configuration: the pool, or an
 * answer of its own; what changes in the heads. Immutable. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/http/h1.h"
#include "daemon/route/spec.h"

struct act;
struct act_room; /* what a thread writes texts to; they stay until it is used again */

struct act_room *act_room_new(void); /* NULL when out of memory */
void act_room_free(struct act_room *room);

/* Keeps pointers to the texts of `spec`, and `spec` itself. -EINVAL with a text that says what is wrong
 * (for the check of a configuration), or -ENOMEM. */
int act_new(const struct route_spec *spec, struct err *err, struct act **out);
void act_free(struct act *act);

/* The pool of a request, when `turn` others were before: weights in smooth rotation. */
uint32_t act_pool(const struct act *act, uint64_t turn);

bool act_changes_request(const struct act *act);
bool act_changes_response(const struct act *act);

/* Changes path, host and fields of `head`; variables are those of the request as it came. *grown gets
 * how many bytes the head has become longer, at most. 0; -EINVAL: a rewrite, and the path is one that
 * path.h refuses; -E2BIG: its expression took too long, or a text became too long;
 * -ENOENT: what became of the host is none. */
int act_change_request(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, size_t *grown);
/* Marks fields that go (as if they were hop-by-hop); *lines, field lines that are added in any case, get
 * more. 0 or -E2BIG. */
int act_change_response(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, struct slice *lines);

/* An answer of the route's own: its fields, each with CRLF, without framing, and its body. */
struct act_answer {
	uint16_t status;
	struct slice lines, body;
};

/* Variables are those of the request with the path rewritten, which `head` has then. 0, or the errors
 * above; -ENOENT also when a redirect needs the host, and the request names none. */
int act_answer(const struct act *act, struct h1_head *head, const struct addr *peer,
    struct act_room *room, struct act_answer *answer);

/* Whether a configuration may set, add or remove this field: not what belongs to a connection, frames
 * a message, or is set by other means. NULL, or why not. */
const char *act_field_refused(const char *name, bool response);
