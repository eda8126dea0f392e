/* Each case runs in a forked child: what is given up is given up for good. */
#include "daemon/sandbox/sandbox.h"

#include <arpa/inet.h>
#include <cap-ng.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FILTERED 0
#endif
#endif
#ifndef FILTERED
#define FILTERED 1 /* sandbox_seccomp_* do something */
#endif

/* Runs `body` in a child; returns its wait status. The body's result is the exit code. */
static int in_child(int (*body)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		_exit(body());
	}
	int status = -1;
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	return status;
}

#define PASSES(body)                                      \
	do {                                              \
		int status_ = in_child(body);             \
		CU_ASSERT_TRUE(WIFEXITED(status_));       \
		CU_ASSERT_EQUAL(WEXITSTATUS(status_), 0); \
	} while (0)

#define KILLED(body)                                        \
	do {                                                \
		int status_ = in_child(body);               \
		CU_ASSERT_TRUE(WIFSIGNALED(status_));       \
		CU_ASSERT_EQUAL(WTERMSIG(status_), SIGSYS); \
	} while (0)

/* In a child: the number of the line that failed. */
#define NEED(condition)                                                                           \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			fprintf(                                                                  \
			    stderr, "line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
			return 1;                                                                 \
		}                                                                                 \
	} while (0)

static void *thread_work(void *arg)
{
	pthread_setname_np(pthread_self(), "yoke-test");
	void *memory = malloc(3U << 20);
	memset(memory, 1, 3U << 20);
	free(memory);
	*(int *)arg = 1;
	return NULL;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	*(int *)w->data += 1;
	ev_break(loop, EVBREAK_ALL);
}

static void on_async(struct ev_loop *loop, ev_async *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static int libev_works(void)
{
	int ticks = 0;
	struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
	ev_timer timer;
	ev_async async;
	NEED(loop);
	ev_timer_init(&timer, on_timer, 0.001, 0.);
	ev_async_init(&async, on_async);
	timer.data = &ticks;
	ev_async_start(loop, &async);
	ev_timer_start(loop, &timer);
	ev_async_send(loop, &async);
	ev_run(loop, 0);
	ev_async_stop(loop, &async);
	ev_loop_destroy(loop);
	NEED(ticks == 1);
	return 0;
}

static int openssl_works(void)
{
	unsigned char bytes[32], digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	NEED(RAND_bytes(bytes, sizeof(bytes)) == 1);
	NEED(EVP_Digest(bytes, sizeof(bytes), digest, &len, EVP_sha256(), NULL) == 1 && len == 32);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	NEED(ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, bytes, bytes + 16) == 1);
	EVP_CIPHER_CTX_free(ctx);
	return 0;
}

static int tcp_works(int family)
{
	struct sockaddr_storage addr = {.ss_family = (sa_family_t)family};
	socklen_t len =
	    family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd >= 0);
	/* nobody there: refused, or in progress */
	NEED(connect(fd, (struct sockaddr *)&addr, len) == 0 || errno != EPERM);
	int error;
	socklen_t error_len = sizeof(error);
	NEED(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) == 0);
	close(fd);
	return 0;
}

static int udp_works(int family)
{
	struct sockaddr_storage addr = {.ss_family = (sa_family_t)family};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct mmsghdr msg = {.msg_hdr = {.msg_name = &addr,
				  .msg_namelen = family == AF_INET ? sizeof(struct sockaddr_in)
								   : sizeof(struct sockaddr_in6),
				  .msg_iov = &iov,
				  .msg_iovlen = 1}};
	uint32_t info[16];
	socklen_t len = sizeof(info);
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	NEED(fd >= 0);
	NEED(sendmmsg(fd, &msg, 1, 0) == 1 || errno != EPERM);
	NEED(recvmmsg(fd, &msg, 1, 0, NULL) < 0 && errno == EAGAIN);
	NEED(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) == 0);
	close(fd);
	return 0;
}

static int pipes_and_splice_work(void)
{
	int a[2], b[2];
	char byte;
	NEED(pipe2(a, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(b, O_CLOEXEC | O_NONBLOCK) == 0);
	NEED(write(a[1], "x", 1) == 1);
	NEED(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK) == 1);
	NEED(read(b[0], &byte, 1) == 1 && byte == 'x');
	return 0;
}

static int proxy_work(void)
{
	struct err err = {""};
	int memory = memfd_create("config", MFD_CLOEXEC);
	NEED(write(memory, "{}", 2) == 2);
	NEED(sandbox_seccomp_proxy(&err) == 0);
	char text[3] = "";
	NEED(pread(memory, text, 2, 0) == 2 && strcmp(text, "{}") == 0);
	void *map = mmap(NULL, 2, PROT_READ, MAP_PRIVATE, memory, 0);
	NEED(map != MAP_FAILED);
	int done = 0;
	pthread_t thread;
	NEED(pthread_create(&thread, NULL, thread_work, &done) == 0);
	NEED(pthread_join(thread, NULL) == 0 && done == 1);
	NEED(libev_works() == 0 && openssl_works() == 0);
	NEED(tcp_works(AF_INET) == 0 && tcp_works(AF_INET6) == 0);
	NEED(udp_works(AF_INET) == 0 && udp_works(AF_INET6) == 0);
	NEED(pipes_and_splice_work() == 0);
	fprintf(stderr, "%s\n", strerror(EACCES)); /* a locale, stdio */
	struct rlimit limit;
	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	NEED(!FILTERED || (open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES));
	NEED(!FILTERED || (setrlimit(RLIMIT_NOFILE, &limit) < 0 && errno == EPERM));
	return 0;
}

static void the_proxy_can_work(void)
{
	PASSES(proxy_work);
}

#define AFTER_FILTER(name, filter, statement) \
	static int name(void)                 \
	{                                     \
		struct err err;               \
		if (filter(&err))             \
			return 2;             \
		statement;                    \
		return 0;                     \
	}

static char *const no_args[] = {NULL};
AFTER_FILTER(does_exec, sandbox_seccomp_proxy, execve("/bin/true", no_args, no_args))
AFTER_FILTER(does_fork, sandbox_seccomp_proxy, if (fork() == 0) _exit(0))
AFTER_FILTER(does_kill, sandbox_seccomp_proxy, kill(getppid(), 0))
AFTER_FILTER(does_unix, sandbox_seccomp_proxy, (void)!socket(AF_UNIX, SOCK_STREAM, 0))
AFTER_FILTER(does_packet, sandbox_seccomp_proxy, (void)!socket(AF_PACKET, SOCK_RAW, 0))
AFTER_FILTER(does_setuid, sandbox_seccomp_proxy, (void)!setuid(0))
AFTER_FILTER(does_unlink, sandbox_seccomp_proxy, unlink("/nonexistent"))
AFTER_FILTER(does_exec_memory, sandbox_seccomp_proxy,
    (void)!mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
AFTER_FILTER(does_abort, sandbox_seccomp_proxy, abort())
AFTER_FILTER(does_exec_vrrp, sandbox_seccomp_vrrp, execve("/bin/true", no_args, no_args))
AFTER_FILTER(does_fork_vrrp, sandbox_seccomp_vrrp, if (fork() == 0) _exit(0))
AFTER_FILTER(does_accept_vrrp, sandbox_seccomp_vrrp, accept4(0, NULL, NULL, 0))
AFTER_FILTER(does_create_vrrp, sandbox_seccomp_vrrp,
    close(open("/tmp/yoke-never", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)))

/* The filter holds for threads that ran before it came. */
static int gate[2];

static void *exec_when_told(void *arg)
{
	char byte;
	(void)arg;
	if (read(gate[0], &byte, 1) == 1)
		execve("/bin/true", no_args, no_args);
	return NULL;
}

static int early_thread_does_exec(void)
{
	struct err err;
	pthread_t thread;
	NEED(pipe2(gate, O_CLOEXEC) == 0);
	NEED(pthread_create(&thread, NULL, exec_when_told, NULL) == 0);
	NEED(sandbox_seccomp_proxy(&err) == 0);
	NEED(write(gate[1], "x", 1) == 1);
	pthread_join(thread, NULL);
	return 0;
}

static void the_proxy_can_do_nothing_else(void)
{
	if (!FILTERED) {
		fprintf(stderr, "no filter under a sanitizer: not checked\n");
		return;
	}
	KILLED(does_exec);
	KILLED(does_fork);
	KILLED(does_kill);
	KILLED(does_unix);
	KILLED(does_packet);
	KILLED(does_setuid);
	KILLED(does_unlink);
	KILLED(does_exec_memory);
	KILLED(early_thread_does_exec);
	int status = in_child(does_abort); /* an assertion must show as what it is */
	CU_ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static int vrrp_work(void)
{
	struct err err = {""};
	NEED(sandbox_seccomp_vrrp(&err) == 0);
	NEED(libev_works() == 0);
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	NEED(netlink >= 0);
	NEED(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 || errno == EPERM);
	NEED(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, 112) >= 0 || errno == EPERM);
	NEED(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
	return 0;
}

static void vrrp_can_work_and_nothing_else(void)
{
	PASSES(vrrp_work);
	if (!FILTERED)
		return;
	KILLED(does_exec_vrrp);
	KILLED(does_fork_vrrp);
	KILLED(does_accept_vrrp);
	KILLED(does_create_vrrp);
}

static int becomes_nobody(void)
{
	struct err err = {""};
	const struct passwd *pw = getpwnam("nobody");
	NEED(pw);
	uid_t uid = pw->pw_uid;
	gid_t extra = 4;
	NEED(setgroups(1, &extra) == 0);
	sandbox_die_with_parent();
	NEED(sandbox_become_user("nobody", false, &err) == 0);
	NEED(getuid() == uid && geteuid() == uid && getgroups(0, NULL) == 0);
	NEED(setuid(0) < 0 && setgid(0) < 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	capng_get_caps_process();
	NEED(capng_have_capabilities(CAPNG_SELECT_ALL) == CAPNG_NONE);
	int death_signal = 0;
	NEED(prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGTERM);
	return 0;
}

/* For addresses of others, and for nothing else. */
static int becomes_nobody_transparent(void)
{
	struct err err = {""};
	int on = 1;
	NEED(sandbox_become_user("nobody", true, &err) == 0);
	NEED(getuid() != 0 && setuid(0) < 0);
	capng_get_caps_process();
	for (unsigned cap = 0; cap <= (unsigned)CAP_LAST_CAP; cap++) {
		NEED((capng_have_capability(CAPNG_EFFECTIVE, cap) != 0) == (cap == CAP_NET_RAW));
		NEED((capng_have_capability(CAPNG_PERMITTED, cap) != 0) == (cap == CAP_NET_RAW));
		NEED(!capng_have_capability(CAPNG_BOUNDING_SET, cap));
	}
	NEED(sandbox_seccomp_proxy(&err) == 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	NEED(fd >= 0 && setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)) == 0);
	return 0;
}

/* What the capability is known for, the filter forbids. */
static int transparent_opens_raw_socket(void)
{
	struct err err = {""};
	if (sandbox_become_user("nobody", true, &err) < 0 || sandbox_seccomp_proxy(&err) < 0)
		return 1;
	return socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0 ? 2 : 3;
}

static int refuses_bad_users(void)
{
	struct err err = {""};
	NEED(sandbox_become_user("yoke-no-such-user", false, &err) == -ENOENT);
	NEED(strstr(err.text, "yoke-no-such-user"));
	NEED(sandbox_become_user("root", false, &err) == -EINVAL);
	return 0;
}

static int keeps_net_caps(void)
{
	struct err err = {""};
	NEED(sandbox_keep_net_caps(&err) == 0);
	capng_get_caps_process();
	for (unsigned cap = 0; cap <= (unsigned)CAP_LAST_CAP; cap++) {
		bool net = cap == CAP_NET_RAW || cap == CAP_NET_ADMIN;
		NEED((capng_have_capability(CAPNG_EFFECTIVE, cap) != 0) == net);
		NEED((capng_have_capability(CAPNG_PERMITTED, cap) != 0) == net);
		NEED((capng_have_capability(CAPNG_BOUNDING_SET, cap) != 0) == net);
	}
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	NEED(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
	/* CAP_SETGID is gone. Not by setgroups(), which asks every thread, also those of a
	 * sanitizer, and aborts when they differ. */
	NEED(syscall(SYS_setgroups, 0, NULL) < 0);
	return 0;
}

static int net_caps_missing(void)
{
	struct err err = {""};
	NEED(sandbox_become_user("nobody", false, &err) == 0);
	NEED(sandbox_keep_net_caps(&err) == -EPERM && strstr(err.text, "CAP_NET_"));
	return 0;
}

static int becomes_realtime(void)
{
	struct err err = {""};
	if (sandbox_realtime(10, &err) < 0) {
		NEED(err.text[0] != '\0'); /* a container may refuse; then the text says why */
		return 0;
	}
	NEED((sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == SCHED_FIFO);
	return 0;
}

static int no_new_privs(void)
{
	struct err err;
	NEED(sandbox_no_new_privs(&err) == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

static void privileges_go(void)
{
	PASSES(no_new_privs);
	if (geteuid() != 0) {
		fprintf(stderr, "not root: changes of user and capabilities are not checked\n");
		return;
	}
	PASSES(becomes_nobody);
	PASSES(becomes_nobody_transparent);
	if (FILTERED)
		KILLED(transparent_opens_raw_socket);
	PASSES(refuses_bad_users);
	PASSES(keeps_net_caps);
	PASSES(net_caps_missing);
	PASSES(becomes_realtime);
}

UNIT_MAIN("sandbox/sandbox", UNIT(the_proxy_can_work), UNIT(the_proxy_can_do_nothing_else),
    UNIT(vrrp_can_work_and_nothing_else), UNIT(privileges_go))
