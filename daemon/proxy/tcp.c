#include "daemon/proxy/tcp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "daemon/base/clock.h"
#include "daemon/net/net.h"
#include "daemon/proxy/ack.h"
#include "daemon/proxy/choose.h"
#include "daemon/proxy/dial.h"
#include "daemon/proxy/leave.h"
#include "daemon/proxy/proxy_header.h"
#include "daemon/proxy/results.h"
#include "daemon/proxy/retry.h"
#include "daemon/proxy/waiting.h"

#define TRIED_MAX 8
/* A stream leaves its pipe after this many small pieces: each message of a protocol ends by one. */
#define BULK_PIECES 8

/* What a pair needs only at its beginning. */
struct pair_setup {
	struct pair *pair;
	struct addr peer;
	struct choice choice;
	struct wait wait;
	struct ack_wait ack;
	struct target *tried[TRIED_MAX];
	uint32_t n_tried, retries_left;
	uint64_t dialed_us;
};

static const struct conf_pool *pool_of(const struct pair *pair)
{
	return &pair->gen->conf->pools[pair->pool];
}

/* It began as a request of HTTP. */
static bool is_tunnel(const struct pair *pair)
{
	return pair->conf->mode == CONF_MODE_HTTP;
}

static const char *const reset_by[] = {
    [SIDE_CLIENT] = "client_reset", [SIDE_SERVER] = "target_reset"};
static const char *const closed_by[] = {
    [SIDE_CLIENT] = "client_closed", [SIDE_SERVER] = "target_closed"};

static enum side other(enum side side)
{
	return side == SIDE_CLIENT ? SIDE_SERVER : SIDE_CLIENT;
}

static void free_unsent(struct worker *worker, struct pair *pair, enum side side)
{
	struct unsent *unsent = pair->unsent[side];
	if (!unsent)
		return;
	pipes_put(&worker->pipes, unsent->pipe);
	buf_free(&unsent->buf);
	free(unsent);
	pair->unsent[side] = NULL;
}

static void end_setup(struct worker *worker, struct pair *pair)
{
	if (!pair->setup)
		return;
	ack_cancel(worker, &pair->setup->ack);
	free(pair->setup);
	pair->setup = NULL;
}

/* As txn_set_target. */
static void set_target(struct worker *worker, struct pair *pair, struct target *target)
{
	place_move(worker, pair->gen, pair->pool, &pair->target, target);
	if (target && pair->note)
		access_pair_target(pair->note, &pair->gen->fleet->pools[pair->pool], target);
}

static void note_wait(struct pair *pair)
{
	if (pair->note)
		pair->note->queue_us = pair->setup->wait.waited_us;
}

static void close_server(struct worker *worker, struct pair *pair, bool reset)
{
	if (!conn_is_open(&pair->conns[SIDE_SERVER]))
		return;
	conn_close(&pair->conns[SIDE_SERVER], reset);
	UNCOUNT(worker, upstream_connections);
}

void pair_close(struct worker *worker, struct pair *pair, bool reset)
{
	if (pair->dead)
		return;
	pair->dead = true;
	if (pair->setup) {
		wait_leave(worker, &pair->setup->wait);
		note_wait(pair);
	}
	if (pair->note)
		access_pair_end(worker, pair->note, pair->conf->name);
	pair->note = NULL;
	end_setup(worker, pair);
	timer_cancel(worker, &pair->timer);
	close_server(worker, pair, reset);
	conn_close(&pair->conns[SIDE_CLIENT], reset);
	free_unsent(worker, pair, SIDE_CLIENT);
	free_unsent(worker, pair, SIDE_SERVER);
	set_target(worker, pair, NULL);
	if (is_tunnel(pair))
		UNCOUNT(worker, tunnels_now);
	worker_gen_put(pair->gen);
	list_del(&pair->node.list);
	worker_bury(worker, &pair->node, pair);
	tally_give(worker->tallies, pair->tally);
	listener_left(pair->listener, false);
}

void pair_move_on(struct pair *pair, struct worker_gen *gen)
{
	/* While it looks for a target it must be able to find the same ones again. Of those that have
	 * failed it the old fleet has the names. */
	if (pair->setup || !worker_gen_follows(gen, pair->gen, pair->target) ||
	    (pair->note && pair->note->failures.n > 0))
		return;
	worker_gen_put(pair->gen);
	pair->gen = worker_gen_get(gen);
}

void pair_cut(struct worker *worker, struct pair *pair, uint64_t target_id)
{
	if (!pair->target || pair->target->id != target_id)
		return;
	COUNT(worker, drain_closed);
	access_pair_why(pair->note, "drained", true);
	pair_close(worker, pair, true);
}

static bool wants_read(const struct pair *pair, enum side side)
{
	enum side to = other(side);
	bool held = side == SIDE_SERVER && pair->setup && ack_is_held(&pair->setup->ack);
	return !pair->dead && !pair->eof[side] && !pair->unsent[to] && !pair->broken[to] && !held;
}

static bool is_waiting(const struct pair *pair)
{
	return pair->setup && wait_is_on(&pair->setup->wait);
}

/* What is watched follows from the state.
 *	a place is waited for:	only whether the client is still there
 *	read a side:	it has more to say, and the other takes it
 *	write a side:	bytes wait for it; or it is a server that we must know to be there before
 *			the client's FIN can follow
 * A connect in progress is not watched for success: the first write tells. */
static void watch(struct pair *pair, enum side side)
{
	if (pair->dead || !conn_is_open(&pair->conns[side]))
		return;
	if (is_waiting(pair)) {
		conn_want(&pair->conns[side], POLLER_BROKEN);
		return;
	}
	bool read = wants_read(pair, side);
	bool write = pair->unsent[side] ||
		     (side == SIDE_SERVER && !pair->established && pair->eof[SIDE_CLIENT]);
	conn_want(&pair->conns[side], (read ? POLLER_READ : 0) | (write ? POLLER_WRITE : 0));
}

static void watch_both(struct pair *pair)
{
	watch(pair, SIDE_CLIENT);
	watch(pair, SIDE_SERVER);
}

static void touch(struct worker *worker, struct pair *pair)
{
	timer_set(worker, &pair->timer,
	    is_tunnel(pair) ? pair->conf->tunnel_timeout_us : pair->conf->idle_timeout_us);
}

static void observe(struct worker *worker, struct pair *pair, uint64_t took_us)
{
	picker_observe(pair->gen->pickers[pair->pool], pair->target, took_us, worker->now_us);
}

/* The server is there. */
static void settle(struct worker *worker, struct pair *pair)
{
	pair->established = true;
	results_good(pair->gen, pair->pool, pair->trial, pair->target, 0);
	if (pair->note)
		pair->note->connected_us = worker->now_us;
	touch(worker, pair);
	if (pair->setup)
		observe(worker, pair, worker->now_us - pair->setup->dialed_us);
	if (pair->setup && pair->setup->ack.sequence == 0)
		end_setup(worker, pair);
}

/* Keeps what could not be sent: bytes at `data`, or a pipe. */
static bool keep(struct pair *pair, enum side to, struct pipe *pipe, const char *data, size_t len)
{
	struct unsent *unsent = calloc(1, sizeof(*unsent));
	if (!unsent || !buf_append(&unsent->buf, data, len)) {
		free(unsent);
		return false;
	}
	unsent->pipe = pipe;
	pair->unsent[to] = unsent;
	return true;
}

/* Passes on that a side has finished, when nothing is left to send. The pair may be over. */
static void pass_eof(struct worker *worker, struct pair *pair, enum side to)
{
	if (pair->unsent[to])
		return;
	if (pair->eof[to]) {
		pair_close(worker, pair, false); /* both have finished */
		return;
	}
	/* Shutting a connect in progress would break it off: wait until it stands. */
	if (to == SIDE_CLIENT || pair->established)
		conn_shut(&pair->conns[to]);
}

/* `side` takes no more bytes. What it has said is still delivered: it may have answered and closed
 * without reading to the end. */
static void write_broken(struct worker *worker, struct pair *pair, enum side side)
{
	free_unsent(worker, pair, side);
	access_pair_why(pair->note, reset_by[side], true);
	pair->broken[side] = true;
	if (pair->eof[side])
		pair_close(worker, pair, true);
}

/* The side closed (0) or broke (-errno). */
static void input_ended(struct worker *worker, struct pair *pair, enum side from, ssize_t error)
{
	enum side to = other(from);
	access_pair_why(pair->note, error < 0 ? reset_by[from] : closed_by[from], error < 0);
	pair->eof[from] = true;
	if (error < 0 || pair->broken[from] || pair->broken[to])
		pair_close(worker, pair, true);
	else
		pass_eof(worker, pair, to);
}

static void count(struct worker *worker, struct pair *pair, enum side from, ssize_t n, ssize_t sent)
{
	if (pair->note)
		pair->note->bytes[from] += (uint64_t)n;
	if (from == SIDE_CLIENT) {
		COUNT_BY(worker, bytes_in, n);
		if (!pair->established && sent > 0)
			settle(worker, pair);
	} else {
		COUNT_BY(worker, bytes_out, sent > 0 ? sent : 0);
	}
}

/* Moves a piece through a pipe. Returns what pipe_fill does; -EAGAIN also when there is no pipe. */
static ssize_t splice_piece(struct worker *worker, struct pair *pair, enum side from)
{
	enum side to = other(from);
	struct pipe *pipe = pipes_get(&worker->pipes, worker->now_us);
	if (!pipe)
		return -EAGAIN;
	ssize_t n = pipe_fill(pipe, &pair->conns[from], PIPE_SIZE);
	if (n <= 0) {
		pipes_put(&worker->pipes, pipe);
		if (n != -EAGAIN)
			input_ended(worker, pair, from, n);
		return n;
	}
	ssize_t sent = pipe_drain(pipe, &pair->conns[to]);
	COUNT_BY(worker, bytes_spliced, sent > 0 ? sent : 0);
	count(worker, pair, from, n, sent);
	touch(worker, pair);
	if (sent >= 0 && sent < n && keep(pair, to, pipe, NULL, 0))
		return n;
	pipes_put(&worker->pipes, pipe);
	if (sent < 0)
		write_broken(worker, pair, to);
	else if (sent < n)
		pair_close(worker, pair, true);
	return n;
}

/* relay() for a side that says much. False: it must be copied. */
static bool relay_bulk(struct worker *worker, struct pair *pair, enum side from)
{
	ssize_t n = splice_piece(worker, pair, from);
	if (n == -EAGAIN)
		return false;
	pair->bulk[from] = n < (ssize_t)PIPE_MIN ? (uint8_t)(pair->bulk[from] - 1) : BULK_PIECES;
	return true;
}

/* What has come behind the `*n` bytes at worker->read, if the kernel has said that there is more than
 * bytes: 0, the end; -errno; or 1, it goes on. More bytes count in *n. */
static ssize_t look_behind(struct worker *worker, struct pair *pair, enum side from, ssize_t *n)
{
	struct conn *conn = &pair->conns[from];
	if (*n == WORKER_READ_SIZE || !conn_may_end(conn) || !pair->established ||
	    pair->broken[from])
		return 1;
	ssize_t more = conn_recv(conn, worker->read + *n, WORKER_READ_SIZE - (size_t)*n);
	if (more > 0)
		*n += more;
	return more > 0 || more == -EAGAIN || more == -EINTR ? 1 : more;
}

/* Moves what one read brings. The end, where it is known already, leaves with the last bytes. */
static void relay(struct worker *worker, struct pair *pair, enum side from)
{
	enum side to = other(from);
	if (pair->bulk[from] && pair->established && relay_bulk(worker, pair, from))
		return;
	ssize_t n = conn_recv(&pair->conns[from], worker->read, WORKER_READ_SIZE);
	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n <= 0) {
		input_ended(worker, pair, from, n);
		return;
	}
	if (n == WORKER_READ_SIZE)
		pair->bulk[from] = BULK_PIECES;
	ssize_t end = look_behind(worker, pair, from, &n);
	ssize_t sent = end == 0 ? conn_send_last(&pair->conns[to], worker->read, (size_t)n)
				: conn_send(&pair->conns[to], worker->read, (size_t)n);
	count(worker, pair, from, n, sent);
	if (sent < 0 && pair->established)
		write_broken(worker, pair, to);
	else if (sent < n && !keep(pair, to, NULL, worker->read + (sent > 0 ? sent : 0),
				 (size_t)n - (size_t)(sent > 0 ? sent : 0)))
		pair_close(worker, pair, true);
	else if (pair->established)
		touch(worker, pair);
	if (!pair->dead && (end < 0 || (end == 0 && sent >= 0)))
		input_ended(worker, pair, from, end);
}

/* The number of bytes sent, or -errno; *left is what remains. */
static ssize_t send_unsent(
    struct worker *worker, struct unsent *unsent, struct conn *to, size_t *left)
{
	ssize_t n;
	if (unsent->pipe) {
		n = pipe_drain(unsent->pipe, to);
		COUNT_BY(worker, bytes_spliced, n > 0 ? n : 0);
		*left = unsent->pipe->len;
	} else {
		n = conn_send(to, buf_head(&unsent->buf), buf_len(&unsent->buf));
		unsent->buf.start += (uint32_t)(n > 0 ? n : 0);
		*left = buf_len(&unsent->buf);
	}
	return n;
}

static void flush(struct worker *worker, struct pair *pair, enum side to)
{
	if (pair->unsent[to]) {
		size_t left;
		ssize_t n = send_unsent(worker, pair->unsent[to], &pair->conns[to], &left);
		if (n < 0) {
			write_broken(worker, pair, to);
			return;
		}
		if (to == SIDE_CLIENT)
			COUNT_BY(worker, bytes_out, n);
		if (n > 0)
			touch(worker, pair);
		if (left > 0)
			return;
		free_unsent(worker, pair, to);
	}
	if (pair->eof[other(to)])
		pass_eof(worker, pair, to);
}

static void connect_next(struct worker *worker, struct pair *pair);

static void refuse_place(struct worker *worker, struct pair *pair, const char *why)
{
	if (!pair->setup->choice.full)
		COUNT(worker, no_target);
	reasons_count(&worker->refused_connections, why);
	access_pair_why(pair->note, why, true);
	pair_close(worker, pair, true);
}

static void on_place(
    struct worker *worker, struct wait *wait, struct target *target, const char *why)
{
	struct pair *pair = list_entry(wait, struct pair_setup, wait)->pair;
	note_wait(pair);
	if (!target) {
		refuse_place(worker, pair, why);
		return;
	}
	set_target(worker, pair, target);
	connect_next(worker, pair);
}

/* Who could be chosen is full. True: there is a place at once. Else the pair waits, or is over. */
static bool wait_for_place(struct worker *worker, struct pair *pair)
{
	struct wait *wait = &pair->setup->wait;
	set_target(worker, pair, NULL);
	timer_cancel(worker, &pair->timer);
	wait->choice = &pair->setup->choice;
	wait->tried = pair->setup->tried;
	wait->n_tried = pair->setup->n_tried;
	wait->resume = on_place;
	struct target *target = wait_join(worker, pair->gen, pair->pool, wait);
	if (target)
		set_target(worker, pair, target);
	else if (wait_is_on(wait))
		watch(pair, SIDE_CLIENT);
	else
		refuse_place(worker, pair, wait_refusal(wait));
	return target != NULL;
}

/* Finds another target. False: there is none, and the pair is over; or it waits for a place. */
static bool connect_failed(struct worker *worker, struct pair *pair, int error)
{
	struct pair_setup *setup = pair->setup;
	const struct conf_pool *pool = pool_of(pair);
	const char *why = error == -ETIMEDOUT ? "connect_timeout" : "connect_failed";
	COUNT(worker, upstream_connect_failures);
	reasons_count(&worker->failed_attempts, why);
	if (pair->note)
		access_failed(&pair->note->failures, pair->target, why);
	if (!worker_error_is_local(error)) {
		atomic_fetch_add_explicit(&pair->target->failures, 1, memory_order_relaxed);
		observe(worker, pair, PICKER_FAILED);
		results_failed(worker, pair->gen, pair->pool, pair->trial, pair->target);
	}
	worker_log_target(worker, pool->name, pair->target,
	    error == -ETIMEDOUT ? "connect timed out" : worker_error_text(error));
	close_server(worker, pair, false);
	struct target *next = NULL;
	setup->choice.full = false;
	if (setup->retries_left > 0 && setup->n_tried < TRIED_MAX &&
	    retry_is_wanted(pair->gen, pair->pool, CONF_RETRY_CONNECT_FAILURE) &&
	    retry_left(worker, pair->gen, pair->pool)) {
		setup->retries_left--;
		setup->tried[setup->n_tried++] = pair->target;
		next = choose_again(
		    worker, pair->gen, pair->pool, &setup->choice, setup->tried, setup->n_tried);
	}
	if (!next && !setup->choice.full) {
		COUNT(worker, target_failed);
		reasons_count(&worker->refused_connections, why);
		access_pair_why(pair->note, why, true);
		pair_close(worker, pair, true);
		return false;
	}
	retry_take(worker, pair->gen, pair->pool);
	if (pair->note)
		pair->note->retries++;
	if (!next)
		return wait_for_place(worker, pair);
	set_target(worker, pair, next);
	return true;
}

/* An event on a server that has not said or taken anything yet. True: it is there now. */
static bool check_connected(struct worker *worker, struct pair *pair)
{
	int error = net_connect_result(pair->conns[SIDE_SERVER].io.fd);
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	if (error == 0 &&
	    getpeername(pair->conns[SIDE_SERVER].io.fd, (struct sockaddr *)&peer, &len) == 0) {
		settle(worker, pair);
		return true;
	}
	/* Connected, then reset before anything was said: also for retries it is a failed one. */
	if (connect_failed(worker, pair, error ? error : -ECONNREFUSED))
		connect_next(worker, pair);
	return false;
}

/* What the server says waits until the peer has the session. */
static bool must_wait(struct worker *worker, struct pair *pair, enum side side)
{
	if (side != SIDE_SERVER || !pair->setup)
		return false;
	if (ack_hold(worker, &pair->setup->ack))
		return true;
	end_setup(worker, pair);
	return false;
}

static void on_event(struct worker *worker, struct pair *pair, enum side side, unsigned events)
{
	if (events & POLLER_BROKEN) {
		input_ended(worker, pair, side, -ECONNRESET);
		return;
	}
	if (side == SIDE_SERVER && !pair->established && !check_connected(worker, pair))
		return;
	if (events & POLLER_WRITE)
		flush(worker, pair, side);
	if ((events & POLLER_READ) && wants_read(pair, side) && !must_wait(worker, pair, side))
		relay(worker, pair, side);
	watch_both(pair);
}

static void on_client_event(struct watch *watch, unsigned events)
{
	struct pair *pair = list_entry(watch, struct pair, conns[SIDE_CLIENT].io);
	on_event(worker_of_watch(watch), pair, SIDE_CLIENT, events);
}

static void on_server_event(struct watch *watch, unsigned events)
{
	struct pair *pair = list_entry(watch, struct pair, conns[SIDE_SERVER].io);
	on_event(worker_of_watch(watch), pair, SIDE_SERVER, events);
}

static void on_timeout(struct worker *worker, struct timer *timer)
{
	struct pair *pair = list_entry(timer, struct pair, timer);
	if (pair->established) {
		access_pair_why(pair->note, "idle_timeout", true);
		pair_close(worker, pair, false);
		return;
	}
	/* Connected but silent on both sides so far? */
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	if (getpeername(pair->conns[SIDE_SERVER].io.fd, (struct sockaddr *)&peer, &len) == 0) {
		settle(worker, pair);
		return;
	}
	if (connect_failed(worker, pair, -ETIMEDOUT))
		connect_next(worker, pair);
}

static void on_acked(struct worker *worker, struct ack_wait *wait, bool left)
{
	struct pair_setup *setup = list_entry(wait, struct pair_setup, ack);
	struct pair *pair = setup->pair;
	if (left) {
		access_pair_why(pair->note, LEAVE_WHY, true);
		pair_close(worker, pair, true);
		return;
	}
	if (pair->established)
		end_setup(worker, pair);
	watch(pair, SIDE_SERVER);
}

/* Writes the decision down. False: another request of the client has decided otherwise, and now the
 * pair waits for a place there, or is over. */
static bool commit(struct worker *worker, struct pair *pair)
{
	struct pair_setup *setup = pair->setup;
	struct target *target =
	    choose_commit(worker, pair->gen, pair->pool, pair->target, &setup->choice, &setup->ack);
	if (target == pair->target)
		return true;
	if (!choose_enter(&setup->choice, target))
		return wait_for_place(worker, pair);
	set_target(worker, pair, target);
	return true;
}

/* Connects to pair->target; on failure to the next one, until none is left. */
static void connect_next(struct worker *worker, struct pair *pair)
{
	while (commit(worker, pair)) {
		pair->setup->dialed_us = worker->now_us;
		int fd = dial(worker, pool_of(pair), &pair->target->addr, &pair->setup->peer);
		if (fd < 0) {
			if (!connect_failed(worker, pair, fd))
				return;
			continue;
		}
		COUNT(worker, upstream_connects);
		COUNT(worker, upstream_connections);
		conn_init(&pair->conns[SIDE_SERVER], &worker->poller, fd, on_server_event);
		timer_cancel(worker, &pair->timer);
		timer_set(worker, &pair->timer, pool_of(pair)->connect_timeout_us);
		watch_both(pair);
		return;
	}
}

static struct pair *pair_new(struct listener *listener, const struct arrival *arrival)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	struct pair_setup *setup = calloc(1, sizeof(*setup));
	if (!pair || !setup) {
		free(pair);
		free(setup);
		return NULL;
	}
	setup->pair = pair;
	setup->peer = arrival->peer;
	ack_init(&setup->ack, on_acked, &pair->conns[SIDE_CLIENT], NULL);
	pair->setup = setup;
	pair->listener = listener;
	pair->conf = listener->conf;
	pair->gen = worker_gen_get(listener->worker->gen);
	pair->pool = arrival->pool != CONF_NONE ? arrival->pool : pair->conf->pool;
	setup->retries_left = pool_of(pair)->retries;
	if (pair->conf->access_log)
		pair->note = access_pair_new(&arrival->peer, listener->worker->now_us);
	if (pair->note) {
		pair->note->pool = pool_of(pair)->name;
		pair->note->route = arrival->route;
	}
	return pair;
}

/* The first that the target hears, whoever speaks first, and each target that is tried. */
static bool announce(struct worker *worker, struct pair *pair, const struct arrival *arrival)
{
	struct buf *header = &worker->scratch;
	if (pool_of(pair)->send_proxy.version == CONF_PROXY_NONE)
		return true;
	buf_reset(header);
	return proxy_header_put(header, pool_of(pair), &pair->conns[SIDE_CLIENT], &arrival->peer,
		   arrival->origin) &&
	       keep(pair, SIDE_SERVER, NULL, buf_head(header), buf_len(header));
}

bool pair_open(struct listener *listener, const struct arrival *arrival)
{
	struct worker *worker = listener->worker;
	struct pair *pair = pair_new(listener, arrival);
	if (!pair)
		return false;
	pair->tally = arrival->tally;
	list_push_back(&listener->pairs, &pair->node.list);
	timer_init(&pair->timer, on_timeout);
	conn_init(&pair->conns[SIDE_CLIENT], &worker->poller, arrival->fd, on_client_event);
	conn_init(&pair->conns[SIDE_SERVER], &worker->poller, -1, on_server_event);
	bool announced = announce(worker, pair, arrival);
	free(arrival->origin);
	if (!announced) {
		pair_close(worker, pair, true);
		return true;
	}
	if (!breaker_admits(&pair->gen->fleet->pools[pair->pool].watch->breaker, &pair->trial)) {
		COUNT(worker, circuit_open);
		reasons_count(&worker->refused_connections, "circuit_open");
		access_pair_why(pair->note, "circuit_open", true);
		pair_close(worker, pair, true);
		return true;
	}
	const struct addr *peer = &pair->setup->peer;
	choose_read(worker, pair->gen, pair->pool, peer, NULL, &pair->setup->choice);
	retry_count_request(worker, pair->gen, pair->pool);
	struct target *target = choose_first(worker, pair->gen, pair->pool, &pair->setup->choice);
	if (pair->note)
		pair->note->sticky = pair->setup->choice.sticky;
	if (target)
		set_target(worker, pair, target);
	else if (!pair->setup->choice.full)
		refuse_place(worker, pair, "no_target");
	if (target || (!pair->dead && wait_for_place(worker, pair)))
		connect_next(worker, pair);
	return true;
}

/* Takes what is unsent for one side. */
static bool adopt_unsent(struct pair *pair, enum side to, struct buf *buf)
{
	if (buf_len(buf) == 0)
		return true;
	if (!keep(pair, to, NULL, NULL, 0))
		return false;
	pair->unsent[to]->buf = *buf;
	*buf = (struct buf){0};
	return true;
}

bool pair_adopt(struct worker *worker, const struct pair_parts *parts)
{
	size_t early = buf_len(parts->unsent[SIDE_SERVER]);
	struct pair *pair = calloc(1, sizeof(*pair));
	if (!pair)
		return false;
	if (!adopt_unsent(pair, SIDE_CLIENT, parts->unsent[SIDE_CLIENT]) ||
	    !adopt_unsent(pair, SIDE_SERVER, parts->unsent[SIDE_SERVER])) {
		free_unsent(worker, pair, SIDE_CLIENT);
		free(pair);
		return false;
	}
	pair->listener = parts->listener;
	pair->conf = parts->conf;
	pair->gen = worker_gen_get(parts->gen);
	pair->pool = parts->pool;
	pair->target = parts->target;
	pair->tally = parts->tally;
	pair->established = true;
	if (pair->conf->access_log)
		pair->note = access_pair_new(parts->client, worker->now_us);
	if (pair->note) {
		pair->note->tunnel = true;
		pair->note->pool = pool_of(pair)->name;
		pair->note->target = pair->target;
		pair->note->bytes[SIDE_CLIENT] = early;
	}
	list_push_back(&pair->listener->pairs, &pair->node.list);
	timer_init(&pair->timer, on_timeout);
	conn_take(&pair->conns[SIDE_CLIENT], parts->conns[SIDE_CLIENT], on_client_event);
	conn_take(&pair->conns[SIDE_SERVER], parts->conns[SIDE_SERVER], on_server_event);
	COUNT(worker, tunnels);
	COUNT(worker, tunnels_now);
	touch(worker, pair);
	watch_both(pair);
	return true;
}
