#include "conf/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384

struct arena_block {
	struct arena_block *next;
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *arena)
{
	memset(arena, 0, sizeof(*arena));
}

void arena_fini(struct arena *arena)
{
	struct arena_block *next;
	for (struct arena_block *block = arena->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	arena_init(arena);
}

/* Large pieces get a block of their own, so that the rest of the current one is not lost. */
static void *alloc_alone(struct arena *arena, size_t size)
{
	struct arena_block *block = calloc(1, sizeof(*block) + size);
	if (!block)
		return NULL;
	if (!arena->blocks) {
		arena->blocks = block;
		return block->data;
	}
	block->next = arena->blocks->next;
	arena->blocks->next = block;
	return block->data;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	size_t align = alignof(max_align_t);
	if (size > PTRDIFF_MAX / 2)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size > BLOCK_SIZE / 4)
		return alloc_alone(arena, size);
	if (!arena->base || size > arena->size - arena->used) {
		struct arena_block *block = calloc(1, sizeof(*block) + BLOCK_SIZE);
		if (!block)
			return NULL;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->base = block->data;
		arena->used = 0;
		arena->size = BLOCK_SIZE;
	}
	void *p = arena->base + arena->used;
	arena->used += size;
	return p;
}

void *arena_array(struct arena *arena, size_t n, size_t size)
{
	if (size != 0 && n > SIZE_MAX / size)
		return NULL;
	return arena_alloc(arena, n * size);
}

char *arena_copy(struct arena *arena, const char *text, size_t len)
{
	if (len == SIZE_MAX)
		return NULL;
	char *copy = arena_alloc(arena, len + 1);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}
