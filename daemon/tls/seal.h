/* Authenticated encryption of small tokens (the sticky cookie): AES-128-GCM with a random 96-bit
 * nonce, as URL-safe base64 of nonce | ciphertext | tag. The key is derived from the pair's sync
 * key (HKDF-SHA256, with a label), so that both nodes read each other's tokens, or random on a
 * single node. Tokens are made with the first key and opened with each. One object per thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/keys.h"

#define SEAL_PLAIN_MAX 32
#define SEAL_TEXT_MAX  80 /* of a plain text of SEAL_PLAIN_MAX bytes; no NUL */

struct seal;

/* NULL when out of memory or OpenSSL fails. At least one key; they are not kept. */
struct seal *seal_new(const struct keys *keys, const char *label);
/* The same one once more, for the same thread: seal_free as often as it was made and shared. */
struct seal *seal_share(struct seal *seal);
void seal_free(struct seal *seal);

/* Returns the length of `text`, or 0 on failure. */
size_t seal_encrypt(struct seal *seal, const uint8_t *plain, size_t len, char text[SEAL_TEXT_MAX]);
/* Returns the length of the plain text, or -1: too long, malformed, or not ours. `stale`: it was
 * made with another key than the first one; make it anew before that key is gone. */
long seal_decrypt(struct seal *seal, const char *text, size_t text_len,
    uint8_t plain[SEAL_PLAIN_MAX], bool *stale);
