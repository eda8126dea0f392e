/* Tables that differ: seen by digests, mended by repairs. */
#include "tests/unit/sync/scenes.h"

static void corrupt(struct model *model, int i, unsigned key, uint64_t target_id)
{
	model_corrupt(model, i, key, target_id, LONG);
}

/* Node 0 Active; both have 900 sessions, and have compared them. */
static void start_equal(struct model *model)
{
	start_in_sync(model, 1024);
	for (unsigned key = 0; key < 900; key++)
		model_session(model, 0, key, 2, LONG);
	model_advance(model, 1500000, true);
	CU_ASSERT(model_status(model, 1).digest_equal);
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
		struct sync_status status = model_status(&model, 0);
		bool differs = status.digest_known && !status.digest_equal;
		CU_ASSERT_EQUAL(status.protection, differs ? SYNC_UNPROTECTED : SYNC_PROTECTED);
		CU_ASSERT(!differs || strstr(status.protection_reason, "other sessions"));
		shown |= differs;
	}
	CU_ASSERT(shown);
	CU_ASSERT_EQUAL(model_status(&model, 0).unprotected, 2); /* at first, and then */
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
	start_equal(&model);
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
	start_equal(&model);
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
	start_equal(&model);
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

/* As above, while others expire, on the Backup a little later, and are swept by each node in its own
 * time: the Backup takes nothing away that the Active has. */
static void full_tables_are_equal_while_some_expire(void)
{
	struct model model;
	start_in_sync(&model, 1024);
	for (int i = 0; i < 2; i++)
		session_table_resize(model.node[i].table, 500);
	for (unsigned key = 0; key < 20000; key++) {
		model_session(&model, 0, key, 2, key % 3 == 0 ? LONG + key : 300000);
		if (key % 50 != 0)
			continue;
		for (int i = 0; i < 2; i++)
			session_table_expire(model.node[i].table, model_now(&model, i));
		model_advance(&model, 50000, true);
		CU_ASSERT(model_tables_equal(&model));
	}
	CU_ASSERT(reason_has(&model, 1, "snapshot of"));
	CU_ASSERT(model_status(&model, 1).digest_equal);
	model_fini(&model);
}

/* The Backup is full of what the Active has no more, which would expire last. */
static void a_snapshot_takes_the_place_of_what_was_there(void)
{
	struct model model;
	model_init(&model, 64);
	for (int i = 0; i < 2; i++)
		session_table_resize(model.node[i].table, 500);
	for (unsigned key = 0; key < 500; key++) {
		model_session(&model, 0, key, 2, LONG);
		model_session(&model, 1, 1000 + key, 2, 2 * LONG);
	}
	model_set_active(&model, 0, true);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
	CU_ASSERT(model_tables_equal(&model));
	model_fini(&model);
}

UNIT_MAIN("sync/repairs", UNIT(full_tables_are_equal_while_some_expire),
    UNIT(a_snapshot_takes_the_place_of_what_was_there), UNIT(digests_of_an_older_peer),
    UNIT(what_differs_is_repaired), UNIT(writes_between_the_parts_of_a_repair),
    UNIT(what_expires_does_not_differ), UNIT(a_repair_does_not_starve),
    UNIT(deletes_on_the_way_are_no_difference), UNIT(a_cut_ends_a_repair),
    UNIT(full_tables_are_equal))
