/* Parts of a configuration that the admin API takes at run time: read by the rows of the schema table
 * and refused in the same words as in the file. */
#include <errno.h>
#include <string.h>

#include "conf/check_parts.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "conf/schema_rows.h"
#include "conf/value.h"

static const char *const state_words[] = {[CONF_STATE_READY] = "ready",
    [CONF_STATE_DRAIN] = "drain",
    [CONF_STATE_DISABLED] = "disabled",
    NULL};

static const struct conf_key change_keys[] = {
    {"weight", CONF_INT, FIELD(struct conf_target_change, weight), .min = 1, .max = 256,
	.notes_given = true, .given_offset = offsetof(struct conf_target_change, weight_given)},
    {"max_connections", CONF_INT, FIELD(struct conf_target_change, max_connections),
	.max = CONF_PLACES_MAX, .notes_given = true,
	.given_offset = offsetof(struct conf_target_change, max_connections_given)},
    {"state", CONF_ENUM, FIELD(struct conf_target_change, state), .words = state_words,
	.notes_given = true, .given_offset = offsetof(struct conf_target_change, state_given)},
    {"drain_timeout", CONF_DURATION, FIELD(struct conf_target_change, drain_timeout_us),
	.max = CONF_DRAIN_MAX_US, .notes_given = true,
	.given_offset = offsetof(struct conf_target_change, drain_timeout_given)},
};
static const struct conf_object change_object = {
    .keys = change_keys, .n_keys = sizeof(change_keys) / sizeof(change_keys[0])};

/* All errors in one text, as far as they fit. */
static void add_error(void *arg, const char *line)
{
	struct err *err = arg;
	size_t used = strlen(err->text);
	text_append(err->text, sizeof(err->text), used, "%s%s", used > 0 ? "; " : "", line);
}

static int parse(const char *text, size_t len, load_fn *load, void *into, struct err *err)
{
	err->text[0] = '\0';
	int result = load_text("body", text, len, load, into, add_error, err);
	return result == -ENOMEM ? err_set(err, result, "out of memory") : result;
}

static int load_one(
    void *into, const struct conf_object *object, struct report *report, const struct node *root)
{
	struct arena arena;
	arena_init(&arena);
	int result = load_part(&arena, report, object, root, into);
	arena_fini(&arena);
	return result;
}

static int load_target(void *into, struct report *report, const struct node *root)
{
	struct conf_target *target = into;
	int result = load_one(target, &conf_schema_target, report, root);
	if (result == 0 && check_is_set(&target->addr))
		check_connectable(report, node_child(root, "address"), &target->addr);
	return result;
}

static int load_change(void *into, struct report *report, const struct node *root)
{
	return load_one(into, &change_object, report, root);
}

int conf_target_parse(const char *text, size_t len, struct conf_target *out, struct err *err)
{
	struct conf_target target = {0};
	int result = parse(text, len, load_target, &target, err);
	if (result == 0)
		*out = target;
	return result;
}

int conf_target_change_parse(
    const char *text, size_t len, struct conf_target_change *out, struct err *err)
{
	struct conf_target_change change = {0};
	int result = parse(text, len, load_change, &change, err);
	if (result == 0)
		*out = change;
	return result;
}

bool conf_drain_timeout_parse(const char *text, uint64_t *out)
{
	uint64_t us;
	if (!value_parse_duration(text, &us) || us > CONF_DRAIN_MAX_US)
		return false;
	*out = us;
	return true;
}
