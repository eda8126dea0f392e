#include "tests/unit/sync/bugs.h"

#include <string.h>

#include "tests/unit/sync/model.h"

const char *bug_name(enum bug bug)
{
	static const char *const names[BUG_COUNT] = {"none", "record forgotten", "delete forgotten",
	    "target confused", "units confused", "health forgotten", "admin forgotten",
	    "snapshot short", "ghost", "ack too early", "hello boasts", "digests blind",
	    "repair empty", "table late"};
	return names[bug];
}

static size_t without(struct record *records, size_t n, enum record_kind kind)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (records[i].kind != kind)
			records[kept++] = records[i];
	}
	return kept;
}

static void alter_sessions(enum bug bug, struct record *records, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (records[i].kind != RECORD_SESSION)
			continue;
		if (bug == BUG_TARGET_CONFUSED)
			records[i].session.target_id++;
		if (bug == BUG_UNITS_CONFUSED)
			records[i].session.expires_us /= 1000;
	}
}

static void alter_batch(enum bug bug, bool repairs, struct sync_message *message)
{
	static struct record records[SYNC_BATCH_MAX];
	bool of_sessions = message->batch.snapshot && message->batch.n_records > 0 &&
			   message->batch.records[0].kind == RECORD_SESSION;
	size_t n = message->batch.n_records;
	memcpy(records, message->batch.records, n * sizeof(records[0]));
	switch (bug) {
	case BUG_RECORD_FORGOTTEN: n -= n > 0 && !message->batch.snapshot; break;
	case BUG_SNAPSHOT_SHORT: n -= of_sessions && !repairs; break;
	case BUG_DELETE_FORGOTTEN: n = without(records, n, RECORD_SESSION_DELETE); break;
	case BUG_HEALTH_FORGOTTEN: n = without(records, n, RECORD_HEALTH); break;
	case BUG_ADMIN_FORGOTTEN: n = without(records, n, RECORD_ADMIN); break;
	case BUG_REPAIR_EMPTY: n = repairs && message->batch.snapshot ? 0 : n; break;
	case BUG_GHOST:
		if (!of_sessions || n == SYNC_BATCH_MAX)
			break;
		records[n] = records[0];
		records[n].session.key[15] = 'x';
		n++;
		break;
	default: alter_sessions(bug, records, n);
	}
	message->batch.records = records;
	message->batch.n_records = n;
}

void bug_alter(struct model *model, int i, struct sync_message *message)
{
	static uint64_t digests[SYNC_BUCKETS];
	struct model_node *node = &model->node[i];
	switch (message->kind) {
	case SYNC_BATCH: alter_batch(model->bug, node->repairs, message); break;
	case SYNC_REPAIR_BEGIN:
	case SYNC_REPAIR_END: node->repairs = message->kind == SYNC_REPAIR_BEGIN; break;
	case SYNC_HELLO:
		node->repairs = false;
		message->hello.have.sequence += model->bug == BUG_HELLO_BOASTS;
		break;
	case SYNC_ACK:
		if (model->bug == BUG_ACK_TOO_EARLY)
			message->mark.sequence = model->node[1 - i].sent;
		break;
	case SYNC_DIGESTS:
		if (model->bug != BUG_DIGESTS_BLIND)
			break;
		session_table_digests(model->node[1 - i].table, digests);
		message->digests.digests = digests;
		break;
	default: break;
	}
	if (message->kind == SYNC_BATCH)
		node->sent = message->batch.through;
}
