#include "daemon/proxy/udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/access.h"
#include "daemon/proxy/ack.h"
#include "daemon/proxy/choose.h"
#include "daemon/proxy/conn.h"
#include "daemon/proxy/dial.h"
#include "daemon/proxy/leave.h"
#include "daemon/proxy/limits.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/room.h"
#include "daemon/proxy/udp_batch.h"
#include "daemon/proxy/udp_table.h"
#include "daemon/proxy/waiting.h"

#define TRIED_MAX 8
#define BATCH_MIN 2U
#define FD_SHARE  2U /* 1/FD_SHARE of the descriptors are for sessions */

/* What a session needs only while it waits for the peer or has met targets that failed. */
struct udp_setup {
	struct udp_session *session;
	struct ack_wait ack;
	struct target *tried[TRIED_MAX];
	uint32_t n_tried;
};

struct udp_session {
	struct conn upstream; /* closed: only while a target is chosen */
	struct timer timer;   /* idle */
	struct udp_entry entry;
	struct list order; /* udp_listener.order */
	union node node;
	struct listener *listener;
	const struct conf_listener *conf;
	struct worker_gen *gen;
	struct target *target;
	struct tally *tally; /* of its client; NULL: it is not counted */
	struct choice choice;
	uint64_t judged; /* the pool's version when the target was found good */
	uint64_t requests, responses;
	struct udp_setup *setup;  /* or NULL */
	struct access_pair *note; /* NULL: not in the access log */
	uint8_t batch;            /* datagrams to ask for: follows the load */
	bool used;                /* again, since it came up in the order */
	bool owes;                /* an answer to the client's last datagram */
	bool full;                /* has had all its requests: not in the table any more */
	bool crowded_out;         /* the targets are full */
	bool dead;
};

/*	order:  head                                        tail
 *	          oldest, or not used again ... newest, or used again
 * Room is made by the clock algorithm: the head goes, unless it was used since it was put there;
 * then it goes to the tail. So who sends once and never again makes room first. */
struct udp_listener {
	struct udp_table table;
	struct list order; /* struct udp_session */
	bool wildcard;
	bool ending; /* winding up */
};

struct udp_io {
	struct udp_batch in, out;
	struct listener *out_of; /* whose answers are in `out` */
	uint32_t n_out;
	uint32_t sessions, sessions_max;
};

struct udp_io *udp_io_new(uint32_t workers)
{
	struct rlimit limit;
	struct udp_io *io = calloc(1, sizeof(*io));
	if (!io)
		return NULL;
	io->sessions_max = 1024;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		rlim_t n = limit.rlim_cur < INT32_MAX ? limit.rlim_cur : INT32_MAX;
		io->sessions_max = (uint32_t)n / FD_SHARE / workers;
	}
	return io;
}

void udp_io_free(struct udp_io *io)
{
	free(io);
}

/* After a receive of up to `asked`: for how many to ask next time. One more than usually come: then
 * the call comes back short, which says that there is no more now. */
static uint32_t next_batch(struct watch *watch, uint32_t asked, uint32_t got)
{
	if (got == asked)
		return asked * 2 < UDP_BATCH ? asked * 2 : UDP_BATCH;
	watch_read_short(watch);
	return got + 1 > BATCH_MIN ? got + 1 : BATCH_MIN;
}

/* --- answers --- */

/* Sends what leaves, and drops the rest: nobody waits for room, and UDP promises nothing. */
void udp_flush(struct worker *worker)
{
	struct udp_io *io = worker->udp;
	uint32_t at = 0, n = io->n_out;
	io->n_out = 0;
	while (at < n) {
		int sent = udp_batch_send(&io->out, io->out_of->fd, at, n);
		if (sent > 0) {
			COUNT_BY(worker, udp_datagrams_out, sent);
			COUNT_BY(
			    worker, bytes_out, udp_batch_bytes(&io->out, at, at + (uint32_t)sent));
			at += (uint32_t)sent;
		} else if (sent == -EAGAIN || sent == -ENOBUFS) {
			COUNT_BY(worker, udp_dropped_full, n - at);
			return;
		} else if (sent != -EINTR) {
			/* One that cannot leave: our address has moved, it is too large, no route. */
			COUNT(worker, udp_dropped_unsendable);
			at++;
		}
	}
}

/* --- sessions --- */

static const struct conf_pool *pool_of(const struct udp_session *session)
{
	return &session->gen->conf->pools[session->conf->pool];
}

static struct udp_listener *udp_of(const struct udp_session *session)
{
	return session->listener->udp;
}

static struct udp_setup *setup_of(struct udp_session *session);

static void close_upstream(struct worker *worker, struct udp_session *session)
{
	if (!conn_is_open(&session->upstream))
		return;
	conn_close(&session->upstream, false);
	UNCOUNT(worker, upstream_connections);
}

static void end_setup(struct worker *worker, struct udp_session *session)
{
	if (!session->setup)
		return;
	ack_cancel(worker, &session->setup->ack);
	free(session->setup);
	session->setup = NULL;
}

static void set_target(struct worker *worker, struct udp_session *session, struct target *target)
{
	uint32_t pool = session->conf->pool;
	place_move(worker, session->gen, pool, &session->target, target);
	if (target && session->note)
		access_pair_target(session->note, &session->gen->fleet->pools[pool], target);
}

static void write_line(struct worker *worker, struct udp_session *session)
{
	struct access_pair *note = session->note;
	if (!note)
		return;
	session->note = NULL;
	note->sticky = session->choice.sticky;
	note->datagrams[0] = session->requests;
	note->datagrams[1] = session->responses;
	access_pair_end(worker, note, session->conf->name);
}

static void session_close(struct worker *worker, struct udp_session *session)
{
	if (session->dead)
		return;
	session->dead = true;
	write_line(worker, session);
	timer_cancel(worker, &session->timer);
	end_setup(worker, session);
	close_upstream(worker, session);
	set_target(worker, session, NULL);
	if (!session->full)
		udp_table_remove(&udp_of(session)->table, &session->entry);
	list_del(&session->order);
	tally_give(worker->tallies, session->tally);
	worker_gen_put(session->gen);
	worker_bury(worker, &session->node, session);
	worker->udp->sessions--;
	UNCOUNT(worker, udp_sessions_now);
	listener_left(session->listener, false);
}

/* `failed`: it should not end so. */
static void session_end(
    struct worker *worker, struct udp_session *session, const char *why, bool failed)
{
	access_pair_why(session->note, why, failed);
	session_close(worker, session);
}

static void on_idle(struct worker *worker, struct timer *timer)
{
	struct udp_session *session = list_entry(timer, struct udp_session, timer);
	if (udp_of(session)->ending)
		session_end(worker, session, "listener_closed", true);
	else if (session->conf->responses > 0)
		session_end(worker, session, "response_timeout", true);
	else
		session_end(worker, session, "idle_timeout", false);
}

static void touch(struct worker *worker, struct udp_session *session)
{
	if (!udp_of(session)->ending)
		timer_set(worker, &session->timer, session->conf->idle_timeout_us);
}

/* Ends the session that has been quiet longest. False: there is none but `spared`. */
static bool make_room(struct listener *listener, const struct udp_session *spared)
{
	struct list *order = &listener->udp->order;
	/* Each is passed over once at most. */
	for (uint32_t left = 2 * listener->connections; left > 0 && !list_empty(order); left--) {
		struct udp_session *session = list_entry(order->next, struct udp_session, order);
		if (session != spared && !session->used) {
			COUNT(listener->worker, udp_sessions_evicted);
			session_end(listener->worker, session, "evicted", false);
			return true;
		}
		session->used = false;
		list_del(&session->order);
		list_push_back(order, &session->order);
	}
	return false;
}

static struct udp_session *session_open(
    struct listener *listener, const struct addr *client, const struct addr *local, uint64_t hash)
{
	struct worker *worker = listener->worker;
	struct tally *tally;
	if (!limits_count(listener, client, &tally)) {
		COUNT(worker, udp_dropped_source);
		return NULL;
	}
	while (listener_limit(listener, 1) || worker->udp->sessions >= worker->udp->sessions_max) {
		if (!make_room(listener, NULL))
			goto no_room;
	}
	struct udp_session *session = calloc(1, sizeof(*session));
	if (!session)
		goto no_room;
	session->tally = tally;
	session->entry = (struct udp_entry){.hash = hash, .client = *client, .local = *local};
	session->listener = listener;
	session->conf = listener->conf;
	session->gen = worker_gen_get(worker->gen);
	session->batch = BATCH_MIN;
	if (session->conf->access_log)
		session->note = access_pair_new(client, worker->now_us);
	if (session->note)
		session->note->pool = pool_of(session)->name;
	conn_init(&session->upstream, &worker->poller, -1, NULL);
	timer_init(&session->timer, on_idle);
	udp_table_add(&listener->udp->table, &session->entry);
	list_push_back(&listener->udp->order, &session->order);
	worker->udp->sessions++;
	COUNT(worker, udp_sessions);
	COUNT(worker, udp_sessions_now);
	listener_joined(listener);
	return session;
no_room:
	tally_give(worker->tallies, tally);
	COUNT(worker, udp_dropped_limit);
	return NULL;
}

/* --- targets --- */

static void target_failed(struct worker *worker, struct udp_session *session, int error);
static void on_target_datagrams(struct watch *watch, unsigned events);

static void on_acked(struct worker *worker, struct ack_wait *wait, bool left)
{
	struct udp_setup *setup = list_entry(wait, struct udp_setup, ack);
	if (left) {
		session_end(worker, setup->session, LEAVE_WHY, true);
		return;
	}
	if (conn_is_open(&setup->session->upstream))
		conn_want(&setup->session->upstream, POLLER_READ);
}

static struct udp_setup *setup_of(struct udp_session *session)
{
	if (session->setup)
		return session->setup;
	struct udp_setup *setup = calloc(1, sizeof(*setup));
	if (!setup)
		return NULL;
	setup->session = session;
	ack_init(&setup->ack, on_acked, NULL, &session->entry.local);
	session->setup = setup;
	return setup;
}

/* The next target to try, or NULL. */
static struct target *choose(struct worker *worker, struct udp_session *session)
{
	struct udp_setup *setup = session->setup;
	const struct addr *client = &session->entry.client;
	uint32_t pool = session->conf->pool, n_tried = setup ? setup->n_tried : 0;
	const struct pool *in_fleet = &session->gen->fleet->pools[pool];
	session->judged = atomic_load_explicit(in_fleet->version, memory_order_acquire);
	if (n_tried == 0) {
		retry_count_request(worker, session->gen, pool);
		session->choice = (struct choice){0};
		choose_read(worker, session->gen, pool, client, NULL, &session->choice);
		return choose_first(worker, session->gen, pool, &session->choice);
	}
	if (n_tried > pool_of(session)->retries || n_tried == TRIED_MAX ||
	    !retry_is_wanted(session->gen, pool, CONF_RETRY_CONNECT_FAILURE) ||
	    !retry_left(worker, session->gen, pool))
		return NULL;
	struct target *next =
	    choose_again(worker, session->gen, pool, &session->choice, setup->tried, n_tried);
	if (next)
		retry_take(worker, session->gen, pool);
	if (next && session->note)
		session->note->retries++;
	return next;
}

/* Writes a sticky decision down, as choose_commit does. NULL: out of memory. */
static struct target *commit(
    struct worker *worker, struct udp_session *session, struct target *target)
{
	struct ack_wait never = {0};
	bool may_wait = session->gen->conf->sync.sessions == CONF_SYNC_ACKED;
	if (may_wait && !setup_of(session))
		return NULL;
	return choose_commit(worker, session->gen, session->conf->pool, target, &session->choice,
	    may_wait ? &session->setup->ack : &never);
}

static int open_upstream(struct worker *worker, struct udp_session *session)
{
	const struct addr *to = &session->target->addr, *client = &session->entry.client;
	int fd = dial_udp(pool_of(session), to, client);
	if (fd < 0 && (room_found(worker, fd) ||
			  (worker_error_is_local(fd) && make_room(session->listener, session))))
		fd = dial_udp(pool_of(session), to, client);
	if (fd < 0)
		return fd;
	COUNT(worker, upstream_connects);
	COUNT(worker, upstream_connections);
	conn_init(&session->upstream, &worker->poller, fd, on_target_datagrams);
	conn_want(&session->upstream, POLLER_READ);
	return 0;
}

/* Finds a target and opens a socket to it, or ends the session. */
static void connect_next(struct worker *worker, struct udp_session *session)
{
	struct target *target = choose(worker, session);
	if (!target) {
		const char *why = "no_target";
		if (session->choice.full) {
			session->crowded_out = true;
			why = "no_room";
		} else if (session->setup && session->setup->n_tried > 0) {
			COUNT(worker, target_failed);
			why = "connect_failed";
		} else {
			COUNT(worker, no_target);
		}
		session_end(worker, session, why, true);
		return;
	}
	set_target(worker, session, target);
	target = commit(worker, session, target);
	if (target && target != session->target) {
		session->crowded_out = !choose_enter(&session->choice, target);
		if (!session->crowded_out)
			set_target(worker, session, target);
	}
	if (!target || session->crowded_out) {
		session_end(worker, session, target ? "no_room" : "no_memory", true);
		return;
	}
	int error = open_upstream(worker, session);
	if (error)
		target_failed(worker, session, error);
}

/* The target does not take datagrams: on to the next one. */
static void target_failed(struct worker *worker, struct udp_session *session, int error)
{
	struct udp_setup *setup = setup_of(session);
	COUNT(worker, upstream_connect_failures);
	worker_log_target(worker, pool_of(session)->name, session->target,
	    error == -ECONNREFUSED ? "port unreachable" : worker_error_text(error));
	if (session->note)
		access_failed(&session->note->failures, session->target, "connect_failed");
	close_upstream(worker, session);
	/* With a shortage of our own, another target would not help. */
	if (worker_error_is_local(error) || !setup) {
		session_end(worker, session, "connect_failed", true);
		return;
	}
	atomic_fetch_add_explicit(&session->target->failures, 1, memory_order_relaxed);
	if (setup->n_tried < TRIED_MAX)
		setup->tried[setup->n_tried++] = session->target;
	connect_next(worker, session);
}

/* Something in the pool has changed, and the session's target must not be used any more. */
static bool must_move(struct udp_session *session)
{
	const struct pool *pool = &session->gen->fleet->pools[session->conf->pool];
	uint64_t version = atomic_load_explicit(pool->version, memory_order_acquire);
	if (version == session->judged)
		return false;
	session->judged = version;
	return !target_keeps_sticky(session->target);
}

/* A session can outlive its entry in the sticky table, which the peer needs after a failover. */
static bool must_renew(const struct worker *worker, const struct udp_session *session)
{
	const struct conf_sticky *sticky = &pool_of(session)->sticky;
	return sticky->kind == CONF_STICKY_SOURCE &&
	       session->choice.expires_us < worker->now_us + sticky->ttl_us / 2;
}

/* --- from clients --- */

/* The session has a socket to a target that may be used; else it has ended. */
static bool is_ready(struct worker *worker, struct udp_session *session)
{
	if (conn_is_open(&session->upstream) && !must_move(session)) {
		if (must_renew(worker, session))
			commit(worker, session, session->target);
		return true;
	}
	close_upstream(worker, session);
	if (!session->dead)
		connect_next(worker, session);
	return !session->dead;
}

/* Sends the places `at` to `end` of what came in. */
static void forward(struct worker *worker, struct udp_session *session, uint32_t at, uint32_t end)
{
	struct udp_batch *in = &worker->udp->in;
	session->used = session->requests > 0;
	session->requests += end - at;
	session->owes = true;
	udp_batch_forward(in, at, end);
	if (session->note)
		session->note->bytes[0] += udp_batch_bytes(in, at, end);
	while (at < end && is_ready(worker, session)) {
		int sent = udp_batch_send(in, session->upstream.io.fd, at, end);
		if (sent > 0) {
			at += (uint32_t)sent;
		} else if (sent == -EAGAIN || sent == -ENOBUFS) {
			COUNT_BY(worker, udp_dropped_full, end - at);
			break;
		} else if (sent == -EMSGSIZE) {
			COUNT(worker, udp_dropped_unsendable);
			at++;
		} else if (sent != -EINTR) {
			target_failed(worker, session, sent);
		}
	}
	if (session->dead && session->crowded_out)
		COUNT_BY(worker, udp_dropped_limit, end - at);
	else if (session->dead)
		COUNT_BY(worker, udp_dropped_no_target, end - at);
	else
		touch(worker, session);
}

/* The session of the datagram at place `i`, an old or a new one. NULL: there is no room. */
static struct udp_session *session_for(
    struct listener *listener, uint32_t i, const struct addr *local)
{
	struct udp_table *table = &listener->udp->table;
	const struct addr *client = &listener->worker->udp->in.peers[i];
	uint64_t hash;
	struct udp_entry *entry = udp_table_find(table, client, local, &hash);
	if (entry)
		return list_entry(entry, struct udp_session, entry);
	return session_open(listener, client, local, hash);
}

/* Where the datagram at place `i` was sent to. */
static void local_of(const struct listener *listener, uint32_t i, struct addr *local)
{
	if (listener->udp->wildcard && udp_batch_local(&listener->worker->udp->in, i, local))
		return;
	*local = listener->bind;
	addr_set_port(local, 0);
}

/* How many datagrams from place `i` on are the session's, among `n`. */
static uint32_t run_of(const struct udp_session *session, uint32_t i, uint32_t n)
{
	struct listener *listener = session->listener;
	const struct udp_batch *in = &listener->worker->udp->in;
	uint64_t most = session->conf->requests ? session->conf->requests - session->requests : n;
	uint32_t end = i + 1;
	struct addr local;
	for (; end < n && end - i < most; end++) {
		local_of(listener, end, &local);
		if (!udp_entry_is_of(&session->entry, &in->peers[end], &local))
			break;
	}
	return end;
}

/* After so many requests, the client's next datagram begins another session. */
static void check_requests(struct udp_session *session)
{
	if (session->dead || session->conf->requests == 0 ||
	    session->requests < session->conf->requests)
		return;
	session->full = true;
	udp_table_remove(&udp_of(session)->table, &session->entry);
}

static void on_client_datagrams(struct watch *watch, unsigned events)
{
	(void)events;
	struct listener *listener = list_entry(watch, struct listener, io);
	struct worker *worker = listener->worker;
	int got = udp_batch_listen(
	    &worker->udp->in, listener->fd, listener->batch, listener->udp->wildcard);
	if (got < 0) {
		if (got == -EAGAIN)
			watch_blocked(watch, POLLER_READ);
		return;
	}
	uint32_t n = (uint32_t)got, end;
	listener->batch = next_batch(watch, listener->batch, n);
	COUNT_BY(worker, udp_datagrams_in, n);
	for (uint32_t i = 0; i < n; i = end) {
		struct addr local;
		local_of(listener, i, &local);
		struct udp_session *session = session_for(listener, i, &local);
		end = session ? run_of(session, i, n) : i + 1;
		if (!session)
			continue;
		forward(worker, session, i, end);
		check_requests(session);
		COUNT_BY(worker, bytes_in, udp_batch_bytes(&worker->udp->in, i, end));
	}
}

/* --- from targets --- */

/* What the target says waits, in the kernel, until the peer has the session. */
static bool must_wait(struct worker *worker, struct udp_session *session)
{
	if (!session->setup || !ack_hold(worker, &session->setup->ack))
		return false;
	conn_want(&session->upstream, 0);
	return true;
}

/* Every datagram of the client has had its answers; or nothing more may come, and none is owed. */
static bool is_complete(const struct udp_session *session)
{
	const struct conf_listener *conf = session->conf;
	if (udp_of(session)->ending && !session->owes)
		return true;
	return conf->responses > 0 && session->responses >= conf->responses * session->requests;
}

static void end_complete(struct worker *worker, struct udp_session *session)
{
	session_end(worker, session,
	    session->conf->responses > 0 && !session->owes ? "answered" : "listener_closed", false);
}

/* Gathers up to `n` answers. 0, or -errno. */
static int hear(struct worker *worker, struct udp_session *session, uint32_t n)
{
	struct udp_io *io = worker->udp;
	bool says_source =
	    udp_of(session)->wildcard || session->entry.local.sa.sa_family == AF_INET6;
	int got = udp_batch_hear(&io->out, session->upstream.io.fd, io->n_out, n);
	if (got < 0)
		return got;
	io->out_of = session->listener;
	for (int i = 0; i < got; i++)
		udp_batch_answer(&io->out, io->n_out++, &session->entry.client,
		    says_source ? &session->entry.local : NULL);
	if (session->note)
		session->note->bytes[1] +=
		    udp_batch_bytes(&io->out, io->n_out - (uint32_t)got, io->n_out);
	session->responses += (uint32_t)got;
	session->used = true;
	session->owes = false;
	session->batch = (uint8_t)next_batch(&session->upstream.io, session->batch, (uint32_t)got);
	return 0;
}

static void on_target_datagrams(struct watch *watch, unsigned events)
{
	(void)events;
	struct udp_session *session = list_entry(watch, struct udp_session, upstream.io);
	struct worker *worker = worker_of_watch(watch);
	if (must_wait(worker, session))
		return;
	struct udp_io *udp = worker->udp;
	if (udp->n_out + session->batch > UDP_BATCH || udp->out_of != session->listener)
		udp_flush(worker);
	int error = hear(worker, session, session->batch);
	if (error == -EAGAIN) {
		watch_blocked(watch, POLLER_READ);
		return;
	}
	if (error == -EINTR || error == -EMSGSIZE)
		return;
	if (error) {
		target_failed(worker, session, error);
		return;
	}
	end_setup(worker, session);
	if (is_complete(session))
		end_complete(worker, session);
	else
		touch(worker, session);
}

/* --- listeners --- */

struct udp_listener *udp_listener_new(void)
{
	uint64_t key[2];
	struct udp_listener *udp = calloc(1, sizeof(*udp));
	if (!udp)
		return NULL;
	list_init(&udp->order);
	if (getrandom(key, sizeof(key), 0) == sizeof(key) && udp_table_init(&udp->table, key))
		return udp;
	free(udp);
	return NULL;
}

void udp_listener_free(struct udp_listener *udp)
{
	if (!udp)
		return;
	udp_table_fini(&udp->table);
	free(udp);
}

void udp_listener_init(struct listener *listener)
{
	listener->udp->wildcard = addr_is_any(&listener->bind);
	listener->batch = BATCH_MIN;
	watch_init(&listener->io, &listener->worker->poller, listener->fd, on_client_datagrams);
}

void udp_wind_up(struct listener *listener, uint64_t at_most_us)
{
	struct worker *worker = listener->worker;
	listener->udp->ending = true;
	watch_leave(&listener->io);
	list_for_each_safe (it, &listener->udp->order) {
		struct udp_session *session = list_entry(it, struct udp_session, order);
		if (is_complete(session))
			end_complete(worker, session);
		else if (at_most_us > 0)
			timer_set(worker, &session->timer, at_most_us);
	}
}

void udp_stop(struct listener *listener)
{
	list_for_each_safe (it, &listener->udp->order)
		session_close(listener->worker, list_entry(it, struct udp_session, order));
}

void udp_move_on(struct listener *listener, struct worker_gen *gen)
{
	list_for_each (it, &listener->udp->order) {
		struct udp_session *session = list_entry(it, struct udp_session, order);
		/* As pair_move_on. */
		if (session->setup || !worker_gen_follows(gen, session->gen, session->target) ||
		    (session->note && session->note->failures.n > 0))
			continue;
		worker_gen_put(session->gen);
		session->gen = worker_gen_get(gen);
	}
}

void udp_cut(struct listener *listener, uint64_t target_id)
{
	list_for_each_safe (it, &listener->udp->order) {
		struct udp_session *session = list_entry(it, struct udp_session, order);
		if (!session->target || session->target->id != target_id)
			continue;
		COUNT(listener->worker, drain_closed);
		session_end(listener->worker, session, "drained", true);
	}
}

uint32_t udp_leave(struct listener *listener, const struct leave *leave)
{
	uint32_t n = 0;
	list_for_each_safe (it, &listener->udp->order) {
		struct udp_session *session = list_entry(it, struct udp_session, order);
		if (!leave_has(leave, &session->entry.local))
			continue;
		session_end(listener->worker, session, LEAVE_WHY, true);
		n++;
	}
	return n;
}

void udp_close(struct listener *listener)
{
	struct worker *worker = listener->worker;
	if (worker->udp->out_of == listener) {
		udp_flush(worker);
		worker->udp->out_of = NULL;
	}
	watch_leave(&listener->io);
	close(listener->fd);
	listener->fd = -1;
	udp_listener_free(listener->udp);
	listener->udp = NULL;
}

uint64_t udp_overflows(const struct listener *listener)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);
	if (getsockopt(listener->fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0)
		return 0;
	return info[SK_MEMINFO_DROPS];
}
