/* Any bytes as a chunked body: in one piece, byte by byte and in uneven pieces they give the same
 * verdict, length and data, reading or passing on. */
#include "tests/fuzz/h1_fuzz.h"

struct outcome {
	enum h1_result result;
	bool done;
	size_t used, data_len;
	uint64_t data_hash;
};

static void feed(
    struct h1_chunks *chunks, const char *p, size_t len, bool reading, struct outcome *out)
{
	for (size_t at = 0;;) {
		size_t used = 0;
		struct slice data = {p, 0};
		out->result =
		    h1_chunks_feed(chunks, p + at, len - at, &used, reading ? &data : NULL);
		if (out->result != H1_OK)
			return;
		require(used <= len - at && (data.len == 0 || h1_inside(data, p + at, used)));
		require(chunks->done || reading || used == len - at);
		for (size_t i = 0; i < data.len; i++)
			out->data_hash = (out->data_hash ^ (uint8_t)data.p[i]) * 0x100000001b3ULL;
		out->data_len += data.len;
		out->used += used;
		out->done = chunks->done;
		at += used;
		if (used == 0 || !reading)
			return;
	}
}

static struct outcome run(const char *buf, size_t size, size_t step, bool reading)
{
	struct h1_chunks chunks = {0};
	struct outcome out = {0};
	size_t n = 0;
	for (size_t at = 0; at < size && out.result == H1_OK; at += n) {
		n = step == 0 ? size : 1 + (at * 7 + step) % step;
		n = n < size - at ? n : size - at;
		feed(&chunks, buf + at, n, reading, &out);
	}
	return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *buf = (const char *)data;
	struct outcome whole = run(buf, size, 0, true);
	require(whole.used <= size && whole.data_len <= whole.used);
	for (size_t step = 0; step <= 13; step++) {
		for (int reading = 0; reading < 2; reading++) {
			struct outcome got = run(buf, size, step, reading);
			require(got.result == whole.result && got.done == whole.done);
			require(got.result != H1_OK || got.used == whole.used);
			require(
			    !reading || got.result != H1_OK ||
			    (got.data_len == whole.data_len && got.data_hash == whole.data_hash));
		}
	}
	return 0;
}
