#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* The reader reads nothing until `lines` were written; then everything, and the next line. */
static uint64_t fill(int reader, unsigned lines)
{
	char line[1000];
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	uint64_t before = log_lost();
	log_init("test", LOG_LEVEL_INFO);
	for (unsigned i = 0; i < lines; i++)
		log_info("%s", line);
	static char all[1 << 20];
	CU_ASSERT_TRUE(read(reader, all, sizeof(all)) > 0);
	log_info("read again");
	ssize_t n = read(reader, captured, sizeof(captured) - 1);
	captured[n > 0 ? n : 0] = '\0';
	return log_lost() - before;
}

static void nobody_waits_for(int reader, int writer)
{
	char expected[64];
	int saved = dup(STDERR_FILENO);
	CU_ASSERT_TRUE_FATAL(saved >= 0);
	dup2(writer, STDERR_FILENO);
	uint64_t lost = fill(reader, 2000);
	dup2(saved, STDERR_FILENO);
	close(saved);
	CU_ASSERT_TRUE(lost > 0 && lost < 2000);
	snprintf(expected, sizeof(expected), "%llu lines are lost", (unsigned long long)lost);
	CU_ASSERT_PTR_NOT_NULL(strstr(captured, expected));
	CU_ASSERT_PTR_NOT_NULL(strstr(captured, "read again\n"));
	CU_ASSERT_FALSE(fcntl(writer, F_GETFL) & O_NONBLOCK);
	close(reader);
	close(writer);
}

static void nobody_waits_for_a_reader(void)
{
	int fds[2];
	CU_ASSERT_TRUE_FATAL(pipe(fds) == 0);
	nobody_waits_for(fds[0], fds[1]);
	CU_ASSERT_TRUE_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	nobody_waits_for(fds[0], fds[1]);
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
    UNIT(one_call_is_one_line), UNIT(nobody_waits_for_a_reader), UNIT(limits_what_strangers_cause))
