#include "daemon/proxy/leave.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/text.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/preface.h"
#include "daemon/proxy/tcp.h"
#include "daemon/proxy/udp.h"

struct leave {
	atomic_uint workers; /* that have not done it yet */
	atomic_uint ended;
	char router[CONF_NAME_MAX + 1];
	size_t n;
	struct addr addrs[];
};

struct leave *leave_new(const char *router, const struct addr *addrs, size_t n, uint32_t workers)
{
	struct leave *leave = calloc(1, sizeof(*leave) + n * sizeof(leave->addrs[0]));
	if (!leave)
		return NULL;
	atomic_init(&leave->workers, workers);
	text_copy(leave->router, sizeof(leave->router), router);
	leave->n = n;
	memcpy(leave->addrs, addrs, n * sizeof(leave->addrs[0]));
	return leave;
}

void leave_put(struct leave *leave)
{
	if (!leave || atomic_fetch_sub(&leave->workers, 1) > 1)
		return;
	unsigned ended = atomic_load(&leave->ended);
	if (ended > 0)
		log_notice("virtual router %s: its addresses are elsewhere: %u connections ended",
		    leave->router, ended);
	free(leave);
}

bool leave_has(const struct leave *leave, const struct addr *addr)
{
	for (size_t i = 0; i < leave->n; i++) {
		if (addr_same_host(&leave->addrs[i], addr))
			return true;
	}
	return false;
}

/* What is of one listener: only sockets of one that is bound to every address have to be asked. */
struct leaving {
	const struct leave *leave;
	struct listener *listener;
};

static bool is_left(const void *arg, int fd)
{
	const struct leaving *leaving = arg;
	struct addr local;
	socklen_t len = sizeof(local);
	if (!addr_is_any(&leaving->listener->bind))
		return leave_has(leaving->leave, &leaving->listener->bind);
	return getsockname(fd, &local.sa, &len) == 0 && leave_has(leaving->leave, &local);
}

static uint32_t leave_clients(
    struct worker *worker, const struct leaving *leaving, struct list *clients)
{
	uint32_t n = 0;
	list_for_each_safe (it, clients) {
		struct client *client = list_entry(it, struct client, node.list);
		if (client->listener != leaving->listener || client->own ||
		    !is_left(leaving, client->conn.io.fd))
			continue;
		if (client->txn)
			access_why(&client->txn->note, LEAVE_WHY);
		client_close(worker, client, true);
		n++;
	}
	return n;
}

static uint32_t leave_pairs(struct worker *worker, const struct leaving *leaving)
{
	uint32_t n = 0;
	list_for_each_safe (it, &leaving->listener->pairs) {
		struct pair *pair = list_entry(it, struct pair, node.list);
		if (!is_left(leaving, pair->conns[SIDE_CLIENT].io.fd))
			continue;
		access_pair_why(pair->note, LEAVE_WHY, true);
		pair_close(worker, pair, true);
		n++;
	}
	return n;
}

static uint32_t leave_prefaces(const struct leaving *leaving)
{
	uint32_t n = 0;
	list_for_each_safe (it, &leaving->listener->prefaces) {
		struct preface *preface = list_entry(it, struct preface, node.list);
		if (!is_left(leaving, preface->conn.io.fd))
			continue;
		preface_close(preface, true);
		n++;
	}
	return n;
}

static uint32_t leave_listener(struct worker *worker, const struct leaving *leaving)
{
	struct listener *listener = leaving->listener;
	if (listener->udp)
		return udp_leave(listener, leaving->leave);
	/* First who is in the queue: they come in no more, and no others do. */
	uint32_t n = listener_sift_queue(listener, is_left, leaving);
	n += leave_prefaces(leaving);
	n += leave_clients(worker, leaving, &listener->clients);
	n += leave_clients(worker, leaving, &worker->fresh);
	n += leave_pairs(worker, leaving);
	return n;
}

void leave_run(struct worker *worker, struct leave *leave)
{
	uint32_t n = 0;
	worker->walking = true;
	list_for_each_safe (it, &worker->listeners) {
		struct listener *listener = list_entry(it, struct listener, node.list);
		listener->connections++; /* so that it outlives the last of them */
		n += leave_listener(worker, &(struct leaving){leave, listener});
		listener_release(listener);
	}
	worker->walking = false;
	COUNT_BY(worker, vip_moved_closed, n);
	atomic_fetch_add(&leave->ended, n);
	leave_put(leave);
}
