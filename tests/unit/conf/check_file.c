/* check_file FILE...: what the loader says, for tests in other languages. 0: all are fine. */
#include <stdio.h>

#include "conf/conf.h"

static void print_line(void *arg, const char *line)
{
	(void)arg;
	puts(line);
}

int main(int argc, char **argv)
{
	int result = 0;
	for (int i = 1; i < argc; i++) {
		struct conf *conf = NULL;
		if (conf_load_file(argv[i], print_line, NULL, &conf) < 0)
			result = 1;
		conf_free(conf);
	}
	return result;
}
