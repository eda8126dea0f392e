/* Sessions that responses begin, towards the peer: who waits for it, what it is told, and what becomes
 * of them while the key of the pair is changed. What is learned of which response: tests/http. */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "proto/journal.h"
#include "tests/unit/proxy/rig.h"
#include "tests/unit/unit.h"

#define LEARNED "HTTP/1.1 200 OK\r\nSet-Cookie: Y=a; Path=/\r\nContent-Length: 2\r\n\r\nok"
#define ENDED   "HTTP/1.1 200 OK\r\nSet-Cookie: Y=; Max-Age=0\r\nContent-Length: 2\r\n\r\nok"
#define OK      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

/* With the cookie, or (NULL) without: the target has it then. */
static int ask(struct rig *rig, int client, int target, const char *cookie)
{
	char text[256];
	snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n",
	    cookie ? "Cookie: " : "", cookie ? cookie : "", cookie ? "\r\n" : "");
	peer_send(client, text);
	if (target < 0)
		target = rig_accept(rig, 0);
	peer_expect_head(target, "GET / HTTP/1.1\r\n", cookie ? cookie : "Host");
	return target;
}

static struct record last_record(struct rig *rig, uint64_t wanted)
{
	struct record record = {0};
	uint64_t end_us = clock_us() + RIG_WAIT_MS * US_PER_MS;
	while (journal_last(rig->journal) < wanted && clock_us() < end_us)
		poll(NULL, 0, 1);
	CU_ASSERT_EQUAL_FATAL(journal_last(rig->journal), wanted);
	CU_ASSERT_EQUAL_FATAL(journal_read(rig->journal, wanted - 1, &record, 1), 1);
	return record;
}

static void expect_session(struct rig *rig, const struct record *record)
{
	uint64_t target_id = 0;
	struct session_key key = {.pool_id = record->session.pool_id};
	memcpy(key.bytes, record->session.key, sizeof(key.bytes));
	CU_ASSERT_EQUAL(record->kind, RECORD_SESSION);
	CU_ASSERT(session_table_lookup(rig->sessions, &key, clock_us(), &target_id, NULL));
	CU_ASSERT_EQUAL(target_id, rig->fleet->pools[0].targets[0].target->id);
}

/* However it comes: whole, in two pieces, with the end of the connection behind it. */
static void waits_for_the_peer(void)
{
	static const char *const pieces[][2] = {
	    {LEARNED, ""},
	    {"HTTP/1.1 200 OK\r\nSet-Coo", "kie: Y=a; Path=/\r\nContent-Length: 2\r\n\r\nok"},
	    {"HTTP/1.1 100 Continue\r\n\r\n", LEARNED},
	};
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct rig rig;
		rig_init(&rig);
		rig_apply_acked(&rig, CONF_STICKY_APP_COOKIE);
		int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1, NULL);
		CU_ASSERT_EQUAL(journal_last(rig.journal), 0);
		peer_send(target, pieces[i][0]);
		if (i == 2)
			peer_expect(client, pieces[i][0]);
		peer_send(target, pieces[i][1]);
		struct record record = last_record(&rig, 1);
		expect_session(&rig, &record);
		peer_expect_silence(client, 50);
		journal_set_acked(rig.journal, 1);
		peer_expect(client, LEARNED);
		/* Who follows at once writes a record of his own (as nobody knows yet whether the
		 * peer has the first one), and the same value again is no news. */
		ask(&rig, client, target, "Y=a");
		record = last_record(&rig, 2);
		expect_session(&rig, &record);
		journal_set_acked(rig.journal, 2);
		peer_send(target, LEARNED);
		peer_expect(client, LEARNED);
		CU_ASSERT_EQUAL(journal_last(rig.journal), 2);
		close(client), close(target);
		rig_fini(&rig);
	}
}

static void waits_with_a_body_until_close(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply_acked(&rig, CONF_STICKY_APP_COOKIE);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1, NULL);
	peer_send(target, "HTTP/1.1 200 OK\r\nSet-Cookie: Y=a\r\n\r\nbody");
	(void)last_record(&rig, 1);
	peer_send(target, " and more");
	close(target);
	peer_expect_silence(client, 50);
	journal_set_acked(rig.journal, 1);
	peer_expect(
	    client, "HTTP/1.1 200 OK\r\nSet-Cookie: Y=a\r\nConnection: close\r\n\r\nbody and more");
	peer_expect_eof(client);
	close(client);
	rig_fini(&rig);
}

static void does_not_wait_for_ever(void)
{
	struct rig rig;
	struct proxy_stats stats;
	rig_init(&rig);
	rig.ack_timeout_us = 100 * US_PER_MS;
	rig_apply_acked(&rig, CONF_STICKY_APP_COOKIE);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1, NULL);
	peer_send(target, LEARNED);
	peer_expect(client, LEARNED);
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.ack_timeouts, 1);
	CU_ASSERT_EQUAL(stats.sticky_learned, 1);
	close(client), close(target);
	rig_fini(&rig);
}

static uint64_t ended(const struct proxy_stats *stats)
{
	return stats->sticky_ended;
}

static void client_goes_while_it_waits(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply_acked(&rig, CONF_STICKY_APP_COOKIE);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1, NULL);
	peer_send(target, LEARNED);
	(void)last_record(&rig, 1);
	peer_reset(client);
	peer_expect_eof(target);
	journal_set_acked(rig.journal, 1);
	close(target);
	rig_fini(&rig);
}

/* The first request with a value that nobody knows waits, and what its response sets, too: for one
 * acknowledgement. The end of a session is told, and nobody waits for that. */
static void tells_of_beginnings_and_ends(void)
{
	struct rig rig;
	rig_init(&rig);
	rig_apply_acked(&rig, CONF_STICKY_APP_COOKIE);
	int client = rig_connect(&rig, RIG_HTTP), target = ask(&rig, client, -1, "Y=old");
	struct record old = last_record(&rig, 1);
	expect_session(&rig, &old);
	journal_set_acked(rig.journal, 1);
	peer_send(target, LEARNED);
	struct record new = last_record(&rig, 2);
	expect_session(&rig, &new);
	CU_ASSERT_NOT_EQUAL(memcmp(old.session.key, new.session.key, 16), 0);
	peer_expect_silence(client, 50);
	journal_set_acked(rig.journal, 2);
	peer_expect(client, LEARNED);
	ask(&rig, client, target, "Y=a");
	(void)last_record(&rig, 3);
	journal_set_acked(rig.journal, 3);
	peer_send(target, ENDED);
	peer_expect(client, ENDED);
	CU_ASSERT(rig_wait(&rig, ended, 1));
	struct record end = last_record(&rig, 4);
	CU_ASSERT_EQUAL(end.kind, RECORD_SESSION_DELETE);
	CU_ASSERT_EQUAL(memcmp(end.session.key, new.session.key, 16), 0);
	close(client), close(target);
	rig_fini(&rig);
}

/* A value is known by the key it was hashed with, then written anew under the first one. */
static void a_value_outlives_its_key(void)
{
	static const struct {
		struct keys keys;
		uint64_t records;
	} steps[] = {{{1, {"old"}}, 1}, {{2, {"old", "new"}}, 1}, {{2, {"new", "old"}}, 2},
	    {{2, {"new", "old"}}, 2}, {{1, {"new"}}, 2}, {{1, {"other"}}, 3}};
	struct rig rig;
	struct proxy_stats stats;
	int target = -1;
	rig_init(&rig);
	rig.pool.sticky.kind = CONF_STICKY_APP_COOKIE;
	rig_apply(&rig);
	int client = rig_connect(&rig, RIG_HTTP);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		rig.keys = steps[i].keys;
		rig_apply(&rig);
		target = ask(&rig, client, target, "Y=a");
		peer_send(target, OK);
		peer_expect(client, OK);
		CU_ASSERT_EQUAL(journal_last(rig.journal), steps[i].records);
	}
	proxy_stats(rig.proxy, &stats);
	CU_ASSERT_EQUAL(stats.sticky_misses, 2); /* the first request, and the last key */
	CU_ASSERT_EQUAL(stats.sticky_hits, 4);
	CU_ASSERT_EQUAL(stats.sticky_stale, 1);
	close(client), close(target);
	rig_fini(&rig);
}

UNIT_MAIN("proxy/learn", UNIT(waits_for_the_peer), UNIT(waits_with_a_body_until_close),
    UNIT(does_not_wait_for_ever), UNIT(client_goes_while_it_waits),
    UNIT(tells_of_beginnings_and_ends), UNIT(a_value_outlives_its_key))
