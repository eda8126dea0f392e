/* System call filters: lists of what a process does when it is set up. Everything else kills it,
 * and the kernel logs which call it was. A call that a library may try without need gets an error
 * instead (it falls back). Calls of the request path are listed without argument checks: the kernel
 * answers those from a bitmap without running the filter. */
#include "daemon/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

/* Conditions on argument n, with every field given. */
#define ARG_IS(n, value)         SCMP_CMP64(n, SCMP_CMP_EQ, (scmp_datum_t)(value), 0)
#define ARG_IS_NOT(n, value)     SCMP_CMP64(n, SCMP_CMP_NE, (scmp_datum_t)(value), 0)
#define ARG_BITS(n, mask, value) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, mask, (scmp_datum_t)(value))

#define SOCK_TYPE_MASK 0xfU /* less SOCK_NONBLOCK and SOCK_CLOEXEC */

/* Both processes: C library, libev, reading and writing what is open. */
static const int allowed_common[] = {
    /* input and output on open descriptors */
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg), SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(lseek), SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), SCMP_SYS(dup), SCMP_SYS(dup3), SCMP_SYS(pipe2),
    /* sockets */
    SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(shutdown),
    /* waiting */
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(restart_syscall),
    /* memory; mmap and mprotect: without PROT_EXEC, below */
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    /* time, randomness, oneself */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid),
    SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(times),
    SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getcpu),
    /* signals and the end */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* locks and scheduling */
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity)};

static const int allowed_proxy[] = {SCMP_SYS(accept4), SCMP_SYS(accept), SCMP_SYS(splice),
    SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(rseq),
    SCMP_SYS(sched_setaffinity), SCMP_SYS(membarrier)};

/* Memory that is locked grows by mlock'ed mappings only, so nothing of mlock here. */
static const int allowed_vrrp[] = {SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_getparam)};

/* Libraries ask for these on the way to something that works without. */
static const struct {
	int call;
	uint16_t error;
} refused[] = {
    {SCMP_SYS(open), EACCES},
    {SCMP_SYS(stat), EACCES},
    {SCMP_SYS(lstat), EACCES},
    {SCMP_SYS(statx), ENOSYS},
    {SCMP_SYS(access), EACCES},
    {SCMP_SYS(faccessat), EACCES},
    {SCMP_SYS(faccessat2), EACCES},
    {SCMP_SYS(readlink), EACCES},
    {SCMP_SYS(readlinkat), EACCES},
    /* its arguments are in memory, where a filter cannot look: the C library falls back to clone
     */
    {SCMP_SYS(clone3), ENOSYS},
    {SCMP_SYS(io_uring_setup), ENOSYS},
    {SCMP_SYS(mlockall), EPERM},
    {SCMP_SYS(munlockall), EPERM},
    {SCMP_SYS(sched_setscheduler), EPERM},
};

/* A rule with one condition on an argument; a table of these reads better than the calls. */
struct rule {
	uint32_t action;
	int call;
	struct scmp_arg_cmp cmp;
};

static int add_rules(scmp_filter_ctx ctx, const struct rule *rules, size_t n)
{
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++)
		rc = seccomp_rule_add_array(ctx, rules[i].action, rules[i].call, 1, &rules[i].cmp);
	return rc;
}

static int add_allowed(scmp_filter_ctx ctx, const int *calls, size_t n)
{
	int rc = 0;
	for (size_t i = 0; i < n && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

static int add_socket(scmp_filter_ctx ctx, int domain, int type)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, ARG_IS(0, domain),
	    ARG_BITS(1, SOCK_TYPE_MASK, type));
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int add_common(scmp_filter_ctx ctx)
{
	scmp_datum_t self = (scmp_datum_t)getpid();
	const struct rule rules[] = {
	    /* no code but what is loaded already */
	    {SCMP_ACT_ALLOW, SCMP_SYS(mmap), ARG_BITS(2, PROT_EXEC, 0)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), ARG_BITS(2, PROT_EXEC, 0)},
	    /* abort() and raise(): signals to oneself only */
	    {SCMP_ACT_ALLOW, SCMP_SYS(tgkill), ARG_IS(0, self)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(prctl), ARG_IS(0, PR_SET_NAME)},
	    {SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), ARG_IS_NOT(0, PR_SET_NAME)},
	    /* limits may be read, not changed */
	    {SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), ARG_IS(2, 0)},
	    {SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), ARG_IS_NOT(2, 0)},
	    /* how much is there to read; is this a terminal (stdio asks) */
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, FIONREAD)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, FIONBIO)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, TCGETS)},
	};
	int rc = add_allowed(ctx, allowed_common, COUNT(allowed_common));
	if (!rc)
		rc = add_rules(ctx, rules, COUNT(rules));
	for (size_t i = 0; i < COUNT(refused) && !rc; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(refused[i].error), refused[i].call, 0);
	return rc;
}

static int add_proxy(scmp_filter_ctx ctx)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	int rc = add_allowed(ctx, allowed_proxy, COUNT(allowed_proxy));
	for (size_t i = 0; i < COUNT(types) && !rc; i++) {
		rc = add_socket(ctx, AF_INET, types[i]);
		if (!rc)
			rc = add_socket(ctx, AF_INET6, types[i]);
	}
	/* No files at all: what the proxy needs comes as a descriptor. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	/* Threads, no processes. */
	if (!rc)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		    ARG_BITS(0, CLONE_THREAD, CLONE_THREAD));
	return rc;
}

static int add_vrrp(scmp_filter_ctx ctx)
{
	static const struct {
		int domain, type;
	} sockets[] = {{AF_NETLINK, SOCK_RAW}, {AF_NETLINK, SOCK_DGRAM}, {AF_PACKET, SOCK_RAW},
	    {AF_PACKET, SOCK_DGRAM}, {AF_INET, SOCK_RAW}, {AF_INET6, SOCK_RAW},
	    {AF_INET, SOCK_DGRAM}, {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_DGRAM}};
	static const struct rule rules[] = {
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFINDEX)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFNAME)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFFLAGS)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFHWADDR)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFMTU)},
	    {SCMP_ACT_ALLOW, SCMP_SYS(ioctl), ARG_IS(1, SIOCGIFADDR)},
	};
	int rc = add_allowed(ctx, allowed_vrrp, COUNT(allowed_vrrp));
	for (size_t i = 0; i < COUNT(sockets) && !rc; i++)
		rc = add_socket(ctx, sockets[i].domain, sockets[i].type);
	if (!rc)
		rc = add_rules(ctx, rules, COUNT(rules));
	/* Files: see README.md. Nothing is created. */
	if (!rc)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, ARG_BITS(2, O_CREAT | O_TRUNC, 0));
	return rc;
}

static int load(const char *what, int (*add)(scmp_filter_ctx), struct err *err)
{
	if (UNDER_SANITIZER) {
		log_notice("%s: no system call filter: built with a sanitizer", what);
		return 0;
	}
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return err_set(err, -ENOMEM, "%s: out of memory", what);
	int rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!rc)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!rc)
		rc = add_common(ctx);
	if (!rc)
		rc = add(ctx);
	if (!rc)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc)
		return err_set(err, rc, "%s: system call filter: %s", what, strerror(-rc));
	return 0;
}

int sandbox_seccomp_proxy(struct err *err)
{
	return load("yoke-proxy", add_proxy, err);
}

int sandbox_seccomp_vrrp(struct err *err)
{
	return load("yoke-vrrp", add_vrrp, err);
}
