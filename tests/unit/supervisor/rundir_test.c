#include "daemon/supervisor/rundir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

static char base[SCRATCH_MAX];
static char path[64], lock_path[96];

static void setup_paths(void)
{
	CU_ASSERT_TRUE_FATAL(scratch_make(base));
	snprintf(path, sizeof(path), "%s/run", base);
	snprintf(lock_path, sizeof(lock_path), "%s/yoked.lock", path);
}

static void is_made_locked_and_left_clean(void)
{
	struct rundir first, second;
	struct err err = {""};
	struct stat st;
	char pid[16], text[16] = "";
	setup_paths();
	mode_t mask = umask(0077);
	CU_ASSERT_EQUAL(rundir_open(&first, path, &err), 0);
	umask(mask);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0755);
	FILE *file = fopen(first.pid_path, "re");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_PTR_NOT_NULL(fgets(text, sizeof(text), file));
	fclose(file);
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	CU_ASSERT_STRING_EQUAL(text, pid);

	CU_ASSERT_EQUAL(rundir_open(&second, path, &err), -EBUSY);
	snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, pid));

	rundir_close(&first);
	CU_ASSERT_EQUAL(access(first.pid_path, F_OK), -1);
	CU_ASSERT_EQUAL(rundir_open(&second, path, &err), 0); /* the lock is free again */
	rundir_close(&second);
	unlink(lock_path);
}

static void a_stale_pid_file_does_not_matter(void)
{
	struct rundir rundir;
	struct err err = {""};
	char pid_path[96];
	snprintf(pid_path, sizeof(pid_path), "%s/yoked.pid", path);
	FILE *file = fopen(pid_path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs("1\n", file);
	fclose(file);
	CU_ASSERT_EQUAL(rundir_open(&rundir, path, &err), 0);
	rundir_close(&rundir);
	unlink(lock_path);
}

static void unsafe_directories_are_refused(void)
{
	struct rundir rundir;
	struct err err = {""};
	char missing[96], too_long[200];
	CU_ASSERT_EQUAL(chmod(path, 0777), 0);
	CU_ASSERT_EQUAL(rundir_open(&rundir, path, &err), -EPERM);
	CU_ASSERT_EQUAL(chmod(path, 0755), 0);
	CU_ASSERT_EQUAL(rmdir(path), 0);
	CU_ASSERT_EQUAL(symlink("/dev/null", path), 0);
	CU_ASSERT_EQUAL(rundir_open(&rundir, path, &err), -ENOTDIR);
	CU_ASSERT_EQUAL(unlink(path), 0);
	snprintf(missing, sizeof(missing), "%s/a/b", base);
	CU_ASSERT_EQUAL(rundir_open(&rundir, missing, &err), -ENOENT);
	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	CU_ASSERT_EQUAL(rundir_open(&rundir, too_long, &err), -ENAMETOOLONG);
	CU_ASSERT_EQUAL(rmdir(base), 0);
}

UNIT_MAIN("supervisor/rundir", UNIT(is_made_locked_and_left_clean),
    UNIT(a_stale_pid_file_does_not_matter), UNIT(unsafe_directories_are_refused))
