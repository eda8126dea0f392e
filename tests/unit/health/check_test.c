#include "daemon/health/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/hash.h"
#include "daemon/health/http_probe.h"
#include "tests/unit/unit.h"

/* Results in order ('+' or '-') and the health after each ('U', 'D'; '?' is where it starts). */
static void rise_and_fall(void)
{
	static const struct {
		enum target_health start;
		uint16_t rise, fall;
		const char *results, *health;
	} cases[] = {
	    {TARGET_UNKNOWN, 2, 3, "+", "U"},
	    {TARGET_UNKNOWN, 2, 3, "-", "D"},
	    {TARGET_UNKNOWN, 5, 5, "-++++-+++++", "DDDDDDDDDDU"},
	    {TARGET_UP, 2, 3, "---", "UUD"},
	    {TARGET_UP, 2, 3, "--+--+---", "UUUUUUUUD"},
	    {TARGET_UP, 2, 1, "-+-++", "DDDDU"},
	    {TARGET_DOWN, 2, 3, "++", "DU"},
	    {TARGET_DOWN, 1, 1, "-+-+", "DUDU"},
	    {TARGET_DOWN, 3, 3, "++-++-+++---", "DDDDDDDDUUUD"},
	    {TARGET_UP, 1, 1, "+++", "UUU"},
	    {TARGET_DOWN, 1, 1, "---", "DDD"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct target target = {.health = (uint8_t)cases[i].start};
		for (size_t k = 0; cases[i].results[k]; k++) {
			enum target_health now = health_step(
			    &target, cases[i].results[k] == '+', cases[i].rise, cases[i].fall);
			target.health = (uint8_t)now;
			enum target_health wanted =
			    cases[i].health[k] == 'U' ? TARGET_UP : TARGET_DOWN;
			CU_ASSERT_EQUAL(now, wanted);
		}
	}
}

static void counters_do_not_wrap(void)
{
	struct target target = {.health = TARGET_DOWN};
	for (int i = 0; i < 70000; i++)
		CU_ASSERT_EQUAL_FATAL(health_step(&target, false, 2, 3), TARGET_DOWN);
	CU_ASSERT_EQUAL(target.fall_count, UINT16_MAX);
	health_step(&target, true, 2, 3);
	CU_ASSERT_EQUAL(target.fall_count, 0);
	CU_ASSERT_EQUAL(target.rise_count, 1);
}

static void jitter_stays_within_five_per_cent(void)
{
	const uint64_t interval = 1000000, now = 12345;
	uint64_t least = UINT64_MAX, most = 0, sum = 0, n = 10000;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t wait = health_next_us(i % 7, i, interval, now) - now;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
		sum += wait;
	}
	CU_ASSERT_TRUE(least >= 950000 && least < 960000);
	CU_ASSERT_TRUE(most <= 1050000 && most > 1040000);
	CU_ASSERT_TRUE(sum / n > 997000 && sum / n < 1003000);
	CU_ASSERT_EQUAL(health_next_us(1, 1, 0, now), now);
}

static void the_interval_follows_the_state(void)
{
	static const struct {
		uint64_t fast_us, down_us;
		enum target_health health;
		bool in_doubt;
		uint64_t wanted_us;
	} cases[] = {
	    {0, 0, TARGET_UP, false, 100},
	    {0, 0, TARGET_UP, true, 100},
	    {0, 0, TARGET_DOWN, false, 100},
	    {0, 0, TARGET_UNKNOWN, false, 100},
	    {10, 30, TARGET_UP, false, 100},
	    {10, 30, TARGET_UP, true, 10},
	    {10, 30, TARGET_DOWN, false, 30},
	    {10, 30, TARGET_DOWN, true, 10},
	    {0, 30, TARGET_DOWN, true, 100},
	    {10, 0, TARGET_DOWN, false, 100},
	    {10, 30, TARGET_UNKNOWN, false, 100},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf_health health = {.interval_us = 100,
		    .fast_interval_us = cases[i].fast_us,
		    .down_interval_us = cases[i].down_us};
		CU_ASSERT_EQUAL(health_interval_us(&health, cases[i].health, cases[i].in_doubt),
		    cases[i].wanted_us);
	}
	/* In doubt: from the first result against the state to the verdict. */
	CU_ASSERT_EQUAL(health_doubts(TARGET_UP, 7, 0), 0);
	CU_ASSERT_EQUAL(health_doubts(TARGET_UP, 0, 2), 2);
	CU_ASSERT_EQUAL(health_doubts(TARGET_DOWN, 0, 7), 0);
	CU_ASSERT_EQUAL(health_doubts(TARGET_DOWN, 1, 0), 1);
	CU_ASSERT_EQUAL(health_doubts(TARGET_UNKNOWN, 1, 1), 0);
}

static void phases_are_spread(void)
{
	unsigned buckets[10] = {0};
	for (uint64_t id = 1; id <= 1000; id++) {
		uint64_t phase = health_phase_us(id, 10 * US_PER_SEC, false);
		CU_ASSERT_TRUE_FATAL(phase < US_PER_SEC);
		buckets[phase / (US_PER_SEC / 10)]++;
		CU_ASSERT_TRUE(health_phase_us(id, 50000, false) < 50000);
	}
	for (int i = 0; i < 10; i++)
		CU_ASSERT_TRUE(buckets[i] > 60 && buckets[i] < 140);
	CU_ASSERT_EQUAL(health_phase_us(1, 0, false), 0);
	CU_ASSERT_EQUAL(health_phase_us(1, 0, true), 0);
}

/* 1,000 targets with a check each two seconds, so that the pace is 25 in 50 ms and 500 in a second.
 * How many begin at most in a second, and in 50 ms, of 20 seconds after `from_us`. */
static void measure_pace(bool known, uint64_t from_us, unsigned *in_a_second, unsigned *in_50_ms)
{
	const uint64_t interval_us = 2 * US_PER_SEC;
	unsigned buckets[400] = {0};
	for (uint64_t n = 1; n <= 1000; n++) {
		uint64_t id = hash_mix(n), round = 0;
		uint64_t at_us = health_phase_us(id, interval_us, known);
		while (at_us < from_us + 20 * US_PER_SEC) {
			if (at_us >= from_us)
				buckets[(at_us - from_us) / 50000]++;
			bool hurried = !known && round == 0;
			round++;
			at_us = hurried ? health_spread_us(id, interval_us, at_us)
					: health_next_us(id, round, interval_us, at_us);
		}
		CU_ASSERT_TRUE_FATAL(round >= 8);
	}
	*in_a_second = *in_50_ms = 0;
	unsigned second = 0;
	for (size_t i = 0; i < 400; i++) {
		second = second + buckets[i] - (i >= 20 ? buckets[i - 20] : 0);
		*in_50_ms = buckets[i] > *in_50_ms ? buckets[i] : *in_50_ms;
		*in_a_second = second > *in_a_second ? second : *in_a_second;
	}
}

/* From the first moment on checks start as often as ever after; by chance a little more often. */
static void a_takeover_is_no_storm(void)
{
	unsigned in_a_second, in_50_ms;
	measure_pace(true, 0, &in_a_second, &in_50_ms);
	printf("at most %u in 50 ms, %u in a second ", in_50_ms, in_a_second);
	CU_ASSERT_TRUE(in_50_ms >= 25 && in_50_ms <= 50);
	CU_ASSERT_TRUE(in_a_second >= 500 && in_a_second <= 600);
}

/* All of them at once, to know soon; but that does not come again with each interval. */
static void a_start_is_one_storm(void)
{
	unsigned in_a_second, in_50_ms;
	measure_pace(false, 0, &in_a_second, &in_50_ms);
	CU_ASSERT_EQUAL(in_a_second, 1000);
	measure_pace(false, US_PER_SEC, &in_a_second, &in_50_ms);
	printf("then at most %u in 50 ms, %u in a second ", in_50_ms, in_a_second);
	CU_ASSERT_TRUE(in_50_ms >= 25 && in_50_ms <= 50);
	CU_ASSERT_TRUE(in_a_second >= 500 && in_a_second <= 600);
}

static void reads_the_status_line(void)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
	    {"HTTP/1.1 200 OK\r\n", 200},
	    {"HTTP/1.0 503 ", 503},
	    {"HTTP/1.1 404\r\n", 404},
	    {"HTTP/1.1 404\n", 404},
	    {"HTTP/1.1 2000 OK\r\n", -EPROTO},
	    {"HTTP/1.1 20 OK\r\n", -EPROTO},
	    {"HTTP/1.1  200 OK\r\n", -EPROTO},
	    {"HTTP/1.1 -20 OK\r\n", -EPROTO},
	    {"HTTP/1.1 000 OK\r\n", -EPROTO},
	    {"HTTP/1.1 600 OK\r\n", -EPROTO},
	    {"HTTP/1.x 200 OK\r\n", -EPROTO},
	    {"HTTP/2.0 200 OK\r\n", -EPROTO},
	    {"http/1.1 200 OK\r\n", -EPROTO},
	    {"SSH-2.0-OpenSSH", -EPROTO},
	    {"S", -EPROTO},
	    {"\r\nHTTP/1.1 200 OK", -EPROTO},
	    {"HTTP/1.1 200", -EAGAIN},
	    {"", -EAGAIN},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(
		    http_probe_status(cases[i].text, strlen(cases[i].text)), cases[i].status);
	static const char good[] = "HTTP/1.1 204 No Content\r\n";
	for (size_t len = 0; len < sizeof(good); len++)
		CU_ASSERT_EQUAL(
		    http_probe_status(good, len), len < HTTP_PROBE_LINE_MIN ? -EAGAIN : 204);
}

static void writes_the_request(void)
{
	struct conf_health health = {
	    .kind = CONF_HEALTH_HTTP, .path = "/healthz", .method = "HEAD", .host = NULL};
	size_t len = 0;
	char *text = http_probe_request(&health, "192.0.2.21:8080", &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(len, strlen(text));
	static const char start[] = "HEAD /healthz HTTP/1.1\r\nHost: 192.0.2.21:8080\r\n";
	CU_ASSERT_EQUAL(strncmp(text, start, sizeof(start) - 1), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\nConnection: close\r\n"));
	CU_ASSERT_STRING_EQUAL(text + len - 4, "\r\n\r\n");
	free(text);
	health.host = "www.example.org";
	text = http_probe_request(&health, "192.0.2.21:8080", &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\nHost: www.example.org\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\nUser-Agent: yoke-health/"));
	free(text);
	struct route_field fields[] = {{"X-A", "1"}, {"user-agent", "me"}};
	health.headers = fields;
	health.n_headers = 2;
	text = http_probe_request(&health, "192.0.2.21:8080", &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(len, strlen(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\nX-A: 1\r\nuser-agent: me\r\n\r\n"));
	CU_ASSERT_PTR_NULL(strstr(text, "yoke-health"));
	free(text);
}

UNIT_MAIN("health/check", UNIT(rise_and_fall), UNIT(counters_do_not_wrap),
    UNIT(jitter_stays_within_five_per_cent), UNIT(the_interval_follows_the_state),
    UNIT(phases_are_spread), UNIT(a_takeover_is_no_storm), UNIT(a_start_is_one_storm),
    UNIT(reads_the_status_line), UNIT(writes_the_request))
