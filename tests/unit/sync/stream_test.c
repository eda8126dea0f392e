/* What the protocol does, one by one; the histories test mixes it. */
#include <string.h>

#include "tests/unit/sync/scenes.h"

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

static bool has_change(const struct model_node *node, unsigned i, const char *address)
{
	return i < node->n_changes && node->changes[i].target.change == 1 &&
	       node->changes[i].target.settings.weight == 7 &&
	       strcmp(node->changes[i].target.text, address) == 0;
}

/* In a snapshot they come first, with their number; then as records. What is left of a drain is a
 * time of the reader's clock. */
static void targets_at_run_time_travel(void)
{
	struct model model;
	model_init(&model, 64);
	model_change(&model, 0, "web", "192.0.2.1:80");
	model_change(&model, 1, "web", "192.0.2.66:80"); /* the Backup's own: must go */
	model_change(&model, 1, "web", "192.0.2.67:80");
	model_drain(&model, 0, 2, model_now(&model, 0) + 5000000);
	model_drain(&model, 0, 3, 1); /* over long ago, and not ended yet */
	model_set_active(&model, 0, true);
	model_connect(&model);
	model_settle(&model);
	const struct model_node *backup = &model.node[1];
	CU_ASSERT_EQUAL(backup->n_changes, 1);
	CU_ASSERT(has_change(backup, 0, "192.0.2.1:80"));
	CU_ASSERT_EQUAL(backup->drain_until_us[2], model_now(&model, 1) + 5000000);
	CU_ASSERT_EQUAL(backup->drain_until_us[3], model_now(&model, 1) + 1);
	CU_ASSERT_EQUAL(backup->drain_until_us[0], 0);
	CU_ASSERT(model_status(&model, 0).peer_takes_targets);

	journal_append(model.node[0].journal, model_change(&model, 0, "web", "[2001:db8::1]:80"));
	model_drain(&model, 0, 0, model_now(&model, 0) + 7000000);
	model_settle(&model);
	CU_ASSERT_EQUAL(backup->n_changes, 2);
	CU_ASSERT(has_change(backup, 1, "[2001:db8::1]:80"));
	CU_ASSERT_EQUAL(backup->drain_until_us[0], model_now(&model, 1) + 7000000);
	model_cut(&model, "cut");
	CU_ASSERT_FALSE(model_status(&model, 0).peer_takes_targets);
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
	CU_ASSERT(model_exchange(&model));
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

/* Since when targets are ready, and how long a circuit stays open: to a peer that comes later, and to one
 * that is there. */
static void slow_starts_and_circuits_travel(void)
{
	struct model model;
	const struct model_node *backup = &model.node[1];
	model_init(&model, 64);
	model_ready(&model, 0, 2, model_now(&model, 0) - 3000000);
	model_ready(&model, 0, 3, model_now(&model, 0)); /* just now, which is not never */
	model_ready(&model, 0, 4, 0);
	model_ready(&model, 1, 5, 1); /* not what the Active says */
	model_circuit(&model, 0, 1, model_now(&model, 0) + 5000000);
	model_set_active(&model, 0, true);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(backup->ready_us[2], model_now(&model, 1) - 3000000);
	CU_ASSERT_EQUAL(backup->ready_us[3], model_now(&model, 1) - 1);
	CU_ASSERT_EQUAL(backup->ready_us[4], 0);
	CU_ASSERT_EQUAL(backup->ready_us[5], 0);
	CU_ASSERT_EQUAL(backup->circuit.circuit.state, 1);
	CU_ASSERT_EQUAL(backup->circuit.circuit.due_us, model_now(&model, 1) + 5000000);

	model_advance(&model, 1000000, true);
	model_ready(&model, 0, 4, model_now(&model, 0) - 7);
	model_circuit(&model, 0, 2, model_now(&model, 0) - 1); /* is due */
	model_settle(&model);
	CU_ASSERT_EQUAL(backup->ready_us[4], model_now(&model, 1) - 7);
	CU_ASSERT_EQUAL(backup->circuit.circuit.state, 2);
	CU_ASSERT_EQUAL(backup->circuit.circuit.due_us, model_now(&model, 1));

	/* Ready for longer than the other one's clock goes back. */
	model_set_active(&model, 0, false);
	model_set_active(&model, 1, true);
	model_ready(&model, 1, 6, 1);
	model_settle(&model);
	CU_ASSERT_EQUAL(model.node[0].ready_us[6], 1);
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
	CU_ASSERT(model_exchange(&model)); /* the hellos, then Resume and what it is answered */
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

/* On a line that is so slow that digests, and rate limits, are due all the time. */
static void what_is_beside_leaves_room_for_records(void)
{
	for (int limits = 0; limits < 2; limits++) {
		struct model model;
		start_in_sync(&model, 1024);
		model.node[0].limits.n = limits ? LIMIT_WORDS_MAX : 0;
		for (unsigned key = 0; key < 20; key++) {
			model_session(&model, 0, key, 5, LONG);
			model_advance(&model, 1100000, false);
			for (int i = 0; i < 2; i++) {
				model_send(&model, i); /* a heartbeat */
				model_send(&model, i);
				while (model_deliver(&model, 1 - i))
					;
			}
		}
		CU_ASSERT_EQUAL(model_lookup(&model, 1, 15), 5);
		CU_ASSERT(model_status(&model, 0).lag_us < 5000000);
		model_fini(&model);
	}
}

/* While it is cut off, or where its configuration has other targets, the Backup finds and decides itself.
 * What the Active has counts afterwards, although nothing has changed there. */
static void targets_are_told_again(void)
{
	struct model model;
	struct sync_promise promise = {.acked = true, .max_lag_us = MODEL_LAG_US};
	struct model_node *backup = &model.node[1];
	start_in_sync(&model, 64);
	model_target(&model, 0, 3, 2, 1);
	model_settle(&model);
	uint64_t received = model_status(&model, 1).received_records;
	model_advance(&model, 2000000, true);
	CU_ASSERT_EQUAL(model_status(&model, 1).received_records, received); /* not all the time */

	model_cut(&model, "cut");
	backup->health[3] = 1;
	backup->admin[3] = 0;
	backup->admin[4] = 2;
	model_change(&model, 1, "web", "192.0.2.1:80");
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT(reason_has(&model, 1, "resumed after record"));
	CU_ASSERT(model_targets_equal(&model));
	CU_ASSERT_EQUAL(backup->n_changes, 0);

	for (int i = 0; i < 2; i++) { /* a reload of either node */
		memset(backup->health, 0, sizeof(backup->health));
		stream_set_config(model.node[i].stream, 43, &promise);
		model_session(&model, 0, 1, 5, LONG);
		model_advance(&model, 1000000, true);
		CU_ASSERT(model_targets_equal(&model));
		CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
		CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 5);
	}
	received = model_status(&model, 1).received_records;
	model_advance(&model, 2000000, true);
	CU_ASSERT_EQUAL(model_status(&model, 1).received_records, received);
	for (uint64_t hash = 50; hash < 150; hash++) { /* a peer that does nothing else */
		stream_set_config(model.node[1].stream, hash, &promise);
		model_settle(&model);
	}
	CU_ASSERT_EQUAL(model_status(&model, 1).received_records - received, 2 + 2 * MODEL_TARGETS);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 1);
	model_fini(&model);
}

/* The snapshot begins anew on the same connection: what was compared before it proves nothing. */
static void an_earlier_comparison_is_forgotten(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_advance(&model, 1500000, true);
	CU_ASSERT(model_status(&model, 0).digest_equal);
	for (unsigned key = 0; key < 100; key++)
		model_session(&model, 0, key, 3, LONG);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT_EQUAL(model_status(&model, 0).snapshots, 2);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_FALSE(model_status(&model, i).digest_known);
	model_fini(&model);
}

/* A response has left while nobody waited; the Backup is in sync now, but does not have its session. */
static void protected_is_who_lacks_nothing(void)
{
	struct model model;
	model_init(&model, 64);
	model_set_active(&model, 0, true);
	model_connect(&model);
	CU_ASSERT(model_exchange(&model));
	while (model_send(&model, 0) && model_deliver(&model, 1))
		;
	CU_ASSERT_FALSE(journal_protected(model.node[0].journal));
	model_session(&model, 0, 1, 5, LONG);
	while (model_send(&model, 1) && model_deliver(&model, 0))
		;
	struct sync_status status = model_status(&model, 0);
	CU_ASSERT_EQUAL(status.state, SYNC_IN_SYNC);
	CU_ASSERT(journal_protected(model.node[0].journal)); /* the next ones wait */
	CU_ASSERT_EQUAL(status.protection, SYNC_UNPROTECTED);
	CU_ASSERT(strstr(status.protection_reason, "without waiting") != NULL);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).protection, SYNC_PROTECTED);
	CU_ASSERT_EQUAL(model_lookup(&model, 1, 1), 5);
	model_session(&model, 0, 2, 5, LONG); /* this one waits */
	model_advance(&model, 1, false);
	CU_ASSERT_EQUAL(model_status(&model, 0).protection, SYNC_PROTECTED);
	CU_ASSERT_EQUAL(model_status(&model, 0).unprotected, 1);
	model_fini(&model);
}

UNIT_MAIN("sync/stream", UNIT(protected_is_who_lacks_nothing), UNIT(snapshot_then_records),
    UNIT(targets_are_told_again), UNIT(an_earlier_comparison_is_forgotten),
    UNIT(targets_at_run_time_travel), UNIT(old_sessions_go_piece_by_piece),
    UNIT(times_are_relative), UNIT(slow_starts_and_circuits_travel), UNIT(a_cut_is_resumed),
    UNIT(too_long_a_cut_needs_a_snapshot), UNIT(the_ring_overtakes_a_slow_peer),
    UNIT(a_restarted_backup_gets_a_snapshot), UNIT(who_has_kept_it_gives_it_back),
    UNIT(nothing_is_not_given), UNIT(roles_change_hands), UNIT(half_a_snapshot_takes_nothing_away),
    UNIT(a_lower_epoch_is_refused), UNIT(two_actives_do_not_mix), UNIT(silence_ends_a_connection),
    UNIT(a_sleeper_does_not_blame_the_peer), UNIT(a_late_peer_protects_nobody),
    UNIT(who_gives_up_is_believed), UNIT(async_promises_a_window),
    UNIT(unprotected_for_want_of_a_peer), UNIT(configurations_are_compared),
    UNIT(races_between_workers_do_not_matter), UNIT(records_travel_during_a_snapshot),
    UNIT(what_is_beside_leaves_room_for_records))
