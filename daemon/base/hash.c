#include "daemon/base/hash.h"

#include <endian.h>
#include <string.h>

/* FNV-1a, then a finaliser, because FNV's high bits are weak for short keys. */
#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

static uint64_t fnv(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;
	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * FNV_PRIME;
	return h;
}

uint64_t hash_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

uint64_t hash_id(const void *data, size_t len)
{
	return hash_mix(fnv(FNV_OFFSET, data, len));
}

uint64_t hash_id2(const char *a, const char *b)
{
	uint64_t h = fnv(FNV_OFFSET, a, strlen(a) + 1);
	return hash_mix(fnv(h, b, strlen(b)));
}

static uint64_t rotl(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static struct sip sip_begin(const uint64_t key[2])
{
	return (struct sip){
	    .v0 = key[0] ^ 0x736f6d6570736575ULL,
	    .v1 = key[1] ^ 0x646f72616e646f6dULL,
	    .v2 = key[0] ^ 0x6c7967656e657261ULL,
	    .v3 = key[1] ^ 0x7465646279746573ULL,
	};
}

static inline void sip_rounds(struct sip *s, unsigned n)
{
	while (n-- > 0)
		sip_round(s);
}

static inline void sip_word(struct sip *s, uint64_t word, unsigned rounds)
{
	s->v3 ^= word;
	sip_rounds(s, rounds);
	s->v0 ^= word;
}

/* Words are little-endian, so that hosts of either byte order agree. */
static inline void sip_data(struct sip *s, const void *data, size_t len, unsigned rounds)
{
	const uint8_t *p = data;
	size_t left = len;
	uint64_t word;
	for (; left >= 8; p += 8, left -= 8) {
		memcpy(&word, p, 8);
		sip_word(s, le64toh(word), rounds);
	}
	word = 0;
	if (left > 0)
		memcpy(&word, p, left);
	sip_word(s, le64toh(word) | (uint64_t)len << 56, rounds);
}

static uint64_t sip_sum(const struct sip *s)
{
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* SipHash-1-3 (Aumasson, Bernstein 2012): one compression round a word, three at the end. */
uint64_t hash_keyed(const uint64_t key[2], const void *data, size_t len)
{
	struct sip s = sip_begin(key);
	sip_data(&s, data, len, 1);
	s.v2 ^= 0xff;
	sip_rounds(&s, 3);
	return sip_sum(&s);
}

void hash_keyed128(const uint8_t key[16], const void *data, size_t len, uint8_t out[16])
{
	uint64_t words[2];
	memcpy(words, key, sizeof(words));
	struct sip s = sip_begin((uint64_t[2]){le64toh(words[0]), le64toh(words[1])});
	s.v1 ^= 0xee;
	sip_data(&s, data, len, 2);
	s.v2 ^= 0xee;
	sip_rounds(&s, 4);
	words[0] = htole64(sip_sum(&s));
	s.v1 ^= 0xdd;
	sip_rounds(&s, 4);
	words[1] = htole64(sip_sum(&s));
	memcpy(out, words, sizeof(words));
}
