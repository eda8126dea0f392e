/* A bump allocator of fixed size, for protobuf-c: everything of one frame is freed at once. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
	uint8_t *base;
	size_t size, used;
	ProtobufCAllocator allocator; /* refuses when the arena is full; frees nothing */
};

int arena_init(struct arena *arena, size_t size); /* 0 or -ENOMEM */
void arena_fini(struct arena *arena);
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size); /* 16-byte aligned; NULL when full */
