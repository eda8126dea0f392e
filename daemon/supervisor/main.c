/* yoked: the program that is started by hand or by systemd. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/supervisor/args.h"
#include "daemon/supervisor/setup.h"
#include "daemon/supervisor/supervisor.h"

static void print_line(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

static int check(const struct args *args)
{
	if (setup_check(args->config, args->node, print_line, NULL) < 0)
		return 1;
	printf("%s: ok\n", args->config);
	return 0;
}

/* A socket in the place of a closed stderr would get the log. */
static void open_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	struct args args = {0};
	struct err err;
	open_standard_files();
	if (args_parse(argc, argv, &args, &err) < 0) {
		fprintf(stderr, "yoked: %s (--help tells more)\n", err.text);
		return 2;
	}
	switch (args.action) {
	case ARGS_HELP: args_help(stdout); return 0;
	case ARGS_VERSION: puts("yoked " YOKE_VERSION); return 0;
	case ARGS_CHECK: return check(&args);
	case ARGS_RUN: break;
	}
	return supervisor_run(&args);
}
