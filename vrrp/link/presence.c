#include "vrrp/link/presence.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* An abstract name: no file, and one name space for each network namespace. */
int vrrp_presence_show(const struct vrrp_fence_id *id, struct err *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "yoke-vrrp-%s-%u-%s",
	    id->family == AF_INET6 ? "ipv6" : "ipv4", id->vrid, id->interface);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, size) == 0)
		return fd;
	int rc = -errno;
	if (fd >= 0)
		close(fd);
	if (rc == -EADDRINUSE)
		return err_set(err, rc, "another process of this host has VRID %u on %s", id->vrid,
		    id->interface);
	return err_set(err, rc, "unix socket: %s", strerror(-rc));
}

bool vrrp_presence_seen(const struct vrrp_fence_id *id)
{
	int fd = vrrp_presence_show(id, NULL);
	if (fd < 0)
		return true;
	close(fd);
	return false;
}
