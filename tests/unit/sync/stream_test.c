/* The protocol's rules one by one; the histories test mixes them. */
#include <errno.h>
#include <string.h>

#include "daemon/sync/stream_internal.h"
#include "tests/unit/sync/model.h"
#include "tests/unit/unit.h"

#define LONG MODEL_HOUR_US

static bool reason_has(const struct model *model, int i, const char *text)
{
	struct sync_status status = model_status(model, i);
	if (strstr(status.reason, text))
		return true;
	printf("[%s] is not in [%s]\n", text, status.reason);
	return false;
}

/* Node 0 Active, node 1 has everything. */
static void start_in_sync(struct model *model, size_t journal_size)
{
	model_init(model, journal_size);
	model_set_active(model, 0, true);
	model_connect(model);
	model_settle(model);
	CU_ASSERT_EQUAL(model_status(model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model_status(model, 1).state, SYNC_IN_SYNC);
}

static void snapshot_then_records(void)
{
	struct model model;
	model_init(&model, 64);
	for (unsigned key = 0; key < 1000; key++)
		model_session(&model, 0, key, key + 1, LONG);
	model_target(&model, 0, 3, 2, 1);
	model_session(&model, 1, 5000, 9, LONG); /* the Backup's own: must go */
	model_set_active(&model, 0, true);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_DISCONNECTED);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT(model_targets_equal(&model));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 999), 1000);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 5000), 0);
	CU_ASSERT(reason_has(&model, 0, "in sync with beta: snapshot of 1000 sessions, 8 targets"));
	CU_ASSERT(
	    reason_has(&model, 1, "in sync with alpha: snapshot of 1000 sessions, 8 targets"));
	CU_ASSERT(reason_has(&model, 1, "1 old sessions removed"));
	CU_ASSERT(journal_protected(model.node[0].journal));
	CU_ASSERT_FALSE(journal_protected(model.node[1].journal));

	model_session(&model, 0, 1, 77, LONG);
	model_session_delete(&model, 0, 2);
	model_target(&model, 0, 0, 1, 0);
	CU_ASSERT_EQUAL(model_status(&model, 0).lag_entries, 3);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).lag_entries, 0);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 77);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 2), 0);
	CU_ASSERT(model_targets_equal(&model));
	CU_ASSERT_EQUAL(journal_acked(model.node[0].journal), journal_last(model.node[0].journal));
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	model_fini(&model);
}

/* What a snapshot has not mentioned goes in pieces; what happens meanwhile stays, and the node is
 * in sync when all is done. */
static void old_sessions_go_piece_by_piece(void)
{
	struct model model;
	model_init(&model, 64);
	for (unsigned key = 0; key < 10000; key++)
		model_session(&model, 1, 100 + key, 9, LONG);
	for (unsigned key = 0; key < 10; key++)
		model_session(&model, 0, key, key + 1, LONG);
	model_set_active(&model, 0, true);
	model_connect(&model);
	for (int i = 0; i < 2; i++)
		CU_ASSERT(model_send(&model, i) && model_deliver(&model, 1 - i));
	while (model_send(&model, 0))
		CU_ASSERT(model_deliver(&model, 1));
	model_session(&model, 0, 200, 5, LONG);
	CU_ASSERT(model_send(&model, 0) && model_deliver(&model, 1));
	CU_ASSERT(stream_busy(model.node[1].stream));
	while (model_send(&model, 1))
		;
	CU_ASSERT(stream_busy(model.node[1].stream));
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_SNAPSHOT);
	model_session(&model, 0, 300, 6, LONG);
	CU_ASSERT(model_send(&model, 0) && model_deliver(&model, 1));
	model_settle(&model);
	CU_ASSERT_FALSE(stream_busy(model.node[1].stream));
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_IN_SYNC);
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 200), 5);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 300), 6);
	CU_ASSERT(reason_has(&model, 1, "9998 old sessions removed"));
	model_fini(&model);
}

/* The nodes' clocks differ by years: what arrives must be right by the receiver's. */
static void times_are_relative(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_session(&model, 0, 1, 5, 10 * 1000000);
	model_target(&model, 0, 2, 2, 0);
	model_advance(&model, 1000000, true);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_now(&model, 1) - model.node[1].since_us[2],
	    model_now(&model, 0) - model.node[0].since_us[2]);
	model_advance(&model, 8500000, true);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 5);
	model_advance(&model, 1000000, true);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 0);
	model_fini(&model);
}

static void a_cut_is_resumed(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_cut(&model, "cut");
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_DISCONNECTED);
	for (unsigned key = 0; key < 64; key++)
		model_session(&model, 0, key, 3, LONG);
	model_connect(&model);
	for (int i = 0; i < 2; i++) /* the hellos, then Resume and what it is answered */
		CU_ASSERT(model_send(&model, i) && model_deliver(&model, 1 - i));
	CU_ASSERT(model_send(&model, 0) && model_deliver(&model, 1));
	CU_ASSERT(model_send(&model, 1) && model_deliver(&model, 0));
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_SNAPSHOT); /* 64 records behind */
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	model_settle(&model);
	CU_ASSERT(reason_has(&model, 0, "in sync with beta: resumed, it has record 64"));
	CU_ASSERT(reason_has(&model, 1, "in sync with alpha: resumed after record 0"));
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1); /* the first one */
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 63), 3);
	CU_ASSERT(journal_protected(model.node[0].journal));
	model_fini(&model);
}

static void too_long_a_cut_needs_a_snapshot(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_cut(&model, "cut");
	for (unsigned key = 0; key < 65; key++)
		model_session(&model, 0, key, 3, LONG);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 2);
	CU_ASSERT(model_tables_equal(&model));
	model_fini(&model);
}

static void the_ring_overtakes_a_slow_peer(void)
{
	struct model model;
	start_in_sync(&model, 64);
	for (unsigned key = 0; key < 65; key++)
		model_session(&model, 0, key, 3, LONG);
	CU_ASSERT(model_send(&model, 0));
	CU_ASSERT(reason_has(&model, 0, "overtaken"));
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_SNAPSHOT);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 2);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT(model_tables_equal(&model));
	model_fini(&model);
}

static void a_restarted_backup_gets_a_snapshot(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_session(&model, 0, 1, 5, LONG);
	model_settle(&model);
	model_restart(&model, 1);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 5);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 2);
	model_fini(&model);
}

/* The Active has lost everything and is not Active any more, the Backup cannot take over: it gives
 * back what it has; then either may become Active. */
static void who_has_kept_it_gives_it_back(void)
{
	for (int next = 0; next < 2; next++) {
		struct model model;
		start_in_sync(&model, 64);
		for (unsigned key = 0; key < 500; key++)
			model_session(&model, 0, key, 5, LONG);
		model_target(&model, 0, 3, 2, 1);
		model_settle(&model);
		model_restart(&model, 0);
		model_connect(&model);
		while (!model_status(&model, 0).peer_gives) {
			CU_ASSERT_FATAL(model_send(&model, 1));
			model_deliver(&model, 0);
		}
		CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_SNAPSHOT);
		model_settle(&model);
		CU_ASSERT_EQUAL(model_lookup(&model, 0, 499), 5);
		CU_ASSERT_EQUAL(model.node[0].admin[3], 1);
		for (int i = 0; i < 2; i++) {
			CU_ASSERT_EQUAL(model_status(&model, i).state, SYNC_IN_SYNC);
			CU_ASSERT_FALSE(model_status(&model, i).sending);
		}
		CU_ASSERT_FALSE(journal_protected(model.node[1].journal)); /* it is not Active */

		model_set_active(&model, next, true);
		model_settle(&model);
		model_session(&model, next, 1, 7, LONG);
		model_settle(&model);
		CU_ASSERT_EQUAL(model_lookup(&model, 1 - next, 1), 7);
		CU_ASSERT_EQUAL(model_lookup(&model, 1 - next, 499), 5);
		CU_ASSERT_TRUE(model_tables_equal(&model) && model_targets_equal(&model));
		/* Once is enough: now the other one would have something to lose. */
		unsigned long long snapshots = model_status(&model, 1).snapshots;
		model_set_active(&model, next, false);
		model_settle(&model);
		CU_ASSERT_EQUAL(model_status(&model, 1).snapshots, snapshots);
		model_fini(&model);
	}
}

/* Who has nothing gives nothing, and one that was Active since takes nothing. */
static void nothing_is_not_given(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_session(&model, 0, 1, 5, LONG);
	model_settle(&model);
	model_restart(&model, 0);
	model_set_active(&model, 0, true);
	model_session(&model, 0, 2, 6, LONG);
	model_set_active(&model, 0, false);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_lookup(&model, 0, 1), 0);
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_SNAPSHOT);

	for (int i = 0; i < 2; i++)
		model_restart(&model, i);
	model_connect(&model);
	model_settle(&model);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_FALSE(model_status(&model, i).peer_gives);
		CU_ASSERT_EQUAL(model_status(&model, i).snapshots, 0);
	}
	model_fini(&model);
}

static void roles_change_hands(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_session(&model, 0, 1, 5, LONG);
	model_settle(&model);
	for (int round = 0; round < 4; round++) {
		int old = round % 2;
		uint64_t epoch = model_status(&model, old).epoch;
		model_set_active(&model, old, false);
		model_settle(&model);
		/* Nobody is Active: both are warm. */
		CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
		CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_IN_SYNC);
		CU_ASSERT_FALSE(journal_protected(model.node[old].journal));
		model_set_active(&model, 1 - old, true);
		CU_ASSERT(model_status(&model, 1 - old).epoch > epoch);
		model_session(&model, 1 - old, 10 + (unsigned)round, 6, LONG);
		model_settle(&model);
		CU_ASSERT(model_tables_equal(&model));
		CU_ASSERT_EQUAL(model_lookup(&model, old, 1), 5);
		CU_ASSERT_EQUAL(model_lookup(&model, old, 10 + (unsigned)round), 6);
		CU_ASSERT(journal_protected(model.node[1 - old].journal));
		CU_ASSERT_EQUAL(model_status(&model, old).sending, false);
		CU_ASSERT_EQUAL(model_status(&model, old).peer_active, true);
	}
	model_fini(&model);
}

/* Old entries stay until the snapshot is complete, so a death in the middle costs nothing. */
static void half_a_snapshot_takes_nothing_away(void)
{
	struct model model;
	model_init(&model, 64);
	for (unsigned key = 0; key < 2000; key++)
		model_session(&model, 0, key, 1, LONG);
	for (unsigned key = 5000; key < 5100; key++)
		model_session(&model, 1, key, 2, LONG);
	model_set_active(&model, 0, true);
	model_connect(&model);
	for (int i = 0; i < 3; i++) /* hello both ways, begin, targets, a few sessions */
		model_send(&model, 1 - i % 2), model_send(&model, 0);
	while (model_deliver(&model, 0))
		;
	for (int i = 0; i < 6; i++)
		model_send(&model, 0);
	while (model_deliver(&model, 1))
		;
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_SNAPSHOT);
	struct session_stats stats;
	session_table_stats(model.node[1].table, &stats);
	CU_ASSERT(stats.entries > 100 && stats.entries < 2100);
	model_cut(&model, "power off");
	model_set_active(&model, 1, true);
	for (unsigned key = 5000; key < 5100; key++)
		CU_ASSERT_EQUAL(model_lookup(&model, 1, key), 2);
	model_fini(&model);
}

static void a_lower_epoch_is_refused(void)
{
	struct model model;
	start_in_sync(&model, 64);
	/* Records of the old Active are on the wire when the Backup takes over. */
	model_session(&model, 0, 1, 5, LONG);
	model_send(&model, 0);
	model_set_active(&model, 1, true);
	model_session(&model, 1, 1, 6, LONG);
	CU_ASSERT(model_deliver(&model, 1));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 6);
	CU_ASSERT_EQUAL(model_status(&model, 1).refused_frames, 1);
	/* Also when it is Backup again at once. */
	model_session(&model, 0, 2, 5, LONG);
	model_send(&model, 0);
	model_set_active(&model, 1, false);
	model_deliver(&model, 1);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 2), 0);
	CU_ASSERT_EQUAL(model_status(&model, 1).refused_frames, 2);
	CU_ASSERT(reason_has(&model, 1, "refused: they are of epoch 2, and 3 is later"));
	/* The one that stayed Active opens an epoch above both and is believed. */
	model_settle(&model);
	CU_ASSERT(model.connected);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 2), 5);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 5);
	CU_ASSERT_EQUAL(model_status(&model, 0).epoch, model_status(&model, 1).epoch);
	model_fini(&model);
}

static void two_actives_do_not_mix(void)
{
	struct model model;
	model_init(&model, 64);
	model_set_active(&model, 0, true);
	model_set_active(&model, 1, true);
	CU_ASSERT_NOT_EQUAL(model_status(&model, 0).epoch, model_status(&model, 1).epoch);
	model_session(&model, 0, 1, 5, LONG);
	model_session(&model, 1, 1, 6, LONG);
	model_connect(&model);
	model_settle(&model);
	model_advance(&model, 3000000, true);
	CU_ASSERT(model.connected);
	CU_ASSERT(reason_has(&model, 0, "both nodes are Active"));
	CU_ASSERT_EQUAL(model_lookup(&model, 0, 1), 5);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 6);
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	CU_ASSERT_FALSE(journal_protected(model.node[1].journal));
	/* Whichever stays is right, also the one with the lower epoch. */
	int stays = model_status(&model, 0).epoch < model_status(&model, 1).epoch ? 0 : 1;
	model_set_active(&model, 1 - stays, false);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_lookup(&model, 1 - stays, 1), stays == 0 ? 5 : 6);
	CU_ASSERT_EQUAL(model_status(&model, stays).state, SYNC_IN_SYNC);
	model_fini(&model);
}

static void silence_ends_a_connection(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_advance(&model, 10000000, true);
	CU_ASSERT(model.connected);
	model_advance(&model, 1450000, false);
	CU_ASSERT(model.connected);
	model_advance(&model, 150000, false);
	CU_ASSERT_FALSE(model.connected);
	CU_ASSERT(reason_has(&model, 0, "disconnected from beta: no heartbeat for 1.5 s"));
	model_fini(&model);
}

/* A process that was stopped finds an old clock reading, not a silent peer. */
static void a_sleeper_does_not_blame_the_peer(void)
{
	struct model model;
	start_in_sync(&model, 64);
	struct err err;
	model.now_us += 5000000;
	CU_ASSERT_EQUAL(stream_tick(model.node[0].stream, model_now(&model, 0), &err), 0);
	model_fini(&model);
}

static bool is_protected(const struct model *model, bool yes, const char *why)
{
	struct sync_status status = model_status(model, 0);
	bool right = (status.protection == SYNC_PROTECTED) == yes &&
		     journal_protected(model->node[0].journal) == yes &&
		     strstr(status.protection_reason, why);
	if (!right)
		printf("[%s] %s; wanted [%s] %d\n", status.protection_reason,
		    sync_protection_name(status.protection), why, yes);
	return right;
}

static void a_late_peer_protects_nobody(void)
{
	struct model model;
	start_in_sync(&model, 64);
	CU_ASSERT(is_protected(&model, true, "wait until beta has them"));
	model_session(&model, 0, 1, 5, LONG);
	model_advance(&model, 400000, false);
	CU_ASSERT(is_protected(&model, true, ""));
	model_advance(&model, 300000, false);
	CU_ASSERT(
	    is_protected(&model, false, "beta has been late: no acknowledgement within 500 ms"));
	CU_ASSERT(model_status(&model, 0).lag_us >= 600000);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).lag_us, 0);
	/* it must be quick for a second first, so who is late always costs little */
	CU_ASSERT(is_protected(&model, false, ""));
	model_advance(&model, 900000, true);
	CU_ASSERT(is_protected(&model, false, ""));
	model_advance(&model, 200000, true);
	CU_ASSERT(is_protected(&model, true, ""));
	CU_ASSERT_EQUAL(model_status(&model, 0).unprotected, 2); /* the first: not in sync yet */
	model_fini(&model);
}

/* A worker's deadline comes before the thread looks. */
static void who_gives_up_is_believed(void)
{
	struct model model;
	start_in_sync(&model, 64);
	journal_give_up(model.node[0].journal);
	model_settle(&model);
	model_advance(&model, 50000, true);
	CU_ASSERT(is_protected(&model, false, "beta has been late"));
	model_advance(&model, 1100000, true);
	CU_ASSERT(is_protected(&model, true, ""));
	model_fini(&model);
}

static void async_promises_a_window(void)
{
	const struct sync_promise promise = {.max_lag_us = 300000, .max_lag_entries = 10};
	struct model model;
	start_in_sync(&model, 64);
	stream_set_config(model.node[0].stream, 42, &promise);
	model_advance(&model, 50000, true);
	CU_ASSERT(is_protected(&model, true, "beta lacks at most 10 records, 300 ms"));
	for (unsigned key = 0; key < 10; key++)
		model_session(&model, 0, key, 5, LONG);
	model_advance(&model, 50000, false);
	CU_ASSERT(is_protected(&model, true, ""));
	model_session(&model, 0, 10, 5, LONG); /* one too many */
	model_advance(&model, 50000, false);
	CU_ASSERT(is_protected(&model, false, "beta has been late: by 10 records or 300 ms"));
	model_advance(&model, 1100000, true);
	CU_ASSERT(is_protected(&model, true, ""));
	model_session(&model, 0, 11, 5, LONG);
	model_advance(&model, 250000, false);
	CU_ASSERT(is_protected(&model, true, ""));
	model_advance(&model, 100000, false); /* too old */
	CU_ASSERT(is_protected(&model, false, ""));
	model_advance(&model, 1100000, true);
	CU_ASSERT(is_protected(&model, true, ""));
	model_fini(&model);
}

static void unprotected_for_want_of_a_peer(void)
{
	struct model model;
	model_init(&model, 64);
	CU_ASSERT_EQUAL(model_status(&model, 0).protection, SYNC_PROTECTION_NONE);
	model_set_active(&model, 0, true);
	CU_ASSERT(is_protected(&model, false, "beta is not connected"));
	model_session(&model, 0, 1, 5, LONG);
	model_connect(&model);
	model_send(&model, 1), model_deliver(&model, 0); /* its hello */
	CU_ASSERT(is_protected(&model, false, "beta is not in sync yet"));
	model_settle(&model);
	CU_ASSERT(is_protected(&model, true, ""));
	CU_ASSERT_EQUAL(model_status(&model, 1).protection, SYNC_PROTECTION_NONE);
	model_cut(&model, "cut");
	CU_ASSERT(is_protected(&model, false, "beta is not connected"));
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT(is_protected(&model, true, "")); /* a cut is no lateness */
	model_set_active(&model, 0, false);
	CU_ASSERT_EQUAL(model_status(&model, 0).protection, SYNC_PROTECTION_NONE);
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	model_fini(&model);
}

static void corrupt(struct model *model, int i, unsigned key, uint64_t target_id)
{
	model_corrupt(model, i, key, target_id, LONG);
}

/* A peer of version 1 knows digests of whole tables only: the difference shows, and stays. */
static void digests_of_an_older_peer(void)
{
	for (int older = 0; older < 2; older++) {
		struct model model;
		model_init(&model, 64);
		model.node[older].older = true;
		model_set_active(&model, 0, true);
		model_connect(&model);
		model_session(&model, 0, 1, 5, LONG);
		model_advance(&model, 2500000, true);
		for (int i = 0; i < 2; i++)
			CU_ASSERT(model_status(&model, i).digest_equal);
		corrupt(&model, 1, 900, 9);
		model_advance(&model, 1500000, true);
		CU_ASSERT(model_status(&model, 1).digest_equal); /* may be a matter of timing */
		model_advance(&model, 3000000, true);
		for (int i = 0; i < 2; i++)
			CU_ASSERT(model_status(&model, i).digest_known &&
				  !model_status(&model, i).digest_equal);
		corrupt(&model, 1, 900, 0);
		model_advance(&model, 2500000, true);
		for (int i = 0; i < 2; i++)
			CU_ASSERT(model_status(&model, i).digest_equal);
		model_fini(&model);
	}
}

/* Lost, invented and altered entries of the Backup; what is written all the time, also during the
 * repair and into the same buckets, is neither in the way nor lost. */
static void what_differs_is_repaired(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (unsigned key = 0; key < 2000; key++) {
		model_session(&model, 0, key, 1 + key % 4, LONG);
		if (key % 500 == 0)
			model_settle(&model);
	}
	model_advance(&model, 1500000, true);
	CU_ASSERT(model_status(&model, 1).digest_known && model_status(&model, 1).digest_equal);
	CU_ASSERT(model_tables_equal(&model));
	uint64_t received = model_status(&model, 1).received_records;
	corrupt(&model, 1, 7, 0);
	corrupt(&model, 1, 5000, 9);
	corrupt(&model, 1, 11, 9);
	unsigned written = 0;
	bool shown = false;
	for (int i = 0; i < 100; i++) {
		for (int k = 0; k < 7; k++, written++)
			model_session(&model, 0, 100 + written * 37 % 1900, 1 + written % 5, LONG);
		model_send(&model, 0);
		model_session(&model, 0, 3000 + (unsigned)i, 3, LONG);
		model_advance(&model, 50000, true);
		CU_ASSERT(journal_protected(model.node[0].journal));
		CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_IN_SYNC);
		shown |=
		    model_status(&model, 0).digest_known && !model_status(&model, 0).digest_equal;
	}
	CU_ASSERT(shown);
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 7), 4);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 5000), 0);
	CU_ASSERT(reason_has(&model, 1, "what differed was sent again"));
	CU_ASSERT(reason_has(&model, 1, "and 1 removed"));
	CU_ASSERT(model_status(&model, 0).digest_equal && model_status(&model, 1).digest_equal);
	/* Some buckets, not all: */
	CU_ASSERT(model_status(&model, 1).received_records - received < written + 100 + 200);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	model_fini(&model);
}

/* Message by message: what the Active writes or deletes between the parts of a repair. */
static void writes_between_the_parts_of_a_repair(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (unsigned key = 0; key < 900; key++)
		model_session(&model, 0, key, 2, LONG);
	model_advance(&model, 1500000, true);
	for (unsigned key = 0; key < 900; key++)
		corrupt(&model, 1, key, key % 2 ? 0 : 9);
	unsigned next = 0;
	bool during = false;
	for (int i = 0; i < 200 && !during; i++) {
		model_advance(&model, 50000, false);
		while (model_send(&model, 0) || model_send(&model, 1)) {
			if (model_status(&model, 1).received_records > 1000) {
				model_session(&model, 0, next % 900, 3, LONG);
				model_session_delete(&model, 0, (next + 450) % 900);
				model_session(&model, 0, 900 + next, 4, LONG);
				during |= stream_busy(model.node[1].stream);
				next += 7;
			}
			model_deliver(&model, 0);
			model_deliver(&model, 1);
			if (next > 2000)
				break;
		}
	}
	CU_ASSERT(during);
	model_settle(&model);
	CU_ASSERT(model_tables_equal(&model));
	model_advance(&model, 1500000, true);
	CU_ASSERT(model_status(&model, 1).digest_equal);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	model_fini(&model);
}

/* As many records as the Active can send: a repair has its turn, and deletes are no difference. */
static void a_repair_does_not_starve(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	corrupt(&model, 1, 5000, 9);
	unsigned written = 0;
	for (int i = 0; i < 120; i++) {
		model_advance(&model, 50000, false);
		for (int k = 0; k < 10; k++) {
			for (int r = 0; r < 200; r++, written++) {
				if (written % 3 == 0)
					model_session_delete(&model, 0, written * 7 % 60);
				else
					model_session(&model, 0, written % 60, 2, LONG);
			}
			for (int node = 0; node < 2; node++) {
				model_send(&model, node);
				model_send(&model, node);
				while (model_deliver(&model, 1 - node))
					;
			}
		}
	}
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 5000), 0);
	CU_ASSERT(reason_has(&model, 1, "sessions, and 1 removed"));
	model_settle(&model);
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	model_fini(&model);
}

/* Deletes that come while a comparison waits for them. */
static void deletes_on_the_way_are_no_difference(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (unsigned key = 0; key < 900; key++)
		model_session(&model, 0, key, 2, LONG);
	model_advance(&model, 1500000, true);
	for (unsigned i = 0; i < 120; i++) {
		model_session(&model, 0, 1, 2, LONG);
		model_settle(&model);
		model_session_delete(&model, 0, 1);
		model_advance(&model, 50000, false);
		model_settle(&model); /* the digests leave before the record */
	}
	CU_ASSERT(reason_has(&model, 1, "snapshot of"));
	model_fini(&model);
}

/* Sessions expire all the time, on the Backup a little later: nothing differs. */
static void what_expires_does_not_differ(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (unsigned i = 0; i < 400; i++) {
		for (unsigned k = 0; k < 5; k++)
			model_session(&model, 0, (i * 5 + k) % 3000, 1, 1500000 + k * 10000);
		model_advance(&model, 50000, i % 3 == 0);
		CU_ASSERT(
		    !model_status(&model, 1).digest_known || model_status(&model, 1).digest_equal);
	}
	CU_ASSERT(reason_has(&model, 1, "snapshot of")); /* nothing else has happened */
	CU_ASSERT(model_status(&model, 1).digest_known && model_status(&model, 1).digest_equal);
	model_fini(&model);
}

/* Half of a repair of many buckets has come: nothing is taken away, and the stream is resumed. */
static void a_cut_ends_a_repair(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (unsigned key = 0; key < 900; key++)
		model_session(&model, 0, key, 2, LONG);
	model_advance(&model, 1500000, true);
	for (unsigned key = 0; key < 900; key++)
		corrupt(&model, 1, key, 9);
	corrupt(&model, 1, 5000, 9);
	uint64_t received = model_status(&model, 1).received_records;
	for (int i = 0; i < 200 && model_status(&model, 1).received_records == received; i++) {
		model_advance(&model, 50000, false);
		for (bool busy = true;
		     busy && model_status(&model, 1).received_records == received;) {
			busy = false;
			for (int node = 0; node < 2; node++) {
				busy |= model_send(&model, node);
				busy |= model_deliver(&model, 1 - node);
			}
		}
	}
	CU_ASSERT(model_status(&model, 1).received_records - received < 900);
	model_cut(&model, "cut");
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 5000), 9);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT(model.connected);
	CU_ASSERT(reason_has(&model, 1, "resumed after record"));
	model_advance(&model, 5000000, true);
	CU_ASSERT(model_tables_equal(&model));
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 5000), 0);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	CU_ASSERT_EQUAL(model_status(&model, 0).connects, 2);
	model_fini(&model);
}

/* New sessions take the place of others: the Backup has just what the Active has, all the time. */
static void full_tables_are_equal(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (int i = 0; i < 2; i++)
		session_table_resize(model.node[i].table, 500);
	for (unsigned key = 0; key < 5000; key++) {
		model_session(&model, 0, key, 2, LONG + key);
		if (key % 50 != 0)
			continue;
		model_advance(&model, 50000, true);
		CU_ASSERT(model_tables_equal(&model));
	}
	struct session_stats stats;
	session_table_stats(model.node[0].table, &stats);
	CU_ASSERT_EQUAL(stats.evicted, 4500);
	session_table_stats(model.node[1].table, &stats);
	CU_ASSERT_EQUAL(stats.entries, 500);
	CU_ASSERT_EQUAL(stats.evicted, 0);
	CU_ASSERT(reason_has(&model, 1, "snapshot of"));
	CU_ASSERT(model_status(&model, 1).digest_equal);
	model_fini(&model);
}

static void configurations_are_compared(void)
{
	struct model model;
	start_in_sync(&model, 64);
	CU_ASSERT(model_status(&model, 0).config_equal && model_status(&model, 1).config_equal);
	struct sync_promise promise = model_status(&model, 0).promise;
	stream_set_config(model.node[0].stream, 43, &promise);
	model_settle(&model);
	CU_ASSERT(!model_status(&model, 0).config_equal && !model_status(&model, 1).config_equal);
	stream_set_config(model.node[1].stream, 43, &promise);
	model_settle(&model);
	CU_ASSERT(model_status(&model, 0).config_equal && model_status(&model, 1).config_equal);
	model_fini(&model);
}

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

/* The test is node 0's peer, of version 2. */
static void greet(struct model *model, bool active)
{
	struct sync_message greeting = hello();
	struct err err;
	greeting.hello.version = 2;
	greeting.hello.active = active;
	stream_connected(model->node[0].stream, model_now(model, 0));
	CU_ASSERT_EQUAL(receive(model, greeting, &err), 0);
}

/* How many messages of a kind node 0 has to send now, and the last one of all. */
static unsigned produced(
    struct model *model, enum sync_message_kind kind, struct sync_message *last)
{
	struct sync_message out;
	unsigned n = 0;
	while (stream_produce(model->node[0].stream, model_now(model, 0), &out) ||
	       stream_busy(model->node[0].stream)) {
		n += out.kind == kind;
		*last = out;
	}
	return n;
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
	unsigned sent = 0;
	for (int i = 0; i < 100; i++) { /* ten a second */
		CU_ASSERT_EQUAL(receive(&model, repair, &err), 0);
		sent += produced(&model, SYNC_REPAIR_BEGIN, &out);
		model.now_us += 100000;
	}
	CU_ASSERT_EQUAL(sent, 5);
	CU_ASSERT_EQUAL(model_status(&model, 0).refused_frames, 95);
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

static void races_between_workers_do_not_matter(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_session_race(&model, 0, 1, 5, 6);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_lookup(&model, 0, 1), 6);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 6);
	model_fini(&model);
}

/* Traffic does not wait for a snapshot, and the snapshot does not wait for traffic. */
static void records_travel_during_a_snapshot(void)
{
	struct model model;
	model_init(&model, 64);
	for (unsigned key = 0; key < 5000; key++)
		model_session(&model, 0, key, 1, LONG);
	model_set_active(&model, 0, true);
	model_connect(&model);
	unsigned written = 0;
	for (bool busy = true; busy;) {
		busy = false;
		for (int i = 0; i < 2; i++) {
			busy |= model_send(&model, i);
			busy |= model_deliver(&model, 1 - i);
		}
		/* Many times what the journal holds, while the snapshot is under way. */
		if (model_status(&model, 0).state != SYNC_IN_SYNC) {
			for (unsigned k = 0; k < 15; k++, written++)
				model_session(
				    &model, 0, written * 37 % 9000, 2 + written % 3, LONG);
		}
	}
	CU_ASSERT(written > 10 * 64);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	CU_ASSERT(model_tables_equal(&model));
	model_fini(&model);
}

UNIT_MAIN("sync/stream", UNIT(snapshot_then_records), UNIT(old_sessions_go_piece_by_piece),
    UNIT(times_are_relative), UNIT(a_cut_is_resumed), UNIT(too_long_a_cut_needs_a_snapshot),
    UNIT(the_ring_overtakes_a_slow_peer), UNIT(a_restarted_backup_gets_a_snapshot),
    UNIT(who_has_kept_it_gives_it_back), UNIT(nothing_is_not_given), UNIT(roles_change_hands),
    UNIT(half_a_snapshot_takes_nothing_away), UNIT(a_lower_epoch_is_refused),
    UNIT(two_actives_do_not_mix), UNIT(silence_ends_a_connection),
    UNIT(a_sleeper_does_not_blame_the_peer), UNIT(a_late_peer_protects_nobody),
    UNIT(who_gives_up_is_believed), UNIT(async_promises_a_window),
    UNIT(unprotected_for_want_of_a_peer), UNIT(digests_of_an_older_peer),
    UNIT(what_differs_is_repaired), UNIT(writes_between_the_parts_of_a_repair),
    UNIT(what_expires_does_not_differ), UNIT(a_repair_does_not_starve),
    UNIT(deletes_on_the_way_are_no_difference), UNIT(a_cut_ends_a_repair),
    UNIT(full_tables_are_equal), UNIT(configurations_are_compared),
    UNIT(broken_rules_end_the_connection), UNIT(of_two_epochs_one_is_later),
    UNIT(no_epoch_locks_the_pair_out), UNIT(who_stands_still_is_disconnected),
    UNIT(repairs_and_comparisons_are_rare), UNIT(who_talks_too_much_is_disconnected),
    UNIT(a_batch_is_taken_in_order), UNIT(races_between_workers_do_not_matter),
    UNIT(records_travel_during_a_snapshot))
