/* One timer, exact to what the kernel's clock gives: a timerfd. The loop's own timers wake up to a
 * millisecond late, since they are rounded up for epoll_wait. Setting does not allocate. */
#pragma once

#include <ev.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct vrrp_timer {
	ev_io io;        /* fd -1: closed */
	uint64_t due_us; /* VRRP_NEVER */
};

/* `on_due` is called when it is due, and takes it. */
void vrrp_timer_init(struct vrrp_timer *timer,
    void (*on_due)(struct ev_loop *loop, ev_io *io, int revents), void *data);
/* 0, also when it is open; or -errno with a text. */
int vrrp_timer_open(struct vrrp_timer *timer, struct ev_loop *loop, struct err *err);
void vrrp_timer_close(struct vrrp_timer *timer, struct ev_loop *loop);
/* Replaces what was set; in the past: at once. VRRP_NEVER: off. Closed: nothing. */
void vrrp_timer_set(struct vrrp_timer *timer, uint64_t due_us);
/* Stops it from being readable. When it was due; VRRP_NEVER if it was not, after all. */
uint64_t vrrp_timer_take(struct vrrp_timer *timer);
