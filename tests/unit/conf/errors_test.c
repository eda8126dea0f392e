/* errors.txt: bad configurations, and the exact lines that are said about them. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "tests/unit/unit.h"

#define TEXT_MAX  8192
#define LINES_MAX 4096

#define LISTENERS "\"listeners\":{\"w\":{\"bind\":\"127.0.0.1:80\",\"pool\":\"p\"}},"
#define POOLS     "\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"]}},"
#define SECRET    "\"sync\":{\"key_file\":\"/k\"},"
#define NODES     "\"nodes\":{\"a\":{\"address\":\"10.0.0.11\"},\"b\":{\"address\":\"10.0.0.12\"}},"

/* The text of a block stands between these, on lines of its own. */
static const struct {
	const char *name, *before, *after;
} templates[] = {
    {"file", "", ""},
    {"top", "{" LISTENERS POOLS "\n", "}"},
    {"nodes", "{\"nodes\":{\n", "}," SECRET LISTENERS POOLS "\"cluster\":\"c\"}"},
    {"pair", "{" NODES SECRET "\n", "}"},
    {"routers", "{" NODES SECRET "\"virtual_routers\":{\n", "}}"},
    {"listener",
	"{\"pools\":{\"servers\":{\"targets\":[\"10.0.0.1:80\"]},\"sticky\":{\"targets\":["
	"\"10.0.0.1:80\"],\"sticky\":{\"cookie\":{}}}},\"listeners\":{\"w\":{\n",
	"}},\"cluster\":\"c\"}"},
    {"routes",
	"{\"pools\":{\"servers\":{\"targets\":[\"10.0.0.1:80\"]},\"sticky\":{\"targets\":["
	"\"10.0.0.1:80\"],\"sticky\":{\"cookie\":{}}}},\"listeners\":{\"w\":{\"bind\":"
	"\"127.0.0.1:80\",\"routes\":[\n",
	"]}},\"cluster\":\"c\"}"},
    {"targets", "{" LISTENERS "\"pools\":{\"p\":{\n", "}}}"},
    {"pool", "{" LISTENERS "\"pools\":{\"p\":{\"targets\":[\"10.0.0.1:80\"],\n", "}}}"},
};

struct block {
	char title[256];
	char text[TEXT_MAX];
	char expected[LINES_MAX];
};

static void append(char *buf, size_t size, const char *text)
{
	size_t used = strlen(buf);
	if (strlen(text) >= size - used) {
		fprintf(stderr, "errors.txt: a block is too long\n");
		exit(2);
	}
	memcpy(buf + used, text, strlen(text) + 1);
}

static void collect(void *arg, const char *line)
{
	append(arg, LINES_MAX, line);
	append(arg, LINES_MAX, "\n");
}

static bool make_text(const struct block *block, char *text)
{
	size_t name_len = strcspn(block->title, ":");
	for (size_t i = 0; i < sizeof(templates) / sizeof(templates[0]); i++) {
		if (strlen(templates[i].name) != name_len ||
		    strncmp(templates[i].name, block->title, name_len) != 0)
			continue;
		text[0] = '\0';
		append(text, TEXT_MAX, templates[i].before);
		append(text, TEXT_MAX, block->text);
		append(text, TEXT_MAX, templates[i].after);
		return true;
	}
	return false;
}

/* Loads from an exact-size copy, so that a sanitizer sees a read past the end. */
static bool run_block(const struct block *block)
{
	char text[TEXT_MAX], lines[LINES_MAX] = "";
	struct conf *conf = NULL;
	if (!make_text(block, text)) {
		printf("no such template: %s\n", block->title);
		return false;
	}
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	if (!copy)
		abort();
	memcpy(copy, text, len);
	int result = conf_load("bad.json", copy, len, collect, lines, &conf);
	free(copy);
	if ((result == 0) != (lines[0] == '\0') || (result == 0) != (conf != NULL)) {
		printf("%s: result %d does not fit the report\n", block->title, result);
		return false;
	}
	conf_free(conf);
	if (strcmp(lines, block->expected) == 0)
		return true;
	printf("\n== %s\nexpected:\n%sgot:\n%s", block->title, block->expected, lines);
	return false;
}

static void check_block(struct block *block, unsigned *count)
{
	if (block->title[0]) {
		CU_ASSERT(run_block(block));
		++*count;
	}
	memset(block, 0, sizeof(*block));
}

static void says_what_is_wrong(void)
{
	static struct block block;
	char line[2048];
	unsigned count = 0;
	FILE *file = fopen(ERRORS_FILE, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, "== ", 3) == 0) {
			check_block(&block, &count);
			line[strcspn(line, "\n")] = '\0';
			append(block.title, sizeof(block.title), line + 3);
		} else if (strncmp(line, "-> ok", 5) == 0) {
			continue;
		} else if (strncmp(line, "-> ", 3) == 0) {
			append(block.expected, LINES_MAX, "bad.json:");
			append(block.expected, LINES_MAX, line + 3);
		} else if (block.title[0] && line[0] != '\n') {
			append(block.text, TEXT_MAX, line);
		}
	}
	check_block(&block, &count);
	fclose(file);
	printf("%u blocks ... ", count);
	CU_ASSERT(count >= 150);
}

UNIT_MAIN("conf/errors", UNIT(says_what_is_wrong))
