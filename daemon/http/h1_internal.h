/* Shared by the HTTP/1 sources only: character classes, scanning, and the step from fields to
 * meaning. */
#pragma once

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "daemon/http/h1.h"

enum {
	H1_C_TOKEN = 1,  /* RFC 9110 section 5.6.2 */
	H1_C_TARGET = 2, /* printable ASCII without space and '#' */
	H1_C_VALUE = 4,  /* VCHAR, SP, HTAB, obs-text */
	H1_C_DIGIT = 8,
	H1_C_HOST = 16, /* RFC 3986 unreserved: all that a host name needs */
};

extern const uint8_t h1_class[256];

static inline bool h1_is(char c, unsigned class)
{
	return h1_class[(unsigned char)c] & class;
}

static inline uint32_t h1_differ4(const char *p, const char *lower)
{
	uint32_t a, b;
	memcpy(&a, p, 4);
	memcpy(&b, lower, 4);
	return (a | 0x20202020U) ^ b;
}

static inline uint64_t h1_differ8(const char *p, const char *lower)
{
	uint64_t a, b;
	memcpy(&a, p, 8);
	memcpy(&b, lower, 8);
	return (a | 0x2020202020202020ULL) ^ b;
}

static inline bool h1_is_alnum(char c)
{
	return h1_is(c, H1_C_DIGIT) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Names and options are tokens: for these, setting bit 5 folds case and makes nothing else equal to
 * a lower-case letter, a digit or '-'. `len` (up to 24) and `lower` are constants, so this becomes a
 * few word compares. */
static inline bool h1_token_is(const char *p, const char *lower, size_t len)
{
	if (len < 4) {
		unsigned differ = 0;
		for (size_t i = 0; i < len; i++)
			differ |= (unsigned)((p[i] | 0x20) ^ lower[i]);
		return differ == 0;
	}
	if (len < 8)
		return (h1_differ4(p, lower) | h1_differ4(p + len - 4, lower + len - 4)) == 0;
	uint64_t differ = h1_differ8(p, lower) | h1_differ8(p + len - 8, lower + len - 8);
	if (len > 16)
		differ |= h1_differ8(p + 8, lower + 8);
	return differ == 0;
}

#define H1_SLICE_IS(slice, literal) \
	((slice).len == sizeof(literal) - 1 && h1_token_is((slice).p, literal, sizeof(literal) - 1))

/* Each scan returns the first byte that is not of the class, or `end`. */
static inline const char *h1_scan(const char *p, const char *end, unsigned class)
{
	while (p < end && h1_is(*p, class))
		p++;
	return p;
}

/* Names are letters and '-' nearly always. */
static inline const char *h1_scan_name(const char *p, const char *end)
{
#ifdef __SSE2__
	if (end - p >= 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i letter =
		    _mm_sub_epi8(_mm_or_si128(x, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
		__m128i good = _mm_or_si128(
		    _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8('z' - 'a')), letter),
		    _mm_cmpeq_epi8(x, _mm_set1_epi8('-')));
		int mask = _mm_movemask_epi8(good) ^ 0xffff;
		p += mask ? __builtin_ctz((unsigned)mask) : 16;
	}
#endif
	return h1_scan(p, end, H1_C_TOKEN);
}

static inline const char *h1_scan_value(const char *p, const char *end)
{
#ifdef __SSE2__
	const __m128i last_ctl = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f);
	const __m128i tab = _mm_set1_epi8('\t');
	for (; end - p >= 16; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i bad = _mm_or_si128(
		    _mm_cmpeq_epi8(_mm_min_epu8(x, last_ctl), x), _mm_cmpeq_epi8(x, del));
		int mask = _mm_movemask_epi8(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), bad));
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
	}
#endif
	return h1_scan(p, end, H1_C_VALUE);
}

static inline const char *h1_scan_target(const char *p, const char *end)
{
#ifdef __SSE2__
	/* Signed compare: bytes >= 0x80 are negative, hence refused with the controls and SP. */
	const __m128i space = _mm_set1_epi8(' '), del = _mm_set1_epi8(0x7f);
	const __m128i hash = _mm_set1_epi8('#');
	for (; end - p >= 16; p += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i bad = _mm_or_si128(_mm_cmpeq_epi8(x, del), _mm_cmpeq_epi8(x, hash));
		__m128i good = _mm_andnot_si128(bad, _mm_cmpgt_epi8(x, space));
		int mask = _mm_movemask_epi8(good) ^ 0xffff;
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
	}
#endif
	return h1_scan(p, end, H1_C_TARGET);
}

/* How often each known field was seen, and where first. */
struct h1_seen {
	uint8_t count[H1_FIELD_COUNT];
	uint8_t first[H1_FIELD_COUNT];
};

/* Splits the target into host and path, once the request line is known. */
enum h1_result h1_resolve_target(struct h1_head *head);
/* Checks what the fields mean together and fills in the rest of the head. */
enum h1_result h1_finish_request(struct h1_head *head, const struct h1_seen *seen);
enum h1_result h1_finish_response(
    struct h1_head *head, const struct h1_seen *seen, enum h1_method to_method);
