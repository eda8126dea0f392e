#include "daemon/ipc/ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for more descriptors than a message may carry: a surplus that reaches us is ours to close,
 * and CMSG_SPACE(sizeof(int)) has room for two anyhow. */
#define FDS_MAX 4

static const struct {
	const char *name;
	uint32_t size;
	bool carries_fd;
} types[IPC_TYPE_COUNT] = {
#define X(type, member)                                               \
	[IPC_##type] = {#type, sizeof(struct ipc_##member),           \
	    IPC_##type == IPC_CONFIG || IPC_##type == IPC_LISTENER || \
		IPC_##type == IPC_ACCESS_LOG || IPC_##type == IPC_LINK},
    IPC_TYPES(X)
#undef X
};

void ipc_init(union ipc_message *msg, enum ipc_type type)
{
	memset(msg, 0, sizeof(*msg));
	msg->header.type = (uint32_t)type;
	msg->header.size = types[type].size;
}

const char *ipc_type_name(uint32_t type)
{
	return type < IPC_TYPE_COUNT ? types[type].name : "unknown";
}

int ipc_pair(int fds[2])
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	fds[0] = pair[0];
	fds[1] = pair[1];
	return 0;
}

static bool well_formed(const struct ipc_header *header, size_t len)
{
	return len >= sizeof(*header) && header->type < IPC_TYPE_COUNT && header->size == len &&
	       len == types[header->type].size;
}

int ipc_send(int sock, const union ipc_message *msg, int fd)
{
	if (!well_formed(&msg->header, msg->header.size))
		return -EBADMSG;
	if (fd >= 0 && !types[msg->header.type].carries_fd)
		return -EINVAL;

	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = msg->header.size};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		memset(&control, 0, sizeof(control));
		hdr.msg_control = control.bytes;
		hdr.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	ssize_t n;
	do
		n = sendmsg(sock, &hdr, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Stores the descriptors of the control data and returns how many there are. */
static size_t collect_fds(struct msghdr *hdr, int fds[FDS_MAX])
{
	size_t n = 0;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr); cmsg; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && n < FDS_MAX; i++, n++)
			memcpy(&fds[n], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
	}
	return n;
}

#define END_TEXT(text) ((text)[sizeof(text) - 1] = '\0')
/* A bool that holds another bit pattern is undefined behaviour to read: look at its byte. */
#define FIX_BOOL(flag) (*(volatile uint8_t *)&(flag) = *(volatile uint8_t *)&(flag) != 0)

static bool sanitise_config(struct ipc_config *config)
{
	END_TEXT(config->node);
	END_TEXT(config->user);
	END_TEXT(config->file);
	END_TEXT(config->token);
	FIX_BOOL(config->has_token);
	FIX_BOOL(config->pair);
	FIX_BOOL(config->unprivileged);
	return config->keys.n <= KEYS_MAX;
}

static bool sanitise_router(struct ipc_router *router)
{
	END_TEXT(router->name);
	END_TEXT(router->interface);
	END_TEXT(router->group);
	FIX_BOOL(router->virtual_mac);
	if (router->n_addresses > IPC_ADDRESSES_MAX || router->n_tracked > IPC_TRACKED_MAX ||
	    router->auth_keys.n > KEYS_MAX)
		return false;
	for (unsigned i = 0; i < router->n_tracked; i++) {
		END_TEXT(router->tracked[i].name);
		if (router->tracked[i].kind >= IPC_TRACKED_KIND_COUNT)
			return false;
	}
	return true;
}

static bool sanitise_router_state(struct ipc_router_state *state)
{
	END_TEXT(state->name);
	END_TEXT(state->interface);
	END_TEXT(state->reason);
	END_TEXT(state->alarm);
	END_TEXT(state->alarm_over);
	FIX_BOOL(state->handed_over);
	END_TEXT(state->held);
	FIX_BOOL(state->replay);
	FIX_BOOL(state->removed);
	if (state->n_parts > IPC_TRACKED_MAX)
		return false;
	for (unsigned i = 0; i < state->n_parts; i++) {
		FIX_BOOL(state->parts[i].failing);
		END_TEXT(state->parts[i].name);
		END_TEXT(state->parts[i].why);
	}
	return state->n_addresses <= IPC_ADDRESSES_MAX && state->role <= IPC_ROLE_FAULT &&
	       state->previous <= IPC_ROLE_FAULT;
}

/* Makes the message safe to read; false when that is not possible. */
static bool sanitise(union ipc_message *msg)
{
	switch ((enum ipc_type)msg->header.type) {
	case IPC_CONFIG: return sanitise_config(&msg->config);
	case IPC_ROUTER_STATE: return sanitise_router_state(&msg->router_state);
	case IPC_LISTENER:
		END_TEXT(msg->listener.name);
		return msg->listener.kind <= IPC_LISTENER_ADMIN_TCP;
	case IPC_APPLIED: END_TEXT(msg->applied.text); return true;
	case IPC_HEARTBEAT:
		FIX_BOOL(msg->heartbeat.ready);
		FIX_BOOL(msg->heartbeat.warm);
		END_TEXT(msg->heartbeat.reason);
		return true;
	case IPC_RELOAD_RESULT: END_TEXT(msg->reload_result.text); return true;
	case IPC_ROUTER_REMARK:
		END_TEXT(msg->router_remark.name);
		END_TEXT(msg->router_remark.text);
		return true;
	case IPC_ROUTER_STATS:
		END_TEXT(msg->router_stats.name);
		END_TEXT(msg->router_stats.lease_problem);
		FIX_BOOL(msg->router_stats.heard_plain);
		return msg->router_stats.lease <= IPC_LEASE_ALIVE;
	case IPC_ROUTER: return sanitise_router(&msg->router);
	case IPC_POOL: END_TEXT(msg->pool.name); return true;
	case IPC_SCRIPT:
		END_TEXT(msg->script.router);
		END_TEXT(msg->script.reason);
		FIX_BOOL(msg->script.good);
		return msg->script.index < IPC_TRACKED_MAX;
	case IPC_RESIGN:
		END_TEXT(msg->resign.name);
		END_TEXT(msg->resign.reason);
		return true;
	case IPC_PEER_ROUTER:
		END_TEXT(msg->peer_router.name);
		FIX_BOOL(msg->peer_router.handed_over);
		return msg->peer_router.role <= IPC_ROLE_FAULT;
	case IPC_WORD: END_TEXT(msg->word.name); return msg->word.kind < IPC_WORD_COUNT;
	case IPC_RESIGN_RESULT: END_TEXT(msg->resign_result.text); return true;
	case IPC_ACCESS_LOG:
	case IPC_CONFIG_END:
	case IPC_LINK:
	case IPC_QUIESCE:
	case IPC_QUIET:
	case IPC_SHUTDOWN:
	case IPC_RELOAD:
	case IPC_ROUTERS_END: return true;
	case IPC_TYPE_COUNT: break;
	}
	return false;
}

int ipc_recv(int sock, union ipc_message *msg, int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = msg, .iov_len = sizeof(*msg)};
	struct msghdr hdr = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	*fd = -1;
	ssize_t n;
	do
		n = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	int fds[FDS_MAX];
	size_t n_fds = collect_fds(&hdr, fds);
	bool good = !(hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && n_fds <= 1 &&
		    well_formed(&msg->header, (size_t)n) && sanitise(msg);
	if (good && n_fds == 1 && types[msg->header.type].carries_fd) {
		*fd = fds[0];
		n_fds = 0;
	}
	for (size_t i = 0; i < n_fds; i++)
		close(fds[i]);
	/* No message of ours is empty, so a length of 0 is the end. */
	if (n == 0)
		return 0;
	return good ? 1 : -EBADMSG;
}
