#include "daemon/supervisor/setup.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/text.h"
#include "daemon/net/net.h"
#include "daemon/supervisor/logfile.h"
#include "vrrp/core/auth.h"

#define CONFIG_SIZE_MAX (4U << 20)
#define PEM_SIZE_MAX    (64U << 10)
#define FALLBACK_USER   "nobody"

_Static_assert(4 * CONF_TRACKED_MAX <= IPC_TRACKED_MAX, "all that is tracked fits a message");

struct reporter {
	const char *file;
	conf_report_fn *fn;
	void *arg;
};

static int report(const struct reporter *reporter, int code, const struct err *err)
{
	char line[sizeof(err->text) + 256];
	snprintf(line, sizeof(line), "%s: %s", reporter->file, err->text);
	reporter->fn(reporter->arg, line);
	return code;
}

/* --- files --- */

static int read_all(int fd, char *buf, size_t size, size_t *len)
{
	size_t got = 0;
	while (got < size) {
		ssize_t n = read(fd, buf + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*len = got;
	return 0;
}

/* Regular files only: a FIFO would stop yoked for as long as it pleases. */
static int open_regular(const char *path, struct stat *st, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return err_set(err, -EINVAL, "is not a regular file");
	}
	return fd;
}

static int read_config(const char *path, char **text, size_t *len, struct err *err)
{
	struct stat st;
	int fd = open_regular(path, &st, err);
	if (fd < 0)
		return fd;
	int rc = 0;
	char *buf = malloc(CONFIG_SIZE_MAX + 1);
	if (!buf)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (!rc && (rc = read_all(fd, buf, CONFIG_SIZE_MAX + 1, len)))
		err_set(err, rc, "%s", strerror(-rc));
	if (!rc && *len > CONFIG_SIZE_MAX)
		rc = err_set(err, -EFBIG, "is larger than %u MiB", CONFIG_SIZE_MAX >> 20);
	close(fd);
	if (rc) {
		free(buf);
		return rc;
	}
	*text = buf;
	return 0;
}

/* A child gets what was checked, whatever happens to the file meanwhile, and cannot change it for
 * its successor. */
static int make_text_fd(struct err *err)
{
	int fd = memfd_create("yoke-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? err_set(err, -errno, "memfd: %s", strerror(errno)) : fd;
}

static int append(int fd, const char *text, size_t len, struct err *err)
{
	size_t done = 0;
	while (done < len) {
		ssize_t n = write(fd, text + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, -EIO, "memfd: %s", strerror(errno));
		done += (size_t)n;
	}
	return 0;
}

static int seal(int fd, struct err *err)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	if (fcntl(fd, F_ADD_SEALS, seals) < 0)
		return err_set(err, -EIO, "memfd: %s", strerror(errno));
	return 0;
}

static int load_token(const char *path, char token[IPC_TOKEN_MAX], struct err *err)
{
	char buf[IPC_TOKEN_MAX + 64] = "";
	struct err why;
	struct stat st;
	size_t len = 0;
	int fd = open_regular(path, &st, &why);
	if (fd < 0)
		return err_set(err, fd, "admin.token_file: %s: %s", path, why.text);
	int rc = read_all(fd, buf, sizeof(buf) - 1, &len);
	close(fd);
	if (rc)
		return err_set(err, rc, "admin.token_file: %s: %s", path, strerror(-rc));
	if (st.st_mode & (S_IROTH | S_IWOTH | S_IWGRP))
		return err_set(err, -EPERM,
		    "admin.token_file: %s: others may read or write it: chmod 600", path);
	while (len > 0 && isspace((unsigned char)buf[len - 1]))
		buf[--len] = '\0';
	if (len == 0 || len >= IPC_TOKEN_MAX || strlen(buf) != len)
		return err_set(err, -EINVAL,
		    "admin.token_file: %s: must hold one line of 1 to %d characters", path,
		    IPC_TOKEN_MAX - 1);
	for (size_t i = 0; i < len; i++) {
		if (!isgraph((unsigned char)buf[i]))
			return err_set(err, -EINVAL,
			    "admin.token_file: %s: only visible characters, no spaces", path);
	}
	memcpy(token, buf, len + 1);
	text_wipe(buf, sizeof(buf));
	return 0;
}

/* --- what goes with the text --- */

static int choose_user(struct setup *setup, struct err *err)
{
	setup->unprivileged = geteuid() != 0;
	if (setup->unprivileged)
		return 0;
	const char *user = setup->conf->user;
	const struct passwd *pw = getpwnam(user);
	if (!pw && setup->conf->user_given)
		return err_set(err, -ENOENT, "user: \"%s\" does not exist on this host", user);
	if (!pw) {
		log_warn(
		    "user \"%s\" does not exist: yoke-proxy becomes \"%s\"", user, FALLBACK_USER);
		user = FALLBACK_USER;
		pw = getpwnam(user);
	}
	if (!pw)
		return err_set(err, -ENOENT, "user: \"%s\" does not exist on this host", user);
	if (pw->pw_uid == 0)
		return err_set(err, -EINVAL, "user: yoke-proxy does not run as root");
	if (strlen(user) >= sizeof(setup->user))
		return err_set(err, -EINVAL, "user: \"%s\" is too long", user);
	text_copy(setup->user, sizeof(setup->user), user);
	setup->uid = pw->pw_uid;
	setup->gid = pw->pw_gid;
	return 0;
}

static int check_capabilities(const struct conf *conf, struct err *err)
{
	capng_get_caps_process();
	if (conf_is_transparent(conf) &&
	    (geteuid() != 0 || !capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW)))
		return err_set(err, -EPERM,
		    "pools: source \"client\": needs root, with CAP_NET_RAW, to connect from other "
		    "hosts' addresses");
	if (conf->n_routers == 0)
		return 0;
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) &&
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_RAW))
		return 0;
	return err_set(err, -EPERM,
	    "virtual_routers: need root, or CAP_NET_ADMIN and CAP_NET_RAW, to hold a virtual "
	    "address");
}

static int load_keys(struct setup *setup, struct err *err)
{
	const struct conf *conf = setup->conf;
	if (conf->peer == CONF_NONE || !conf->sync.key_file)
		return 0;
	struct err why;
	int rc = conf_keys_load(conf->sync.key_file, &setup->keys, &why);
	return rc ? err_set(err, rc, "sync.key_file: %s", why.text) : 0;
}

static int append_pem(
    struct setup *setup, enum setup_pem which, const char *key, const char *path, struct err *err)
{
	char pem[PEM_SIZE_MAX];
	struct err why;
	int rc = conf_guarded_read(
	    path, which == SETUP_PRIVATE_KEY, pem, sizeof(pem), &setup->pem_len[which], &why);
	if (rc)
		err_set(err, rc, "sync.%s: %s: %s", key, path, why.text);
	else
		rc = append(setup->text_fd, pem, setup->pem_len[which], err);
	text_wipe(pem, sizeof(pem));
	return rc;
}

static int append_certificates(struct setup *setup, const struct reporter *reporter)
{
	const struct conf_sync *sync = &setup->conf->sync;
	const char *const keys[] = {"certificate", "private_key", "ca"};
	const char *const paths[] = {sync->certificate, sync->private_key, sync->ca};
	struct err err;
	int failed = 0;
	if (setup->conf->peer == CONF_NONE || !sync->certificate)
		return 0;
	for (int i = 0; i < SETUP_PEM_COUNT; i++) {
		int rc = append_pem(setup, (enum setup_pem)i, keys[i], paths[i], &err);
		if (rc)
			failed = report(reporter, rc, &err);
	}
	return failed;
}

/* All of these are looked at, so that all errors are told at once. */
static int complete(struct setup *setup, const char *node, const struct reporter *reporter)
{
	struct conf *conf = setup->conf;
	struct err err;
	int failed = 0, rc = conf_select_node(conf, node, net_is_local, &err);
	if (rc)
		return report(reporter, rc, &err); /* what follows depends on it */
	if (conf->self != CONF_NONE)
		text_copy(setup->node, sizeof(setup->node), conf->nodes[conf->self].name);
	if ((rc = check_capabilities(conf, &err)))
		failed = report(reporter, rc, &err);
	if ((rc = load_keys(setup, &err)))
		failed = report(reporter, rc, &err);
	if ((rc = choose_user(setup, &err)))
		failed = report(reporter, rc, &err);
	if (conf->admin_token_file) {
		if ((rc = load_token(conf->admin_token_file, setup->token, &err)))
			failed = report(reporter, rc, &err);
		setup->has_token = rc == 0;
	}
	if ((rc = append_certificates(setup, reporter)))
		failed = rc;
	/* Anew each time, whether or not the text has changed: the old file may have been renamed. */
	if (conf->access_log.file &&
	    (setup->log_fd = logfile_open(conf->access_log.file, &err)) < 0)
		failed = report(reporter, setup->log_fd, &err);
	return failed;
}

int setup_load(
    const char *file, const char *node, conf_report_fn *report_fn, void *arg, struct setup **out)
{
	struct reporter reporter = {file, report_fn, arg};
	struct err err = {""};
	char *text = NULL;
	size_t len = 0;
	struct setup *setup = calloc(1, sizeof(*setup));
	if (!setup)
		return report(&reporter, -ENOMEM, (err_set(&err, 0, "out of memory"), &err));
	setup->text_fd = setup->log_fd = -1;
	text_copy(setup->file, sizeof(setup->file), file);

	int rc = read_config(file, &text, &len, &err);
	if (rc) {
		report(&reporter, rc, &err);
		goto out;
	}
	rc = conf_load(file, text, len, report_fn, arg, &setup->conf);
	if (rc)
		goto out;
	setup->text_len = len;
	setup->text_fd = make_text_fd(&err);
	rc = setup->text_fd < 0 ? setup->text_fd : append(setup->text_fd, text, len, &err);
	if (rc) {
		report(&reporter, rc, &err);
		goto out;
	}
	rc = complete(setup, node, &reporter);
	if (!rc && (rc = seal(setup->text_fd, &err)))
		report(&reporter, rc, &err);
out:
	free(text);
	if (rc)
		setup_free(setup);
	else
		*out = setup;
	return rc;
}

void setup_free(struct setup *setup)
{
	if (!setup)
		return;
	if (setup->conf)
		conf_free(setup->conf);
	if (setup->text_fd >= 0)
		close(setup->text_fd);
	if (setup->log_fd >= 0)
		close(setup->log_fd);
	text_wipe(setup, sizeof(*setup));
	free(setup);
}

static bool anywhere(const struct addr *addr)
{
	(void)addr;
	return false;
}

int setup_check(const char *file, const char *node, conf_report_fn *report_fn, void *arg)
{
	struct reporter reporter = {file, report_fn, arg};
	struct err err = {""};
	char *text = NULL;
	size_t len = 0;
	struct conf *conf = NULL;
	int rc = read_config(file, &text, &len, &err);
	if (rc)
		return report(&reporter, rc, &err);
	rc = conf_load(file, text, len, report_fn, arg, &conf);
	free(text);
	if (rc)
		return rc;
	if (node && (rc = conf_select_node(conf, node, anywhere, &err)))
		report(&reporter, rc, &err);
	conf_free(conf);
	return rc;
}

/* --- texts --- */

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

char *setup_summary(const struct setup *setup, char *buf, size_t size)
{
	const struct conf *conf = setup->conf;
	snprintf(buf, size, "%u listener%s, %u pool%s, %u virtual router%s", conf->n_listeners,
	    plural(conf->n_listeners), conf->n_pools, plural(conf->n_pools), conf->n_routers,
	    plural(conf->n_routers));
	return buf;
}

/* How many names of `a` are not in `b`; a name is the member at `offset` of each element. */
static uint32_t count_missing(const void *a, uint32_t n_a, const void *b, uint32_t n_b,
    size_t element_size, size_t name_offset)
{
	uint32_t missing = 0;
	for (uint32_t i = 0; i < n_a; i++) {
		const char *name, *other;
		bool found = false;
		memcpy(&name, (const char *)a + i * element_size + name_offset, sizeof(name));
		for (uint32_t j = 0; j < n_b && !found; j++) {
			memcpy(&other, (const char *)b + j * element_size + name_offset,
			    sizeof(other));
			found = strcmp(name, other) == 0;
		}
		missing += !found;
	}
	return missing;
}

#define CAME_AND_WENT(from, to, array, n, type)                                                \
	count_missing((to)->array, (to)->n, (from)->array, (from)->n, sizeof(struct type),     \
	    offsetof(struct type, name)),                                                      \
	    count_missing((from)->array, (from)->n, (to)->array, (to)->n, sizeof(struct type), \
		offsetof(struct type, name))

char *setup_difference(const struct setup *from, const struct setup *to, char *buf, size_t size)
{
	const struct conf *a = from->conf, *b = to->conf;
	snprintf(buf, size,
	    "%u listener%s (+%u -%u), %u pool%s (+%u -%u), %u virtual router%s (+%u -%u)",
	    b->n_listeners, plural(b->n_listeners),
	    CAME_AND_WENT(a, b, listeners, n_listeners, conf_listener), b->n_pools,
	    plural(b->n_pools), CAME_AND_WENT(a, b, pools, n_pools, conf_pool), b->n_routers,
	    plural(b->n_routers), CAME_AND_WENT(a, b, routers, n_routers, conf_router));
	return buf;
}

/* --- messages --- */

void setup_config_message(
    const struct setup *setup, uint64_t generation, uint32_t workers, union ipc_message *msg)
{
	ipc_init(msg, IPC_CONFIG);
	struct ipc_config *config = &msg->config;
	config->generation = generation;
	config->workers = workers;
	config->unprivileged = setup->unprivileged;
	config->pair = setup->conf->peer != CONF_NONE;
	config->text_len = (uint32_t)setup->text_len;
	config->certificate_len = (uint32_t)setup->pem_len[SETUP_CERTIFICATE];
	config->private_key_len = (uint32_t)setup->pem_len[SETUP_PRIVATE_KEY];
	config->ca_len = (uint32_t)setup->pem_len[SETUP_CA];
	config->has_token = setup->has_token;
	config->keys = setup->keys;
	text_copy(config->token, sizeof(config->token), setup->token);
	text_copy(config->user, sizeof(config->user), setup->user);
	text_copy(config->node, sizeof(config->node), setup->node);
	text_copy(config->file, sizeof(config->file), setup->file);
}

static struct ipc_tracked *add_tracked(
    struct ipc_router *to, enum ipc_tracked_kind kind, uint8_t weight, const char *name)
{
	struct ipc_tracked *tracked = &to->tracked[to->n_tracked++];
	tracked->kind = (uint8_t)kind;
	tracked->weight = weight;
	text_copy(tracked->name, sizeof(tracked->name), name);
	return tracked;
}

static void set_rhythm(struct ipc_tracked *tracked, uint64_t interval_us, uint64_t timeout_us,
    uint16_t rise, uint16_t fall)
{
	tracked->interval_us = (uint32_t)(interval_us < UINT32_MAX ? interval_us : UINT32_MAX);
	tracked->timeout_us = (uint32_t)(timeout_us < UINT32_MAX ? timeout_us : UINT32_MAX);
	tracked->rise = rise;
	tracked->fall = fall;
}

static void add_all_tracked(
    const struct conf *conf, const struct conf_track *track, struct ipc_router *to)
{
	for (uint32_t i = 0; i < track->n_interfaces; i++)
		add_tracked(to, IPC_TRACKED_INTERFACE, track->interfaces[i].weight,
		    track->interfaces[i].name);
	for (uint32_t i = 0; i < track->n_pools; i++) {
		const struct conf_track_pool *from = &track->pools[i];
		const struct conf_pool *pool = &conf->pools[from->pool];
		struct ipc_tracked *tracked =
		    add_tracked(to, IPC_TRACKED_POOL, from->weight, pool->name);
		tracked->at_least = from->at_least;
		/* How long its targets' failure takes to be noticed; rise and fall were theirs. */
		set_rhythm(tracked, pool->health.interval_us * pool->health.fall,
		    pool->health.timeout_us, 1, 1);
	}
	for (uint32_t i = 0; i < track->n_addresses; i++) {
		const struct conf_track_address *from = &track->addresses[i];
		struct ipc_tracked *tracked =
		    add_tracked(to, IPC_TRACKED_ADDRESS, from->weight, "");
		tracked->address = from->address;
		set_rhythm(tracked, from->interval_us, from->timeout_us, from->rise, from->fall);
	}
	for (uint32_t i = 0; i < track->n_scripts; i++) {
		const struct conf_track_script *from = &track->scripts[i];
		set_rhythm(add_tracked(to, IPC_TRACKED_SCRIPT, from->weight, from->command[0]),
		    from->interval_us, from->timeout_us, from->rise, from->fall);
	}
	to->witness = track->witness;
}

uint8_t setup_script_index(const struct conf_router *router, uint32_t number)
{
	const struct conf_track *track = &router->track;
	return (uint8_t)(track->n_interfaces + track->n_pools + track->n_addresses + number);
}

void setup_router_message(const struct setup *setup, uint32_t index, union ipc_message *msg)
{
	const struct conf *conf = setup->conf;
	const struct conf_router *from = &conf->routers[index];
	ipc_init(msg, IPC_ROUTER);
	struct ipc_router *to = &msg->router;
	text_copy(to->name, sizeof(to->name), from->name);
	text_copy(to->interface, sizeof(to->interface), from->interface);
	to->vrid = from->vrid;
	to->failback = (uint8_t)from->failback;
	to->mode = (uint8_t)from->mode;
	to->checksum = (uint8_t)from->checksum;
	to->version = from->version;
	to->min_ttl = from->min_ttl;
	to->virtual_mac = from->virtual_mac;
	to->authenticate = (uint8_t)from->authenticate;
	if (from->authenticate != CONF_AUTHENTICATE_FALSE) {
		to->auth_keys.n = setup->keys.n;
		for (unsigned i = 0; i < setup->keys.n; i++)
			vrrp_auth_derive(setup->keys.of[i], to->auth_keys.of[i]);
	}
	to->advertise_us = from->advertise_us;
	if (conf->self != CONF_NONE) {
		to->priority = conf_node_priority(&conf->nodes[conf->self], from->name);
		to->local = conf->nodes[conf->self].address;
	}
	if (conf->peer != CONF_NONE) {
		to->peer = conf->nodes[conf->peer].address;
		to->peer_priority = conf_node_priority(&conf->nodes[conf->peer], from->name);
	}
	to->startup_delay_us = (uint32_t)from->startup_delay_us;
	to->announce_interval_us = (uint32_t)from->announce.interval_us;
	to->announce_refresh_us = from->announce.refresh_us;
	text_copy(to->group, sizeof(to->group), from->group ? from->group : "");
	add_all_tracked(conf, &from->track, to);
	for (uint32_t i = 0; i < from->n_addresses && i < IPC_ADDRESSES_MAX; i++) {
		to->addresses[i].addr = from->addresses[i].addr;
		to->addresses[i].prefix = from->addresses[i].prefix;
		to->n_addresses++;
	}
}
