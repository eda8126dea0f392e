#include "daemon/proxy/access.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/proxy/fields.h"
#include "daemon/proxy/http.h"
#include "daemon/proxy/tcp.h"

#define WAKE_US      (200 * US_PER_MS) /* a line waits for so long, besides a turn of the loop */
#define HURRY_US     (10 * US_PER_MS)  /* the same when there are many */
#define LOG_EVERY_US (10 * US_PER_SEC)

void access_set_ring(struct worker *worker, struct access_ring *ring)
{
	struct access_state *state = &worker->access;
	struct access_ring *before = state->ring;
	state->ring = ring;
	if (!before)
		return;
	access_ring_close(before);
	accesslog_wake(state->log);
}

static void tell_dropped(struct worker *worker)
{
	struct access_state *state = &worker->access;
	uint64_t suppressed,
	    dropped = atomic_load_explicit(&worker->counters.access_dropped, memory_order_relaxed);
	if (dropped == state->dropped_told ||
	    !log_allowed(&state->dropped_log, worker->now_us, LOG_EVERY_US, &suppressed))
		return;
	log_warn("access log: %llu lines were dropped: they are not written as fast as they come",
	    (unsigned long long)(dropped - state->dropped_told));
	state->dropped_told = dropped;
}

void access_turn(struct worker *worker)
{
	struct access_state *state = &worker->access;
	if (!state->ring)
		return;
	tell_dropped(worker);
	size_t used = access_ring_used(state->ring);
	uint64_t wait_us = used < access_ring_size(state->ring) / 8 ? WAKE_US : HURRY_US;
	if (used == 0 || worker->now_us - state->woken_us < wait_us)
		return;
	state->woken_us = worker->now_us;
	accesslog_wake(state->log);
}

/* Steps of the wall clock are followed within a second. */
static uint64_t wall_us(struct access_state *state, uint64_t now_us, uint64_t time_us)
{
	if (state->wall_read_us == 0 || now_us - state->wall_read_us >= US_PER_SEC) {
		state->wall_us = (int64_t)(clock_wall_us() - now_us);
		state->wall_read_us = now_us;
	}
	return time_us + (uint64_t)state->wall_us;
}

/* Of what went well, one in so many. */
static bool is_sampled(struct access_state *state, uint32_t sample)
{
	if (++state->unsampled < sample)
		return false;
	state->unsampled = 0;
	return true;
}

static void put_line(
    struct worker *worker, const struct access_entry *entry, enum conf_log_format format)
{
	char *line = access_ring_room(worker->access.ring);
	if (!line) {
		COUNT(worker, access_dropped);
		return;
	}
	size_t len = format == CONF_LOG_COMBINED
			 ? access_combined(entry, &worker->access.date, line)
			 : access_json(entry, &worker->access.date, line);
	access_ring_put(worker->access.ring, len);
	COUNT(worker, access_lines);
}

/* --- requests --- */

void access_begin(struct txn *txn)
{
	struct access_note *note = &txn->note;
	struct client *client = txn->client;
	note->kept = true;
	note->on = txn->listener->access_log;
	note->reused = !client->fresh;
	note->head_us = txn->worker->now_us;
	note->began_us = note->head_us;
	if (client->head_began_us)
		note->began_us -= (uint32_t)note->head_us - client->head_began_us;
	client->head_began_us = 0;
}

static bool is_backup(const struct pool *pool, const struct target *target)
{
	for (uint32_t i = 0; i < pool->n_targets; i++) {
		if (pool->targets[i].target == target)
			return pool->targets[i].backup;
	}
	return false;
}

static const char *tier_of(const struct pool *pool, const struct target *target)
{
	if (atomic_load_explicit(&target->health, memory_order_relaxed) == TARGET_DOWN)
		return "fail_open";
	return pool->has_backups && is_backup(pool, target) ? "backup" : NULL;
}

void access_target(struct txn *txn, const struct target *target)
{
	struct access_note *note = &txn->note;
	note->target = target;
	if (note->kept)
		note->tier = tier_of(&txn->gen->fleet->pools[txn->pool], target);
}

void access_pair_target(
    struct access_pair *note, const struct pool *pool, const struct target *target)
{
	note->target = target;
	note->tier = tier_of(pool, target);
}

static const char *chosen(
    const struct target *target, const struct access_failures *failed, uint8_t sticky)
{
	if (!target)
		return NULL;
	if (failed->n > 1 || (failed->n == 1 && failed->each[0].target != target))
		return "retry";
	return sticky == ACCESS_STICKY_HIT ? "sticky" : "balanced";
}

const char *access_chosen(const struct txn *txn)
{
	return chosen(txn->note.target, &txn->note.failures, txn->choice.sticky);
}

static void put_failures(const struct access_failures *failed, struct access_entry *entry)
{
	entry->n_failed = failed->n;
	for (uint32_t i = 0; i < failed->n; i++)
		entry->failed[i] =
		    (struct access_failure){failed->each[i].target->text, failed->each[i].why};
}

/* Four more than are written, so that what is cut is seen to be, also within a character. */
static void keep(struct access_note *note, enum access_text which, struct slice text, size_t max)
{
	size_t len = text.len < max + 4 ? text.len : max + 4;
	if (len > 0)
		memcpy(note->text.data + note->text.end, text.p, len);
	note->text.end += (uint32_t)len;
	note->len[which] = (uint16_t)len;
}

void access_request(struct txn *txn, const struct h1_head *head)
{
	struct access_note *note = &txn->note;
	struct slice path = head->path.len > 0 ? head->path : head->target;
	struct slice query = {"", 0};
	const char *mark = memchr(path.p, '?', path.len);
	buf_reset(&note->text);
	if (!buf_reserve(&note->text, ACCESS_LINE_MAX))
		return;
	if (mark) {
		query = (struct slice){mark + 1, path.len - (size_t)(mark + 1 - path.p)};
		path.len = (size_t)(mark - path.p);
	}
	if (!txn->gen->conf->access_log.query)
		query.len = 0;
	keep(note, ACCESS_TEXT_METHOD, head->method_text, ACCESS_METHOD_MAX);
	keep(note, ACCESS_TEXT_HOST, head->host, ACCESS_HOST_MAX);
	keep(note, ACCESS_TEXT_PATH, path, ACCESS_PATH_MAX);
	keep(note, ACCESS_TEXT_QUERY, query, ACCESS_QUERY_MAX);
	keep(note, ACCESS_TEXT_REFERER, fields_value(head, SLICE("referer")), ACCESS_REFERER_MAX);
	keep(note, ACCESS_TEXT_USER_AGENT, fields_value(head, SLICE("user-agent")),
	    ACCESS_USER_AGENT_MAX);
}

static void put_texts(const struct access_note *note, struct access_entry *entry)
{
	const char *at = note->text.data;
	struct slice *const texts[] = {[ACCESS_TEXT_METHOD] = &entry->method,
	    [ACCESS_TEXT_HOST] = &entry->host,
	    [ACCESS_TEXT_PATH] = &entry->path,
	    [ACCESS_TEXT_QUERY] = &entry->query,
	    [ACCESS_TEXT_REFERER] = &entry->referer,
	    [ACCESS_TEXT_USER_AGENT] = &entry->user_agent};
	for (int i = 0; i < ACCESS_TEXT_COUNT; i++) {
		*texts[i] = (struct slice){at, note->len[i]};
		at += note->len[i];
	}
}

static uint64_t since(uint64_t from_us, uint64_t to_us)
{
	return to_us == 0 ? ACCESS_UNKNOWN : to_us - from_us;
}

void access_end(struct txn *txn)
{
	struct worker *worker = txn->worker;
	struct access_state *state = &worker->access;
	struct access_note *note = &txn->note;
	if (!state->ring)
		return; /* it was switched off meanwhile */
	const struct conf_access_log *conf = &worker->gen->conf->access_log;
	bool switched = note->status == 101;
	if (!switched && (txn->state != RESPONSE_DONE || txn_owes_client(txn)))
		access_why(note, worker->stopping ? "shutdown" : "client_closed");
	if (note->over_limit)
		access_why(note, "rate_limit_log_only");
	if (!note->why && note->status < 400 && !is_sampled(state, conf->sample))
		return;
	uint64_t now_us = clock_us();
	bool understood = note->len[ACCESS_TEXT_METHOD] > 0;
	struct access_entry entry = {
	    .time_us = wall_us(state, now_us, note->began_us),
	    .client = &txn->client->peer,
	    .listener = txn->listener->name,
	    .route = note->route,
	    .pool = understood && txn->pool != CONF_NONE ? txn_pool(txn)->name : NULL,
	    .target = note->target ? note->target->text : NULL,
	    .why = note->why,
	    .chosen = access_chosen(txn),
	    .tier = note->tier,
	    .http = true,
	    .sticky = (enum access_sticky)txn->choice.sticky,
	    .retries = note->retries,
	    .sample = conf->sample,
	    .bytes_in = note->bytes_in,
	    .bytes_out = note->bytes_out,
	    .body_out = note->bytes_out > note->head_out ? note->bytes_out - note->head_out : 0,
	    .request_us = note->head_us - note->began_us,
	    .queue_us = txn->wait.waited_us,
	    .connect_us = note->pooled ? 0 : since(note->head_us, note->connected_us),
	    .response_us = since(note->head_us, note->response_us),
	    .total_us = now_us - note->began_us,
	    .minor = txn->minor,
	    .status = note->status,
	    .reused = note->reused,
	    .pooled = note->pooled,
	};
	put_failures(&note->failures, &entry);
	put_texts(note, &entry);
	put_line(worker, &entry, conf->format);
}

/* --- TCP and UDP --- */

struct access_pair *access_pair_new(const struct addr *client, uint64_t now_us)
{
	struct access_pair *note = calloc(1, sizeof(*note));
	if (!note)
		return NULL;
	note->client = *client;
	note->began_us = now_us;
	return note;
}

void access_pair_end(struct worker *worker, struct access_pair *note, const char *listener)
{
	struct access_state *state = &worker->access;
	const struct conf_access_log *conf = worker->gen ? &worker->gen->conf->access_log : NULL;
	if (!note->why)
		access_pair_why(note, worker->stopping ? "shutdown" : "no_memory", true);
	if (!state->ring || conf->format == CONF_LOG_COMBINED ||
	    (!note->failed && !is_sampled(state, conf->sample))) {
		free(note);
		return;
	}
	uint64_t now_us = clock_us();
	struct access_entry entry = {
	    .time_us = wall_us(state, now_us, note->began_us),
	    .client = &note->client,
	    .listener = listener,
	    .route = note->route,
	    .pool = note->pool,
	    .target = note->target ? note->target->text : NULL,
	    .why = note->why,
	    .chosen = note->tunnel ? NULL : chosen(note->target, &note->failures, note->sticky),
	    .tier = note->tier,
	    .tunnel = note->tunnel,
	    .sticky = (enum access_sticky)note->sticky,
	    .retries = note->retries,
	    .sample = conf->sample,
	    .bytes_in = note->bytes[0],
	    .bytes_out = note->bytes[1],
	    .datagrams_in = note->datagrams[0],
	    .datagrams_out = note->datagrams[1],
	    .request_us = ACCESS_UNKNOWN,
	    .queue_us = note->queue_us,
	    .connect_us = since(note->began_us, note->connected_us),
	    .response_us = ACCESS_UNKNOWN,
	    .total_us = now_us - note->began_us,
	};
	put_failures(&note->failures, &entry);
	put_line(worker, &entry, conf->format);
	free(note);
}
