/* Words to systemd (the protocol of sd_notify(3)); without systemd they go nowhere. Nothing here
 * ever waits: what systemd does not take now is kept, the newest of each kind, and goes with
 * notify_flush. libsystemd's own call blocks while the manager does not read, and with it the
 * process that has to notice a death. */
#pragma once

#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_init(void);
void notify_fini(void);

void notify_ready(const char *status); /* also the end of a reload */
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(const char *status);
void notify_watchdog(void);
void notify_flush(void);
/* How often systemd wants to hear notify_watchdog; 0: never. */
uint64_t notify_watchdog_interval_us(void);
