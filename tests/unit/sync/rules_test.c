/* What a peer may say, that knows the key, but not the rules. */
#include <errno.h>
#include <string.h>

#include "daemon/sync/stream_internal.h"
#include "tests/unit/sync/scenes.h"

static struct sync_message hello(void)
{
	struct sync_message message = {.kind = SYNC_HELLO};
	message.hello.version = message.hello.oldest_version = 1;
	strcpy(message.hello.node, "beta");
	message.hello.instance = 999;
	return message;
}

/* What a peer that knows the key, but not the rules, may send to node 0. */
static void broken_rules_end_the_connection(void)
{
	struct model model;
	struct err err;
	model_init(&model, 64);
	struct stream *stream = model.node[0].stream;
	uint64_t now_us = model_now(&model, 0);
	struct sync_message greeting = hello(), message;
#define ANSWER(m)                                               \
	(stream_connected(stream, now_us), err.text[0] = '\0',  \
	    stream_receive(stream, &greeting, now_us, &err) < 0 \
		? -1                                            \
		: stream_receive(stream, (m), now_us, &err))
	message = (struct sync_message){.kind = SYNC_BATCH, .batch.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO); /* without a beginning */
	message = (struct sync_message){.kind = SYNC_SNAPSHOT_END, .mark.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO);
	message = (struct sync_message){.kind = SYNC_RESUME, .mark.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO);
	message = hello();
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO); /* twice */
	message = (struct sync_message){.kind = SYNC_REPAIR_BEGIN, .buckets.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO);
	message = (struct sync_message){.kind = SYNC_REPAIR_END, .buckets.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO);
	message = (struct sync_message){.kind = SYNC_RESEND, .buckets.epoch = 1};
	CU_ASSERT_EQUAL(ANSWER(&message), 0); /* not Active: nothing to send */
	message = (struct sync_message){.kind = SYNC_BYE};
	CU_ASSERT_EQUAL(ANSWER(&message), -ESHUTDOWN);
	message = (struct sync_message){.kind = SYNC_UNKNOWN};
	CU_ASSERT_EQUAL(ANSWER(&message), 0);

	message = (struct sync_message){
	    .kind = SYNC_SNAPSHOT_BEGIN, .mark.epoch = 7, .mark.sequence = 100};
	CU_ASSERT_EQUAL(ANSWER(&message), 0);
	message = (struct sync_message){.kind = SYNC_BATCH, .batch.epoch = 7};
	message.batch.after = 101;
	message.batch.through = 102;
	CU_ASSERT_EQUAL(stream_receive(stream, &message, now_us, &err), -EPROTO); /* a gap */
	CU_ASSERT(strstr(err.text, "missing between 100 and 101") != NULL);

	model_set_active(&model, 0, true);
	message =
	    (struct sync_message){.kind = SYNC_ACK, .mark.epoch = model_status(&model, 0).epoch};
	message.mark.sequence = 1;
	CU_ASSERT_EQUAL(ANSWER(&message), -EPROTO); /* of what was never sent */

	greeting.hello.oldest_version = greeting.hello.version = STREAM_VERSION + 1;
	CU_ASSERT_EQUAL(ANSWER(&message), -1);
	CU_ASSERT(strstr(err.text, "protocol versions 3 to 3, this node 1 to 2") != NULL);
	greeting = hello();
	strcpy(greeting.hello.node, "gamma");
	CU_ASSERT_EQUAL(ANSWER(&message), -1);
	greeting = hello();
	greeting.kind = SYNC_HEARTBEAT;
	CU_ASSERT_EQUAL(ANSWER(&message), -1);
	CU_ASSERT(strstr(err.text, "before the hello") != NULL);
#undef ANSWER
	model_fini(&model);
}

static int receive(struct model *model, struct sync_message message, struct err *err)
{
	err->text[0] = '\0';
	return stream_receive(model->node[0].stream, &message, model_now(model, 0), err);
}

/* The test is node 0's peer, of version 2; if it is not Active it may have something to give. */
static void greet_as(struct model *model, bool active, bool gives)
{
	struct sync_message greeting = hello();
	struct err err;
	greeting.hello.version = 2;
	greeting.hello.active = active;
	greeting.hello.gives = gives;
	stream_connected(model->node[0].stream, model_now(model, 0));
	CU_ASSERT_EQUAL(receive(model, greeting, &err), 0);
}

static void greet(struct model *model, bool active)
{
	greet_as(model, active, false);
}

/* How many messages of a kind node 0 has to send now, and the last one of all. */
static unsigned produced(
    struct model *model, enum sync_message_kind kind, struct sync_message *last)
{
	struct sync_message out;
	unsigned n = 0;
	for (;;) {
		if (stream_produce(model->node[0].stream, model_now(model, 0), &out)) {
			n += out.kind == kind;
			*last = out;
		} else if (!stream_busy(model->node[0].stream)) {
			return n;
		}
	}
}

/* The peer lives, and nothing else, for so long; or until it is disconnected: false. */
static bool endures(struct model *model, bool active, unsigned ms, struct err *err)
{
	struct sync_message out, heartbeat = {.kind = SYNC_HEARTBEAT, .heartbeat.active = active};
	for (unsigned at = 0; at < ms; at += 50) {
		model->now_us += 50000;
		CU_ASSERT_EQUAL(receive(model, heartbeat, err), 0);
		if (stream_tick(model->node[0].stream, model_now(model, 0), err) < 0)
			return false;
		produced(model, SYNC_KIND_COUNT, &out);
	}
	return true;
}

static struct sync_message mark(enum sync_message_kind kind, uint64_t epoch, uint64_t sequence)
{
	return (struct sync_message){.kind = kind, .mark.epoch = epoch, .mark.sequence = sequence};
}

/* A peer that lives and does not go on. */
static void who_stands_still_is_disconnected(void)
{
	struct model model;
	struct err err;
	model_init(&model, 64);
	greet_as(&model, false, true); /* gives, and sends nothing */
	CU_ASSERT(endures(&model, false, 4900, &err));
	CU_ASSERT_FALSE(endures(&model, false, 200, &err));
	stream_disconnected(model.node[0].stream, err.text, model_now(&model, 0));
	greet(&model, false); /* nobody has anything */
	CU_ASSERT(endures(&model, false, 20000, &err));

	greet(&model, true); /* Active, and sends nothing */
	CU_ASSERT(endures(&model, true, 4900, &err));
	CU_ASSERT_FALSE(endures(&model, true, 200, &err));
	CU_ASSERT_STRING_EQUAL(err.text, "its snapshot has stood still for 5 s");
	stream_disconnected(model.node[0].stream, err.text, model_now(&model, 0));
	struct sync_status status = model_status(&model, 0);
	CU_ASSERT_STRING_EQUAL(status.ended, err.text);
	CU_ASSERT_EQUAL(status.ended_us, model_now(&model, 0));

	greet(&model, true); /* a slow one, and then it stands still */
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_BEGIN, 7, 0), &err), 0);
	struct sync_message batch = {.kind = SYNC_BATCH, .batch.epoch = 7, .batch.snapshot = true};
	for (int i = 0; i < 3; i++) {
		CU_ASSERT(endures(&model, true, 4000, &err));
		CU_ASSERT_EQUAL(receive(&model, batch, &err), 0);
	}
	CU_ASSERT(endures(&model, true, 4900, &err));
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_SNAPSHOT);
	CU_ASSERT_FALSE(endures(&model, true, 200, &err));
	stream_disconnected(model.node[0].stream, err.text, model_now(&model, 0));

	greet(&model, false); /* one that is not Active, and began to give back what it has kept */
	CU_ASSERT(endures(&model, false, 9000, &err)); /* it owes nothing, unless it says so */
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_BEGIN, 9, 0), &err), 0);
	CU_ASSERT(endures(&model, false, 4900, &err));
	CU_ASSERT_FALSE(endures(&model, false, 200, &err));

	stream_disconnected(model.node[0].stream, err.text, model_now(&model, 0));
	greet(&model, true); /* complete: it may be silent */
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_BEGIN, 9, 0), &err), 0);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_END, 9, 0), &err), 0);
	CU_ASSERT(endures(&model, true, 20000, &err));
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);

	model_set_active(&model, 0, true); /* now it has to acknowledge */
	CU_ASSERT(endures(&model, false, 4900, &err));
	CU_ASSERT_FALSE(endures(&model, false, 200, &err));
	CU_ASSERT_STRING_EQUAL(err.text, "it has acknowledged nothing for 5 s");
	stream_disconnected(model.node[0].stream, err.text, model_now(&model, 0));
	greet(&model, false);
	CU_ASSERT(endures(&model, false, 1000, &err));
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_ACK, model_status(&model, 0).epoch, 0), &err), 0);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT(endures(&model, false, 20000, &err)); /* there is nothing to acknowledge */
	model_session(&model, 0, 1, 5, LONG);
	CU_ASSERT(endures(&model, false, 4900, &err));
	CU_ASSERT_FALSE(endures(&model, false, 200, &err));
	model_fini(&model);
}

/* What the whole table may have to be looked at or sent for. */
static void repairs_and_comparisons_are_rare(void)
{
	static uint32_t all[SYNC_BUCKETS];
	static uint64_t digests[SYNC_BUCKETS] = {1};
	struct model model;
	struct err err;
	struct sync_message out, repair = {.kind = SYNC_REPAIR_BEGIN, .buckets.epoch = 7},
				 compare = {.kind = SYNC_DIGESTS, .digests.epoch = 7};
	for (uint32_t i = 0; i < SYNC_BUCKETS; i++)
		all[i] = i;
	repair.buckets.list = all;
	repair.buckets.n = SYNC_BUCKETS;
	compare.digests.digests = digests;
	model_init(&model, 64);
	greet(&model, true);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_BEGIN, 7, 0), &err), 0);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_END, 7, 0), &err), 0);
	produced(&model, SYNC_ACK, &out);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL(receive(&model, compare, &err), 0);
		CU_ASSERT_EQUAL(produced(&model, SYNC_RESEND, &out), 0);
		model.now_us += 20000;
	}
	for (int i = 1; i <= 2; i++) {
		model.now_us += 1000000;
		CU_ASSERT_EQUAL(receive(&model, compare, &err), 0);
		CU_ASSERT_EQUAL(produced(&model, SYNC_RESEND, &out), i == 2);
	}
	CU_ASSERT_EQUAL(receive(&model, repair, &err), 0); /* as asked */
	repair.kind = SYNC_REPAIR_END;
	CU_ASSERT_EQUAL(receive(&model, repair, &err), 0);
	produced(&model, SYNC_ACK, &out);
	repair.kind = SYNC_REPAIR_BEGIN;
	CU_ASSERT_EQUAL(receive(&model, repair, &err), -EPROTO);
	CU_ASSERT_STRING_EQUAL(err.text, "a repair that nobody has asked for");

	model_set_active(&model, 0, true);
	greet(&model, false);
	produced(&model, SYNC_ACK, &out);
	uint64_t epoch = model_status(&model, 0).epoch;
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_ACK, epoch, 0), &err), 0);
	repair.kind = SYNC_RESEND;
	repair.buckets.epoch = epoch;
	repair.buckets.n = 0; /* nothing is no reason for one, nor for none later */
	CU_ASSERT_EQUAL(receive(&model, repair, &err), 0);
	repair.buckets.n = SYNC_BUCKETS;
	unsigned sent = 0;
	for (int i = 0; i < 1000; i++) { /* ten a second */
		CU_ASSERT_EQUAL(receive(&model, repair, &err), 0);
		sent += produced(&model, SYNC_REPAIR_BEGIN, &out);
		model.now_us += 100000;
	}
	CU_ASSERT_EQUAL(sent, 8 + 3); /* 2 s apart at first, then 30 s */
	CU_ASSERT_EQUAL(model_status(&model, 0).refused_frames, 1001 - sent);
	model_fini(&model);
}

static void who_talks_too_much_is_disconnected(void)
{
	static uint64_t digests[SYNC_BUCKETS];
	static const struct {
		enum sync_message_kind kind;
		unsigned at_once, in_a_second;
	} cases[] = {
	    {SYNC_HEARTBEAT, 20000, 20000},
	    {SYNC_QUESTION, 20000, 20000},
	    {SYNC_UNKNOWN, 20000, 20000},
	    {SYNC_EVENT, 4096, 1000},
	    {SYNC_DIGESTS, 32, 10},
	    {SYNC_RESEND, 32, 10},
	    {SYNC_ACK, 20000, 20000},
	    {SYNC_BATCH, 20000, 20000},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model model;
		struct err err;
		struct sync_message message = {.kind = cases[i].kind};
		if (message.kind == SYNC_DIGESTS)
			message.digests.digests = digests;
		model_init(&model, 64);
		for (int second = 0; second < 3; second++) {
			unsigned n = 0, wanted = second ? cases[i].in_a_second : cases[i].at_once;
			greet(&model, false); /* a new connection is no new allowance */
			model.node[0].n_said = 0;
			while (receive(&model, message, &err) == 0 && n <= 20000) {
				model.node[0].n_said = 0;
				n++;
			}
			/* The greetings count, too. */
			CU_ASSERT(n <= wanted && n + 3 >= wanted);
			CU_ASSERT(strstr(err.text, "it talks too much: another ") != NULL);
			model.now_us += 1000000;
		}
		model_fini(&model);
	}
}

/* As many records as there are, and acknowledgements of them; but not to one who does not take them, or
 * again and again. */
static void work_is_no_talk(void)
{
	enum { MANY = 30000 };
	struct model model;
	struct err err;
	struct record record = {.kind = RECORD_SESSION, .session.expires_us = LONG};
	struct sync_message out, batch = {.kind = SYNC_BATCH, .batch.epoch = 7};
	batch.batch.records = &record;
	batch.batch.n_records = 1;
	model_init(&model, 64);
	greet(&model, true);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_BEGIN, 7, 0), &err), 0);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_SNAPSHOT_END, 7, 0), &err), 0);
	produced(&model, SYNC_ACK, &out);
	for (batch.batch.through = 1; batch.batch.through <= MANY; batch.batch.through++) {
		CU_ASSERT_EQUAL_FATAL(receive(&model, batch, &err), 0);
		batch.batch.after = batch.batch.through;
	}
	stream_disconnected(model.node[0].stream, "cut", model_now(&model, 0));

	model_set_active(&model, 0, true);
	uint64_t epoch = model_status(&model, 0).epoch;
	greet(&model, false);
	produced(&model, SYNC_ACK, &out);
	CU_ASSERT_EQUAL(receive(&model, mark(SYNC_ACK, epoch, 0), &err), 0);
	for (uint64_t n = 1; n <= MANY; n++) {
		model_session(&model, 0, (unsigned)n % 100, 5, LONG);
		CU_ASSERT_EQUAL_FATAL(produced(&model, SYNC_BATCH, &out), 1);
		CU_ASSERT_EQUAL_FATAL(receive(&model, mark(SYNC_ACK, epoch, n), &err), 0);
	}
	CU_ASSERT_EQUAL(model_status(&model, 0).lag_entries, 0);
	unsigned taken = 0;
	while (taken <= MANY && receive(&model, batch, &err) == 0)
		taken++;
	CU_ASSERT(taken <= 20000);
	CU_ASSERT_STRING_EQUAL(err.text, "it talks too much: another batch");
	model_fini(&model);
}

/* Somebody with the key greets node `i` as its peer, claims an epoch, and is gone. */
static void visit(struct model *model, int i, uint64_t epoch, bool active)
{
	struct stream *stream = model->node[i].stream;
	struct sync_message greeting = hello(), out;
	struct err err;
	model_cut(model, "cut");
	strcpy(greeting.hello.node, model->node[1 - i].name);
	greeting.hello.epoch = epoch;
	greeting.hello.active = active;
	stream_connected(stream, model_now(model, i));
	CU_ASSERT_EQUAL(stream_receive(stream, &greeting, model_now(model, i), &err), 0);
	while (stream_produce(stream, model_now(model, i), &out))
		;
	stream_disconnected(stream, "gone", model_now(model, i));
}

static void of_two_epochs_one_is_later(void)
{
	const uint64_t half = (SYNC_EPOCH_MAX >> 1) + 1;
	const uint64_t epochs[] = {1, 2, 3, half - 1, half, half + 1, half + 2, half + 3,
	    SYNC_EPOCH_MAX - 1, SYNC_EPOCH_MAX};
	enum { N = sizeof(epochs) / sizeof(epochs[0]) };
	for (size_t a = 0; a < N; a++) {
		CU_ASSERT(stream_epoch_later(epochs[a], 0));
		CU_ASSERT_FALSE(stream_epoch_later(0, epochs[a]));
		for (size_t b = 0; b < N; b++)
			CU_ASSERT_EQUAL(stream_epoch_later(epochs[a], epochs[b]) +
					    stream_epoch_later(epochs[b], epochs[a]),
			    a != b);
	}
	CU_ASSERT(stream_epoch_later(1, SYNC_EPOCH_MAX) && stream_epoch_later(half, 1));
}

/* Whatever epoch somebody claims, to either node or to both: the pair goes on afterwards, also
 * across the end of all numbers. */
static void no_epoch_locks_the_pair_out(void)
{
	const uint64_t half = (SYNC_EPOCH_MAX >> 1) + 1;
	const uint64_t claims[] = {SYNC_EPOCH_MAX, SYNC_EPOCH_MAX - 1, SYNC_EPOCH_MAX - 3, half - 1,
	    half, half + 1, half + 2, half + 3, 3 * (half / 2)};
	for (unsigned i = 0; i < 3 * sizeof(claims) / sizeof(claims[0]); i++) {
		struct model model;
		start_in_sync(&model, 64);
		for (int node = 0; node < 2; node++) {
			if (i % 3 != (unsigned)node)
				visit(&model, node, claims[i / 3] - (uint64_t)node, node == 1);
		}
		for (unsigned round = 0; round < 6; round++) {
			int active = (int)round % 2;
			model_set_active(&model, 1 - active, false);
			model_set_active(&model, active, true);
			model_session(&model, active, round, 6, LONG);
			model_connect(&model);
			model_settle(&model);
			CU_ASSERT(model.connected);
			for (int node = 0; node < 2; node++)
				CU_ASSERT_EQUAL(model_status(&model, node).state, SYNC_IN_SYNC);
			CU_ASSERT_EQUAL(model_lookup(&model, 1 - active, round), 6);
			CU_ASSERT_EQUAL(
			    model_status(&model, 0).epoch, model_status(&model, 1).epoch);
		}
		model_fini(&model);
	}
}

/* A session and its delete in one batch, both ways round. */
static void a_batch_is_taken_in_order(void)
{
	struct model model;
	struct err err;
	struct record records[3] = {
	    {.kind = RECORD_SESSION}, {.kind = RECORD_SESSION_DELETE}, {.kind = RECORD_SESSION}};
	struct sync_message batch = {.kind = SYNC_BATCH}, greeting = hello(), begin;
	begin = (struct sync_message){.kind = SYNC_SNAPSHOT_BEGIN, .mark.epoch = 7};
	model_init(&model, 64);
	struct stream *stream = model.node[0].stream;
	uint64_t now_us = model_now(&model, 0);
	for (unsigned i = 0; i < 3; i += 2) {
		records[i].session.target_id = 5;
		records[i].session.expires_us = LONG;
	}
	batch.batch.epoch = 7;
	batch.batch.records = records;
	stream_connected(stream, now_us);
	CU_ASSERT_EQUAL(stream_receive(stream, &greeting, now_us, &err), 0);
	CU_ASSERT_EQUAL(stream_receive(stream, &begin, now_us, &err), 0);
	for (unsigned n = 1; n <= 3; n++) {
		struct session_stats stats;
		batch.batch.n_records = n;
		batch.batch.after = batch.batch.through;
		batch.batch.through += n;
		CU_ASSERT_EQUAL(stream_receive(stream, &batch, now_us, &err), 0);
		session_table_stats(model.node[0].table, &stats);
		CU_ASSERT_EQUAL(stats.entries, n % 2);
	}
	model_fini(&model);
}

UNIT_MAIN("sync/rules", UNIT(broken_rules_end_the_connection), UNIT(of_two_epochs_one_is_later),
    UNIT(no_epoch_locks_the_pair_out), UNIT(who_stands_still_is_disconnected),
    UNIT(repairs_and_comparisons_are_rare), UNIT(who_talks_too_much_is_disconnected),
    UNIT(work_is_no_talk), UNIT(a_batch_is_taken_in_order))
