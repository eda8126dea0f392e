#include "vrrp/link/presence.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Names are the host's: one that no other run of this test has. */
static const char *interface(void)
{
	static char name[16];
	snprintf(name, sizeof(name), "t%d", (int)getpid());
	return name;
}

static void it_is_seen_until_it_ends(void)
{
	struct vrrp_fence_id id = {AF_INET, 51, interface()};
	struct vrrp_fence_id others[] = {{AF_INET6, 51, interface()}, {AF_INET, 52, interface()}};
	CU_ASSERT_FALSE(vrrp_presence_seen(&id));
	int fd = vrrp_presence_show(&id, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_TRUE(vrrp_presence_seen(&id));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CU_ASSERT_FALSE(vrrp_presence_seen(&others[i]));
	close(fd);
	CU_ASSERT_FALSE(vrrp_presence_seen(&id));
}

static void a_second_one_is_told(void)
{
	struct vrrp_fence_id id = {AF_INET, 51, interface()};
	struct err err = {""};
	int fd = vrrp_presence_show(&id, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(vrrp_presence_show(&id, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "has VRID 51 on t"));
	close(fd);
}

static void it_ends_with_its_process(void)
{
	struct vrrp_fence_id id = {AF_INET6, 7, interface()};
	pid_t pid = fork();
	CU_ASSERT_TRUE_FATAL(pid >= 0);
	if (pid == 0)
		_exit(vrrp_presence_show(&id, NULL) >= 0 && vrrp_presence_seen(&id) ? 0 : 1);
	int status = -1;
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_FALSE(vrrp_presence_seen(&id));
}

UNIT_MAIN("vrrp/presence", UNIT(it_is_seen_until_it_ends), UNIT(a_second_one_is_told),
    UNIT(it_ends_with_its_process))
