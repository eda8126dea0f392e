#include "daemon/tls/seal.h"

#include <string.h>

#include "daemon/base/text.h"
#include "daemon/tls/derive.h"
#include "tests/unit/unit.h"

static const struct keys master = {1, {"0123456789abcdef0123456789abcde"}};
static const struct keys other = {1, {"0123456789abcdef0123456789abcdE"}};

static bool stale;

static void every_length_comes_back(void)
{
	struct seal *a = seal_new(&master, "cookie"), *b = seal_new(&master, "cookie");
	uint8_t plain[SEAL_PLAIN_MAX], out[SEAL_PLAIN_MAX];
	char text[SEAL_TEXT_MAX];
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= sizeof(plain); len++) {
		size_t text_len = seal_encrypt(a, plain, len, text);
		CU_ASSERT_EQUAL(text_len, ((len + 28) * 4 + 2) / 3);
		for (size_t i = 0; i < text_len; i++)
			CU_ASSERT(text[i] == '-' || text[i] == '_' || (text[i] | 32) >= 'a' ||
				  (text[i] >= '0' && text[i] <= '9'));
		CU_ASSERT_EQUAL(seal_decrypt(b, text, text_len, out, &stale), (long)len);
		CU_ASSERT(memcmp(plain, out, len) == 0);
	}
	CU_ASSERT_EQUAL(seal_encrypt(a, plain, SEAL_PLAIN_MAX + 1, text), 0);
	seal_free(a);
	seal_free(b);
}

static void tampering_is_noticed(void)
{
	struct seal *seal = seal_new(&master, "cookie");
	char text[SEAL_TEXT_MAX], bad[SEAL_TEXT_MAX + 1];
	uint8_t out[SEAL_PLAIN_MAX], untouched[SEAL_PLAIN_MAX];
	memset(out, 0xa5, sizeof(out));
	memset(untouched, 0xa5, sizeof(untouched));
	size_t len = seal_encrypt(seal, (const uint8_t *)"twenty bytes of text", 20, text);
	for (size_t at = 0; at < len; at++) {
		for (int c = 0; c < 256; c++) {
			memcpy(bad, text, len);
			bad[at] = (char)c;
			if (bad[at] != text[at])
				CU_ASSERT_EQUAL(seal_decrypt(seal, bad, len, out, &stale), -1);
		}
	}
	for (size_t cut = 0; cut < len; cut++)
		CU_ASSERT_EQUAL(seal_decrypt(seal, text, cut, out, &stale), -1);
	memset(bad, 'A', sizeof(bad));
	memcpy(bad, text, len);
	for (size_t longer = len + 1; longer <= sizeof(bad); longer++)
		CU_ASSERT_EQUAL(seal_decrypt(seal, bad, longer, out, &stale), -1);
	CU_ASSERT(memcmp(out, untouched, sizeof(out)) == 0);
	CU_ASSERT_EQUAL(seal_decrypt(seal, text, len, out, &stale), 20); /* and still works */
	seal_free(seal);
}

static void keys_and_labels_are_apart(void)
{
	struct seal *seal = seal_new(&master, "cookie");
	struct seal *label = seal_new(&master, "cookies"), *key = seal_new(&other, "cookie");
	char text[SEAL_TEXT_MAX];
	uint8_t out[SEAL_PLAIN_MAX];
	size_t len = seal_encrypt(seal, (const uint8_t *)"x", 1, text);
	CU_ASSERT_EQUAL(seal_decrypt(label, text, len, out, &stale), -1);
	CU_ASSERT_EQUAL(seal_decrypt(key, text, len, out, &stale), -1);
	CU_ASSERT_EQUAL(seal_decrypt(seal, text, len, out, &stale), 1);
	seal_free(seal);
	seal_free(label);
	seal_free(key);
}

/* Each step of a change of keys: a token of any node that may be one step ahead or behind is read,
 * and who reads it knows whether to make it anew. */
static void keys_change_without_a_gap(void)
{
	static const struct keys steps[] = {
	    {1, {"old"}}, {2, {"old", "new"}}, {2, {"new", "old"}}, {1, {"new"}}};
	enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
	for (int maker = 0; maker < STEPS; maker++) {
		for (int reader = 0; reader < STEPS; reader++) {
			struct seal *a = seal_new(&steps[maker], "cookie");
			struct seal *b = seal_new(&steps[reader], "cookie");
			char text[SEAL_TEXT_MAX];
			uint8_t out[SEAL_PLAIN_MAX] = "";
			size_t len = seal_encrypt(a, (const uint8_t *)"x", 1, text);
			bool apart = (maker < 2 && reader == 3) || (maker >= 2 && reader == 0);
			stale = !apart;
			CU_ASSERT_EQUAL(seal_decrypt(b, text, len, out, &stale), apart ? -1 : 1);
			CU_ASSERT_EQUAL(out[0], apart ? 0 : 'x');
			if (!apart)
				CU_ASSERT_EQUAL(stale, (maker < 2) != (reader < 2));
			seal_free(a);
			seal_free(b);
		}
	}
}

static void no_two_tokens_are_alike(void)
{
	struct seal *seal = seal_new(&master, "cookie");
	char a[SEAL_TEXT_MAX], b[SEAL_TEXT_MAX];
	size_t len = seal_encrypt(seal, (const uint8_t *)"same", 4, a);
	CU_ASSERT_EQUAL(seal_encrypt(seal, (const uint8_t *)"same", 4, b), len);
	CU_ASSERT(memcmp(a, b, 16) != 0); /* the nonce */
	CU_ASSERT(memcmp(a + 16, b + 16, len - 16) != 0);
	seal_free(seal);
}

static void from_hex(const char *hex, uint8_t *out)
{
	for (size_t i = 0; hex[2 * i]; i++) {
		unsigned byte;
		sscanf(hex + 2 * i, "%2x", &byte);
		out[i] = (uint8_t)byte;
	}
}

/* Computed by Python: HKDF-SHA256 with hmac and hashlib, AES-128-GCM with the package cryptography
 * (nonce 00 01 .. 0b). A node of tomorrow must read today's cookies. */
static void derivation_and_format_are_fixed(void)
{
	char name[DERIVE_NAME_SIZE], other_name[DERIVE_NAME_SIZE];
	CU_ASSERT_EQUAL(derive_name(master.of[0], name), 0);
	CU_ASSERT_EQUAL(derive_name(other.of[0], other_name), 0);
	CU_ASSERT_EQUAL(strlen(name), 8);
	CU_ASSERT_STRING_NOT_EQUAL(name, other_name);
	uint8_t key[16], want[16], out[SEAL_PLAIN_MAX];
	from_hex("b9ab18a31d4e64940033f10416e83309", want);
	CU_ASSERT_EQUAL(derive_key(master.of[0], "cookie", key, sizeof(key)), 0);
	CU_ASSERT(memcmp(key, want, sizeof(key)) == 0);
	struct seal *seal = seal_new(&master, "cookie");
	static const char token[] = "AAECAwQFBgcICQoL6E4F6Ec7X5lRQzj1gJqnib70CJq6";
	CU_ASSERT_EQUAL(seal_decrypt(seal, token, sizeof(token) - 1, out, &stale), 5);
	CU_ASSERT(memcmp(out, "hello", 5) == 0);
	seal_free(seal);
}

UNIT_MAIN("tls/seal", UNIT(every_length_comes_back), UNIT(tampering_is_noticed),
    UNIT(keys_and_labels_are_apart), UNIT(keys_change_without_a_gap), UNIT(no_two_tokens_are_alike),
    UNIT(derivation_and_format_are_fixed))
