/* The schema table: each key of the configuration is one row of an array, in schema.c or in the
 * schema_*.c of its part of the configuration. The loader, the JSON Schema, the manual page and
 * "did you mean" read these rows and nothing else, so a new key is one row there and one field in
 * conf.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_type {
	CONF_BOOL,
	CONF_INT,
	CONF_DURATION,  /* "10s" -> microseconds */
	CONF_SIZE,      /* "16KiB" -> bytes */
	CONF_PERCENT,   /* "50%" -> 50 */
	CONF_RATE,      /* "100/s" -> struct limit_rate */
	CONF_BYTE_RATE, /* "1KiB/s" -> bytes a second */
	CONF_ENUM,      /* one of `words` -> its number */
	CONF_WORD,      /* one of `words`, kept as text */
	CONF_STRING,    /* as `format` demands */
	CONF_ENDPOINT,  /* "192.0.2.10:80" -> struct addr */
	CONF_IP,        /* "192.0.2.10" -> struct addr */
	CONF_CIDR,      /* "192.0.2.10/24" -> struct conf_vip */
	CONF_STATUS,    /* "200-399" or "200" -> two uint16_t */
	CONF_POOL,      /* the name of a pool -> its index (resolved by check.c) */
	CONF_OBJECT,
	CONF_MAP, /* objects by name; each begins with `const char *name` */
	CONF_LIST
};

/* What a string must look like. The function and the pattern (ECMA 262, for the JSON Schema) say
 * the same; the pattern has no double quotes and its backslashes are written for C only. */
struct conf_format {
	const char *wish; /* "a path that begins with \"/\"" */
	const char *pattern;
	unsigned max_len;
	bool (*check)(const char *text);
};

struct conf_object;

struct conf_key {
	const char *name;
	enum conf_type type;
	uint16_t offset, size; /* the field, within the struct of the object */
	uint16_t count_offset; /* map, list: the uint32_t beside it */
	uint16_t given_offset; /* `notes_given`: a bool that becomes true when the key is written */
	bool required;
	bool notes_given;
	bool bool_words;  /* enum: the words "true" and "false" are JSON's, not strings */
	bool one_or_list; /* list: a single element may stand without brackets */
	bool restart;     /* a reload cannot change it */
	uint8_t variant;  /* object: exactly one of those with a variant; the object's kind */
	uint64_t min, max, step; /* numbers; list, map: how many entries */
	const char *def;         /* as in the file, strings without quotes */
	const char *def_note;    /* a default that depends on something, for people */
	const char *const *words;
	/* What a later version will accept, separated by blanks: words, numbers */
	const char *later;
	const struct conf_format *format; /* map: of its names, if they are not like others */
	const struct conf_object *object; /* object, map */
	const struct conf_key *element;   /* list */
	/* A number or name that may be an object instead: the map of its entries by name, whose objects
	 * have a shorthand and are written as this. */
	const struct conf_key *by_name;
	const char *unit; /* of numbers, for people */
	const char *help; /* one sentence without full stop */
};

struct conf_object {
	const char *title; /* of its section in the manual page */
	const struct conf_key *keys;
	uint32_t n_keys;
	uint32_t size;         /* of the struct, for maps and lists */
	const char *shorthand; /* its value may stand for an object with this one key */
	bool variants;         /* has keys with `variant`; the kind is an enum at kind_offset */
	uint16_t kind_offset;
	const char *later; /* keys that a later version will know, separated by blanks */
};

extern const struct conf_object conf_schema_root;

const struct conf_key *conf_schema_find(const struct conf_object *object, const char *name);
/* `word` is one of `list`, which is separated by blanks (or NULL). */
bool conf_schema_word_in(const char *list, const char *word);
/* The key or word that `text` was probably meant to be, or NULL. */
const char *conf_schema_nearest_key(const struct conf_object *object, const char *text);
const char *conf_schema_nearest_word(const char *const *words, const char *text);
/* The same for other lists: *best becomes `candidate` if that is nearer to `text` than what was
 * found so far (*edits away, UINT32_MAX at first). A third of the letters may be wrong. */
void conf_schema_consider(
    const char *candidate, const char *text, const char **best, unsigned *edits);
