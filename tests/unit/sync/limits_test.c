/* Rate limits on their way to the peer: who tells whom, how often, and that nothing else notices. What
 * is in the messages, tests/unit/limit/share_test.c knows. */
#include <errno.h>
#include <string.h>

#include "daemon/sync/stream_internal.h"
#include "tests/unit/sync/scenes.h"

static void know(struct model_node *node, size_t n)
{
	node->limits.secret = 99;
	node->limits.n = n;
	for (size_t i = 0; i < n; i++) {
		node->limits.hashes[i] = i * 0x9e3779b97f4a7c15ULL;
		node->limits.left_us[i] = i * 1000;
	}
}

static bool same(const struct limit_words *a, const struct limit_words *b)
{
	return a->secret == b->secret && a->n == b->n &&
	       memcmp(a->hashes, b->hashes, a->n * sizeof(a->hashes[0])) == 0 &&
	       memcmp(a->left_us, b->left_us, a->n * sizeof(a->left_us[0])) == 0;
}

static void a_message_in_each_turn(void)
{
	struct model model;
	start_in_sync(&model, 64);
	struct model_node *active = &model.node[0], *backup = &model.node[1];
	uint64_t records = model_status(&model, 0).sent_records;
	know(active, LIMIT_WORDS_MAX);
	model_settle(&model);
	size_t before = backup->n_heard;
	for (unsigned i = 1; i <= 20; i++) {
		model_advance(&model, STREAM_LIMITS_US - 1, true);
		CU_ASSERT_EQUAL(backup->n_heard - before, i - 1);
		model_advance(&model, 1, true);
		CU_ASSERT_EQUAL(backup->n_heard - before, i);
	}
	CU_ASSERT(same(&backup->heard, &active->limits));
	struct sync_status sender = model_status(&model, 0), receiver = model_status(&model, 1);
	CU_ASSERT_EQUAL(sender.sent_limits, backup->n_heard * LIMIT_WORDS_MAX);
	CU_ASSERT_EQUAL(receiver.heard_limits[LIMIT_HEARD_APPLIED], sender.sent_limits);
	/* They are no records: not counted, not waited for, in no digest. */
	CU_ASSERT_EQUAL(sender.sent_records, records);
	CU_ASSERT_EQUAL(sender.lag_entries, 0);
	CU_ASSERT_EQUAL(sender.protection, SYNC_PROTECTED);
	model_advance(&model, 2 * STREAM_DIGEST_US, true);
	CU_ASSERT(model_status(&model, 0).digest_equal);
	/* And nothing is said when there is nothing to say. */
	know(active, 0);
	before = backup->n_heard;
	size_t told = active->n_told;
	model_advance(&model, MODEL_LAG_US, true);
	CU_ASSERT_EQUAL(backup->n_heard, before);
	CU_ASSERT(active->n_told > told);
	model_fini(&model);
}

/* Only by the Active, only to one who has everything else. */
static void the_active_tells_who_is_in_sync(void)
{
	struct model model;
	model_init(&model, 64);
	for (int i = 0; i < 2; i++)
		know(&model.node[i], 3);
	for (unsigned key = 0; key < 1000; key++)
		model_session(&model, 0, key, key + 1, LONG);
	model_set_active(&model, 0, true);
	model_connect(&model);
	CU_ASSERT(model_exchange(&model));
	while (model.node[0].n_told == 0 && model_send(&model, 0))
		model.now_us += STREAM_LIMITS_US;
	while (model_deliver(&model, 1))
		;
	CU_ASSERT_EQUAL(model.node[1].n_heard, 1);
	CU_ASSERT(model_tables_equal(&model));
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model.node[1].n_told, 0);
	CU_ASSERT_EQUAL(model.node[0].n_heard, 0);
	model_set_active(&model, 0, false);
	model_set_active(&model, 1, true);
	model_settle(&model);
	model_advance(&model, STREAM_LIMITS_US, true);
	CU_ASSERT(model.node[0].n_heard > 0);
	model_fini(&model);
}

static int receive(struct model *model, int i, struct sync_message message)
{
	struct model_node *node = &model->node[i];
	message.kind = SYNC_LIMITS;
	message.limits.hashes = node->limits.hashes;
	message.limits.left_us = node->limits.left_us;
	message.limits.n = 1;
	node->last_err.text[0] = '\0';
	return stream_receive(node->stream, &message, model_now(model, i), &node->last_err);
}

static void nobody_else_is_believed(void)
{
	struct model model;
	start_in_sync(&model, 64);
	uint64_t epoch = model_status(&model, 0).epoch;
	uint64_t refused[] = {
	    model_status(&model, 0).refused_frames, model_status(&model, 1).refused_frames};
	struct sync_message ours = {.limits.epoch = epoch}, old = {.limits.epoch = epoch - 2};
	CU_ASSERT_EQUAL(receive(&model, 0, ours), 0); /* an Active takes nothing */
	CU_ASSERT_EQUAL(receive(&model, 1, old), 0);
	CU_ASSERT_EQUAL(model.node[0].n_heard + model.node[1].n_heard, 0);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(model_status(&model, i).refused_frames, refused[i] + 1);
	CU_ASSERT_EQUAL(receive(&model, 1, ours), 0);
	CU_ASSERT_EQUAL(model.node[1].n_heard, 1);
	/* All that a stall can have held back may come at once, no more. */
	for (int i = 0; i < 254; i++)
		CU_ASSERT_EQUAL(receive(&model, 1, ours), 0);
	CU_ASSERT_EQUAL(receive(&model, 1, ours), -EPROTO);
	CU_ASSERT(strstr(model.node[1].last_err.text, "talks too much: another limits") != NULL);
	model_fini(&model);
}

static void an_older_peer_gets_none(void)
{
	struct model model;
	model_init(&model, 64);
	model.node[1].older = true;
	know(&model.node[0], 3);
	model_set_active(&model, 0, true);
	model_connect(&model);
	model_settle(&model);
	model_advance(&model, MODEL_LAG_US, true);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model.node[0].n_told, 0);
	CU_ASSERT_EQUAL(model_status(&model, 0).sent_limits, 0);
	model_fini(&model);
}

UNIT_MAIN("sync/limits", UNIT(a_message_in_each_turn), UNIT(the_active_tells_who_is_in_sync),
    UNIT(nobody_else_is_believed), UNIT(an_older_peer_gets_none))
