/* The thread and what others see of it. Commands and the published status are under one lock that
 * nobody holds for longer than a copy; the stream and the channel are the thread's own. */
#include "daemon/sync/sync.h"

#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/quota.h"
#include "daemon/base/text.h"
#include "daemon/base/thread.h"
#include "daemon/sync/channel.h"
#include "daemon/sync/stream.h"
#include "daemon/tls/psk.h"

/* Lines about the connection. */
#define LINES_BURST   32
#define LINES_EACH_US US_PER_SEC

/* A thread that hangs says nothing, so who asks says it. After another while the peer has hung up. */
#define STUCK_US (1 * US_PER_SEC)
#define LOST_US  STREAM_SILENCE_US

struct sync {
	pthread_t thread;
	struct ev_loop *loop;
	ev_async command_wake, send_wake;
	ev_timer tick;
	struct stream *stream;
	struct channel *channel;
	struct journal *journal;
	struct urgent *urgent;
	struct sync_callbacks callbacks;
	int listen_fd;
	uint64_t transitions; /* as last seen */
	uint64_t unsaid;      /* lines that had to wait */
	enum sync_protection logged;
	struct quota lines;

	pthread_mutex_t lock;
	struct {
		bool active, stop;
		bool lost_active; /* Backup for a moment since the thread looked last */
		uint64_t config_hash;
		struct tls_context *context; /* new, or NULL */
		struct sync_promise promise;
	} command;
	struct sync_status status;
	uint64_t status_us; /* when it was so; with each tick */
};

const char *sync_state_name(enum sync_state state)
{
	static const char *const names[] = {"disconnected", "snapshot", "in_sync"};
	return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

const char *sync_protection_name(enum sync_protection protection)
{
	static const char *const names[] = {"none", "unprotected", "protected"};
	return (size_t)protection < sizeof(names) / sizeof(names[0]) ? names[protection] : "?";
}

/* As often as that may be: a peer that comes and goes all the time fills no disk. */
static bool may_log(struct sync *sync)
{
	return quota_take(&sync->lines, LINES_BURST, LINES_EACH_US, clock_us());
}

static void log_protection(struct sync *sync, const struct sync_status *status)
{
	if (status->protection == sync->logged || !may_log(sync))
		return;
	sync->logged = status->protection;
	if (status->protection == SYNC_UNPROTECTED)
		log_warn("sync: unprotected: %s", status->protection_reason);
	else if (status->protection == SYNC_PROTECTED)
		log_notice("sync: protected: %s", status->protection_reason);
}

static void log_transitions(struct sync *sync, const char *reason)
{
	uint64_t transitions = stream_transitions(sync->stream);
	sync->unsaid += transitions != sync->transitions;
	sync->transitions = transitions;
	if (sync->unsaid == 0 || !may_log(sync))
		return;
	if (sync->unsaid == 1)
		log_notice("sync: %s", reason);
	else
		log_notice("sync: %s (and %llu more since the last such line)", reason,
		    (unsigned long long)(sync->unsaid - 1));
	sync->unsaid = 0;
}

const char *sync_stranger_name(enum sync_stranger reason)
{
	static const char *const names[] = {
#define X(reason, name) #name,
	    SYNC_STRANGERS(X)
#undef X
	};
	return names[reason];
}

static void count_strangers(const struct channel *channel, struct sync_status *status)
{
	const uint64_t *strangers = channel_strangers(channel);
	memcpy(status->strangers, strangers, sizeof(status->strangers));
	status->handshake_failures =
	    strangers[SYNC_STRANGER_NOT_PROVED] + strangers[SYNC_STRANGER_CLOSED] +
	    strangers[SYNC_STRANGER_TIMEOUT] + strangers[SYNC_STRANGER_REPLACED];
}

static void on_change(void *arg)
{
	struct sync *sync = arg;
	struct sync_status status;
	stream_status(sync->stream, clock_us(), &status);
	if (sync->channel) {
		count_strangers(sync->channel, &status);
		status.reach = channel_reach(sync->channel);
	}
	pthread_mutex_lock(&sync->lock);
	bool changed = status.protection != sync->status.protection ||
		       status.state != sync->status.state || status.reach != sync->status.reach ||
		       status.peer_active != sync->status.peer_active ||
		       status.sending != sync->status.sending;
	sync->status = status;
	sync->status_us = clock_us();
	pthread_mutex_unlock(&sync->lock);

	log_transitions(sync, status.reason);
	log_protection(sync, &status);
	if (changed && sync->callbacks.on_status)
		sync->callbacks.on_status(sync->callbacks.arg);
}

static void on_command(struct ev_loop *loop, ev_async *async, int events)
{
	(void)events;
	struct sync *sync = async->data;
	pthread_mutex_lock(&sync->lock);
	bool active = sync->command.active, stop = sync->command.stop;
	bool lost_active = sync->command.lost_active;
	uint64_t config_hash = sync->command.config_hash;
	struct tls_context *context = sync->command.context;
	sync->command.context = NULL;
	struct sync_promise promise = sync->command.promise;
	sync->command.lost_active = false;
	pthread_mutex_unlock(&sync->lock);
	if (stop) {
		tls_context_free(context);
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	if (context)
		channel_set_context(sync->channel, context);
	stream_set_config(sync->stream, config_hash, &promise);
	/* What was appended while we were Active leaves before we say that we are not. */
	if (!active || lost_active) {
		channel_pump(sync->channel);
		stream_set_active(sync->stream, false, clock_us());
	}
	stream_set_active(sync->stream, active, clock_us());
	channel_pump(sync->channel);
	on_change(sync);
}

static void on_send(struct ev_loop *loop, ev_async *async, int events)
{
	(void)loop;
	(void)events;
	struct sync *sync = async->data;
	channel_pump(sync->channel);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop;
	(void)events;
	struct sync *sync = timer->data;
	channel_tick(sync->channel);
}

/* From any thread. */
static void wake_for_journal(void *arg)
{
	struct sync *sync = arg;
	ev_async_send(sync->loop, &sync->send_wake);
}

static void *thread_main(void *arg)
{
	struct sync *sync = arg;
	pthread_setname_np(pthread_self(), "sync");
	ev_run(sync->loop, 0);
	channel_free(sync->channel, "shutting down");
	sync->channel = NULL;
	return NULL;
}

static int make_stream(struct sync *sync, const struct sync_config *config, struct err *err)
{
	struct stream_config stream = {
	    .self = config->self,
	    .peer = config->peer,
	    .config_hash = config->config_hash,
	    .promise = config->promise,
	    .table = config->table,
	    .journal = config->journal,
	    .urgent = sync->urgent,
	    .callbacks = config->callbacks,
	};
	if (getrandom(&stream.instance, sizeof(stream.instance), 0) != sizeof(stream.instance))
		return err_set(err, -EIO, "no random numbers from the kernel");
	stream.instance |= 1;
	sync->stream = stream_new(&stream);
	return sync->stream ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static void watch(struct sync *sync)
{
	ev_async_init(&sync->command_wake, on_command);
	ev_async_init(&sync->send_wake, on_send);
	double tick = (double)CHANNEL_TICK_US / US_PER_SEC;
	ev_timer_init(&sync->tick, on_tick, 0., tick);
	sync->command_wake.data = sync->send_wake.data = sync->tick.data = sync;
	ev_async_start(sync->loop, &sync->command_wake);
	ev_async_start(sync->loop, &sync->send_wake);
	ev_timer_start(sync->loop, &sync->tick);
}

/* SIGPIPE from a write of OpenSSL must not kill: thread_start blocks it. */
static int start_thread(struct sync *sync, struct err *err)
{
	int result = thread_start(&sync->thread, thread_main, sync);
	if (result < 0)
		return err_set(err, result, "cannot start the sync thread: %s", strerror(-result));
	return 0;
}

static void sync_free(struct sync *sync)
{
	channel_free(sync->channel, "not started");
	tls_context_free(sync->command.context);
	stream_free(sync->stream);
	urgent_free(sync->urgent);
	if (sync->loop)
		ev_loop_destroy(sync->loop);
	pthread_mutex_destroy(&sync->lock);
	free(sync);
}

struct tls_context *sync_make_context(const char *self, const char *peer, const struct keys *keys,
    const struct tls_pem *pem, struct err *err)
{
	bool client = channel_dials(self, peer);
	enum tls_side side = client ? TLS_CLIENT : TLS_SERVER;
	char pair[2 * CONF_NAME_MAX + 2];
	if (pem)
		return tls_cert_new(side, pem, self, peer, err);
	snprintf(pair, sizeof(pair), "%s>%s", client ? self : peer, client ? peer : self);
	return tls_psk_new(side, keys, pair, err);
}

struct sync *sync_start(const struct sync_config *config, struct err *err)
{
	struct sync *sync = calloc(1, sizeof(*sync));
	if (!sync) {
		tls_context_free(config->context);
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	sync->command.context = config->context;
	pthread_mutex_init(&sync->lock, NULL);
	sync->journal = config->journal;
	sync->listen_fd = config->listen_fd;
	sync->callbacks = config->callbacks;
	sync->command.config_hash = config->config_hash;
	sync->command.promise = config->promise;
	sync->loop = ev_loop_new(EVFLAG_AUTO);
	sync->urgent = urgent_new();
	if (!sync->loop || !sync->urgent || make_stream(sync, config, err) < 0) {
		if (!sync->loop || !sync->urgent)
			err_set(err, -ENOMEM, "cannot make an event loop");
		sync_free(sync);
		return NULL;
	}
	struct channel_config channel = {config, sync->loop, sync->stream, on_change, sync};
	sync->channel = channel_new(&channel, err);
	if (!sync->channel) {
		sync_free(sync);
		return NULL;
	}
	channel_set_context(sync->channel, sync->command.context);
	sync->command.context = NULL;
	watch(sync);
	sync->status_us = clock_us();
	stream_status(sync->stream, sync->status_us, &sync->status);
	journal_set_reader_wake(sync->journal, wake_for_journal, sync);
	if (start_thread(sync, err) < 0) {
		journal_set_reader_wake(sync->journal, NULL, NULL);
		sync_free(sync);
		return NULL;
	}
	return sync;
}

void sync_stop(struct sync *sync)
{
	if (!sync)
		return;
	journal_set_reader_wake(sync->journal, NULL, NULL);
	pthread_mutex_lock(&sync->lock);
	sync->command.stop = true;
	pthread_mutex_unlock(&sync->lock);
	ev_async_send(sync->loop, &sync->command_wake);
	pthread_join(sync->thread, NULL);
	if (sync->listen_fd >= 0)
		close(sync->listen_fd);
	sync_free(sync);
}

void sync_set_active(struct sync *sync, bool active)
{
	pthread_mutex_lock(&sync->lock);
	sync->command.lost_active |= sync->command.active && !active;
	sync->command.active = active;
	pthread_mutex_unlock(&sync->lock);
	/* At once, also while the thread hangs. */
	journal_set_role(sync->journal, active);
	ev_async_send(sync->loop, &sync->command_wake);
}

void sync_set_config(struct sync *sync, uint64_t hash, const struct sync_promise *promise)
{
	pthread_mutex_lock(&sync->lock);
	sync->command.config_hash = hash;
	sync->command.promise = *promise;
	pthread_mutex_unlock(&sync->lock);
	ev_async_send(sync->loop, &sync->command_wake);
}

void sync_set_context(struct sync *sync, struct tls_context *context)
{
	pthread_mutex_lock(&sync->lock);
	struct tls_context *unread = sync->command.context;
	sync->command.context = context;
	pthread_mutex_unlock(&sync->lock);
	tls_context_free(unread);
	ev_async_send(sync->loop, &sync->command_wake);
}

void sync_say(struct sync *sync, const struct sync_message *message, bool last)
{
	urgent_put(sync->urgent, message, last);
	ev_async_send(sync->loop, &sync->send_wake);
}

void sync_event_added(struct sync *sync)
{
	ev_async_send(sync->loop, &sync->send_wake);
}

void sync_status(struct sync *sync, struct sync_status *out)
{
	pthread_mutex_lock(&sync->lock);
	*out = sync->status;
	uint64_t at_us = sync->status_us;
	pthread_mutex_unlock(&sync->lock);
	uint64_t now_us = clock_us();
	if (now_us < at_us + STUCK_US)
		return;
	char why[SYNC_REASON_MAX];
	snprintf(why, sizeof(why), "the sync thread has not turned for %llu ms",
	    (unsigned long long)((now_us - at_us) / US_PER_MS));
	if (out->protection == SYNC_PROTECTED) {
		out->protection = SYNC_UNPROTECTED;
		text_copy(out->protection_reason, sizeof(out->protection_reason), why);
	}
	if (out->state == SYNC_DISCONNECTED || now_us < at_us + LOST_US)
		return;
	out->state = SYNC_DISCONNECTED;
	out->peer_active = out->digest_known = out->digest_equal = out->config_equal = false;
	text_copy(out->reason, sizeof(out->reason), why);
}
