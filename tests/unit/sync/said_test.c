/* What the nodes tell each other besides records: virtual routers, questions, answers, events. */
#include "tests/unit/sync/scenes.h"

static struct sync_message router_message(enum sync_message_kind kind, const char *name)
{
	struct sync_message message = {.kind = kind};
	snprintf(message.router.name, sizeof(message.router.name), "%s", name);
	message.router.vrid = 51;
	return message;
}

static void say(
    struct model *model, int i, const char *name, enum sync_router_state state, bool handed_over)
{
	struct sync_message message = router_message(SYNC_ROUTER, name);
	message.router.state = state;
	message.router.handed_over = handed_over;
	urgent_put(model->node[i].urgent, &message, false);
}

/* A snapshot is under way, and more than the wire holds waits to be sent: a handover, a question
 * and its answer are the very next messages. */
static void urgent_messages_overtake(void)
{
	struct model model;
	model_init(&model, 64);
	for (unsigned key = 0; key < 1000; key++)
		model_session(&model, 0, key, key + 1, LONG);
	model_set_active(&model, 0, true);
	model_connect(&model);
	CU_ASSERT(model_exchange(&model));
	CU_ASSERT(model_send(&model, 0) && model_send(&model, 0));
	while (model_deliver(&model, 1))
		;
	CU_ASSERT_EQUAL(model_status(&model, 1).state, SYNC_SNAPSHOT);
	model_event(&model, 0, "sync");
	say(&model, 0, "front", SYNC_ROUTER_BACKUP, true);
	struct sync_message question = router_message(SYNC_QUESTION, "front");
	urgent_put(model.node[0].urgent, &question, false);
	CU_ASSERT(model_send(&model, 0) && model_send(&model, 0));
	CU_ASSERT(model_deliver(&model, 1) && model_deliver(&model, 1));
	CU_ASSERT_EQUAL(model.node[1].n_said, 2);
	CU_ASSERT_EQUAL(model.node[1].said[0].kind, SYNC_ROUTER);
	CU_ASSERT(model.node[1].said[0].router.handed_over);
	CU_ASSERT_EQUAL(model.node[1].said[1].kind, SYNC_QUESTION);
	model_settle(&model);
	CU_ASSERT(model_tables_equal(&model));
	model_fini(&model);
}

/* Only the newest of a kind and router leaves; but a handover is not forgotten over the next state,
 * unless that is Active again. */
static void only_the_newest_is_sent(void)
{
	struct model model;
	start_in_sync(&model, 64);
	for (int i = 0; i < 1000; i++) {
		struct sync_message question = router_message(SYNC_QUESTION, "front");
		question.router.stamp = (uint64_t)i;
		urgent_put(model.node[0].urgent, &question, false);
	}
	say(&model, 0, "front", SYNC_ROUTER_BACKUP, true);
	say(&model, 0, "front", SYNC_ROUTER_FAULT, false);
	say(&model, 0, "back", SYNC_ROUTER_BACKUP, true);
	say(&model, 0, "back", SYNC_ROUTER_ACTIVE, false);
	model_settle(&model);
	const struct sync_message *said = model.node[1].said;
	CU_ASSERT_EQUAL_FATAL(model.node[1].n_said, 3);
	CU_ASSERT_EQUAL(said[0].router.stamp, 999);
	CU_ASSERT_EQUAL(said[1].router.state, SYNC_ROUTER_FAULT);
	CU_ASSERT(said[1].router.handed_over);
	CU_ASSERT_EQUAL(said[2].router.state, SYNC_ROUTER_ACTIVE);
	CU_ASSERT_FALSE(said[2].router.handed_over);
	model_fini(&model);
}

/* After a cut the peer hears how the routers stand now; questions, answers, claims and handovers of
 * before are void, and a router that has left the configuration is not heard of again. */
static void states_are_told_again(void)
{
	struct model model;
	start_in_sync(&model, 64);
	say(&model, 0, "front", SYNC_ROUTER_ACTIVE, false);
	model_settle(&model);
	model_cut(&model, "cut");
	struct sync_message gone = router_message(SYNC_ROUTER, "gone");
	struct sync_message evidence = router_message(SYNC_EVIDENCE, "front");
	evidence.router.source_len = 4;
	urgent_put(model.node[0].urgent, &gone, true);
	struct sync_message claim = router_message(SYNC_CLAIM, "front");
	claim.router.source_len = 4;
	urgent_put(model.node[0].urgent, &evidence, false);
	urgent_put(model.node[0].urgent, &claim, false);
	say(&model, 0, "front", SYNC_ROUTER_BACKUP, true);
	model.node[1].n_said = 0;
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL_FATAL(model.node[1].n_said, 1);
	CU_ASSERT_EQUAL(model.node[1].said[0].kind, SYNC_ROUTER);
	CU_ASSERT_EQUAL(model.node[1].said[0].router.state, SYNC_ROUTER_BACKUP);
	CU_ASSERT_FALSE(model.node[1].said[0].router.handed_over);
	urgent_put(model.node[0].urgent, &gone, true);
	model_settle(&model);
	CU_ASSERT_EQUAL(model.node[1].n_said, 2);
	model_fini(&model);
}

/* More routers come and go than there is room for: what exists is told all the same. */
static void routers_come_and_go(void)
{
	struct model model;
	char name[16];
	start_in_sync(&model, 64);
	for (int i = 0; i < 1000; i++) {
		struct sync_message message = router_message(SYNC_ROUTER, "");
		snprintf(message.router.name, sizeof(message.router.name), "r%d", i);
		urgent_put(model.node[0].urgent, &message, false);
		if (i >= 30) {
			snprintf(name, sizeof(name), "r%d", i - 30);
			message = router_message(SYNC_ROUTER, name);
			urgent_put(model.node[0].urgent, &message, true);
		}
		model.node[1].n_said = 0;
		model_settle(&model);
		CU_ASSERT_EQUAL(model.node[1].n_said, i >= 30 ? 2 : 1);
	}
	model_fini(&model);
}

/* That it is gone comes in order with what it said, once, and not of one that never greeted. */
static void the_end_is_told(void)
{
	struct model model;
	start_in_sync(&model, 64);
	CU_ASSERT_EQUAL(model.node[1].n_byes, 0);
	model_cut(&model, "cut");
	CU_ASSERT_EQUAL(model.node[1].n_byes, 1);
	model_connect(&model);
	model_cut(&model, "cut again");
	CU_ASSERT_EQUAL(model.node[1].n_byes, 1);
	model_fini(&model);
}

static size_t count_events(const struct model *model, int i)
{
	size_t n = 0;
	for (size_t s = 0; s < model->node[i].n_said; s++)
		n += model->node[i].said[s].kind == SYNC_EVENT;
	return n;
}

/* Each event once: also over a cut, also when it was under way then; all of them for a peer that
 * has started anew, and those of a sender that has. */
static void events_arrive_once(void)
{
	struct model model;
	start_in_sync(&model, 64);
	model_event(&model, 0, "one");
	model_event(&model, 1, "of the Backup");
	model_settle(&model);
	CU_ASSERT_EQUAL(count_events(&model, 1), 1);
	CU_ASSERT_EQUAL(count_events(&model, 0), 1);
	model_event(&model, 0, "two");
	CU_ASSERT(model_send(&model, 0));
	model_cut(&model, "cut"); /* it is lost */
	model_event(&model, 0, "three");
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(count_events(&model, 1), 3);
	CU_ASSERT_STRING_EQUAL(model.node[1].said[2].event.object, "three");
	CU_ASSERT_EQUAL(model.node[0].n_events_sent, 4);   /* two of them the second one */
	struct sync_message again = model.node[1].said[1]; /* a peer that repeats itself */
	CU_ASSERT_EQUAL(stream_receive(model.node[1].stream, &again, model_now(&model, 1),
			    &model.node[1].last_err),
	    0);
	CU_ASSERT_EQUAL(count_events(&model, 1), 3);
	model_restart(&model, 1);
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(count_events(&model, 1), 3);
	model_restart(&model, 0);
	model_event(&model, 0, "of another life");
	model_connect(&model);
	model_settle(&model);
	CU_ASSERT_EQUAL(count_events(&model, 1), 4);
	model_fini(&model);
}

/* A peer of before these messages skips them, and has none: everything else works. */
static void an_older_peer(void)
{
	for (int older = 0; older < 2; older++) {
		struct model model;
		model_init(&model, 64);
		model.node[older].older = true;
		for (unsigned key = 0; key < 300; key++)
			model_session(&model, 0, key, key + 1, LONG);
		model_set_active(&model, 0, true);
		for (int i = 0; i < 2; i++) {
			say(&model, i, "front", SYNC_ROUTER_ACTIVE, false);
			model_event(&model, i, "sync");
		}
		model_connect(&model);
		model_settle(&model);
		say(&model, 1 - older, "front", SYNC_ROUTER_BACKUP, true);
		model_event(&model, 1 - older, "sync");
		model_settle(&model);
		CU_ASSERT_EQUAL(model_status(&model, 0).state, SYNC_IN_SYNC);
		CU_ASSERT(model_tables_equal(&model));
		CU_ASSERT_EQUAL(model.node[0].n_said + model.node[1].n_said, 0);
		CU_ASSERT_EQUAL(model_status(&model, 0).connects, 1);
		model_fini(&model);
	}
}

UNIT_MAIN("sync/said", UNIT(urgent_messages_overtake), UNIT(only_the_newest_is_sent),
    UNIT(states_are_told_again), UNIT(routers_come_and_go), UNIT(the_end_is_told),
    UNIT(events_arrive_once), UNIT(an_older_peer))
