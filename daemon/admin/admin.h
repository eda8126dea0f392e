/* The Admin API: JSON over HTTP/1.1 on the unix socket in the run dir (changing verbs allowed: the
 * socket's file mode is the permission) and optionally on TCP (read-only without a token). Runs on
 * the control thread's loop with small limits: few connections, small requests, short timeouts.
 * What it shows and does comes from the callbacks. */
#pragma once

#include <ev.h>
#include <json-c/json.h>
#include <stdbool.h>

#include "daemon/base/err.h"

struct admin;

/* An answer that comes later (reload, failover): complete it exactly once, by id. */
typedef uint64_t admin_ticket;

struct admin_reply {
	int status;               /* HTTP status; 0: later, by admin_complete */
	struct json_object *body; /* owned by admin after the call; NULL: none */
};

struct admin_callbacks {
	struct json_object *(*status)(void *arg);
	struct json_object *(*pools)(void *arg);
	struct json_object *(*pool)(void *arg, const char *name); /* NULL: 404 */
	/* From `cursor` on: 0, or what an earlier answer said as "next". pool NULL: all. NULL: 404. */
	struct json_object *(*sessions)(
	    void *arg, const char *pool, uint64_t cursor, uint64_t limit, bool show_keys);
	struct json_object *(*events)(
	    void *arg, uint64_t after, bool local); /* local: without the peer's */
	/* Targets at run time; bodies are JSON, as they came. */
	struct admin_reply (*target_add)(
	    void *arg, admin_ticket ticket, const char *pool, const char *body, size_t len);
	struct admin_reply (*target_change)(void *arg, admin_ticket ticket, const char *pool,
	    const char *target, const char *body, size_t len);
	/* drain_timeout: a duration as in the configuration, or NULL: the pool's. */
	struct admin_reply (*target_remove)(void *arg, admin_ticket ticket, const char *pool,
	    const char *target, const char *drain_timeout);
	struct admin_reply (*reload)(void *arg, admin_ticket ticket);
	struct admin_reply (*failover)(
	    void *arg, admin_ticket ticket, const char *router /* or NULL */);
	bool (*healthy)(void *arg, struct err *why); /* GET /healthz: 200 or 503 with why */
	char *(*metrics)(void *arg);                 /* malloc'ed Prometheus text */
	void *arg;
};

/* The body of a refusal, {"error": text}, and of what was done, {"done": text}. */
struct json_object *admin_error(const char *text);
struct json_object *admin_done(const char *text);

struct admin *admin_new(struct ev_loop *loop, const struct admin_callbacks *callbacks);
void admin_free(struct admin *admin);
/* Takes a listening socket. `trusted`: the unix socket. */
int admin_listen(struct admin *admin, int fd, bool trusted);
/* Closes the TCP listener (reload without admin.listen). */
void admin_unlisten_tcp(struct admin *admin);
/* The token that TCP clients show as `Authorization: Bearer TOKEN` for changing verbs; NULL: none.
 * Copied. */
void admin_set_token(struct admin *admin, const char *token);
void admin_complete(struct admin *admin, admin_ticket ticket, int status, struct json_object *body);
