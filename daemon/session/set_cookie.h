/* What a Set-Cookie field says of one cookie: RFC 6265 section 5.2, as lenient as browsers are, for
 * what matters is what they will send back. Pure. */
#pragma once

#include <stdint.h>

#include "daemon/base/text.h"

enum set_cookie {
	SET_COOKIE_OTHER,  /* nothing about this cookie that a browser would heed */
	SET_COOKIE_SET,    /* it has a value from now on */
	SET_COOKIE_DELETED /* it has expired, or has an empty value, which stands for none */
};

/* `value` becomes the value as it will come back, which lies in `field_value`, if it is SET. Max-Age
 * counts before Expires, the last one of a kind before others, and what is malformed does not. */
enum set_cookie set_cookie_read(
    struct slice field_value, const char *name, uint64_t now_sec, struct slice *value);
