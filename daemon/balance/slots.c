#include "daemon/balance/slots.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64U

/* Process-wide, not per fleet: workers index their arrays by slot, and old fleets live on for a
 * while beside new ones. */
static struct {
	pthread_mutex_t lock;
	uint64_t *words; /* one bit a slot: taken */
	uint32_t n_words;
	uint32_t n_taken;
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool grow(void)
{
	uint32_t n = slots.n_words ? slots.n_words * 2 : 4;
	uint64_t *words = realloc(slots.words, n * sizeof(*words));
	if (!words)
		return false;
	memset(words + slots.n_words, 0, (n - slots.n_words) * sizeof(*words));
	slots.words = words;
	slots.n_words = n;
	return true;
}

uint32_t slot_take(void)
{
	uint32_t slot = SLOT_NONE;
	pthread_mutex_lock(&slots.lock);
	uint32_t i = 0;
	while (i < slots.n_words && slots.words[i] == UINT64_MAX)
		i++;
	if (i < slots.n_words || grow()) {
		unsigned bit = (unsigned)__builtin_ctzll(~slots.words[i]);
		slots.words[i] |= 1ULL << bit;
		slots.n_taken++;
		slot = i * WORD_BITS + bit;
	}
	pthread_mutex_unlock(&slots.lock);
	return slot;
}

void slot_give_back(uint32_t slot)
{
	pthread_mutex_lock(&slots.lock);
	uint64_t bit = 1ULL << slot % WORD_BITS;
	assert(slot / WORD_BITS < slots.n_words && (slots.words[slot / WORD_BITS] & bit));
	slots.words[slot / WORD_BITS] &= ~bit;
	if (--slots.n_taken == 0) {
		free(slots.words);
		slots.words = NULL;
		slots.n_words = 0;
	}
	pthread_mutex_unlock(&slots.lock);
}
