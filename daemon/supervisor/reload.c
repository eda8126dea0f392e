/* Putting a new configuration in force, as one step that succeeds or changes nothing:
 *
 *	read, check, open sockets -> yoke-proxy applies -> yoke-vrrp applies -> close old sockets
 *	         |                        |                     |
 *	         v                        v                     v
 *	       refused                  refused      yoke-proxy goes back, refused
 *
 * A child that is just being restarted gets the new set when it is up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/supervisor/logfile.h"
#include "daemon/supervisor/notify.h"
#include "daemon/supervisor/state.h"

#define APPLY_MAX_US (10 * US_PER_SEC)

static void collect(void *arg, const char *line)
{
	struct supervisor *sup = arg;
	char *text = sup->reload.text;
	size_t len = strlen(text);
	snprintf(text + len, sizeof(sup->reload.text) - len, "%s%s", len ? "\n" : "", line);
}

static void log_lines(enum log_level level, const char *prefix, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		log_at(level, "%s%.*s", prefix, (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* The end of a reload, good or bad. */
static void finish(struct supervisor *sup, int error)
{
	if (error) {
		log_lines(LOG_LEVEL_ERROR, "reload refused: ", sup->reload.text);
		listeners_abort(&sup->listeners);
		setup_free(sup->reload.candidate);
	} else {
		log_notice("%s", sup->reload.text);
	}
	sup->reload.candidate = NULL;
	sup->reload.phase = RELOAD_IDLE;
	sup->proxy.out.next_set = false;
	if (sup->reload.id && peer_running(&sup->proxy)) {
		union ipc_message *msg = &sup->reload.result;
		ipc_init(msg, IPC_RELOAD_RESULT);
		msg->reload_result.id = sup->reload.id;
		msg->reload_result.error = error;
		text_copy(
		    msg->reload_result.text, sizeof(msg->reload_result.text), sup->reload.text);
		sup->proxy.out.result = true;
		child_kick(&sup->proxy.child);
	}
	supervisor_check_ready(sup);
}

static void commit(struct supervisor *sup)
{
	char difference[256];
	setup_difference(sup->setup, sup->reload.candidate, difference, sizeof(difference));
	snprintf(sup->reload.text, sizeof(sup->reload.text), "reloaded: %s", difference);
	scripts_set(&sup->scripts, sup->reload.candidate);
	/* An outbox that is under way refers to the candidate, which stays. */
	setup_free(sup->setup);
	sup->setup = sup->reload.candidate;
	listeners_commit(&sup->listeners);
	log_set_level(sup->setup->conf->log_level);
	finish(sup, 0);
}

/* yoke-vrrp did not take it: nothing of the new set may stay. */
static void roll_back(struct supervisor *sup)
{
	if (sup->setup->conf->n_routers == 0) {
		child_dismiss(&sup->vrrp.child);
		peers_send_shutdown(&sup->vrrp, US_PER_SEC);
	}
	if (peer_running(&sup->proxy) && sup->proxy.settled) {
		sup->reload.phase = RELOAD_ROLLBACK;
		sup->reload.deadline_us = clock_us() + APPLY_MAX_US;
		peers_send_to_proxy(sup, sup->setup, false);
		return;
	}
	/* One that is starting has the wrong set: the next one will not. */
	child_kill(&sup->proxy.child);
	finish(sup, sup->reload.error);
}

static void fail_vrrp(struct supervisor *sup, int error, const char *text)
{
	sup->reload.error = error < 0 ? error : -EIO;
	collect(sup, text);
	roll_back(sup);
}

static void enter_vrrp(struct supervisor *sup)
{
	bool wanted = sup->reload.candidate->conf->n_routers > 0;
	struct child *child = &sup->vrrp.child;
	struct err err;
	sup->reload.phase = RELOAD_VRRP;
	sup->reload.deadline_us = clock_us() + APPLY_MAX_US;
	if (child->state == CHILD_RUNNING) {
		peers_send_to_vrrp(sup, sup->reload.candidate);
	} else if (wanted && child->state == CHILD_STOPPED) {
		int rc = child_find_program(child, &err);
		if (rc)
			fail_vrrp(sup, rc, err.text);
		else
			child_start(child);
	} else {
		if (!wanted)
			child_dismiss(child);
		commit(sup);
	}
}

static int prepare(struct supervisor *sup)
{
	struct err err;
	struct setup *candidate = NULL;
	struct listener *wanted = NULL;
	size_t n = 0;
	int rc = setup_load(sup->args->config, sup->args->node, collect, sup, &candidate);
	if (rc)
		return rc;
	sup->reload.candidate = candidate;
	rc = conf_reload_allowed(sup->setup->conf, candidate->conf, &err);
	if (!rc && (rc = listeners_wanted(candidate->conf, sup->workers, &wanted, &n)))
		err_set(&err, rc, "out of memory");
	if (!rc)
		rc = listeners_prepare(&sup->listeners, wanted, n, &err);
	free(wanted);
	if (rc) {
		char line[sizeof(err.text) + sizeof(candidate->file) + 4];
		snprintf(line, sizeof(line), "%s: %s", candidate->file, err.text);
		collect(sup, line);
	}
	return rc;
}

static void begin(struct supervisor *sup, uint64_t id)
{
	sup->reload.id = id;
	sup->reload.error = 0;
	sup->reload.text[0] = '\0';
	notify_reloading();
	int rc = prepare(sup);
	if (rc) {
		finish(sup, rc);
		return;
	}
	sup->reload.phase = RELOAD_PROXY;
	sup->reload.deadline_us = clock_us() + APPLY_MAX_US;
	if (peer_running(&sup->proxy))
		peers_send_to_proxy(sup, sup->reload.candidate, true);
	else
		enter_vrrp(sup);
}

static bool steady(const struct peer *peer)
{
	return !peer_running(peer) || peer->settled;
}

/* Nothing of a set or of its log is on its way. */
static bool at_rest(const struct supervisor *sup)
{
	return sup->stage == RUNNING && sup->reload.phase == RELOAD_IDLE &&
	       !sup->proxy.out.result && !sup->proxy.out.log && steady(&sup->proxy) &&
	       steady(&sup->vrrp);
}

static void reopen_log(struct supervisor *sup)
{
	const char *file = sup->setup->conf->access_log.file;
	struct err err;
	sup->reopen_log = false;
	if (!file) {
		log_notice("SIGUSR1: there is no access log");
		return;
	}
	int fd = logfile_open(file, &err);
	if (fd < 0) {
		log_error("%s: its lines go where they went", err.text);
		return;
	}
	close(sup->setup->log_fd);
	sup->setup->log_fd = fd;
	if (peer_running(&sup->proxy))
		peers_send_log(sup);
	log_notice("access log %s: opened anew", file);
}

static void start_waiting(struct supervisor *sup)
{
	if (sup->reopen_log && at_rest(sup))
		reopen_log(sup);
	if (sup->reload.n_waiting == 0 || !at_rest(sup))
		return;
	uint64_t id = sup->reload.waiting[0];
	sup->reload.n_waiting--;
	memmove(sup->reload.waiting, sup->reload.waiting + 1,
	    sup->reload.n_waiting * sizeof(sup->reload.waiting[0]));
	begin(sup, id);
}

void reload_log_request(struct supervisor *sup)
{
	sup->reopen_log = true;
	start_waiting(sup);
}

void reload_request(struct supervisor *sup, uint64_t id)
{
	for (uint32_t i = 0; i < sup->reload.n_waiting; i++) {
		if (sup->reload.waiting[i] == id)
			return; /* it will read the file after now: that serves both */
	}
	if (sup->reload.n_waiting == RELOADS_MAX) {
		log_warn("reload: too many requests at once, one dropped");
		return;
	}
	sup->reload.waiting[sup->reload.n_waiting++] = id;
	start_waiting(sup);
}

bool reload_on_proxy_applied(struct supervisor *sup, int error, const char *text)
{
	if (sup->stage != RUNNING)
		return true;
	switch (sup->reload.phase) {
	case RELOAD_PROXY:
		if (error) {
			collect(sup, text);
			finish(sup, error);
		} else {
			enter_vrrp(sup);
		}
		return true;
	case RELOAD_ROLLBACK:
		if (error) {
			log_error("yoke-proxy: does not go back either: %s", text);
			child_kill(&sup->proxy.child);
		}
		finish(sup, sup->reload.error);
		return true;
	case RELOAD_IDLE:
	case RELOAD_VRRP: break;
	}
	return false;
}

bool reload_on_vrrp_applied(struct supervisor *sup, int error, const char *text)
{
	if (sup->stage != RUNNING)
		return true;
	if (sup->reload.phase != RELOAD_VRRP)
		return false;
	if (error) {
		fail_vrrp(sup, error, text);
	} else if (sup->reload.candidate->conf->n_routers == 0) {
		/* It has let go of all that it had; the rest is when it is dead. */
		child_dismiss(&sup->vrrp.child);
		peers_send_shutdown(&sup->vrrp, US_PER_SEC);
	} else {
		commit(sup);
	}
	return true;
}

void reload_on_proxy_died(struct supervisor *sup, const char *how)
{
	char line[160];
	if (sup->stage != RUNNING)
		return;
	if (sup->reload.phase == RELOAD_PROXY) {
		snprintf(line, sizeof(line), "yoke-proxy died when it applied it: %s", how);
		collect(sup, line);
		finish(sup, -EIO);
	} else if (sup->reload.phase == RELOAD_ROLLBACK) {
		finish(sup, sup->reload.error);
	}
}

void reload_on_vrrp_died(struct supervisor *sup, bool clean, const char *how)
{
	char line[160];
	(void)clean;
	if (sup->stage != RUNNING || sup->reload.phase != RELOAD_VRRP)
		return;
	if (sup->reload.candidate->conf->n_routers == 0) {
		child_dismiss(&sup->vrrp.child); /* it was to end */
		commit(sup);
		return;
	}
	snprintf(line, sizeof(line), "yoke-vrrp died when it applied it: %s", how);
	fail_vrrp(sup, -EIO, line);
}

void reload_check(struct supervisor *sup, uint64_t now_us)
{
	if (sup->reload.phase == RELOAD_IDLE) {
		start_waiting(sup);
		return;
	}
	if (now_us < sup->reload.deadline_us)
		return;
	sup->reload.deadline_us = now_us + APPLY_MAX_US;
	struct child *late =
	    sup->reload.phase == RELOAD_VRRP ? &sup->vrrp.child : &sup->proxy.child;
	log_error("%s: no answer to a new configuration for %llu s: killed", late->name,
	    (unsigned long long)(APPLY_MAX_US / US_PER_SEC));
	child_kill(late);
}

const struct setup *reload_target(const struct supervisor *sup, bool *next_set)
{
	*next_set = sup->reload.phase == RELOAD_VRRP;
	return *next_set ? sup->reload.candidate : sup->setup;
}
