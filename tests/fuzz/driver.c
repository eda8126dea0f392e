/* Runs a fuzz target without libFuzzer: every file of the corpus as it is, then a fixed number of
 * seeded mutations of each, so that the test is the same on each machine. */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

#define INPUT_MAX (256 * 1024)
#define MUTATIONS 400

static uint64_t random_state = 0x9e3779b97f4a7c15ULL;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static size_t mutate(uint8_t *data, size_t size)
{
	static const char *const tokens[] = {"\r\n", "\r\n\r\n", ":", " ", "\0", "{", "}", "\"",
	    ",", "0", "-1", "99999999999999999999", "chunked", "\xff\xff\xff\xff", "[", "]", "\t",
	    "\n"};
	for (uint64_t edits = 1 + random_next() % 4; edits > 0 && size > 0; edits--) {
		size_t at = random_next() % size;
		switch (random_next() % 5) {
		case 0: data[at] = (uint8_t)random_next(); break;
		case 1: data[at] ^= (uint8_t)(1U << random_next() % 8); break;
		case 2: size = at; break;
		case 3: {
			size_t len = random_next() % (size - at) + 1;
			memmove(data + at, data + at + len, size - at - len);
			size -= len;
			break;
		}
		default: {
			const char *token =
			    tokens[random_next() % (sizeof(tokens) / sizeof(tokens[0]))];
			size_t len = strlen(token) ? strlen(token) : 1;
			if (size + len > INPUT_MAX)
				break;
			memmove(data + at + len, data + at, size - at);
			memcpy(data + at, token, len);
			size += len;
		}
		}
	}
	return size;
}

/* The target gets an exact-size heap copy, so that a sanitizer sees a read one byte past the end.
 */
static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	require(copy != NULL);
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static int run_file(const char *path, unsigned long *runs)
{
	static uint8_t original[INPUT_MAX], input[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	if (!file) {
		perror(path);
		return -1;
	}
	size_t size = fread(original, 1, sizeof(original), file);
	fclose(file);
	run_one(original, size);
	for (int i = 0; i < MUTATIONS; i++) {
		memcpy(input, original, size);
		run_one(input, mutate(input, size));
	}
	*runs += 1 + MUTATIONS;
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long runs = 0;
	struct dirent **names = NULL;
	int n = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1;
	if (n < 0) {
		fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
		return 2;
	}
	int result = 0;
	for (int i = 0; i < n; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
		if (names[i]->d_name[0] != '.' && run_file(path, &runs) < 0)
			result = 1;
		free(names[i]);
	}
	free(names);
	printf("%lu inputs\n", runs);
	return runs == 0 ? 1 : result;
}
