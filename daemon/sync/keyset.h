/* A set of 64-bit hashes that only grows: which sessions a snapshot mentioned. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyset {
	uint64_t *slots; /* 0: empty; open addressing */
	size_t n_slots;  /* 0 or a power of two */
	size_t count;
	size_t limit;   /* members */
	bool overflown; /* the limit, or memory, was not enough: the set is not complete */
};

/* Starts empty and without memory. */
void keyset_init(struct keyset *set, size_t limit);
/* Empties it, gives the memory back. */
void keyset_fini(struct keyset *set);
/* So many members are to be expected: a hint, so that it need not grow while it is filled. */
void keyset_reserve(struct keyset *set, uint64_t count);
void keyset_add(struct keyset *set, uint64_t hash);
bool keyset_has(const struct keyset *set, uint64_t hash);
