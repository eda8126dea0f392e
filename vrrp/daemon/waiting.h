/* How long this process has waited for a CPU although it was ready: what tells a busy machine from
 * a late clock (a hypervisor that did not run us, or interrupts that were off). */
#pragma once

#include <stdint.h>

/* A descriptor, or -1 where the kernel does not count. Before files are out of reach. */
int vrrp_waiting_open(void);
/* Since the start of the process. */
uint64_t vrrp_waiting_us(int fd);
