/* The schema table as a JSON Schema (draft 2020-12), for editors and for other people's checks.
 * What needs two places to be compared (names of pools, duplicate addresses, ...) is the loader's
 * alone. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/format.h"
#include "conf/schema.h"

#define IPV4   "([0-9]{1,3}\\.){3}[0-9]{1,3}"
#define IPV6   "[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*"
#define STATUS "[1-5][0-9]{2}"

/* Members of the object or list that is open now. */
struct printer {
	FILE *out;
	unsigned depth;
	bool first;
};

static void print_schema(struct printer *printer, const struct conf_key *key);

static void print_string(struct printer *printer, const char *text)
{
	fputc('"', printer->out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', printer->out);
		fputc(*text, printer->out);
	}
	fputc('"', printer->out);
}

/* What goes before a member; `name` is NULL in a list. */
static void begin(struct printer *printer, const char *name)
{
	fprintf(printer->out, "%s\n%*s", printer->first ? "" : ",", (int)printer->depth * 2, "");
	printer->first = false;
	if (!name)
		return;
	print_string(printer, name);
	fputs(": ", printer->out);
}

static void open_bracket(struct printer *printer, const char *name, char bracket)
{
	begin(printer, name);
	fputc(bracket, printer->out);
	printer->depth++;
	printer->first = true;
}

static void close_bracket(struct printer *printer, char bracket)
{
	printer->depth--;
	fprintf(printer->out, "\n%*s%c", (int)printer->depth * 2, "", bracket);
	printer->first = false;
}

static void member(struct printer *printer, const char *name, const char *text)
{
	begin(printer, name);
	print_string(printer, text);
}

static void member_number(struct printer *printer, const char *name, uint64_t value)
{
	begin(printer, name);
	fprintf(printer->out, "%llu", (unsigned long long)value);
}

static void member_raw(struct printer *printer, const char *name, const char *text)
{
	begin(printer, name);
	fputs(text, printer->out);
}

static void print_words(struct printer *printer, const struct conf_key *key)
{
	begin(printer, "enum");
	for (const char *const *word = key->words; *word; word++) {
		fputs(word == key->words ? "[" : ", ", printer->out);
		if (key->bool_words && (strcmp(*word, "true") == 0 || strcmp(*word, "false") == 0))
			fputs(*word, printer->out);
		else
			print_string(printer, *word);
	}
	fputc(']', printer->out);
}

static void print_format(struct printer *printer, const struct conf_format *format)
{
	member(printer, "pattern", format->pattern);
	member_number(printer, "maxLength", format->max_len);
}

static void print_range(
    struct printer *printer, const struct conf_key *key, const char *min, const char *max)
{
	if (key->min > 0 || key->type == CONF_INT)
		member_number(printer, min, key->min);
	member_number(printer, max, key->max);
}

static const char *pattern_of(enum conf_type type)
{
	switch (type) {
	case CONF_DURATION: return "^[0-9]+(\\.[0-9]{1,6})?(us|ms|s|m|h|d)$";
	case CONF_SIZE: return "^[0-9]+(\\.[0-9]{1,6})?(B|KiB|MiB|GiB)$";
	case CONF_PERCENT: return "^[0-9]+%$";
	case CONF_RATE: return "^0*([1-9][0-9]{0,5}|1000000)/[smhd]$";
	case CONF_BYTE_RATE: return "^[0-9]+(\\.[0-9]{1,6})?(B|KiB|MiB|GiB)/s$";
	case CONF_ENDPOINT: return "^(" IPV4 "|\\[" IPV6 "\\]):[1-9][0-9]{0,4}$";
	case CONF_IP: return "^(" IPV4 "|" IPV6 ")$";
	case CONF_CIDR: return "^(" IPV4 "|" IPV6 ")(/[0-9]{1,3})?$";
	case CONF_STATUS: return "^" STATUS "(-" STATUS ")?$";
	default: return NULL;
	}
}

static void print_scalar(struct printer *printer, const struct conf_key *key)
{
	const char *pattern = pattern_of(key->type);
	if (key->bool_words)
		member_raw(printer, "type", "[\"string\", \"boolean\"]");
	else
		member(printer, "type",
		    key->type == CONF_BOOL  ? "boolean"
		    : key->type == CONF_INT ? "integer"
					    : "string");
	if (key->type == CONF_INT)
		print_range(printer, key, "minimum", "maximum");
	if (key->words)
		print_words(printer, key);
	if (key->format)
		print_format(printer, key->format);
	if (pattern)
		member(printer, "pattern", pattern);
}

/* The names of required keys; with variants, which of them exclude each other. */
static void print_required(struct printer *printer, const struct conf_object *object)
{
	const char *separator = "[";
	for (uint32_t i = 0; i < object->n_keys; i++) {
		if (!object->keys[i].required)
			continue;
		if (*separator == '[')
			begin(printer, "required");
		fputs(separator, printer->out);
		print_string(printer, object->keys[i].name);
		separator = ", ";
	}
	if (*separator != '[')
		fputc(']', printer->out);
	if (!object->variants)
		return;
	open_bracket(printer, "oneOf", '[');
	for (uint32_t i = 0; i < object->n_keys; i++) {
		if (!object->keys[i].variant)
			continue;
		begin(printer, NULL);
		fprintf(printer->out, "{\"required\": [\"%s\"]}", object->keys[i].name);
	}
	close_bracket(printer, ']');
}

static void print_object(struct printer *printer, const struct conf_object *object)
{
	member(printer, "type", "object");
	open_bracket(printer, "properties", '{');
	for (uint32_t i = 0; i < object->n_keys; i++) {
		open_bracket(printer, object->keys[i].name, '{');
		print_schema(printer, &object->keys[i]);
		close_bracket(printer, '}');
	}
	close_bracket(printer, '}');
	print_required(printer, object);
	member_raw(printer, "additionalProperties", "false");
}

static void print_list(struct printer *printer, const struct conf_key *key);

static void print_value(struct printer *printer, const struct conf_key *key)
{
	if (key->type == CONF_LIST)
		print_list(printer, key);
	else
		print_scalar(printer, key);
}

static void print_map(struct printer *printer, const struct conf_key *key)
{
	member(printer, "type", "object");
	open_bracket(printer, "propertyNames", '{');
	print_format(printer, key->format ? key->format : &conf_format_name);
	close_bracket(printer, '}');
	print_range(printer, key, "minProperties", "maxProperties");
	open_bracket(printer, "additionalProperties", '{');
	const char *shorthand = key->object->shorthand;
	if (shorthand)
		print_value(printer, conf_schema_find(key->object, shorthand));
	else
		print_object(printer, key->object);
	close_bracket(printer, '}');
}

/* A number, or an object of numbers. */
static void print_number_or_map(struct printer *printer, const struct conf_key *key)
{
	open_bracket(printer, "anyOf", '[');
	open_bracket(printer, NULL, '{');
	print_scalar(printer, key);
	close_bracket(printer, '}');
	open_bracket(printer, NULL, '{');
	print_map(printer, key->by_name);
	close_bracket(printer, '}');
	close_bracket(printer, ']');
}

/* The object, or what may stand for it. */
static void print_object_or_short(struct printer *printer, const struct conf_object *object)
{
	if (!object->shorthand) {
		print_object(printer, object);
		return;
	}
	open_bracket(printer, "anyOf", '[');
	open_bracket(printer, NULL, '{');
	print_scalar(printer, conf_schema_find(object, object->shorthand));
	close_bracket(printer, '}');
	open_bracket(printer, NULL, '{');
	print_object(printer, object);
	close_bracket(printer, '}');
	close_bracket(printer, ']');
}

static void print_array(struct printer *printer, const struct conf_key *key)
{
	member(printer, "type", "array");
	print_range(printer, key, "minItems", "maxItems");
	open_bracket(printer, "items", '{');
	print_schema(printer, key->element);
	close_bracket(printer, '}');
}

static void print_list(struct printer *printer, const struct conf_key *key)
{
	if (!key->one_or_list) {
		print_array(printer, key);
		return;
	}
	open_bracket(printer, "anyOf", '[');
	open_bracket(printer, NULL, '{');
	print_schema(printer, key->element);
	close_bracket(printer, '}');
	open_bracket(printer, NULL, '{');
	print_array(printer, key);
	close_bracket(printer, '}');
	close_bracket(printer, ']');
}

static void print_schema(struct printer *printer, const struct conf_key *key)
{
	member(printer, "description", key->help);
	switch (key->type) {
	case CONF_OBJECT: print_object_or_short(printer, key->object); break;
	case CONF_MAP: print_map(printer, key); break;
	case CONF_LIST: print_list(printer, key); break;
	default:
		if (key->by_name)
			print_number_or_map(printer, key);
		else
			print_scalar(printer, key);
	}
	if (key->def && (key->type == CONF_INT || key->type == CONF_BOOL))
		member_raw(printer, "default", key->def);
	else if (key->def)
		member(printer, "default", key->def);
}

void conf_schema_print(FILE *out)
{
	struct printer printer = {.out = out, .depth = 1, .first = true};
	fputc('{', out);
	member(&printer, "$schema", "https://json-schema.org/draft/2020-12/schema");
	member(&printer, "title", "yoke.json");
	member(&printer, "description", "Configuration of a yoke load balancer pair");
	print_object(&printer, &conf_schema_root);
	close_bracket(&printer, '}');
	fputc('\n', out);
}
