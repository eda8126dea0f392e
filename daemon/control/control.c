/* The control thread's spine: messages of yoked, putting configurations in force, the tick, the
 * end. */
#include "daemon/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/sandbox/sandbox.h"

#define WORKER_STUCK_US   (800 * US_PER_MS)
#define CONFIG_TEXT_MAX   (4U << 20)
#define POLL_INTERVAL_SEC 0.002 /* while something is being waited for that has no event */

void control_poll_soon(struct control *control)
{
	ev_timer_stop(control->loop, &control->tick);
	ev_timer_set(&control->tick, POLL_INTERVAL_SEC, CONTROL_TICK_SEC);
	ev_timer_start(control->loop, &control->tick);
}

void control_object_target(
    char *buf, size_t size, const struct pool *pool, const struct target *target)
{
	snprintf(buf, size, "pool %s target %s", pool->name, target->text);
}

void control_note_admin(struct target *target, const char *why)
{
	target->admin_since_us = clock_us();
	text_copy(target->admin_reason, sizeof(target->admin_reason), why);
}

/* --- reading a configuration --- */

static void report_error(void *arg, const char *line)
{
	struct err *err = arg;
	log_error("%s", line);
	if (!err->text[0])
		err_set(err, 0, "%s", line);
}

char *control_read_incoming(
    const struct control *control, uint32_t offset, uint32_t len, struct err *err)
{
	char *buf = len <= CONFIG_TEXT_MAX ? malloc((size_t)len + 1) : NULL;
	if (!buf) {
		err_set(err, -ENOMEM, "no memory for a configuration of %u bytes", len);
		return NULL;
	}
	if (pread(control->incoming_text_fd, buf, len, offset) != (ssize_t)len) {
		free(buf);
		err_set(err, -EIO, "the configuration cannot be read from yoked's descriptor");
		return NULL;
	}
	buf[len] = '\0';
	return buf;
}

/* yoked has checked this text already; an error here means that the two programs differ. */
static int load_incoming(struct control *control, struct conf **out, struct err *err)
{
	struct conf *conf = NULL;
	uint32_t len = control->incoming.text_len;
	char *text = control_read_incoming(control, 0, len, err);
	if (!text)
		return -EIO;
	int error = conf_load(control->incoming.file, text, len, report_error, err, &conf);
	free(text);
	if (error)
		return error;
	if (conf->n_nodes > 0)
		error = conf_select_node(conf, control->incoming.node, NULL, err);
	if (error) {
		conf_free(conf);
		return error;
	}
	*out = conf;
	return 0;
}

/* --- the first configuration: give up privileges, then start the parts --- */

static int drop_privileges(
    const struct ipc_config *config, const struct conf *conf, struct err *err)
{
	int error = config->unprivileged
			? sandbox_no_new_privs(err)
			: sandbox_become_user(config->user, conf_is_transparent(conf), err);
	return error ? error : sandbox_seccomp_proxy(err);
}

static int random_bytes(void *buf, size_t len, struct err *err)
{
	if (getrandom(buf, len, 0) != (ssize_t)len)
		return err_set(err, -EIO, "getrandom: %s", strerror(errno));
	return 0;
}

static void on_target_changed(
    void *arg, struct pool *pool, struct target *target, enum target_health before)
{
	struct control *control = arg;
	char object[sizeof(((struct event *)0)->object)];
	control_object_target(object, sizeof(object), pool, target);
	enum target_health now = atomic_load_explicit(&target->health, memory_order_relaxed);
	if (now != before)
		events_add(&control->events, object, target_health_name(before),
		    target_health_name(now), target->reason);
	replica_health_changed(control, target);
	if (now != before)
		outliers_poll(control);
}

/* Any thread. A session has made room for another one: the peer's table is as full as ours. */
static void on_evicted(void *arg, const struct session_key *key)
{
	struct record record = {.kind = RECORD_SESSION_DELETE};
	record.session.pool_id = key->pool_id;
	memcpy(record.session.key, key->bytes, sizeof(record.session.key));
	journal_append(arg, &record);
}

static int start_parts(struct control *control, const struct conf *conf, struct err *err)
{
	const struct ipc_config *config = &control->incoming;
	struct proxy_shared shared = {.workers = config->workers};
	uint64_t hash_key[2];
	int error = drop_privileges(config, conf, err);
	if (!error)
		error = random_bytes(hash_key, sizeof(hash_key), err);
	control->own_keys.n = 1;
	if (!error)
		error = random_bytes(control->own_keys.of[0], KEY_LEN, err);
	if (error)
		return error;
	if (changes_init(control) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	if (config->pair)
		control->journal = journal_new(CONTROL_JOURNAL_SIZE);
	control->sessions = session_table_new(conf->sync.max_sessions, hash_key);
	if (control->sessions && control->journal)
		session_table_on_evicted(control->sessions, on_evicted, control->journal);
	control->prober = prober_new(control->loop, on_target_changed, control);
	if (!control->sessions || !control->prober || (config->pair && !control->journal))
		return err_set(err, -ENOMEM, "out of memory");
	outliers_start(control);
	shared.on_outlier = outliers_wake;
	shared.arg = control;
	shared.sessions = control->sessions;
	shared.journal = control->journal;
	control->proxy = proxy_start(&shared, err);
	if (!control->proxy)
		return -ENOMEM;

	struct admin_callbacks callbacks;
	views_callbacks(control, &callbacks);
	control->admin = admin_new(control->loop, &callbacks);
	return control->admin ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* --- putting a configuration in force --- */

static void send_applied(struct control *control, uint64_t number, int error, const char *text)
{
	union ipc_message msg;
	ipc_init(&msg, IPC_APPLIED);
	msg.applied.generation = number;
	msg.applied.error = error;
	text_copy(msg.applied.text, sizeof(msg.applied.text), text);
	error = ipc_send(control->supervisor_io.fd, &msg, -1);
	if (error)
		log_error(
		    "yoked: message %s not sent: %s", ipc_type_name(IPC_APPLIED), strerror(-error));
}

static void serve_admin(struct control *control, const struct conf *conf)
{
	for (int i = 0; i < 2; i++) {
		bool tcp = i == 1;
		int fd = control->admin_fds[i];
		if (tcp && (fd >= 0 || !conf->admin_tcp))
			admin_unlisten_tcp(control->admin);
		if (fd < 0)
			continue;
		int error = admin_listen(control->admin, fd, !tcp);
		control->admin_fds[i] = -1;
		if (error) {
			log_error("admin: socket not served: %s", strerror(-error));
			close(fd);
		}
	}
}

static void limit_sessions(struct control *control, const struct conf *conf)
{
	struct session_limit limits[CONF_POOLS_MAX];
	size_t n = 0;
	for (uint32_t i = 0; i < conf->n_pools; i++) {
		const struct conf_sticky *sticky = &conf->pools[i].sticky;
		if (conf_sticky_has_entries(sticky))
			limits[n++] = (struct session_limit){control->current->fleet->pools[i].id,
			    sticky->max_entries ? sticky->max_entries : UINT64_MAX};
	}
	if (session_table_resize(control->sessions, conf->sync.max_sessions) < 0 ||
	    session_table_limit(control->sessions, limits, n) < 0)
		log_error("sessions: out of memory, their limits stay as they were");
}

/* Everybody would have his burst anew after a takeover, and nothing else would show it. */
static void say_untold_limits(const struct control *control, const struct conf *conf)
{
	if (conf->peer != CONF_NONE && conf->n_rate_limits > 0 && control->incoming.keys.n == 0)
		log_notice("rate limits: the peer is not told who is at one: the nodes have no "
			   "secret in common; a sync.key_file beside the certificates is one");
}

/* The generation of the proxy frees itself when the last worker has let go; from here on nothing
 * else may refer to the old one. */
static int put_in_force(struct control *control, struct conf *conf, struct err *err)
{
	struct generation *old = control->current;
	struct generation *next = generation_new(
	    conf, control->changes.overlay, control->incoming.generation, old ? old->fleet : NULL);
	if (!next) {
		conf_free(conf);
		return err_set(err, -ENOMEM, "out of memory");
	}
	next->pub.log_fd = control->incoming_log_fd;
	next->pub.is_paired = control->incoming.keys.n > 0;
	next->pub.keys = next->pub.is_paired ? &control->incoming.keys : &control->own_keys;
	int error = proxy_apply(control->proxy, &next->pub, err);
	next->pub.keys = NULL;
	control->incoming_log_fd = next->pub.log_fd;
	if (error) {
		generation_free(next);
		return error;
	}
	overlay_settle(control->changes.overlay, conf);
	changes_use(control, next);
	if (control->sync)
		replica_set_config(control);
	log_set_level(conf->log_level);
	serve_admin(control, conf);
	admin_set_token(
	    control->admin, control->incoming.has_token ? control->incoming.token : NULL);
	limit_sessions(control, conf);
	say_untold_limits(control, conf);
	return 0;
}

static void forget_incoming(struct control *control)
{
	if (control->incoming_text_fd >= 0)
		close(control->incoming_text_fd);
	if (control->incoming_log_fd >= 0)
		close(control->incoming_log_fd);
	control->incoming_text_fd = control->incoming_log_fd = -1;
	text_wipe(&control->incoming, sizeof(control->incoming));
}

/* A start that fails leaves a process that could do nothing: it ends, and yoked says why. */
static void fail_start(struct control *control, const struct err *err)
{
	log_error("start failed: %s", err->text);
	send_applied(control, control->incoming.generation, -EINVAL, err->text);
	exit(1);
}

static void on_config(struct control *control, const struct ipc_config *config, int fd)
{
	forget_incoming(control);
	control->incoming = *config;
	control->incoming_text_fd = fd;
	if (control->started)
		return;
	struct conf *conf = NULL;
	struct err err = {{0}};
	if (load_incoming(control, &conf, &err) < 0 || start_parts(control, conf, &err) < 0)
		fail_start(control, &err);
	conf_free(conf);
	/* Outside a pair the node has no name but the host's. */
	if (config->node[0])
		text_copy(control->node, sizeof(control->node), config->node);
	else if (gethostname(control->node, sizeof(control->node) - 1) < 0)
		text_copy(control->node, sizeof(control->node), "localhost");
	text_copy(control->file, sizeof(control->file), config->file);
}

static void on_listener(struct control *control, const struct ipc_listener *listener, int fd)
{
	int error = 0;
	switch (listener->kind) {
	case IPC_LISTENER_TRAFFIC:
	case IPC_LISTENER_UDP:
		error = proxy_add_listener(
		    control->proxy, listener->name, &listener->bind, listener->worker, fd);
		break;
	case IPC_LISTENER_SYNC: control->sync_listen_fd = fd; return;
	case IPC_LISTENER_ADMIN_UNIX: control->admin_fds[0] = fd; return;
	case IPC_LISTENER_ADMIN_TCP: control->admin_fds[1] = fd; return;
	default: error = -EINVAL; break;
	}
	if (error) {
		log_error("listener %s: not taken: %s", listener->name, strerror(-error));
		close(fd);
	}
}

/* Within a configuration its file; else that of the one in force, opened anew. */
static void on_access_log(struct control *control, int fd)
{
	struct err err;
	if (control->incoming_text_fd < 0) {
		if (!control->proxy || proxy_reopen_log(control->proxy, fd, &err) == 0)
			return;
		log_error("%s", err.text);
		close(fd);
		return;
	}
	if (control->incoming_log_fd >= 0)
		close(control->incoming_log_fd);
	control->incoming_log_fd = fd;
}

static void on_config_end(struct control *control, uint64_t number)
{
	struct conf *conf = NULL;
	struct tls_context *context = NULL;
	struct err err = {{0}};
	int error = load_incoming(control, &conf, &err);
	if (!error && (error = replica_prepare(control, conf, &context, &err)))
		conf_free(conf);
	if (!error && (error = put_in_force(control, conf, &err)))
		tls_context_free(context);
	if (!error && context)
		error = replica_use(control, context, &err);
	if (error && !control->started)
		fail_start(control, &err);
	forget_incoming(control);
	if (error) {
		log_error("configuration %llu refused: %s", (unsigned long long)number, err.text);
		send_applied(control, number, error, err.text);
		return;
	}
	if (!control->started)
		replica_update_probing(control);
	control->applying = number;
	control_poll_soon(control);
}

static void poll_applied(struct control *control)
{
	if (!control->applying || !proxy_applied(control->proxy) ||
	    !proxy_log_settled(control->proxy))
		return;
	struct generation *now = control->current;
	char text[IPC_REASON_MAX];
	snprintf(text, sizeof(text), "%u listeners, %u pools, config %016llx",
	    now->conf->n_listeners, now->conf->n_pools, (unsigned long long)now->conf->hash);
	log_notice("configuration %llu in force: %s", (unsigned long long)now->number, text);
	events_add(&control->events, "config", control->started ? "running" : "starting",
	    "in force", text);
	control->started = true;
	send_applied(control, control->applying, 0, text);
	control->applying = 0;
}

/* --- the end --- */

static void begin_shutdown(struct control *control, uint64_t timeout_us, const char *why)
{
	if (control->shutdown_deadline_us)
		return;
	log_notice("shutting down: %s; at most %llu ms for what is in flight", why,
	    (unsigned long long)(timeout_us / US_PER_MS));
	control->shutdown_deadline_us = clock_us() + timeout_us + 1;
	if (control->proxy)
		proxy_drain(control->proxy);
	control_poll_soon(control);
}

static void poll_shutdown(struct control *control)
{
	if (!control->shutdown_deadline_us)
		return;
	bool drained = !control->proxy || proxy_drained(control->proxy);
	if (!drained && clock_us() < control->shutdown_deadline_us)
		return;
	if (!drained)
		log_warn("shutdown: time is up, the remaining connections are cut");
	ev_break(control->loop, EVBREAK_ALL);
}

static void on_supervisor_gone(struct control *control)
{
	ev_io_stop(control->loop, &control->supervisor_io);
	uint64_t timeout_us =
	    control->current ? control->current->conf->shutdown_timeout_us : US_PER_SEC;
	begin_shutdown(control, timeout_us, "yoked is gone");
}

/* --- messages of yoked --- */

static void on_reload_result(struct control *control, const struct ipc_reload_result *result)
{
	if (result->error)
		admin_complete(control->admin, result->id, 422, admin_error(result->text));
	else
		admin_complete(control->admin, result->id, 200, admin_done(result->text));
}

static void on_message(struct control *control, const union ipc_message *msg, int fd)
{
	switch (msg->header.type) {
	case IPC_CONFIG: on_config(control, &msg->config, fd); return;
	case IPC_LISTENER: on_listener(control, &msg->listener, fd); return;
	case IPC_ACCESS_LOG: on_access_log(control, fd); return;
	case IPC_LINK: routers_set_link(control, fd); return;
	case IPC_CONFIG_END: on_config_end(control, msg->config_end.generation); break;
	case IPC_RELOAD_RESULT: on_reload_result(control, &msg->reload_result); break;
	case IPC_QUIESCE: handover_for_supervisor(control); break;
	case IPC_SHUTDOWN:
		begin_shutdown(control, msg->shutdown.timeout_us, "asked by yoked");
		break;
	default: log_error("yoked: unexpected message %s", ipc_type_name(msg->header.type)); break;
	}
	if (fd >= 0)
		close(fd);
}

static void on_supervisor_readable(struct ev_loop *loop, ev_io *io, int events)
{
	(void)loop;
	(void)events;
	struct control *control = io->data;
	union ipc_message msg;
	int fd;
	for (int budget = 256; budget > 0; budget--) {
		int got = ipc_recv(io->fd, &msg, &fd);
		if (got == -EAGAIN)
			return;
		if (got <= 0) {
			on_supervisor_gone(control);
			return;
		}
		on_message(control, &msg, fd);
	}
}

/* --- the tick --- */

/* Workers that were stopped together with us, as on a host that was frozen, are given their time
 * anew: they do not hang. */
static bool has_thawed(struct control *control)
{
	uint64_t now_us = clock_us();
	if (control->watched_us && now_us - control->watched_us > WORKER_STUCK_US / 2)
		control->thawed_us = now_us;
	control->watched_us = now_us;
	return control->thawed_us && now_us - control->thawed_us < WORKER_STUCK_US;
}

static bool watch_proxy(struct control *control)
{
	struct err why = {""};
	bool was_alive = !control->stuck.text[0];
	bool alive = (has_thawed(control) && was_alive) ||
		     proxy_alive(control->proxy, WORKER_STUCK_US, &why);
	control->stuck = why;
	if (alive != was_alive) {
		log_at(alive ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, "%s",
		    alive ? "the proxy goes on: every loop turns, every listener answers"
			  : why.text);
		events_add(&control->events, "proxy", was_alive ? "running" : "stuck",
		    alive ? "running" : "stuck", alive ? "goes on" : why.text);
	}
	return alive;
}

/* While a worker hangs, yoke-vrrp is told and gives the VIP away; yoked hears nothing and restarts
 * us. */
static void send_heartbeats(struct control *control)
{
	if (!control->started)
		return;
	bool alive = watch_proxy(control);
	control->ready = alive && !control->shutdown_deadline_us;
	union ipc_message msg;
	ipc_init(&msg, IPC_HEARTBEAT);
	msg.heartbeat.ready = control->ready;
	if (alive)
		ipc_send(control->supervisor_io.fd, &msg, -1); /* if yoked is gone, EOF tells */
	routers_heartbeat(control, control->ready);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct control *control = timer->data;
	poll_applied(control);
	handover_poll(control);
	poll_shutdown(control);
	replica_poll_warmth(control);
	routers_poll(control);
	outliers_poll(control);
	send_heartbeats(control);
	if (control->started) {
		changes_tick(control);
		track_report(control);
		moved_poll(control);
		panic_poll(control);
		replica_tell_state(control);
		session_table_expire(control->sessions, clock_us());
		if (control->ticks++ % 10 == 0) {
			proxy_reap(control->proxy);
			replica_keep_limits(control);
			replica_check_certificate(control);
		}
	}
	if (control->applying || control->handover.waiting || control->shutdown_deadline_us)
		control_poll_soon(control);
}

static void on_terminate(struct ev_loop *loop, ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	struct control *control = signal->data;
	uint64_t timeout_us =
	    control->current ? control->current->conf->shutdown_timeout_us : US_PER_SEC;
	begin_shutdown(control, timeout_us, "SIGTERM");
}

static void init(struct control *control)
{
	control->loop = ev_default_loop(EVBACKEND_EPOLL | EVFLAG_NOENV);
	control->start_us = clock_us();
	control->incoming_text_fd = control->incoming_log_fd = -1;
	control->sync_listen_fd = -1;
	control->admin_fds[0] = control->admin_fds[1] = -1;
	control->link_io.fd = -1;
	pthread_mutex_init(&control->inbox.lock, NULL);
	pthread_cond_init(&control->inbox.room, NULL);
	pthread_mutex_init(&control->published.lock, NULL);
	events_init(&control->events);
	ev_io_init(&control->supervisor_io, on_supervisor_readable, IPC_CHILD_FD, EV_READ);
	control->supervisor_io.data = control;
	ev_io_start(control->loop, &control->supervisor_io);
	ev_timer_init(&control->tick, on_tick, CONTROL_TICK_SEC, CONTROL_TICK_SEC);
	control->tick.data = control;
	ev_timer_start(control->loop, &control->tick);
}

static void fini(struct control *control)
{
	replica_stop(control);
	if (control->proxy)
		proxy_stop(control->proxy);
	if (control->admin)
		admin_free(control->admin);
	if (control->prober)
		prober_free(control->prober);
	if (control->sessions)
		session_table_free(control->sessions);
	if (control->journal)
		journal_free(control->journal);
	changes_fini(control);
	forget_incoming(control);
}

int control_run(struct control *control)
{
	ev_signal terminate;
	init(control);
	if (!control->loop)
		return 1;
	ev_signal_init(&terminate, on_terminate, SIGTERM);
	terminate.data = control;
	ev_signal_start(control->loop, &terminate);
	ev_run(control->loop, 0);
	fini(control);
	log_notice("ended");
	return 0;
}
