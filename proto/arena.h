/* A bump allocator of fixed size, for protobuf-c: everything of one frame is freed at once. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct frame_arena {
	uint8_t *base;
	size_t size, used;
	ProtobufCAllocator allocator; /* refuses when the arena is full; frees nothing */
};

int frame_arena_init(struct frame_arena *arena, size_t size); /* 0 or -ENOMEM */
void frame_arena_fini(struct frame_arena *arena);
void frame_arena_reset(struct frame_arena *arena);
void *frame_arena_alloc(
    struct frame_arena *arena, size_t size); /* 16-byte aligned; NULL when full */
