#include "daemon/base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char captured[8192];

/* Runs `write_lines` with stderr in a pipe; the text goes to `captured`. */
static void capture(void (*write_lines)(void))
{
	int fds[2], saved = dup(STDERR_FILENO);
	CU_ASSERT_TRUE_FATAL(saved >= 0 && pipe(fds) == 0);
	dup2(fds[1], STDERR_FILENO);
	write_lines();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	ssize_t n = read(fds[0], captured, sizeof(captured) - 1);
	captured[n > 0 ? n : 0] = '\0';
	close(fds[0]);
}

static unsigned count(char c)
{
	unsigned n = 0;
	for (const char *p = captured; *p; p++)
		n += *p == c;
	return n;
}

static void two_levels(void)
{
	log_info("pool %s: %d up", "web", 3);
	log_debug("not this one");
}

static void writes_what_the_level_lets_through(void)
{
	unsetenv("JOURNAL_STREAM");
	log_init("test", LOG_LEVEL_INFO);
	capture(two_levels);
	CU_ASSERT_EQUAL(count('\n'), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured, "info   test["));
	CU_ASSERT_PTR_NOT_NULL(strstr(captured, "]: pool web: 3 up\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	capture(two_levels);
	CU_ASSERT_EQUAL(count('\n'), 2);
	log_set_level(LOG_LEVEL_ERROR);
	capture(two_levels);
	CU_ASSERT_EQUAL(count('\n'), 0);
}

static void every_level(void)
{
	log_error("e");
	log_warn("w");
	log_notice("n");
	log_info("i");
	log_debug("d");
}

static void the_journal_gets_priorities(void)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_init("test", LOG_LEVEL_DEBUG);
	capture(every_level);
	CU_ASSERT_STRING_EQUAL(
	    captured, "<3>test: e\n<4>test: w\n<5>test: n\n<6>test: i\n<7>test: d\n");
	unsetenv("JOURNAL_STREAM");
	log_init("test", LOG_LEVEL_INFO);
}

static void hostile_lines(void)
{
	char much[4000];
	memset(much, 'x', sizeof(much));
	much[sizeof(much) - 1] = '\0';
	errno = ENOENT;
	log_warn("refused \"%s\"", "a\r\n00:00:00.000 error  yoked[1]: forged\x1b[2J\x7f");
	log_warn("%s", much);
	CU_ASSERT_EQUAL(errno, ENOENT);
}

static void one_call_is_one_line(void)
{
	capture(hostile_lines);
	CU_ASSERT_EQUAL(count('\n'), 2);
	CU_ASSERT_EQUAL(count('\r') + count('\x1b') + count('\x7f'), 0);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(captured, "\"a??00:00:00.000 error  yoked[1]: forged?[2J?\""));
	const char *second = strchr(captured, '\n') + 1;
	CU_ASSERT_EQUAL(strlen(second), 1023);
}

static void names_of_levels(void)
{
	enum log_level level = LOG_LEVEL_INFO;
	CU_ASSERT_TRUE(log_level_parse("debug", &level));
	CU_ASSERT_EQUAL(level, LOG_LEVEL_DEBUG);
	CU_ASSERT_TRUE(log_level_parse("error", &level));
	CU_ASSERT_EQUAL(level, LOG_LEVEL_ERROR);
	CU_ASSERT_FALSE(log_level_parse("Error", &level));
	CU_ASSERT_FALSE(log_level_parse("", &level));
	CU_ASSERT_EQUAL(level, LOG_LEVEL_ERROR);
}

static void limits_what_strangers_cause(void)
{
	struct log_limit limit = {0};
	uint64_t suppressed = 99;
	CU_ASSERT_TRUE(log_allowed(&limit, 1000, 100, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
	for (uint64_t now = 1000; now < 1100; now++)
		CU_ASSERT_FALSE(log_allowed(&limit, now, 100, &suppressed));
	CU_ASSERT_TRUE(log_allowed(&limit, 1100, 100, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 100);
	CU_ASSERT_TRUE(log_allowed(&limit, 5000, 100, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 0);
}

UNIT_MAIN("base/log", UNIT(writes_what_the_level_lets_through), UNIT(the_journal_gets_priorities),
    UNIT(one_call_is_one_line), UNIT(names_of_levels), UNIT(limits_what_strangers_cause))
