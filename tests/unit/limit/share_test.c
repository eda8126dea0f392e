/* Two nodes that tell each other of their limits: what arrives, and what a peer with bad intentions
 * can do. The nodes' clocks are far apart. */
#include "daemon/limit/share.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define US      1000ULL /* in nanoseconds */
#define SEC_US  1000000ULL
#define SEC     (1000 * US * 1000)
#define SECRET  77
#define KEYS    1000
#define LIMITS  3
#define HOUR_US (3600 * SEC_US)

static const uint64_t hash_key[2] = {0x0123456789abcdefULL, 0xfedcba9876543210ULL};
/* Their number in a list is of no account, only who they are. */
static const uint64_t ids[LIMITS] = {1000, 2000, 3000};
enum { SLOW, FAST, ALL };

struct node {
	struct gcra gcra[LIMITS];
	_Atomic uint64_t all_ns;
	struct limit_table *table;
	struct limit_share *share;
	uint64_t now_us, cursor;
	struct limit_words words;
	uint64_t results[LIMIT_HEARD_COUNT];
};

static struct node nodes[2];

static void share_from(struct node *node, uint64_t secret, bool reversed)
{
	struct limit_known known[LIMITS];
	for (unsigned i = 0; i < LIMITS; i++) {
		unsigned at = reversed ? LIMITS - 1 - i : i;
		known[at] =
		    (struct limit_known){ids[i], node->gcra[i], i == ALL ? &node->all_ns : NULL};
	}
	limit_share_free(node->share);
	node->share = limit_share_new(node->table, secret, known, LIMITS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(node->share);
}

static void begin(void)
{
	for (unsigned n = 0; n < 2; n++) {
		struct node *node = &nodes[n];
		memset((void *)node, 0, sizeof(*node));
		gcra_init(&node->gcra[SLOW], (struct limit_rate){10, 3600}, 4);
		gcra_init(&node->gcra[FAST], (struct limit_rate){10, 1}, 20);
		gcra_init(&node->gcra[ALL], (struct limit_rate){1, 60}, 3);
		node->table = limit_table_new(KEYS, hash_key);
		node->now_us = (n + 1) * 10 * HOUR_US;
		share_from(node, SECRET, n == 1);
	}
}

static void end(void)
{
	for (unsigned n = 0; n < 2; n++) {
		limit_share_free(nodes[n].share);
		limit_table_free(nodes[n].table);
	}
}

static void pass(uint64_t us)
{
	nodes[0].now_us += us;
	nodes[1].now_us += us;
}

static uint64_t hash_of(const struct node *node, unsigned limit, uint64_t key)
{
	return limit_table_hash(node->table, ids[limit], &key, sizeof(key));
}

/* How many of `n` requests at once are taken. */
static unsigned volley(struct node *node, unsigned limit, uint64_t key, unsigned n)
{
	unsigned taken = 0;
	uint64_t wait_ns, now_ns = node->now_us * US;
	for (; n > 0; n--)
		taken += limit == ALL
			     ? gcra_take_shared(&node->gcra[ALL], &node->all_ns, now_ns, &wait_ns)
			     : limit_table_take(node->table, hash_of(node, limit, key),
				   &node->gcra[limit], now_ns, &wait_ns);
	return taken;
}

/* One walk over everything, heard by the other one; how many words. */
static size_t round_from(struct node *from, struct node *to)
{
	size_t n = 0;
	memset(to->results, 0, sizeof(to->results));
	for (unsigned i = 0; i < LIMIT_PIECES; i++) {
		limit_share_tell(from->share, &from->cursor, from->now_us, &from->words);
		limit_share_hear(to->share, &from->words, to->now_us, to->results);
		n += from->words.n;
	}
	return n;
}

/* The other one refuses from the first request on who is at his limit, and serves who is not, as if
 * he had never come: whichever way the limits stand in its list. */
static void who_is_at_his_limit_is_known(void)
{
	begin();
	CU_ASSERT_EQUAL(volley(&nodes[0], SLOW, 1, 10), 4);
	CU_ASSERT_EQUAL(volley(&nodes[0], SLOW, 2, 2), 2); /* half: not told */
	CU_ASSERT_EQUAL(volley(&nodes[0], SLOW, 3, 3), 3);
	CU_ASSERT_EQUAL(volley(&nodes[0], FAST, 1, 50), 20);
	CU_ASSERT_EQUAL(volley(&nodes[0], ALL, 0, 10), 3);
	CU_ASSERT_EQUAL(round_from(&nodes[0], &nodes[1]), 4);
	CU_ASSERT_EQUAL(nodes[1].results[LIMIT_HEARD_APPLIED], 4);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 1, 10), 0);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 2, 10), 4);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 3, 10), 1);
	CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 1, 10), 0);
	CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 2, 50), 20);
	CU_ASSERT_EQUAL(volley(&nodes[1], ALL, 0, 10), 0);
	pass(SEC_US);
	CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 1, 50), 10); /* as at the first node */
	CU_ASSERT_EQUAL(volley(&nodes[0], FAST, 1, 50), 10);
	pass(59 * SEC_US);
	CU_ASSERT_EQUAL(volley(&nodes[1], ALL, 0, 10), 1);
	pass(300 * SEC_US);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 1, 10), 1);
	end();
}

/* The later time stays, on either side, and what was said twice is as if said once. */
static void the_later_one_stays(void)
{
	begin();
	volley(&nodes[0], SLOW, 1, 3);
	volley(&nodes[0], ALL, 0, 2);
	volley(&nodes[1], SLOW, 1, 4);
	volley(&nodes[1], ALL, 0, 3);
	CU_ASSERT_EQUAL(round_from(&nodes[0], &nodes[1]), 2);
	CU_ASSERT_EQUAL(nodes[1].results[LIMIT_HEARD_KNOWN], 2);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 1, 10), 0);
	CU_ASSERT_EQUAL(volley(&nodes[1], ALL, 0, 10), 0);
	CU_ASSERT_EQUAL(round_from(&nodes[1], &nodes[0]), 2);
	CU_ASSERT_EQUAL(nodes[0].results[LIMIT_HEARD_APPLIED], 2);
	CU_ASSERT_EQUAL(round_from(&nodes[1], &nodes[0]), 2);
	CU_ASSERT_EQUAL(nodes[0].results[LIMIT_HEARD_KNOWN], 2);
	CU_ASSERT_EQUAL(volley(&nodes[0], SLOW, 1, 10), 0);
	end();
}

static void what_has_passed_is_not_told(void)
{
	begin();
	volley(&nodes[0], FAST, 1, 20);
	CU_ASSERT_EQUAL(round_from(&nodes[0], &nodes[1]), 1);
	pass(SEC_US);
	CU_ASSERT_EQUAL(round_from(&nodes[0], &nodes[1]), 0);
	end();
}

/* The most that a limit allows is the most that somebody can be made to wait. */
static void a_hostile_peer_locks_nobody_out(void)
{
	static const uint64_t lefts[] = {SEC_US * 86400 * 366, UINT64_MAX / US, UINT64_MAX};
	for (size_t i = 0; i < sizeof(lefts) / sizeof(lefts[0]); i++) {
		begin();
		struct limit_words words = {.secret = SECRET, .n = 2};
		words.hashes[0] = hash_of(&nodes[1], FAST, 1);
		words.hashes[1] = limit_tagged(ids[ALL], ids[ALL]);
		words.left_us[0] = words.left_us[1] = lefts[i];
		limit_share_hear(nodes[1].share, &words, nodes[1].now_us, nodes[1].results);
		CU_ASSERT_EQUAL(nodes[1].results[LIMIT_HEARD_CUT], 2);
		CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 1, 1), 0);
		CU_ASSERT_EQUAL(volley(&nodes[1], ALL, 0, 1), 0);
		pass(SEC_US / 10);
		CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 1, 10), 1);
		pass(60 * SEC_US);
		CU_ASSERT_EQUAL(volley(&nodes[1], ALL, 0, 10), 1);
		CU_ASSERT_EQUAL(volley(&nodes[1], FAST, 1, 50), 20);
		end();
	}
}

/* Words that the table has no room for push nobody out who is further ahead. */
static void a_flood_of_words_forgives_nobody(void)
{
	begin();
	for (uint64_t key = 0; key < KEYS / 10; key++)
		CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, key, 10), 4);
	struct limit_words words = {.secret = SECRET, .n = LIMIT_WORDS_MAX};
	for (uint64_t i = 0; i < 200; i++) {
		for (uint64_t w = 0; w < LIMIT_WORDS_MAX; w++) {
			words.hashes[w] =
			    limit_tagged(hash_of(&nodes[1], SLOW, i << 32 | w), ids[SLOW]);
			words.left_us[w] = HOUR_US / 3;
		}
		limit_share_hear(nodes[1].share, &words, nodes[1].now_us, nodes[1].results);
	}
	CU_ASSERT(nodes[1].results[LIMIT_HEARD_NO_ROOM] > 50000);
	for (uint64_t key = 0; key < KEYS / 10; key++)
		CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, key, 10), 0);
	end();
}

static void strangers_words_mean_nothing(void)
{
	begin();
	struct limit_words words = {.secret = SECRET, .n = 2};
	words.hashes[1] = limit_tagged(UINT64_MAX, 4000); /* a limit that only the peer has */
	words.left_us[0] = words.left_us[1] = SEC_US;
	limit_share_hear(nodes[1].share, &words, nodes[1].now_us, nodes[1].results);
	CU_ASSERT_EQUAL(nodes[1].results[LIMIT_HEARD_NO_LIMIT], 2);
	words.secret++;
	words.hashes[0] = words.hashes[1] = hash_of(&nodes[1], SLOW, 1);
	words.left_us[0] = words.left_us[1] = HOUR_US;
	limit_share_hear(nodes[1].share, &words, nodes[1].now_us, nodes[1].results);
	CU_ASSERT_EQUAL(nodes[1].results[LIMIT_HEARD_OTHER_KEY], 2);
	/* Without a secret in common nothing is told, and nothing understood. */
	share_from(&nodes[0], 0, false);
	volley(&nodes[0], SLOW, 1, 4);
	CU_ASSERT_EQUAL(round_from(&nodes[0], &nodes[1]), 0);
	words.secret = 0;
	limit_share_hear(nodes[0].share, &words, nodes[0].now_us, nodes[0].results);
	CU_ASSERT_EQUAL(nodes[0].results[LIMIT_HEARD_OTHER_KEY], 2);
	CU_ASSERT_EQUAL(volley(&nodes[1], SLOW, 1, 10), 4);
	end();
}

/* However many there are, a piece is a message, and the walk gets round to everybody. */
static void each_piece_is_bounded(void)
{
	enum { MANY = 20000 };
	begin();
	limit_table_free(nodes[0].table);
	nodes[0].table = limit_table_new(16 * MANY, hash_key);
	share_from(&nodes[0], SECRET, false);
	for (uint64_t key = 0; key < MANY; key++)
		CU_ASSERT_EQUAL_FATAL(volley(&nodes[0], SLOW, key, 4), 4);
	size_t told = 0, pieces = 0;
	do {
		limit_share_tell(
		    nodes[0].share, &nodes[0].cursor, nodes[0].now_us, &nodes[0].words);
		CU_ASSERT_FATAL(nodes[0].words.n <= LIMIT_WORDS_MAX);
		told += nodes[0].words.n;
		pieces++;
	} while (told < MANY && pieces < 1000);
	CU_ASSERT(told == MANY && pieces < MANY / (LIMIT_WORDS_MAX - LIMIT_WAYS) + LIMIT_PIECES);
	end();
}

UNIT_MAIN("limit/share", UNIT(who_is_at_his_limit_is_known), UNIT(the_later_one_stays),
    UNIT(what_has_passed_is_not_told), UNIT(a_hostile_peer_locks_nobody_out),
    UNIT(a_flood_of_words_forgives_nobody), UNIT(strangers_words_mean_nothing),
    UNIT(each_piece_is_bounded))
