/* Slices, known fields, limits, the search for the end of the head. */
#include "tests/unit/http/h1_case.h"

static void knows_fields(void)
{
	static const struct {
		const char *name;
		enum h1_field_id id;
	} known[] = {
#define X(name, text) {text, H1_FIELD_##name},
	    H1_KNOWN_FIELDS(X)
#undef X
	};
	static const char hop[] = "connection http2-settings keep-alive proxy-authenticate "
				  "proxy-authorization proxy-connection te upgrade ";
	static const char no_lookalikes[] = "content-length transfer-encoding x-forwarded-for "
					    "x-forwarded-host x-forwarded-port x-forwarded-proto ";
	static struct h1_head head;
	char text[128], word[32];
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		/* As a response: there Host, Expect and others mean nothing. */
		int n =
		    snprintf(text, sizeof(text), "HTTP/1.1 204 X\r\n%s: 0\r\n\r\n", known[i].name);
		snprintf(word, sizeof(word), "%s ", known[i].name);
		for (unsigned variant = 0; variant < 3; variant++) {
			for (char *p = text + 16; variant > 0 && *p != ':'; p++)
				if ((variant == 1 || (p - text) % 2) && *p >= 'a' && *p <= 'z')
					*p = (char)(*p - 32);
			enum h1_result got = h1_parse_response(text, (size_t)n, H1_GET, &head);
			enum h1_result want = known[i].id == H1_FIELD_TRANSFER_ENCODING
						  ? H1_UNSUPPORTED_ENCODING
						  : H1_OK;
			CU_ASSERT_EQUAL(got, want);
			CU_ASSERT_EQUAL(head.fields[0].id, known[i].id);
			CU_ASSERT_EQUAL(head.fields[0].hop, strstr(hop, word) != NULL);
		}
		for (size_t at = 0; at < strlen(known[i].name); at++) {
			char saved = text[16 + at];
			bool alike = saved == '-' && strstr(no_lookalikes, word);
			text[16 + at] = '_';
			enum h1_result got = h1_parse_response(text, (size_t)n, H1_GET, &head);
			CU_ASSERT_EQUAL(got, alike ? H1_BAD_FIELD_NAME : H1_OK);
			CU_ASSERT(alike || head.fields[0].id == H1_FIELD_OTHER);
			CU_ASSERT(alike || !head.fields[0].hop);
			text[16 + at] = saved;
		}
	}
}

static void slices_fields(void)
{
	static const char text[] = "GET /p HTTP/1.1\r\nHost:a\r\nEmpty:\r\nBlank: \t \r\n"
				   "One: 1\r\nInner: \t a b\tc \t\r\nColon: a:b\r\n"
				   "Long: 0123456789abcdef0123456789abcdef \r\n\r\nrest";
	static const struct {
		const char *name, *value, *line;
	} want[] = {
	    {"Host", "a", "Host:a\r\n"},
	    {"Empty", "", "Empty:\r\n"},
	    {"Blank", "", "Blank: \t \r\n"},
	    {"One", "1", "One: 1\r\n"},
	    {"Inner", "a b\tc", "Inner: \t a b\tc \t\r\n"},
	    {"Colon", "a:b", "Colon: a:b\r\n"},
	    {"Long", "0123456789abcdef0123456789abcdef",
		"Long: 0123456789abcdef0123456789abcdef \r\n"},
	};
	static struct h1_head head;
	CU_ASSERT_EQUAL(h1_parse_request(BYTES(text), &head), H1_OK);
	CU_ASSERT_EQUAL(head.len, sizeof(text) - 1 - strlen("rest"));
	CU_ASSERT(case_text_is(head.target, "/p"));
	CU_ASSERT_EQUAL(head.n_fields, sizeof(want) / sizeof(want[0]));
	const char *at = text + strlen("GET /p HTTP/1.1\r\n");
	for (unsigned i = 0; i < head.n_fields; i++) {
		CU_ASSERT(case_text_is(head.fields[i].name, want[i].name));
		CU_ASSERT(case_text_is(head.fields[i].value, want[i].value));
		CU_ASSERT(case_text_is(head.fields[i].line, want[i].line));
		CU_ASSERT_PTR_EQUAL(head.fields[i].line.p, at);
		at += head.fields[i].line.len;
	}
	CU_ASSERT_PTR_EQUAL(at + 2, text + head.len);
}

static void limits_fields(void)
{
	static struct h1_head head;
	char text[2048];
	for (unsigned fields = H1_FIELDS_MAX; fields <= H1_FIELDS_MAX + 1; fields++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n");
		for (unsigned i = 0; i < fields; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "f%u: v\r\n", i);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n");
		CU_ASSERT_EQUAL(h1_parse_request(text, n, &head),
		    fields > H1_FIELDS_MAX ? H1_TOO_MANY_FIELDS : H1_OK);
		CU_ASSERT(fields > H1_FIELDS_MAX || head.n_fields == fields);
	}
	CU_ASSERT_EQUAL(h1_too_large(BYTES("GET /aaaaaaaa")), H1_TARGET_TOO_LONG);
	CU_ASSERT_EQUAL(h1_too_large(BYTES("\r\nGET /aaaaaa")), H1_TARGET_TOO_LONG);
	CU_ASSERT_EQUAL(h1_too_large(BYTES("GET / HTTP/1.1\r\na: bbb")), H1_HEAD_TOO_LARGE);
}

static void answers_refusals(void)
{
	CU_ASSERT_EQUAL(h1_refusal_status(H1_OK), 0);
	CU_ASSERT_EQUAL(h1_refusal_status(H1_MORE), 0);
	CU_ASSERT_EQUAL(h1_refusal_status(H1_BAD_HOST), 400);
	CU_ASSERT_EQUAL(h1_refusal_status(H1_TARGET_TOO_LONG), 414);
	CU_ASSERT_EQUAL(h1_refusal_status(H1_UNSUPPORTED_ENCODING), 501);
	CU_ASSERT_EQUAL(h1_refusal_status(H1_RESULT_COUNT), 500);
	CU_ASSERT_STRING_EQUAL(h1_refusal_name(H1_OBS_FOLD), "obs_fold");
	for (int i = H1_MORE + 1; i < H1_RESULT_COUNT; i++)
		CU_ASSERT(h1_refusal_status((enum h1_result)i) >= 400);
}

static void finds_the_end(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool want;
	} cases[] = {
	    {BYTES(""), false},
	    {BYTES("\r"), false},
	    {BYTES("\r\n"), false},
	    {BYTES("\r\nG"), false},
	    {BYTES("\r\n\r"), true},
	    {BYTES("\n"), true},
	    {BYTES("\rG"), true},
	    {BYTES("G"), false},
	    {BYTES("GET / HTTP/1.1\r\n"), false},
	    {BYTES("GET / HTTP/1.1\r\n\r"), false},
	    {BYTES("GET / HTTP/1.1\r\n\r\n"), true},
	    {BYTES("GET / HTTP/1.1\r\n\r\nmore"), true},
	    {BYTES("GET / HTTP/1.1\r\na: b\r\n"), false},
	    {BYTES("GET / HTTP/1.1\r\na: b\n"), true},
	    {BYTES("GET / HTTP/1.1\n"), true},
	    {BYTES("GET / HTTP/1.1\r\na: b\r\n\n"), true},
	    {BYTES("\x16\x03"), true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t scanned = 0;
		CU_ASSERT_EQUAL(
		    h1_head_complete(cases[i].bytes, cases[i].len, &scanned), cases[i].want);
	}
}

/* Linear time: what was looked at is not looked at again. Behind the search, the head is
 * overwritten with an end that it must not find. */
static void looks_once_at_each_byte(void)
{
	static char buf[5000];
	size_t scanned = 0, stale = 3;
	memset(buf, 'a', sizeof(buf));
	for (size_t at = 100; at + 2 < sizeof(buf); at += 100)
		memcpy(buf + at, "\r\n", 2);
	for (size_t n = 1; n <= sizeof(buf); n++) {
		CU_ASSERT(!h1_head_complete(buf, n, &scanned));
		CU_ASSERT_EQUAL(scanned, n);
		for (; stale + 2 < n; stale++)
			buf[stale] = '\n';
	}
	scanned = 0;
	CU_ASSERT(h1_head_complete(buf, sizeof(buf), &scanned));
}

/* Many options times many fields: bounded by refusing the former. */
static void limits_connection_options(void)
{
	static struct h1_head head;
	static char text[65536];
	size_t n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nConnection: x");
	while (n < 60000) {
		memcpy(text + n, ",yyyy", 5);
		n += 5;
	}
	memcpy(text + n, "\r\n\r\n", 4);
	CU_ASSERT_EQUAL(h1_parse_request(text, n + 4, &head), H1_BAD_FIELD_VALUE);
}

static void reads_max_forwards(void)
{
	static const struct {
		const char *method, *fields;
		uint32_t want;
		enum h1_result result;
	} cases[] = {
	    {"OPTIONS", "", H1_FORWARDS_FREE, H1_OK},
	    {"OPTIONS", "Max-Forwards: 0\r\n", 0, H1_OK},
	    {"TRACE", "max-forwards:0007\r\n", 7, H1_OK},
	    {"TRACE", "Max-Forwards: 4294967294\r\n", H1_FORWARDS_MAX, H1_OK},
	    {"TRACE", "Max-Forwards: 4294967295\r\n", H1_FORWARDS_MAX, H1_OK},
	    {"TRACE", "Max-Forwards: 18446744073709551616\r\n", H1_FORWARDS_MAX, H1_OK},
	    {"GET", "Max-Forwards: 0\r\n", H1_FORWARDS_FREE, H1_OK},
	    {"GET", "Max-Forwards: x\r\nMax-Forwards: y\r\n", H1_FORWARDS_FREE, H1_OK},
	    {"OPTIONS", "Max-Forwards:\r\n", 0, H1_BAD_MAX_FORWARDS},
	    {"OPTIONS", "Max-Forwards: +1\r\n", 0, H1_BAD_MAX_FORWARDS},
	    {"OPTIONS", "Max-Forwards: 1 2\r\n", 0, H1_BAD_MAX_FORWARDS},
	    {"TRACE", "Max-Forwards: 1\r\nMax-Forwards: 1\r\n", 0, H1_BAD_MAX_FORWARDS},
	};
	static struct h1_head head;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[128];
		int n = snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n",
		    cases[i].method, cases[i].fields);
		enum h1_result result = h1_parse_request(text, (size_t)n, &head);
		CU_ASSERT_EQUAL(result, cases[i].result);
		if (result == H1_OK)
			CU_ASSERT_EQUAL(head.max_forwards, cases[i].want);
	}
}

UNIT_MAIN("http/h1_fields", UNIT(knows_fields), UNIT(slices_fields), UNIT(limits_fields),
    UNIT(answers_refusals), UNIT(finds_the_end), UNIT(looks_once_at_each_byte),
    UNIT(limits_connection_options), UNIT(reads_max_forwards))
