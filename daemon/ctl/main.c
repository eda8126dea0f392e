/* yokectl: looking at a running yoked and asking it to do things. Exit status: 0 done, 1 refused or
 * failed with the reason on stderr, 2 usage. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/print.h"

#define EXIT_REFUSED 1
#define EXIT_USAGE   2

struct options {
	const char *run_dir;
	bool json, keys, local;
	const char *words[4]; /* the verb and its arguments */
	int n_words;
};

struct verb {
	const char *name, *arguments, *help;
	int n_arguments, n_optional;
	int (*run)(const struct options *options);
};

static int complain(const char *message)
{
	fprintf(stderr, "yokectl: %s\n", message);
	return EXIT_REFUSED;
}

/* Sends the request; prints the answer by `print` (or its "done" text), or the error. */
static int ask(const struct options *options, const char *method, const char *path,
    const char *body, void (*print)(struct json_object *))
{
	struct json_object *answer = NULL, *value = NULL;
	struct err err = {{0}};
	int status = client_request(options->run_dir, method, path, body, &answer, &err);
	if (status < 0)
		return complain(err.text);
	int result = status == 200 ? 0 : EXIT_REFUSED;
	if (options->json)
		printf("%s\n", json_object_to_json_string_ext(answer,
				   JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	if (result != 0 && json_object_object_get_ex(answer, "error", &value))
		complain(json_object_get_string(value));
	else if (result != 0)
		fprintf(stderr, "yokectl: refused with status %d\n", status);
	else if (!options->json && print)
		print(answer);
	else if (!options->json && json_object_object_get_ex(answer, "done", &value))
		printf("%s\n", json_object_get_string(value));
	json_object_put(answer);
	return result;
}

static int run_status(const struct options *options)
{
	return ask(options, "GET", "/v1/status", NULL, print_status);
}

static int run_targets(const struct options *options)
{
	return ask(options, "GET", "/v1/pools", NULL, print_targets);
}

static int run_sessions(const struct options *options)
{
	return ask(options, "GET", options->keys ? "/v1/sessions?keys=1" : "/v1/sessions", NULL,
	    print_sessions);
}

static int run_events(const struct options *options)
{
	return ask(options, "GET", options->local ? "/v1/events?local=1" : "/v1/events", NULL,
	    print_events);
}

static void print_line(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

static int run_check(const struct options *options)
{
	struct conf *conf = NULL;
	if (conf_load_file(options->words[1], print_line, NULL, &conf) < 0)
		return EXIT_REFUSED;
	conf_free(conf);
	if (options->json)
		printf("{\"ok\": true}\n");
	else
		printf("%s: ok\n", options->words[1]);
	return 0;
}

static int run_reload(const struct options *options)
{
	return ask(options, "POST", "/v1/reload", NULL, NULL);
}

static int run_failover(const struct options *options)
{
	if (options->n_words == 1)
		return ask(options, "POST", "/v1/failover", NULL, NULL);
	struct json_object *body = json_object_new_object();
	json_object_object_add(body, "virtual_router", json_object_new_string(options->words[1]));
	int result = ask(options, "POST", "/v1/failover", json_object_to_json_string(body), NULL);
	json_object_put(body);
	return result;
}

/* drain, ready, disable */
static int run_target_state(const struct options *options)
{
	const char *verb = options->words[0];
	char path[256], body[64];
	int len = snprintf(
	    path, sizeof(path), "/v1/pools/%s/targets/%s", options->words[1], options->words[2]);
	if (len < 0 || (size_t)len >= sizeof(path) || strpbrk(path, " \r\n%?"))
		return complain("no such pool or target");
	snprintf(body, sizeof(body), "{\"state\": \"%s\"}",
	    strcmp(verb, "disable") == 0 ? "disabled" : verb);
	return ask(options, "PATCH", path, body, NULL);
}

static const struct verb verbs[] = {
    {"status", "", "who is Active and why, replication, pools", 0, 0, run_status},
    {"targets", "", "every target: state, load, reason", 0, 0, run_targets},
    {"sessions", "", "the sticky table (--keys shows the clients)", 0, 0, run_sessions},
    {"events", "", "what happened on both nodes, newest last (--local: on this one)", 0, 0,
	run_events},
    {"check", "FILE", "check a configuration file", 1, 0, run_check},
    {"reload", "", "put the configuration file in force", 0, 0, run_reload},
    {"failover", "[VIRTUAL_ROUTER]", "hand the VIP to the peer", 0, 1, run_failover},
    {"drain", "POOL TARGET", "no new clients; sticky ones stay", 2, 0, run_target_state},
    {"disable", "POOL TARGET", "no traffic at all", 2, 0, run_target_state},
    {"ready", "POOL TARGET", "take traffic again", 2, 0, run_target_state},
};

static int usage(FILE *out)
{
	fprintf(out, "usage: yokectl [--run-dir DIR] VERB [--json]\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(out, "  %-9s%-18s%s\n", verbs[i].name, verbs[i].arguments, verbs[i].help);
	fprintf(out, "\n  --run-dir DIR  the run dir of yoked (default /run/yoke)\n"
		     "  --json         print the Admin API's answer\n"
		     "  --version, --help\n");
	return EXIT_USAGE;
}

static bool parse(int argc, char **argv, struct options *options)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			options->json = true;
		else if (strcmp(argv[i], "--keys") == 0)
			options->keys = true;
		else if (strcmp(argv[i], "--local") == 0)
			options->local = true;
		else if (strcmp(argv[i], "--run-dir") == 0 && i + 1 < argc)
			options->run_dir = argv[++i];
		else if (argv[i][0] == '-' || options->n_words == 4)
			return false;
		else
			options->words[options->n_words++] = argv[i];
	}
	return options->n_words > 0;
}

int main(int argc, char **argv)
{
	struct options options = {.run_dir = "/run/yoke"};
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("yokectl %s\n", YOKE_VERSION);
		return 0;
	}
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return 0;
	}
	if (!parse(argc, argv, &options))
		return usage(stderr);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int given = options.n_words - 1;
		if (strcmp(verbs[i].name, options.words[0]) != 0)
			continue;
		if (given < verbs[i].n_arguments ||
		    given > verbs[i].n_arguments + verbs[i].n_optional)
			return usage(stderr);
		return verbs[i].run(&options);
	}
	return usage(stderr);
}
