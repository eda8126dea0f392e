#include "daemon/supervisor/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Others must not be able to plant files where root writes. */
static int check_directory(const char *path, struct err *err)
{
	struct stat st;
	if (mkdir(path, 0755) == 0) {
		chmod(path, 0755); /* whatever the umask */
		return 0;
	}
	if (errno != EEXIST)
		return err_set(err, -errno, "run dir %s: %s", path, strerror(errno));
	if (stat(path, &st) < 0)
		return err_set(err, -errno, "run dir %s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "run dir %s: is not a directory", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EPERM, "run dir %s: belongs to user %u", path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return err_set(err, -EPERM, "run dir %s: others may write in it", path);
	return 0;
}

static int take_lock(const char *path, const char *lock_path, struct err *err)
{
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", lock_path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int error = errno;
		char pid[16] = "";
		ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
		close(fd);
		if (error != EWOULDBLOCK)
			return err_set(err, -error, "%s: %s", lock_path, strerror(error));
		return err_set(err, -EBUSY, "run dir %s: another yoked has it (pid %ld)", path,
		    n > 0 ? strtol(pid, NULL, 10) : 0L);
	}
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0) {
		err_set(err, 0, "%s: %s", lock_path, strerror(errno));
		close(fd);
		return -EIO;
	}
	return fd;
}

static int write_pid(const char *path, struct err *err)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int n = dprintf(fd, "%d\n", (int)getpid());
	close(fd);
	return n < 0 ? err_set(err, -EIO, "%s: cannot be written", path) : 0;
}

int rundir_open(struct rundir *rundir, const char *path, struct err *err)
{
	char lock_path[sizeof(rundir->pid_path)];
	/* The admin socket's name has the lowest limit. */
	if (strlen(path) + sizeof("/admin.sock") > sizeof(((struct sockaddr_un *)0)->sun_path))
		return err_set(err, -ENAMETOOLONG, "run dir %s: the name is too long", path);
	int rc = check_directory(path, err);
	if (rc)
		return rc;
	snprintf(lock_path, sizeof(lock_path), "%s/yoked.lock", path);
	snprintf(rundir->pid_path, sizeof(rundir->pid_path), "%s/yoked.pid", path);
	snprintf(rundir->admin_path, sizeof(rundir->admin_path), "%s/admin.sock", path);
	rundir->lock_fd = take_lock(path, lock_path, err);
	if (rundir->lock_fd < 0)
		return rundir->lock_fd;
	/* With the lock ours, a socket file here is what a killed yoked left; its proxy may still
	 * be finishing on it, but nobody is to reach that one any more. */
	unlink(rundir->admin_path);
	rc = write_pid(rundir->pid_path, err);
	if (rc)
		close(rundir->lock_fd);
	return rc;
}

void rundir_close(struct rundir *rundir)
{
	unlink(rundir->pid_path);
	/* The lock file stays: removing it would let two hold "the" lock. */
	close(rundir->lock_fd);
}
