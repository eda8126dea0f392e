#include "conf/scan.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *text;
	size_t len, at;
	char *plain;
	struct arena *arena;
	struct report *report;
	unsigned depth;
	uint32_t n_values;
};

static struct node *scan_value(struct scan *scan, struct node *parent);

static int peek(const struct scan *scan)
{
	return scan->at < scan->len ? (unsigned char)scan->text[scan->at] : -1;
}

/* Length of the valid UTF-8 character at `p`, 0 if there is none (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t utf8_len(const unsigned char *p, size_t len)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (n < 2)
		return n;
	if (p[0] > 0xf4 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool check_bytes(struct scan *scan)
{
	const unsigned char *text = (const unsigned char *)scan->text;
	if (scan->len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		report_offset(scan->report, 0, NULL, "begins with a byte order mark; remove it");
		return false;
	}
	for (size_t at = 0, n; at < scan->len; at += n) {
		n = utf8_len(text + at, scan->len - at);
		if (n == 0) {
			report_offset(
			    scan->report, at, NULL, "byte 0x%02x is not valid UTF-8", text[at]);
			return false;
		}
		if (text[at] == '\0') {
			report_offset(scan->report, at, NULL, "a NUL byte; this is not text");
			return false;
		}
	}
	return true;
}

/* The comment at `at`; false if it does not end. */
static bool skip_comment(struct scan *scan, const struct node *where)
{
	size_t start = scan->at;
	const char *from = scan->text + start + 2, *end;
	size_t rest = scan->len - start - 2;
	if (scan->text[start + 1] == '/') {
		end = memchr(from, '\n', rest);
		scan->at = end ? (size_t)(end - scan->text) : scan->len;
	} else {
		end = memmem(from, rest, "*/", 2);
		if (!end) {
			report_offset(scan->report, start, where, "a comment without an end");
			return false;
		}
		scan->at = (size_t)(end - scan->text) + 2;
	}
	memset(scan->plain + start, ' ', scan->at - start);
	return true;
}

static bool skip_space(struct scan *scan, const struct node *where)
{
	for (;;) {
		int c = peek(scan);
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			scan->at++;
		} else if (c == '/' && scan->at + 1 < scan->len &&
			   (scan->text[scan->at + 1] == '/' || scan->text[scan->at + 1] == '*')) {
			if (!skip_comment(scan, where))
				return false;
		} else {
			return true;
		}
	}
}

/* Something else than `wanted` stands here. Always false. */
static bool unexpected(struct scan *scan, const struct node *where, const char *wanted)
{
	int c = peek(scan);
	if (c < 0)
		report_offset(scan->report, scan->at, where, "the text ends; wanted %s", wanted);
	else if (c > 0x20 && c < 0x7f)
		report_offset(
		    scan->report, scan->at, where, "unexpected '%c'; wanted %s", c, wanted);
	else
		report_offset(
		    scan->report, scan->at, where, "unexpected character; wanted %s", wanted);
	return false;
}

/* The four digits after \u, or -1. */
static int scan_hex(const struct scan *scan, size_t at)
{
	int value = 0;
	for (size_t i = at; i < at + 4; i++) {
		int c = i < scan->len ? scan->text[i] : 0;
		if (c >= '0' && c <= '9')
			value = value * 16 + c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + (c | 0x20) - 'a' + 10;
		else
			return -1;
	}
	return value;
}

/* The escape at `at` (a backslash); a message or NULL. */
static const char *scan_escape(struct scan *scan)
{
	int c = scan->at + 1 < scan->len ? scan->text[scan->at + 1] : 0;
	if (c != 'u') {
		scan->at += 2;
		return c && strchr("\"\\/bfnrt", c) ? NULL : "an escape that JSON does not have";
	}
	int code = scan_hex(scan, scan->at + 2);
	if (code < 0)
		return "\\u wants four hexadecimal digits";
	if (code == 0)
		return "\\u0000 is not allowed";
	scan->at += 6;
	if (code < 0xd800 || code > 0xdfff)
		return NULL;
	int low = -1;
	if (scan->len - scan->at >= 6 && memcmp(scan->text + scan->at, "\\u", 2) == 0)
		low = scan_hex(scan, scan->at + 2);
	scan->at += 6;
	return code < 0xdc00 && low >= 0xdc00 && low <= 0xdfff ? NULL : "half of a surrogate pair";
}

/* From the opening quote to behind the closing one. */
static bool scan_string(struct scan *scan, const struct node *where, bool *escapes)
{
	size_t start = scan->at++;
	*escapes = false;
	for (;;) {
		int c = peek(scan);
		size_t at = scan->at;
		const char *complaint = NULL;
		if (c < 0 || c == '\n') {
			report_offset(scan->report, start, where, "a string without closing quote");
			return false;
		} else if (c == '"') {
			scan->at++;
			return true;
		} else if (c == '\\') {
			*escapes = true;
			complaint = scan_escape(scan);
		} else if (c < 0x20) {
			complaint = "a control character in a string";
		} else {
			scan->at++;
		}
		if (complaint) {
			report_offset(scan->report, at, where, "%s", complaint);
			return false;
		}
	}
}

/* The text of the string that begins at `start` (a quote) and ends before `at`. */
static const char *decode(struct scan *scan, size_t start, bool escapes)
{
	const char *quoted = scan->text + start;
	size_t len = scan->at - start;
	if (!escapes)
		return arena_copy(scan->arena, quoted + 1, len - 2);
	struct json_tokener *tokener = json_tokener_new();
	if (!tokener)
		return NULL;
	json_object *js = json_tokener_parse_ex(tokener, quoted, (int)len);
	const char *copy = js ? arena_copy(scan->arena, json_object_get_string(js),
				    (size_t)json_object_get_string_len(js))
			      : NULL;
	json_object_put(js);
	json_tokener_free(tokener);
	return copy;
}

static size_t digits(const char *p, size_t len)
{
	size_t n = 0;
	while (n < len && p[n] >= '0' && p[n] <= '9')
		n++;
	return n;
}

/* RFC 8259 section 6. */
static bool is_number(const char *p, size_t len)
{
	size_t at = len > 0 && p[0] == '-', n = digits(p + at, len - at);
	if (n == 0 || (n > 1 && p[at] == '0'))
		return false;
	at += n;
	if (at < len && p[at] == '.') {
		n = digits(p + at + 1, len - at - 1);
		if (n == 0)
			return false;
		at += 1 + n;
	}
	if (at < len && (p[at] | 0x20) == 'e') {
		at++;
		at += at < len && (p[at] == '+' || p[at] == '-');
		n = digits(p + at, len - at);
		if (n == 0)
			return false;
		at += n;
	}
	return at == len;
}

/* A number or true, false, null. */
static bool scan_word(struct scan *scan, struct node *node)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_+-.";
	const char *word = scan->text + scan->at;
	size_t len = 0;
	while (scan->at + len < scan->len && strchr(letters, word[len]))
		len++;
	struct slice slice = {word, len};
	if (slice_equal(slice, SLICE("true")) || slice_equal(slice, SLICE("false")))
		node->kind = NODE_BOOL;
	else if (slice_equal(slice, SLICE("null")))
		node->kind = NODE_NULL;
	else if (is_number(word, len))
		node->kind = NODE_NUMBER;
	else if (len == 0)
		return unexpected(scan, node,
		    peek(scan) == '\'' ? "a value (strings have double quotes)" : "a value");
	else {
		report_offset(scan->report, scan->at, node, "%.*s is not a JSON value",
		    (int)(len < 60 ? len : 60), word);
		return false;
	}
	scan->at += len;
	return true;
}

static int by_key(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	int order = strcmp(x->key, y->key);
	return order ? order : x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Reports keys that come again and unlinks all but the last of them. */
static bool drop_duplicates(struct scan *scan, struct node *object)
{
	uint32_t n = object->n_children, kept = 0;
	struct node **sorted = n > 1 ? malloc(n * sizeof(struct node *)) : NULL;
	if (!sorted)
		return n < 2;
	for (struct node *child = object->child; child; child = child->next)
		sorted[kept++] = child;
	qsort(sorted, n, sizeof(struct node *), by_key);
	for (uint32_t i = 1; i < n; i++) {
		unsigned line, column;
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) != 0)
			continue;
		/* `index` is not used in objects: a mark for the sweep below. */
		sorted[i - 1]->index = UINT32_MAX;
		if (report_full(scan->report))
			continue;
		report_place(scan->report, sorted[i - 1]->key_offset, &line, &column);
		report_key(scan->report, sorted[i],
		    "duplicate key; the one before is at line %u, column %u", line, column);
	}
	free(sorted);
	kept = 0;
	for (struct node **link = &object->child; *link;) {
		if ((*link)->index == UINT32_MAX) {
			*link = (*link)->next;
		} else {
			(*link)->index = kept++;
			link = &(*link)->next;
		}
	}
	object->n_children = kept;
	return true;
}

/* The key and the colon of a member; NULL after an error. */
static struct node *scan_member(struct scan *scan, struct node *object)
{
	bool escapes;
	size_t key_offset = scan->at;
	if (peek(scan) != '"') {
		unexpected(scan, object, "a key in double quotes");
		return NULL;
	}
	if (!scan_string(scan, object, &escapes))
		return NULL;
	const char *key = decode(scan, key_offset, escapes);
	if (!key) {
		scan->report->out_of_memory = true;
		return NULL;
	}
	/* A stand-in, so that messages about the value know its path. */
	struct node member = {.parent = object, .key = key, .key_offset = (uint32_t)key_offset};
	if (!skip_space(scan, &member))
		return NULL;
	if (peek(scan) != ':') {
		unexpected(scan, &member, "':'");
		return NULL;
	}
	scan->at++;
	if (!skip_space(scan, &member))
		return NULL;
	return scan_value(scan, &member);
}

static struct node *scan_element(struct scan *scan, struct node *list)
{
	struct node element = {.parent = list, .index = list->n_children};
	return scan_value(scan, &element);
}

/* Behind a child: a comma and more, or the end. Sets *more. */
static bool scan_separator(struct scan *scan, struct node *node, char close, bool *more)
{
	if (!skip_space(scan, node))
		return false;
	int c = peek(scan);
	size_t comma = scan->at;
	*more = c == ',';
	if (c == close)
		return true;
	if (c != ',')
		return unexpected(scan, node, close == '}' ? "',' or '}'" : "',' or ']'");
	scan->at++;
	if (!skip_space(scan, node))
		return false;
	if (peek(scan) == close) {
		report_offset(scan->report, comma, node, "a comma before '%c'; remove it", close);
		return false;
	}
	return true;
}

/* The members or elements of `node`, from behind the opening bracket to behind the closing one. */
static bool scan_children(struct scan *scan, struct node *node)
{
	char close = node->kind == NODE_OBJECT ? '}' : ']';
	struct node **link = &node->child;
	scan->at++;
	if (!skip_space(scan, node))
		return false;
	for (bool more = peek(scan) != close; more;) {
		struct node *child =
		    node->kind == NODE_OBJECT ? scan_member(scan, node) : scan_element(scan, node);
		if (!child)
			return false;
		*link = child;
		link = &child->next;
		node->n_children++;
		if (!scan_separator(scan, node, close, &more))
			return false;
	}
	scan->at++;
	if (node->kind == NODE_OBJECT && !drop_duplicates(scan, node)) {
		scan->report->out_of_memory = true;
		return false;
	}
	return true;
}

/* `shape` says where the value belongs: parent, key, index. */
static struct node *scan_value(struct scan *scan, struct node *shape)
{
	bool escapes, done;
	if (++scan->n_values > SCAN_VALUES_MAX) {
		report_offset(
		    scan->report, scan->at, shape, "more than %d values", SCAN_VALUES_MAX);
		return NULL;
	}
	struct node *node = arena_alloc(scan->arena, sizeof(*node));
	if (!node) {
		scan->report->out_of_memory = true;
		return NULL;
	}
	*node = *shape;
	node->offset = (uint32_t)scan->at;
	int c = peek(scan);
	if (c == '{' || c == '[') {
		node->kind = c == '{' ? NODE_OBJECT : NODE_LIST;
		if (scan->depth == SCAN_DEPTH_MAX) {
			report_offset(scan->report, scan->at, NULL, "nested more than %d deep",
			    SCAN_DEPTH_MAX);
			return NULL;
		}
		scan->depth++;
		done = scan_children(scan, node);
		scan->depth--;
	} else if (c == '"') {
		node->kind = NODE_STRING;
		done = scan_string(scan, node, &escapes);
	} else {
		done = scan_word(scan, node);
	}
	node->len = (uint32_t)(scan->at - node->offset);
	return done ? node : NULL;
}

struct node *scan_text(struct arena *arena, struct report *report, char *plain)
{
	struct scan scan = {
	    .text = report->text,
	    .len = report->len,
	    .plain = plain,
	    .arena = arena,
	    .report = report,
	};
	struct node shape = {0};
	memcpy(plain, report->text, report->len);
	if (!check_bytes(&scan) || !skip_space(&scan, NULL))
		return NULL;
	if (scan.at == scan.len) {
		report_offset(report, 0, NULL, "empty; wanted an object { ... }");
		return NULL;
	}
	struct node *root = scan_value(&scan, &shape);
	if (!root || !skip_space(&scan, NULL))
		return NULL;
	if (scan.at < scan.len) {
		report_offset(report, scan.at, NULL, "text after the end of the configuration");
		return NULL;
	}
	return root;
}
