/* The listening sockets. yoked opens each once and keeps it as long as the configuration names it,
 * so that a yoke-proxy that is restarted gets the same sockets and the connections that came
 * meanwhile wait in the accept queue instead of being refused (unless they must not:
 * listeners_reset_waiting).
 *
 * A reload goes in two steps: prepare opens what is new beside what there is; then commit closes
 * what went away, or abort closes what was new.
 *
 *	             current  next
 *	opened          -      x     prepare
 *	kept            x      x     prepare
 *	going           x      -     prepare
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"
#include "daemon/net/net.h"
#include "daemon/supervisor/setup.h"

struct listener {
	enum ipc_listener_kind kind;
	uint32_t worker;
	char name[IPC_NAME_MAX];
	struct addr bind; /* ADMIN_UNIX: none */
	int fd;
	struct net_listen_options options, next_options; /* TCP: in force; those of the next set */
	bool current, next;
	bool sent; /* the running yoke-proxy has it */
};

struct listeners {
	struct listener *array;
	size_t n;
	char admin_path[108]; /* of the admin socket */
};

void listeners_init(struct listeners *set, const char *admin_path);
/* Closes all; removes the admin socket. */
void listeners_fini(struct listeners *set);

/* What a configuration wants: an array for free(), without descriptors. Pure. -ENOMEM. */
int listeners_wanted(
    const struct conf *conf, uint32_t workers, struct listener **out, size_t *n_out);

/* Returns 0, or -errno with a text that names the listener; then the set is as before. Takes
 * `wanted`'s content, not its memory. */
int listeners_prepare(
    struct listeners *set, const struct listener *wanted, size_t n, struct err *err);
void listeners_commit(struct listeners *set);
void listeners_abort(struct listeners *set);

/* For a yoke-proxy that starts: it has none. */
void listeners_forget_sent(struct listeners *set);
/* The proxy has died, so the virtual addresses are the peer's now, if there is one: resets the
 * connections that wait at them, and drops the datagrams. They began here; an answer would not arrive before the address
 * comes back, and the sessions made for them would be unknown to the Active. */
void listeners_reset_waiting(struct listeners *set, const struct conf *conf);
/* The proxy runs the current (or next) set: it closed what is not in it. */
void listeners_applied(struct listeners *set, bool next);
/* The next socket of the current (or next) set that the proxy does not have, or NULL. */
struct listener *listeners_unsent(struct listeners *set, bool next);
