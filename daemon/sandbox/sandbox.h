/* Giving up privileges, for good. Each returns 0 or -errno with a text. Users and capabilities:
 * before the first thread starts, since capabilities belong to a thread. */
#pragma once

#include <stdbool.h>

#include "daemon/base/err.h"

/* Become `user` (uid, gid, no supplementary groups), without any capability (`transparent`: but
 * CAP_NET_RAW, for IP_TRANSPARENT), no_new_privs. */
int sandbox_become_user(const char *user, bool transparent, struct err *err);
/* Keep CAP_NET_RAW and CAP_NET_ADMIN only (permitted, effective, bounding set), no_new_privs. */
int sandbox_keep_net_caps(struct err *err);
/* no_new_privs and nothing else: started without root. */
int sandbox_no_new_privs(struct err *err);
/* Lock memory and take SCHED_FIFO `priority`; refusal is not fatal to the caller. Before the
 * capabilities go. */
int sandbox_realtime(int priority, struct err *err);

/* The system calls that yoke-proxy's steady state needs; others kill the process (SIGSYS, logged by
 * the kernel). Covers all threads. Under sanitizers it does nothing and says so. */
int sandbox_seccomp_proxy(struct err *err);
int sandbox_seccomp_vrrp(struct err *err);

/* The process ends when its parent does. */
void sandbox_die_with_parent(void);
