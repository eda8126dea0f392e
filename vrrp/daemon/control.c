#include "vrrp/daemon/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/ipc/ipc.h"
#include "vrrp/daemon/routers.h"
#include "vrrp/daemon/waiting.h"
#include "vrrp/link/arp.h"
#include "vrrp/link/monitor.h"
#include "vrrp/link/presence.h"
#include "vrrp/link/vmac.h"

/* Messages of one channel in one pass; others wait their turn. */
#define MESSAGES_PER_PASS 64
#define STATS_US          US_PER_SEC
/* What a dead run left for routers that we do not have any more stands a while longer: the fence
 * may be needed as long as the addresses are there. */
#define SWEEP_US (10 * US_PER_SEC)

static struct {
	struct vrrp_station station;
	struct vrrp_monitor *monitor;
	ev_io monitor_io;
	ev_timer tick;

	ev_io rules_io;
	uint32_t rules_generation; /* of nftables, when we looked last */
	uint64_t sweep_us;         /* VRRP_NEVER: done */

	int yoked_fd;
	ev_io yoked_io;

	int proxy_fd; /* -1: no link */
	ev_io proxy_io;
	struct vrrp_fitness fitness;
	uint64_t stats_us;     /* when it gets the next statistics */
	uint64_t heartbeat_us; /* the proxy's last one */
	uint64_t watched_us;   /* when we looked for it last */
	char fitness_text[IPC_REASON_MAX];
} control = {.yoked_fd = -1, .proxy_fd = -1};

/* ---- telling ---- */

/* False: the other side does not read now. */
static bool tell(int fd, const union ipc_message *msg)
{
	int rc = fd < 0 ? 0 : ipc_send(fd, msg, -1);
	if (rc && rc != -EAGAIN && rc != -EPIPE && rc != -ECONNRESET)
		log_error("sending %s: %s", ipc_type_name(msg->header.type), strerror(-rc));
	return rc != -EAGAIN;
}

static void tell_stats(struct vrrp_instance *instance)
{
	union ipc_message msg;
	if (control.proxy_fd < 0)
		return;
	vrrp_instance_tell_stats(instance, clock_us(), &msg);
	tell(control.proxy_fd, &msg);
}

/* A state must arrive, unlike a heartbeat: what could not be told, the tick tells again. The proxy
 * knows no state without its figures. */
static void tell_state(
    struct vrrp_instance *instance, enum vrrp_listener to, const union ipc_message *msg)
{
	int fd = to == VRRP_TELL_YOKED ? control.yoked_fd : control.proxy_fd;
	instance->untold &= ~(unsigned)to;
	if (!tell(fd, msg))
		instance->untold |= to;
	if (to == VRRP_TELL_PROXY)
		tell_stats(instance);
}

static void on_changed(
    struct vrrp_station *station, struct vrrp_instance *instance, enum vrrp_state previous)
{
	union ipc_message msg;
	(void)station;
	vrrp_instance_describe(instance, previous, &msg);
	tell_state(instance, VRRP_TELL_YOKED, &msg);
	tell_state(instance, VRRP_TELL_PROXY, &msg);
}

static void on_remarked(
    struct vrrp_station *station, const struct vrrp_instance *instance, const char *text)
{
	union ipc_message msg;
	(void)station;
	ipc_init(&msg, IPC_ROUTER_REMARK);
	text_copy(msg.router_remark.name, sizeof(msg.router_remark.name), instance->config.name);
	text_copy(msg.router_remark.text, sizeof(msg.router_remark.text), text);
	tell(control.proxy_fd, &msg);
}

static void on_say(struct vrrp_station *station, const union ipc_message *msg)
{
	(void)station;
	tell(control.proxy_fd, msg);
}

static void replay(struct vrrp_instance *instance, enum vrrp_listener to)
{
	union ipc_message msg;
	vrrp_instance_describe(instance, instance->before, &msg);
	msg.router_state.replay = true;
	msg.router_state.handed_over = false; /* said once */
	tell_state(instance, to, &msg);
}

static void on_noted(struct vrrp_station *station, struct vrrp_instance *instance)
{
	(void)station;
	replay(instance, VRRP_TELL_PROXY);
}

/* First the new one: somebody is Active all the time. */
static void on_renamed(
    struct vrrp_station *station, struct vrrp_instance *instance, const char *before)
{
	union ipc_message msg;
	(void)station;
	replay(instance, VRRP_TELL_YOKED);
	replay(instance, VRRP_TELL_PROXY);
	vrrp_instance_describe(instance, instance->fsm.state, &msg);
	struct ipc_router_state *state = &msg.router_state;
	text_copy(state->name, sizeof(state->name), before);
	snprintf(
	    state->reason, sizeof(state->reason), "it is called %s now", instance->config.name);
	state->role = IPC_ROLE_INITIALIZE;
	state->removed = true;
	state->since_us = clock_us();
	tell(control.yoked_fd, &msg);
	tell(control.proxy_fd, &msg);
}

static void replay_untold(struct vrrp_instance *instance)
{
	if (instance->untold & VRRP_TELL_YOKED)
		replay(instance, VRRP_TELL_YOKED);
	if (instance->untold & VRRP_TELL_PROXY)
		replay(instance, VRRP_TELL_PROXY);
}

/* ---- the proxy ---- */

static void set_fitness(struct vrrp_fitness fitness)
{
	snprintf(control.fitness_text, sizeof(control.fitness_text), "%s", fitness.reason);
	control.fitness = fitness;
	control.fitness.reason = control.fitness_text;
	vrrp_routers_set_fitness(&control.fitness);
}

static void set_unfit(const char *reason)
{
	set_fitness((struct vrrp_fitness){.reason = reason});
}

static void drop_proxy(const char *reason)
{
	ev_io_stop(control.station.loop, &control.proxy_io);
	close(control.proxy_fd);
	control.proxy_fd = -1;
	set_unfit(reason);
}

static void on_resign(const struct ipc_resign *resign)
{
	union ipc_message answer;
	struct err err;
	int rc = vrrp_routers_resign(resign->name, resign->reason, &err);
	ipc_init(&answer, IPC_RESIGN_RESULT);
	answer.resign_result.id = resign->id;
	answer.resign_result.error = rc;
	snprintf(answer.resign_result.text, sizeof(answer.resign_result.text), "%.*s",
	    (int)sizeof(answer.resign_result.text) - 1, err.text);
	tell(control.proxy_fd, &answer);
}

/* What the peer's yoke-vrrp says by way of both proxies. */
static void on_peer_router(const struct ipc_peer_router *router)
{
	struct vrrp_instance *instance = vrrp_routers_find(router->name, 0);
	if (instance)
		vrrp_instance_hear_peer(
		    instance, router->vrid, router->role == IPC_ROLE_ACTIVE, router->handed_over);
}

static void on_word(const struct ipc_word *word)
{
	struct vrrp_instance *instance = vrrp_routers_find(word->name, word->vrid);
	if (instance)
		vrrp_instance_hear_word(instance, word);
}

static void on_proxy_message(const union ipc_message *msg)
{
	switch (msg->header.type) {
	case IPC_HEARTBEAT:
		control.heartbeat_us = clock_us();
		set_fitness((struct vrrp_fitness){.ready = msg->heartbeat.ready,
		    .waiting = msg->heartbeat.waiting,
		    .warm = msg->heartbeat.warm,
		    .reason =
			msg->heartbeat.reason[0] ? msg->heartbeat.reason : "proxy not ready"});
		break;
	case IPC_POOL: vrrp_track_pool(&msg->pool); break;
	case IPC_RESIGN: on_resign(&msg->resign); break;
	case IPC_PEER_ROUTER: on_peer_router(&msg->peer_router); break;
	case IPC_WORD: on_word(&msg->word); break;
	default: log_error("proxy sent %s, which is not for us", ipc_type_name(msg->header.type));
	}
}

static void read_proxy(void)
{
	for (int i = 0; i < MESSAGES_PER_PASS && control.proxy_fd >= 0; i++) {
		union ipc_message msg;
		int fd;
		int rc = ipc_recv(control.proxy_fd, &msg, &fd);
		if (rc == -EAGAIN)
			return;
		if (fd >= 0)
			close(fd);
		if (rc == 1)
			on_proxy_message(&msg);
		else if (rc == -EBADMSG)
			log_error("malformed message of the proxy");
		else
			drop_proxy("proxy died");
	}
}

static void on_listen(struct vrrp_station *station)
{
	(void)station;
	read_proxy();
}

static void on_proxy(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)io;
	(void)revents;
	read_proxy();
}

/* A proxy that is stopped or stuck still holds its socket: only its silence tells. What it has sent
 * is read first, so that a stall of ours is not taken for its silence; and where all stood still,
 * as on a host that was frozen, it is given its time anew. */
static void watch_proxy(void)
{
	uint64_t now_us = clock_us();
	if (now_us - control.watched_us > IPC_HEARTBEAT_TIMEOUT_US / 2)
		control.heartbeat_us = now_us;
	control.watched_us = now_us;
	read_proxy();
	uint64_t silence_us = now_us > control.heartbeat_us ? now_us - control.heartbeat_us : 0;
	if (control.proxy_fd < 0 || !control.fitness.ready || silence_us < IPC_HEARTBEAT_TIMEOUT_US)
		return;
	char text[IPC_REASON_MAX];
	snprintf(text, sizeof(text), "proxy hangs: no heartbeat for %llu ms",
	    (unsigned long long)(silence_us / US_PER_MS));
	set_unfit(text);
}

static void adopt_proxy(int fd)
{
	if (control.proxy_fd >= 0)
		drop_proxy("proxy died");
	control.proxy_fd = fd;
	ev_io_set(&control.proxy_io, fd, EV_READ);
	ev_io_start(control.station.loop, &control.proxy_io);
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance)))
		replay(instance, VRRP_TELL_PROXY);
}

/* ---- yoked ---- */

static void apply_routers(const struct ipc_routers_end *end)
{
	union ipc_message answer;
	struct err err = {""};
	log_set_level(
	    end->log_level <= LOG_LEVEL_DEBUG ? (enum log_level)end->log_level : LOG_LEVEL_INFO);
	int rc = vrrp_routers_apply(&control.station, &control.fitness, &err);
	if (rc)
		log_error("configuration refused: %s", err.text);
	ipc_init(&answer, IPC_APPLIED);
	answer.applied.generation = end->generation;
	answer.applied.error = rc;
	snprintf(answer.applied.text, sizeof(answer.applied.text), "%.*s",
	    (int)sizeof(answer.applied.text) - 1, err.text);
	tell(control.yoked_fd, &answer);
}

static void on_yoked_message(const union ipc_message *msg, int fd)
{
	switch (msg->header.type) {
	case IPC_ROUTER: vrrp_routers_stage(&msg->router); break;
	case IPC_ROUTERS_END: apply_routers(&msg->routers_end); break;
	case IPC_LINK:
		if (fd >= 0)
			adopt_proxy(fd);
		break;
	case IPC_SCRIPT: vrrp_track_script(&msg->script); break;
	case IPC_SHUTDOWN: vrrp_control_shutdown("shutdown"); break;
	default: log_error("yoked sent %s, which is not for us", ipc_type_name(msg->header.type));
	}
}

static void on_yoked(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)io;
	(void)revents;
	for (int i = 0; i < MESSAGES_PER_PASS && control.yoked_fd >= 0; i++) {
		union ipc_message msg;
		int fd;
		int rc = ipc_recv(control.yoked_fd, &msg, &fd);
		if (rc == -EAGAIN)
			return;
		if (rc == 1) {
			on_yoked_message(&msg, fd);
		} else if (rc == -EBADMSG) {
			log_error("malformed message of yoked");
		} else {
			vrrp_control_shutdown("yoked died");
			return;
		}
	}
}

/* ---- time and interfaces ---- */

static void watch_rules(void)
{
	uint32_t generation = vrrp_lease_generation(control.station.lease);
	if (generation != control.rules_generation)
		vrrp_routers_check_guards();
	control.rules_generation = generation;
}

static void on_rules(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)io;
	(void)revents;
	vrrp_lease_drain_changes(control.station.lease);
	watch_rules();
}

static bool is_kept(const struct vrrp_fence_id *id)
{
	if (vrrp_routers_own(id) || vrrp_presence_seen(id))
		return true;
	log_notice("what a dead run left of VRID %u on %s is removed", id->vrid, id->interface);
	return false;
}

/* The interfaces first: the addresses go with them. */
static void sweep(uint64_t now_us)
{
	if (now_us < control.sweep_us)
		return;
	control.sweep_us = VRRP_NEVER;
	vrrp_vmac_sweep(control.station.route, is_kept);
	if (control.station.lease)
		vrrp_lease_sweep(control.station.lease, is_kept);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int revents)
{
	union ipc_message beat;
	(void)loop;
	(void)timer;
	(void)revents;
	ipc_init(&beat, IPC_HEARTBEAT);
	beat.heartbeat.ready = true;
	tell(control.yoked_fd, &beat);
	watch_proxy();
	if (control.station.lease)
		watch_rules(); /* on_rules has seen it, if no event was lost */
	sweep(clock_us());
	vrrp_routers_tick();
	control.station.waited_us = vrrp_waiting_us(control.station.waiting_fd);
	uint64_t now_us = clock_us();
	bool stats_due = now_us >= control.stats_us;
	if (stats_due)
		control.stats_us = now_us + STATS_US;
	struct vrrp_instance *instance = NULL;
	while ((instance = vrrp_routers_next(instance))) {
		if (stats_due)
			tell_stats(instance);
		replay_untold(instance);
	}
}

static void on_monitor(struct ev_loop *loop, ev_io *io, int revents)
{
	(void)loop;
	(void)io;
	(void)revents;
	unsigned seen = vrrp_monitor_read(control.monitor, vrrp_routers_address_changed);
	if (seen & VRRP_MONITOR_LOST)
		vrrp_routers_check_paths();
	if (seen)
		vrrp_routers_check_links();
}

/* ---- life ---- */

int vrrp_control_start(struct ev_loop *loop, int fd, struct err *err)
{
	control.station.loop = loop;
	control.station.changed = on_changed;
	control.station.remarked = on_remarked;
	control.station.renamed = on_renamed;
	control.station.noted = on_noted;
	control.station.say = on_say;
	control.station.listen = on_listen;
	control.station.waiting_fd = vrrp_waiting_open();
	control.yoked_fd = fd;
	set_unfit("proxy not ready");
	control.station.arp_fd = vrrp_arp_open(err);
	if (control.station.arp_fd < 0)
		return control.station.arp_fd;
	control.station.route = vrrp_netlink_open(NETLINK_ROUTE, err);
	control.monitor = control.station.route
			      ? vrrp_monitor_new(vrrp_netlink_port(control.station.route), err)
			      : NULL;
	if (!control.monitor)
		return -EIO;

	/* Without it every router says so, and works. */
	control.station.lease = vrrp_lease_open(NULL);
	control.sweep_us = clock_us() + SWEEP_US;
	if (control.station.lease) {
		ev_io_init(&control.rules_io, on_rules,
		    vrrp_lease_changes_fd(control.station.lease), EV_READ);
		ev_io_start(loop, &control.rules_io);
	}
	vrrp_track_open(loop);

	ev_io_init(&control.yoked_io, on_yoked, fd, EV_READ);
	ev_io_start(loop, &control.yoked_io);
	ev_init(&control.proxy_io, on_proxy);
	ev_io_init(&control.monitor_io, on_monitor, vrrp_monitor_fd(control.monitor), EV_READ);
	ev_io_start(loop, &control.monitor_io);
	ev_timer_init(&control.tick, on_tick, 0., IPC_HEARTBEAT_US / 1e6);
	ev_timer_start(loop, &control.tick);
	return 0;
}

void vrrp_control_shutdown(const char *reason)
{
	vrrp_routers_stop(reason);
	ev_break(control.station.loop, EVBREAK_ALL);
}

void vrrp_control_stop(void)
{
	if (control.proxy_fd >= 0)
		close(control.proxy_fd);
	if (control.yoked_fd >= 0)
		close(control.yoked_fd);
	if (control.station.arp_fd >= 0)
		close(control.station.arp_fd);
	if (control.station.waiting_fd >= 0)
		close(control.station.waiting_fd);
	control.proxy_fd = control.yoked_fd = control.station.arp_fd = control.station.waiting_fd =
	    -1;
	vrrp_track_close();
	vrrp_monitor_free(control.monitor);
	vrrp_netlink_close(control.station.route);
	vrrp_lease_close(control.station.lease);
	control.monitor = NULL;
	control.station.route = NULL;
	control.station.lease = NULL;
}
