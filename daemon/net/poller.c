#include "daemon/net/poller.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define EDGE  (EPOLLET | EPOLLRDHUP | EPOLLPRI)
#define ENDED (EPOLLRDHUP | EPOLLHUP | EPOLLERR)

int poller_init(struct poller *poller)
{
	poller->n_events = 0;
	list_init(&poller->again);
	poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return poller->epoll_fd < 0 ? -errno : 0;
}

void poller_fini(struct poller *poller)
{
	if (poller->epoll_fd >= 0)
		close(poller->epoll_fd);
	poller->epoll_fd = -1;
}

static void tell_kernel(struct watch *watch)
{
	struct epoll_event event = {.events = watch->level ? 0 : EDGE, .data.ptr = watch};
	if (watch->armed & POLLER_READ)
		event.events |= EPOLLIN;
	if (watch->armed & POLLER_WRITE)
		event.events |= EPOLLOUT;
	int operation = watch->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	watch->added = true;
	if (epoll_ctl(watch->poller->epoll_fd, operation, watch->fd, &event) == 0)
		return;
	/* No memory for one more: its owner finds the connection ended. */
	shutdown(watch->fd, SHUT_RDWR);
	watch->ready = POLLER_READ | POLLER_WRITE | POLLER_BROKEN;
	watch->wary = true;
	if (list_empty(&watch->again))
		list_push_back(&watch->poller->again, &watch->again);
}

void watch_arm(struct watch *watch)
{
	/* Reading from the beginning: it is wanted sooner or later, and the end shows by it. That a
	 * connection is broken the kernel tells in any case. */
	watch->armed =
	    (uint8_t)(watch->level ? watch->want
				   : watch->armed | watch->want | POLLER_READ | POLLER_BROKEN);
	tell_kernel(watch);
}

void watch_take(struct watch *watch, struct watch *from, watch_fn *fn)
{
	*watch = *from;
	watch->fn = fn;
	watch->want = 0;
	list_init(&watch->again);
	watch_stop(from);
	/* An edge that was reported to `from` in this turn and not seen yet is reported again. */
	if (watch->added)
		tell_kernel(watch);
}

void watch_leave(struct watch *watch)
{
	if (watch->added && watch_is_open(watch))
		epoll_ctl(watch->poller->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	watch_stop(watch);
}

void watch_ask(struct watch *watch)
{
	watch->ready &= (uint8_t)~POLLER_READ;
	tell_kernel(watch);
}

void poller_wait(struct poller *poller, int timeout_ms)
{
	if (!list_empty(&poller->again))
		timeout_ms = 0;
	poller->n_events =
	    epoll_wait(poller->epoll_fd, poller->events, POLLER_EVENTS_MAX, timeout_ms);
	assert(poller->n_events >= 0 || errno == EINTR);
}

static void call(struct watch *watch)
{
	unsigned events = watch->ready & watch->want;
	if (!events)
		return;
	watch->fn(watch, events);
	if (watch->level)
		watch->ready = 0;
	else if ((watch->ready & watch->want) && list_empty(&watch->again))
		list_push_back(&watch->poller->again, &watch->again);
}

static void take_event(struct watch *watch, uint32_t events)
{
	if (!watch_is_open(watch))
		return; /* closed in this turn */
	if (events & (ENDED | EPOLLPRI))
		watch->wary = true;
	if (events & (ENDED | EPOLLPRI | EPOLLIN))
		watch->ready |= POLLER_READ;
	if (events & (EPOLLHUP | EPOLLERR | EPOLLOUT))
		watch->ready |= POLLER_WRITE;
	if (events & (EPOLLHUP | EPOLLERR))
		watch->ready |= POLLER_BROKEN;
	list_del(&watch->again);
	call(watch);
}

void poller_dispatch(struct poller *poller)
{
	/* Those from before this turn, without the ones that it adds. */
	struct list again;
	list_init(&again);
	if (!list_empty(&poller->again)) {
		list_insert_between(&again, poller->again.prev, poller->again.next);
		list_init(&poller->again);
	}
	for (int i = 0; i < poller->n_events; i++)
		take_event(poller->events[i].data.ptr, poller->events[i].events);
	for (struct list *it = list_pop_front(&again); it; it = list_pop_front(&again))
		call(list_entry(it, struct watch, again));
}
