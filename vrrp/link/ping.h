/* Asks hosts by ICMP echo whether they are there. One socket for each family; nothing here
 * allocates or waits. Needs CAP_NET_RAW. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"
#include "daemon/base/err.h"

struct vrrp_pinger {
	int fd4, fd6; /* -1: this family cannot be had */
	uint16_t ident;
};

/* A question that is open. */
struct vrrp_ping {
	uint64_t nonce;
	uint64_t sent_us; /* 0: none is */
};

struct vrrp_pong {
	struct addr from;
	uint64_t nonce;
};

/* -errno with a text when neither family can be had. */
int vrrp_pinger_open(struct vrrp_pinger *pinger, struct err *err);
void vrrp_pinger_close(struct vrrp_pinger *pinger);

/* Asks anew; a link-local address by the interface `ifindex`. -errno: it could not be sent, and
 * *ping is as before. */
int vrrp_ping_send(const struct vrrp_pinger *pinger, struct vrrp_ping *ping, const struct addr *to,
    int ifindex, uint64_t now_us);
/* Takes one packet from fd4 or fd6. 1: an answer to a request of this process; 0: there is nothing
 * more; -EBADMSG: something else; else -errno. */
int vrrp_ping_recv(const struct vrrp_pinger *pinger, bool ipv6, struct vrrp_pong *out);
/* This one is answered by `pong`. */
bool vrrp_ping_answered(
    const struct vrrp_ping *ping, const struct addr *to, const struct vrrp_pong *pong);
