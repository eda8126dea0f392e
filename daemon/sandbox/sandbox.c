/* Privileges: users, capabilities, scheduling. The system call filters are in seccomp.c. */
#include "daemon/sandbox/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

int sandbox_no_new_privs(struct err *err)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "no_new_privs: %s", strerror(errno));
	return 0;
}

/* Nothing may bring back what was given up: look, instead of trusting return codes. */
static int check_dropped(uid_t uid, gid_t gid, bool net_raw, struct err *err)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;
	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0)
		return err_set(err, -errno, "reading the user back: %s", strerror(errno));
	if (r != uid || e != uid || s != uid || rg != gid || eg != gid || sg != gid)
		return err_set(err, -EPERM, "the user did not change");
	if (getgroups(0, NULL) != 0)
		return err_set(err, -EPERM, "supplementary groups are left");
	capng_get_caps_process();
	for (unsigned cap = 0; cap <= (unsigned)CAP_LAST_CAP; cap++) {
		bool keep = net_raw && cap == CAP_NET_RAW;
		if (capng_have_capability(CAPNG_PERMITTED, cap) != keep)
			return err_set(
			    err, -EPERM, "capability %u is %s", cap, keep ? "missing" : "left");
	}
	return 0;
}

int sandbox_become_user(const char *user, bool transparent, struct err *err)
{
	errno = 0;
	const struct passwd *pw = getpwnam(user);
	if (!pw)
		return err_set(err, errno ? -errno : -ENOENT, "user \"%s\": %s", user,
		    errno ? strerror(errno) : "does not exist");
	if (pw->pw_uid == 0)
		return err_set(err, -EINVAL, "user \"%s\" is root", user);
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid;

	/* A change of user clears the parent-death signal. */
	int death_signal = 0;
	prctl(PR_GET_PDEATHSIG, &death_signal);
	pid_t parent = getppid();

	capng_clear(CAPNG_SELECT_ALL);
	if (transparent)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_RAW);
	int rc = capng_change_id(
	    (int)uid, (int)gid, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
	if (rc)
		return err_set(err, errno ? -errno : -EPERM,
		    "cannot become user \"%s\" (libcap-ng %d): %s", user, rc, strerror(errno));
	rc = check_dropped(uid, gid, transparent, err);
	if (rc)
		return rc;
	if (death_signal) {
		prctl(PR_SET_PDEATHSIG, death_signal);
		if (getppid() != parent)
			raise(death_signal);
	}
	return sandbox_no_new_privs(err);
}

int sandbox_keep_net_caps(struct err *err)
{
	static const unsigned wanted[] = {CAP_NET_RAW, CAP_NET_ADMIN};
	capng_get_caps_process();
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!capng_have_capability(CAPNG_EFFECTIVE, wanted[i]))
			return err_set(err, -EPERM, "CAP_%s is missing",
			    wanted[i] == CAP_NET_RAW ? "NET_RAW" : "NET_ADMIN");
	}
	/* The bounding set shrinks only with CAP_SETPCAP; without it no_new_privs must do. */
	bool bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_ALL);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
	    CAP_NET_RAW, CAP_NET_ADMIN, -1);
	int rc = capng_apply(bounding ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS);
	if (rc)
		return err_set(
		    err, errno ? -errno : -EPERM, "dropping capabilities (libcap-ng %d)", rc);
	capng_get_caps_process();
	for (unsigned cap = 0; cap <= (unsigned)CAP_LAST_CAP; cap++) {
		bool keep = cap == CAP_NET_RAW || cap == CAP_NET_ADMIN;
		if (!keep && capng_have_capability(CAPNG_PERMITTED, cap))
			return err_set(err, -EPERM, "capability %u is left", cap);
	}
	return sandbox_no_new_privs(err);
}

int sandbox_realtime(int priority, struct err *err)
{
	struct sched_param param = {.sched_priority = priority};
	int rc = 0;
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0)
		rc = err_set(err, -errno, "locking memory: %s", strerror(errno));
	/* Both are tried: half of it is better than nothing. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
		rc = err_set(err, -errno, "real-time scheduling: %s", strerror(errno));
	return rc;
}

void sandbox_die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
}
