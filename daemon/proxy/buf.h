/* A byte queue for what could not be parsed or sent yet. Bytes before `start` were taken; they stay
 * in memory until buf_compact or buf_reset, so that a request can be sent again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data;
	uint32_t cap, start, end;
	uint32_t scanned; /* of the unread part, by h1_head_complete */
};

static inline size_t buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}

static inline char *buf_head(const struct buf *buf)
{
	return buf->data + buf->start;
}

static inline void buf_reset(struct buf *buf)
{
	buf->start = buf->end = buf->scanned = 0;
}

/* Makes room for `n` bytes at data + end. False when out of memory or over 1 GiB. */
bool buf_reserve(struct buf *buf, size_t n);
bool buf_append(struct buf *buf, const void *data, size_t n);
/* Moves the unread part to the front. */
void buf_compact(struct buf *buf);
void buf_free(struct buf *buf);
