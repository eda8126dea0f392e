/* The command line of yoked. */
#pragma once

#include <stdio.h>

#include "daemon/base/err.h"

enum args_action { ARGS_RUN, ARGS_CHECK, ARGS_HELP, ARGS_VERSION };

struct args {
	enum args_action action;
	const char *config;
	const char *node; /* or NULL: find out */
	const char *run_dir;
};

/* Texts point into argv. -EINVAL with a text when the command line makes no sense. */
int args_parse(int argc, char **argv, struct args *out, struct err *err);
void args_help(FILE *out);
