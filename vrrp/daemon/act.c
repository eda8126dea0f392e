/* What a virtual router does to the world when its machine orders it: adverts, claims, addresses,
 * announcements. */
#include "vrrp/daemon/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/link/arp.h"
#include "vrrp/link/router.h"
#include "vrrp/link/token.h"

#define RETRY_US    (2 * US_PER_SEC)
#define COMPLAIN_US (10 * US_PER_SEC)

static bool complain(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *text)
{
	uint64_t swallowed;
	if (!log_allowed(&instance->limits[kind], clock_us(), COMPLAIN_US, &swallowed))
		return false;
	if (swallowed)
		log_warn("vrrp %s: %s (and %llu times before)", instance->config.name, text,
		    (unsigned long long)swallowed);
	else
		log_warn("vrrp %s: %s", instance->config.name, text);
	return true;
}

void instance_complain(
    struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt, ...)
{
	char text[IPC_REASON_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	complain(instance, kind, text);
}

void instance_remark(struct vrrp_instance *instance, enum vrrp_complaint kind, const char *fmt, ...)
{
	char text[IPC_REASON_MAX];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (complain(instance, kind, text))
		instance->station->remarked(instance->station, instance, text);
}

void instance_set_trouble(struct vrrp_instance *instance, uint64_t now_us, const char *text)
{
	text_copy(instance->trouble, sizeof(instance->trouble), text);
	instance->retry_us = now_us + RETRY_US;
}

void instance_remove_addresses(struct vrrp_instance *instance)
{
	struct err err;
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		if (vrrp_vip_remove(instance->station->route, instance->netif.vip_ifindex,
			&instance->config.addresses[i].addr, &err))
			log_error("vrrp %s: %s", instance->config.name, err.text);
	}
	instance->refresh_us = VRRP_NEVER;
}

void instance_add_addresses(struct vrrp_instance *instance, uint64_t now_us)
{
	struct err err;
	unsigned lifetime_s = vrrp_vip_lifetime_s(instance->config.advertise_us);
	for (unsigned i = 0; i < instance->config.n_addresses; i++) {
		if (vrrp_vip_set(instance->station->route, instance->netif.vip_ifindex,
			&instance->config.addresses[i].addr, lifetime_s, &err))
			instance_set_trouble(instance, now_us, err.text);
	}
	instance->refresh_us = now_us + vrrp_vip_refresh_us(instance->config.advertise_us);
}

static void announce_one(struct vrrp_instance *instance, const struct addr *addr)
{
	if (!instance->netif.has_mac)
		return;
	instance->stats.announcements_sent++;
	int rc = vrrp_arp_announce(instance->station->arp_fd, &instance->netif, addr);
	if (rc)
		instance_complain(
		    instance, COMPLAINT_SEND, "announcing the addresses: %s", strerror(-rc));
}

void instance_announce(struct vrrp_instance *instance, uint64_t now_us)
{
	const struct ipc_router *config = &instance->config;
	const struct vrrp_announce how = {
	    .n_addresses = config->n_addresses,
	    .gap_us = config->announce_interval_us,
	    .refresh_us = config->announce_refresh_us,
	};
	for (int i; (i = vrrp_burst_take(&instance->burst, &how, now_us)) >= 0;)
		announce_one(instance, &config->addresses[i].addr);
}

/* An Active whose adverts do not leave must not go on: the peer takes over in silence. A full
 * queue passes; what else it is may last. */
static enum instance_outcome judge_failure(struct vrrp_instance *instance, int rc, uint64_t now_us)
{
	if (rc == -ENOBUFS && vrrp_guard_refused(&instance->guard, &instance->config)) {
		instance->stats.lease_refusals++;
		return OUTCOME_REFUSED;
	}
	instance->stats.send_errors++;
	if (instance->mute_us == 0)
		instance->mute_us = now_us;
	bool passing = rc == -ENOBUFS || rc == -EAGAIN;
	if (passing || now_us - instance->mute_us < 3 * (uint64_t)instance->fsm.interval_us)
		instance_complain(instance, COMPLAINT_SEND, "advert not sent: %s", strerror(-rc));
	if (now_us - instance->mute_us >= 3 * (uint64_t)instance->fsm.interval_us) {
		char text[IPC_REASON_MAX];
		snprintf(text, sizeof(text), "adverts cannot be sent: %s", strerror(-rc));
		instance_set_trouble(instance, now_us, text);
	}
	return passing ? OUTCOME_SENT : OUTCOME_FAILED;
}

static int send_token(struct vrrp_instance *instance, enum vrrp_token kind)
{
	struct vrrp_fence_id id = vrrp_router_fence(&instance->config);
	if (!instance->guard.up)
		return 0;
	int rc = vrrp_token_send(instance->station->arp_fd, &instance->netif, kind, &id);
	return rc == -ENOTSUP ? 0 : rc;
}

static bool is_unicast(const struct vrrp_instance *instance)
{
	return instance->config.mode == CONF_VRRP_UNICAST;
}

static enum instance_outcome send_advert(struct vrrp_instance *instance, uint64_t now_us)
{
	int rc = vrrp_socket_advertise(
	    &instance->sock, &instance->config, instance->fsm.priority, instance->form);
	/* A unicast advert may wait for the peer's MAC, or leave by another interface: there the
	 * lease needs a frame of its own. After the advert, never instead of it. */
	if (rc == 0 && is_unicast(instance))
		rc = send_token(instance, VRRP_TOKEN_RENEW);
	if (rc)
		return judge_failure(instance, rc, now_us);
	instance->stats.adverts_sent++;
	instance->mute_us = 0;
	return OUTCOME_SENT;
}

/* VRRPv2 has no claims: the kernel is told, nobody else. */
static void send_claim(struct vrrp_instance *instance, bool overrides, uint64_t now_us)
{
	int rc = 0;
	uint8_t flags = vrrp_fsm_claim_flags(&instance->fsm);
	if (overrides)
		flags |= VRRP_CLAIM_OVERRIDES;
	bool has_claims = instance->config.version == VRRP_VERSION;
	if (has_claims)
		rc = vrrp_socket_claim(&instance->sock, &instance->config, instance->fsm.priority,
		    flags, instance->form);
	if (!has_claims || is_unicast(instance))
		send_token(instance, overrides ? VRRP_TOKEN_OVERRIDE : VRRP_TOKEN_PERMIT);
	if (has_claims)
		instance_say_claim(instance, flags, now_us);
	instance->stats.claims_sent += has_claims;
	if (rc)
		instance_complain(instance, COMPLAINT_SEND, "claim not sent: %s", strerror(-rc));
}

enum instance_outcome instance_perform(
    struct vrrp_instance *instance, unsigned actions, uint64_t now_us)
{
	if (actions & VRRP_DO_REMOVE_VIP) {
		vrrp_burst_cancel(&instance->burst);
		instance_remove_addresses(instance);
	}
	enum instance_outcome outcome = OUTCOME_SENT;
	if (actions & VRRP_DO_SEND_ADVERT)
		outcome = send_advert(instance, now_us);
	if (actions & VRRP_DO_RELEASE)
		send_token(instance, VRRP_TOKEN_RELEASE);
	if (actions & VRRP_DO_SEND_LEAVING)
		vrrp_socket_advertise(
		    &instance->sock, &instance->config, VRRP_PRIORITY_LEAVING, instance->form);
	if (actions & (VRRP_DO_SEND_CLAIM | VRRP_DO_OVERRIDE))
		send_claim(instance, actions & VRRP_DO_OVERRIDE, now_us);
	if (actions & VRRP_DO_ACQUIRE)
		outcome = send_advert(instance, now_us);
	if (outcome == OUTCOME_REFUSED)
		return outcome;
	if (actions & VRRP_DO_ADD_VIP)
		instance_add_addresses(instance, now_us);
	if (actions & VRRP_DO_ANNOUNCE) {
		vrrp_burst_start(&instance->burst, now_us);
		instance_announce(instance, now_us);
	}
	return outcome;
}
