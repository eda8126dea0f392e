#include "vrrp/daemon/waiting.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int vrrp_waiting_open(void)
{
	return open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
}

/* Nanoseconds: the second number. */
uint64_t vrrp_waiting_us(int fd)
{
	char text[96];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
	text[n > 0 ? n : 0] = '\0';
	const char *second = strchr(text, ' ');
	return second ? strtoull(second, NULL, 10) / 1000 : 0;
}
