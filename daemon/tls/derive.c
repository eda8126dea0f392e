#include "daemon/tls/derive.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <string.h>

/* No two versions of yoke that derive keys differently may understand each other. */
static const char salt[] = "yoke key derivation 1";

int derive_key(const uint8_t master[KEY_LEN], const char *label, uint8_t *out, size_t len)
{
	int result = -EIO;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (void *)"SHA256", 6),
	    OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)master, KEY_LEN),
	    OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, sizeof(salt) - 1),
	    OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)label, strlen(label)),
	    OSSL_PARAM_END,
	};
	if (ctx && EVP_KDF_derive(ctx, out, len, params) == 1)
		result = 0;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return result;
}

int derive_name(const uint8_t master[KEY_LEN], char name[DERIVE_NAME_SIZE])
{
	uint8_t id[4];
	if (derive_key(master, "yoke key name", id, sizeof(id)) < 0)
		return -EIO;
	snprintf(name, DERIVE_NAME_SIZE, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
	return 0;
}
