#include "daemon/supervisor/args.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

#define PARSE(out, err, ...)                                                               \
	args_parse((int)(sizeof((const char *[]){"yoked", __VA_ARGS__}) / sizeof(char *)), \
	    (char *[]){"yoked", __VA_ARGS__, NULL}, out, err)

static void defaults(void)
{
	struct args args = {0};
	struct err err;
	CU_ASSERT_EQUAL(args_parse(1, (char *[]){"yoked", NULL}, &args, &err), 0);
	CU_ASSERT_EQUAL(args.action, ARGS_RUN);
	CU_ASSERT_STRING_EQUAL(args.config, "/etc/yoke/yoke.json");
	CU_ASSERT_STRING_EQUAL(args.run_dir, "/run/yoke");
	CU_ASSERT_PTR_NULL(args.node);
}

static void every_option(void)
{
	struct args args = {0};
	struct err err;
	CU_ASSERT_EQUAL(
	    PARSE(&args, &err, "--config", "a.json", "--node=left", "--run-dir", "r"), 0);
	CU_ASSERT_EQUAL(args.action, ARGS_RUN);
	CU_ASSERT_STRING_EQUAL(args.config, "a.json");
	CU_ASSERT_STRING_EQUAL(args.node, "left");
	CU_ASSERT_STRING_EQUAL(args.run_dir, "r");
	CU_ASSERT_EQUAL(PARSE(&args, &err, "--check", "--config=b.json"), 0);
	CU_ASSERT_EQUAL(args.action, ARGS_CHECK);
	CU_ASSERT_STRING_EQUAL(args.config, "b.json");
	CU_ASSERT_PTR_NULL(args.node);
	CU_ASSERT_EQUAL(PARSE(&args, &err, "--version"), 0);
	CU_ASSERT_EQUAL(args.action, ARGS_VERSION);
	CU_ASSERT_EQUAL(PARSE(&args, &err, "-h"), 0);
	CU_ASSERT_EQUAL(args.action, ARGS_HELP);
}

static void mistakes(void)
{
	static const struct {
		const char *arg, *text;
	} cases[] = {
	    {"--config", "--config needs a value"},
	    {"--check=yes", "--check takes no value"},
	    {"--frobnicate", "--frobnicate"},
	    {"-x", "-x"},
	    {"yoke.json", "unexpected argument yoke.json"},
	    {"--config=", "empty"},
	    {"--node=", "empty"},
	    {"--run-dir=", "empty"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct args args = {.action = ARGS_HELP};
		struct err err = {""};
		CU_ASSERT_EQUAL(PARSE(&args, &err, (char *)cases[i].arg), -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].text));
		CU_ASSERT_EQUAL(args.action, ARGS_HELP); /* untouched */
	}
}

UNIT_MAIN("supervisor/args", UNIT(defaults), UNIT(every_option), UNIT(mistakes))
