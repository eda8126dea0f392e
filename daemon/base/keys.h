/* The secrets of the pair, as sync.key_file has them, or what was derived from each of them. The
 * first one speaks, each of them is accepted, so that a key can be changed without a gap. Whoever
 * has a copy wipes it (text_wipe). */
#pragma once

#include <stdint.h>

#define KEY_LEN  32
#define KEYS_MAX 2

struct keys {
	uint8_t n;
	uint8_t of[KEYS_MAX][KEY_LEN];
};
