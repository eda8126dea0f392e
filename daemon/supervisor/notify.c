#include "daemon/supervisor/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/text.h"

#define STATUS_MAX 256

static struct {
	int sock; /* -1: nobody to tell */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_us;
	/* what was not taken yet */
	enum { NOTHING, RELOADING, READY, STOPPING } state;
	uint64_t reloading_us; /* when the reload began */
	bool status_changed, watchdog;
	char status[STATUS_MAX];
} notify = {.sock = -1};

static uint64_t parse_number(const char *text)
{
	char *end;
	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	return errno || *end ? 0 : value;
}

static void read_watchdog(void)
{
	const char *pid = getenv("WATCHDOG_PID");
	notify.watchdog_us = 0;
	if (!pid || parse_number(pid) == (uint64_t)getpid())
		notify.watchdog_us = parse_number(getenv("WATCHDOG_USEC"));
}

void notify_init(void)
{
	notify_fini();
	const char *path = getenv("NOTIFY_SOCKET");
	/* A path, or "@" for the abstract name space. */
	if (!path || (path[0] != '/' && path[0] != '@') || !path[1] ||
	    strlen(path) >= sizeof(notify.to.sun_path))
		return;
	notify.to.sun_family = AF_UNIX;
	memcpy(notify.to.sun_path, path, strlen(path) + 1);
	notify.to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		notify.to.sun_path[0] = '\0';
	else
		notify.to_len++;
	notify.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	read_watchdog();
}

void notify_fini(void)
{
	if (notify.sock >= 0)
		close(notify.sock);
	memset(&notify, 0, sizeof(notify));
	notify.sock = -1;
}

static size_t compose(char *text, size_t size)
{
	int len = 0;
	if (notify.state == READY)
		len = snprintf(text, size, "READY=1\n");
	else if (notify.state == STOPPING)
		len = snprintf(text, size, "STOPPING=1\n");
	else if (notify.state == RELOADING)
		len = snprintf(text, size, "RELOADING=1\nMONOTONIC_USEC=%llu\n",
		    (unsigned long long)notify.reloading_us);
	if (notify.status_changed)
		len += snprintf(text + len, size - (size_t)len, "STATUS=%s\n", notify.status);
	if (notify.watchdog)
		len += snprintf(text + len, size - (size_t)len, "WATCHDOG=1\n");
	return (size_t)len;
}

void notify_flush(void)
{
	char text[STATUS_MAX + 128];
	if (notify.sock < 0)
		return;
	size_t len = compose(text, sizeof(text));
	if (len == 0)
		return;
	ssize_t n = sendto(notify.sock, text, len, MSG_NOSIGNAL | MSG_DONTWAIT,
	    (const struct sockaddr *)&notify.to, notify.to_len);
	if (n < 0) /* full, or systemd executes itself anew: next time */
		return;
	notify.state = NOTHING;
	notify.status_changed = notify.watchdog = false;
}

static void set_status(const char *status)
{
	text_copy(notify.status, sizeof(notify.status), status);
	for (char *p = notify.status; *p; p++) {
		if (*p == '\n') /* would begin another word */
			*p = ' ';
	}
	notify.status_changed = true;
}

void notify_ready(const char *status)
{
	notify.state = READY;
	set_status(status);
	notify_flush();
}

void notify_status(const char *status)
{
	set_status(status);
	notify_flush();
}

void notify_reloading(void)
{
	notify.state = RELOADING;
	notify.reloading_us = clock_us();
	notify_flush();
}

void notify_stopping(const char *status)
{
	notify.state = STOPPING;
	set_status(status);
	notify_flush();
}

void notify_watchdog(void)
{
	notify.watchdog = true;
	notify_flush();
}

uint64_t notify_watchdog_interval_us(void)
{
	return notify.watchdog_us / 3;
}
