#include "vrrp/link/ear.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Lets all through but 01:80:c2:00:00:0x (IEEE 802.1D) and 01:00:0c:cc:cc:xx (the same of another
 * vendor), of which one byte will do. */
static int attach_filter(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x01000ccc, 4, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0180c200, 0, 2),
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 0x000f, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, 1),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

int vrrp_ear_open(int ifindex, struct err *err)
{
	/* Protocol 0: deaf until it is bound, so that nothing comes in before the filter. */
	int one = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_ll at = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(ETH_P_ALL),
	    .sll_ifindex = ifindex,
	};
	if (fd >= 0 && attach_filter(fd) == 0 &&
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) == 0 &&
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	int rc = err_set(err, -errno, "packet socket: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return rc;
}

bool vrrp_ear_heard(int fd)
{
	uint8_t byte;
	return recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0;
}
