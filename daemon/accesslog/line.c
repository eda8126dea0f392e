#include "daemon/accesslog/line.h"

#include <string.h>

#include "daemon/base/clock.h"

#define SEC_PER_DAY 86400U

static char *put(char *at, const char *p, size_t len)
{
	memcpy(at, p, len);
	return at + len;
}

#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

static char *put_text(char *at, const char *text)
{
	return put(at, text, strlen(text));
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

static char *put_2(char *at, unsigned n)
{
	return put(at, pairs + 2 * n, 2);
}

static char *put_number(char *at, uint64_t n)
{
	char digits[20], *end = digits + sizeof(digits), *p = end;
	for (; n >= 100; n /= 100) {
		p -= 2;
		put_2(p, (unsigned)(n % 100));
	}
	if (n >= 10) {
		p -= 2;
		put_2(p, (unsigned)n);
	} else {
		*--p = (char)('0' + n);
	}
	return put(at, p, (size_t)(end - p));
}

/* --- the date --- */

/* The Gregorian calendar, from days since 1970. Years begin in March here, so that the leap day is
 * the last one. */
static void set_date(struct access_date *date, uint64_t sec)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	unsigned days = (unsigned)(sec / SEC_PER_DAY) + 719468; /* since 0000-03-01 */
	unsigned era = days / 146097, day_of_era = days % 146097;
	unsigned year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned from_march = (5 * day_of_year + 2) / 153;
	unsigned day = day_of_year - (153 * from_march + 2) / 5 + 1;
	unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;
	unsigned year = era * 400 + year_of_era + (month <= 2);
	unsigned of_day = (unsigned)(sec % SEC_PER_DAY);
	char clock[8];
	put_2(clock, of_day / 3600);
	clock[2] = clock[5] = ':';
	put_2(clock + 3, of_day / 60 % 60);
	put_2(clock + 6, of_day % 60);

	char *at = date->json;
	at = put_2(put_2(at, year / 100 % 100), year % 100);
	*at++ = '-';
	at = put_2(at, month);
	*at++ = '-';
	at = put_2(at, day);
	*at++ = 'T';
	put(at, clock, sizeof(clock));

	at = put_2(date->combined, day);
	*at++ = '/';
	at = put(at, months + 3 * (month - 1), 3);
	*at++ = '/';
	at = put_2(put_2(at, year / 100 % 100), year % 100);
	*at++ = ':';
	put(at, clock, sizeof(clock));
	date->sec = sec;
}

static void move_date(struct access_date *date, uint64_t time_us)
{
	uint64_t sec = time_us / US_PER_SEC;
	if (sec != date->sec || !date->json[0])
		set_date(date, sec);
}

/* --- what strangers sent --- */

/* Eight bytes at a time: is one of them below 0x20, above 0x7e, a quote or a backslash? */
static bool has_special(uint64_t word)
{
	const uint64_t ones = UINT64_MAX / 255, tops = ones * 0x80;
	uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\', del = word ^ ones * 0x7f;
	uint64_t low = (word - ones * 0x20) & ~word;
	uint64_t equal =
	    ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((del - ones) & ~del);
	return ((low | equal | word) & tops) != 0;
}

/* The length of the character at p in UTF-8 (RFC 3629: no surrogates, nothing overlong), without
 * control characters; 0: it is none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
	static const struct {
		uint8_t first_min, first_max, second_min, second_max, len;
	} rows[] = {
	    {0xc2, 0xc2, 0xa0, 0xbf, 2}, /* U+0080..U+009F are controls */
	    {0xc3, 0xdf, 0x80, 0xbf, 2},
	    {0xe0, 0xe0, 0xa0, 0xbf, 3},
	    {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3},
	    {0xee, 0xef, 0x80, 0xbf, 3},
	    {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4},
	    {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (p[0] < rows[i].first_min || p[0] > rows[i].first_max)
			continue;
		if (left < rows[i].len || p[1] < rows[i].second_min || p[1] > rows[i].second_max)
			return 0;
		for (size_t k = 2; k < rows[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].len;
	}
	return 0;
}

static const char hex[] = "0123456789abcdef";

/* The text of one character at p: *len bytes of it, *taken of the source. */
typedef const char *escape_fn(
    const uint8_t *p, size_t left, char buf[8], size_t *len, size_t *taken);

/* RFC 8259 section 7. Bytes that are no UTF-8 are written as if they were ISO 8859-1. */
static const char *escape_json(
    const uint8_t *p, size_t left, char buf[8], size_t *len, size_t *taken)
{
	*taken = 1;
	if (*p == '"' || *p == '\\') {
		buf[0] = '\\';
		buf[1] = (char)*p;
		*len = 2;
		return buf;
	}
	size_t valid = *p >= 0x20 && *p < 0x7f ? 1 : *p >= 0x80 ? utf8_len(p, left) : 0;
	if (valid > 0) {
		*len = *taken = valid;
		return (const char *)p;
	}
	memcpy(buf, "\\u00", 4);
	buf[4] = hex[*p >> 4];
	buf[5] = hex[*p & 15];
	*len = 6;
	return buf;
}

/* As nginx does it: no quote can end the field, whoever reads it. */
static const char *escape_combined(
    const uint8_t *p, size_t left, char buf[8], size_t *len, size_t *taken)
{
	(void)left;
	*taken = *len = 1;
	if (*p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
		return (const char *)p;
	memcpy(buf, "\\x", 2);
	buf[2] = hex[*p >> 4];
	buf[3] = hex[*p & 15];
	*len = 4;
	return buf;
}

/* At most `max` bytes of whole characters. */
static inline char *put_escaped(
    char *at, struct slice text, size_t max, escape_fn *escape, bool *cut)
{
	const uint8_t *p = (const uint8_t *)text.p, *end = p + text.len;
	const char *limit = at + max;
	while (p < end) {
		uint64_t word;
		if (end - p >= 8 && limit - at >= 8) {
			memcpy(&word, p, 8);
			if (!has_special(word)) {
				memcpy(at, &word, 8);
				at += 8, p += 8;
				continue;
			}
		}
		char buf[8];
		size_t len, taken;
		const char *character = escape(p, (size_t)(end - p), buf, &len, &taken);
		if (len > (size_t)(limit - at)) {
			*cut = true;
			break;
		}
		at = put(at, character, len);
		p += taken;
	}
	return at;
}

/* --- JSON --- */

#define FIELD(at, name) PUT(at, ",\"" name "\":")

static char *put_word(char *at, const char *text)
{
	*at++ = '"';
	at = put_text(at, text);
	*at++ = '"';
	return at;
}

static char *put_string(char *at, struct slice text, size_t max, bool *cut)
{
	*at++ = '"';
	at = put_escaped(at, text, max, escape_json, cut);
	*at++ = '"';
	return at;
}

static char *put_client(char *at, const struct addr *client)
{
	bool bracket = client->sa.sa_family == AF_INET6;
	*at++ = '"';
	if (bracket)
		*at++ = '[';
	at += addr_put_ip(client, at);
	if (bracket)
		*at++ = ']';
	*at++ = ':';
	at = put_number(at, addr_port(client));
	*at++ = '"';
	return at;
}

static char *put_request(char *at, const struct access_entry *entry, bool *cut)
{
	if (entry->method.len == 0)
		return at;
	at = put_string(FIELD(at, "method"), entry->method, ACCESS_METHOD_MAX, cut);
	if (entry->host.len > 0)
		at = put_string(FIELD(at, "host"), entry->host, ACCESS_HOST_MAX, cut);
	at = put_string(FIELD(at, "path"), entry->path, ACCESS_PATH_MAX, cut);
	if (entry->query.len > 0)
		at = put_string(FIELD(at, "query"), entry->query, ACCESS_QUERY_MAX, cut);
	return entry->minor ? PUT(at, ",\"protocol\":\"HTTP/1.1\"")
			    : PUT(at, ",\"protocol\":\"HTTP/1.0\"");
}

/* One string, as words do not need more: "192.0.2.21:80 connect_failed, 192.0.2.22:80 ..." */
static char *put_failed(char *at, const struct access_entry *entry)
{
	at = FIELD(at, "failed");
	*at++ = '"';
	for (uint32_t i = 0; i < entry->n_failed; i++) {
		if (i > 0)
			at = PUT(at, ", ");
		at = put_text(at, entry->failed[i].target);
		*at++ = ' ';
		at = put_text(at, entry->failed[i].why);
	}
	*at++ = '"';
	return at;
}

static char *put_choice(char *at, const struct access_entry *entry)
{
	static const char *const sticky[] = {[ACCESS_STICKY_HIT] = "hit",
	    [ACCESS_STICKY_NEW] = "new",
	    [ACCESS_STICKY_MOVED] = "moved"};
	if (entry->why)
		at = put_word(FIELD(at, "why"), entry->why);
	if (entry->route)
		at = put_word(FIELD(at, "route"), entry->route);
	if (entry->pool)
		at = put_word(FIELD(at, "pool"), entry->pool);
	if (entry->target)
		at = put_word(FIELD(at, "target"), entry->target);
	if (entry->chosen)
		at = put_word(FIELD(at, "chosen"), entry->chosen);
	if (entry->tier)
		at = put_word(FIELD(at, "tier"), entry->tier);
	if (entry->n_failed > 0)
		at = put_failed(at, entry);
	if (entry->sticky != ACCESS_STICKY_NONE)
		at = put_word(FIELD(at, "sticky"), sticky[entry->sticky]);
	return put_number(FIELD(at, "retries"), entry->retries);
}

static char *put_times(char *at, const struct access_entry *entry)
{
	if (entry->request_us != ACCESS_UNKNOWN)
		at = put_number(FIELD(at, "request_us"), entry->request_us);
	if (entry->queue_us > 0)
		at = put_number(FIELD(at, "queue_us"), entry->queue_us);
	if (entry->connect_us != ACCESS_UNKNOWN)
		at = put_number(FIELD(at, "connect_us"), entry->connect_us);
	if (entry->response_us != ACCESS_UNKNOWN)
		at = put_number(FIELD(at, "response_us"), entry->response_us);
	return put_number(FIELD(at, "total_us"), entry->total_us);
}

/* What goes with a request only. */
static char *put_http(char *at, const struct access_entry *entry, bool *cut)
{
	at = FIELD(at, "reused");
	at = entry->reused ? PUT(at, "true") : PUT(at, "false");
	if (entry->target) {
		at = FIELD(at, "pooled");
		at = entry->pooled ? PUT(at, "true") : PUT(at, "false");
	}
	if (entry->user_agent.len > 0)
		at = put_string(
		    FIELD(at, "user_agent"), entry->user_agent, ACCESS_USER_AGENT_MAX, cut);
	if (entry->referer.len > 0)
		at = put_string(FIELD(at, "referer"), entry->referer, ACCESS_REFERER_MAX, cut);
	return at;
}

size_t access_json(
    const struct access_entry *entry, struct access_date *date, char out[ACCESS_LINE_MAX])
{
	bool cut = false;
	unsigned ms = (unsigned)(entry->time_us / US_PER_MS % 1000);
	move_date(date, entry->time_us);
	char *at = PUT(out, "{\"time\":\"");
	at = put(at, date->json, sizeof(date->json));
	*at++ = '.';
	*at++ = (char)('0' + ms / 100);
	at = put_2(at, ms % 100);
	at = PUT(at, "Z\"");
	at = put_word(FIELD(at, "listener"), entry->listener);
	at = put_client(FIELD(at, "client"), entry->client);
	if (entry->http) {
		at = put_request(at, entry, &cut);
		at = put_number(FIELD(at, "status"), entry->status);
	} else {
		at = put_word(FIELD(at, "protocol"), entry->datagrams_in > 0 ? "UDP"
						     : entry->tunnel         ? "tunnel"
									     : "TCP");
	}
	at = put_choice(at, entry);
	at = put_number(FIELD(at, "bytes_in"), entry->bytes_in);
	at = put_number(FIELD(at, "bytes_out"), entry->bytes_out);
	if (entry->datagrams_in > 0) {
		at = put_number(FIELD(at, "datagrams_in"), entry->datagrams_in);
		at = put_number(FIELD(at, "datagrams_out"), entry->datagrams_out);
	}
	at = put_times(at, entry);
	if (entry->http)
		at = put_http(at, entry, &cut);
	if (cut)
		at = PUT(at, ",\"cut\":true");
	if (entry->sample > 1)
		at = put_number(FIELD(at, "sample"), entry->sample);
	at = PUT(at, "}\n");
	return (size_t)(at - out);
}

/* --- combined --- */

static char *put_quoted(char *at, struct slice text, size_t max)
{
	bool cut = false;
	if (text.len == 0)
		return PUT(at, " \"-\"");
	at = PUT(at, " \"");
	at = put_escaped(at, text, max, escape_combined, &cut);
	*at++ = '"';
	return at;
}

static char *put_request_line(char *at, const struct access_entry *entry)
{
	bool cut = false;
	if (entry->method.len == 0)
		return PUT(at, "-");
	at = put_escaped(at, entry->method, ACCESS_METHOD_MAX, escape_combined, &cut);
	*at++ = ' ';
	at = put_escaped(at, entry->path, ACCESS_PATH_MAX, escape_combined, &cut);
	if (entry->query.len > 0) {
		*at++ = '?';
		at = put_escaped(at, entry->query, ACCESS_QUERY_MAX, escape_combined, &cut);
	}
	return entry->minor ? PUT(at, " HTTP/1.1") : PUT(at, " HTTP/1.0");
}

size_t access_combined(
    const struct access_entry *entry, struct access_date *date, char out[ACCESS_LINE_MAX])
{
	move_date(date, entry->time_us);
	char *at = out + addr_put_ip(entry->client, out);
	at = PUT(at, " - - [");
	at = put(at, date->combined, sizeof(date->combined));
	at = PUT(at, " +0000] \"");
	at = put_request_line(at, entry);
	at = PUT(at, "\" ");
	/* Readers want three digits: those by which nginx says that the client left without. */
	at = put_number(at, entry->status ? entry->status : 499);
	*at++ = ' ';
	at = put_number(at, entry->body_out);
	at = put_quoted(at, entry->referer, ACCESS_REFERER_MAX);
	at = put_quoted(at, entry->user_agent, ACCESS_USER_AGENT_MAX);
	*at++ = '\n';
	return (size_t)(at - out);
}
