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
	bool json, keys, local, backup;
	const char *weight, *max_connections, *drain_timeout;
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

#define PATH_SIZE 256

/* /v1/pools/POOL/targets[/TARGET]; false: they are no names. */
static bool target_path(const char *pool, const char *target, char path[PATH_SIZE])
{
	int len = snprintf(path, PATH_SIZE, "/v1/pools/%s/targets%s%s", pool, target ? "/" : "",
	    target ? target : "");
	return len > 0 && len < PATH_SIZE && !strpbrk(pool, " \r\n%?/") &&
	       !(target && strpbrk(target, " \r\n%?/"));
}

/* As a number, so that the API judges it; else as text, which it refuses. */
static void add_number(struct json_object *body, const char *key, const char *text)
{
	char *end;
	long long number = strtoll(text, &end, 10);
	json_object_object_add(body, key,
	    *text && !*end ? json_object_new_int64(number) : json_object_new_string(text));
}

static int send_body(
    const struct options *options, const char *method, const char *target, struct json_object *body)
{
	char path[PATH_SIZE];
	int result =
	    !target_path(options->words[1], target, path)
		? complain("no such pool or target")
		: ask(options, method, path, json_object_to_json_string(body), print_target_change);
	json_object_put(body);
	return result;
}

static int run_add(const struct options *options)
{
	struct json_object *body = json_object_new_object();
	json_object_object_add(body, "address", json_object_new_string(options->words[2]));
	if (options->weight)
		add_number(body, "weight", options->weight);
	if (options->max_connections)
		add_number(body, "max_connections", options->max_connections);
	if (options->backup)
		json_object_object_add(body, "backup", json_object_new_boolean(true));
	return send_body(options, "POST", NULL, body);
}

static int run_weight(const struct options *options)
{
	struct json_object *body = json_object_new_object();
	add_number(body, "weight", options->words[3]);
	return send_body(options, "PATCH", options->words[2], body);
}

static int run_remove(const struct options *options)
{
	char path[PATH_SIZE], with_query[PATH_SIZE + 64];
	if (!target_path(options->words[1], options->words[2], path))
		return complain("no such pool or target");
	if (options->drain_timeout && strpbrk(options->drain_timeout, " \r\n%?&"))
		return complain("--drain-timeout: not a duration");
	snprintf(with_query, sizeof(with_query), "%s%s%.48s", path,
	    options->drain_timeout ? "?drain_timeout=" : "",
	    options->drain_timeout ? options->drain_timeout : "");
	return ask(options, "DELETE", with_query, NULL, print_target_change);
}

/* drain, ready, disable */
static int run_target_state(const struct options *options)
{
	const char *verb = options->words[0];
	struct json_object *body = json_object_new_object();
	json_object_object_add(body, "state",
	    json_object_new_string(strcmp(verb, "disable") == 0 ? "disabled" : verb));
	if (options->drain_timeout)
		json_object_object_add(
		    body, "drain_timeout", json_object_new_string(options->drain_timeout));
	return send_body(options, "PATCH", options->words[2], body);
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
    {"drain", "POOL TARGET", "no new clients; sticky ones stay (--drain-timeout D)", 2, 0,
	run_target_state},
    {"disable", "POOL TARGET", "no traffic at all", 2, 0, run_target_state},
    {"ready", "POOL TARGET", "take traffic again", 2, 0, run_target_state},
    {"add", "POOL ADDRESS", "a target at run time (--weight N, --backup, --max-connections N)", 2,
	0, run_add},
    {"remove", "POOL TARGET", "drain it, then it leaves the pool (--drain-timeout D, --force)", 2,
	0, run_remove},
    {"weight", "POOL TARGET N", "its share of the traffic", 3, 0, run_weight},
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
		else if (strcmp(argv[i], "--backup") == 0)
			options->backup = true;
		else if (strcmp(argv[i], "--force") == 0)
			options->drain_timeout = "0s";
		else if (strcmp(argv[i], "--weight") == 0 && i + 1 < argc)
			options->weight = argv[++i];
		else if (strcmp(argv[i], "--max-connections") == 0 && i + 1 < argc)
			options->max_connections = argv[++i];
		else if (strcmp(argv[i], "--drain-timeout") == 0 && i + 1 < argc)
			options->drain_timeout = argv[++i];
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
