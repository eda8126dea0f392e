/* Hashes. hash_id: stable over processes, nodes and versions (identifiers on the wire). hash_keyed:
 * SipHash-1-3 with a secret key, for tables whose keys strangers choose. hash_keyed128: SipHash-2-4
 * with 128 bits, which stand for what was hashed: nobody without the key finds two that are equal,
 * or what it was. Stable over processes, nodes and versions, for an equal key. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash_id(const void *data, size_t len);
uint64_t hash_id2(const char *a, const char *b); /* of `a`, NUL, `b` */
uint64_t hash_mix(uint64_t x);                   /* bijective finaliser */
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len);
void hash_keyed128(const uint8_t key[16], const void *data, size_t len, uint8_t out[16]);
