/* Does anything arrive on an interface at all? A carrier says that a cable is plugged in; the
 * switch port behind it may still be blocked, by spanning tree or by port security. */
#pragma once

#include <stdbool.h>

#include "daemon/base/err.h"

/* A packet socket that becomes readable with the first frame that the switch has forwarded. Its own
 * talk does not count: frames to the addresses that no bridge forwards (spanning tree, LLDP, LACP,
 * pause), which a blocked port sends too. A descriptor, or -errno with a text. */
int vrrp_ear_open(int ifindex, struct err *err);
/* Was it such a frame that made it readable? */
bool vrrp_ear_heard(int fd);
