/* A peer of the sync channel that has the pair's key, or a stranger without it, and misbehaves. It
 * calls as SELF, which must sort before PEER, again whenever the connection has ended.
 *
 *	hostile_peer SELF PEER ADDRESS:PORT KEY_FILE BEHAVIOUR [FILE | POOL,TARGET]
 *
 * Ten times a second, and at its end, it writes a line of JSON: what it has sent and read, how often
 * it was connected, and the peer's last goodbye. Ends with its input. Not a test. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/net/net.h"
#include "daemon/tls/psk.h"
#include "proto/codec.h"

#define BUFFER_SIZE  (1024U * 1024)
#define QUEUE_MAX    (64U * 1024) /* nothing more is said above it */
#define HEARTBEAT_US (200 * US_PER_MS)
#define REPORT_US    (100 * US_PER_MS)
#define PAUSE_US     (20 * US_PER_MS) /* before it calls again */
#define TTL_US       (3600 * US_PER_SEC)
#define BATCH        128

enum reading { READS, READS_A_BYTE_A_SECOND };
enum acking { ACKS, ACKS_NOTHING, ACKS_WHAT_WAS_NOT_SENT };

struct peer;

struct behaviour {
	const char *name;
	bool active;   /* the role that it claims */
	bool stranger; /* no TLS */
	bool mute;     /* no greeting, no heartbeats */
	enum reading reading;
	enum acking acking;
	void (*greet)(struct peer *peer, struct sync_message *hello);
	/* What it says next, if anything; `step` counts what it has said on this connection. */
	bool (*say)(struct peer *peer, struct sync_message *out);
	/* Once, after the greeting: bytes in place of frames; false: and then it hangs up. */
	bool (*babble)(struct peer *peer);
};

struct peer {
	const char *self;
	const struct behaviour *behaviour;
	struct addr addr;
	struct tls_context *context;
	struct codec *codec;
	FILE *file;
	uint64_t target_id;

	int fd; /* -1: not connected */
	struct tls_conn *tls;
	bool secure, said_hello, greeted, babbled, hang_up;
	uint8_t *in, *out;
	size_t in_len, out_at, out_len;
	uint64_t next_heartbeat_us, next_byte_us, next_call_us;
	uint64_t step;
	uint64_t their_instance, their_epoch;
	uint64_t epoch;                     /* ours, while we claim to be Active */
	uint64_t have_epoch, have_sequence; /* of what it sent */
	bool ack_due, in_snapshot;

	uint64_t instance, connections, frames, sent, read;
	char bye[SYNC_REASON_MAX];
	struct record records[BATCH];
	uint32_t buckets[SYNC_BUCKETS];
	uint64_t digests[SYNC_BUCKETS];
};

static uint64_t random_number(void)
{
	static uint64_t state = 88172645463325252ULL;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* --- what it says: greetings --- */

static void greet_highest_epoch(struct peer *peer, struct sync_message *hello)
{
	hello->hello.epoch = peer->epoch = SYNC_EPOCH_MAX;
}

static void greet_too_new(struct peer *peer, struct sync_message *hello)
{
	(void)peer;
	hello->hello.version = hello->hello.oldest_version = 99;
}

static void greet_other_name(struct peer *peer, struct sync_message *hello)
{
	(void)peer;
	strcpy(hello->hello.node, "gamma");
}

/* As if it had all that will ever be. */
static void greet_from_the_future(struct peer *peer, struct sync_message *hello)
{
	hello->hello.have =
	    (struct sync_position){peer->their_instance, peer->their_epoch, SYNC_SEQUENCE_MAX};
}

/* --- bytes in place of frames --- */

static void put_bytes(struct peer *peer, const void *bytes, size_t n)
{
	memcpy(peer->out + peer->out_len, bytes, n);
	peer->out_len += n;
}

/* A field of the frame's message again, with another value: in protobuf the last one counts. */
static void put_hello_with(struct peer *peer, const uint8_t *field, size_t n)
{
	struct sync_message hello = {.kind = SYNC_HELLO};
	uint8_t frame[256];
	hello.hello.version = hello.hello.oldest_version = 1;
	hello.hello.instance = peer->instance;
	snprintf(hello.hello.node, sizeof(hello.hello.node), "%s", peer->self);
	long len = codec_encode(peer->codec, &hello, frame, sizeof(frame));
	memcpy(frame + len, field, n);
	frame[3] = (uint8_t)(frame[3] + n);
	frame[SYNC_FRAME_HEADER + 1] = (uint8_t)(frame[SYNC_FRAME_HEADER + 1] + n);
	put_bytes(peer, frame, (size_t)len + n);
}

static bool babble_epoch_out_of_range(struct peer *peer)
{
	static const uint8_t epoch[] = {
	    5 << 3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	put_hello_with(peer, epoch, sizeof(epoch));
	return true;
}

static bool babble_too_old(struct peer *peer)
{
	static const uint8_t version_0[] = {1 << 3, 0, 2 << 3, 0};
	put_hello_with(peer, version_0, sizeof(version_0));
	return true;
}

static bool babble_garbage(struct peer *peer)
{
	for (int i = 0; i < 512; i++) {
		uint64_t number = random_number();
		put_bytes(peer, &number, sizeof(number));
	}
	return true;
}

static bool babble_oversized(struct peer *peer)
{
	static const uint8_t header[] = {0x7f, 0xff, 0xff, 0xff};
	put_bytes(peer, header, sizeof(header));
	return true;
}

static void put_half_a_frame(struct peer *peer)
{
	static const uint8_t half[] = {0, 0, 0, 100, 0x22, 98, 1, 2, 3};
	put_bytes(peer, half, sizeof(half));
}

static bool babble_half(struct peer *peer)
{
	put_half_a_frame(peer);
	return true;
}

static bool babble_half_and_hang_up(struct peer *peer)
{
	put_half_a_frame(peer);
	return false;
}

/* What was recorded from the other node in an earlier life of the pair. */
static bool babble_record(struct peer *peer)
{
	size_t n = fread(peer->out + peer->out_len, 1, BUFFER_SIZE - peer->out_len, peer->file);
	peer->out_len += n;
	rewind(peer->file);
	return true;
}

/* --- messages --- */

static bool say_again_hello(struct peer *peer, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_HELLO};
	out->hello.version = out->hello.oldest_version = 1;
	out->hello.instance = peer->instance;
	snprintf(out->hello.node, sizeof(out->hello.node), "%s", peer->self);
	return true;
}

static bool say_another_role(struct peer *peer, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_HEARTBEAT};
	out->heartbeat.active = peer->step % 2;
	out->heartbeat.epoch = peer->their_epoch;
	return true;
}

static void name_router(struct peer *peer, struct sync_message *out, enum sync_message_kind kind)
{
	*out = (struct sync_message){.kind = kind};
	strcpy(out->router.name, "front");
	if (peer->step % 3 == 0)
		snprintf(out->router.name, sizeof(out->router.name), "r%u",
		    (unsigned)(random_number() % 1000));
	out->router.vrid = 51;
	out->router.priority = 254;
	out->router.stamp = random_number();
	if (kind == SYNC_EVIDENCE || kind == SYNC_CLAIM)
		out->router.source_len = 4;
	out->router.source[0] = 10;
}

static void make_event(struct peer *peer, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_EVENT};
	out->event.id = peer->step + 1;
	strcpy(out->event.object, "nonsense");
	snprintf(out->event.reason, sizeof(out->event.reason), "the %u-th", (unsigned)peer->step);
}

static bool say_events(struct peer *peer, struct sync_message *out)
{
	make_event(peer, out);
	return true;
}

static bool say_resends(struct peer *peer, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_RESEND};
	out->buckets.epoch = peer->have_epoch;
	out->buckets.list = peer->buckets;
	out->buckets.n = SYNC_BUCKETS;
	return peer->have_epoch != 0;
}

/* About virtual routers, known ones and others, and whatever else is short. */
static bool say_much(struct peer *peer, struct sync_message *out)
{
	switch (peer->step % 6) {
	case 0: name_router(peer, out, SYNC_QUESTION); break;
	case 1: name_router(peer, out, SYNC_EVIDENCE); break;
	case 2: name_router(peer, out, SYNC_CLAIM); break;
	case 3:
		name_router(peer, out, SYNC_ROUTER);
		out->router.state = (enum sync_router_state)(random_number() % 4);
		out->router.handed_over = true;
		break;
	case 4: make_event(peer, out); break;
	default:
		*out = (struct sync_message){.kind = SYNC_HEARTBEAT};
		out->heartbeat.epoch = peer->their_epoch;
		out->heartbeat.digest_at_sequence = true;
	}
	return true;
}

static bool say_handed_over(struct peer *peer, struct sync_message *out)
{
	*out = (struct sync_message){.kind = SYNC_ROUTER};
	strcpy(out->router.name, "front");
	out->router.vrid = 51;
	out->router.priority = 200;
	out->router.state = SYNC_ROUTER_BACKUP;
	out->router.handed_over = true;
	return peer->greeted;
}

static void mark(struct peer *peer, struct sync_message *out, enum sync_message_kind kind)
{
	*out = (struct sync_message){.kind = kind};
	out->mark.epoch = peer->epoch;
}

/* Sessions of nobody. */
static void make_sessions(struct peer *peer, struct sync_message *out)
{
	for (size_t i = 0; i < BATCH; i++) {
		struct record *record = &peer->records[i];
		*record = (struct record){.kind = RECORD_SESSION};
		record->session.pool_id = random_number();
		record->session.target_id = random_number();
		record->session.expires_us = TTL_US;
		uint64_t key = random_number();
		memcpy(record->session.key, &key, sizeof(key));
	}
	*out = (struct sync_message){.kind = SYNC_BATCH};
	out->batch.epoch = peer->epoch;
	out->batch.snapshot = true;
	out->batch.records = peer->records;
	out->batch.n_records = BATCH;
}

static bool say_begins(struct peer *peer, struct sync_message *out)
{
	mark(peer, out, SYNC_SNAPSHOT_BEGIN);
	return true;
}

/* A snapshot that is begun and not ended, of 20,000 sessions. */
static bool say_half_a_snapshot(struct peer *peer, struct sync_message *out)
{
	mark(peer, out, SYNC_SNAPSHOT_BEGIN);
	if (peer->step > 0)
		make_sessions(peer, out);
	return peer->step < 20000 / BATCH;
}

static bool begins_and_ends(struct peer *peer, struct sync_message *out)
{
	if (peer->step >= 2)
		return false;
	mark(peer, out, peer->step == 0 ? SYNC_SNAPSHOT_BEGIN : SYNC_SNAPSHOT_END);
	return true;
}

static bool say_repairs(struct peer *peer, struct sync_message *out)
{
	if (begins_and_ends(peer, out))
		return true;
	*out = (struct sync_message){
	    .kind = peer->step % 2 == 0 ? SYNC_REPAIR_BEGIN : SYNC_REPAIR_END};
	out->buckets.epoch = peer->epoch;
	out->buckets.list = peer->buckets;
	out->buckets.n = peer->step % 2 == 0 ? SYNC_BUCKETS : 0;
	return true;
}

static bool say_digests(struct peer *peer, struct sync_message *out)
{
	if (begins_and_ends(peer, out))
		return true;
	*out = (struct sync_message){.kind = SYNC_DIGESTS};
	out->digests.epoch = peer->epoch;
	out->digests.digests = peer->digests;
	return true;
}

/* Now a target is up, and now it is down. */
static bool say_changes(struct peer *peer, struct sync_message *out)
{
	if (begins_and_ends(peer, out))
		return true;
	for (size_t i = 0; i < BATCH; i++) {
		struct record *record = &peer->records[i];
		*record = (struct record){.kind = RECORD_HEALTH};
		record->health.target_id = peer->target_id;
		record->health.health = (uint8_t)(1 + i % 2);
		strcpy(record->health.reason, "so it says");
	}
	*out = (struct sync_message){.kind = SYNC_BATCH};
	out->batch.epoch = peer->epoch;
	out->batch.records = peer->records;
	out->batch.n_records = BATCH;
	return true;
}

static const struct behaviour behaviours[] = {
    {.name = "silent_stranger", .stranger = true},
    {.name = "garbage_without_key", .stranger = true, .babble = babble_garbage},
    {.name = "silent", .mute = true},
    {.name = "garbage", .mute = true, .babble = babble_garbage},
    {.name = "oversized", .babble = babble_oversized},
    {.name = "half_frame", .mute = true, .babble = babble_half},
    {.name = "half_frame_and_end", .babble = babble_half_and_hang_up},
    {.name = "epoch_out_of_range", .mute = true, .babble = babble_epoch_out_of_range},
    {.name = "too_old", .mute = true, .babble = babble_too_old},
    {.name = "too_new", .greet = greet_too_new},
    {.name = "other_name", .greet = greet_other_name},
    {.name = "second_hello", .say = say_again_hello},
    /* a Backup */
    {.name = "follows"},
    {.name = "highest_epoch", .greet = greet_highest_epoch},
    {.name = "from_the_future", .greet = greet_from_the_future},
    {.name = "reads_a_byte_a_second", .reading = READS_A_BYTE_A_SECOND},
    {.name = "acks_nothing", .acking = ACKS_NOTHING},
    {.name = "acks_unsent", .acking = ACKS_WHAT_WAS_NOT_SENT},
    {.name = "changes_roles", .say = say_another_role},
    {.name = "asks_for_all_again", .say = say_resends},
    {.name = "talks", .say = say_much},
    {.name = "events", .say = say_events},
    /* an Active */
    {.name = "replays", .active = true, .babble = babble_record},
    {.name = "begins", .active = true, .say = say_begins},
    {.name = "half_a_snapshot", .active = true, .say = say_half_a_snapshot},
    {.name = "repairs", .active = true, .say = say_repairs},
    {.name = "digests", .active = true, .say = say_digests},
    {.name = "changes_a_target", .active = true, .say = say_changes},
    {.name = "hands_over", .say = say_handed_over},
    {.name = "highest_epoch_active",
	.active = true,
	.greet = greet_highest_epoch,
	.say = begins_and_ends},
};

/* --- the connection --- */

static void hang_up(struct peer *peer)
{
	if (peer->fd < 0)
		return;
	tls_conn_free(peer->tls);
	peer->tls = NULL;
	close(peer->fd);
	peer->fd = -1;
	peer->next_call_us = clock_us() + PAUSE_US;
}

static void call(struct peer *peer)
{
	bool in_progress;
	int little = 2048;
	int fd = net_connect_tcp(&peer->addr, &in_progress);
	if (fd < 0)
		return;
	if (peer->behaviour->reading != READS)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	peer->fd = fd;
	peer->tls = peer->behaviour->stranger
			? NULL
			: tls_conn_new(peer->context, fd, TLS_IDENTITY_DERIVED);
	peer->secure = peer->said_hello = peer->greeted = peer->babbled = peer->hang_up = false;
	peer->ack_due = peer->in_snapshot = false;
	peer->in_len = peer->out_at = peer->out_len = 0;
	peer->step = peer->have_epoch = peer->have_sequence = peer->next_heartbeat_us = 0;
	peer->epoch = 0;
}

static void put(struct peer *peer, const struct sync_message *message)
{
	long len = codec_encode(
	    peer->codec, message, peer->out + peer->out_len, BUFFER_SIZE - peer->out_len);
	if (len < 0) {
		fprintf(stderr, "hostile_peer: a message that cannot be: %ld\n", len);
		exit(1);
	}
	peer->out_len += (size_t)len;
	peer->frames++;
}

static void say_hello(struct peer *peer)
{
	struct sync_message hello = {.kind = SYNC_HELLO};
	hello.hello.version = 2;
	hello.hello.oldest_version = 1;
	hello.hello.instance = peer->instance;
	hello.hello.active = peer->behaviour->active;
	snprintf(hello.hello.node, sizeof(hello.hello.node), "%s", peer->self);
	if (peer->behaviour->greet)
		peer->behaviour->greet(peer, &hello);
	put(peer, &hello);
}

static void say_heartbeat(struct peer *peer)
{
	struct sync_message heartbeat = {.kind = SYNC_HEARTBEAT};
	heartbeat.heartbeat.active = peer->behaviour->active;
	heartbeat.heartbeat.epoch = peer->behaviour->active ? peer->epoch : 0;
	put(peer, &heartbeat);
	peer->next_heartbeat_us = clock_us() + HEARTBEAT_US;
}

static void say_ack(struct peer *peer)
{
	struct sync_message ack = {.kind = SYNC_ACK};
	ack.mark.epoch = peer->have_epoch;
	ack.mark.sequence = peer->have_sequence;
	if (peer->behaviour->acking == ACKS_WHAT_WAS_NOT_SENT)
		ack.mark.sequence += 1000;
	put(peer, &ack);
}

static void fill(struct peer *peer)
{
	const struct behaviour *behaviour = peer->behaviour;
	struct sync_message message;
	if (!peer->greeted && !behaviour->mute && !behaviour->stranger)
		return; /* it speaks first */
	if (!peer->said_hello && !behaviour->mute && !behaviour->stranger)
		say_hello(peer);
	peer->said_hello = true;
	if (behaviour->babble && !peer->babbled) {
		peer->babbled = true;
		peer->hang_up = !behaviour->babble(peer);
	}
	if (behaviour->mute || behaviour->stranger)
		return;
	if (clock_us() >= peer->next_heartbeat_us)
		say_heartbeat(peer);
	if (peer->ack_due && behaviour->acking != ACKS_NOTHING)
		say_ack(peer);
	peer->ack_due = false;
	while (behaviour->say && peer->greeted && peer->out_len < QUEUE_MAX &&
	       behaviour->say(peer, &message)) {
		put(peer, &message);
		peer->step++;
	}
}

static bool flush(struct peer *peer)
{
	while (peer->out_at < peer->out_len) {
		size_t n = 0;
		enum tls_result result = TLS_OK;
		if (peer->tls) {
			result = tls_write(
			    peer->tls, peer->out + peer->out_at, peer->out_len - peer->out_at, &n);
		} else {
			ssize_t sent = send(peer->fd, peer->out + peer->out_at,
			    peer->out_len - peer->out_at, MSG_NOSIGNAL);
			result = sent >= 0 ? TLS_OK : errno == EAGAIN ? TLS_WANT_WRITE : TLS_ERROR;
			n = sent > 0 ? (size_t)sent : 0;
		}
		if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
			return true;
		if (result != TLS_OK)
			return false;
		peer->out_at += n;
		peer->sent += n;
	}
	peer->out_at = peer->out_len = 0;
	return !peer->hang_up;
}

static void hear(struct peer *peer, const struct sync_message *message)
{
	switch (message->kind) {
	case SYNC_HELLO:
		peer->greeted = true;
		peer->their_instance = message->hello.instance;
		peer->their_epoch = message->hello.epoch;
		if (peer->epoch == 0)
			peer->epoch = peer->their_epoch + 1;
		break;
	case SYNC_HEARTBEAT: peer->their_epoch = message->heartbeat.epoch; break;
	case SYNC_BYE: snprintf(peer->bye, sizeof(peer->bye), "%s", message->bye.reason); break;
	case SYNC_RESUME:
	case SYNC_SNAPSHOT_BEGIN:
	case SYNC_SNAPSHOT_END:
		peer->in_snapshot = message->kind == SYNC_SNAPSHOT_BEGIN;
		peer->have_epoch = message->mark.epoch;
		peer->have_sequence = message->mark.sequence;
		peer->ack_due = !peer->in_snapshot;
		break;
	case SYNC_BATCH:
		peer->have_sequence = message->batch.through;
		peer->ack_due = !peer->in_snapshot;
		break;
	default: break;
	}
}

static bool read_frames(struct peer *peer)
{
	for (;;) {
		size_t n = 0;
		enum tls_result result =
		    tls_read(peer->tls, peer->in + peer->in_len, BUFFER_SIZE - peer->in_len, &n);
		if (result != TLS_OK)
			return result == TLS_WANT_READ || result == TLS_WANT_WRITE;
		peer->read += n;
		peer->in_len += n;
		struct sync_message message;
		struct err err;
		size_t at = 0;
		long len;
		while ((len = codec_decode(
			    peer->codec, peer->in + at, peer->in_len - at, &message, &err)) > 0) {
			hear(peer, &message);
			if (peer->file && !peer->behaviour->babble && message.kind != SYNC_HELLO)
				fwrite(peer->in + at, 1, (size_t)len, peer->file);
			at += (size_t)len;
		}
		peer->in_len -= at;
		memmove(peer->in, peer->in + at, peer->in_len);
	}
}

/* Of the socket, not of TLS: that would read more than it gives. */
static bool read_a_byte(struct peer *peer)
{
	uint8_t byte;
	peer->greeted = true;
	if (clock_us() < peer->next_byte_us)
		return true;
	peer->next_byte_us = clock_us() + US_PER_SEC;
	ssize_t n = recv(peer->fd, &byte, 1, MSG_DONTWAIT);
	peer->read += n > 0;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

static bool read_raw(struct peer *peer)
{
	uint8_t bytes[4096];
	ssize_t n = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	peer->read += n > 0 ? (uint64_t)n : 0;
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* False: the connection is over. */
static bool serve(struct peer *peer)
{
	if (peer->tls && !peer->secure) {
		enum tls_result result = tls_handshake(peer->tls);
		if (result == TLS_WANT_READ || result == TLS_WANT_WRITE)
			return true;
		if (result != TLS_OK)
			return false;
	}
	if (!peer->secure)
		peer->connections++;
	peer->secure = true;
	bool alive = !peer->tls                          ? read_raw(peer)
		     : peer->behaviour->reading == READS ? read_frames(peer)
							 : read_a_byte(peer);
	if (!alive)
		return false;
	fill(peer);
	return flush(peer);
}

static void report(const struct peer *peer)
{
	printf("{\"connections\": %llu, \"frames\": %llu, \"sent\": %llu, \"read\": %llu, "
	       "\"bye\": \"%s\"}\n",
	    (unsigned long long)peer->connections, (unsigned long long)peer->frames,
	    (unsigned long long)peer->sent, (unsigned long long)peer->read, peer->bye);
	fflush(stdout);
}

static void turn(struct peer *peer)
{
	struct pollfd polls[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = peer->fd}};
	if (peer->behaviour->reading == READS)
		polls[1].events = POLLIN;
	if (peer->out_at < peer->out_len || (peer->behaviour->say && peer->greeted))
		polls[1].events |= POLLOUT;
	poll(polls, 2, 10);
	if (polls[0].revents) {
		hang_up(peer);
		report(peer);
		exit(0);
	}
	if (peer->fd < 0 && clock_us() >= peer->next_call_us)
		call(peer);
	if (peer->fd >= 0 && !serve(peer))
		hang_up(peer);
}

static int start(struct peer *peer, char **words, struct err *err)
{
	struct keys keys;
	char pair[TLS_PAIR_MAX + 1];
	peer->self = words[0];
	if (!addr_parse_endpoint(words[2], &peer->addr))
		return err_set(err, -EINVAL, "%s is no ADDRESS:PORT", words[2]);
	if (conf_keys_load(words[3], &keys, err) < 0)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(behaviours) / sizeof(behaviours[0]); i++) {
		if (strcmp(behaviours[i].name, words[4]) == 0)
			peer->behaviour = &behaviours[i];
	}
	if (!peer->behaviour)
		return err_set(err, -EINVAL, "no such behaviour: %s", words[4]);
	char *target = words[5] ? strchr(words[5], ',') : NULL;
	if (target) {
		*target = '\0';
		peer->target_id = hash_id2(words[5], target + 1);
	} else if (words[5] &&
		   !(peer->file = fopen(words[5], peer->behaviour->babble ? "r" : "w"))) {
		return err_set(err, -errno, "%s: %s", words[5], strerror(errno));
	}
	snprintf(pair, sizeof(pair), "%s>%s", peer->self, words[1]);
	peer->context = tls_psk_new(TLS_CLIENT, &keys, pair, err);
	peer->codec = codec_new();
	peer->in = malloc(BUFFER_SIZE);
	peer->out = malloc(BUFFER_SIZE);
	if (!peer->context || !peer->codec || !peer->in || !peer->out)
		return -ENOMEM;
	for (uint32_t i = 0; i < SYNC_BUCKETS; i++)
		peer->buckets[i] = i;
	return 0;
}

int main(int argc, char **argv)
{
	static struct peer peer = {.fd = -1};
	struct err err = {"out of memory"};
	if (argc != 6 && argc != 7) {
		fprintf(stderr, "usage: hostile_peer SELF PEER ADDRESS:PORT KEY_FILE BEHAVIOUR "
				"[FILE | POOL,TARGET]\n");
		return 2;
	}
	if (getrandom(&peer.instance, sizeof(peer.instance), 0) != sizeof(peer.instance) ||
	    start(&peer, argv + 1, &err) < 0) {
		fprintf(stderr, "hostile_peer: %s\n", err.text);
		return 1;
	}
	peer.instance |= 1;
	signal(SIGPIPE, SIG_IGN);
	for (uint64_t next_us = 0;;) {
		if (clock_us() >= next_us) {
			report(&peer);
			next_us = clock_us() + REPORT_US;
		}
		turn(&peer);
	}
}
