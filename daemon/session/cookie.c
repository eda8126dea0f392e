#include "daemon/session/cookie.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/bytes.h"

void cookie_payload_pack(const struct cookie_payload *payload, uint8_t out[COOKIE_PAYLOAD_LEN])
{
	bytes_put(out, payload->pool_id, 8);
	bytes_put(out + 8, payload->target_id, 8);
	bytes_put(out + 16, payload->issued_sec, 4);
}

void cookie_payload_unpack(const uint8_t in[COOKIE_PAYLOAD_LEN], struct cookie_payload *out)
{
	out->pool_id = bytes_get(in, 8);
	out->target_id = bytes_get(in + 8, 8);
	out->issued_sec = (uint32_t)bytes_get(in + 16, 4);
}

static struct slice trim(const char *p, const char *end)
{
	return slice_trim((struct slice){p, (size_t)(end - p)});
}

bool cookie_find(struct slice header_value, const char *name, struct slice *value)
{
	struct slice wanted = {name, strlen(name)};
	const char *p = header_value.p, *end = header_value.p + header_value.len;
	while (p < end) {
		const char *stop = memchr(p, ';', (size_t)(end - p));
		if (!stop)
			stop = end;
		const char *equals = memchr(p, '=', (size_t)(stop - p));
		if (equals && slice_equal(trim(p, equals), wanted)) {
			*value = trim(equals + 1, stop);
			return true;
		}
		p = stop < end ? stop + 1 : end;
	}
	return false;
}

enum cookie_age cookie_age(uint32_t issued_sec, uint64_t now_sec, uint64_t ttl_sec)
{
	if (issued_sec > now_sec)
		return issued_sec - now_sec > ttl_sec ? COOKIE_EXPIRED : COOKIE_FRESH;
	uint64_t age_sec = now_sec - issued_sec;
	if (age_sec >= ttl_sec)
		return COOKIE_EXPIRED;
	return age_sec > ttl_sec / 2 ? COOKIE_RENEW : COOKIE_FRESH;
}

size_t cookie_format(char *buf, size_t size, const char *name, struct slice value, bool secure)
{
	if (value.len > size)
		return 0;
	int len = snprintf(buf, size, "Set-Cookie: %s=%.*s; Path=/; HttpOnly; SameSite=Lax%s\r\n",
	    name, (int)value.len, value.p, secure ? "; Secure" : "");
	return len > 0 && (size_t)len < size ? (size_t)len : 0;
}
