#include "daemon/supervisor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"

#ifndef YOKE_LIBEXECDIR
#define YOKE_LIBEXECDIR "/usr/lib/yoke"
#endif

#define MESSAGES_PER_TURN 64

uint64_t child_backoff_us(uint64_t previous_us, uint64_t lived_us)
{
	if (previous_us == 0 || lived_us >= CHILD_STEADY_US)
		return CHILD_BACKOFF_MIN_US;
	return previous_us * 2 < CHILD_BACKOFF_MAX_US ? previous_us * 2 : CHILD_BACKOFF_MAX_US;
}

/* --- sending and receiving --- */

static void watch_socket(struct child *child, int events)
{
	if (ev_is_active(&child->sock_watch) && child->sock_watch.events == events)
		return;
	ev_io_stop(child->loop, &child->sock_watch);
	ev_io_set(&child->sock_watch, child->sock, events);
	ev_io_start(child->loop, &child->sock_watch);
}

void child_kick(struct child *child)
{
	union ipc_message msg;
	int fd;
	if (child->state != CHILD_RUNNING || child->sock < 0)
		return;
	while (child->handlers->next(child, &msg, &fd)) {
		int rc = ipc_send(child->sock, &msg, fd);
		if (rc == -EAGAIN) {
			watch_socket(child, EV_READ | EV_WRITE);
			return;
		}
		if (rc) { /* it is dying, which the pidfd will tell */
			log_debug("%s: %s not sent: %s", child->name,
			    ipc_type_name(msg.header.type), strerror(-rc));
			break;
		}
		child->handlers->sent(child);
	}
	watch_socket(child, EV_READ);
}

/* Returns false when there is nothing more to come. */
static bool receive(struct child *child, int budget)
{
	union ipc_message msg;
	int fd;
	while (budget-- > 0) {
		int rc = ipc_recv(child->sock, &msg, &fd);
		if (rc == -EAGAIN)
			return true;
		if (rc == -EBADMSG) {
			log_error("%s: malformed message: killed", child->name);
			child_kill(child);
			return false;
		}
		if (rc <= 0)
			return false;
		if (fd >= 0) /* no child has one to give */
			close(fd);
		child->handlers->message(child, &msg);
		if (child->sock < 0)
			return false;
	}
	return true;
}

static void on_socket(struct ev_loop *loop, ev_io *w, int revents)
{
	struct child *child = w->data;
	(void)loop;
	if ((revents & EV_READ) && !receive(child, MESSAGES_PER_TURN)) {
		/* EOF: the pidfd has the last word, and the heartbeat if it lives on. */
		ev_io_stop(child->loop, &child->sock_watch);
		return;
	}
	if (revents & EV_WRITE)
		child_kick(child);
}

/* --- death --- */

static void close_channel(struct child *child)
{
	ev_io_stop(child->loop, &child->exit_watch);
	ev_io_stop(child->loop, &child->sock_watch);
	if (child->pidfd >= 0)
		close(child->pidfd);
	if (child->sock >= 0)
		close(child->sock);
	child->pidfd = child->sock = -1;
}

static void schedule_restart(struct child *child, uint64_t lived_us)
{
	child->backoff_us = child_backoff_us(child->backoff_us, lived_us);
	child->state = CHILD_WAITING;
	ev_timer_set(&child->restart, (double)child->backoff_us / US_PER_SEC, 0.);
	ev_timer_start(child->loop, &child->restart);
}

static void describe(const siginfo_t *info, char *buf, size_t size)
{
	if (info->si_code == CLD_EXITED)
		snprintf(buf, size, "exit code %d", info->si_status);
	else
		snprintf(buf, size, "signal %d (%s)%s", info->si_status, strsignal(info->si_status),
		    info->si_code == CLD_DUMPED ? ", core dumped" : "");
}

static void on_exit_event(struct ev_loop *loop, ev_io *w, int revents)
{
	struct child *child = w->data;
	siginfo_t info = {0};
	char how[96];
	(void)revents;
	if (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return;
	describe(&info, how, sizeof(how));
	/* What it said last counts: which virtual router was Active, for instance. */
	receive(child, INT_MAX);
	ev_now_update(loop);
	uint64_t lived_us = clock_us() - child->started_us;
	close_channel(child);
	child->state = CHILD_STOPPED;
	child->pid = 0;
	child->handlers->died(child, info.si_code == CLD_EXITED && info.si_status == 0, how);
	if (child->wanted && child->state == CHILD_STOPPED)
		schedule_restart(child, lived_us);
}

void child_kill(struct child *child)
{
	if (child->state == CHILD_RUNNING && child->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}

/* --- start --- */

/* In the child, between fork and exec. */
static _Noreturn void run_program(const struct child *child, int sock, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent) /* died before the line above */
		_exit(1);
	/* These may reach the whole process group, or unit; yoked decides what they mean. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (sock == IPC_CHILD_FD)
		fcntl(sock, F_SETFD, 0);
	else
		dup2(sock, IPC_CHILD_FD); /* without close-on-exec */
	/* These speak of yoked, not of its children. */
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	char *argv[] = {(char *)(uintptr_t)child->name, NULL};
	execv(child->path, argv);
	log_error("%s: cannot be started: %s", child->path, strerror(errno));
	_exit(127);
}

static int spawn(struct child *child)
{
	int fds[2];
	int rc = ipc_pair(fds);
	if (rc)
		return rc;
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid == 0)
		run_program(child, fds[1], parent);
	rc = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (rc) {
		close(fds[0]);
		return rc;
	}
	/* The pid cannot be reused before we wait for it. */
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		rc = -errno;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fds[0]);
		return rc;
	}
	fcntl(pidfd, F_SETFD, FD_CLOEXEC);
	child->pid = pid;
	child->pidfd = pidfd;
	child->sock = fds[0];
	return 0;
}

static void start_now(struct child *child)
{
	child->started_us = clock_us();
	int rc = spawn(child);
	if (rc) {
		log_error("%s: cannot be started: %s", child->name, strerror(-rc));
		schedule_restart(child, 0);
		return;
	}
	child->state = CHILD_RUNNING;
	log_at(child->restarts ? LOG_LEVEL_NOTICE : LOG_LEVEL_INFO, "%s: %s (pid %d)", child->name,
	    child->restarts ? "restarted" : "started", (int)child->pid);
	ev_io_set(&child->exit_watch, child->pidfd, EV_READ);
	ev_io_start(child->loop, &child->exit_watch);
	watch_socket(child, EV_READ);
	child->handlers->started(child);
	child_kick(child);
}

static void on_restart(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	struct child *child = w->data;
	child->restarts++;
	start_now(child);
}

void child_start(struct child *child)
{
	child->wanted = true;
	if (child->state == CHILD_STOPPED)
		start_now(child);
}

void child_dismiss(struct child *child)
{
	child->wanted = false;
	child->backoff_us = child->restarts = 0;
	ev_timer_stop(child->loop, &child->restart);
	if (child->state == CHILD_WAITING)
		child->state = CHILD_STOPPED;
}

void child_init(struct child *child, const char *name, struct ev_loop *loop,
    const struct child_handlers *handlers, void *owner)
{
	memset(child, 0, sizeof(*child));
	child->name = name;
	child->loop = loop;
	child->handlers = handlers;
	child->owner = owner;
	child->pidfd = child->sock = -1;
	ev_io_init(&child->exit_watch, on_exit_event, -1, EV_READ);
	ev_io_init(&child->sock_watch, on_socket, -1, EV_READ);
	ev_init(&child->restart, on_restart);
	child->exit_watch.data = child->sock_watch.data = child->restart.data = child;
}

int child_find_program(struct child *child, struct err *err)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len > 0) {
		self[len] = '\0';
		char *slash = strrchr(self, '/');
		*slash = '\0';
		int n = snprintf(child->path, sizeof(child->path), "%s/%s", self, child->name);
		if (n < (int)sizeof(child->path) && access(child->path, X_OK) == 0)
			return 0;
	}
	snprintf(child->path, sizeof(child->path), "%s/%s", YOKE_LIBEXECDIR, child->name);
	if (access(child->path, X_OK) == 0)
		return 0;
	return err_set(
	    err, -ENOENT, "%s: found neither beside yoked nor in %s", child->name, YOKE_LIBEXECDIR);
}
