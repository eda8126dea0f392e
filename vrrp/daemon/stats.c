/* What a virtual router counts, for status and metrics. */
#include "vrrp/daemon/internal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"
#include "vrrp/core/fence.h"
#include "vrrp/daemon/waiting.h"

static_assert(VRRP_REFUSAL_COUNT <= IPC_REFUSALS_MAX, "a counter for each reason");
static_assert(VRRP_LATENESS_BUCKETS <= IPC_LATENESS_MAX, "a counter for each bucket");

bool instance_preempts(const struct vrrp_instance *instance, uint64_t now_us)
{
	uint64_t interval_us = instance->stats.heard_interval_us;
	return instance->preempted || (instance->ignored_us > instance->heard_us &&
					  now_us - instance->ignored_us < 2 * interval_us);
}

static enum ipc_promotion promotion_of(const struct vrrp_instance *instance, uint64_t now_us)
{
	if (instance_preempts(instance, now_us))
		return IPC_PROMOTION_PREEMPTION;
	if (instance->handover_us ||
	    (instance->heard_us && instance->heard_priority == VRRP_PRIORITY_LEAVING))
		return IPC_PROMOTION_RESIGNED;
	return IPC_PROMOTION_SILENCE;
}

static enum ipc_departure departure_of(enum vrrp_event event)
{
	switch (event) {
	case VRRP_EV_RESIGN: return IPC_DEPARTURE_OPERATOR;
	case VRRP_EV_FAULT: return IPC_DEPARTURE_FAULT;
	case VRRP_EV_REFUSED:
	case VRRP_EV_LAPSED: return IPC_DEPARTURE_LEASE;
	case VRRP_EV_ADVERT_INCUMBENT:
	case VRRP_EV_ADVERT_EQUAL_HIGHER:
	case VRRP_EV_ADVERT_HIGHER: return IPC_DEPARTURE_ADVERT;
	case VRRP_EV_CLAIM_PREEMPTS: return IPC_DEPARTURE_CLAIM;
	case VRRP_EV_SHUTDOWN: return IPC_DEPARTURE_SHUTDOWN;
	default: return IPC_DEPARTURE_OTHER;
	}
}

void instance_add_figures(
    const struct vrrp_instance *instance, uint64_t now_us, char *reason, size_t size)
{
	const struct ipc_router_stats *stats = &instance->stats;
	char from[ADDR_TEXT_MAX], heard[ADDR_TEXT_MAX + 64] = "heard nobody";
	if (stats->heard_us)
		snprintf(heard, sizeof(heard), "heard %s with %u, %llu ms ago",
		    addr_format_ip(&stats->heard_from, from), stats->heard_priority,
		    (unsigned long long)((now_us - stats->heard_us) / US_PER_MS));
	char configured[16] = "";
	if (instance->fsm.priority != instance->config.priority)
		snprintf(configured, sizeof(configured), " of %u", instance->config.priority);
	size_t len = strlen(reason);
	snprintf(reason + len, size - len, " [priority %u%s; %s; woke up %llu us late]",
	    instance->fsm.priority, configured, heard, (unsigned long long)instance->late_us);
}

void instance_count_change(
    struct vrrp_instance *instance, enum vrrp_state previous, uint64_t now_us)
{
	if (vrrp_state_outside(instance->fsm.state) == VRRP_ACTIVE)
		instance->stats.promotions[promotion_of(instance, now_us)]++;
	else if (vrrp_state_outside(previous) == VRRP_ACTIVE)
		instance->stats.departures[departure_of(instance->event)]++;
}

/* How late an advert may be for the lease to be alive when it leaves. */
static uint32_t tolerance_us(const struct vrrp_instance *instance)
{
	uint32_t interval_us = instance->config.advertise_us;
	uint32_t lease_us = vrrp_fence_times(interval_us, interval_us).lease_ms * 1000;
	return lease_us - interval_us;
}

void instance_count_lateness(struct vrrp_instance *instance, uint64_t due_us, uint64_t now_us)
{
	if (due_us > now_us || due_us == instance->counted_due_us)
		return;
	uint32_t interval_us = instance->config.advertise_us;
	uint64_t late_us = now_us - due_us;
	instance->counted_due_us = due_us;
	instance->late_us = late_us;
	vrrp_lateness_note(&instance->lateness, late_us, now_us);
	if (late_us <= interval_us / 2)
		return;
	const struct vrrp_station *station = instance->station;
	uint64_t waited_us = vrrp_waiting_us(station->waiting_fd) - station->waited_us;
	instance_remark(instance, COMPLAINT_LATE,
	    "woke up %llu us late as %s, %llu us of it for want of a CPU; adverts are due every "
	    "%u ms, and the lease bears %u us",
	    (unsigned long long)late_us, vrrp_state_name(instance->fsm.state),
	    (unsigned long long)(waited_us < late_us ? waited_us : late_us), interval_us / 1000,
	    tolerance_us(instance));
}

void instance_count_advert(struct vrrp_instance *instance, const struct vrrp_advert *advert,
    const struct addr *source, uint64_t now_us)
{
	struct ipc_router_stats *stats = &instance->stats;
	stats->adverts_received++;
	if (instance->heard_us && vrrp_state_outside(instance->fsm.state) == VRRP_BACKUP)
		vrrp_lateness_note(&instance->silence, now_us - instance->heard_us, now_us);
	stats->heard_us = now_us;
	stats->heard_from = *source;
	stats->heard_priority = advert->priority;
	stats->heard_version = advert->version;
	stats->heard_plain = instance->form == VRRP_CHECKSUM_PLAIN;
	stats->heard_interval_us = advert->interval_cs * 10000U;
}

static void tell_lease(const struct vrrp_instance *instance, struct ipc_router_stats *stats)
{
	const struct vrrp_guard *guard = &instance->guard;
	stats->lease = IPC_LEASE_MISSING;
	text_copy(stats->lease_problem, sizeof(stats->lease_problem), guard->problem);
	stats->lease_left_ms = (uint32_t)vrrp_guard_left_ms(guard, &instance->config);
	if (guard->up)
		stats->lease = stats->lease_left_ms ? IPC_LEASE_ALIVE : IPC_LEASE_OVER;
}

void vrrp_instance_tell_stats(
    const struct vrrp_instance *instance, uint64_t now_us, union ipc_message *msg)
{
	ipc_init(msg, IPC_ROUTER_STATS);
	struct ipc_header header = msg->header;
	struct ipc_router_stats *stats = &msg->router_stats;
	*stats = instance->stats;
	stats->header = header;
	text_copy(stats->name, sizeof(stats->name), instance->config.name);
	memcpy(stats->lateness, instance->lateness.counts, sizeof(instance->lateness.counts));
	stats->lateness_sum_us = instance->lateness.sum_us;
	stats->lateness_max_us = (uint32_t)instance->lateness.max_us;
	stats->lateness_recent_us = (uint32_t)vrrp_lateness_recent_us(&instance->lateness, now_us);
	stats->tolerance_us = tolerance_us(instance);
	stats->log_lost = log_lost();
	stats->silence_recent_us = (uint32_t)vrrp_lateness_recent_us(&instance->silence, now_us);
	stats->patience_us = (uint32_t)vrrp_fsm_active_down_us(&instance->fsm);
	tell_lease(instance, stats);
}
