#include "daemon/supervisor/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/base/clock.h"
#include "daemon/base/text.h"

#define QUEUE_MAX 65536 /* connections or datagrams of a socket that are thrown away at once */

void listeners_init(struct listeners *set, const char *admin_path)
{
	memset(set, 0, sizeof(*set));
	text_copy(set->admin_path, sizeof(set->admin_path), admin_path);
}

static void close_one(struct listeners *set, struct listener *listener)
{
	if (listener->kind == IPC_LISTENER_ADMIN_UNIX)
		unlink(set->admin_path);
	close(listener->fd);
}

void listeners_fini(struct listeners *set)
{
	for (size_t i = 0; i < set->n; i++)
		close_one(set, &set->array[i]);
	free(set->array);
	set->array = NULL;
	set->n = 0;
}

static struct net_listen_options options_of(const struct conf_listener *conf)
{
	const struct conf_keepalive *keepalive = &conf->tcp_keepalive;
	return (struct net_listen_options){.reuse_port = true,
	    .free_bind = true,
	    .backlog = (int)conf->backlog,
	    .defer_accept = conf->defer_accept,
	    .fast_open = conf->fast_open,
	    .tcp = {.keepalive_idle_sec = (uint32_t)(keepalive->idle_us / US_PER_SEC),
		.keepalive_interval_sec = (uint32_t)(keepalive->interval_us / US_PER_SEC),
		.keepalive_count = keepalive->count,
		.user_timeout_ms = (uint32_t)(conf->tcp_user_timeout_us / US_PER_MS)}};
}

/* One of `conf`, or of our own. */
static void add_wanted(struct listener *out, size_t *n, enum ipc_listener_kind kind,
    const char *name, const struct addr *bind, uint32_t worker, const struct conf_listener *conf)
{
	struct listener *listener = &out[(*n)++];
	memset(listener, 0, sizeof(*listener));
	listener->kind = kind;
	listener->worker = worker;
	listener->fd = -1;
	text_copy(listener->name, sizeof(listener->name), name);
	if (bind)
		listener->bind = *bind;
	listener->options =
	    conf ? options_of(conf) : (struct net_listen_options){.free_bind = true};
}

int listeners_wanted(
    const struct conf *conf, uint32_t workers, struct listener **out, size_t *n_out)
{
	size_t max = 3, n = 0;
	for (uint32_t i = 0; i < conf->n_listeners; i++)
		max += (size_t)conf->listeners[i].n_binds * workers;
	struct listener *array = calloc(max, sizeof(*array));
	if (!array)
		return -ENOMEM;
	for (uint32_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *listener = &conf->listeners[i];
		enum ipc_listener_kind kind =
		    listener->mode == CONF_MODE_UDP ? IPC_LISTENER_UDP : IPC_LISTENER_TRAFFIC;
		for (uint32_t j = 0; j < listener->n_binds; j++)
			for (uint32_t worker = 0; worker < workers; worker++)
				add_wanted(array, &n, kind, listener->name, &listener->binds[j],
				    worker, listener);
	}
	add_wanted(array, &n, IPC_LISTENER_ADMIN_UNIX, "admin", NULL, 0, NULL);
	if (conf->admin_tcp)
		add_wanted(
		    array, &n, IPC_LISTENER_ADMIN_TCP, "admin", &conf->admin_listen, 0, NULL);
	if (conf->peer != CONF_NONE) {
		struct addr own = conf->nodes[conf->self].address;
		addr_set_port(&own, conf->sync.port);
		add_wanted(array, &n, IPC_LISTENER_SYNC, "sync", &own, 0, NULL);
	}
	*out = array;
	*n_out = n;
	return 0;
}

static bool same_socket(const struct listener *a, const struct listener *b)
{
	return a->kind == b->kind && a->worker == b->worker &&
	       (a->kind == IPC_LISTENER_ADMIN_UNIX || addr_equal(&a->bind, &b->bind));
}

static struct listener *find(struct listeners *set, const struct listener *wanted, bool by_name)
{
	for (size_t i = 0; i < set->n; i++) {
		struct listener *listener = &set->array[i];
		if (same_socket(listener, wanted) &&
		    (!by_name || strcmp(listener->name, wanted->name) == 0))
			return listener;
	}
	return NULL;
}

static bool is_udp(const struct listener *listener)
{
	return listener->kind == IPC_LISTENER_UDP;
}

/* Of the workers: each has one in a SO_REUSEPORT group. */
static bool is_shared(const struct listener *listener)
{
	return listener->kind == IPC_LISTENER_TRAFFIC || is_udp(listener);
}

static bool port_is_ours(const struct listeners *set, const struct listener *wanted)
{
	for (size_t i = 0; i < set->n; i++) {
		const struct listener *listener = &set->array[i];
		if (listener->kind != IPC_LISTENER_ADMIN_UNIX &&
		    is_udp(listener) == is_udp(wanted) &&
		    addr_port(&listener->bind) == addr_port(&wanted->bind))
			return true;
	}
	return false;
}

static int open_error(const struct listener *wanted, int error, struct err *err)
{
	char where[ADDR_TEXT_MAX] = "unix socket";
	if (wanted->kind != IPC_LISTENER_ADMIN_UNIX)
		addr_format(&wanted->bind, where);
	const char *hint = "";
	if (error == -EACCES && wanted->kind != IPC_LISTENER_ADMIN_UNIX)
		hint = " (ports below 1024 need root)";
	return err_set(err, error, "listener %s: %s: %s%s", wanted->name, where,
	    error == -EADDRINUSE ? "another program listens there" : strerror(-error), hint);
}

static int open_network(const struct listener *wanted, const struct net_listen_options *options)
{
	return is_udp(wanted) ? net_listen_udp(&wanted->bind, options)
			      : net_listen_tcp(&wanted->bind, options);
}

/* With SO_REUSEPORT a second program of the same user shares the port unnoticed, half of the
 * traffic each: a mistake to find here. A look without the option tells. It is left out where a
 * socket of our own has the port, which would be found instead. */
static int check_port_is_free(const struct listeners *set, const struct listener *wanted)
{
	struct net_listen_options options = {.free_bind = true, .backlog = 1};
	if (!is_shared(wanted) || port_is_ours(set, wanted))
		return 0;
	int fd = open_network(wanted, &options);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* A descriptor or -errno. */
static int open_one(struct listeners *set, struct listener *wanted)
{
	/* Known under another name: the same socket, with what waits in its queue. */
	const struct listener *twin = find(set, wanted, false);
	if (twin) {
		wanted->options = twin->options;
		int fd = fcntl(twin->fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? -errno : fd;
	}
	if (wanted->kind == IPC_LISTENER_ADMIN_UNIX)
		return net_listen_unix(set->admin_path, 0600);
	int rc = check_port_is_free(set, wanted);
	if (rc)
		return rc;
	return open_network(wanted, &wanted->options);
}

int listeners_prepare(
    struct listeners *set, const struct listener *wanted, size_t n, struct err *err)
{
	struct listener *array = realloc(set->array, (set->n + n + 1) * sizeof(*array));
	if (!array)
		return err_set(err, -ENOMEM, "listeners: out of memory");
	set->array = array;
	for (size_t i = 0; i < n; i++) {
		struct listener *known = find(set, &wanted[i], true);
		if (known) {
			known->next = true;
			known->next_options = wanted[i].options;
			continue;
		}
		struct listener *added = &set->array[set->n];
		*added = wanted[i];
		added->next_options = added->options;
		added->fd = open_one(set, added);
		if (added->fd < 0) {
			int error = added->fd;
			listeners_abort(set);
			return open_error(&wanted[i], error, err);
		}
		set->n++;
		added->next = true;
		added->current = added->sent = false;
	}
	return 0;
}

/* A socket that is kept gets what the configuration says now. */
static void change_options(struct listener *listener)
{
	if (listener->kind == IPC_LISTENER_ADMIN_UNIX || is_udp(listener) ||
	    memcmp(&listener->options, &listener->next_options, sizeof(listener->options)) == 0)
		return;
	int rc = net_listen_change(listener->fd, &listener->next_options);
	if (rc)
		log_warn(
		    "listener %s: its socket keeps its options: %s", listener->name, strerror(-rc));
	else
		listener->options = listener->next_options;
}

/* Keeps those for which the flag is set. */
static void keep_only(struct listeners *set, bool next)
{
	size_t kept = 0;
	for (size_t i = 0; i < set->n; i++) {
		struct listener *listener = &set->array[i];
		if (next ? listener->next : listener->current) {
			if (next)
				change_options(listener);
			listener->current = true;
			listener->next = false;
			set->array[kept++] = *listener;
		} else {
			close_one(set, listener);
		}
	}
	set->n = kept;
}

void listeners_commit(struct listeners *set)
{
	keep_only(set, true);
}

void listeners_abort(struct listeners *set)
{
	keep_only(set, false);
}

void listeners_forget_sent(struct listeners *set)
{
	for (size_t i = 0; i < set->n; i++)
		set->array[i].sent = false;
}

static bool is_virtual(const struct conf *conf, const struct addr *bind)
{
	for (uint32_t i = 0; i < conf->n_routers; i++) {
		const struct conf_router *router = &conf->routers[i];
		for (uint32_t j = 0; j < router->n_addresses; j++) {
			if (addr_equal_ip(&router->addresses[j].addr, bind))
				return true;
		}
	}
	return false;
}

static void reset_queue(int fd)
{
	struct linger reset = {.l_onoff = 1};
	for (int i = 0; i < QUEUE_MAX; i++) {
		int waiting = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (waiting < 0)
			return; /* the socket does not block */
		(void)setsockopt(waiting, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(waiting);
	}
}

static void discard_queue(int fd)
{
	char byte;
	for (int i = 0; i < QUEUE_MAX && recv(fd, &byte, 1, MSG_TRUNC) >= 0; i++)
		;
}

void listeners_reset_waiting(struct listeners *set, const struct conf *conf)
{
	for (size_t i = 0; i < set->n; i++) {
		struct listener *listener = &set->array[i];
		if (!is_shared(listener) || conf->peer == CONF_NONE ||
		    !is_virtual(conf, &listener->bind))
			continue;
		if (is_udp(listener))
			discard_queue(listener->fd);
		else
			reset_queue(listener->fd);
	}
}

static bool in_set(const struct listener *listener, bool next)
{
	return next ? listener->next : listener->current;
}

void listeners_applied(struct listeners *set, bool next)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!in_set(&set->array[i], next))
			set->array[i].sent = false;
	}
}

struct listener *listeners_unsent(struct listeners *set, bool next)
{
	for (size_t i = 0; i < set->n; i++) {
		struct listener *listener = &set->array[i];
		if (!listener->sent && in_set(listener, next))
			return listener;
	}
	return NULL;
}
