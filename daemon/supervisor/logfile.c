#include "daemon/supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define MODE  0640

/* Pipes and terminals are opened a second time, because O_NONBLOCK belongs to the open file, which
 * others share. */
static int open_standard(int standard)
{
	char path[32];
	struct stat st;
	if (fstat(standard, &st) < 0)
		return -1;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return fcntl(standard, F_DUPFD_CLOEXEC, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", standard);
	return open(path, O_WRONLY | FLAGS);
}

static int open_path(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | FLAGS, MODE);
	/* A FIFO without a reader; a socket cannot be opened this way either. */
	return fd < 0 && errno == ENXIO ? open(path, O_RDWR | FLAGS) : fd;
}

int logfile_open(const char *file, struct err *err)
{
	int fd;
	struct stat st;
	if (strcmp(file, "stdout") == 0)
		fd = open_standard(STDOUT_FILENO);
	else if (strcmp(file, "stderr") == 0)
		fd = open_standard(STDERR_FILENO);
	else
		fd = open_path(file);
	if (fd < 0)
		return err_set(err, -errno, "access_log.file: %s: %s%s", file, strerror(errno),
		    errno == ENOENT ? "; its directory must be there" : "");
	if (fstat(fd, &st) == 0 && !S_ISBLK(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, -EINVAL, "access_log.file: %s: is a disk, not a file", file);
}
