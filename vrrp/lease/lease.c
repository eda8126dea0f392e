#include "vrrp/lease/lease.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "vrrp/netlink/netlink.h"

#define COMMAND_MAX 320
/* A larger crowd of events is read in the loop's next pass. */
#define CHANGES_PER_PASS 64

struct vrrp_lease {
	struct nft_ctx *nft;      /* changes */
	struct vrrp_netlink *ask; /* reads */
	struct nl_sock *events;
};

/* Its buffer is small: what does not fit is lost, and that is an event, too. */
static struct nl_sock *listen_for_changes(void)
{
	struct nl_sock *events = nl_socket_alloc();
	if (events && nl_connect(events, NETLINK_NETFILTER) == 0 &&
	    nl_socket_add_memberships(events, NFNLGRP_NFTABLES, NFNLGRP_NONE) == 0)
		return events;
	if (events)
		nl_socket_free(events);
	return NULL;
}

struct vrrp_lease *vrrp_lease_open(struct err *err)
{
	struct vrrp_lease *lease = calloc(1, sizeof(*lease));
	if (lease && (lease->ask = vrrp_netlink_open(NETLINK_NETFILTER, NULL)) &&
	    (lease->events = listen_for_changes()) && (lease->nft = nft_ctx_new(NFT_CTX_DEFAULT)) &&
	    nft_ctx_buffer_output(lease->nft) == 0 && nft_ctx_buffer_error(lease->nft) == 0)
		return lease;
	err_set(err, 0, "libnftables cannot be used");
	vrrp_lease_close(lease);
	return NULL;
}

void vrrp_lease_close(struct vrrp_lease *lease)
{
	if (lease && lease->nft)
		nft_ctx_free(lease->nft);
	if (lease && lease->events)
		nl_socket_free(lease->events);
	if (lease)
		vrrp_netlink_close(lease->ask);
	free(lease);
}

/* The library says no code, only text: its first line without "Error: ". */
static int run(struct vrrp_lease *lease, const char *commands, struct err *err)
{
	static const char prefix[] = "Error: ";
	int rc = nft_run_cmd_from_buffer(lease->nft, commands);
	const char *said = nft_ctx_get_error_buffer(lease->nft);
	if (rc == 0)
		return 0;
	const char *from = said ? strstr(said, prefix) : NULL;
	from = from ? from + sizeof(prefix) - 1 : said ? said : "";
	return err_set(err, -EIO, "nftables: %.*s", (int)strcspn(from, "\n"),
	    from[0] ? from : "it failed without a word");
}

int vrrp_lease_install(struct vrrp_lease *lease, const struct vrrp_fence *fence,
    enum vrrp_fence_mode mode, struct err *err)
{
	char text[VRRP_FENCE_TEXT_MAX];
	int rc = vrrp_fence_text(fence, mode, text, err);
	return rc < 0 ? rc : run(lease, text, err);
}

int vrrp_lease_remove(struct vrrp_lease *lease, const struct vrrp_fence_id *id, struct err *err)
{
	char name[VRRP_FENCE_NAME_MAX], command[COMMAND_MAX];
	if (vrrp_fence_name(id, name, NULL))
		return 0;
	snprintf(command, sizeof(command),
	    "add table netdev %s\ndelete table netdev %s\nadd table arp %s\ndelete table arp %s\n",
	    name, name, name, name);
	return run(lease, command, err);
}

/* A question about family netdev, or about all (AF_UNSPEC). */
static struct nl_msg *begin(struct vrrp_lease *lease, int type, int flags, uint8_t family)
{
	struct nfgenmsg message = {.nfgen_family = family, .version = NFNETLINK_V0};
	struct nl_msg *msg =
	    vrrp_netlink_begin(lease->ask, NFNL_SUBSYS_NFTABLES << 8 | type, flags);
	nlmsg_append(msg, &message, sizeof(message), NLMSG_ALIGNTO);
	return msg;
}

static struct nlattr *find(const struct nlmsghdr *answer, int type, int attr)
{
	bool fits = answer->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | type) &&
		    nlmsg_datalen(answer) >= (int)sizeof(struct nfgenmsg);
	return fits ? nlmsg_find_attr(
			  (struct nlmsghdr *)(uintptr_t)answer, sizeof(struct nfgenmsg), attr)
		    : NULL;
}

/* The set has one element at most; one whose time is over is not listed. */
static void on_elements(const struct nlmsghdr *answer, void *arg)
{
	uint64_t *left_ms = arg;
	struct nlattr *list = find(answer, NFT_MSG_NEWSETELEM, NFTA_SET_ELEM_LIST_ELEMENTS);
	struct nlattr *element =
	    list ? nla_find(nla_data(list), nla_len(list), NFTA_LIST_ELEM) : NULL;
	struct nlattr *left =
	    element ? nla_find(nla_data(element), nla_len(element), NFTA_SET_ELEM_EXPIRATION)
		    : NULL;
	if (left && nla_len(left) >= (int)sizeof(uint64_t))
		*left_ms = be64toh(nla_get_u64(left));
}

uint64_t vrrp_lease_left_ms(struct vrrp_lease *lease, const struct vrrp_fence_id *id)
{
	char name[VRRP_FENCE_NAME_MAX];
	uint64_t left_ms = 0;
	if (vrrp_fence_name(id, name, NULL))
		return 0;
	struct nl_msg *msg = begin(lease, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_NETDEV);
	nla_put_string(msg, NFTA_SET_ELEM_LIST_TABLE, name);
	nla_put_string(msg, NFTA_SET_ELEM_LIST_SET, "lease");
	return vrrp_netlink_ask(lease->ask, on_elements, &left_ms) ? 0 : left_ms;
}

bool vrrp_lease_installed(struct vrrp_lease *lease, const struct vrrp_fence_id *id)
{
	char name[VRRP_FENCE_NAME_MAX];
	if (vrrp_fence_name(id, name, NULL))
		return false;
	nla_put_string(begin(lease, NFT_MSG_GETTABLE, 0, NFPROTO_NETDEV), NFTA_TABLE_NAME, name);
	return vrrp_netlink_ask(lease->ask, NULL, NULL) == 0;
}

static void on_generation(const struct nlmsghdr *answer, void *arg)
{
	uint32_t *generation = arg;
	struct nlattr *id = find(answer, NFT_MSG_NEWGEN, NFTA_GEN_ID);
	if (id && nla_len(id) >= (int)sizeof(uint32_t))
		*generation = ntohl(nla_get_u32(id));
}

uint32_t vrrp_lease_generation(struct vrrp_lease *lease)
{
	uint32_t generation = 0;
	begin(lease, NFT_MSG_GETGEN, 0, AF_UNSPEC);
	return vrrp_netlink_ask(lease->ask, on_generation, &generation) ? 0 : generation;
}

int vrrp_lease_changes_fd(const struct vrrp_lease *lease)
{
	return nl_socket_get_fd(lease->events);
}

void vrrp_lease_drain_changes(struct vrrp_lease *lease)
{
	for (int i = 0; i < CHANGES_PER_PASS; i++) {
		char first;
		ssize_t n = recv(nl_socket_get_fd(lease->events), &first, sizeof(first),
		    MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0 && errno != EINTR && errno != ENOBUFS)
			return;
	}
}

struct sweep {
	struct vrrp_lease *lease;
	bool (*keep)(const struct vrrp_fence_id *id);
};

static void on_table(const struct nlmsghdr *answer, void *arg)
{
	struct sweep *sweep = arg;
	struct nlattr *attr = find(answer, NFT_MSG_NEWTABLE, NFTA_TABLE_NAME);
	char name[VRRP_FENCE_NAME_MAX];
	struct vrrp_fence_id id;
	if (attr && nla_strlcpy(name, attr, sizeof(name)) < sizeof(name) &&
	    vrrp_fence_parse_name(name, &id) && !sweep->keep(&id))
		vrrp_lease_remove(sweep->lease, &id, NULL);
}

void vrrp_lease_sweep(struct vrrp_lease *lease, bool (*keep)(const struct vrrp_fence_id *id))
{
	struct sweep sweep = {lease, keep};
	begin(lease, NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_NETDEV);
	vrrp_netlink_ask(lease->ask, on_table, &sweep);
}
