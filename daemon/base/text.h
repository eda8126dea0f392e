/* Small text helpers that the C library lacks. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes that belongs to somebody else; not NUL-terminated. */
struct slice {
	const char *p;
	size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

bool slice_equal(struct slice a, struct slice b);
bool slice_equal_nocase(struct slice a, struct slice b); /* ASCII */
struct slice slice_trim(struct slice text);              /* without blanks and tabs around it */

/* The value of a hexadecimal digit, or -1. */
static inline int text_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Copies with truncation, always terminates; returns dst. `size` is at least 1. */
char *text_copy(char *dst, size_t size, const char *src);

/* Standard base64 with padding (RFC 4648 section 4). Returns the number of bytes, or -1 if the text
 * is malformed or does not fit. */
long text_base64_decode(const char *text, size_t len, uint8_t *out, size_t size);
/* URL-safe base64 without padding (section 5). `out` needs (len * 4 + 2) / 3 bytes; no NUL is
 * added. Returns the length. */
size_t text_base64url_encode(const uint8_t *data, size_t len, char *out);
long text_base64url_decode(const char *text, size_t len, uint8_t *out, size_t size);

/* Overwrites secrets in a way the compiler keeps. */
void text_wipe(void *p, size_t len);
