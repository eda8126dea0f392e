#include "vrrp/lease/lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMAND_MAX 160

struct vrrp_lease {
	struct nft_ctx *nft;
	int fd; /* netlink, for the generation */
};

struct vrrp_lease *vrrp_lease_open(struct err *err)
{
	struct vrrp_lease *lease = calloc(1, sizeof(*lease));
	if (lease)
		lease->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (lease && lease->fd >= 0 && (lease->nft = nft_ctx_new(NFT_CTX_DEFAULT)) &&
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
	if (lease && lease->fd >= 0)
		close(lease->fd);
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

int vrrp_lease_remove(
    struct vrrp_lease *lease, uint8_t vrid, const char *interface, struct err *err)
{
	char name[VRRP_FENCE_NAME_MAX], command[COMMAND_MAX];
	if (vrrp_fence_name(vrid, interface, name, NULL))
		return 0;
	snprintf(
	    command, sizeof(command), "add table netdev %s\ndelete table netdev %s\n", name, name);
	return run(lease, command, err);
}

static const char *list(struct vrrp_lease *lease, const char *what, const char *name)
{
	char command[COMMAND_MAX];
	snprintf(command, sizeof(command), "list %s netdev %s", what, name);
	return run(lease, command, NULL) ? NULL : nft_ctx_get_output_buffer(lease->nft);
}

/* An element whose time is over is not listed. */
bool vrrp_lease_alive(struct vrrp_lease *lease, uint8_t vrid, const char *interface)
{
	char name[VRRP_FENCE_NAME_MAX], what[VRRP_FENCE_NAME_MAX + 8];
	if (vrrp_fence_name(vrid, interface, name, NULL))
		return false;
	snprintf(what, sizeof(what), "%s lease", name);
	const char *listed = list(lease, "set", what);
	return listed && strstr(listed, "elements = {");
}

bool vrrp_lease_installed(struct vrrp_lease *lease, uint8_t vrid, const char *interface)
{
	char name[VRRP_FENCE_NAME_MAX];
	return vrrp_fence_name(vrid, interface, name, NULL) == 0 && list(lease, "table", name);
}

/* The attribute with the number, in an answer of `len` bytes. */
static uint32_t find_generation(const uint8_t *answer, size_t len)
{
	size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	struct nlmsghdr header;
	if (len < at)
		return 0;
	memcpy(&header, answer, sizeof(header));
	if (header.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
		return 0;
	while (at + sizeof(struct nlattr) <= len) {
		struct nlattr attr;
		uint32_t number;
		memcpy(&attr, answer + at, sizeof(attr));
		if (attr.nla_len < sizeof(attr) || attr.nla_len > len - at)
			break;
		if (attr.nla_type == NFTA_GEN_ID && attr.nla_len == sizeof(attr) + sizeof(number)) {
			memcpy(&number, answer + at + sizeof(attr), sizeof(number));
			return ntohl(number);
		}
		at += NLA_ALIGN(attr.nla_len);
	}
	return 0;
}

uint32_t vrrp_lease_generation(struct vrrp_lease *lease)
{
	uint8_t answer[512];
	struct {
		struct nlmsghdr header;
		struct nfgenmsg message;
	} ask = {
	    .header = {.nlmsg_len = sizeof(ask),
		.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
		.nlmsg_flags = NLM_F_REQUEST},
	    .message = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	if (sendto(lease->fd, &ask, sizeof(ask), 0, (const struct sockaddr *)&kernel,
		sizeof(kernel)) < 0)
		return 0;
	ssize_t n = recv(lease->fd, answer, sizeof(answer), MSG_DONTWAIT);
	return n > 0 ? find_generation(answer, (size_t)n) : 0;
}

void vrrp_lease_sweep(struct vrrp_lease *lease, bool (*keep)(const char *table))
{
	static const char before[] = "table netdev " VRRP_FENCE_PREFIX;
	if (run(lease, "list tables netdev", NULL))
		return;
	const char *listed = nft_ctx_get_output_buffer(lease->nft);
	char *copy = listed ? strdup(listed) : NULL;
	char *rest = copy;
	for (char *line; rest && (line = strsep(&rest, "\n"));) {
		char command[COMMAND_MAX];
		if (strncmp(line, before, sizeof(before) - 1) ||
		    keep(line + strlen("table netdev ")))
			continue;
		snprintf(command, sizeof(command), "delete %s\n", line);
		run(lease, command, NULL);
	}
	free(copy);
}
