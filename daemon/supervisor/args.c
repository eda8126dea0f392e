#include "daemon/supervisor/args.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>

#define CONFIG_DEFAULT  "/etc/yoke/yoke.json"
#define RUN_DIR_DEFAULT "/run/yoke"

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"node", required_argument, NULL, 'n'},
    {"run-dir", required_argument, NULL, 'r'},
    {"check", no_argument, NULL, 'C'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

void args_help(FILE *out)
{
	fputs("usage: yoked [--config FILE] [--node NAME] [--run-dir DIR] [--check]\n"
	      "\n"
	      "  --config FILE   the configuration (default " CONFIG_DEFAULT ")\n"
	      "  --node NAME     which of its nodes this host is (default: the one whose\n"
	      "                  address is configured here)\n"
	      "  --run-dir DIR   sockets and state of this instance (default " RUN_DIR_DEFAULT ")\n"
	      "  --check         check the configuration and exit: 0 good, 1 not\n"
	      "  --version       print the version and exit\n"
	      "\n"
	      "Runs in the foreground and logs to stderr. SIGHUP: reload. SIGUSR1: open the\n"
	      "access log anew. SIGTERM: resign, finish what is in flight, exit.\n",
	    out);
}

static int bad_option(char **argv, struct err *err)
{
	const char *text = argv[optind - 1];
	for (const struct option *o = options; o->name; o++) {
		if (o->val == optopt && o->has_arg)
			return err_set(err, -EINVAL, "--%s needs a value", o->name);
		if (o->val == optopt)
			return err_set(err, -EINVAL, "--%s takes no value", o->name);
	}
	return err_set(err, -EINVAL, "unknown option %s", text);
}

int args_parse(int argc, char **argv, struct args *out, struct err *err)
{
	struct args args = {
	    .action = ARGS_RUN, .config = CONFIG_DEFAULT, .run_dir = RUN_DIR_DEFAULT};
	int option;
	optind = 0; /* start anew: tests parse more than once */
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (option) {
		case 'c': args.config = optarg; break;
		case 'n': args.node = optarg; break;
		case 'r': args.run_dir = optarg; break;
		case 'C': args.action = ARGS_CHECK; break;
		case 'V': out->action = ARGS_VERSION; return 0;
		case 'h': out->action = ARGS_HELP; return 0;
		default: return bad_option(argv, err);
		}
	}
	if (optind < argc)
		return err_set(err, -EINVAL, "unexpected argument %s", argv[optind]);
	if (!*args.config || !*args.run_dir || (args.node && !*args.node))
		return err_set(err, -EINVAL, "an option has an empty value");
	*out = args;
	return 0;
}
