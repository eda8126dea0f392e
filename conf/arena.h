/* Memory that is given back all at once: whatever a configuration (or a scan of its text) allocates
 * lives in one arena. Not shared between threads while it grows. */
#pragma once

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t used, size; /* of the newest block */
	char *base;
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);

/* Zeroed and aligned for any type. NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t size);
/* `n` elements of `size` bytes; refuses an overflow. */
void *arena_array(struct arena *arena, size_t n, size_t size);
/* A NUL-terminated copy. */
char *arena_copy(struct arena *arena, const char *text, size_t len);
