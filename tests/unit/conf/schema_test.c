/* The rows of the schema table: complete, and their defaults are values that they accept. */
#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/value.h"
#include "tests/unit/unit.h"

static unsigned n_rows, n_defaults;

static void check_row(const struct conf_key *key)
{
	char wish[VALUE_WISH_MAX];
	struct err err = {0};
	struct arena arena;
	_Alignas(16) char field[256];
	arena_init(&arena);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key->help);
	CU_ASSERT(strlen(key->help) > 5 && key->help[strlen(key->help) - 1] != '.');
	CU_ASSERT(strlen(value_wish(key, wish)) < VALUE_WISH_MAX - 1);
	CU_ASSERT(!key->required || (!key->def && !key->def_note));
	if (key->def) {
		int result = value_parse_default(key, &arena, field, &err);
		if (result != 0)
			printf("%s: %s\n", key->name, err.text);
		CU_ASSERT_EQUAL(result, 0);
		n_defaults++;
	}
	if (key->type == CONF_STRING || key->type == CONF_POOL)
		CU_ASSERT_PTR_NOT_NULL(key->format);
	if (key->type == CONF_ENUM || key->type == CONF_WORD)
		CU_ASSERT_PTR_NOT_NULL(key->words);
	if (key->type == CONF_INT || key->type == CONF_DURATION || key->type == CONF_SIZE) {
		CU_ASSERT(key->size == 1 || key->size == 2 || key->size == 4 || key->size == 8);
		CU_ASSERT(key->min <= key->max && key->max > 0);
		CU_ASSERT(key->size == 8 || key->max >> (key->size * 8) == 0);
	}
	arena_fini(&arena);
	n_rows++;
}

static void walk(const struct conf_object *object)
{
	CU_ASSERT_PTR_NOT_NULL(object->title);
	for (uint32_t i = 0; i < object->n_keys; i++) {
		const struct conf_key *key = &object->keys[i];
		check_row(key);
		CU_ASSERT_PTR_EQUAL(conf_schema_find(object, key->name), key);
		CU_ASSERT_FALSE(conf_schema_word_in(object->later, key->name));
		CU_ASSERT(key->variant == 0 || object->variants);
		CU_ASSERT(key->type != CONF_MAP || key->object->size > 0);
		if (key->element)
			check_row(key->element);
		if (key->object)
			walk(key->object);
		if (key->by_name)
			walk(key->by_name->object);
		if (key->element && key->element->object)
			walk(key->element->object);
	}
}

static void rows_are_complete(void)
{
	walk(&conf_schema_root);
	CU_ASSERT(n_rows > 60);
	CU_ASSERT(n_defaults > 25);
}

/* What the loader relies on. */
static void structs_have_the_expected_shape(void)
{
	CU_ASSERT_EQUAL(offsetof(struct conf_node, name), 0);
	CU_ASSERT_EQUAL(offsetof(struct conf_router, name), 0);
	CU_ASSERT_EQUAL(offsetof(struct conf_priority, router), 0);
	CU_ASSERT_EQUAL(offsetof(struct conf_listener, name), 0);
	CU_ASSERT_EQUAL(offsetof(struct conf_pool, name), 0);
	CU_ASSERT_EQUAL(offsetof(struct conf_health, expect_max),
	    offsetof(struct conf_health, expect_min) + sizeof(uint16_t));
	CU_ASSERT_EQUAL(sizeof(enum conf_health_kind), sizeof(unsigned));
	CU_ASSERT_EQUAL(sizeof(enum conf_sticky_kind), sizeof(unsigned));
}

static void finds_what_was_meant(void)
{
	static const struct {
		const char *text, *key;
	} cases[] = {{"listener", "listeners"}, {"lisetners", "listeners"}, {"Pools", "pools"},
	    {"pool", "pools"}, {"log-level", "log_level"}, {"synk", "sync"}, {"sink", NULL},
	    {"virtual_router", "virtual_routers"}, {"virtualrouters", "virtual_routers"},
	    {"zzz", NULL}, {"", NULL}, {"s", NULL}, {"shutdown", NULL},
	    {"listenerslistenerslistenerslistenerslisteners", NULL}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *found = conf_schema_nearest_key(&conf_schema_root, cases[i].text);
		CU_ASSERT_EQUAL(found != NULL, cases[i].key != NULL);
		if (found && cases[i].key)
			CU_ASSERT_STRING_EQUAL(found, cases[i].key);
	}
}

static void finds_words_in_lists(void)
{
	CU_ASSERT_TRUE(conf_schema_word_in("a bc d", "a"));
	CU_ASSERT_TRUE(conf_schema_word_in("a bc d", "bc"));
	CU_ASSERT_TRUE(conf_schema_word_in("a bc d", "d"));
	CU_ASSERT_FALSE(conf_schema_word_in("a bc d", "b"));
	CU_ASSERT_FALSE(conf_schema_word_in("a bc d", "a bc"));
	CU_ASSERT_FALSE(conf_schema_word_in("a bc d", ""));
	CU_ASSERT_FALSE(conf_schema_word_in(NULL, "a"));
}

UNIT_MAIN("conf/schema", UNIT(rows_are_complete), UNIT(structs_have_the_expected_shape),
    UNIT(finds_what_was_meant), UNIT(finds_words_in_lists))
