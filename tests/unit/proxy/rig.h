/* The engine in this process, between sockets that the test holds: one worker, an HTTP, a TCP and a
 * UDP listener, two targets. One thread plays client and targets, so that each step is where the test
 * says. Every wait ends by itself after RIG_WAIT_MS, which a busy machine does not need. */
#pragma once

#include <stdbool.h>

#include "conf/conf.h"
#include "daemon/proxy/proxy.h"

#define RIG_TARGETS 2
#define RIG_WAIT_MS 60000

enum rig_listener { RIG_HTTP, RIG_TCP, RIG_UDP, RIG_LISTENERS };

struct rig {
	struct proxy *proxy;
	struct session_table *sessions;
	struct journal *journal;
	struct fleet *fleet; /* the latest */
	struct addr binds[RIG_LISTENERS];
	int sockets[RIG_LISTENERS]; /* that listen there: the engine's */
	struct addr targets[RIG_TARGETS];
	int listening[RIG_TARGETS]; /* -1: closed */
	unsigned generations;       /* alive */
	struct setup *setup;        /* the latest configuration */
	/* The next rig_apply builds from these. */
	struct conf_pool pool;
	struct conf_listener listener;
	uint32_t n_listeners; /* all; less: only the first ones */
	uint32_t n_targets;
	enum conf_sync_sessions sessions_mode;
	uint64_t ack_timeout_us;
	bool is_virtual;  /* the loopback address is one of a virtual router */
	struct keys keys; /* of cookies; one of zeros at first */
};

/* With the first target only, and timeouts that do not run out; not applied yet. */
void rig_init(struct rig *rig);
/* Not on the loopback address, but on this one (in the host's order). */
void rig_init_at(struct rig *rig, uint32_t ip);
/* Puts the settings in force. */
void rig_apply(struct rig *rig);
/* The same for a pair in mode acked that keeps its promise, and a pool that is sticky by `kind`. */
void rig_apply_acked(struct rig *rig, enum conf_sticky_kind kind);
/* The first n_targets under the configuration that is in force. */
void rig_apply_fleet(struct rig *rig);
/* Stops the engine; fails the test if a generation or connection is left. */
void rig_fini(struct rig *rig);
/* Waits until counter(stats) >= at_least: true, or false after RIG_WAIT_MS. */
bool rig_wait(struct rig *rig, uint64_t (*counter)(const struct proxy_stats *), uint64_t at_least);
/* The engine's threads sleep: what they could do is done. Else one of them runs, or would if it got a
 * processor. */
bool rig_at_rest(void);

int rig_connect(const struct rig *rig, enum rig_listener listener);
int rig_accept(const struct rig *rig, unsigned target);
void rig_close_target(struct rig *rig, unsigned target);

void peer_send(int fd, const char *text);
/* The next bytes are exactly these. */
void peer_expect(int fd, const char *text);
#define PEER_HEAD_MAX 4096
/* Takes a head; what came until the wait was over, if it is not complete. */
void peer_read_head(int fd, char head[PEER_HEAD_MAX]);
/* The next bytes are a head that begins with `start` and contains `part`. */
void peer_expect_head(int fd, const char *start, const char *part);
/* The same, and takes the body of Content-Length. */
void peer_expect_answer(int fd, const char *start, const char *part);
void peer_expect_eof(int fd);
void peer_expect_reset(int fd);
/* Nothing comes for `ms`. */
void peer_expect_silence(int fd, int ms);
void peer_reset(int fd);
