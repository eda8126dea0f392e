/* What yoked and yoke-proxy say to yoke-vrrp, and what it answers: the message side of the
 * process. */
#pragma once

#include <ev.h>

#include "daemon/base/err.h"

/* Opens what the virtual routers share and starts to listen to yoked on `fd` (owned). 0 or -errno
 * with a text. */
int vrrp_control_start(struct ev_loop *loop, int fd, struct err *err);
/* Everything resigns; the loop ends. */
void vrrp_control_shutdown(const char *reason);
void vrrp_control_stop(void);
