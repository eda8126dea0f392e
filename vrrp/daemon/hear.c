/* What a virtual router makes of packets: judged, remarked upon, made events of its machine. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"

/* More packets than a receive buffer holds, so that one pass empties it. */
#define PACKETS_PER_PASS 256

static void remark_differences(
    struct vrrp_instance *instance, const struct vrrp_advert *advert, const char *from)
{
	const struct ipc_router *config = &instance->config;
	if (advert->interval_cs * 10000U != config->advertise_us)
		instance_complain(instance, COMPLAINT_INTERVAL,
		    "%s advertises every %u ms, we every %u ms", from, advert->interval_cs * 10U,
		    config->advertise_us / 1000U);
	bool same = advert->n_addresses == config->n_addresses;
	for (unsigned i = 0; i < config->n_addresses && same; i++)
		same = vrrp_advert_lists(advert, &config->addresses[i].addr);
	if (!same)
		instance_complain(instance, COMPLAINT_ADDRESSES,
		    "%s announces other addresses for VRID %u than we", from, advert->vrid);
	if (advert->priority == instance->fsm.priority)
		instance_complain(instance, COMPLAINT_PRIORITY, "%s has our priority, %u", from,
		    advert->priority);
}

static void on_advert(struct vrrp_instance *instance, const struct vrrp_advert *advert,
    const struct addr *source, uint64_t now_us)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	addr_format_ip(source, from);
	if (advert->priority != VRRP_PRIORITY_LEAVING)
		remark_differences(instance, advert, from);
	int order = addr_compare_ip(source, &instance->netif.source);
	enum vrrp_state previous = instance->fsm.state;
	if (vrrp_state_outside(previous) == VRRP_BACKUP &&
	    advert->priority != VRRP_PRIORITY_LEAVING)
		instance_judge_rival(instance, advert->priority, now_us);
	enum vrrp_event event = vrrp_fsm_classify(&instance->fsm, advert->priority, order);
	instance->event = event;
	instance_count_advert(instance, advert, source, now_us);
	snprintf(reason, sizeof(reason), "advert of %s with priority %u%s", from, advert->priority,
	    instance->fsm.doubtful ? ", after we were stalled" : "");
	unsigned actions = vrrp_fsm_advert(
	    &instance->fsm, advert->priority, order, advert->interval_cs * 10000U, now_us);
	instance_conclude(instance, previous, actions, reason, now_us);
	if (event == VRRP_EV_STALE)
		return;
	if (event != VRRP_EV_ADVERT_LEAVING)
		instance->preempted = 0;
	else if (previous == VRRP_CLAIMANT && instance->ignored_us > instance->heard_us)
		instance->preempted = instance->heard_priority;
	instance->heard_from = *source;
	instance->heard_priority = advert->priority;
	instance->heard_better = advert->priority > instance->fsm.priority ||
				 (advert->priority == instance->fsm.priority && order > 0);
	if (event == VRRP_EV_ADVERT_LOWER)
		instance->ignored_us = now_us;
	else
		instance->heard_us = now_us;
	/* Skew_Time lets the best of several come first. Two yokes settle that by their claims. */
	if (event == VRRP_EV_ADVERT_LEAVING && instance->paired &&
	    instance->fsm.state == VRRP_BACKUP)
		instance_step(instance, VRRP_EV_HANDOVER, reason);
}

void instance_hear_claim(struct vrrp_instance *instance, uint8_t priority, uint8_t flags,
    const struct addr *source, const char *path, uint64_t now_us)
{
	char from[ADDR_TEXT_MAX], reason[IPC_REASON_MAX];
	int order = addr_compare_ip(source, &instance->netif.source);
	enum vrrp_state previous = instance->fsm.state;
	enum vrrp_event event = vrrp_fsm_classify_claim(&instance->fsm, priority, order, flags);
	instance->event = event;
	snprintf(reason, sizeof(reason), "%s claims it with priority %u%s",
	    addr_format_ip(source, from), priority, path);
	unsigned actions = vrrp_fsm_step(&instance->fsm, event, now_us);
	instance_conclude(instance, previous, actions, reason, now_us);
}

static void on_packet(struct vrrp_instance *instance, const struct vrrp_received *packet)
{
	static const enum vrrp_accept policies[] = {
	    [CONF_CHECKSUM_AUTO] = VRRP_ACCEPT_EITHER,
	    [CONF_CHECKSUM_RFC9568] = VRRP_ACCEPT_PLAIN,
	    [CONF_CHECKSUM_RFC5798] = VRRP_ACCEPT_PSEUDO,
	};
	struct vrrp_expect expect = {
	    .version = instance->config.version,
	    .vrid = instance->config.vrid,
	    .ttl_min = instance->config.min_ttl,
	    .ttl_max = VRRP_TTL,
	    .checksum = policies[instance->config.checksum],
	    .interval_cs = (uint16_t)(instance->config.advertise_us / 10000),
	    .auth = &instance->auth,
	    .self = instance->netif.source,
	    .only_peer = instance->config.mode == CONF_VRRP_UNICAST,
	    .peer = instance->config.peer,
	};
	struct vrrp_advert advert;
	enum vrrp_checksum form;
	enum vrrp_refusal refusal = vrrp_parse(packet, &expect, &advert, &form);
	if (refusal != VRRP_ACCEPTED) {
		char from[ADDR_TEXT_MAX];
		instance->stats.refused[refusal]++;
		instance_complain(instance, COMPLAINT_REFUSED, "advert of %s refused: %s",
		    addr_format_ip(&packet->source, from), vrrp_refusal_text(refusal));
		return;
	}
	if (instance->config.checksum == CONF_CHECKSUM_AUTO)
		instance->form = form; /* what the peer writes, it reads */
	if (advert.type == VRRP_TYPE_CLAIM) {
		instance->stats.claims_received++;
		instance_hear_claim(
		    instance, advert.priority, advert.flags, &packet->source, "", clock_us());
	} else {
		on_advert(instance, &advert, &packet->source, clock_us());
	}
}

void instance_drain(struct vrrp_instance *instance)
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
