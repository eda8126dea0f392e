/* The key file: what is accepted, and that others must not read it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/unit/unit.h"

/* The bytes 0 to 31. */
#define GOOD "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static char path[] = "/tmp/yoke-key-XXXXXX";

static void write_key(const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fputs(text, file);
	fclose(file);
	CU_ASSERT_EQUAL(chmod(path, mode), 0);
}

static void reads_a_key(void)
{
	static const char *const texts[] = {GOOD, GOOD "\n", GOOD " \r\n\n"};
	static const mode_t modes[] = {0600, 0400, 0700};
	struct err err = {0};
	for (size_t i = 0; i < 3; i++) {
		uint8_t key[CONF_KEY_LEN] = {0};
		write_key(texts[i], modes[i]);
		CU_ASSERT_EQUAL(conf_key_load(path, key, &err), 0);
		for (uint8_t j = 0; j < CONF_KEY_LEN; j++)
			CU_ASSERT_EQUAL(key[j], j);
	}
}

static void refuses_what_is_no_key(void)
{
	static const char *const texts[] = {"", "\n", "AAECAwQFBgcICQoLDA0ODw==", GOOD GOOD,
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
	    "#AECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
	    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJA=="};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		uint8_t key[CONF_KEY_LEN] = {7};
		struct err err = {0};
		write_key(texts[i], 0600);
		CU_ASSERT_EQUAL(conf_key_load(path, key, &err), -EINVAL);
		CU_ASSERT_EQUAL(key[0], 7);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "head -c 32 /dev/urandom | base64"));
		/* The secret, even a broken one, is not in the message. */
		CU_ASSERT_PTR_NULL(strstr(err.text, "AAECAw"));
	}
}

static void refuses_what_others_can_read(void)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0620, 0601};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		uint8_t key[CONF_KEY_LEN];
		struct err err = {0};
		write_key(GOOD, modes[i]);
		CU_ASSERT_EQUAL(conf_key_load(path, key, &err), -EPERM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "chmod 600"));
	}
}

static void refuses_what_is_not_there_or_no_file(void)
{
	uint8_t key[CONF_KEY_LEN];
	struct err err = {0};
	CU_ASSERT_EQUAL(conf_key_load("/nonexistent/key", key, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "head -c 32 /dev/urandom | base64"));
	CU_ASSERT_EQUAL(conf_key_load("/dev/null", key, &err), -EINVAL);
}

static void refuses_a_file_of_somebody_else(void)
{
	uint8_t key[CONF_KEY_LEN];
	struct err err = {0};
	if (geteuid() != 0) {
		printf("not root, skipped ... ");
		return;
	}
	write_key(GOOD, 0600);
	CU_ASSERT_EQUAL(chown(path, 12345, 12345), 0);
	CU_ASSERT_EQUAL(conf_key_load(path, key, &err), -EPERM);
	CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
}

static const struct unit_case cases[] = {UNIT(reads_a_key), UNIT(refuses_what_is_no_key),
    UNIT(refuses_what_others_can_read), UNIT(refuses_what_is_not_there_or_no_file),
    UNIT(refuses_a_file_of_somebody_else)};

int main(void)
{
	int fd = mkstemp(path);
	if (fd < 0)
		return 2;
	close(fd);
	int result = unit_run("conf/key", cases, sizeof(cases) / sizeof(cases[0]));
	unlink(path);
	return result;
}
