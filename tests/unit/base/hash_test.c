#include "daemon/base/hash.h"

#include <string.h>

#include "tests/unit/unit.h"

static const uint64_t counting_key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
static const uint64_t zero_key[2] = {0, 0};

/* Made by an independent implementation in another language, which was itself checked against the
 * vector of the SipHash paper (as SipHash-2-4) and against CPython's hash of bytes. */
static void siphash_vectors(void)
{
	static const struct {
		const uint64_t *key;
		size_t len;
		uint64_t hash;
	} cases[] = {
	    {counting_key, 0, 0xabac0158050fc4dcULL},
	    {counting_key, 1, 0xc9f49bf37d57ca93ULL},
	    {counting_key, 7, 0xd3927d989bb11140ULL},
	    {counting_key, 8, 0x369095118d299a8eULL},
	    {counting_key, 9, 0x25a48eb36c063de4ULL},
	    {counting_key, 15, 0xd320d86d2a519956ULL},
	    {counting_key, 16, 0xcc4fdd1a7d908b66ULL},
	    {counting_key, 24, 0xf464aeb267349c8cULL},
	    {counting_key, 63, 0x9d199062b7bbb3a8ULL},
	    {zero_key, 1, 0x68a914128e01e473ULL},
	    {zero_key, 7, 0x2f098ab0c751325aULL},
	    {zero_key, 8, 0xead411e67ebe2eeaULL},
	    {zero_key, 24, 0x31185a47af932f3aULL},
	};
	uint8_t message[64];
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(hash_keyed(cases[i].key, message, cases[i].len), cases[i].hash);
	CU_ASSERT_EQUAL(hash_keyed(counting_key, NULL, 0), cases[0].hash);
}

/* As OpenSSL computes them: openssl mac -macopt hexkey:0001...0f -in FILE SIPHASH */
static void siphash128_vectors(void)
{
	static const struct {
		size_t len;
		const char *hash;
	} cases[] = {
	    {0, "a3817f04ba25a8e66df67214c7550293"},
	    {1, "da87c1d86b99af44347659119b22fc45"},
	    {8, "3b62a9ba6258f5610f83e264f31497b4"},
	    {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
	    {16, "6ee2a4ca67b054bbfd3315bf85230577"},
	    {64, "1eaf077dc0d4cd3f8cad4d383658a74b"},
	};
	uint8_t key[16], message[64], out[16];
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	memcpy(key, message, sizeof(key));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[33];
		hash_keyed128(key, message, cases[i].len, out);
		for (size_t b = 0; b < sizeof(out); b++)
			snprintf(text + 2 * b, 3, "%02x", out[b]);
		CU_ASSERT_STRING_EQUAL(text, cases[i].hash);
	}
}

static void the_key_matters(void)
{
	uint64_t key[2] = {1, 2}, other[2] = {1, 3};
	CU_ASSERT_NOT_EQUAL(hash_keyed(key, "abc", 3), hash_keyed(other, "abc", 3));
	other[1] = 2;
	CU_ASSERT_EQUAL(hash_keyed(key, "abc", 3), hash_keyed(other, "abc", 3));
	other[0] = 0;
	CU_ASSERT_NOT_EQUAL(hash_keyed(key, "abc", 3), hash_keyed(other, "abc", 3));
}

/* They name pools and targets on the wire between two versions: they must never change. */
static void identifiers_stay(void)
{
	CU_ASSERT_EQUAL(hash_id("web", 3), 0x8b8f9c357cbd25a9ULL);
	CU_ASSERT_EQUAL(hash_id("", 0), 0xefd01f60ba992926ULL);
	CU_ASSERT_EQUAL(hash_id2("web", "192.0.2.21:8080"), 0xbf7677069dc0d2b4ULL);
	CU_ASSERT_EQUAL(hash_id2("ab", "c"), hash_id("ab\0c", 4));
	CU_ASSERT_NOT_EQUAL(hash_id2("ab", "c"), hash_id2("a", "bc"));
	CU_ASSERT_NOT_EQUAL(hash_id2("", "a"), hash_id2("a", ""));
}

/* A bijection: no two of these fall together; and each input bit changes about half of the output.
 */
static void mixing(void)
{
	CU_ASSERT_EQUAL(hash_mix(0), 0);
	unsigned flips = 0;
	for (uint64_t i = 1; i <= 1000; i++) {
		for (int bit = 0; bit < 64; bit++) {
			uint64_t change = hash_mix(i) ^ hash_mix(i ^ 1ULL << bit);
			CU_ASSERT_TRUE_FATAL(change != 0);
			flips += (unsigned)__builtin_popcountll(change);
		}
	}
	CU_ASSERT_TRUE(flips > 64000 * 31 && flips < 64000 * 33);
}

/* Names that differ in a digit only must spread over all bits. */
static void identifiers_spread(void)
{
	unsigned buckets[16] = {0}, low[16] = {0};
	for (int i = 0; i < 16000; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "10.0.0.%d:80", i);
		uint64_t id = hash_id(name, (size_t)len);
		buckets[id >> 60]++;
		low[id & 15]++;
	}
	for (int i = 0; i < 16; i++) {
		CU_ASSERT_TRUE(buckets[i] > 850 && buckets[i] < 1150);
		CU_ASSERT_TRUE(low[i] > 850 && low[i] < 1150);
	}
}

UNIT_MAIN("base/hash", UNIT(siphash_vectors), UNIT(siphash128_vectors), UNIT(the_key_matters),
    UNIT(identifiers_stay), UNIT(mixing), UNIT(identifiers_spread))
