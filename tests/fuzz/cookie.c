/* A Cookie header from a stranger, and the 20 bytes that an opened cookie holds. */
#include "daemon/session/cookie.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static void find(struct slice header)
{
	static const char *const names[] = {"sid", "YOKE", "a", "="};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice value;
		if (!cookie_find(header, names[i], &value))
			continue;
		/* The value lies within the header and ends its pair. */
		bool inside = value.p >= header.p && value.p + value.len <= header.p + header.len;
		require(inside && !memchr(value.p, ';', value.len));
		/* What we would send back is found again. */
		char text[256];
		size_t len = cookie_format(text, sizeof(text), "sid", value, true);
		if (len == 0)
			continue;
		struct slice sent = {text + strlen("Set-Cookie: "), len - strlen("Set-Cookie: ")};
		struct slice again;
		require(len < sizeof(text) && text[len] == '\0');
		require(memchr(value.p, '\0', value.len) ||
			(cookie_find(sent, "sid", &again) && slice_equal(again, value)));
	}
}

static void unpack(const uint8_t *data)
{
	struct cookie_payload payload;
	uint8_t again[COOKIE_PAYLOAD_LEN];
	cookie_payload_unpack(data, &payload);
	cookie_payload_pack(&payload, again);
	require(memcmp(data, again, sizeof(again)) == 0);
	enum cookie_age age = cookie_age(payload.issued_sec, payload.pool_id, payload.target_id);
	require(age == COOKIE_FRESH || age == COOKIE_RENEW || age == COOKIE_EXPIRED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	find((struct slice){(const char *)data, size});
	if (size >= COOKIE_PAYLOAD_LEN)
		unpack(data);
	return 0;
}
