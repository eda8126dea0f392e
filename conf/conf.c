#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/check.h"
#include "conf/load.h"
#include "conf/scan.h"

#define FILE_SIZE_MAX (4 * 1024 * 1024)

/* What conf_load hands out is the first member. */
struct conf_tree {
	struct conf conf;
	struct arena arena;
};

/* The tree of the scan and its values from json-c. */
struct parse {
	struct arena arena;
	struct node *root;
	json_object *js;
	char *plain; /* the text without comments */
};

static void parse_fini(struct parse *parse)
{
	json_object_put(parse->js);
	free(parse->plain);
	arena_fini(&parse->arena);
}

/* Gives each node its value. False if the two parsers read different things. */
static bool pair_values(struct node *node, json_object *js)
{
	static const json_type types[] = {
	    [NODE_NULL] = json_type_null,
	    [NODE_BOOL] = json_type_boolean,
	    [NODE_NUMBER] = json_type_int, /* or double */
	    [NODE_STRING] = json_type_string,
	    [NODE_LIST] = json_type_array,
	    [NODE_OBJECT] = json_type_object,
	};
	json_type type = json_object_get_type(js);
	if (type != types[node->kind] && !(node->kind == NODE_NUMBER && type == json_type_double))
		return false;
	node->js = js;
	for (struct node *child = node->child; child; child = child->next) {
		json_object *value = NULL;
		if (node->kind == NODE_LIST)
			value = json_object_array_get_idx(js, child->index);
		else if (!json_object_object_get_ex(js, child->key, &value))
			return false;
		if (!pair_values(child, value))
			return false;
	}
	return true;
}

/* 0, or -ENOMEM; parse->root is NULL when the text is no JSON, which was reported. */
static int parse_text(struct parse *parse, struct report *report)
{
	parse->plain = malloc(report->len + 1);
	json_tokener *tokener = json_tokener_new_ex(SCAN_DEPTH_MAX + 2);
	int result = -ENOMEM;
	if (!parse->plain || !tokener)
		goto out;
	parse->root = scan_text(&parse->arena, report, parse->plain);
	result = report->out_of_memory ? -ENOMEM : 0;
	if (!parse->root)
		goto out;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	parse->js = json_tokener_parse_ex(tokener, parse->plain, (int)report->len);
	enum json_tokener_error error = json_tokener_get_error(tokener);
	if (error != json_tokener_success) {
		report_offset(report, json_tokener_get_parse_end(tokener), NULL, "%s",
		    json_tokener_error_desc(error));
		parse->root = NULL;
	} else if (!pair_values(parse->root, parse->js)) {
		report_offset(report, 0, NULL, "read in two ways by two parsers; write it simpler");
		parse->root = NULL;
	}
out:
	if (tokener)
		json_tokener_free(tokener);
	return result;
}

static int load_tree(void *into, struct report *report, const struct node *root)
{
	struct conf_tree *tree = into;
	if (root->kind != NODE_OBJECT) {
		report_value(report, root, "not an object { ... }");
		return 0;
	}
	int result = load_conf(&tree->arena, report, root, &tree->conf);
	if (result == 0)
		result = check_finish(&tree->arena, report, root, &tree->conf);
	if (result == 0)
		result = check_conf(report, root, &tree->conf);
	return result;
}

int load_text(const char *file, const char *text, size_t len, load_fn *load, void *into,
    conf_report_fn *report_fn, void *arg)
{
	struct parse parse = {0};
	struct report *report = malloc(sizeof(*report));
	int result = 0;
	if (!report)
		return -ENOMEM;
	report_init(report, text, len);
	if (len > FILE_SIZE_MAX) {
		report_offset(report, 0, NULL, "larger than %d MiB", FILE_SIZE_MAX >> 20);
	} else {
		result = parse_text(&parse, report);
		if (result == 0 && parse.root)
			result = load(into, report, parse.root);
	}
	if (report_flush(report, file, report_fn, arg))
		result = -EINVAL;
	else if (report->out_of_memory)
		result = -ENOMEM;
	parse_fini(&parse);
	report_fini(report);
	free(report);
	return result;
}

int conf_load(const char *file, const char *text, size_t len, conf_report_fn *report_fn, void *arg,
    struct conf **out)
{
	struct conf_tree *tree = calloc(1, sizeof(*tree));
	int result = -ENOMEM;
	if (tree)
		result = load_text(file, text, len, load_tree, tree, report_fn, arg);
	if (result == 0)
		*out = &tree->conf;
	else if (tree)
		conf_free(&tree->conf);
	return result;
}

void conf_free(struct conf *conf)
{
	struct conf_tree *tree = (struct conf_tree *)conf;
	if (!tree)
		return;
	arena_fini(&tree->arena);
	free(tree);
}

/* Reads all of it, up to one byte more than is allowed. -errno on failure. */
static ssize_t read_all(const char *file, char *text, size_t size)
{
	size_t len = 0;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, text + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		int error = n < 0 ? errno : 0;
		if (n > 0)
			len += (size_t)n;
		if (n > 0 && len < size)
			continue;
		close(fd);
		return error ? -error : (ssize_t)len;
	}
}

int conf_load_file(const char *file, conf_report_fn *report, void *arg, struct conf **out)
{
	char line[4096];
	char *text = malloc(FILE_SIZE_MAX + 1);
	if (!text)
		return -ENOMEM;
	ssize_t len = read_all(file, text, FILE_SIZE_MAX + 1);
	int result;
	if (len < 0) {
		snprintf(line, sizeof(line), "%s:1:1: top level: cannot be read: %s", file,
		    strerror((int)-len));
		report(arg, line);
		result = (int)len;
	} else {
		result = conf_load(file, text, (size_t)len, report, arg, out);
	}
	free(text);
	return result;
}
