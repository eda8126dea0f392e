/* Random histories of a pair: writes, cuts, promotions, restarts, messages that wait on the wire.
 * After each step what must always hold; at the end of each one Active node, a connection, silence:
 * then both must be the same. In every other history tables also change by themselves, and what
 * differs then must be repaired. YOKE_HISTORIES in the environment: so many. Then the same with a
 * bug in the nodes, one bug after the other: a history must go wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/sync/model.h"
#include "tests/unit/unit.h"

#if defined(__SANITIZE_THREAD__)
#define HISTORIES 200 /* one thread, many locks: little to find, and slow */
#elif defined(__SANITIZE_ADDRESS__)
#define HISTORIES 2000
#else
#define HISTORIES 10000
#endif
#define BUG_HISTORIES 200 /* until a bug is found */

#define STEPS 250
#define KEYS  60

static uint64_t random_state;

static unsigned pick(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state >> 20) % n;
}

/* What the histories have reached: a model test that never gets somewhere proves nothing there. */
static struct {
	unsigned long cuts, resumes, snapshots, overtaken, refused, both_active, re_epochs,
	    protected_steps, broken_protocol, corruptions, repairs, given;
} reached;

static void write_something(struct model *model, int i)
{
	unsigned key = pick(KEYS);
	switch (pick(7)) {
	case 6: model_session_race(model, i, key, 1 + pick(4), 1 + pick(4)); break;
	case 0: model_session_delete(model, i, key); break;
	case 1: model_session(model, i, key, 1 + pick(4), 1000 * (1 + pick(2000))); break;
	case 2:
		model_target(model, i, pick(MODEL_TARGETS), (uint8_t)pick(3), (uint8_t)pick(3));
		break;
	default: model_session(model, i, key, 1 + pick(4), MODEL_HOUR_US); break;
	}
}

/* Now and then more at once than the journal holds. */
static void write_some(struct model *model)
{
	unsigned n = pick(12) == 0 ? 100 : 1 + pick(5);
	for (int i = 0; i < 2; i++) {
		for (unsigned k = 0; model->node[i].active && k < n; k++)
			write_something(model, i);
	}
}

static void move_messages(struct model *model)
{
	for (unsigned n = 1 + pick(8); n > 0; n--) {
		int i = (int)pick(2);
		if (pick(2))
			model_send(model, i);
		else
			model_deliver(model, i);
	}
}

/* Something that is not in the journal: an entry that is lost, invented, or another one. */
static void corrupt_something(struct model *model)
{
	int i = (int)pick(2);
	if (model->node[i].active)
		return;
	model_corrupt(model, i, pick(2 * KEYS), pick(5), MODEL_HOUR_US);
	reached.corruptions++;
}

static void change_roles(struct model *model)
{
	int i = (int)pick(2);
	bool active = !model->node[i].active;
	/* Mostly a hand-over, sometimes two or none. */
	if (active && pick(4) != 0)
		model_set_active(model, 1 - i, false);
	model_set_active(model, i, active);
}

static void step(struct model *model, bool corrupts)
{
	if (corrupts && pick(10) == 0)
		corrupt_something(model);
	switch (pick(20)) {
	case 0: change_roles(model); break;
	case 1:
		reached.cuts += model->connected;
		model_cut(model, "cut");
		break;
	case 2:
		if (pick(6) == 0)
			model_restart(model, (int)pick(2));
		break;
	case 3: model_advance(model, 1000 * pick(400), false); break;
	case 4:
	case 5: model_connect(model); break;
	case 6: model_settle(model); break;
	case 7:
	case 8:
	case 9: write_some(model); break;
	default: move_messages(model); break;
	}
}

/* What acked mode promises: when the Active calls itself protected and everything acknowledged, the
 * Backup has it all. (Unless it was promoted meanwhile, which a lower epoch here shows.) */
static bool promise_holds(struct model *model, int i)
{
	struct journal *journal = model->node[i].journal;
	if (!journal_protected(journal))
		return true;
	if (!model->connected || !model->node[i].active)
		return false;
	reached.protected_steps++;
	struct sync_status mine = model_status(model, i), theirs = model_status(model, 1 - i);
	if (journal_acked(journal) != journal_last(journal) || mine.epoch != theirs.epoch)
		return true;
	return model_tables_equal(model) && model_targets_equal(model);
}

static void note_reached(struct model *model)
{
	static uint64_t transitions[2];
	for (int i = 0; i < 2; i++) {
		struct sync_status status = model_status(model, i);
		uint64_t now = stream_transitions(model->node[i].stream);
		if (now == transitions[i])
			continue;
		transitions[i] = now;
		reached.given += !status.sending && strstr(status.reason, "snapshot to") != NULL;
		reached.resumes += strstr(status.reason, "resumed") != NULL;
		reached.overtaken += strstr(status.reason, "overtaken") != NULL;
		reached.both_active += strstr(status.reason, "both nodes") != NULL;
		reached.re_epochs += strstr(status.reason, "earlier epoch") != NULL;
		reached.broken_protocol += strstr(status.reason, "without a beginning") != NULL ||
					   strstr(status.reason, "missing") != NULL;
	}
}

static bool ends_equal(struct model *model, bool corrupts)
{
	int winner = (int)pick(2);
	model_set_active(model, 1 - winner, false);
	model_set_active(model, winner, true);
	model_connect(model);
	model_settle(model);
	if (!model->connected) { /* a refusal of something on the wire before */
		model_connect(model);
		model_settle(model);
	}
	if (corrupts) {
		for (unsigned k = 0; k < 3; k++)
			corrupt_something(model);
	}
	model_advance(model, 10 * 1000000, true); /* what is short-lived expires */
	struct sync_status mine = model_status(model, winner),
			   theirs = model_status(model, 1 - winner);
	struct session_stats a, b;
	session_table_stats(model->node[0].table, &a);
	session_table_stats(model->node[1].table, &b);
	reached.snapshots += mine.snapshots;
	reached.repairs += strstr(theirs.reason, "what differed was sent again") != NULL;
	reached.refused += mine.refused_frames + theirs.refused_frames;
	struct journal *journal = model->node[winner].journal;
	return model_tables_equal(model) && model_targets_equal(model) && a.digest == b.digest &&
	       a.entries == b.entries && mine.state == SYNC_IN_SYNC &&
	       theirs.state == SYNC_IN_SYNC && mine.digest_known && mine.digest_equal &&
	       theirs.digest_known && theirs.digest_equal && mine.config_equal &&
	       mine.lag_entries == 0 && theirs.peer_active && !mine.peer_active &&
	       mine.epoch == theirs.epoch && journal_protected(journal) &&
	       journal_acked(journal) == journal_last(journal);
}

/* NULL, or what was wrong. */
static const char *run_history(uint64_t seed, enum bug bug)
{
	struct model model;
	const char *wrong = NULL;
	random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
	model_init(&model, 32);
	model.bug = bug;
	bool corrupts = seed % 2 == 0;
	for (int i = 0; !wrong && i < STEPS; i++) {
		step(&model, corrupts);
		note_reached(&model);
		if (!corrupts && !(promise_holds(&model, 0) && promise_holds(&model, 1)))
			wrong = "broken promise";
	}
	if (!wrong && !ends_equal(&model, corrupts))
		wrong = "not equal at the end";
	if (wrong && bug == BUG_NONE)
		printf("history %llu: %s: %s / %s\n", (unsigned long long)seed, wrong,
		    model_status(&model, 0).reason, model_status(&model, 1).reason);
	model_fini(&model);
	return wrong;
}

static void every_history_converges(void)
{
	unsigned failed = 0;
	const char *wanted = getenv("YOKE_HISTORIES");
	uint64_t n = wanted ? strtoul(wanted, NULL, 10) : HISTORIES;
	for (uint64_t seed = 1; seed <= n; seed++)
		failed += run_history(seed, BUG_NONE) != NULL;
	CU_ASSERT_EQUAL(failed, 0);
	CU_ASSERT(reached.corruptions > 0 && reached.repairs > 0);
	printf("corruptions %lu, repairs %lu, cuts %lu, resumes %lu, snapshots %lu, overtaken %lu, "
	       "refused %lu, both active %lu, "
	       "later epochs %lu, protected %lu, broken %lu, given by a Backup %lu ",
	    reached.corruptions, reached.repairs, reached.cuts, reached.resumes, reached.snapshots,
	    reached.overtaken, reached.refused, reached.both_active, reached.re_epochs,
	    reached.protected_steps, reached.broken_protocol, reached.given);
	CU_ASSERT(reached.cuts > 0 && reached.resumes > 0 && reached.snapshots > 0);
	CU_ASSERT(reached.overtaken > 0 && reached.refused > 0 && reached.both_active > 0);
	CU_ASSERT(reached.given > 0);
	CU_ASSERT(reached.re_epochs > 0 && reached.protected_steps > 0);
}

/* The histories notice what a node may do wrong, and long before there are as many as above. */
static void every_bug_is_found(void)
{
	printf("\n");
	for (enum bug bug = BUG_NONE + 1; bug < BUG_COUNT; bug++) {
		const char *wrong = NULL;
		uint64_t seed = 0;
		while (!wrong && seed < BUG_HISTORIES)
			wrong = run_history(++seed, bug);
		printf("    %s: %s, history %llu\n", bug_name(bug), wrong ? wrong : "NOT FOUND",
		    (unsigned long long)seed);
		CU_ASSERT_PTR_NOT_NULL(wrong);
	}
}

UNIT_MAIN("sync/histories", UNIT(every_history_converges), UNIT(every_bug_is_found))
