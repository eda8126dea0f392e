/* Words to systemd (sd_notify); without systemd they go nowhere. */
#pragma once

#include <stdint.h>

void notify_ready(const char *status);
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(const char *status);
void notify_watchdog(void);
/* How often systemd wants to hear notify_watchdog; 0: never. */
uint64_t notify_watchdog_interval_us(void);
