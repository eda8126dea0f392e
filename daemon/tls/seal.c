#include "daemon/tls/seal.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/base/text.h"
#include "daemon/tls/derive.h"

#define KEY_LEN   16
#define NONCE_LEN 12
#define TAG_LEN   16
#define RAW_MAX   (NONCE_LEN + SEAL_PLAIN_MAX + TAG_LEN)

_Static_assert((RAW_MAX * 4 + 2) / 3 == SEAL_TEXT_MAX, "the longest token fits exactly");

/* Both contexts keep the expanded key: a token costs the nonce and the data only. */
struct seal {
	EVP_CIPHER_CTX *encrypt, *decrypt;
};

struct seal *seal_new(const uint8_t master[SEAL_MASTER_LEN], const char *label)
{
	uint8_t key[KEY_LEN];
	struct seal *seal = calloc(1, sizeof(*seal));
	if (!seal || derive_key(master, label, key, sizeof(key)) < 0)
		goto failed;
	seal->encrypt = EVP_CIPHER_CTX_new();
	seal->decrypt = EVP_CIPHER_CTX_new();
	if (!seal->encrypt || !seal->decrypt)
		goto failed;
	if (EVP_EncryptInit_ex(seal->encrypt, EVP_aes_128_gcm(), NULL, key, NULL) != 1 ||
	    EVP_DecryptInit_ex(seal->decrypt, EVP_aes_128_gcm(), NULL, key, NULL) != 1)
		goto failed;
	text_wipe(key, sizeof(key));
	return seal;
failed:
	text_wipe(key, sizeof(key));
	seal_free(seal);
	return NULL;
}

void seal_free(struct seal *seal)
{
	if (!seal)
		return;
	EVP_CIPHER_CTX_free(seal->encrypt); /* wipes the key schedule */
	EVP_CIPHER_CTX_free(seal->decrypt);
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

long seal_decrypt(
    struct seal *seal, const char *text, size_t text_len, uint8_t plain[SEAL_PLAIN_MAX])
{
	uint8_t raw[RAW_MAX], out[SEAL_PLAIN_MAX];
	if (text_len > SEAL_TEXT_MAX)
		return -1;
	long raw_len = text_base64url_decode(text, text_len, raw, sizeof(raw));
	if (raw_len < NONCE_LEN + TAG_LEN)
		return -1;
	int len = (int)raw_len - NONCE_LEN - TAG_LEN, n = 0, rest = 0;
	uint8_t *cipher = raw + NONCE_LEN;
	if (EVP_DecryptInit_ex(seal->decrypt, NULL, NULL, NULL, raw) != 1 ||
	    EVP_CIPHER_CTX_ctrl(seal->decrypt, EVP_CTRL_GCM_SET_TAG, TAG_LEN, cipher + len) != 1 ||
	    EVP_DecryptUpdate(seal->decrypt, out, &n, cipher, len) != 1 ||
	    EVP_DecryptFinal_ex(seal->decrypt, out + n, &rest) != 1)
		return -1; /* nothing unauthenticated leaves this function */
	memcpy(plain, out, (size_t)len);
	return len;
}
