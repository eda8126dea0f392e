#include "daemon/ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int pair[2];

static void open_pair(void)
{
	CU_ASSERT_EQUAL_FATAL(ipc_pair(pair), 0);
}

static void close_pair(void)
{
	close(pair[0]);
	close(pair[1]);
}

static int count_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends bytes as they are, with `n_fds` copies of standard input beside them. */
static void send_raw(const void *bytes, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr hdr = {.msg_iov = &iov, .msg_iovlen = 1};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		hdr.msg_control = control.bytes;
		hdr.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &null, sizeof(int));
	}
	CU_ASSERT_EQUAL(sendmsg(pair[0], &hdr, 0), (ssize_t)len);
	close(null);
}

/* What arrives must be refused, and nothing may stay open. */
static void refused(const void *bytes, size_t len, size_t n_fds)
{
	int before = count_fds();
	union ipc_message msg;
	int fd = 99;
	send_raw(bytes, len, n_fds);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), -EBADMSG);
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_EQUAL(count_fds(), before);
}

static void every_type_travels(void)
{
	open_pair();
	for (int type = 0; type < IPC_TYPE_COUNT; type++) {
		union ipc_message out, in;
		int fd;
		ipc_init(&out, (enum ipc_type)type);
		CU_ASSERT_EQUAL(ipc_send(pair[0], &out, -1), 0);
		memset(&in, 0xff, sizeof(in));
		CU_ASSERT_EQUAL(ipc_recv(pair[1], &in, &fd), 1);
		CU_ASSERT_EQUAL(in.header.type, (uint32_t)type);
		CU_ASSERT_EQUAL(memcmp(&in, &out, in.header.size), 0);
		CU_ASSERT_STRING_NOT_EQUAL(ipc_type_name((uint32_t)type), "unknown");
	}
	CU_ASSERT_STRING_EQUAL(ipc_type_name(IPC_TYPE_COUNT), "unknown");
	CU_ASSERT_STRING_EQUAL(ipc_type_name(IPC_ROUTER_STATE), "ROUTER_STATE");
	close_pair();
}

static void fields_and_boundaries_survive(void)
{
	open_pair();
	union ipc_message out, in;
	int fd;
	ipc_init(&out, IPC_APPLIED);
	out.applied.generation = 7;
	out.applied.error = -EADDRINUSE;
	strcpy(out.applied.text, "192.0.2.10:80 is taken");
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out, -1), 0);
	ipc_init(&out, IPC_HEARTBEAT);
	out.heartbeat.ready = true;
	CU_ASSERT_EQUAL(ipc_send(pair[0], &out, -1), 0);

	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in, &fd), 1);
	CU_ASSERT_EQUAL(in.header.type, IPC_APPLIED);
	CU_ASSERT_EQUAL(in.applied.generation, 7);
	CU_ASSERT_EQUAL(in.applied.error, -EADDRINUSE);
	CU_ASSERT_STRING_EQUAL(in.applied.text, "192.0.2.10:80 is taken");
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &in, &fd), 1);
	CU_ASSERT_EQUAL(in.header.type, IPC_HEARTBEAT);
	CU_ASSERT_TRUE(in.heartbeat.ready);
	CU_ASSERT_FALSE(in.heartbeat.warm);
	close_pair();
}

static void nothing_there_and_the_end(void)
{
	open_pair();
	union ipc_message msg;
	int fd;
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), -EAGAIN);
	ipc_init(&msg, IPC_SHUTDOWN);
	msg.shutdown.timeout_us = 5;
	CU_ASSERT_EQUAL(ipc_send(pair[0], &msg, -1), 0);
	close(pair[0]);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	CU_ASSERT_EQUAL(msg.shutdown.timeout_us, 5);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 0);
	CU_ASSERT_EQUAL(ipc_send(pair[1], &msg, -1), -EPIPE);
	close(pair[1]);
}

static void sender_is_told_when_nobody_reads(void)
{
	open_pair();
	union ipc_message msg;
	int fd, sent = 0, rc = 0;
	ipc_init(&msg, IPC_RELOAD_RESULT);
	while (sent < 10000 && (rc = ipc_send(pair[0], &msg, -1)) == 0)
		sent++;
	CU_ASSERT_EQUAL(rc, -EAGAIN);
	CU_ASSERT_TRUE(sent > 1);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	close_pair();
}

static void malformed_ones_are_refused(void)
{
	open_pair();
	union ipc_message msg;
	uint8_t big[sizeof(msg) + 64];
	ipc_init(&msg, IPC_APPLIED);
	size_t size = msg.header.size;
	memset(big, 0, sizeof(big));

	refused(&msg, size - 1, 0);                  /* truncated */
	refused(&msg, sizeof(struct ipc_header), 0); /* the header only */
	refused(&msg, 3, 0);                         /* less than a header */
	memcpy(big, &msg, size);
	refused(big, size + 1, 0);    /* too long */
	refused(big, sizeof(big), 0); /* longer than any message */

	msg.header.size--;
	refused(&msg, size, 0);     /* header and length differ */
	refused(&msg, size - 1, 0); /* header and type differ */
	ipc_init(&msg, IPC_RELOAD);
	msg.header.type = IPC_TYPE_COUNT;
	refused(&msg, msg.header.size, 0);
	msg.header.type = UINT32_MAX;
	refused(&msg, msg.header.size, 0);

	/* The channel goes on after each of them. */
	int fd;
	ipc_init(&msg, IPC_RELOAD);
	send_raw(&msg, msg.header.size, 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	close_pair();
}

static void what_a_message_holds_is_safe_to_read(void)
{
	open_pair();
	union ipc_message msg;
	int fd;
	ipc_init(&msg, IPC_APPLIED);
	memset(msg.applied.text, 'x', sizeof(msg.applied.text));
	send_raw(&msg, msg.header.size, 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	CU_ASSERT_EQUAL(strlen(msg.applied.text), sizeof(msg.applied.text) - 1);

	ipc_init(&msg, IPC_HEARTBEAT);
	memset(&msg.heartbeat.ready, 0x82, 1);
	send_raw(&msg, msg.header.size, 0);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	uint8_t byte;
	memcpy(&byte, &msg.heartbeat.ready, 1);
	CU_ASSERT_EQUAL(byte, 1);

	ipc_init(&msg, IPC_ROUTER);
	msg.router.n_addresses = IPC_ADDRESSES_MAX + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER);
	msg.router.auth_keys.n = KEYS_MAX + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_CONFIG);
	msg.config.keys.n = KEYS_MAX + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER_STATE);
	msg.router_state.n_addresses = 255;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER);
	msg.router.n_tracked = IPC_TRACKED_MAX + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER);
	msg.router.n_tracked = 2;
	msg.router.tracked[1].kind = IPC_TRACKED_KIND_COUNT;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER_STATE);
	msg.router_state.n_parts = IPC_TRACKED_MAX + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_SCRIPT);
	msg.script.index = IPC_TRACKED_MAX;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_ROUTER_STATE);
	msg.router_state.role = IPC_ROLE_FAULT + 1;
	refused(&msg, msg.header.size, 0);
	ipc_init(&msg, IPC_PEER_ROUTER);
	msg.peer_router.role = IPC_ROLE_FAULT + 1;
	refused(&msg, msg.header.size, 0);

	ipc_init(&msg, IPC_ROUTER_STATS);
	msg.router_stats.lease = IPC_LEASE_ALIVE + 1;
	refused(&msg, msg.header.size, 0);

	ipc_init(&msg, IPC_WORD);
	msg.word.kind = IPC_WORD_COUNT;
	refused(&msg, msg.header.size, 0);

	const enum ipc_type named[] = {
	    IPC_PEER_ROUTER, IPC_WORD, IPC_ROUTER_REMARK, IPC_ROUTER_STATS};
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		ipc_init(&msg, named[i]);
		memset(msg.word.name, 'x', IPC_NAME_MAX); /* the same place in all */
		send_raw(&msg, msg.header.size, 0);
		CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
		CU_ASSERT_EQUAL(strlen(msg.word.name), IPC_NAME_MAX - 1);
	}
	close_pair();
}

static void a_descriptor_travels(void)
{
	open_pair();
	union ipc_message msg;
	int before = count_fds(), fd = -1;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct stat sent, received;
	ipc_init(&msg, IPC_LISTENER);
	strcpy(msg.listener.name, "web");
	CU_ASSERT_EQUAL(ipc_send(pair[0], &msg, null), 0);
	fstat(null, &sent);
	close(null);

	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	CU_ASSERT_TRUE(fd >= 0);
	CU_ASSERT_EQUAL(fstat(fd, &received), 0);
	CU_ASSERT_EQUAL(sent.st_rdev, received.st_rdev);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CU_ASSERT_STRING_EQUAL(msg.listener.name, "web");
	close(fd);
	CU_ASSERT_EQUAL(count_fds(), before);
	close_pair();
}

static void unexpected_descriptors_are_closed(void)
{
	open_pair();
	union ipc_message msg;
	int fd, before = count_fds();
	ipc_init(&msg, IPC_RELOAD); /* carries none: the message counts, the descriptor does not */
	CU_ASSERT_EQUAL(ipc_send(pair[0], &msg, 0), -EINVAL);
	send_raw(&msg, msg.header.size, 1);
	CU_ASSERT_EQUAL(ipc_recv(pair[1], &msg, &fd), 1);
	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_EQUAL(count_fds(), before);

	ipc_init(&msg, IPC_LINK);
	refused(&msg, msg.header.size, 2);
	refused(&msg, msg.header.size, 4);
	refused(&msg, msg.header.size, 8); /* more than fit our control buffer */
	refused("bad", 3, 1);
	close_pair();
}

static void both_ends_are_guarded(void)
{
	open_pair();
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fcntl(pair[i], F_GETFD), FD_CLOEXEC);
		CU_ASSERT_TRUE(fcntl(pair[i], F_GETFL) & O_NONBLOCK);
	}
	union ipc_message msg = {.header = {.type = IPC_TYPE_COUNT, .size = 16}};
	CU_ASSERT_EQUAL(ipc_send(pair[0], &msg, -1), -EBADMSG);
	ipc_init(&msg, IPC_LINK);
	msg.header.size++;
	CU_ASSERT_EQUAL(ipc_send(pair[0], &msg, -1), -EBADMSG);
	close_pair();
}

UNIT_MAIN("ipc/ipc", UNIT(every_type_travels), UNIT(fields_and_boundaries_survive),
    UNIT(nothing_there_and_the_end), UNIT(sender_is_told_when_nobody_reads),
    UNIT(malformed_ones_are_refused), UNIT(what_a_message_holds_is_safe_to_read),
    UNIT(a_descriptor_travels), UNIT(unexpected_descriptors_are_closed),
    UNIT(both_ends_are_guarded))
