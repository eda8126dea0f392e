#include "daemon/session/set_cookie.h"

#include <stdbool.h>
#include <string.h>

#include "daemon/session/cookie.h"

/* What is before `separator`; *rest is what is behind it, without bytes when there is none. */
static struct slice cut(struct slice text, char separator, struct slice *rest)
{
	const char *end = text.len > 0 ? memchr(text.p, separator, text.len) : NULL;
	size_t len = end ? (size_t)(end - text.p) : text.len;
	*rest = end ? (struct slice){end + 1, text.len - len - 1} : (struct slice){text.p + len, 0};
	return (struct slice){text.p, len};
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- dates: RFC 6265 section 5.1.1 --- */

struct date {
	unsigned hour, minute, second, day, month, year;
	bool has_time, has_day, has_month, has_year;
};

/* Takes a number of `min` to `max` digits off *text; one more digit behind it is a mistake. */
static bool take_number(struct slice *text, size_t min, size_t max, unsigned *out)
{
	size_t n = 0;
	unsigned value = 0;
	while (n < text->len && n <= max && is_digit(text->p[n]))
		value = value * 10 + (unsigned)(text->p[n++] - '0');
	if (n < min || n > max)
		return false;
	*text = (struct slice){text->p + n, text->len - n};
	*out = value;
	return true;
}

static bool take_colon(struct slice *text)
{
	if (text->len == 0 || text->p[0] != ':')
		return false;
	*text = (struct slice){text->p + 1, text->len - 1};
	return true;
}

/* "12:34:56", and whatever follows that is no digit. */
static bool read_time(struct slice token, struct date *date)
{
	unsigned hour, minute, second;
	if (!take_number(&token, 1, 2, &hour) || !take_colon(&token) ||
	    !take_number(&token, 1, 2, &minute) || !take_colon(&token) ||
	    !take_number(&token, 1, 2, &second))
		return false;
	date->hour = hour;
	date->minute = minute;
	date->second = second;
	return true;
}

static bool read_month(struct slice token, struct date *date)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	for (unsigned i = 0; token.len >= 3 && i < 12; i++) {
		struct slice name = {names + (size_t)3 * i, 3};
		if (slice_equal_nocase((struct slice){token.p, 3}, name)) {
			date->month = i + 1;
			return true;
		}
	}
	return false;
}

static bool read_year(struct slice token, struct date *date)
{
	unsigned year;
	if (!take_number(&token, 2, 4, &year))
		return false;
	if (year < 70)
		year += 2000;
	else if (year < 100)
		year += 1900;
	date->year = year;
	return true;
}

/* The first token that can be something is that. */
static void read_token(struct slice token, struct date *date)
{
	if (!date->has_time && read_time(token, date))
		date->has_time = true;
	else if (!date->has_day && take_number(&token, 1, 2, &date->day))
		date->has_day = true;
	else if (!date->has_month && read_month(token, date))
		date->has_month = true;
	else if (!date->has_year && read_year(token, date))
		date->has_year = true;
}

static bool is_delimiter(char c)
{
	return c == '\t' || (c >= 0x20 && c <= 0x2f) || (c >= 0x3b && c <= 0x40) ||
	       (c >= 0x5b && c <= 0x60) || (c >= 0x7b && c <= 0x7e);
}

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the day that only
 * some of them have is their last. */
static int64_t days_of(const struct date *date)
{
	int64_t year = (int64_t)date->year - (date->month <= 2);
	int64_t month = (date->month + 9) % 12;
	int64_t days = (153 * month + 2) / 5 + date->day - 1;
	return year * 365 + year / 4 - year / 100 + year / 400 + days - 719468;
}

/* False: it is no date. */
static bool read_date(struct slice text, int64_t *sec)
{
	struct date date = {0};
	size_t i = 0;
	while (i < text.len) {
		size_t from = i;
		while (i < text.len && !is_delimiter(text.p[i]))
			i++;
		if (i > from)
			read_token((struct slice){text.p + from, i - from}, &date);
		i++;
	}
	if (!date.has_time || !date.has_day || !date.has_month || !date.has_year || date.day < 1 ||
	    date.day > 31 || date.year < 1601 || date.hour > 23 || date.minute > 59 ||
	    date.second > 59)
		return false;
	*sec = days_of(&date) * 86400 + date.hour * 3600 + date.minute * 60 + date.second;
	return true;
}

/* --- attributes --- */

/* False: it is no number. */
static bool read_max_age(struct slice text, bool *is_over)
{
	bool negative = text.len > 0 && text.p[0] == '-';
	bool zero = true;
	if (text.len == negative)
		return false;
	for (size_t i = negative; i < text.len; i++) {
		if (!is_digit(text.p[i]))
			return false;
		zero = zero && text.p[i] == '0';
	}
	*is_over = negative || zero;
	return true;
}

static bool has_expired(struct slice attributes, uint64_t now_sec)
{
	bool by_age = false, age_over = false, date_over = false;
	while (attributes.len > 0) {
		struct slice value, attribute = cut(attributes, ';', &attributes);
		struct slice name = slice_trim(cut(attribute, '=', &value));
		int64_t sec;
		value = slice_trim(value);
		if (slice_equal_nocase(name, SLICE("max-age")))
			by_age |= read_max_age(value, &age_over);
		else if (slice_equal_nocase(name, SLICE("expires")) && read_date(value, &sec))
			date_over = sec <= (int64_t)now_sec;
	}
	return by_age ? age_over : date_over;
}

enum set_cookie set_cookie_read(
    struct slice field_value, const char *name, uint64_t now_sec, struct slice *value)
{
	struct slice attributes, text, pair = cut(field_value, ';', &attributes);
	struct slice found = cut(pair, '=', &text);
	bool has_name = found.len < pair.len;
	if (!has_name || !slice_equal(slice_trim(found), (struct slice){name, strlen(name)}))
		return SET_COOKIE_OTHER;
	text = slice_trim(text);
	if (cookie_is_empty(text) || has_expired(attributes, now_sec))
		return SET_COOKIE_DELETED;
	*value = text;
	return SET_COOKIE_SET;
}
