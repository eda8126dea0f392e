/* A virtual router that lives can be seen by every process of its network namespace: the kernel
 * knows its name as that of a unix socket, until the process ends, however it does. So whoever
 * sweeps what the dead left behind spares what another yoke on the same host has. */
#pragma once

#include <stdbool.h>

#include "daemon/base/err.h"
#include "vrrp/core/fence.h"

/* A descriptor to be closed when the virtual router ends; -EADDRINUSE with a text when another
 * process has one of this name, else -errno with a text. */
int vrrp_presence_show(const struct vrrp_fence_id *id, struct err *err);
/* Is there one in any process, this one too? Yes also when that cannot be found out. */
bool vrrp_presence_seen(const struct vrrp_fence_id *id);
