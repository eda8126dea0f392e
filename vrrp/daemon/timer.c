#include "vrrp/daemon/timer.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "vrrp/core/fsm.h"

void vrrp_timer_init(struct vrrp_timer *timer,
    void (*on_due)(struct ev_loop *loop, ev_io *io, int revents), void *data)
{
	ev_io_init(&timer->io, on_due, -1, EV_READ);
	timer->io.data = data;
	timer->due_us = VRRP_NEVER;
}

int vrrp_timer_open(struct vrrp_timer *timer, struct ev_loop *loop, struct err *err)
{
	if (timer->io.fd >= 0)
		return 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "timerfd: %s", strerror(errno));
	ev_io_set(&timer->io, fd, EV_READ);
	ev_io_start(loop, &timer->io);
	return 0;
}

void vrrp_timer_close(struct vrrp_timer *timer, struct ev_loop *loop)
{
	if (timer->io.fd < 0)
		return;
	ev_io_stop(loop, &timer->io);
	close(timer->io.fd);
	timer->io.fd = -1;
}

void vrrp_timer_set(struct vrrp_timer *timer, uint64_t due_us)
{
	if (timer->io.fd < 0 || timer->due_us == due_us)
		return;
	timer->due_us = due_us;
	struct itimerspec when = {0}; /* off */
	if (due_us != VRRP_NEVER) {
		when.it_value.tv_sec = (time_t)(due_us / US_PER_SEC);
		when.it_value.tv_nsec = (long)(due_us % US_PER_SEC * 1000) + (due_us == 0);
	}
	timerfd_settime(timer->io.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

uint64_t vrrp_timer_take(struct vrrp_timer *timer)
{
	uint64_t times, due_us = timer->due_us;
	if (read(timer->io.fd, &times, sizeof(times)) != (ssize_t)sizeof(times))
		return VRRP_NEVER;
	timer->due_us = VRRP_NEVER;
	return due_us;
}
