#include "daemon/sync/keyset.h"

#include <stdlib.h>

#define SLOTS_MIN 1024

void keyset_init(struct keyset *set, size_t limit)
{
	*set = (struct keyset){.limit = limit};
}

void keyset_fini(struct keyset *set)
{
	free(set->slots);
	*set = (struct keyset){.limit = set->limit};
}

/* 0 marks an empty slot, so it shares a place with 1. */
static uint64_t stored(uint64_t hash)
{
	return hash ? hash : 1;
}

/* The slot that holds the hash, or the empty one where it belongs. */
static size_t find(const uint64_t *slots, size_t n_slots, uint64_t hash)
{
	size_t at = hash & (n_slots - 1);
	while (slots[at] != 0 && slots[at] != hash)
		at = (at + 1) & (n_slots - 1);
	return at;
}

static bool resize(struct keyset *set, size_t n_slots)
{
	uint64_t *slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < set->n_slots; i++) {
		if (set->slots[i] != 0)
			slots[find(slots, n_slots, set->slots[i])] = set->slots[i];
	}
	free(set->slots);
	set->slots = slots;
	set->n_slots = n_slots;
	return true;
}

static bool crowded(uint64_t count, size_t n_slots)
{
	return count * 4 >= n_slots * 3;
}

void keyset_reserve(struct keyset *set, uint64_t count)
{
	size_t n_slots = SLOTS_MIN;
	while (crowded(count < set->limit ? count : set->limit, n_slots))
		n_slots *= 2;
	if (n_slots > set->n_slots)
		resize(set, n_slots);
}

void keyset_add(struct keyset *set, uint64_t hash)
{
	if (set->overflown || keyset_has(set, hash))
		return;
	size_t n_slots = set->n_slots ? set->n_slots * 2 : SLOTS_MIN;
	if (set->count >= set->limit ||
	    (crowded(set->count, set->n_slots) && !resize(set, n_slots))) {
		set->overflown = true;
		return;
	}
	set->slots[find(set->slots, set->n_slots, stored(hash))] = stored(hash);
	set->count++;
}

bool keyset_has(const struct keyset *set, uint64_t hash)
{
	if (set->n_slots == 0)
		return false;
	return set->slots[find(set->slots, set->n_slots, stored(hash))] != 0;
}
