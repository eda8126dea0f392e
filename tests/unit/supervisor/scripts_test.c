/* Real programs on a real loop; every test waits for a result, or a guard ends it.
 * Where we are root they run as nobody. */
#include "daemon/supervisor/scripts.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/unit/unit.h"

#define MS         1000ULL
#define TIMEOUT_US (50000 * MS) /* who is not to be killed: a busy machine starts it late */
#define GUARD_SEC  60.

static struct bench {
	struct ev_loop *loop;
	struct scripts scripts;
	struct setup setup;
	struct conf conf;
	struct conf_router router;
	struct conf_track_script script;
	ev_timer guard;
	unsigned results;
	bool timed_out;
} bench;

static void on_result(void *arg)
{
	CU_ASSERT_PTR_EQUAL(arg, &bench);
	bench.results++;
	ev_break(bench.loop, EVBREAK_ALL);
}

static void on_guard(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)timer;
	(void)revents;
	bench.timed_out = true;
	ev_break(loop, EVBREAK_ALL);
}

static void begin(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	memset(&bench, 0, sizeof(bench));
	bench.loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	bench.router = (struct conf_router){.name = "front",
	    .vrid = 51,
	    .track = {.scripts = &bench.script, .n_scripts = 1, .n_pools = 2}};
	bench.conf = (struct conf){.routers = &bench.router, .n_routers = 1};
	bench.setup = (struct setup){.conf = &bench.conf,
	    .unprivileged = geteuid() != 0 || !nobody,
	    .uid = nobody ? nobody->pw_uid : 0,
	    .gid = nobody ? nobody->pw_gid : 0};
	scripts_init(&bench.scripts, bench.loop, on_result, &bench);
}

static void run_for(double seconds)
{
	bench.timed_out = false;
	ev_timer_init(&bench.guard, on_guard, seconds, 0.);
	ev_timer_start(bench.loop, &bench.guard);
	ev_run(bench.loop, 0);
	ev_timer_stop(bench.loop, &bench.guard);
}

static void end(void)
{
	scripts_set(&bench.scripts, NULL);
	while (bench.scripts.all[0].pid != 0 || bench.scripts.all[1].pid != 0)
		ev_run(bench.loop, EVRUN_ONCE);
	ev_loop_destroy(bench.loop);
}

static void set(const char **command, uint32_t n, uint64_t interval_us, uint64_t timeout_us)
{
	bench.script = (struct conf_track_script){.command = command,
	    .n_command = n,
	    .interval_us = interval_us,
	    .timeout_us = timeout_us};
	scripts_set(&bench.scripts, &bench.setup);
}

static void shell(const char *text, uint64_t interval_us, uint64_t timeout_us)
{
	static const char *command[] = {"/bin/sh", "-c", NULL};
	command[2] = text;
	set(command, 3, interval_us, timeout_us);
}

/* The next result, as the message of it. */
static struct ipc_script wait_result(void)
{
	union ipc_message msg = {0};
	run_for(GUARD_SEC);
	CU_ASSERT_FALSE(bench.timed_out);
	CU_ASSERT_TRUE(scripts_next(&bench.scripts, &msg));
	scripts_sent(&bench.scripts);
	CU_ASSERT_EQUAL(msg.header.type, IPC_SCRIPT);
	return msg.script;
}

static void the_exit_code_judges_and_the_first_line_explains(void)
{
	static const struct {
		const char *text;
		bool good;
		const char *reason;
	} table[] = {
	    {"exit 0", true, "exit code 0"},
	    {"exit 3", false, "exit code 3"},
	    {"echo fine; echo more", true, "fine"},
	    {"echo 'no\troute' >&2; exit 1", false, "exit code 1: no route"},
	    {"printf 'no line feed'; exit 1", false, "exit code 1: no line feed"},
	    {"kill -SEGV $$", false, "signal 11 (Segmentation fault)"},
	    {"i=0; while [ $i -lt 4000 ]; do echo 'line of a script that writes a lot'; "
	     "i=$((i+1)); done",
		true, "line of a script that writes a lot"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		begin();
		shell(table[i].text, 3600000 * MS, TIMEOUT_US);
		struct ipc_script result = wait_result();
		CU_ASSERT_EQUAL(result.good, table[i].good);
		CU_ASSERT_STRING_EQUAL(result.reason, table[i].reason);
		CU_ASSERT_STRING_EQUAL(result.router, "front");
		CU_ASSERT_EQUAL(result.vrid, 51);
		CU_ASSERT_EQUAL(result.index, 2);
		end();
	}
}

static void arguments_are_no_shell_words(void)
{
	static const char *command[] = {"/bin/echo", "a b; exit 1", "$HOME", "", "*"};
	begin();
	set(command, 5, 3600000 * MS, TIMEOUT_US);
	struct ipc_script result = wait_result();
	CU_ASSERT_TRUE(result.good);
	CU_ASSERT_STRING_EQUAL(result.reason, "a b; exit 1 $HOME  *");
	end();
}

static void what_cannot_be_started_has_failed(void)
{
	static const char *command[] = {"/nonexistent/check"};
	begin();
	set(command, 1, 3600000 * MS, TIMEOUT_US);
	struct ipc_script result = wait_result();
	CU_ASSERT_FALSE(result.good);
	CU_ASSERT_STRING_EQUAL(
	    result.reason, "exit code 127: cannot be started: No such file or directory");
	end();
}

static void it_inherits_nothing(void)
{
	begin();
	int fd = dup(STDERR_FILENO); /* without close-on-exec */
	shell("id -u; ", 3600000 * MS, TIMEOUT_US);
	struct ipc_script result = wait_result();
	if (!bench.setup.unprivileged)
		CU_ASSERT_EQUAL(strtoul(result.reason, NULL, 10), bench.setup.uid);
	shell("id -G", 3600000 * MS, TIMEOUT_US);
	result = wait_result();
	if (!bench.setup.unprivileged)
		CU_ASSERT_EQUAL(strtoul(result.reason, NULL, 10), bench.setup.gid);
	/* ls itself has opened the directory, as 3. */
	shell("echo $(ls /proc/self/fd)", 3600000 * MS, TIMEOUT_US);
	CU_ASSERT_STRING_EQUAL(wait_result().reason, "0 1 2 3");
	shell("echo $(pwd) $(env | sort)", 3600000 * MS, TIMEOUT_US);
	CU_ASSERT_PTR_NULL(strstr(wait_result().reason, "HOME"));
	close(fd);
	end();
}

/* With all that it has started. */
static void who_takes_too_long_is_killed(void)
{
	begin();
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* its child becomes ours */
	unsigned long child = 0;
	/* Longer, if it was killed before it could say anything. */
	for (uint64_t ms = 200; child == 0 && ms * MS < TIMEOUT_US; ms *= 4) {
		char verdict[32];
		snprintf(verdict, sizeof(verdict), "no end in %llu ms", (unsigned long long)ms);
		shell("sleep 100 & echo $!; wait", 3600000 * MS, ms * MS);
		struct ipc_script result = wait_result();
		CU_ASSERT_FALSE(result.good);
		CU_ASSERT_EQUAL_FATAL(strncmp(result.reason, verdict, strlen(verdict)), 0);
		sscanf(result.reason + strlen(verdict), ": %lu", &child);
	}
	CU_ASSERT_FATAL(child > 0);
	int status = 0;
	CU_ASSERT_EQUAL(waitpid((pid_t)child, &status, 0), (pid_t)child);
	CU_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	end();
}

static void it_runs_again_and_again(void)
{
	begin();
	shell("exit 0", 100 * MS, TIMEOUT_US);
	uint64_t begun_us = clock_us();
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(wait_result().good);
	CU_ASSERT(clock_us() - begun_us >= 200 * MS);
	CU_ASSERT_EQUAL(bench.results, 3);
	end();
}

static void a_result_is_told_once_and_again_to_another(void)
{
	union ipc_message msg;
	begin();
	shell("exit 0", 3600000 * MS, TIMEOUT_US);
	wait_result();
	CU_ASSERT_FALSE(scripts_next(&bench.scripts, &msg));
	scripts_tell_again(&bench.scripts);
	CU_ASSERT_TRUE(scripts_next(&bench.scripts, &msg));
	/* Not taken: it is still there. */
	CU_ASSERT_TRUE(scripts_next(&bench.scripts, &msg));
	scripts_sent(&bench.scripts);
	CU_ASSERT_FALSE(scripts_next(&bench.scripts, &msg));
	end();
}

/* The old one dies, and what it would have said is of no interest. */
static void another_configuration_replaces_them(void)
{
	union ipc_message msg;
	begin();
	shell("sleep 100", 3600000 * MS, TIMEOUT_US);
	while (bench.scripts.all[0].pid == 0)
		ev_run(bench.loop, EVRUN_ONCE);
	shell("echo new", 3600000 * MS, TIMEOUT_US);
	CU_ASSERT_STRING_EQUAL(wait_result().reason, "new");
	while (bench.scripts.all[0].pid != 0)
		ev_run(bench.loop, EVRUN_ONCE);
	CU_ASSERT_EQUAL(bench.results, 1);
	CU_ASSERT_FALSE(scripts_next(&bench.scripts, &msg));
	end();
}

UNIT_MAIN("supervisor/scripts", UNIT(the_exit_code_judges_and_the_first_line_explains),
    UNIT(arguments_are_no_shell_words), UNIT(what_cannot_be_started_has_failed),
    UNIT(it_inherits_nothing), UNIT(who_takes_too_long_is_killed), UNIT(it_runs_again_and_again),
    UNIT(a_result_is_told_once_and_again_to_another), UNIT(another_configuration_replaces_them))
