#include "daemon/accesslog/line.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/unit.h"

typedef size_t line_fn(
    const struct access_entry *entry, struct access_date *date, char out[ACCESS_LINE_MAX]);

/* The line lies in a heap block of exactly its greatest length, so that a sanitizer sees a byte too
 * many. The caller frees it. */
static char *write_line(line_fn *write, const struct access_entry *entry)
{
	struct access_date date = {0};
	char *line = malloc(ACCESS_LINE_MAX);
	CU_ASSERT_PTR_NOT_NULL_FATAL(line);
	size_t len = write(entry, &date, line);
	CU_ASSERT_FATAL(len > 0 && len <= ACCESS_LINE_MAX);
	CU_ASSERT_EQUAL(line[len - 1], '\n');
	line[len - 1] = '\0';
	CU_ASSERT_EQUAL(strlen(line), len - 1);
	CU_ASSERT_PTR_NULL(strchr(line, '\n'));
	return line;
}

static void check(line_fn *write, const struct access_entry *entry, const char *expected)
{
	char *line = write_line(write, entry);
	CU_ASSERT_STRING_EQUAL(line, expected);
	if (strcmp(line, expected) != 0)
		printf("\ngot      %s\nexpected %s\n", line, expected);
	free(line);
}

static struct addr client_at(const char *text)
{
	struct addr addr;
	CU_ASSERT_TRUE_FATAL(addr_parse_endpoint(text, &addr));
	return addr;
}

#define WALL_US 1795857885123456ULL /* 2026-11-28 09:24:45.123 */

static void requests(void)
{
	struct addr client = client_at("192.0.2.1:51234");
	struct access_entry entry = {
	    .time_us = WALL_US,
	    .client = &client,
	    .listener = "web",
	    .route = "static",
	    .pool = "app",
	    .target = "192.0.2.21:8080",
	    .http = true,
	    .sticky = ACCESS_STICKY_HIT,
	    .retries = 1,
	    .bytes_in = 120,
	    .bytes_out = 1234,
	    .body_out = 1100,
	    .connect_us = 99,
	    .response_us = 10000,
	    .total_us = 4294967296,
	    .method = SLICE("GET"),
	    .host = SLICE("example.org"),
	    .path = SLICE("/a/b"),
	    .query = SLICE("q=1"),
	    .user_agent = SLICE("curl/7.88.1"),
	    .referer = SLICE("http://example.org/"),
	    .minor = 1,
	    .status = 200,
	    .reused = true,
	    .pooled = true,
	};
	check(access_json, &entry,
	    "{\"time\":\"2026-11-28T09:24:45.123Z\",\"listener\":\"web\","
	    "\"client\":\"192.0.2.1:51234\",\"method\":\"GET\",\"host\":\"example.org\","
	    "\"path\":\"/a/b\",\"query\":\"q=1\",\"protocol\":\"HTTP/1.1\",\"status\":200,"
	    "\"route\":\"static\",\"pool\":\"app\",\"target\":\"192.0.2.21:8080\","
	    "\"sticky\":\"hit\",\"retries\":1,\"bytes_in\":120,\"bytes_out\":1234,"
	    "\"request_us\":0,\"connect_us\":99,\"response_us\":10000,\"total_us\":4294967296,"
	    "\"reused\":true,\"pooled\":true,\"user_agent\":\"curl/7.88.1\","
	    "\"referer\":\"http://example.org/\"}");
	check(access_combined, &entry,
	    "192.0.2.1 - - [28/Nov/2026:09:24:45 +0000] \"GET /a/b?q=1 HTTP/1.1\" 200 1100 "
	    "\"http://example.org/\" \"curl/7.88.1\"");
}

/* What there is not has no field. */
static void refused_requests(void)
{
	struct addr client = client_at("[2001:db8::1]:443");
	struct access_entry entry = {
	    .time_us = WALL_US,
	    .client = &client,
	    .listener = "web",
	    .why = "bad_host",
	    .http = true,
	    .sample = 10,
	    .bytes_in = 31,
	    .bytes_out = 150,
	    .body_out = 16,
	    .connect_us = ACCESS_UNKNOWN,
	    .response_us = ACCESS_UNKNOWN,
	    .total_us = 7,
	    .status = 400,
	};
	check(access_json, &entry,
	    "{\"time\":\"2026-11-28T09:24:45.123Z\",\"listener\":\"web\","
	    "\"client\":\"[2001:db8::1]:443\",\"status\":400,\"why\":\"bad_host\",\"retries\":0,"
	    "\"bytes_in\":31,\"bytes_out\":150,\"request_us\":0,\"total_us\":7,"
	    "\"reused\":false,\"sample\":10}");
	check(access_combined, &entry,
	    "2001:db8::1 - - [28/Nov/2026:09:24:45 +0000] \"-\" 400 16 \"-\" \"-\"");
	entry.status = 0;
	check(access_combined, &entry,
	    "2001:db8::1 - - [28/Nov/2026:09:24:45 +0000] \"-\" 499 16 \"-\" \"-\"");
}

static void tcp_connections(void)
{
	struct addr client = client_at("192.0.2.1:51234");
	struct access_entry entry = {
	    .time_us = WALL_US,
	    .client = &client,
	    .listener = "mail",
	    .pool = "mx",
	    .target = "192.0.2.25:25",
	    .why = "client_closed",
	    .sticky = ACCESS_STICKY_NEW,
	    .bytes_in = 1,
	    .bytes_out = 22,
	    .request_us = ACCESS_UNKNOWN,
	    .queue_us = 22,
	    .connect_us = 333,
	    .response_us = ACCESS_UNKNOWN,
	    .total_us = 4444,
	};
	check(access_json, &entry,
	    "{\"time\":\"2026-11-28T09:24:45.123Z\",\"listener\":\"mail\","
	    "\"client\":\"192.0.2.1:51234\",\"protocol\":\"TCP\",\"why\":\"client_closed\","
	    "\"pool\":\"mx\",\"target\":\"192.0.2.25:25\",\"sticky\":\"new\",\"retries\":0,"
	    "\"bytes_in\":1,\"bytes_out\":22,\"queue_us\":22,\"connect_us\":333,\"total_us\":"
	    "4444}");
}

static void udp_sessions(void)
{
	struct addr client = client_at("192.0.2.1:51234");
	struct access_entry entry = {
	    .time_us = WALL_US,
	    .client = &client,
	    .listener = "dns",
	    .pool = "resolvers",
	    .target = "192.0.2.53:53",
	    .why = "answered",
	    .bytes_in = 33,
	    .bytes_out = 120,
	    .datagrams_in = 1,
	    .datagrams_out = 2,
	    .request_us = ACCESS_UNKNOWN,
	    .connect_us = ACCESS_UNKNOWN,
	    .response_us = ACCESS_UNKNOWN,
	    .total_us = 4444,
	};
	check(access_json, &entry,
	    "{\"time\":\"2026-11-28T09:24:45.123Z\",\"listener\":\"dns\","
	    "\"client\":\"192.0.2.1:51234\",\"protocol\":\"UDP\",\"why\":\"answered\","
	    "\"pool\":\"resolvers\",\"target\":\"192.0.2.53:53\",\"retries\":0,"
	    "\"bytes_in\":33,\"bytes_out\":120,\"datagrams_in\":1,\"datagrams_out\":2,"
	    "\"total_us\":4444}");
}

/* A text of strangers, and how it is written. Long enough for each way of copying: the special
 * character moves over all places of a word of eight bytes. */
static void check_escape(const char *text, size_t len, const char *json, const char *combined)
{
	struct addr client = client_at("192.0.2.1:1");
	for (size_t before = 0; before < 17; before++) {
		char path[128], expected[256];
		memset(path, 'a', sizeof(path));
		memcpy(path + before, text, len);
		struct access_entry entry = {.client = &client,
		    .listener = "l",
		    .http = true,
		    .method = SLICE("GET"),
		    .path = {path, before + len + 16}};
		char *line = write_line(access_json, &entry);
		snprintf(expected, sizeof(expected), "\"path\":\"%.*s%s%.*s\"", (int)before,
		    "aaaaaaaaaaaaaaaaa", json, 16, "aaaaaaaaaaaaaaaaa");
		CU_ASSERT_PTR_NOT_NULL(strstr(line, expected));
		if (!strstr(line, expected))
			printf("\nno %s in\n   %s\n", expected, line);
		CU_ASSERT_PTR_NULL(strstr(line, "\"cut\""));
		free(line);
		line = write_line(access_combined, &entry);
		snprintf(expected, sizeof(expected), "\"GET %.*s%s%.*s HTTP/1.0\"", (int)before,
		    "aaaaaaaaaaaaaaaaa", combined, 16, "aaaaaaaaaaaaaaaaa");
		CU_ASSERT_PTR_NOT_NULL(strstr(line, expected));
		free(line);
	}
}

static void escapes(void)
{
	static const struct {
		const char *text, *json, *combined;
	} rows[] = {
	    {"\"", "\\\"", "\\x22"},
	    {"\\", "\\\\", "\\x5c"},
	    {"\n", "\\u000a", "\\x0a"},
	    {"\r\n", "\\u000d\\u000a", "\\x0d\\x0a"},
	    {"\x1b[2J", "\\u001b[2J", "\\x1b[2J"},
	    {"\x01", "\\u0001", "\\x01"},
	    {"\x1f", "\\u001f", "\\x1f"},
	    {" ~", " ~", " ~"},
	    {"\x7f", "\\u007f", "\\x7f"},
	    /* UTF-8 of each length, the first and last ones */
	    {"\xc2\xa0", "\xc2\xa0", "\\xc2\\xa0"},
	    {"\xc3\xa9", "\xc3\xa9", "\\xc3\\xa9"},
	    {"\xdf\xbf", "\xdf\xbf", "\\xdf\\xbf"},
	    {"\xe0\xa0\x80", "\xe0\xa0\x80", "\\xe0\\xa0\\x80"},
	    {"\xed\x9f\xbf", "\xed\x9f\xbf", "\\xed\\x9f\\xbf"},
	    {"\xee\x80\x80", "\xee\x80\x80", "\\xee\\x80\\x80"},
	    {"\xf0\x90\x80\x80", "\xf0\x90\x80\x80", "\\xf0\\x90\\x80\\x80"},
	    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf", "\\xf4\\x8f\\xbf\\xbf"},
	    /* control characters of two bytes */
	    {"\xc2\x80", "\\u00c2\\u0080", "\\xc2\\x80"},
	    {"\xc2\x9b", "\\u00c2\\u009b", "\\xc2\\x9b"},
	    /* overlong, surrogates, too large, cut, alone */
	    {"\xc0\xaf", "\\u00c0\\u00af", "\\xc0\\xaf"},
	    {"\xc1\xbf", "\\u00c1\\u00bf", "\\xc1\\xbf"},
	    {"\xe0\x9f\xbf", "\\u00e0\\u009f\\u00bf", "\\xe0\\x9f\\xbf"},
	    {"\xed\xa0\x80", "\\u00ed\\u00a0\\u0080", "\\xed\\xa0\\x80"},
	    {"\xf0\x8f\xbf\xbf", "\\u00f0\\u008f\\u00bf\\u00bf", "\\xf0\\x8f\\xbf\\xbf"},
	    {"\xf4\x90\x80\x80", "\\u00f4\\u0090\\u0080\\u0080", "\\xf4\\x90\\x80\\x80"},
	    {"\xf5", "\\u00f5", "\\xf5"},
	    {"\xe2\x82", "\\u00e2\\u0082", "\\xe2\\x82"},
	    {"\xc3\"", "\\u00c3\\\"", "\\xc3\\x22"},
	    {"\x80", "\\u0080", "\\x80"},
	    {"\xff", "\\u00ff", "\\xff"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_escape(rows[i].text, strlen(rows[i].text), rows[i].json, rows[i].combined);
	check_escape("\0", 1, "\\u0000", "\\x00");
}

/* A character that is cut at the end of its text is none. */
static void characters_at_the_end(void)
{
	struct addr client = client_at("192.0.2.1:1");
	char *text = malloc(3); /* a sanitizer sees what is read behind it */
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memcpy(text, "\xf0\x90\x80", 3);
	for (size_t len = 1; len <= 3; len++) {
		struct access_entry entry = {.client = &client,
		    .listener = "l",
		    .http = true,
		    .method = SLICE("GET"),
		    .path = {text + 3 - len, len}};
		free(write_line(access_json, &entry));
		free(write_line(access_combined, &entry));
	}
	free(text);
}

/* Fills every field with as much as there can be. */
static void fill(struct access_entry *entry, const struct addr *client, struct slice text)
{
	static char name[64];
	static const char address[] = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
	memset(name, 'n', 63);
	*entry = (struct access_entry){
	    .time_us = WALL_US,
	    .client = client,
	    .listener = name,
	    .route = name,
	    .pool = name,
	    .target = name,
	    .why = name,
	    .chosen = "balanced",
	    .tier = "fail_open",
	    .failed = {{address, "response_timeout"}, {address, "response_timeout"},
		{address, "response_timeout"}},
	    .n_failed = ACCESS_FAILED_MAX,
	    .http = true,
	    .sticky = ACCESS_STICKY_MOVED,
	    .retries = UINT32_MAX,
	    .sample = UINT32_MAX,
	    .bytes_in = UINT64_MAX,
	    .bytes_out = UINT64_MAX,
	    .body_out = UINT64_MAX,
	    .request_us = UINT64_MAX - 1,
	    .queue_us = UINT64_MAX - 1,
	    .connect_us = UINT64_MAX - 1,
	    .response_us = UINT64_MAX - 1,
	    .total_us = UINT64_MAX,
	    .method = text,
	    .host = text,
	    .path = text,
	    .query = text,
	    .user_agent = text,
	    .referer = text,
	    .status = UINT16_MAX,
	};
}

static void the_longest_lines(void)
{
	static const char *const units[] = {
	    "a", "\"", "\x01", "\xc3\xa9", "\xf0\x90\x80\x80", "a\x80"};
	struct addr client = client_at("[1111:2222:3333:4444:5555:6666:7777:8888]:65535");
	char text[40000];
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		struct access_entry entry;
		size_t unit = strlen(units[u]), len = sizeof(text) / unit * unit;
		for (size_t i = 0; i < len; i += unit)
			memcpy(text + i, units[u], unit);
		fill(&entry, &client, (struct slice){text, len});
		char *line = write_line(access_json, &entry);
		CU_ASSERT_PTR_NOT_NULL(strstr(line, ",\"cut\":true,\"sample\""));
		free(line);
		free(write_line(access_combined, &entry));
	}
}

/* At its greatest length a text is whole, one byte more and it is cut. */
static void cutting(void)
{
	struct addr client = client_at("192.0.2.1:1");
	char path[ACCESS_PATH_MAX + 8];
	memset(path, 'p', sizeof(path));
	for (size_t over = 0; over < 2; over++) {
		struct access_entry entry = {.client = &client,
		    .listener = "l",
		    .http = true,
		    .method = SLICE("GET"),
		    .path = {path, ACCESS_PATH_MAX + over}};
		char *line = write_line(access_json, &entry);
		char *start = strstr(line, "\"path\":\"");
		CU_ASSERT_PTR_NOT_NULL_FATAL(start);
		CU_ASSERT_EQUAL(strspn(start + 8, "p"), ACCESS_PATH_MAX);
		CU_ASSERT_EQUAL(strstr(line, "\"cut\":true") != NULL, over == 1);
		free(line);
	}
	/* no half of an escape or of a character */
	static const char *const ends[] = {"\"", "\x01", "\xc3\xa9", "\xf0\x90\x80\x80"};
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		memcpy(path + ACCESS_PATH_MAX - 1, ends[i], strlen(ends[i]));
		struct access_entry entry = {.client = &client,
		    .listener = "l",
		    .http = true,
		    .method = SLICE("GET"),
		    .path = {path, ACCESS_PATH_MAX + 4}};
		char *line = write_line(access_json, &entry);
		char *start = strstr(line, "\"path\":\"");
		CU_ASSERT_PTR_NOT_NULL_FATAL(start);
		CU_ASSERT_EQUAL(strspn(start + 8, "p"), ACCESS_PATH_MAX - 1);
		CU_ASSERT_EQUAL(start[8 + ACCESS_PATH_MAX - 1], '"');
		free(line);
	}
}

/* As the C library says: the ends of months and years, leap years, random moments. */
static void dates(void)
{
	struct access_date date = {0};
	struct addr client = client_at("192.0.2.1:1");
	for (uint64_t i = 0; i < 60000; i++) {
		/* every second around midnight, for 40 years, then longer steps */
		uint64_t sec = i < 30000 ? i / 2 * 86400 + 86399 + i % 2 : i * 4000037;
		time_t t = (time_t)sec;
		struct tm tm;
		char json[64], combined[64], line[ACCESS_LINE_MAX + 1];
		gmtime_r(&t, &tm);
		if (tm.tm_year + 1900 > 9999)
			break;
		strftime(json, sizeof(json), "{\"time\":\"%Y-%m-%dT%H:%M:%S.007Z\"", &tm);
		strftime(
		    combined, sizeof(combined), "192.0.2.1 - - [%d/%b/%Y:%H:%M:%S +0000]", &tm);
		struct access_entry entry = {.time_us = sec * 1000000 + 7999,
		    .client = &client,
		    .listener = "l",
		    .http = true};
		line[access_json(&entry, &date, line)] = '\0';
		CU_ASSERT_EQUAL(strncmp(line, json, strlen(json)), 0);
		line[access_combined(&entry, &date, line)] = '\0';
		CU_ASSERT_EQUAL(strncmp(line, combined, strlen(combined)), 0);
		if (strncmp(line, combined, strlen(combined)) != 0) {
			printf("\n%s\n%.40s\n", combined, line);
			break;
		}
	}
}

UNIT_MAIN("accesslog/line", UNIT(requests), UNIT(refused_requests), UNIT(tcp_connections),
    UNIT(udp_sessions), UNIT(escapes), UNIT(characters_at_the_end), UNIT(the_longest_lines),
    UNIT(cutting), UNIT(dates))
