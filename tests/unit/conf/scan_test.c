/* Texts that cannot stand in errors.txt: bytes that are no text, and sizes at the limits. Names of
 * tests that end in "json_c" are about something that json-c alone would let pass. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "tests/unit/unit.h"

#define CAPTURE_MAX 65536
#define MIB         (1024 * 1024)

struct capture {
	char text[CAPTURE_MAX];
	size_t used;
	unsigned n_lines;
};

static struct capture captured;

static void capture_line(void *arg, const char *line)
{
	struct capture *capture = arg;
	size_t len = strlen(line);
	if (capture->used + len + 2 < CAPTURE_MAX) {
		memcpy(capture->text + capture->used, line, len);
		capture->text[capture->used + len] = '\n';
		capture->used += len + 1;
	}
	capture->n_lines++;
}

/* Loads and keeps the lines in `captured`. */
static int load(const char *text, size_t len)
{
	struct conf *conf = NULL;
	memset(&captured, 0, sizeof(captured));
	char *copy = malloc(len ? len : 1);
	if (!copy)
		abort();
	memcpy(copy, text, len);
	int result = conf_load("y", copy, len, capture_line, &captured, &conf);
	free(copy);
	conf_free(conf);
	return result;
}

static void assert_line(const char *text, size_t len, const char *line)
{
	CU_ASSERT_EQUAL(load(text, len), -EINVAL);
	CU_ASSERT_EQUAL(captured.n_lines, 1);
	if (strncmp(captured.text, line, strlen(line)) != 0 ||
	    captured.text[strlen(line)] != '\n') {
		printf("\nexpected: %s\ngot: %s", line, captured.text);
		CU_FAIL("another line");
	}
}

static void refuses_bytes_that_are_no_text_json_c(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *line;
	} cases[] = {
	    {"", 0, "y:1:1: top level: empty; wanted an object { ... }"},
	    {" \n\t", 3, "y:1:1: top level: empty; wanted an object { ... }"},
	    {"{}\0", 3, "y:1:3: top level: a NUL byte; this is not text"},
	    {"{\"a\": \"x\0y\"}", 12, "y:1:9: top level: a NUL byte; this is not text"},
	    {"// \0\n{}", 7, "y:1:4: top level: a NUL byte; this is not text"},
	    {"\xef\xbb\xbf{}", 5, "y:1:1: top level: begins with a byte order mark; remove it"},
	    {"{\n\"\xff\"}", 6, "y:2:2: top level: byte 0xff is not valid UTF-8"},
	    {"// \xc3\n{}", 7, "y:1:4: top level: byte 0xc3 is not valid UTF-8"},
	    {"{\"\xc0\xaf\"}", 6, "y:1:3: top level: byte 0xc0 is not valid UTF-8"},
	    {"{\"\xe0\x80\xaf\"}", 7, "y:1:3: top level: byte 0xe0 is not valid UTF-8"},
	    {"{\"\xed\xa0\x80\"}", 7, "y:1:3: top level: byte 0xed is not valid UTF-8"},
	    {"{\"\xf4\x90\x80\x80\"}", 8, "y:1:3: top level: byte 0xf4 is not valid UTF-8"},
	    {"{\"\xf0\x8f\xbf\xbf\"}", 8, "y:1:3: top level: byte 0xf0 is not valid UTF-8"},
	    {"{\"\x80\"}", 5, "y:1:3: top level: byte 0x80 is not valid UTF-8"},
	    {"{\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x82\xe2\x82", 13,
		"y:1:6: top level: byte 0xe2 is not valid UTF-8"},
	    {"{\"\x7f\": 1 \x01}", 9,
		"y:1:9: [\"\\x7f\"]: unexpected character; wanted ',' or '}'"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) - 1; i++)
		assert_line(cases[i].text, cases[i].len, cases[i].line);
}

static void accepts_all_of_utf8_in_comments(void)
{
	static const char text[] =
	    "/* \xc2\x80 \xdf\xbf \xe0\xa0\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf */"
	    "{\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"}},\r\n"
	    "\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]}}}//";
	CU_ASSERT_EQUAL(load(text, sizeof(text) - 1), 0);
}

/* `count` times `piece` between `head` and `tail`, %u in it being the number. */
static char *repeat(const char *head, const char *piece, unsigned count, const char *tail)
{
	size_t size = strlen(head) + strlen(tail) + (strlen(piece) + 12) * count + 1, used;
	char *text = malloc(size);
	if (!text)
		abort();
	used = (size_t)snprintf(text, size, "%s", head);
	for (unsigned i = 0; i < count; i++) {
		for (const char *p = piece; *p; p++) {
			if (*p == '#')
				used += (size_t)snprintf(text + used, size - used, "%u", i);
			else
				text[used++] = *p;
		}
	}
	snprintf(text + used, size - used, "%s", tail);
	return text;
}

static void refuses_more_than_4_mib(void)
{
	size_t len = 4 * MIB + 1;
	char *text = malloc(len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, ' ', len);
	assert_line(text, len, "y:1:1: top level: larger than 4 MiB");
	memcpy(text, "{}", 2);
	CU_ASSERT_EQUAL(load(text, len - 1), 0);
	free(text);
}

static void refuses_too_many_values(void)
{
	char *text = repeat("{\"a\":[", "1,", 400001, "1]}");
	assert_line(text, strlen(text), "y:1:800003: a[399998]: more than 400000 values");
	free(text);
}

static void counts_errors_beyond_the_limit(void)
{
	char *text = repeat("{\"workers\":0", ",\n\"k#x\":1", 1000, "}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), -EINVAL);
	CU_ASSERT_EQUAL(captured.n_lines, 257);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured.text, " more errors\n"));
	free(text);
	text = repeat("{\"workers\":1", ",\n\"workers\":1", 2000, "}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), -EINVAL);
	CU_ASSERT_EQUAL(captured.n_lines, 257);
	free(text);
}

#define LISTEN "\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"}}"

static void holds_the_limits_of_the_tree(void)
{
	char *text = repeat("{" LISTEN ",\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"",
	    ",\"10.0.1.1:1#\"", 1023, "]}}}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), 0);
	free(text);
	text = repeat("{" LISTEN ",\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"",
	    ",\"10.0.1.1:1#\"", 1024, "]}}}");
	assert_line(
	    text, strlen(text), "y:1:79: pools.p.targets: 1025 entries; wanted at most 1024");
	free(text);
	text = repeat("{" LISTEN ",\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]}",
	    ",\"p#\":{\"targets\":[\"10.0.0.1:80\"]}", 1024, "}}");
	assert_line(text, strlen(text), "y:1:63: pools: 1025 entries; wanted at most 1024");
	free(text);
	text = repeat("{\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]}},\"listeners\":{\"w\":"
		      "{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"}",
	    ",\"w#\":{\"bind\":\"127.0.0.1:1#\",\"pool\":\"p\"}", 256, "}}");
	assert_line(text, strlen(text), "y:1:56: listeners: 257 entries; wanted at most 256");
	free(text);
}

static void refuses_long_names_and_paths(void)
{
	char *text = repeat("{" LISTEN ",\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]},\"", "n",
	    64, "\":{\"targets\":[\"10.0.0.1:80\"]}}}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured.text, ": not a name of 1 to 63 letters"));
	free(text);
	text = repeat("{\"sync\":{\"key_file\":\"/", "n", 4095, "\"}}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured.text, "...\" is longer than 4095 bytes"));
	free(text);
}

/* Takes one pass over the text, whatever it looks like. */
static void stands_a_flat_object_of_4_mib(void)
{
	char *text = repeat("{\"x\":1", ",\"k#\":1", 300000, "}");
	CU_ASSERT_EQUAL(load(text, strlen(text)), -EINVAL);
	CU_ASSERT_EQUAL(captured.n_lines, 257);
	free(text);
}

UNIT_MAIN("conf/scan", UNIT(refuses_bytes_that_are_no_text_json_c),
    UNIT(accepts_all_of_utf8_in_comments), UNIT(refuses_more_than_4_mib),
    UNIT(refuses_too_many_values), UNIT(counts_errors_beyond_the_limit),
    UNIT(holds_the_limits_of_the_tree), UNIT(refuses_long_names_and_paths),
    UNIT(stands_a_flat_object_of_4_mib))
