#include "vrrp/daemon/alarm.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "vrrp/core/fsm.h"

void vrrp_alarm_init(struct vrrp_alarm *alarm,
    void (*on_due)(struct ev_loop *loop, ev_io *io, int revents), void *data)
{
	ev_io_init(&alarm->io, on_due, -1, EV_READ);
	alarm->io.data = data;
	alarm->due_us = VRRP_NEVER;
}

int vrrp_alarm_open(struct vrrp_alarm *alarm, struct ev_loop *loop, struct err *err)
{
	if (alarm->io.fd >= 0)
		return 0;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "timerfd: %s", strerror(errno));
	ev_io_set(&alarm->io, fd, EV_READ);
	ev_io_start(loop, &alarm->io);
	return 0;
}

void vrrp_alarm_close(struct vrrp_alarm *alarm, struct ev_loop *loop)
{
	if (alarm->io.fd < 0)
		return;
	ev_io_stop(loop, &alarm->io);
	close(alarm->io.fd);
	alarm->io.fd = -1;
}

void vrrp_alarm_set(struct vrrp_alarm *alarm, uint64_t due_us)
{
	if (alarm->io.fd < 0 || alarm->due_us == due_us)
		return;
	alarm->due_us = due_us;
	struct itimerspec when = {0}; /* off */
	if (due_us != VRRP_NEVER) {
		when.it_value.tv_sec = (time_t)(due_us / US_PER_SEC);
		when.it_value.tv_nsec = (long)(due_us % US_PER_SEC * 1000) + (due_us == 0);
	}
	timerfd_settime(alarm->io.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

uint64_t vrrp_alarm_take(struct vrrp_alarm *alarm)
{
	uint64_t times, due_us = alarm->due_us;
	if (read(alarm->io.fd, &times, sizeof(times)) != (ssize_t)sizeof(times))
		return VRRP_NEVER;
	alarm->due_us = VRRP_NEVER;
	return due_us;
}
