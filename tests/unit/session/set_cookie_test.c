#include "daemon/session/set_cookie.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NOW 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */

struct row {
	const char *field;
	const char *value; /* NULL: not set */
	enum set_cookie what;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		/* A copy without NUL behind it: sanitizers see who reads too far. */
		size_t len = strlen(rows[i].field);
		char *copy = malloc(len + 1);
		memcpy(copy, rows[i].field, len);
		struct slice value = {"untouched", 9};
		enum set_cookie what =
		    set_cookie_read((struct slice){copy, len}, "sid", NOW, &value);
		const char *wanted = rows[i].value ? rows[i].value : "untouched";
		bool good = what == rows[i].what &&
			    slice_equal(value, (struct slice){wanted, strlen(wanted)});
		if (!good)
			printf("\n%s -> %d '%.*s'\n", rows[i].field, what, (int)value.len, value.p);
		CU_ASSERT(good);
		free(copy);
	}
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void reads_values(void)
{
	static const struct row rows[] = {
	    {"sid=abc", "abc", SET_COOKIE_SET},
	    {"sid=abc; Path=/; HttpOnly; Secure; SameSite=Lax", "abc", SET_COOKIE_SET},
	    {"sid=abc;path=/", "abc", SET_COOKIE_SET},
	    {" sid\t=  abc  ;", "abc", SET_COOKIE_SET},
	    {"sid=\"abc\"", "\"abc\"", SET_COOKIE_SET},
	    {"sid=a=b==; a", "a=b==", SET_COOKIE_SET},
	    {"sid=a b, c", "a b, c", SET_COOKIE_SET},
	    {"sid=a; sid=b", "a", SET_COOKIE_SET},
	    {"sid=;", NULL, SET_COOKIE_DELETED},
	    {"sid=", NULL, SET_COOKIE_DELETED},
	    {"sid=  ; Path=/", NULL, SET_COOKIE_DELETED},
	    {"sid=\"\"; Path=/", NULL, SET_COOKIE_DELETED},
	    {"SID=abc", NULL, SET_COOKIE_OTHER},
	    {"xsid=abc", NULL, SET_COOKIE_OTHER},
	    {"sidx=abc", NULL, SET_COOKIE_OTHER},
	    {"sid", NULL, SET_COOKIE_OTHER},
	    {"sid; Path=/; sid=abc", NULL, SET_COOKIE_OTHER},
	    {"=sid", NULL, SET_COOKIE_OTHER},
	    {"=", NULL, SET_COOKIE_OTHER},
	    {";sid=abc", NULL, SET_COOKIE_OTHER},
	    {"", NULL, SET_COOKIE_OTHER},
	    {"other=1; sid=abc", NULL, SET_COOKIE_OTHER},
	};
	CHECK(rows);
}

static void reads_max_age(void)
{
	static const struct row rows[] = {
	    {"sid=a; Max-Age=0", NULL, SET_COOKIE_DELETED},
	    {"sid=a; max-age = 0 ; Path=/", NULL, SET_COOKIE_DELETED},
	    {"sid=a; MAX-AGE=000", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Max-Age=-1", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Max-Age=1", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=99999999999999999999999999", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=-", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=0x", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=+0", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=\"0\"", "a", SET_COOKIE_SET},
	    {"sid=a; XMax-Age=0", "a", SET_COOKIE_SET},
	    {"sid=Max-Age=0", "Max-Age=0", SET_COOKIE_SET},
	    /* the last one counts, of those that are right */
	    {"sid=a; Max-Age=0; Max-Age=5", "a", SET_COOKIE_SET},
	    {"sid=a; Max-Age=5; Max-Age=0", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Max-Age=0; Max-Age=x", NULL, SET_COOKIE_DELETED},
	    /* and it counts before Expires */
	    {"sid=a; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Fri, 31 Dec 9999 23:59:59 GMT; Max-Age=0", NULL, SET_COOKIE_DELETED},
	};
	CHECK(rows);
}

static void reads_dates(void)
{
	static const struct row rows[] = {
	    {"sid=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT", NULL, SET_COOKIE_DELETED},
	    {"sid=a; expires=Thu, 01-Jan-1970 00:00:01 GMT", NULL, SET_COOKIE_DELETED},
	    {"sid=a; expires=Thursday, 01-Jan-70 00:00:01 GMT", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Expires=Thu Jan  1 00:00:00 1970", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Expires=1 january 1970 0:0:0", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Expires=Mon, 01 Jan 1601 00:00:00 GMT", NULL, SET_COOKIE_DELETED},
	    /* to the second, and over the end of a leap year's February */
	    {"sid=a; Expires=Tue, 14 Nov 2023 22:13:20 GMT", NULL, SET_COOKIE_DELETED},
	    {"sid=a; Expires=Tue, 14 Nov 2023 22:13:21 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Tue, 14 Nov 2023 22:13:21xyz GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Wed, 21 Oct 2065 07:28:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Wed, 21-Oct-69 07:28:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Fri, 31 Dec 9999 23:59:59 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=Wed, 21 Oct 2065 07:28:00 GMT",
		"a", SET_COOKIE_SET},
	    /* what is no date says nothing */
	    {"sid=a; Expires=0", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=", "a", SET_COOKIE_SET},
	    {"sid=a; Expires", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1600 00:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 00 Jan 1970 00:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 32 Jan 1970 00:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jax 1970 00:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970 24:00:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970 00:60:00 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970 00:00:60 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 1970 00:00:000 GMT", "a", SET_COOKIE_SET},
	    {"sid=a; Expires=Thu, 01 Jan 19700 00:00:00 GMT", "a", SET_COOKIE_SET},
	};
	CHECK(rows);
}

/* Each day of some years is one later than the day before, to the second. */
static void knows_the_calendar(void)
{
	static const struct {
		unsigned year;
		uint64_t first_sec; /* of the year, as date(1) has it */
		unsigned february;
	} years[] = {{1970, 0, 28}, {1972, 63072000, 29}, {2000, 946684800, 29},
	    {2023, 1672531200, 28}, {2024, 1704067200, 29}, {2100, 4102444800, 28}};
	static const unsigned lengths[] = {31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	static const char names[12][4] = {
	    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	unsigned wrong = 0;
	for (size_t y = 0; y < sizeof(years) / sizeof(years[0]); y++) {
		uint64_t sec = years[y].first_sec;
		for (unsigned month = 0; month < 12; month++) {
			unsigned length = lengths[month] ? lengths[month] : years[y].february;
			for (unsigned day = 1; day <= length; day++, sec += 86400) {
				char text[96];
				struct slice value;
				int len = snprintf(text, sizeof(text),
				    "sid=a; Expires=Xxx, %02u %s %u 00:00:30 GMT", day,
				    names[month], years[y].year);
				struct slice field = {text, (size_t)len};
				wrong += set_cookie_read(field, "sid", sec + 29, &value) !=
					     SET_COOKIE_SET ||
					 set_cookie_read(field, "sid", sec + 30, &value) !=
					     SET_COOKIE_DELETED;
			}
		}
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

UNIT_MAIN("session/set_cookie", UNIT(reads_values), UNIT(reads_max_age), UNIT(reads_dates),
    UNIT(knows_the_calendar))
