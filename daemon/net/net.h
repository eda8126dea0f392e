/* Sockets, the few calls that every engine needs. All sockets are non-blocking and close-on-exec.
 * Functions return a descriptor or -errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/addr.h"

/* How TCP finds out that the other side is gone. Zero: it does not, or as the kernel likes. */
struct net_tcp_options {
	uint32_t keepalive_idle_sec; /* probes after so long without a byte; 0: none */
	uint32_t keepalive_interval_sec, keepalive_count;
	uint32_t user_timeout_ms; /* TCP_USER_TIMEOUT (RFC 5482); 0: the kernel's retransmissions */
};

struct net_listen_options {
	bool reuse_port;   /* one socket per worker */
	bool free_bind;    /* IP_FREEBIND: listen on an address that we do not hold yet */
	int backlog;       /* 0: 16384 */
	bool defer_accept; /* nobody is accepted who has said nothing yet, for a second */
	bool fast_open;    /* data in the SYN (RFC 7413), where net.ipv4.tcp_fastopen allows it */
	struct net_tcp_options tcp; /* accepted sockets inherit them */
};

struct net_connect_options {
	struct net_tcp_options tcp;
	const struct addr
	    *source;      /* to come from, whatever its port is; NULL: the kernel chooses */
	bool transparent; /* `source` need not be of this host (IP_TRANSPARENT, by CAP_NET_RAW) */
};

/* TCP, with TCP_NODELAY set so that accepted sockets inherit it, SO_REUSEADDR, and IPV6_V6ONLY. */
int net_listen_tcp(const struct addr *addr, const struct net_listen_options *options);
/* Gives a socket that listens what can be changed under it: backlog and what follows it in the
 * options. Who is connected keeps what there was. 0 or -errno. */
int net_listen_change(int fd, const struct net_listen_options *options);
/* UDP, with IPV6_V6ONLY and a large receive buffer; of a wildcard, datagrams come with the address
 * that they were sent to (IP_PKTINFO, IPV6_PKTINFO). An answer leaves from an address of this host
 * only, also with `free_bind`: IPv4 never sends from another one, IPv6 refuses it when the source is
 * said with IPV6_PKTINFO. */
int net_listen_udp(const struct addr *addr, const struct net_listen_options *options);
/* Unix stream socket; a stale file is replaced, one that somebody listens on is -EADDRINUSE. */
int net_listen_unix(const char *path, unsigned mode);
/* Starts a connection; *in_progress says that it is not established yet (wait for writable, then
 * net_connect_result). */
int net_connect_tcp(const struct addr *addr, bool *in_progress);
/* The same with options. */
int net_connect_tcp_with(
    const struct addr *addr, const struct net_connect_options *options, bool *in_progress);
int net_connect_result(int fd); /* 0 or -errno */
/* A UDP socket that hears this address alone, with a port of its own: -EADDRNOTAVAIL when none is
 * left. Of the options, those of TCP do not count. */
int net_connect_udp(const struct addr *addr, const struct net_connect_options *options);
/* *peer (may be NULL) becomes the other side; of a unix socket only the family is set. */
int net_accept(int listen_fd, struct addr *peer);
/* It failed for want of descriptors or memory: the socket stays readable, and trying again at once is
 * in vain. */
bool net_is_short(int error);
/* Bounds what of a TCP connection waits in the kernel: bytes written but not yet sent, and bytes
 * received but not yet read (about). For a connection on which new data must not queue long behind
 * old. 0 or -errno. */
int net_bound_queues(int fd, int unsent, int unread);
/* The address is configured on this host. */
bool net_is_local(const struct addr *addr);
