#include "daemon/base/text.h"

#include <string.h>
#include <strings.h>

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

struct slice slice_trim(struct slice text)
{
	while (text.len > 0 && (text.p[0] == ' ' || text.p[0] == '\t'))
		text.p++, text.len--;
	while (text.len > 0 && (text.p[text.len - 1] == ' ' || text.p[text.len - 1] == '\t'))
		text.len--;
	return text;
}

char *text_copy(char *dst, size_t size, const char *src)
{
	size_t len = strnlen(src, size - 1);
	memcpy(dst, src, len);
	dst[len] = '\0';
	return dst;
}

/* Values of the digits, plus one: 0 is no digit. Both alphabets differ in the last two only. */
static const uint8_t digit_values[256] = {
    ['A'] = 1,
    ['B'] = 2,
    ['C'] = 3,
    ['D'] = 4,
    ['E'] = 5,
    ['F'] = 6,
    ['G'] = 7,
    ['H'] = 8,
    ['I'] = 9,
    ['J'] = 10,
    ['K'] = 11,
    ['L'] = 12,
    ['M'] = 13,
    ['N'] = 14,
    ['O'] = 15,
    ['P'] = 16,
    ['Q'] = 17,
    ['R'] = 18,
    ['S'] = 19,
    ['T'] = 20,
    ['U'] = 21,
    ['V'] = 22,
    ['W'] = 23,
    ['X'] = 24,
    ['Y'] = 25,
    ['Z'] = 26,
    ['a'] = 27,
    ['b'] = 28,
    ['c'] = 29,
    ['d'] = 30,
    ['e'] = 31,
    ['f'] = 32,
    ['g'] = 33,
    ['h'] = 34,
    ['i'] = 35,
    ['j'] = 36,
    ['k'] = 37,
    ['l'] = 38,
    ['m'] = 39,
    ['n'] = 40,
    ['o'] = 41,
    ['p'] = 42,
    ['q'] = 43,
    ['r'] = 44,
    ['s'] = 45,
    ['t'] = 46,
    ['u'] = 47,
    ['v'] = 48,
    ['w'] = 49,
    ['x'] = 50,
    ['y'] = 51,
    ['z'] = 52,
    ['0'] = 53,
    ['1'] = 54,
    ['2'] = 55,
    ['3'] = 56,
    ['4'] = 57,
    ['5'] = 58,
    ['6'] = 59,
    ['7'] = 60,
    ['8'] = 61,
    ['9'] = 62,
};

static int digit_value(const char *alphabet, char c)
{
	if (c == alphabet[62])
		return 62;
	if (c == alphabet[63])
		return 63;
	return digit_values[(unsigned char)c] - 1;
}

static long decode(const char *alphabet, const char *text, size_t len, uint8_t *out, size_t size)
{
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0;
	if (len % 4 == 1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		int value = digit_value(alphabet, text[i]);
		if (value < 0)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n == size)
			return -1;
		out[n++] = (uint8_t)(bits >> have);
	}
	/* The unused bits of the last digit must be zero, so that each value has one text. */
	if (bits & ((1U << have) - 1))
		return -1;
	return (long)n;
}

long text_base64_decode(const char *text, size_t len, uint8_t *out, size_t size)
{
	if (len % 4 != 0)
		return -1;
	for (int pad = 0; pad < 2 && len > 0 && text[len - 1] == '='; pad++)
		len--;
	return decode(alphabet_std, text, len, out, size);
}

long text_base64url_decode(const char *text, size_t len, uint8_t *out, size_t size)
{
	return decode(alphabet_url, text, len, out, size);
}

size_t text_base64url_encode(const uint8_t *data, size_t len, char *out)
{
	size_t n = 0;
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 8 | data[i];
		for (have += 8; have >= 6; have -= 6)
			out[n++] = alphabet_url[bits >> (have - 6) & 63];
	}
	if (have > 0)
		out[n++] = alphabet_url[bits << (6 - have) & 63];
	return n;
}

void text_wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
