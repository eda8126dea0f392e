/* What yoked does for a yoke-vrrp that died without a word. */
#pragma once

#include <stdbool.h>

#include "daemon/base/err.h"
#include "daemon/ipc/ipc.h"

/* Removes the router's addresses and, if it was Active, tells the peer by an advert of priority 0,
 * so that it takes over in its Skew_Time. Tries everything; returns the first error (-errno with a
 * text) or 0. Needs CAP_NET_RAW and CAP_NET_ADMIN; blocks for a few system calls only. An interface
 * that is missing or down has no addresses to remove from the view of others: no error. */
int vrrp_goodbye(const struct ipc_router *router, bool was_active, struct err *err);
