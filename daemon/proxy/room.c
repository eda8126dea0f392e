#include "daemon/proxy/room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/preface.h"

/* Kept free of clients: for health checks, the peer, the admin, ourselves. */
#define SHARE       16  /* 1/SHARE of the descriptors, */
#define RESERVE_MAX 128 /* or so many */
/* A request follows close behind the handshake. */
#define SILENT_US (30 * US_PER_MS)
#define SAMPLE    64U /* clients of a listener that are looked at */

int room_fd_short(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
		return INT_MAX;
	int n = (int)limit.rlim_cur;
	return n - (n / SHARE < RESERVE_MAX ? n / SHARE : RESERVE_MAX);
}

static bool close_preface(struct worker *worker, uint64_t age_us)
{
	struct preface *oldest = NULL;
	list_for_each (it, &worker->listeners) {
		struct list *prefaces = &list_entry(it, struct listener, node.list)->prefaces;
		if (list_empty(prefaces))
			continue;
		struct preface *preface = list_entry(prefaces->next, struct preface, node.list);
		if (!oldest || preface->since_us < oldest->since_us)
			oldest = preface;
	}
	if (!oldest || worker->now_us - oldest->since_us < age_us)
		return false;
	COUNT(worker, evicted_silent);
	preface_close(oldest, true);
	return true;
}

static bool close_fresh(struct worker *worker, uint64_t age_us)
{
	if (list_empty(&worker->fresh))
		return false;
	struct client *oldest = list_entry(worker->fresh.next, struct client, node.list);
	if ((uint32_t)worker->now_us - oldest->since_us < age_us)
		return false;
	COUNT(worker, evicted_silent);
	client_close(worker, oldest, true);
	return true;
}

/* The oldest of those who were to send something, if it came so long ago. */
static bool close_silent(struct worker *worker, uint64_t age_us)
{
	return close_preface(worker, age_us) || close_fresh(worker, age_us);
}

static bool is_idle(const struct client *client)
{
	return !client->txn && !client->own && buf_len(&client->in) == 0;
}

/* It will time out sooner than the other one. */
static bool is_sooner(const struct client *client, const struct client *other)
{
	return !other ||
	       (int32_t)(client->timer.entry.deadline_tick - other->timer.entry.deadline_tick) < 0;
}

/* Those that were looked at go to the end of the list, so that others are next time. */
static struct client *idlest(struct listener *listener, struct client *found)
{
	struct list *first_seen = NULL;
	for (uint32_t n = 0; n < SAMPLE && !list_empty(&listener->clients); n++) {
		struct list *node = listener->clients.next;
		struct client *client = list_entry(node, struct client, node.list);
		if (node == first_seen)
			break;
		if (!first_seen)
			first_seen = node;
		list_del(node);
		list_push_back(&listener->clients, node);
		if (is_idle(client) && is_sooner(client, found))
			found = client;
	}
	return found;
}

static bool close_idle(struct worker *worker)
{
	struct client *client = NULL;
	list_for_each (it, &worker->listeners)
		client = idlest(list_entry(it, struct listener, node.list), client);
	if (!client)
		return false;
	COUNT(worker, evicted_idle);
	client_close(worker, client, false);
	return true;
}

static bool make(struct worker *worker)
{
	if (worker->walking)
		return false;
	return close_silent(worker, SILENT_US) || upstream_close_oldest(worker) ||
	       close_idle(worker) || close_silent(worker, 0);
}

int room_for(struct worker *worker, int fd)
{
	if (!make(worker))
		return fd;
	int low = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (low < 0)
		return fd;
	close(fd);
	return low;
}

bool room_found(struct worker *worker, int error)
{
	if (error != -EMFILE && error != -ENFILE)
		return false;
	return pipes_give_up(&worker->pipes, worker->now_us) || make(worker);
}
