/* Keys for separate purposes out of the one key that the operator made: HKDF-SHA256 (RFC 5869) with
 * the purpose as info. Knowing one derived key says nothing about the others. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/keys.h"

/* Fills `out`. 0, or -EIO when OpenSSL fails. */
int derive_key(const uint8_t master[KEY_LEN], const char *label, uint8_t *out, size_t len);

/* What a key is called where people compare the nodes: eight digits that say nothing else about it.
 * 0 or -EIO. */
#define DERIVE_NAME_SIZE 9
int derive_name(const uint8_t master[KEY_LEN], char name[DERIVE_NAME_SIZE]);
