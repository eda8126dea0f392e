#include "daemon/supervisor/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

#define FILES_MAX 256
/* Between the first starts of a router's scripts: all are known soon, and not all run at once. */
#define SPREAD_US (20 * US_PER_MS)

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents);

static void start_timer(struct script *script, uint64_t after_us)
{
	struct ev_loop *loop = script->owner->loop;
	ev_now_update(loop);
	ev_timer_stop(loop, &script->timer);
	ev_timer_set(&script->timer, (double)after_us / US_PER_SEC, 0.);
	ev_timer_start(loop, &script->timer);
}

/* --- what it says --- */

/* Up to the first line feed; control characters would spoil a log. */
static void take(struct script *script, const char *data, size_t len)
{
	for (size_t i = 0; i < len && !script->line_complete; i++) {
		if (data[i] == '\n')
			script->line_complete = true;
		else if (script->line_len + 1 < sizeof(script->line))
			script->line[script->line_len++] =
			    (unsigned char)data[i] < ' ' || data[i] == 0x7f ? ' ' : data[i];
	}
	script->line[script->line_len] = '\0';
}

static void close_output(struct script *script)
{
	ev_io_stop(script->owner->loop, &script->output_watch);
	if (script->output >= 0)
		close(script->output);
	script->output = -1;
}

/* All of it is read, so that a script that writes much does not wait for us. */
static void on_output(struct ev_loop *loop, ev_io *io, int revents)
{
	struct script *script = io->data;
	char buf[4096];
	(void)loop;
	(void)revents;
	ssize_t n = read(script->output, buf, sizeof(buf));
	if (n > 0)
		take(script, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_output(script);
}

/* --- what became of it --- */

static void conclude(struct script *script, bool good, const char *what)
{
	script->good = good;
	if (script->line_len > 0 && good)
		text_copy(script->reason, sizeof(script->reason), script->line);
	else if (script->line_len > 0)
		snprintf(script->reason, sizeof(script->reason), "%s: %.90s", what, script->line);
	else
		text_copy(script->reason, sizeof(script->reason), what);
	script->has_result = true;
	script->told = false;
	uint64_t lived_us = clock_us() - script->started_us;
	start_timer(script, script->interval_us > lived_us ? script->interval_us - lived_us : 0);
	script->owner->on_result(script->owner->arg);
}

static void judge(struct script *script, const siginfo_t *info)
{
	char what[96];
	if (script->overdue)
		snprintf(what, sizeof(what), "no end in %llu ms",
		    (unsigned long long)(script->timeout_us / US_PER_MS));
	else if (info->si_code == CLD_EXITED)
		snprintf(what, sizeof(what), "exit code %d", info->si_status);
	else
		snprintf(what, sizeof(what), "signal %d (%s)", info->si_status,
		    strsignal(info->si_status));
	conclude(
	    script, !script->overdue && info->si_code == CLD_EXITED && info->si_status == 0, what);
}

/* The group is killed before its leader is waited for: until then the number is nobody else's. */
static void on_exit_event(struct ev_loop *loop, ev_io *io, int revents)
{
	struct script *script = io->data;
	siginfo_t info = {0};
	(void)revents;
	if (waitid(P_PIDFD, (id_t)script->pidfd, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return;
	kill(-script->pid, SIGKILL);
	waitid(P_PIDFD, (id_t)script->pidfd, &info, WEXITED | WNOHANG);
	if (script->output >= 0)
		on_output(loop, &script->output_watch, EV_READ);
	close_output(script);
	ev_io_stop(loop, &script->exit_watch);
	ev_timer_stop(loop, &script->timer);
	close(script->pidfd);
	script->pidfd = -1;
	script->pid = 0;
	if (script->used)
		judge(script, &info);
}

/* --- start --- */

static int drop_privileges(const struct setup *setup)
{
	if (setup->unprivileged)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(setup->gid, setup->gid, setup->gid) < 0 ||
	    setresuid(setup->uid, setup->uid, setup->uid) < 0)
		return -1;
	return 0;
}

static void limit_resources(void)
{
	struct rlimit files = {FILES_MAX, FILES_MAX}, core = {0, 0};
	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &core);
}

/* In the child, between fork and exec: what it must not inherit. */
static _Noreturn void run(const struct script *script, int output, pid_t parent)
{
	static char *environment[] = {
	    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};
	sigset_t none;
	setpgid(0, 0);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(127);
	close_range(STDERR_FILENO + 1, ~0U, 0);
	limit_resources();
	if (chdir("/") < 0 || drop_privileges(script->owner->setup) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		dprintf(STDOUT_FILENO, "giving up privileges: %s\n", strerror(errno));
		_exit(127);
	}
	/* After the change of user, which forgets it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	execve(script->argv[0], script->argv, environment);
	dprintf(STDOUT_FILENO, "cannot be started: %s\n", strerror(errno));
	_exit(127);
}

static int spawn(struct script *script)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Its own end may wait, like any program's. */
	fcntl(pipe_fds[1], F_SETFL, 0);
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		run(script, pipe_fds[1], parent);
	int rc = pid < 0 ? -errno : 0;
	close(pipe_fds[1]);
	int pidfd = rc ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (!rc && pidfd < 0) {
		rc = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (rc) {
		close(pipe_fds[0]);
		return rc;
	}
	fcntl(pidfd, F_SETFD, FD_CLOEXEC);
	/* Also here: it may be killed before it has run. */
	setpgid(pid, pid);
	script->pid = pid;
	script->pidfd = pidfd;
	script->output = pipe_fds[0];
	return 0;
}

static void start(struct script *script)
{
	char what[96];
	struct ev_loop *loop = script->owner->loop;
	script->started_us = clock_us();
	script->line_len = 0;
	script->line[0] = '\0';
	script->line_complete = script->overdue = false;
	int rc = spawn(script);
	if (rc) {
		snprintf(what, sizeof(what), "cannot be started: %s", strerror(-rc));
		conclude(script, false, what);
		return;
	}
	ev_io_set(&script->exit_watch, script->pidfd, EV_READ);
	ev_io_set(&script->output_watch, script->output, EV_READ);
	ev_io_start(loop, &script->exit_watch);
	ev_io_start(loop, &script->output_watch);
	start_timer(script, script->timeout_us);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct script *script = timer->data;
	(void)loop;
	(void)revents;
	if (script->pid == 0) {
		start(script);
		return;
	}
	script->overdue = true;
	kill(-script->pid, SIGKILL);
}

/* --- the set --- */

static void dismiss(struct script *script)
{
	script->used = script->has_result = false;
	ev_timer_stop(script->owner->loop, &script->timer);
	if (script->pid != 0)
		kill(-script->pid, SIGKILL);
}

static struct script *find_free(struct scripts *scripts)
{
	for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
		if (!scripts->all[i].used && scripts->all[i].pid == 0)
			return &scripts->all[i];
	}
	return NULL;
}

static void add(struct scripts *scripts, const struct conf_router *router, uint32_t number)
{
	const struct conf_track_script *conf = &router->track.scripts[number];
	struct script *script = find_free(scripts);
	if (!script) /* old ones that do not die: the next reload may find room */
		return;
	script->used = true;
	script->has_result = false;
	for (uint32_t i = 0; i < conf->n_command; i++)
		script->argv[i] = (char *)(uintptr_t)conf->command[i];
	script->argv[conf->n_command] = NULL;
	script->interval_us = conf->interval_us;
	script->timeout_us = conf->timeout_us;
	script->router = router;
	script->index = setup_script_index(router, number);
	start_timer(script, SPREAD_US * script->index);
}

void scripts_init(
    struct scripts *scripts, struct ev_loop *loop, void (*on_result)(void *arg), void *arg)
{
	scripts->loop = loop;
	scripts->on_result = on_result;
	scripts->arg = arg;
	for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
		struct script *script = &scripts->all[i];
		script->owner = scripts;
		script->pidfd = script->output = -1;
		ev_init(&script->timer, on_timer);
		ev_init(&script->exit_watch, on_exit_event);
		ev_init(&script->output_watch, on_output);
		script->timer.data = script->exit_watch.data = script->output_watch.data = script;
	}
}

void scripts_set(struct scripts *scripts, const struct setup *setup)
{
	for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
		if (scripts->all[i].used)
			dismiss(&scripts->all[i]);
	}
	scripts->setup = setup;
	scripts->telling = NULL;
	for (uint32_t i = 0; setup && i < setup->conf->n_routers; i++) {
		const struct conf_router *router = &setup->conf->routers[i];
		for (uint32_t j = 0; j < router->track.n_scripts; j++)
			add(scripts, router, j);
	}
}

/* --- telling --- */

bool scripts_next(struct scripts *scripts, union ipc_message *msg)
{
	for (unsigned i = 0; i < SCRIPTS_MAX; i++) {
		struct script *script = &scripts->all[i];
		if (!script->used || !script->has_result || script->told)
			continue;
		ipc_init(msg, IPC_SCRIPT);
		text_copy(msg->script.router, sizeof(msg->script.router), script->router->name);
		text_copy(msg->script.reason, sizeof(msg->script.reason), script->reason);
		msg->script.vrid = script->router->vrid;
		msg->script.index = script->index;
		msg->script.good = script->good;
		scripts->telling = script;
		return true;
	}
	return false;
}

void scripts_sent(struct scripts *scripts)
{
	if (scripts->telling)
		scripts->telling->told = true;
	scripts->telling = NULL;
}

void scripts_tell_again(struct scripts *scripts)
{
	for (unsigned i = 0; i < SCRIPTS_MAX; i++)
		scripts->all[i].told = false;
}
