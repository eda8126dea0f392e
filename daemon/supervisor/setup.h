/* A configuration file with everything around it that yoked reads, checked and ready to be handed
 * to the children: the text in a sealed memfd, the node that we are, the pair's keys and certificates,
 * the admin token, the user that the proxy becomes. Immutable but for log_fd, replaced whole at a
 * reload. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "conf/conf.h"
#include "daemon/ipc/ipc.h"

/* Files that go to the proxy as they are; it has OpenSSL, and judges them. */
enum setup_pem { SETUP_CERTIFICATE, SETUP_PRIVATE_KEY, SETUP_CA, SETUP_PEM_COUNT };

struct setup {
	struct conf *conf;
	int text_fd; /* sealed; the very text that was checked, then the files of `pem` */
	size_t text_len, pem_len[SETUP_PEM_COUNT];
	int log_fd; /* of the access log, opened when this was loaded, or anew since; -1: none */
	bool unprivileged;
	bool has_token;
	struct keys keys; /* none without a peer */
	char token[IPC_TOKEN_MAX];
	char user[IPC_USER_MAX]; /* whom others become; empty when unprivileged */
	uid_t uid;
	gid_t gid;
	char node[IPC_NAME_MAX]; /* "" without nodes */
	char file[256];
};

/* Reads and checks all of it. `node` may be NULL. Every error is reported as a line; returns 0 or
 * -errno, *out untouched. */
int setup_load(
    const char *file, const char *node, conf_report_fn *report, void *arg, struct setup **out);
void setup_free(struct setup *setup);

/* The file only, as --check does; with `node` also that it has such a node. */
int setup_check(const char *file, const char *node, conf_report_fn *report, void *arg);

/* "2 listeners, 3 pools, 1 virtual router" */
char *setup_summary(const struct setup *setup, char *buf, size_t size);
/* "2 listeners (+1 -0), 3 pools (+0 -1), 1 virtual router (+0 -0)"; counts of names that came and
 * went. */
char *setup_difference(const struct setup *from, const struct setup *to, char *buf, size_t size);

/* Messages to the children. */
void setup_config_message(
    const struct setup *setup, uint64_t generation, uint32_t workers, union ipc_message *msg);
void setup_router_message(const struct setup *setup, uint32_t index, union ipc_message *msg);
/* Where that has the router's script of this number, in the list of what it tracks. */
uint8_t setup_script_index(const struct conf_router *router, uint32_t number);
