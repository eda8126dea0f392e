#include "conf/value.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: that is how a number is written when it divides. */
static const struct unit duration_units[] = {{"d", 86400000000}, {"h", 3600000000}, {"m", 60000000},
    {"s", 1000000}, {"ms", 1000}, {"us", 1}, {NULL, 0}};
static const struct unit rate_units[] = {
    {"/d", 86400}, {"/h", 3600}, {"/m", 60}, {"/s", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}, {NULL, 0}};

/* Digits from *text on; false if there is none or the number does not fit. */
static bool parse_digits(const char **text, uint64_t *out, unsigned *count)
{
	uint64_t value = 0;
	const char *p = *text;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
			return false;
	}
	*count = (unsigned)(p - *text);
	*text = p;
	*out = value;
	return *count > 0;
}

/* A number with an optional fraction and a unit. A result that is no whole number is refused. */
static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t whole, fraction = 0, scale = 1;
	unsigned count;
	if (!parse_digits(&text, &whole, &count))
		return false;
	if (*text == '.') {
		text++;
		if (!parse_digits(&text, &fraction, &count) || count > 6)
			return false;
		for (; count > 0; count--)
			scale *= 10;
	}
	for (; units->name && strcmp(units->name, text) != 0; units++)
		;
	if (!units->name || __builtin_mul_overflow(whole, units->factor, &whole))
		return false;
	/* At most 10^6 times a day in microseconds: no overflow. */
	fraction *= units->factor;
	if (fraction % scale != 0 || __builtin_add_overflow(whole, fraction / scale, &whole))
		return false;
	*out = whole;
	return true;
}

bool value_parse_duration(const char *text, uint64_t *out)
{
	return parse_with_unit(text, duration_units, out);
}

bool value_parse_size(const char *text, uint64_t *out)
{
	return parse_with_unit(text, size_units, out);
}

/* A whole number of them. */
static bool parse_percent(const char *text, uint64_t *out)
{
	static const struct unit units[] = {{"%", 1}, {NULL, 0}};
	return parse_with_unit(text, units, out);
}

static bool parse_byte_rate(const char *text, uint64_t *out)
{
	char size[32];
	size_t len = strlen(text);
	if (len < 2 || len >= sizeof(size) || strcmp(text + len - 2, "/s") != 0)
		return false;
	text_copy(size, len - 1, text);
	return value_parse_size(size, out);
}

char *value_format_number(enum conf_type type, uint64_t value, char *buf, size_t size)
{
	const struct unit *unit = type == CONF_DURATION ? duration_units : size_units;
	if (type == CONF_BYTE_RATE) {
		value_format_number(CONF_SIZE, value, buf, size);
		text_append(buf, size, strlen(buf), "/s");
		return buf;
	}
	if (type == CONF_INT || type == CONF_PERCENT || type == CONF_RATE) {
		snprintf(buf, size, "%llu%s", (unsigned long long)value,
		    type == CONF_PERCENT ? "%" : "");
		return buf;
	}
	if (value == 0) {
		text_copy(buf, size, type == CONF_DURATION ? "0s" : "0B");
		return buf;
	}
	/* 40.95s reads better than 40950ms. */
	if (type == CONF_DURATION && value > 10000000 && value < 3600000000 &&
	    value % 1000000 != 0 && value % 10000 == 0) {
		snprintf(buf, size, "%llu.%02llus", (unsigned long long)(value / 1000000),
		    (unsigned long long)(value % 1000000 / 10000));
		return buf;
	}
	while (value % unit->factor != 0)
		unit++;
	snprintf(buf, size, "%llu%s", (unsigned long long)(value / unit->factor), unit->name);
	return buf;
}

/* "1..256", or "3" when there is only one. */
static size_t append_range(const struct conf_key *key, char *buf, size_t size, size_t used)
{
	char min[32], max[32];
	value_format_number(key->type, key->min, min, sizeof(min));
	value_format_number(key->type, key->max, max, sizeof(max));
	if (key->min == key->max)
		return text_append(buf, size, used, "%s", min);
	return text_append(buf, size, used, "%s..%s", min, max);
}

static size_t append_by_name(const struct conf_key *key, char *buf, size_t size, size_t used)
{
	if (!key->by_name)
		return used;
	const struct conf_object *object = key->by_name->object;
	used = text_append(buf, size, used, ", or an object {\"NAME\": N} with N in ");
	return append_range(conf_schema_find(object, object->shorthand), buf, size, used);
}

static char *list_wish(const struct conf_key *key, char buf[VALUE_WISH_MAX])
{
	char each[VALUE_WISH_MAX];
	const struct conf_object *object = key->element->object;
	if (object && !object->shorthand)
		return text_copy(buf, VALUE_WISH_MAX, "a list of objects");
	value_wish(object ? conf_schema_find(object, object->shorthand) : key->element, each);
	if (key->one_or_list)
		text_append(buf, VALUE_WISH_MAX, 0, "%s, or a list of them", each);
	else
		text_append(buf, VALUE_WISH_MAX, 0, "a list, each %s%s", each,
		    object ? " or an object" : "");
	return buf;
}

static char *short_wish(const struct conf_object *object, char buf[VALUE_WISH_MAX])
{
	char value[VALUE_WISH_MAX];
	value_wish(conf_schema_find(object, object->shorthand), value);
	text_append(buf, VALUE_WISH_MAX, 0, "%s, or an object", value);
	return buf;
}

static bool is_number(enum conf_type type)
{
	return type == CONF_INT || type == CONF_DURATION || type == CONF_SIZE ||
	       type == CONF_PERCENT || type == CONF_RATE || type == CONF_BYTE_RATE;
}

char *value_wish(const struct conf_key *key, char buf[VALUE_WISH_MAX])
{
	static const char *const texts[] = {
	    [CONF_BOOL] = "true or false",
	    [CONF_INT] = "an integer in ",
	    [CONF_DURATION] = "a duration like \"10s\" or \"100ms\" in ",
	    [CONF_SIZE] = "a size like \"16KiB\" in ",
	    [CONF_PERCENT] = "a share like \"50%\" in ",
	    [CONF_RATE] = "a rate like \"100/s\" or \"600/m\" of ",
	    [CONF_BYTE_RATE] = "a rate like \"500B/s\" in ",
	    [CONF_ENUM] = "one of ",
	    [CONF_WORD] = "one of ",
	    [CONF_ENDPOINT] = "ADDRESS:PORT like \"192.0.2.10:80\" or \"[2001:db8::10]:80\"",
	    [CONF_IP] = "an address like \"192.0.2.11\" or \"2001:db8::11\"",
	    [CONF_CIDR] = "an address with prefix like \"192.0.2.10/24\"",
	    [CONF_STATUS] = "a status or range of them like \"200\" or \"200-399\"",
	    [CONF_OBJECT] = "an object",
	    [CONF_MAP] = "an object of named entries",
	};
	if (key->type == CONF_LIST)
		return list_wish(key, buf);
	if (key->type == CONF_OBJECT && key->object->shorthand)
		return short_wish(key->object, buf);
	if (key->format && key->type != CONF_MAP) {
		text_append(buf, VALUE_WISH_MAX, 0, "%s", key->format->wish);
		return buf;
	}
	bool fixed = key->type == CONF_INT && key->min == key->max;
	size_t used = text_append(buf, VALUE_WISH_MAX, 0, "%s", fixed ? "" : texts[key->type]);
	if (is_number(key->type))
		used = append_range(key, buf, VALUE_WISH_MAX, used);
	used = append_by_name(key, buf, VALUE_WISH_MAX, used);
	for (const char *const *word = key->words; word && *word; word++)
		used = text_append(
		    buf, VALUE_WISH_MAX, used, "%s%s", word == key->words ? "" : ", ", *word);
	return buf;
}

static void store(const struct conf_key *key, void *field, uint64_t value)
{
	switch (key->size) {
	case 1: *(uint8_t *)field = (uint8_t)value; break;
	case 2: *(uint16_t *)field = (uint16_t)value; break;
	case 4: *(uint32_t *)field = (uint32_t)value; break;
	default: assert(key->size == 8); *(uint64_t *)field = value;
	}
}

static uint64_t fetch(const struct conf_key *key, const void *field)
{
	switch (key->size) {
	case 1: return *(const uint8_t *)field;
	case 2: return *(const uint16_t *)field;
	case 4: return *(const uint32_t *)field;
	default: return *(const uint64_t *)field;
	}
}

/* `shown` is not what the row wants. */
static int refuse(const struct conf_key *key, const char *shown, struct err *err)
{
	char wish[VALUE_WISH_MAX];
	return err_set(err, -EINVAL, "%s is not %s", shown, value_wish(key, wish));
}

/* "99999999999999999999" is an integer, only not in the range; "-1" likewise. *fits is false for
 * these. */
static bool parse_integer(enum node_kind kind, const char *text, uint64_t *value, bool *fits)
{
	unsigned count;
	size_t sign = text[0] == '-';
	if (kind != NODE_NUMBER || text[sign + strspn(text + sign, "0123456789")])
		return false;
	*fits = !sign && parse_digits(&text, value, &count);
	return true;
}

static bool parse_quantity(
    enum conf_type type, enum node_kind kind, const char *text, uint64_t *value)
{
	if (kind != NODE_STRING)
		return false;
	switch (type) {
	case CONF_SIZE: return value_parse_size(text, value);
	case CONF_PERCENT: return parse_percent(text, value);
	case CONF_BYTE_RATE: return parse_byte_rate(text, value);
	default: return value_parse_duration(text, value);
	}
}

static int parse_number(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, void *field, struct err *err)
{
	uint64_t value = 0;
	bool fits = true;
	char range[80], step[32];
	bool ok = key->type == CONF_INT ? parse_integer(kind, text, &value, &fits)
					: parse_quantity(key->type, kind, text, &value);
	append_range(key, range, sizeof(range), 0);
	if (!ok)
		return refuse(key, shown, err);
	if (conf_schema_word_in(key->later, text))
		return err_set(
		    err, -EINVAL, "%s is not supported by this version, only %s", shown, range);
	if (!fits || value < key->min || value > key->max) {
		append_by_name(key, range, sizeof(range), strlen(range));
		return err_set(err, -EINVAL, "%s is not in %s", shown, range);
	}
	if (key->step > 1 && value % key->step != 0)
		return err_set(err, -EINVAL, "%s is not a multiple of %s", shown,
		    value_format_number(key->type, key->step, step, sizeof(step)));
	store(key, field, value);
	return 0;
}

static bool parse_rate(const struct conf_key *key, const char *text, struct limit_rate *out)
{
	uint64_t count;
	unsigned digits;
	const struct unit *unit = rate_units;
	if (!parse_digits(&text, &count, &digits) || count < key->min || count > key->max)
		return false;
	while (unit->name && strcmp(unit->name, text) != 0)
		unit++;
	if (!unit->name)
		return false;
	*out = (struct limit_rate){(uint32_t)count, (uint32_t)unit->factor};
	return true;
}

static char *format_rate(const struct limit_rate *rate, char buf[VALUE_TEXT_MAX])
{
	const struct unit *unit = rate_units;
	while (unit->name && unit->factor != rate->period_s)
		unit++;
	if (unit->name) /* else there is none */
		snprintf(buf, VALUE_TEXT_MAX, "%u%s", rate->count, unit->name);
	return buf;
}

static int parse_bool(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, void *field, struct err *err)
{
	if (kind != NODE_BOOL)
		return refuse(key, shown, err);
	*(bool *)field = strcmp(text, "true") == 0;
	return 0;
}

static bool is_bool_word(const struct conf_key *key, const char *word)
{
	return key->bool_words && (strcmp(word, "true") == 0 || strcmp(word, "false") == 0);
}

static int parse_word(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, void *field, struct err *err)
{
	char wish[VALUE_WISH_MAX];
	bool is_bool = kind == NODE_BOOL && key->bool_words;
	if (kind != NODE_STRING && !is_bool)
		return refuse(key, shown, err);
	for (unsigned i = 0; key->words[i]; i++) {
		if (strcmp(key->words[i], text) != 0 || is_bool != is_bool_word(key, text))
			continue;
		if (key->type == CONF_WORD)
			*(const char **)field = key->words[i];
		else
			store(key, field, i);
		return 0;
	}
	value_wish(key, wish);
	if (conf_schema_word_in(key->later, text))
		return err_set(
		    err, -EINVAL, "%s is not supported by this version; wanted %s", shown, wish);
	const char *nearest = conf_schema_nearest_word(key->words, text);
	if (nearest && !is_bool_word(key, nearest))
		return err_set(
		    err, -EINVAL, "%s is not %s; did you mean \"%s\"?", shown, wish, nearest);
	return refuse(key, shown, err);
}

static int parse_string(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, struct arena *arena, void *field, struct err *err)
{
	if (kind != NODE_STRING || !key->format->check(text))
		return refuse(key, shown, err);
	if (strlen(text) > key->format->max_len)
		return err_set(
		    err, -EINVAL, "%s is longer than %u bytes", shown, key->format->max_len);
	if (key->type == CONF_POOL)
		return 0;
	const char *copy = arena_copy(arena, text, strlen(text));
	if (!copy)
		return -ENOMEM;
	*(const char **)field = copy;
	return 0;
}

/* Whoever has networks, has them in this shape. */
_Static_assert(sizeof(struct conf_vip) == sizeof(struct route_source) &&
		   offsetof(struct conf_vip, prefix) == offsetof(struct route_source, prefix),
    "CONF_CIDR");

static bool parse_address(enum conf_type type, const char *text, void *field)
{
	struct conf_vip vip;
	unsigned prefix;
	if (type == CONF_ENDPOINT)
		return addr_parse_endpoint(text, field);
	if (type == CONF_IP)
		return addr_parse_ip(text, field);
	memset(&vip, 0, sizeof(vip));
	if (!addr_parse_cidr(text, &vip.addr, &prefix))
		return false;
	vip.prefix = (uint8_t)prefix;
	*(struct conf_vip *)field = vip;
	return true;
}

/* Three digits, 100 to 599. */
static bool parse_status(const char **text, uint16_t *out)
{
	uint64_t value;
	unsigned count;
	if (!parse_digits(text, &value, &count) || count != 3 || value < 100 || value > 599)
		return false;
	*out = (uint16_t)value;
	return true;
}

static bool parse_statuses(const char *text, uint16_t *field)
{
	uint16_t min, max;
	if (!parse_status(&text, &min))
		return false;
	max = min;
	if (*text == '-') {
		text++;
		if (!parse_status(&text, &max) || max < min)
			return false;
	}
	if (*text)
		return false;
	field[0] = min;
	field[1] = max;
	return true;
}

int value_parse(const struct conf_key *key, enum node_kind kind, const char *text,
    const char *shown, struct arena *arena, void *field, struct err *err)
{
	bool ok;
	switch (key->type) {
	case CONF_BOOL: return parse_bool(key, kind, text, shown, field, err);
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE:
	case CONF_BYTE_RATE:
	case CONF_PERCENT: return parse_number(key, kind, text, shown, field, err);
	case CONF_ENUM:
	case CONF_WORD: return parse_word(key, kind, text, shown, field, err);
	case CONF_STRING:
	case CONF_POOL: return parse_string(key, kind, text, shown, arena, field, err);
	case CONF_STATUS: ok = kind == NODE_STRING && parse_statuses(text, field); break;
	case CONF_RATE: ok = kind == NODE_STRING && parse_rate(key, text, field); break;
	default: ok = kind == NODE_STRING && parse_address(key->type, text, field);
	}
	return ok ? 0 : refuse(key, shown, err);
}

int value_parse_default(
    const struct conf_key *key, struct arena *arena, void *field, struct err *err)
{
	enum node_kind kind = key->type == CONF_INT    ? NODE_NUMBER
			      : key->type == CONF_BOOL ? NODE_BOOL
						       : NODE_STRING;
	return value_parse(key, kind, key->def, key->def, arena, field, err);
}

char *value_format(const struct conf_key *key, const void *field, char buf[VALUE_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];
	const struct conf_vip *vip = field;
	const uint16_t *status = field;
	const char *text = NULL;
	buf[0] = '\0';
	switch (key->type) {
	case CONF_BOOL: text = *(const bool *)field ? "true" : "false"; break;
	case CONF_INT:
	case CONF_DURATION:
	case CONF_SIZE:
	case CONF_BYTE_RATE:
	case CONF_PERCENT:
		return value_format_number(key->type, fetch(key, field), buf, VALUE_TEXT_MAX);
	case CONF_RATE: return format_rate(field, buf);
	case CONF_ENUM: text = key->words[fetch(key, field)]; break;
	case CONF_WORD:
	case CONF_STRING: text = *(const char *const *)field; break;
	case CONF_ENDPOINT: text = addr_format(field, ip); break;
	case CONF_IP: text = addr_format_ip(field, ip); break;
	case CONF_CIDR:
		snprintf(buf, VALUE_TEXT_MAX, "%s/%u", addr_format_ip(&vip->addr, ip), vip->prefix);
		break;
	case CONF_STATUS: snprintf(buf, VALUE_TEXT_MAX, "%u-%u", status[0], status[1]); break;
	default: break;
	}
	return text ? text_copy(buf, VALUE_TEXT_MAX, text) : buf;
}

bool value_equal(const struct conf_key *key, const void *a, const void *b)
{
	char x[VALUE_TEXT_MAX], y[VALUE_TEXT_MAX];
	return strcmp(value_format(key, a, x), value_format(key, b, y)) == 0;
}
