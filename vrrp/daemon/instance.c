#include "vrrp/daemon/instance.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/link/arp.h"
#include "vrrp/link/token.h"

/* More packets than a receive buffer holds, so that one pass empties it. */
#define PACKETS_PER_PASS 256
#define RETRY_US         (2 * US_PER_SEC)
#define COMPLAIN_US      (10 * US_PER_SEC)

static void complain(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt, ...)
{
	uint64_t swallowed;
	if (!log_allowed(&instance->limits[kind], clock_us(), COMPLAIN_US, &swallowed))
		return;
	char text[IPC_REASON_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (swallowed)
		log_warn("vrrp %s: %s (and %llu times before)", instance->config.name, text,
		    (unsigned long long)swallowed);
	else
		log_warn("vrrp %s: %s", instance->config.name, text);
}

/* ---- actions ---- */

static void set_trouble(struct vrrp_instance *instance, uint64_t now_us, const char *text)
{
	text_copy(instance->trouble, sizeof(instance->trouble), text);
	instance->retry_us = now_us + RETRY_US;
}

static void remove_addresses(struct vrrp_instance *instance)
{
	struct err err;
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		if (vrrp_vip_remove(instance->station->vip, instance->netif.ifindex,
			&instance->config.addresses[i].addr, &err))
			log_error("vrrp %s: %s", instance->config.name, err.text);
	}
	instance->refresh_us = VRRP_NEVER;
}

/* Also refreshes. */
static void add_addresses(struct vrrp_instance *instance, uint64_t now_us)
{
	struct err err;
	unsigned lifetime_s = vrrp_vip_lifetime_s(instance->config.advertise_us);
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		if (vrrp_vip_set(instance->station->vip, instance->netif.ifindex,
			&instance->config.addresses[i].addr, lifetime_s, &err))
			set_trouble(instance, now_us, err.text);
	}
	instance->refresh_us = now_us + vrrp_vip_refresh_us(instance->config.advertise_us);
}

static void announce(struct vrrp_instance *instance)
{
	for (unsigned i = 0; i < instance->config.n_addresses && instance->netif.has_mac; i++) {
		int rc = vrrp_arp_announce(instance->station->arp_fd, &instance->netif,
		    &instance->config.addresses[i].addr);
		if (rc)
			complain(instance, COMPLAINT_SEND, "gratuitous ARP: %s", strerror(-rc));
	}
}

enum outcome {
	SENT,    /* or it will be, soon */
	FAILED,  /* it cannot be sent, and perhaps never */
	REFUSED, /* the lease is over, or may not be had */
};

/* An Active whose adverts do not leave must not go on: the peer takes over in silence. A full
 * queue passes; what else it is may last. */
static enum outcome judge_failure(struct vrrp_instance *instance, int rc, uint64_t now_us)
{
	instance->send_errors++;
	if (rc == -ENOBUFS && vrrp_guard_refused(&instance->guard, &instance->config))
		return REFUSED;
	if (instance->mute_us == 0)
		instance->mute_us = now_us;
	bool passing = rc == -ENOBUFS || rc == -EAGAIN;
	if (passing || now_us - instance->mute_us < 3 * (uint64_t)instance->fsm.interval_us)
		complain(instance, COMPLAINT_SEND, "advert not sent: %s", strerror(-rc));
	if (now_us - instance->mute_us >= 3 * (uint64_t)instance->fsm.interval_us) {
		char text[IPC_REASON_MAX];
		snprintf(text, sizeof(text), "adverts cannot be sent: %s", strerror(-rc));
		set_trouble(instance, now_us, text);
	}
	return passing ? SENT : FAILED;
}

/* A unicast advert may wait for ARP, or leave by another interface: there the lease needs a frame
 * of its own. After the advert, never instead of it. */
static int renew(struct vrrp_instance *instance)
{
	if (instance->config.mode != CONF_VRRP_UNICAST || !instance->guard.up)
		return 0;
	int rc = vrrp_token_send(
	    instance->station->arp_fd, &instance->netif, VRRP_TOKEN_RENEW, instance->config.vrid);
	return rc == -ENOTSUP ? 0 : rc;
}

static enum outcome send_advert(struct vrrp_instance *instance, uint64_t now_us)
{
	int rc = vrrp_socket_advertise(
	    &instance->sock, &instance->config, instance->config.priority, instance->form);
	if (rc == 0)
		rc = renew(instance);
	if (rc)
		return judge_failure(instance, rc, now_us);
	instance->adverts_sent++;
	instance->mute_us = 0;
	return SENT;
}

static void send_claim(struct vrrp_instance *instance, bool overrides)
{
	uint8_t flags = instance->fsm.preempt ? VRRP_CLAIM_PREEMPTS : 0;
	if (overrides)
		flags |= VRRP_CLAIM_OVERRIDES;
	int rc = vrrp_socket_claim(&instance->sock, &instance->config, flags, instance->form);
	if (rc)
		complain(instance, COMPLAINT_SEND, "claim not sent: %s", strerror(-rc));
}

static void release(struct vrrp_instance *instance)
{
	if (instance->guard.up)
		vrrp_token_send(instance->station->arp_fd, &instance->netif, VRRP_TOKEN_RELEASE,
		    instance->config.vrid);
}

/* In the order of the bits: see enum vrrp_action. What became of the advert, if there was one; the
 * address comes only when it has left. */
static enum outcome perform(struct vrrp_instance *instance, unsigned actions, uint64_t now_us)
{
	if (actions & VRRP_DO_REMOVE_VIP) {
		vrrp_burst_cancel(&instance->burst);
		remove_addresses(instance);
	}
	enum outcome outcome = SENT;
	if (actions & VRRP_DO_SEND_ADVERT)
		outcome = send_advert(instance, now_us);
	if (actions & VRRP_DO_RELEASE)
		release(instance);
	if (actions & VRRP_DO_SEND_LEAVING)
		vrrp_socket_advertise(
		    &instance->sock, &instance->config, VRRP_PRIORITY_LEAVING, instance->form);
	if (actions & (VRRP_DO_SEND_CLAIM | VRRP_DO_OVERRIDE))
		send_claim(instance, actions & VRRP_DO_OVERRIDE);
	if (actions & VRRP_DO_ACQUIRE)
		outcome = send_advert(instance, now_us);
	if (outcome == REFUSED)
		return outcome;
	if (actions & VRRP_DO_ADD_VIP)
		add_addresses(instance, now_us);
	if (actions & VRRP_DO_ANNOUNCE) {
		vrrp_burst_start(&instance->burst, now_us);
		if (vrrp_burst_take(&instance->burst, now_us))
			announce(instance);
	}
	return outcome;
}

/* ---- events ---- */

static void note_change(
    struct vrrp_instance *instance, enum vrrp_state previous, const char *reason, uint64_t now_us)
{
	text_copy(instance->reason, sizeof(instance->reason), reason);
	instance->since_us = now_us;
	instance->heard_us = 0;
	instance->ignored_us = 0;
	/* Nobody outside has heard of a claimant. */
	log_notice("vrrp %s: %s -> %s: %s", instance->config.name,
	    vrrp_state_name(previous == VRRP_CLAIMANT ? VRRP_BACKUP : previous),
	    vrrp_state_name(instance->fsm.state), reason);
	instance->station->changed(instance->station, instance, previous);
}

static enum ipc_router_role role_of(enum vrrp_state state)
{
	static const enum ipc_router_role roles[VRRP_STATE_COUNT] = {
	    [VRRP_INITIALIZE] = IPC_ROLE_INITIALIZE,
	    [VRRP_BACKUP] = IPC_ROLE_BACKUP,
	    [VRRP_CLAIMANT] = IPC_ROLE_BACKUP,
	    [VRRP_ACTIVE] = IPC_ROLE_ACTIVE,
	    [VRRP_FAULT] = IPC_ROLE_FAULT,
	};
	return roles[state];
}

static void step(struct vrrp_instance *instance, enum vrrp_event event, const char *reason);

/* The kernel's answer to a first advert, and to every other. */
static void follow_up(struct vrrp_instance *instance, unsigned actions, enum outcome outcome,
    const char *reason, uint64_t now_us)
{
	if (actions & VRRP_DO_ACQUIRE) {
		if (outcome == SENT)
			step(instance, VRRP_EV_ACQUIRED, reason);
		else if (outcome == FAILED) /* nobody heard that we are Active now */
			set_trouble(instance, now_us, "the first advert could not be sent");
		else if (instance->fsm.state == VRRP_CLAIMANT)
			complain(instance, COMPLAINT_LEASE,
			    "claims on: the kernel still hears an Active, or another claimant");
	}
	if (outcome == REFUSED)
		step(instance, VRRP_EV_REFUSED, "the lease ran out before an advert renewed it");
}

static void conclude(struct vrrp_instance *instance, enum vrrp_state previous, unsigned actions,
    const char *reason, uint64_t now_us)
{
	enum vrrp_state state = instance->fsm.state;
	bool changed = role_of(state) != role_of(previous);
	if (changed && state == VRRP_ACTIVE)
		instance->handed_over = false;
	enum outcome outcome = perform(instance, actions, now_us);
	if (changed)
		note_change(instance, previous, reason, now_us);
	else if (state != previous)
		log_debug("vrrp %s: %s -> %s", instance->config.name, vrrp_state_name(previous),
		    vrrp_state_name(state));
	follow_up(instance, actions, outcome, reason, now_us);
}

static void step(struct vrrp_instance *instance, enum vrrp_event event, const char *reason)
{
	uint64_t now_us = clock_us();
	enum vrrp_state previous = instance->fsm.state;
	unsigned actions = vrrp_fsm_step(&instance->fsm, event, now_us);
	conclude(instance, previous, actions, reason, now_us);
}

static const char *fault_of(const struct vrrp_instance *instance)
{
	if (instance->link_fault[0])
		return instance->link_fault;
	if (instance->proxy_fault[0])
		return instance->proxy_fault;
	return instance->trouble[0] ? instance->trouble : NULL;
}

/* Brings the machine in line with what is wrong now, or with nothing being wrong any more. */
static void settle(struct vrrp_instance *instance, const char *recovered)
{
	const char *fault = fault_of(instance);
	if (fault && instance->fsm.state != VRRP_FAULT)
		step(instance, VRRP_EV_FAULT, fault);
	else if (!fault && instance->fsm.state == VRRP_INITIALIZE)
		step(instance, VRRP_EV_STARTUP, "started");
	else if (!fault && instance->fsm.state == VRRP_FAULT)
		step(instance, VRRP_EV_RECOVERED, recovered);
}

static void rearm(struct vrrp_instance *instance)
{
	uint64_t due = vrrp_fsm_wake_us(&instance->fsm);
	uint64_t round = vrrp_burst_due(&instance->burst);
	due = round < due ? round : due;
	due = instance->refresh_us < due ? instance->refresh_us : due;
	struct ev_loop *loop = instance->station->loop;
	ev_timer_stop(loop, &instance->timer);
	if (due == VRRP_NEVER)
		return;
	uint64_t now_us = clock_us();
	ev_now_update(loop);
	ev_timer_set(&instance->timer, due > now_us ? (double)(due - now_us) / 1e6 : 0., 0.);
	ev_timer_start(loop, &instance->timer);
}

/* ---- what the network says ---- */

static void remark_differences(
    struct vrrp_instance *instance, const struct vrrp_advert *advert, const char *from)
{
	const struct ipc_router *config = &instance->config;
	if (advert->interval_cs * 10000U != config->advertise_us)
		complain(instance, COMPLAINT_INTERVAL, "%s advertises every %u ms, we every %u ms",
		    from, advert->interval_cs * 10U, config->advertise_us / 1000U);
	bool same = advert->n_addresses == config->n_addresses;
	for (unsigned i = 0; i < config->n_addresses && same; i++) {
		unsigned at = 0;
		while (at < advert->n_addresses && memcmp(advert->addresses + 4 * at,
						       &config->addresses[i].addr.in.sin_addr, 4))
			at++;
		same = at < advert->n_addresses;
	}
	if (!same)
		complain(instance, COMPLAINT_ADDRESSES,
		    "%s announces other addresses for VRID %u than we", from, advert->vrid);
	if (advert->priority == config->priority)
		complain(instance, COMPLAINT_PRIORITY, "%s has our priority, %u", from,
		    advert->priority);
}

static void on_advert(struct vrrp_instance *instance, const struct vrrp_advert *advert,
    const struct addr *source, uint64_t now_us)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	addr_format_ip(source, from);
	if (advert->priority != VRRP_PRIORITY_LEAVING)
		remark_differences(instance, advert, from);
	int order = memcmp(&source->in.sin_addr, &instance->netif.source.in.sin_addr, 4);
	enum vrrp_state previous = instance->fsm.state;
	enum vrrp_event event = vrrp_fsm_classify(&instance->fsm, advert->priority, order);
	snprintf(reason, sizeof(reason), "advert of %s with priority %u%s", from, advert->priority,
	    instance->fsm.doubtful ? ", after we were stalled" : "");
	unsigned actions = vrrp_fsm_advert(
	    &instance->fsm, advert->priority, order, advert->interval_cs * 10000U, now_us);
	conclude(instance, previous, actions, reason, now_us);
	if (event == VRRP_EV_ADVERT_STALE)
		return;
	instance->heard_from = *source;
	instance->heard_priority = advert->priority;
	if (event == VRRP_EV_ADVERT_LOWER)
		instance->ignored_us = now_us;
	else
		instance->heard_us = now_us;
}

static void on_claim(struct vrrp_instance *instance, const struct vrrp_advert *claim,
    const struct addr *source, uint64_t now_us)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	int order = memcmp(&source->in.sin_addr, &instance->netif.source.in.sin_addr, 4);
	enum vrrp_state previous = instance->fsm.state;
	enum vrrp_event event = vrrp_fsm_classify_claim(
	    &instance->fsm, claim->priority, order, claim->flags & VRRP_CLAIM_PREEMPTS);
	snprintf(reason, sizeof(reason), "%s claims it with priority %u",
	    addr_format_ip(source, from), claim->priority);
	unsigned actions = vrrp_fsm_step(&instance->fsm, event, now_us);
	conclude(instance, previous, actions, reason, now_us);
}

static void on_packet(struct vrrp_instance *instance, const struct vrrp_received *packet)
{
	static const enum vrrp_accept policies[] = {
	    [CONF_CHECKSUM_AUTO] = VRRP_ACCEPT_EITHER,
	    [CONF_CHECKSUM_RFC9568] = VRRP_ACCEPT_PLAIN,
	    [CONF_CHECKSUM_RFC5798] = VRRP_ACCEPT_PSEUDO,
	};
	struct vrrp_expect expect = {
	    .vrid = instance->config.vrid,
	    .ttl_min = VRRP_TTL,
	    .checksum = policies[instance->config.checksum],
	    .self = instance->netif.source,
	    .only_peer = instance->config.mode == CONF_VRRP_UNICAST,
	    .peer = instance->config.peer,
	};
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	enum vrrp_refusal refusal = vrrp_parse(packet, &expect, &advert, &form);
	if (refusal != VRRP_ACCEPTED) {
		char from[ADDR_TEXT_MAX];
		instance->refusals[refusal]++;
		complain(instance, COMPLAINT_REFUSED, "advert of %s refused: %s",
		    addr_format_ip(&packet->source, from), vrrp_refusal_text(refusal));
		return;
	}
	instance->adverts_received++;
	if (instance->config.checksum == CONF_CHECKSUM_AUTO)
		instance->form = form; /* what the peer writes, it reads */
	if (advert.type == VRRP_TYPE_CLAIM)
		on_claim(instance, &advert, &packet->source, clock_us());
	else
		on_advert(instance, &advert, &packet->source, clock_us());
}

static void drain(struct vrrp_instance *instance)
{
	static uint8_t buf[VRRP_RECV_MAX];
	for (int i = 0; i < PACKETS_PER_PASS && instance->sock.fd >= 0; i++) {
		struct vrrp_received packet;
		int rc = vrrp_socket_recv(&instance->sock, buf, &packet);
		if (rc == 0)
			break;
		if (rc > 0)
			on_packet(instance, &packet);
	}
}

/* First at each wake-up: what is in the queue is older than any timer that wants to fire now. */
static void wake(struct vrrp_instance *instance)
{
	uint64_t last_us = instance->fsm.awake_us, now_us = clock_us();
	if (vrrp_fsm_awake(&instance->fsm, now_us))
		complain(instance, COMPLAINT_STALL, "stalled for %llu ms while %s",
		    (unsigned long long)((now_us - last_us) / US_PER_MS),
		    vrrp_state_name(instance->fsm.state));
	drain(instance);
	now_us = clock_us();
	enum vrrp_state previous = instance->fsm.state;
	unsigned actions = vrrp_fsm_recheck(&instance->fsm, now_us);
	conclude(instance, previous, actions, "", now_us);
}

/* ---- what time says ---- */

static void promotion_reason(
    const struct vrrp_instance *instance, uint64_t now_us, char *out, size_t size)
{
	char from[ADDR_TEXT_MAX] = "";
	if (instance->heard_us || instance->ignored_us)
		addr_format_ip(&instance->heard_from, from);
	if (instance->ignored_us > instance->heard_us)
		snprintf(out, size, "preempts %s with priority %u", from, instance->heard_priority);
	else if (instance->heard_us && instance->heard_priority == VRRP_PRIORITY_LEAVING)
		snprintf(out, size, "%s resigned", from);
	else
		snprintf(out, size, "no advert for %llu ms",
		    (unsigned long long)((now_us - (instance->heard_us ? instance->heard_us
								       : instance->since_us)) /
					 US_PER_MS));
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct vrrp_instance *instance = timer->data;
	(void)loop;
	(void)revents;
	wake(instance);
	uint64_t now_us = clock_us();
	char reason[IPC_REASON_MAX];
	promotion_reason(instance, now_us, reason, sizeof(reason));
	step(instance, VRRP_EV_TIMER, reason);
	if (now_us >= instance->refresh_us)
		add_addresses(instance, now_us);
	if (vrrp_burst_take(&instance->burst, now_us))
		announce(instance);
	settle(instance, "");
	rearm(instance);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int revents)
{
	struct vrrp_instance *instance = io->data;
	(void)loop;
	(void)revents;
	wake(instance);
	settle(instance, "");
	rearm(instance);
	if (vrrp_guard_outdated(&instance->guard, &instance->fsm, clock_us()))
		vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif,
		    &instance->fsm, VRRP_FENCE_CHANGE);
}

/* ---- the interface ---- */

static void close_socket(struct vrrp_instance *instance)
{
	ev_io_stop(instance->station->loop, &instance->readable);
	vrrp_socket_close(&instance->sock);
}

static int open_socket(
    struct vrrp_instance *instance, const struct vrrp_netif *netif, struct err *err)
{
	close_socket(instance);
	int rc = vrrp_socket_open(&instance->sock, &instance->config, netif, err);
	if (rc)
		return rc;
	instance->netif = *netif;
	ev_io_set(&instance->readable, instance->sock.fd, EV_READ);
	ev_io_start(instance->station->loop, &instance->readable);
	return 0;
}

/* The interface is (again) fit, or has become another one. */
static int adopt_interface(
    struct vrrp_instance *instance, const struct vrrp_netif *netif, struct err *err)
{
	struct err warning;
	int rc = open_socket(instance, netif, err);
	if (rc)
		return rc;
	if (vrrp_netif_strict_arp(instance->config.interface, &warning))
		log_warn("vrrp %s: ARP stays lax, a neighbour may be misled after a failover: %s",
		    instance->config.name, warning.text);
	vrrp_guard_raise(
	    &instance->guard, &instance->config, netif, &instance->fsm, VRRP_FENCE_FRESH);
	/* What an earlier life left behind; the kernel would remove it too, but later. */
	if (instance->fsm.state != VRRP_ACTIVE)
		remove_addresses(instance);
	return 0;
}

static void look_at_link(struct vrrp_instance *instance)
{
	struct err err;
	struct vrrp_netif netif;
	bool had = instance->sock.fd >= 0;
	int rc = vrrp_netif_query(&instance->config, &netif, &err);
	if (rc == 0 && had && netif.ifindex != instance->netif.ifindex) {
		/* Replaced under the same name: what we had is gone with the old one. */
		text_copy(instance->link_fault, sizeof(instance->link_fault),
		    "the interface was replaced");
		settle(instance, "");
	}
	if (rc == 0 && (!had || netif.ifindex != instance->netif.ifindex ||
			   !addr_equal_ip(&netif.source, &instance->netif.source)))
		rc = adopt_interface(instance, &netif, &err);
	if (rc == 0) {
		instance->netif = netif;
		instance->link_fault[0] = '\0';
		return;
	}
	text_copy(instance->link_fault, sizeof(instance->link_fault), err.text);
}

void vrrp_instance_check_link(struct vrrp_instance *instance)
{
	wake(instance);
	look_at_link(instance);
	char reason[IPC_REASON_MAX];
	snprintf(reason, sizeof(reason), "interface %s is usable", instance->config.interface);
	settle(instance, reason);
	if (instance->link_fault[0])
		close_socket(instance); /* after the goodbye */
	rearm(instance);
}

/* ---- from above ---- */

static void adopt_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness)
{
	text_copy(instance->proxy_fault, sizeof(instance->proxy_fault),
	    fitness->ready ? "" : fitness->reason);
	instance->fsm.preempt = instance->config.failback == CONF_FAILBACK_WHEN_WARM &&
				fitness->warm && !instance->handed_over;
}

/* With `auto`, until the peer has shown what it writes: the form with the pseudo-header. RFC 9568
 * has it without, but keepalived, FRR and packet analysers all mean the other one. */
static enum vrrp_checksum first_form(const struct ipc_router *config)
{
	return config->checksum == CONF_CHECKSUM_RFC9568 ? VRRP_CHECKSUM_PLAIN
							 : VRRP_CHECKSUM_PSEUDO;
}

void vrrp_instance_start(struct vrrp_instance *instance, struct vrrp_station *station,
    const struct ipc_router *config, const struct vrrp_fitness *fitness)
{
	uint64_t now_us = clock_us();
	*instance = (struct vrrp_instance){
	    .used = true,
	    .station = station,
	    .config = *config,
	    .sock.fd = -1,
	    .form = first_form(config),
	    .guard.lease = station->lease,
	    .refresh_us = VRRP_NEVER,
	    .since_us = now_us,
	};
	vrrp_fsm_init(&instance->fsm, config->priority, config->advertise_us, now_us);
	ev_init(&instance->readable, on_readable);
	ev_init(&instance->timer, on_timer);
	instance->readable.data = instance->timer.data = instance;
	adopt_fitness(instance, fitness);
	look_at_link(instance);
	settle(instance, "");
	rearm(instance);
}

void vrrp_instance_stop(struct vrrp_instance *instance, const char *reason)
{
	step(instance, VRRP_EV_SHUTDOWN, reason);
	vrrp_guard_lower(&instance->guard, &instance->config);
	ev_timer_stop(instance->station->loop, &instance->timer);
	close_socket(instance);
	for (unsigned i = VRRP_ACCEPTED + 1; i < VRRP_REFUSAL_COUNT; i++) {
		if (instance->refusals[i])
			log_debug("vrrp %s: %llu adverts refused: %s", instance->config.name,
			    (unsigned long long)instance->refusals[i],
			    vrrp_refusal_text((enum vrrp_refusal)i));
	}
	instance->used = false;
}

static bool same_place(const struct ipc_router *a, const struct ipc_router *b)
{
	return strcmp(a->interface, b->interface) == 0 && a->vrid == b->vrid &&
	       a->mode == b->mode && addr_equal_ip(&a->local, &b->local) &&
	       addr_equal_ip(&a->peer, &b->peer);
}

static bool has_address(const struct ipc_router *config, const struct addr *addr)
{
	for (unsigned i = 0; i < config->n_addresses; i++) {
		if (addr_equal_ip(&config->addresses[i].addr, addr))
			return true;
	}
	return false;
}

static bool same_addresses(const struct ipc_router *a, const struct ipc_router *b)
{
	bool same = a->n_addresses == b->n_addresses;
	for (unsigned i = 0; i < a->n_addresses && same; i++)
		same = addr_equal_ip(&a->addresses[i].addr, &b->addresses[i].addr);
	return same;
}

/* The fence stands before new addresses come, and the sets of the old one stay. */
static void change_guard(struct vrrp_instance *instance)
{
	if (instance->sock.fd >= 0)
		vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif,
		    &instance->fsm, VRRP_FENCE_CHANGE);
}

/* While Active: the ones that go are removed, the new ones come and are announced. */
static void change_addresses(struct vrrp_instance *instance, const struct ipc_router *config)
{
	struct err err;
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		const struct addr *addr = &instance->config.addresses[i].addr;
		if (!has_address(config, addr) &&
		    vrrp_vip_remove(instance->station->vip, instance->netif.ifindex, addr, &err))
			log_error("vrrp %s: %s", instance->config.name, err.text);
	}
	instance->config = *config;
	change_guard(instance);
	if (instance->fsm.state == VRRP_ACTIVE)
		conclude(instance, VRRP_ACTIVE,
		    VRRP_DO_SEND_ADVERT | VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE, "", clock_us());
}

void vrrp_instance_configure(struct vrrp_instance *instance, const struct ipc_router *config,
    const struct vrrp_fitness *fitness)
{
	const struct ipc_router *old = &instance->config;
	if (!same_place(old, config)) {
		struct vrrp_station *station = instance->station;
		vrrp_instance_stop(instance, "configuration changed");
		vrrp_instance_start(instance, station, config, fitness);
		return;
	}
	if (old->priority == config->priority && old->advertise_us == config->advertise_us &&
	    old->failback == config->failback && old->checksum == config->checksum &&
	    same_addresses(old, config))
		return;
	wake(instance);
	if (old->checksum != config->checksum)
		instance->form = first_form(config);
	vrrp_fsm_configure(&instance->fsm, config->priority, config->advertise_us, clock_us());
	if (same_addresses(old, config)) {
		instance->config = *config;
		change_guard(instance);
	} else {
		change_addresses(instance, config);
	}
	adopt_fitness(instance, fitness);
	log_notice("vrrp %s: configuration changed, still %s", config->name,
	    vrrp_state_name(instance->fsm.state));
	settle(instance, "");
	rearm(instance);
}

void vrrp_instance_set_fitness(struct vrrp_instance *instance, const struct vrrp_fitness *fitness)
{
	bool was_unfit = instance->proxy_fault[0] != '\0';
	adopt_fitness(instance, fitness);
	if (was_unfit != fitness->ready)
		return;
	wake(instance);
	settle(instance, "proxy ready");
	rearm(instance);
}

/* An Active without its fence goes on. The new fence begins empty, so that its next advert would be
 * refused: it claims like everybody, and lets the kernel decide. */
void vrrp_instance_check_guard(struct vrrp_instance *instance)
{
	if (instance->sock.fd < 0 || !vrrp_guard_gone(&instance->guard, &instance->config))
		return;
	log_warn("vrrp %s: somebody removed our nftables rules: put back", instance->config.name);
	wake(instance);
	vrrp_guard_raise(&instance->guard, &instance->config, &instance->netif, &instance->fsm,
	    VRRP_FENCE_FRESH);
	if (instance->fsm.state == VRRP_ACTIVE)
		conclude(
		    instance, VRRP_ACTIVE, VRRP_DO_SEND_CLAIM | VRRP_DO_ACQUIRE, "", clock_us());
	settle(instance, "");
	rearm(instance);
}

void vrrp_instance_tick(struct vrrp_instance *instance)
{
	char reason[IPC_REASON_MAX + 16];
	if (instance->link_fault[0]) /* perhaps an event was not for us */
		vrrp_instance_check_link(instance);
	if (!instance->trouble[0] || clock_us() < instance->retry_us)
		return;
	snprintf(reason, sizeof(reason), "trying again (%s)", instance->trouble);
	instance->trouble[0] = '\0';
	instance->mute_us = 0;
	wake(instance);
	settle(instance, reason);
	rearm(instance);
}

int vrrp_instance_resign(struct vrrp_instance *instance, const char *reason, struct err *err)
{
	wake(instance);
	if (instance->fsm.state != VRRP_ACTIVE) {
		rearm(instance);
		return err_set(err, -EPERM, "%s is %s here, not Active", instance->config.name,
		    vrrp_state_name(instance->fsm.state));
	}
	char text[IPC_REASON_MAX];
	snprintf(text, sizeof(text), "resigned: %s", reason[0] ? reason : "asked to");
	instance->handed_over = true;
	instance->fsm.preempt = false;
	step(instance, VRRP_EV_RESIGN, text);
	rearm(instance);
	return 0;
}

void vrrp_instance_describe(
    const struct vrrp_instance *instance, enum vrrp_state previous, union ipc_message *msg)
{
	const struct ipc_router *config = &instance->config;
	ipc_init(msg, IPC_ROUTER_STATE);
	struct ipc_router_state *state = &msg->router_state;
	text_copy(state->name, sizeof(state->name), config->name);
	text_copy(state->interface, sizeof(state->interface), config->interface);
	text_copy(state->reason, sizeof(state->reason), instance->reason);
	if (instance->guard.problem[0]) {
		size_t len = strlen(state->reason);
		snprintf(state->reason + len, sizeof(state->reason) - len, "; NO LEASE: %s",
		    instance->guard.problem);
	}
	state->removed = instance->removed;
	state->vrid = config->vrid;
	state->priority = config->priority;
	state->role = (uint8_t)role_of(instance->fsm.state);
	state->previous = (uint8_t)role_of(previous);
	state->since_us = instance->since_us;
	state->n_addresses = config->n_addresses;
	memcpy(state->addresses, config->addresses, sizeof(state->addresses));
}
