#include "tests/unit/sync/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_record(void *arg, const struct record *record)
{
	struct model_node *node = arg;
	if (record->kind == RECORD_HEALTH && record->health.target_id < MODEL_TARGETS) {
		node->health[record->health.target_id] = record->health.health;
		node->since_us[record->health.target_id] = record->health.since_us;
		node->ready_us[record->health.target_id] = record->health.ready_us;
	} else if (record->kind == RECORD_ADMIN && record->admin.target_id < MODEL_TARGETS) {
		node->admin[record->admin.target_id] = record->admin.admin;
		node->drain_until_us[record->admin.target_id] = record->admin.drain_until_us;
	} else if (record->kind == RECORD_TARGETS) {
		node->n_changes = 0;
	} else if (record->kind == RECORD_TARGET && node->n_changes < MODEL_TARGETS) {
		node->changes[node->n_changes++] = *record;
	} else if (record->kind == RECORD_CIRCUIT) {
		node->circuit = *record;
	}
}

static struct record health_record(const struct model_node *node, unsigned target)
{
	struct record record = {.kind = RECORD_HEALTH};
	record.health.target_id = target;
	record.health.health = node->health[target];
	record.health.since_us = node->since_us[target];
	record.health.ready_us = node->ready_us[target];
	return record;
}

static struct record admin_record(const struct model_node *node, unsigned target)
{
	struct record record = {.kind = RECORD_ADMIN};
	record.admin.target_id = target;
	record.admin.admin = node->admin[target];
	record.admin.drain_until_us = node->drain_until_us[target];
	return record;
}

static void snapshot_targets(void *arg, void (*emit)(void *, const struct record *), void *emit_arg)
{
	const struct model_node *node = arg;
	struct record targets = {.kind = RECORD_TARGETS, .targets.count = node->n_changes};
	emit(emit_arg, &targets);
	for (unsigned i = 0; i < node->n_changes; i++)
		emit(emit_arg, &node->changes[i]);
	for (unsigned t = 0; t < MODEL_TARGETS; t++) {
		struct record health = health_record(node, t), admin = admin_record(node, t);
		emit(emit_arg, &health);
		emit(emit_arg, &admin);
	}
	emit(emit_arg, &node->circuit);
}

static void on_said(void *arg, const struct sync_message *message)
{
	struct model_node *node = arg;
	node->n_byes += message->kind == SYNC_BYE;
	if (message->kind == SYNC_BYE)
		return;
	if (node->n_said == MODEL_SAID_MAX)
		abort();
	node->said[node->n_said++] = *message;
}

static bool next_event(void *arg, uint64_t after, struct sync_event *out)
{
	const struct model_node *node = arg;
	if (after >= node->n_events)
		return false;
	*out = node->events[after];
	return true;
}

static void tell_limits(void *arg, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	struct model_node *node = arg;
	(void)cursor;
	(void)now_us;
	node->n_told++;
	*out = node->limits;
}

static void hear_limits(void *arg, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT])
{
	struct model_node *node = arg;
	(void)now_us;
	node->n_heard++;
	node->heard = *words;
	results[LIMIT_HEARD_APPLIED] += words->n;
}

void model_event(struct model *model, int i, const char *object)
{
	struct model_node *node = &model->node[i];
	struct sync_event *event = &node->events[node->n_events++];
	event->id = node->n_events;
	snprintf(event->object, sizeof(event->object), "%s", object);
}

/* As the control thread has it. */
static void on_evicted(void *arg, const struct session_key *key)
{
	struct record record = {.kind = RECORD_SESSION_DELETE};
	record.session.pool_id = key->pool_id;
	memcpy(record.session.key, key->bytes, sizeof(record.session.key));
	journal_append(arg, &record);
}

static void node_start(struct model *model, int i)
{
	struct model_node *node = &model->node[i];
	uint64_t salt = (uint64_t)i * 1000 + node->restarts++;
	const uint64_t hash_key[2] = {salt + 7, ~salt};
	node->table = session_table_new(100000, hash_key);
	node->journal = journal_new(model->journal_size);
	session_table_on_evicted(node->table, on_evicted, node->journal);
	node->urgent = urgent_new();
	node->n_said = node->n_events = node->n_events_sent = 0;
	struct stream_config config = {
	    .self = node->name,
	    .peer = model->node[1 - i].name,
	    .instance = salt + 1,
	    .config_hash = 42,
	    .promise = {.acked = true, .max_lag_us = MODEL_LAG_US},
	    .table = node->table,
	    .journal = node->journal,
	    .urgent = node->urgent,
	    .callbacks = {.on_record = on_record,
		.snapshot_targets = snapshot_targets,
		.on_said = on_said,
		.next_event = next_event,
		.tell_limits = tell_limits,
		.hear_limits = hear_limits,
		.arg = node},
	};
	node->stream = stream_new(&config);
	node->active = false;
	memset(node->health, 0, sizeof(node->health));
	memset(node->admin, 0, sizeof(node->admin));
	memset(node->since_us, 0, sizeof(node->since_us));
	memset(node->ready_us, 0, sizeof(node->ready_us));
	node->circuit = (struct record){.kind = RECORD_CIRCUIT, .circuit.pool_id = 1};
}

static void node_stop(struct model_node *node)
{
	stream_free(node->stream);
	urgent_free(node->urgent);
	journal_free(node->journal);
	session_table_free(node->table);
}

void model_init(struct model *model, size_t journal_size)
{
	*model = (struct model){.now_us = 1000000, .journal_size = journal_size};
	model->node[0].name = "alpha";
	model->node[1].name = "beta";
	model->node[0].clock_offset_us = 5 * MODEL_HOUR_US;
	model->node[1].clock_offset_us = 77777 * MODEL_HOUR_US;
	for (int i = 0; i < 2; i++) {
		model->node[i].wire = malloc(MODEL_WIRE_SIZE);
		model->node[i].codec = codec_new();
		node_start(model, i);
	}
}

void model_fini(struct model *model)
{
	for (int i = 0; i < 2; i++) {
		node_stop(&model->node[i]);
		codec_free(model->node[i].codec);
		free(model->node[i].wire);
	}
}

uint64_t model_now(const struct model *model, int i)
{
	return model->now_us + model->node[i].clock_offset_us;
}

void model_connect(struct model *model)
{
	if (model->connected)
		return;
	model->connected = true;
	for (int i = 0; i < 2; i++)
		stream_connected(model->node[i].stream, model_now(model, i));
}

void model_cut(struct model *model, const char *reason)
{
	if (!model->connected)
		return;
	model->connected = false;
	for (int i = 0; i < 2; i++) {
		model->node[i].wire_len = 0;
		stream_disconnected(model->node[i].stream, reason, model_now(model, i));
	}
}

void model_restart(struct model *model, int i)
{
	model_cut(model, "closed by the peer");
	node_stop(&model->node[i]);
	node_start(model, i);
}

void model_set_active(struct model *model, int i, bool active)
{
	model->node[i].active = active;
	stream_set_active(model->node[i].stream, active, model_now(model, i));
}

bool model_send(struct model *model, int i)
{
	struct model_node *node = &model->node[i], *peer = &model->node[1 - i];
	struct sync_message message;
	if (MODEL_WIRE_SIZE - peer->wire_len < 64 * 1024 ||
	    !stream_produce(node->stream, model_now(model, i), &message))
		return false;
	if (node->older && message.kind >= SYNC_ROUTER)
		return true;
	if (node->older && message.kind == SYNC_HELLO) {
		message.hello.version = 1;
		message.hello.have_event_instance = message.hello.have_event = 0;
		message.hello.wants = message.hello.gives = message.hello.takes_limits = false;
	}
	bug_alter(model, i, &message);
	long len = codec_encode(
	    node->codec, &message, peer->wire + peer->wire_len, MODEL_WIRE_SIZE - peer->wire_len);
	if (len < 0)
		abort();
	peer->wire_len += (size_t)len;
	node->n_events_sent += message.kind == SYNC_EVENT;
	return true;
}

bool model_deliver(struct model *model, int i)
{
	struct model_node *node = &model->node[i];
	struct sync_message message;
	long len = codec_decode(node->codec, node->wire, node->wire_len, &message, &node->last_err);
	if (len == 0)
		return false;
	if (len < 0)
		abort(); /* our own frames */
	if (node->older && message.kind >= SYNC_ROUTER)
		message.kind = SYNC_UNKNOWN;
	if (node->older && message.kind == SYNC_HELLO)
		message.hello.version = 1; /* it treats its peer as one of its own */
	int result = stream_receive(node->stream, &message, model_now(model, i), &node->last_err);
	node->wire_len -= (size_t)len;
	memmove(node->wire, node->wire + len, node->wire_len);
	if (result < 0)
		model_cut(model, node->last_err.text);
	return true;
}

bool model_exchange(struct model *model)
{
	bool first = model_send(model, 0) && model_deliver(model, 1);
	return model_send(model, 1) && model_deliver(model, 0) && first;
}

void model_settle(struct model *model)
{
	for (bool busy = true; busy;) {
		busy = false;
		for (int i = 0; i < 2; i++) {
			while (model_send(model, i))
				busy = true;
			while (model_deliver(model, 1 - i))
				busy = true;
			busy |= stream_busy(model->node[i].stream);
		}
	}
}

void model_advance(struct model *model, uint64_t us, bool settle)
{
	for (uint64_t end_us = model->now_us + us; model->now_us < end_us;) {
		uint64_t step_us = end_us - model->now_us;
		model->now_us += step_us < 50000 ? step_us : 50000;
		for (int i = 0; i < 2; i++) {
			struct model_node *node = &model->node[i];
			if (stream_tick(node->stream, model_now(model, i), &node->last_err) < 0)
				model_cut(model, node->last_err.text);
		}
		if (settle)
			model_settle(model);
	}
}

static struct session_key make_key(unsigned key)
{
	struct session_key out = {.pool_id = key % 3};
	snprintf((char *)out.bytes, sizeof(out.bytes), "k%u", key);
	return out;
}

static void append_session(
    struct model_node *node, enum record_kind kind, const struct session *session)
{
	struct record record = {.kind = kind};
	record.session.pool_id = session->key.pool_id;
	memcpy(record.session.key, session->key.bytes, sizeof(record.session.key));
	record.session.target_id = session->target_id;
	record.session.expires_us = session->expires_us;
	journal_append(node->journal, &record);
}

void model_session(struct model *model, int i, unsigned key, uint64_t target_id, uint64_t ttl_us)
{
	uint64_t now_us = model_now(model, i);
	struct session session = {make_key(key), target_id, now_us + ttl_us};
	if (model->bug == BUG_TABLE_LATE) {
		append_session(&model->node[i], RECORD_SESSION, &session);
		model_send(model, i);
	}
	session_table_upsert(model->node[i].table, &session, now_us);
	if (model->bug != BUG_TABLE_LATE)
		append_session(&model->node[i], RECORD_SESSION, &session);
}

void model_session_race(struct model *model, int i, unsigned key, uint64_t first, uint64_t second)
{
	uint64_t now_us = model_now(model, i);
	struct session one = {make_key(key), first, now_us + MODEL_HOUR_US}, two = one;
	two.target_id = second;
	session_table_upsert(model->node[i].table, &one, now_us);
	session_table_upsert(model->node[i].table, &two, now_us);
	append_session(&model->node[i], RECORD_SESSION, &two);
	append_session(&model->node[i], RECORD_SESSION, &one);
}

void model_corrupt(struct model *model, int i, unsigned key, uint64_t target_id, uint64_t ttl_us)
{
	uint64_t now_us = model_now(model, i);
	struct session session = {make_key(key), target_id, now_us + ttl_us};
	if (target_id != 0)
		session_table_upsert(model->node[i].table, &session, now_us);
	else
		session_table_delete(model->node[i].table, &session.key);
}

void model_session_delete(struct model *model, int i, unsigned key)
{
	struct session session = {.key = make_key(key)};
	session_table_delete(model->node[i].table, &session.key);
	append_session(&model->node[i], RECORD_SESSION_DELETE, &session);
}

void model_target(struct model *model, int i, unsigned target, uint8_t health, uint8_t admin)
{
	struct model_node *node = &model->node[i];
	if (node->health[target] != health) {
		node->health[target] = health;
		node->since_us[target] = model_now(model, i);
		struct record record = health_record(node, target);
		journal_append(node->journal, &record);
	}
	if (node->admin[target] != admin) {
		node->admin[target] = admin;
		struct record record = admin_record(node, target);
		journal_append(node->journal, &record);
	}
}

const struct record *model_change(struct model *model, int i, const char *pool, const char *address)
{
	struct model_node *node = &model->node[i];
	struct record *record = &node->changes[node->n_changes++];
	*record = (struct record){.kind = RECORD_TARGET, .target.change = 1};
	strcpy(record->target.pool, pool);
	strcpy(record->target.text, address);
	record->target.settings.weight = 7;
	return record;
}

void model_drain(struct model *model, int i, unsigned target, uint64_t until_us)
{
	struct model_node *node = &model->node[i];
	node->admin[target] = 1;
	node->drain_until_us[target] = until_us;
	struct record record = admin_record(node, target);
	journal_append(node->journal, &record);
}

void model_ready(struct model *model, int i, unsigned target, uint64_t ready_us)
{
	struct model_node *node = &model->node[i];
	node->ready_us[target] = ready_us;
	struct record record = health_record(node, target);
	journal_append(node->journal, &record);
}

void model_circuit(struct model *model, int i, uint8_t state, uint64_t due_us)
{
	struct model_node *node = &model->node[i];
	node->circuit.circuit.state = state;
	node->circuit.circuit.due_us = due_us;
	journal_append(node->journal, &node->circuit);
}

uint64_t model_lookup(struct model *model, int i, unsigned key)
{
	struct session_key session_key = make_key(key);
	uint64_t target_id = 0, expires_us;
	session_table_lookup(
	    model->node[i].table, &session_key, model_now(model, i), &target_id, &expires_us);
	return target_id;
}

/* Everything long-lived that `i` has, the other one has too. */
static bool includes(struct model *model, int i)
{
	struct session chunk[32];
	uint64_t cursor = 0, now_us = model_now(model, i), target_id, expires_us;
	size_t n;
	while ((n = session_table_scan(model->node[i].table, &cursor, now_us, chunk, 32)) > 0) {
		for (size_t k = 0; k < n; k++) {
			if (chunk[k].expires_us < now_us + MODEL_HOUR_US / 2)
				continue;
			if (!session_table_lookup(model->node[1 - i].table, &chunk[k].key,
				model_now(model, 1 - i), &target_id, &expires_us) ||
			    target_id != chunk[k].target_id)
				return false;
		}
	}
	return true;
}

bool model_tables_equal(struct model *model)
{
	return includes(model, 0) && includes(model, 1);
}

bool model_targets_equal(const struct model *model)
{
	const struct model_node *a = &model->node[0], *b = &model->node[1];
	return memcmp(a->health, b->health, sizeof(a->health)) == 0 &&
	       memcmp(a->admin, b->admin, sizeof(a->admin)) == 0;
}

struct sync_status model_status(const struct model *model, int i)
{
	struct sync_status status;
	stream_status(model->node[i].stream, model_now(model, i), &status);
	return status;
}
