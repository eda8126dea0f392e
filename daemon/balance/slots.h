/* Small numbers for living targets: the lowest free one, unique in the process, reused after it was
 * given back. Safe from all threads. Internal to balance. */
#pragma once

#include <stdint.h>

#define SLOT_NONE UINT32_MAX

/* SLOT_NONE when out of memory. */
uint32_t slot_take(void);
void slot_give_back(uint32_t slot);
