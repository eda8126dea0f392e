#include "daemon/proxy/udp_batch.h"

#include <errno.h>
#include <string.h>

static void make_room(struct udp_batch *batch, uint32_t i)
{
	batch->iovs[i] = (struct iovec){batch->data[i], UDP_SIZE_MAX};
	batch->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &batch->iovs[i], .msg_iovlen = 1};
}

static int receive(struct udp_batch *batch, int fd, uint32_t from, uint32_t n)
{
	int got = recvmmsg(fd, batch->msgs + from, n, 0, NULL);
	return got < 0 ? -errno : got;
}

int udp_batch_listen(struct udp_batch *batch, int fd, uint32_t n, bool with_local)
{
	for (uint32_t i = 0; i < n; i++) {
		make_room(batch, i);
		struct msghdr *msg = &batch->msgs[i].msg_hdr;
		msg->msg_name = &batch->peers[i];
		msg->msg_namelen = sizeof(batch->peers[i]);
		if (with_local) {
			msg->msg_control = &batch->controls[i];
			msg->msg_controllen = sizeof(batch->controls[i]);
		}
	}
	return receive(batch, fd, 0, n);
}

bool udp_batch_local(const struct udp_batch *batch, uint32_t i, struct addr *local)
{
	struct msghdr msg = batch->msgs[i].msg_hdr;
	memset(local, 0, sizeof(*local));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->in.sin_family = AF_INET;
			/* Of a broadcast: the address that we have in that network. */
			local->in.sin_addr = info.ipi_spec_dst;
			return true;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->in6.sin6_family = AF_INET6;
			local->in6.sin6_addr = info.ipi6_addr;
			return true;
		}
	}
	return false;
}

void udp_batch_forward(struct udp_batch *batch, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		batch->iovs[i].iov_len = batch->msgs[i].msg_len;
		batch->msgs[i].msg_hdr =
		    (struct msghdr){.msg_iov = &batch->iovs[i], .msg_iovlen = 1};
	}
}

int udp_batch_hear(struct udp_batch *batch, int fd, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		make_room(batch, i);
	return receive(batch, fd, from, n);
}

/* The source of an answer. The kernel takes no address that is not here. */
static void put_source(struct msghdr *msg, union udp_control *control, const struct addr *local)
{
	bool v6 = local->sa.sa_family == AF_INET6;
	size_t len = v6 ? sizeof(struct in6_pktinfo) : sizeof(struct in_pktinfo);
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(len);
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	c->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(len);
	struct in6_pktinfo six = {.ipi6_addr = local->in6.sin6_addr};
	struct in_pktinfo four = {.ipi_spec_dst = local->in.sin_addr};
	memcpy(CMSG_DATA(c), v6 ? (const void *)&six : (const void *)&four, len);
}

void udp_batch_answer(
    struct udp_batch *batch, uint32_t i, const struct addr *client, const struct addr *local)
{
	struct msghdr *msg = &batch->msgs[i].msg_hdr;
	batch->iovs[i].iov_len = batch->msgs[i].msg_len;
	batch->peers[i] = *client;
	*msg = (struct msghdr){.msg_name = &batch->peers[i],
	    .msg_namelen = addr_len(client),
	    .msg_iov = &batch->iovs[i],
	    .msg_iovlen = 1};
	if (local)
		put_source(msg, &batch->controls[i], local);
}

int udp_batch_send(struct udp_batch *batch, int fd, uint32_t from, uint32_t to)
{
	int sent = sendmmsg(fd, batch->msgs + from, to - from, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

uint64_t udp_batch_bytes(const struct udp_batch *batch, uint32_t from, uint32_t to)
{
	uint64_t n = 0;
	for (uint32_t i = from; i < to; i++)
		n += batch->iovs[i].iov_len;
	return n;
}
