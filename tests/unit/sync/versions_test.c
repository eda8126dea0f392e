/* Version N talks to N-1: what a node of the version before said in a conversation, in both roles,
 * is said to one of today; what that one says is read by the schema of before. previous/ has what was
 * said (by real nodes: record-previous). */
#include <string.h>

#include "tests/unit/sync/conversation.h"
#include "tests/unit/sync/previous_reader.h"
#include "tests/unit/unit.h"

struct replay {
	struct conversation conversation;
	struct previous_reader reader;
	unsigned parts;
};

static struct replay *replay_of(struct conversation *conversation)
{
	return (struct replay *)conversation;
}

static void on_heard(struct conversation *conversation, const uint8_t *frame, size_t len)
{
	struct replay *replay = replay_of(conversation);
	struct model *model = &conversation->model;
	replay->reader.node = &model->node[conversation->recorded];
	replay->reader.now_us = model_now(model, conversation->recorded);
	const char *wrong = previous_reader_take(&replay->reader, frame, len);
	if (wrong)
		printf("the older node hears something wrong: %s\n", wrong);
	CU_ASSERT_PTR_NULL(wrong);
}

static void check_said(const struct model_node *node, enum sync_message_kind second)
{
	const enum sync_message_kind wanted[] = {SYNC_ROUTER, second, SYNC_EVENT};
	CU_ASSERT_EQUAL_FATAL(node->n_said, 3);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(node->said[i].kind, wanted[i]);
	CU_ASSERT_STRING_EQUAL(node->said[0].router.name, "front");
	CU_ASSERT_EQUAL(node->said[1].router.stamp, 77);
}

static void on_part(struct conversation *conversation, const char *part)
{
	struct model *model = &conversation->model;
	int live = 1 - conversation->recorded;
	struct sync_status status = model_status(model, live);
	replay_of(conversation)->parts++;
	bool ok = model->connected && status.state == SYNC_IN_SYNC && model_tables_equal(model) &&
		  model_targets_equal(model);
	if (!ok)
		printf("%s: %s, %s (%s)\n", part, sync_state_name(status.state), status.reason,
		    model->node[live].last_err.text);
	CU_ASSERT(ok);
	if (strncmp(part, "digests", 7) == 0)
		CU_ASSERT(status.digest_known && status.digest_equal);
	if (strcmp(part, "said") == 0)
		check_said(&model->node[live], live == 0 ? SYNC_QUESTION : SYNC_EVIDENCE);
	if (strcmp(part, "resumed") == 0)
		CU_ASSERT_EQUAL(status.snapshots, 1);
	if (strcmp(part, "missed too much") == 0)
		CU_ASSERT_EQUAL(status.snapshots, 2);
}

static FILE *open_tape(int node)
{
	return fopen(node == 0 ? PREVIOUS_DIR "/alpha.tape" : PREVIOUS_DIR "/beta.tape", "rb");
}

/* alpha is Active first, beta then. */
static void replay(int recorded)
{
	struct replay replay = {
	    .conversation = {.recorded = recorded, .on_heard = on_heard, .on_part = on_part}};
	replay.conversation.tape[recorded] = open_tape(recorded);
	CU_ASSERT_PTR_NOT_NULL_FATAL(replay.conversation.tape[recorded]);
	CU_ASSERT(conversation_run(&replay.conversation));
	fclose(replay.conversation.tape[recorded]);
	CU_ASSERT_EQUAL(replay.parts, 10);
	CU_ASSERT(replay.reader.frames > 50 && replay.reader.digests > 0);
}

static void it_is_active_then_backup(void)
{
	replay(0);
}

static void it_is_backup_then_active(void)
{
	replay(1);
}

/* Who raises the version records what is now the previous one. */
static void it_is_the_version_before(void)
{
	struct codec *codec = codec_new();
	for (int node = 0; node < 2; node++) {
		uint8_t bytes[512];
		struct sync_message hello;
		struct err err;
		FILE *tape = open_tape(node);
		CU_ASSERT_PTR_NOT_NULL_FATAL(tape);
		size_t len = fread(bytes, 1, sizeof(bytes), tape);
		fclose(tape);
		CU_ASSERT(codec_decode(codec, bytes + 4, len - 4, &hello, &err) > 0);
		CU_ASSERT_EQUAL(hello.kind, SYNC_HELLO);
		CU_ASSERT_EQUAL(hello.hello.version, STREAM_VERSION - 1);
		CU_ASSERT(hello.hello.version >= STREAM_OLDEST_VERSION);
	}
	codec_free(codec);
}

static void fields_keep_number_and_type(void)
{
	const char *differs = previous_schema_differs();
	if (differs)
		printf("%s is not what it was\n", differs);
	CU_ASSERT_PTR_NULL(differs);
}

UNIT_MAIN("sync/versions", UNIT(it_is_active_then_backup), UNIT(it_is_backup_then_active),
    UNIT(it_is_the_version_before), UNIT(fields_keep_number_and_type))
