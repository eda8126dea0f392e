#include "vrrp/netlink/netlink.h"

#include <errno.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_MAX 32768 /* the kernel fills at most so much at once */

struct vrrp_netlink {
	struct nl_sock *sock;
	struct nl_msg *msg;
	_Alignas(struct nlmsghdr) uint8_t answer[ANSWER_MAX];
};

struct vrrp_netlink *vrrp_netlink_open(int protocol, struct err *err)
{
	struct vrrp_netlink *nl = calloc(1, sizeof(*nl));
	int rc = -NLE_NOMEM;
	if (nl && (nl->sock = nl_socket_alloc()) && (nl->msg = nlmsg_alloc()))
		rc = nl_connect(nl->sock, protocol);
	if (rc == 0)
		return nl;
	err_set(err, 0, "netlink: %s", nl_geterror(rc));
	vrrp_netlink_close(nl);
	return NULL;
}

void vrrp_netlink_close(struct vrrp_netlink *nl)
{
	if (nl && nl->msg)
		nlmsg_free(nl->msg);
	if (nl && nl->sock)
		nl_socket_free(nl->sock);
	free(nl);
}

uint32_t vrrp_netlink_port(const struct vrrp_netlink *nl)
{
	return nl_socket_get_local_port(nl->sock);
}

struct nl_msg *vrrp_netlink_begin(struct vrrp_netlink *nl, int type, int flags)
{
	nlmsg_hdr(nl->msg)->nlmsg_len = NLMSG_HDRLEN;
	nlmsg_put(nl->msg, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, NLM_F_REQUEST | NLM_F_ACK | flags);
	return nl->msg;
}

/* 1: more may come. */
static int take(const struct nlmsghdr *answer,
    void (*visit)(const struct nlmsghdr *answer, void *arg), void *arg)
{
	if (answer->nlmsg_type == NLMSG_DONE)
		return 0;
	if (answer->nlmsg_type != NLMSG_ERROR) {
		if (visit)
			visit(answer, arg);
		return 1;
	}
	struct nlmsgerr error = {.error = -EIO};
	if (nlmsg_datalen(answer) >= (int)sizeof(error))
		memcpy(&error, nlmsg_data(answer), sizeof(error));
	return error.error;
}

int vrrp_netlink_ask(
    struct vrrp_netlink *nl, void (*visit)(const struct nlmsghdr *answer, void *arg), void *arg)
{
	nl_complete_msg(nl->sock, nl->msg);
	uint32_t seq = nlmsg_hdr(nl->msg)->nlmsg_seq;
	if (nl_send(nl->sock, nl->msg) < 0)
		return -EIO;
	for (;;) {
		ssize_t n =
		    recv(nl_socket_get_fd(nl->sock), nl->answer, sizeof(nl->answer), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		int left = (int)n;
		/* Answers to an earlier request, of which one was lost, are passed over. */
		for (struct nlmsghdr *at = (struct nlmsghdr *)nl->answer; nlmsg_ok(at, left);
		     at = nlmsg_next(at, &left)) {
			int rc = at->nlmsg_seq == seq ? take(at, visit, arg) : 1;
			if (rc <= 0)
				return rc;
		}
	}
}
