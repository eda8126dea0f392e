/* Single values: units, exactness, limits, canonical texts. */
#include <errno.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/value.h"
#include "tests/unit/unit.h"

static void parses_durations(void)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {{"0s", 0}, {"1us", 1}, {"1ms", 1000}, {"100ms", 100000}, {"1s", 1000000},
	    {"40.95s", 40950000}, {"0.000001s", 1}, {"1.5m", 90000000}, {"1h", 3600000000},
	    {"365d", 31536000000000}, {"0.5ms", 500}, {"007s", 7000000},
	    {"18446744073709551615us", UINT64_MAX}};
	static const char *const bad[] = {"", "s", "1", "1 s", " 1s", "1s ", "-1s", "+1s", "1.s",
	    ".5s", "1..5s", "1.5.5s", "1sec", "1S", "1MS", "1e3s", "0x1s", "1.0000001s", "0.5us",
	    "18446744073709551616us", "99999999999999999999s", "213503983d", "1h30m", "1,5s"};
	uint64_t us = 77;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(value_parse_duration(good[i].text, &us));
		CU_ASSERT_EQUAL(us, good[i].us);
	}
	us = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(value_parse_duration(bad[i], &us));
	CU_ASSERT_EQUAL(us, 77);
}

static void parses_sizes(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0B", 0}, {"1B", 1}, {"16KiB", 16384}, {"1.5KiB", 1536}, {"4MiB", 4194304},
	    {"1GiB", 1073741824}};
	static const char *const bad[] = {
	    "", "16", "16K", "16k", "16KB", "16kib", "0.3B", "-1B", "17179869184GiB"};
	uint64_t bytes;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_TRUE(value_parse_size(good[i].text, &bytes));
		CU_ASSERT_EQUAL(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_FALSE(value_parse_size(bad[i], &bytes));
}

/* What is printed parses to the same. */
static void formats_what_it_parses(void)
{
	static const struct {
		uint64_t us;
		const char *text;
	} durations[] = {{0, "0s"}, {1, "1us"}, {1500, "1500us"}, {10000, "10ms"}, {1000000, "1s"},
	    {40950000, "40.95s"}, {60000000, "1m"}, {90000000, "90s"}, {3600000000, "1h"},
	    {604800000000, "7d"}, {2001000, "2001ms"}};
	char buf[32];
	uint64_t us;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		value_format_number(CONF_DURATION, durations[i].us, buf, sizeof(buf));
		CU_ASSERT_STRING_EQUAL(buf, durations[i].text);
		CU_ASSERT_TRUE(value_parse_duration(buf, &us));
		CU_ASSERT_EQUAL(us, durations[i].us);
	}
	CU_ASSERT_STRING_EQUAL(value_format_number(CONF_SIZE, 16384, buf, sizeof(buf)), "16KiB");
	CU_ASSERT_STRING_EQUAL(value_format_number(CONF_SIZE, 1000, buf, sizeof(buf)), "1000B");
	CU_ASSERT_STRING_EQUAL(value_format_number(CONF_SIZE, 0, buf, sizeof(buf)), "0B");
	CU_ASSERT_STRING_EQUAL(value_format_number(CONF_INT, 256, buf, sizeof(buf)), "256");
}

static void parses_rates(void)
{
	static const struct conf_key key = {
	    "rate", CONF_RATE, 0, sizeof(struct limit_rate), .min = 1, .max = 1000000};
	static const struct {
		const char *text;
		uint32_t count, period_s;
	} good[] = {
	    {"1/s", 1, 1}, {"600/m", 600, 60}, {"1000000/h", 1000000, 3600}, {"5/d", 5, 86400}};
	static const char *const bad[] = {"", "/s", "1", "1/", "0/s", "1000001/s", "1 /s", "1/S",
	    "1/ms", "1.5/s", "-1/s", "1/s ", "18446744073709551617/s"};
	struct limit_rate rate = {7, 7};
	struct arena arena;
	struct err err = {0};
	char text[VALUE_TEXT_MAX];
	arena_init(&arena);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(
		    value_parse(&key, NODE_STRING, bad[i], bad[i], &arena, &rate, &err), -EINVAL);
	CU_ASSERT(rate.count == 7 && rate.period_s == 7);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(
		    value_parse(&key, NODE_STRING, good[i].text, good[i].text, &arena, &rate, &err),
		    0);
		CU_ASSERT(rate.count == good[i].count && rate.period_s == good[i].period_s);
		CU_ASSERT_STRING_EQUAL(value_format(&key, &rate, text), good[i].text);
	}
	rate = (struct limit_rate){0};
	CU_ASSERT_STRING_EQUAL(value_format(&key, &rate, text), "");
	arena_fini(&arena);
}

static void parses_rates_of_bytes(void)
{
	static const struct conf_key key = {
	    "rate", CONF_BYTE_RATE, 0, sizeof(uint64_t), .max = 1 << 30};
	static const char *const bad[] = {
	    "", "/s", "1", "1B", "1KiB/m", "1/s", "1KiB /s", "00000000000000000000000000000001B/s"};
	uint64_t rate = 7;
	struct arena arena;
	struct err err = {0};
	char text[VALUE_TEXT_MAX];
	arena_init(&arena);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(
		    value_parse(&key, NODE_STRING, bad[i], bad[i], &arena, &rate, &err), -EINVAL);
	CU_ASSERT_EQUAL(rate, 7);
	CU_ASSERT_EQUAL(
	    value_parse(&key, NODE_STRING, "1.5KiB/s", "1.5KiB/s", &arena, &rate, &err), 0);
	CU_ASSERT_EQUAL(rate, 1536);
	CU_ASSERT_STRING_EQUAL(value_format(&key, &rate, text), "1536B/s");
	arena_fini(&arena);
}

static void leaves_the_field_alone_on_failure(void)
{
	static const struct conf_key key = {"weight", CONF_INT, 0, 2, .min = 1, .max = 256};
	struct arena arena;
	struct err err = {0};
	uint16_t field = 7;
	arena_init(&arena);
	CU_ASSERT_EQUAL(
	    value_parse(&key, NODE_NUMBER, "300", "300", &arena, &field, &err), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err.text, "300 is not in 1..256");
	CU_ASSERT_EQUAL(field, 7);
	CU_ASSERT_EQUAL(value_parse(&key, NODE_NUMBER, "256", "256", &arena, &field, &err), 0);
	CU_ASSERT_EQUAL(field, 256);
	CU_ASSERT_EQUAL(value_parse(&key, NODE_NUMBER, "-0", "-0", &arena, &field, &err), -EINVAL);
	arena_fini(&arena);
}

UNIT_MAIN("conf/value", UNIT(parses_durations), UNIT(parses_sizes), UNIT(formats_what_it_parses),
    UNIT(parses_rates), UNIT(parses_rates_of_bytes), UNIT(leaves_the_field_alone_on_failure))
