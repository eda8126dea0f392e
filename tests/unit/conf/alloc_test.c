/* Every allocation fails once: -ENOMEM or the errors of the text, nothing lost (LeakSanitizer sees
 * to that). The linker sends our library's calls here (--wrap); json-c's own are not reached. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "tests/unit/unit.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* The allocation that fails, counted down; negative: none. */
static long countdown = -1;

static bool fails(void)
{
	return countdown >= 0 && countdown-- == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

static void ignore(void *arg, const char *line)
{
	(void)line;
	++*(unsigned *)arg;
}

/* Returns what came out when nothing failed any more. */
static int fail_each(const char *text, int expected)
{
	for (long n = 0;; n++) {
		struct conf *conf = NULL;
		unsigned lines = 0;
		countdown = n;
		int result = conf_load("y", text, strlen(text), ignore, &lines, &conf);
		bool failed = countdown < 0;
		countdown = -1;
		CU_ASSERT_EQUAL(conf != NULL, result == 0);
		conf_free(conf);
		if (!failed) {
			CU_ASSERT(n > 5);
			return result;
		}
		CU_ASSERT(result == -ENOMEM || (result == expected && result != 0));
	}
}

static char *read_example(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *file = fopen(path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT(fread(text, 1, 65535, file) > 0);
	fclose(file);
	return text;
}

static void good_files(void)
{
	char *text = read_example(EXAMPLES "/pair.json");
	CU_ASSERT_EQUAL(fail_each(text, 0), 0);
	free(text);
}

static void bad_files(void)
{
	CU_ASSERT_EQUAL(
	    fail_each("{\"workers\": 0, \"workers\": 1, \"\\u0061\": []}", -EINVAL), -EINVAL);
}

UNIT_MAIN("conf/alloc", UNIT(good_files), UNIT(bad_files))
