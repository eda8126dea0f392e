/* Start, the loop, the end. */
#include "daemon/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/supervisor/notify.h"
#include "daemon/supervisor/state.h"

#define TICK_SEC      0.25
#define SLEPT_US      (US_PER_SEC) /* a tick so late: the host or we were stopped */
#define BIND_RETRY_US (5 * US_PER_SEC)
#define RESIGN_MAX_US US_PER_SEC
#define QUIET_MAX_US  (10 * IPC_QUIESCE_MAX_US) /* then the proxy hangs */
#define END_GRACE_US  (2 * US_PER_SEC)          /* for a child beyond its own time limit */

/* --- what people see --- */

static void status_text(const struct supervisor *sup, char *buf, size_t size)
{
	int len = snprintf(buf, size, "%s%s%s", sup->setup->node[0] ? "node " : "",
	    sup->setup->node[0] ? sup->setup->node : "single balancer",
	    sup->proxy.settled ? "" : ", yoke-proxy is starting");
	for (uint32_t i = 0; i < sup->n_routers && len > 0 && (size_t)len < size; i++)
		len += snprintf(buf + len, size - (size_t)len, ", %s %s",
		    sup->routers[i].router.name, sup->routers[i].active ? "Active" : "not Active");
}

void supervisor_update_status(struct supervisor *sup)
{
	char text[256];
	if (!sup->ready || sup->stage != RUNNING)
		return;
	status_text(sup, text, sizeof(text));
	notify_status(text);
}

void supervisor_check_ready(struct supervisor *sup)
{
	char text[256];
	bool vrrp_settled = sup->setup->conf->n_routers == 0 || sup->vrrp.settled;
	if (sup->stage != RUNNING || !sup->proxy.settled || !vrrp_settled) {
		supervisor_update_status(sup);
		return;
	}
	if (!sup->ready) {
		sup->ready = true;
		log_notice("ready: %s%s%s", setup_summary(sup->setup, text, sizeof(text)),
		    sup->setup->node[0] ? "; node " : "", sup->setup->node);
	}
	status_text(sup, text, sizeof(text));
	notify_ready(text);
}

/* --- the end --- */

static void end_proxy(struct supervisor *sup)
{
	uint64_t timeout_us = sup->setup->conf->shutdown_timeout_us;
	sup->stage = ENDING_PROXY;
	if (!peer_running(&sup->proxy)) {
		sup->stage = ENDED;
		return;
	}
	sup->stage_deadline_us = clock_us() + timeout_us + END_GRACE_US;
	peers_send_shutdown(&sup->proxy, timeout_us);
}

static void end_vrrp(struct supervisor *sup)
{
	sup->stage = ENDING_VRRP;
	if (!peer_running(&sup->vrrp)) {
		end_proxy(sup);
		return;
	}
	sup->stage_deadline_us = clock_us() + RESIGN_MAX_US + END_GRACE_US;
	peers_send_shutdown(&sup->vrrp, RESIGN_MAX_US);
}

void supervisor_on_quiet(struct supervisor *sup)
{
	if (sup->stage == QUIESCING)
		end_vrrp(sup);
}

static bool holds_vip(const struct supervisor *sup)
{
	for (uint32_t i = 0; i < sup->n_routers; i++) {
		if (sup->routers[i].active)
			return true;
	}
	return false;
}

/* First the requests of this moment end, then the virtual addresses go to the peer, then what is
 * longer in flight here may finish. */
void supervisor_end(struct supervisor *sup, const char *why, int exit_code)
{
	if (sup->stage != RUNNING) {
		log_warn("%s again: not waiting any longer", why);
		child_kill(&sup->vrrp.child);
		child_kill(&sup->proxy.child);
		return;
	}
	log_notice("shutting down: %s", why);
	notify_stopping(why);
	sup->exit_code = exit_code;
	scripts_set(&sup->scripts, NULL);
	child_dismiss(&sup->vrrp.child);
	child_dismiss(&sup->proxy.child);
	if (!holds_vip(sup) || !peer_running(&sup->proxy)) {
		end_vrrp(sup);
		return;
	}
	sup->stage = QUIESCING;
	sup->stage_deadline_us = clock_us() + QUIET_MAX_US;
	peers_send_quiesce(sup);
}

void supervisor_child_died(struct supervisor *sup)
{
	if (sup->stage == QUIESCING)
		end_vrrp(sup);
	else if (sup->stage == ENDING_VRRP && !peer_running(&sup->vrrp))
		end_proxy(sup);
	else if (sup->stage == ENDING_PROXY && !peer_running(&sup->proxy))
		sup->stage = ENDED;
	else
		supervisor_update_status(sup);
}

static void check_end(struct supervisor *sup, uint64_t now_us)
{
	if (now_us < sup->stage_deadline_us)
		return;
	if (sup->stage == QUIESCING) {
		end_vrrp(sup);
		return;
	}
	struct child *child = sup->stage == ENDING_VRRP ? &sup->vrrp.child : &sup->proxy.child;
	log_error("%s: does not end: killed", child->name);
	sup->stage_deadline_us = now_us + END_GRACE_US;
	child_kill(child);
}

/* --- the loop --- */

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct supervisor *sup = w->data;
	uint64_t now_us = clock_us();
	(void)loop;
	(void)revents;
	notify_flush();
	if (sup->watchdog_interval_us && now_us >= sup->watchdog_next_us) {
		notify_watchdog();
		sup->watchdog_next_us = now_us + sup->watchdog_interval_us;
	}
	if (now_us - sup->last_tick_us > SLEPT_US)
		peers_forgive(sup, now_us);
	sup->last_tick_us = now_us;
	if (sup->stage != RUNNING) {
		check_end(sup, now_us);
		return;
	}
	peers_check(sup, now_us);
	reload_check(sup, now_us);
}

static void on_terminate(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	supervisor_end(w->data, w->signum == SIGINT ? "SIGINT" : "SIGTERM", 0);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	log_info("SIGHUP: reload of %s", ((struct supervisor *)w->data)->args->config);
	reload_request(w->data, 0);
}

static void on_user1(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	reload_log_request(w->data);
}

static void watch(struct supervisor *sup)
{
	sup->watchdog_interval_us = notify_watchdog_interval_us();
	sup->last_tick_us = clock_us();
	ev_timer_init(&sup->tick, on_tick, TICK_SEC, TICK_SEC);
	ev_signal_init(&sup->terminate, on_terminate, SIGTERM);
	ev_signal_init(&sup->interrupt, on_terminate, SIGINT);
	ev_signal_init(&sup->hangup, on_hangup, SIGHUP);
	ev_signal_init(&sup->user1, on_user1, SIGUSR1);
	sup->tick.data = sup->terminate.data = sup->interrupt.data = sup->hangup.data =
	    sup->user1.data = sup;
	ev_timer_start(sup->loop, &sup->tick);
	ev_signal_start(sup->loop, &sup->terminate);
	ev_signal_start(sup->loop, &sup->interrupt);
	ev_signal_start(sup->loop, &sup->hangup);
	ev_signal_start(sup->loop, &sup->user1);
}

/* --- the start --- */

static void report_line(void *arg, const char *line)
{
	(void)arg;
	log_error("%s", line);
}

static void raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warn("RLIMIT_NOFILE: %s", strerror(errno));
}

/* A yoked that was killed leaves a proxy that finishes what is in flight; its sockets go away with
 * it. Worth waiting for, at the start, where nobody else waits. */
static int open_listeners(struct supervisor *sup, struct err *err)
{
	struct listener *wanted;
	size_t n;
	int rc = listeners_wanted(sup->setup->conf, sup->workers, &wanted, &n);
	if (rc)
		return err_set(err, rc, "listeners: out of memory");
	uint64_t give_up_us = clock_us() + BIND_RETRY_US;
	bool told = false;
	while ((rc = listeners_prepare(&sup->listeners, wanted, n, err)) == -EADDRINUSE &&
	       clock_us() < give_up_us) {
		if (!told)
			log_warn("%s: trying for %llu s", err->text,
			    (unsigned long long)(BIND_RETRY_US / US_PER_SEC));
		told = true;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	free(wanted);
	if (!rc)
		listeners_commit(&sup->listeners);
	return rc;
}

static int start(struct supervisor *sup, struct err *err)
{
	bool vrrp = sup->setup->conf->n_routers > 0;
	/* Not the default loop: that one waits for every child process behind our back. */
	sup->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (!sup->loop)
		return err_set(err, -ENOMEM, "no event loop");
	peers_init(sup);
	int rc = child_find_program(&sup->proxy.child, err);
	if (!rc && vrrp)
		rc = child_find_program(&sup->vrrp.child, err);
	if (!rc)
		rc = open_listeners(sup, err);
	if (rc)
		return rc;
	watch(sup);
	child_start(&sup->proxy.child);
	if (vrrp)
		child_start(&sup->vrrp.child);
	scripts_set(&sup->scripts, sup->setup);
	return 0;
}

static void fini(struct supervisor *sup)
{
	listeners_fini(&sup->listeners);
	rundir_close(&sup->rundir);
	if (sup->loop)
		ev_loop_destroy(sup->loop);
	setup_free(sup->reload.candidate);
	setup_free(sup->setup);
	notify_fini();
}

int supervisor_run(const struct args *args)
{
	static struct supervisor sup; /* a process has one */
	struct err err = {""};
	log_init("yoked", LOG_LEVEL_INFO);
	signal(SIGPIPE, SIG_IGN);
	raise_file_limit();
	notify_init();
	sup.args = args;
	if (setup_load(args->config, args->node, report_line, NULL, &sup.setup) < 0)
		return 1;
	log_set_level(sup.setup->conf->log_level);
	sup.workers = sup.setup->conf->workers;
	if (rundir_open(&sup.rundir, args->run_dir, &err) < 0) {
		log_error("%s", err.text);
		setup_free(sup.setup);
		return 1;
	}
	listeners_init(&sup.listeners, sup.rundir.admin_path);
	if (start(&sup, &err) < 0) {
		log_error("%s", err.text);
		sup.exit_code = 1;
		sup.stage = ENDED;
	}
	while (sup.stage != ENDED)
		ev_run(sup.loop, EVRUN_ONCE);
	if (sup.exit_code == 0)
		log_notice("ended");
	fini(&sup);
	return sup.exit_code;
}
