#include "proto/arena.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGN 16U

static void *on_alloc(void *arg, size_t size)
{
	return arena_alloc(arg, size);
}

static void on_free(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

int arena_init(struct arena *arena, size_t size)
{
	*arena = (struct arena){.base = malloc(size), .size = size};
	if (!arena->base)
		return -ENOMEM;
	arena->allocator = (ProtobufCAllocator){on_alloc, on_free, arena};
	return 0;
}

void arena_fini(struct arena *arena)
{
	free(arena->base);
	arena->base = NULL;
}

void arena_reset(struct arena *arena)
{
	arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	if (size > arena->size - arena->used)
		return NULL;
	void *p = arena->base + arena->used;
	size_t left = arena->size - arena->used;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	arena->used += size < left ? size : left;
	return p;
}
