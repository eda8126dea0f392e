#include "daemon/base/thread.h"

#include <signal.h>

#include "tests/unit/unit.h"

static void *tell_mask(void *arg)
{
	pthread_sigmask(SIG_SETMASK, NULL, arg);
	return NULL;
}

static void a_thread_sees_only_its_own_faults(void)
{
	sigset_t before, mask, after;
	pthread_t thread;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	CU_ASSERT_EQUAL_FATAL(thread_start(&thread, tell_mask, &mask), 0);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(sigismember(&mask, SIGTERM) && sigismember(&mask, SIGHUP));
	CU_ASSERT_TRUE(sigismember(&mask, SIGPIPE) && sigismember(&mask, SIGCHLD));
	CU_ASSERT_FALSE(sigismember(&mask, SIGSEGV) || sigismember(&mask, SIGBUS));
	CU_ASSERT_FALSE(sigismember(&mask, SIGABRT) || sigismember(&mask, SIGILL));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i < SIGRTMAX; i++)
		CU_ASSERT_EQUAL(sigismember(&before, i), sigismember(&after, i));
}

UNIT_MAIN("base/thread", UNIT(a_thread_sees_only_its_own_faults))
