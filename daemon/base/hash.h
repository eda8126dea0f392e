/* Hashes. hash_id: stable over processes, nodes and versions (identifiers on the wire). hash_keyed:
 * SipHash-1-3 with a secret key, for tables whose keys strangers choose. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t hash_id(const void *data, size_t len);
uint64_t hash_id2(const char *a, const char *b); /* of `a`, NUL, `b` */
uint64_t hash_mix(uint64_t x);                   /* bijective finaliser */
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len);
