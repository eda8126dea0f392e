/* A directory for a test's files. */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCRATCH_MAX 48

static inline int scratch_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

/* Makes one that nobody else uses, for the caller to remove: `dir` gets its path. Those whose process was
 * killed are removed first. False: errno says why there is none. */
static inline bool scratch_make(char dir[SCRATCH_MAX])
{
	glob_t found = {0};
	if (glob("/tmp/yoke-unit-*", 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			int pid = 0;
			if (sscanf(found.gl_pathv[i], "/tmp/yoke-unit-%d-", &pid) == 1 && pid > 0 &&
			    kill(pid, 0) < 0 && errno == ESRCH)
				nftw(found.gl_pathv[i], scratch_remove, 4, FTW_DEPTH | FTW_PHYS);
		}
	}
	globfree(&found);
	snprintf(dir, SCRATCH_MAX, "/tmp/yoke-unit-%d-XXXXXX", (int)getpid());
	return mkdtemp(dir) != NULL;
}
