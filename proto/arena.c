#include "proto/arena.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGN 16U

static void *on_alloc(void *arg, size_t size)
{
	return frame_arena_alloc(arg, size);
}

static void on_free(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

int frame_arena_init(struct frame_arena *arena, size_t size)
{
	*arena = (struct frame_arena){.base = malloc(size), .size = size};
	if (!arena->base)
		return -ENOMEM;
	arena->allocator = (ProtobufCAllocator){on_alloc, on_free, arena};
	return 0;
}

void frame_arena_fini(struct frame_arena *arena)
{
	free(arena->base);
	arena->base = NULL;
}

void frame_arena_reset(struct frame_arena *arena)
{
	arena->used = 0;
}

void *frame_arena_alloc(struct frame_arena *arena, size_t size)
{
	if (size > arena->size - arena->used)
		return NULL;
	void *p = arena->base + arena->used;
	size_t left = arena->size - arena->used;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	arena->used += size < left ? size : left;
	return p;
}
