/* The key file: what is accepted, what is said about the rest, and that others must not read it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "tests/unit/scratch.h"
#include "tests/unit/unit.h"

/* The bytes 0 to 31. */
#define GOOD  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define OTHER "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
#define THIRD "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="

static char path[SCRATCH_MAX + 8];

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
	static const char *const texts[] = {GOOD, GOOD "\n", GOOD " \r\n\n", "\t" GOOD,
	    "# the first one\n\n" GOOD "\n  # its end\n"};
	static const mode_t modes[] = {0600, 0400, 0700};
	struct err err = {0};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct keys keys = {0};
		write_key(texts[i], modes[i % 3]);
		CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), 0);
		CU_ASSERT_EQUAL(keys.n, 1);
		for (uint8_t j = 0; j < KEY_LEN; j++)
			CU_ASSERT_EQUAL(keys.of[0][j], j);
	}
}

static void reads_two_in_their_order(void)
{
	static const char *const texts[] = {
	    GOOD "\n" OTHER, "# new\r\n" GOOD "\r\n# old\r\n" OTHER "\r\n"};
	struct err err = {0};
	for (size_t i = 0; i < 2; i++) {
		struct keys keys = {0};
		write_key(texts[i], 0600);
		CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), 0);
		CU_ASSERT_EQUAL(keys.n, 2);
		CU_ASSERT_EQUAL(keys.of[0][31], 31);
		CU_ASSERT_EQUAL(keys.of[1][31], 0xe0);
	}
}

static void says_what_is_wrong_and_where(void)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *said;
	} cases[] = {
	    {"", 0, "no key in it"},
	    {"\n", 0, "no key in it"},
	    {"# " GOOD "\n", 0, "no key in it"},
	    {"AAECAwQFBgcICQoLDA0ODw==", 1, "not 32 bytes in base64"},
	    {GOOD GOOD, 1, "not 32 bytes in base64"},
	    {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", 1, "not 32 bytes in base64"},
	    {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJA==", 1, "not 32 bytes in base64"},
	    {"\n" GOOD "\n\n" GOOD " " OTHER, 4, "not 32 bytes in base64"},
	    {GOOD "\n#\n" GOOD "\n", 3, "the same key a second time"},
	    {GOOD "\n" OTHER "\n" THIRD "\n", 3, "a third key"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct keys keys = {.n = 7};
		struct err err = {0};
		char place[sizeof(path) + 16];
		write_key(cases[i].text, 0600);
		CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), -EINVAL);
		CU_ASSERT_EQUAL(keys.n, 7);
		if (cases[i].line)
			snprintf(place, sizeof(place), "%s:%u: ", path, cases[i].line);
		else
			snprintf(place, sizeof(place), "%s: ", path);
		CU_ASSERT_EQUAL(strncmp(err.text, place, strlen(place)), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].said));
		/* The secret, even a broken one, is not in the message. */
		CU_ASSERT_PTR_NULL(strstr(err.text, "AAECAw"));
	}
}

static void a_book_is_no_key_file(void)
{
	static char text[8192];
	struct keys keys;
	struct err err = {0};
	memset(text, '\n', sizeof(text) - 1);
	write_key(text, 0600);
	CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "longer than 4095 bytes"));
}

static void refuses_what_others_can_read(void)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0620, 0601};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct keys keys;
		struct err err = {0};
		write_key(GOOD, modes[i]);
		CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), -EPERM);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "chmod 600"));
	}
}

static void refuses_what_is_not_there_or_no_file(void)
{
	struct keys keys;
	struct err err = {0};
	CU_ASSERT_EQUAL(conf_keys_load("/nonexistent/key", &keys, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "head -c 32 /dev/urandom | base64"));
	CU_ASSERT_EQUAL(conf_keys_load("/dev/null", &keys, &err), -EINVAL);
}

static void refuses_a_file_of_somebody_else(void)
{
	struct keys keys;
	struct err err = {0};
	if (geteuid() != 0) {
		printf("not root, skipped ... ");
		return;
	}
	write_key(GOOD, 0600);
	CU_ASSERT_EQUAL(chown(path, 12345, 12345), 0);
	CU_ASSERT_EQUAL(conf_keys_load(path, &keys, &err), -EPERM);
	CU_ASSERT_EQUAL(chown(path, 0, 0), 0);
}

static const struct unit_case cases[] = {UNIT(reads_a_key), UNIT(reads_two_in_their_order),
    UNIT(says_what_is_wrong_and_where), UNIT(a_book_is_no_key_file),
    UNIT(refuses_what_others_can_read), UNIT(refuses_what_is_not_there_or_no_file),
    UNIT(refuses_a_file_of_somebody_else)};

int main(void)
{
	char dir[SCRATCH_MAX];
	if (!scratch_make(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/key", dir);
	int result = unit_run("conf/key", cases, sizeof(cases) / sizeof(cases[0]));
	unlink(path);
	rmdir(dir);
	return result;
}
