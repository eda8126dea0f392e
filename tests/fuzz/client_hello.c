/* The first bytes of a connection from a stranger. The verdict is the same whole and in pieces, and
 * what comes out of a good hello lies within its bytes and is what it claims to be. */
#include "daemon/sni/hello.h"

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static struct hello hello, part;

static bool is_inside(struct slice slice, const char *buf, size_t len)
{
	return slice.p >= buf && slice.p + slice.len <= buf + len;
}

static void require_inside(struct slice slice, const char *buf, size_t len)
{
	require(slice.len == 0 || is_inside(slice, buf, len) ||
		is_inside(slice, hello.flat, sizeof(hello.flat)));
}

static void require_name(struct slice name)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	require(name.len <= 253);
	for (size_t i = 0; i < name.len; i++)
		require(name.p[i] != '\0' && strchr(allowed, name.p[i]));
}

/* Every protocol of the list is found by hello_offers(). */
static void require_alpn(struct slice list)
{
	for (size_t at = 0; at < list.len;) {
		size_t len = (uint8_t)list.p[at];
		require(len > 0 && at + 1 + len <= list.len);
		require(hello_offers(&hello, (struct slice){list.p + at + 1, len}));
		at += 1 + len;
	}
}

/* In pieces of `step` bytes. */
static void require_stable(const char *buf, size_t size, size_t step, enum hello_result whole)
{
	struct hello_scan scan = {0};
	enum hello_result result = HELLO_MORE;
	for (size_t n = 0; n < size && result == HELLO_MORE;) {
		n = n + step < size ? n + step : size;
		result = hello_read(&scan, buf, n, &part);
	}
	require(result == whole);
	if (whole == HELLO_OK)
		require(slice_equal(part.name, hello.name) && slice_equal(part.alpn, hello.alpn));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *buf = (const char *)data;
	struct hello_scan scan = {0};
	enum hello_result result = hello_read(&scan, buf, size, &hello);
	require(result < HELLO_RESULT_COUNT && scan.at <= size);
	if (result == HELLO_OK) {
		require_inside(hello.name, buf, size);
		require_inside(hello.alpn, buf, size);
		require_name(hello.name);
		require_alpn(hello.alpn);
	}
	for (size_t step = 1; step <= 700; step = step * 3 + 1)
		require_stable(buf, size, step, result);
	return 0;
}
