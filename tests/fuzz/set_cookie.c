/* A Set-Cookie field from a server, who may be a stranger too. */
#include "daemon/session/set_cookie.h"

#include "daemon/session/cookie.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char name[] = "sid";
	struct slice field = {(const char *)data, size}, value = {NULL, 0}, back;
	enum set_cookie what = set_cookie_read(field, name, 1700000000, &value);
	require((what == SET_COOKIE_SET) == (value.p != NULL));
	if (what != SET_COOKIE_SET)
		return 0;
	/* The value lies within the field, and comes back as it was read. */
	require(value.p >= field.p && value.p + value.len <= field.p + field.len && value.len > 0);
	require(cookie_find(field, name, &back) && slice_equal(back, value));
	/* At the end of time only those are left that do not expire by a date. */
	what = set_cookie_read(field, name, INT64_MAX, &back);
	require(what != SET_COOKIE_OTHER && (what != SET_COOKIE_SET || slice_equal(back, value)));
	return 0;
}
