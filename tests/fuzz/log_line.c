/* Any bytes as what strangers sent: the line is one line, of the length that was promised, valid JSON
 * and UTF-8, or has the quotes that its reader counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/accesslog/line.h"
#include "tests/fuzz/fuzz.h"

/* Four bytes say how long a text is, and more; the texts follow. */
static struct slice next_text(const uint8_t **data, size_t *size)
{
	size_t len = *size > 2 ? (*data)[0] | (size_t)(*data)[1] << 8 : 0;
	struct slice text = {(const char *)*data, 0};
	if (*size <= 2)
		return text;
	*data += 2, *size -= 2;
	text.p = (const char *)*data;
	text.len = len < *size ? len : *size;
	*data += text.len, *size -= text.len;
	return text;
}

/* A text of JSON from behind its quote; returns where its end quote is. */
static const uint8_t *skip_string(const uint8_t *p)
{
	while (*p != '"') {
		require(*p >= 0x20 && *p != 0x7f);
		if (*p == '\\') {
			p++;
			require(*p == '"' || *p == '\\' || *p == 'u');
			for (int i = 1; i < 5 && *p == 'u'; i++)
				require(strchr("0123456789abcdef", p[i]) && p[i]);
			p += *p == 'u' ? 5 : 1;
		} else if (*p < 0x80) {
			p++;
		} else {
			/* By the number of leading ones; values as RFC 3629 wants them. */
			int len = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
			uint32_t value = *p & (0xffU >> (len + 1));
			require(*p >= 0xc2 && *p <= 0xf4);
			for (int i = 1; i < len; i++) {
				require((p[i] & 0xc0) == 0x80);
				value = value << 6 | (p[i] & 0x3f);
			}
			require(value >= (len == 2 ? 0xa0U : len == 3 ? 0x800U : 0x10000U));
			require(value <= 0x10ffff && (value < 0xd800 || value > 0xdfff));
			p += len;
		}
	}
	return p;
}

static const uint8_t *skip_number(const uint8_t *p)
{
	require(*p >= '0' && *p <= '9');
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

static void require_json(const char *line, size_t len)
{
	const uint8_t *p = (const uint8_t *)line, *end = p + len;
	require(*p == '{');
	do {
		require(p[1] == '"');
		p = skip_string(p + 2);
		require(p[1] == ':');
		p += 2;
		if (*p == '"')
			p = skip_string(p + 1) + 1;
		else if (*p == 't' || *p == 'f')
			p += *p == 't' ? 4 : 5;
		else
			p = skip_number(p);
	} while (*p == ',');
	require(p[0] == '}' && p[1] == '\n' && p + 2 == end);
}

static void require_combined(const char *line, size_t len)
{
	unsigned quotes = 0;
	for (size_t i = 0; i < len - 1; i++) {
		require(line[i] >= 0x20 && line[i] < 0x7f);
		quotes += line[i] == '"';
	}
	require(quotes == 6 && line[len - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct addr client = {.in6 = {.sin6_family = AF_INET6}};
	struct access_date date = {0};
	struct access_entry entry = {.client = &client, .listener = "web", .http = true};
	if (size < 8)
		return 0;
	memcpy(&client.in6.sin6_addr, data, 8);
	memcpy(&entry.bytes_out, data, 8);
	entry.status = (uint16_t)(data[0] | data[1] << 8);
	entry.minor = data[2] & 1;
	entry.sticky = (enum access_sticky)(data[3] & 3);
	entry.time_us = entry.bytes_out >> 10;
	data += 8, size -= 8;
	struct slice *const texts[] = {&entry.method, &entry.host, &entry.path, &entry.query,
	    &entry.user_agent, &entry.referer};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*texts[i] = next_text(&data, &size);
	char *line = malloc(ACCESS_LINE_MAX);
	require(line != NULL);
	size_t len = access_json(&entry, &date, line);
	require(len > 0 && len <= ACCESS_LINE_MAX);
	require_json(line, len);
	len = access_combined(&entry, &date, line);
	require(len > 0 && len <= ACCESS_LINE_MAX);
	require_combined(line, len);
	free(line);
	return 0;
}
