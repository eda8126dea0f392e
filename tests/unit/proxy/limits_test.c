/* The limits of two nodes, and of a node before and after a reload: which of them are the same one,
 * and who understands whom. */
#include "daemon/proxy/limits.h"

#include <string.h>

#include "daemon/proxy/worker.h"
#include "tests/unit/unit.h"

#define SEC_US 1000000ULL
#define MOST   4

struct side {
	struct conf conf;
	struct conf_listener listeners[2];
	struct limit_spec specs[2][MOST];
	struct limits *limits;
	uint64_t now_us;
};

static const struct limit_spec three_an_hour = {
    .rate = {3, 3600}, .burst = 3, .key.by = LIMIT_BY_SOURCE, .prefix4 = 32, .prefix6 = 64};
static const struct limit_spec fifty_an_hour = {
    .rate = {50, 3600}, .burst = 50, .key.by = LIMIT_BY_SOURCE, .prefix4 = 32, .prefix6 = 64};
static const struct limit_spec hundred_a_day = {
    .rate = {100, 86400}, .burst = 100, .key.by = LIMIT_BY_SOURCE, .prefix4 = 32, .prefix6 = 64};
static const struct limit_spec six_for_all = {
    .rate = {6, 3600}, .burst = 6, .key.by = LIMIT_BY_NONE};
static const struct keys one_key = {1, {{1}}}, other_key = {2, {{2}, {1}}};

static void add(struct side *node, unsigned listener, const struct limit_spec *spec)
{
	struct conf_listener *conf = &node->listeners[listener];
	conf->rate_limits = node->specs[listener];
	conf->rate_limits[conf->n_rate_limits++] = *spec;
	node->conf.n_rate_limits++;
}

static void start(
    struct side *node, const struct keys *keys, bool is_paired, const struct limits *before)
{
	uint32_t number = 0;
	node->conf.listeners = node->listeners;
	node->conf.n_listeners = 2;
	node->conf.rate_limit_keys = 1000;
	for (unsigned i = 0; i < 2; i++) {
		node->listeners[i].name = i == 0 ? "web" : "api";
		for (uint32_t k = 0; k < node->listeners[i].n_rate_limits; k++)
			node->specs[i][k].number = number++;
	}
	node->limits = limits_new(&node->conf, keys, is_paired, before);
	CU_ASSERT_PTR_NOT_NULL_FATAL(node->limits);
}

/* How many of `n` connections of a client are let in at once. */
static unsigned come(struct side *node, unsigned listener, const char *client, unsigned n)
{
	static struct worker worker;
	struct worker_gen gen = {.limits = node->limits};
	struct listener at = {.conf = &node->listeners[listener], .worker = &worker};
	struct addr peer;
	unsigned let_in = 0;
	CU_ASSERT_FATAL(addr_parse_ip(client, &peer));
	worker.gen = &gen;
	worker.now_us = node->now_us;
	for (; n > 0; n--)
		let_in += limits_pass_connection(&at, &peer);
	return let_in;
}

static void tell(
    const struct side *from, const struct side *to, uint64_t results[LIMIT_HEARD_COUNT])
{
	struct limit_words words;
	uint64_t cursor = 0;
	memset(results, 0, LIMIT_HEARD_COUNT * sizeof(results[0]));
	for (unsigned i = 0; i < LIMIT_PIECES; i++) {
		limits_tell(from->limits, &cursor, from->now_us, &words);
		limits_hear(to->limits, &words, to->now_us, results);
	}
}

static void start_first(struct side *node)
{
	*node = (struct side){.now_us = 3600 * SEC_US};
	add(node, 0, &three_an_hour);
	add(node, 0, &hundred_a_day);
	add(node, 0, &fifty_an_hour);
	add(node, 1, &six_for_all);
	start(node, &one_key, true, NULL);
}

/* As the first one, in another order, with another limit before them. */
static void reorder(struct side *node, uint64_t now_us)
{
	*node = (struct side){.now_us = now_us};
	add(node, 0, &six_for_all);
	add(node, 0, &fifty_an_hour);
	add(node, 0, &hundred_a_day);
	add(node, 0, &three_an_hour);
	add(node, 1, &six_for_all);
}

static void the_order_of_limits_does_not_matter(void)
{
	struct side first, second;
	uint64_t results[LIMIT_HEARD_COUNT];
	start_first(&first);
	reorder(&second, 99 * 3600 * SEC_US);
	start(&second, &one_key, true, NULL);
	CU_ASSERT_EQUAL(come(&first, 0, "192.0.2.1", 10), 3);
	CU_ASSERT_EQUAL(come(&first, 1, "192.0.2.1", 10), 6);
	tell(&first, &second, results);
	CU_ASSERT_EQUAL(results[LIMIT_HEARD_APPLIED], 2);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.1", 5), 0);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.2", 1), 1); /* the listener's own for all */
	CU_ASSERT_EQUAL(come(&second, 1, "192.0.2.2", 5), 0);
	limits_free(second.limits);
	/* The same node with another configuration. */
	reorder(&second, first.now_us);
	start(&second, &one_key, true, first.limits);
	limits_free(first.limits);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.1", 5), 0);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.2", 1), 1);
	CU_ASSERT_EQUAL(come(&second, 1, "192.0.2.2", 5), 0);
	limits_free(second.limits);
}

/* A key of the pair that is not the first one on both nodes, keys that the pair has not in common, and
 * a peer without such a limit. */
static void others_are_not_understood(void)
{
	struct side first, second;
	uint64_t results[LIMIT_HEARD_COUNT];
	start_first(&first);
	CU_ASSERT_EQUAL(come(&first, 0, "192.0.2.1", 10), 3);
	second = (struct side){0};
	add(&second, 0, &hundred_a_day);
	add(&second, 0, &three_an_hour);
	start(&second, &other_key, true, NULL);
	tell(&first, &second, results);
	CU_ASSERT_EQUAL(results[LIMIT_HEARD_OTHER_KEY], 1);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.1", 10), 3);
	/* When the first node has reloaded, too, it has begun anew, and is understood. */
	struct side after = first;
	for (unsigned i = 0; i < 2; i++)
		after.listeners[i].rate_limits = after.specs[i];
	start(&after, &other_key, true, first.limits);
	CU_ASSERT_EQUAL(come(&after, 0, "192.0.2.9", 10), 3);
	tell(&after, &second, results);
	CU_ASSERT_EQUAL(results[LIMIT_HEARD_APPLIED], 1);
	CU_ASSERT_EQUAL(come(&second, 0, "192.0.2.9", 10), 0);
	limits_free(second.limits);
	limits_free(after.limits);

	second = (struct side){0};
	start(&second, &one_key, true, NULL);
	tell(&first, &second, results);
	CU_ASSERT_EQUAL(results[LIMIT_HEARD_NO_LIMIT], 1);
	limits_free(second.limits);
	second = (struct side){0};
	add(&second, 1, &three_an_hour); /* of another listener */
	start(&second, &one_key, true, NULL);
	tell(&first, &second, results);
	CU_ASSERT_EQUAL(results[LIMIT_HEARD_NO_LIMIT], 1);
	limits_free(first.limits);
	start_first(&first);
	limits_free(first.limits);
	start(&first, &one_key, false, NULL);
	CU_ASSERT_EQUAL(come(&first, 0, "192.0.2.1", 10), 3);
	tell(&first, &second, results);
	for (int i = 0; i < LIMIT_HEARD_COUNT; i++)
		CU_ASSERT_EQUAL(results[i], 0);
	limits_free(first.limits);
	limits_free(second.limits);
}

UNIT_MAIN(
    "proxy/limits", UNIT(the_order_of_limits_does_not_matter), UNIT(others_are_not_understood))
