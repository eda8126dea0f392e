#include "daemon/tls/seal.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/base/text.h"
#include "daemon/tls/derive.h"

#define CIPHER_KEY_LEN 16
#define NONCE_LEN      12
#define TAG_LEN        16
#define RAW_MAX        (NONCE_LEN + SEAL_PLAIN_MAX + TAG_LEN)

_Static_assert((RAW_MAX * 4 + 2) / 3 == SEAL_TEXT_MAX, "the longest token fits exactly");

/* The contexts keep the expanded keys: a token costs the nonce and the data only. */
struct seal {
	unsigned users;
	unsigned n_keys;
	EVP_CIPHER_CTX *encrypt; /* with the first key */
	EVP_CIPHER_CTX *decrypt[KEYS_MAX];
};

static bool set_key(struct seal *seal, unsigned i, const uint8_t key[CIPHER_KEY_LEN])
{
	seal->decrypt[i] = EVP_CIPHER_CTX_new();
	if (!seal->decrypt[i] ||
	    EVP_DecryptInit_ex(seal->decrypt[i], EVP_aes_128_gcm(), NULL, key, NULL) != 1)
		return false;
	if (i > 0)
		return true;
	seal->encrypt = EVP_CIPHER_CTX_new();
	return seal->encrypt &&
	       EVP_EncryptInit_ex(seal->encrypt, EVP_aes_128_gcm(), NULL, key, NULL) == 1;
}

struct seal *seal_new(const struct keys *keys, const char *label)
{
	assert(keys->n > 0 && keys->n <= KEYS_MAX);
	uint8_t key[CIPHER_KEY_LEN];
	struct seal *seal = calloc(1, sizeof(*seal));
	bool good = seal != NULL;
	for (unsigned i = 0; good && i < keys->n; i++) {
		good =
		    derive_key(keys->of[i], label, key, sizeof(key)) == 0 && set_key(seal, i, key);
		seal->n_keys++;
	}
	text_wipe(key, sizeof(key));
	if (seal)
		seal->users = 1;
	if (good)
		return seal;
	seal_free(seal);
	return NULL;
}

struct seal *seal_share(struct seal *seal)
{
	seal->users++;
	return seal;
}

void seal_free(struct seal *seal)
{
	if (!seal || --seal->users > 0)
		return;
	EVP_CIPHER_CTX_free(seal->encrypt); /* wipes the key schedule */
	for (unsigned i = 0; i < KEYS_MAX; i++)
		EVP_CIPHER_CTX_free(seal->decrypt[i]);
	free(seal);
}

size_t seal_encrypt(struct seal *seal, const uint8_t *plain, size_t len, char text[SEAL_TEXT_MAX])
{
	uint8_t raw[RAW_MAX];
	uint8_t *cipher = raw + NONCE_LEN;
	int n = 0, rest = 0;
	if (len > SEAL_PLAIN_MAX || getrandom(raw, NONCE_LEN, 0) != NONCE_LEN)
		return 0;
	if (EVP_EncryptInit_ex(seal->encrypt, NULL, NULL, NULL, raw) != 1 ||
	    EVP_EncryptUpdate(seal->encrypt, cipher, &n, plain, (int)len) != 1 ||
	    EVP_EncryptFinal_ex(seal->encrypt, cipher + n, &rest) != 1 ||
	    EVP_CIPHER_CTX_ctrl(seal->encrypt, EVP_CTRL_GCM_GET_TAG, TAG_LEN, cipher + len) != 1)
		return 0;
	return text_base64url_encode(raw, NONCE_LEN + len + TAG_LEN, text);
}

static bool open_with(EVP_CIPHER_CTX *ctx, uint8_t *raw, int len, uint8_t out[SEAL_PLAIN_MAX])
{
	int n = 0, rest = 0;
	uint8_t *cipher = raw + NONCE_LEN;
	return EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, raw) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, cipher + len) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, cipher, len) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + n, &rest) == 1;
}

long seal_decrypt(struct seal *seal, const char *text, size_t text_len,
    uint8_t plain[SEAL_PLAIN_MAX], bool *stale)
{
	uint8_t raw[RAW_MAX], out[SEAL_PLAIN_MAX];
	if (text_len > SEAL_TEXT_MAX)
		return -1;
	long raw_len = text_base64url_decode(text, text_len, raw, sizeof(raw));
	if (raw_len < NONCE_LEN + TAG_LEN)
		return -1;
	int len = (int)raw_len - NONCE_LEN - TAG_LEN;
	for (unsigned i = 0; i < seal->n_keys; i++) {
		/* Nothing unauthenticated leaves this function. */
		if (!open_with(seal->decrypt[i], raw, len, out))
			continue;
		memcpy(plain, out, (size_t)len);
		*stale = i > 0;
		return len;
	}
	return -1;
}
