/* The chunk decoder: every case in one piece and cut at every byte, and at every pair of bytes. */
#include "tests/unit/http/h1_case.h"

struct chunks_case {
	const char *bytes;
	size_t len;
	enum h1_result want;
	bool done;
	const char *data; /* what a reader gets */
	size_t rest;      /* bytes behind the body */
};

struct outcome {
	enum h1_result result;
	bool done;
	size_t used;
	char data[20000];
	size_t data_len;
};

/* Feeds one piece the way a caller that unchunks does. */
static bool feed_reading(struct h1_chunks *chunks, const char *p, size_t len, struct outcome *out)
{
	for (size_t at = 0; out->result == H1_OK;) {
		size_t used = 0;
		struct slice data = {NULL, 0};
		out->result = h1_chunks_feed(chunks, p + at, len - at, &used, &data);
		if (out->result != H1_OK)
			break;
		if (data.len > 0 && (data.p < p + at || data.p + data.len > p + at + used))
			return false;
		memcpy(out->data + out->data_len, data.p ? data.p : "", data.len);
		out->data_len += data.len;
		out->used += used;
		at += used;
		if (used == 0)
			break;
	}
	out->done = chunks->done;
	return true;
}

static void feed_passing(struct h1_chunks *chunks, const char *p, size_t len, struct outcome *out)
{
	size_t used = 0;
	if (out->result != H1_OK)
		return;
	out->result = h1_chunks_feed(chunks, p, len, &used, NULL);
	out->used += used;
	out->done = chunks->done;
}

static bool outcome_is(const struct outcome *got, const struct chunks_case *c, bool reading)
{
	if (got->result != c->want)
		return false;
	if (c->want != H1_OK)
		return true;
	return got->done == c->done && got->used == c->len - c->rest &&
	       (!reading || !c->data ||
		   (got->data_len == strlen(c->data) &&
		       memcmp(got->data, c->data, got->data_len) == 0));
}

static bool holds_when_cut(const struct chunks_case *c, size_t cut1, size_t cut2)
{
	static struct outcome got;
	const size_t cuts[] = {0, cut1, cut2, c->len};
	for (int reading = 0; reading < 2; reading++) {
		struct h1_chunks chunks = {0};
		memset(&got, 0, offsetof(struct outcome, data));
		got.data_len = 0;
		for (int i = 0; i < 3; i++) {
			size_t n = cuts[i + 1] - cuts[i];
			char *piece = malloc(n ? n : 1);
			if (!piece)
				return false;
			memcpy(piece, c->bytes + cuts[i], n);
			if (reading && !feed_reading(&chunks, piece, n, &got))
				return false;
			if (!reading)
				feed_passing(&chunks, piece, n, &got);
			free(piece);
		}
		if (!outcome_is(&got, c, reading))
			return false;
		if (got.done && c->data && chunks.size != strlen(c->data))
			return false;
	}
	return true;
}

static void run(const struct chunks_case *c)
{
	bool ok = true;
	for (size_t cut1 = 0; ok && cut1 <= c->len; cut1++)
		for (size_t cut2 = cut1; ok && cut2 <= c->len; cut2++) {
			ok = holds_when_cut(c, cut1, cut2);
			if (!ok)
				printf("\n    %.60s...: cut at %zu and %zu", c->bytes, cut1, cut2);
		}
	CU_ASSERT(ok);
}

static void decodes(void)
{
	static const struct chunks_case cases[] = {
	    {BYTES("0\r\n\r\n"), H1_OK, true, "", 0},
	    {BYTES("5\r\nhello\r\n0\r\n\r\n"), H1_OK, true, "hello", 0},
	    {BYTES("5\r\nhello\r\n0\r\n\r\nGET /"), H1_OK, true, "hello", 5},
	    {BYTES("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"), H1_OK, true, "abc", 0},
	    {BYTES("A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n"), H1_OK, true,
		"01234567890123456789", 0},
	    {BYTES("000000000000002\r\n\r\n\r\n0\r\n\r\n"), H1_OK, true, "\r\n", 0},
	    {BYTES("2;a\r\nxy\r\n0;b=c;d=\"e \\\" f\"\r\n\r\n"), H1_OK, true, "xy", 0},
	    {BYTES("2;a=\"\";b\r\nxy\r\n0\r\n\r\n"), H1_OK, true, "xy", 0},
	    {BYTES("0\r\nX: y\r\nZ:\r\n\r\n"), H1_OK, true, "", 0},
	    {BYTES("1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n0"), H1_OK, true, "x", 1},
	    {BYTES("0\r\nX: \xe2\x82\xac\tz\r\n\r\n"), H1_OK, true, "", 0},
	    /* not finished */
	    {BYTES(""), H1_OK, false, "", 0},
	    {BYTES("5"), H1_OK, false, "", 0},
	    {BYTES("5\r\nhel"), H1_OK, false, "hel", 0},
	    {BYTES("5\r\nhello\r\n"), H1_OK, false, "hello", 0},
	    {BYTES("0\r\n"), H1_OK, false, "", 0},
	    {BYTES("0\r\nX: y\r\n"), H1_OK, false, "", 0},
	    {BYTES("fffffffffffffff\r\nx"), H1_OK, false, "x", 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run(&cases[i]);
}

static void refuses(void)
{
	static const struct chunks_case cases[] = {
#define BAD(text) {BYTES(text), H1_BAD_CHUNK}
	    BAD("\r\n"),
	    BAD(" 5\r\nhello\r\n"),
	    BAD("5 \r\nhello\r\n"),
	    BAD("5\t\r\nhello\r\n"),
	    BAD("+5\r\nhello\r\n"),
	    BAD("-5\r\nhello\r\n"),
	    BAD("0x5\r\nhello\r\n"),
	    BAD("g\r\n"),
	    BAD("5_0\r\n"),
	    BAD("5\nhello\n"),
	    BAD("5\rhello\r\n"),
	    BAD("5\r\nhello\n0\r\n\r\n"),
	    BAD("5\r\nhello0\r\n\r\n"),
	    BAD("5\r\nhellohello\r\n"),
	    BAD("5\r\nhello\rX"),
	    BAD("0000000000000000\r\n"),
	    BAD("ffffffffffffffff\r\n"),
	    BAD("10000000000000005\r\n"),
	    BAD("\x00"),
	    BAD("5\0\r\n"),
	    BAD("5;\r\nhello\r\n"),
	    BAD("5; a\r\nhello\r\n"),
	    BAD("5 ;a\r\nhello\r\n"),
	    BAD("5;a=\r\nhello\r\n"),
	    BAD("5;=a\r\nhello\r\n"),
	    BAD("5;a b\r\nhello\r\n"),
	    BAD("5;a\nhello\r\n"),
	    BAD("5;\nhello\r\n"),
	    BAD("5;a\rX\nhello\r\n"),
	    BAD("5;a=\"b\r\nhello\r\n"),
	    BAD("5;a=\"b\nc\"\r\nhello\r\n"),
	    BAD("5;a=\"b\\\r\nhello\r\n"),
	    BAD("5;a=\"\\\x01\"\r\nhello\r\n"),
	    BAD("5;a=\"b\"c\r\nhello\r\n"),
	    BAD("5;a=b=c\r\nhello\r\n"),
	    BAD("5;a\x7f\r\nhello\r\n"),
	    BAD("0\n\n"),
	    BAD("0\r\n\n"),
	    BAD("0\r\n\rX"),
	    BAD("0\r\n X: y\r\n\r\n"),
	    BAD("0\r\nX: y\r\n z\r\n\r\n"),
	    BAD("0\r\nX : y\r\n\r\n"),
	    BAD("0\r\nX\r\n\r\n"),
	    BAD("0\r\n: y\r\n\r\n"),
	    BAD("0\r\nX: y\n\r\n"),
	    BAD("0\r\nX: y\rZ\r\n\r\n"),
	    BAD("0\r\nX: \0\r\n\r\n"),
	    BAD("0\r\nGET / HTTP/1.1\r\n"),
#undef BAD
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run(&cases[i]);
}

static void refuses_trailers_that_matter(void)
{
	static const char *const names[] = {"authorization", "connection", "content-encoding",
	    "content-length", "content-type", "cookie", "expect", "forwarded", "host", "set-cookie",
	    "te", "trailer", "transfer-encoding", "upgrade", "x-forwarded-for", "x-forwarded-host",
	    "x-forwarded-port", "x-forwarded-proto"};
	char text[64];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int n = snprintf(text, sizeof(text), "0\r\nOk: 1\r\n%s: x\r\n\r\n", names[i]);
		run(&(struct chunks_case){text, (size_t)n, H1_BAD_CHUNK});
		text[10] = (char)(text[10] - 32);
		run(&(struct chunks_case){text, (size_t)n, H1_BAD_CHUNK});
		text[10] = '_';
		run(&(struct chunks_case){text, (size_t)n, H1_OK, true, "", 0});
	}
	run(&(struct chunks_case){BYTES("0\r\nContent_Length: 5\r\n\r\n"), H1_BAD_CHUNK});
	run(&(struct chunks_case){BYTES("0\r\ntransfer.Encoding: x\r\n\r\n"), H1_BAD_CHUNK});
	run(&(struct chunks_case){BYTES("0\r\nContent1Length: 5\r\n\r\n"), H1_OK, true, "", 0});
}

static void refuses_too_much_framing(void)
{
	static char text[16384];
	for (size_t pad = 250; pad < 260; pad++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "1;");
		memset(text + n, 'a', pad);
		n += pad;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\nx\r\n0\r\n\r\n");
		struct chunks_case c = {text, n, pad > 253 ? H1_BAD_CHUNK : H1_OK, true, "x", 0};
		CU_ASSERT(holds_when_cut(&c, 0, n));
		CU_ASSERT(holds_when_cut(&c, n / 2, n));
	}
	for (size_t trailers = 800; trailers < 830; trailers++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "0\r\n");
		for (size_t i = 0; i < trailers; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "Name: 12\r\n");
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
		struct chunks_case c = {
		    text, n, trailers * 10 + 1 > 8192 ? H1_BAD_CHUNK : H1_OK, true, "", 0};
		CU_ASSERT(holds_when_cut(&c, n / 3, n / 2));
	}
}

static void stays_refused(void)
{
	struct h1_chunks chunks = {0};
	size_t used = 77;
	CU_ASSERT_EQUAL(h1_chunks_feed(&chunks, "x", 1, &used, NULL), H1_BAD_CHUNK);
	CU_ASSERT_EQUAL(h1_chunks_feed(&chunks, "0\r\n\r\n", 5, &used, NULL), H1_BAD_CHUNK);
	CU_ASSERT_EQUAL(h1_chunks_feed(&chunks, "", 0, &used, NULL), H1_BAD_CHUNK);
	CU_ASSERT_EQUAL(used, 77);
	CU_ASSERT(!chunks.done);
}

UNIT_MAIN("http/h1_chunks", UNIT(decodes), UNIT(refuses), UNIT(refuses_trailers_that_matter),
    UNIT(refuses_too_much_framing), UNIT(stays_refused))
