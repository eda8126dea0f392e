/* Why a Backup whose time has come does not become Active all the same: a proxy that waits for the
 * peer's sessions, a link on which nothing has arrived yet, a peer that has it by another VRID, a
 * witness that does not answer, a group whose Active the peer still is. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/link/ear.h"

/* ---- a proxy that has just started ---- */

static bool waits_for_sessions(const struct vrrp_instance *instance, char *why, size_t size)
{
	if (instance->waiting)
		snprintf(why, size, "the proxy waits for the sessions of the peer");
	return instance->waiting;
}

/* ---- a link that has just come up ---- */

void instance_end_deafness(struct vrrp_instance *instance)
{
	if (!ev_is_active(&instance->ear))
		return;
	ev_io_stop(instance->station->loop, &instance->ear);
	close(instance->ear.fd);
	ev_io_set(&instance->ear, -1, EV_READ);
}

static void on_frame(struct ev_loop *loop, ev_io *io, int revents)
{
	struct vrrp_instance *instance = io->data;
	(void)loop;
	(void)revents;
	if (vrrp_ear_heard(io->fd))
		instance_end_deafness(instance);
}

void instance_begin_deafness(struct vrrp_instance *instance)
{
	struct err err;
	instance_end_deafness(instance);
	if (instance->config.startup_delay_us == 0 || !instance->netif.has_mac)
		return;
	int fd = vrrp_ear_open(instance->netif.ifindex, &err);
	if (fd < 0) {
		log_warn("vrrp %s: does not wait for a first frame: %s", instance->config.name,
		    err.text);
		return;
	}
	instance->deaf_since_us = clock_us();
	ev_io_init(&instance->ear, on_frame, fd, EV_READ);
	instance->ear.data = instance;
	ev_io_start(instance->station->loop, &instance->ear);
}

static bool is_deaf(struct vrrp_instance *instance, uint64_t now_us, char *why, size_t size)
{
	if (ev_is_active(&instance->ear) &&
	    now_us >= instance->deaf_since_us + instance->config.startup_delay_us)
		instance_end_deafness(instance);
	if (!ev_is_active(&instance->ear))
		return false;
	snprintf(why, size, "no frame has arrived on %s yet", instance->config.interface);
	return true;
}

/* ---- the witness ---- */

/* It counts only what was asked when an advert was missing already: from then on one of the two is
 * cut off. An Active that has resigned, or that we preempt, is no riddle. */
static bool lacks_witness(
    const struct vrrp_instance *instance, uint64_t now_us, char *why, size_t size)
{
	const struct ipc_router *config = &instance->config;
	uint64_t silent_us =
	    instance->heard_us > instance->since_us ? instance->heard_us : instance->since_us;
	uint64_t missing_us = silent_us + 3 * (uint64_t)instance->fsm.active_interval_us / 2;
	bool resigned = instance->handover_us ||
			(instance->heard_us && instance->heard_priority == VRRP_PRIORITY_LEAVING);
	bool speaks = instance->ignored_us &&
		      now_us - instance->ignored_us < 3 * (uint64_t)config->advertise_us;
	char ip[ADDR_TEXT_MAX];
	if (config->witness.sa.sa_family == AF_UNSPEC || resigned || speaks ||
	    instance->tracking.witness.answered_us > missing_us)
		return false;
	snprintf(why, size, "adverts are missing, and the witness %s does not answer",
	    addr_format_ip(&config->witness, ip));
	return true;
}

/* ---- a peer of another configuration ---- */

/* We cannot hear its adverts, nor can it hear ours: both would have the addresses. */
static bool differs_from_peer(const struct vrrp_instance *instance, char *why, size_t size)
{
	if (!instance->other_vrid)
		return false;
	snprintf(why, size,
	    "the peer is Active for it with VRID %u, not %u: the configurations differ",
	    instance->other_vrid, instance->config.vrid);
	return true;
}

/* ---- all together ---- */

static bool finds_objection(struct vrrp_instance *instance, uint64_t now_us, char *why, size_t size)
{
	return waits_for_sessions(instance, why, size) || is_deaf(instance, now_us, why, size) ||
	       differs_from_peer(instance, why, size) ||
	       lacks_witness(instance, now_us, why, size) ||
	       instance_group_objects(instance, now_us, why, size);
}

bool instance_is_held(struct vrrp_instance *instance, uint64_t now_us)
{
	char why[IPC_REASON_MAX];
	if (!vrrp_fsm_wants(&instance->fsm, now_us) ||
	    !finds_objection(instance, now_us, why, sizeof(why)))
		return false;
	if (strcmp(why, instance->held) != 0) {
		text_copy(instance->held, sizeof(instance->held), why);
		instance_complain(instance, COMPLAINT_HELD, "does not become Active: %s", why);
		instance_tell(instance);
	}
	return true;
}

void instance_forget_hold(struct vrrp_instance *instance)
{
	if (instance->fsm.held || !instance->held[0])
		return;
	instance->held[0] = '\0';
	instance_tell(instance);
}
