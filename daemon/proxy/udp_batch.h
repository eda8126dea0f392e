/* Datagrams in batches: memory for UDP_BATCH of the largest there are, and the two system calls that
 * move them. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "daemon/base/addr.h"

#define UDP_BATCH 32U
/* No UDP payload is larger: its length field has 16 bits. So nothing is ever cut. */
#define UDP_SIZE_MAX 65536U

/* In a row, datagrams of 64 KiB would all begin in the same lines of the cache. */
#define UDP_STRIDE (UDP_SIZE_MAX + 33 * 64)

union udp_control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Big, and best left alone where it is not used: from calloc, its pages cost nothing until then. */
struct udp_batch {
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iovs[UDP_BATCH];
	struct addr peers[UDP_BATCH];
	union udp_control controls[UDP_BATCH];
	char data[UDP_BATCH][UDP_STRIDE];
};

/* Takes up to `n` datagrams of a listening socket into the first places: how many came, or -errno.
 * `with_local`: udp_batch_local will be asked. */
int udp_batch_listen(struct udp_batch *batch, int fd, uint32_t n, bool with_local);
/* The address that a datagram was sent to, without port; false: the kernel did not say. */
bool udp_batch_local(const struct udp_batch *batch, uint32_t i, struct addr *local);
/* Makes places `from` to `to` (exclusive) ready to leave by a connected socket. */
void udp_batch_forward(struct udp_batch *batch, uint32_t from, uint32_t to);

/* Takes up to `n` datagrams of a connected socket into the places from `from` on. */
int udp_batch_hear(struct udp_batch *batch, int fd, uint32_t from, uint32_t n);
/* Makes one of these ready to leave by a listening socket: to `client`, from `local` (NULL: from
 * where the socket is bound). */
void udp_batch_answer(
    struct udp_batch *batch, uint32_t i, const struct addr *client, const struct addr *local);

/* Sends the places `from` to `to`: how many of the first ones left, or -errno. */
int udp_batch_send(struct udp_batch *batch, int fd, uint32_t from, uint32_t to);
/* Bytes of payload. */
uint64_t udp_batch_bytes(const struct udp_batch *batch, uint32_t from, uint32_t to);
