/* Others meddle with the addresses that we hold. */
#include "vrrp/daemon/internal.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "vrrp/link/router.h"
#include "vrrp/link/watch.h"

/* Removed more often than so many times in so long: whoever does it will go on, and the peer may
 * have better luck. */
#define REMOVED_MAX       5
#define REMOVED_WINDOW_US (10 * US_PER_SEC)

static void put_back(struct vrrp_instance *instance, const char *vip, uint64_t now_us)
{
	char text[IPC_REASON_MAX];
	if (now_us - instance->removed_us > REMOVED_WINDOW_US) {
		instance->removed_us = now_us;
		instance->n_removed = 0;
	}
	instance->n_removed++;
	if (instance->n_removed > REMOVED_MAX) {
		snprintf(text, sizeof(text), "somebody removed %s %u times in %llu s", vip,
		    instance->n_removed, (unsigned long long)(REMOVED_WINDOW_US / US_PER_SEC));
		instance_set_trouble(instance, now_us, text);
		return;
	}
	snprintf(text, sizeof(text),
	    "somebody removed %s: put back (%u of at most %d times in %llu s)", vip,
	    instance->n_removed, REMOVED_MAX, (unsigned long long)(REMOVED_WINDOW_US / US_PER_SEC));
	log_warn("vrrp %s: %s", instance->config.name, text);
	instance->station->remarked(instance->station, instance, text);
	instance->stats.addresses_put_back++;
	instance_perform(instance, VRRP_DO_ADD_VIP | VRRP_DO_ANNOUNCE, now_us);
}

void vrrp_instance_address_changed(
    struct vrrp_instance *instance, int ifindex, const struct addr *addr, bool added)
{
	char vip[ADDR_TEXT_MAX];
	if (addr_equal_ip(addr, &instance->config.local))
		vrrp_instance_check_path(instance);
	if (instance->netif.vip_ifindex != ifindex || !vrrp_router_has(&instance->config, addr))
		return;
	instance_wake(instance);
	addr_format_ip(addr, vip);
	bool active = vrrp_state_outside(instance->fsm.state) == VRRP_ACTIVE;
	if (active && !added) {
		put_back(instance, vip, clock_us());
	} else if (!active && added) {
		instance_complain(instance, COMPLAINT_ADDED, "somebody added %s: removed", vip);
		instance_remove_addresses(instance);
	}
	instance_settle(instance, "");
	instance_rearm(instance);
}

/* ---- others that say they have them ---- */

#define ANNOUNCEMENTS_PER_PASS 64

/* Rate-limited by the burst, which has the last word after a time in which two were Active. */
static void contradict(
    struct vrrp_instance *instance, const uint8_t mac[6], const struct addr *addr)
{
	char vip[ADDR_TEXT_MAX];
	instance->stats.foreign_announcements++;
	instance_remark(instance, COMPLAINT_FOREIGN,
	    "%02x:%02x:%02x:%02x:%02x:%02x says that it has %s: announced again", mac[0], mac[1],
	    mac[2], mac[3], mac[4], mac[5], addr_format_ip(addr, vip));
	vrrp_burst_start(&instance->burst, clock_us());
}

static void on_foreign(struct ev_loop *loop, ev_io *io, int revents)
{
	struct vrrp_instance *instance = io->data;
	uint8_t mac[6];
	struct addr addr;
	(void)loop;
	(void)revents;
	instance_wake(instance);
	for (int i = 0; i < ANNOUNCEMENTS_PER_PASS && io->fd >= 0; i++) {
		if (!vrrp_watch_read(io->fd, mac, &addr))
			break;
		if (vrrp_state_outside(instance->fsm.state) == VRRP_ACTIVE)
			contradict(instance, mac, &addr);
	}
	instance_settle(instance, "");
	instance_rearm(instance);
}

void instance_unwatch(struct vrrp_instance *instance)
{
	if (instance->foreign.fd < 0)
		return;
	ev_io_stop(instance->station->loop, &instance->foreign);
	close(instance->foreign.fd);
	instance->foreign.fd = -1;
}

void instance_watch(struct vrrp_instance *instance)
{
	struct err err;
	struct addr addresses[IPC_ADDRESSES_MAX];
	if (!instance->netif.has_mac)
		return;
	for (unsigned i = 0; i < instance->config.n_addresses; i++)
		addresses[i] = instance->config.addresses[i].addr;
	unsigned n = instance->config.n_addresses;
	int fd = instance->foreign.fd;
	int rc = fd >= 0 ? vrrp_watch_change(fd, &instance->netif, addresses, n, &err)
			 : vrrp_watch_open(&instance->netif, addresses, n, &err);
	if (rc < 0) {
		log_warn("vrrp %s: others that announce its addresses are not noticed: %s",
		    instance->config.name, err.text);
		return;
	}
	if (fd >= 0)
		return;
	ev_io_init(&instance->foreign, on_foreign, rc, EV_READ);
	instance->foreign.data = instance;
	ev_io_start(instance->station->loop, &instance->foreign);
}
