/* Between the fleet and the sync thread. Outgoing: changes of health, admin state and circuits become
 * records in the journal, and the published copy of all states is what a snapshot sends. Incoming:
 * records from the sync thread change our targets. While the peer is Active and we are in sync we do not
 * probe: we are told. */
#include "daemon/control/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/text.h"

/* A peer that comes and goes all the time is not the only thing that happens. */
#define SYNC_EVENTS_BURST   32
#define SYNC_EVENTS_EACH_US (10 * US_PER_SEC)
/* One that says something else of a target all the time neither. */
#define TOLD_BURST      512
#define TOLD_EACH_US    (100 * US_PER_MS)
#define DAY_SEC         (24 * 3600)
#define EXPIRY_WARN_SEC (14 * DAY_SEC)

static struct record health_record(const struct target *target)
{
	struct record record = {.kind = RECORD_HEALTH};
	record.health.target_id = target->id;
	record.health.health = atomic_load_explicit(&target->health, memory_order_relaxed);
	record.health.rise_count = target->rise_count;
	record.health.fall_count = target->fall_count;
	record.health.since_us = target->since_us;
	text_copy(record.health.reason, sizeof(record.health.reason), target->reason);
	record.health.ejected_until_us = target->outlier.until_us;
	record.health.ejections = (uint16_t)target->outlier.ejections;
	record.health.ejection_cause = (uint8_t)target->outlier.cause;
	record.health.probation = target->outlier.probation_us != 0;
	record.health.ready_us = target->ready_us;
	return record;
}

static struct record admin_record(const struct target *target)
{
	struct record record = {.kind = RECORD_ADMIN};
	record.admin.target_id = target->id;
	record.admin.admin = atomic_load_explicit(&target->admin, memory_order_relaxed);
	record.admin.leaving = target->leaving;
	record.admin.drain_until_us = target->drain_until_us;
	return record;
}

static struct record circuit_record(const struct pool *pool)
{
	const struct breaker *breaker = &pool->watch->breaker;
	struct record record = {.kind = RECORD_CIRCUIT};
	record.circuit.pool_id = pool->id;
	record.circuit.state = (uint8_t)breaker_state(breaker);
	record.circuit.due_us = atomic_load_explicit(&breaker->due_us, memory_order_relaxed);
	return record;
}

static struct record_settings settings_of(const struct conf_target *target)
{
	return (struct record_settings){.weight = target->weight,
	    .backup = target->backup,
	    .max_connections = target->max_connections};
}

_Static_assert(OVERLAY_MAX == RECORD_TARGETS_MAX, "what there can be is what travels");

static struct record change_record(const struct overlay_change *change)
{
	struct record record = {.kind = RECORD_TARGET};
	text_copy(record.target.pool, sizeof(record.target.pool), change->pool);
	text_copy(record.target.text, sizeof(record.target.text), change->text);
	record.target.change = (uint8_t)change->kind;
	record.target.settings = settings_of(&change->target);
	record.target.file = settings_of(&change->file);
	return record;
}

void replica_publish(struct control *control)
{
	const struct fleet *fleet = control->current->fleet;
	const struct overlay *overlay = control->changes.overlay;
	size_t n = 0, n_changes = overlay_count(overlay);
	for (uint32_t p = 0; p < fleet->n_pools; p++)
		n += fleet->pools[p].n_targets;
	struct record *records = calloc(1 + n_changes + 2 * n + fleet->n_pools, sizeof(*records));
	if (!records) {
		log_error("sync: out of memory: the peer keeps the old set of targets");
		return;
	}
	records[0].kind = RECORD_TARGETS;
	size_t at = 1;
	for (size_t i = 0; i < n_changes; i++) {
		const struct overlay_change *change = overlay_at(overlay, i);
		if (change->kind != OVERLAY_NONE)
			records[at++] = change_record(change);
	}
	records[0].targets.count = (uint32_t)(at - 1);
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		for (uint32_t t = 0; t < fleet->pools[p].n_targets; t++) {
			struct target *target = fleet->pools[p].targets[t].target;
			target->published_at = at;
			/* In this order: who is made ready starts slowly then, and only the other
			 * record knows since when. */
			records[at++] = admin_record(target);
			records[at++] = health_record(target);
		}
		fleet->pools[p].watch->published_at = at;
		records[at++] = circuit_record(&fleet->pools[p]);
	}
	pthread_mutex_lock(&control->published.lock);
	struct record *old = control->published.records;
	control->published.records = records;
	control->published.n = at;
	pthread_mutex_unlock(&control->published.lock);
	free(old);
}

/* For want of memory a new target or pool may not be among the published ones: its published_at is 0
 * then, and no record of the kind is there, or next to it. */
static void publish_one(struct control *control, size_t at, const struct record *record)
{
	pthread_mutex_lock(&control->published.lock);
	if (at < control->published.n && control->published.records[at].kind == record->kind)
		control->published.records[at] = *record;
	pthread_mutex_unlock(&control->published.lock);
}

static void tell_peer(struct control *control, size_t at, const struct record *record)
{
	publish_one(control, at, record);
	if (control->journal && control->active)
		journal_append(control->journal, record);
}

void replica_health_changed(struct control *control, const struct target *target)
{
	struct record record = health_record(target);
	tell_peer(control, target->published_at + 1, &record);
}

void replica_admin_changed(struct control *control, const struct target *target)
{
	struct record record = admin_record(target);
	tell_peer(control, target->published_at, &record);
	replica_health_changed(control, target); /* with the slow start of who is ready again */
}

void replica_circuit_changed(struct control *control, const struct pool *pool)
{
	struct record record = circuit_record(pool);
	tell_peer(control, pool->watch->published_at, &record);
}

void replica_tell_changes(struct control *control)
{
	const struct overlay *overlay = control->changes.overlay;
	for (size_t i = 0; i < overlay_count(overlay); i++) {
		const struct overlay_change *change = overlay_at(overlay, i);
		if (!change->untold || !control->journal || !control->active)
			continue;
		struct record record = change_record(change);
		journal_append(control->journal, &record);
		const struct target *target = fleet_target(
		    control->current->fleet, hash_id2(change->pool, change->text), NULL);
		/* It may be another one than the peer has had before. */
		if (target)
			replica_admin_changed(control, target);
	}
}

bool replica_is_told(const struct control *control)
{
	return control->sync && !control->probing;
}

/* From the first word on, not from the end of a snapshot: what we found ourselves in between would
 * stay, since nobody says it twice. */
void replica_update_probing(struct control *control)
{
	bool told = false;
	if (control->sync && !control->active) {
		struct sync_status status;
		sync_status(control->sync, &status);
		bool may_tell = status.state != SYNC_DISCONNECTED && status.peer_active;
		control->told = control->told && may_tell;
		told = control->told || (status.state == SYNC_IN_SYNC && may_tell);
	}
	if (control->probing == !told)
		return;
	control->probing = !told;
	log_info("health: %s", told ? "the Active peer tells us the targets' states: own checks off"
				    : "own checks on, spread over one interval");
	prober_enable(control->prober, control->probing);
}

void replica_set_active(struct control *control, bool active)
{
	if (control->sync)
		sync_set_active(control->sync, active);
	if (active)
		session_table_trim(control->sessions, false, clock_us());
	replica_update_probing(control);
}

/* --- on the sync thread --- */

static void on_record(void *arg, const struct record *record)
{
	struct control *control = arg;
	struct inbox *inbox = &control->inbox;
	pthread_mutex_lock(&inbox->lock);
	while (inbox->n == CONTROL_INBOX_MAX && !inbox->closed)
		pthread_cond_wait(&inbox->room, &inbox->lock);
	if (!inbox->closed)
		inbox->records[inbox->n++] = *record;
	pthread_mutex_unlock(&inbox->lock);
	ev_async_send(control->loop, &control->sync_wake);
}

static void on_said(void *arg, const struct sync_message *message)
{
	struct control *control = arg;
	struct inbox *inbox = &control->inbox;
	pthread_mutex_lock(&inbox->lock);
	while (inbox->n_said == CONTROL_SAID_MAX && !inbox->closed)
		pthread_cond_wait(&inbox->room, &inbox->lock);
	if (!inbox->closed)
		inbox->said[inbox->n_said++] = *message;
	pthread_mutex_unlock(&inbox->lock);
	ev_async_send(control->loop, &control->sync_wake);
}

static bool next_event(void *arg, uint64_t after, struct sync_event *out)
{
	struct control *control = arg;
	return events_next(&control->events, after, out);
}

static void tell_limits(void *arg, uint64_t *cursor, uint64_t now_us, struct limit_words *out)
{
	struct control *control = arg;
	proxy_tell_limits(control->proxy, cursor, now_us, out);
}

static void hear_limits(void *arg, const struct limit_words *words, uint64_t now_us,
    uint64_t results[LIMIT_HEARD_COUNT])
{
	struct control *control = arg;
	proxy_hear_limits(control->proxy, words, now_us, results);
}

static void on_status(void *arg)
{
	struct control *control = arg;
	ev_async_send(control->loop, &control->sync_wake);
}

static void snapshot_targets(void *arg, void (*emit)(void *, const struct record *), void *emit_arg)
{
	struct control *control = arg;
	pthread_mutex_lock(&control->published.lock);
	for (size_t i = 0; i < control->published.n; i++)
		emit(emit_arg, &control->published.records[i]);
	pthread_mutex_unlock(&control->published.lock);
}

/* --- on the control thread --- */

bool replica_may_say(struct control *control)
{
	uint64_t unsaid = control->targets_told.unsaid;
	if (!quota_take(&control->targets_told.quota, TOLD_BURST, TOLD_EACH_US, clock_us())) {
		control->targets_told.unsaid++;
		return false;
	}
	if (unsaid > 0)
		log_notice("sync: %llu more changes of targets that the peer told before this one",
		    (unsigned long long)unsaid);
	control->targets_told.unsaid = 0;
	return true;
}

static void apply_ejection(
    struct control *control, struct pool *pool, struct target *target, const struct record *record)
{
	uint64_t until_us = record->health.ejected_until_us, now_us = clock_us();
	struct outlier_report report = {
	    .left_us = until_us > now_us ? until_us - now_us : 0,
	    .ejections = record->health.ejections,
	    .cause = record->health.ejection_cause,
	    .probation = record->health.probation,
	};
	outliers_told(control, pool, target, &report);
}

static void take_health(
    struct control *control, struct pool *pool, struct target *target, const struct record *record)
{
	enum target_health before = atomic_load_explicit(&target->health, memory_order_relaxed);
	enum target_health now = (enum target_health)record->health.health;
	bool changed =
	    target_set_health(pool, target, now, record->health.reason, record->health.since_us);
	target->rise_count = record->health.rise_count;
	target->fall_count = record->health.fall_count;
	target_set_since(pool, target, record->health.since_us, 0);
	if (changed && replica_may_say(control)) {
		char object[sizeof(((struct event *)0)->object)];
		control_object_target(object, sizeof(object), pool, target);
		log_info("%s: %s -> %s: told by the Active peer: %s", object,
		    target_health_name(before), target_health_name(now), target->reason);
		events_add(&control->events, object, target_health_name(before),
		    target_health_name(now), target->reason);
	}
}

static void apply_health(struct control *control, const struct record *record)
{
	struct pool *pool;
	struct target *target =
	    fleet_target(control->current->fleet, record->health.target_id, &pool);
	if (!target) /* a target that only the peer's configuration has, or had: it tells us again */
		return;
	/* Without checks here nobody would ever find that it is up again. */
	if (control->current->conf->pools[pool->index].health.kind != CONF_HEALTH_NONE)
		take_health(control, pool, target, record);
	apply_ejection(control, pool, target, record);
	target_set_since(pool, target, target->since_us, record->health.ready_us);
	struct record now = health_record(target);
	publish_one(control, target->published_at + 1, &now);
}

static void apply_admin(struct control *control, const struct record *record)
{
	struct pool *pool;
	struct target *target =
	    fleet_target(control->current->fleet, record->admin.target_id, &pool);
	if (!target)
		return;
	const char *before = target_state_name(target);
	target->leaving = record->admin.leaving;
	target->drain_until_us = record->admin.drain_until_us;
	control->changes.drains |= target->drain_until_us > 0;
	bool changed = target_set_admin(pool, target, (enum target_admin)record->admin.admin);
	if (changed)
		control_note_admin(target, "set by the operator on the peer");
	if (changed && replica_may_say(control)) {
		char object[sizeof(((struct event *)0)->object)];
		control_object_target(object, sizeof(object), pool, target);
		events_add(&control->events, object, before, target_state_name(target),
		    "set by the operator on the peer");
	}
	publish_one(control, target->published_at, record);
}

static void apply_circuit(struct control *control, const struct record *record)
{
	const struct fleet *fleet = control->current->fleet;
	uint64_t due_us = record->circuit.due_us, now_us = clock_us();
	for (uint32_t p = 0; p < fleet->n_pools; p++) {
		struct pool *pool = &fleet->pools[p];
		if (pool->id != record->circuit.pool_id)
			continue;
		outliers_circuit_told(control, pool, (enum breaker_state)record->circuit.state,
		    due_us > now_us ? due_us - now_us : 0);
		struct record ours = circuit_record(pool);
		publish_one(control, pool->watch->published_at, &ours);
	}
}

/* --- changes at run time, as the peer has them --- */

static void use_settings(struct conf_target *target, const struct record_settings *settings)
{
	target->weight = settings->weight;
	target->backup = settings->backup;
	target->max_connections = settings->max_connections;
}

static void take_change(struct overlay *overlay, const struct record *record)
{
	struct overlay_change change = {.kind = (enum overlay_kind)record->target.change};
	text_copy(change.pool, sizeof(change.pool), record->target.pool);
	text_copy(change.text, sizeof(change.text), record->target.text);
	if (!addr_parse_endpoint(change.text, &change.target.addr))
		return; /* the codec has looked */
	change.file.addr = change.target.addr;
	use_settings(&change.target, &record->target.settings);
	use_settings(&change.file, &record->target.file);
	int error = overlay_take(overlay, &change);
	if (error)
		log_error("sync: the change of pool %s target %s is not taken: %s", change.pool,
		    change.text, strerror(-error));
}

/* True if the overlay is another one now. Those of a snapshot count when they are all there, so that
 * a connection that breaks in between takes nothing away. */
static bool take_target_record(struct control *control, const struct record *record)
{
	struct changes *changes = &control->changes;
	if (record->kind == RECORD_TARGETS) {
		overlay_free(changes->arriving);
		changes->arriving = overlay_new();
		changes->n_arriving = record->targets.count;
	} else if (record->kind != RECORD_TARGET) {
		return false;
	} else if (!changes->arriving) {
		take_change(changes->overlay, record);
		return true;
	} else if (changes->n_arriving > 0) {
		take_change(changes->arriving, record);
		changes->n_arriving--;
	}
	if (changes->n_arriving > 0 || !changes->arriving)
		return false;
	overlay_free(changes->overlay);
	changes->overlay = changes->arriving;
	changes->arriving = NULL;
	return true;
}

static void drain_inbox(struct control *control)
{
	/* control thread only; too large for the stack */
	static struct record batch[CONTROL_INBOX_MAX];
	static struct sync_message said[CONTROL_SAID_MAX];
	struct inbox *inbox = &control->inbox;
	pthread_mutex_lock(&inbox->lock);
	size_t n = inbox->n;
	memcpy(batch, inbox->records, n * sizeof(*batch));
	inbox->n = 0;
	size_t n_said = inbox->n_said;
	memcpy(said, inbox->said, n_said * sizeof(*said));
	inbox->n_said = 0;
	pthread_cond_signal(&inbox->room);
	pthread_mutex_unlock(&inbox->lock);

	for (size_t i = 0; i < n_said; i++)
		peer_said(control, &said[i]);
	/* First what targets there are, then how they are. */
	bool changed = false;
	for (size_t i = 0; i < n; i++)
		changed |= take_target_record(control, &batch[i]);
	if (changed)
		changes_build(control);
	control->told = !control->active && (control->told || n > 0);
	for (size_t i = 0; i < n; i++) {
		if (batch[i].kind == RECORD_HEALTH)
			apply_health(control, &batch[i]);
		else if (batch[i].kind == RECORD_ADMIN)
			apply_admin(control, &batch[i]);
		else if (batch[i].kind == RECORD_CIRCUIT)
			apply_circuit(control, &batch[i]);
	}
}

static bool may_add_event(struct control *control)
{
	return quota_take(
	    &control->sync_told.quota, SYNC_EVENTS_BURST, SYNC_EVENTS_EACH_US, clock_us());
}

/* A Backup with lower limits than the Active says so by its digests, before it has to take over. */
void replica_keep_limits(struct control *control)
{
	if (replica_is_told(control) && control->sync_state == SYNC_IN_SYNC)
		session_table_trim(control->sessions, true, clock_us());
}

void replica_tell_state(struct control *control)
{
	struct sync_status status;
	if (!control->sync)
		return;
	sync_status(control->sync, &status);
	if (status.state != control->sync_state) /* a thread that hangs does not wake us */
		ev_async_send(control->loop, &control->sync_wake);
	if (status.state != control->sync_told.state && may_add_event(control)) {
		events_add(&control->events, "sync", sync_state_name(control->sync_told.state),
		    sync_state_name(status.state), status.reason);
		control->sync_told.state = status.state;
	}
	if (status.protection != control->sync_told.protection && may_add_event(control)) {
		events_add(&control->events, "protection",
		    sync_protection_name(control->sync_told.protection),
		    sync_protection_name(status.protection),
		    status.protection == SYNC_PROTECTION_NONE ? "not Active"
							      : status.protection_reason);
		control->sync_told.protection = status.protection;
	}
}

static void step_warmth(struct control *control, const struct sync_status *status)
{
	uint64_t now_us = clock_us();
	struct err why;
	if (!warmth_step(&control->warmth, status, now_us, &why))
		return;
	unsigned long long waited_ms = (now_us - control->warmth.since_us) / US_PER_MS;
	log_notice("sync: ready after %llu ms: %s", waited_ms, why.text);
	events_add(&control->events, "start", "waiting", "ready", why.text);
	routers_heartbeat(control, control->ready);
}

static void on_sync_wake(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	struct control *control = async->data;
	struct sync_status status = {0};
	/* In this order: what was told before that status is in force. */
	if (control->sync)
		sync_status(control->sync, &status);
	drain_inbox(control);
	if (!control->sync)
		return;
	control->sync_state = status.state;
	routers_poll(control);
	replica_tell_state(control);
	replica_update_probing(control);
	step_warmth(control, &status);
}

void replica_poll_warmth(struct control *control)
{
	struct sync_status status;
	if (!control->warmth.waiting)
		return;
	sync_status(control->sync, &status);
	if (status.state == control->sync_state) /* else what came before is still in the inbox */
		step_warmth(control, &status);
}

static void on_event_added(void *arg)
{
	sync_event_added(arg);
}

static struct sync_promise promise_of(const struct conf_sync *sync)
{
	bool acked = sync->sessions == CONF_SYNC_ACKED;
	return (struct sync_promise){
	    .acked = acked,
	    .max_lag_us = acked ? sync->ack_timeout_us : sync->max_lag_us,
	    .max_lag_entries = sync->max_lag_entries,
	};
}

void replica_set_config(struct control *control)
{
	const struct conf *conf = control->current->conf;
	struct sync_promise promise = promise_of(&conf->sync);
	sync_set_config(control->sync, conf->hash, &promise);
}

static struct tls_context *make_context(
    struct control *control, const struct conf *conf, const struct tls_pem *pem, struct err *err)
{
	return sync_make_context(conf->nodes[conf->self].name, conf->nodes[conf->peer].name,
	    &control->incoming.keys, pem, err);
}

/* "certificate: it has expired" becomes "sync.certificate: FILE: it has expired". */
static int name_file(const struct conf *conf, const struct err *why, struct err *err)
{
	const struct conf_sync *sync = &conf->sync;
	int key_len = (int)strcspn(why->text, ":");
	const char *path = why->text[0] == 'p'                 ? sync->private_key
			   : strncmp(why->text, "ca:", 3) == 0 ? sync->ca
							       : sync->certificate;
	return err_set(
	    err, -EINVAL, "sync.%.*s: %s%s", key_len, why->text, path, why->text + key_len);
}

int replica_prepare(
    struct control *control, const struct conf *conf, struct tls_context **out, struct err *err)
{
	const struct ipc_config *in = &control->incoming;
	uint32_t len = in->certificate_len + in->private_key_len + in->ca_len;
	struct err why;
	if (conf->peer == CONF_NONE)
		return 0;
	if (!conf->sync.certificate) {
		*out = make_context(control, conf, NULL, err);
		return *out ? 0 : -EINVAL;
	}
	char *text = control_read_incoming(control, in->text_len, len, err);
	if (!text)
		return -EIO;
	const char *private_key = text + in->certificate_len;
	struct tls_pem pem = {{text, in->certificate_len}, {private_key, in->private_key_len},
	    {private_key + in->private_key_len, in->ca_len}};
	*out = make_context(control, conf, &pem, &why);
	text_wipe(text, len);
	free(text);
	return *out ? 0 : name_file(conf, &why, err);
}

void replica_check_certificate(struct control *control)
{
	uint64_t suppressed, now_sec = clock_wall_sec();
	int64_t left_sec = control->certificate_expiry - (int64_t)now_sec;
	if (control->certificate_expiry == 0 || left_sec > EXPIRY_WARN_SEC ||
	    !log_allowed(&control->expiry_log, clock_us(), DAY_SEC * US_PER_SEC, &suppressed))
		return;
	if (left_sec > 0)
		log_warn("sync.certificate: %s: expires in %lld days; renew it, then reload",
		    control->current->conf->sync.certificate, (long long)(left_sec / DAY_SEC));
	else
		log_error("sync.certificate: %s: has expired: the peer refuses it at the next "
			  "connection; renew it, then reload",
		    control->current->conf->sync.certificate);
}

static int replica_start(struct control *control, struct tls_context *context, struct err *err)
{
	const struct conf *conf = control->current->conf;
	struct sync_config config = {
	    .self = conf->nodes[conf->self].name,
	    .peer = conf->nodes[conf->peer].name,
	    .self_addr = conf->nodes[conf->self].address,
	    .peer_addr = conf->nodes[conf->peer].address,
	    .listen_fd = control->sync_listen_fd,
	    .context = context,
	    .config_hash = conf->hash,
	    .promise = promise_of(&conf->sync),
	    .table = control->sessions,
	    .journal = control->journal,
	    .callbacks = {on_record, on_status, snapshot_targets, on_said, next_event, tell_limits,
		hear_limits, control},
	};
	addr_set_port(&config.self_addr, conf->sync.port);
	addr_set_port(&config.peer_addr, conf->sync.port);

	ev_async_init(&control->sync_wake, on_sync_wake);
	control->sync_wake.data = control;
	ev_async_start(control->loop, &control->sync_wake);
	control->sync = sync_start(&config, err);
	if (!control->sync)
		return -EINVAL;
	control->sync_listen_fd = -1;
	warmth_begin(&control->warmth, conf->sync.start_timeout_us, clock_us());
	control->events.added = on_event_added;
	control->events.arg = control->sync;
	for (uint32_t i = 0; i < control->n_routers; i++)
		peer_tell_state(control, &control->routers[i].state);
	sync_set_active(control->sync, control->active);
	replica_update_probing(control);
	return 0;
}

static void name_keys(struct control *control)
{
	const struct keys *keys = &control->incoming.keys;
	memset(control->key_names, 0, sizeof(control->key_names));
	for (unsigned i = 0; i < keys->n; i++) {
		if (derive_name(keys->of[i], control->key_names[i]) < 0)
			log_error("sync.key_file: OpenSSL finds no name for a key");
	}
}

int replica_use(struct control *control, struct tls_context *context, struct err *err)
{
	name_keys(control);
	control->certificate_expiry = tls_cert_expiry(context);
	control->expiry_log = (struct log_limit){0};
	if (!control->sync)
		return replica_start(control, context, err);
	sync_set_context(control->sync, context);
	return 0;
}

void replica_stop(struct control *control)
{
	if (!control->sync)
		return;
	pthread_mutex_lock(&control->inbox.lock);
	control->inbox.closed = true;
	pthread_cond_broadcast(&control->inbox.room);
	pthread_mutex_unlock(&control->inbox.lock);
	control->events.added = NULL;
	sync_stop(control->sync);
	control->sync = NULL;
	control->warmth.waiting = false;
	ev_async_stop(control->loop, &control->sync_wake);
	free(control->published.records);
	control->published.records = NULL;
	control->published.n = 0;
}
