#include "daemon/supervisor/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static int manager; /* plays systemd */
static char text[512];

static void listen_as(const char *name)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	memcpy(sun.sun_path, name, strlen(name));
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	else
		len++;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	CU_ASSERT_EQUAL_FATAL(bind(manager, (struct sockaddr *)&sun, len), 0);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_init();
}

static const char *heard(void)
{
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static char abstract[64];

static void words_arrive(void)
{
	snprintf(abstract, sizeof(abstract), "@yoke-notify-test-%d", (int)getpid());
	listen_as(abstract);
	notify_ready("node a");
	CU_ASSERT_STRING_EQUAL(heard(), "READY=1\nSTATUS=node a\n");
	notify_status("two\nlines");
	CU_ASSERT_STRING_EQUAL(heard(), "STATUS=two lines\n");
	notify_watchdog();
	CU_ASSERT_STRING_EQUAL(heard(), "WATCHDOG=1\n");
	notify_reloading();
	CU_ASSERT_EQUAL(strncmp(heard(), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	notify_stopping("SIGTERM");
	CU_ASSERT_STRING_EQUAL(heard(), "STOPPING=1\nSTATUS=SIGTERM\n");
	notify_flush();
	CU_ASSERT_STRING_EQUAL(heard(), ""); /* nothing is said twice */
	close(manager);
	notify_fini();
}

static void a_manager_that_does_not_read_stops_nobody(void)
{
	char dir[SCRATCH_MAX], path[64];
	CU_ASSERT_TRUE_FATAL(scratch_make(dir));
	snprintf(path, sizeof(path), "%s/n", dir);
	listen_as(path);
	for (int i = 0; i < 5000; i++)
		notify_watchdog(); /* until its queue is full, and beyond */
	notify_reloading();
	notify_ready("new");
	notify_status("newer");
	while (strcmp(heard(), "WATCHDOG=1\n") == 0)
		;
	notify_flush();
	CU_ASSERT_STRING_EQUAL(heard(), "READY=1\nSTATUS=newer\nWATCHDOG=1\n");
	close(manager);
	notify_watchdog(); /* nor does one that is gone */
	unlink(path);
	rmdir(dir);
	notify_fini();
}

static void the_watchdog_is_asked_for(void)
{
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("NOTIFY_SOCKET", abstract, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	unsetenv("WATCHDOG_PID");
	notify_init();
	CU_ASSERT_EQUAL(notify_watchdog_interval_us(), 1000000);
	setenv("WATCHDOG_PID", pid, 1);
	notify_init();
	CU_ASSERT_EQUAL(notify_watchdog_interval_us(), 1000000);
	setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
	notify_init();
	CU_ASSERT_EQUAL(notify_watchdog_interval_us(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	notify_init();
	CU_ASSERT_EQUAL(notify_watchdog_interval_us(), 0);
	notify_fini();
}

static void without_systemd_nothing_happens(void)
{
	unsetenv("NOTIFY_SOCKET");
	notify_init();
	notify_ready("x");
	notify_flush();
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_init();
	notify_ready("x");
	CU_ASSERT_EQUAL(notify_watchdog_interval_us(), 0);
	notify_fini();
}

UNIT_MAIN("supervisor/notify", UNIT(words_arrive), UNIT(a_manager_that_does_not_read_stops_nobody),
    UNIT(the_watchdog_is_asked_for), UNIT(without_systemd_nothing_happens))
