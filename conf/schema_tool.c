/* yoke-schema: prints what is made from the schema table. conf/yoke.schema.json and
 * conf/yoke.json.5 are its output; a test compares. */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/schema_man.h"

static int print_man(char **pairs)
{
	schema_man_print_head(stdout);
	schema_man_print_keys(stdout);
	for (; pairs[0] && pairs[1]; pairs += 2) {
		FILE *example = fopen(pairs[1], "re");
		if (!example) {
			perror(pairs[1]);
			return 1;
		}
		schema_man_print_example(stdout, pairs[0], example);
		fclose(example);
	}
	schema_man_print_tail(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	int result = 0;
	if (argc == 2 && strcmp(argv[1], "--json") == 0) {
		conf_schema_print(stdout);
	} else if (argc >= 2 && argc % 2 == 0 && strcmp(argv[1], "--man") == 0) {
		result = print_man(argv + 2);
	} else {
		fputs("usage: yoke-schema --json | --man [TITLE EXAMPLE_FILE]...\n", stderr);
		return 2;
	}
	if (fflush(stdout) != 0 || ferror(stdout)) {
		perror("standard output");
		return 1;
	}
	return result;
}
