/* yoke-vrrp: the election. Started by yoked with its channel as file descriptor 3; ends when yoked
 * says so or dies, and never leaves an address behind on a way out that it can see. */
#include <errno.h>
#include <ev.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "daemon/base/log.h"
#include "daemon/ipc/ipc.h"
#include "daemon/sandbox/sandbox.h"
#include "vrrp/daemon/control.h"
#include "vrrp/daemon/routers.h"

#define REALTIME_PRIORITY 50
#define STACK_RESERVE     (256 << 10)
#define WATCHERS_MAX      (8 * VRRP_ROUTERS_MAX + 16)
#define HEAP_RESERVE      (4 << 20) /* libnftables needs about one */

static bool has_channel(void)
{
	int type = 0;
	socklen_t len = sizeof(type);
	return getsockopt(IPC_CHILD_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	(void)loop;
	(void)revents;
	vrrp_control_shutdown(
	    watcher->signum == SIGTERM ? "shutdown: SIGTERM" : "shutdown: SIGINT");
}

/* Memory that the stack and libraries will want is there, and locked, from now on. What they want
 * beyond it is not locked: to lock it needs a capability that we are about to drop, and a library
 * that gets no memory ends the process. */
static void reserve_memory(void)
{
	volatile char stack[STACK_RESERVE];
	for (size_t i = 0; i < sizeof(stack); i += 1024)
		stack[i] = 0;
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 2 * HEAP_RESERVE);
	volatile char *heap = malloc(HEAP_RESERVE);
	for (size_t i = 0; heap && i < HEAP_RESERVE; i += 1024)
		heap[i] = 0;
	free((void *)(uintptr_t)heap);
	if (mlockall(MCL_CURRENT) < 0)
		log_warn("locking memory: %s", strerror(errno));
}

static void on_nothing(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
}

/* The loop's list of what is pending grows when more is pending than ever before: as after a stall.
 * So everything is pending once, now. */
static void reserve_loop(struct ev_loop *loop)
{
	static ev_prepare watchers[WATCHERS_MAX];
	for (size_t i = 0; i < WATCHERS_MAX; i++) {
		ev_prepare_init(&watchers[i], on_nothing);
		ev_feed_event(loop, &watchers[i], EV_CUSTOM);
	}
}

static int give_up_privileges(void)
{
	struct err err;
	if (sandbox_keep_net_caps(&err) || sandbox_seccomp_vrrp(&err)) {
		log_error("%s", err.text);
		return -1;
	}
	return 0;
}

static int run(struct ev_loop *loop)
{
	struct err err;
	ev_signal term, interrupt;
	if (sandbox_realtime(REALTIME_PRIORITY, &err))
		log_warn("%s: a busy machine may delay adverts", err.text);
	sandbox_die_with_parent();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_init(&interrupt, on_signal, SIGINT);
	ev_signal_start(loop, &term);
	ev_signal_start(loop, &interrupt);
	if (vrrp_control_start(loop, IPC_CHILD_FD, &err)) {
		log_error("%s", err.text);
		return 1;
	}
	reserve_loop(loop);
	reserve_memory();
	if (give_up_privileges())
		return 1;
	ev_run(loop, 0);
	vrrp_control_stop();
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("yoke-vrrp %s\n", YOKE_VERSION);
		return 0;
	}
	if (argc != 1 || !has_channel()) {
		fprintf(stderr, "yoke-vrrp is started by yoked, not by hand\n");
		return 2;
	}
	log_init("yoke-vrrp", LOG_LEVEL_INFO);
	struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!loop) {
		log_error("no event loop");
		return 1;
	}
	return run(loop);
}
