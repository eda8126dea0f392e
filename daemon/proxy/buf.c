#include "daemon/proxy/buf.h"

#include <stdlib.h>
#include <string.h>

#define BUF_FIRST 2048U
#define BUF_MAX   (1U << 30)

bool buf_reserve(struct buf *buf, size_t n)
{
	if (buf->cap - buf->end >= n)
		return true;
	if (n > BUF_MAX - buf->end)
		return false;
	uint32_t cap = buf->cap ? buf->cap : BUF_FIRST;
	while (cap < buf->end + n)
		cap *= 2;
	char *data = realloc(buf->data, cap);
	if (!data)
		return false;
	buf->data = data;
	buf->cap = cap;
	return true;
}

bool buf_append(struct buf *buf, const void *data, size_t n)
{
	if (n == 0)
		return true;
	if (!buf_reserve(buf, n))
		return false;
	memcpy(buf->data + buf->end, data, n);
	buf->end += (uint32_t)n;
	return true;
}

void buf_compact(struct buf *buf)
{
	if (buf->start == 0)
		return;
	memmove(buf->data, buf->data + buf->start, buf_len(buf));
	buf->end -= buf->start;
	buf->start = 0;
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}
