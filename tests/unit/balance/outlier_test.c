#include "daemon/balance/outlier.h"

#include <stdio.h>
#include <string.h>

#include "daemon/balance/fleet.h"
#include "daemon/base/hash.h"
#include "tests/unit/unit.h"

#define S       1000000ULL
#define MS      1000ULL
#define MAX     16
#define CHANGES 3

static struct outlier_settings settings;
static struct fleet *fleet;
static struct pool *pool;
static uint64_t now_us;
static unsigned changes[MAX][CHANGES]; /* told of target i */

static struct target *nth(uint32_t i)
{
	return pool->targets[i].target;
}

static void on_change(void *arg, struct pool *in, struct target *target, enum outlier_change change)
{
	CU_ASSERT_PTR_EQUAL(in, pool);
	CU_ASSERT_PTR_EQUAL(arg, &settings);
	for (uint32_t i = 0; i < pool->n_targets; i++)
		changes[i][change] += nth(i) == target;
}

static void step_after(uint64_t wait_us)
{
	now_us += wait_us;
	outlier_step(pool, &pool->watch->outliers, &settings, now_us, on_change, &settings);
}

static void begin(uint32_t n)
{
	static struct fleet_target_spec targets[MAX];
	static char texts[MAX][ADDR_TEXT_MAX];
	for (uint32_t i = 0; i < n; i++) {
		snprintf(texts[i], sizeof(texts[i]), "192.0.2.%u:80", i + 1);
		targets[i] = (struct fleet_target_spec){.text = texts[i], .weight = 1};
		CU_ASSERT_TRUE(addr_parse_endpoint(texts[i], &targets[i].addr));
	}
	struct fleet_pool_spec spec = {.name = "web", .targets = targets, .n_targets = n};
	fleet = fleet_new(&spec, 1, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fleet);
	pool = &fleet->pools[0];
	settings = (struct outlier_settings){
	    .consecutive_failures = 5,
	    .error_rate = {.percent = 50, .min_requests = 20},
	    .latency = {.factor = 3, .min_requests = 10, .min_difference_us = 10 * MS},
	    .interval_us = 10 * S,
	    .ejection_us = 30 * S,
	    .max_ejection_us = 100 * S,
	    .max_ejected = 50,
	};
	now_us = 1000 * S;
	memset(changes, 0, sizeof(changes));
	step_after(0);
}

static void end(void)
{
	fleet_free(fleet);
}

static bool is_out(uint32_t i)
{
	bool out = nth(i)->ejected;
	CU_ASSERT_EQUAL(out, nth(i)->outlier.until_us != 0);
	CU_ASSERT_EQUAL(out, !target_usable(nth(i)));
	return out;
}

/* Returns how often the control thread would have been woken. */
static unsigned fail(uint32_t i, unsigned n)
{
	unsigned woken = 0;
	while (n-- > 0)
		woken += target_result_failed(nth(i));
	return woken;
}

static void good(uint32_t i, unsigned n, uint64_t latency_us)
{
	while (n-- > 0)
		target_result_good(nth(i), latency_us);
}

static void failures_in_a_row(void)
{
	begin(3);
	CU_ASSERT_EQUAL(fail(0, 4), 0);
	good(0, 1, 0);
	CU_ASSERT_EQUAL(fail(0, 4), 0);
	step_after(0);
	CU_ASSERT_FALSE(is_out(0));
	CU_ASSERT_EQUAL(fail(0, 1), 1);
	uint64_t version = *pool->version;
	step_after(0);
	CU_ASSERT_TRUE(is_out(0));
	CU_ASSERT_NOT_EQUAL(*pool->version, version);
	CU_ASSERT_STRING_EQUAL(target_state_name(nth(0)), "ejected");
	CU_ASSERT_FALSE(target_keeps_sticky(nth(0)));
	CU_ASSERT_STRING_EQUAL(nth(0)->outlier.reason, "5 failures in a row: for 30.0 s");
	CU_ASSERT_EQUAL(changes[0][OUTLIER_EJECTED], 1);
	uint32_t up, total;
	pool_count(pool, &up, &total);
	CU_ASSERT_EQUAL(up, 2);
	end();
}

static void comes_back_on_probation(void)
{
	begin(3);
	fail(0, 5);
	step_after(0);
	step_after(30 * S - 1);
	CU_ASSERT_TRUE(is_out(0));
	fail(0, 9); /* of requests that were under way: known already */
	step_after(1);
	CU_ASSERT_FALSE(is_out(0));
	CU_ASSERT_EQUAL(changes[0][OUTLIER_ADMITTED], 1);
	/* One failure, and longer. */
	good(0, 4, 0);
	CU_ASSERT_EQUAL(fail(0, 1), 1);
	step_after(0);
	CU_ASSERT_TRUE(is_out(0));
	step_after(60 * S - 1);
	CU_ASSERT_TRUE(is_out(0));
	step_after(1);
	CU_ASSERT_FALSE(is_out(0));
	/* Never longer than the limit. */
	for (int i = 3; i < 6; i++) {
		fail(0, 1);
		step_after(0);
		step_after(i * 30 * S < 100 * S ? i * 30 * S - 1 : 100 * S - 1);
		CU_ASSERT_TRUE(is_out(0));
		step_after(1);
		CU_ASSERT_FALSE(is_out(0));
	}
	CU_ASSERT_EQUAL(nth(0)->outlier.total[OUTLIER_CONSECUTIVE], 5);
	end();
}

static void is_forgiven(void)
{
	begin(3);
	fail(0, 5);
	step_after(0);
	step_after(30 * S);
	good(0, 4, 0);
	step_after(10 * S);
	CU_ASSERT_NOT_EQUAL(nth(0)->outlier.probation_us, 0); /* too few results */
	good(0, 1, 0);
	step_after(10 * S);
	CU_ASSERT_EQUAL(nth(0)->outlier.probation_us, 0);
	CU_ASSERT_EQUAL(nth(0)->outlier.ejections, 1);
	CU_ASSERT_EQUAL(fail(0, 4), 0);
	good(0, 1, 0);
	step_after(10 * S);
	CU_ASSERT_EQUAL(nth(0)->outlier.ejections, 0);
	CU_ASSERT_EQUAL(changes[0][OUTLIER_FORGIVEN], 2);
	fail(0, 5);
	step_after(0);
	CU_ASSERT_EQUAL(nth(0)->outlier.until_us, now_us + 30 * S);
	end();
}

static void is_forgiven_step_by_step(void)
{
	begin(3);
	fail(0, 5);
	step_after(0);
	step_after(30 * S);
	fail(0, 1);
	step_after(0);
	step_after(60 * S);
	CU_ASSERT_EQUAL(nth(0)->outlier.ejections, 2);
	good(0, 5, 0);
	step_after(10 * S); /* ends the probation */
	step_after(10 * S);
	CU_ASSERT_EQUAL(nth(0)->outlier.ejections, 1);
	fail(0, 5);
	step_after(0);
	CU_ASSERT_EQUAL(nth(0)->outlier.until_us, now_us + 60 * S);
	end();
}

static void by_rate(void)
{
	static const struct {
		unsigned good, bad;
		bool out;
	} rows[] = {
	    {10, 10, true}, {11, 10, false}, {0, 4, false}, {9, 10, false}, {100, 100, true}};
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		begin(3);
		settings.consecutive_failures = 0;
		step_after(S);
		fail(0, rows[r].bad);
		good(0, rows[r].good, 0);
		step_after(9 * S - 1);
		CU_ASSERT_FALSE(is_out(0));
		step_after(1);
		CU_ASSERT_EQUAL(is_out(0), rows[r].out);
		CU_ASSERT_EQUAL(nth(0)->outlier.total[OUTLIER_ERROR_RATE], rows[r].out);
		end();
	}
}

static void by_latency(void)
{
	static const struct {
		uint64_t ms[4];
		unsigned n[4];
		int out; /* -1: nobody */
	} rows[] = {
	    {{20, 20, 20, 61}, {10, 10, 10, 10}, 3},
	    {{20, 20, 20, 60}, {10, 10, 10, 10}, -1},  /* just the factor */
	    {{20, 20, 20, 200}, {10, 10, 10, 9}, -1},  /* too few requests */
	    {{1, 1, 1, 9}, {10, 10, 10, 10}, -1},      /* the difference does not matter */
	    {{20, 200, 1, 1}, {10, 10, 0, 0}, 1},      /* of two, the slower one */
	    {{200, 1, 1, 1}, {10, 0, 0, 0}, -1},       /* nobody to compare with */
	    {{20, 20, 200, 200}, {10, 10, 10, 10}, 2}, /* also the fourth, if it may */
	};
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		begin(4);
		step_after(S);
		for (uint32_t i = 0; i < 4; i++)
			good(i, rows[r].n[i], rows[r].ms[i] * MS);
		step_after(9 * S);
		for (int i = 0; i < 4; i++)
			CU_ASSERT_EQUAL(
			    is_out((uint32_t)i), i == rows[r].out || (r == 6 && i == 3));
		end();
	}
}

static void a_slow_one_is_slow_again(void)
{
	begin(3);
	for (int round = 1; round <= 2; round++) {
		for (uint32_t i = 0; i < 3; i++)
			good(i, 20, i == 0 ? 500 * MS : 20 * MS);
		step_after(10 * S);
		CU_ASSERT_TRUE(is_out(0));
		CU_ASSERT_EQUAL(nth(0)->outlier.until_us, now_us + (uint64_t)round * 30 * S);
		step_after((uint64_t)round * 30 * S);
		CU_ASSERT_FALSE(is_out(0));
	}
	CU_ASSERT_EQUAL(nth(0)->outlier.total[OUTLIER_LATENCY], 2);
	end();
}

/* How many may be out at a time. */
static void a_share_is_left(void)
{
	static const struct {
		uint32_t n, percent, out;
	} rows[] = {{1, 100, 0}, {2, 100, 1}, {2, 50, 1}, {3, 50, 1}, {4, 50, 2}, {10, 10, 1},
	    {9, 10, 0}, {10, 0, 0}, {10, 100, 9}};
	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		begin(rows[r].n);
		settings.max_ejected = rows[r].percent;
		uint32_t out = 0;
		for (uint32_t i = 0; i < rows[r].n; i++)
			fail(i, 5);
		step_after(0);
		for (uint32_t i = 0; i < rows[r].n; i++)
			out += is_out(i);
		CU_ASSERT_EQUAL(out, rows[r].out);
		CU_ASSERT_EQUAL(pool->watch->outliers.prevented, rows[r].n - rows[r].out);
		end();
	}
}

static void comes_back_early_when_others_go(void)
{
	begin(3);
	fail(0, 5);
	step_after(0);
	CU_ASSERT_TRUE(is_out(0));
	target_set_health(pool, nth(1), TARGET_DOWN, "gone", now_us);
	step_after(0); /* one of two: still half */
	CU_ASSERT_TRUE(is_out(0));
	target_set_admin(pool, nth(2), TARGET_DRAIN);
	step_after(0);
	CU_ASSERT_FALSE(is_out(0));
	CU_ASSERT_EQUAL(changes[0][OUTLIER_ADMITTED], 1);
	fail(0, 1);
	step_after(0); /* the last one stays */
	CU_ASSERT_FALSE(is_out(0));
	end();
}

/* With fewer usable ones, ejections would be ignored. */
static void not_below_the_panic_threshold(void)
{
	begin(10);
	settings.max_ejected = 100;
	pool->panic_threshold = 65;
	for (uint32_t i = 0; i < 10; i++)
		fail(i, 5);
	step_after(0);
	uint32_t out = 0;
	for (uint32_t i = 0; i < 10; i++)
		out += is_out(i);
	CU_ASSERT_EQUAL(out, 3);
	CU_ASSERT_FALSE(pool_panics(pool));
	target_set_health(pool, nth(9), TARGET_DOWN, "gone", now_us);
	CU_ASSERT_TRUE(pool_panics(pool));
	step_after(0);
	CU_ASSERT_FALSE(pool_panics(pool));
	end();
}

static void who_is_down_is_not_ejected(void)
{
	begin(3);
	fail(0, 5);
	target_set_health(pool, nth(0), TARGET_DOWN, "gone", now_us);
	step_after(0);
	CU_ASSERT_FALSE(nth(0)->ejected);
	CU_ASSERT_STRING_EQUAL(target_state_name(nth(0)), "down");
	end();
}

static void not_configured_any_more(void)
{
	begin(3);
	fail(0, 5);
	step_after(0);
	outlier_off(pool, on_change, &settings);
	CU_ASSERT_FALSE(is_out(0));
	CU_ASSERT_EQUAL(changes[0][OUTLIER_ADMITTED], 1);
	CU_ASSERT_EQUAL(fail(0, 50), 0);
	outlier_off(pool, on_change, &settings);
	CU_ASSERT_EQUAL(changes[0][OUTLIER_ADMITTED], 1);
	end();
}

/* A target that a reload carries over keeps its ejection; another pool's of the same name does not. */
static void a_reload_keeps_it(void)
{
	begin(2);
	fail(0, 5);
	step_after(0);
	struct fleet_target_spec spec = {.text = nth(0)->text, .addr = nth(0)->addr, .weight = 2};
	struct fleet_pool_spec web = {.name = "web", .targets = &spec, .n_targets = 1};
	struct fleet *next = fleet_new(&web, 1, fleet);
	CU_ASSERT_PTR_NOT_NULL_FATAL(next);
	fleet_free(fleet);
	fleet = next;
	pool = &fleet->pools[0];
	CU_ASSERT_TRUE(is_out(0));
	step_after(0); /* but it is the last one now */
	CU_ASSERT_FALSE(is_out(0));
	end();
}

static void told_by_the_peer(void)
{
	begin(3);
	struct outlier_report report = {
	    .left_us = 20 * S, .ejections = 2, .cause = OUTLIER_CONSECUTIVE};
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	CU_ASSERT_TRUE(is_out(0));
	CU_ASSERT_EQUAL(changes[0][OUTLIER_EJECTED], 1);
	/* The same again is no news, and what is too long is shortened. */
	report.left_us = 5000 * S;
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	CU_ASSERT_EQUAL(changes[0][OUTLIER_EJECTED], 1);
	CU_ASSERT_EQUAL(nth(0)->outlier.until_us, now_us + 100 * S);
	report.left_us = 20 * S;
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	step_after(20 * S);
	CU_ASSERT_FALSE(is_out(0));
	/* Its count goes on here. */
	fail(0, 1);
	step_after(0);
	CU_ASSERT_EQUAL(nth(0)->outlier.until_us, now_us + 90 * S);
	/* Back in, and on probation or not. */
	report = (struct outlier_report){.ejections = 3, .probation = true};
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	CU_ASSERT_FALSE(is_out(0));
	/* Said again, it does not begin anew. */
	uint64_t since_us = nth(0)->outlier.probation_us, ready_us = nth(0)->ready_us;
	CU_ASSERT_NOT_EQUAL(ready_us, 0);
	outlier_told(pool, nth(0), &settings, &report, now_us + S, on_change, &settings);
	CU_ASSERT_EQUAL(nth(0)->outlier.probation_us, since_us);
	CU_ASSERT_EQUAL(nth(0)->ready_us, ready_us); /* nor does slow start */
	CU_ASSERT_EQUAL(fail(0, 1), 1);
	report = (struct outlier_report){0};
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	step_after(0);
	CU_ASSERT_FALSE(is_out(0));
	CU_ASSERT_EQUAL(nth(0)->outlier.ejections, 0);
	/* In, and good for a while: its last ejection is over without a probation. */
	report = (struct outlier_report){.left_us = S, .ejections = 1};
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	report = (struct outlier_report){.ejections = 1};
	outlier_told(pool, nth(0), &settings, &report, now_us, on_change, &settings);
	CU_ASSERT_EQUAL(nth(0)->outlier.probation_us, 0);
	step_after(0);
	CU_ASSERT_EQUAL(fail(0, 4), 0);
	/* Causes and counts of another version. */
	report = (struct outlier_report){.left_us = 1, .ejections = 0, .cause = 77};
	outlier_told(pool, nth(1), &settings, &report, now_us, on_change, &settings);
	CU_ASSERT_TRUE(is_out(1));
	step_after(1);
	CU_ASSERT_FALSE(is_out(1));
	end();
}

/* Whatever happens, never more than the share is ejected, and never the last one. */
static void no_sequence_ejects_too_many(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint32_t n = 1 + (uint32_t)(hash_mix(seed) % MAX);
		begin(n);
		settings.max_ejected = (uint32_t)(hash_mix(seed + 1000) % 101);
		unsigned ever = 0;
		for (uint64_t i = 0; i < 3000; i++) {
			uint64_t dice = hash_mix(seed << 32 | i);
			uint32_t t = (uint32_t)(dice % n);
			switch (dice >> 40 & 7) {
			case 0: target_set_health(pool, nth(t), TARGET_DOWN, "", now_us); break;
			case 1:
			case 2: target_set_health(pool, nth(t), TARGET_UP, "", now_us); break;
			case 3:
				target_set_admin(pool, nth(t), (enum target_admin)(dice >> 50) % 3);
				break;
			case 4: good(t, 30, (dice >> 32) % (200 * MS)); break;
			default: fail(t, 1 + (unsigned)(dice % 7)); break;
			}
			step_after((dice >> 20) % (2 * S));
			uint32_t available = 0, out = 0;
			for (uint32_t k = 0; k < n; k++) {
				available += target_available(nth(k));
				out += target_available(nth(k)) && nth(k)->ejected;
			}
			ever += out;
			CU_ASSERT_TRUE(out * 100 <= available * settings.max_ejected);
			CU_ASSERT_TRUE(available == 0 || out < available);
		}
		CU_ASSERT_TRUE(ever > 0 || n * settings.max_ejected < 300);
		end();
	}
}

UNIT_MAIN("balance/outlier", UNIT(failures_in_a_row), UNIT(comes_back_on_probation),
    UNIT(is_forgiven), UNIT(is_forgiven_step_by_step), UNIT(by_rate), UNIT(by_latency),
    UNIT(a_slow_one_is_slow_again), UNIT(a_share_is_left), UNIT(comes_back_early_when_others_go),
    UNIT(not_below_the_panic_threshold), UNIT(who_is_down_is_not_ejected),
    UNIT(not_configured_any_more), UNIT(a_reload_keeps_it), UNIT(told_by_the_peer),
    UNIT(no_sequence_ejects_too_many))
